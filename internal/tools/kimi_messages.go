package tools

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// rawItem is an item of a list that is parsed later: an object in the schema, any JSON in Go.
type rawItem struct{ text json.RawMessage }

// UnmarshalJSON implements json.Unmarshaler.
func (l *rawItem) UnmarshalJSON(text []byte) error {
	l.text = slices.Clone(text)
	return nil
}

// wireMessage is a message as the chat APIs write it.
type wireMessage struct {
	Role       string          `json:"role"`
	Content    json.RawMessage `json:"content"`
	Reasoning  string          `json:"reasoning_content"`
	ToolCalls  []wireCall      `json:"tool_calls"`
	ToolCallID string          `json:"tool_call_id"`
	Name       string          `json:"name"`
}

type wireCall struct {
	ID       string `json:"id"`
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

const messageHint = `A message looks like {"role": "user", "content": "text"}; roles are system, user, assistant and tool.`

// readMessages reads a list of chat messages; a plain text is a user's. It refuses what no vendor would take, naming the
// message.
func readMessages(list []json.RawMessage) ([]providers.Message, error) {
	var messages []providers.Message
	for i, raw := range list {
		var text string
		if json.Unmarshal(raw, &text) == nil {
			messages = append(messages, providers.Message{Role: providers.RoleUser, Content: text})
			continue
		}
		var w wireMessage
		if err := json.Unmarshal(raw, &w); err != nil {
			return nil, reply.InvalidRequest(messageHint, "messages[%d] can't be read as a message.", i)
		}
		m, err := w.message()
		if err != nil {
			return nil, reply.InvalidRequest(err.hint, "messages[%d] %s.", i, err.what)
		}
		messages = append(messages, m)
	}
	if len(messages) == 0 {
		return nil, reply.InvalidRequest(messageHint, "messages is empty.")
	}
	return messages, checkPairs(messages)
}

// badMessage is what is wrong with one message.
type badMessage struct{ what, hint string }

func (w wireMessage) message() (providers.Message, *badMessage) {
	m := providers.Message{Role: providers.Role(strings.ToLower(strings.TrimSpace(w.Role))), Reasoning: w.Reasoning, Name: w.Name, ToolCallID: w.ToolCallID}
	switch m.Role {
	case "":
		if len(w.Content) == 0 && len(w.ToolCalls) == 0 {
			return m, &badMessage{"has neither role nor content", messageHint}
		}
		m.Role = providers.RoleUser
	case "developer": // OpenAI's newer word, which neither vendor knows
		m.Role = providers.RoleSystem
	case providers.RoleSystem, providers.RoleUser, providers.RoleAssistant, providers.RoleTool:
	default:
		return m, &badMessage{fmt.Sprintf("has the role %s", reply.Quote(w.Role)), messageHint}
	}
	if m.Role == providers.RoleTool && m.ToolCallID == "" {
		return m, &badMessage{"answers no call", "Give it the tool_call_id of the call that it answers."}
	}
	for _, c := range w.ToolCalls {
		call := providers.ToolCall{ID: c.ID, Name: c.Function.Name, Arguments: argumentText(c.Function.Arguments)}
		if call.ID == "" || call.Name == "" {
			return m, &badMessage{"has a tool call without id or function.name", "Send assistant messages back as they came."}
		}
		m.ToolCalls = append(m.ToolCalls, call)
	}
	bad := readContent(w.Content, &m)
	return m, bad
}

// argumentText is a call's arguments, which APIs write as JSON in a string, or as the object itself.
func argumentText(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) != nil {
		text = string(raw)
	}
	if strings.TrimSpace(text) == "" {
		return "{}"
	}
	return text
}

// readContent reads a message's content: a text, nothing, or parts.
func readContent(raw json.RawMessage, m *providers.Message) *badMessage {
	if len(raw) == 0 || json.Unmarshal(raw, &m.Content) == nil { // null leaves it empty
		return nil
	}
	var parts []struct {
		Type  string          `json:"type"`
		Text  string          `json:"text"`
		Image json.RawMessage `json:"image_url"`
	}
	if json.Unmarshal(raw, &parts) != nil {
		return &badMessage{"has a content that is neither a text nor a list of parts", messageHint}
	}
	var texts []string
	for _, p := range parts {
		switch p.Type {
		case "text":
			texts = append(texts, p.Text)
		case "image_url":
			image, ok := dataURL(p.Image)
			if !ok {
				return &badMessage{"has an image that is not a base64 data URL", "Kimi takes no web addresses: send data:image/png;base64,... ."}
			}
			m.Images = append(m.Images, image)
		default:
			return &badMessage{fmt.Sprintf("has a part of type %s", reply.Quote(p.Type)), "Send text and image_url parts."}
		}
	}
	m.Content = strings.Join(texts, "\n")
	return nil
}

// dataURL reads {"url": "data:..."} or the address alone.
func dataURL(raw json.RawMessage) (image providers.Image, ok bool) {
	var wrapped struct {
		URL string `json:"url"`
	}
	if json.Unmarshal(raw, &wrapped) != nil && json.Unmarshal(raw, &wrapped.URL) != nil {
		return image, false
	}
	head, data, found := strings.Cut(wrapped.URL, ",")
	mime, isData := strings.CutPrefix(head, "data:")
	mime, isBase64 := strings.CutSuffix(mime, ";base64")
	if !found || !isData || !isBase64 || !strings.HasPrefix(mime, "image/") {
		return image, false
	}
	bytes, err := base64.StdEncoding.DecodeString(data)
	return providers.Image{MIME: mime, Data: bytes}, err == nil && len(bytes) > 0
}

// checkPairs refuses calls without an answer, and answers without a call: vendors do, without saying which.
func checkPairs(messages []providers.Message) error {
	var open []string
	unanswered := func() error {
		if len(open) == 0 {
			return nil
		}
		return reply.InvalidRequest(`Append {"role": "tool", "tool_call_id": ID, "content": RESULT} for each of them, right behind the assistant message.`,
			"The tool calls %s have no answer.", strings.Join(open, ", "))
	}
	for i, m := range messages {
		if m.Role == providers.RoleTool {
			at := slices.Index(open, m.ToolCallID)
			if at < 0 {
				return reply.InvalidRequest("Send the assistant message with its tool_calls before the tool messages that answer them.",
					"messages[%d] answers the call %s, which no message before it makes.", i, reply.Quote(m.ToolCallID))
			}
			open = slices.Delete(open, at, at+1)
			continue
		}
		if err := unanswered(); err != nil {
			return err
		}
		for _, c := range m.ToolCalls {
			open = append(open, c.ID)
		}
	}
	return unanswered()
}

// blank reports whether a message says nothing.
func blank(m providers.Message) bool {
	return m.Role != providers.RoleTool && strings.TrimSpace(m.Content) == "" && len(m.Images)+len(m.ToolCalls) == 0
}

// writeMessage is a message as the chat APIs write it.
func writeMessage(m providers.Message) *Object {
	o := (&Object{}).Set("role", m.Role).Set("content", m.Content)
	if len(m.Images) > 0 {
		parts := []any{}
		if m.Content != "" {
			parts = append(parts, (&Object{}).Set("type", "text").Set("text", m.Content))
		}
		for _, i := range m.Images {
			url := "data:" + i.MIME + ";base64," + base64.StdEncoding.EncodeToString(i.Data)
			parts = append(parts, (&Object{}).Set("type", "image_url").Set("image_url", (&Object{}).Set("url", url)))
		}
		o.Set("content", parts)
	}
	if m.Reasoning != "" {
		o.Set("reasoning_content", m.Reasoning)
	}
	if len(m.ToolCalls) > 0 {
		o.Set("tool_calls", writeCalls(m.ToolCalls))
	}
	if m.ToolCallID != "" {
		o.Set("tool_call_id", m.ToolCallID)
	}
	if m.Name != "" {
		o.Set("name", m.Name)
	}
	return o
}

func writeCalls(calls []providers.ToolCall) []any {
	list := []any{}
	for _, c := range calls {
		function := (&Object{}).Set("name", c.Name).Set("arguments", c.Arguments)
		list = append(list, (&Object{}).Set("id", c.ID).Set("type", "function").Set("function", function))
	}
	return list
}

// writeUsage is a usage under the names of the chat APIs.
func writeUsage(u providers.Usage) *Object {
	return (&Object{}).Set("prompt_tokens", u.InputTokens).Set("completion_tokens", u.OutputTokens).
		Set("total_tokens", u.InputTokens+u.OutputTokens).Set("cached_tokens", u.CachedTokens)
}

func hasImages(messages []providers.Message) bool {
	return slices.ContainsFunc(messages, func(m providers.Message) bool { return len(m.Images) > 0 })
}

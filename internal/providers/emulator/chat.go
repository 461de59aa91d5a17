package emulator

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// Chat is the body of a chat as it was sent.
type Chat struct {
	Model        string
	Messages     []Message
	Stream       bool
	IncludeUsage bool   // stream_options.include_usage
	Thinking     string // thinking.type, "" when it was not sent
	Effort       string // reasoning_effort, "" when it was not sent
	Limit        int    // max_tokens or max_completion_tokens, 0 when neither was sent
	Format       string // response_format.type, "" when it was not sent
	Tools        []Tool
	ToolChoice   string // "auto", "none", "required", or a function's name; "" when it was not sent

	// Raw is every top-level parameter as it was sent, known or not.
	Raw map[string]json.RawMessage

	body chatBody
}

// Message is one message of a chat.
type Message struct {
	Role       string
	Content    string // its text parts, joined
	Parts      []Part // as sent, when the content was an array
	Reasoning  *string
	ToolCalls  []ToolCall
	ToolCallID string
	Name       string
	Partial    bool
}

// Part is one part of a message's content.
type Part struct {
	Type string // text, image_url, video_url, file_url
	Text string
	URL  string
}

// Tool is one entry of a request's tools.
type Tool struct {
	Type string // function, web_search, builtin_function ...
	Name string // a function's
	// Raw is the entry as sent.
	Raw json.RawMessage
}

// LastUser is the text of the last user message, "" when there is none.
func (c *Chat) LastUser() string {
	for i := len(c.Messages) - 1; i >= 0; i-- {
		if c.Messages[i].Role == "user" {
			return c.Messages[i].Content
		}
	}
	return ""
}

// Text is the text of all messages, one after the other.
func (c *Chat) Text() string {
	var b strings.Builder
	for _, m := range c.Messages {
		b.WriteString(m.Content)
		b.WriteByte('\n')
	}
	return b.String()
}

// Has reports whether a top-level parameter was sent.
func (c *Chat) Has(param string) bool {
	_, ok := c.Raw[param]
	return ok
}

// chatBody is the wire form of what both vendors take.
type chatBody struct {
	Model               *string         `json:"model"`
	Messages            []wireMessage   `json:"messages"`
	Stream              *bool           `json:"stream"`
	StreamOptions       *streamOptions  `json:"stream_options"`
	Temperature         *float64        `json:"temperature"`
	TopP                *float64        `json:"top_p"`
	N                   *int            `json:"n"`
	PresencePenalty     *float64        `json:"presence_penalty"`
	FrequencyPenalty    *float64        `json:"frequency_penalty"`
	MaxTokens           *int            `json:"max_tokens"`
	MaxCompletionTokens *int            `json:"max_completion_tokens"`
	Stop                json.RawMessage `json:"stop"`
	Thinking            *thinking       `json:"thinking"`
	ReasoningEffort     *string         `json:"reasoning_effort"`
	ResponseFormat      *responseFormat `json:"response_format"`
	Tools               []wireTool      `json:"tools"`
	ToolChoice          json.RawMessage `json:"tool_choice"`
	ToolStream          *bool           `json:"tool_stream"`
	DoSample            *bool           `json:"do_sample"`
	RequestID           *string         `json:"request_id"`
	UserID              *string         `json:"user_id"`
	PromptCacheKey      *string         `json:"prompt_cache_key"`
	SafetyIdentifier    *string         `json:"safety_identifier"`
}

type streamOptions struct {
	IncludeUsage bool `json:"include_usage"`
}

type thinking struct {
	Type          string          `json:"type"`
	ClearThinking *bool           `json:"clear_thinking"`
	Keep          json.RawMessage `json:"keep"`
}

type responseFormat struct {
	Type       string          `json:"type"`
	JSONSchema json.RawMessage `json:"json_schema"`
}

type wireMessage struct {
	Role             string          `json:"role"`
	Content          json.RawMessage `json:"content"`
	ReasoningContent *string         `json:"reasoning_content"`
	Reasoning        *string         `json:"reasoning"` // the lab's name for it
	ToolCalls        []wireToolCall  `json:"tool_calls"`
	ToolCallID       string          `json:"tool_call_id"`
	Name             string          `json:"name"`
	Partial          bool            `json:"partial"`
}

type wireToolCall struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Function struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	} `json:"function"`
}

type wireTool struct {
	Type      string          `json:"type"`
	Function  *wireFunction   `json:"function"`
	WebSearch json.RawMessage `json:"web_search"`
	raw       json.RawMessage
}

// UnmarshalJSON keeps the text of the entry beside its fields.
func (t *wireTool) UnmarshalJSON(b []byte) error {
	type plain wireTool
	if err := json.Unmarshal(b, (*plain)(t)); err != nil {
		return err
	}
	t.raw = bytes.Clone(b)
	return nil
}

type wireFunction struct {
	Name        string          `json:"name"`
	Description *string         `json:"description"`
	Parameters  json.RawMessage `json:"parameters"`
}

// badField says which parameter has the wrong type; its text is made for the vendor's message.
type badField struct {
	name string
	err  error
}

func (b *badField) Error() string { return b.name + ": " + b.err.Error() }

// parseChat reads a chat's body. The error is a *badField when the JSON is well-formed.
func parseChat(body []byte) (*Chat, error) {
	c := &Chat{}
	if err := json.Unmarshal(body, &c.Raw); err != nil {
		return nil, err
	}
	if c.Raw == nil {
		return nil, errors.New("the body is not a JSON object")
	}
	if err := json.Unmarshal(body, &c.body); err != nil {
		var te *json.UnmarshalTypeError
		if errors.As(err, &te) {
			return nil, &badField{te.Field, err}
		}
		return nil, err
	}
	b := &c.body
	c.Model = value(b.Model)
	c.Stream = value(b.Stream)
	c.IncludeUsage = b.StreamOptions != nil && b.StreamOptions.IncludeUsage
	c.Effort = value(b.ReasoningEffort)
	c.Limit = value(b.MaxTokens)
	if b.MaxCompletionTokens != nil {
		c.Limit = *b.MaxCompletionTokens
	}
	if b.Thinking != nil {
		c.Thinking = b.Thinking.Type
	}
	if b.ResponseFormat != nil {
		c.Format = b.ResponseFormat.Type
	}
	for _, t := range b.Tools {
		tool := Tool{Type: t.Type, Raw: t.raw}
		if t.Function != nil {
			tool.Name = t.Function.Name
		}
		c.Tools = append(c.Tools, tool)
	}
	var err error
	if c.ToolChoice, err = toolChoice(b.ToolChoice); err != nil {
		return nil, &badField{"tool_choice", err}
	}
	for i, wm := range b.Messages {
		m, err := message(wm)
		if err != nil {
			return nil, &badField{fmt.Sprintf("messages[%d]", i), err}
		}
		c.Messages = append(c.Messages, m)
	}
	return c, nil
}

func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

func toolChoice(raw json.RawMessage) (string, error) {
	if isNull(raw) {
		return "", nil
	}
	if isString(raw) {
		var word string
		err := json.Unmarshal(raw, &word)
		return word, err
	}
	var named struct {
		Type     string `json:"type"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if err := json.Unmarshal(raw, &named); err != nil {
		return "", err
	}
	return named.Function.Name, nil
}

func message(w wireMessage) (Message, error) {
	reasoning := w.ReasoningContent
	if reasoning == nil {
		reasoning = w.Reasoning
	}
	m := Message{Role: w.Role, Reasoning: reasoning, ToolCallID: w.ToolCallID, Name: w.Name, Partial: w.Partial}
	for _, tc := range w.ToolCalls {
		args := string(tc.Function.Arguments)
		if isString(tc.Function.Arguments) {
			if err := json.Unmarshal(tc.Function.Arguments, &args); err != nil {
				return m, err
			}
		}
		m.ToolCalls = append(m.ToolCalls, ToolCall{ID: tc.ID, Name: tc.Function.Name, Arguments: args})
	}
	switch {
	case isNull(w.Content):
		return m, nil
	case isString(w.Content):
		err := json.Unmarshal(w.Content, &m.Content)
		return m, err
	}
	var parts []map[string]json.RawMessage
	if err := json.Unmarshal(w.Content, &parts); err != nil {
		return m, errors.New("content is neither a string nor an array")
	}
	var texts []string
	for _, p := range parts {
		part, err := contentPart(p)
		if err != nil {
			return m, err
		}
		if part.Type == "text" {
			texts = append(texts, part.Text)
		}
		m.Parts = append(m.Parts, part)
	}
	m.Content = strings.Join(texts, "\n")
	return m, nil
}

func contentPart(p map[string]json.RawMessage) (Part, error) {
	var part Part
	if json.Unmarshal(p["type"], &part.Type) != nil || part.Type == "" {
		return part, errors.New("a content part without type")
	}
	raw, ok := p[part.Type]
	if !ok {
		return part, fmt.Errorf("a content part of type %s without %[1]s", part.Type)
	}
	var err error
	switch {
	case part.Type == "text":
		err = json.Unmarshal(raw, &part.Text)
	case isString(raw): // Kimi takes a plain string as well
		err = json.Unmarshal(raw, &part.URL)
	default:
		var object struct {
			URL string `json:"url"`
		}
		err = json.Unmarshal(raw, &object)
		part.URL = object.URL
	}
	return part, err
}

func isString(raw json.RawMessage) bool {
	return len(raw) > 0 && raw[0] == '"' // a RawMessage has no blanks before it
}

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || string(raw) == "null"
}

// media counts the parts of one type.
func (c *Chat) media(kind string) int {
	n := 0
	for _, m := range c.Messages {
		for _, p := range m.Parts {
			if p.Type == kind {
				n++
			}
		}
	}
	return n
}

// tool is the first of the request's tools that fits.
func (c *Chat) tool(fits func(Tool) bool) (Tool, bool) {
	for _, t := range c.Tools {
		if fits(t) {
			return t, true
		}
	}
	return Tool{}, false
}

package openaicompat

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"

	openai "github.com/sashabaranov/go-openai"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Wire is a chat request on its way to JSON: what go-openai's struct can say, and beside it what only raw JSON can
// (vendor parameters, a temperature of 0, an empty content). Set and SetInMessage win over the struct.
type Wire struct {
	openai.ChatCompletionRequest

	extra     map[string]any
	inMessage map[int]map[string]any
	drop      []string
	sent      []string // the top-level parameters of the body, once it has been made
}

// Set puts a top-level parameter that go-openai does not know or would leave out.
func (w *Wire) Set(key string, value any) {
	if w.extra == nil {
		w.extra = map[string]any{}
	}
	w.extra[key] = value
}

// SetInMessage puts a field of message i that go-openai does not know or would leave out.
func (w *Wire) SetInMessage(i int, key string, value any) {
	if w.inMessage == nil {
		w.inMessage = map[int]map[string]any{}
	}
	if w.inMessage[i] == nil {
		w.inMessage[i] = map[string]any{}
	}
	w.inMessage[i][key] = value
}

// newWire lays out what both vendors write alike, and lets the dialect do the rest.
func (c *Client) newWire(req providers.ChatRequest) *Wire {
	w := &Wire{drop: req.Drop}
	w.Model = req.Model.ID
	w.Stream = true
	if !c.dialect.NoStreamOptions {
		w.StreamOptions = &openai.StreamOptions{IncludeUsage: true} // a stream reports its usage when asked
	}
	w.Messages = make([]openai.ChatCompletionMessage, len(req.Messages))
	for i, m := range req.Messages {
		w.Messages[i] = c.message(m)
		c.returnFields(i, m, w)
	}
	w.ReasoningEffort = req.Thinking.Effort
	if req.Thinking.Type != "" {
		w.Set("thinking", map[string]string{"type": req.Thinking.Type})
	}
	if req.JSONObject && req.Model.JSONObject {
		w.ResponseFormat = &openai.ChatCompletionResponseFormat{Type: openai.ChatCompletionResponseFormatTypeJSONObject}
	}
	w.offerFunctions(req)
	if c.dialect.Shape != nil {
		c.dialect.Shape(req, w)
	}
	return w
}

// message turns one message into go-openai's. Reasoning goes back only with tool calls: within a tool loop both vendors
// want it unchanged, elsewhere it only costs tokens.
func (c *Client) message(m providers.Message) openai.ChatCompletionMessage {
	out := openai.ChatCompletionMessage{Role: string(m.Role), Name: m.Name, ToolCallID: m.ToolCallID}
	for _, call := range m.ToolCalls {
		out.ToolCalls = append(out.ToolCalls, openai.ToolCall{
			ID: call.ID, Type: openai.ToolTypeFunction,
			Function: openai.FunctionCall{Name: call.Name, Arguments: arguments(call.Arguments)},
		})
	}
	if len(out.ToolCalls) > 0 {
		out.ReasoningContent = m.Reasoning
	}
	if len(m.Images) == 0 {
		out.Content = m.Content
		return out
	}
	for _, img := range m.Images {
		out.MultiContent = append(out.MultiContent, openai.ChatMessagePart{
			Type: openai.ChatMessagePartTypeImageURL, ImageURL: &openai.ChatMessageImageURL{URL: c.dataURL(img)},
		})
	}
	if m.Content != "" {
		out.MultiContent = append(out.MultiContent, openai.ChatMessagePart{Type: openai.ChatMessagePartTypeText, Text: m.Content})
	}
	return out
}

// reasoningNames are the names that vendors have for reasoning. Where they are among Dialect.Returned, reasoning goes back
// under the name that it came by, and not at all where it came in the text.
var reasoningNames = []string{"reasoning_content", "reasoning"}

// returnFields puts the vendor's own fields back into a message, and reasoning under the name that the vendor gives it.
func (c *Client) returnFields(i int, m providers.Message, w *Wire) {
	if slices.Contains(c.dialect.Returned, "reasoning") {
		w.Messages[i].ReasoningContent = ""
	}
	if name, out := c.dialect.ReasoningField, &w.Messages[i]; name != "" && name != "reasoning_content" && out.ReasoningContent != "" {
		w.SetInMessage(i, name, out.ReasoningContent)
		out.ReasoningContent = ""
	}
	for _, key := range c.dialect.Returned {
		if raw := m.VendorFields[key]; raw != nil && (len(m.ToolCalls) > 0 || !slices.Contains(reasoningNames, key)) {
			w.SetInMessage(i, key, raw)
		}
	}
	var wireCalls []map[string]any
	fields := 0
	for _, call := range m.ToolCalls {
		out := map[string]any{
			"id": call.ID, "type": "function",
			"function": map[string]string{"name": call.Name, "arguments": arguments(call.Arguments)},
		}
		for _, key := range c.dialect.Returned {
			if raw := call.VendorFields[key]; raw != nil {
				out[key] = raw
				fields++
			}
		}
		wireCalls = append(wireCalls, out)
	}
	if fields > 0 {
		w.SetInMessage(i, "tool_calls", wireCalls)
	}
}

// dataURL is a picture as both vendors take it. Its type is what its bytes say: a wrong one is refused.
func (c *Client) dataURL(img providers.Image) string {
	if c.dialect.Image != nil {
		img = c.dialect.Image(img)
	}
	if kind := http.DetectContentType(img.Data); strings.HasPrefix(kind, "image/") {
		img.MIME = kind
	}
	return "data:" + img.MIME + ";base64," + base64.StdEncoding.EncodeToString(img.Data)
}

// offerFunctions attaches the functions and the tool_choice. A choice that the model is not known to take is not sent:
// "none" becomes no functions at all, everything else "auto".
func (w *Wire) offerFunctions(req providers.ChatRequest) {
	if len(req.Functions) == 0 {
		return
	}
	choice, kind := any("auto"), "auto"
	if len(req.ToolChoice) > 0 {
		choice, kind = req.ToolChoice, choiceKind(req.ToolChoice)
	}
	known := kind == "auto" || slices.Contains(req.Model.ToolChoices, kind)
	if kind == "none" && !known {
		return
	}
	if !known {
		choice = "auto"
	}
	w.ToolChoice = choice
	for _, f := range req.Functions {
		params := f.Parameters
		if len(params) == 0 {
			params = json.RawMessage(`{"type":"object","properties":{}}`)
		}
		w.Tools = append(w.Tools, openai.Tool{
			Type:     openai.ToolTypeFunction,
			Function: &openai.FunctionDefinition{Name: f.Name, Description: f.Description, Parameters: params},
		})
	}
}

// choiceKind is a tool_choice's word; an object, which names one function, is "function".
func choiceKind(choice json.RawMessage) string {
	var word string
	if json.Unmarshal(choice, &word) == nil {
		return word
	}
	return "function"
}

// Temperature is the temperature to send: the wish, clamped to what the model takes and rounded to the two decimals that
// the vendors document. It is false when none may be sent.
func Temperature(req providers.ChatRequest) (float64, bool) {
	r := req.Model.Temperature
	if req.Temperature == nil || r == nil || math.IsNaN(*req.Temperature) {
		return 0, false
	}
	return math.Round(100*min(max(*req.Temperature, r.Min), r.Max)) / 100, true
}

// OutputCap is the output limit to send, 0 for none: the wish, within the model's and the vendor's own ceiling.
func OutputCap(req providers.ChatRequest, ceiling int) int {
	limit := req.MaxOutputTokens
	for _, bound := range []int{req.Model.MaxOutput, ceiling} {
		if bound > 0 {
			limit = min(limit, bound)
		}
	}
	return max(limit, 0)
}

// undroppable are the parameters without which there is no request, or another one than was asked for.
var undroppable = []string{"model", "messages", "stream", "tools"}

// body is the request's JSON: go-openai's own rendering with the rest merged on top of it. It is made once, so that what is
// sent is what a preview shows. Values stay raw, so that big numbers and the order inside of schemas survive; top-level
// keys come out sorted.
func (w *Wire) body() ([]byte, error) {
	fields, err := w.fields()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errEncode, err)
	}
	for _, key := range w.drop {
		if !slices.Contains(undroppable, key) {
			delete(fields, key)
		}
	}
	w.sent = slices.Sorted(maps.Keys(fields))
	return object(w.sent, fields), nil
}

// fields are the body's, by name. Messages are rendered one by one, since they may be megabytes, which encoding/json
// would go over again on each level that they are nested in.
func (w *Wire) fields() (map[string]json.RawMessage, error) {
	settings := w.ChatCompletionRequest
	settings.Messages = nil
	plain, err := json.Marshal(settings)
	if err != nil {
		return nil, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(plain, &fields); err != nil {
		return nil, err
	}
	if err := overlay(fields, w.extra); err != nil {
		return nil, err
	}
	rendered := make([][]byte, len(w.Messages))
	for i, m := range w.Messages {
		if rendered[i], err = w.renderMessage(i, m); err != nil {
			return nil, err
		}
	}
	fields["messages"] = slices.Concat([]byte("["), bytes.Join(rendered, []byte(",")), []byte("]"))
	return fields, nil
}

func (w *Wire) renderMessage(i int, m openai.ChatCompletionMessage) ([]byte, error) {
	plain, err := m.MarshalJSON()
	if err != nil || w.inMessage[i] == nil {
		return plain, err
	}
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(plain, &fields); err != nil {
		return nil, err
	}
	if err := overlay(fields, w.inMessage[i]); err != nil {
		return nil, err
	}
	return object(slices.Sorted(maps.Keys(fields)), fields), nil
}

// overlay puts values over fields.
func overlay(fields map[string]json.RawMessage, values map[string]any) error {
	for key, value := range values {
		raw, err := json.Marshal(value)
		if err != nil {
			return fmt.Errorf("parameter %s: %w", key, err)
		}
		fields[key] = raw
	}
	return nil
}

// object writes a JSON object of values that are JSON already. The keys are ours or go-openai's: plain words.
func object(keys []string, fields map[string]json.RawMessage) []byte {
	size := 2
	for _, key := range keys {
		size += len(key) + len(fields[key]) + len(`"":,`)
	}
	var b bytes.Buffer
	b.Grow(size) // a body may be megabytes
	b.WriteByte('{')
	for i, key := range keys {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(`"` + key + `":`)
		b.Write(fields[key])
	}
	b.WriteByte('}')
	return b.Bytes()
}

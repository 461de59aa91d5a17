package emulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// check looks at one thing that a vendor refuses; nil when there is nothing to refuse.
type check func(*inquiry) error

// glmRefusal is a 400 of GLM's in both of its languages; an empty Chinese text is not known.
func glmRefusal(rule, code, english, chinese string) error {
	return &refusal{rule: rule, status: 400, code: code, message: english, chinese: chinese}
}

// glmIllegal is GLM's refusal of a parameter's value.
func glmIllegal(rule, field string) error {
	return glmRefusal(rule, "1214", "The "+field+" parameter is illegal. Please check the documentation.", field+" 参数非法。请检查文档。")
}

// glmMissing is GLM's refusal of a request that lacks a parameter.
func glmMissing(rule, field string) error {
	return glmRefusal(rule, "1213", "The "+field+" parameter was not received properly.", "未正常接收到"+field+"参数。")
}

// glmInvalid is GLM's refusal that says nothing in particular, or a few words.
func glmInvalid(rule, message string) error {
	if message == "" {
		message = "Invalid API parameter, please check the documentation."
	}
	return glmRefusal(rule, "1210", message, "API 调用参数有误，请检查文档。")
}

// model finds the model of a chat, or refuses as the vendor does.
func (e *Emulator) model(v Vendor, c *Chat) (facts, error) {
	if f, ok := e.serves(v, c.Model); ok {
		return f, nil
	}
	switch {
	case v == Lab:
		return facts{}, &refusal{
			rule: "unknown model", status: 404,
			body: labError("invalid_request_error", "model_not_found", "model", "The model '"+c.Model+"' does not exist or you do not have access to it."),
		}
	case v == Kimi && c.Model == "":
		return facts{}, badRequest(v, "no model", "", "Invalid request: model is required")
	case v == Kimi:
		return facts{}, &refusal{
			rule: "unknown model", status: 404, code: "resource_not_found_error",
			message: "Not found the model " + c.Model + " or Permission denied",
		}
	case c.Model == "":
		return facts{}, glmMissing("no model", "model")
	case strings.HasSuffix(c.Model, "[1m]"):
		return facts{}, glmIllegal("window suffix in the model", "model") // the suffix belongs to coding-plan clients
	}
	return facts{}, glmRefusal("unknown model", "1211", "Unknown Model, please check the model code.", "模型不存在，请检查模型代码。")
}

// glmRules are what api.z.ai refuses, in the order in which it is checked here.
func glmRules() []check {
	return []check{
		glmMessages, glmPairs, glmMedia, glmTools, glmToolChoice, glmSampling, glmLimit, glmThinking, glmFormat, glmStop,
		glmWindow, glmUser, glmRequestID, // the last, since it remembers the id
	}
}

func glmMessages(in *inquiry) error {
	if !in.c.Has("messages") {
		return glmMissing("no messages", "messages")
	}
	users := 0
	for i, m := range in.c.Messages {
		content := in.c.body.Messages[i].Content
		switch m.Role {
		case "user":
			users++
			if m.Content == "" && len(m.Parts) == 0 {
				return glmMissing("empty user message", "prompt")
			}
		case "system":
		case "assistant":
			if isNull(content) && len(m.ToolCalls) == 0 {
				return glmIllegal("assistant message without content", "messages")
			}
			for _, call := range in.c.body.Messages[i].ToolCalls {
				if !isString(call.Function.Arguments) {
					return glmIllegal("arguments are not a string", "messages")
				}
			}
		case "tool":
			if m.Content == "" {
				return glmIllegal("tool message without content", "messages")
			}
			if !isString(content) {
				return glmIllegal("tool message that is not a string", "messages") // an image in it was seen to be refused
			}
		default:
			return glmIllegal("unknown role", "messages")
		}
	}
	if users == 0 {
		return glmIllegal("no user message", "messages")
	}
	return nil
}

// unpaired finds the first tool message that answers no call before it (its id is lost), or the first assistant
// message with calls that are not all answered at once after it (missing).
func unpaired(messages []Message) (at int, lost string, missing []string) {
	var open []string
	for i, m := range messages {
		if m.Role == "tool" {
			j := slices.Index(open, m.ToolCallID)
			if j < 0 {
				return i, m.ToolCallID, nil
			}
			open = slices.Delete(open, j, j+1)
			continue
		}
		if len(open) > 0 {
			return i, "", open
		}
		for _, c := range m.ToolCalls {
			open = append(open, c.ID)
		}
	}
	return -1, "", open
}

func glmPairs(in *inquiry) error {
	at, _, missing := unpaired(in.c.Messages)
	if at >= 0 && len(missing) == 0 {
		return glmIllegal("tool message without its call", "messages")
	}
	if len(missing) > 0 {
		return glmIllegal("tool call without its answer", "messages")
	}
	return nil
}

var glmFunctionName = lazyregexp.New(`^[A-Za-z0-9_-]{1,64}$`)

func glmTools(in *inquiry) error {
	if len(in.c.Tools) > 128 {
		return glmIllegal("more than 128 tools", "tools")
	}
	if len(in.c.Tools) > 0 && !in.f.Tools {
		return badRequest(GLM, "model without tools", "1212", "The current model does not support tools")
	}
	for _, t := range in.c.body.Tools {
		if err := in.glmTool(t); err != nil {
			return err
		}
	}
	return nil
}

func (in *inquiry) glmTool(t wireTool) error {
	switch t.Type {
	case "function":
		switch {
		case t.Function == nil:
			return glmMissing("tool without function", "tools.function")
		case !glmFunctionName().MatchString(t.Function.Name):
			return glmIllegal("function name", "tools.function.name")
		case t.Function.Description == nil:
			return glmMissing("function without description", "tools.function.description")
		case !isObject(t.Function.Parameters):
			return glmIllegal("function parameters are not a schema", "tools.function.parameters")
		}
		return nil
	case "web_search":
		if !in.f.Search {
			return badRequest(GLM, "model without search", "1212", "The current model does not support web_search")
		}
		return in.glmSearchTool(t.WebSearch)
	case "retrieval":
		return nil
	case "mcp":
		if in.e.mainland {
			return nil
		}
	}
	return glmIllegal("unknown tool type", "tools.type")
}

func isObject(raw json.RawMessage) bool {
	var m map[string]json.RawMessage
	return json.Unmarshal(raw, &m) == nil && m != nil
}

func glmToolChoice(in *inquiry) error {
	if c := in.c.ToolChoice; c != "" && c != "auto" {
		return glmIllegal("tool_choice is not auto", "tool_choice")
	}
	return nil
}

func glmSampling(in *inquiry) error {
	b := in.c.body
	if t := b.Temperature; t != nil && (*t < 0 || *t > 1) {
		return glmIllegal("temperature out of 0 to 1", "temperature")
	}
	if p := b.TopP; p != nil && (*p < 0.01 || *p > 1) {
		return glmIllegal("top_p out of 0.01 to 1", "top_p")
	}
	return nil
}

func glmLimit(in *inquiry) error {
	b := in.c.body
	if b.MaxTokens != nil && b.MaxCompletionTokens != nil {
		return badRequest(GLM, "both token limits", "1215", "max_tokens and max_completion_tokens cannot be set at the same time. Please check the documentation.")
	}
	highest := 131072
	if in.f.MaxOutput > 0 {
		highest = min(highest, in.f.MaxOutput)
	}
	// max_completion_tokens alone is not documented, and what is not documented is ignored.
	if n := b.MaxTokens; n != nil && (*n < 1 || *n > highest) {
		return glmIllegal("max_tokens out of range", "max_tokens")
	}
	return nil
}

func glmThinking(in *inquiry) error {
	c, f := in.c, in.f
	if c.Has("thinking") && c.Thinking != "enabled" && c.Thinking != "disabled" {
		return glmIllegal("unknown thinking type", "thinking.type")
	}
	if f.Thinking == "" || len(f.Efforts) == 0 {
		return nil // earlier models ignore reasoning_effort, and those that don't think ignore the switch
	}
	if c.Thinking == "disabled" {
		// Always-thinking models refuse it. Of GLM-5.2 the documentation says that it works and reports say that it is
		// refused; reasoning_effort "none" is what works in both, so this is the stricter reading.
		return glmInvalid("thinking cannot be disabled", "")
	}
	if c.Has("reasoning_effort") && !slices.Contains(f.Efforts, c.Effort) {
		return glmInvalid("unknown reasoning_effort", "")
	}
	return nil
}

func glmFormat(in *inquiry) error {
	switch in.c.Format {
	case "", "text":
		return nil
	case "json_object":
		if in.f.JSONObject {
			return nil
		}
	}
	return glmIllegal("response_format", "response_format.type")
}

func glmStop(in *inquiry) error {
	if isNull(in.c.body.Stop) {
		return nil
	}
	var stop []string
	if json.Unmarshal(in.c.body.Stop, &stop) != nil || len(stop) > 1 {
		return glmIllegal("stop is not an array of one", "stop")
	}
	return nil
}

func glmWindow(in *inquiry) error {
	if in.f.Window > 0 && in.tokens >= in.f.Window {
		return badRequest(GLM, "prompt over the window", "1261", "Prompt exceeds max length")
	}
	return nil
}

func glmUser(in *inquiry) error {
	if id := in.c.body.UserID; id != nil && (len(*id) < 6 || len(*id) > 128) {
		return glmIllegal("length of user_id", "user_id")
	}
	return nil
}

func glmRequestID(in *inquiry) error { return in.e.claim(value(in.c.body.RequestID)) }

// claim takes a client's request id, which must be one that was not used before.
func (e *Emulator) claim(id string) error {
	if id == "" {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.usedIDs[id] {
		return badRequest(GLM, "request_id used before", "1231", fmt.Sprintf("You already have a request: %s", id))
	}
	e.usedIDs[id] = true
	return nil
}

package emulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// kimiBad is Kimi's refusal of a request.
func kimiBad(rule, format string, args ...any) error {
	return badRequest(Kimi, rule, "", fmt.Sprintf(format, args...))
}

// kimiRules are what api.moonshot.ai refuses, in the order in which it is checked here.
func kimiRules() []check {
	return []check{
		kimiMessages, kimiPairs, kimiThinking, kimiReasoning, kimiMedia, kimiTools, kimiToolChoice, kimiFixed,
		kimiFormat, kimiStop, kimiCacheOptions, kimiLimit, kimiCode,
	}
}

func kimiMessages(in *inquiry) error {
	if len(in.c.Messages) == 0 {
		return kimiBad("no messages", "Invalid request: messages must not be empty")
	}
	last := len(in.c.Messages) - 1
	for i, m := range in.c.Messages {
		switch m.Role {
		case "system", "user", "assistant", "tool":
		default:
			return kimiBad("unknown role", "Invalid request: unknown role '%s' of the message at position %d", m.Role, i)
		}
		// An assistant message with calls may be without text; every other must have some.
		if len(m.ToolCalls) == 0 && m.Content == "" && !hasMedia(m) {
			return kimiBad("empty message", "Invalid request: the message at position %d with role '%s' must not be empty", i, m.Role)
		}
		if m.Partial && (i != last || m.Role != "assistant") {
			return kimiBad("partial message not at the end", "Invalid request: partial is only allowed on the last message with role 'assistant'")
		}
		if m.Partial && in.c.Format == "json_object" {
			return kimiBad("partial with json_object", "Invalid request: partial mode is not supported with response_format json_object")
		}
	}
	return nil
}

func hasMedia(m Message) bool {
	return slices.ContainsFunc(m.Parts, func(p Part) bool { return p.Type != "text" })
}

func kimiPairs(in *inquiry) error {
	at, lost, missing := unpaired(in.c.Messages)
	if len(missing) > 0 {
		return kimiBad("tool call without its answer", "Invalid request: an assistant message with 'tool_calls' must be followed by tool messages "+
			"responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: %s", strings.Join(missing, ", "))
	}
	if at >= 0 {
		return kimiBad("tool message without its call", "Invalid request: tool_call_id %s is not found", lost)
	}
	return nil
}

func kimiThinking(in *inquiry) error {
	c, f := in.c, in.f
	if c.Has("thinking") && c.Has("reasoning_effort") {
		return kimiBad("thinking and reasoning_effort", "cannot specify both 'thinking' and 'reasoning_effort'")
	}
	if c.Has("thinking") {
		switch {
		case f.Thinking != "toggle":
			return kimiBad("model without thinking switch", "invalid thinking: the parameter is not supported by this model")
		case c.Thinking != "enabled" && c.Thinking != "disabled":
			return kimiBad("unknown thinking type", "invalid thinking: type must be enabled or disabled")
		}
		var keep string
		if raw := c.body.Thinking.Keep; !isNull(raw) && (json.Unmarshal(raw, &keep) != nil || keep != "all") {
			return kimiBad("unknown thinking.keep", "invalid thinking: keep must be null or all")
		}
	}
	if c.Has("reasoning_effort") && !slices.Contains(f.Efforts, c.Effort) {
		return kimiBad("unknown reasoning_effort", "invalid reasoning_effort: '%s' is not allowed for this model", c.Effort)
	}
	return nil
}

// kimiReasoning wants each call of a thinking model back with the reasoning that led to it.
func kimiReasoning(in *inquiry) error {
	if !in.f.thinks(in.c) {
		return nil
	}
	for i, m := range in.c.Messages {
		if len(m.ToolCalls) > 0 && value(m.Reasoning) == "" {
			return kimiBad("reasoning_content missing", "thinking is enabled but reasoning_content is missing in assistant tool call message at index %d", i)
		}
	}
	return nil
}

var kimiFunctionName = lazyregexp.New(`^[A-Za-z_][A-Za-z0-9_-]{2,63}$`)

func kimiTools(in *inquiry) error {
	if len(in.c.Tools) > 128 {
		return kimiBad("more than 128 tools", "Invalid request: tools must not be more than 128")
	}
	names := map[string]bool{}
	for _, t := range in.c.body.Tools {
		if t.Function == nil {
			return kimiBad("tool without function", "Invalid request: tools.function is required")
		}
		switch t.Type {
		case "function":
			if !kimiFunctionName().MatchString(t.Function.Name) {
				return kimiBad("function name", "Invalid request: function name is invalid, must start with a letter and can contain letters, numbers, underscores, and dashes")
			}
			if names[t.Function.Name] {
				return kimiBad("function name twice", "Invalid request: function name %s is duplicated", t.Function.Name)
			}
			names[t.Function.Name] = true
			if err := kimiSchema(t.Function.Parameters); err != nil {
				return err
			}
		case "builtin_function":
			if err := in.kimiBuiltin(t); err != nil {
				return err
			}
		default:
			return kimiBad("unknown tool type", "Invalid request: tools.type must be function or builtin_function")
		}
	}
	return nil
}

func kimiSchema(raw json.RawMessage) error {
	if isNull(raw) {
		return nil
	}
	path, fault := mfjs(raw)
	switch {
	case fault == "":
		return nil
	case path == "":
		return kimiBad("function parameters are not a schema", "Invalid request: tools.function.parameters is not a valid moonshot flavored json schema, details: %s", fault)
	}
	return kimiBad("function parameters are not a schema",
		"Invalid request: tools.function.parameters is not a valid moonshot flavored json schema, details: <At path '%s': %s>", path, fault)
}

func (in *inquiry) kimiBuiltin(t wireTool) error {
	switch {
	case t.Function.Name != builtinSearch:
		return kimiBad("unknown builtin function", "Invalid request: builtin function %s is not found", t.Function.Name)
	case t.Function.Parameters != nil:
		return kimiBad("builtin function with parameters", "Invalid request: builtin_function must not have parameters")
	case in.f.thinks(in.c):
		return kimiBad("built-in search while thinking", "Invalid request: %s is incompatible with thinking enabled", builtinSearch)
	}
	return nil
}

func kimiToolChoice(in *inquiry) error {
	kind := "specified"
	switch in.c.ToolChoice {
	case "", "auto", "none":
		return nil
	case "required":
		kind = "required"
		if in.f.ForcedTools {
			return nil
		}
	}
	// A named function is refused by every model that thinks: K3 was seen to take "required" and to refuse this.
	if in.f.thinks(in.c) {
		return kimiBad("forced tool while thinking", "tool_choice '%s' is incompatible with thinking enabled", kind)
	}
	if _, ok := in.c.tool(func(t Tool) bool { return kind == "required" || t.Name == in.c.ToolChoice }); !ok {
		return kimiBad("tool_choice of no tool", "Invalid request: tool_choice is not among tools")
	}
	return nil
}

// kimiFixed refuses other values of the parameters that are fixed: temperature 1 (0.6 when K2.6 does not think), top_p
// 0.95, n 1, penalties 0.
func kimiFixed(in *inquiry) error {
	temperature := 1.0
	if !in.f.thinks(in.c) {
		temperature = 0.6
	}
	b := in.c.body
	for _, p := range []struct {
		name string
		sent *float64
		only float64
	}{
		{"temperature", b.Temperature, temperature},
		{"top_p", b.TopP, 0.95},
		{"presence_penalty", b.PresencePenalty, 0},
		{"frequency_penalty", b.FrequencyPenalty, 0},
	} {
		if p.sent != nil && *p.sent != p.only {
			return kimiBad("fixed "+p.name, "invalid %s: only %v is allowed for this model", p.name, p.only)
		}
	}
	if b.N != nil && *b.N != 1 {
		return kimiBad("fixed n", "invalid n: only 1 is allowed for this model")
	}
	return nil
}

func kimiFormat(in *inquiry) error {
	switch in.c.Format {
	case "", "text", "json_object":
		return nil
	case "json_schema":
		var js struct {
			Name   string          `json:"name"`
			Schema json.RawMessage `json:"schema"`
		}
		if json.Unmarshal(in.c.body.ResponseFormat.JSONSchema, &js) != nil || js.Name == "" || !isObject(js.Schema) {
			return kimiBad("json_schema without name or schema", "Invalid request: response_format.json_schema must have name and schema")
		}
		return nil
	}
	return kimiBad("response_format", "Invalid request: response_format.type must be text, json_object or json_schema")
}

func kimiStop(in *inquiry) error {
	raw := in.c.body.Stop
	var one string
	if isNull(raw) || json.Unmarshal(raw, &one) == nil && len(one) <= 32 {
		return nil
	}
	var many []string
	if json.Unmarshal(raw, &many) != nil || len(many) > 5 || slices.ContainsFunc(many, func(s string) bool { return len(s) > 32 }) {
		return kimiBad("stop", "Invalid request: stop must be at most 5 strings of at most 32 bytes")
	}
	return nil
}

func kimiCacheOptions(in *inquiry) error {
	raw, ok := in.c.Raw["prompt_cache_options"]
	if !ok {
		return nil
	}
	var o struct {
		TTL string `json:"ttl"`
	}
	if json.Unmarshal(raw, &o) != nil || o.TTL != "5m" && o.TTL != "1h" {
		return kimiBad("prompt_cache_options", "Invalid request: prompt_cache_options.ttl must be 5m or 1h")
	}
	return nil
}

func kimiLimit(in *inquiry) error {
	b := in.c.body
	if b.MaxTokens != nil && b.MaxCompletionTokens != nil {
		return kimiBad("both token limits", "Invalid request: max_tokens and max_completion_tokens cannot be specified at the same time")
	}
	if (b.MaxTokens != nil || b.MaxCompletionTokens != nil) && in.c.Limit < 1 {
		return kimiBad("token limit below 1", "Invalid request: max_completion_tokens must be at least 1")
	}
	if in.f.Window > 0 && in.tokens+in.c.Limit > in.f.Window {
		return kimiBad("over the window", "Invalid request: Your request exceeded model token limit: %d (requested: %d)", in.f.Window, in.tokens+in.c.Limit)
	}
	return nil
}

package emulator

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// labBad is the lab's refusal of a request, in OpenAI's form.
func labBad(rule, code, param, format string, args ...any) error {
	return &refusal{rule: rule, status: 400, body: labError("invalid_request_error", code, param, fmt.Sprintf(format, args...))}
}

// labError is an error in OpenAI's form: code and param are null where there are none.
func labError(kind, code, param, message string) []byte {
	null := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	return mustJSON(map[string]any{"error": map[string]any{"message": message, "type": kind, "param": null(param), "code": null(code)}})
}

// labRules are what the lab refuses. It stands for the OpenAI-compatible servers and gateways that hold to OpenAI's newer
// parameters and to nothing beside them.
func labRules() []check {
	return []check{labParameters, labMessages, labPairs, labThinking, labTools, labFormat, labLimit}
}

// labKnown are the parameters that the lab knows.
var labKnown = []string{
	"model", "messages", "stream", "stream_options", "max_completion_tokens", "reasoning_effort", "response_format", "tools", "tool_choice",
	"parallel_tool_calls", "temperature", "top_p", "stop", "seed", "user", "n",
}

func labParameters(in *inquiry) error {
	if in.c.Has("max_tokens") {
		return labBad("max_tokens", "unsupported_parameter", "max_tokens",
			"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.")
	}
	for _, name := range slices.Sorted(maps.Keys(in.c.Raw)) {
		if !slices.Contains(labKnown, name) {
			return labBad("unknown parameter", "unknown_parameter", name, "Unrecognized request argument supplied: %s", name)
		}
	}
	if t := in.c.body.Temperature; t != nil && *t != 1 && in.f.Thinking != "" {
		return labBad("fixed temperature", "unsupported_value", "temperature", "Unsupported value: 'temperature' does not support %v with this model. Only the default (1) value is supported.", *t)
	}
	if value(in.c.body.N) > 1 {
		return labBad("n", "unsupported_value", "n", "Unsupported value: 'n' must be 1")
	}
	return nil
}

func labMessages(in *inquiry) error {
	if len(in.c.Messages) == 0 {
		return labBad("no messages", "", "messages", "Invalid 'messages': empty array. Expected an array with minimum length 1.")
	}
	for i, m := range in.c.Messages {
		switch m.Role {
		case "system", "user", "assistant", "tool":
		default:
			return labBad("unknown role", "invalid_value", fmt.Sprintf("messages[%d].role", i), "Invalid value: '%s'", m.Role)
		}
		if in.c.body.Messages[i].ReasoningContent != nil {
			return labBad("unknown field of a message", "unknown_parameter", fmt.Sprintf("messages[%d].reasoning_content", i), "Unknown parameter: 'messages[%d].reasoning_content'.", i)
		}
		if m.Content == "" && !hasMedia(m) && len(m.ToolCalls) == 0 && m.Role != "tool" {
			return labBad("empty message", "", fmt.Sprintf("messages[%d].content", i), "Invalid value for 'messages[%d].content': expected a non-empty string.", i)
		}
		for j, c := range m.ToolCalls {
			if !isString(in.c.body.Messages[i].ToolCalls[j].Function.Arguments) {
				return labBad("arguments are not a string", "invalid_type", fmt.Sprintf("messages[%d].tool_calls[%d].function.arguments", i, j), "Invalid type: expected a string for the call of %s.", c.Name)
			}
		}
	}
	return nil
}

func labPairs(in *inquiry) error {
	at, lost, missing := unpaired(in.c.Messages)
	if len(missing) > 0 {
		return labBad("tool call without its answer", "", "messages", "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. "+
			"The following tool_call_ids did not have response messages: %s", strings.Join(missing, ", "))
	}
	if at >= 0 {
		return labBad("tool message without its call", "", fmt.Sprintf("messages[%d].tool_call_id", at), "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls' (%s).", lost)
	}
	return nil
}

func labThinking(in *inquiry) error {
	switch {
	case !in.c.Has("reasoning_effort"):
		return nil
	case len(in.f.Efforts) == 0:
		return labBad("model without reasoning_effort", "unsupported_parameter", "reasoning_effort", "Unsupported parameter: 'reasoning_effort' is not supported with this model.")
	case !slices.Contains(in.f.Efforts, in.c.Effort):
		return labBad("unknown reasoning_effort", "unsupported_value", "reasoning_effort", "Unsupported value: 'reasoning_effort' does not support '%s' with this model.", in.c.Effort)
	}
	return nil
}

var labFunctionName = lazyregexp.New(`^[A-Za-z0-9_-]{1,64}$`)

func labTools(in *inquiry) error {
	if len(in.c.Tools) > 0 && !in.f.Tools {
		return labBad("model without tools", "", "", "%s does not support tools", in.c.Model)
	}
	for i, t := range in.c.body.Tools {
		switch {
		case t.Type != "function" || t.Function == nil:
			return labBad("unknown tool type", "invalid_value", fmt.Sprintf("tools[%d].type", i), "Invalid value: '%s'. Supported values are: 'function'.", t.Type)
		case !labFunctionName().MatchString(t.Function.Name):
			return labBad("function name", "invalid_value", "tools.function.name", "Invalid 'tools[%d].function.name': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.", i)
		case !isNull(t.Function.Parameters) && !isObject(t.Function.Parameters):
			return labBad("function parameters are not a schema", "invalid_function_parameters", fmt.Sprintf("tools[%d].function.parameters", i), "Invalid schema for function '%s'.", t.Function.Name)
		}
	}
	if len(in.c.Tools) == 0 && in.c.ToolChoice != "" {
		return labBad("tool_choice without tools", "", "tool_choice", "Invalid value for 'tool_choice': 'tool_choice' is only allowed when 'tools' are specified.")
	}
	switch in.c.ToolChoice {
	case "", "auto", "none", "required":
		return nil
	}
	if _, ok := in.c.tool(func(t Tool) bool { return t.Name == in.c.ToolChoice }); !ok {
		return labBad("tool_choice of no tool", "", "tool_choice", "Tool choice '%s' not found in 'tools' parameter.", in.c.ToolChoice)
	}
	return nil
}

func labFormat(in *inquiry) error {
	switch in.c.Format {
	case "", "text":
		return nil
	case "json_object", "json_schema":
		if in.f.JSONObject {
			return nil
		}
	}
	return labBad("response_format", "unsupported_parameter", "response_format", "Unsupported parameter: 'response_format' is not supported with this model.")
}

func labLimit(in *inquiry) error {
	if in.c.Has("max_completion_tokens") && in.c.Limit < 1 {
		return labBad("token limit below 1", "integer_below_min_value", "max_completion_tokens", "Invalid 'max_completion_tokens': expected a value >= 1.")
	}
	if in.f.MaxOutput > 0 && in.c.Limit > in.f.MaxOutput {
		return labBad("token limit too large", "invalid_value", "max_completion_tokens", "max_completion_tokens is too large: %d. This model supports at most %d.", in.c.Limit, in.f.MaxOutput)
	}
	if in.f.Window > 0 && in.tokens+in.c.Limit > in.f.Window {
		return labBad("over the window", "context_length_exceeded", "messages", "This model's maximum context length is %d tokens. However, you requested %d.", in.f.Window, in.tokens+in.c.Limit)
	}
	return nil
}

// UsualLoadTime is how long the lab takes to load a model, unless LoadTime sets another.
const UsualLoadTime = 2 * time.Second

// load is the wait before a model's first answer since the emulator began: nothing is sent meanwhile, no header either, as
// Ollama was seen to do.
func (e *Emulator) load(f facts) frame {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !f.Loads || e.loaded[f.ID] {
		return frame{act: actOpen}
	}
	e.loaded[f.ID] = true
	return frame{act: actOpen, wait: e.loadTime}
}

// inTags writes reasoning into the text, in tags, as servers do that don't separate it.
func (a *answer) inTags() {
	if len(a.reasoning) == 0 {
		return
	}
	pieces := append([]string{"<thi", "nk>"}, a.reasoning...)
	a.content = append(append(pieces, "</thi", "nk>\n\n"), a.content...)
	a.reasoning = nil
}

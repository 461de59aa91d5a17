package tools

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

const choiceHint = `tool_choice is "auto", "none", "required", a function's name, or {"type": "function", "function": {"name": ...}}.`

// chooseFunction reads a tool_choice: a word of chat APIs, which is sent as it is, or one function, by its name, as an object,
// or as that object in a string. Models do not all take such an object, so only that function is offered, and a call is
// required where the model takes that word.
func chooseFunction(tools []calls.Tool, raw json.RawMessage) (offered []calls.Tool, choice json.RawMessage, note string, err error) {
	var word string
	if json.Unmarshal(raw, &word) == nil {
		word = strings.TrimSpace(word)
		if strings.HasPrefix(word, "{") {
			raw = json.RawMessage(word)
		} else {
			switch lower := strings.ToLower(word); lower {
			case "", "null":
				return tools, nil, "", nil
			case "auto", "none", "required":
				return tools, json.RawMessage(`"` + lower + `"`), "", nil
			}
			raw, _ = json.Marshal(map[string]any{"function": map[string]string{"name": word}}) // strings marshal
		}
	}
	if len(raw) == 0 || string(raw) == "null" {
		return tools, nil, "", nil
	}
	var object struct {
		Name     string `json:"name"`
		Function struct {
			Name string `json:"name"`
		} `json:"function"`
	}
	if err := json.Unmarshal(raw, &object); err != nil {
		return nil, nil, "", reply.InvalidRequest(choiceHint, "Unknown tool_choice %s.", reply.Clip(string(raw)))
	}
	name := object.Function.Name
	if name == "" {
		name = object.Name
	}
	i := slices.IndexFunc(tools, func(t calls.Tool) bool { return t.Name == name })
	switch {
	case name == "":
		return nil, nil, "", reply.InvalidRequest(choiceHint, "tool_choice names no function.")
	case i < 0:
		return nil, nil, "", reply.InvalidRequest(choiceHint, "tool_choice names the function %s, which is not among tools.", reply.Quote(name))
	}
	return tools[i : i+1 : i+1], json.RawMessage(`"required"`), fmt.Sprintf("tool_choice: only the function %s is offered.", name), nil
}

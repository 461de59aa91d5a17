package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/tool"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

type previewInput struct {
	Prompt       string            `json:"prompt"`
	Model        string            `json:"model,omitempty"`
	Temperature  *float64          `json:"temperature,omitempty" default:"0.3"`
	SystemPrompt *string           `json:"system_prompt,omitempty" types:"string,null"`
	UseWebsearch bool              `json:"use_websearch,omitempty"`
	Tools        []previewFunction `json:"tools,omitempty"`
	ToolChoice   json.RawMessage   `json:"tool_choice,omitempty" types:"string,object,null"`
}

// previewFunction is a function as chat APIs take it, {"type": "function", "function": {...}}, or bare.
type previewFunction struct{ providers.Function }

// UnmarshalJSON implements json.Unmarshaler.
func (t *previewFunction) UnmarshalJSON(text []byte) error {
	var wrapped struct {
		Type     string             `json:"type"`
		Function providers.Function `json:"function"`
	}
	if err := json.Unmarshal(text, &wrapped); err != nil {
		return err
	}
	if t.Function = wrapped.Function; t.Name == "" {
		if err := json.Unmarshal(text, &t.Function); err != nil {
			return err
		}
	}
	return nil
}

func glmPayloadPreview(d *Deps) tool.Tool {
	return tool.New("glm_payload_preview", d.preview, tool.Hints(tool.Annotations{ReadOnly: true, Idempotent: true}))
}

// preview shows the request that a chat with these arguments would send to GLM. Nothing is sent.
func (d *Deps) preview(ctx context.Context, in previewInput) (*Result, error) {
	if strings.TrimSpace(in.Prompt) == "" {
		return nil, reply.Refuse("Send the prompt whose request you want to see.", "The prompt is blank.")
	}
	var messages []providers.Message
	if in.SystemPrompt != nil && *in.SystemPrompt != "" {
		messages = append(messages, providers.Message{Role: providers.RoleSystem, Content: *in.SystemPrompt})
	}
	messages = append(messages, providers.Message{Role: providers.RoleUser, Content: in.Prompt})
	var notes []string
	var functions []calls.Tool
	for i, t := range in.Tools {
		if t.Name == "" {
			notes = append(notes, fmt.Sprintf("tools[%d] is no function and is left out; use_websearch adds the vendor's own search.", i))
			continue
		}
		functions = append(functions, calls.Tool{Function: t.Function})
	}
	shown, err := d.Caller.Preview(ctx, calls.Call{
		Model: in.Model, Provider: "glm", Category: providers.CategoryFast, Tools: functions, Search: in.UseWebsearch,
		Build: func(providers.Model) (providers.ChatRequest, error) {
			return providers.ChatRequest{Messages: messages, Temperature: in.Temperature, ToolChoice: in.ToolChoice}, nil
		},
	})
	if err != nil {
		return nil, err
	}
	payload, err := reply.Ordered(shown.Body)
	if err != nil {
		return nil, fmt.Errorf("payload of %s: %w", shown.Model.ID, err)
	}
	r := &Result{}
	r.Body.Set("status", "success")
	if o, ok := payload.(*Object); ok {
		for _, k := range o.Keys() {
			r.Body.Set(k, o.Get(k))
		}
	}
	r.Metadata.Note(notes...)
	r.Metadata.Note(shown.Notes...)
	return r, nil
}

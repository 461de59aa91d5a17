package tools

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

type previewInput struct {
	Prompt       string            `json:"prompt"`
	Model        string            `json:"model,omitempty"`
	Temperature  *float64          `json:"temperature,omitempty"`
	SystemPrompt *string           `json:"system_prompt,omitempty" types:"string,null"`
	UseWebsearch *bool             `json:"use_websearch,omitempty"`
	Tools        []previewFunction `json:"tools,omitempty"`
	ToolChoice   json.RawMessage   `json:"tool_choice,omitempty" types:"string,object,null"`
}

// previewFunction is a function as chat APIs take it, {"type": "function", "function": {...}}, or bare.
type previewFunction struct {
	providers.Function
	at string // where it was in its item: ".function", or "" for a bare one
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *previewFunction) UnmarshalJSON(text []byte) error {
	var wrapped struct {
		Type     string             `json:"type"`
		Function providers.Function `json:"function"`
	}
	if err := json.Unmarshal(text, &wrapped); err != nil {
		return err
	}
	if t.Function, t.at = wrapped.Function, ".function"; t.Name == "" {
		t.at = ""
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
		return nil, reply.InvalidRequest("Send the prompt whose request you want to see.", "The prompt is blank.")
	}
	var notes []string
	w, err := words.For("chat")
	if err != nil {
		return nil, err
	}
	q, err := d.chatQuestion(w, chatInput{Prompt: in.Prompt, Model: in.Model, Temperature: in.Temperature, UseWebsearch: in.UseWebsearch}, false)
	if err != nil {
		return nil, err
	}
	if q.Provider = "glm"; in.SystemPrompt != nil && *in.SystemPrompt != "" {
		q.System = *in.SystemPrompt
	}
	for i, t := range in.Tools {
		if t.Name == "" {
			notes = append(notes, fmt.Sprintf("tools[%d] is not a function and is left out; use_websearch adds the search that chat has.", i))
			continue
		}
		q.Tools = append(q.Tools, calls.Tool{Function: t.Function})
	}
	offered, choice, note, err := chooseFunction(q.Tools, in.ToolChoice)
	if err != nil {
		return nil, err
	}
	if q.Tools = offered; note != "" {
		notes = append(notes, note)
	}
	shown, err := d.Conversations.Preview(ctx, q, func(ctx context.Context, c calls.Call) (*calls.Preview, error) {
		build := c.Build
		c.Build = func(m providers.Model) (providers.ChatRequest, error) {
			req, err := build(m)
			req.ToolChoice = choice
			return req, err
		}
		return d.Caller.Preview(ctx, c)
	})
	if err != nil {
		return nil, err
	}
	payload, err := reply.ParseOrdered(shown.Body)
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

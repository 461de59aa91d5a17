package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// previewArgument asks any tool that asks a model what it would send. It is handled here, so that what is previewed takes
// the very path that sends.
const previewArgument = "preview"

// Previewable publishes the argument in a tool's schema, for tools that agents preview. Every tool that asks a model takes it.
type Previewable struct {
	Preview bool `json:"preview,omitempty" jsonschema:"Send nothing: show files, tokens, models and cost."`
}

// takePreview takes the argument off a call of a tool that reaches beyond this machine.
func (t Tool) takePreview(args json.RawMessage) (rest json.RawMessage, preview bool) {
	if !t.Annotations.OpenWorld || !bytes.Contains(args, []byte(`"`+previewArgument+`"`)) {
		return args, false
	}
	var all map[string]json.RawMessage
	if json.Unmarshal(args, &all) != nil { // the decoder says what is wrong
		return args, false
	}
	value, given := all[previewArgument]
	if !given {
		return args, false
	}
	word := strings.ToLower(strings.Trim(string(value), `" `))
	switch word {
	case "true", "1", "yes":
		preview = true
	case "false", "0", "no", "null", "":
	default:
		return args, false
	}
	delete(all, previewArgument)
	rest, err := json.Marshal(all)
	if err != nil {
		return args, false
	}
	return rest, preview
}

// previewed runs a call without sending or storing anything, and returns what it would have sent.
func previewed(run func(ctx context.Context) (*reply.Result, error)) func(ctx context.Context) (*reply.Result, error) {
	return func(ctx context.Context) (*reply.Result, error) {
		ctx, plan := providers.WithPreview(ctx)
		r, err := run(ctx)
		requests, files, notes := plan.Planned()
		if err != nil && len(requests) == 0 {
			return nil, err // the arguments, a file, a conversation
		}
		out := &reply.Result{}
		out.Metadata.Note(notes...)
		content := "Nothing was sent. This call would ask no model."
		if r != nil && len(requests) == 0 {
			if status, ok := r.Body.Get("status").(string); ok {
				content = fmt.Sprintf("Nothing was sent. This call would ask no model; its status would be %s.", status)
			}
			out.Metadata.Note(r.Metadata.Notes...)
		}
		tokens, expected, most := 0, 0.0, 0.0
		for _, q := range requests {
			tokens, expected, most = tokens+q.InputTokens, expected+q.ExpectedUSD, most+q.MaximumUSD
		}
		if len(requests) > 0 {
			content = fmt.Sprintf("Nothing was sent. This call would send about %d tokens in %s; it would cost about %.4f USD, and at most %.4f USD.",
				tokens, counted(len(requests), "request"), expected, most)
		}
		if requests == nil {
			requests = []providers.PlannedRequest{}
		}
		if files == nil {
			files = []providers.PlannedFile{}
		}
		out.Body.Set("status", "preview").Set("content", content).Set("content_type", "text").Set("manifest", files).Set("models", requests).
			Set("input_tokens", tokens).Set("expected_cost_usd", providers.RoundUSD(expected)).Set("maximum_cost_usd", providers.RoundUSD(most))
		return out, nil
	}
}

func counted(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}

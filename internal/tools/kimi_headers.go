package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

type headersInput struct {
	Messages    []rawItem `json:"messages"`
	Model       string    `json:"model,omitempty"`
	Temperature *float64  `json:"temperature,omitempty" default:"0.6"`
	SessionID   *string   `json:"session_id,omitempty" types:"string,null" jsonschema:"The same for requests that share their beginning: it leads them to the same cache."`
	CallKey     *string   `json:"call_key,omitempty" types:"string,null"`
	ToolName    string    `json:"tool_name,omitempty" default:"kimi_capture_headers"`
}

func kimiCaptureHeaders(d *Deps) tool.Tool {
	return tool.New("kimi_capture_headers", d.captureHeaders, tool.Hints(tool.Annotations{ReadOnly: true, OpenWorld: true}))
}

// captureHeaders makes one chat and shows what the vendor said around the answer: ids to trace it by, and its cache.
func (d *Deps) captureHeaders(ctx context.Context, in headersInput) (*Result, error) {
	var list []json.RawMessage
	for _, m := range in.Messages {
		list = append(list, m.text)
	}
	messages, err := readMessages(list)
	if err != nil {
		return nil, err
	}
	session, callKey := orEmpty(in.SessionID), orEmpty(in.CallKey)
	cacheKey := ""
	if session != "" {
		cacheKey = reply.Clip(session) + ":" + reply.Clip(in.ToolName)
	}
	out, err := d.Caller.Call(ctx, calls.Call{
		Model: in.Model, Provider: "kimi", Category: providers.CategoryFast, On: progress.From(ctx).Model(),
		Needs: providers.Needs{Images: hasImages(messages)},
		Build: func(providers.Model) (providers.ChatRequest, error) {
			return providers.ChatRequest{Messages: messages, Temperature: in.Temperature, CacheKey: cacheKey}, nil
		},
	})
	if err != nil {
		return nil, ask.CallError(ctx, err, out)
	}
	r := &Result{}
	d.toolsReply(r, messages, out)
	resp := out.Response
	r.Body.Set("raw", (&Object{}).Set("model", resp.Model).Set("request_id", resp.RequestID).
		Set("reasoning_content", resp.Reasoning).Set("headers", resp.Header))
	_, saved := resp.Header["msh-context-cache-token-saved"]
	own := &r.Metadata.Own
	own.Set("cache", (&Object{}).Set("attached", cacheKey != "").Set("saved", saved).
		Set("cached_tokens", resp.Usage.CachedTokens).Set("prompt_tokens", resp.Usage.InputTokens))
	own.Set("request_id", resp.RequestID).Set("prefix_hash", prefixHash(messages))
	if callKey != "" {
		own.Set("idempotency_key", callKey)
		r.Metadata.Note("call_key is given back and not sent: Moonshot documents no such header.")
	}
	return r, nil
}

// prefixHash is a hash of the beginning by which vendors find requests in their caches: the first six messages, of each
// the first 2,048 characters.
func prefixHash(messages []providers.Message) string {
	h := sha256.New()
	for _, m := range messages[:min(6, len(messages))] {
		text := []rune(m.Content)
		fmt.Fprintf(h, "%s:%s\n", m.Role, strings.TrimSpace(string(text[:min(2048, len(text))])))
	}
	return hex.EncodeToString(h.Sum(nil))
}

package emulator

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

var errNotJSON = errors.New("the body is not a JSON object of the right types")

// listModels answers GET models: what the key may call. Kimi's rows tell what a model can do.
func (x *exchange) listModels(string) (*result, error) {
	type row struct {
		ID            string `json:"id"`
		Object        string `json:"object"`
		Created       int64  `json:"created"`
		OwnedBy       string `json:"owned_by"`
		ContextLength int    `json:"context_length,omitempty"`
		ImageIn       *bool  `json:"supports_image_in,omitempty"`
		VideoIn       *bool  `json:"supports_video_in,omitempty"`
		Reasoning     *bool  `json:"supports_reasoning,omitempty"`
		ContextWindow int    `json:"context_window,omitempty"` // the lab's rows
		MaxCompletion int    `json:"max_completion_tokens,omitempty"`
		SupportsTools *bool  `json:"supports_tools,omitempty"`
	}
	v := x.record.Vendor
	rows := []row{}
	for _, f := range x.e.served(v) {
		r := row{ID: f.ID, Object: "model", Created: 1761955200, OwnedBy: "z-ai"}
		if v == Lab {
			r.OwnedBy, r.ContextWindow, r.MaxCompletion, r.SupportsTools = "lab", f.Window, f.MaxOutput, &f.Tools
		}
		if v == Kimi {
			r.OwnedBy, r.ContextLength = "moonshot", f.Window
			images, thinks := f.Images > 0, f.Thinking != ""
			r.ImageIn, r.VideoIn, r.Reasoning = &images, &f.Video, &thinks
		}
		rows = append(rows, r)
	}
	return &result{json: map[string]any{"object": "list", "data": rows}}, nil
}

// kimiBalance answers GET users/me/balance.
func (x *exchange) kimiBalance(string) (*result, error) {
	x.e.mu.Lock()
	left := x.e.balance[Kimi]
	x.e.mu.Unlock()
	return &result{json: map[string]any{
		"code": 0, "scode": "0x0", "status": true,
		"data": map[string]float64{"available_balance": left, "voucher_balance": 0, "cash_balance": left},
	}}, nil
}

// webSearchFormula is the one formula that is emulated.
const webSearchFormula = "moonshot/web-search:latest"

func unknownFormula(uri string) error {
	return &refusal{rule: "unknown formula", status: 404, code: "resource_not_found_error", message: "Not found the formula " + uri}
}

// formulaTools answers GET formulas/{uri}/tools.
func (x *exchange) formulaTools(uri string) (*result, error) {
	if uri != webSearchFormula {
		return nil, unknownFormula(uri)
	}
	return &result{json: map[string]any{"object": "list", "tools": []any{map[string]any{
		"type": "function",
		"function": map[string]any{
			"name": "web_search", "description": "Search the web for information.",
			"parameters": map[string]any{
				"type":     "object",
				"required": []string{"query"},
				"properties": map[string]any{
					"query":   map[string]any{"type": "string", "description": "What to search for"},
					"classes": map[string]any{"type": "array", "items": map[string]any{"type": "string"}},
				},
			},
		},
	}}}}, nil
}

// runFormula answers POST formulas/{uri}/fibers. A run that went wrong is a 200 with status failed.
func (x *exchange) runFormula(uri string) (*result, error) {
	if uri != webSearchFormula {
		return nil, unknownFormula(uri)
	}
	var b struct {
		Name      string          `json:"name"`
		Arguments json.RawMessage `json:"arguments"`
	}
	var arguments string
	if json.Unmarshal(x.sent, &b) != nil {
		return nil, unreadable(Kimi, errNotJSON)
	}
	if json.Unmarshal(b.Arguments, &arguments) != nil {
		return nil, kimiBad("arguments are not a string", "Invalid request: arguments must be a string")
	}
	if b.Name != "web_search" {
		return nil, kimiBad("unknown formula function", "Invalid request: function %s is not found", b.Name)
	}
	id := hexID("fiber-", x.e.nextID(), 24)
	var q struct {
		Query string `json:"query"`
	}
	readable := json.Unmarshal([]byte(arguments), &q) == nil
	if !readable || strings.TrimSpace(q.Query) == "" {
		return &result{json: map[string]any{
			"id": id, "object": "fiber", "status": "failed", "error": "query is required", "context": map[string]string{"input": arguments},
		}}, nil
	}
	return &result{hits: func(scripted []Hit) any {
		// Search results come encrypted, for the model only: the client passes them on unchanged.
		sealed := base64.StdEncoding.EncodeToString(mustJSON(hitsFor(scripted, q.Query, 0)))
		return map[string]any{
			"id": id, "object": "fiber", "status": "succeeded", "error": nil,
			"context": map[string]string{
				"input":            arguments,
				"encrypted_output": fmt.Sprintf("----MOONSHOT ENCRYPTED BEGIN----%s----MOONSHOT ENCRYPTED END----", sealed),
			},
		}
	}}, nil
}

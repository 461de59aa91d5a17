package kimi

import (
	"context"
	"net/http"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// ListModels implements providers.ModelLister. The vendor tells each model's window and abilities (Moonshot API docs,
// models).
func (p *Provider) ListModels(ctx context.Context) ([]providers.Model, error) {
	list, err := p.wire.Models(ctx)
	var models []providers.Model
	for _, m := range list {
		models = append(models, providers.Model{
			ID: m.ID, Provider: Name, ContextWindow: m.Window, Images: m.Images,
			// Whether the thinking can be switched is not told; that it can't is the cautious answer.
			Thinking: providers.Thinking{Always: m.Reasoning},
		})
	}
	return models, err
}

// Balance implements providers.Balancer. The amount has no currency of its own: accounts of .cn are in CNY, the others
// in USD (Moonshot API docs, balance).
func (p *Provider) Balance(ctx context.Context) (providers.Balance, error) {
	var out struct {
		Data struct {
			Available openaicompat.Amount `json:"available_balance"`
		} `json:"data"`
	}
	r := openaicompat.Request{Op: "the balance", Method: http.MethodGet, Path: "/users/me/balance"}
	if err := p.wire.JSON(ctx, r, &out); err != nil {
		return providers.Balance{}, err
	}
	return providers.Balance{Available: float64(out.Data.Available), Currency: p.currency()}, nil
}

func (p *Provider) currency() string {
	if strings.HasSuffix(p.wire.Host(), ".cn") {
		return "CNY"
	}
	return "USD"
}

// CountTokens implements providers.TokenCounter (Moonshot API docs, estimate tokens).
func (p *Provider) CountTokens(ctx context.Context, req providers.ChatRequest) (int, error) {
	messages, _, err := p.wire.Conversation(req)
	if err != nil {
		return 0, err
	}
	var out struct {
		Data struct {
			Total int `json:"total_tokens"`
		} `json:"data"`
	}
	r := openaicompat.Request{
		Op: "counting tokens", Method: http.MethodPost, Path: "/tokenizers/estimate-token-count", Model: req.Model.ID,
		In: map[string]any{"model": req.Model.ID, "messages": messages},
	}
	err = p.wire.JSON(ctx, r, &out)
	return out.Data.Total, err
}

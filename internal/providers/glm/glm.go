// Package glm is Z.ai's GLM, which is also Zhipu's on open.bigmodel.cn: its dialect of the OpenAI wire, and its search,
// files, tokens and model list. It imports openaicompat, providers and config.
package glm

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// Name is the vendor's short name.
const Name = "glm"

// DefaultURL is the base URL of Z.ai's pay-as-you-go API.
const DefaultURL = "https://api.z.ai/api/paas/v4"

// Options is what a Provider is made of.
type Options = openaicompat.Account

// Provider is a GLM account.
type Provider struct {
	wire   *openaicompat.Client
	models []providers.Model
	search config.GLMSearch
}

// New makes a Provider with a connection pool of its own, which Close closes. It fails when GLM_API_URL is no address.
func New(o Options, search config.GLMSearch) (*Provider, error) {
	p := &Provider{models: o.Models, search: search}
	wire, err := o.Client(p.dialect(), DefaultURL)
	p.wire = wire
	return p, err
}

// Close closes the pool's idle connections.
func (p *Provider) Close() { p.wire.Close() }

// Name implements providers.Provider.
func (p *Provider) Name() string { return Name }

// Models implements providers.Provider.
func (p *Provider) Models() []providers.Model { return p.models }

// Chat implements providers.Provider. A search that the model made with the vendor's tool is billed beside the tokens.
func (p *Provider) Chat(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
	resp, err := p.wire.Chat(ctx, req, on)
	if resp != nil && len(resp.Searches) > 0 {
		resp.Usage.CostUSD = p.searchPrice()
	}
	return resp, err
}

// Payload implements providers.Previewer.
func (p *Provider) Payload(req providers.ChatRequest) (json.RawMessage, error) {
	return p.wire.Payload(req)
}

// Upload implements providers.Uploader. Z.ai knows the purpose "agent" alone, which is the default (Z.ai API docs, files).
func (p *Provider) Upload(ctx context.Context, f providers.File) (providers.FileRef, error) {
	if f.Purpose == "" {
		f.Purpose = "agent"
	}
	return p.wire.Upload(ctx, f)
}

// ListModels implements providers.ModelLister. The endpoint works but is not documented, so its absence is no error.
func (p *Provider) ListModels(ctx context.Context) ([]providers.Model, error) {
	list, err := p.wire.Models(ctx)
	var models []providers.Model
	for _, m := range list {
		models = append(models, providers.Model{ID: m.ID, Provider: Name})
	}
	return models, err
}

// CountTokens implements providers.TokenCounter.
func (p *Provider) CountTokens(ctx context.Context, req providers.ChatRequest) (int, error) {
	req.Model.ID = tokenizerModel(req.Model)
	messages, tools, err := p.wire.Conversation(req)
	if err != nil {
		return 0, err
	}
	in := map[string]any{"model": req.Model.ID, "messages": messages}
	if tools != nil {
		in["tools"] = tools
	}
	var out struct {
		Usage struct {
			PromptTokens int `json:"prompt_tokens"`
			TotalTokens  int `json:"total_tokens"`
		} `json:"usage"`
	}
	r := openaicompat.Request{Op: "counting tokens", Method: http.MethodPost, Path: "/tokenizer", Model: req.Model.ID, In: in}
	if err := p.wire.JSON(ctx, r, &out); err != nil {
		return 0, err
	}
	return max(out.Usage.TotalTokens, out.Usage.PromptTokens), nil
}

var (
	_ providers.Provider     = (*Provider)(nil)
	_ providers.Searcher     = (*Provider)(nil)
	_ providers.Uploader     = (*Provider)(nil)
	_ providers.ModelLister  = (*Provider)(nil)
	_ providers.TokenCounter = (*Provider)(nil)
	_ providers.Previewer    = (*Provider)(nil)
)

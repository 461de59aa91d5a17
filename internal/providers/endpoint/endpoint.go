// Package endpoint is the provider of every OpenAI-compatible endpoint that ENDPOINTS names: OpenAI, OpenRouter, Ollama, a
// company's gateway. What a preset does in words is its row in config.Presets; what needs code is a quirk here. It imports
// openaicompat, providers and config.
package endpoint

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// Options is what a Provider is made of.
type Options struct {
	Vendor         config.Vendor // one of ENDPOINTS
	Timeouts       config.TimeoutConfig
	MaxAnswerBytes int64  // 0 means 8 MiB
	Version        string // of the program, for the User-Agent
	Quote          bool   // errors may quote for the log what the vendor said, which may repeat the prompt
	DialContext    openaicompat.DialFunc
}

// Provider is one endpoint. The names of its models begin with its own, "ollama/qwen3:32b": so they are unique among all
// vendors, whatever two endpoints call their models.
type Provider struct {
	name    string
	row     config.VendorRow
	wire    *openaicompat.Client
	invalid error

	tellsProgress atomic.Bool // the server is llama.cpp, which says how much of the prompt it has read
}

// New makes a Provider with a connection pool of its own, which Close closes. An endpoint whose address is not set or
// may not be used is one that cannot be asked: the registry says why.
func New(o Options) (*Provider, error) {
	p := &Provider{name: o.Vendor.Row.Name, row: o.Vendor.Row}
	if o.Vendor.Unusable != "" {
		p.invalid = errors.New(o.Vendor.Unusable)
		o.Vendor.APIURL, o.Vendor.APIKey = "http://unusable.invalid", ""
	}
	wire, err := openaicompat.New(openaicompat.Options{
		Dialect: p.dialect(), Key: o.Vendor.APIKey, Keyless: !o.Vendor.Row.Endpoint.NeedsKey, BaseURL: o.Vendor.APIURL, Timeouts: o.Timeouts,
		MaxAnswerBytes: o.MaxAnswerBytes, Version: o.Version, Quote: o.Quote, DialContext: o.DialContext,
	})
	p.wire = wire
	return p, err
}

// Close closes the pool's idle connections.
func (p *Provider) Close() { p.wire.Close() }

// Name implements providers.Provider.
func (p *Provider) Name() string { return p.name }

// Models implements providers.Provider: the models of the preset whose facts are known. What they cost at a gateway on this
// machine is not.
func (p *Provider) Models() []providers.Model {
	models := knownModels(p.name)
	for i := range models {
		m := &models[i]
		m.ID, m.Provider = p.qualified(m.ID), p.name
		if m.Local = p.row.Endpoint.Local; m.Local {
			m.Price = nil
		}
	}
	return models
}

// qualified is a model's name with the endpoint's before it.
func (p *Provider) qualified(id string) string { return p.name + "/" + id }

// wireName is what the endpoint itself calls a model.
func (p *Provider) wireName(id string) string {
	name := strings.TrimPrefix(id, p.name+"/")
	if p.name == "openrouter" {
		return ownRouter(name)
	}
	return name
}

// Chat implements providers.Provider.
func (p *Provider) Chat(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
	if err := p.unusable(req.Model.ID); err != nil {
		return nil, err
	}
	asked := req.Model.ID
	req.Model.ID = p.wireName(asked)
	resp, err := p.wire.Chat(ctx, req, on)
	if resp != nil && resp.Model != "" {
		resp.Model = p.qualified(strings.TrimPrefix(resp.Model, "models/"))
	}
	return resp, named(err, asked)
}

// named is an error of a request to a model, under the name that the caller knows it by.
func named(err error, model string) error {
	var e *providers.Error
	if errors.As(err, &e) {
		e.Model = model
	}
	return err
}

func (p *Provider) unusable(model string) error {
	if p.invalid == nil {
		return nil
	}
	return &providers.Error{
		Kind: providers.KindNotConfigured, Provider: p.name, Model: model, Message: p.row.Title + " can't be used: " + p.invalid.Error() + ".",
		Hint: "Set " + p.row.Variable("API_URL") + " in the server's environment and restart it.",
	}
}

// Payload implements providers.Previewer.
func (p *Provider) Payload(req providers.ChatRequest) (json.RawMessage, error) {
	asked := req.Model.ID
	req.Model.ID = p.wireName(asked)
	body, err := p.wire.Payload(req)
	return body, named(err, asked)
}

var (
	_ providers.Provider    = (*Provider)(nil)
	_ providers.ModelLister = (*Provider)(nil)
	_ providers.Previewer   = (*Provider)(nil)
)

// Package kimi is Moonshot's Kimi: its dialect of the OpenAI wire, and its search, files, balance, tokens, model list
// and formula tools. It imports openaicompat, providers and config.
package kimi

import (
	"context"
	"encoding/json"
	"net/url"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// Name is the vendor's short name.
const Name = "kimi"

// DefaultURL is the base URL of Moonshot's international API.
const DefaultURL = "https://api.moonshot.ai/v1"

// Options is what a Provider is made of.
type Options = openaicompat.Account

// Provider is a Kimi account.
type Provider struct {
	wire   *openaicompat.Client
	models []providers.Model
	code   bool // the address is that of Kimi Code, or of a proxy before it
}

// New makes a Provider with a connection pool of its own, which Close closes. It fails when KIMI_API_URL is no address.
func New(o Options) (*Provider, error) {
	wire, err := o.Client(dialect(), DefaultURL)
	return &Provider{wire: wire, models: o.Models, code: isCode(o.Vendor.APIURL)}, err
}

// isCode reports whether an address is Kimi Code's, https://api.kimi.com/coding/v1, by its host or its path.
func isCode(address string) bool {
	u, err := url.Parse(address)
	return err == nil && (strings.HasSuffix(u.Hostname(), "kimi.com") || strings.HasPrefix(u.Path, "/coding/"))
}

// Close closes the pool's idle connections.
func (p *Provider) Close() { p.wire.Close() }

// Name implements providers.Provider.
func (p *Provider) Name() string { return Name }

// Models implements providers.Provider.
func (p *Provider) Models() []providers.Model { return p.models }

// Chat implements providers.Provider.
func (p *Provider) Chat(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
	return p.wire.Chat(ctx, req, on)
}

// Payload implements providers.Previewer.
func (p *Provider) Payload(req providers.ChatRequest) (json.RawMessage, error) {
	return p.wire.Payload(req)
}

var (
	_ providers.Provider     = (*Provider)(nil)
	_ providers.Searcher     = (*Provider)(nil)
	_ providers.Uploader     = (*Provider)(nil)
	_ providers.Extractor    = (*Provider)(nil)
	_ providers.ModelLister  = (*Provider)(nil)
	_ providers.Balancer     = (*Provider)(nil)
	_ providers.TokenCounter = (*Provider)(nil)
	_ providers.Formulas     = (*Provider)(nil)
	_ providers.Previewer    = (*Provider)(nil)
)

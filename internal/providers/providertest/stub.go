package providertest

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Stub is a Provider with every optional ability, each made of a func. A func that is nil answers with an error that
// says so. For a provider that lacks an ability, embed the Stub as the plain interface: struct{ providers.Provider }.
type Stub struct {
	Vendor    string // Name
	Catalogue []providers.Model

	ChatFunc         func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error)
	SearchFunc       func(ctx context.Context, q providers.SearchQuery) (*providers.SearchResult, error)
	UploadFunc       func(ctx context.Context, f providers.File) (providers.FileRef, error)
	ExtractFunc      func(ctx context.Context, fileID string) (string, error)
	DeleteFileFunc   func(ctx context.Context, fileID string) error
	ListModelsFunc   func(ctx context.Context) ([]providers.Model, error)
	BalanceFunc      func(ctx context.Context) (providers.Balance, error)
	CountTokensFunc  func(ctx context.Context, req providers.ChatRequest) (int, error)
	FormulaToolsFunc func(ctx context.Context, formula string) ([]providers.Function, error)
	RunFormulaFunc   func(ctx context.Context, formula, name, arguments string) (string, error)
	PayloadFunc      func(req providers.ChatRequest) (json.RawMessage, error)
}

// Name implements providers.Provider.
func (s *Stub) Name() string { return s.Vendor }

// Models implements providers.Provider.
func (s *Stub) Models() []providers.Model { return s.Catalogue }

// Chat implements providers.Provider.
func (s *Stub) Chat(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
	if s.ChatFunc == nil {
		return nil, s.missing("ChatFunc")
	}
	return s.ChatFunc(ctx, req, on)
}

// CanSearch implements providers.Searcher.
func (s *Stub) CanSearch() bool { return s.SearchFunc != nil }

// Search implements providers.Searcher.
func (s *Stub) Search(ctx context.Context, q providers.SearchQuery) (*providers.SearchResult, error) {
	if s.SearchFunc == nil {
		return nil, s.missing("SearchFunc")
	}
	return s.SearchFunc(ctx, q)
}

// Upload implements providers.Uploader.
func (s *Stub) Upload(ctx context.Context, f providers.File) (providers.FileRef, error) {
	if s.UploadFunc == nil {
		return providers.FileRef{}, s.missing("UploadFunc")
	}
	return s.UploadFunc(ctx, f)
}

// Extract implements providers.Extractor.
func (s *Stub) Extract(ctx context.Context, fileID string) (string, error) {
	if s.ExtractFunc == nil {
		return "", s.missing("ExtractFunc")
	}
	return s.ExtractFunc(ctx, fileID)
}

// DeleteFile implements providers.Extractor.
func (s *Stub) DeleteFile(ctx context.Context, fileID string) error {
	if s.DeleteFileFunc == nil {
		return s.missing("DeleteFileFunc")
	}
	return s.DeleteFileFunc(ctx, fileID)
}

// ListModels implements providers.ModelLister.
func (s *Stub) ListModels(ctx context.Context) ([]providers.Model, error) {
	if s.ListModelsFunc == nil {
		return nil, s.missing("ListModelsFunc")
	}
	return s.ListModelsFunc(ctx)
}

// Balance implements providers.Balancer.
func (s *Stub) Balance(ctx context.Context) (providers.Balance, error) {
	if s.BalanceFunc == nil {
		return providers.Balance{}, s.missing("BalanceFunc")
	}
	return s.BalanceFunc(ctx)
}

// CountTokens implements providers.TokenCounter.
func (s *Stub) CountTokens(ctx context.Context, req providers.ChatRequest) (int, error) {
	if s.CountTokensFunc == nil {
		return 0, s.missing("CountTokensFunc")
	}
	return s.CountTokensFunc(ctx, req)
}

// FormulaTools implements providers.Formulas.
func (s *Stub) FormulaTools(ctx context.Context, formula string) ([]providers.Function, error) {
	if s.FormulaToolsFunc == nil {
		return nil, s.missing("FormulaToolsFunc")
	}
	return s.FormulaToolsFunc(ctx, formula)
}

// RunFormula implements providers.Formulas.
func (s *Stub) RunFormula(ctx context.Context, formula, name, arguments string) (string, error) {
	if s.RunFormulaFunc == nil {
		return "", s.missing("RunFormulaFunc")
	}
	return s.RunFormulaFunc(ctx, formula, name, arguments)
}

// Payload implements providers.Previewer.
func (s *Stub) Payload(req providers.ChatRequest) (json.RawMessage, error) {
	if s.PayloadFunc == nil {
		return nil, s.missing("PayloadFunc")
	}
	return s.PayloadFunc(req)
}

func (s *Stub) missing(name string) error {
	return &providers.Error{
		Kind: providers.KindProviderError, Provider: s.Vendor,
		Message: fmt.Sprintf("The stub %q was called without a %s.", s.Vendor, name),
	}
}

var (
	_ providers.Provider     = (*Stub)(nil)
	_ providers.Searcher     = (*Stub)(nil)
	_ providers.Uploader     = (*Stub)(nil)
	_ providers.Extractor    = (*Stub)(nil)
	_ providers.ModelLister  = (*Stub)(nil)
	_ providers.Balancer     = (*Stub)(nil)
	_ providers.TokenCounter = (*Stub)(nil)
	_ providers.Formulas     = (*Stub)(nil)
	_ providers.Previewer    = (*Stub)(nil)
)

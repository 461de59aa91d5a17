package kimi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// formulaName matches a formula such as "moonshot/web-search:latest". Its slash and colon go into the path as they are
// (Moonshot docs, Formula API), so nothing else that a path knows may be in it.
var formulaName = lazyregexp.New(`^[A-Za-z0-9_-]+/[A-Za-z0-9_-]+:[A-Za-z0-9_-]+$`)

// FormulaTools implements providers.Formulas.
func (p *Provider) FormulaTools(ctx context.Context, formula string) ([]providers.Function, error) {
	path, err := formulaPath(formula, "tools")
	if err != nil {
		return nil, err
	}
	var out struct {
		Tools []struct {
			Function struct {
				Name        string          `json:"name"`
				Description string          `json:"description"`
				Parameters  json.RawMessage `json:"parameters"`
			} `json:"function"`
		} `json:"tools"`
	}
	r := openaicompat.Request{Op: "listing a formula's tools", Method: http.MethodGet, Path: path}
	if err := p.wire.JSON(ctx, r, &out); err != nil {
		return nil, err
	}
	var functions []providers.Function
	for _, t := range out.Tools {
		functions = append(functions, providers.Function(t.Function))
	}
	return functions, nil
}

// RunFormula implements providers.Formulas. A formula's result may be encrypted for the model; it is passed on verbatim.
func (p *Provider) RunFormula(ctx context.Context, formula, name, arguments string) (string, error) {
	path, err := formulaPath(formula, "fibers")
	if err != nil {
		return "", err
	}
	var out struct {
		Status  string `json:"status"`
		Context struct {
			Output    openaicompat.Text `json:"output"`
			Encrypted openaicompat.Text `json:"encrypted_output"`
		} `json:"context"`
	}
	r := openaicompat.Request{
		Op: "running a formula", Method: http.MethodPost, Path: path,
		In: map[string]string{"name": name, "arguments": arguments},
	}
	if err := p.wire.JSON(ctx, r, &out); err != nil {
		return "", err
	}
	text := out.Context.Output
	if text == "" {
		text = out.Context.Encrypted
	}
	if out.Status != "succeeded" || text == "" {
		return "", &providers.Error{
			Kind: providers.KindProviderError, Provider: Name, HTTPStatus: http.StatusOK,
			Message: "Kimi's tool " + name + " gave no result.", Hint: "Go on without it.",
			Err: errors.New("the fiber did not succeed, or has no output"),
		}
	}
	return string(text), nil
}

func formulaPath(formula, endpoint string) (string, error) {
	if !formulaName().MatchString(formula) {
		return "", &providers.Error{
			Kind: providers.KindInvalidRequest, Provider: Name, Message: "Invalid formula name.",
			Hint: `A name looks like "moonshot/web-search:latest".`,
		}
	}
	return "/formulas/" + formula + "/" + endpoint, nil
}

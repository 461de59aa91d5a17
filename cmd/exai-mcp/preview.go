package main

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools"
)

// printPreview prints for people what a call would send and cost.
func (a *app) printPreview(r *tools.Result) error {
	object, err := r.JSON()
	if err != nil {
		return failure{err}
	}
	var p struct {
		Content  string
		Models   []providers.PlannedRequest
		Manifest []providers.PlannedFile
	}
	if err := json.Unmarshal(object, &p); err != nil {
		return failure{fmt.Errorf("read the preview: %w", err)}
	}
	paragraph := func(s string) string {
		if s = plain(oneLine(s)); a.lineWidth() > 0 {
			return wrapped(s, "", a.lineWidth())
		}
		return s + "\n"
	}
	text := paragraph(p.Content)
	requests := [][]string{{"model", "vendor", "thinking", "tokens", "expected USD", "at most USD"}}
	for _, q := range p.Models {
		requests = append(requests, []string{q.Model, q.Provider, q.Thinking, strconv.Itoa(q.InputTokens), dollars(q.ExpectedUSD), dollars(q.MaximumUSD)})
	}
	files := [][]string{{"file or diff", "bytes", "tokens"}}
	for _, f := range p.Manifest {
		files = append(files, []string{f.Path, strconv.FormatInt(f.Bytes, 10), strconv.Itoa(f.Tokens)})
	}
	for _, rows := range [][][]string{requests, files} {
		if len(rows) > 1 {
			text += "\n" + a.table(rows)
		}
	}
	for i, note := range r.Metadata.Notes {
		if i == 0 {
			text += "\n"
		}
		text += paragraph("Note: " + note)
	}
	return a.write(text)
}

package workflow

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// An expert reads by itself where there is something to read; it then searches the web only where the caller asked for that. A
// question about no file, whose tool searches by default, searches.
func TestOfferReads(t *testing.T) {
	one := make([]workspace.Ref, 1)
	named, around, both := Readable{Refs: one}, Readable{Around: one}, Readable{Refs: one, Around: one}
	for _, c := range []struct {
		from           Readable
		search, asked  bool
		reads, reading bool // whether it reads, and whether it searches
	}{
		{named, false, false, true, false},
		{named, true, false, true, false},
		{named, true, true, true, true},
		{named, false, true, true, false},
		{around, true, false, true, false},
		{both, true, false, true, false},
		{Readable{}, false, false, true, false},
		{Readable{}, true, false, false, true},
		{Readable{}, true, true, true, true},
	} {
		var given Readable
		r := &run{Engine: &Engine{Reader: func(_ context.Context, from Readable) *looks.Reader {
			given = from
			return &looks.Reader{}
		}}, step: Step{SearchNamed: c.asked}}
		q := ask.Question{Search: c.search}
		r.offerReads(t.Context(), &q, c.from)
		assert.Equal(t, c.reads, q.Reader != nil, "%+v", c)
		assert.Equal(t, c.reading, q.Search, "%+v", c)
		if c.reads {
			assert.Equal(t, c.from, given)
		}
	}
	for _, reader := range []func(context.Context, Readable) *looks.Reader{nil, func(context.Context, Readable) *looks.Reader { return nil }} {
		q := ask.Question{Search: true}
		(&run{Engine: &Engine{Reader: reader}}).offerReads(t.Context(), &q, named)
		assert.Nil(t, q.Reader)
		assert.True(t, q.Search, "where it reads nothing, it searches")
	}
}

// An expert may read around the run's files, those that it has asked for, and the folders that the step names.
func TestReadsAreAroundTheRunsFiles(t *testing.T) {
	r := &run{Engine: &Engine{Config: config.Default(), Files: brokenFiles{}}}
	r.sum.RelevantFiles, r.step.Facts.Paths = []string{"/a.go"}, []string{"/folder"}
	r.refs.add("/a.go", workspace.Ref{})
	from := r.readable(t.Context(), Evidence{}, nil)
	assert.Len(t, from.Refs, 1)
	assert.Len(t, from.Around, 1)
	assert.Equal(t, []string{"/a.go"}, r.sum.RelevantFiles)
	r.sum.RelevantFiles = nil
	assert.Empty(t, r.readable(t.Context(), Evidence{}, nil).Refs)
	assert.Len(t, r.readable(t.Context(), Evidence{}, []string{"/asked.go"}).Refs, 1)
}

// What an expert called and was given is known from its answer, else from where another call asked it.
func TestExchange(t *testing.T) {
	stored, own := []providers.Message{{Content: "stored"}}, []providers.Message{{Content: "own"}}
	r := &run{called: stored}
	assert.Equal(t, stored, r.exchange())
	r.said = &ask.Answer{Outcome: calls.Outcome{Messages: own}}
	assert.Equal(t, own, r.exchange())
	r.said = &ask.Answer{}
	assert.Empty(t, r.exchange())
}

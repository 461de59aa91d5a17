package providertest

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// abilities are a provider's optional ones, tested where it has them.
func (s suite) abilities(t *testing.T) {
	ability(t, s, "model list", modelList)
	ability(t, s, "search", search)
	ability(t, s, "upload", upload)
	ability(t, s, "upload beyond its limit", slowUpload)
	ability(t, s, "extraction", extraction)
	ability(t, s, "balance", balance)
	ability(t, s, "token count", tokenCount)
	ability(t, s, "formulas", formulas)
}

// ability tests one optional ability of a provider that has it.
func ability[A any](t *testing.T, s suite, name string, f func(*testing.T, bench, A)) {
	if _, has := s.create(t, "http://nobody.test/v1", Options{Models: s.models}).(A); !has {
		return
	}
	s.test(t, name, func(t *testing.T, b bench) { f(t, b, b.provider.(A)) })
}

func modelList(t *testing.T, b bench, p providers.ModelLister) {
	models, err := p.ListModels(t.Context())
	require.NoError(t, err)
	ids := map[string]bool{}
	for _, m := range models {
		assert.Equal(t, string(b.vendor), m.Provider)
		ids[m.ID] = true
	}
	for _, m := range b.served() {
		assert.True(t, ids[m.ID], m.ID)
	}
	b.emulator.On(emulator.Match{Op: emulator.OpModels}, emulator.Fail(emulator.HTMLPage(http.StatusBadGateway)))
	_, err = p.ListModels(t.Context())
	_ = b.failed(t, err)
}

func balance(t *testing.T, _ bench, p providers.Balancer) {
	got, err := p.Balance(t.Context())
	require.NoError(t, err)
	assert.Equal(t, providers.Balance{Available: 49.58, Currency: "USD"}, got)
}

func tokenCount(t *testing.T, b bench, p providers.TokenCounter) {
	short, err := p.CountTokens(t.Context(), b.ask(t, "hello"))
	require.NoError(t, err, b.last().Refused)
	long, err := p.CountTokens(t.Context(), b.ask(t, strings.Repeat("hello ", 1000)))
	require.NoError(t, err)
	assert.Positive(t, short)
	assert.Greater(t, long, short+1000)
}

func search(t *testing.T, b bench, p providers.Searcher) {
	hits := []emulator.Hit{{Title: "T", Content: "C", Link: "https://a.test/", Media: "M", PublishDate: "2026-11-01"}}
	assert.True(t, p.CanSearch())
	b.emulator.On(emulator.Match{Op: emulator.OpSearch}, emulator.Reply{Hits: hits})
	got, err := p.Search(t.Context(), providers.SearchQuery{Query: "go 1.26", Recency: "oneWeek", Count: 99, RequestID: "mine-1"})
	require.NoError(t, err, b.last().Refused)
	assert.Equal(t, []providers.SearchHit{{Title: "T", Content: "C", Link: "https://a.test/", Media: "M", Published: "2026-11-01"}}, got.Hits)
	assert.Contains(t, string(got.Raw), `"T"`, "the vendor's reply is there whole")
	for _, recency := range []string{"", "all", "noLimit", "oneDay", "oneMonth", "oneYear"} {
		_, err = p.Search(t.Context(), providers.SearchQuery{Query: "again", Recency: recency, DomainFilter: "go.dev"})
		require.NoError(t, err, b.last().Refused)
	}
	_, err = p.Search(t.Context(), providers.SearchQuery{Query: " "})
	assert.Equal(t, providers.KindInvalidRequest, b.failed(t, err).Kind)
}

// textFile is a file of n bytes.
func textFile(n int) providers.File {
	return providers.File{Name: "notes.txt", Size: int64(n), Body: strings.NewReader(strings.Repeat("x", n))}
}

func upload(t *testing.T, b bench, p providers.Uploader) {
	const size = 1 << 20
	f := textFile(size)
	var sent int64
	f.Sent = func(n int64) {
		assert.Greater(t, n, sent)
		sent = n
	}
	ref, err := p.Upload(t.Context(), f)
	require.NoError(t, err, b.last().Refused)
	assert.NotEmpty(t, ref.ID)
	assert.Equal(t, "notes.txt", ref.Name)
	assert.Equal(t, int64(size), ref.Size)
	assert.Equal(t, int64(size), sent)
	require.NotNil(t, b.last().Upload)
	assert.Equal(t, int64(size), b.last().Upload.Size)

	f = textFile(5)
	f.Purpose = "no-such-purpose"
	_, err = p.Upload(t.Context(), f)
	assert.Equal(t, providers.KindInvalidRequest, b.failed(t, err).Kind)
}

func slowUpload(t *testing.T, b bench, p providers.Uploader) {
	b.emulator.On(emulator.Match{Op: emulator.OpUpload}, emulator.Fail(emulator.SlowBodyRead(4096, time.Second)))
	passed := errors.New("UPLOAD_TIMEOUT=90s")
	ctx, cancel := context.WithTimeoutCause(t.Context(), 90*time.Second, passed)
	defer cancel()
	f := textFile(10 << 20)
	var sent int64
	f.Sent = func(n int64) { sent = n }
	start := time.Now()
	_, err := p.Upload(ctx, f)
	assert.Equal(t, 90*time.Second, time.Since(start))
	_ = b.failed(t, err)
	require.ErrorIs(t, err, passed)
	assert.Positive(t, sent)
	assert.Less(t, sent, int64(2<<20), "the count is what went out, not what was read ahead")
}

func extraction(t *testing.T, b bench, p providers.Extractor) {
	up, ok := b.provider.(providers.Uploader)
	require.True(t, ok, "what can't be uploaded can't be extracted")
	f := textFile(0)
	const body = "just a file's content"
	f.Body, f.Size = strings.NewReader(body), int64(len(body))
	ref, err := up.Upload(t.Context(), f)
	require.NoError(t, err)
	text, err := p.Extract(t.Context(), ref.ID)
	require.NoError(t, err)
	assert.Contains(t, text, "just a file's content")
	assert.Contains(t, text, "notes.txt", "the vendor's text is passed on whole")
	const odd = `{"error":{"message":"so the file says"}}`
	b.emulator.On(emulator.Match{Op: emulator.OpFileContent}, emulator.Reply{JSON: odd})
	text, err = p.Extract(t.Context(), ref.ID)
	require.NoError(t, err, "a file's content is no error, whatever it says")
	assert.Equal(t, odd, text)
	require.NoError(t, p.DeleteFile(t.Context(), ref.ID))
	require.NoError(t, p.DeleteFile(t.Context(), ref.ID), "gone is gone")
	_, err = p.Extract(t.Context(), ref.ID)
	assert.Equal(t, providers.KindInvalidRequest, b.failed(t, err).Kind)
	before := len(b.emulator.Requests())
	for _, bad := range []string{"", "..", "../models", "a?b", "a%2Fb"} {
		_, err = p.Extract(t.Context(), bad)
		assert.Equal(t, providers.KindInvalidRequest, b.failed(t, err).Kind)
		assert.Equal(t, providers.KindInvalidRequest, b.failed(t, p.DeleteFile(t.Context(), bad)).Kind)
	}
	assert.Len(t, b.emulator.Requests(), before, "an id is no path")
}

func formulas(t *testing.T, b bench, p providers.Formulas) {
	const formula = "moonshot/web-search:latest"
	functions, err := p.FormulaTools(t.Context(), formula)
	require.NoError(t, err, b.last().Path)
	require.NotEmpty(t, functions)
	assert.Equal(t, "web_search", functions[0].Name)
	assert.NotEmpty(t, functions[0].Parameters)
	out, err := p.RunFormula(t.Context(), formula, "web_search", `{"query":"go 1.26"}`)
	require.NoError(t, err, b.last().Refused)
	assert.Contains(t, out, "ENCRYPTED BEGIN", "it is passed on as it is")
	_, err = p.RunFormula(t.Context(), formula, "web_search", `{}`)
	_ = b.failed(t, err)
	before := len(b.emulator.Requests())
	for _, bad := range []string{"", "web-search", "../files/x:y", "a/b:c?d=e", "a/b:c/../../x"} {
		_, err = p.FormulaTools(t.Context(), bad)
		assert.Equal(t, providers.KindInvalidRequest, b.failed(t, err).Kind)
	}
	assert.Len(t, b.emulator.Requests(), before, "none of them was sent")
}

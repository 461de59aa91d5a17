package issue

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestKeys(t *testing.T) {
	title := TitleKey("/w", "/w/a.go", "SQL injection!")
	assert.Len(t, title, 32)
	assert.Equal(t, title, TitleKey("/w", "/w/a.go", " sql  Injection"))
	for _, other := range []string{
		TitleKey("/v", "/w/a.go", "SQL injection"), TitleKey("/w", "/w/b.go", "SQL injection"),
		TitleKey("/w", "/w/a.go", "SQL injections"), QuoteKey("/w", "/w/a.go", "sql injection"),
	} {
		assert.NotEqual(t, title, other)
	}
	quote := QuoteKey("/w", "/w/a.go", "\trows := db.Query(q)")
	assert.Equal(t, quote, QuoteKey("/w", "/w/a.go", "rows  := db.Query(q)  "))
	assert.NotEqual(t, quote, QuoteKey("/w", "/w/a.go", "rows := db.Query(p)"))
	assert.NotEqual(t, quote, QuoteKey("/w", "/w/b.go", "rows := db.Query(q)"))
	assert.NotEqual(t, quote, QuoteKey("/v", "/w/a.go", "rows := db.Query(q)"))
	assert.Empty(t, QuoteKey("/w", "", "rows := db.Query(q)"), "a quote without a file")
	assert.Empty(t, QuoteKey("/w", "/w/a.go", "}"))
	assert.Empty(t, QuoteKey("/w", "/w/a.go", "x = y+1;"), "a line that is anywhere")
}

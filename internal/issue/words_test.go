package issue

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestParseSeverity(t *testing.T) {
	for want, words := range map[Severity]string{
		Critical: "critical, CRITICAL, Blocker, P0, p-0, S1, SEV-1, sev 1, fatal, Critical (9.8), critical/high, 严重, 致命, 严重性, low to critical",
		High:     "high, High , P1, major, error, ERROR:, s2, high severity, 高, 高危, 重要, 高风险, important",
		Medium:   "medium, P2, moderate, warning, Warn, S3, normal, 中, 中等, 警告, medium-low",
		Low:      "low, P3, p4, minor, info, Informational, nit, nits:, trivial, suggestion, note, S4, none, 低, 建议, 轻微, low priority",
	} {
		for _, word := range strings.Split(words, ", ") {
			got, ok := ParseSeverity(word)
			assert.Equal(t, want, got, word)
			assert.True(t, ok, word)
		}
	}
	for _, word := range []string{"", " ", "7", "annoying", "p9", "highly", "?"} {
		got, ok := ParseSeverity(word)
		assert.Equal(t, Medium, got, word)
		assert.False(t, ok, word)
	}
	seen := map[string]Severity{}
	for severity, words := range severityWords {
		for _, word := range words {
			assert.Empty(t, seen[word], "%s stands for one severity", word)
			seen[word] = severity
		}
	}
}

func TestNormalQuote(t *testing.T) {
	for quote, want := range map[string]string{
		"\tfor i := 0;  i < len(n)-1; i++ {": "for i := 0; i < len(n)-1; i++ {",
		"4: for i := range n {":              "for i := range n {",
		"4\tfor i := range n {":              "for i := range n {",
		"12 | return total - 1":              "return total - 1",
		"12":                                 "",
		"":                                   "",
		"}":                                  "",
		"x := 1":                             "",
		"return":                             "return",
		"0x12345 + offset":                   "0x12345 + offset",
		"总数 = 数量 - 一二":                       "总数 = 数量 - 一二",
	} {
		assert.Equal(t, want, NormalQuote(quote), quote)
	}
}

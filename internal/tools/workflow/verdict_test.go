package workflow

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestVerdict(t *testing.T) {
	found := func(pairs ...string) Analysis { // of a severity and a citation
		a := Analysis{Structured: true}
		for i := 0; i < len(pairs); i += 2 {
			a.Findings = append(a.Findings, Finding{"severity": pairs[i], "citation": pairs[i+1]})
		}
		return a
	}
	reports := func(severity string) []map[string]any {
		return []map[string]any{{"severity": severity, "description": "x"}}
	}
	for name, c := range map[string]struct {
		j      judgement
		want   string
		reason string // in the reason; "" where there is to be none
	}{
		"nothing to review":                {judgement{Nothing: "no change", Expert: expertSkipped, Issues: reports("critical")}, VerdictPass, "no change"},
		"nothing found":                    {judgement{Expert: expertAnswered, Analysis: found(), Read: true}, VerdictPass, ""},
		"low alone":                        {judgement{Expert: expertAnswered, Analysis: found("low", "unproven", "LOW", "verified"), Issues: reports("low"), Read: true}, VerdictPass, ""},
		"medium, verified":                 {judgement{Expert: expertAnswered, Analysis: found("low", "verified", "Medium", "verified"), Read: true}, VerdictChanges, ""},
		"critical, moved":                  {judgement{Expert: expertAnswered, Analysis: found("critical", "moved"), Read: true}, VerdictChanges, ""},
		"without a severity":               {judgement{Expert: expertAnswered, Analysis: found("", "verified"), Read: true}, VerdictChanges, ""},
		"other words for low":              {judgement{Expert: expertAnswered, Analysis: found("nit", "verified", "P3", "verified", "建议", "unproven"), Issues: reports("trivial"), Read: true}, VerdictPass, ""},
		"other words for worse":            {judgement{Expert: expertAnswered, Analysis: found("P2", "verified"), Read: true}, VerdictChanges, ""},
		"an unknown word":                  {judgement{Expert: expertAnswered, Analysis: found("annoying", "verified"), Read: true}, VerdictChanges, ""},
		"one of two is proven":             {judgement{Expert: expertAnswered, Analysis: found("high", "not_read", "medium", "verified"), Read: true}, VerdictChanges, ""},
		"the caller's":                     {judgement{Expert: expertAnswered, Analysis: found(), Issues: reports("high"), Read: true}, VerdictChanges, ""},
		"the caller's before unproven":     {judgement{Expert: expertAnswered, Analysis: found("high", "unproven"), Issues: reports("high"), Read: true}, VerdictChanges, ""},
		"unproven":                         {judgement{Expert: expertAnswered, Analysis: found("high", "unproven"), Read: true}, VerdictInconclusive, "1 finding of medium"},
		"not read":                         {judgement{Expert: expertAnswered, Analysis: found("high", "not_read", "high", "not_found"), Read: true}, VerdictInconclusive, "2 findings"},
		"no citation":                      {judgement{Expert: expertAnswered, Analysis: found("high", ""), Read: true}, VerdictInconclusive, "1 finding"},
		"a file not covered":               {judgement{Expert: expertAnswered, Analysis: found(), Read: true, Uncovered: []string{"/w/a.go"}}, VerdictInconclusive, "/w/a.go"},
		"not covered, but changes":         {judgement{Expert: expertAnswered, Analysis: found("high", "verified"), Read: true, Uncovered: []string{"/w/a.go"}}, VerdictChanges, ""},
		"not in the form":                  {judgement{Expert: expertAnswered, Analysis: Analysis{}, Issues: reports("high"), Read: true}, VerdictInconclusive, "form"},
		"nothing read":                     {judgement{Expert: expertAnswered, Analysis: found("high", "verified")}, VerdictInconclusive, "no file and no diff"},
		"partial":                          {judgement{Expert: expertPartial, Analysis: found("high", "verified"), Read: true}, VerdictInconclusive, "not complete"},
		"failed":                           {judgement{Expert: expertFailed, Read: true, Issues: reports("high")}, VerdictInconclusive, "did not answer"},
		"skipped":                          {judgement{Expert: expertSkipped, Issues: reports("critical"), Read: true}, VerdictInconclusive, "No expert"},
		"nothing was asked at all":         {judgement{}, VerdictInconclusive, ""},
		"many files are not all named":     {judgement{Expert: expertAnswered, Analysis: found(), Read: true, Uncovered: make([]string, 13)}, VerdictInconclusive, "and 3 more"},
		"a denied finding decides nothing": {judgement{Expert: expertAnswered, Analysis: Read(`{"findings":[{"severity":"high","title":"no issues found"}]}`, true), Read: true}, VerdictPass, ""},
	} {
		t.Run(name, func(t *testing.T) {
			verdict, reason := verdictOf(c.j)
			assert.Equal(t, c.want, verdict)
			if c.reason == "" {
				assert.Empty(t, reason)
			}
			assert.Contains(t, reason, c.reason)
		})
	}
}

// A long list of names has the first ten, and says how many more there are.
func TestSomeOf(t *testing.T) {
	names := strings.Split("a b c d e f g h i j k l", " ")
	assert.Equal(t, "a, b", someOf(names[:2]))
	assert.Equal(t, "a, b, c, d, e, f, g, h, i, j", someOf(names[:10]))
	assert.Equal(t, "a, b, c, d, e, f, g, h, i, j, and 1 more", someOf(names[:11]))
	assert.Equal(t, "a, b, c, d, e, f, g, h, i, j, and 2 more", someOf(names))
	assert.Equal(t, "k", names[10], "the list stays as it is")
}

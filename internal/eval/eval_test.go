package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// program is the program under measurement, built once.
var program = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "exai-mcp-eval-test-")
	if err != nil {
		return "", err
	}
	return build(dir)
})

func TestMain(m *testing.M) {
	code := m.Run()
	if exe, err := program(); err == nil {
		_ = os.RemoveAll(filepath.Dir(exe))
	}
	os.Exit(code)
}

func newEvaluation(t *testing.T) *evaluation {
	t.Helper()
	exe, err := program()
	require.NoError(t, err)
	return &evaluation{exe: exe, dir: t.TempDir(), parallel: 2}
}

// The bounds of an expert that reads, as the contract has them.
const (
	maxRounds = 6
	maxCalls  = 8
	maxBytes  = 240_000
)

// The scripted models measure the plumbing from end to end: the diff does not show the defect, functions lead to it, what is quoted
// is proven, what is made up is not, and reading without end is bounded.
func TestScriptedModels(t *testing.T) {
	list, err := cases()
	require.NoError(t, err)
	require.Len(t, list, 10)
	document, err := os.ReadFile("../../docs/eval.md")
	require.NoError(t, err)
	for _, c := range list {
		assert.Contains(t, string(document), "| "+c.Name+" | "+c.Title+" |\n")
	}
	var mu sync.Mutex
	seen := 0
	scores, err := newEvaluation(t).scripted(t.Context(), list, func(part script, c evalCase, requests []emulator.Request, r reply) {
		mu.Lock()
		defer mu.Unlock()
		seen++
		assertReview(t, part, c, requests, r)
	})
	require.NoError(t, err)
	assert.Equal(t, len(scripts())*len(list), seen)
	for _, m := range summarise(scores) {
		assert.Equal(t, 10, m.Cases, m.Model)
		assert.Zero(t, m.Failed, m.Model)
		if strings.HasPrefix(m.Model, "hasty") {
			assert.Equal(t, []int{0, 10, 10, 0}, []int{m.Found, m.False, m.Inconclusive, m.Reads}, m.Model)
			continue
		}
		assert.Equal(t, []int{10, 0, 0}, []int{m.Found, m.False, m.Inconclusive}, m.Model)
		assert.Greater(t, m.Cached, m.Input/2, "%s: rounds only append, so the vendor has the prefix", m.Model)
	}
}

func assertReview(t *testing.T, part script, c evalCase, requests []emulator.Request, r reply) {
	t.Helper()
	of := part.name + ", " + c.Name
	var chats []*emulator.Chat
	for _, q := range requests {
		if q.Op == emulator.OpChat {
			assert.Empty(t, q.Refused, of)
			assert.NotContains(t, q.Chat.Text(), "q7Zk2VwXe9", "%s: a secret was sent", of)
			chats = append(chats, q.Chat)
		}
	}
	require.NotEmpty(t, chats, of)
	assert.NotContains(t, chats[0].Text(), c.Defect.Text, "%s: the diff shows the defect", of)
	assert.Len(t, r.Coverage, len(c.change), of)
	for _, file := range r.Coverage {
		assert.Contains(t, []string{"whole", "diff"}, file.How, "%s: %s", of, file.File)
	}
	require.NotEmpty(t, r.Expert.Findings, of)
	found := r.Expert.Findings[0]
	if strings.HasPrefix(part.name, "hasty") {
		assert.Equal(t, []string{"unproven", "inconclusive"}, []string{found.Citation, r.Verdict}, of)
		assert.Len(t, chats, 1, of)
		return
	}
	assert.Equal(t, []string{"verified", "changes_required"}, []string{found.Citation, r.Verdict}, of)
	read, bytes := false, 0
	for _, l := range r.LookedAt {
		read = read || strings.HasSuffix(filepath.ToSlash(l.Path), "/"+c.Defect.File)
		bytes += l.Bytes
	}
	assert.True(t, read, "%s: looked_at lists the file with the defect", of)
	assert.LessOrEqual(t, bytes, maxBytes, of)
	if strings.HasPrefix(part.name, "reader") {
		assert.Len(t, chats, 3, of)
		assert.Len(t, r.LookedAt, 3, of)
		return
	}
	assert.Equal(t, maxRounds*maxCalls, len(r.LookedAt), "%s: %d calls a round were made", of, greed)
	assert.LessOrEqual(t, len(chats), maxRounds+4, "%s: it was made to conclude", of)
}

// With a key the quality model of its vendor is measured, after its price was said, and the cost is limited.
func TestRealModels(t *testing.T) {
	vendors, err := emulator.Start()
	require.NoError(t, err)
	t.Cleanup(vendors.Close)
	list, err := cases()
	require.NoError(t, err)
	vendors.Always(emulator.Match{}, reader(list[0]))
	home := t.TempDir()
	for _, name := range []string{
		"KIMI_API_KEY", "MOONSHOT_API_KEY", "ZHIPUAI_API_KEY", "ZAI_API_KEY", "ENDPOINTS", "ENV_FILE", "GLM_API_KEY", "GLM_API_URL", "HOME", "XDG_CONFIG_HOME",
	} {
		t.Setenv(name, map[string]string{
			"GLM_API_KEY": vendors.Key(emulator.GLM), "GLM_API_URL": vendors.GLMURL(), "HOME": home, "XDG_CONFIG_HOME": home,
		}[name])
	}
	scores, err := newEvaluation(t).measure(t.Context(), list[:1], options{maxUSD: 1})
	require.NoError(t, err)
	require.Len(t, scores, 1)
	assert.Equal(t, "glm", scores[0].Model)
	assert.True(t, scores[0].Found, "%+v", scores[0])
	assert.Positive(t, scores[0].CostUSD)
	expected, most, err := newEvaluation(t).price(t.Context(), list[:1], []string{"glm"})
	require.NoError(t, err)
	assert.Positive(t, expected)
	assert.Greater(t, most, expected)

	scores, err = newEvaluation(t).measure(t.Context(), list[:1], options{models: "glm-5.3", maxUSD: 0.000001})
	require.NoError(t, err)
	assert.Contains(t, scores[0].Failure, "budget", "%+v", scores[0])
}

func TestParseCase(t *testing.T) {
	const good = "A title\n\nstep: Review.\nsearch: x\ndefect: a.go: bad line\nalso: b.go: y\n-- base/a.go --\nfine\nbad line\n-- base/b.go --\nx\n-- change/b.go --\ny\ny\n"
	c, err := parseCase("name", []byte(good))
	require.NoError(t, err)
	assert.Equal(t, "A title", c.Title)
	assert.Equal(t, []int{2}, c.lines(c.Defect))
	assert.Equal(t, []int{1, 2}, c.lines(c.Also[0]), "of the changed file")
	for name, broken := range map[string]string{
		"lacks a title":             strings.Replace(good, "step: Review.\n", "", 1),
		"unknown field":             strings.Replace(good, "also:", "maybe:", 1),
		"names no line of a file":   strings.Replace(good, "also: b.go: y", "also: b.go", 1),
		"neither below base nor":    strings.Replace(good, "-- change/b.go", "-- after/b.go", 1),
		"the diff shows a.go":       good + "-- change/a.go --\nbad line\n",
		"is on 2 lines of a.go":     strings.Replace(good, "fine\n", "bad line\n", 1),
		`"z" is not in b.go`:        strings.Replace(good, "also: b.go: y", "also: b.go: z", 1),
		"is on 0 lines of nope.go,": strings.Replace(good, "defect: a.go", "defect: nope.go", 1),
	} {
		_, err := parseCase("name", []byte(broken))
		assert.ErrorContains(t, err, name)
	}
}

func TestJudge(t *testing.T) {
	c, err := parseCase("name", []byte("T\nstep: s\nsearch: x\ndefect: sub/a.go: bad\nalso: b.go: y\n-- base/sub/a.go --\n1\n2\n3\n4\nbad\n-- change/b.go --\ny\n"))
	require.NoError(t, err)
	dir := filepath.FromSlash("/tmp/repo")
	at := func(severity, file string, line int, citation string) finding {
		return finding{Severity: severity, File: file, Line: line, Citation: citation}
	}
	for name, x := range map[string]struct {
		found bool
		false int
		of    []finding
	}{
		"nothing":                    {false, 0, nil},
		"the defect":                 {true, 0, []finding{at("high", dir+"/sub/a.go", 5, "verified")}},
		"under a relative name":      {true, 0, []finding{at("medium", "sub/a.go", 5, "verified")}},
		"three lines away, moved":    {true, 0, []finding{at("critical", dir+"/sub/a.go", 2, "moved")}},
		"four lines away":            {false, 1, []finding{at("high", dir+"/sub/a.go", 1, "verified")}},
		"another place of it":        {true, 0, []finding{at("high", dir+"/b.go", 1, "verified")}},
		"unproven":                   {false, 1, []finding{at("high", dir+"/sub/a.go", 5, "unproven")}},
		"of low severity":            {false, 0, []finding{at("low", dir+"/sub/a.go", 5, "verified")}},
		"without a severity":         {true, 0, []finding{at("", dir+"/sub/a.go", 5, "verified")}},
		"the same line of another":   {false, 1, []finding{at("high", dir+"/a.go", 5, "verified")}},
		"it and two that it made up": {true, 2, []finding{at("high", "", 0, "unproven"), at("high", dir+"/sub/a.go", 5, "verified"), at("medium", dir+"/b.go", 9, "verified")}},
	} {
		t.Run(name, func(t *testing.T) {
			var r reply
			r.Expert.Status, r.Expert.Findings = "analysis_complete", x.of
			s := judge(c, "m", dir, r)
			assert.Equal(t, x.found, s.Found)
			assert.Len(t, s.False, x.false)
			assert.Empty(t, s.Failure)
		})
	}
	var r reply
	require.NoError(t, json.Unmarshal([]byte(`{"verdict":"inconclusive","expert_analysis":{"status":"analysis_timeout"},"looked_at":[{"bytes":3},{"bytes":4}],
		"metadata":{"duration_ms":1500,"usage":{"input_tokens":5,"cached_tokens":2,"output_tokens":3,"cost_usd":0.5}}}`), &r))
	s := judge(c, "m", dir, r)
	assert.Equal(t, "the expert's answer is analysis timeout", s.Failure)
	assert.Equal(t, []int{2, 7, 5, 2, 3}, []int{s.Reads, s.ReadBytes, s.Input, s.Cached, s.Output})
	require.NoError(t, json.Unmarshal([]byte(`{"expert_analysis":{"status":"analysis_error","error":{"code":"auth","message":"refused"}}}`), &r))
	assert.Equal(t, "auth: refused", judge(c, "m", dir, r).Failure)
	require.NoError(t, json.Unmarshal([]byte(`{"error":{"code":"budget","message":"spent"}}`), &r))
	assert.Equal(t, "budget: spent", judge(c, "m", dir, r).Failure)
}

func TestReport(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, report(&out, []score{
		{Model: "a", Case: "one", Found: true, Verdict: "changes_required", Input: 10, Output: 1, CostUSD: 0.25, Took: 2e9},
		{Model: "a", Case: "two", Verdict: "inconclusive", Reads: 3, Input: 20, Cached: 5, Took: 4e9, False: []finding{{Severity: "high", File: "x.go", Line: 7, Title: "T", Citation: "unproven"}}},
		{Model: "b", Case: "one", Failure: "budget: spent"},
	}))
	lines := strings.Split(out.String(), "\n")
	assert.Equal(t, []string{"a", "1", "of", "2", "1", "(0.5", "a", "change)", "1", "0", "3", "30", "5", "1", "$0.2500", "4s"}, strings.Fields(lines[1]))
	assert.Equal(t, []string{"b", "0", "of", "1", "0", "(0.0", "a", "change)", "0", "1", "0", "0", "0", "0", "$0.0000", "0s"}, strings.Fields(lines[2]))
	assert.Contains(t, out.String(), "\na, two: missed (verdict inconclusive)\na, two: false: high, x.go:7, T (unproven)\nb, one: no answer: budget: spent\n")
}

// The command prints every score as JSON, and runs the cases that are named.
func TestRunAsJSON(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(context.Background(), &out, options{scripted: true, json: true, only: "migration", parallel: 2}))
	var scores []score
	require.NoError(t, json.Unmarshal(out.Bytes(), &scores))
	assert.Len(t, scores, len(scripts()))
	for _, s := range scores {
		assert.Equal(t, "missing-migration", s.Case)
	}
}

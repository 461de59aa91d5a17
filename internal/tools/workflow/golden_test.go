package workflow_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// replies keeps a reply beside the others of a scene.
type replies struct {
	l    *fixture
	t    *testing.T
	name string
}

func (r replies) keep(scene, tool string, args dict) dict {
	r.t.Helper()
	reply, text := r.l.try(r.t.Context(), tool, args)
	text = estimates.ReplaceAllString(r.l.stable(text), `"input_tokens":0$1"cost_usd":0`)
	text = prose.ReplaceAllString(text, `"$1":"..."`)
	golden(r.t, r.name+"-"+scene+".json", text)
	return reply
}

var (
	commits = regexp.MustCompile(`"[0-9a-f]{40}"`)
	// What an error says in words is held where it is made.
	prose = regexp.MustCompile(`"(message|hint)":"[^"]*"`)
	// An estimate of what was sent depends on how long the names of temporary folders are.
	estimates = regexp.MustCompile(`"input_tokens":\d{3,}(,[^}]*)"cost_usd":[0-9.e-]+`)
)

// The replies of three tools, whole, as their clients read them: a pause, an end with an expert, one without, and one whose
// expert is late.
func TestGoldenDebug(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, asktest.Says(expertSays(finding("high", "window.go", 4), finding("medium", "gone.go", 7))), withTracker(&tracker{}))
		window := l.file("window.go", source)
		r := replies{l, t, "debug"}
		first := r.keep("pause", "debug", l.step("debug", 1, 2, "relevant_files", []string{window}, "hypothesis", "off by one", "confidence", "medium"))
		id := first["continuation_id"]
		r.keep("final", "debug", l.step("debug", 2, 2, "continuation_id", id, "relevant_files", []string{window}, "issues_found", []dict{{"severity": "high", "description": "ends too soon"}}))
		r.keep("certain", "debug", l.step("debug", 1, 1, "relevant_files", []string{window}, "hypothesis", "off by one", "confidence", "certain"))
		l.glm = silent
		r.keep("timeout", "debug", l.step("debug", 1, 1, "relevant_files", []string{window}))
		var parts []providers.Delta
		for range 120 { // never at the moment when the limit passes
			parts = append(parts, providers.Delta{Content: "word "})
		}
		l.glm = asktest.Drips(700*time.Millisecond, parts...)
		r.keep("partial", "debug", l.step("debug", 1, 1, "relevant_files", []string{window}))
		l.glm = asktest.Says(`{"status": "files_required_to_continue", "mandatory_instructions": "The caller.", "files_needed": ["main.go"]}`)
		r.keep("wants", "debug", l.step("debug", 1, 1, "relevant_files", []string{window}))
		time.Sleep(time.Minute)
	})
}

func TestGoldenConsensus(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := both(slowly(3, "**Verdict** cookies."), silent)(t)
		file := l.file("session.go", "package session\n")
		r := replies{l, t, "consensus"}
		first := r.keep("together", "consensus", consensusArgs("relevant_files", []string{file}))
		r.keep("later", "consensus", dict{"step": "go on", "step_number": 2, "total_steps": 2, "next_step_required": false, "continuation_id": first["continuation_id"]})
	})
}

// The same in the compact style.
func TestGoldenCompact(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, asktest.Says(expertSays(finding("high", "window.go", 4), finding("medium", "gone.go", 7))), withTracker(&tracker{}), compactReplies)
		window := l.file("window.go", source)
		r := replies{l, t, "compact"}
		first := r.keep("pause", "debug", l.step("debug", 1, 2, "relevant_files", []string{window}, "hypothesis", "off by one", "confidence", "medium"))
		r.keep("final", "debug", l.step("debug", 2, 2, "continuation_id", first["continuation_id"], "relevant_files", []string{window, filepath.Join(l.dir, "logo.png")}))
		l.glm = silent
		r.keep("timeout", "debug", l.step("debug", 1, 1, "relevant_files", []string{window}))
		r.keep("error", "debug", dict{"step": ""})
	})
	synctest.Test(t, func(t *testing.T) {
		l := both(slowly(3, "**Verdict** cookies."), silent)(t)
		compactReplies(l)
		file := l.file("session.go", "package session\n")
		replies{l, t, "compact"}.keep("consensus", "consensus", consensusArgs("relevant_files", []string{file}))
	})
}

func TestGoldenPrecommit(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays(finding("medium", "window.go", 4), finding("low", "window.go", 1))))
	l.repository()
	keep := func(scene string, args dict) dict {
		reply, text := l.try(t.Context(), "precommit", args)
		text = commits.ReplaceAllString(l.stable(text), `"0000000000000000000000000000000000000000"`)
		text = regexp.MustCompile(`"duration_ms":\d+`).ReplaceAllString(text, `"duration_ms":0`)
		golden(t, "precommit-"+scene+".json", text)
		return reply
	}
	first := keep("pause", l.step("precommit", 1, 2))
	keep("final", l.step("precommit", 2, 2, "continuation_id", first["continuation_id"], "severity_filter", "medium"))
}

var _ issue.Store = (*tracker)(nil)

var update = flag.Bool("update", false, "update the golden files")

// golden compares a reply with the file that holds it.
func golden(t *testing.T, name string, text string) {
	t.Helper()
	path := filepath.Join("testdata", "reply", name)
	var got bytes.Buffer
	require.NoError(t, json.Indent(&got, []byte(text), "", "  "))
	got.WriteByte('\n')
	if *update {
		require.NoError(t, os.WriteFile(path, got.Bytes(), 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run go test ./internal/tools/workflow -update and read the diff")
	assert.Equal(t, string(want), got.String())
}

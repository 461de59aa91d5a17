package workflow_test

import (
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// A file that is not there is noted, not refused; more of them are named up to a bound.
func TestMissingFilesAreNoted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, asktest.Says(expertSays()))
		var gone []string
		for i := range 30 {
			gone = append(gone, fmt.Sprintf("gone%d.go", i))
		}
		r := l.call("debug", l.step("debug", 1, 2, "files_checked", gone))
		assert.True(t, noteIn(r, "Not found: gone0.go"))
		assert.True(t, noteIn(r, "and 20 more"))
		r = l.call("debug", l.step("debug", 1, 2, "files_checked", gone[:10]))
		assert.True(t, noteIn(r, "gone8.go, gone9.go."))
		done := l.call("debug", l.step("debug", 2, 2, "continuation_id", r["continuation_id"], "relevant_files", []string{"gone0.go", l.file("a.go", source)}))
		assert.Equal(t, "partially_embedded", at(done, "file_context", "type"))
		assert.Contains(t, l.prompt(), "gone0.go: not given")
	})
}

// A file that may not be read is noted where it is named, as long as another one can be sent.
func TestRefusedFilesBesideAnother(t *testing.T) {
	l := newFixture(t, nil)
	key := l.file(".env", "KEY=1")
	r := l.call("debug", l.step("debug", 1, 2, "relevant_files", []string{l.file("a.go", source), key}))
	assert.True(t, noteIn(r, "Not sent: "), "%v", r)
	assert.True(t, noteIn(r, key), "%v", r)
}

// A model is not paid for an answer about nothing: where none of the named files can be sent, the call fails. Where some
// can, a note lists the others and the tool that reads them.
func TestNamedFilesThatCannotBeSent(t *testing.T) {
	for _, tool := range []string{"chat", "codereview", "debug", "precommit", "consensus"} {
		t.Run(tool, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFixture(t, asktest.Says("x"))
				good, report := l.file("a.go", source), l.file("report.pdf", "%PDF-1.7\n\x00\x01")
				key := l.file(".env", "KEY=1")
				args := func(files ...string) dict {
					if tool == "chat" {
						return dict{"prompt": "Look at this.", "files": files}
					}
					return l.step(tool, 1, 1, "relevant_files", files)
				}
				for code, files := range map[string][]string{
					"file_not_found": {"nope.py"}, "invalid_request": {report}, "path_denied": {key, "nope.py"},
				} {
					reply, text := l.try(t.Context(), tool, args(files...))
					assert.Equal(t, "error", reply["status"], text)
					assert.Equal(t, code, at(reply, "error", "code"), text)
				}
				assert.Zero(t, l.asked())
				_, text := l.try(t.Context(), tool, args(report))
				assert.Contains(t, text, "kimi_multi_file_chat reads PDF and Office files.")
				reply, text := l.try(t.Context(), tool, args(good, report, key, "nope.py"))
				require.NotEqual(t, "error", reply["status"], text)
				assert.NotZero(t, l.asked())
				for _, name := range []string{"report.pdf", ".env", "nope.py", "kimi_multi_file_chat"} {
					assert.Contains(t, text, name)
				}
				assert.NotContains(t, l.prompt(), "KEY=1")
			})
		})
	}
}

// A file that several arguments and a finding name is resolved and opened once, but for a second look at a cited line.
func TestNamedFilesAreResolvedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, logs := observer.New(zap.DebugLevel)
		l := newFixture(t, asktest.Says(expertSays()))
		l.file("window.go", source)
		count := func(tool string, args dict) (resolved, opened int) {
			w, err := workspace.New(l.cfg.Files, "", "", "", nil, zap.New(core))
			require.NoError(t, err)
			l.deps.Workspace = w
			logs.TakeAll()
			l.call(tool, args)
			return logs.FilterMessage("path resolved").Len(), logs.FilterMessage("file opened").Len()
		}
		resolved, opened := count("chat", dict{"prompt": "Look at this.", "files": []string{"window.go"}})
		assert.Equal(t, 1, resolved)
		assert.Equal(t, 1, opened)
		resolved, opened = count("debug", l.step("debug", 1, 1, "files_checked", []string{"window.go"}, "relevant_files", []string{"window.go"}))
		assert.LessOrEqual(t, resolved, 2, "window.go is cited too, and gone.go is not there")
		assert.LessOrEqual(t, opened, 2)
		l.git("init", "-q")
		resolved, _ = count("codereview", l.step("codereview", 1, 1))
		assert.Zero(t, resolved, "git has named it")
	})
}

// What step 1 omits is filled, and noted: the changed files of the first root.
func TestChangedFilesAreFilledIn(t *testing.T) {
	for _, tool := range []string{"analyze", "codereview", "testgen"} {
		t.Run(tool, func(t *testing.T) {
			p := investigators[tool]
			l := newFixture(t, asktest.Says(p.answer(nil)))
			l.git("init", "-q")
			window := l.file("window.go", source)
			first := l.call(tool, l.step(tool, 1, 2, "findings", nil))
			assert.EqualValues(t, 1, at(first, p.counts, "relevant_files"))
			assert.True(t, noteIn(first, "the changed files of the first root were used: 1"))
			assert.True(t, noteIn(first, "findings was missing"))
			l.file("later.go", "package window\n")
			l.restart()
			done := l.call(tool, l.step(tool, 2, 2, "continuation_id", first["continuation_id"]))
			assert.Equal(t, []any{window}, at(done, p.block, "relevant_files"), "those of step 1")
			assert.Contains(t, l.prompt(), "for i := 0")
			again := l.call(tool, l.step(tool, 1, 2, "findings", nil, "continuation_id", first["continuation_id"]))
			assert.True(t, noteIn(again, "stored reply"), "what is filled in is no new argument")
		})
	}
	t.Run("more than a run can take", func(t *testing.T) {
		l := newFixture(t, nil)
		l.git("init", "-q")
		for i := range 50 {
			l.file(fmt.Sprintf("a%d.go", i), source)
		}
		assert.True(t, noteIn(l.call("analyze", l.step("analyze", 1, 2)), "the changed files of the first root were used: 50."))
		l.file("b.go", source)
		r := l.call("analyze", l.step("analyze", 1, 2))
		assert.True(t, noteIn(r, "the changed files of the first root were used: 50 of 51."))
		assert.EqualValues(t, 50, at(r, "analysis_status", "relevant_files"))
	})
	t.Run("without a repository", func(t *testing.T) {
		l := newFixture(t, asktest.Says(expertSays()))
		first := l.call("codereview", l.step("codereview", 1, 2))
		assert.True(t, noteIn(first, "No relevant_files were given"))
	})
}

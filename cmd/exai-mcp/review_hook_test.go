package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/review"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// event is what an agent's host writes to a hook, with the keys that Claude Code and Codex add.
func (g *gate) event(name, session string, active bool) string {
	text, err := json.Marshal(map[string]any{
		"session_id": session, "transcript_path": filepath.Join(g.dir, "transcript-that-is-not-there.jsonl"), "cwd": g.repo,
		"hook_event_name": name, "stop_hook_active": active, "permission_mode": "default", "turn_id": "t", "model": "m",
		"last_assistant_message": "SECRET-OF-THE-CHAT", "background_tasks": []any{}, "source": "startup",
	})
	require.NoError(g.t, err)
	return string(text)
}

// hook runs a hook and returns what its host reads, and how many requests it made.
func (g *gate) hook(name, stdin string, args ...string) (reply map[string]string, asked int) {
	g.t.Helper()
	before := len(g.vendors.Requests())
	code, out, errs := g.run(stdin, append([]string{"review", "--hook", name}, args...)...)
	assert.Equal(g.t, 0, code, "the hooks of agents decide in the JSON: "+errs)
	if out != "" {
		assert.Equal(g.t, 1, strings.Count(out, "\n"), out)
		require.NoError(g.t, json.Unmarshal([]byte(out), &reply), out)
		for key := range reply {
			assert.Contains(g.t, []string{"decision", "reason", "systemMessage"}, key, "Codex refuses other keys")
		}
		assert.NotEmpty(g.t, reply["systemMessage"], "it always says something")
	}
	return reply, len(g.vendors.Requests()) - before
}

// A session, from its start over two blocks to the end.
func TestStopHookSession(t *testing.T) {
	for _, name := range []string{"claude-stop", "codex-stop"} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			g.commit("a.go", "package a\n", "b.go", "package a\n")
			g.write("b.go", "package a // BEFORE THE SESSION\n")
			reply, asked := g.hook(name, g.event(review.SessionStart, "s", false))
			assert.Empty(t, reply, "what SessionStart prints would become context of the model")
			assert.Zero(t, asked)

			reply, asked = g.hook(name, g.event(review.Stop, "s", false))
			assert.Contains(t, reply["systemMessage"], "nothing to review")
			assert.Zero(t, asked, "what was uncommitted before is not the session's")

			g.write("a.go", defective)
			reply, asked = g.hook(name, g.event(review.Stop, "s", false))
			assert.Equal(t, "block", reply["decision"])
			assert.Equal(t, "Findings of a reviewer; check them before you act\nhigh a.go:3 Divides by zero\n"+review.Hook(name).Off(), reply["reason"])
			assert.Contains(t, reply["systemMessage"], "exai-mcp install --client")
			assert.NotZero(t, asked)
			for _, r := range g.vendors.Requests() {
				for _, never := range []string{"SECRET-OF-THE-CHAT", "BEFORE THE SESSION", "transcript-that-is-not-there"} {
					assert.NotContains(t, string(r.Body), never)
				}
			}

			reply, asked = g.hook(name, g.event(review.Stop, "s", true))
			assert.Empty(t, reply["decision"], "nothing changed since the block")
			assert.Contains(t, reply["systemMessage"], "high a.go:3 Divides by zero")
			assert.Zero(t, asked)

			g.write("a.go", defective+"// more\n")
			reply, _ = g.hook(name, g.event(review.Stop, "s", true))
			assert.Equal(t, "block", reply["decision"], "the second block of the chain")
			g.write("a.go", defective+"// and more\n")
			reply, asked = g.hook(name, g.event(review.Stop, "s", true))
			assert.Empty(t, reply["decision"], "no third one")
			assert.Contains(t, reply["systemMessage"], "high a.go:3 Divides by zero")
			assert.Zero(t, asked)

			reply, _ = g.hook(name, g.event(review.Stop, "s", false))
			assert.Equal(t, "block", reply["decision"], "a new chain")
			g.write("a.go", "package a\n\n// fixed\n")
			reply, asked = g.hook(name, g.event(review.Stop, "s", true))
			assert.Contains(t, reply["systemMessage"], "exai review: pass (glm-")
			assert.NotZero(t, asked)
			reply, asked = g.hook(name, g.event(review.Stop, "s", false))
			assert.Contains(t, reply["systemMessage"], "pass; nothing changed since")
			assert.Zero(t, asked)

			reply, asked = g.hook(name, g.event(review.Stop, "another", false))
			assert.NotEmpty(t, reply)
			assert.NotZero(t, asked, "a session without kept hashes is judged on all that is uncommitted")
			assert.Contains(t, g.lastRequest(), "BEFORE THE SESSION")
		})
	}
}

func (g *gate) lastRequest() string {
	all := g.vendors.Requests()
	return string(all[len(all)-1].Body)
}

// A session that is resumed or compacted starts again, and keeps the hashes of its first start.
func TestSessionStartsAgain(t *testing.T) {
	g := newGate(t)
	g.commit("a.go", "package a\n")
	g.hook("claude-stop", g.event(review.SessionStart, "s", false))
	g.write("a.go", defective)
	g.hook("claude-stop", g.event(review.SessionStart, "s", false))
	reply, _ := g.hook("claude-stop", g.event(review.Stop, "s", false))
	assert.Equal(t, "block", reply["decision"])
}

// Only required changes block.
func TestStopHookNeverBlocksWithoutAVerdict(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings []string
		reply    *emulator.Reply
		args     []string
		says     string
	}{
		{"no key", []string{"GLM_API_KEY=", "KIMI_API_KEY="}, nil, nil, "not reviewed"},
		{"the vendor is down", []string{"GLM_API_URL=http://127.0.0.1:9/v4", "KIMI_API_KEY=", "MAX_RETRIES=0"}, nil, nil, "not reviewed"},
		{"a bad setting", []string{"GLM_TIMEOUT_SECS=soon"}, nil, nil, "not reviewed"},
		{"over the budget", nil, nil, []string{"--max-cost", "0.0000001"}, "not reviewed"},
		{"too slow", nil, new(emulator.Fail(emulator.NeverAnswer())), []string{"--timeout", "1s"}, "not reviewed"},
		{"prose", nil, new(emulator.Say("Terrible.")), []string{"--fail-on", "low,inconclusive"}, "inconclusive"},
		{"half an answer", nil, new(emulator.Say("{\"findings\":[", "x", "y").With(emulator.DropAfter(3))), nil, "inconclusive"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t, c.settings...)
			g.commit("a.go", "package a\n")
			g.write("a.go", defective)
			if c.reply != nil {
				g.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply { return *c.reply })
			}
			reply, _ := g.hook("claude-stop", g.event(review.Stop, "s", false), c.args...)
			assert.Len(t, reply, 1)
			assert.Contains(t, reply["systemMessage"], c.says)
			code, out, errs := g.run("", append([]string{"review", "--hook", "pre-commit"}, c.args...)...)
			assert.Equal(t, 0, code, out+errs)
			g.git("add", "-A")
			code, out, errs = g.run("", append([]string{"review", "--hook", "pre-commit"}, c.args...)...)
			assert.Equal(t, 0, code, out+errs)
			assert.Contains(t, out, c.says)
		})
	}
}

// More files than can be judged are no reason to block, and the hook says what to do.
func TestStopHookOfTooManyFiles(t *testing.T) {
	g := newGate(t)
	g.commit("a.go", "package a\n")
	for i := range 5001 {
		g.write(fmt.Sprintf("new/%d", i), "x\n")
	}
	reply, _ := g.hook("claude-stop", g.event(review.Stop, "s", false))
	assert.Len(t, reply, 1)
	assert.Contains(t, reply["systemMessage"], "more than 5,000 files or 512 MiB of them are uncommitted in")
}

// Without a store, a chain is blocked once.
func TestStopHookWithoutStore(t *testing.T) {
	for _, setting := range []string{"CONVERSATION_STORAGE_BACKEND=memory", "EXAI_STATE_DIR=/proc/nowhere"} {
		g := newGate(t, setting)
		g.commit("a.go", "package a\n")
		g.hook("claude-stop", g.event(review.SessionStart, "s", false))
		g.write("a.go", defective)
		reply, _ := g.hook("claude-stop", g.event(review.Stop, "s", false))
		assert.Equal(t, "block", reply["decision"], setting)
		reply, _ = g.hook("claude-stop", g.event(review.Stop, "s", true))
		assert.Empty(t, reply["decision"], setting)
		assert.Contains(t, reply["systemMessage"], "high a.go:3")
	}
}

// A host that leaves stdin open is answered within --timeout.
func TestHookWithOpenStdin(t *testing.T) {
	g := newGate(t)
	g.commit("a.go", "package a\n")
	for _, hook := range []string{"claude-stop", "pre-push"} {
		open, stays := io.Pipe()
		defer stays.Close()
		var out bytes.Buffer
		assert.Equal(t, 0, run(t.Context(), []string{"review", "--hook", hook, "--timeout", "100ms"}, g.environ, open, &out, io.Discard))
		assert.Contains(t, out.String(), "the review exceeded --timeout")
	}
}

// Another --fail-on is another judgement, also of an unchanged diff.
func TestHookThreshold(t *testing.T) {
	g := newGate(t)
	g.commit("a.go", "package a\n")
	g.write("a.go", defective)
	reply, _ := g.hook("claude-stop", g.event(review.Stop, "s", false), "--fail-on", "critical")
	assert.Contains(t, reply["systemMessage"], "exai review: pass (")
	reply, _ = g.hook("claude-stop", g.event(review.Stop, "s", false), "--fail-on", "high")
	assert.Equal(t, "block", reply["decision"])
}

func TestStopHookInput(t *testing.T) {
	g := newGate(t)
	g.commit("a.go", "package a\n")
	outside, err := json.Marshal(map[string]any{"hook_event_name": "Stop", "session_id": "s", "cwd": t.TempDir()})
	require.NoError(t, err)
	for stdin, says := range map[string]string{
		"":   "must be a JSON object on stdin",
		"[]": "must be a JSON object on stdin",
		`{"hook_event_name":"Stop","session_id":"s","cwd":"/nonexistent"}`: "cwd of the hook's input is not a folder",
		`{"hook_event_name":"Stop","session_id":"s","cwd":"a.go"}`:         "cwd of the hook's input is not a folder",
		`{"hook_event_name":"SubagentStop","session_id":"s","cwd":"/"}`:    `unknown event "SubagentStop"`,
		`{"a":"` + strings.Repeat("x", review.MaxInput) + `"}`:             "exceeds the limit",
		string(outside): "not in a git work tree",
	} {
		reply, asked := g.hook("claude-stop", stdin)
		assert.Contains(t, reply["systemMessage"], says)
		assert.Empty(t, reply["decision"])
		assert.Zero(t, asked)
	}
	reply, _ := g.hook("claude-stop", `{"hook_event_name":"SessionStart","session_id":"s","cwd":"/nonexistent"}`)
	assert.Empty(t, reply, "what SessionStart prints would become context of the model")
	code, out, errs := g.run("", "review", "--hook", "claude-stop", "--staged")
	assert.Equal(t, 3, code, "a usage error")
	assert.Empty(t, out)
	assert.Contains(t, errs, "--hook says itself what is reviewed")
}

// gitHook installs a hook as a user would, and returns a way to run git, which reports whether it went through.
func (g *gate) gitHook(name string) func(args ...string) (bool, string) {
	g.t.Helper()
	program, err := os.Executable()
	require.NoError(g.t, err)
	script := fmt.Sprintf("#!/bin/sh\nexec '%s' review --hook %s \"$@\"\n", program, name)
	require.NoError(g.t, os.WriteFile(filepath.Join(g.repo, ".git", "hooks", name), []byte(script), 0o700))
	return func(args ...string) (bool, string) {
		g.t.Helper()
		cmd := exec.Command("git", args...)
		cmd.Dir = g.repo
		cmd.Env = append(append([]string{}, g.environ...), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1")
		out, err := cmd.CombinedOutput()
		g.noKeyIn(string(out))
		return err == nil, string(out)
	}
}

// git itself runs the hook, with the index that it is about to commit.
func TestPreCommitHook(t *testing.T) {
	for _, c := range []struct {
		name  string
		args  []string
		stage bool
	}{
		{"what is staged", nil, true},
		{"commit -a", []string{"-a"}, false},
		{"commit -- FILE", []string{"--", "a.go"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t)
			g.commit("a.go", "package a\n", "b.go", "package a\n")
			git := g.gitHook("pre-commit")
			commit := append([]string{"commit", "-qm", "x"}, c.args...)
			change := func(text string) {
				g.write("a.go", text)
				if c.stage {
					g.git("add", "a.go")
				}
			}
			change(defective)
			ok, out := git(commit...)
			assert.False(t, ok, out)
			assert.Contains(t, out, "exai review: changes required")
			assert.Contains(t, out, "high a.go:3 Divides by zero")
			assert.Contains(t, out, "git commit --no-verify")
			assert.NotContains(t, out, "rm -rf", "never the model's fix")
			change("package a\n\n// fixed\n")
			ok, out = git(commit...)
			assert.True(t, ok, out)
			assert.Contains(t, out, "exai review: pass")
		})
	}
	t.Run("what is not committed is not judged", func(t *testing.T) {
		g := newGate(t)
		g.commit("a.go", "package a\n", "b.go", "package a\n")
		git := g.gitHook("pre-commit")
		g.write("a.go", defective)
		g.write("b.go", "package a\n\n// ok\n")
		ok, out := git("commit", "-qm", "x", "--", "b.go")
		assert.True(t, ok, out)
		assert.NotContains(t, g.lastRequest(), "PLANTED")
	})
	t.Run("the first commit", func(t *testing.T) {
		g := newGate(t)
		git := g.gitHook("pre-commit")
		g.write("a.go", defective)
		g.git("add", "-A")
		ok, out := git("commit", "-qm", "x")
		assert.False(t, ok, out)
	})
	t.Run("an unchanged diff is let go with its findings, without a request", func(t *testing.T) {
		g := newGate(t)
		g.commit("a.go", "package a\n")
		git := g.gitHook("pre-commit")
		g.write("a.go", defective)
		ok, _ := git("commit", "-qam", "x")
		assert.False(t, ok)
		before := len(g.vendors.Requests())
		ok, out := git("commit", "-qam", "x")
		assert.True(t, ok, out)
		assert.Contains(t, out, "high a.go:3 Divides by zero")
		assert.Len(t, g.vendors.Requests(), before)
	})
	t.Run("an index outside the repository is not read", func(t *testing.T) {
		g := newGate(t)
		g.commit("a.go", "package a\n")
		g.write("a.go", defective)
		g.git("add", "a.go")
		index, err := os.ReadFile(filepath.Join(g.repo, ".git", "index"))
		require.NoError(t, err)
		g.git("reset", "-q", "--hard")
		outside := filepath.Join(t.TempDir(), "index")
		require.NoError(t, os.WriteFile(outside, index, 0o600))
		g.environ = append(g.environ, "GIT_INDEX_FILE="+outside)
		before := len(g.vendors.Requests())
		code, out, errs := g.run("", "review", "--hook", "pre-commit")
		assert.Equal(t, 0, code, out+errs)
		assert.Len(t, g.vendors.Requests(), before, out+errs)
		assert.NotContains(t, out+errs, "Divides by zero")
	})
	t.Run("a linked work tree", func(t *testing.T) {
		g := newGate(t)
		g.commit("a.go", "package a\n")
		linked := filepath.Join(filepath.Dir(g.repo), "linked")
		git := g.gitHook("pre-commit")
		g.git("worktree", "add", "-q", linked)
		require.NoError(t, os.WriteFile(filepath.Join(linked, "a.go"), []byte(defective), 0o600))
		ok, out := git("-C", linked, "commit", "-qam", "x")
		assert.False(t, ok, out)
		assert.Contains(t, out, "high a.go:3 Divides by zero")
	})
}

func TestPrePushHook(t *testing.T) {
	g := newGate(t)
	bare := filepath.Join(filepath.Dir(g.repo), "bare")
	gittest.Run(t, filepath.Dir(g.repo), "init", "-q", "--bare", "-b", "main", bare)
	g.git("remote", "add", "origin", bare)
	g.commit("b.go", "package a\n")
	git := g.gitHook("pre-push")
	ok, out := git("push", "origin", "main")
	assert.True(t, ok, out)
	assert.Contains(t, out, "not reviewed: there is no default branch of origin to compare refs/heads/main with", "its first push is not compared with itself")

	g.commit("c.go", "package a\n")
	ok, out = git("push", "origin", "main")
	assert.True(t, ok, out)
	assert.Contains(t, out, "exai review: pass")

	g.git("switch", "-qc", "side")
	g.commit("a.go", defective)
	ok, out = git("push", "origin", "side")
	assert.False(t, ok, "a new branch is compared with its merge base with the default branch: "+out)
	assert.Contains(t, out, "high a.go:3 Divides by zero")
	assert.Contains(t, out, "git push --no-verify")
	assert.NotContains(t, g.lastRequest(), "c.go", "what the default branch has is not the branch's")

	g.git("switch", "-q", "main")
	ok, out = git("push", "origin", "main")
	assert.True(t, ok, "nothing to push: "+out)
	ok, out = git("push", "origin", ":refs/heads/nope")
	assert.NotContains(t, out, "not reviewed", "a deleted ref is skipped")
	_ = ok

	g.git("push", "-q", "--no-verify", "origin", "side")
	g.git("switch", "-q", "side")
	g.commit("d.go", "package a\n")
	ok, out = git("push", "origin", "side")
	assert.True(t, ok, "what the remote has is not judged again: "+out)
	assert.Contains(t, out, "exai review: pass")
}

// Several refs: what they share is judged once, and one that can't be compared lets no other through.
func TestPrePushOfSeveralRefs(t *testing.T) {
	g := newGate(t)
	bare := filepath.Join(filepath.Dir(g.repo), "bare")
	gittest.Run(t, filepath.Dir(g.repo), "init", "-q", "--bare", "-b", "main", bare)
	g.git("remote", "add", "origin", bare)
	g.commit("b.go", "package a\n")
	git := g.gitHook("pre-push")
	ok, out := git("push", "origin", "HEAD:main")
	assert.True(t, ok, out)
	assert.Contains(t, out, "not reviewed: there is no default branch of origin to compare HEAD with", "not compared with itself either")

	g.git("switch", "-qc", "side")
	g.commit("a.go", defective)
	g.git("tag", "v1")
	g.git("tag", "file", "HEAD:a.go")
	before := len(g.vendors.Requests())
	ok, out = git("push", "origin", "side", "v1", "file")
	assert.False(t, ok, out)
	assert.Len(t, g.vendors.Requests(), before+1)
	assert.Equal(t, 1, strings.Count(out, "high a.go:3 Divides by zero"), out)
	assert.Contains(t, out, "not reviewed: refs/tags/file names no commit\nexai review: changes required")
	ok, out = git("push", "origin", "file")
	assert.True(t, ok, out)
	assert.Contains(t, out, "not reviewed: refs/tags/file names no commit")
	assert.Len(t, g.vendors.Requests(), before+1)
}

// The pre-commit framework gives the hook no refs on stdin.
func TestPrePushUnderPreCommit(t *testing.T) {
	g := newGate(t)
	g.commit("b.go", "package a\n")
	from := g.head()
	g.git("switch", "-qc", "side")
	g.commit("a.go", defective)
	g.environ = append(g.environ, "PRE_COMMIT=1", "PRE_COMMIT_REMOTE_NAME=origin")
	plain := g.environ

	g.environ = append(plain[:len(plain):len(plain)], "PRE_COMMIT_FROM_REF="+from, "PRE_COMMIT_TO_REF="+g.head())
	code, out, errs := g.run("", "review", "--hook", "pre-push")
	assert.Equal(t, 1, code, out+errs)
	assert.Contains(t, out, "high a.go:3 Divides by zero")

	g.environ = plain // the first push of a branch
	g.commit("c.go", "package a\n")
	code, out, errs = g.run("", "review", "--hook", "pre-push")
	assert.Equal(t, 1, code, out+errs)
	assert.Contains(t, out, "high a.go:3 Divides by zero")

	g.git("update-ref", "refs/remotes/upstream/main", "HEAD") // of the remote that it names
	g.environ[slices.Index(g.environ, "PRE_COMMIT_REMOTE_NAME=origin")] = "PRE_COMMIT_REMOTE_NAME=upstream"
	code, out, errs = g.run("", "review", "--hook", "pre-push")
	assert.Equal(t, 0, code, out+errs)
	assert.Contains(t, out, "nothing to review: HEAD (")
	assert.Contains(t, out, "upstream/main")
}

func (g *gate) head() string {
	g.t.Helper()
	cmd := exec.Command("git", "rev-parse", "HEAD")
	cmd.Dir = g.repo
	out, err := cmd.Output()
	require.NoError(g.t, err)
	return strings.TrimSpace(string(out))
}

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// gate is a site with a repository, whose reviewer finds the lines with PLANTED.
type gate struct {
	*site
	repo string
}

const defective = "package a\n\nfunc F(a, b int) int { return a / b } // PLANTED\n"

func newGate(t *testing.T, settings ...string) *gate {
	g := &gate{site: newSite(t, append([]string{"LOG_LEVEL=error"}, settings...)...), repo: filepath.Join(t.TempDir(), "repo")}
	g.judge(`{"summary":"s","findings":[{"severity":"high","file":"a.go","line":3,"title":"Divides by zero",` +
		`"quote":"func F(a, b int) int { return a / b } // PLANTED","trigger":"b is 0","recommendation":"Check b.","fix":"rm -rf /"}]}`)
	require.NoError(t, os.MkdirAll(g.repo, 0o755))
	g.git("init", "-q", "-b", "main")
	g.git("config", "user.email", "a@example.com")
	g.git("config", "user.name", "a")
	t.Chdir(g.repo)
	return g
}

// judge has the reviewer answer this where it is shown a line with PLANTED, and find nothing elsewhere.
func (g *gate) judge(answer string) {
	g.vendors.Always(emulator.Match{}, func(r emulator.Request) emulator.Reply {
		if strings.Contains(r.Chat.Text(), "// PLANTED") {
			return emulator.Say(answer)
		}
		return emulator.Say(`{"summary":"fine","findings":[]}`)
	})
}

func (g *gate) git(args ...string) {
	g.t.Helper()
	gittest.Run(g.t, g.repo, args...)
}

func (g *gate) write(name, text string) {
	g.t.Helper()
	path := filepath.Join(g.repo, name)
	require.NoError(g.t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(g.t, os.WriteFile(path, []byte(text), 0o600))
}

// commit commits files as they are given, by name and text.
func (g *gate) commit(files ...string) {
	g.t.Helper()
	for i := 0; i < len(files); i += 2 {
		g.write(files[i], files[i+1])
	}
	g.git("add", "-A")
	g.git("commit", "-qm", "more")
}

// review runs the command, and returns how many requests it made besides.
func (g *gate) review(args ...string) (code int, out, errs string, asked int) {
	g.t.Helper()
	before := len(g.vendors.Requests())
	code, out, errs = g.run("", append([]string{"review"}, args...)...)
	return code, out, errs, len(g.vendors.Requests()) - before
}

// What is compared with what, and what the command exits with.
func TestReviewTargets(t *testing.T) {
	for _, c := range []struct {
		name  string
		setup func(g *gate)
		args  []string
		code  int
		says  string // on stdout or stderr
		asked bool
	}{
		{"a defect is uncommitted", func(g *gate) { g.commit("a.go", "package a\n"); g.write("a.go", defective) }, nil, 1, "changes required (1 high)", true},
		{"in an untracked file", func(g *gate) { g.commit("b.go", "package a\n"); g.write("a.go", defective) }, nil, 1, "with HEAD (", true},
		{"a harmless change", func(g *gate) { g.commit("a.go", "package a\n"); g.write("a.go", "package a\n\n// ok\n") }, nil, 0, "Verdict: pass", true},
		{"nothing but main", func(g *gate) { g.commit("a.go", defective) }, nil, 0, "Nothing to review\nCompared: HEAD (", false},
		{"a branch", func(g *gate) {
			g.commit("b.go", "package a\n")
			g.git("switch", "-qc", "side")
			g.commit("a.go", defective)
		}, nil, 1, "with its merge base with main (", true},
		{"a branch and its upstream", func(g *gate) {
			g.commit("b.go", "package a\n")
			g.git("switch", "-qc", "side", "--track", "main")
			g.commit("a.go", defective)
		}, nil, 1, "with its merge base with @{upstream} (", true},
		{"a base", func(g *gate) {
			g.commit("b.go", "package a\n")
			g.commit("a.go", defective)
			g.git("tag", "v2")
			g.commit("c.go", "package a\n")
		}, []string{"--base", "v2"}, 0, "with its merge base with v2 (", true},
		{"an unknown base", func(g *gate) { g.commit("a.go", "package a\n") }, []string{"--base", "nope"}, 3, `"nope" names no commit`, false},
		{"a commit", func(g *gate) {
			g.commit("b.go", "package a\n")
			g.commit("a.go", defective)
			g.commit("a.go", "package a\n")
		}, []string{"--commit", "HEAD~1"}, 1, "with its parent ", true},
		{"the first commit", func(g *gate) { g.commit("a.go", defective) }, []string{"--commit", "HEAD"}, 1, "the empty tree, since it is the first commit", true},
		{"staged alone", func(g *gate) {
			g.commit("a.go", "package a\n", "b.go", "package a\n")
			g.write("b.go", "package a\n\n// ok\n")
			g.git("add", "b.go")
			g.write("a.go", defective)
		}, []string{"--staged"}, 0, "what is staged with HEAD (", true},
		{"nothing staged", func(g *gate) { g.commit("a.go", "package a\n"); g.write("a.go", defective) }, []string{"--staged"}, 0, "Nothing to review", false},
		{"no commit yet", func(g *gate) { g.write("a.go", defective) }, nil, 1, "with the empty tree", true},
		{"an empty repository", func(g *gate) {}, nil, 0, "Nothing to review\nCompared: the index and untracked files with the empty tree", false},
		{"a detached head", func(g *gate) { g.commit("a.go", defective); g.git("switch", "-q", "--detach") }, nil, 3, "HEAD is detached; name what to compare with: --base REF", false},
		{"a detached head with a base", func(g *gate) {
			g.commit("b.go", "package a\n")
			g.git("switch", "-q", "--detach")
			g.commit("a.go", defective)
		}, []string{"--base", "main"}, 1, "HEAD (", true},
		{"no branch to compare with", func(g *gate) { g.commit("a.go", "package a\n"); g.git("branch", "-m", "other") }, nil, 3, "none of @{upstream}, origin/HEAD", false},
		{"unrelated histories", func(g *gate) {
			g.commit("a.go", "package a\n")
			g.git("switch", "-q", "--orphan", "alone")
			g.commit("b.go", "package b\n")
		}, nil, 3, "HEAD and main have no common commit", false},
		{"a lock file alone", func(g *gate) { g.commit("go.sum", "a v1 h1:x=\n"); g.write("go.sum", "a v2 h1:y=\n") }, nil, 0, "go.sum (lock file)", false},
		{"a branch of origin's", func(g *gate) {
			g.commit("b.go", "package a\n")
			g.git("update-ref", "refs/remotes/origin/trunk", "HEAD")
			g.git("symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/trunk")
			g.commit("a.go", defective)
		}, nil, 1, "with its merge base with origin/HEAD (", true},
		{"a branch before main", func(g *gate) {
			g.commit("b.go", "package a\n")
			g.git("update-ref", "refs/remotes/origin/master", "HEAD")
			g.commit("a.go", defective)
		}, nil, 1, "with its merge base with origin/master (", true},
		{"a merge", func(g *gate) {
			g.commit("b.go", "package a\n")
			g.git("switch", "-qc", "side")
			g.commit("a.go", defective)
			g.git("switch", "-q", "main")
			g.commit("c.go", "package a\n")
			g.git("merge", "-q", "--no-ff", "-m", "merge", "side")
		}, []string{"--commit", "HEAD"}, 1, "with its parent ", true},
		{"a file", func(g *gate) { g.commit("a.go", defective) }, []string{"a.go"}, 1, "these files are reviewed whole: a.go", true},
		{"a file that is missing", func(g *gate) { g.commit("a.go", defective) }, []string{"nope.go"}, 3, "nope.go", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t)
			c.setup(g)
			code, out, errs, asked := g.review(c.args...)
			assert.Equal(t, c.code, code, out+errs)
			assert.Contains(t, out+errs, c.says)
			assert.Equal(t, c.asked, asked > 0, "%d requests", asked)
		})
	}
}

// Clones, linked work trees, submodules and subfolders.
func TestReviewWorkTrees(t *testing.T) {
	g := newGate(t)
	g.commit("b.go", "package a\n", "sub/c.go", "package sub\n")
	g.git("switch", "-qc", "side")
	g.commit("a.go", defective)

	t.Run("a shallow clone", func(t *testing.T) {
		clone := filepath.Join(filepath.Dir(g.repo), "shallow")
		gittest.Run(t, filepath.Dir(g.repo), "clone", "-q", "--depth", "1", "--no-single-branch", "file://"+g.repo, clone)
		t.Chdir(clone)
		code, _, errs, asked := g.review("--base", "origin/main")
		assert.Equal(t, 3, code)
		assert.Contains(t, errs, "fetch with depth 0")
		for _, commit := range []string{"HEAD", "HEAD~1"} {
			code, _, errs, _ = g.review("--commit", commit)
			assert.Equal(t, 3, code)
			assert.Contains(t, errs, "fetch with depth 0", commit)
		}
		assert.Zero(t, asked)
	})
	t.Run("a clone", func(t *testing.T) {
		clone := filepath.Join(filepath.Dir(g.repo), "clone")
		gittest.Run(t, filepath.Dir(g.repo), "clone", "-q", g.repo, clone)
		t.Chdir(clone)
		code, out, errs, _ := g.review("--base", "origin/main")
		assert.Equal(t, 1, code, out+errs)
	})
	t.Run("a linked work tree", func(t *testing.T) {
		linked := filepath.Join(filepath.Dir(g.repo), "linked")
		g.git("worktree", "add", "-q", linked, "main")
		t.Chdir(linked)
		require.NoError(t, os.WriteFile("a.go", []byte(defective), 0o600))
		code, out, errs, _ := g.review()
		assert.Equal(t, 1, code, out+errs)
		assert.Contains(t, out, "high      a.go:3")
	})
	t.Run("a subfolder sees the whole work tree", func(t *testing.T) {
		g.write("a.go", defective+"\n// more\n")
		t.Chdir(filepath.Join(g.repo, "sub"))
		code, out, errs, _ := g.review()
		assert.Equal(t, 1, code, out+errs)
		g.write("a.go", defective)
	})
	t.Run("a submodule is its pointer", func(t *testing.T) {
		module := filepath.Join(filepath.Dir(g.repo), "module")
		require.NoError(t, os.Mkdir(module, 0o755))
		gittest.Run(t, module, "init", "-q", "-b", "main")
		require.NoError(t, os.WriteFile(filepath.Join(module, "a.go"), []byte("package a\n"), 0o600))
		gittest.Run(t, module, "add", "-A")
		gittest.Run(t, module, "-c", "user.email=a@example.com", "-c", "user.name=a", "commit", "-qm", "first")
		g.git("-c", "protocol.file.allow=always", "submodule", "add", "-q", module, "mod")
		g.git("commit", "-qm", "module")
		inside := filepath.Join(g.repo, "mod")
		require.NoError(t, os.WriteFile(filepath.Join(inside, "a.go"), []byte(defective), 0o600))
		g.write("b.go", "package a\n\n// ok\n")
		code, out, errs, _ := g.review()
		assert.Equal(t, 0, code, "its inside is not reviewed here: "+out+errs)
		t.Chdir(inside)
		code, out, errs, _ = g.review()
		assert.Equal(t, 1, code, out+errs)
	})
}

// What keeps a review from an answer, and what is no answer to judge.
func TestReviewExitCodes(t *testing.T) {
	for _, c := range []struct {
		name     string
		settings []string
		answer   *emulator.Reply
		args     []string
		code     int
		says     string
	}{
		{"no key", []string{"GLM_API_KEY=", "KIMI_API_KEY="}, nil, nil, 3, "not reviewed: "},
		{"a refused key", []string{"GLM_API_KEY=wrong0key.notasecret", "KIMI_API_KEY="}, nil, nil, 3, "not reviewed: "},
		{"the vendor is down", []string{"GLM_API_URL=http://127.0.0.1:9/v4", "KIMI_API_KEY=", "MAX_RETRIES=0"}, nil, nil, 3, "not reviewed: "},
		{"a bad setting", []string{"GLM_TIMEOUT_SECS=soon"}, nil, nil, 3, "GLM_TIMEOUT_SECS"},
		{"an unknown model", nil, nil, []string{"--model", "gpt-9"}, 3, "gpt-9"},
		{"prose", nil, new(emulator.Say("Looks good to me.")), nil, 2, "not in the requested form"},
		{"prose, and strict", nil, new(emulator.Say("Looks good to me.")), []string{"--fail-on", "medium,inconclusive"}, 1, "not in the requested form"},
		{"half an answer", nil, new(emulator.Say("{\"findings\":[", "x", "y").With(emulator.DropAfter(3))), nil, 2, "inconclusive"},
		{"below the threshold", nil, nil, []string{"--fail-on", "critical"}, 0, "Verdict: pass (1 high)"},
		{"no threshold", nil, nil, []string{"--fail-on", "severe"}, 3, `--fail-on "severe": expected critical, high, medium or low`},
		{"no format", nil, nil, []string{"--format", "xml"}, 3, `--format "xml": expected one of text, json`},
		{"two targets", nil, nil, []string{"--staged", "--base", "main"}, 3, "give one of"},
		{"no hook", nil, nil, []string{"--hook", "stop"}, 3, `unknown hook "stop"`},
		{"a hook with a format", nil, nil, []string{"--hook", "pre-commit", "--format", "json"}, 3, "has a format of its own"},
		{"an output that can't be written", nil, nil, []string{"--output", "/nonexistent/x.txt"}, 3, "write the report"},
		{"an unknown flag", nil, nil, []string{"--nope"}, 3, "unknown flag: --nope"},
		{"over the budget", nil, nil, []string{"--max-cost", "0.0000001"}, 3, "not reviewed: --max-cost=1e-07 does not"},
		{"over the budget, and what to do", nil, nil, []string{"--max-cost", "0.0000001"}, 3, "or raise --max-cost."},
		{"no number as a limit", nil, nil, []string{"--max-cost", "nan"}, 3, "--max-cost NaN: expected an amount from 0"},
		{"an empty name", nil, nil, []string{""}, 3, "the name of a FILE is empty"},
		{"a report of what is not sent", nil, nil, []string{"--dry-run", "--output", "x"}, 3, "--dry-run makes no report"},
		{"a format of what is not sent", nil, nil, []string{"--dry-run", "--format", "sarif"}, 3, "--dry-run makes no report"},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t, c.settings...)
			g.commit("a.go", "package a\n")
			g.write("a.go", defective)
			if c.answer != nil {
				g.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply { return *c.answer })
			}
			code, out, errs, _ := g.review(c.args...)
			assert.Equal(t, c.code, code, out+errs)
			assert.Contains(t, out+errs, c.says)
		})
	}
}

// --timeout is the limit of the whole review: what has no verdict by then is inconclusive.
// A repository that is refused is refused with what to do.
func TestReviewOfARefusedRepository(t *testing.T) {
	g := newGate(t)
	require.NoError(t, os.WriteFile(filepath.Join(g.repo, ".git", "objects", "info", "alternates"), []byte(t.TempDir()+"\n"), 0o600))
	code, _, errs := g.run("", "review")
	assert.Equal(t, 3, code, errs)
	assert.Contains(t, errs, "alternates\" leads out of the folders that may be read. Add the folder that it leads to to EXAI_ALLOWED_ROOTS")
}

func TestReviewTimeout(t *testing.T) {
	g := newGate(t)
	g.commit("a.go", "package a\n")
	g.write("a.go", defective)
	for name, reply := range map[string]emulator.Reply{
		"no event":     emulator.Fail(emulator.NeverAnswer()),
		"half a reply": emulator.Say(`{"findings":[`, "x").With(emulator.StallAfter(3)),
	} {
		t.Run(name, func(t *testing.T) {
			g.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply { return reply })
			start := time.Now()
			code, out, errs, _ := g.review("--timeout", scaled(2*time.Second).String())
			assert.Equal(t, 2, code, out+errs)
			assert.Contains(t, out+errs, "inconclusive")
			assert.NotContains(t, out+errs, "the server's environment", "--timeout is none of its settings")
			assert.Less(t, time.Since(start), scaled(5*time.Second))
		})
	}
	g.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply {
		return emulator.Say(strings.Split(`{"findings":[]}`, "")...).Every(scaled(150 * time.Millisecond))
	})
	g.environ = append(g.environ, limits("EXPERT_ANALYSIS_TIMEOUT_SECS=1", "SIMPLE_TOOL_TIMEOUT_SECS=1", "WORKFLOW_TOOL_TIMEOUT_SECS=1", "GLM_TIMEOUT_SECS=1", "KIMI_TIMEOUT_SECS=1")...)
	code, out, errs, _ := g.review()
	assert.Equal(t, 0, code, "the limits of calls do not count: "+out+errs)
}

// A project under review has no say in its review.
func TestReviewReadsNoProjectSettings(t *testing.T) {
	theirs, err := emulator.Start()
	require.NoError(t, err)
	defer theirs.Close()
	g := newGate(t, "GLM_API_KEY=", "KIMI_API_KEY=")
	g.write(".env", "GLM_API_KEY="+theirs.Key(emulator.GLM)+"\nGLM_API_URL="+theirs.GLMURL()+"\n")
	g.write("a.go", defective)
	code, _, errs, _ := g.review()
	assert.Equal(t, 3, code, errs)
	assert.Empty(t, theirs.Requests())
}

func TestReviewOutput(t *testing.T) {
	g := newGate(t)
	g.commit("a.go", "package a\n")
	g.write("a.go", defective)
	file := filepath.Join(t.TempDir(), "out")
	for format, want := range map[string]string{
		"text": "high      a.go:3", "json": `"exit_code": 1`, "sarif": `"uri": "a.go"`, "github": "::error file=a.go,line=3,title=high%3A Divides by zero::", "gitlab": `"path": "a.go"`,
	} {
		code, out, errs, _ := g.review("--format", format)
		assert.Equal(t, 1, code, errs)
		assert.Contains(t, out, want, format)
		if format != "text" && format != "github" {
			assert.True(t, json.Valid([]byte(out)), format)
		}
		code, text, errs, _ := g.review("--format", format, "--output", file)
		assert.Equal(t, 1, code, errs)
		assert.Contains(t, text, "Verdict: changes required")
		written, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Contains(t, string(written), want, format)
		require.NoError(t, os.Remove(file))
	}
	g.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply { return emulator.Say("prose") })
	for _, format := range []string{"sarif", "gitlab"} {
		code, _, errs, _ := g.review("--format", format, "--output", file)
		assert.Equal(t, 2, code)
		assert.Contains(t, errs, "no "+format+" report is written")
		assert.NoFileExists(t, file, "an empty report would close the findings of earlier ones")
	}
}

// A dry run says what a review would send and cost, for people or as JSON, and sends nothing.
func TestReviewDryRun(t *testing.T) {
	g := newGate(t)
	g.commit("a.go", "package a\n")
	code, out, errs, asked := g.review("--dry-run")
	assert.Equal(t, 0, code, errs)
	assert.Contains(t, out, "Nothing to review\nCompared: HEAD (")
	assert.Zero(t, asked)
	g.write("a.go", defective)
	g.environ = append(g.environ, "COLUMNS=80")
	code, out, errs, asked = g.review("--dry-run")
	assert.Equal(t, 0, code, errs)
	assert.Zero(t, asked)
	assert.Regexp(t, `(?s)^Compared: what is uncommitted, .*\nNothing was sent. This call would send about \d+ tokens in 1 request; it would\ncost about `, out)
	assert.Regexp(t, `\nmodel +vendor +thinking +tokens +expected USD +at most USD\nglm-5.3 +glm +`, out)
	assert.Regexp(t, `\nfile or diff +bytes +tokens\n`, out)
	assert.Contains(t, out, "a.go")
	for _, flags := range [][]string{{"--dry-run", "--json"}, {"--dry-run", "--format", "json"}} {
		code, out, errs, asked = g.review(flags...)
		assert.Equal(t, 0, code, errs)
		assert.Zero(t, asked)
		var preview struct{ Status string }
		require.NoError(t, json.Unmarshal([]byte(out), &preview), out)
		assert.Equal(t, "preview", preview.Status)
	}
	code, out, errs, _ = g.review("--json")
	assert.Equal(t, 1, code, errs)
	assert.Contains(t, out, `"exit_code": 1`)
	code, _, errs, _ = g.review("--json", "--format", "sarif")
	assert.Equal(t, 3, code)
	assert.Contains(t, errs, "give --json or --format sarif, not both")

	before := len(g.vendors.Requests())
	code, out, errs = g.run("", "ask", "--dry-run", "-f", "a.go", "Why?")
	assert.Equal(t, exitOK, code, errs)
	assert.Regexp(t, `^Nothing was sent\. `, out)
	assert.Regexp(t, `\nglm-5.3-flash +glm +`, out)
	assert.Len(t, g.vendors.Requests(), before)
}

// What is staged is reviewed as it is in the index, and every staged file counts as covered or not.
func TestReviewStagedCoverage(t *testing.T) {
	g := newGate(t)
	g.commit("a.go", "package a\n", "b.go", "package a\n", "big.txt", "x\n")
	g.write("a.go", defective)
	g.write("c.go", "package a\n\n// new\n")
	g.git("add", "a.go", "c.go")
	g.write("a.go", "package a\n") // the defect is in the index alone
	g.write("b.go", defective)     // and this one is not staged
	code, out, errs, _ := g.review("--staged", "--json")
	assert.Equal(t, 1, code, errs)
	var report struct {
		Coverage []struct{ File, How string }
		Findings []struct{ File, Citation string }
	}
	require.NoError(t, json.Unmarshal([]byte(out), &report), out)
	covered := map[string]string{}
	for _, c := range report.Coverage {
		covered[filepath.Base(c.File)] = c.How
	}
	assert.Equal(t, map[string]string{"a.go": "diff", "c.go": "whole"}, covered)
	require.Len(t, report.Findings, 1)
	assert.Equal(t, "verified", report.Findings[0].Citation, "the quote is of the index")

	// A staged file that no model can take whole leaves the review inconclusive.
	g.git("reset", "-q", "--hard")
	g.write("big.txt", strings.Repeat("a line of a file that is far too long for any model\n", 400_000))
	g.git("add", "big.txt")
	code, out, errs, _ = g.review("--staged")
	assert.Equal(t, 2, code, out+errs)
	assert.Contains(t, out, "big.txt")
}

// A person reads what went wrong once, as a sentence and not as a line of a log.
func TestReviewFailureIsSaidOnce(t *testing.T) {
	g := newGate(t, "LOG_LEVEL=")
	outside := filepath.Join(t.TempDir(), "a.go")
	require.NoError(t, os.WriteFile(outside, []byte("package a\n"), 0o600))
	code, out, errs, _ := g.review(outside)
	assert.Equal(t, 3, code, out)
	assert.Regexp(t, `^exai-mcp: not reviewed: "[^"]*a\.go" lies outside the folders that may be read\.[^\n]*\n$`, errs)
}

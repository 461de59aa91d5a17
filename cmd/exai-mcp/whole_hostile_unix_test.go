//go:build unix

package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// gitIn runs git as a user would and returns its output.
func (f *guardedSite) gitIn(dir string, args ...string) string {
	f.site.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=a", "-c", "user.email=a@example.org"}, args...)...)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + f.dir, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull}
	out, err := cmd.CombinedOutput()
	require.NoError(f.site.t, err, "git %v: %s", args, out)
	return strings.TrimSpace(string(out))
}

// repository makes a repository with one commit.
func (f *guardedSite) repository(name, file, text string) string {
	f.site.t.Helper()
	dir := filepath.Join(f.dir, name)
	require.NoError(f.site.t, os.MkdirAll(dir, 0o755))
	f.gitIn(dir, "init", "-q", "-b", "main")
	f.file(name+"/"+file, text)
	f.gitIn(dir, "add", "-f", ".")
	f.gitIn(dir, "commit", "-q", "-m", "first")
	return dir
}

// replaceWithLink puts a link in the place of a part of a repository.
func replaceWithLink(t *testing.T, name, target string) {
	t.Helper()
	require.NoError(t, os.RemoveAll(name))
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.Symlink(target, name))
}

func put(t *testing.T, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o755))
}

// A hostile project's file names are names: none is an option, a path to elsewhere or a line of a prompt.
func TestHostileNames(t *testing.T) {
	f := newGuardedSite(t)
	written := filepath.Join(f.dir, "written")
	names := []string{
		"--output=" + strings.ReplaceAll(written, "/", "_"), "-O", "--ext-diff", "..\\outside\\secret.txt", "a\nb.txt", "$(touch written)", "`touch written`", "x; touch written",
		"%2e%2e", "~", "file:", "a.txt:1", "\"quoted\"", "tab\t.txt", "\u202ecod.exe", " ", "*", ":(top)a", "HEAD", "C:\\x",
		"\x1b[31mred.txt", "\x1b]0;title\x07.txt", "\u2066iso\u2069.txt", "\u009b2J.txt", "-", "--", "-rf",
	}
	top := f.repository("project/named", "a.txt", "one\n")
	for _, name := range names {
		put(t, filepath.Join(top, name), welcome+" in "+strings.ToValidUTF8(name, "?")+"\n")
	}
	f.gitIn(top, "add", "-A", ".")
	for name, target := range map[string]string{"zero": "/dev/zero", "environ": "/proc/self/environ", "out": f.dir + "/outside/secret.txt", "loop": "loop"} {
		replaceWithLink(t, filepath.Join(top, name), target)
	}
	require.NoError(t, syscall.Mkfifo(filepath.Join(top, "pipe.txt"), 0o644))
	put(t, filepath.Join(top, "huge.txt"), "")
	require.NoError(t, os.Truncate(filepath.Join(top, "huge.txt"), 20<<30))
	before := f.gitIn(top, "status", "--porcelain")
	f.traffic.forget()
	for _, args := range []object{{"path": top}, {"path": top, "compare_to": "HEAD"}} {
		args["step"], args["step_number"], args["total_steps"], args["next_step_required"], args["findings"] = "Review.", 1, 1, false, "none"
		r := f.call("precommit", args)
		assert.NotEqual(t, "error", r.str("status"), r.text)
	}
	for _, name := range names {
		r := f.call("chat", object{"prompt": "Look.", "files": []string{filepath.Join(top, name)}})
		assert.NotContains(t, r.text, planted, name)
	}
	r := f.call("chat", object{"prompt": "Look.", "files": []string{top}})
	assert.NotEqual(t, "error", r.str("status"), r.text)
	t.Chdir(top)
	f.vendors.Always(emulator.Match{}, func(r emulator.Request) emulator.Reply { // a finding in each file
		var findings []string
		for _, name := range names {
			quoted, err := json.Marshal(name)
			require.NoError(t, err)
			findings = append(findings, `{"severity":"high","file":`+string(quoted)+`,"line":1,"title":`+string(quoted)+`,"quote":"`+welcome+`"}`)
		}
		return emulator.Say(`{"findings":[` + strings.Join(findings, ",") + `]}`)
	})
	for _, args := range [][]string{{"review"}, {"review", "--format", "github"}, {"review", "--hook", "pre-commit"}, {"issues", "list"}, {"conversations", "list"}} {
		_, out, errs := f.run("", args...)
		for _, raw := range []string{"\x1b", "\x07", "\u202e", "\u2066", "\u009b"} {
			assert.NotContains(t, out+errs, raw, "%v", args)
		}
	}
	assert.False(t, f.traffic.contains(planted))
	assert.True(t, f.traffic.contains(welcome))
	assert.Equal(t, before, f.gitIn(top, "status", "--porcelain"), "nothing was written")
	for _, made := range []string{"written", "project/written", "project/named/written"} {
		assert.NoFileExists(t, filepath.Join(f.dir, made))
	}
}

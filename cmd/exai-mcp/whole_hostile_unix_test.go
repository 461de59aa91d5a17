//go:build unix

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
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

// A hostile project's .git can make the server neither read another repository, nor run, nor write anything.
func TestHostileGitFolders(t *testing.T) {
	f := newGuardedSite(t)
	private := f.repository("outside/private", "s.txt", planted+"\n")
	head := f.gitIn(private, "rev-parse", "HEAD")
	marker := filepath.Join(f.dir, "marker")
	program := f.file("outside/program", "#!/bin/sh\ntouch "+marker+"\n")
	require.NoError(t, os.Chmod(program, 0o755))
	config := func(text string) func(top string) {
		return func(top string) {
			had, err := os.ReadFile(top + "/.git/config")
			require.NoError(t, err)
			put(t, top+"/.git/config", string(had)+strings.ReplaceAll(text, "PROGRAM", program))
			put(t, top+"/.gitattributes", "* filter=x diff=x\n")
		}
	}
	for name, c := range map[string]struct {
		lay     func(top string)
		refused bool
	}{
		"alternates": {func(top string) {
			put(t, top+"/.git/objects/info/alternates", private+"/.git/objects\n")
			put(t, top+"/.git/refs/heads/main", head+"\n")
		}, true},
		"relative alternates": {func(top string) {
			put(t, top+"/.git/objects/info/alternates", "../../../../outside/private/.git/objects\n")
			put(t, top+"/.git/refs/heads/main", head+"\n")
		}, true},
		"a linked ref and alternates": {func(top string) {
			put(t, top+"/.git/objects/info/alternates", private+"/.git/objects\n")
			replaceWithLink(t, top+"/.git/refs/heads/p", private+"/.git/refs/heads/main")
			put(t, top+"/.git/HEAD", "ref: refs/heads/p\n")
		}, true},
		"linked objects": {func(top string) {
			replaceWithLink(t, top+"/.git/objects", private+"/.git/objects")
			put(t, top+"/.git/refs/heads/main", head+"\n")
		}, true},
		"each folder of objects": {func(top string) {
			folders, err := filepath.Glob(private + "/.git/objects/??")
			require.NoError(t, err)
			for _, folder := range folders {
				replaceWithLink(t, top+"/.git/objects/"+filepath.Base(folder), folder)
			}
			put(t, top+"/.git/refs/heads/main", head+"\n")
		}, true},
		"a .git file": {func(top string) {
			require.NoError(t, os.RemoveAll(top+"/.git"))
			put(t, top+"/.git", "gitdir: "+private+"/.git\n")
		}, true},
		"a linked .git":   {func(top string) { replaceWithLink(t, top+"/.git", private+"/.git") }, true},
		"commondir":       {func(top string) { put(t, top+"/.git/commondir", private+"/.git\n") }, true},
		"linked refs":     {func(top string) { replaceWithLink(t, top+"/.git/refs", private+"/.git/refs") }, true},
		"a linked HEAD":   {func(top string) { replaceWithLink(t, top+"/.git/HEAD", private+"/.git/HEAD") }, true},
		"a linked index":  {func(top string) { replaceWithLink(t, top+"/.git/index", private+"/.git/index") }, true},
		"core.worktree":   {config("[core]\nworktree = " + private + "\n"), false},
		"an include":      {config("[include]\npath = " + private + "/.git/config\n"), false},
		"a file monitor":  {config("[core]\nfsmonitor = PROGRAM\n"), false},
		"a filter":        {config("[filter \"x\"]\nclean = PROGRAM\nprocess = PROGRAM\nrequired = true\n"), false},
		"a diff driver":   {config("[diff \"x\"]\ncommand = PROGRAM\ntextconv = PROGRAM\n[diff]\nexternal = PROGRAM\n"), false},
		"hooks":           {func(top string) { put(t, top+"/.git/hooks/post-index-change", "#!/bin/sh\ntouch "+marker+"\n") }, false},
		"aliases, pagers": {config("[alias]\nstatus = !PROGRAM\ndiff = !PROGRAM\n[core]\npager = PROGRAM\nsshCommand = PROGRAM\n"), false},
	} {
		t.Run(name, func(t *testing.T) {
			where := "project/" + strings.Map(func(r rune) rune {
				if r == ' ' || r == ',' || r == '.' {
					return '_'
				}
				return r
			}, name)
			top := f.repository(where, "a.txt", "one\n")
			c.lay(top)
			put(t, top+"/a.txt", welcome+" changed\n")
			f.traffic.forget()
			for _, args := range []object{{"path": top}, {"path": top, "compare_to": "HEAD"}, {"path": top, "compare_to": "p"}} {
				args["step"] = "Review."
				args["step_number"], args["total_steps"], args["next_step_required"], args["findings"] = 1, 1, false, "none"
				r := f.call("precommit", args)
				assert.NotContains(t, r.text, planted)
				if c.refused {
					assert.Equal(t, "path_denied", r.errorCode(), r.text)
				} else if args["compare_to"] != "p" {
					assert.NotEqual(t, "error", r.str("status"), r.text)
				}
			}
			f.call("chat", object{"prompt": "Look.", "files": []string{top}})
			assert.False(t, f.traffic.contains(planted))
			assert.True(t, f.traffic.contains(welcome), "what is the project's own is shown")
			assert.NoFileExists(t, marker)
		})
	}
}

// A hostile project's file names are names: none is an option, a path to elsewhere or a line of a prompt.
func TestHostileNames(t *testing.T) {
	f := newGuardedSite(t)
	written := filepath.Join(f.dir, "written")
	names := []string{
		"--output=" + strings.ReplaceAll(written, "/", "_"), "-O", "--ext-diff", "..\\outside\\secret.txt", "a\nb.txt", "$(touch written)", "`touch written`", "x; touch written",
		"%2e%2e", "~", "file:", "a.txt:1", "\"quoted\"", "tab\t.txt", "\u202ecod.exe", " ", "*", ":(top)a", "HEAD", "C:\\x",
	}
	top := f.repository("project/named", "a.txt", "one\n")
	for _, name := range names {
		put(t, filepath.Join(top, name), welcome+" in "+strings.ToValidUTF8(name, "?")+"\n")
	}
	f.gitIn(top, "add", "-A", ".")
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
	assert.False(t, f.traffic.contains(planted))
	assert.True(t, f.traffic.contains(welcome))
	assert.Equal(t, before, f.gitIn(top, "status", "--porcelain"), "nothing was written")
	for _, made := range []string{"written", "project/written", "project/named/written"} {
		assert.NoFileExists(t, filepath.Join(f.dir, made))
	}
}

//go:build unix

package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/review"
)

// outsider is what a hostile repository must not reach.
type outsider struct {
	private string // somebody's repository outside of what is allowed
	head    string // its commit
	program string // what must not run
}

// What a call may do with a hostile repository.
const (
	denied   = "denied"   // path_denied
	served   = "served"   // an answer about the project's own files
	answered = "answered" // an answer or an error, soon
)

// hostileRepository is one way in which a project's .git, or what git reads of the project, can be hostile.
type hostileRepository struct {
	want string
	lay  func(t *testing.T, top string, v outsider)
}

// gitConfig adds to the repository's configuration; PROGRAM is what must not run. All files have its filter and driver.
func gitConfig(text string) func(t *testing.T, top string, v outsider) {
	return func(t *testing.T, top string, v outsider) {
		had, err := os.ReadFile(top + "/.git/config")
		require.NoError(t, err)
		put(t, top+"/.git/config", string(had)+strings.NewReplacer("PROGRAM", v.program, "PRIVATE", v.private).Replace(text))
		put(t, top+"/.gitattributes", "* filter=x diff=x\n")
	}
}

// withoutBlob is a partial clone whose remote is the program, and whose files' content is missing.
func withoutBlob(remote string) func(t *testing.T, top string, v outsider) {
	return func(t *testing.T, top string, v outsider) {
		gitConfig("[extensions]\npartialClone = origin\n[protocol]\nallow = always\n[remote \"origin\"]\npromisor = true\n"+remote)(t, top, v)
		for _, name := range must(filepath.Glob(top + "/.git/objects/??/*")) {
			if info, err := os.Stat(name); err == nil && info.Size() < 60 { // the blob, which is the smallest
				require.NoError(t, os.Remove(name))
			}
		}
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// linked puts a link to a part of the private repository in the place of the same part of the project's.
func linked(part string) hostileRepository {
	return hostileRepository{denied, func(t *testing.T, top string, v outsider) {
		replaceWithLink(t, filepath.Join(top, ".git", part), filepath.Join(v.private, ".git", part))
	}}
}

// fifo puts a FIFO, which nobody writes to, in the place of a file that git or the server reads.
func fifo(want, name string) hostileRepository {
	return hostileRepository{want, func(t *testing.T, top string, _ outsider) {
		require.NoError(t, os.RemoveAll(top+"/"+name))
		require.NoError(t, os.MkdirAll(filepath.Dir(top+"/"+name), 0o755))
		require.NoError(t, syscall.Mkfifo(top+"/"+name, 0o644))
	}}
}

// endless is a file that has no end.
func endless(want, name string) hostileRepository {
	return hostileRepository{want, func(t *testing.T, top string, _ outsider) { replaceWithLink(t, top+"/"+name, "/dev/zero") }}
}

func hostileRepositories() map[string]hostileRepository {
	own := func(t *testing.T, top string, v outsider) { put(t, top+"/.git/refs/heads/main", v.head+"\n") }
	return map[string]hostileRepository{
		"alternates": {denied, func(t *testing.T, top string, v outsider) {
			put(t, top+"/.git/objects/info/alternates", v.private+"/.git/objects\n")
			own(t, top, v)
		}},
		"relative alternates": {denied, func(t *testing.T, top string, v outsider) {
			put(t, top+"/.git/objects/info/alternates", "../../../../outside/private/.git/objects\n")
			own(t, top, v)
		}},
		"linked ref and alternates": {denied, func(t *testing.T, top string, v outsider) {
			put(t, top+"/.git/objects/info/alternates", v.private+"/.git/objects\n")
			replaceWithLink(t, top+"/.git/refs/heads/p", v.private+"/.git/refs/heads/main")
			put(t, top+"/.git/HEAD", "ref: refs/heads/p\n")
		}},
		"linked objects": {denied, func(t *testing.T, top string, v outsider) {
			replaceWithLink(t, top+"/.git/objects", v.private+"/.git/objects")
			own(t, top, v)
		}},
		"linked folders of objects": {denied, func(t *testing.T, top string, v outsider) {
			for _, folder := range must(filepath.Glob(v.private + "/.git/objects/??")) {
				replaceWithLink(t, top+"/.git/objects/"+filepath.Base(folder), folder)
			}
			own(t, top, v)
		}},
		"linked packs": linked("objects/pack"), "linked refs": linked("refs"), "linked HEAD": linked("HEAD"), "linked index": linked("index"),
		"linked packed refs": linked("packed-refs"), "linked config": linked("config"), "linked shallow": linked("shallow"),
		"linked grafts": linked("info/grafts"), "linked git folder": linked(""),
		"linked shared index": {denied, func(t *testing.T, top string, v outsider) {
			replaceWithLink(t, top+"/.git/sharedindex."+strings.Repeat("a", 40), v.private+"/.git/index")
		}},
		"git file": {denied, func(t *testing.T, top string, v outsider) {
			require.NoError(t, os.RemoveAll(top+"/.git"))
			put(t, top+"/.git", "gitdir: "+v.private+"/.git\n")
		}},
		"git file of a work tree": {denied, func(t *testing.T, top string, v outsider) { // it does not name this one as its own
			require.NoError(t, os.RemoveAll(top+"/.git"))
			put(t, v.private+"/.git/worktrees/w/commondir", "../..\n")
			put(t, v.private+"/.git/worktrees/w/HEAD", "ref: refs/heads/main\n")
			put(t, top+"/.git", "gitdir: "+v.private+"/.git/worktrees/w\n")
		}},
		"commondir": {denied, func(t *testing.T, top string, v outsider) { put(t, top+"/.git/commondir", v.private+"/.git\n") }},
		"grafts": {served, func(t *testing.T, top string, v outsider) {
			put(t, top+"/.git/info/grafts", strings.TrimSpace(string(must(os.ReadFile(top+"/.git/refs/heads/main"))))+" "+v.head+"\n")
		}},
		"replaced objects": {served, func(t *testing.T, top string, v outsider) {
			put(t, top+"/.git/refs/replace/"+strings.TrimSpace(string(must(os.ReadFile(top+"/.git/refs/heads/main")))), v.head+"\n")
		}},

		"work tree elsewhere": {served, gitConfig("[core]\nworktree = PRIVATE\n")},
		"included file":       {served, gitConfig("[include]\npath = PRIVATE/.git/config\n[includeIf \"gitdir:**\"]\npath = PRIVATE/.git/config\n")},
		"excludes elsewhere":  {served, gitConfig("[core]\nexcludesFile = PRIVATE/s.txt\nattributesFile = PRIVATE/s.txt\n")},
		"file monitor":        {served, gitConfig("[core]\nfsmonitor = PROGRAM\n")},
		"filter":              {served, gitConfig("[filter \"x\"]\nclean = PROGRAM\nsmudge = PROGRAM\nprocess = PROGRAM\nrequired = true\n")},
		"diff driver":         {served, gitConfig("[diff \"x\"]\ncommand = PROGRAM\ntextconv = PROGRAM\n[diff]\nexternal = PROGRAM\n")},
		"hooks": {served, func(t *testing.T, top string, v outsider) {
			for _, hook := range []string{"post-index-change", "reference-transaction", "fsmonitor-watchman", "pre-commit", "post-checkout"} {
				put(t, top+"/.git/hooks/"+hook, "#!/bin/sh\nexec "+v.program+"\n")
				put(t, top+"/hooks/"+hook, "#!/bin/sh\nexec "+v.program+"\n")
			}
			gitConfig("[core]\nhooksPath = "+top+"/hooks\n")(t, top, v)
		}},
		"aliases, pagers, helpers": {served, gitConfig("[alias]\nstatus = !PROGRAM\ndiff = !PROGRAM\nconfig = !PROGRAM\nrev-parse = !PROGRAM\n[core]\npager = PROGRAM\n" +
			"editor = PROGRAM\naskPass = PROGRAM\ngitProxy = PROGRAM\nsshCommand = PROGRAM\nalternateRefsCommand = PROGRAM\n[pager]\ndiff = PROGRAM\n" +
			"[credential]\nhelper = !PROGRAM\n[gpg]\nprogram = PROGRAM\n[log]\nshowSignature = true\n[uploadpack]\npackObjectsHook = PROGRAM\n")},
		"work tree's own config": {served, func(t *testing.T, top string, v outsider) {
			gitConfig("[extensions]\nworktreeConfig = true\n")(t, top, v)
			put(t, top+"/.git/config.worktree", "[core]\nfsmonitor = "+v.program+"\n")
		}},
		"lost objects by ssh":         {answered, withoutBlob("url = ssh://127.0.0.1/x\n[core]\nsshCommand = PROGRAM\n")},
		"lost objects by a program":   {answered, withoutBlob("url = ext::PROGRAM\n")},
		"lost objects by upload-pack": {answered, withoutBlob("url = /\nuploadpack = PROGRAM\n")},
		"submodule's config": {served, func(t *testing.T, top string, v outsider) {
			put(t, top+"/sub/s.txt", "sub\n")
			gitAt(t, top+"/sub", "init", "-q")
			gitAt(t, top+"/sub", "add", ".")
			gitAt(t, top+"/sub", "commit", "-q", "-m", "sub")
			gitAt(t, top, "add", "sub")
			put(t, top+"/sub/.git/config", "[core]\nrepositoryformatversion = 0\nfsmonitor = "+v.program+"\n")
		}},
		"submodule elsewhere": {served, func(t *testing.T, top string, v outsider) {
			put(t, top+"/.gitmodules", "[submodule \"x\"]\npath = ../../outside/private\nurl = "+v.private+"\nupdate = !"+v.program+"\n")
			put(t, top+"/sub/.git", "gitdir: "+v.private+"/.git\n")
			gitAt(t, top, "update-index", "--add", "--cacheinfo", "160000,"+v.head+",sub")
		}},
		"index that names files elsewhere": {served, func(t *testing.T, top string, v outsider) {
			require.NoError(t, os.MkdirAll(top+"/d", 0o755))
			put(t, top+"/d/s.txt", "x\n")
			gitAt(t, top, "add", "d/s.txt")
			replaceWithLink(t, top+"/d", v.private) // the index has d/s.txt, which now lies outside
		}},

		"FIFO for config": fifo(denied, ".git/config"), "FIFO for HEAD": fifo(answered, ".git/HEAD"), "FIFO for the index": fifo(denied, ".git/index"),
		"FIFO for alternates": fifo(denied, ".git/objects/info/alternates"), "FIFO for commondir": fifo(denied, ".git/commondir"),
		"FIFO for a ref": fifo(denied, ".git/refs/heads/main"), "FIFO for packed refs": fifo(denied, ".git/packed-refs"),
		"FIFO for shallow": fifo(denied, ".git/shallow"), "FIFO for exclude": fifo(denied, ".git/info/exclude"),
		"FIFO for info attributes": fifo(denied, ".git/info/attributes"), "FIFO for git": fifo(answered, ".git"),
		"FIFO for attributes": fifo(denied, ".gitattributes"), "FIFO for ignore": fifo(denied, ".gitignore"), "FIFO for modules": fifo(denied, ".gitmodules"),
		"FIFO for editorconfig": fifo(served, ".editorconfig"), "endless editorconfig": endless(served, ".editorconfig"),
		"endless ignore": endless(denied, ".gitignore"), "endless attributes": endless(denied, ".gitattributes"),
		"endless config": endless(denied, ".git/config"), "endless HEAD": endless(denied, ".git/HEAD"), "endless git file": endless(answered, ".git"),
		"large ignore": {answered, func(t *testing.T, top string, _ outsider) {
			put(t, top+"/.gitignore", "")
			require.NoError(t, os.Truncate(top+"/.gitignore", 8<<30))
		}},
		"large shared indexes": {answered, func(t *testing.T, top string, _ outsider) {
			gitAt(t, top, "update-index", "--split-index")
			for i := range 10 {
				name := fmt.Sprintf("%s/.git/sharedindex.%040d", top, i)
				put(t, name, "")
				require.NoError(t, os.Truncate(name, 500<<20))
			}
			for _, name := range must(filepath.Glob(top + "/.git/sharedindex.*")) {
				require.NoError(t, os.Truncate(name, 500<<20))
			}
		}},
		"large index": {answered, func(t *testing.T, top string, _ outsider) { require.NoError(t, os.Truncate(top+"/.git/index", 8<<30)) }},
		"large objects": {answered, func(t *testing.T, top string, _ outsider) {
			for _, name := range must(filepath.Glob(top + "/.git/objects/??/*")) {
				require.NoError(t, os.Chmod(name, 0o644))
				require.NoError(t, os.Truncate(name, 8<<30))
			}
		}},
	}
}

func gitAt(t *testing.T, dir string, args ...string) {
	t.Helper()
	(&guardedSite{site: &site{t: t, dir: dir}}).gitIn(dir, args...)
}

// contents are the project's entries with what they are: links, FIFOs, and hashes of the files that are not huge.
func contents(t *testing.T, top string) map[string]string {
	t.Helper()
	all := map[string]string{}
	require.NoError(t, filepath.WalkDir(top, func(name string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		all[name] = info.Mode().String()
		if info.Mode().IsRegular() && info.Size() < 1<<20 {
			text, err := os.ReadFile(name)
			require.NoError(t, err)
			all[name] += fmt.Sprintf(" %x", sha256.Sum256(text))
		}
		return nil
	}))
	return all
}

// A hostile project's .git can make the server neither read another repository, nor run, nor write anything, nor hold it up:
// in calls of tools, by what an expert reads, and in reviews from the command line and by hooks.
func TestHostileGitFolders(t *testing.T) {
	f := newGuardedSite(t)
	temp := filepath.Join(f.dir, "tmp")
	require.NoError(t, os.Mkdir(temp, 0o700))
	t.Setenv("TMPDIR", temp)
	marker := filepath.Join(f.dir, "marker")
	program := f.file("outside/program", "#!/bin/sh\ntouch "+marker+"\n")
	require.NoError(t, os.Chmod(program, 0o755))
	for name, c := range hostileRepositories() {
		t.Run(name, func(t *testing.T) {
			private := f.repository("outside/private/"+name, "s.txt", planted+"\n")
			v := outsider{private: private, head: f.gitIn(private, "rev-parse", "HEAD"), program: program}
			top := f.repository("project/"+strings.NewReplacer(" ", "_", ",", "_", "'", "_").Replace(name), "a.txt", "one\n")
			c.lay(t, top, v)
			put(t, top+"/a.txt", welcome+" changed\n")
			f.traffic.forget()
			before := contents(t, top)
			f.reviewInEveryWay(t, c.want, top, v)
			if c.want != answered {
				assert.True(t, f.traffic.contains(welcome), "what is the project's own is shown")
			}
			assert.False(t, f.traffic.contains(planted))
			assert.NoFileExists(t, marker)
			assert.Equal(t, before, contents(t, top), "nothing is written")
			left, err := os.ReadDir(temp)
			require.NoError(t, err)
			assert.Empty(t, left, "nothing stays in the folder for temporary files")
		})
	}
}

// reviewInEveryWay reviews a repository by each tool and command that reads one.
func (f *guardedSite) reviewInEveryWay(t *testing.T, want, top string, v outsider) {
	t.Helper()
	start := time.Now()
	f.vendors.Always(emulator.Match{}, emulator.Reads(emulator.Say(`{"status":"analysis_complete","findings":[]}`), []emulator.ToolCall{
		{Name: "read_file", Arguments: `{"path":"a.txt"}`},
		{Name: "read_file", Arguments: `{"path":"s.txt"}`},
		{Name: "search_files", Arguments: `{"pattern":"."}`},
		{Name: "git_history", Arguments: `{"path":"a.txt"}`},
		{Name: "git_show", Arguments: `{"commit":"HEAD","path":"s.txt"}`},
		{Name: "git_show", Arguments: `{"commit":"` + v.head + `","path":"s.txt"}`},
		{Name: "list_files", Arguments: `{"path":".","depth":9}`},
	}))
	for _, args := range []object{{"path": top}, {"path": top, "compare_to": "HEAD"}, {"path": top, "compare_to": "p"}, {"path": top, "compare_to": v.head}} {
		args["step"] = "Review."
		r := f.call("precommit", args)
		assert.NotContains(t, r.text, planted)
		switch {
		case want == denied:
			assert.Equal(t, "path_denied", r.errorCode(), r.text)
		case want == served && (args["compare_to"] == nil || args["compare_to"] == "HEAD"):
			assert.NotEqual(t, "error", r.str("status"), r.text)
		}
	}
	for tool, args := range map[string]object{
		"debug": {"step": "Find it.", "relevant_files": []string{top + "/a.txt"}}, "chat": {"prompt": "Look.", "files": []string{top}},
	} {
		r := f.call(tool, args)
		assert.NotContains(t, r.text, planted)
		if want != answered {
			assert.NotEqual(t, "error", r.str("status"), r.text)
		}
	}
	t.Chdir(top)
	event, err := json.Marshal(map[string]any{"session_id": top, "cwd": top, "hook_event_name": review.Stop})
	require.NoError(t, err)
	for _, args := range [][]string{{"review"}, {"review", "--base", "HEAD"}, {"review", "a.txt"}, {"review", "--hook", "claude-stop"}, {"review", "--hook", "pre-commit"}} {
		code, out, errs := f.run(string(event), args...)
		assert.NotContains(t, out+errs, planted)
		if want == denied && len(args) < 3 && args[len(args)-1] == "review" {
			assert.Equal(t, 3, code, out+errs)
		}
	}
	assert.Less(t, time.Since(start), scaled(40*time.Second), "nothing waits until its limit")
}

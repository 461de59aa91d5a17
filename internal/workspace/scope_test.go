package workspace

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

func scopedRepo(t *testing.T, files map[string]string) (dir string, open func(Scope) *Workspace) {
	t.Helper()
	dir = tempDir(t) + "/repo"
	gittest.Init(t, dir, files)
	return dir, func(s Scope) *Workspace {
		w, err := New(config.Files{AllowedRoots: []string{dir}}, "", "", "", nil, nil)
		require.NoError(t, err)
		w.Narrow(s)
		return w
	}
}

func TestRanges(t *testing.T) {
	dir, open := scopedRepo(t, map[string]string{"a.go": "one\n"})
	w := open(Scope{})
	first := gittest.Run(t, dir, "rev-parse", "HEAD")
	write(t, "two\n", dir, "a.go")
	write(t, "new\n", dir, "b.go")
	gittest.Run(t, dir, "add", "-A")
	gittest.Run(t, dir, "commit", "-qm", "second")
	second := gittest.Run(t, dir, "rev-parse", "HEAD")
	gittest.Run(t, dir, "switch", "-qc", "side", first)
	write(t, "side\n", dir, "c.go")
	gittest.Run(t, dir, "add", "-A")
	gittest.Run(t, dir, "commit", "-qm", "third")
	write(t, "dirty\n", dir, "a.go")
	write(t, "untracked\n", dir, "u.go")

	changed := func(q GitQuery) (out []string) {
		for _, c := range inspect(t, w, q).Repositories[0].Changes {
			out = append(out, c.State[:1]+" "+filepath.Base(c.Path))
		}
		return out
	}
	for compare, want := range map[string][]string{
		first + ".." + second:                 {"M a.go", "A b.go"},
		"main...side":                         {"A c.go"},
		"main..side":                          {"M a.go", "D b.go", "A c.go"},
		first + "..":                          {"A c.go"},
		"..main":                              {"M a.go", "A b.go", "D c.go"},
		emptyTreeOf(t, w, dir) + ".." + first: {"A a.go"},
		"main":                                nil, // with the work tree's files
	} {
		q := GitQuery{CompareTo: compare, Staged: compare == "main", Unstaged: compare == "main"}
		report := inspect(t, w, q)
		text := reportText(report)
		if want == nil {
			assert.Contains(t, text, "+untracked")
			continue
		}
		assert.Equal(t, want, changed(q), compare)
		assert.NotContains(t, text, "dirty", compare)
		assert.NotContains(t, text, "untracked", compare)
	}
	assert.Contains(t, reportText(inspect(t, w, GitQuery{CompareTo: first + ".." + second})), "-one\n+two")
	for _, bad := range []string{"nope..side", "main..nope", "--output=x..main", strings.Repeat("4b", 20) + "..main"} {
		_, err := w.Inspect(t.Context(), GitQuery{CompareTo: bad, Tokens: 1000})
		require.ErrorContains(t, err, "names no commit", bad)
	}
}

// emptyTreeOf is the empty tree of a repository.
func emptyTreeOf(t *testing.T, w *Workspace, dir string) string {
	t.Helper()
	r, err := w.Repository(t.Context(), dir)
	require.NoError(t, err)
	defer r.Close()
	return r.EmptyTree()
}

func TestScope(t *testing.T) {
	dir, open := scopedRepo(t, map[string]string{"a.go": "a\n", "b.go": "b\n"})
	gittest.Init(t, dir+"/below", map[string]string{"n.go": "n\n"})
	write(t, "changed a\n", dir, "a.go")
	write(t, "changed b\n", dir, "b.go")
	write(t, "changed n\n", dir, "below/n.go")
	write(t, "new\n", dir, "new.go")
	write(t, "other\n", dir, "other.go")

	report := inspect(t, open(Scope{Files: []string{"b.go", "new.go"}}), GitQuery{})
	require.Len(t, report.Repositories, 1, "the repository below is reviewed by a call in its folder")
	text := reportText(report)
	for part, want := range map[string]bool{"+changed b": true, "+new": true, "changed a": false, "other": false, "changed n": false} {
		assert.Equal(t, want, strings.Contains(text, part), part)
	}
	require.Len(t, report.Repositories[0].Changes, 2)
	assert.Empty(t, reportText(inspect(t, open(Scope{Files: []string{}}), GitQuery{})), "no file is not the same as all")
	assert.Contains(t, reportText(inspect(t, open(Scope{}), GitQuery{})), "other")
}

// git commit -a and git commit -- FILE give hooks an index of their own.
func TestScopeIndexFile(t *testing.T) {
	dir, open := scopedRepo(t, map[string]string{"a.go": "a\n", "b.go": "b\n"})
	write(t, "staged a\n", dir, "a.go")
	gittest.Run(t, dir, "add", "a.go")
	own, err := os.ReadFile(dir + "/.git/index")
	require.NoError(t, err)
	write(t, "staged b\n", dir, "b.go")
	gittest.Run(t, dir, "add", "b.go")
	next := dir + "/.git/next-index-7.lock"
	require.NoError(t, os.Rename(dir+"/.git/index", next))
	require.NoError(t, os.WriteFile(dir+"/.git/index", own, 0o600))
	elsewhere := filepath.Join(t.TempDir(), "index")
	require.NoError(t, os.WriteFile(elsewhere, []byte("not an index"), 0o600))

	for file, want := range map[string]bool{"": false, next: true, elsewhere: false, dir + "/.git/../../index": false} {
		text := reportText(inspect(t, open(Scope{IndexFile: file}), GitQuery{Staged: true}))
		assert.Contains(t, text, "+staged a", file)
		assert.Equal(t, want, strings.Contains(text, "+staged b"), file)
	}
	states := map[string]bool{}
	for _, file := range []string{"", next} {
		r, err := open(Scope{IndexFile: file}).Repository(t.Context(), dir)
		require.NoError(t, err)
		defer r.Close()
		state, err := r.Fingerprint(t.Context(), git.Diff{Args: []string{"--cached"}})
		require.NoError(t, err)
		states[state] = true
	}
	assert.Len(t, states, 2)
}

func TestHashes(t *testing.T) {
	dir, open := scopedRepo(t, map[string]string{"a.go": "a\n", "gone.go": "x\n", "same.go": "s\n", "folder/b.go": "b\n"})
	w := open(Scope{})
	hashes := func() map[string]string {
		r, err := w.Repository(t.Context(), dir)
		require.NoError(t, err)
		defer r.Close()
		changes, whole, err := r.Status(t.Context(), ".")
		require.NoError(t, err)
		require.True(t, whole)
		got, err := w.Hashes(t.Context(), r, changes)
		require.NoError(t, err)
		return got
	}
	assert.Empty(t, hashes())
	write(t, "b\n", dir, "a.go")
	write(t, "b\n", dir, "new.go")
	write(t, "KEY=1\n", dir, ".env")
	require.NoError(t, os.Remove(dir+"/gone.go"))
	require.NoError(t, os.RemoveAll(dir+"/folder"))
	write(t, "b\n", dir, "folder")
	one := hashes()
	assert.Equal(t, one["a.go"], one["new.go"], "by content")
	assert.Equal(t, stateDeleted, one["gone.go"])
	assert.Equal(t, stateDeleted, one["folder/b.go"], "a file stands where its folder was")
	assert.NotContains(t, one, ".env", "a refused file is not read")
	assert.NotContains(t, one, "same.go")
	require.NoError(t, os.Chmod(dir+"/new.go", 0o755))
	write(t, "c\n", dir, "a.go")
	two := hashes()
	assert.NotEqual(t, one["a.go"], two["a.go"])
	assert.NotEqual(t, one["new.go"], two["new.go"])

	r, err := w.Repository(t.Context(), dir)
	require.NoError(t, err)
	defer r.Close()
	ended, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the call has ended"))
	_, err = w.Hashes(ended, r, []git.Change{{Name: "a.go"}})
	assert.EqualError(t, err, "the call has ended")
}

func TestRepositoryHistory(t *testing.T) {
	dir, open := scopedRepo(t, map[string]string{"a.go": "a\n"})
	for range 3 {
		gittest.Run(t, dir, "commit", "-q", "--allow-empty", "-m", "more")
	}
	shallow := filepath.Dir(dir) + "/shallow"
	gittest.Run(t, filepath.Dir(dir), "clone", "-q", "--depth", "1", "file://"+dir, shallow)
	r, err := open(Scope{}).Repository(t.Context(), dir)
	require.NoError(t, err)
	defer r.Close()
	assert.False(t, r.Shallow())
	old, err := r.Commit(t.Context(), "HEAD~2")
	require.NoError(t, err)
	base, ok := r.CommonCommit(t.Context(), old, r.Head)
	assert.True(t, ok)
	assert.Equal(t, old, base)
	gittest.Run(t, dir, "switch", "-q", "--orphan", "alone")
	gittest.Run(t, dir, "commit", "-q", "--allow-empty", "-m", "alone")
	alone, err := r.Commit(t.Context(), "alone")
	require.NoError(t, err)
	_, ok = r.CommonCommit(t.Context(), alone, r.Head)
	assert.False(t, ok)

	w, err := New(config.Files{AllowedRoots: []string{shallow}}, "", "", "", nil, nil)
	require.NoError(t, err)
	s, err := w.Repository(t.Context(), shallow)
	require.NoError(t, err)
	defer s.Close()
	assert.True(t, s.Shallow())
}

//go:build unix

package git

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// fakeGit is a program in git's place that answers one command after the other, and fails when it has no more answers.
type fakeGit struct{ dir string }

const fakeScript = `#!/bin/sh
n=$(ls args.* 2>/dev/null | wc -l | tr -d ' ')
printf '%s\0' "$@" >args.$n
cat out.$n
`

// answerLimit is how much is read of one of a fake git's answers, in bytes.
const answerLimit = 2000

// answering is a repository whose git is fake.
func answering(t testing.TB, answers ...string) (*Repository, fakeGit) {
	t.Helper()
	dir := tempDir(t)
	write(t, dir+"/git", fakeScript)
	require.NoError(t, os.Chmod(dir+"/git", 0o755))
	for n, text := range answers {
		write(t, fmt.Sprintf("%s/out.%d", dir, n), text)
	}
	c := command{program: dir + "/git", dir: dir, env: []string{"PATH=/usr/bin:/bin"}, most: answerLimit}
	return &Repository{plain: c, guest: c}, fakeGit{dir}
}

// asked are the arguments of each command that was run, without the settings before them.
func (f fakeGit) asked(t testing.TB) (all [][]string) {
	t.Helper()
	for n := 0; ; n++ {
		text, err := os.ReadFile(fmt.Sprintf("%s/args.%d", f.dir, n))
		if err != nil {
			return all
		}
		args := strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
		all = append(all, args[slices.Index(args, "core.quotePath=false")+1:])
	}
}

// nul ends each of some texts as git's -z does.
func nul(texts ...string) string { return strings.Join(texts, "\x00") + "\x00" }

const oneID, otherID = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"

// What git says about a failure reaches whoever asked, and nothing that it wrote before does.
func TestFailuresOfGit(t *testing.T) {
	ctx := t.Context()
	for name, ask := range map[string]func(r *Repository) (any, error){
		"check-attr": func(r *Repository) (any, error) { return r.Generated(ctx, []string{"a"}) },
		"diff": func(r *Repository) (any, error) {
			names, whole, err := r.Names(ctx, Diff{}, ".")
			assert.False(t, whole)
			return names, err
		},
		"diff ":  func(r *Repository) (any, error) { return r.Fingerprint(ctx, Diff{}) },
		"diff  ": func(r *Repository) (any, error) { return r.Diff(ctx, Diff{}, []Part{{Name: "a"}}) },
		"status": func(r *Repository) (any, error) {
			changes, whole, err := r.Status(ctx, ".")
			assert.False(t, whole)
			return changes, err
		},
		"ls-files": func(r *Repository) (any, error) {
			names, whole, err := r.Files(ctx, r.guest.dir)
			assert.False(t, whole)
			return names, err
		},
		"ls-files ": func(r *Repository) (any, error) {
			files, whole, err := r.Tracked(ctx)
			assert.False(t, whole)
			return files, err
		},
		"merge-base": func(r *Repository) (any, error) { return r.Reachable(ctx, oneID, otherID) },
		"log":        func(r *Repository) (any, error) { return r.Log(ctx, oneID, "a", 3) },
		"ls-tree":    func(r *Repository) (any, error) { return r.FileAt(ctx, oneID, "a") },
		"rev-parse":  func(r *Repository) (any, error) { return r.Commit(ctx, "main") },
	} {
		t.Run(name, func(t *testing.T) {
			r, git := answering(t)
			write(t, git.dir+"/git", "#!/bin/sh\necho half\necho it broke >&2\nexit 3\n")
			got, err := ask(r)
			require.EqualError(t, err, "git "+strings.TrimSpace(name)+": exit status 3: it broke")
			assert.Empty(t, got)
		})
	}
}

// Output and complaints are kept up to a limit, and a git that writes more is stopped.
func TestOutputIsBounded(t *testing.T) {
	r, git := answering(t, strings.Repeat("x", answerLimit), strings.Repeat("x", answerLimit+1))
	for _, more := range []bool{false, true} {
		out, cut, err := r.guest.output(t.Context(), "status")
		require.NoError(t, err)
		assert.Equal(t, strings.Repeat("x", answerLimit), string(out))
		assert.Equal(t, more, cut)
	}
	write(t, git.dir+"/git", "#!/bin/sh\nexec yes\n")
	out, cut, err := r.guest.upTo(9).output(t.Context(), "status")
	require.NoError(t, err)
	assert.Equal(t, "y\ny\ny\ny\ny", string(out))
	assert.True(t, cut)

	write(t, git.dir+"/git", "#!/bin/sh\nyes | head -c 10000 >&2\nexit 1\n")
	_, _, err = r.guest.output(t.Context(), "status")
	require.ErrorContains(t, err, "git status: exit status 1: y\ny")
	assert.Len(t, err.Error(), len("git status: exit status 1: ")+maxMessage-1)

	_, err = command{program: git.dir + "/missing", dir: git.dir}.line(t.Context(), "status")
	require.ErrorContains(t, err, "missing: no such file")
}

// What git says is kept up to a limit, in however many pieces it comes.
func TestMessage(t *testing.T) {
	var m message
	for _, n := range []int{maxMessage - 1, 2, 1} {
		written, err := m.Write([]byte(strings.Repeat("x", n)))
		require.NoError(t, err)
		assert.Equal(t, n, written)
	}
	assert.Len(t, m.kept, maxMessage)
}

// The git in PATH comes first, then the one in its usual place.
func TestFind(t *testing.T) {
	_, git := answering(t)
	usual := firstFile(places(runtime.GOOS, ""))
	t.Setenv("PATH", git.dir)
	assert.Equal(t, git.dir+"/git", Find(""))
	t.Setenv("PATH", git.dir+"/missing")
	assert.Equal(t, usual, Find(""))
}

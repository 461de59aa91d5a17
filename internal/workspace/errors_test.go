package workspace

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

func TestSystemErrors(t *testing.T) {
	for _, c := range []struct {
		err     error
		code    Code
		message string
		cause   bool
	}{
		{fs.ErrPermission, CodeDenied, `The system does not let the server read "/w/a".`, true},
		{fs.ErrNotExist, CodeNotFound, `"/w/a" does not exist.`, false},
		{syscall.ENOTDIR, CodeNotFound, `"/w/a" does not exist.`, false},
		{syscall.EIO, CodeInvalid, `The server could not read "/w/a".`, true},
	} {
		e := requireCode(t, c.code, systemError("/w/a", fmt.Errorf("open: %w", c.err)))
		assert.Equal(t, c.message, e.Message)
		assert.Equal(t, "/w/a", e.Path)
		assert.Equal(t, c.cause, errors.Is(e, c.err))
	}
	e := requireCode(t, CodeDenied, changed("/w/a"))
	assert.Equal(t, "/w/a", e.Path)
	assert.Equal(t, e.Message, e.Error(), "without a cause there is nothing to add")
	assert.Equal(t, "It failed. (assert.AnError general error for testing)", (&Error{Message: "It failed.", Err: assert.AnError}).Error())
	assert.Empty(t, codeOf(assert.AnError))
	assert.Empty(t, codeOf(nil))
}

func TestQuoted(t *testing.T) {
	assert.Equal(t, `"a\nb"`, quoted("a\nb"))
	long := strings.Repeat("x", 300)
	assert.Equal(t, `"`+long+`"`, quoted(long))
	assert.Equal(t, `"`+long+`..."`, quoted(long+"y"))
	assert.Equal(t, `"`+long[1:]+`..."`, quoted(long[1:]+"ä"), "no character is cut in two")
	assert.Equal(t, strings.Repeat("x", 80), shortened(strings.Repeat("x", 80)))
	assert.Equal(t, strings.Repeat("x", 80)+"...", shortened(strings.Repeat("x", 81)))
	assert.Equal(t, strings.Repeat("x", 79)+"...", shortened(strings.Repeat("x", 79)+"ä"))
}

// Whatever git says becomes an error that tells a model what to do.
func TestGitErrorsSayWhatToDo(t *testing.T) {
	w := newWorkspace(t)
	w.gitTime = 3 * time.Second
	at := place{asked: "r", host: "/w/r"}
	for _, c := range []struct {
		err     error
		code    Code
		path    string
		message string
		hint    string
		cause   bool
	}{
		{
			&git.OutsideError{Top: "/w/r", Link: "/w/r/.git/objects"}, CodeDenied, "/w/r/.git/objects",
			`The repository at "/w/r" is refused: "/w/r/.git/objects" leads out of the folders that may be read.`, "EXAI_ALLOWED_ROOTS", false,
		},
		{git.ErrNoProgram, CodeInvalid, "/w/r", "No git program was found, so changes can't be inspected.", "Install git", true},
		{git.ErrNoRepository, CodeInvalid, "/w/r", `"/w/r" is not in a git work tree.`, "under path", true},
		{git.ErrTooLarge, CodeTooLarge, "/w/r", `The repository at "/w/r" has a larger index or more objects than can be inspected.`, "git gc", true},
		{errGitTime, CodeTooLarge, "/w/r", `The repository at "/w/r" is too large to inspect in 3s.`, "Name a folder in it", true},
		{assert.AnError, CodeInvalid, "/w/r", `git could not inspect "/w/r".`, "git status", true},
	} {
		e := requireCode(t, c.code, w.gitError(t.Context(), at, fmt.Errorf("wrapped: %w", c.err)))
		assert.Equal(t, c.message, e.Message)
		assert.Equal(t, c.path, e.Path)
		assert.Contains(t, e.Hint, c.hint)
		assert.Equal(t, c.cause, errors.Is(e, c.err))
	}
	own := invalid("a", "It is wrong.", "Correct it.")
	assert.Same(t, own, w.gitError(t.Context(), at, own))
}

// A file of a repository is shown where its name says that it lies in the work tree, the work tree in a root, and nothing
// refuses it.
func TestAdmits(t *testing.T) {
	dir := tempDir(t)
	w := newWorkspace(t, dir+"/root")
	write(t, "x", dir, "root/r/a.go")
	roots := w.roots(t.Context())
	for _, c := range []struct {
		top, name string
		code      Code
		path      string
	}{
		{dir + "/root/r", "a.go", "", ""},
		{dir + "/root/r", "deleted/b.go", "", ""},
		{dir + "/root/r", "../b.go", CodeDenied, "../b.go"},
		{dir + "/root/r", "/etc/passwd", CodeDenied, "/etc/passwd"},
		{dir + "/root/r", ".env", CodeDenied, dir + "/root/r/.env"},
		{dir, "a.go", CodeDenied, dir + "/a.go"},
		{dir + "/root/r", "a\x00", CodeInvalid, dir + "/root/r/a\x00"},
	} {
		host, err := w.admits(roots, c.top, c.name)
		assert.Equal(t, filepath.Join(c.top, c.name), host)
		if c.code == "" {
			assert.NoError(t, err)
			continue
		}
		assert.Equal(t, c.path, requireCode(t, c.code, err).Path)
	}
	in := w.inRoots(roots)
	assert.True(t, in(dir+"/root"))
	assert.True(t, in(dir+"/root/r/a.go"))
	assert.False(t, in(dir))
	assert.False(t, in(""))
}

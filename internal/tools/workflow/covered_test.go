package workflow

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// newWorkspace is a real workspace over an empty folder.
func newWorkspace(t *testing.T) (w *workspace.Workspace, dir string) {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	w, err = workspace.New(config.Files{AllowedRoots: []string{dir}}, "", dir, "", nil, nil)
	require.NoError(t, err)
	return w, dir
}

// A file that was sent in part, or not at all, counts as whole only where the expert has read every line of it since.
func TestCoverageOfFilesThatTheExpertRead(t *testing.T) {
	w, dir := newWorkspace(t)
	shown := &proof.Shown{}
	r := &run{Engine: &Engine{Config: config.Default(), Files: w}}
	var e Evidence
	var want []Coverage
	for _, c := range []struct {
		name, text, read string // text "": there is no such file
		first            int    // the line with which what was read begins; 0: nothing
		how              string
	}{
		{"line.go", "package a\n", "package a\n", 1, CoverWhole},
		{"two.go", "one\ntwo\n", "one\ntwo\n", 1, CoverWhole},
		{"end.go", "one\ntwo\n", "two\n", 2, CoverPart},
		{"unread.go", "one\n", "", 0, CoverPart},
		{"gone.go", "", "one\n", 1, CoverPart},
		{"replaced.go", "\x7fELF\x00\x01\x02", "one\n", 1, CoverPart},
	} {
		path := filepath.Join(dir, c.name)
		if c.text != "" {
			require.NoError(t, os.WriteFile(path, []byte(c.text), 0o600))
		}
		if c.first > 0 {
			shown.Add(path, proof.WorkTree, c.first, c.read)
		}
		e.Manifest.Cut = append(e.Manifest.Cut, workspace.Entry{Path: path, Reason: "long"})
		cover := Coverage{File: path, How: c.how, Why: "long"}
		if c.how == CoverWhole {
			cover.Why = ""
		}
		want = append(want, cover)
	}
	room := workspace.Entry{Path: filepath.Join(dir, "room.go"), Reason: "no room"}
	unread := workspace.Entry{Path: filepath.Join(dir, "other.go"), Reason: "no room"}
	binary := workspace.Entry{Path: filepath.Join(dir, "a.bin"), Reason: "binary: ELF"}
	sent := workspace.Entry{Path: filepath.Join(dir, "sent.go")}
	for _, entry := range []workspace.Entry{room, binary, sent} {
		shown.Add(entry.Path, proof.WorkTree, 1, "one\n")
	}
	e.Manifest.LeftOut = []workspace.Entry{room, unread, binary}
	e.Manifest.Unchanged = []workspace.Entry{sent, {Path: room.Path, Part: "diff"}}
	want = append(want, Coverage{File: sent.Path, How: CoverWhole}, Coverage{File: room.Path, How: CoverPart, Why: "no room"},
		Coverage{File: unread.Path, How: CoverNotRead, Why: "no room"}, Coverage{File: binary.Path, How: CoverSkipped, Why: binary.Reason})
	assert.Equal(t, want, r.coverage(t.Context(), e, shown))
}

// Of a file that is one long line, only the beginning may be sent.
func TestCoverageOfALineThatWasCut(t *testing.T) {
	w, dir := newWorkspace(t)
	path := filepath.Join(dir, "long.txt")
	require.NoError(t, os.WriteFile(path, []byte(strings.Repeat("word ", 10_000)), 0o600))
	refs, problems := w.Resolve(t.Context(), []string{path})
	require.Empty(t, problems)
	sent, m, err := w.Embed(t.Context(), refs, workspace.Budget{Tokens: 2_000, LineNumbers: true}, nil)
	require.NoError(t, err)
	shown := &proof.Shown{}
	show(shown, sent)
	r := &run{Engine: &Engine{Config: config.Default(), Files: w}}
	assert.Equal(t, []Coverage{{File: path, How: CoverPart, Why: "the beginning of the first line"}},
		r.coverage(t.Context(), Evidence{Manifest: m}, shown))
}

// A changed file is listed once, though it is named too, and as far as its change is known.
func TestCoverageListsAChangedFileOnce(t *testing.T) {
	w, dir := newWorkspace(t)
	file := workspace.Entry{Path: filepath.Join(dir, "a.go")}
	e := Evidence{
		Manifest: workspace.Manifest{Sent: []workspace.Entry{file, {Path: filepath.Join(dir, "b.go")}}},
		Changed:  []workspace.ChangedFile{{Path: file.Path, Unread: "too long"}},
	}
	r := &run{Engine: &Engine{Config: config.Default(), Files: w}}
	assert.Equal(t, []Coverage{
		{File: file.Path, How: CoverNotRead, Why: "too long"}, {File: filepath.Join(dir, "b.go"), How: CoverWhole},
	}, r.coverage(t.Context(), e, &proof.Shown{}))
}

// Why a changed file was not seen is what the diff says, else what the manifest says first.
func TestWhyAChangedFileIsNotCovered(t *testing.T) {
	m := workspace.Manifest{
		Cut:     []workspace.Entry{{Path: "/other.go", Reason: "other"}, {Path: "/a.go", Reason: "the first 9 lines"}},
		LeftOut: []workspace.Entry{{Path: "/a.go", Reason: "no room"}, {Path: "/b.go", Reason: "denied"}},
	}
	added := []workspace.Span{{First: 1, Last: 1}}
	shown := &proof.Shown{}
	shown.Add("/b.go", proof.WorkTree, 7, "seven\n")
	for _, c := range []struct {
		file workspace.ChangedFile
		want Coverage
	}{
		{workspace.ChangedFile{Path: "/a.go", Added: added}, Coverage{How: CoverNotRead, Why: "the first 9 lines"}},
		{workspace.ChangedFile{Path: "/a.go", Unread: "too long"}, Coverage{How: CoverNotRead, Why: "too long"}},
		{workspace.ChangedFile{Path: "/b.go", Added: added}, Coverage{How: CoverPart, Why: "denied"}},
		{workspace.ChangedFile{Path: "/c.go", Added: added}, Coverage{How: CoverNotRead}},
		{workspace.ChangedFile{Path: "/a.go", Skipped: "lock file", Unread: "too long"}, Coverage{How: CoverSkipped, Why: "lock file"}},
		{workspace.ChangedFile{Path: "/c.go"}, Coverage{How: CoverDiff}}, // a mode alone
	} {
		c.want.File = c.file.Path
		assert.Equal(t, c.want, coverChange(c.file, m, shown), c.file)
	}
}

// A reply lists as many files as it can hold, those that were not covered first.
func TestShortCoverage(t *testing.T) {
	var list []Coverage
	for i := range 99 {
		list = append(list, Coverage{File: fmt.Sprint(i), How: CoverWhole})
	}
	list = append(list, Coverage{File: "part", How: CoverPart})
	short, more := shortCoverage(list)
	assert.Equal(t, list, short)
	assert.Zero(t, more)

	long := append(slices.Clone(list), Coverage{File: "skipped", How: CoverSkipped}, Coverage{File: "unread", How: CoverNotRead})
	sent := slices.Clone(long)
	short, more = shortCoverage(long)
	assert.Equal(t, slices.Concat(long[99:100], long[101:], list[:98]), short)
	assert.Equal(t, 2, more)
	assert.Equal(t, sent, long, "the whole list stays as it was")
}

// What coverage costs grows with the number of changed files, and not with its square.
func TestCoverageOfManyFiles(t *testing.T) {
	w, dir := newWorkspace(t)
	var e Evidence
	for i := range 3000 {
		path := filepath.Join(dir, fmt.Sprint(i))
		e.Changed = append(e.Changed, workspace.ChangedFile{Path: path, Added: []workspace.Span{{First: 1, Last: 1}}})
		e.Manifest.LeftOut = append(e.Manifest.LeftOut, workspace.Entry{Path: path, Part: "unstaged", Reason: "no room"})
	}
	r := &run{Engine: &Engine{Config: config.Default(), Files: w}}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	list := r.coverage(t.Context(), e, &proof.Shown{})
	runtime.ReadMemStats(&after)
	require.Len(t, list, 3000)
	assert.Equal(t, Coverage{File: e.Changed[2999].Path, How: CoverNotRead, Why: "no room"}, list[2999])
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(50<<20), "bytes")
}

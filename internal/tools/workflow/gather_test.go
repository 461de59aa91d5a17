package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// embedded is one call of Embed.
type embedded struct {
	paths  []string
	budget workspace.Budget
}

// givenFiles are real files whose text costs what embed says. It remembers each call.
type givenFiles struct {
	*workspace.Workspace
	embed func(n int, paths []string) (workspace.Manifest, error) // of the n-th call
	image func(ref string) (conversation.Attachment, error)
	calls []embedded
}

func (f *givenFiles) Embed(_ context.Context, refs []workspace.Ref, b workspace.Budget, _ map[string]conversation.Attachment) ([]conversation.Attachment, workspace.Manifest, error) {
	paths := pathsOf(refs)
	f.calls = append(f.calls, embedded{paths, b})
	m, err := f.embed(len(f.calls), paths)
	var sent []conversation.Attachment
	for _, path := range paths {
		sent = append(sent, conversation.Attachment{Path: path})
	}
	return sent, m, err
}

func (f *givenFiles) Image(_ context.Context, ref string) (conversation.Attachment, error) {
	return f.image(ref)
}

// newGather is a run whose files are given by its Files, which has files of these names in its folder.
func newGather(t *testing.T, e Evidence, names ...string) (r *run, f *givenFiles, paths []string) {
	t.Helper()
	w, dir := newWorkspace(t)
	for _, name := range names {
		paths = append(paths, filepath.Join(dir, name))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("one\n"), 0o600))
	}
	f = &givenFiles{Workspace: w, embed: func(_ int, paths []string) (m workspace.Manifest, err error) {
		for _, path := range paths {
			m.Sent = append(m.Sent, workspace.Entry{Path: path})
		}
		return m, nil
	}}
	r = &run{Engine: &Engine{Config: config.Default(), Files: f}}
	r.step.Evidence = func(context.Context, Consolidated, int) (Evidence, error) { return e, nil }
	return r, f, paths
}

// The tool's own evidence comes first, but leaves the named files at least a quarter. What both leave is for the changed files.
func TestFilesShareTheirTokens(t *testing.T) {
	for name, c := range map[string]struct{ evidence, named, forNamed, forChanged int }{
		"nothing is used":  {0, 0, 1000, 1000},
		"a short diff":     {100, 200, 900, 700},
		"a long diff":      {900, 60, 250, 40},
		"all but a token":  {900, 99, 250, 1},
		"nothing is left":  {900, 100, 250, 0},
		"more than allows": {1000, 250, 250, 0},
	} {
		t.Run(name, func(t *testing.T) {
			e := Evidence{Manifest: workspace.Manifest{Tokens: c.evidence}}
			r, f, paths := newGather(t, Evidence{}, "named.go", "changed.go")
			e.Changed = []workspace.ChangedFile{{Path: paths[1], Current: true}}
			r.step.Evidence = func(_ context.Context, _ Consolidated, tokens int) (Evidence, error) {
				assert.Equal(t, 1000, tokens)
				return e, nil
			}
			f.embed = func(n int, paths []string) (workspace.Manifest, error) {
				return workspace.Manifest{Sent: []workspace.Entry{{Path: paths[0]}}, Tokens: map[int]int{1: c.named, 2: 7}[n], Bytes: 10}, nil
			}
			r.Config.Expert.MaxFileCount, r.Config.Expert.MaxFileSizeKB = 9, 3
			got, err := r.gather(t.Context(), paths[:1], 1000, nil)
			require.NoError(t, err)
			budget := workspace.Budget{Tokens: c.forNamed, MaxFiles: 9, MaxFileBytes: 3072, LineNumbers: true}
			want := []embedded{{paths[:1], budget}}
			sent := []conversation.Attachment{{Path: paths[0]}}
			total := workspace.Manifest{Sent: []workspace.Entry{{Path: paths[0]}}, Tokens: c.evidence + c.named, Bytes: 10}
			if budget.Tokens = c.forChanged; c.forChanged > 0 {
				want, sent = append(want, embedded{paths[1:], budget}), append(sent, conversation.Attachment{Path: paths[1]})
				total.Sent = append(total.Sent, workspace.Entry{Path: paths[1]})
				total.Tokens, total.Bytes = total.Tokens+7, total.Bytes+10
			}
			assert.Equal(t, want, f.calls)
			assert.Equal(t, Evidence{Attachments: sent, Manifest: total, Changed: e.Changed}, got)
		})
	}
}

// A changed file goes to the expert whole or not at all, and only where its diff leads to it and it is not there already.
func TestChangedFilesAreSentWhole(t *testing.T) {
	r, f, paths := newGather(t, Evidence{}, "a.go", "long.go", "left.go", "new.go", "named.go", "index.go", "lock.go", "unread.go")
	changed := func(i int) workspace.ChangedFile { return workspace.ChangedFile{Path: paths[i], Current: true} }
	e := Evidence{
		Manifest: workspace.Manifest{Sent: []workspace.Entry{{Path: paths[3], Part: workspace.PartUntracked}, {Path: paths[0], Part: "unstaged"}}},
		Changed:  []workspace.ChangedFile{changed(0), changed(1), changed(2), changed(3), changed(4), changed(5), changed(6), changed(7)},
	}
	e.Changed[5].Current, e.Changed[6].Skipped, e.Changed[7].Unread = false, "lock file", "too long"
	r.step.Evidence = func(context.Context, Consolidated, int) (Evidence, error) { return e, nil }
	f.embed = func(n int, _ []string) (workspace.Manifest, error) {
		if n == 1 {
			return workspace.Manifest{Sent: []workspace.Entry{{Path: paths[4]}}, Tokens: 1, Bytes: 2}, nil
		}
		return workspace.Manifest{
			Sent: []workspace.Entry{{Path: paths[0]}}, Cut: []workspace.Entry{{Path: paths[1], Tokens: 30, Bytes: 90}}, Tokens: 40, Bytes: 120,
			LeftOut: []workspace.Entry{{Path: paths[2], Reason: "no room"}},
		}, nil
	}
	got, err := r.gather(t.Context(), []string{paths[3], paths[4]}, 1000, nil)
	require.NoError(t, err)
	require.Len(t, f.calls, 2)
	assert.Equal(t, paths[4:5], f.calls[0].paths, "a new file stands in the diff")
	assert.Equal(t, paths[:3], f.calls[1].paths)
	sent := append(e.Manifest.Sent, workspace.Entry{Path: paths[4]}, workspace.Entry{Path: paths[0]})
	assert.Equal(t, workspace.Manifest{Sent: sent, Tokens: 11, Bytes: 32}, got.Manifest)
	var attached []string
	for _, a := range got.Attachments {
		attached = append(attached, a.Path)
	}
	assert.Equal(t, []string{paths[4], paths[0], paths[2]}, attached, "without the one that was cut")
}

// A new file that has no diff, since git takes it for binary, is sent whole.
func TestANewFileWithoutADiffIsSentWhole(t *testing.T) {
	r, f, paths := newGather(t, Evidence{}, "new.rc")
	e := Evidence{Changed: []workspace.ChangedFile{{Path: paths[0], Current: true, New: true, Unread: "UTF-16"}}}
	r.step.Evidence = func(context.Context, Consolidated, int) (Evidence, error) { return e, nil }
	_, err := r.gather(t.Context(), nil, 1000, nil)
	require.NoError(t, err)
	require.Len(t, f.calls, 1)
	assert.Equal(t, paths, f.calls[0].paths)
}

// EXPERT_ANALYSIS_INCLUDE_FILES=false keeps every file from the expert.
func TestNoFilesAreSent(t *testing.T) {
	r, f, paths := newGather(t, Evidence{}, "a.go")
	r.Config.Expert.IncludeFiles = false
	r.step.Facts.RelevantFiles = paths
	e := Evidence{Changed: []workspace.ChangedFile{{Path: paths[0], Current: true}}, Manifest: workspace.Manifest{LeftOut: []workspace.Entry{{Path: "/b.go"}}}}
	r.step.Evidence = func(context.Context, Consolidated, int) (Evidence, error) { return e, nil }
	got, err := r.gather(t.Context(), paths, 1000, nil)
	require.NoError(t, err)
	assert.Equal(t, e, got)
	assert.Empty(t, f.calls)
}

// What git reports stays in the reply of an expert whose files could not be read.
func TestWhatWasCollectedOutlivesAFailure(t *testing.T) {
	late := errors.New("too late")
	repositories := []string{"/r"}
	for name, changed := range map[string]bool{"a named file": false, "a changed file": true} {
		t.Run(name, func(t *testing.T) {
			r, f, paths := newGather(t, Evidence{}, "a.go")
			e := Evidence{Repositories: repositories}
			named := paths
			if changed {
				e.Changed, named = []workspace.ChangedFile{{Path: paths[0], Current: true}}, nil
			}
			r.step.Evidence = func(context.Context, Consolidated, int) (Evidence, error) { return e, nil }
			f.embed = func(int, []string) (workspace.Manifest, error) { return workspace.Manifest{}, late }
			got, err := r.gather(t.Context(), named, 1000, nil)
			require.ErrorIs(t, err, late)
			assert.Equal(t, e, got)
		})
	}
	t.Run("a picture", func(t *testing.T) {
		r, f, _ := newGather(t, Evidence{Repositories: repositories})
		r.sum.Images = []string{"a.png"}
		ctx, cancel := context.WithCancelCause(t.Context())
		f.image = func(string) (conversation.Attachment, error) {
			cancel(late)
			return conversation.Attachment{}, ctx.Err()
		}
		got, err := r.gather(ctx, nil, 1000, nil)
		require.ErrorIs(t, err, late)
		assert.Equal(t, Evidence{Repositories: repositories}, got)
	})
	t.Run("git itself", func(t *testing.T) {
		r, _, _ := newGather(t, Evidence{})
		r.step.Evidence = func(context.Context, Consolidated, int) (Evidence, error) { return Evidence{Note: "x"}, late }
		_, err := r.gather(t.Context(), nil, 1000, nil)
		require.ErrorIs(t, err, late)
	})
}

// Pictures are sent in their order, and not checked for secrets; one that is gone since is noted.
func TestPicturesAreGathered(t *testing.T) {
	r, f, _ := newGather(t, Evidence{Notes: []string{"git's"}})
	r.sum.Images = []string{"a.png", "gone.png", "b.png"}
	f.image = func(ref string) (conversation.Attachment, error) {
		if ref == "gone.png" {
			return conversation.Attachment{}, &workspace.Error{Code: workspace.CodeNotFound, Path: ref, Message: "gone.png does not exist."}
		}
		return conversation.Attachment{Path: "/w/" + ref}, nil
	}
	got, err := r.gather(t.Context(), nil, 1000, nil)
	require.NoError(t, err)
	assert.Equal(t, Evidence{
		Attachments: []conversation.Attachment{{Path: "/w/a.png"}, {Path: "/w/b.png"}},
		Manifest:    workspace.Manifest{NotChecked: []string{"/w/a.png", "/w/b.png"}},
		Notes:       []string{"git's", "Not sent: gone.png does not exist."},
	}, got)
}

// Where none of the files that a step names can be sent, the step fails; files that were filled in, or are an earlier step's, may
// be missing.
func TestNothingThatWasNamedCanBeSent(t *testing.T) {
	refused := workspace.Manifest{LeftOut: []workspace.Entry{{Path: "/a.go", Reason: "no room"}}}
	for name, c := range map[string]struct {
		named, filled []string
		fails         bool
	}{
		"named":           {[]string{"/a.go"}, nil, true},
		"filled in":       {[]string{"/a.go"}, []string{"/a.go"}, false},
		"of another step": {nil, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, _, _ := newGather(t, Evidence{Manifest: refused})
			r.step.Facts.RelevantFiles, r.filled = c.named, c.filled
			_, err := r.gather(t.Context(), nil, 1000, nil)
			assert.Equal(t, c.fails, err != nil)
			if c.fails {
				assert.Equal(t, reply.CodeInvalidRequest, reply.FromError(t.Context(), err).Code)
			}
		})
	}
}

// A note names what there was no room for; what can't be used was noted when it was named.
func TestEmbedNotesWhatWasLeftOut(t *testing.T) {
	room, lost := workspace.Entry{Path: "/room.go", Reason: "no room"}, workspace.Entry{Path: "/lost.go", Reason: "missing", Code: workspace.CodeNotFound}
	for name, left := range map[string][]workspace.Entry{"no room": {room}, "gone since its step": {lost}, "both": {lost, room}} {
		t.Run(name, func(t *testing.T) {
			r, f, paths := newGather(t, Evidence{}, "a.go")
			f.embed = func(int, []string) (workspace.Manifest, error) { return workspace.Manifest{LeftOut: left}, nil }
			got, err := r.gather(t.Context(), paths, 1000, nil)
			require.NoError(t, err)
			assert.Equal(t, []string{ask.NotSent(workspace.Manifest{LeftOut: left})}, got.Notes)
			assert.Equal(t, workspace.Manifest{LeftOut: left}, got.Manifest)
		})
	}
}

// The room for files is that of a model that sees pictures only where there are some.
func TestFileTokensOfTheModel(t *testing.T) {
	r := &run{Engine: &Engine{Window: func(_ context.Context, _ ask.Question, images bool) int {
		if images {
			return 65_536
		}
		return 200_000
	}}}
	assert.Equal(t, ask.FileTokens(200_000), r.fileTokens(t.Context(), ask.Question{}))
	r.sum.Images = []string{"a.png"}
	assert.Equal(t, ask.FileTokens(65_536), r.fileTokens(t.Context(), ask.Question{}))
}

// A reply says what the expert was given, and how much of it was whole.
func TestFileContext(t *testing.T) {
	one := []workspace.Entry{{Path: "/a.go"}}
	const (
		none    = "No file content was sent to the expert."
		names   = "The expert was given the names of the relevant files only (EXPERT_ANALYSIS_INCLUDE_FILES=false)."
		partial = "Not everything fit or could be read; the manifest lists what was cut or left out."
	)
	for name, c := range map[string]struct {
		given  Evidence
		names  bool
		run    []string
		want   FileContext
		listed string // the manifest's only list
	}{
		"nothing":      {want: FileContext{Type: "reference_only", Note: none}},
		"sent":         {given: Evidence{Manifest: workspace.Manifest{Sent: one}}, want: FileContext{Type: "fully_embedded", FilesEmbedded: 1}, listed: "sent"},
		"sent before":  {given: Evidence{Manifest: workspace.Manifest{Unchanged: one}}, want: FileContext{Type: "fully_embedded", FilesEmbedded: 1}, listed: "already_sent"},
		"cut":          {given: Evidence{Manifest: workspace.Manifest{Cut: one}}, want: FileContext{Type: "partially_embedded", FilesEmbedded: 1, Note: partial}, listed: "cut"},
		"left out":     {given: Evidence{Manifest: workspace.Manifest{LeftOut: one}}, want: FileContext{Type: "reference_only", Note: none}, listed: "left_out"},
		"a picture":    {given: Evidence{Manifest: workspace.Manifest{NotChecked: []string{"/a.png"}}}, want: FileContext{Type: "reference_only", Note: none}, listed: "not_checked_for_secrets"},
		"names alone":  {names: true, run: []string{"/a.go"}, want: FileContext{Type: "reference_only", Note: names}},
		"no names":     {names: true, want: FileContext{Type: "reference_only", Note: none}},
		"a diff alone": {given: Evidence{Manifest: workspace.Manifest{Sent: one}}, names: true, want: FileContext{Type: "fully_embedded", FilesEmbedded: 1}, listed: "sent"},
		"what git says": {
			given: Evidence{Repositories: []string{"a<b"}},
			want:  FileContext{Type: "reference_only", Note: none, Repositories: json.RawMessage(`["a<b"]`)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			r, _, _ := newGather(t, Evidence{})
			r.Config.Expert.IncludeFiles, r.sum.RelevantFiles = !c.names, c.run
			got := r.fileContext(c.given)
			var manifest map[string]any
			if got.Manifest != nil {
				require.NoError(t, json.Unmarshal(got.Manifest, &manifest))
				delete(manifest, "tokens")
				delete(manifest, "bytes")
				assert.Contains(t, manifest, c.listed)
			}
			assert.Equal(t, c.listed != "", len(manifest) == 1, manifest)
			got.Manifest = nil
			assert.Equal(t, c.want, got)
		})
	}
	t.Run("some of each", func(t *testing.T) {
		r, _, _ := newGather(t, Evidence{})
		m := workspace.Manifest{Sent: one, Cut: []workspace.Entry{{Path: "/b.go"}}, Unchanged: []workspace.Entry{{Path: "/c.go"}, one[0]}, LeftOut: []workspace.Entry{{Path: "/d.go"}}}
		got := r.fileContext(Evidence{Manifest: m})
		assert.Equal(t, 4, got.FilesEmbedded)
		assert.Equal(t, "partially_embedded", got.Type)
		assert.Nil(t, got.Listing, "the manifest lists them all")
		assert.Equal(t, []string{"/a.go", "/b.go", "/c.go"}, sentIn(m), "each once")
		for i := range 200 {
			m.Sent = append(m.Sent, workspace.Entry{Path: fmt.Sprintf("/w/%d.go", i)})
		}
		assert.NotEmpty(t, r.fileContext(Evidence{Manifest: m}).Listing)
	})
}

// What two parts of the evidence sent counts together.
func TestMergedManifests(t *testing.T) {
	list := func(name string) []workspace.Entry { return []workspace.Entry{{Path: name}} }
	of := func(n int, side string) workspace.Manifest {
		return workspace.Manifest{
			Sent: list(side + "sent"), Cut: list(side + "cut"), Unchanged: list(side + "unchanged"), LeftOut: list(side + "left"),
			NotChecked: []string{side + "picture"}, Tokens: n, Bytes: int64(10 * n),
		}
	}
	both := func(name string) []workspace.Entry { return []workspace.Entry{{Path: "a" + name}, {Path: "b" + name}} }
	assert.Equal(t, workspace.Manifest{
		Sent: both("sent"), Cut: both("cut"), Unchanged: both("unchanged"), LeftOut: both("left"), NotChecked: []string{"apicture", "bpicture"},
		Tokens: 7, Bytes: 70,
	}, merge(of(3, "a"), of(4, "b")))
}

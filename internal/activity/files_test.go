package activity

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

func TestRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	r := &rotating{path: path}
	defer r.close()
	block := make([]byte, rotateAt/2+1)
	for i := range 9 {
		for j := range block {
			block[j] = byte('a' + i)
		}
		block[len(block)-1] = '\n'
		require.NoError(t, r.write(block))
	}
	first := func(name string) byte {
		f, err := os.Open(name)
		require.NoError(t, err)
		defer f.Close()
		b := make([]byte, 1)
		_, err = f.Read(b)
		require.NoError(t, err)
		return b[0]
	}
	assert.Equal(t, byte('i'), first(path))
	for n := 1; n <= maxRotated; n++ {
		assert.Equal(t, byte('i'-n), first(rotatedPath(path, n)))
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	assert.Len(t, entries, 1+maxRotated, "the oldest is gone, and nothing else lies about")
}

func TestTwoProcessesShareALog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	a, b := &rotating{path: path}, &rotating{path: path}
	defer a.close()
	defer b.close()
	require.NoError(t, a.write([]byte("a1\n")))
	require.NoError(t, b.write([]byte("b1\n")))
	a.rotate()
	require.NoError(t, a.write([]byte("a2\n")))
	require.NoError(t, b.write([]byte("b2\n")))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "a2\nb2\n", string(data), "b follows a's rotation")
	require.NoError(t, os.Remove(path))
	require.NoError(t, b.write([]byte("b3\n")))
	data, err = os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "b3\n", string(data), "and a deletion")
}

func TestInterruptedRotationLosesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	for name, text := range map[string]string{path: "new\n", rotatedPath(path, 0): "between\n", rotatedPath(path, 1): "old\n"} {
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	l := &Log{files: newFiles(zap.NewNop()), activity: &rotating{path: path}}
	lines, err := l.TailActivity(t.Context(), all())
	require.NoError(t, err)
	assert.Equal(t, []string{"old", "between", "new"}, lines)
	l.activity.rotate()
	lines, err = l.TailActivity(t.Context(), all())
	require.NoError(t, err)
	assert.Equal(t, []string{"old", "between", "new"}, lines)
	assert.NoFileExists(t, rotatedPath(path, 0))
}

func TestHalfALineDoesNotSpoilTheNext(t *testing.T) {
	path := filepath.Join(t.TempDir(), "x.jsonl")
	require.NoError(t, os.WriteFile(path, []byte("whole\nhal"), 0o600))
	r := &rotating{path: path}
	defer r.close()
	require.NoError(t, r.write([]byte("next\n")))
	data, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, "whole\nhal\nnext\n", string(data))
}

func TestUnwritableLogFailsNoCall(t *testing.T) {
	cfg := settings(t)
	require.NoError(t, os.WriteFile(filepath.Dir(cfg.Logs.ActivityPath), nil, 0o600)) // a file where the folder should be
	l, seen := open(t, cfg)
	for range 3 {
		l.Start(Call{ID: "1", Tool: "chat"}).Finish(End{Status: "success"})
	}
	l.files.flush()
	assert.Equal(t, 9, l.Stats().Dropped)
	assert.Len(t, seen.FilterMessageSnippet("cannot be written").All(), 1, "said once")
}

func TestAFullQueueDropsAndCounts(t *testing.T) {
	f := newFiles(zap.NewNop())
	f.running = true // but nobody reads
	to := &rotating{}
	begin := time.Now()
	for range queueSize + 10 {
		f.add(to, []byte("x\n"))
	}
	assert.Equal(t, 10, f.dropped())
	assert.Less(t, time.Since(begin), time.Second)
}

func TestCloseWritesWhatWaitsAndTakesNoMore(t *testing.T) {
	cfg := settings(t)
	l, _ := open(t, cfg)
	for i := range 500 {
		l.Note(Record{Kind: Notice, Message: fmt.Sprint(i)})
	}
	require.NoError(t, l.Close())
	require.NoError(t, l.Close())
	l.Note(Record{Kind: Notice, Message: "late"})
	data, err := os.ReadFile(cfg.Logs.ActivityPath)
	require.NoError(t, err)
	assert.Equal(t, 500, strings.Count(string(data), "\n"))
	assert.Equal(t, 1, l.Stats().Dropped)
	assert.Len(t, records(t, l), 500, "it can still be read")
	require.NoError(t, Open(settings(t), nil).Close(), "one that wrote nothing")
}

// stamped are lines of three files, one every minute, the oldest in .2.
func stamped(t *testing.T) *Log {
	path := filepath.Join(t.TempDir(), "activity.jsonl")
	at := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	n := 0
	for _, name := range []string{rotatedPath(path, 2), rotatedPath(path, 1), path} {
		var b strings.Builder
		for range 10 {
			fmt.Fprintf(&b, `{"ts":"%s","level":"INFO","kind":"notice","message":"line %02d"}`+"\n", at.Format(stampLayout), n)
			b.WriteString("another program's line\n") // without a time; times leave it out
			at = at.Add(time.Minute)
			n++
		}
		require.NoError(t, os.WriteFile(name, []byte(b.String()), 0o600))
	}
	return &Log{files: newFiles(zap.NewNop()), activity: &rotating{path: path}}
}

func TestTail(t *testing.T) {
	minute := func(n int) time.Time { return time.Date(2000, 1, 1, 0, n, 0, 0, time.UTC) }
	ours := regexp.MustCompile(`line \d`)
	for _, tc := range []struct {
		name        string
		query       Query
		first, last string
		count       int
	}{
		{"all, over rotations, oldest first", Query{Lines: 100, Filter: ours}, "line 00", "line 29", 30},
		{"the newest", Query{Lines: 3, Filter: ours}, "line 27", "line 29", 3},
		{"into the file before", Query{Lines: 12, Filter: ours}, "line 18", "line 29", 12},
		{"by filter, then counted", Query{Lines: 2, Filter: regexp.MustCompile(`line .5`)}, "line 15", "line 25", 2},
		{"filter on the readable form", Query{Lines: 9, Filter: regexp.MustCompile(`^2000-01-01 00:07:00 INFO line 07$`)}, "line 07", "line 07", 1},
		{"filter on the raw form", Query{Lines: 9, Filter: regexp.MustCompile(`"kind":"notice","message":"line 08"`)}, "line 08", "line 08", 1},
		{"since", Query{Lines: 100, Since: minute(25)}, "line 25", "line 29", 5},
		{"until", Query{Lines: 100, Until: minute(3)}, "line 00", "line 03", 4},
		{"between", Query{Lines: 100, Since: minute(8), Until: minute(11)}, "line 08", "line 11", 4},
		{"in another zone", Query{Lines: 100, Since: minute(28).In(time.FixedZone("", 7200))}, "line 28", "line 29", 2},
		{"nothing that late", Query{Lines: 100, Since: minute(500)}, "", "", 0},
		{"no lines", Query{}, "", "", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			lines, err := stamped(t).TailActivity(t.Context(), tc.query)
			require.NoError(t, err)
			require.Len(t, lines, tc.count)
			if tc.count > 0 {
				assert.Contains(t, lines[0], tc.first)
				assert.Contains(t, lines[len(lines)-1], tc.last)
			}
		})
	}
}

func TestTailStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(fmt.Errorf("enough"))
	_, err := stamped(t).TailActivity(ctx, all())
	require.ErrorContains(t, err, "enough")
}

func TestTailOfLongAndOddLines(t *testing.T) {
	path := filepath.Join(t.TempDir(), "toolcalls.jsonl")
	l := &Log{files: newFiles(zap.NewNop()), toolCalls: &rotating{path: path}}
	long := strings.Repeat("x", chunk*3+17)
	huge := "H" + strings.Repeat("y", 3*longLine)
	require.NoError(t, os.WriteFile(path, []byte("\n\nfirst\n"+long+"\n\n"+huge+"\nlast without end"), 0o600))
	lines, err := l.TailToolCalls(t.Context(), all())
	require.NoError(t, err)
	require.Len(t, lines, 4)
	assert.Equal(t, []string{"first", long}, lines[:2])
	assert.LessOrEqual(t, len(lines[2]), longLine+chunk)
	assert.True(t, strings.HasPrefix(lines[2], "Hyyy"))
	assert.Equal(t, "last without end", lines[3])
}

func TestTailStaysInTheLogFolder(t *testing.T) {
	root := t.TempDir()
	folder := filepath.Join(root, "logs")
	write := func(name, text string) {
		require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o700))
		require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	}
	write(filepath.Join(root, "outside.jsonl"), "private\n")
	write(filepath.Join(folder, "toolcalls.jsonl"), "call\n")
	write(filepath.Join(folder, "other.log"), "other\n")
	write(filepath.Join(folder, "exai.db"), "database\n")
	write(filepath.Join(folder, "deep", "x.jsonl"), "deep\n")
	require.NoError(t, os.Symlink(filepath.Join(root, "outside.jsonl"), filepath.Join(folder, "link.jsonl")))
	require.NoError(t, os.Symlink(folder, filepath.Join(root, "alias")))
	require.NoError(t, os.Mkdir(filepath.Join(folder, "folder.log"), 0o700))
	l := &Log{files: newFiles(zap.NewNop()), toolCalls: &rotating{path: filepath.Join(folder, "toolcalls.jsonl")}}

	for _, path := range []string{"other.log", filepath.Join(folder, "other.log"), folder + "/deep/../other.log", filepath.Join(root, "alias", "other.log")} {
		lines, err := l.Tail(t.Context(), path, all())
		require.NoError(t, err, path)
		assert.Equal(t, []string{"other"}, lines, path)
	}
	for _, path := range []string{
		"", ".", "..", "../outside.jsonl", filepath.Join(root, "outside.jsonl"), "exai.db", "deep/x.jsonl", "/etc/passwd", "/etc/x.log",
		"folder.log", "link.jsonl", "x/../../outside.jsonl",
	} {
		lines, err := l.Tail(t.Context(), path, all())
		assert.Empty(t, lines, path)
		assert.Error(t, err, path)
	}
	_, err := l.Tail(t.Context(), "missing.jsonl", all())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = l.Tail(t.Context(), "../outside.jsonl", all())
	require.ErrorIs(t, err, ErrOutside)
}

package activity

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// ErrOutside is the answer to a path that is no log in the log folder.
var ErrOutside = errors.New("not a log file of the log folder")

// ErrOff is the answer where a log is not kept.
var ErrOff = errors.New("this log is not kept")

// Query chooses lines of a log.
type Query struct {
	Lines  int            // how many at most, the newest; 0 or less means none
	Filter *regexp.Regexp // matched against the line, and for activity records against their readable form; nil takes all
	Since  time.Time      // zero does not narrow
	Until  time.Time
}

const (
	chunk    = 64 << 10
	longLine = 1 << 20  // a longer line is cut
	maxTail  = 16 << 20 // bytes that one answer may hold
	// disorder is how far apart the clocks and queues of several processes may put lines of one file.
	disorder = time.Minute
)

// TailActivity returns the newest lines of the activity log that the query takes, the oldest of them first, over its
// rotated files. Each is a Record in JSON; Text makes it readable. The error is ErrOff where the log is not kept, and
// fs.ErrNotExist where nothing has been written yet.
func (l *Log) TailActivity(ctx context.Context, q Query) ([]string, error) {
	return l.tail(ctx, l.activity, q)
}

// TailToolCalls does the same for the tool-call log.
func (l *Log) TailToolCalls(ctx context.Context, q Query) ([]string, error) {
	return l.tail(ctx, l.toolCalls, q)
}

// Tail does the same for a log that is named by its path: a .jsonl or .log file that lies directly in the folder of one
// of our logs, or ErrOutside. A relative path is looked up in the tool-call log's folder.
func (l *Log) Tail(ctx context.Context, path string, q Query) ([]string, error) {
	for _, log := range []*rotating{l.toolCalls, l.activity} {
		if log == nil {
			continue
		}
		folder := filepath.Dir(log.path)
		whole := path
		if !filepath.IsAbs(whole) {
			whole = filepath.Join(folder, path)
		}
		if sameFolder(filepath.Dir(whole), folder) && logName().MatchString(filepath.Base(whole)) {
			return l.tail(ctx, &rotating{path: filepath.Join(folder, filepath.Base(whole))}, q)
		}
	}
	return nil, ErrOutside
}

var logName = lazyregexp.New(`^[A-Za-z0-9_][A-Za-z0-9._-]*\.(jsonl|log)(\.[0-9])?$`)

func sameFolder(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

func (l *Log) tail(ctx context.Context, log *rotating, q Query) ([]string, error) {
	if log == nil {
		return nil, ErrOff
	}
	if q.Lines <= 0 {
		return nil, nil
	}
	l.files.flush()
	root, err := os.OpenRoot(filepath.Dir(log.path))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("nothing has been logged yet: %w", fs.ErrNotExist)
	} else if err != nil {
		return nil, fmt.Errorf("open the log folder: %w", err)
	}
	defer func() { _ = root.Close() }()

	t := &tailing{query: q}
	found := false
	names := []string{filepath.Base(log.path)}
	for n := range maxRotated + 1 {
		names = append(names, rotatedPath(names[0], n))
	}
	for _, name := range names {
		if t.full() {
			break
		}
		f, err := openRegular(root, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("open the log: %w", err)
		}
		found = true
		err = backward(ctx, f, t.take)
		f.Close()
		if err != nil {
			return nil, fmt.Errorf("read the log: %w", err)
		}
	}
	if !found {
		return nil, fmt.Errorf("nothing has been logged yet: %w", fs.ErrNotExist)
	}
	slices.Reverse(t.lines)
	return t.lines, nil
}

// openRegular opens a file, but nothing that could keep its reader waiting.
func openRegular(root *os.Root, name string) (*os.File, error) {
	info, err := root.Stat(name)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, ErrOutside
	}
	return root.Open(name)
}

// tailing collects lines, the newest first.
type tailing struct {
	query Query
	lines []string
	bytes int
	past  bool // what follows is older than Since
}

func (t *tailing) full() bool {
	return len(t.lines) >= t.query.Lines || t.bytes >= maxTail || t.past
}

// take judges one line and reports whether to go on.
func (t *tailing) take(line []byte) bool {
	if t.full() {
		return false
	}
	at, dated := stampOf(line)
	if dated && !t.query.Since.IsZero() && at.Before(t.query.Since) {
		t.past = at.Before(t.query.Since.Add(-disorder))
		return !t.past
	}
	if dated && !t.query.Until.IsZero() && at.After(t.query.Until) {
		return true
	}
	if !dated && (!t.query.Since.IsZero() || !t.query.Until.IsZero()) {
		return true
	}
	text := string(line)
	if f := t.query.Filter; f != nil && !f.MatchString(text) && !f.MatchString(Text(text)) {
		return true
	}
	t.lines = append(t.lines, text)
	t.bytes += len(text)
	return !t.full()
}

// stampOf reads the time of a line of ours, which begins with it.
func stampOf(line []byte) (time.Time, bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"ts":"`))
	if !ok || len(rest) < len(stampLayout) {
		return time.Time{}, false
	}
	at, err := time.Parse(stampLayout, string(rest[:len(stampLayout)]))
	return at, err == nil
}

// Text is an activity record as people read it, "2006-01-02 15:04:05 INFO TOOL_CALL: ...". Another line stays as it is.
func Text(line string) string {
	var r Record
	if err := json.Unmarshal([]byte(line), &r); err != nil || r.Message == "" {
		return line
	}
	return time.Time(r.TS).UTC().Format(time.DateTime) + " " + r.Level + " " + r.Message
}

// backward reads a file's lines from its end, until yield has had enough. Empty lines are left out.
func backward(ctx context.Context, f *os.File, yield func([]byte) bool) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	var rest []byte // a line whose beginning is not read yet
	for at := info.Size(); at > 0; {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		n := min(chunk, at)
		at -= n
		buf := make([]byte, n, n+int64(len(rest)))
		if _, err := f.ReadAt(buf, at); err != nil {
			return err
		}
		buf = append(buf, rest...)
		for {
			i := bytes.LastIndexByte(buf, '\n')
			if i < 0 {
				break
			}
			if i+1 < len(buf) && !yield(buf[i+1:]) {
				return nil
			}
			buf = buf[:i]
		}
		rest = buf[:min(len(buf), longLine)]
	}
	if len(rest) > 0 {
		yield(rest)
	}
	return nil
}

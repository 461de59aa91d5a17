package workspace

import (
	"bytes"
	"context"
	"io"
	"strings"
)

// Citation says whether something that a model cited exists.
type Citation string

// The results of Verify, as replies show them.
const (
	CitationVerified Citation = "verified"
	CitationNotFound Citation = "not_found"
)

// Verify tells whether a file exists in the workspace and has a line of that number (0: any). A name that is not found in
// the roots may also be the end of exactly one of the paths in among, which are files that the model was given.
func (w *Workspace) Verify(ctx context.Context, file string, line int, among ...string) Citation {
	file = strings.TrimSpace(file)
	if w.hasLine(ctx, file, line) {
		return CitationVerified
	}
	match := ""
	for _, known := range among {
		if !endsInPath(known, file) || known == match {
			continue
		}
		if match != "" {
			return CitationNotFound
		}
		match = known
	}
	if match != "" && w.hasLine(ctx, match, line) {
		return CitationVerified
	}
	return CitationNotFound
}

// endsInPath tells whether a path ends in the names of another.
func endsInPath(known, end string) bool {
	end = strings.TrimPrefix(strings.ReplaceAll(end, `\`, "/"), "./")
	known = strings.ReplaceAll(known, `\`, "/")
	return end != "" && (known == end || strings.HasSuffix(known, "/"+strings.TrimPrefix(end, "/")))
}

func (w *Workspace) hasLine(ctx context.Context, file string, line int) bool {
	if file == "" || line < 0 {
		return false
	}
	at, err := w.find(ctx, file)
	if err != nil {
		return false
	}
	f, _, err := at.open()
	if err != nil {
		return false
	}
	defer f.Close()
	return line == 0 || atLeastLines(ctx, io.LimitReader(f, maxCiteBytes), line)
}

// atLeastLines tells whether a text has so many lines; a last one without an end counts too.
func atLeastLines(ctx context.Context, r io.Reader, line int) bool {
	buf := make([]byte, 64<<10)
	ends := 0
	tail := false // bytes after the last line's end
	for context.Cause(ctx) == nil {
		n, err := r.Read(buf)
		ends += bytes.Count(buf[:n], []byte{'\n'})
		if n > 0 {
			tail = buf[n-1] != '\n'
		}
		if ends >= line {
			return true
		}
		if err != nil {
			return tail && ends+1 >= line
		}
	}
	return false
}

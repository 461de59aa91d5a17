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

// Verify reports whether a file exists in the workspace and has a line of that number (0: any). It may be one of the known
// files, by its host's name or as it was asked for; else a path of its own, or the end of exactly one of the paths in
// among, which are files that the model was given.
func (w *Workspace) Verify(ctx context.Context, file string, line int, known []Ref, among []string) Citation {
	file = strings.TrimSpace(file)
	if file == "" || line < 0 {
		return CitationNotFound
	}
	r, ok := w.citedAmong(ctx, file, known, among)
	if !ok || r.IsFolder() {
		return CitationNotFound
	}
	f, err := r.Open()
	if err != nil {
		return CitationNotFound
	}
	defer f.Close()
	if line > 0 && !atLeastLines(ctx, io.LimitReader(f, maxCiteBytes), line) {
		return CitationNotFound
	}
	return CitationVerified
}

// citedAmong finds the file that a citation means.
func (w *Workspace) citedAmong(ctx context.Context, file string, known []Ref, among []string) (Ref, bool) {
	named := func(name string) (Ref, bool) {
		for _, r := range known {
			if name == r.at.host || name == r.at.asked {
				return r, true
			}
		}
		r, err := w.ref(ctx, name)
		return r, err == nil
	}
	if r, ok := named(file); ok {
		return r, true
	}
	match := ""
	for _, path := range among {
		if !endsInPath(path, file) || path == match {
			continue
		}
		if match != "" {
			return Ref{}, false
		}
		match = path
	}
	if match == "" {
		return Ref{}, false
	}
	return named(match)
}

// endsInPath reports whether a path ends in the names of another.
func endsInPath(known, end string) bool {
	end = strings.TrimPrefix(strings.ReplaceAll(end, `\`, "/"), "./")
	known = strings.ReplaceAll(known, `\`, "/")
	return end != "" && (known == end || strings.HasSuffix(known, "/"+strings.TrimPrefix(end, "/")))
}

// atLeastLines reports whether a text has so many lines; a last one without an end counts too.
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

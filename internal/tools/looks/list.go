package looks

import (
	"context"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// The bounds of a list.
const (
	usualDepth = 2
	maxListed  = 500
)

// listFiles is the function list_files.
func (r *Reader) listFiles(ctx context.Context, a arguments, room int, look *Look) (string, error) {
	files, whole, err := r.scope.Below(ctx, a.Path)
	if err != nil {
		return "", err
	}
	depth := int(a.Depth)
	if depth <= 0 {
		depth = usualDepth
	}
	const footer = 150 // bytes that the last lines of the result may take
	var b strings.Builder
	entries := tree(files, depth)
	for i, entry := range entries {
		line := shorten(entry, maxWritten) + "\n"
		if look.Lines == maxListed || b.Len()+len(line)+footer > room {
			fmt.Fprintf(&b, "[%d more: name a folder]\n", len(entries)-i)
			break
		}
		b.WriteString(line)
		look.Lines++
	}
	if len(entries) == 0 {
		b.WriteString("No files.\n")
	}
	if !whole {
		b.WriteString("[Not every file of the project could be listed.]\n")
	}
	return strings.TrimSuffix(b.String(), "\n"), nil
}

// tree lists files, those deeper than depth folders below the one that all of them lie in as their folder with their number.
func tree(files []workspace.ReadableFile, depth int) (entries []string) {
	top := 0
	if len(files) > 1 {
		top = strings.Count(commonFolder(files[0].Name, files[len(files)-1].Name), "/")
	}
	for i := 0; i < len(files); {
		folder, deep := cutFolder(files[i].Name, top+depth)
		if !deep {
			entries = append(entries, files[i].Name)
			i++
			continue
		}
		n := 0
		for i < len(files) && strings.HasPrefix(files[i].Name, folder) {
			n, i = n+1, i+1
		}
		entries = append(entries, fmt.Sprintf("%s (%s)", folder, count(n, "file")))
	}
	return entries
}

// commonFolder is the folder, with its slash, that two names lie in.
func commonFolder(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return a[:strings.LastIndexByte(a[:n], '/')+1]
}

// cutFolder is a name's folder, with its slash, so many levels deep, and false where the name is no deeper.
func cutFolder(name string, levels int) (folder string, deep bool) {
	for i := range len(name) {
		if name[i] != '/' {
			continue
		}
		if levels--; levels == 0 {
			return name[:i+1], true
		}
	}
	return "", false
}

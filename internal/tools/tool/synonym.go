package tool

import (
	"slices"
	"strings"
)

// synonyms are other names that callers give to an argument. A name that the tool itself has is never a synonym, and the
// first row counts whose argument the tool has.
var synonyms = [...]struct {
	argument string
	names    []string
}{
	{"relevant_files", []string{"file", "files", "path", "paths", "relevant_file"}},
	{"files", []string{"file", "path", "paths", "relevant_file", "relevant_files"}},
	{"step", []string{"question", "query", "message", "task", "request", "prompt"}},
	{"prompt", []string{"question", "query", "message"}},
	{"search_query", []string{"query", "prompt"}},
}

// rename puts arguments that came under another name under their own. One whose own argument was given too is left where it
// is, unless both are lists of files, which are joined. One without a value is left out.
func (s *shape) rename(object map[string]any, c *coercer) {
	for _, row := range synonyms {
		if !s.has(row.argument) {
			continue
		}
		for _, name := range row.names {
			value, given := object[name]
			if !given || s.has(name) {
				continue
			}
			if omitted(value) {
				delete(object, name)
				continue
			}
			own := object[row.argument]
			switch {
			case omitted(own):
				object[row.argument] = value
			case strings.HasSuffix(row.argument, "files"):
				object[row.argument] = slices.Concat(listOf(own), listOf(value))
			default:
				continue
			}
			delete(object, name)
			c.note("Took %s as %s.", name, row.argument)
		}
	}
}

// synonym reports whether a name stands for one of the tool's arguments.
func (s *shape) synonym(name string) bool {
	for _, row := range synonyms {
		if s.has(row.argument) && slices.Contains(row.names, name) {
			return true
		}
	}
	return false
}

// omitted reports whether a value counts as none. [""] is how some models write an empty list.
func omitted(value any) bool {
	switch given := value.(type) {
	case nil:
		return true
	case string:
		text := strings.TrimSpace(given)
		return text == "" || text == "null"
	case []any:
		return len(given) > 0 && !slices.ContainsFunc(given, func(item any) bool { return !omitted(item) })
	}
	return false
}

// listOf is a value as a list, also where the list came in a string.
func listOf(value any) []any {
	switch given := value.(type) {
	case []any:
		return given
	case string:
		if inner, err := parse(given); err == nil {
			if list, ok := inner.([]any); ok {
				return list
			}
		}
	}
	return []any{value}
}

// fileArguments name files. Where none of them is given, an unknown argument that names a file is not ignored: other files
// would be sent instead.
var fileArguments = [...]string{"relevant_files", "files", "path", "file"}

// misplaced returns the unknown argument that names an existing file where no file was named otherwise, with the argument
// that was meant.
func (s *shape) misplaced(object map[string]any, ignored []string, exists func(string) bool) (name, meant string) {
	i := slices.IndexFunc(fileArguments[:], s.has)
	if i < 0 || exists == nil {
		return "", ""
	}
	for _, own := range fileArguments {
		if s.has(own) && !omitted(object[own]) && len(listOf(object[own])) > 0 {
			return "", ""
		}
	}
	for _, name := range ignored {
		for _, item := range listOf(object[name]) {
			if text, ok := item.(string); ok && maybePath(text) && exists(text) {
				return name, fileArguments[i]
			}
		}
	}
	return "", ""
}

// paths are the files and folders that a call's arguments name.
func (s *shape) paths(object map[string]any) (paths []string) {
	for _, name := range slices.Concat(fileArguments[:], []string{"images"}) {
		if !s.has(name) || omitted(object[name]) {
			continue
		}
		for _, item := range listOf(object[name]) {
			if path, ok := item.(string); ok && maybePath(path) && !strings.HasPrefix(path, "data:") {
				paths = append(paths, path)
			}
		}
	}
	return paths
}

// fills reports whether files of the first root stand in where a call names none.
func (s *shape) fills() bool { return s.has("relevant_files") || s.has("path") }

// maxPath is the longest text, in bytes, that is looked up as a path.
const maxPath = 1024

func maybePath(text string) bool {
	return text != "" && len(text) <= maxPath && !strings.ContainsAny(text, "\n\x00")
}

package workspace

import (
	"errors"
	"net/url"
	"runtime"
	"strings"
)

// system is the kind of operating system that a path is read for. What this file knows of paths is text alone, so that the
// rules of every system are tested on any.
type system int

const (
	linux   system = iota // and the other Unixes
	darwin                // a Unix whose file systems mostly ignore case
	windows               // drives, shares, two separators, device names
)

// native is the system that we run on.
func native() system {
	switch runtime.GOOS {
	case "windows":
		return windows
	case "darwin", "ios":
		return darwin
	}
	return linux
}

// foldsCase reports whether names that differ by case alone mean the same file there.
func (s system) foldsCase() bool { return s != linux }

// form is how a path is written. A host's paths may be written in another form than ours.
type form int

const (
	relativeForm form = iota
	posixForm         // /a/b
	windowsForm       // C:\a\b, \\server\share\a
)

// path is a parsed path: "." and ".." are gone, and so are doubled and trailing separators. A relative path keeps its
// text in raw, since ".." in it has a meaning only below some folder.
type path struct {
	form   form
	volume string // "C:" or `\\server\share` in windowsForm
	parts  []string
	raw    string
}

// String is the path in its own form.
func (p path) String() string {
	switch p.form {
	case posixForm:
		return "/" + strings.Join(p.parts, "/")
	case windowsForm:
		return p.volume + `\` + strings.Join(p.parts, `\`)
	}
	return p.raw
}

// below is the path with more names at its end.
func (p path) below(names []string) path {
	p.parts = append(append([]string(nil), p.parts...), names...)
	return p
}

// under returns what of p lies below dir, and false when p is not in dir.
func (p path) under(dir path, fold bool) ([]string, bool) {
	if p.form != dir.form || !strings.EqualFold(p.volume, dir.volume) || len(p.parts) < len(dir.parts) {
		return nil, false
	}
	for i, name := range dir.parts {
		same := name == p.parts[i] || fold && strings.EqualFold(name, p.parts[i])
		if !same {
			return nil, false
		}
	}
	return p.parts[len(dir.parts):], true
}

var (
	errEmptyPath     = errors.New("the path is empty")
	errLongPath      = errors.New("the path is too long")
	errNUL           = errors.New("the path holds a NUL character")
	errDevicePath    = errors.New("the path names a device, not a file")
	errDriveRelative = errors.New("a path with a drive letter needs a separator after the colon")
	errBadURI        = errors.New("the file: address can't be read")
)

// maxPath is the longest path that any of the systems takes, in bytes.
const maxPath = 32_767

// parsePath reads a path as it may be written for, or on, a system: absolute in that system's own form or in Windows' (an
// agent on a Windows host may speak to a server in a container), a file: address, or relative.
func parsePath(text string, on system) (path, error) {
	if text == "" {
		return path{}, errEmptyPath
	}
	if len(text) > maxPath {
		return path{}, errLongPath
	}
	if strings.ContainsRune(text, 0) {
		return path{}, errNUL
	}
	if len(text) >= 5 && strings.EqualFold(text[:5], "file:") {
		plain, err := fromURI(text)
		if err != nil {
			return path{}, err
		}
		text = plain
	}
	if looksWindows(text, on) {
		return parseWindows(text)
	}
	if text[0] == '/' {
		parts := cleaned(strings.Split(text, "/"))
		if len(parts) > 0 && isDrive(parts[0]) { // "/C:/x" is what is left of file:///C:/x
			return parseWindows(strings.Join(parts, "/"))
		}
		if on == windows && len(parts) > 0 && len(parts[0]) == 1 && isLetter(parts[0][0]) { // "/c/Users", as Unix shells on Windows write it
			return parseWindows(parts[0] + ":/" + strings.Join(parts[1:], "/"))
		}
		return path{form: posixForm, parts: parts}, nil
	}
	if on == windows && len(text) >= 2 && isDrive(text[:2]) {
		return path{}, errDriveRelative
	}
	return path{form: relativeForm, raw: text}, nil
}

// fromURI turns a file: address into a path. "file:///C:/x" becomes "/C:/x", which parsePath knows.
func fromURI(text string) (string, error) {
	rest := text[len("file:"):]
	host := ""
	if strings.HasPrefix(rest, "//") {
		rest = rest[2:]
		if i := strings.IndexByte(rest, '/'); i >= 0 {
			host, rest = rest[:i], rest[i:]
		} else {
			host, rest = rest, "/"
		}
	}
	plain, err := url.PathUnescape(rest)
	if err != nil || plain == "" || strings.ContainsRune(plain, 0) {
		return "", errBadURI
	}
	switch {
	case host == "" || strings.EqualFold(host, "localhost"):
		return plain, nil
	case isDrive(host): // one slash short, as some clients write it
		return host + plain, nil
	}
	return `\\` + host + strings.ReplaceAll(plain, "/", `\`), nil
}

// looksWindows reports whether an absolute path is written in Windows' form.
func looksWindows(text string, on system) bool {
	if strings.HasPrefix(text, `\\`) || (on == windows && strings.HasPrefix(text, "//")) {
		return true
	}
	return len(text) >= 2 && isDrive(text[:2]) && (len(text) == 2 || isSeparator(text[2]))
}

func parseWindows(text string) (path, error) {
	text = strings.ReplaceAll(text, "/", `\`)
	if rest, ok := strings.CutPrefix(text, `\\?\`); ok {
		if share, ok := cutPrefixFold(rest, `UNC\`); ok {
			text = `\\` + share
		} else if len(rest) >= 3 && isDrive(rest[:2]) && rest[2] == '\\' {
			text = rest
		} else {
			return path{}, errDevicePath
		}
	}
	if rest, ok := strings.CutPrefix(text, `\\`); ok {
		server, rest, _ := strings.Cut(rest, `\`)
		share, rest, _ := strings.Cut(rest, `\`)
		if server == "" || server == "." || server == "?" || share == "" || server == ".." || share == ".." {
			return path{}, errDevicePath
		}
		return path{form: windowsForm, volume: `\\` + server + `\` + share, parts: cleaned(strings.Split(rest, `\`))}, nil
	}
	return path{form: windowsForm, volume: strings.ToUpper(text[:2]), parts: cleaned(strings.Split(text[2:], `\`))}, nil
}

// cleaned drops empty names and "." and lets ".." take back the name before it, never more than there is.
func cleaned(names []string) []string {
	kept := make([]string, 0, len(names))
	for _, name := range names {
		switch name {
		case "", ".":
		case "..":
			kept = kept[:max(len(kept)-1, 0)]
		default:
			kept = append(kept, name)
		}
	}
	return kept
}

// namesOf splits a path's text at every separator that it may hold, for the checks of its names.
func namesOf(text string, on system) []string {
	return strings.FieldsFunc(text, func(r rune) bool { return r == '/' || (r == '\\' && on == windows) })
}

func cutPrefixFold(s, prefix string) (string, bool) {
	if len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		return s[len(prefix):], true
	}
	return s, false
}

func isDrive(s string) bool   { return len(s) == 2 && s[1] == ':' && isLetter(s[0]) }
func isLetter(b byte) bool    { return 'a' <= b|0x20 && b|0x20 <= 'z' }
func isSeparator(b byte) bool { return b == '/' || b == '\\' }

package workspace

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/workspace/realpath"
)

// place is a path that passed every check: where it really is, and the root that it is opened below.
type place struct {
	asked string   // as the caller wrote it
	host  string   // real, as the host names it
	real  string   // absolute, without links
	root  string   // the root's real path
	names []string // from the root to the file; none for the root itself
	log   *zap.Logger
}

// find checks a path that a caller wrote. What it names need not exist.
func (w *Workspace) find(ctx context.Context, asked string) (place, error) {
	p, err := parsePath(w.expandHome(asked), w.system)
	if err != nil {
		hint := "Give the absolute path of a file or folder."
		if errors.Is(err, errDevicePath) {
			return place{}, &Error{Code: CodeDenied, Path: asked, Message: quoted(asked) + " names a device, not a file.", Hint: hint}
		}
		return place{}, &Error{Code: CodeInvalid, Path: asked, Message: "The path " + quoted(asked) + " can't be read: " + err.Error() + ".", Hint: hint}
	}
	roots := w.roots(ctx)
	if err := context.Cause(ctx); err != nil {
		return place{}, err
	}
	if p.form == relativeForm {
		return w.lookUp(roots, asked, p.raw)
	}
	return w.locate(roots, asked, w.paths.toLocal(p))
}

// lookUp tries a relative path below each root in turn. One that exists wins; else the first refusal, which says more
// than "does not exist".
func (w *Workspace) lookUp(roots []root, asked, raw string) (place, error) {
	for _, name := range namesOf(raw, w.system) {
		if why := refusal(path{form: relativeForm, parts: []string{name}}, w.system); why != "" {
			return place{}, refused(asked, why)
		}
	}
	spellings := []string{raw}
	if w.system != windows && strings.ContainsRune(raw, '\\') {
		spellings = append(spellings, strings.ReplaceAll(raw, `\`, "/")) // an agent on Windows wrote it
	}
	var failure error
	for _, r := range roots {
		if r.Problem != "" {
			continue
		}
		for _, spelling := range spellings {
			p, err := parsePath(filepath.Join(r.real, spelling), w.system)
			if err != nil {
				return place{}, &Error{Code: CodeInvalid, Path: asked, Message: "The path " + quoted(asked) + " can't be read.", Hint: "Give a shorter path.", Err: err}
			}
			at, err := w.locate(roots, asked, p)
			if err != nil {
				if failure == nil {
					failure = err
				}
				continue
			}
			_, err = os.Lstat(at.real)
			if err == nil {
				return at, nil
			}
			if errors.Is(err, fs.ErrPermission) && failure == nil {
				failure = systemError(asked, err)
			}
		}
	}
	if failure != nil {
		return place{}, failure
	}
	if slices.ContainsFunc(roots, func(r root) bool { return r.Problem == "" }) {
		return place{}, notFound(asked, "It was looked up in each root. "+rootsHint(roots))
	}
	return place{}, &Error{
		Code: CodeDenied, Path: asked, Message: "No folder is allowed that " + quoted(asked) + " could be looked up in.",
		Hint: rootsHint(roots), outside: true,
	}
}

// locate checks an absolute path: its names as written, then as they resolve, then the root around them.
func (w *Workspace) locate(roots []root, asked string, p path) (place, error) {
	if p.form != nativeForm(w.system) {
		return place{}, &Error{
			Code: CodeDenied, Path: asked,
			Message: quoted(asked) + " is a path of another system than the server's.",
			Hint:    "Set EXAI_PATH_MAP=host=container, such as " + exampleMap(p) + ", and allow the folder by EXAI_ALLOWED_ROOTS.",
		}
	}
	if why := w.forbids(p); why != "" {
		return place{}, refused(asked, why)
	}
	if !knownShare(roots, p) {
		return place{}, outside(roots, asked)
	}
	real, err := parsePath(realpath.Resolve(p.String()), w.system)
	if err != nil {
		return place{}, &Error{Code: CodeInvalid, Path: asked, Message: "The path " + quoted(asked) + " can't be read.", Hint: "Give a shorter path.", Err: err}
	}
	r, names, ok := w.containing(roots, real)
	if !ok {
		return place{}, outside(roots, asked)
	}
	if why := w.forbids(real); why != "" {
		return place{}, refused(asked, why)
	}
	return place{asked: asked, host: w.host(real.String()), real: real.String(), root: r.real, names: names, log: w.log}, nil
}

// knownShare is false for a path on a Windows share that no root is on: merely looking at such a path makes Windows log in
// at whatever server it names.
func knownShare(roots []root, p path) bool {
	if !strings.HasPrefix(p.volume, `\\`) {
		return true
	}
	return slices.ContainsFunc(roots, func(r root) bool { return strings.EqualFold(r.path.volume, p.volume) })
}

func outside(roots []root, path string) *Error {
	return &Error{
		Code: CodeDenied, Path: path, Message: quoted(path) + " lies outside the folders that may be read.", Hint: rootsHint(roots),
		outside: true,
	}
}

func exampleMap(p path) string {
	if p.form == windowsForm {
		return p.volume + `\code=/work`
	}
	return `/home/me/code=C:\code`
}

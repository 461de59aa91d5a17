package workspace

import (
	"io/fs"
	"os"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/workspace/realpath"
)

// open opens a checked path, a regular file, for reading. It goes down from the root one name
// at a time and makes sure that each thing it opened is the thing that bore the name, no link: whoever exchanges a file
// or a folder after the check gets an error, and a FIFO is never opened.
func (at place) open() (*os.File, fs.FileInfo, error) {
	dir, err := at.openParent()
	if err != nil {
		return nil, nil, err
	}
	defer dir.Close()
	name := "."
	if len(at.names) > 0 {
		name = at.names[len(at.names)-1]
	}
	before, err := dir.Lstat(name)
	if err != nil {
		return nil, nil, systemError(at.asked, err)
	}
	if err := at.requireKind(before, false); err != nil {
		return nil, nil, err
	}
	at.log.Debug("file opened", zap.String("path", at.host))
	f, err := dir.OpenFile(name, realpath.OpenFlags, 0)
	if err != nil {
		return nil, nil, systemError(at.asked, err)
	}
	after, err := f.Stat()
	if err == nil && !os.SameFile(before, after) {
		err = changed(at.asked)
	} else if err != nil {
		err = systemError(at.asked, err)
	} else {
		err = at.requireKind(after, false)
	}
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, after, nil
}

// openParent opens the folder that holds the path's last name.
func (at place) openParent() (*os.Root, error) {
	dir, err := os.OpenRoot(at.root)
	if err != nil {
		return nil, systemError(at.asked, err)
	}
	for _, name := range at.names[:max(len(at.names)-1, 0)] {
		next, err := step(dir, name)
		dir.Close()
		if err != nil {
			return nil, at.stepError(err)
		}
		dir = next
	}
	return dir, nil
}

// openRoot opens a checked folder as a root of its own.
func (at place) openRoot() (*os.Root, error) {
	dir, err := at.openParent()
	if err != nil || len(at.names) == 0 {
		return dir, err
	}
	defer dir.Close()
	next, err := step(dir, at.names[len(at.names)-1])
	if err != nil {
		return nil, at.stepError(err)
	}
	return next, nil
}

// stepError is step's error in terms of the path that was asked for.
func (at place) stepError(err error) error {
	if codeOf(err) == "" {
		return systemError(at.asked, err)
	}
	return changed(at.asked)
}

// step opens a folder of a folder, which must be no link. The "/." makes the system refuse anything but a folder without
// opening it first.
func step(dir *os.Root, name string) (*os.Root, error) {
	before, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if before.Mode()&fs.ModeSymlink != 0 {
		return nil, changed(name)
	}
	next, err := dir.OpenRoot(name + "/.")
	if err != nil {
		return nil, err
	}
	after, err := next.Stat(".")
	if err == nil && !os.SameFile(before, after) {
		err = changed(name)
	}
	if err != nil {
		next.Close()
		return nil, err
	}
	return next, nil
}

// requireKind refuses whatever is not a regular file or, with folder set, a folder.
func (at place) requireKind(info fs.FileInfo, folder bool) error {
	mode := info.Mode()
	switch {
	case mode.IsDir() && folder, mode.IsRegular() && !folder:
		return nil
	case mode.IsDir():
		return invalid(at.asked, quoted(at.asked)+" is a folder; a file is needed here.", "Name a file in it.")
	case mode.IsRegular():
		return invalid(at.asked, quoted(at.asked)+" is a file; a folder is needed here.", "Name the folder that it is in.")
	case mode&fs.ModeSymlink != 0:
		return brokenLink(at.asked)
	}
	return &Error{
		Code: CodeDenied, Path: at.asked,
		Message: quoted(at.asked) + " is refused: it is not a regular file but " + kindOf(mode) + ".",
		Hint:    "No setting overrides this, including EXAI_ALLOWED_ROOTS. Name a regular file.",
	}
}

// brokenLink is a link that could not be resolved: links in a circle, or one that was just put there.
func brokenLink(path string) *Error {
	return notFound(path, "It is a link that leads in a circle or was just exchanged.")
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "something special"
}

// stat tells what a checked path is, without opening it.
func (at place) stat() (fs.FileInfo, error) {
	dir, err := at.openParent()
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	name := "."
	if len(at.names) > 0 {
		name = at.names[len(at.names)-1]
	}
	info, err := dir.Lstat(name)
	if err != nil {
		return nil, systemError(at.asked, err)
	}
	return info, nil
}

// File is an open file of the workspace.
type File struct {
	*os.File
	Path string // as the host names it
	Size int64  // when it was opened
}

// Open opens a regular file of any content for reading, for uploads. The caller closes it.
func (r Ref) Open() (*File, error) {
	f, info, err := r.at.open()
	if err != nil {
		return nil, err
	}
	return &File{File: f, Path: r.at.host, Size: info.Size()}, nil
}

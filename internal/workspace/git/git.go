// Package git reads repositories that may be hostile: which files changed, and how. It writes nothing to them,
// runs nothing that they name, and uses no object or ref that lies outside of what its caller allows.
//
// It knows git and folders, but no root, no refused name and no model: the workspace decides what of a repository is
// shown.
package git

import (
	"errors"
	"fmt"
)

// Git is a git program, and the folders that it needs.
type Git struct {
	Program  string // its path, "" when there is none
	Home     string // the user's home folder, for the user's own settings; "" when there is none
	StateDir string // a folder to write to where the system has no place for temporary files; may be ""
	// IndexFile is used instead of a repository's own index, if it lies in that repository's git folder. git gives hooks a
	// temporary one. It is absolute, or "".
	IndexFile string
}

// Allowed reports whether a resolved path may be read.
type Allowed func(real string) bool

var (
	// ErrNoProgram is returned when no git program was found.
	ErrNoProgram = errors.New("no git program was found")
	// ErrNoRepository is returned for a folder that lies in no work tree.
	ErrNoRepository = errors.New("not in a git work tree")
	// ErrNoCommit is returned for a name that is no commit.
	ErrNoCommit = errors.New("no such commit")
	// ErrPartial is returned where a partial clone lacks an object. git would fetch it; nothing is fetched here.
	ErrPartial = errors.New("the partial clone lacks an object")
	// ErrTooLarge is returned for a repository with more files than are looked at.
	ErrTooLarge = errors.New("the repository is too large")
)

// OutsideError is a repository that is not used, since a part of it leads out of what may be read.
type OutsideError struct {
	Top  string // the work tree
	Link string // the file or link that leads out
}

// Error names the link.
func (e *OutsideError) Error() string {
	return fmt.Sprintf("the repository at %q leads out of the allowed folders by %q", e.Top, e.Link)
}

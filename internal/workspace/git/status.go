package git

import (
	"context"
	"strings"
)

// maxOutput is how much is read of one command's output, in bytes.
const maxOutput = 16 << 20

// Change is one line of a repository's status.
type Change struct {
	// State is git's two letters: the index against HEAD, the work tree against the index ("M ", " M", "??", "UU" ...).
	State      string
	Name, From string // relative to the work tree's top, with slashes; From is where a renamed or copied file came from
}

// Status lists what is changed below a folder of the work tree, untracked files included. Whole is false when there is
// more than was read.
func (r *Repository) Status(ctx context.Context, below string) (changes []Change, whole bool, err error) {
	out, cut, err := r.guest.output(ctx, "status", "--porcelain=v1", "-z", "--untracked-files=all",
		"--ignore-submodules=dirty", "--", below)
	if err != nil {
		return nil, false, err
	}
	fields := fieldsOf(out)
	for i := 0; i < len(fields); i++ {
		if len(fields[i]) < 4 {
			continue
		}
		c := Change{State: fields[i][:2], Name: fields[i][3:]}
		if strings.ContainsAny(c.State, "RC") && i+1 < len(fields) {
			i++
			c.From = fields[i]
		}
		changes = append(changes, c)
	}
	return changes, !cut, nil
}

// Files lists the files of a folder of the work tree that git does not ignore, relative to it with slashes. Whole is false
// when there are more than were read.
func (r *Repository) Files(ctx context.Context, dir string) (names []string, whole bool, err error) {
	c := r.guest
	c.dir = dir
	out, cut, err := c.output(ctx, "ls-files", "-co", "--exclude-standard", "-z")
	if err != nil {
		return nil, false, err
	}
	for _, name := range fieldsOf(out) {
		if name != "" {
			names = append(names, name)
		}
	}
	return names, !cut, nil
}

// fieldsOf splits output at its NULs. What follows the last one is empty, or was cut.
func fieldsOf(out []byte) []string {
	fields := strings.Split(string(out), "\x00")
	return fields[:len(fields)-1]
}

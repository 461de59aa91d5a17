//go:build !unix

package git

import (
	"os"
	"os/exec"
)

// ownGroup leaves a command as it is: there are no process groups here.
func ownGroup(*exec.Cmd) {}

// isOwn reports true: these systems have a folder for temporary files for each user.
func isOwn(os.FileInfo) bool { return true }

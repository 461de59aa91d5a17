//go:build !unix

package git

import "os/exec"

// ownGroup leaves a command as it is: there are no process groups here.
func ownGroup(*exec.Cmd) {}

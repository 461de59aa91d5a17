//go:build unix

package git

import (
	"os/exec"
	"syscall"
)

// ownGroup makes a command and whatever it starts end together: git starts programs of its own.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
}

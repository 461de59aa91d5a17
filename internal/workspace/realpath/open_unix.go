//go:build unix

package realpath

import (
	"os"
	"syscall"
)

// OpenFlags never wait: should a FIFO take a file's place between the check and the open, the open returns at once.
const OpenFlags = os.O_RDONLY | syscall.O_NONBLOCK

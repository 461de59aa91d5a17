//go:build unix

package workspace

import (
	"os"
	"syscall"
)

// openFlags never wait: should a FIFO take a file's place between the check and the open, the open returns at once.
const openFlags = os.O_RDONLY | syscall.O_NONBLOCK

package server

import (
	"io"
	"syscall"

	"golang.org/x/sys/unix"
)

// unread returns how many bytes of what was written to w the client has not read yet, 0 where that can't be known. Node
// connects its children by sockets, most other clients by pipes: each answers one of these requests.
func unread(w io.Writer) (n int) {
	f, ok := w.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := f.SyscallConn()
	if err != nil {
		return 0
	}
	err = raw.Control(func(fd uintptr) {
		for _, request := range []uint{unix.SIOCOUTQ, unix.TIOCINQ} {
			if got, err := unix.IoctlGetInt(int(fd), request); err == nil {
				n = got
				return
			}
		}
	})
	if err != nil {
		return 0
	}
	return n
}

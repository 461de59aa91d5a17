package emulator

import (
	"fmt"
	"net"
	"slices"
	"sync"
)

// BlackHole accepts connections and does nothing with them: to a client that speaks TLS, a handshake that never
// comes; to one that does not, a server that never answers.
type BlackHole struct {
	l       net.Listener
	running sync.WaitGroup

	mu     sync.Mutex
	conns  []net.Conn
	closed bool
}

// StartBlackHole opens a black hole on a loopback port. The caller must Close it.
func StartBlackHole() (*BlackHole, error) {
	l, err := loopback()
	if err != nil {
		return nil, fmt.Errorf("start the black hole: %w", err)
	}
	return NewBlackHole(l), nil
}

// NewBlackHole makes a listener a black hole, until Close.
func NewBlackHole(l net.Listener) *BlackHole {
	b := &BlackHole{l: l}
	b.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.keep(c)
		}
	})
	return b
}

func (b *BlackHole) keep(c net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		c.Close()
		return
	}
	b.conns = append(b.conns, c)
}

// URL is a base URL that leads into the black hole, by TLS, with the path given ("/v1").
func (b *BlackHole) URL(path string) string { return "https://" + b.l.Addr().String() + path }

// Accepted is how many connections have fallen in.
func (b *BlackHole) Accepted() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.conns)
}

// Close closes the listener and every connection.
func (b *BlackHole) Close() {
	b.mu.Lock()
	b.closed = true
	conns := slices.Clone(b.conns)
	b.mu.Unlock()
	b.l.Close()
	for _, c := range conns {
		c.Close()
	}
	b.running.Wait()
}

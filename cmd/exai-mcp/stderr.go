package main

import (
	"io"
	"sync/atomic"
	"time"
)

// logLines is how many log lines may wait for whoever reads our stderr.
const logLines = 4096

// dropWriter writes lines in the background and leaves out those that find too many waiting. Some clients never read a
// server's stderr, and a full pipe must not stop the server.
type dropWriter struct {
	lines  chan []byte
	closed atomic.Bool
	done   chan struct{}
}

func newDropWriter(w io.Writer) *dropWriter {
	p := &dropWriter{lines: make(chan []byte, logLines), done: make(chan struct{})}
	go func() {
		defer close(p.done)
		for line := range p.lines {
			if line == nil { // from close
				return
			}
			_, _ = w.Write(line) // there is nowhere to report to
		}
	}()
	return p
}

// Write takes a line, and never fails.
func (p *dropWriter) Write(line []byte) (int, error) {
	if !p.closed.Load() && len(line) > 0 {
		select {
		case p.lines <- append([]byte(nil), line...):
		default:
		}
	}
	return len(line), nil
}

// close takes no more lines and waits until those taken are written, but not longer than the given time.
func (p *dropWriter) close(wait time.Duration) {
	p.closed.Store(true)
	over := time.After(wait)
	select {
	case p.lines <- nil:
	case <-over:
		return
	}
	select {
	case <-p.done:
	case <-over:
	}
}

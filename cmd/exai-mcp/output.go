package main

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"syscall"
)

// output is what a command for people or scripts prints to. A pipe whose reader has gone, such as head's, is no failure:
// what is printed then is dropped. Of other failures the first is kept, since a script must not take a part for the whole.
type output struct {
	w io.Writer

	mu     sync.Mutex
	closed bool
	err    error
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.closed {
		return len(p), nil
	}
	n, err := o.w.Write(p)
	if errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe) {
		o.closed = true
		return len(p), nil
	}
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("write the output: %w", err)
	}
	return n, err
}

// failed returns the first failure to write.
func (o *output) failed() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.err
}

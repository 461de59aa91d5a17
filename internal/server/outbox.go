package server

import (
	"bufio"
	"io"
	"sync"
	"time"
)

// maxWaitingBytes is how many bytes may wait for a client that reads slowly before notifications are dropped.
const maxWaitingBytes = 1 << 20

// outbox writes lines to the client, one at a time, in the order of send and offer. Neither waits for the client, so one
// that stops reading blocks nothing.
type outbox struct {
	to io.Writer

	mu      sync.Mutex
	lines   []outLine
	waiting int // bytes in lines
	closed  bool
	wake    chan struct{} // buffers one signal that there is something to do
	broken  chan struct{} // closed when the client can't be written to any more
	done    chan struct{} // closed when the writer has ended
}

// outLine is one line to the client, without its newline.
type outLine struct {
	text     []byte
	delivery *delivery // nil: nobody needs to know when it was written
}

// delivery reports when a line was written.
type delivery struct {
	done chan struct{} // closed when the line has been written
	at   time.Time     // when that was; valid once done is closed
}

func newOutbox(w io.Writer) *outbox {
	o := &outbox{to: w, wake: make(chan struct{}, 1), broken: make(chan struct{}), done: make(chan struct{})}
	go o.run(w)
	return o
}

// send queues a line, without its newline; nil is ignored. It is for answers and requests, which are never dropped.
func (o *outbox) send(line []byte) {
	if line == nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.addLocked(outLine{text: line})
}

// offer queues a notification, which is dropped when the client is far behind.
func (o *outbox) offer(line []byte) {
	o.offerLine(outLine{text: line})
}

// offerTracked is offer for a notification whose time of writing matters. It returns nil when the line is dropped.
func (o *outbox) offerTracked(line []byte) *delivery {
	d := &delivery{done: make(chan struct{})}
	if !o.offerLine(outLine{text: line, delivery: d}) {
		return nil
	}
	return d
}

func (o *outbox) offerLine(line outLine) (taken bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.waiting < maxWaitingBytes && o.addLocked(line)
}

func (o *outbox) addLocked(line outLine) (taken bool) {
	if o.closed {
		return false
	}
	o.lines = append(o.lines, line)
	o.waiting += len(line.text)
	o.signal()
	return true
}

func (o *outbox) signal() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// close refuses further lines and waits until the queued ones are written, but not longer than the given time.
func (o *outbox) close(wait time.Duration) {
	o.mu.Lock()
	o.closed = true
	o.signal()
	o.mu.Unlock()
	select {
	case <-o.done:
	case <-time.After(wait):
	}
}

func (o *outbox) run(w io.Writer) {
	defer close(o.done)
	buffered := bufio.NewWriterSize(w, 64<<10)
	for range o.wake {
		for {
			lines, closed := o.take()
			if len(lines) == 0 {
				if closed {
					return
				}
				break
			}
			if !write(buffered, lines) {
				o.abandon()
				return
			}
		}
	}
}

func (o *outbox) take() (lines []outLine, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	lines, o.lines, o.waiting = o.lines, nil, 0
	return lines, o.closed
}

// write sends lines in as few writes as they fit in. A bufio.Writer keeps its first error, so checking the last call is
// enough.
func write(w *bufio.Writer, lines []outLine) bool {
	for _, line := range lines {
		_, _ = w.Write(line.text)
		_ = w.WriteByte('\n')
	}
	if w.Flush() != nil {
		return false
	}
	now := time.Now()
	for _, line := range lines {
		if line.delivery != nil {
			line.delivery.at = now
			close(line.delivery.done)
		}
	}
	return true
}

// abandon gives up on a client that can't be written to.
func (o *outbox) abandon() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed, o.lines = true, nil
	close(o.broken)
}

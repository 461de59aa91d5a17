package emulator

import (
	"context"
	"iter"
	"math"
	"net"
	"net/http"
	"time"
)

// forever is a wait without end.
const forever = time.Duration(math.MaxInt64)

// act is what is done with a frame.
type act int

const (
	actSend  act = iota // write its data
	actOpen             // send the status line and the header, if that was not done yet
	actHang             // do nothing more until the client goes away
	actReset            // end the connection with RST
	actDrop             // end the connection with FIN, in the middle of the body
)

// frame is one step of an answer on the wire.
type frame struct {
	wait  time.Duration // before anything else
	act   act
	data  []byte
	delta bool // a piece of the answer: what the faults count
	final bool // what comes after the last piece
}

// wire is an answer on its way out: faults rewrite it.
type wire struct {
	vendor Vendor
	status int
	header http.Header
	stream bool
	shape  shape
	frames iter.Seq[frame]
}

// take is the answer up to its nth piece, and never its end.
func (w *wire) take(n int) iter.Seq[frame] {
	frames := w.frames
	return func(yield func(frame) bool) {
		if !yield(frame{act: actOpen}) || n <= 0 {
			return
		}
		seen := 0
		for f := range frames {
			if f.final || !yield(f) {
				return
			}
			if f.delta {
				seen++
			}
			if seen == n {
				return
			}
		}
	}
}

// then makes the answer end with frames of the fault's after its nth piece.
func (w *wire) then(n int, tail iter.Seq[frame]) {
	head := w.take(n)
	w.frames = func(yield func(frame) bool) {
		for f := range head {
			if !yield(f) {
				return
			}
		}
		for f := range tail {
			if !yield(f) {
				return
			}
		}
	}
}

// filler is something to send that is no piece of an answer: a comment in a stream, a blank before or in a JSON text.
func (w *wire) filler() []byte {
	if w.stream {
		return []byte(": keep-alive\n\n")
	}
	return []byte(" ")
}

func frames(fs ...frame) iter.Seq[frame] {
	return func(yield func(frame) bool) {
		for _, f := range fs {
			if !yield(f) {
				return
			}
		}
	}
}

// endless repeats a frame without end.
func endless(f frame) iter.Seq[frame] {
	return func(yield func(frame) bool) {
		for yield(f) {
		}
	}
}

// pieces cuts a body that is not streamed into four, so that a fault can strike in its middle.
func pieces(body []byte) iter.Seq[frame] {
	var fs []frame
	for i := range 4 {
		lo, hi := len(body)*i/4, len(body)*(i+1)/4
		fs = append(fs, frame{data: body[lo:hi], delta: i < 3, final: i == 3})
	}
	return frames(fs...)
}

// send writes an answer. It leaves by panic(http.ErrAbortHandler), which ends the connection, when the client went away
// or the answer is to stop dead.
func (x *exchange) send(w *wire) {
	out := http.NewResponseController(x.w)
	opened, unsent := false, false
	open := func() {
		if opened {
			return
		}
		opened = true
		for k, vs := range w.header {
			x.w.Header()[k] = vs
		}
		x.note(func(r *Request) { r.Status = w.status })
		x.w.WriteHeader(w.status)
	}
	flush := func() {
		if !unsent {
			return
		}
		unsent = false
		x.must(out.Flush())
	}
	for f := range w.frames {
		if f.wait > 0 || f.act != actSend {
			flush()
		}
		if !x.pause(f.wait) {
			panic(http.ErrAbortHandler)
		}
		switch f.act {
		case actSend:
			open()
			_, err := x.w.Write(f.data)
			x.must(err)
			unsent = true
			if f.delta && w.stream {
				x.note(func(r *Request) { r.Sent++ })
			}
		case actOpen:
			open()
			unsent = true
			flush()
		case actHang:
			x.pause(forever)
			panic(http.ErrAbortHandler)
		case actReset, actDrop:
			x.breakConnection(f.act == actReset)
			return
		}
	}
	open()
}

// must ends the exchange when writing failed, which means that the client is gone.
func (x *exchange) must(err error) {
	if err != nil {
		x.gone()
		panic(http.ErrAbortHandler)
	}
}

// breakConnection ends the connection below HTTP: with a reset where the connection knows one (TCP, or a pipe that imitates
// SetLinger), else by closing it.
func (x *exchange) breakConnection(reset bool) {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler) // HTTP/2 has no connection to take; this is as near as it comes
	}
	if l, ok := conn.(interface{ SetLinger(sec int) error }); ok && reset {
		_ = l.SetLinger(0) // it fails only when the client was faster in closing
	}
	conn.Close()
	if own(x.r.Context()) != nil {
		x.e.countConn(x.record.Vendor, -1)
	}
}

type connKey struct{}

// withConn remembers a request's connection, for servers of our own.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

func own(ctx context.Context) net.Conn {
	c, _ := ctx.Value(connKey{}).(net.Conn)
	return c
}

package openaicompat

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
)

// errTooLong is an event or an answer beyond MAX_ANSWER_BYTES.
var errTooLong = errors.New("the answer is longer than MAX_ANSWER_BYTES")

// maxJunk is how much unreadable text is kept for the log.
const maxJunk = 512

// eventReader hands go-openai a stream that it reads well, whatever the vendor or a proxy wrote: one "data:" line per
// event, nothing else.
//
// It is needed because go-openai's reader takes comments and field lines for an error that is being spelled out and so
// loses the error that follows them, waits for one more line after an error event, drops a last line that has no end,
// and puts no bound on a line. A whole JSON body in the place of a stream, which is how a vendor reports some errors
// under HTTP 200, becomes one event.
type eventReader struct {
	body    io.ReadCloser
	in      *bufio.Reader
	maxLine int
	out     []byte // what is ready for go-openai
	err     error  // why there is no more

	held      [][]byte // the data of an event whose JSON goes on in further lines
	heldSize  int
	torn      bool   // part of the event that was handed out last, or of one before it, was torn off and dropped
	seen      int    // events handed out
	truncated bool   // the last line had no end, or the last event
	junk      []byte // the first text that was no event
}

func newEventReader(body io.ReadCloser, maxLine int) *eventReader {
	return &eventReader{body: body, in: bufio.NewReader(body), maxLine: maxLine}
}

// Close implements io.Closer.
func (r *eventReader) Close() error { return r.body.Close() }

// Read implements io.Reader.
func (r *eventReader) Read(p []byte) (int, error) {
	for len(r.out) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		r.next()
	}
	n := copy(p, r.out)
	r.out = r.out[n:]
	return n, nil
}

// drain reads what is left after the end mark, which is nothing but the connection's own end: it lets the connection
// be used again.
func (r *eventReader) drain() {
	_, _ = io.CopyN(io.Discard, r.in, maxErrorBody)
}

// next reads one line and makes it an event if it is one.
func (r *eventReader) next() {
	line, err := r.line()
	r.err = err
	r.truncated = err != nil && len(line) > 0
	line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")))
	switch {
	case bytes.HasPrefix(line, []byte("data:")):
		r.data(bytes.TrimSpace(line[len("data:"):]))
	case r.held == nil && bytes.HasPrefix(line, []byte("{")):
		r.emit(r.wholeBody(line))
	case len(line) == 0:
		r.endEvent()
	case line[0] != ':' && r.seen == 0:
		r.keepJunk(line)
	}
	if r.err != nil && r.held != nil {
		r.endEvent()
		r.truncated = true
	}
}

// data takes the data of one line. An event is whole with its first line in practice; by the standard of server-sent
// events it may go on in further data lines, up to a blank one.
func (r *eventReader) data(line []byte) {
	switch {
	case string(line) == doneMark && r.held == nil:
		r.emit(line)
	case string(line) == doneMark:
		r.endEvent()
	case r.held != nil:
		r.hold(line)
	case len(line) == 0 || line[0] != '{':
		r.keepJunk(line)
	case json.Valid(line):
		r.emit(line)
	default:
		if whole := behindTear(line); whole != nil {
			r.torn = true
			r.emit(whole)
			return
		}
		r.hold(line)
	}
}

func (r *eventReader) hold(line []byte) {
	if r.heldSize+len(line) > r.maxLine {
		r.held, r.heldSize, r.err = nil, 0, errTooLong
		return
	}
	r.held = append(r.held, bytes.Clone(line)) // it lies in the buffer that is about to be refilled
	r.heldSize += len(line)
}

const doneMark = "[DONE]"

// behindTear is the event in a line that another event's beginning was torn off in: api.z.ai was recorded to stop in the
// middle of a key and to send the next event in the same line (data: {"id":"x","choices":[{"delta":{"roledata:
// {"id":"y",...}). It is nil where there is none. Only lines that are no JSON are asked about, since a model's text may
// quote such lines.
func behindTear(line []byte) []byte {
	for {
		_, rest, found := bytes.Cut(line, []byte("data:"))
		if !found {
			return nil
		}
		if event := bytes.TrimSpace(rest); string(event) == doneMark || bytes.HasPrefix(event, []byte("{")) && json.Valid(event) {
			return event
		}
		line = rest
	}
}

// endEvent hands out what is held, whole or not: whoever reads it says what is wrong with it. Where it is not whole but
// ends with a line that is, its beginning was torn off.
func (r *eventReader) endEvent() {
	if r.held == nil {
		return
	}
	last := r.held[len(r.held)-1]
	event := bytes.Join(r.held, []byte(" ")) // a line break would end the event for go-openai
	if len(r.held) > 1 && !json.Valid(event) && bytes.HasPrefix(last, []byte("{")) && json.Valid(last) {
		r.torn = true
		event = last
	}
	r.emit(event)
	r.held, r.heldSize = nil, 0
}

// emit hands out one event. The blank after the brace keeps go-openai from recognising an error event: it would wait
// for a further line before it reports one, and lose its fields.
func (r *eventReader) emit(payload []byte) {
	r.seen++
	r.out = append(r.out[:0], "data: "...)
	if payload[0] == '{' {
		r.out = append(r.out, "{ "...)
		payload = payload[1:]
	}
	r.out = append(append(r.out, payload...), '\n')
}

// wholeBody completes a line of bare JSON: alone it may be an event, else it begins a body that is no stream.
func (r *eventReader) wholeBody(line []byte) []byte {
	if r.err != nil || json.Valid(line) {
		return line
	}
	line = bytes.Clone(line) // it lies in the buffer that is about to be refilled
	rest, err := io.ReadAll(io.LimitReader(r.in, int64(r.maxLine)))
	if err == nil {
		err = io.EOF
	}
	r.err, r.truncated = err, true
	var whole bytes.Buffer
	if json.Compact(&whole, append(line, rest...)) != nil {
		return line
	}
	return whole.Bytes()
}

// line reads one line, its end included, within the bound.
func (r *eventReader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := r.in.ReadSlice('\n')
		if len(line)+len(part) > r.maxLine {
			return nil, errTooLong
		}
		if line == nil && err == nil {
			return part, nil // valid until the next read, which comes after this line is done with
		}
		line = append(line, part...)
		if !errors.Is(err, bufio.ErrBufferFull) {
			return line, err
		}
	}
}

func (r *eventReader) keepJunk(line []byte) {
	room := maxJunk - len(r.junk)
	r.junk = append(r.junk, line[:min(len(line), max(room, 0))]...)
}

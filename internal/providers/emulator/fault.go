package emulator

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Fault is one way in which an answer goes wrong, or comes late. Several can be put on one Reply; they apply in order,
// each to what the one before left. A fault that counts pieces counts the deltas of a stream (reasoning, content, tool
// calls), or the quarters of a body that is not streamed.
type Fault struct {
	Name string

	reply  func(*Reply)
	wire   func(*wire)
	intake *bodyRead
}

// String is the fault's name.
func (f Fault) String() string { return f.Name }

// bodyRead is how slowly a request's body is taken in.
type bodyRead struct {
	chunk  int
	every  time.Duration
	stopAt int64 // after which nothing more is read; 0: never
}

// NeverAnswer takes the request and sends nothing, not even a header.
func NeverAnswer() Fault {
	return Fault{Name: "never_answer", wire: func(w *wire) { w.frames = frames(frame{act: actHang}) }}
}

// DelayHeaders waits before the header, as a queue or a cold model does.
func DelayHeaders(d time.Duration) Fault {
	return Fault{Name: "delay_headers", wire: func(w *wire) {
		rest := w.frames
		w.frames = func(yield func(frame) bool) {
			if !yield(frame{wait: d, act: actOpen}) {
				return
			}
			rest(yield)
		}
	}}
}

// HeadersThenStall sends the header, and then nothing.
func HeadersThenStall() Fault {
	return Fault{Name: "headers_then_stall", wire: func(w *wire) { w.then(0, frames(frame{act: actHang})) }}
}

// StallAfter sends n pieces, and then nothing.
func StallAfter(n int) Fault {
	return Fault{Name: "stall", wire: func(w *wire) { w.then(n, frames(frame{act: actHang})) }}
}

// PauseAfter sends n pieces, waits, and goes on.
func PauseAfter(n int, d time.Duration) Fault {
	return Fault{Name: "pause", wire: func(w *wire) {
		all := w.frames
		w.frames = func(yield func(frame) bool) {
			seen, waited := 0, false
			for f := range all {
				if seen == n && !waited {
					waited = true
					if !yield(frame{act: actOpen}) {
						return
					}
					f.wait += d
				}
				if !yield(f) {
					return
				}
				if f.delta {
					seen++
				}
			}
		}
	}}
}

// Comments sends n pieces, and then a comment per interval forever.
func Comments(n int, every time.Duration) Fault {
	return Fault{Name: "comments", wire: func(w *wire) {
		w.then(n, endless(frame{wait: every, data: w.filler()}))
	}}
}

// EmptyDeltas sends n pieces, and then a chunk that carries nothing per interval forever.
func EmptyDeltas(n int, every time.Duration) Fault {
	return Fault{Name: "empty_deltas", wire: func(w *wire) {
		if !w.stream {
			w.then(n, endless(frame{wait: every, data: w.filler()}))
			return
		}
		w.then(n, endless(frame{wait: every, data: w.shape.event(chunk{delta: &delta{}})}))
	}}
}

// Drip sends one token per interval forever.
func Drip(every time.Duration) Fault {
	return Fault{Name: "drip", wire: func(w *wire) {
		if !w.stream {
			w.then(0, endless(frame{wait: every, data: w.filler()}))
			return
		}
		w.then(0, endless(frame{wait: every, delta: true, data: w.shape.event(chunk{delta: &delta{Content: text("drip ")}})}))
	}}
}

// ThinkFor streams reasoning for d, a delta per interval, and then the answer.
func ThinkFor(d, every time.Duration) Fault {
	return Fault{Name: "think", wire: func(w *wire) {
		answer, data := w.frames, w.filler()
		if w.stream {
			data = w.shape.event(chunk{delta: &delta{Reasoning: text("thinking ")}})
		}
		w.frames = func(yield func(frame) bool) {
			if !yield(frame{act: actOpen}) {
				return
			}
			for t := every; t <= d; t += every {
				if !yield(frame{wait: every, delta: w.stream, data: data}) {
					return
				}
			}
			answer(yield)
		}
	}}
}

// ResetBeforeHeaders ends the connection with RST instead of answering.
func ResetBeforeHeaders() Fault {
	return Fault{Name: "reset_before_headers", wire: func(w *wire) { w.frames = frames(frame{act: actReset}) }}
}

// ResetAfter sends n pieces and ends the connection with RST.
func ResetAfter(n int) Fault {
	return Fault{Name: "reset", wire: func(w *wire) { w.then(n, frames(frame{act: actReset})) }}
}

// DropAfter sends n pieces and closes the connection in the middle of the body, which a client sees as an unexpected
// end.
func DropAfter(n int) Fault {
	return Fault{Name: "drop", wire: func(w *wire) { w.then(n, frames(frame{act: actDrop})) }}
}

// CutAfter sends n pieces and ends the body cleanly, without finish_reason and [DONE]: to a careless client it
// looks like success.
func CutAfter(n int) Fault {
	return Fault{Name: "cut", wire: func(w *wire) { w.then(n, frames()) }}
}

// OmitDone leaves out data: [DONE].
func OmitDone() Fault {
	return Fault{Name: "omit_done", wire: func(w *wire) {
		all := w.frames
		w.frames = func(yield func(frame) bool) {
			for f := range all {
				if string(f.data) != doneEvent && !yield(f) {
					return
				}
			}
		}
	}}
}

// Status answers with any status, body and header instead: Status(429, "", "Retry-After", "7"). The header is given in
// pairs.
func Status(status int, body string, header ...string) Fault {
	return Fault{Name: "status_" + strconv.Itoa(status), wire: func(w *wire) {
		w.status, w.stream = status, false
		if strings.HasPrefix(body, "{") {
			w.header.Set("Content-Type", "application/json")
		} else {
			w.header.Set("Content-Type", "text/plain; charset=utf-8")
		}
		for i := 0; i+1 < len(header); i += 2 {
			w.header.Set(header[i], header[i+1])
		}
		w.frames = frames(frame{data: []byte(body)})
	}}
}

// VendorError answers with a status and an error in the vendor's own form. code is GLM's code ("1302") or Kimi's type
// ("engine_overloaded_error"). The header is given in pairs.
func VendorError(status int, code, message string, header ...string) Fault {
	return Fault{Name: "error_" + code, wire: func(w *wire) {
		Status(status, string(errorBody(w.vendor, code, message)), header...).wire(w)
	}}
}

// ErrorIn200 answers 200 with an error body in JSON where an answer should be, also to a request for a stream: flat is
// {"code":500,"msg":"…","success":false}, else the error is nested as in VendorError.
func ErrorIn200(flat bool, code, message string) Fault {
	name := "error_in_200"
	if flat {
		name += "_flat"
	}
	return Fault{Name: name, wire: func(w *wire) {
		body := errorBody(w.vendor, code, message)
		if flat {
			body = flatError(code, message)
		}
		Status(http.StatusOK, string(body)).wire(w)
	}}
}

// ErrorEvent sends n pieces, then an error as an event, and ends the body without finish_reason and [DONE].
func ErrorEvent(n int, code, message string) Fault {
	return Fault{Name: "error_event", wire: func(w *wire) {
		w.then(n, frames(frame{data: event(errorBody(w.vendor, code, message))}))
	}}
}

// FlatErrorEvent is ErrorEvent with a flat body, after a comment: the form that is easiest to overlook.
func FlatErrorEvent(n int, code, message string) Fault {
	return Fault{Name: "error_event_flat", wire: func(w *wire) {
		w.then(n, frames(frame{data: w.filler()}, frame{data: event(flatError(code, message))}))
	}}
}

// Raw sends n pieces, then this text as it is, and ends the body.
func Raw(n int, text string) Fault {
	return Fault{Name: "raw", wire: func(w *wire) { w.then(n, frames(frame{data: []byte(text)})) }}
}

// Garbage sends n pieces, then bytes that are neither JSON nor text, and ends the body.
func Garbage(n int) Fault {
	f := Raw(n, "data: {\"choices\":[{\x00\xff\xfe]]]\n\ndata: not json at all\n\n\x1b[2J\n\n")
	f.Name = "garbage"
	return f
}

// TearEvent sends n pieces, then the beginning of an event that breaks off in the middle of a key, with the rest of the
// answer behind it in the same line, as api.z.ai was recorded to do.
func TearEvent(n int) Fault {
	return Fault{Name: "torn_event", wire: func(w *wire) {
		all := w.frames
		w.frames = func(yield func(frame) bool) {
			seen := 0
			for f := range all {
				if seen == n && f.act == actSend {
					f.data = append([]byte(`data: {"id":"torn","choices":[{"index":0,"delta":{"role`), f.data...)
					seen++
				}
				if !yield(f) {
					return
				}
				if f.delta {
					seen++
				}
			}
		}
	}}
}

// EmptyChoices answers in good form, with no choice in it.
func EmptyChoices() Fault {
	return Fault{Name: "empty_choices", wire: func(w *wire) {
		if w.stream {
			w.frames = frames(frame{data: w.shape.event(chunk{})}, frame{data: []byte(doneEvent), final: true})
			return
		}
		w.frames = pieces(w.shape.body(answer{}, 0))
	}}
}

// Huge makes the answer n MiB of text.
func Huge(mib int) Fault {
	return Fault{Name: "huge", reply: func(r *Reply) {
		piece := strings.Repeat("A long answer goes on and on. ! ", 16<<10/32)
		r.Content = nil
		for range mib << 20 / len(piece) {
			r.Content = append(r.Content, piece)
		}
	}}
}

// HTMLPage answers as a gateway in front of the vendor does.
func HTMLPage(status int) Fault {
	f := Status(status, fmt.Sprintf("<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%[1]d %[2]s</h1></center>\r\n"+
		"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n", status, http.StatusText(status)), "Content-Type", "text/html")
	f.Name = "html_page"
	return f
}

// SlowBodyRead reads the request's body at chunk bytes per interval. It works on replies of On whose Match needs nothing
// from the body (vendor and operation), since it acts before there is one.
func SlowBodyRead(chunk int, every time.Duration) Fault {
	return Fault{Name: "slow_body_read", intake: &bodyRead{chunk: max(chunk, 1), every: every}}
}

// StopReading reads n bytes of the request's body and nothing after them. Since nothing is read, the client's going is
// not seen either: such a request ends at Close. See SlowBodyRead.
func StopReading(n int) Fault {
	return Fault{Name: "stop_reading", intake: &bodyRead{chunk: max(n, 1), stopAt: int64(max(n, 1))}}
}

// Faults is every fault of a vendor's answer to a chat that a client should survive, each once, with parameters at which a limit of
// some seconds or a strict parser has something to do. Their names are unique.
func Faults(v Vendor) []Fault {
	const s = time.Second
	busy, failed := "1305", "1234"
	switch v {
	case Kimi:
		busy, failed = "engine_overloaded_error", "server_error"
	case Lab:
		busy, failed = "overloaded_error", "server_error"
	}
	named := func(name string, f Fault) Fault {
		f.Name = name
		return f
	}
	return []Fault{
		NeverAnswer(), DelayHeaders(120 * s), HeadersThenStall(), StallAfter(2), PauseAfter(2, 90*s),
		named("comments_only", Comments(0, s)), Comments(2, s), EmptyDeltas(2, s), Drip(s), ThinkFor(300*s, s),
		ResetBeforeHeaders(), ResetAfter(2), DropAfter(2), named("cut_at_once", CutAfter(0)), CutAfter(2), OmitDone(),
		Status(500, ""), Status(503, "upstream connect error"), Status(429, "", "Retry-After", "7"),
		VendorError(500, failed, "internal error"), ErrorIn200(false, busy, "busy"), ErrorIn200(true, "500", "busy"),
		ErrorEvent(2, busy, "busy"), FlatErrorEvent(2, "500", "busy"), Garbage(2), named("garbage_at_once", Garbage(0)),
		EmptyChoices(), Huge(16), HTMLPage(502),
	}
}

// flatError is the flat error body that GLM was seen to send: {"code":401,"msg":"…","success":false}.
func flatError(code, message string) []byte {
	var c any = code
	if n, err := strconv.Atoi(code); err == nil {
		c = n
	}
	b, err := json.Marshal(struct {
		Code    any    `json:"code"`
		Msg     string `json:"msg"`
		Success bool   `json:"success"`
	}{c, message, false})
	if err != nil {
		panic(err) // strings and numbers always marshal
	}
	return b
}

package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"iter"
	"time"
)

// JSON-RPC error codes that the loop itself answers with.
const (
	codeParse          = -32700
	codeInvalidRequest = -32600
	codeInvalidParams  = -32602
	codeInternal       = -32603
)

// message is one line from the client, split into its parts. The parts are the client's own bytes: ids, progress tokens
// and arguments keep every digit, and a 20 MB argument is neither copied nor decoded here.
type message struct {
	version  string
	id       json.RawMessage // nil when the line has none
	method   string
	params   json.RawMessage // nil when the line has none, else an object
	result   json.RawMessage // of an answer to a request of ours
	fault    json.RawMessage // of an answer to a request of ours
	received time.Time
}

// lineFault reports why a line can't be served. The id is the line's when it could be read, else nil.
type lineFault struct {
	id   json.RawMessage
	code int
	text string
	data any // nil for none
}

func (f *lineFault) Error() string { return f.text }

// parseMessage splits a line, which is not blank, into a message. A fault is a *lineFault.
func parseMessage(line []byte, received time.Time) (*message, error) {
	if !json.Valid(line) {
		return nil, &lineFault{code: codeParse, text: "this line is not valid JSON; send one JSON-RPC message per line"}
	}
	switch line[0] {
	case '{':
	case '[':
		return nil, &lineFault{code: codeInvalidRequest, text: "batches are not supported here; send one JSON-RPC message per line"}
	default:
		return nil, &lineFault{code: codeInvalidRequest, text: "a JSON-RPC message is an object"}
	}
	m := &message{received: received}
	for key, value := range members(line) {
		switch key {
		case "jsonrpc":
			m.version, _ = text(value)
		case "id":
			m.id = value
		case "method":
			m.method, _ = text(value)
		case "params":
			m.params = value
		case "result":
			m.result = value
		case "error":
			m.fault = value
		}
	}
	return m, m.check()
}

// check validates the envelope, so that nothing after it has to.
func (m *message) check() error {
	if m.id != nil && idKey(m.id) == "" {
		return &lineFault{code: codeInvalidRequest, text: "id must be a string or a number"}
	}
	if m.version != "2.0" {
		return &lineFault{id: m.id, code: codeInvalidRequest, text: `jsonrpc must be "2.0"`}
	}
	if m.method == "" && m.result == nil && m.fault == nil {
		return &lineFault{id: m.id, code: codeInvalidRequest, text: "missing method"}
	}
	if string(m.params) == "null" {
		m.params = nil
	}
	if m.method != "" && m.params != nil && m.params[0] != '{' {
		return &lineFault{id: m.id, code: codeInvalidParams, text: "params must be an object"}
	}
	return nil
}

// toolCall is what a tools/call asks for, in the client's own bytes.
type toolCall struct {
	name      string
	arguments json.RawMessage // nil when there are none
	token     json.RawMessage // the progress token; nil when no progress is wanted
	inputs    json.RawMessage // the client's answers to what an earlier round asked for; nil when it was not asked
	slim      json.RawMessage // the params without the arguments
}

// toolCall splits a tools/call's params. It fails on a name that is not a string.
func (m *message) toolCall() (toolCall, error) {
	var call toolCall
	slim := bytes.NewBufferString("{")
	for key, value := range members(m.params) {
		switch key {
		case "arguments":
			call.arguments = value
			continue
		case "name":
			call.name, _ = text(value)
		case "_meta":
			call.token = progressToken(value)
		case "inputResponses":
			call.inputs = value
		}
		if slim.Len() > 1 {
			slim.WriteByte(',')
		}
		slim.WriteString(quote(key))
		slim.WriteByte(':')
		slim.Write(value)
	}
	slim.WriteByte('}')
	call.slim = slim.Bytes()
	if call.name == "" {
		return call, errors.New("params.name must name a tool")
	}
	if string(call.arguments) == "null" {
		call.arguments = nil
	}
	return call, nil
}

// progressToken is the token in a request's _meta, nil when there is none that may be sent back.
func progressToken(meta json.RawMessage) json.RawMessage {
	var token json.RawMessage
	if meta[0] == '{' {
		for key, value := range members(meta) {
			if key == "progressToken" && idKey(value) != "" {
				token = value
			}
		}
	}
	return token
}

// envelope rewrites the message with the given params, in the one form that mcp-go and we read alike: it matches
// keys in any case, we match them exactly.
func (m *message) envelope(params json.RawMessage) json.RawMessage {
	var b bytes.Buffer
	b.WriteString(`{"jsonrpc":"2.0","id":`)
	b.Write(m.id)
	b.WriteString(`,"method":`)
	b.WriteString(quote(m.method))
	if params != nil {
		b.WriteString(`,"params":`)
		b.Write(params)
	}
	b.WriteByte('}')
	return b.Bytes()
}

// idKey is what an id or a token is compared by: a string's text, a number's digits as they stand. It is "" for
// anything else, which JSON-RPC does not take as an id.
func idKey(id json.RawMessage) string {
	if s, ok := text(id); ok {
		return "s" + s
	}
	if len(id) == 0 || (id[0] != '-' && (id[0] < '0' || id[0] > '9')) {
		return ""
	}
	return "n" + string(id)
}

// text decodes a JSON string, and reports whether the value is one.
func text(value json.RawMessage) (string, bool) {
	if len(value) == 0 || value[0] != '"' {
		return "", false
	}
	var s string
	err := json.Unmarshal(value, &s)
	return s, err == nil
}

// quote writes a string as JSON.
func quote(s string) string {
	b, err := json.Marshal(s)
	if err != nil {
		return `""` // which a string never comes to
	}
	return string(b)
}

// members walks the members of an object without decoding or copying their values. Of valid JSON that was cut off it
// gives the members that are whole; of nothing there are none.
func members(object []byte) iter.Seq2[string, json.RawMessage] {
	return func(yield func(string, json.RawMessage) bool) {
		if len(object) == 0 {
			return
		}
		for i := skipSpace(object, 1); i < len(object) && object[i] == '"'; {
			end := skipValue(object, i)
			key, _ := text(object[i:end])
			i = skipSpace(object, end) + 1 // past the colon
			i = skipSpace(object, i)
			end = skipValue(object, i)
			if end >= len(object) { // a value is never an object's last byte
				return
			}
			if !yield(key, object[i:end:end]) {
				return
			}
			i = skipSpace(object, end) + 1 // past the comma or the closing brace
			i = skipSpace(object, i)
		}
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\r' || b[i] == '\n') {
		i++
	}
	return i
}

// skipValue returns the index after the valid JSON value that begins at i.
func skipValue(b []byte, i int) int {
	depth := 0
	for i < len(b) {
		switch b[i] {
		case '"':
			i = skipString(b, i)
		case '{', '[':
			depth++
			i++
		case '}', ']':
			depth--
			i++
		case ',', ':', ' ', '\t', '\r', '\n':
			i++
		default:
			for i < len(b) && !endsScalar(b[i]) {
				i++
			}
		}
		if depth <= 0 {
			break
		}
	}
	return i
}

// endsScalar reports whether a byte ends a number or a word of JSON.
func endsScalar(c byte) bool {
	switch c {
	case ',', ']', '}', ' ', '\t', '\r', '\n':
		return true
	}
	return false
}

// skipString returns the index after the valid JSON string that begins at i.
func skipString(b []byte, i int) int {
	for i++; i < len(b) && b[i] != '"'; i++ {
		if b[i] == '\\' {
			i++
		}
	}
	return min(i+1, len(b))
}

// Package reply is what a tool answers with: the ordered object that the client reads, its metadata, and the errors of
// the contract.
//
// It knows no protocol and no tool; the tools, and what they are made of, import it.
package reply

import (
	"bytes"
	"encoding/json"
	"slices"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Result is a tool's reply: the object that the client reads, and what dispatch adds to it.
type Result struct {
	Body     Object   // every key but metadata
	Metadata Metadata // dispatch fills in tool_name and duration_ms and puts it last
	IsError  bool
	// Answer is the model's text inside Body, which dispatch may cut to what the client takes. nil when there is none.
	Answer *Answer
	// Pending is the answer that goes on in the background, where the store has confirmed what there is of it; nil for none.
	Pending *Pending
	// Brief removes from the body what only replies in the full style have; nil removes nothing. It gets values as JSON has them:
	// *Object, []any, string, json.Number, bool.
	Brief func(body *Object)
	// AskRoots says that nothing was done yet: the client is to name its folders and send the call again.
	AskRoots bool
}

// Pending is a stored answer that is still being written.
type Pending struct {
	ContinuationID string
	Turn           int // its number in the conversation
}

// Answer is a stored answer, or a part of it, inside a reply's body. A reply that is too long for the client is cut
// here, and `more` tells where to go on.
type Answer struct {
	Text   string // as it stands in the body
	Offset int    // where Text begins in the whole answer, in code points
	URI    string // the resource that holds the whole answer, "" when it was not stored
	// ContinuationID is what chat, with a blank prompt and an offset, reads the rest by; "" when it was not stored.
	ContinuationID string
	Put            func(text string) // puts a shorter text into the body in the place of Text
}

// More tells a client where the rest of a cut answer is.
type More struct {
	NextOffset int    `json:"next_offset"` // in code points
	TotalChars int    `json:"total_chars"` // of the whole answer, in code points
	URI        string `json:"uri,omitempty"`
}

// Metadata says who answered, what it cost and why. Where no model answered it is tool_name and duration_ms, the
// tool's own keys and notes alone.
type Metadata struct {
	ToolName     string                 `json:"tool_name"`
	ModelUsed    string                 `json:"model_used,omitempty"`
	ProviderUsed string                 `json:"provider_used,omitempty"`
	DurationMS   int64                  `json:"duration_ms"`
	Attempts     int                    `json:"attempts,omitempty"`
	FinishReason string                 `json:"finish_reason,omitempty"`
	Usage        *providers.Usage       `json:"usage,omitempty"`
	Thinking     string                 `json:"thinking,omitempty"`
	Fallback     *providers.Fallback    `json:"fallback,omitempty"`
	Stored       *bool                  `json:"stored,omitempty"`
	Sources      []Source               `json:"sources,omitempty"`  // pages that web searches for this answer found
	Searches     *providers.SearchTotal `json:"searches,omitempty"` // how many were made, and their cost
	Own          Object                 `json:"-"`                  // the tool's own keys, written before notes
	Notes        []string               `json:"-"`                  // written last

	compact bool // written in brief
}

// Source is a page that a web search found.
type Source struct {
	Title string `json:"title"`
	URL   string `json:"url"`
	Date  string `json:"date,omitempty"`
}

// Searched says in the metadata which pages the searches for the answer found, each once, and what they cost.
func (m *Metadata) Searched(found []providers.SearchHit, total providers.SearchTotal) {
	for _, h := range found {
		if h.Link != "" && !slices.ContainsFunc(m.Sources, func(s Source) bool { return s.URL == h.Link }) {
			m.Sources = append(m.Sources, Source{h.Title, h.Link, h.Published})
		}
	}
	if total.Count > 0 {
		m.Searches = &total
	}
}

// InMemory says in the metadata that what the reply reports is kept by this process alone, and why; "" says nothing.
func (m *Metadata) InMemory(reason string) {
	if reason == "" {
		return
	}
	no := false
	m.Stored = &no
	m.Note("Kept in memory until this server ends, not in a database: " + reason)
}

// Note adds notes that are not there yet.
func (m *Metadata) Note(notes ...string) {
	for _, n := range notes {
		known := n == ""
		for _, have := range m.Notes {
			known = known || have == n
		}
		if !known {
			m.Notes = append(m.Notes, n)
		}
	}
}

// MarshalJSON writes the common keys, the tool's own, then notes; in a compact reply the few that brief names.
func (m Metadata) MarshalJSON() ([]byte, error) {
	if m.compact {
		return m.brief().MarshalJSON()
	}
	type plain Metadata
	head, err := Marshal(plain(m))
	if err != nil {
		return nil, err
	}
	tail := m.Own
	if len(m.Notes) > 0 {
		tail = Object{}
		for _, k := range m.Own.keys {
			tail.Set(k, m.Own.values[k])
		}
		tail.Set("notes", m.Notes)
	}
	if len(tail.keys) == 0 {
		return head, nil
	}
	rest, err := tail.MarshalJSON()
	if err != nil {
		return nil, err
	}
	return append(append(head[:len(head)-1], ','), rest[1:]...), nil
}

// JSON is the reply's whole object as the client reads it, compact and without HTML escaping.
func (r *Result) JSON() ([]byte, error) { return r.Body.MarshalJSON() }

// Marshal is json.Marshal without HTML escaping: models read it, and code is full of <, > and &.
func Marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return unescapeHTML(bytes.TrimRight(b.Bytes(), "\n")), nil
}

// htmlEscapes are the characters that encoding/json escapes for web pages, and how.
var htmlEscapes = map[string]byte{`\u003c`: '<', `\u003e`: '>', `\u0026`: '&'}

// unescapeHTML takes HTML escapes out of JSON text. An encoder that makes none still copies those that a json.RawMessage
// brings along, be it a caller's arguments or what an earlier version stored.
func unescapeHTML(text []byte) []byte {
	if !bytes.Contains(text, []byte(`\u00`)) {
		return text
	}
	out := text[:0:0]
	for i := 0; i < len(text); i++ {
		switch {
		case text[i] != '\\' || i+1 == len(text):
			out = append(out, text[i])
		case i+6 <= len(text) && htmlEscapes[string(bytes.ToLower(text[i:i+6]))] != 0:
			out = append(out, htmlEscapes[string(bytes.ToLower(text[i:i+6]))])
			i += 5
		default: // another escape; its second byte may be a backslash
			out = append(out, text[i], text[i+1])
			i++
		}
	}
	return out
}

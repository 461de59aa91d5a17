package tool

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

const (
	fitShare   = 0.9 // of what the client takes: the estimate's margin
	moreTokens = 80  // what `more` and a note take
	minShare   = 40  // tokens: an item shortened further says nothing
)

// fit puts the metadata last and cuts the reply to what a client takes (MAX_MCP_OUTPUT_TOKENS for the whole object). It
// returns the object's length in bytes.
//
// A model's answer is cut at a paragraph's end, with `more` telling where to go on. Where that is not enough, the longest
// texts and lists are shortened, with a note.
func fit(r *reply.Result, tokens int) int {
	limit := int(float64(tokens) * fitShare)
	size, bytes := measure(r)
	if tokens <= 0 || size <= limit {
		return bytes
	}
	if a := r.Answer; a != nil {
		a.Put(a.Text) // as it is, where it stood in another form
		size, _ = measure(r)
		rest := size - EstimateTokens(quoted(a.Text))
		if room := limit - rest - moreTokens; room > 0 {
			cutAnswer(r, room)
		}
	}
	if size, bytes = measure(r); size <= limit {
		return bytes
	}
	r.Metadata.Note(fmt.Sprintf("The reply was too long for MAX_MCP_OUTPUT_TOKENS=%d: its longest texts and lists are shortened.", tokens))
	measure(r) // the metadata with its note
	if text, err := r.JSON(); err == nil {
		if whole, err := reply.ParseOrdered(text); err == nil {
			r.Body = *shorten(whole, limit).(*reply.Object)
		}
	}
	text, _ := r.JSON() // marshalled before
	return len(text)
}

// measure puts the metadata last and estimates the reply's tokens. What can't be written as JSON is our fault: the reply
// becomes an error.
func measure(r *reply.Result) (tokens, bytes int) {
	r.Body.Delete("metadata")
	r.Body.Set("metadata", r.Metadata)
	text, err := r.JSON()
	if err != nil {
		m := r.Metadata
		m.Own = reply.Object{}
		*r = *(&reply.Error{Code: reply.CodeInternal, Message: "The tool's reply can't be written as JSON.", Hint: "Please report it."}).Result()
		r.Metadata = m
		r.Body.Set("metadata", m)
		text, _ = r.JSON()
	}
	return EstimateTokens(string(text)), len(text)
}

// EstimateTokens estimates a reply's tokens as clients count them, on the high side: 3.5 bytes of Latin text or code a
// token, one for every other character.
func EstimateTokens(text string) int {
	ascii, other := 0, 0
	for i := range len(text) {
		switch b := text[i]; {
		case b < 0x80:
			ascii++
		case b >= 0xC0:
			other++
		}
	}
	return ascii*2/7 + other
}

// quoted is a text as it stands in JSON.
func quoted(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(text) // a string always encodes
	return b.String()
}

// cutAnswer leaves of the answer what fits, up to a paragraph's end, and says where it goes on.
func cutAnswer(r *reply.Result, room int) {
	a := r.Answer
	head := headOf(a.Text, room)
	if len(head) == len(a.Text) {
		return
	}
	a.Put(head)
	next := a.Offset + utf8.RuneCountInString(head)
	total := next + utf8.RuneCountInString(a.Text[len(head):])
	r.Body.Set("more", reply.More{NextOffset: next, TotalChars: total, URI: a.URI})
	if a.ContinuationID == "" {
		r.Metadata.Note("The rest of the answer was cut and can't be fetched, since the answer was not stored.")
		return
	}
	r.Metadata.Note(fmt.Sprintf("The answer goes on: call chat with continuation_id %s, a blank prompt and offset %d.", a.ContinuationID, next))
}

// headOf is the text's beginning that fits a maximum of tokens as JSON: whole paragraphs where that keeps at least
// half of it, else whole lines, else whole words, else whole characters.
func headOf(text string, room int) string {
	end, cost := 0, 0.0
	for i, r := range text {
		switch {
		case r == '"' || r == '\\' || r == '\n' || r == '\t' || r == '\r':
			cost += 4.0 / 7
		case r < 0x20:
			cost += 12.0 / 7
		case r < 0x80:
			cost += 2.0 / 7
		default:
			cost++
		}
		if cost > float64(room) {
			break
		}
		end = i + utf8.RuneLen(r)
		if r == utf8.RuneError { // one byte that is no character is written as three
			end = i + runeLen(text[i:])
		}
	}
	head := text[:end]
	if end == len(text) {
		return head
	}
	for _, mark := range []string{"\n\n", "\n", " "} {
		if i := strings.LastIndex(head, mark); i > end/2 {
			return head[:i+len(mark)]
		}
	}
	return head
}

func runeLen(s string) int {
	_, n := utf8.DecodeRuneInString(s)
	return n
}

// shorten brings a value down to about so many tokens. What is small stays whole; what is large shares the room equally.
func shorten(v any, tokens int) any {
	text, err := json.Marshal(v)
	if err != nil || EstimateTokens(string(text)) <= tokens {
		return v
	}
	switch v := v.(type) {
	case string:
		head := headOf(v, max(tokens-12, 0))
		cut := fmt.Sprintf("%s… [cut: %d of %d characters]", head, utf8.RuneCountInString(v[len(head):]), utf8.RuneCountInString(v))
		if EstimateTokens(cut) >= EstimateTokens(v) {
			return v
		}
		return cut
	case []any:
		keep := min(len(v), max(tokens/minShare, 1))
		list := append([]any(nil), v[:keep]...)
		for i, room := range shares(list, tokens) {
			list[i] = shorten(list[i], room)
		}
		tokens += tokens / 10       // the margin of what is cut
		for i, item := range list { // what can't be shortened that far takes the room of those behind it
			text, _ := json.Marshal(item) // came from JSON
			if tokens -= EstimateTokens(string(text)) + 1; tokens < 0 && i > 0 {
				return list[:i]
			}
		}
		return list
	case *reply.Object:
		var values []any
		for _, k := range v.Keys() {
			values = append(values, v.Get(k))
			tokens -= EstimateTokens(quoted(k)) + 1
		}
		for i, room := range shares(values, tokens) {
			v.Set(v.Keys()[i], shorten(values[i], room))
		}
	}
	return v
}

// shares splits a room among values: each gets what it needs as long as that is no more than its equal part.
func shares(values []any, tokens int) []int {
	rooms := make([]int, len(values))
	needs := make([]int, len(values))
	open := len(values)
	for i, v := range values {
		text, _ := json.Marshal(v) // came from JSON
		needs[i] = EstimateTokens(string(text)) + 1
		rooms[i] = -1
	}
	for settled := true; settled && open > 0; {
		settled = false
		part := tokens / open
		for i, need := range needs {
			if rooms[i] < 0 && need <= part {
				rooms[i], settled = need, true
				tokens -= need
				open--
			}
		}
	}
	for i := range rooms {
		if rooms[i] < 0 {
			rooms[i] = max(tokens/max(open, 1), 0)
		}
	}
	return rooms
}

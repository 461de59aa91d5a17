package openaicompat

import (
	"encoding/json"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// fragment is a piece of a text that a stream may split anywhere: in the middle of a surrogate pair ("\ud83d" in one event
// and "\ude00" in the next) or of a character's bytes. Half a character is kept as it came, a lone surrogate in three
// bytes, for a joiner to complete. What is no string is taken as text takes it.
type fragment string

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (f *fragment) UnmarshalJSON(b []byte) error {
	if len(b) < 2 || b[0] != '"' || utf8.Valid(b) && !surrogateEscape().Match(b) {
		var t text
		err := t.UnmarshalJSON(b)
		*f = fragment(t)
		return err
	}
	*f = fragment(unquote(string(b[1 : len(b)-1])))
	return nil
}

// content is a message's text, or a piece of it: a string, or a list of parts. Mistral's thoughts are such parts, of the type
// thinking with parts of their own (Mistral docs, reasoning); others send a text there.
type content struct{ text, thought fragment }

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (c *content) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '[' {
		return c.text.UnmarshalJSON(b)
	}
	var parts []struct {
		Text     fragment `json:"text"`
		Thinking content  `json:"thinking"`
	}
	_ = json.Unmarshal(b, &parts) // what is no part is none of the text
	for _, p := range parts {
		c.text += p.Text
		c.thought += p.Thinking.text
	}
	return nil
}

// argumentPiece is a fragment of a call's arguments. Arguments that are written in place instead of as a string are whole.
type argumentPiece string

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (a *argumentPiece) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		var f fragment
		err := f.UnmarshalJSON(b)
		*a = argumentPiece(f)
		return err
	}
	var t Text
	err := t.UnmarshalJSON(b)
	*a = argumentPiece(t)
	return err
}

var (
	surrogateEscape = lazyregexp.New(`\\u[dD][89a-fA-F]`)
	unicodeEscape   = lazyregexp.New(`^\\u([0-9a-fA-F]{4})`)
)

// escapes are the characters that a JSON string writes as a letter.
var escapes = map[byte]byte{'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// unquote reads the inside of a JSON string, valid as such, and leaves lone surrogates and invalid bytes in it.
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' || i+1 == len(s) {
			b.WriteByte(s[i])
			continue
		}
		if m := unicodeEscape().FindStringSubmatch(s[i:]); m != nil {
			n, _ := strconv.ParseUint(m[1], 16, 32) // four hexadecimal digits
			appendUnit(&b, rune(n))
			i += 5
			continue
		}
		i++
		if c, ok := escapes[s[i]]; ok {
			b.WriteByte(c)
		} else {
			b.WriteByte(s[i])
		}
	}
	return joinSurrogates(b.String())
}

// appendUnit writes a UTF-16 code unit, a surrogate in the three bytes that UTF-8 would have for it.
func appendUnit(b *strings.Builder, unit rune) {
	if utf16.IsSurrogate(unit) {
		b.Write([]byte{0xED, 0x80 | byte(unit>>6)&0x3F, 0x80 | byte(unit)&0x3F})
		return
	}
	b.WriteRune(unit)
}

// surrogate reads a surrogate in three bytes; 0 if s begins with none.
func surrogate(s string) rune {
	if len(s) < 3 || s[0] != 0xED || s[1] < 0xA0 || s[1] > 0xBF || s[2] < 0x80 || s[2] > 0xBF {
		return 0
	}
	return 0xD000 | rune(s[1]&0x3F)<<6 | rune(s[2]&0x3F)
}

// joinSurrogates makes each pair of surrogates the character that it is.
func joinSurrogates(s string) string {
	var b strings.Builder
	last := 0
	for i := 0; i+6 <= len(s); i++ {
		high := surrogate(s[i:])
		if high == 0 {
			continue
		}
		if r := utf16.DecodeRune(high, surrogate(s[i+3:])); r != utf8.RuneError {
			b.WriteString(s[last:i])
			b.WriteRune(r)
			i += 5
			last = i + 1
		}
	}
	return b.String() + s[last:]
}

// joiner puts fragments together.
type joiner struct{ held string }

// push returns what a fragment completes, as valid text; half a character at its end is held for the next one. What is
// still held at an answer's end was half a character, and is nothing.
func (j *joiner) push(f string) string {
	if f == "" {
		return ""
	}
	s := j.held + f
	if strings.IndexByte(s, 0xED) >= 0 {
		s = joinSurrogates(s)
	}
	n := len(s) - halfCharacter(s)
	j.held = s[n:]
	return strings.ToValidUTF8(s[:n], "\uFFFD")
}

// halfCharacter is how many bytes at the end of s begin a character and do not end it.
func halfCharacter(s string) int {
	if n := len(s); n >= 3 && utf16.IsSurrogate(surrogate(s[n-3:])) && surrogate(s[n-3:]) < 0xDC00 {
		return 3
	}
	for n := 1; n <= min(3, len(s)); n++ {
		switch c := s[len(s)-n]; {
		case utf8.RuneStart(c) && c >= utf8.RuneSelf && !utf8.FullRuneInString(s[len(s)-n:]):
			return n
		case utf8.RuneStart(c):
			return 0
		}
	}
	return 0
}

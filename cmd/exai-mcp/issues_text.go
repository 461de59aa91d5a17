package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// unsafeRune reports whether a character can do something to a terminal: control characters, and those that turn the writing
// direction or are not seen.
func unsafeRune(r rune) bool {
	switch r {
	case '\n', '\t', '\u200c', '\u200d': // joiners: scripts and pictures need them
		return false
	}
	return !unicode.IsPrint(r) && !unicode.Is(unicode.Zs, r)
}

// harmless reports whether a text is of ASCII's visible characters, blanks, line breaks and tabs alone, as most are.
func harmless[T ~string | ~[]byte](text T) bool {
	for i := range len(text) {
		if c := text[i]; c >= 0x7f || c < ' ' && c != '\n' && c != '\t' {
			return false
		}
	}
	return true
}

// plain makes stored text safe to show: whatever could move a terminal's cursor, set its title or hide text is written
// as an escape. Line breaks and tabs stay.
func plain(text string) string {
	if harmless(text) {
		return text
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case !unsafeRune(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
		i += n
	}
	return b.String()
}

// plainJSON does the same to JSON, without changing what it says.
func plainJSON(text []byte) string {
	if harmless(text) {
		return string(text)
	}
	var b strings.Builder
	for _, r := range string(text) {
		switch {
		case !unsafeRune(r):
			b.WriteRune(r)
		case r > 0xFFFF:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// print shows text of which a part was stored.
func (a *app) print(text string) error {
	return a.write(plain(text))
}

// write puts out what is safe. A reader that has read enough, as head does, is no error to talk of.
func (a *app) write(text string) error {
	_, err := io.WriteString(a.out, text)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EPIPE):
		return failure{}
	}
	return failure{fmt.Errorf("write the output: %w", err)}
}

func (a *app) printf(format string, args ...any) error { return a.print(fmt.Sprintf(format, args...)) }

func (a *app) printJSON(text []byte, err error) error {
	if err != nil {
		return failure{err}
	}
	return a.write(plainJSON(text))
}

// indented lays JSON out for people, with a line break at its end.
func indented(text []byte, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

func oneLine(text string) string { return strings.Join(strings.Fields(text), " ") }

// clock is a local time for people, "" for none.
func clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Local().Format("2006-01-02 15:04")
}

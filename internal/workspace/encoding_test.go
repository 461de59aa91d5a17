package workspace

import (
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
)

func TestBinaryKind(t *testing.T) {
	late := strings.Repeat("x", sniffBytes)
	for head, want := range map[string]string{
		"": "", "text\n": "", late + "\x00": "", late[1:] + "\x00": "application/octet-stream", "\xef\xbb\xbf\x00": "", "\xff\xfea\x00": "", "\xfe\xff\x00a": "",
		"\xff\xfe\x00\x00": "application/octet-stream", "%PDF-1.7": "application/pdf", "\x89PNG\r\n\x1a\n": "image/png", "\x89PNG\r\n\x1a\n\x00": "image/png",
		"\t\n\v\f\r\b\x1b": "", // what text uses
		// One control character in 20 bytes is text.
		"\x01" + strings.Repeat("x", 19): "", "\x01" + strings.Repeat("x", 18): "application/octet-stream",
		"\x7f" + strings.Repeat("x", 18): "application/octet-stream", "\x1f" + strings.Repeat("x", 18): "application/octet-stream", "  " + strings.Repeat("~", 10): "",
	} {
		assert.Equal(t, want, binaryKind([]byte(head)), "%.30q", head)
	}
}

func TestMostlyUTF8(t *testing.T) {
	for text, want := range map[string]bool{
		"": true, "plain": true, "ä": true, "\xe4": false, "ä\xe4": false, "ää\xe4": true, "ä\xe4ä\xe4": false, "\uFFFD": true, "\uFFFD\xff": false,
		"a\x80": false, "\x7f\xff": false,
	} {
		assert.Equal(t, want, mostlyUTF8([]byte(text), true), "%q", text)
	}
	assert.True(t, mostlyUTF8([]byte("a\xc3"), false), "cut in two at the end")
	assert.True(t, mostlyUTF8([]byte("\xf0\x9f\x98"), false))
	assert.False(t, mostlyUTF8([]byte("\xf0\x9f\x98"), true))
	assert.False(t, mostlyUTF8([]byte("\xc3a"), false))
}

func TestValidUTF8(t *testing.T) {
	for _, c := range []struct {
		data  string
		whole bool
		want  string
	}{
		{"ä\xf0\x9f\x98", false, "ä"},
		{"ä\xf0\x9f\x98", true, "ä\uFFFD"},
		{"\xf0\x9f\x98", false, ""},
		{"\xc3", false, ""},
		{"", false, ""},
		{"a", false, "a"},
		{"aä", false, "aä"},
		{"a😀", false, "a😀"},
		{"a\xc3z", false, "a\uFFFDz"},
		{"\x80\x80\x80\x80", false, "\uFFFD"},
		{"a\xf0\x9f", false, "a"},
	} {
		assert.Equal(t, c.want, validUTF8([]byte(c.data), c.whole), "%q", c.data)
	}
}

func TestFromUTF16(t *testing.T) {
	little := func(text string, more ...uint16) (data []byte) {
		for _, u := range append(utf16.Encode([]rune(text)), more...) {
			data = append(data, byte(u), byte(u>>8))
		}
		return data
	}
	for _, c := range []struct {
		data  []byte
		whole bool
		want  string
	}{
		{little("a😀"), true, "a😀"},
		{little("a", 0xd83d), false, "a"},
		{little("a", 0xd83d), true, "a\uFFFD"},
		{little("a", 0xd800), false, "a"},
		{little("a", 0xdbff), false, "a"},
		{little("a", 0xdc00), false, "a\uFFFD"},
		{little("a", 0xd7ff), false, "a\ud7ff"},
		{append(little("a"), 'x'), true, "a"},
		{nil, false, ""},
		{little(""), false, ""},
	} {
		text, encoding := fromUTF16(c.data, c.whole, false)
		assert.Equal(t, c.want, text, "%x", c.data)
		assert.Equal(t, encodingUTF16LE, encoding)
	}
	text, encoding := fromUTF16([]byte{0, 'a'}, true, true)
	assert.Equal(t, "a", text)
	assert.Equal(t, encodingUTF16BE, encoding)
}

// Half of a line's end at a cut is dropped; NUL, which databases refuse, is not kept.
func TestDecode(t *testing.T) {
	for _, c := range []struct {
		data           string
		whole          bool
		declared       string
		text, encoding string
	}{
		{"a\r", false, "", "a", "utf-8"},
		{"a\r", true, "", "a\r", "utf-8"},
		{"a\x00b\r\n", true, "", "a\uFFFDb\n", "utf-8"},
		{"a\x00", true, "utf-16le", "a", "utf-16le"},
		{"\x00a", true, "utf-16be", "a", "utf-16be"},
		{"\xfe\xff\x00a", true, "utf-16le", "a", "utf-16be"},
		{"\xef\xbb\xbfa", true, "windows-1251", "a", "utf-8-bom"},
		{"ä", true, "utf-8", "ä", "utf-8"},
		{"a", true, "windows-1251", "a", "utf-8"},
		{"ä", true, "windows-1251", "Г¤", "windows-1251"},
		{"\xe4", true, "unknown", "ä", "windows-1252"},
	} {
		text, encoding := decode([]byte(c.data), c.whole, c.declared)
		assert.Equal(t, c.text, text, "%q", c.data)
		assert.Equal(t, c.encoding, encoding, "%q", c.data)
	}
}

// Text is in an encoding where at most one of 50 of its letters beyond ASCII is none there.
func TestDecodeAs(t *testing.T) {
	letters := strings.Repeat("\xb0\xa1", 49) // of gb18030
	for _, c := range []struct {
		name, data string
		whole      bool
		want       string
		ok         bool
	}{
		{"unknown", "a", true, "", false},
		{"gb18030", letters + "\xff", true, strings.Repeat("啊", 49) + "\uFFFD", true},
		{"gb18030", letters[2:] + "\xff", true, strings.Repeat("啊", 48) + "\uFFFD", false},
		{"gb18030", "\xb0\xa1\xb0\xa1\n\xb0", false, "啊啊\n", true}, // up to the last line's end
		{"gb18030", "\xb0\xa1\n\xb0\xa1\xb0", false, "啊\n啊\uFFFD", false},
		{"gb18030", "\xb0\n\xb0\xa1", false, "\uFFFD\n啊", false},
		{"gb18030", "\xb0\xa1\n\xb0", false, "啊\n\uFFFD", false},
		{"windows-1252", "\x81", true, "\uFFFD", true},
	} {
		text, ok := decodeAs(c.name, []byte(c.data), c.whole)
		assert.Equal(t, c.ok, ok, "%s %q", c.name, c.data)
		assert.Equal(t, c.want, text, "%s %q", c.name, c.data)
	}
	assert.Empty(t, namedCharset("utf-8"))
	assert.Empty(t, namedCharset("utf-8-bom"))
	assert.Equal(t, "big5", namedCharset("big5"))
}

// A guess is made from the first lines with letters beyond ASCII, up to a bound.
func TestDetectIsBounded(t *testing.T) {
	russian := encoded(t, "windows-1251", samples["windows-1251"])
	for len(russian) < maxGuessBytes {
		russian += russian
	}
	assert.Equal(t, "windows-1251", detect([]byte(russian+strings.Repeat(encoded(t, "gb18030", samples["gb18030"]), 2000))))
	assert.Equal(t, "windows-1251", detect([]byte(strings.Repeat("plain words\n", 10_000)+russian)), "lines of ASCII don't count")
}

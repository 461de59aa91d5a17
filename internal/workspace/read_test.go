package workspace

import (
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest"
)

func utf16Bytes(order binary.AppendByteOrder, text string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune("\ufeff" + text)) {
		b = order.AppendUint16(b, u)
	}
	return string(b)
}

func TestEncodings(t *testing.T) {
	const text = "grün\n文 😀\n"
	dir := tempDir(t)
	w := newWorkspace(t, dir)
	for _, c := range []struct{ name, raw, want, encoding string }{
		{"ascii", "plain\n", "plain\n", "utf-8"},
		{"empty", "", "", "utf-8"},
		{"utf-8", text, text, "utf-8"},
		{"bom", "\xef\xbb\xbf" + text, text, "utf-8-bom"},
		{"le", utf16Bytes(binary.LittleEndian, text), text, "utf-16le"},
		{"be", utf16Bytes(binary.BigEndian, text), text, "utf-16be"},
		{"latin-1", "gr\xfcn caf\xe9", "grün café", "windows-1252"},
		{"latin-1 at the end", "caf\xe9", "café", "windows-1252"},
		{"windows quotes", "\x93quoted\x94 \x80", "“quoted” €", "windows-1252"},
		{"damaged utf-8", "grün schön über \xff", "grün schön über \uFFFD", "utf-8"},
		{"marks of an earlier loss", "\uFFFD\uFFFD é", "\uFFFD\uFFFD é", "utf-8"},
		{"crlf", "a\r\nb\r\n", "a\nb\n", "utf-8"},
		{"late NUL", strings.Repeat("x", sniffBytes) + "\x00", strings.Repeat("x", sniffBytes) + "\uFFFD", "utf-8"},
		{"colours", "\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n", "utf-8"},
	} {
		got, err := w.readPath(t.Context(), write(t, c.raw, dir, c.name), 0)
		require.NoError(t, err, c.name)
		assert.Equal(t, c.want, got.Content, c.name)
		assert.Equal(t, c.encoding, got.Encoding, c.name)
		assert.Equal(t, int64(len(c.raw)), got.Size, c.name)
		assert.Equal(t, hashOf(c.want), got.SHA256, c.name)
		assert.False(t, got.Cut, c.name)
	}
	for name, raw := range map[string]string{
		"png": "\x89PNG\r\n\x1a\n....", "nul": "a\x00b", "pdf": "%PDF-1.7\nplain text follows", "zip": "PK\x03\x04\x14\x00",
		"utf-32": "\xff\xfe\x00\x00a\x00\x00\x00", "controls": "\x01\x02\x03\x04abc",
	} {
		_, err := w.readPath(t.Context(), write(t, raw, dir, name), 0)
		requireCode(t, CodeInvalid, err)
	}
}

func TestReadTextCutsAtCharacters(t *testing.T) {
	dir := tempDir(t)
	w := newWorkspace(t, dir)
	for name, raw := range map[string]string{
		"utf-8": strings.Repeat("文\r\n", 5000), "utf-16": utf16Bytes(binary.LittleEndian, strings.Repeat("文\r\n", 5000)),
	} {
		full := write(t, raw, dir, name)
		for _, n := range []int{1, 2, 7, 999} {
			got, err := w.readPath(t.Context(), full, n)
			require.NoError(t, err)
			assert.Equal(t, n, len([]rune(got.Content)), "%s %d", name, n)
			assert.NotContains(t, got.Content, "\uFFFD")
			assert.True(t, got.Cut)
			assert.Equal(t, hashOf(got.Content), got.SHA256)
		}
		got, err := w.readPath(t.Context(), full, 10_000)
		require.NoError(t, err)
		assert.False(t, got.Cut)
		assert.Equal(t, 5000, got.Lines)
	}
}

// A reading that stops in the middle of a character or of a line's end leaves neither half behind.
func TestDecodePart(t *testing.T) {
	const text = "aé文😀\r\nz"
	for n := range len(text) {
		got, _ := decode([]byte(text[:n]), false, "")
		assert.NotContains(t, got, "\uFFFD", "%d", n)
		assert.NotContains(t, got, "\r", "%d", n)
		assert.True(t, strings.HasPrefix("aé文😀\nz", got))
	}
	wide := utf16Bytes(binary.BigEndian, text)
	for n := range len(wide) {
		if n < 2 {
			continue
		}
		got, _ := decode([]byte(wide[:n]), false, "")
		assert.NotContains(t, got, "\uFFFD", "%d", n)
	}
}

// A file that changes while it is read is read again, and said to be changing when it does so once more.
func TestFileThatChanges(t *testing.T) {
	when := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	grow := func(t *testing.T, name string) {
		f, err := os.OpenFile(name, os.O_APPEND|os.O_WRONLY, 0)
		require.NoError(t, err)
		defer f.Close()
		_, err = f.WriteString("more\n")
		require.NoError(t, err)
	}
	for name, c := range map[string]struct {
		times   int
		change  func(t *testing.T, name string)
		more    string
		changed bool
	}{
		"never":      {0, grow, "", false},
		"once":       {1, grow, "more\n", false},
		"twice":      {2, grow, "more\nmore\n", true},
		"time alone": {2, func(t *testing.T, name string) { require.NoError(t, os.Chtimes(name, when, time.Now())) }, "", true},
		"time set back": {2, func(t *testing.T, name string) {
			grow(t, name)
			require.NoError(t, os.Chtimes(name, when, when))
		}, "more\nmore\n", true},
	} {
		t.Run(name, func(t *testing.T) {
			dir := tempDir(t)
			text := strings.Repeat("ä\n", sniffBytes)
			name := write(t, text, dir, "log")
			require.NoError(t, os.Chtimes(name, when, when))
			write(t, "", dir, ".gitattributes")
			w := newWorkspace(t, dir)
			opened, changes := 0, 0
			// Opened in turn: the file; while it is being read, what declares its encoding; and this once more afterwards.
			w.log = zaptest.NewLogger(t, zaptest.WrapOptions(zap.Hooks(func(e zapcore.Entry) error {
				if e.Message != "file opened" {
					return nil
				}
				if opened++; opened%3 == 2 && changes < c.times {
					changes++
					c.change(t, name)
				}
				return nil
			})))
			got, err := w.readPath(t.Context(), name, 0)
			require.NoError(t, err)
			assert.Equal(t, text+c.more, got.Content)
			assert.Equal(t, int64(len(text+c.more)), got.Size)
			assert.Equal(t, c.changed, got.Changed)
			assert.Equal(t, c.times, changes)
		})
	}
}

func TestNumberedAndCountLines(t *testing.T) {
	assert.Equal(t, "   1| a\n   2| \n   3| b", numbered("a\n\nb"))
	assert.Empty(t, numbered(""))
	for text, want := range map[string]int{"": 0, "a": 1, "a\n": 1, "a\nb": 2, "\n\n": 2} {
		assert.Equal(t, want, countLines(text), "%q", text)
	}
}

func TestFind(t *testing.T) {
	dir := tempDir(t)
	a := write(t, "1\n", dir, "src/a.go")
	write(t, "X=1\n", dir, "src/.env")
	w := newWorkspace(t, dir)
	known, problems := w.Resolve(t.Context(), []string{"src/../src/a.go", "src"})
	require.Empty(t, problems)
	for name, want := range map[string]string{
		a: a, "src/a.go": a, "./src/a.go": a, "src/../src/a.go": a, "a.go": "", "src": "", "src/b.go": "", "": "", "src/.env": "", "/etc/passwd": "",
	} {
		got, ok := w.Find(t.Context(), name, known)
		assert.Equal(t, want, got, name)
		assert.Equal(t, want != "", ok, name)
	}
}

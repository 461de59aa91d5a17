package workspace

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// The names of the Unicode encodings that text is read from. Others have their WHATWG name, such as gb18030.
const (
	encodingUTF8    = "utf-8"
	encodingUTF8BOM = "utf-8-bom"
	encodingUTF16LE = "utf-16le"
	encodingUTF16BE = "utf-16be"
)

var (
	bomUTF8    = []byte{0xef, 0xbb, 0xbf}
	bomUTF16LE = []byte{0xff, 0xfe}
	bomUTF16BE = []byte{0xfe, 0xff}
	bomUTF32LE = []byte{0xff, 0xfe, 0, 0}
)

// binaryKind names the kind of a file that is no text by its first bytes, "" for text. A NUL byte tells them apart, as it
// does for git; text in UTF-16 has NUL bytes too, and is known by its mark.
func binaryKind(head []byte) string {
	if len(head) > sniffBytes {
		head = head[:sniffBytes]
	}
	if isUTF16(head) || bytes.HasPrefix(head, bomUTF8) {
		return ""
	}
	kind, _, _ := strings.Cut(http.DetectContentType(head), ";")
	if bytes.IndexByte(head, 0) >= 0 || kind == "application/pdf" || manyControls(head) {
		if strings.HasPrefix(kind, "text/") {
			kind = "application/octet-stream"
		}
		return kind
	}
	return ""
}

func isUTF16(head []byte) bool {
	return !bytes.HasPrefix(head, bomUTF32LE) && (bytes.HasPrefix(head, bomUTF16LE) || bytes.HasPrefix(head, bomUTF16BE))
}

// manyControls reports whether more than one byte in 20 is a control character that text does not use.
func manyControls(head []byte) bool {
	n := 0
	for _, b := range head {
		if b < 0x20 && !bytes.ContainsRune([]byte("\t\n\v\f\r\b\x1b"), rune(b)) || b == 0x7f {
			n++
		}
	}
	return n*20 > len(head)
}

// decode turns a text file's bytes into UTF-8 with "\n" at each line's end, and names the encoding that it was in: the one
// that the project declares for it ("" for none), else UTF-8, what a byte order mark says, what the letters suggest, or
// windows-1252. whole says that the bytes are all of the file; else a character that was cut in two at their end is dropped.
func decode(data []byte, whole bool, declared string) (text, encoding string) {
	switch {
	case bytes.HasPrefix(data, bomUTF8):
		text, encoding = validUTF8(data[len(bomUTF8):], whole), encodingUTF8BOM
	case isUTF16(data):
		text, encoding = fromUTF16(data[2:], whole, bytes.HasPrefix(data, bomUTF16BE))
	case declared == encodingUTF16LE || declared == encodingUTF16BE:
		text, encoding = fromUTF16(data, whole, declared == encodingUTF16BE)
	default:
		text, encoding = fromBytes(data, whole, declared)
	}
	if !whole {
		text = strings.TrimSuffix(text, "\r") // half of a line's end
	}
	text = strings.ReplaceAll(text, "\r\n", "\n")
	// Databases and vendors refuse NUL inside of text.
	return strings.ReplaceAll(text, "\x00", "\uFFFD"), encoding
}

// fromBytes decodes text in which each byte below 128 is ASCII, or nearly so.
func fromBytes(data []byte, whole bool, declared string) (text, encoding string) {
	if declared != "" && declared != encodingUTF8 && !isASCII(data) {
		if text, ok := decodeAs(declared, data, whole); ok {
			return text, declared
		}
	}
	if mostlyUTF8(data, whole) {
		return validUTF8(data, whole), encodingUTF8
	}
	if guess := detect(data); guess != "" {
		if text, ok := decodeAs(guess, data, whole); ok {
			return text, guess
		}
	}
	text, _ = decodeAs(encodingWindows, data, whole)
	return text, encodingWindows
}

// mostlyUTF8 reports whether text is UTF-8, perhaps with a damaged byte here and there, and not in a one-byte encoding.
func mostlyUTF8(data []byte, whole bool) bool {
	good, bad := 0, 0
	for len(data) > 0 {
		if data[0] < utf8.RuneSelf {
			data = data[1:]
			continue
		}
		r, n := utf8.DecodeRune(data)
		if r == utf8.RuneError && n == 1 {
			if !whole && !utf8.FullRune(data) {
				break // cut in two at the end
			}
			bad++
		} else {
			good++
		}
		data = data[n:]
	}
	return bad == 0 || good > bad
}

func validUTF8(data []byte, whole bool) string {
	if !whole {
		for i := 1; i < utf8.UTFMax && i <= len(data); i++ {
			if tail := data[len(data)-i:]; utf8.RuneStart(tail[0]) {
				if !utf8.FullRune(tail) {
					data = data[:len(data)-i]
				}
				break
			}
		}
	}
	return strings.ToValidUTF8(string(data), "\uFFFD")
}

func fromUTF16(data []byte, whole, big bool) (text, encoding string) {
	order, encoding := binary.ByteOrder(binary.LittleEndian), encodingUTF16LE
	if big {
		order, encoding = binary.BigEndian, encodingUTF16BE
	}
	units := make([]uint16, 0, len(data)/2)
	for ; len(data) >= 2; data = data[2:] {
		units = append(units, order.Uint16(data))
	}
	if n := len(units); !whole && n > 0 && units[n-1] >= 0xd800 && units[n-1] < 0xdc00 {
		units = units[:n-1]
	}
	return string(utf16.Decode(units)), encoding
}

// numbered puts its number before each line.
func numbered(text string) string { return NumberLines(text, 1) }

// NumberLines is a text with its lines' numbers before them, as every file is shown to a model; first is the first line's.
func NumberLines(text string, first int) string {
	var b strings.Builder
	b.Grow(len(text) + len(text)/5)
	n := first
	for line := range strings.Lines(text) {
		fmt.Fprintf(&b, "%4d| %s", n, line)
		n++
	}
	return b.String()
}

// countLines counts lines; a last one without an end counts too.
func countLines(text string) int {
	n := strings.Count(text, "\n")
	if text != "" && !strings.HasSuffix(text, "\n") {
		n++
	}
	return n
}

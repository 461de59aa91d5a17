package workspace

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"github.com/gogs/chardet"
	"golang.org/x/text/encoding/htmlindex"
)

// encodingWindows is what text is taken for when nothing tells more: files that call themselves Latin-1 are in it in
// practice, with quotes where Latin-1 has control characters.
const encodingWindows = "windows-1252"

// minLetters is how many bytes beyond ASCII a guess needs: with fewer of them, letters of several languages look alike.
const minLetters = 100

// maxGuessBytes is how much of a text a guess is made from.
const maxGuessBytes = 64 << 10

// windowsTwins are the encodings that a guess names, where text is in the one of Windows in practice.
var windowsTwins = map[string]string{
	"ISO-8859-1": encodingWindows, "ISO-8859-6": "windows-1256", "ISO-8859-7": "windows-1253", "ISO-8859-8": "windows-1255",
	"ISO-8859-8-I": "windows-1255", "ISO-8859-9": "windows-1254", "GB-18030": "gb18030",
}

// detect guesses the encoding of text that is not UTF-8 by the letters in it, "" when there are too few. Only lines with
// such letters count, since English words between them would look like Western European.
func detect(data []byte) string {
	var lines []byte
	letters := 0
	for line := range bytes.Lines(data) {
		if isASCII(line) {
			continue
		}
		for _, b := range line {
			if b >= utf8.RuneSelf {
				letters++
			}
		}
		if lines = append(lines, line...); len(lines) >= maxGuessBytes {
			lines = lines[:maxGuessBytes]
			break
		}
	}
	if letters < minLetters {
		return ""
	}
	best, err := chardet.NewTextDetector().DetectBest(lines)
	if err != nil {
		return ""
	}
	if twin, ok := windowsTwins[best.Charset]; ok {
		return twin
	}
	return charsetName(best.Charset)
}

// charsetName is the WHATWG name of an encoding that is written in any usual way, "" for one that is not known.
func charsetName(written string) string {
	written = strings.ToLower(strings.TrimSpace(written))
	for _, label := range []string{written, strings.TrimSuffix(written, "-bom"), strings.ReplaceAll(written, "cp", "windows-")} {
		if e, err := htmlindex.Get(label); err == nil {
			if name, err := htmlindex.Name(e); err == nil && name != "replacement" && name != "x-user-defined" {
				return name
			}
		}
	}
	switch written {
	case "cp936", "windows-936":
		return "gb18030"
	case "cp950", "windows-950":
		return "big5"
	case "cp932", "windows-932":
		return "shift_jis"
	}
	return ""
}

// decodeAs decodes text in an encoding of a known name. It returns false when more than one character in 50 beyond ASCII is
// none in that encoding: the text is in another one.
func decodeAs(name string, data []byte, whole bool) (string, bool) {
	e, err := htmlindex.Get(name)
	if err != nil {
		return "", false
	}
	if !whole { // no encoding has a line's end within a character
		if end := bytes.LastIndexByte(data, '\n'); end > len(data)/2 {
			data = data[:end+1]
		}
	}
	decoded, err := e.NewDecoder().Bytes(data)
	if err != nil {
		return "", false
	}
	bad, letters := bytes.Count(decoded, []byte("\uFFFD")), 0
	for _, r := range string(decoded) {
		if r >= utf8.RuneSelf {
			letters++
		}
	}
	return string(decoded), name == encodingWindows || bad*50 <= letters
}

// namedCharset is an encoding as manifests name it: "" for UTF-8.
func namedCharset(encoding string) string {
	if encoding == encodingUTF8 || encoding == encodingUTF8BOM {
		return ""
	}
	return encoding
}

func isASCII(data []byte) bool {
	for _, b := range data {
		if b >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

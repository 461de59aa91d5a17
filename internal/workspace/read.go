package workspace

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
)

// Text is a text file, or the beginning of one.
type Text struct {
	Path     string // as the host names it
	Content  string // UTF-8, lines end in "\n"
	SHA256   string // lower-case hex of Content
	Encoding string // what the file was in: utf-8, utf-8-bom, or a WHATWG name such as utf-16le, gb18030, windows-1252
	Size     int64  // of the file, in bytes
	Lines    int    // in Content
	Cut      bool   // Content is only the beginning
	Changed  bool   // the file was being written while it was read, twice in a row
}

// ReadText reads a text file, of a long one the first maxChars characters (0: the first 16 MiB). A binary file is
// invalid_request.
func (r Ref) ReadText(maxChars int) (*Text, error) {
	limit := int64(maxTextBytes)
	if maxChars > 0 {
		limit = min(limit, 4*int64(maxChars)+4) // no character takes more bytes in any of the encodings
	}
	t, kind, err := r.at.readText(limit)
	if err != nil {
		return nil, err
	}
	if kind != "" {
		return nil, invalid(r.at.asked, quoted(r.at.asked)+" is not a text file but "+kind+".", "Name a text file, or give a picture under images.")
	}
	if maxChars > 0 {
		if head, cut := firstChars(t.Content, maxChars); cut {
			t.Content, t.Cut = head, true
			t.SHA256, t.Lines = hashOf(head), countLines(head)
		}
	}
	return t, nil
}

// firstChars is the text's first n characters.
func firstChars(text string, n int) (string, bool) {
	seen := 0
	for i := range text {
		if seen == n {
			return text[:i], true
		}
		seen++
	}
	return text, false
}

// readText reads at most limit bytes of a file as text. For a binary file it returns its kind instead. A file that
// changes meanwhile is read once more.
func (at place) readText(limit int64) (t *Text, kind string, err error) {
	declared := ""
	kindIn := func(data []byte) string {
		if declared == "" && (!isASCII(data) || bytes.IndexByte(data, 0) >= 0) {
			declared = at.declaredCharset()
		}
		if declared == encodingUTF16LE || declared == encodingUTF16BE {
			return ""
		}
		return binaryKind(data)
	}
	for try := range 2 {
		var data []byte
		var info fs.FileInfo
		var steady bool
		data, info, steady, err = at.readBytes(limit, kindIn)
		if err != nil {
			return nil, "", err
		}
		if kind := kindIn(data); kind != "" {
			return nil, kind, nil
		}
		whole := int64(len(data)) <= limit
		if !whole {
			data = data[:limit]
		}
		text, encoding := decode(data, whole, declared)
		t = &Text{
			Path: at.host, Content: text, SHA256: hashOf(text), Encoding: encoding, Size: max(info.Size(), int64(len(data))),
			Lines: countLines(text), Cut: !whole, Changed: !steady && try > 0,
		}
		if steady {
			break
		}
	}
	return t, "", nil
}

// readBytes reads at most limit+1 bytes, so that a file of any size, and one that never stops growing, costs no more. Of one
// that is binary it reads the beginning alone. steady reports whether size and time stayed the same meanwhile.
func (at place) readBytes(limit int64, kindIn func(head []byte) string) (data []byte, info fs.FileInfo, steady bool, err error) {
	f, before, err := at.open()
	if err != nil {
		return nil, nil, false, err
	}
	defer f.Close()
	head := make([]byte, min(sniffBytes, limit+1))
	n, err := io.ReadFull(f, head)
	head = head[:n]
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = nil
	} else if err == nil && kindIn(head) == "" {
		head, err = readMore(f, head, limit+1)
	}
	if err != nil {
		return nil, nil, false, systemError(at.asked, err)
	}
	after, err := f.Stat()
	if err != nil {
		return nil, nil, false, systemError(at.asked, err)
	}
	return head, after, before.Size() == after.Size() && before.ModTime().Equal(after.ModTime()), nil
}

// readMore reads on until most bytes are there.
func readMore(f *os.File, head []byte, most int64) ([]byte, error) {
	rest, err := io.ReadAll(io.LimitReader(f, most-int64(len(head))))
	return append(head, rest...), err
}

func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

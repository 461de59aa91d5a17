package server

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// maxLine is the longest line that is read into memory, in bytes.
const maxLine = 64 << 20

// What is kept of a line that is too long, to find its id: clients write it near the front or as the last member.
const (
	headSize = 4 << 10
	tailSize = 512
)

// lineReader cuts the input into lines and never holds more than max bytes of one.
type lineReader struct {
	r   *bufio.Reader
	max int
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{r: bufio.NewReaderSize(r, 64<<10), max: maxLine}
}

// next returns the next line, trimmed of white space and a byte order mark, in memory of its own. Bytes that are not UTF-8
// become U+FFFD, since ids and tokens go back as they came, and clients give up on a line that can't be decoded. A line beyond the cap
// is read to its end without being kept, and is a *lineFault. A last line without a newline counts.
func (l *lineReader) next() ([]byte, error) {
	var line bytes.Buffer
	for {
		piece, err := l.r.ReadSlice('\n')
		if line.Len()+len(piece) > l.max {
			return nil, l.skip(append(line.Bytes(), piece...), err)
		}
		line.Write(piece)
		switch {
		case err == nil, errors.Is(err, io.EOF) && line.Len() > 0:
			return clean(line.Bytes()), nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, err
		}
	}
}

// clean trims a line, or a piece of one, and replaces what is not UTF-8.
func clean(line []byte) []byte {
	line = bytes.TrimSpace(bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")))
	if utf8.Valid(line) {
		return line
	}
	return bytes.ToValidUTF8(line, []byte("\uFFFD"))
}

// skip reads on to the end of a line that began with start and is too long.
func (l *lineReader) skip(start []byte, err error) error {
	head := bytes.Clone(start[:min(len(start), headSize)])
	tail := bytes.Clone(suffix(start, tailSize))
	for errors.Is(err, bufio.ErrBufferFull) {
		var piece []byte
		piece, err = l.r.ReadSlice('\n')
		tail = append(tail, suffix(piece, tailSize)...)
		tail = append(tail[:0], suffix(tail, tailSize)...)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	return &lineFault{
		id: idOfTruncated(clean(head), clean(tail)), code: codeInvalidRequest,
		text: "the message is longer than 64 MiB; send less, or name files instead of quoting them",
	}
}

// suffix is the last n bytes of b, or all of them.
func suffix(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// lastID matches an id that is the last member of a line's object.
var lastID = lazyregexp.New(`[,{]\s*"id"\s*:\s*(-?[0-9]+|"(?:[^"\\]|\\.)*")\s*\}\s*$`)

// idOfTruncated finds the id of a message of which only both ends are known. It returns nil if neither has it.
func idOfTruncated(head, tail []byte) json.RawMessage {
	if found := lastID().FindSubmatch(tail); found != nil && json.Valid(found[1]) {
		return found[1]
	}
	if len(head) == 0 || head[0] != '{' {
		return nil
	}
	for key, value := range members(head) {
		if key == "id" && json.Valid(value) && idKey(value) != "" {
			return value
		}
	}
	return nil
}

package clients

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
	"github.com/pelletier/go-toml/v2/unstable"
)

// piece is a run of bytes of a TOML file that defines a part of our entry.
type piece struct {
	from, to int
	table    bool // a table and what is below it; otherwise one key with its value
}

// editTOML replaces the entry at a path with a text, or removes it if the text is empty. It reports whether the entry was
// there. Every other line stays as it is; so do, unless the entry is removed, tables below it that this program does not
// write, such as those in which Codex keeps the tools that a person has allowed.
func editTOML(data []byte, path []string, text string) (edited []byte, found bool, err error) {
	body, bom := bytes.CutPrefix(data, byteOrderMark)
	before, err := plainTOML(body, path)
	if err != nil {
		return nil, false, fmt.Errorf("not valid TOML: %w", err)
	}
	pieces, err := tomlPieces(body, path, text == "")
	if err != nil {
		return nil, false, err
	}
	newline := "\n"
	if bytes.Contains(body, []byte("\r\n")) {
		newline = "\r\n"
		text = strings.ReplaceAll(text, "\n", newline)
	}
	edited = replacePieces(body, pieces, text, newline)
	after, err := plainTOML(edited, path)
	if err != nil {
		return nil, false, fmt.Errorf("the entry can't be written beside what is there (%w); edit [%s] by hand", err, strings.Join(path, "."))
	}
	if !reflect.DeepEqual(before, after) {
		return nil, false, fmt.Errorf("the edit would change more than %s: this is a bug in exai-mcp, nothing was written", strings.Join(path, "."))
	}
	if bom {
		edited = append(slices.Clone(byteOrderMark), edited...)
	}
	return edited, len(pieces) > 0, nil
}

// plainTOML is the document without the entry at a path.
func plainTOML(data []byte, without []string) (map[string]any, error) {
	m := map[string]any{}
	if err := toml.Unmarshal(data, &m); err != nil {
		return nil, err
	}
	removePlain(m, without)
	return m, nil
}

// tomlPieces finds the parts of a file that define the entry at a path: its table with what is below it, or dotted keys.
func tomlPieces(data []byte, path []string, whole bool) ([]piece, error) {
	p := &unstable.Parser{}
	p.Reset(data)
	var table []string
	var pieces []piece
	open := false // the last piece is a table that goes on
	for p.NextExpression() {
		e := p.Expression()
		keys, at := keysOf(e)
		start := lineStart(data, at)
		switch e.Kind {
		case unstable.Table, unstable.ArrayTable:
			table = keys
			mine := ours(table, path, whole)
			if open && !mine {
				pieces[len(pieces)-1].to = beforeComments(data, start, pieces[len(pieces)-1].from)
			}
			if mine && !open {
				pieces = append(pieces, piece{start, len(data), true})
			}
			open = mine
		case unstable.KeyValue:
			full := slices.Concat(table, keys)
			switch {
			case open || below(table, path): // in a table that is replaced, or one that stays
			case len(full) >= len(path) && slices.Equal(full[:len(path)], path):
				end := int(e.Raw.Offset) + int(e.Raw.Length)
				pieces = append(pieces, piece{start, lineEnd(data, end), false})
			case len(full) < len(path) && slices.Equal(full, path[:len(full)]):
				return nil, fmt.Errorf("%s is an inline table; write it as [%s] first", strings.Join(full, "."), strings.Join(full, "."))
			}
		}
	}
	if err := p.Error(); err != nil {
		return nil, errors.New("not valid TOML")
	}
	if open {
		last := &pieces[len(pieces)-1]
		last.to = beforeComments(data, len(data), last.from)
	}
	return pieces, nil
}

// ours reports whether a table is one that we write, or, for removal, any below the entry.
func ours(table, path []string, whole bool) bool {
	return below(table, path) && (whole || len(table) == len(path) || table[len(path)] == "env")
}

// below reports whether a table is the one at a path or a part of it.
func below(table, path []string) bool {
	return len(table) >= len(path) && slices.Equal(table[:len(path)], path)
}

// keysOf returns the key of an expression and where its first part begins.
func keysOf(e *unstable.Node) (keys []string, at int) {
	for it := e.Key(); it.Next(); {
		if keys == nil {
			at = int(it.Node().Raw.Offset)
		}
		keys = append(keys, string(it.Node().Data))
	}
	return keys, at
}

func lineStart(data []byte, at int) int { return bytes.LastIndexByte(data[:at], '\n') + 1 }

func lineEnd(data []byte, at int) int {
	if i := bytes.IndexByte(data[at:], '\n'); i >= 0 {
		return at + i + 1
	}
	return len(data)
}

// beforeComments goes back from the end of a table over blank lines and comments, which belong to what follows or stand
// for themselves.
func beforeComments(data []byte, end, from int) int {
	for end > from {
		start := lineStart(data, end-1)
		if line := bytes.TrimSpace(data[start:end]); len(line) > 0 && line[0] != '#' {
			return end
		}
		end = start
	}
	return end
}

// replacePieces puts a text in the place of the first table and deletes the other pieces. Without a table it goes to the
// end, since keys after a table's header would belong to that table.
func replacePieces(data []byte, pieces []piece, text, newline string) []byte {
	var b bytes.Buffer
	at := 0
	placed := text == ""
	for _, p := range pieces {
		b.Write(data[at:p.from])
		at = p.to
		switch {
		case p.table && !placed:
			b.WriteString(text)
			placed = true
		case p.table:
			at = skipBlank(data, at)
		}
	}
	b.Write(data[at:])
	switch kept := bytes.TrimRight(b.Bytes(), " \t\r\n"); {
	case len(pieces) == 0 && placed:
		return slices.Clone(data)
	case !placed && len(kept) == 0:
		return []byte(text)
	case !placed:
		return []byte(string(kept) + newline + newline + text)
	case at >= len(data) && len(kept) > 0: // without the blank lines that stood before the last piece
		return append(kept, newline...)
	case len(kept) == 0:
		return nil
	}
	return b.Bytes()
}

// skipBlank goes over the blank lines after a piece that is deleted.
func skipBlank(data []byte, at int) int {
	for at < len(data) {
		end := lineEnd(data, at)
		if len(bytes.TrimSpace(data[at:end])) > 0 {
			return at
		}
		at = end
	}
	return at
}

package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// document is a JSON file that may have comments and trailing commas. What an edit does not touch stays byte for byte.
type document struct {
	bom     bool
	newline string // "\n" or "\r\n"
	indent  string // of one level
	root    hujson.Value
}

var byteOrderMark = []byte("\uFEFF")

// indented matches the indentation of a line that begins with a name or a closing brace.
var indented = regexp.MustCompile(`\n([ \t]+)["}\]]`)

// parseDocument reads a file. An empty one counts as an empty object.
func parseDocument(data []byte) (*document, error) {
	d := &document{newline: "\n", indent: "  "}
	data, d.bom = bytes.CutPrefix(data, byteOrderMark)
	if bytes.Contains(data, []byte("\r\n")) {
		d.newline = "\r\n"
	}
	for i, m := range indented.FindAllSubmatch(data, -1) { // one level is the shortest there is
		if i == 0 || len(m[1]) < len(d.indent) {
			d.indent = string(m[1])
		}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("{}" + d.newline)
	}
	root, err := hujson.Parse(bytes.Clone(data))
	if err != nil {
		return nil, fmt.Errorf("not valid JSON: %w", err)
	}
	if _, ok := root.Value.(*hujson.Object); !ok {
		return nil, fmt.Errorf("expected a JSON object")
	}
	d.root = root
	return d, nil
}

func (d *document) bytes() []byte {
	text := d.root.Pack()
	if d.bom {
		text = append(slices.Clone(byteOrderMark), text...)
	}
	return text
}

// plain is the document as encoding/json reads it, without the value at a path.
func plain(data []byte, without ...[]string) (map[string]any, error) {
	data, _ = bytes.CutPrefix(data, byteOrderMark)
	if len(bytes.TrimSpace(data)) == 0 {
		return map[string]any{}, nil
	}
	standard, err := hujson.Standardize(bytes.Clone(data))
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(standard))
	dec.UseNumber()
	var m map[string]any
	if err := dec.Decode(&m); err != nil {
		return nil, err
	}
	for _, path := range without {
		removePlain(m, path)
	}
	return m, nil
}

// removePlain deletes the value at a path, and the objects that it leaves empty.
func removePlain(m map[string]any, path []string) {
	if len(path) == 1 {
		delete(m, path[0])
		return
	}
	if inner, ok := m[path[0]].(map[string]any); ok {
		if removePlain(inner, path[1:]); len(inner) == 0 {
			delete(m, path[0])
		}
	}
}

// onlyChanged fails if two versions of a file differ anywhere but at the paths. It guards against faults of our own.
func onlyChanged(before, after []byte, paths ...[]string) error {
	a, err := plain(before, paths...)
	if err != nil {
		return err
	}
	b, err := plain(after, paths...)
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(a, b) {
		return fmt.Errorf("the edit would change more than %s: this is a bug in exai-mcp, nothing was written", strings.Join(paths[0], "."))
	}
	return nil
}

// find returns the member of an object with this name, or -1. It fails if there are two.
func find(o *hujson.Object, name string) (int, error) {
	at := -1
	for i, m := range o.Members {
		if lit, ok := m.Name.Value.(hujson.Literal); ok && lit.String() == name {
			if at >= 0 {
				return 0, fmt.Errorf("%q is defined twice", name)
			}
			at = i
		}
	}
	return at, nil
}

// object walks to the object at a path. With create, missing ones are added; otherwise nil is returned for them.
func (d *document) object(path []string, create bool) (*hujson.Object, error) {
	o := d.root.Value.(*hujson.Object)
	for depth, name := range path {
		i, err := find(o, name)
		if err != nil {
			return nil, err
		}
		if i < 0 {
			if !create {
				return nil, nil
			}
			d.add(o, depth, name, &hujson.Object{})
			i = len(o.Members) - 1
		}
		inner, ok := o.Members[i].Value.Value.(*hujson.Object)
		if !ok {
			return nil, fmt.Errorf("%q is not an object", strings.Join(path[:depth+1], "."))
		}
		o = inner
	}
	return o, nil
}

// get returns the value at a path as encoding/json reads it, or nil.
func (d *document) get(path []string) (any, error) {
	o, err := d.object(path[:len(path)-1], false)
	if o == nil || err != nil {
		return nil, err
	}
	i, err := find(o, path[len(path)-1])
	if i < 0 || err != nil {
		return nil, err
	}
	value := o.Members[i].Value.Clone()
	value.Standardize()
	var v any
	err = json.Unmarshal(value.Pack(), &v)
	return v, err
}

// set writes a value at a path, unless an equal one is there, in whatever form. Comments around a value that it replaces
// stay.
func (d *document) set(path []string, value any) error {
	depth := len(path) - 1
	o, err := d.object(path[:depth], true)
	if err != nil {
		return err
	}
	name := path[depth]
	i, err := find(o, name)
	if err != nil {
		return err
	}
	parsed, err := d.encode(value, depth+1)
	if err != nil {
		return err
	}
	if i < 0 {
		d.add(o, depth, name, parsed)
		return nil
	}
	have, err := decode(o.Members[i].Value)
	if err != nil {
		return err
	}
	want, err := decode(hujson.Value{Value: parsed})
	if err == nil && !equalJSON(have, want) {
		o.Members[i].Value.Value = parsed
	}
	return err
}

// encode writes a value as it looks this many levels deep in the document.
func (d *document) encode(value any, depth int) (hujson.ValueTrimmed, error) {
	text, err := indentJSON(value, strings.Repeat(d.indent, depth), d.indent)
	if err != nil {
		return nil, err
	}
	parsed, err := hujson.Parse([]byte(strings.ReplaceAll(text, "\n", d.newline)))
	return parsed.Value, err
}

// add appends a member to an object whose own members are depth+1 levels deep.
func (d *document) add(o *hujson.Object, depth int, name string, value hujson.ValueTrimmed) {
	member := hujson.ObjectMember{
		Name:  hujson.Value{Value: hujson.String(name)},
		Value: hujson.Value{BeforeExtra: hujson.Extra(" "), Value: value},
	}
	own := strings.Repeat(d.indent, depth+1)
	if n := len(o.Members); n > 0 {
		if o.Members[n-1].Value.AfterExtra != nil { // the file has trailing commas
			member.Value.AfterExtra = hujson.Extra{}
		}
		if i := bytes.LastIndexByte(o.Members[n-1].Name.BeforeExtra, '\n'); i >= 0 {
			own = indentation(o.Members[n-1].Name.BeforeExtra[i+1:], own)
		}
	}
	member.Name.BeforeExtra, o.AfterExtra = d.append(o.AfterExtra, own, depth)
	o.Members = append(o.Members, member)
}

// append splits what stands before a closing brace: comments stay with what is before them, a new line follows.
func (d *document) append(after hujson.Extra, own string, depth int) (before, rest hujson.Extra) {
	kept := bytes.TrimRight(after, " \t\r\n")
	before = hujson.Extra(string(kept) + d.newline + own)
	if i := bytes.LastIndexByte(after[len(kept):], '\n'); i >= 0 {
		return before, hujson.Extra(d.newline + string(after[len(kept)+i+1:]))
	}
	return before, hujson.Extra(d.newline + strings.Repeat(d.indent, depth))
}

// indentation is the white space at the end of what stands before a member, or the fallback if there is something else.
func indentation(text []byte, fallback string) string {
	if len(bytes.Trim(text, " \t")) > 0 {
		return fallback
	}
	return string(text)
}

// remove deletes the value at a path if there is one. Comments before it stay.
func (d *document) remove(path []string) error {
	o, err := d.object(path[:len(path)-1], false)
	if o == nil || err != nil {
		return err
	}
	i, err := find(o, path[len(path)-1])
	if i < 0 || err != nil {
		return err
	}
	kept := comments(o.Members[i].Name.BeforeExtra)
	trailing := o.Members[i].Value.AfterExtra
	last := i == len(o.Members)-1
	o.Members = slices.Delete(o.Members, i, i+1)
	switch {
	case !last:
		o.Members[i].Name.BeforeExtra = d.join(kept, o.Members[i].Name.BeforeExtra)
	default:
		if o.AfterExtra = d.join(kept, o.AfterExtra); i == 0 && len(comments(o.AfterExtra)) == 0 {
			o.AfterExtra = nil
		}
		if i > 0 {
			previous := &o.Members[i-1].Value
			switch {
			case trailing == nil && previous.AfterExtra != nil: // what stood before its comma stands before the brace now
				o.AfterExtra = append(previous.AfterExtra, o.AfterExtra...)
				previous.AfterExtra = nil
			case trailing != nil && previous.AfterExtra == nil:
				previous.AfterExtra = hujson.Extra{}
			}
		}
	}
	return nil
}

// comments is white space with comments, without what follows the last of them; nil if there is no comment.
func comments(extra hujson.Extra) hujson.Extra {
	kept := bytes.TrimRight(extra, " \t\r\n")
	if len(kept) == 0 {
		return nil
	}
	return bytes.Clone(kept)
}

// join puts comments before white space, with the line break that a line comment needs.
func (d *document) join(kept, extra hujson.Extra) hujson.Extra {
	if len(kept) > 0 && !bytes.HasPrefix(bytes.TrimLeft(extra, " \t\r"), []byte("\n")) {
		kept = append(kept, d.newline...)
	}
	return append(kept, extra...)
}

func decode(v hujson.Value) (any, error) {
	plain := v.Clone()
	plain.Standardize()
	var out any
	err := json.Unmarshal(plain.Pack(), &out)
	return out, err
}

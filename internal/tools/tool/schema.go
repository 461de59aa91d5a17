package tool

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
)

// shape is an input struct as a client and the decoder see it.
type shape struct {
	params []param
	schema json.RawMessage
}

// param is one property of a struct.
type param struct {
	name     string
	about    string // the description
	typ      reflect.Type
	expected bool            // by the original's schema; without a default it is required
	fill     json.RawMessage // the default, nil for none
	rules    rules
}

// rules narrow the values of a property.
type rules struct {
	enum    []string // published
	also    []string // taken, not published
	minimum *float64
	maximum *float64
	types   []string
	items   []string // the JSON types of a free-form list's items
	text    string
	lines   bool // a list of texts is taken as its lines
	commas  bool // one text is taken as a comma-separated list
}

var (
	rawType         = reflect.TypeFor[json.RawMessage]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
)

// shapeOf reads the struct of a tool's arguments. items are the keys that are published of the objects in its lists.
func shapeOf[In any](items map[string][]param) (*shape, error) {
	t := reflect.TypeFor[In]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct", t)
	}
	params, err := paramsOf(t)
	if err != nil {
		return nil, err
	}
	object, err := schemaOf(params)
	if err != nil {
		return nil, err
	}
	for _, p := range object.properties {
		if keys, ok := items[p.name]; ok {
			if p.items, err = schemaOf(keys); err != nil {
				return nil, err
			}
		}
	}
	return &shape{params: params, schema: object.append(nil)}, nil
}

// paramsOf lists a struct's properties in the order of its fields, those of embedded structs in their place.
func paramsOf(t reflect.Type) ([]param, error) {
	params := make([]param, 0, t.NumField())
	for f := range t.Fields() {
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			inner, err := paramsOf(f.Type)
			if err != nil {
				return nil, err
			}
			params = append(params, inner...)
			continue
		}
		p, ok, err := paramOf(f)
		if err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		if ok {
			params = append(params, p)
		}
	}
	for i, p := range params {
		for _, other := range params[:i] {
			if other.name == p.name {
				return nil, fmt.Errorf("%s has two properties %s", t, p.name)
			}
		}
	}
	return params, nil
}

// paramOf is one field's property, false when it has none.
func paramOf(f reflect.StructField) (p param, ok bool, err error) {
	name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" || !f.IsExported() {
		return p, false, nil
	}
	if name == "" {
		return p, false, errors.New("it has no json name")
	}
	p = param{name: name, about: f.Tag.Get("jsonschema"), typ: f.Type, expected: !strings.Contains(options, "omit")}
	if text, given := f.Tag.Lookup("default"); given {
		if p.fill = json.RawMessage(text); !json.Valid(p.fill) {
			if p.fill, err = json.Marshal(text); err != nil { // a plain string
				return p, false, err
			}
		}
	}
	return p, true, p.rules.read(f.Tag)
}

// required reports whether a call needs the parameter: what can be filled in is not required.
func (p param) required() bool { return p.expected && p.fill == nil }

// blank reports whether a value of an optional parameter counts as omitted: null as a text, a list of nothing else, or a blank
// text where no text is taken.
func (p param) blank(value any) bool {
	if p.required() || !omitted(value) {
		return false
	}
	t := p.typ
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	text, ok := value.(string)
	return !ok || t.Kind() != reflect.String || strings.TrimSpace(text) != ""
}

func (r *rules) read(tag reflect.StructTag) error {
	list := func(key string) []string {
		if text := tag.Get(key); text != "" {
			return strings.Split(text, ",")
		}
		return nil
	}
	number := func(key string) (*float64, error) {
		text, ok := tag.Lookup(key)
		if !ok {
			return nil, nil
		}
		n, err := strconv.ParseFloat(text, 64)
		return &n, err
	}
	var errs [2]error
	r.enum, r.also, r.types, r.items, r.text = list("enum"), list("also"), list("types"), list("items"), tag.Get("text")
	r.lines, r.commas = tag.Get("join") == "lines", tag.Get("split") == "commas"
	r.minimum, errs[0] = number("minimum")
	r.maximum, errs[1] = number("maximum")
	return errors.Join(errs[:]...)
}

// schema is a JSON Schema as far as arguments need one. A library, or encoding/json, would take a good part of the program's
// start for it: this one is written in one pass.
type schema struct {
	kind       string   // JSON type, "" for any
	enum       []string // of a string
	items      *schema  // of an array
	anyOf      []*schema
	properties []property // of an object
	rules      rules
	about      string
	fill       json.RawMessage
}

type property struct {
	name     string
	required bool
	*schema
}

// schemaOf is the schema of an object with these parameters, in their order.
func schemaOf(params []param) (*schema, error) {
	o := &schema{kind: "object", properties: []property{}} // a tool without parameters says so, too
	for _, p := range params {
		s, err := p.schema()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		o.properties = append(o.properties, property{p.name, p.required(), s})
	}
	return o, nil
}

// schema is one property's.
func (p param) schema() (*schema, error) {
	s, err := typeSchema(p.typ, p.rules)
	if err != nil {
		return nil, err
	}
	s.about = p.about
	s.rules.minimum, s.rules.maximum = p.rules.minimum, p.rules.maximum
	if p.fill != nil && string(p.fill) != `""` && string(p.fill) != "[]" {
		s.fill = p.fill
	}
	return s, nil
}

// typeSchema is what a Go type takes. null is never named: an argument that is null counts as omitted everywhere.
func typeSchema(t reflect.Type, r rules) (*schema, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case len(r.types) > 0:
		return oneOf(r.types, r.items), nil
	case t == rawType || t.Kind() == reflect.Interface:
		return &schema{}, nil
	case custom(t):
		return &schema{kind: "object"}, nil
	}
	switch t.Kind() {
	case reflect.String:
		return &schema{kind: "string", enum: r.enum}, nil
	case reflect.Bool:
		return &schema{kind: "boolean"}, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return &schema{kind: "integer"}, nil
	case reflect.Float32, reflect.Float64:
		return &schema{kind: "number"}, nil
	case reflect.Slice:
		items, err := typeSchema(t.Elem(), rules{enum: r.enum})
		return &schema{kind: "array", items: items}, err
	case reflect.Map:
		return &schema{kind: "object"}, nil
	case reflect.Struct:
		params, err := paramsOf(t)
		if err != nil {
			return nil, err
		}
		return schemaOf(params)
	}
	return nil, fmt.Errorf("arguments can't be %s", t)
}

// oneOf is the schema of a value of one of several types; items are those of a list's items. Clients that turn schemas into
// another dialect know a type that is one word, and branches; a list of types many of them don't.
func oneOf(types, items []string) *schema {
	var branches []*schema
	for _, t := range types {
		if t == "null" {
			continue
		}
		branch := &schema{kind: t}
		if t == "array" && len(items) > 0 {
			branch.items = oneOf(items, nil)
		}
		branches = append(branches, branch)
	}
	if len(branches) == 1 {
		return branches[0]
	}
	return &schema{anyOf: branches}
}

// append writes the schema compactly: every client pays for it in every session. It sets no additionalProperties:
// google-genai's MCP support fails on it, and the decoder judges unknown arguments itself.
func (s *schema) append(b []byte) []byte {
	b = append(b, '{')
	key := func(name string) {
		if b[len(b)-1] != '{' {
			b = append(b, ',')
		}
		b = append(appendString(b, name), ':')
	}
	if s.kind != "" {
		key("type")
		b = appendString(b, s.kind)
	}
	if len(s.anyOf) > 0 {
		key("anyOf")
		b = appendList(b, s.anyOf, func(b []byte, branch *schema) []byte { return branch.append(b) })
	}
	if len(s.enum) > 0 {
		key("enum")
		b = appendList(b, s.enum, appendString)
	}
	if s.items != nil {
		key("items")
		b = s.items.append(b)
	}
	if s.properties != nil {
		key("properties")
		b = s.appendProperties(b)
	}
	if required := s.required(); len(required) > 0 {
		key("required")
		b = appendList(b, required, appendString)
	}
	if s.about != "" {
		key("description")
		b = appendString(b, s.about)
	}
	if s.rules.minimum != nil {
		key("minimum")
		b = strconv.AppendFloat(b, *s.rules.minimum, 'f', -1, 64)
	}
	if s.rules.maximum != nil {
		key("maximum")
		b = strconv.AppendFloat(b, *s.rules.maximum, 'f', -1, 64)
	}
	if s.fill != nil {
		key("default")
		b = append(b, s.fill...)
	}
	return append(b, '}')
}

func (s *schema) appendProperties(b []byte) []byte {
	b = append(b, '{')
	for i, p := range s.properties {
		if i > 0 {
			b = append(b, ',')
		}
		b = p.append(append(appendString(b, p.name), ':'))
	}
	return append(b, '}')
}

// required lists the names of the properties that every call must have.
func (s *schema) required() []string {
	var names []string
	for _, p := range s.properties {
		if p.required {
			names = append(names, p.name)
		}
	}
	return names
}

func appendList[T any](b []byte, list []T, item func([]byte, T) []byte) []byte {
	b = append(b, '[')
	for i, one := range list {
		if i > 0 {
			b = append(b, ',')
		}
		b = item(b, one)
	}
	return append(b, ']')
}

// appendString writes a string of ours. Schemas hold none with control characters, which strconv would write in Go's way; a
// test compares every schema with what encoding/json reads.
func appendString(b []byte, s string) []byte { return strconv.AppendQuote(b, s) }

// custom reports whether a type reads its JSON itself.
func custom(t reflect.Type) bool {
	return t == rawType || t.Kind() == reflect.Interface || reflect.PointerTo(t).Implements(unmarshalerType)
}

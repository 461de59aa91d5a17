package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
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
	required bool
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
}

var (
	rawType         = reflect.TypeFor[json.RawMessage]()
	unmarshalerType = reflect.TypeFor[json.Unmarshaler]()
)

func shapeOf[In any]() (*shape, error) {
	t := reflect.TypeFor[In]()
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is no struct", t)
	}
	params, err := paramsOf(t)
	if err != nil {
		return nil, err
	}
	object, err := schemaOf(params, true)
	if err != nil {
		return nil, err
	}
	text, err := (&Result{Body: *object}).JSON()
	if err != nil {
		return nil, err
	}
	return &shape{params: params, schema: text}, nil
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
	p = param{name: name, about: f.Tag.Get("jsonschema"), typ: f.Type, required: !strings.Contains(options, "omit")}
	if text, given := f.Tag.Lookup("default"); given {
		if p.fill = json.RawMessage(text); !json.Valid(p.fill) {
			if p.fill, err = json.Marshal(text); err != nil { // a plain string
				return p, false, err
			}
		}
	}
	return p, true, p.rules.read(f.Tag)
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
	r.lines = tag.Get("join") == "lines"
	r.minimum, errs[0] = number("minimum")
	r.maximum, errs[1] = number("maximum")
	return errors.Join(errs[:]...)
}

// schemaOf writes the parameters' JSON Schema, compact and in their order: every client pays for it in every session. A
// library would take most of the start's time for it.
func schemaOf(params []param, closed bool) (*reply.Object, error) {
	properties, required := &reply.Object{}, []string{}
	for _, p := range params {
		property, err := p.schema()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		properties.Set(p.name, property)
		if p.required {
			required = append(required, p.name)
		}
	}
	o := (&reply.Object{}).Set("type", "object").Set("properties", properties)
	if len(required) > 0 {
		o.Set("required", required)
	}
	if closed {
		o.Set("additionalProperties", false)
	}
	return o, nil
}

// schema is one property's.
func (p param) schema() (*reply.Object, error) {
	o, err := typeSchema(p.typ, p.rules)
	if err != nil {
		return nil, err
	}
	if p.about != "" {
		o.Set("description", p.about)
	}
	if p.rules.minimum != nil {
		o.Set("minimum", *p.rules.minimum)
	}
	if p.rules.maximum != nil {
		o.Set("maximum", *p.rules.maximum)
	}
	if p.fill != nil && string(p.fill) != `""` && string(p.fill) != "[]" {
		o.Set("default", p.fill)
	}
	return o, nil
}

// typeSchema is what a Go type takes. null is never named: an argument that is null counts as omitted everywhere. The keys
// of objects inside of arguments are left open, as the original left them.
func typeSchema(t reflect.Type, r rules) (*reply.Object, error) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	o := &reply.Object{}
	switch {
	case len(r.types) > 0:
		return oneOf(r.types, r.items), nil
	case t == rawType || t.Kind() == reflect.Interface:
		return o, nil
	case custom(t):
		return o.Set("type", "object"), nil
	}
	switch t.Kind() {
	case reflect.String:
		o.Set("type", "string")
		if len(r.enum) > 0 {
			o.Set("enum", r.enum)
		}
	case reflect.Bool:
		o.Set("type", "boolean")
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		o.Set("type", "integer")
	case reflect.Float32, reflect.Float64:
		o.Set("type", "number")
	case reflect.Slice:
		items, err := typeSchema(t.Elem(), rules{enum: r.enum})
		if err != nil {
			return nil, err
		}
		o.Set("type", "array").Set("items", items)
	case reflect.Map:
		o.Set("type", "object")
	case reflect.Struct:
		params, err := paramsOf(t)
		if err != nil {
			return nil, err
		}
		return schemaOf(params, false)
	default:
		return nil, fmt.Errorf("arguments can't be %s", t)
	}
	return o, nil
}

// oneOf is the schema of a value of one of several types; items are those of a list's items. Clients that turn schemas into
// another dialect know a type that is one word, and branches; a list of types many of them don't.
func oneOf(types, items []string) *reply.Object {
	var branches []*reply.Object
	for _, t := range types {
		if t == "null" {
			continue
		}
		branch := (&reply.Object{}).Set("type", t)
		if t == "array" && len(items) > 0 {
			branch.Set("items", oneOf(items, nil))
		}
		branches = append(branches, branch)
	}
	if len(branches) == 1 {
		return branches[0]
	}
	return (&reply.Object{}).Set("anyOf", branches)
}

// custom tells whether a type reads its JSON itself.
func custom(t reflect.Type) bool {
	return t == rawType || t.Kind() == reflect.Interface || reflect.PointerTo(t).Implements(unmarshalerType)
}

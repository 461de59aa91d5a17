package tools

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/google/jsonschema-go/jsonschema"
)

// shape is an input struct as a client and the decoder see it.
type shape struct {
	params []param
	schema json.RawMessage
}

// param is one property of a struct.
type param struct {
	name     string
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
	text    string
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
	s, err := jsonschema.ForType(t, &jsonschema.ForOptions{TypeSchemas: map[reflect.Type]*jsonschema.Schema{rawType: {}}})
	if err != nil {
		return nil, err
	}
	params, err := paramsOf(t)
	if err != nil {
		return nil, err
	}
	if err := publish(s, params); err != nil {
		return nil, err
	}
	text, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	return &shape{params: params, schema: text}, nil
}

// paramsOf lists a struct's properties in the order of its fields, those of embedded structs among them.
func paramsOf(t reflect.Type) (params []param, err error) {
	defer func() {
		if err == nil {
			err = noneLost(t, params)
		}
	}()
	for _, f := range reflect.VisibleFields(t) {
		if f.Anonymous || !f.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if name == "" {
			return nil, fmt.Errorf("%s.%s has no json name", t, f.Name)
		}
		p := param{name: name, typ: f.Type, required: !strings.Contains(options, "omit")}
		if err := p.rules.read(f.Tag); err != nil {
			return nil, fmt.Errorf("%s.%s: %w", t, f.Name, err)
		}
		if text, ok := f.Tag.Lookup("default"); ok {
			if p.fill = json.RawMessage(text); !json.Valid(p.fill) {
				p.fill, _ = json.Marshal(text) // a plain string
			}
		}
		params = append(params, p)
	}
	return params, nil
}

// noneLost makes sure that the properties of embedded structs are there. One whose field has the name of an embedded type
// is hidden by it, without a word from anybody.
func noneLost(t reflect.Type, params []param) error {
	for f := range t.Fields() {
		if !f.Anonymous || f.Type.Kind() != reflect.Struct {
			continue
		}
		inner, err := paramsOf(f.Type)
		if err != nil {
			return err
		}
		for _, p := range inner {
			if !slices.ContainsFunc(params, func(have param) bool { return have.name == p.name }) {
				return fmt.Errorf("%s hides the property %s of %s: give the embedded type another name", t, p.name, f.Type)
			}
		}
	}
	return nil
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
	r.enum, r.also, r.types, r.text = list("enum"), list("also"), list("types"), tag.Get("text")
	r.minimum, errs[0] = number("minimum")
	r.maximum, errs[1] = number("maximum")
	return errors.Join(errs[:]...)
}

// publish writes into a generated schema what the tags say, and takes out what costs every client tokens and tells it
// nothing: null beside a list's or a pointer's own type, and the ban on further keys inside of arguments.
func publish(s *jsonschema.Schema, params []param) error {
	for _, p := range params {
		property := s.Properties[p.name]
		if property == nil {
			return fmt.Errorf("property %s got lost: an embedded struct's type has the name of a field", p.name)
		}
		flatten(property)
		if len(p.rules.types) == 1 {
			property.Type = p.rules.types[0]
		} else if len(p.rules.types) > 1 {
			property.Type, property.Types = "", p.rules.types
		}
		property.Minimum, property.Maximum = p.rules.minimum, p.rules.maximum
		if p.fill != nil && string(p.fill) != `""` && string(p.fill) != "[]" {
			property.Default = p.fill
		}
		words := property
		if property.Items != nil {
			words = property.Items
		}
		for _, word := range p.rules.enum {
			words.Enum = append(words.Enum, word)
		}
		switch item := elem(p.typ); {
		case item.Kind() != reflect.Struct:
		case custom(item): // what it takes is its own business
			words.Properties, words.PropertyOrder, words.Required, words.AdditionalProperties = nil, nil, nil, nil
		default:
			inner, err := paramsOf(item)
			if err != nil {
				return err
			}
			if err := publish(words, inner); err != nil {
				return err
			}
			words.AdditionalProperties = nil
		}
	}
	return nil
}

// elem is what a field holds in the end: the type behind pointers and lists.
func elem(t reflect.Type) reflect.Type {
	for t != rawType && (t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice) {
		t = t.Elem()
	}
	return t
}

// custom tells whether a type reads its JSON itself.
func custom(t reflect.Type) bool {
	return t == rawType || t.Kind() == reflect.Interface || reflect.PointerTo(t).Implements(unmarshalerType)
}

func flatten(s *jsonschema.Schema) {
	if len(s.Types) > 0 {
		rest := slices.DeleteFunc(slices.Clone(s.Types), func(t string) bool { return t == "null" })
		if len(rest) == 1 {
			s.Type, s.Types = rest[0], nil
		}
	}
	if s.Items != nil {
		flatten(s.Items)
	}
	// A free object's values may be anything; saying so takes 27 characters.
	if s.Type == "object" && s.Properties == nil {
		s.AdditionalProperties = nil
	}
}

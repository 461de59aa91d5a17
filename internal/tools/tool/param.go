package tool

import (
	"encoding/json"
	"errors"
	"strings"
)

// Param is one parameter of a tool as a person is asked for it.
type Param struct {
	Name     string
	Required bool
	Default  json.RawMessage // nil for none
	p        param
}

// Params lists the tool's parameters in the order of its schema.
func (t Tool) Params() []Param {
	var list []Param
	for _, p := range t.shape().params {
		list = append(list, Param{Name: p.name, Required: p.expected, Default: p.fill, p: p})
	}
	return list
}

// Has reports whether the tool has a parameter of that name.
func (t Tool) Has(name string) bool { return t.shape().has(name) }

// Parse reads what a person typed as the parameter's value, as leniently as a tool call does. A list is comma-separated, has
// one item a line, or is written as JSON.
func (p Param) Parse(text string) (any, error) {
	c := &coercer{}
	value, ok := c.value(p.p.typed(text), p.p.typ, p.p.rules, p.Name)
	if len(c.faults) > 0 {
		return nil, errors.New(strings.Join(c.faults, "; "))
	}
	if !ok {
		return nil, nil // counts as omitted
	}
	return value, nil
}

// Words lists the values that the parameter takes, where they are few.
func (p Param) Words() []string {
	if p.Kind() == "boolean" {
		return []string{"true", "false"}
	}
	return p.p.rules.enum
}

// Kind is the parameter's JSON type, "" where it takes several.
func (p Param) Kind() string { return p.p.kind() }

func (p param) kind() string {
	s, err := p.schema()
	if err != nil {
		return ""
	}
	return s.kind
}

// typed turns a text into what the parameter takes, where a text alone won't do.
func (p param) typed(text string) any {
	kind := p.kind()
	if kind != "array" && kind != "object" {
		return text
	}
	if value, err := parse(text); err == nil && typeOf(value) == kind {
		return value
	}
	if kind == "object" {
		return text
	}
	var items []any
	for item := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

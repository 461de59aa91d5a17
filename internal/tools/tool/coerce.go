package tool

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/typo"
)

// coercer converts values to the form that a type takes, where that leaves no doubt, and notes what it did.
type coercer struct {
	notes  []string
	faults []string
	bad    []string // names of the arguments with a fault
}

func (c *coercer) note(format string, args ...any) {
	c.notes = append(c.notes, fmt.Sprintf(format, args...))
}

func (c *coercer) fail(name, format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
	c.bad = append(c.bad, name)
}

func (c *coercer) failed(name string) bool {
	return slices.ContainsFunc(c.bad, func(bad string) bool {
		return bad == name || strings.HasPrefix(bad, name+"[") || strings.HasPrefix(bad, name+".")
	})
}

// value converts one value to a type's form. It is false when the value counts as omitted, or has a fault that was noted.
// name is the argument's, as faults and notes speak of it.
func (c *coercer) value(v any, t reflect.Type, r rules, name string) (any, bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if custom(t) {
		return c.free(v, r, name)
	}
	switch t.Kind() {
	case reflect.String:
		return c.text(v, r, name)
	case reflect.Bool:
		return c.truth(v, name)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return c.whole(v, r, name)
	case reflect.Float32, reflect.Float64:
		return c.number(v, r, name)
	case reflect.Slice:
		return c.list(v, t.Elem(), r, name)
	case reflect.Map, reflect.Struct:
		return c.object(v, t, name)
	}
	c.fail(name, "%s has a type that arguments can't have", name)
	return nil, false
}

// free lets a free-form value pass if it is of a type that is taken. JSON in a string is unpacked where a string is not.
func (c *coercer) free(v any, r rules, name string) (any, bool) {
	if len(r.types) == 0 || slices.Contains(r.types, typeOf(v)) {
		return v, true
	}
	if text, ok := v.(string); ok {
		if inner, err := parse(text); err == nil && slices.Contains(r.types, typeOf(inner)) {
			c.note("%s: unpacked the JSON in the string.", name)
			return inner, true
		}
	}
	c.fail(name, "%s is %s; it takes %s", name, reply.Quote(v), reply.Either(r.types))
	return nil, false
}

func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "string"
	case bool:
		return "boolean"
	case json.Number:
		return "number"
	case []any:
		return "array"
	}
	return "object"
}

func (c *coercer) text(v any, r rules, name string) (any, bool) {
	text, ok := v.(string)
	if !ok {
		switch given := v.(type) {
		case json.Number:
			text = given.String()
		case bool:
			text = strconv.FormatBool(given)
		case []any:
			if len(given) == 1 {
				c.note("%s: took the one item of the list.", name)
				return c.text(given[0], r, name)
			}
			if lines, ok := texts(given); ok && r.lines {
				c.note("%s: took the list as %d lines.", name, len(given))
				return lines, true
			}
		}
		if text == "" {
			c.fail(name, "%s is %s; it takes a text", name, reply.Quote(v))
			return nil, false
		}
		c.note("%s: took %s as text.", name, text)
	}
	if len(r.enum) == 0 {
		return text, true
	}
	if strings.TrimSpace(text) == "" {
		return nil, false // an empty choice is none
	}
	for _, word := range slices.Concat(r.enum, r.also) {
		if word == text {
			return word, true
		}
	}
	for _, word := range slices.Concat(r.enum, r.also) {
		if typo.Plain(word) == typo.Plain(text) {
			c.note("%s: took %s as %s.", name, reply.Quote(text), word)
			return word, true
		}
	}
	c.fail(name, "%s is %s; it takes %s", name, reply.Quote(text), reply.Either(r.enum))
	return nil, false
}

// texts joins a list of texts by lines, false when it has other items.
func texts(list []any) (string, bool) {
	lines := make([]string, len(list))
	for i, item := range list {
		text, ok := item.(string)
		if !ok {
			return "", false
		}
		lines[i] = text
	}
	return strings.Join(lines, "\n"), true
}

func (c *coercer) truth(v any, name string) (any, bool) {
	word := ""
	switch given := v.(type) {
	case bool:
		return given, true
	case string:
		word = strings.ToLower(strings.TrimSpace(given))
	case json.Number:
		word = given.String()
	}
	switch word {
	case "true", "yes", "on", "1":
		c.note("%s: took %s as true.", name, reply.Quote(v))
		return true, true
	case "false", "no", "off", "0":
		c.note("%s: took %s as false.", name, reply.Quote(v))
		return false, true
	}
	c.fail(name, "%s is %s; it takes true or false", name, reply.Quote(v))
	return nil, false
}

// whole takes a whole number, exactly, however it is written.
func (c *coercer) whole(v any, r rules, name string) (any, bool) {
	literal, coerced := numeral(v)
	n, ok := wholeNumber(literal)
	if !ok {
		c.fail(name, "%s is %s; it takes a whole number", name, reply.Quote(v))
		return nil, false
	}
	if !c.inRange(float64(n), r, name, v) {
		return nil, false
	}
	if coerced {
		c.note("%s: took %s as %d.", name, reply.Quote(v), n)
	}
	return n, true
}

// longestNumeral bounds what is worked out exactly: no number that means anything here is longer.
const longestNumeral = 40

func wholeNumber(literal string) (int64, bool) {
	if n, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || math.Abs(f) > 1e19 || len(literal) > longestNumeral {
		return 0, false
	}
	exact, ok := new(big.Rat).SetString(literal) // 3.0, 3e2
	if !ok || !exact.IsInt() || !exact.Num().IsInt64() {
		return 0, false
	}
	return exact.Num().Int64(), true
}

func (c *coercer) number(v any, r rules, name string) (any, bool) {
	literal, coerced := numeral(v)
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
		c.fail(name, "%s is %s; it takes a number", name, reply.Quote(v))
		return nil, false
	}
	if !c.inRange(f, r, name, v) {
		return nil, false
	}
	if coerced {
		c.note("%s: took %s as %s.", name, reply.Quote(v), literal)
		return f, true
	}
	return json.Number(literal), true
}

// numeral is a number as it is written, also when it stands in a string.
func numeral(v any) (literal string, coerced bool) {
	switch given := v.(type) {
	case json.Number:
		return given.String(), false
	case string:
		return strings.TrimSpace(given), true
	}
	return "", false
}

func (c *coercer) inRange(f float64, r rules, name string, v any) bool {
	if (r.minimum == nil || f >= *r.minimum) && (r.maximum == nil || f <= *r.maximum) {
		return true
	}
	var accepted string
	switch {
	case r.minimum != nil && r.maximum != nil:
		accepted = fmt.Sprintf("%g to %g", *r.minimum, *r.maximum)
	case r.minimum != nil:
		accepted = fmt.Sprintf("%g or more", *r.minimum)
	default:
		accepted = fmt.Sprintf("at most %g", *r.maximum)
	}
	c.fail(name, "%s is %s; it takes %s", name, reply.Quote(v), accepted)
	return false
}

// list takes a list; one item alone, or a list as JSON in a string, is coerced.
func (c *coercer) list(v any, item reflect.Type, r rules, name string) (any, bool) {
	items, ok := v.([]any)
	if text, isText := v.(string); isText {
		trimmed := strings.TrimSpace(text)
		if trimmed == "" {
			return []any{}, true
		}
		if inner, err := parse(trimmed); err == nil {
			if items, ok = inner.([]any); ok {
				c.note("%s: unpacked the list in the string.", name)
			}
		}
	}
	if !ok {
		items = []any{v}
		if text, isText := v.(string); isText && r.commas && strings.Contains(text, ",") {
			items = splitCommas(text)
			c.note("%s: took the text as a list of %d.", name, len(items))
		} else {
			c.note("%s: took one item as a list.", name)
		}
	}
	coerced := make([]any, 0, len(items))
	for i, one := range items {
		if one == nil {
			continue
		}
		at := fmt.Sprintf("%s[%d]", name, i)
		if text, isText := one.(string); isText && r.text != "" {
			if inner, err := parse(text); err != nil || typeOf(inner) != "object" {
				c.note("%s: took the text as its %s.", at, r.text)
				one = map[string]any{r.text: text}
			}
		}
		if value, good := c.value(one, item, r, at); good {
			coerced = append(coerced, value)
		}
	}
	return coerced, !c.failed(name)
}

func splitCommas(text string) []any {
	var items []any
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			items = append(items, item)
		}
	}
	return items
}

// object takes an object, also as JSON in a string. Keys that a struct does not have are left out: the original took them.
func (c *coercer) object(v any, t reflect.Type, name string) (any, bool) {
	object, ok := v.(map[string]any)
	if text, isText := v.(string); isText {
		if inner, err := parse(text); err == nil {
			if object, ok = inner.(map[string]any); ok {
				c.note("%s: unpacked the object in the string.", name)
			}
		}
	}
	if !ok {
		c.fail(name, "%s is %s; it takes an object", name, reply.Quote(v))
		return nil, false
	}
	if t.Kind() == reflect.Map {
		return object, true
	}
	params, err := paramsOf(t)
	if err != nil { // shapeOf has seen this type
		c.fail(name, "%s can't be read", name)
		return nil, false
	}
	clean := map[string]any{}
	for _, p := range params {
		at := name + "." + p.name
		value, given := object[p.name]
		if given && value != nil {
			if value, given = c.value(value, p.typ, p.rules, at); given {
				clean[p.name] = value
				continue
			}
		}
		switch {
		case c.failed(at):
		case p.fill != nil:
			clean[p.name] = p.fill
		case p.required():
			c.fail(at, "%s is missing", at)
		}
	}
	return clean, !c.failed(name)
}

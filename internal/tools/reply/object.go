package reply

import (
	"bytes"
	"encoding/json"
	"fmt"
)

// Object is a JSON object that keeps the order in which its keys were first set, so that replies read top to bottom.
type Object struct {
	keys   []string
	values map[string]any
}

// Set puts a value under a key and returns the object, for chaining. Setting a key again keeps its place.
func (o *Object) Set(key string, value any) *Object {
	if o.values == nil {
		o.values = map[string]any{}
	}
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = value
	return o
}

// Get returns the value under a key, nil when there is none.
func (o *Object) Get(key string) any { return o.values[key] }

// Keys lists the keys in order. The list must not be changed.
func (o *Object) Keys() []string { return o.keys }

// MarshalJSON writes the keys in order, without HTML escaping.
func (o *Object) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	if err := o.write(&b); err != nil {
		return nil, err
	}
	return unescapeHTML(b.Bytes()), nil
}

// write writes objects inside of objects directly: through their MarshalJSON, each level would read again what the one
// below wrote.
func (o *Object) write(b *bytes.Buffer) error {
	enc := json.NewEncoder(b)
	enc.SetEscapeHTML(false)
	b.WriteByte('{')
	for i, k := range o.keys {
		if i > 0 {
			b.WriteByte(',')
		}
		if err := enc.Encode(k); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1) // Encode's line break
		b.WriteByte(':')
		if inner, ok := o.values[k].(*Object); ok && inner != nil {
			if err := inner.write(b); err != nil {
				return err
			}
			continue
		}
		if err := enc.Encode(o.values[k]); err != nil {
			return err
		}
		b.Truncate(b.Len() - 1)
	}
	b.WriteByte('}')
	return nil
}

// Delete removes a key.
func (o *Object) Delete(key string) {
	if _, ok := o.values[key]; !ok {
		return
	}
	delete(o.values, key)
	for i, k := range o.keys {
		if k == key {
			o.keys = append(o.keys[:i:i], o.keys[i+1:]...)
			return
		}
	}
}

// ParseOrdered reads JSON with objects as *Object, so that what is written again keeps its order, and numbers as they are.
func ParseOrdered(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	return parseOrdered(dec)
}

func parseOrdered(dec *json.Decoder) (any, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch token {
	case json.Delim('{'):
		o := &Object{}
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			value, err := parseOrdered(dec)
			if err != nil {
				return nil, err
			}
			o.Set(key.(string), value) // a key is a string, or the decoder has refused it
		}
		_, err = dec.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			value, err := parseOrdered(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, value)
		}
		_, err = dec.Token()
		return list, err
	}
	return token, nil
}

// ParseObject reads a JSON object and keeps the order of its keys. The values are raw JSON.
func ParseObject(raw []byte) (*Object, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if open, err := dec.Token(); err != nil || open != json.Delim('{') {
		return nil, fmt.Errorf("not a JSON object: %.40q", raw)
	}
	o := &Object{}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("reading an object: %w", err)
		}
		var value json.RawMessage
		if err := dec.Decode(&value); err != nil {
			return nil, fmt.Errorf("reading %v: %w", key, err)
		}
		o.Set(key.(string), value)
	}
	return o, nil
}

package clients

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/tailscale/hujson"
)

// array returns the elements of the array at a path, or nil if there is none. It fails if something else is there.
func (d *document) array(path []string) (*hujson.Array, error) {
	o, err := d.object(path[:len(path)-1], false)
	if o == nil || err != nil {
		return nil, err
	}
	i, err := find(o, path[len(path)-1])
	if i < 0 || err != nil {
		return nil, err
	}
	a, ok := o.Members[i].Value.Value.(*hujson.Array)
	if !ok {
		return nil, fmt.Errorf("%q is not a list", strings.Join(path, "."))
	}
	return a, nil
}

// push appends an element to the array at a path, which it creates if it is missing.
func (d *document) push(path []string, value any) error {
	a, err := d.array(path)
	if err != nil {
		return err
	}
	if a == nil {
		return d.set(path, []any{value})
	}
	depth := len(path)
	parsed, err := d.encode(value, depth+1)
	if err != nil {
		return err
	}
	element := hujson.Value{Value: parsed}
	own := strings.Repeat(d.indent, depth+1)
	if n := len(a.Elements); n > 0 {
		if a.Elements[n-1].AfterExtra != nil {
			element.AfterExtra = hujson.Extra{}
		}
		if i := bytes.LastIndexByte(a.Elements[n-1].BeforeExtra, '\n'); i >= 0 {
			own = indentation(a.Elements[n-1].BeforeExtra[i+1:], own)
		}
	}
	element.BeforeExtra, a.AfterExtra = d.append(a.AfterExtra, own, depth)
	a.Elements = append(a.Elements, element)
	return nil
}

// drop deletes the elements of the array at a path that match. Comments stay.
func (d *document) drop(path []string, match func(any) bool) error {
	a, err := d.array(path)
	if a == nil || err != nil {
		return err
	}
	for i := len(a.Elements) - 1; i >= 0; i-- {
		value, err := decode(a.Elements[i])
		if err != nil {
			return err
		}
		if !match(value) {
			continue
		}
		kept := comments(a.Elements[i].BeforeExtra)
		trailing := a.Elements[i].AfterExtra
		last := i == len(a.Elements)-1
		a.Elements = slices.Delete(a.Elements, i, i+1)
		if !last {
			a.Elements[i].BeforeExtra = d.join(kept, a.Elements[i].BeforeExtra)
			continue
		}
		a.AfterExtra = d.join(kept, a.AfterExtra)
		if i > 0 && trailing == nil {
			a.AfterExtra = append(bytes.Clone(a.Elements[i-1].AfterExtra), a.AfterExtra...)
			a.Elements[i-1].AfterExtra = nil
		}
	}
	return nil
}

// prune deletes the array or object at a path if it is empty.
func (d *document) prune(path ...string) error {
	value, err := d.get(path)
	if err != nil {
		return err
	}
	list, isList := value.([]any)
	object, isObject := value.(map[string]any)
	if isList && len(list) == 0 || isObject && len(object) == 0 {
		err = d.remove(path)
	}
	return err
}

// elements returns the elements of the array at a path as encoding/json reads them.
func (d *document) elements(path []string) ([]any, error) {
	a, err := d.array(path)
	if a == nil || err != nil {
		return nil, err
	}
	var all []any
	for _, e := range a.Elements {
		value, err := decode(e)
		if err != nil {
			return nil, err
		}
		all = append(all, value)
	}
	return all, nil
}

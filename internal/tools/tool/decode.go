package tool

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/typo"
)

// decoded is what decode returns besides the struct.
type decoded struct {
	notes          []string
	continuationID string
	paths          []string // files and folders that the call names
}

// decode reads arguments into in, a pointer to the shape's struct. It is strict about what is meant and lenient about how
// it is written: slips that leave no doubt are coerced, with a note; all faults are reported at once. exists, which may be
// nil, reports whether a text names a file that may be read.
func (s *shape) decode(args json.RawMessage, in any, exists func(string) bool) (*decoded, error) {
	object, err := arguments(args)
	if err != nil {
		return nil, err
	}
	c := &coercer{}
	s.rename(object, c)
	clean := make(map[string]any, len(object))
	var missing []string // required ones
	// Only whoever numbers steps is expected to report in each. Defaults that the schema publishes are no news.
	_, ofStep := object["step_number"]
	for _, p := range s.params {
		value, given := object[p.name]
		if given && value != nil && !p.blank(value) {
			if value, given = c.value(value, p.typ, p.rules, p.name); given {
				clean[p.name] = value
				continue
			}
		}
		switch {
		case c.failed(p.name):
		case p.fill != nil:
			clean[p.name] = p.fill
			if p.expected && ofStep && string(p.fill) == `""` {
				c.note("%s was missing: took %s.", p.name, p.fill)
			}
		case p.required():
			missing = append(missing, p.name)
		}
	}
	if err := s.unknown(object, missing, exists, c); err != nil {
		return nil, err
	}
	if len(missing) > 0 {
		c.fail("", "Required and missing: %s", strings.Join(missing, ", "))
	}
	if len(c.faults) > 0 {
		return nil, reply.InvalidRequest(s.usage(), "%s.", strings.Join(c.faults, "; "))
	}
	text, err := json.Marshal(clean)
	if err != nil {
		return nil, fmt.Errorf("arguments: %w", err)
	}
	if err := json.Unmarshal(text, in); err != nil {
		return nil, refusedByType(err, s.usage())
	}
	id, _ := clean["continuation_id"].(string)
	return &decoded{notes: c.notes, continuationID: strings.TrimSpace(id), paths: s.paths(clean)}, nil
}

// arguments reads the argument object, numbers as they are written, so that large ones stay exact.
func arguments(args json.RawMessage) (map[string]any, error) {
	const hint = `Send the arguments as one JSON object, {"name": value}.`
	if len(bytes.TrimSpace(args)) == 0 {
		return nil, nil
	}
	value, err := parse(string(args))
	if err != nil {
		return nil, reply.InvalidRequest(hint, "The arguments are not valid JSON.")
	}
	if text, ok := value.(string); ok {
		if inner, err := parse(text); err == nil {
			value = inner
		} else if strings.TrimSpace(text) == "" {
			return nil, nil
		}
	}
	switch object := value.(type) {
	case nil:
		return nil, nil
	case map[string]any:
		return object, nil
	}
	return nil, reply.InvalidRequest(hint, "The arguments must be a JSON object, not %s.", reply.Quote(value))
}

// parse reads one JSON value and nothing after it.
func parse(text string) (any, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one value")
	}
	return value, nil
}

// unknown judges arguments that the tool does not have. One that looks like a typing error is refused, and so is any when
// something required is missing, which it may have been meant for, or one that names a file where none was named. The others
// are ignored: some hosts add their own.
func (s *shape) unknown(object map[string]any, missing []string, exists func(string) bool, c *coercer) error {
	var strange, ignored []string
	suggestions := map[string]string{}
	for name := range object {
		if s.has(name) {
			continue
		}
		near := typo.Nearest(name, s.names())
		switch {
		case strings.HasPrefix(name, "_"): // never one of ours
			ignored = append(ignored, name)
		case len(near) > 0 && !s.synonym(name): // a synonym beside the real name is no typing error
			suggestions[name] = near[0]
			strange = append(strange, name)
		case len(missing) > 0:
			strange = append(strange, name)
		default:
			ignored = append(ignored, name)
		}
	}
	slices.Sort(strange)
	slices.Sort(ignored)
	if name, meant := s.misplaced(object, ignored, exists); name != "" {
		return reply.InvalidRequest(s.usage(), "Unknown argument %s, which names an existing file; no file was named otherwise. Did you mean %s?", reply.Clip(name), meant)
	}
	for _, name := range ignored {
		c.note("Ignored the unknown argument %s.", reply.Clip(name))
	}
	if len(strange) == 0 {
		return nil
	}
	named := make([]string, len(strange))
	for i, name := range strange {
		named[i] = reply.Clip(name)
		if meant := suggestions[name]; meant != "" {
			named[i] += " (did you mean " + meant + "?)"
		}
	}
	message := "Unknown argument " + strings.Join(named, ", ")
	if len(missing) > 0 {
		message += "; required and missing: " + strings.Join(missing, ", ")
	}
	return reply.InvalidRequest(s.usage(), "%s.", message)
}

func (s *shape) has(name string) bool {
	return slices.ContainsFunc(s.params, func(p param) bool { return p.name == name })
}

func (s *shape) names() []string {
	names := make([]string, len(s.params))
	for i, p := range s.params {
		names[i] = p.name
	}
	return names
}

// usage is the hint that ends every refusal: what the tool takes.
func (s *shape) usage() string {
	var required, optional []string
	for _, p := range s.params {
		if p.required() {
			required = append(required, p.name)
		} else {
			optional = append(optional, p.name)
		}
	}
	switch {
	case len(s.params) == 0:
		return "The tool takes no arguments."
	case len(required) == 0:
		return "Valid arguments, all optional: " + strings.Join(optional, ", ") + "."
	case len(optional) == 0:
		return "Valid arguments, all required: " + strings.Join(required, ", ") + "."
	}
	return "Required: " + strings.Join(required, ", ") + ". Optional: " + strings.Join(optional, ", ") + "."
}

// refusedByType turns the fault of a type that reads its JSON itself into a refusal.
func refusedByType(err error, usage string) error {
	var shaped *reply.Error
	if errors.As(err, &shaped) {
		return shaped
	}
	var mismatch *json.UnmarshalTypeError
	if errors.As(err, &mismatch) {
		return reply.InvalidRequest(usage, "%s can't be %s.", mismatch.Field, mismatch.Value)
	}
	return reply.InvalidRequest(usage, "The arguments can't be read.")
}

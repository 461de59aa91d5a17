package activity

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const (
	hidden = "********"
	// minSecret is how long a text must be, in bytes, to be hidden wherever it occurs: a shorter one would be found in ordinary words.
	minSecret = 7
)

// Redactor hides known secrets in texts. A nil Redactor hides nothing.
type Redactor struct {
	plain   *strings.Replacer
	encoded *strings.Replacer // for JSON
}

// NewRedactor makes a Redactor of secrets. Those of fewer than 7 bytes are ignored.
func NewRedactor(secrets ...string) *Redactor {
	var plain, encoded []string
	for _, s := range secrets {
		if len(s) < minSecret {
			continue
		}
		// Quoted: as it stands in JSON that is quoted in a text, such as a vendor's answer.
		for _, form := range []string{s, quoted(s), url.QueryEscape(s), url.PathEscape(s)} {
			plain = append(plain, form)
			encoded = append(encoded, quoted(form))
		}
	}
	if plain == nil {
		return nil
	}
	return &Redactor{plain: replacer(plain), encoded: replacer(encoded)}
}

// quoted is a text as it stands inside a JSON string.
func quoted(s string) string {
	text, err := json.Marshal(s)
	if err != nil {
		return s // a string always marshals
	}
	return string(text[1 : len(text)-1])
}

// replacer puts the mask in the place of each form, of a longer one before a shorter one that is part of it.
func replacer(forms []string) *strings.Replacer {
	slices.SortFunc(forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	var pairs []string
	for _, f := range slices.Compact(forms) {
		pairs = append(pairs, f, hidden)
	}
	return strings.NewReplacer(pairs...)
}

// String returns a text without secrets.
func (r *Redactor) String(s string) string {
	if r == nil {
		return s
	}
	return r.plain.Replace(s)
}

// JSON returns encoded JSON without secrets.
func (r *Redactor) JSON(line []byte) []byte {
	if r == nil {
		return line
	}
	return []byte(r.encoded.Replace(string(line)))
}

// longArgument is how much of one argument the tool-call log keeps under LOG_PROMPTS, in bytes of JSON.
const longArgument = 16 << 10

// arguments are a call's arguments for the log, by name: without secrets, long ones cut.
func (r *Redactor) arguments(raw []byte) map[string]json.RawMessage {
	var object map[string]any
	decode := json.NewDecoder(bytes.NewReader(raw))
	decode.UseNumber()
	if err := decode.Decode(&object); err != nil {
		object = map[string]any{"": string(raw)}
	}
	out := map[string]json.RawMessage{}
	for _, name := range slices.Sorted(maps.Keys(object)) {
		if len(out) == maxArguments {
			break
		}
		value, err := json.Marshal(r.hide(object[name]))
		if err == nil && len(value) > longArgument {
			value, err = json.Marshal(tidy(string(value), longArgument))
		}
		if err == nil {
			out[tidy(name, 64)] = value
		}
	}
	return out
}

// hide returns a decoded JSON value without secrets.
func (r *Redactor) hide(v any) any {
	switch v := v.(type) {
	case string:
		return r.String(v)
	case []any:
		for i := range v {
			v[i] = r.hide(v[i])
		}
	case map[string]any:
		out := make(map[string]any, len(v))
		for name, value := range v {
			out[r.String(name)] = r.hide(value)
		}
		return out
	}
	return v
}

// Core wraps a zap core so that no secret reaches it: not in a message, not in a field.
func (r *Redactor) Core(inner zapcore.Core) zapcore.Core {
	if r == nil {
		return inner
	}
	return core{inner, r}
}

type core struct {
	zapcore.Core
	redactor *Redactor
}

func (c core) With(fields []zapcore.Field) zapcore.Core {
	return core{c.Core.With(c.fields(fields)), c.redactor}
}

func (c core) Check(e zapcore.Entry, checked *zapcore.CheckedEntry) *zapcore.CheckedEntry {
	if c.Enabled(e.Level) {
		return checked.AddCore(e, c)
	}
	return checked
}

func (c core) Write(e zapcore.Entry, fields []zapcore.Field) error {
	e.Message, e.Stack = c.redactor.String(e.Message), c.redactor.String(e.Stack)
	return c.Core.Write(e, c.fields(fields))
}

func (c core) fields(fields []zapcore.Field) []zapcore.Field {
	out := make([]zapcore.Field, 0, len(fields))
	for _, f := range fields {
		out = append(out, c.field(f)...)
	}
	return out
}

// field returns a field without secrets. What is neither text nor a plain number is encoded first, so that nothing
// hides inside it; one field may become several (an error has a verbose form beside its message).
func (c core) field(f zapcore.Field) []zapcore.Field {
	switch f.Type {
	case zapcore.StringType:
		f.String = c.redactor.String(f.String)
		return []zapcore.Field{f}
	case zapcore.DurationType: // encoders differ in the unit, and none names it
		return []zapcore.Field{zap.Float64(strings.TrimSuffix(f.Key, "_secs")+"_secs", time.Duration(f.Integer).Seconds())}
	case zapcore.BoolType, zapcore.TimeType, zapcore.TimeFullType, zapcore.Float64Type, zapcore.Float32Type,
		zapcore.Int64Type, zapcore.Int32Type, zapcore.Int16Type, zapcore.Int8Type,
		zapcore.Uint64Type, zapcore.Uint32Type, zapcore.Uint16Type, zapcore.Uint8Type, zapcore.UintptrType,
		zapcore.NamespaceType, zapcore.SkipType:
		return []zapcore.Field{f}
	}
	values := zapcore.NewMapObjectEncoder()
	f.AddTo(values)
	var out []zapcore.Field
	for _, name := range slices.Sorted(maps.Keys(values.Fields)) {
		out = append(out, c.encoded(name, values.Fields[name]))
	}
	return out
}

func (c core) encoded(name string, value any) zapcore.Field {
	if s, ok := value.(string); ok {
		return zap.String(name, c.redactor.String(s))
	}
	text, err := json.Marshal(value)
	if err != nil {
		return zap.String(name, "cannot be encoded")
	}
	return zap.Reflect(name, json.RawMessage(c.redactor.JSON(text)))
}

package tool

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// BaseInput is embedded, as the workflows embed theirs.
type BaseInput struct {
	Step  string `json:"step"`
	Count int    `json:"count" minimum:"1" maximum:"100"`
}

type sampleItem struct {
	Model  string `json:"model"`
	Stance string `json:"stance,omitempty" enum:"for,against,neutral" default:"neutral"`
}

type sampleInput struct {
	BaseInput
	Findings    string           `json:"findings" default:"" join:"lines"`
	Next        bool             `json:"next_step_required,omitempty"`
	Staged      bool             `json:"include_staged,omitempty" default:"true"`
	Files       []string         `json:"files,omitempty"`
	Issues      []map[string]any `json:"issues_found,omitempty" text:"description"`
	Items       []sampleItem     `json:"items,omitempty"`
	Confidence  string           `json:"confidence,omitempty" enum:"low,very_high" also:"certain"`
	Temperature *float64         `json:"temperature,omitempty" minimum:"0" maximum:"1"`
	Large       int64            `json:"large,omitempty"`
	Choice      json.RawMessage  `json:"choice,omitempty" types:"string,object,null"`
	ID          string           `json:"continuation_id,omitempty"`
}

func sampleShape(t testing.TB) *shape {
	t.Helper()
	s, err := shapeOf[sampleInput](nil)
	require.NoError(t, err)
	return s
}

func TestShapeSchema(t *testing.T) {
	assert.JSONEq(t, `{
		"type": "object",
		"properties": {
			"step": {"type": "string"},
			"count": {"type": "integer", "minimum": 1, "maximum": 100},
			"findings": {"type": "string"},
			"next_step_required": {"type": "boolean"},
			"include_staged": {"type": "boolean", "default": true},
			"files": {"type": "array", "items": {"type": "string"}},
			"issues_found": {"type": "array", "items": {"type": "object"}},
			"items": {"type": "array", "items": {"type": "object", "required": ["model"], "properties": {
				"model": {"type": "string"}, "stance": {"type": "string", "enum": ["for", "against", "neutral"], "default": "neutral"}}}},
			"confidence": {"type": "string", "enum": ["low", "very_high"]},
			"temperature": {"type": "number", "minimum": 0, "maximum": 1},
			"large": {"type": "integer"},
			"choice": {"anyOf": [{"type": "string"}, {"type": "object"}]},
			"continuation_id": {"type": "string"}
		},
		"required": ["step", "count"]
	}`, string(sampleShape(t).schema))
	assert.True(t, strings.HasPrefix(string(sampleShape(t).schema), `{"type":"object","properties":{"step":`), "in the order of the fields")
}

// An embedded type that has the name of one of its fields hides that field from Go code and from schema generators, but not
// from JSON, and not from us.
func TestShapeOfEmbeddedTypes(t *testing.T) {
	type Step struct {
		Step string `json:"step"`
	}
	type hiding struct {
		Step
		N int `json:"n,omitempty"`
	}
	s, err := shapeOf[hiding](nil)
	require.NoError(t, err)
	assert.Equal(t, `{"type":"object","properties":{"step":{"type":"string"},"n":{"type":"integer"}},"required":["step"]}`, string(s.schema))
	var in hiding
	_, err = s.decode(json.RawMessage(`{"step":"x"}`), &in, nil)
	require.NoError(t, err)
	assert.Equal(t, "x", in.Step.Step)

	type twice struct {
		Step
		Again string `json:"step"`
	}
	_, err = shapeOf[twice](nil)
	assert.ErrorContains(t, err, "two properties step")
	_, err = shapeOf[string](nil)
	assert.Error(t, err)
	type nameless struct{ A string }
	_, err = shapeOf[nameless](nil)
	assert.ErrorContains(t, err, "no json name")
}

func TestDecodeCoerces(t *testing.T) {
	const needed = `"step":"s","count":1,"findings":"f"`
	half := 0.5
	for _, c := range []struct {
		name  string
		args  string
		check func(t *testing.T, in sampleInput)
		note  string // a part of one; "" for no notes at all
	}{
		{"as it should be", `{` + needed + `,"files":["a","b"],"temperature":0.5}`, func(t *testing.T, in sampleInput) {
			assert.Equal(t, sampleInput{BaseInput: BaseInput{"s", 1}, Findings: "f", Staged: true, Files: []string{"a", "b"}, Temperature: &half}, in)
		}, ""},
		{"number in a string", `{"step":"s","findings":"f","count":"3"}`, func(t *testing.T, in sampleInput) { assert.Equal(t, 3, in.Count) }, `count: took "3" as 3.`},
		{"whole float", `{"step":"s","findings":"f","count":3.0}`, func(t *testing.T, in sampleInput) { assert.Equal(t, 3, in.Count) }, ""},
		{"exponent", `{"step":"s","findings":"f","count":3e1}`, func(t *testing.T, in sampleInput) { assert.Equal(t, 30, in.Count) }, ""},
		{"large and exact", `{` + needed + `,"large":9007199254740993}`, func(t *testing.T, in sampleInput) { assert.Equal(t, int64(9007199254740993), in.Large) }, ""},
		{"large in a string", `{` + needed + `,"large":"9223372036854775807"}`, func(t *testing.T, in sampleInput) { assert.Equal(t, int64(math.MaxInt64), in.Large) }, "large"},
		{"truth in a string", `{` + needed + `,"next_step_required":"True"}`, func(t *testing.T, in sampleInput) { assert.True(t, in.Next) }, "took \"True\" as true"},
		{"truth as a number", `{` + needed + `,"include_staged":0}`, func(t *testing.T, in sampleInput) { assert.False(t, in.Staged) }, "took 0 as false"},
		{"one string for a list", `{` + needed + `,"files":"a.go"}`, func(t *testing.T, in sampleInput) { assert.Equal(t, []string{"a.go"}, in.Files) }, "one item as a list"},
		{"list in a string", `{` + needed + `,"files":"[\"a\",\"b\"]"}`, func(t *testing.T, in sampleInput) { assert.Equal(t, []string{"a", "b"}, in.Files) }, "unpacked the list"},
		{"a list for lines of text", `{"step":"s","count":1,"findings":["first","second"]}`, func(t *testing.T, in sampleInput) { assert.Equal(t, "first\nsecond", in.Findings) }, "findings: took the list as 2 lines."},
		{"blank string for a list", `{` + needed + `,"files":""}`, func(t *testing.T, in sampleInput) { assert.Empty(t, in.Files) }, ""},
		{"a path like a list", `{` + needed + `,"files":"[id].tsx"}`, func(t *testing.T, in sampleInput) { assert.Equal(t, []string{"[id].tsx"}, in.Files) }, "one item as a list"},
		{"objects in strings", `{` + needed + `,"issues_found":["{\"severity\":\"high\"}"]}`, func(t *testing.T, in sampleInput) {
			assert.Equal(t, []map[string]any{{"severity": "high"}}, in.Issues)
		}, "unpacked the object"},
		{"a text for an object", `{` + needed + `,"issues_found":["it leaks"]}`, func(t *testing.T, in sampleInput) {
			assert.Equal(t, []map[string]any{{"description": "it leaks"}}, in.Issues)
		}, "took the text as its description"},
		{"list of objects in a string", `{` + needed + `,"items":"[{\"model\":\"m\",\"stance\":\"FOR\"}]"}`, func(t *testing.T, in sampleInput) {
			assert.Equal(t, []sampleItem{{"m", "for"}}, in.Items)
		}, "items[0].stance"},
		{"further keys inside", `{` + needed + `,"items":[{"model":"m","why":1}]}`, func(t *testing.T, in sampleInput) {
			assert.Equal(t, []sampleItem{{"m", "neutral"}}, in.Items)
		}, ""},
		{"word in another case", `{` + needed + `,"confidence":"Very High"}`, func(t *testing.T, in sampleInput) { assert.Equal(t, "very_high", in.Confidence) }, `took "Very High" as very_high`},
		{"word that is not published", `{` + needed + `,"confidence":"certain"}`, func(t *testing.T, in sampleInput) { assert.Equal(t, "certain", in.Confidence) }, ""},
		{"blank word", `{` + needed + `,"confidence":""}`, func(t *testing.T, in sampleInput) { assert.Empty(t, in.Confidence) }, ""},
		{"null is nothing", `{` + needed + `,"files":null,"temperature":null,"choice":null}`, func(t *testing.T, in sampleInput) {
			assert.Nil(t, in.Files)
			assert.Nil(t, in.Temperature)
		}, ""},
		{"missing with a default", `{"step":"s","count":1}`, func(t *testing.T, in sampleInput) { assert.Equal(t, "", in.Findings) }, ""},
		{"free form", `{` + needed + `,"choice":{"a":[1,2.50]}}`, func(t *testing.T, in sampleInput) { assert.Equal(t, `{"a":[1,2.50]}`, string(in.Choice)) }, ""},
		{"unknown and harmless", `{` + needed + `,"toolCallId":7,"_meta":{}}`, func(*testing.T, sampleInput) {}, "Ignored the unknown argument toolCallId."},
		{"number for a text", `{"step":5,"count":1,"findings":"f"}`, func(t *testing.T, in sampleInput) { assert.Equal(t, "5", in.Step) }, "took 5 as text"},
		{"all of it in a string", `"{\"step\":\"s\",\"count\":1,\"findings\":\"f\"}"`, func(t *testing.T, in sampleInput) { assert.Equal(t, "s", in.Step) }, ""},
		{"null as a text", `{` + needed + `,"files":"null","temperature":" null ","large":"null","confidence":"null","continuation_id":"null"}`, func(t *testing.T, in sampleInput) {
			assert.Equal(t, sampleInput{BaseInput: BaseInput{"s", 1}, Findings: "f", Staged: true}, in)
		}, ""},
		{"blank for what takes no text", `{` + needed + `,"temperature":"","large":" ","include_staged":"","items":"","choice":""}`, func(t *testing.T, in sampleInput) {
			assert.Nil(t, in.Temperature)
			assert.Zero(t, in.Large)
			assert.True(t, in.Staged, "the default")
		}, ""},
		{"a missing one with a default does not make others suspect", `{"step":"s","count":1,"hostKey":1}`, func(*testing.T, sampleInput) {}, "Ignored the unknown argument hostKey."},
		{"last of two", `{"step":"a","step":"b","count":1,"findings":"f"}`, func(t *testing.T, in sampleInput) { assert.Equal(t, "b", in.Step) }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in sampleInput
			got, err := sampleShape(t).decode(json.RawMessage(c.args), &in, nil)
			require.NoError(t, err)
			c.check(t, in)
			if notes := strings.Join(got.notes, "\n"); c.note == "" {
				assert.Empty(t, notes)
			} else {
				assert.Contains(t, notes, c.note)
			}
		})
	}
}

func TestDecodeRefuses(t *testing.T) {
	const needed = `"step":"s","count":1,"findings":"f"`
	for _, c := range []struct{ name, args, want string }{
		{"nothing", `{}`, "Required and missing: step, count."},
		{"no arguments", ``, "Required and missing: step, count."},
		{"no object", `[1]`, "must be a JSON object, not [1]"},
		{"no JSON", `{"step":`, "not valid JSON"},
		{"two values", `{} {}`, "not valid JSON"},
		{"typing error", `{` + needed + `,"filez":["a"]}`, "Unknown argument filez (did you mean files?)."},
		{"other spelling", `{` + needed + `,"nextStepRequired":true}`, "nextStepRequired (did you mean next_step_required?)"},
		{"unknown beside a missing one", `{"step":"s","findings":"f","quantity":1}`, "Unknown argument quantity; required and missing: count."},
		{"not whole", `{"step":"s","findings":"f","count":3.5}`, "count is 3.5; it takes a whole number."},
		{"no number", `{"step":"s","findings":"f","count":"three"}`, `count is "three"; it takes a whole number.`},
		{"out of range", `{"step":"s","findings":"f","count":101}`, "count is 101; it takes 1 to 100."},
		{"beyond 64 bits", `{` + needed + `,"large":9223372036854775808}`, "large is 9223372036854775808; it takes a whole number."},
		{"absurd exponent", `{` + needed + `,"large":1e999999999}`, "it takes a whole number"},
		{"too warm", `{` + needed + `,"temperature":1.7}`, "temperature is 1.7; it takes 0 to 1."},
		{"no truth", `{` + needed + `,"next_step_required":"maybe"}`, `next_step_required is "maybe"; it takes true or false.`},
		{"no such word", `{` + needed + `,"confidence":"ultra"}`, `confidence is "ultra"; it takes low or very_high.`},
		{"object for a text", `{"step":{"a":1},"count":1,"findings":"f"}`, `step is {"a":1}; it takes a text.`},
		{"numbers for objects", `{` + needed + `,"issues_found":[7]}`, "issues_found[0] is 7; it takes an object."},
		{"missing inside", `{` + needed + `,"items":[{"stance":"for"}]}`, "items[0].model is missing."},
		{"of no type taken", `{` + needed + `,"choice":[1]}`, "choice is [1]; it takes string, object or null."},
		{"several at once", `{"step":"s","findings":"f","count":0,"temperature":-1}`, "count is 0; it takes 1 to 100; temperature is -1; it takes 0 to 1."},
	} {
		t.Run(c.name, func(t *testing.T) {
			var in sampleInput
			_, err := sampleShape(t).decode(json.RawMessage(c.args), &in, nil)
			var e *reply.Error
			require.ErrorAs(t, err, &e)
			assert.Equal(t, reply.CodeInvalidRequest, e.Code)
			assert.Contains(t, e.Message, c.want)
			assert.NotEmpty(t, e.Hint)
		})
	}
}

// Every call decodes its arguments.
func BenchmarkDecode(b *testing.B) {
	s := sampleShape(b)
	args := json.RawMessage(`{"step":"s","count":1,"findings":"f","files":["a","b"],"issues_found":[{"severity":"high"}],"temperature":0.5}`)
	for b.Loop() {
		var in sampleInput
		if _, err := s.decode(args, &in, nil); err != nil {
			b.Fatal(err)
		}
	}
}

// Whatever is sent, the decoder ends, and what it takes obeys the schema's rules. A file is never ignored, whatever the
// argument is called that names it.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"step":"s","count":1,"findings":"f"}`, `{"step":"s","count":"1e1","files":"[\"a\"]","items":[{"model":"m"}]}`, `"{}"`, `null`, `[]`,
		`{"count":1e400,"temperature":"NaN","large":"-0","confidence":"VERY-HIGH","choice":"x"}`, `{"step":["s"],"count":true}`,
		`{"step":"s","file":"a.go"}`, `{"question":"s","paths":["a.go"],"files":"[\"b.go\"]"}`, `{"step":"s","target":"a.go"}`, `{"step":"s","target":["x","a.go"],"path":""}`,
		`{"prompt":"s","query":"a.go","models":"m,n"}`, `{"step":"s","relevant_files":[],"_meta":"a.go"}`, `{"relevant_file":null,"step":"s","x":"[\"a.go\"]"}`,
	} {
		f.Add([]byte(seed))
	}
	s := sampleShape(f)
	files, err := shapeOf[stepInput](nil)
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, args []byte) {
		fuzzFiles(t, files, args)
		var in sampleInput
		_, err := s.decode(args, &in, nil)
		if err != nil {
			var e *reply.Error
			if !errors.As(err, &e) || e.Code != reply.CodeInvalidRequest || e.Message == "" || e.Hint == "" {
				t.Fatalf("%q: %v", args, err)
			}
			return
		}
		if in.Count < 1 || in.Count > 100 {
			t.Fatalf("%q: count %d", args, in.Count)
		}
		if in.Temperature != nil && !(*in.Temperature >= 0 && *in.Temperature <= 1) {
			t.Fatalf("%q: temperature %v", args, *in.Temperature)
		}
		if c := in.Confidence; c != "" && c != "low" && c != "very_high" && c != "certain" {
			t.Fatalf("%q: confidence %q", args, c)
		}
		// What was taken is taken again, unchanged.
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		var again sampleInput
		if _, err := s.decode(text, &again, nil); err != nil || normal(in) != normal(again) {
			t.Fatalf("%q became %s became %+v: %v", args, text, again, err)
		}
	})
}

// fuzzFiles decodes the arguments of a tool that takes files, where a.go is a file.
func fuzzFiles(t *testing.T, s *shape, args []byte) {
	var in stepInput
	decoded, err := s.decode(args, &in, func(name string) bool { return name == "a.go" })
	if err != nil {
		var e *reply.Error
		if !errors.As(err, &e) || e.Code != reply.CodeInvalidRequest || e.Message == "" || e.Hint == "" {
			t.Fatalf("%q: %v", args, err)
		}
		return
	}
	for _, name := range in.RelevantFiles {
		text, _ := json.Marshal(name) // a string marshals
		if !bytes.Contains(args, []byte(name)) && !bytes.Contains(args, text[1:len(text)-1]) && !bytes.Contains(args, []byte(`\`)) && utf8.Valid(args) {
			t.Fatalf("%q: the file %q was not named", args, name)
		}
	}
	var given map[string]any
	if json.Unmarshal(args, &given) == nil && len(in.RelevantFiles) == 0 && strings.TrimSpace(in.Path) == "" {
		for name, value := range given {
			if !s.has(name) && value == "a.go" && !slices.ContainsFunc(decoded.notes, func(note string) bool { return strings.HasPrefix(note, "Took "+name+" as ") }) {
				t.Fatalf("%q: the file that %q names is ignored", args, name)
			}
		}
	}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var again stepInput
	if _, err := s.decode(text, &again, nil); err != nil || normal(in) != normal(again) {
		t.Fatalf("%q became %s became %+v: %v", args, text, again, err)
	}
}

// normal is an input without the difference between an empty list and none.
func normal(in any) string {
	text, err := json.Marshal(in)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

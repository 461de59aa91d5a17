package emulator

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestMFJS(t *testing.T) {
	for schema, want := range map[string][2]string{
		`{"type":"object"}`: {},
		`{"type":"object","properties":{"a":{"type":"string","enum":["x","y"]},"b":{"type":"array","items":{"type":"integer"}}},"required":["a"]}`:                     {},
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{"type":"null"}]},"b":{"$ref":"#/$defs/d"},"c":{"$ref":"#"}},"$defs":{"d":{"type":"string"}}}`: {},
		`{}`:                  {"", "root must be of type object"},
		`{"type":"string"}`:   {"", "root must be of type object"},
		`{"type":["object"]}`: {"", "root must be of type object"},
		`[]`:                  {"", "root must be of type object"},
		`{"type":"object","properties":{"a":{"description":"x"}}}`:                           {"properties.a", "type is not defined"},
		`{"type":"object","properties":{"a":{"type":["string","null"]}}}`:                    {"properties.a", "type is not defined"},
		`{"type":"object","properties":{"a":true}}`:                                          {"properties.a", "must be an object"},
		`{"type":"object","properties":[]}`:                                                  {"properties", "must be an object"},
		`{"type":"object","properties":{"a":{"type":"object","properties":{"b":{}}}}}`:       {"properties.a.properties.b", "type is not defined"},
		`{"type":"object","properties":{"a":{"type":"array","items":[{"type":"string"}]}}}`:  {"properties.a.items", "must be an object"},
		`{"type":"object","properties":{"a":{"type":"array","items":{}}}}`:                   {"properties.a.items", "type is not defined"},
		`{"type":"object","properties":{"a":{"type":"string","anyOf":[{"type":"string"}]}}}`: {"properties.a", "type must be defined in the branches of anyOf"},
		`{"type":"object","properties":{"a":{"anyOf":[{"type":"string"},{}]}}}`:              {"properties.a.anyOf.1", "type is not defined"},
		`{"type":"object","properties":{"a":{"$ref":"#/$defs/no"}}}`:                         {"properties.a", "$ref must point to # or #/$defs"},
		`{"type":"object","properties":{"a":{"$ref":"#","description":"x"}}}`:                {"properties.a", "$ref must not have siblings"},
		`{"type":"object","required":["a"]}`:                                                 {"required", "a is not in properties"},
		`{"type":"object","required":"a"}`:                                                   {"required", "must be an array of strings"},
		`{"type":"object","properties":{"a":{"type":"string","enum":["x",null]}}}`:           {"properties.a.enum", "values must be of one primitive type"},
		`{"type":"object","properties":{"a":{"type":"string","enum":["x",1]}}}`:              {"properties.a.enum", "values must be of one primitive type"},
		`{"type":"object","$defs":{"d":{}}}`:                                                 {"$defs.d", "type is not defined"},
	} {
		path, fault := mfjs(json.RawMessage(schema))
		assert.Equal(t, want, [2]string{path, fault}, schema)
	}
}

package emulator

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// mfjs finds what Kimi refuses in a function's parameters: its "moonshot flavored JSON schema" is a subset of JSON Schema
// (MoonshotAI/walle). It returns where, "" for the root, and what is wrong; "" when nothing is.
func mfjs(raw json.RawMessage) (path, fault string) {
	var root map[string]json.RawMessage
	if json.Unmarshal(raw, &root) != nil || text0(root["type"]) != "object" {
		return "", "root must be of type object"
	}
	s := schemaCheck{root: root}
	s.check(root, nil)
	return s.path, s.fault
}

type schemaCheck struct {
	root        map[string]json.RawMessage
	path, fault string // of the first fault
}

func (s *schemaCheck) refuse(path []string, fault string) {
	if s.fault == "" {
		s.path, s.fault = strings.Join(path, "."), fault
	}
}

// text0 is a JSON string, "" for everything else.
func text0(raw json.RawMessage) string {
	var v string
	_ = json.Unmarshal(raw, &v)
	return v
}

func (s *schemaCheck) check(schema map[string]json.RawMessage, path []string) {
	_, branches := schema["anyOf"]
	_, typed := schema["type"]
	if ref, ok := schema["$ref"]; ok {
		s.reference(text0(ref), len(schema), path)
		return
	}
	switch {
	case branches && typed:
		s.refuse(path, "type must be defined in the branches of anyOf")
	case !branches && text0(schema["type"]) == "":
		s.refuse(path, "type is not defined")
	}
	s.each(schema["$defs"], append(path, "$defs"))
	s.each(schema["properties"], append(path, "properties"))
	s.required(schema, path)
	s.enum(schema["enum"], path)
	if items, ok := schema["items"]; ok {
		s.one(items, append(path, "items"))
	}
	var list []json.RawMessage
	_ = json.Unmarshal(schema["anyOf"], &list)
	for i, branch := range list {
		s.one(branch, append(path, "anyOf", fmt.Sprint(i)))
	}
}

func (s *schemaCheck) one(raw json.RawMessage, path []string) {
	var schema map[string]json.RawMessage
	if json.Unmarshal(raw, &schema) != nil || schema == nil {
		s.refuse(path, "must be an object")
		return
	}
	s.check(schema, slices.Clone(path))
}

func (s *schemaCheck) each(raw json.RawMessage, path []string) {
	if isNull(raw) {
		return
	}
	var schemas map[string]json.RawMessage
	if json.Unmarshal(raw, &schemas) != nil {
		s.refuse(path, "must be an object")
		return
	}
	for _, name := range sortedKeys(schemas) {
		s.one(schemas[name], append(slices.Clone(path), name))
	}
}

// reference: "#" or a definition of the root's, with nothing beside it.
func (s *schemaCheck) reference(ref string, keys int, path []string) {
	var defs map[string]json.RawMessage
	_ = json.Unmarshal(s.root["$defs"], &defs)
	name, local := strings.CutPrefix(ref, "#/$defs/")
	switch {
	case keys > 1:
		s.refuse(path, "$ref must not have siblings")
	case ref != "#" && (!local || defs[name] == nil):
		s.refuse(path, "$ref must point to # or #/$defs")
	}
}

func (s *schemaCheck) required(schema map[string]json.RawMessage, path []string) {
	var names []string
	var properties map[string]json.RawMessage
	_ = json.Unmarshal(schema["properties"], &properties)
	if raw := schema["required"]; !isNull(raw) && json.Unmarshal(raw, &names) != nil {
		s.refuse(append(path, "required"), "must be an array of strings")
	}
	for _, name := range names {
		if _, ok := properties[name]; !ok {
			s.refuse(append(path, "required"), name+" is not in properties")
		}
	}
}

// enum: values of one primitive type, and no null.
func (s *schemaCheck) enum(raw json.RawMessage, path []string) {
	var values []any
	_ = json.Unmarshal(raw, &values)
	for _, v := range values {
		switch v.(type) {
		case string, float64, bool:
			if fmt.Sprintf("%T", v) == fmt.Sprintf("%T", values[0]) {
				continue
			}
		}
		s.refuse(append(path, "enum"), "values must be of one primitive type")
		return
	}
}

func sortedKeys(m map[string]json.RawMessage) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

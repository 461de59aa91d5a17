package tools

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

func TestChooseFunction(t *testing.T) {
	tools := []calls.Tool{{Function: providers.Function{Name: "a"}}, {Function: providers.Function{Name: "b"}}}
	for _, c := range []struct {
		raw    string
		choice string
		only   string // the one function that is left, "" for both
	}{
		{``, ``, ""},
		{`null`, ``, ""},
		{`""`, ``, ""},
		{`"auto"`, `"auto"`, ""},
		{`"None"`, `"none"`, ""},
		{`"required"`, `"required"`, ""},
		{`"b"`, `"required"`, "b"},
		{`{"type":"function","function":{"name":"b"}}`, `"required"`, "b"},
		{`{"type":"function","name":"a"}`, `"required"`, "a"},
		{`"{\"type\":\"function\",\"function\":{\"name\":\"b\"}}"`, `"required"`, "b"},
	} {
		offered, choice, note, err := chooseFunction(tools, json.RawMessage(c.raw))
		require.NoError(t, err, c.raw)
		assert.Equal(t, c.choice, string(choice), c.raw)
		if c.only == "" {
			assert.Equal(t, tools, offered, c.raw)
			assert.Empty(t, note, c.raw)
			continue
		}
		if assert.Len(t, offered, 1, c.raw) {
			assert.Equal(t, c.only, offered[0].Name)
		}
		assert.Contains(t, note, "only the function "+c.only)
	}
	for _, raw := range []string{`"c"`, `{"type":"function","function":{"name":"c"}}`, `{}`, `[1]`, `7`, `"{broken"`} {
		_, _, _, err := chooseFunction(tools, json.RawMessage(raw))
		var e *reply.Error
		if assert.ErrorAs(t, err, &e, raw) {
			assert.Equal(t, reply.CodeInvalidRequest, e.Code)
			assert.NotEmpty(t, e.Hint)
		}
	}
}

package server

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// FuzzParseMessage holds the cutting against encoding/json.
func FuzzParseMessage(f *testing.F) {
	for _, seed := range []string{
		`{"jsonrpc":"2.0","id":1,"method":"ping"}`,
		`{ "a" : [ {"b":"]}\\\""} , 1.5e3 ] , "id" : "x\"y" , "params":{"arguments":{"a":[]},"name":"n","_meta":{"progressToken":7}},"method":"tools/call","jsonrpc":"2.0"}`,
		`{"id":-1,"id":2,"jsonrpc":"2.0","result":null}`, `{}`, `[]`, `{"":""}`, `{"id":"\u0069"}`, `{"jsonrpc":`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		idOfTruncated(data, data) // of any bytes; must not panic
		var want map[string]json.RawMessage
		if json.Unmarshal(data, &want) != nil || want == nil {
			return
		}
		got := map[string]json.RawMessage{}
		object := bytes.TrimSpace(data)
		for key, value := range members(object) {
			got[key] = bytes.Clone(value)
		}
		require.Equal(t, want, got)

		m, err := parseMessage(object, time.Time{})
		if err != nil || m.id == nil || m.method == "" {
			return
		}
		require.True(t, json.Valid(m.envelope(m.params)), "%s", m.envelope(m.params))
		if call, err := m.toolCall(); err == nil {
			require.True(t, json.Valid(call.slim), "%s", call.slim)
		}
	})
}

// What is no UTF-8 is replaced wherever it would come back: a client that decodes strictly dies of one such byte.
func TestInvalidUTF8NeverComesBack(t *testing.T) {
	p := connect(t, serverOf(nil, nil, map[string]handler{"echo": func(_ context.Context, inv tool.Invocation) *tools.Result {
		inv.Progress("now")
		return says(string(inv.Arguments))
	}}))
	p.handshake(newest, `{}`)
	p.call(newest, "\"a\xff\"", "echo", "{\"s\":\"\xc3(\"}", "\"t\xfe\"")
	assert.Contains(t, p.next().raw, `"progressToken":"t�"`)
	got := p.next()
	assert.Equal(t, `"a�"`, string(got.ID))
	assert.JSONEq(t, `{"content":"{\"s\":\"�(\"}"}`, got.content(t))

	p.send("{\"id\":\"\xff\",\"params\":\"%s\"}", strings.Repeat("x", maxLine))
	assert.Equal(t, `"�"`, string(p.next().ID), "a line that is too long to be read")
}

func TestIDOfALineThatIsTooLong(t *testing.T) {
	filler := strings.Repeat("x", 10000)
	for _, c := range []struct{ name, line, id string }{
		{"in front", `{"jsonrpc":"2.0","id":12,"method":"` + filler + `"}`, `12`},
		{"last", `{"method":"tools/call","params":{"a":"` + filler + `"},"jsonrpc":"2.0","id":"a\"b"}`, `"a\"b"`},
		{"last, spaced", "{\"params\":\"" + filler + "\" , \"id\" : 7 } \r\n", `7`},
		{"no id at all", `{"id":{"a":1},"b":"` + filler + `"}`, ``},
		{"nested only", `{"params":{"a":"` + filler + `","id":7}}`, ``},
		{"in a string only", `{"a":"` + filler + `,\"id\":7}"}`, ``},
		{"in the middle", `{"a":"` + filler + `","id":7,"b":"` + filler + `"}`, ``},
		{"cut in two", `{"id":` + strings.Repeat("1", 10000) + `,"a":1}`, ``},
		{"no object", `[{"id":7},"` + filler + `"]`, ``},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := newLineReader(strings.NewReader(strings.TrimRight(c.line, "\r\n") + "\nnext"))
			lines.max = 8000
			_, err := lines.next()
			var fault *lineFault
			require.ErrorAs(t, err, &fault)
			assert.Equal(t, c.id, string(fault.id))
			next, err := lines.next()
			require.NoError(t, err)
			assert.Equal(t, "next", string(next), "the line after it is whole")
			_, err = lines.next()
			assert.ErrorIs(t, err, io.EOF)
		})
	}
}

// The cap is a cap on memory: a line of any length costs no more than the cap allows for.
func TestALineBeyondTheCapIsNotKept(t *testing.T) {
	long := io.MultiReader(strings.NewReader(`{"id":3,"x":"`), io.LimitReader(endless{}, 256<<20), strings.NewReader("\n5\n"))
	lines := newLineReader(long)
	lines.max = 1 << 20
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := lines.next()
	runtime.ReadMemStats(&after)
	var fault *lineFault
	require.ErrorAs(t, err, &fault)
	assert.Equal(t, `3`, string(fault.id))
	assert.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(8<<20))
	next, err := lines.next()
	require.NoError(t, err)
	assert.Equal(t, "5", string(next))
}

// endless is text without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

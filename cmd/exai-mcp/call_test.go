package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// What goes on in the background is fetched until there is all of it; what will not go on is fetched once.
func TestFinish(t *testing.T) {
	const partial, whole = "partial", "success"
	for name, c := range map[string]struct {
		replies []string // their statuses
		more    []bool   // behind each that is partial
		want    string
	}{
		"whole at once":               {[]string{whole}, nil, whole},
		"in the background":           {[]string{partial, partial, whole}, []bool{true, true}, whole},
		"ends behind the first reply": {[]string{partial, whole}, []bool{false}, whole},
		"was cut off":                 {[]string{partial, partial}, []bool{false, false}, partial},
		"is cut off later":            {[]string{partial, partial}, []bool{true, false}, partial},
		"a second turn follows":       {[]string{partial, partial, partial, whole}, []bool{false, true, true}, whole},
	} {
		t.Run(name, func(t *testing.T) {
			calls, looks := 0, 0
			r, err := finish(t.Context(), time.Time{}, func() tool.Invocation {
				return tool.Invocation{Tool: "chat", Arguments: json.RawMessage(`{"prompt":"x"}`)}
			}, func(_ context.Context, inv tool.Invocation) *tools.Result {
				if calls > 0 {
					assert.JSONEq(t, `{"prompt":"","continuation_id":"c"}`, string(inv.Arguments))
				}
				r := &tools.Result{}
				r.Body.Set("status", c.replies[calls]).Set("continuation_id", "c")
				calls++
				return r
			}, func(outcome) bool {
				looks++
				return c.more[looks-1]
			})
			require.NoError(t, err)
			assert.Equal(t, c.want, r.Body.Get("status"))
			assert.Equal(t, []int{len(c.replies), len(c.more)}, []int{calls, looks})
		})
	}
}

// An expert whose answers always break off behind their call is asked three times at most.
func TestAnExpertThatAlwaysBreaksOff(t *testing.T) {
	s := newSite(t, limits("LOG_LEVEL=error", "EXAI_ALLOWED_ROOTS="+sourceFolder(t), "GLM_TIMEOUT_SECS=2", "KIMI_TIMEOUT_SECS=2",
		"SIMPLE_TOOL_TIMEOUT_SECS=2", "WORKFLOW_TOOL_TIMEOUT_SECS=2", "EXPERT_ANALYSIS_TIMEOUT_SECS=2", "FILE_TOOL_TIMEOUT_SECS=2")...)
	s.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply {
		return emulator.Say(strings.Split(strings.Repeat("word |", 20), "|")...).Every(scaled(200 * time.Millisecond)).With(emulator.CutAfter(10))
	})
	done := make(chan int)
	go func() {
		code, _, _ := s.run("", "call", "debug", `{"step":"Why?","relevant_files":["main.go"],"model":"glm-5.3"}`)
		done <- code
	}()
	select {
	case code := <-done:
		assert.Equal(t, exitOK, code)
	case <-time.After(scaled(30 * time.Second)):
		t.Fatal("it goes on asking")
	}
	assert.LessOrEqual(t, len(s.vendors.Requests()), 3)
}

//go:build !race

package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/server"
)

// Under the race detector this takes minutes, and internal/server holds the same with as many calls of a fake tool.

// Signs of life come before the result, of every call: 300 model calls in each revision.
func TestProgressComesBeforeTheResultInEveryRevision(t *testing.T) {
	const calls, atOnce = 300, 100
	for _, version := range server.Revisions() {
		t.Run(version, func(t *testing.T) {
			s := newSite(t, "CONVERSATION_STORAGE_BACKEND=memory", "LOG_LEVEL=error", "GLM_MAX_INFLIGHT=100", "MAX_INFLIGHT=100")
			slow := emulator.Say("(emulated)").With(emulator.DelayHeaders(800 * time.Millisecond)) // fast calls send no progress
			s.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply { return slow })
			c := s.serve()
			c.handshake(version)
			window := make(chan bool, atOnce)
			go func() {
				for i := range calls {
					window <- true
					c.request(version, "tools/call", chatFields(fmt.Sprint("question ", i), fmt.Sprintf(`,"_meta":{"progressToken":"token %d"}`, i)))
				}
			}()
			signs, last := map[string]int{}, map[string]float64{}
			for results := 0; results < calls; {
				var l wireLine
				select {
				case l = <-c.lines:
				case <-time.After(scaled(20 * time.Second)):
					require.Fail(t, "no line", c.errs.String())
				}
				if l.Method != "" {
					token := progressOf(t, version, l, last)
					signs[token]++
					continue
				}
				if version < "2026" && string(l.ID) == "0" {
					continue
				}
				n, err := strconv.Atoi(string(l.ID))
				require.NoError(t, err, l.raw)
				token := fmt.Sprint("token ", n-1)
				assert.Positive(t, signs[token], "a sign of life ahead of result %s", l.raw)
				assert.Contains(t, l.raw, `\"content\":\"(emulated)\"`)
				assert.NotContains(t, l.raw, `"isError":true`)
				signs[token] = -1 << 20 // none may follow
				results++
				<-window
			}
			code, _ := c.closeInput()
			assert.Equal(t, exitOK, code)
			for token, n := range signs {
				assert.Equal(t, -1<<20, n, "nothing of %s after its result", token)
			}
		})
	}
}

// progressOf checks a progress notification and gives its token.
func progressOf(t *testing.T, version string, l wireLine, last map[string]float64) string {
	t.Helper()
	require.Equal(t, "notifications/progress", l.Method, l.raw)
	var message struct {
		Params struct {
			ProgressToken string
			Progress      float64
			Message       string
		}
	}
	require.NoError(t, json.Unmarshal([]byte(l.raw), &message))
	p := message.Params
	assert.Greater(t, p.Progress, last[p.ProgressToken], "rising")
	last[p.ProgressToken] = p.Progress
	assert.Less(t, utf8.RuneCountInString(p.Message), 200)
	if version == "2024-11-05" {
		assert.NotContains(t, l.raw, "message", "progress had no text yet")
	} else {
		assert.True(t, strings.HasPrefix(p.Message, "continuation_id="), p.Message)
	}
	return p.ProgressToken
}

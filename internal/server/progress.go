package server

import (
	"encoding/json"
)

// maxProgress is the longest message of a progress notification, in characters.
const maxProgress = 199

// progressNote is notifications/progress, whose token is the client's own bytes.
type progressNote struct {
	JSONRPC string         `json:"jsonrpc"`
	Method  string         `json:"method"`
	Params  progressParams `json:"params"`
}

type progressParams struct {
	ProgressToken json.RawMessage `json:"progressToken"`
	Progress      int             `json:"progress"`
	Message       string          `json:"message,omitempty"`
}

// progress returns what a tool calls to send a sign of life, nil when the client wants none. Each notification counts one
// up. It goes through the same lock and the same outbox as the answer, so it comes before it or not at all.
func (c *conn) progress(k *call, r revision) func(message string) {
	if k.tool.token == nil {
		return nil
	}
	n := 0
	return func(message string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if k.over {
			return
		}
		n++
		note := progressNote{JSONRPC: "2.0", Method: "notifications/progress", Params: progressParams{
			ProgressToken: k.tool.token, Progress: n,
		}}
		if r.progressMessage() {
			note.Params.Message = shorten(message, maxProgress)
		}
		if line, err := encode(note); err == nil {
			c.out.offer(line)
		}
	}
}

// shorten cuts a text to at most n characters.
func shorten(s string, n int) string {
	if len(s) <= n {
		return s
	}
	runes := []rune(s)
	if len(runes) <= n {
		return s
	}
	return string(runes[:n-1]) + "…"
}

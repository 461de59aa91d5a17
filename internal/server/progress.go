package server

import (
	"context"
	"encoding/json"
	"time"
)

// maxProgress is the longest message of a progress notification, in characters.
const maxProgress = 199

// noteGap is the least time between the writing of a call's last progress notification and that of its answer. The
// official TypeScript SDK handles a notification later than an answer that it reads together with it, and reports
// "progress notification for an unknown token"; some clients then drop the connection. Measured with SDK 1.32: after 2 ms
// none of 250 answers was read together with its notification.
const noteGap = 5 * time.Millisecond

// readTime is how long an answer waits beyond the gap for a client that has not read what was written before. A busy machine
// may keep it from that for longer than the gap.
const readTime = 250 * time.Millisecond

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

// progress returns the function with which a tool reports progress, nil when the client wants none. Each notification
// counts one up. It goes through the same lock and the same outbox as the answer, so it comes before it or not at all.
func (c *conn) progress(k *call, r revision) func(message string) {
	if k.tool.token == nil {
		return nil
	}
	n := 0
	return func(message string) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if k.finished || k.answerReady {
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
			if d := c.out.offerTracked(line); d != nil {
				k.lastNote = d
			}
		}
	}
}

// awaitNoteGap ends a call's progress notifications and waits until noteGap after the last of them was written, and for up to
// readTime until it was read. It waits for a client that does not take it until the server ends or the client cancels the
// call.
func (c *conn) awaitNoteGap(ctx context.Context, k *call) {
	c.mu.Lock()
	k.answerReady = true
	last := k.lastNote
	c.mu.Unlock()
	if last == nil {
		return
	}
	select {
	case <-last.done:
		time.Sleep(noteGap - time.Since(last.at)) // returns at once if that is over
		for end := last.at.Add(noteGap + readTime); unread(c.out.to) > 0 && time.Now().Before(end) && ctx.Err() == nil; {
			time.Sleep(time.Millisecond)
		}
	case <-c.out.broken:
	case <-ctx.Done():
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

package server

import (
	"bytes"
	"encoding/json"
	"sync"
)

// replyTo receives the answer to a message, nil if there is none. It is called once for each.
type replyTo func(answer []byte)

// batch collects the answers to the messages of one line and sends them as one line, once all are there.
type batch struct {
	out     *outbox
	mu      sync.Mutex
	pending int // messages without an outcome yet
	answers [][]byte
}

// handleBatch serves the messages of one line concurrently, as if each had arrived alone.
func (c *conn) handleBatch(line []byte) {
	var messages []json.RawMessage
	if json.Unmarshal(line, &messages) != nil || len(messages) == 0 {
		c.handleMessage(line, c.out.send) // which reports what is wrong with it
		return
	}
	b := &batch{out: c.out, pending: len(messages)}
	for _, message := range messages {
		c.handleMessage(message, b.reply)
	}
}

func (b *batch) reply(answer []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pending--
	if answer != nil {
		b.answers = append(b.answers, answer)
	}
	if b.pending == 0 && len(b.answers) > 0 {
		b.out.send(append(append([]byte("["), bytes.Join(b.answers, []byte(","))...), ']'))
	}
}

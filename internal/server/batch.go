package server

import (
	"bytes"
	"encoding/json"
	"sync"
)

// replyTo takes the answer to a message, nil when it gets none. It is called once for each.
type replyTo func(answer []byte)

// batch gathers the answers to the messages of one line: they go out as one line, when the last has come.
type batch struct {
	out     *outbox
	mu      sync.Mutex
	open    int // messages that are not done with
	answers [][]byte
}

// batch serves the messages of one line side by side, as if each had come alone.
func (c *conn) batch(line []byte) {
	var messages []json.RawMessage
	if json.Unmarshal(line, &messages) != nil || len(messages) == 0 {
		c.handle(line, c.out.send) // which says what is wrong with it
		return
	}
	b := &batch{out: c.out, open: len(messages)}
	for _, message := range messages {
		c.handle(message, b.reply)
	}
}

func (b *batch) reply(answer []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open--
	if answer != nil {
		b.answers = append(b.answers, answer)
	}
	if b.open == 0 && len(b.answers) > 0 {
		b.out.send(append(append([]byte("["), bytes.Join(b.answers, []byte(","))...), ']'))
	}
}

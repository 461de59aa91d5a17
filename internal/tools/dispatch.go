package tools

import (
	"context"
	"encoding/json"
	"time"
)

// Invocation is one call of a tool as a transport hands it over.
type Invocation struct {
	ID        string // the request's id, for logs
	Tool      string
	Arguments json.RawMessage
	Received  time.Time // when the request was read; the limit counts from here
	Client    string    // the client's name and version, for logs
	// Progress sends one line (under 200 characters) to a client that asked for progress; nil when it did not. It may be
	// called from any goroutine and never after Call has returned.
	Progress func(message string)
}

// Dispatcher is the one entrance to the tools, for the server and the command line alike.
type Dispatcher struct {
	tools map[string]Tool
}

// Call runs a tool within its limit and always returns a reply: a panic, a passed limit or bad arguments are error
// results. It returns at the latest when the limit has passed, whatever the tool does.
func (d *Dispatcher) Call(ctx context.Context, inv Invocation) *Result { return nil }

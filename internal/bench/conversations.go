//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

// conversation is the continuation of a long conversation in a large database.
func (b *bench) conversation() ([]figure, error) {
	const conversations = 10_000
	var figures []figure
	for _, length := range []struct {
		turns int
		bound time.Duration
	}{{1000, 10 * time.Millisecond}, {10_000, 25 * time.Millisecond}} {
		turns, bound := length.turns, length.bound
		state := filepath.Join(b.dir, fmt.Sprint("conversation-", turns))
		if err := fill(state, conversations, turns); err != nil {
			return nil, err
		}
		ctx := context.Background()
		s, err := store.Open(ctx, config.Conversations{Backend: "sqlite", StateDir: state})
		if err != nil {
			return nil, err
		}
		took, err := budgeted(ctx, s, "long", turns)
		if err := errors.Join(err, s.Close()); err != nil {
			return nil, err
		}
		whole, err := b.continued(state)
		if err != nil {
			return nil, err
		}
		figures = append(figures, within(fmt.Sprintf("a conversation of %d turns among 10,000: load and budget", turns), took, bound,
			"median of 60; the whole continuation over stdio, against an instant vendor: "+shown(whole)))
	}
	return figures, nil
}

// budgeted is the median time to load a conversation and to fit it into a model's window.
func budgeted(ctx context.Context, s *store.Store, id string, turns int) (time.Duration, error) {
	var took []time.Duration
	for range 60 {
		begin := time.Now()
		t, err := s.LoadLatest(ctx, id, conversation.BytesPerToken*262_144) // as before the model is known
		if err != nil {
			return 0, err
		}
		first := conversation.Window(t.Turns, 200_000)
		messages := conversation.Messages(t.Turns[first:], true)
		took = append(took, time.Since(begin))
		if t.Earlier+len(t.Turns) != turns || first+t.Earlier == 0 && turns > 2000 || len(messages) == 0 {
			return 0, fmt.Errorf("%d and %d turns, %d messages", t.Earlier, len(t.Turns), len(messages))
		}
	}
	return median(took), nil
}

// continued is the median of whole chats in the long conversation.
func (b *bench) continued(state string) (time.Duration, error) {
	e, err := instant()
	if err != nil {
		return 0, err
	}
	defer e.Close()
	c, err := b.serve(b.environ(e, filepath.Base(state)))
	if err != nil {
		return 0, err
	}
	defer c.kill()
	var took []time.Duration
	for range 15 {
		begin := time.Now()
		if err := c.answered(map[string]any{"prompt": "And then?", "model": "glm-5.3-flash", "continuation_id": "long"}); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begin))
		e.Forget()
	}
	return median(took), nil
}

// fill makes a database with many conversations of two turns and a long one.
func fill(state string, conversations, turns int) error {
	ctx := context.Background()
	s, err := store.Open(ctx, config.Conversations{Backend: "sqlite", StateDir: state})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	long := conversation.NewTurns{ConversationID: "long", Title: "long", Tool: "chat", Turns: pairs(turns)}
	if _, err := s.Append(ctx, long); err != nil {
		return err
	}
	return together(conversations, 4, func(i int) error {
		_, err := s.Append(ctx, conversation.NewTurns{ConversationID: fmt.Sprint("short ", i), Title: "short", Tool: "chat", Turns: pairs(2)})
		return err
	})
}

// pairs is n turns, questions and answers.
func pairs(n int) []conversation.Turn {
	var out []conversation.Turn
	for range n / 2 {
		out = append(out,
			conversation.Turn{Role: providers.RoleUser, Content: strings.Repeat("What does this function do? ", 10)},
			conversation.Turn{
				Role: providers.RoleAssistant, Content: strings.Repeat("It adds two numbers and returns their sum. ", 20),
				Model: "glm-5.3-flash", Provider: "glm", FinishReason: providers.FinishStop,
			})
	}
	return out
}

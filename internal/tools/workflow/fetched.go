package workflow

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// fetchedKeys are what the reply that fetches an expert's answer has of its step's reply.
var fetchedKeys = []string{
	"verdict", "verdict_reason", "coverage", "coverage_more", "agent_findings", "tracked_issues", "close_tracked_issues",
}

// AddStep adds to a reply that fetches the answer of turn n what its step has come to: the findings with their
// citations, the verdict and what belongs to it. It waits, within the call's time, until the answer's process has
// completed the step, the judgement of the caller's findings included. An answer of no step leaves the reply as it is.
func (e *Engine) AddStep(ctx context.Context, id string, n int, out *reply.Result) error {
	limited, cancel := working(ctx)
	defer cancel()
	for {
		b, err := e.Conversations.Background(ctx, id, n)
		switch {
		case errors.Is(err, conversation.ErrNotFound), err == nil && b.Running:
			return nil // it was taken back, or is asked for again
		case err != nil:
			return err
		}
		step, completing, err := e.StoredReply(b.Conversation, b.Turn)
		if step == nil || err != nil {
			return err
		}
		if !completing || limited.Err() != nil {
			addStep(step, b.Turn, out)
			return nil
		}
		select {
		case <-time.After(replyPoll):
		case <-limited.Done():
		}
	}
}

// addStep adds a step's reply to one that fetches its answer.
func addStep(step *reply.Result, answer conversation.Turn, out *reply.Result) {
	analysis, _ := reply.Marshal(step.Body.Get("expert_analysis")) // it was read from JSON
	var form struct {
		Status   string          `json:"status"`
		Findings json.RawMessage `json:"findings"`
	}
	_ = json.Unmarshal(analysis, &form) // what is no object has neither
	whole := answer.EffectiveStatus() == conversation.TurnComplete
	switch {
	case form.Findings != nil:
		out.Body.Set("content", string(analysis)).Set("content_type", "json")
		put := out.Answer.Put
		out.Answer.Put = func(text string) { // a part of it is no JSON
			put(text)
			out.Body.Set("content_type", "text")
		}
	case whole && form.Status == "partial":
		out.Metadata.Note("The process that asked this expert ended before it completed the step: " +
			"send the step again with this continuation_id.")
		return
	}
	for _, key := range fetchedKeys {
		if value := step.Body.Get(key); value != nil {
			out.Body.Set(key, value)
		}
	}
}

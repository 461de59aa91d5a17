package tools

import (
	"context"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

type challengeInput struct {
	Prompt string `json:"prompt" jsonschema:"The statement or objection, word for word."`
}

func challenge(d *Deps) tool.Tool {
	return tool.New("challenge", d.challenge, tool.Hints(tool.Annotations{ReadOnly: true}), tool.InConversation())
}

// challenge puts a statement into a frame that makes its reader judge it afresh. No model is asked: the reader is the
// caller. The conversation that it begins lets chat go on from there.
func (d *Deps) challenge(ctx context.Context, in challengeInput) (*Result, error) {
	if strings.TrimSpace(in.Prompt) == "" {
		return nil, reply.InvalidRequest("Send the statement that is to be challenged.", "The prompt is blank.")
	}
	w, err := words.For("challenge")
	if err != nil {
		return nil, err
	}
	if r := d.tooLong(in.Prompt, w); r != nil {
		return r, nil
	}
	framed, err := w.Render("frame", in)
	if err != nil {
		return nil, err
	}
	guidance, err := w.Render("guidance", nil)
	if err != nil {
		return nil, err
	}
	var parts Result
	parts.Body.Set("original_statement", in.Prompt).Set("challenge_prompt", framed).Set("instructions", guidance)
	content, err := parts.JSON()
	if err != nil {
		return nil, err
	}
	h, err := d.Conversations.Lease(ctx, "")
	if err != nil {
		return nil, err
	}
	defer h.Release()
	turn := conversation.Turn{Role: providers.RoleUser, Content: framed, Tool: "challenge", Status: conversation.TurnComplete}
	stored, err := h.Append(ctx, conversation.NewTurns{Title: ask.Title(in.Prompt), Turns: []conversation.Turn{turn}}, nil)

	r := &Result{}
	if err != nil {
		no := false
		r.Metadata.Stored = &no
		r.Metadata.Note(ask.NotConfirmed + "there is no conversation to continue.")
	}
	r.Metadata.InMemory(h.Temporary)
	status := "success"
	if len(stored) > 0 {
		status = "continuation_available"
	}
	r.Body.Set("status", status).Set("content", string(content)).Set("content_type", "json")
	if len(stored) > 0 {
		r.Body.Set("continuation_offer", ask.ContinuationOffer(h.ID, "Send this continuation_id to chat to have a model judge the statement, too.", h.Remaining(0)))
	}
	return r, nil
}

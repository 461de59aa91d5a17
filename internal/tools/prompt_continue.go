package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

// continueData is what the templates of the prompt `continue` can ask for.
type continueData struct {
	Server  string
	Prompt  string // what to say, "" when that is open
	List    string // the latest conversations
	URI     string
	ID      string
	Title   string
	Running bool
	Tool    string // of a run that has not ended
	Step    int
	Reply   string // to that run's last step: what comes next, as a block of JSON
	Call    string // chat's arguments with the prompt
	Fetch   string // chat's arguments without one
}

// resume is the text that has the agent go on with a conversation, or find the one to go on with.
func (p *Prompts) resume(ctx context.Context, id, prompt string) (string, error) {
	data := continueData{Server: p.deps.Config.Server.Name, Prompt: prompt, URI: uriConversation, ID: id}
	find := p.find
	if id == "" {
		find = p.latest
	}
	section, err := find(ctx, &data)
	var known *reply.Error
	switch {
	case errors.Is(err, conversation.ErrNotFound), errors.As(err, &known), ctx.Err() != nil:
		return "", err
	case err != nil:
		return "", reply.StoreUnavailable(fmt.Errorf("the prompt continue: %w", err))
	}
	w, err := words.For("prompt")
	if err != nil {
		return "", err
	}
	return w.Render(section, data)
}

// find puts the id in place of the name that a person gave a conversation, and finds its state. Where "latest" names none,
// all are listed.
func (p *Prompts) find(ctx context.Context, data *continueData) (section string, err error) {
	data.ID, err = look(ctx, readWait, func(ctx context.Context) (string, error) {
		store, err := p.deps.Store(ctx)
		if err != nil {
			return "", err
		}
		return conversation.Named(ctx, store, data.ID, p.deps.Workspace.FirstRoot(ctx))
	})
	var ambiguous *conversation.AmbiguousError
	switch {
	case errors.Is(err, conversation.ErrNoneHere):
		return p.latest(ctx, data)
	case errors.As(err, &ambiguous):
		return "", reply.InvalidRequest("Give more of the id; without one, this prompt lists the latest conversations.", "%v.", err)
	case err != nil:
		return "", err
	}
	return p.conversationState(ctx, data)
}

// latest lists the conversations that may be meant.
func (p *Prompts) latest(ctx context.Context, data *continueData) (section string, err error) {
	conversations, err := look(ctx, readWait, func(ctx context.Context) ([]conversation.Summary, error) {
		return p.deps.conversationList(ctx, conversation.Filter{Limit: 2 * listedConversations})
	})
	if err != nil {
		return "", err
	}
	if len(conversations) == 0 {
		return "continue-none", nil
	}
	var lines []string
	for _, t := range conversations {
		title := oneLine(t.Title)
		if title == "" {
			title = "without a title"
		}
		lines = append(lines, fmt.Sprintf("- continuation_id %s: %s (%s)", oneLine(t.ID), title, conversationLine(t)))
	}
	data.List = strings.Join(lines, "\n")
	return "continue-list", nil
}

// conversationState finds the state of a conversation, and so what comes next in it.
func (p *Prompts) conversationState(ctx context.Context, data *continueData) (section string, err error) {
	conv, err := look(ctx, readWait, func(ctx context.Context) (*conversation.Conversation, error) {
		store, err := p.deps.Store(ctx)
		if err != nil {
			return nil, err
		}
		return store.Load(ctx, data.ID)
	})
	if err != nil {
		return "", err
	}
	data.Title = oneLine(conv.Title)
	fetch := (&Object{}).Set("prompt", "").Set("continuation_id", conv.ID)
	if data.Fetch, err = jsonBlock(fetch); err != nil {
		return "", err
	}
	if data.Call, err = jsonBlock(fetch.Set("prompt", data.Prompt)); err != nil {
		return "", err
	}
	if len(conv.Turns) == 0 {
		return "continue-chat", nil
	}
	last := conv.Turns[len(conv.Turns)-1]
	if status := last.EffectiveStatus(); last.Role == providers.RoleAssistant && status != conversation.TurnComplete {
		data.Running = status == conversation.TurnRunning
		return "continue-fetch", nil
	}
	if next := nextStepOf(last.Step); next != nil {
		data.Tool, data.Step = last.Step.Tool, last.Step.Number
		data.Reply, err = jsonBlock(next)
		return "continue-step", err
	}
	return "continue-chat", nil
}

// nextStepOf is what a step's reply says of the next one, nil when there is none to come.
func nextStepOf(s *conversation.Step) *Object {
	if s == nil {
		return nil
	}
	var said map[string]json.RawMessage
	if json.Unmarshal(s.Reply, &said) != nil || said["next_call"] == nil {
		return nil
	}
	next := &Object{}
	for _, key := range []string{"required_actions", "next_steps", "next_call"} {
		if value := said[key]; value != nil && string(value) != "null" {
			next.Set(key, value)
		}
	}
	if !slices.Contains(next.Keys(), "next_call") {
		return nil
	}
	return next
}

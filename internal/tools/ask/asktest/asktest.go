// Package asktest has what tests of conversations need: a store in a map, and vendors that say what they are told.
package asktest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

// Store is a conversation.Store in a map. Before, where it is set, is called ahead of each operation ("load", "append",
// "save", "list" ...) and may delay or fail it.
type Store struct {
	Before func(ctx context.Context, op string) error

	mu            sync.Mutex
	conversations map[string]*conversation.Conversation
	origins       map[string][2]string // host and user
	saves         []conversation.Turn
}

var _ conversation.Store = (*Store)(nil)

func (s *Store) before(ctx context.Context, op string) error {
	if s.Before != nil {
		if err := s.Before(ctx, op); err != nil {
			return err
		}
	}
	return context.Cause(ctx)
}

// Load implements conversation.Store.
func (s *Store) Load(ctx context.Context, id string) (*conversation.Conversation, error) {
	if err := s.before(ctx, "load"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t, ok := s.conversations[id]
	if !ok {
		return nil, conversation.ErrNotFound
	}
	out := *t
	out.Turns, out.ReadAt = slices.Clone(t.Turns), time.Now()
	for i, turn := range out.Turns {
		out.Turns[i].Orphaned = turn.Status == conversation.TurnRunning && !conversation.Alive(turn.SavedAt, out.ReadAt)
	}
	return &out, nil
}

// LoadLatest implements conversation.Store: it gives no turn more than it must.
func (s *Store) LoadLatest(ctx context.Context, id string, bytes int) (*conversation.Conversation, error) {
	c, err := s.Load(ctx, id)
	if err != nil {
		return nil, err
	}
	first, answered := len(c.Turns), false
	for have := 0; first > 0 && (have < bytes || !answered); first-- {
		t := c.Turns[first-1]
		have += t.Bytes()
		answered = answered || t.Role == providers.RoleAssistant && t.Model != ""
	}
	c.Turns, c.Earlier = c.Turns[first:], first
	return c, nil
}

// Append implements conversation.Store.
func (s *Store) Append(ctx context.Context, n conversation.NewTurns) ([]conversation.Turn, error) {
	if err := s.before(ctx, "append"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.conversations[n.ConversationID]
	if t == nil && n.Existing {
		return nil, conversation.ErrNotFound
	}
	if t == nil {
		t = &conversation.Conversation{ID: n.ConversationID, Title: n.Title, Tool: n.Tool, Workspace: n.Workspace, CreatedAt: time.Now()}
		if s.conversations == nil {
			s.conversations, s.origins = map[string]*conversation.Conversation{}, map[string][2]string{}
		}
		s.conversations[n.ConversationID] = t
		s.origins[n.ConversationID] = [2]string{n.Host, n.User}
	}
	if n.DropStepsFrom > 0 {
		drop := false
		t.Turns = slices.DeleteFunc(t.Turns, func(turn conversation.Turn) bool {
			if turn.Step != nil {
				drop = turn.Step.Tool == n.DropStepsTool && turn.Step.Number >= n.DropStepsFrom
			} else if turn.Role == providers.RoleUser {
				drop = false
			}
			return drop
		})
	}
	last := 0
	for _, have := range t.Turns {
		last = max(last, have.N)
	}
	stored := slices.Clone(n.Turns)
	for i := range stored {
		last++
		stored[i].N = last
		if stored[i].ID == "" {
			stored[i].ID = uuid.NewString()
		}
		stored[i].SavedAt = time.Now()
		if stored[i].CreatedAt.IsZero() {
			stored[i].CreatedAt = stored[i].SavedAt
		}
		t.Turns = append(t.Turns, stored[i])
	}
	t.UpdatedAt = time.Now()
	return stored, nil
}

// Save implements conversation.Store.
func (s *Store) Save(ctx context.Context, conversationID string, turn conversation.Turn) error {
	if err := s.before(ctx, "save"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.conversations[conversationID]
	if t == nil {
		return conversation.ErrNotFound
	}
	for i := range t.Turns {
		if t.Turns[i].ID == turn.ID {
			if turn.Status == conversation.TurnRunning && t.Turns[i].Status != conversation.TurnRunning {
				return conversation.ErrNotFound
			}
			turn.SavedAt = time.Now()
			t.Turns[i], t.UpdatedAt = turn, turn.SavedAt
			s.saves = append(s.saves, turn)
			return nil
		}
	}
	return conversation.ErrNotFound
}

// List implements conversation.Store, by text, tool, workspace, host and user.
func (s *Store) List(ctx context.Context, f conversation.Filter) ([]conversation.Summary, error) {
	if err := s.before(ctx, "list"); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []conversation.Summary
	for _, t := range s.conversations {
		if len(f.IDs) > 0 && !slices.Contains(f.IDs, t.ID) || !strings.HasPrefix(t.ID, f.Prefix) {
			continue
		}
		if (f.Tool == "" || f.Tool == t.Tool) && strings.Contains(t.Title, f.Text) &&
			(f.Workspace == "" || f.Workspace == t.Workspace) && (f.Host == "" || f.Host == s.origins[t.ID][0]) && (f.User == "" || f.User == s.origins[t.ID][1]) {
			out = append(out, conversation.Summary{ID: t.ID, Title: t.Title, Tool: t.Tool, Turns: len(t.Turns), UpdatedAt: t.UpdatedAt})
		}
	}
	slices.SortFunc(out, func(a, b conversation.Summary) int { return b.UpdatedAt.Compare(a.UpdatedAt) })
	if f.Limit > 0 && len(out) > f.Limit {
		out = out[:f.Limit]
	}
	return out, nil
}

// Delete implements conversation.Store.
func (s *Store) Delete(ctx context.Context, id string) error {
	if err := s.before(ctx, "delete"); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conversations[id] == nil {
		return conversation.ErrNotFound
	}
	delete(s.conversations, id)
	return nil
}

// Prune implements conversation.Store.
func (s *Store) Prune(ctx context.Context, before time.Time) (int, error) {
	if err := s.before(ctx, "prune"); err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for id, t := range s.conversations {
		if t.UpdatedAt.Before(before) {
			delete(s.conversations, id)
			n++
		}
	}
	return n, nil
}

// Saves are the turns that Save was given, in order.
func (s *Store) Saves() []conversation.Turn {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.saves)
}

// Open gives the store to those that open it when they need it.
func (s *Store) Open(context.Context) (conversation.Store, error) { return s, nil }

// Chat is what a stub vendor does with a request.
type Chat = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error)

// Vendors are a registry and a caller over vendors that do as told: glm always, kimi where its function is set. The
// configuration gets their keys.
func Vendors(t testing.TB, cfg *config.Config, glm, kimi Chat) (*calls.Registry, *calls.Caller) {
	t.Helper()
	vendors := []providers.Provider{vendor{"glm", glm}}
	cfg.GLM.APIKey = "test"
	if kimi != nil {
		cfg.Kimi.APIKey = "test"
		vendors = append(vendors, vendor{"kimi", kimi})
	}
	reg, err := calls.NewRegistry(cfg, vendors...)
	require.NoError(t, err)
	return reg, calls.NewCaller(reg, cfg, nil, nil)
}

// vendor is a provider that can chat and, as GLM, search.
type vendor struct {
	name string
	chat Chat
}

func (v vendor) Name() string              { return v.name }
func (v vendor) Models() []providers.Model { return calls.BuiltinModels(v.name) }
func (v vendor) Chat(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
	return v.chat(ctx, req, on)
}

func (v vendor) CanSearch() bool { return v.name == "glm" }

func (v vendor) Search(context.Context, providers.SearchQuery) (*providers.SearchResult, error) {
	return &providers.SearchResult{}, nil
}

// Says answers at once.
func Says(text string) Chat {
	return func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		on(providers.Delta{Content: text})
		return &providers.ChatResponse{Content: text, FinishReason: providers.FinishStop, UsageKnown: true, Usage: providers.Usage{InputTokens: 10, OutputTokens: 5}}, nil
	}
}

// Drips answers with one piece after the other, each after a pause, and ends with what it has when ctx does.
func Drips(pause time.Duration, pieces ...providers.Delta) Chat {
	return func(ctx context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		resp := &providers.ChatResponse{}
		for _, d := range pieces {
			wait := time.NewTimer(pause)
			select {
			case <-wait.C:
			case <-ctx.Done():
				wait.Stop()
				return resp, &providers.Error{Kind: providers.KindNetwork, Message: "ended", Err: context.Cause(ctx)}
			}
			resp.Content += d.Content
			resp.Reasoning += d.Reasoning
			on(d)
		}
		resp.FinishReason, resp.UsageKnown = providers.FinishStop, true
		resp.Usage = providers.Usage{InputTokens: 10, OutputTokens: len(pieces)}
		return resp, nil
	}
}

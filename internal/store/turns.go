package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
)

// Load returns a conversation with its turns and attachments, or conversation.ErrNotFound.
//
// Rows that have the original's columns alone are complete turns, in the order of their creation, after the numbered ones.
func (s *Store) Load(ctx context.Context, id string) (*conversation.Conversation, error) {
	th := &conversation.Conversation{ID: text(id)}
	err := s.withRetry(ctx, "load a conversation", func() error {
		var row, meta string
		err := s.read.QueryRowContext(ctx, `SELECT id, title, tool_name, workspace, created_at, updated_at, metadata,
				clock_timestamp() FROM conversations WHERE continuation_id = $1`, th.ID).
			Scan(&row, into(&th.Title), into(&th.Tool), into(&th.Workspace), intoTime{&th.CreatedAt}, intoTime{&th.UpdatedAt},
				into(&meta), intoTime{&th.ReadAt})
		if errors.Is(err, sql.ErrNoRows) {
			return conversation.ErrNotFound
		}
		if err != nil {
			return err
		}
		if th.Tool == "" {
			th.Tool = readMetadata(meta).ToolName
		}
		th.Turns, err = s.turns(ctx, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return th, nil
}

// turns reads the turns of the conversation with this row id, dropped ones left out.
func (s *Store) turns(ctx context.Context, row string) ([]conversation.Turn, error) {
	var files [][]string // ids, for each turn
	turns, err := queryAll(ctx, s.read, func(r *sql.Rows) (conversation.Turn, error) {
		t, ids, err := scanTurn(r)
		files = append(files, ids)
		return t, err
	}, `SELECT id, role, content, metadata, created_at, turn_number, turn_status, tool_name, model_used, provider_used,
			finish_reason, input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_usd, reasoning, step_tool,
			step_number, step_input, step_reply, turn_meta, saved_at,
			CASE turn_status WHEN 'running' THEN clock_timestamp() END
		FROM messages WHERE conversation_id = $1 AND dropped_at IS NULL ORDER BY turn_number`, row)
	if err != nil {
		return nil, err
	}
	if slices.ContainsFunc(files, func(ids []string) bool { return len(ids) > 0 }) {
		kept, err := s.attachments(ctx, row)
		if err != nil {
			return nil, err
		}
		for i, ids := range files {
			for _, id := range ids {
				if a, ok := kept[id]; ok {
					turns[i].Attachments = append(turns[i].Attachments, a)
				}
			}
		}
	}
	numberRest(turns)
	return turns, nil
}

// numberRest puts the turns without a number after the others, in the order of their creation, and numbers them.
func numberRest(turns []conversation.Turn) {
	last := 0
	for _, t := range turns {
		last = max(last, t.N)
	}
	slices.SortStableFunc(turns, func(a, b conversation.Turn) int {
		switch {
		case a.N != 0 && b.N != 0:
			return a.N - b.N
		case a.N == 0 && b.N == 0:
			return cmpCreated(a, b)
		case a.N == 0:
			return 1
		}
		return -1
	})
	for i := range turns {
		if turns[i].N == 0 {
			last++
			turns[i].N = last
		}
	}
}

func cmpCreated(a, b conversation.Turn) int {
	if c := a.CreatedAt.Compare(b.CreatedAt); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}

func scanTurn(r *sql.Rows) (t conversation.Turn, files []string, err error) {
	var meta string
	var step conversation.Step
	var readAt time.Time // of a running turn alone
	err = r.Scan(&t.ID, &t.Role, &t.Content, into(&meta), intoTime{&t.CreatedAt}, into(&t.N), into(&t.Status),
		into(&t.Tool), into(&t.Model), into(&t.Provider), into(&t.FinishReason), into(&t.Usage.InputTokens),
		into(&t.Usage.CachedTokens), into(&t.Usage.OutputTokens), into(&t.Usage.ReasoningTokens), into(&t.Usage.CostUSD),
		into(&t.Reasoning), into(&step.Tool), into(&step.Number), intoJSON{&step.Input}, intoJSON{&step.Reply}, intoJSON{&t.Meta},
		intoTime{&t.SavedAt}, intoTime{&readAt})
	if err != nil {
		return t, nil, err
	}
	t.Orphaned = t.Status == conversation.TurnRunning && !conversation.Alive(t.SavedAt, readAt)
	if step.Tool != "" {
		t.Step = &step
	}
	m := readMetadata(meta)
	if t.Status == "" { // a row of the original's
		t.Status = conversation.TurnComplete
		t.Tool, t.Model, t.Provider = m.ToolName, m.model(), m.provider()
	}
	return t, m.FileIDs, nil
}

// metadata is what we read and write of the metadata column of messages and conversations: the original's own keys.
type metadata struct {
	FileIDs      []string `json:"file_ids,omitempty"`
	ToolName     string   `json:"tool_name,omitempty"`
	ModelUsed    string   `json:"model_used,omitempty"`
	ProviderUsed string   `json:"provider_used,omitempty"`
	Model        struct {
		ModelUsed     string `json:"model_used,omitempty"`
		ModelName     string `json:"model_name,omitempty"`
		ProviderUsed  string `json:"provider_used,omitempty"`
		ModelProvider string `json:"model_provider,omitempty"`
	} `json:"model_metadata,omitzero"`
}

// readMetadata reads what it can: another program may have put anything there.
func readMetadata(raw string) (m metadata) {
	if len(raw) > len(`{}`) {
		_ = json.Unmarshal([]byte(raw), &m) // what does not fit stays empty
	}
	return m
}

func (m metadata) model() string {
	return cmp.Or(m.ModelUsed, m.Model.ModelUsed, m.Model.ModelName)
}

func (m metadata) provider() string {
	return cmp.Or(m.ProviderUsed, m.Model.ProviderUsed, m.Model.ModelProvider)
}

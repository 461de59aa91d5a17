package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Load returns a conversation with its turns and attachments, or conversation.ErrNotFound.
//
// Rows that have the original's columns alone are complete turns, in the order of their creation, after the numbered ones.
func (s *Store) Load(ctx context.Context, id string) (*conversation.Conversation, error) {
	return s.load(ctx, id, s.allTurns)
}

// LoadLatest is Load with the latest turns alone, those that have so many bytes at least. A conversation with rows that have
// no number is read whole: the next Append numbers them.
func (s *Store) LoadLatest(ctx context.Context, id string, bytes int) (*conversation.Conversation, error) {
	return s.load(ctx, id, func(ctx context.Context, row string) ([]conversation.Turn, int, error) {
		return s.latestTurns(ctx, row, bytes)
	})
}

// load reads a conversation; turns reads the turns of its row, and counts those before them that it leaves out.
func (s *Store) load(ctx context.Context, id string,
	turns func(ctx context.Context, row string) ([]conversation.Turn, int, error),
) (*conversation.Conversation, error) {
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
		th.Turns, th.Earlier, err = turns(ctx, row)
		return err
	})
	if err != nil {
		return nil, err
	}
	return th, nil
}

// allTurns reads the turns of the conversation with this row id, dropped ones left out.
func (s *Store) allTurns(ctx context.Context, row string) ([]conversation.Turn, int, error) {
	r := turnReader{store: s, row: row}
	turns, err := r.read(ctx, `ORDER BY turn_number`)
	numberRest(turns)
	return turns, 0, err
}

// countEarlier counts the turns before one in an index that has all it needs; the plus keeps it from the one by turn numbers.
const countEarlier = `SELECT count(*) FROM messages WHERE conversation_id = $1 AND dropped_at IS NULL AND +turn_number < $2`

// latestChunk is how many turns latestTurns reads at least with one query, a tenth of what it reads at most.
const latestChunk = 250

// latestTurns reads the latest turns of a conversation from the end, until they have enough bytes and the latest answer is
// among them.
func (s *Store) latestTurns(ctx context.Context, row string, enough int) (turns []conversation.Turn, earlier int, err error) {
	var unnumbered bool
	if err := s.read.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM messages WHERE conversation_id = $1 AND turn_number IS NULL)`,
		row).Scan(&unnumbered); err != nil {
		return nil, 0, err
	}
	if unnumbered {
		return s.allTurns(ctx, row)
	}
	r := turnReader{store: s, row: row}
	answered := false
	for bytes, before, limit := 0, math.MaxInt32, latestChunk; bytes < enough || !answered; before = turns[len(turns)-1].N {
		if bytes > 0 { // as many as are missing, if they are as long, and some more
			limit = min(max(latestChunk, (enough-bytes)*len(turns)/bytes*11/10), 10*latestChunk)
		}
		some, err := r.read(ctx, `AND turn_number < $2 ORDER BY turn_number DESC LIMIT $3`, before, limit)
		if err != nil {
			return nil, 0, err
		}
		for _, t := range some {
			bytes += t.Bytes()
			answered = answered || t.Role == providers.RoleAssistant && t.Model != ""
		}
		turns = append(turns, some...)
		if len(some) < limit {
			slices.Reverse(turns)
			return turns, 0, nil
		}
	}
	slices.Reverse(turns)
	err = s.read.QueryRowContext(ctx, countEarlier, row, turns[0].N).Scan(&earlier)
	return turns, earlier, err
}

// turnReader reads turns of one conversation, and its attachments once, when a turn has some.
type turnReader struct {
	store *Store
	row   string
	kept  map[string]conversation.Attachment // by id; nil before they are read
}

// read reads the turns that the end of a query selects, dropped ones left out.
func (t *turnReader) read(ctx context.Context, end string, args ...any) ([]conversation.Turn, error) {
	var files [][]string // ids, for each turn
	turns, err := queryAll(ctx, t.store.read, func(r *sql.Rows) (conversation.Turn, error) {
		t, ids, err := scanTurn(r)
		files = append(files, ids)
		return t, err
	}, `SELECT id, role, content, metadata, created_at, turn_number, turn_status, tool_name, model_used, provider_used,
			finish_reason, input_tokens, cached_tokens, output_tokens, reasoning_tokens, cost_usd, reasoning, step_tool,
			step_number, step_input, step_reply, turn_meta, saved_at,
			CASE turn_status WHEN 'running' THEN clock_timestamp() END
		FROM messages WHERE conversation_id = $1 AND dropped_at IS NULL `+end, append([]any{t.row}, args...)...)
	if err != nil {
		return nil, err
	}
	if t.kept == nil && slices.ContainsFunc(files, func(ids []string) bool { return len(ids) > 0 }) {
		if t.kept, err = t.store.attachments(ctx, t.row); err != nil {
			return nil, err
		}
	}
	for i, ids := range files {
		for _, id := range ids {
			if a, ok := t.kept[id]; ok {
				turns[i].Attachments = append(turns[i].Attachments, a)
			}
		}
	}
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

package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Load returns a thread with its turns and attachments, or conversation.ErrNotFound.
//
// Rows that have the original's columns alone are complete turns, in the order of their creation, after the numbered ones.
func (s *Store) Load(ctx context.Context, id string) (*conversation.Thread, error) {
	th := &conversation.Thread{ID: text(id)}
	err := s.look(ctx, "load a conversation", func() error {
		var row, meta string
		err := s.read.QueryRowContext(ctx, `SELECT id, title, tool_name, workspace, created_at, updated_at, metadata
			FROM conversations WHERE continuation_id = $1`, th.ID).
			Scan(&row, into(&th.Title), into(&th.Tool), into(&th.Workspace), intoTime{&th.CreatedAt}, intoTime{&th.UpdatedAt},
				into(&meta))
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
	turns, err := all(ctx, s.read, func(r *sql.Rows) (conversation.Turn, error) {
		t, ids, err := scanTurn(r)
		files = append(files, ids)
		return t, err
	}, `SELECT id, role, content, metadata, created_at, turn_number, turn_status, tool_name, model_used, provider_used,
			finish_reason, usage, reasoning, step_tool, step_number, step_input, step_reply, turn_meta, saved_at
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
	var meta, usage string
	var step conversation.Step
	err = r.Scan(&t.ID, &t.Role, &t.Content, into(&meta), intoTime{&t.CreatedAt}, into(&t.N), into(&t.Status),
		into(&t.Tool), into(&t.Model), into(&t.Provider), into(&t.FinishReason), into(&usage), into(&t.Reasoning),
		into(&step.Tool), into(&step.Number), intoJSON{&step.Input}, intoJSON{&step.Reply}, intoJSON{&t.Meta},
		intoTime{&t.SavedAt})
	if err != nil {
		return t, nil, err
	}
	if usage != "" {
		if err := json.Unmarshal([]byte(usage), &t.Usage); err != nil {
			return t, nil, fmt.Errorf("usage of turn %s: %w", t.ID, err)
		}
	}
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

// Append stores turns at a thread's end, in one transaction, and returns them with N, ID and times filled in. A CreatedAt
// or SavedAt that is set is kept.
func (s *Store) Append(ctx context.Context, n conversation.NewTurns) ([]conversation.Turn, error) {
	if n.ThreadID == "" {
		return nil, errors.New("append turns: no thread id")
	}
	turns, err := prepareTurns(n.Turns)
	if err != nil {
		return nil, fmt.Errorf("append turns: %w", err)
	}
	err = s.change(ctx, "append turns", func(tx *sql.Tx) error {
		blobs := blobsOf(turns)
		if len(blobs) > 0 { // before the thread's row is locked, as in Delete
			if err := locked(ctx, tx, s.d.share, lockBlobs); err != nil {
				return err
			}
		}
		row, err := lockThread(ctx, tx, n)
		if err != nil {
			return err
		}
		last, err := numberRows(ctx, tx, row)
		if err != nil {
			return err
		}
		if n.DropStepsFrom > 0 {
			if err := dropSteps(ctx, tx, row, n.DropStepsTool, n.DropStepsFrom); err != nil {
				return err
			}
		}
		if err := keepBlobs(ctx, tx, blobs); err != nil {
			return err
		}
		for i := range turns {
			turns[i].N = last + 1 + i
		}
		for some := range slices.Chunk(turns, maxInsert) {
			if err := insertTurns(ctx, tx, row, text(n.ThreadID), some); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return turns, nil
}

// prepareTurns fills in what the database needs and checks what it would refuse.
func prepareTurns(in []conversation.Turn) ([]conversation.Turn, error) {
	at := now()
	out := slices.Clone(in)
	for i := range out {
		t := &out[i]
		if !slices.Contains([]providers.Role{providers.RoleUser, providers.RoleAssistant, providers.RoleSystem}, t.Role) {
			return nil, fmt.Errorf("a turn's role is user, assistant or system, not %q", t.Role)
		}
		if t.ID == "" {
			t.ID = uuid.NewString()
		}
		id, err := uuid.Parse(t.ID)
		if err != nil {
			return nil, fmt.Errorf("a turn's id %q is no uuid", t.ID)
		}
		t.ID = id.String()
		if t.Status == "" {
			t.Status = conversation.TurnComplete
		}
		// A microsecond apart, so that the order of creation is the order of the turns.
		t.CreatedAt = timeOr(t.CreatedAt, at.Add(time.Duration(i)*time.Microsecond))
		t.SavedAt = timeOr(t.SavedAt, at)
		t.Attachments = slices.Clone(t.Attachments)
		for j := range t.Attachments {
			if err := fillAttachment(&t.Attachments[j]); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

func timeOr(t, or time.Time) time.Time {
	if t.IsZero() {
		return or
	}
	return t.UTC().Truncate(time.Microsecond)
}

// lockThread makes a thread that is not there yet, keeps other writers off it until the transaction ends, and returns its
// row id. What a thread found here lacks is filled in.
func lockThread(ctx context.Context, tx querier, n conversation.NewTurns) (row string, err error) {
	err = tx.QueryRowContext(ctx, `INSERT INTO conversations
			(id, continuation_id, title, tool_name, workspace, metadata, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, '{}', $6, $6)
		ON CONFLICT (continuation_id) DO UPDATE SET updated_at = excluded.updated_at,
			title = coalesce(conversations.title, excluded.title),
			tool_name = coalesce(conversations.tool_name, excluded.tool_name),
			workspace = coalesce(conversations.workspace, excluded.workspace)
		RETURNING id`,
		uuid.NewString(), text(n.ThreadID), textOrNull(n.Title), textOrNull(n.Tool), textOrNull(n.Workspace),
		stamp(now())).Scan(&row)
	return row, err
}

// numberRows numbers the rows that another program added, and returns the thread's last number.
func numberRows(ctx context.Context, tx querier, row string) (last int, err error) {
	var rest int
	err = tx.QueryRowContext(ctx, `SELECT coalesce(max(turn_number), 0), count(*) - count(turn_number)
		FROM messages WHERE conversation_id = $1`, row).Scan(&last, &rest)
	if err != nil || rest == 0 {
		return last, err
	}
	_, err = tx.ExecContext(ctx, `UPDATE messages SET turn_number = o.n + $1
		FROM (SELECT id, row_number() OVER (ORDER BY created_at, id) AS n
			FROM messages WHERE conversation_id = $2 AND turn_number IS NULL) o
		WHERE messages.id = o.id`, last, row)
	return last + rest, err
}

// dropSteps flags the turns of a workflow's steps from a number on, with what came with them.
func dropSteps(ctx context.Context, tx querier, row, tool string, from int) error {
	turns, err := all(ctx, tx, func(r *sql.Rows) (conversation.Turn, error) {
		var t conversation.Turn
		var step conversation.Step
		err := r.Scan(&t.ID, &t.Role, into(&step.Tool), into(&step.Number))
		if step.Tool != "" {
			t.Step = &step
		}
		return t, err
	}, `SELECT id, role, step_tool, step_number FROM messages
		WHERE conversation_id = $1 AND dropped_at IS NULL ORDER BY turn_number`, row)
	if err != nil {
		return err
	}
	ids := stepsFrom(turns, tool, from)
	if len(ids) == 0 {
		return nil
	}
	var w where
	set := w.fill(`UPDATE messages SET dropped_at = ?`, stamp(now()))
	w.and(`id IN (`+marks(len(ids))+`)`, ids...)
	_, err = tx.ExecContext(ctx, set+w.clause(), w.args...)
	return err
}

// stepsFrom picks the ids of a tool's steps with a number of at least from, and of the turns that came with them: those
// that follow, up to the next step or the next thing that the user said.
func stepsFrom(turns []conversation.Turn, tool string, from int) (ids []any) {
	with := false
	for _, t := range turns {
		if t.Step != nil || t.Role == providers.RoleUser {
			with = t.Step != nil && t.Step.Tool == tool && t.Step.Number >= from
		}
		if with {
			ids = append(ids, t.ID)
		}
	}
	return ids
}

// maxInsert is how many turns one statement stores. Both databases bound its arguments, and SQLite slows down with many.
const maxInsert = 25

// insertTurns stores numbered turns and links their files.
func insertTurns(ctx context.Context, tx querier, row, thread string, turns []conversation.Turn) error {
	var w where
	var rows []string
	for _, t := range turns {
		var m metadata
		for _, a := range t.Attachments {
			id, err := linkFile(ctx, tx, row, thread, a)
			if err != nil {
				return err
			}
			m.FileIDs = append(m.FileIDs, id)
		}
		meta, err := json.Marshal(m)
		if err != nil {
			return err
		}
		v, err := savedColumns(t)
		if err != nil {
			return err
		}
		args := []any{
			t.ID, row, string(t.Role), v.content, string(meta), stamp(t.CreatedAt), t.N, textOrNull(t.Tool), v.model,
			v.provider, v.status, v.finish, v.usage, v.reasoning, v.stepTool, v.stepNumber, v.stepInput, v.stepReply, v.meta,
			stamp(t.SavedAt),
		}
		rows = append(rows, `(`+w.fill(marks(len(args)), args...)+`)`)
	}
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO messages (id, conversation_id, role, content, metadata, created_at,
			turn_number, tool_name, model_used, provider_used, turn_status, finish_reason, usage, reasoning, step_tool,
			step_number, step_input, step_reply, turn_meta, saved_at)
		VALUES `+strings.Join(rows, ", "), w.args...)
	return err
}

// saved is the part of a turn that Save writes anew, as column values.
type saved struct {
	content                                    string
	model, provider, status, finish, reasoning any
	usage, meta                                any
	stepTool, stepNumber, stepInput, stepReply any
}

func savedColumns(t conversation.Turn) (v saved, err error) {
	v = saved{
		content: text(t.Content), model: textOrNull(t.Model), provider: textOrNull(t.Provider),
		status: textOrNull(t.Status), finish: textOrNull(t.FinishReason), reasoning: textOrNull(t.Reasoning),
	}
	if t.Usage != (providers.Usage{}) {
		usage, err := json.Marshal(t.Usage)
		if err != nil {
			return v, err
		}
		v.usage = string(usage)
	}
	if v.meta, err = jsonText("a turn's meta", t.Meta); err != nil {
		return v, err
	}
	if t.Step == nil {
		return v, nil
	}
	v.stepTool, v.stepNumber = textOrNull(t.Step.Tool), t.Step.Number
	if v.stepInput, err = jsonText("a step's input", t.Step.Input); err != nil {
		return v, err
	}
	v.stepReply, err = jsonText("a step's reply", t.Step.Reply)
	return v, err
}

// Save writes a stored turn's Content, Reasoning, Status, FinishReason, Usage, Meta and Step anew, Model and Provider where
// they are set, and the current time as SavedAt.
func (s *Store) Save(ctx context.Context, threadID string, t conversation.Turn) error {
	if t.Status == "" {
		t.Status = conversation.TurnComplete
	}
	v, err := savedColumns(t)
	if err != nil {
		return fmt.Errorf("save a turn: %w", err)
	}
	id, err := uuid.Parse(t.ID)
	if err != nil {
		return fmt.Errorf("save a turn: %w", conversation.ErrNotFound)
	}
	return s.change(ctx, "save a turn", func(tx *sql.Tx) error {
		at := stamp(now())
		if _, err := tx.ExecContext(ctx, `UPDATE conversations SET updated_at = $1 WHERE continuation_id = $2`,
			at, text(threadID)); err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, `UPDATE messages SET content = $1, reasoning = $2, turn_status = $3,
				finish_reason = $4, usage = $5, turn_meta = $6, step_tool = $7, step_number = $8, step_input = $9,
				step_reply = $10, model_used = coalesce($11, model_used), provider_used = coalesce($12, provider_used),
				saved_at = $13
			WHERE id = $14 AND dropped_at IS NULL
				AND conversation_id = (SELECT id FROM conversations WHERE continuation_id = $15)`,
			v.content, v.reasoning, v.status, v.finish, v.usage, v.meta, v.stepTool, v.stepNumber, v.stepInput,
			v.stepReply, v.model, v.provider, at, id.String(), text(threadID))
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return errors.Join(err, conversation.ErrNotFound)
		}
		return nil
	})
}

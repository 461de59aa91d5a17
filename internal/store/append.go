package store

import (
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

// Append stores turns at a conversation's end, in one transaction, and returns them with N, ID and times filled in. A CreatedAt
// that is set is kept; SavedAt is the database's clock.
func (s *Store) Append(ctx context.Context, n conversation.NewTurns) ([]conversation.Turn, error) {
	if n.ConversationID == "" {
		return nil, errors.New("append turns: no conversation id")
	}
	turns, err := prepareTurns(n.Turns)
	if err != nil {
		return nil, fmt.Errorf("append turns: %w", err)
	}
	err = s.inTx(ctx, "append turns", func(tx *sql.Tx) error {
		blobs := blobsOf(turns)
		if len(blobs) > 0 { // before the conversation's row is locked, as in Delete
			if err := takeLock(ctx, tx, s.d.share, lockBlobs); err != nil {
				return err
			}
		}
		row, at, err := lockConversation(ctx, tx, n)
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
		if err := insertBlobs(ctx, tx, blobs); err != nil {
			return err
		}
		for i := range turns {
			turns[i].N, turns[i].SavedAt = last+1+i, at
		}
		for some := range slices.Chunk(turns, maxInsert) {
			if err := insertTurns(ctx, tx, row, text(n.ConversationID), some); err != nil {
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
			return nil, fmt.Errorf("a turn's id %q is not a UUID", t.ID)
		}
		t.ID = id.String()
		if t.Status == "" {
			t.Status = conversation.TurnComplete
		}
		// A microsecond apart, so that the order of creation is the order of the turns.
		t.CreatedAt = timeOr(t.CreatedAt, at.Add(time.Duration(i)*time.Microsecond))
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

// lockConversation makes a conversation that is not there yet, keeps other writers off it until the transaction ends, and returns
// its row id and the database's clock. What a conversation found here lacks is filled in. A conversation that must be there and is not is ErrNotFound; the
// transaction, and with it the row, is then to be given up.
func lockConversation(ctx context.Context, tx querier, n conversation.NewTurns) (row string, at time.Time, err error) {
	id := uuid.NewString()
	err = tx.QueryRowContext(ctx, `INSERT INTO conversations
			(id, continuation_id, title, tool_name, workspace, host, user_name, metadata, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $7, $8, '{}', $6, $6)
		ON CONFLICT (continuation_id) DO UPDATE SET updated_at = excluded.updated_at,
			title = coalesce(conversations.title, excluded.title),
			tool_name = coalesce(conversations.tool_name, excluded.tool_name),
			workspace = coalesce(conversations.workspace, excluded.workspace)
		RETURNING id, clock_timestamp()`,
		id, text(n.ConversationID), textOrNull(n.Title), textOrNull(n.Tool), textOrNull(n.Workspace), stamp(now()),
		textOrNull(n.Host), textOrNull(n.User)).Scan(&row, intoTime{&at})
	if err == nil && n.Existing && row == id {
		err = conversation.ErrNotFound
	}
	return row, at, err
}

// numberRows numbers the rows that another program added, and returns the conversation's last number.
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
	turns, err := queryAll(ctx, tx, func(r *sql.Rows) (conversation.Turn, error) {
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
	w.and(`id IN (`+placeholders(len(ids))+`)`, ids...)
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
func insertTurns(ctx context.Context, tx querier, row, conv string, turns []conversation.Turn) error {
	var w where
	var rows []string
	for _, t := range turns {
		var m metadata
		for _, a := range t.Attachments {
			id, err := linkFile(ctx, tx, row, conv, a)
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
			v.provider, v.status, v.finish, v.input, v.cached, v.output, v.thought, v.cost, v.reasoning, v.stepTool,
			v.stepNumber, v.stepInput, v.stepReply, v.meta, stamp(t.SavedAt),
		}
		rows = append(rows, `(`+w.fill(placeholders(len(args)), args...)+`)`)
	}
	if len(rows) == 0 {
		return nil
	}
	_, err := tx.ExecContext(ctx, `INSERT INTO messages (id, conversation_id, role, content, metadata, created_at,
			turn_number, tool_name, model_used, provider_used, turn_status, finish_reason, input_tokens, cached_tokens,
			output_tokens, reasoning_tokens, cost_usd, reasoning, step_tool, step_number, step_input, step_reply, turn_meta, saved_at)
		VALUES `+strings.Join(rows, ", "), w.args...)
	return err
}

// saved is the part of a turn that Save writes again, as column values.
type saved struct {
	content                                    string
	model, provider, status, finish, reasoning any
	input, cached, output, thought, cost       any // NULL without any usage
	meta                                       any
	stepTool, stepNumber, stepInput, stepReply any
}

func savedColumns(t conversation.Turn) (v saved, err error) {
	v = saved{
		content: text(t.Content), model: textOrNull(t.Model), provider: textOrNull(t.Provider),
		status: textOrNull(t.Status), finish: textOrNull(t.FinishReason), reasoning: textOrNull(t.Reasoning),
	}
	if u := t.Usage; u != (providers.Usage{}) {
		v.input, v.cached, v.output, v.thought, v.cost = u.InputTokens, u.CachedTokens, u.OutputTokens, u.ReasoningTokens, u.CostUSD
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

// Save writes a stored turn's Content, Reasoning, Status, FinishReason, Usage, Meta and Step again, Model and Provider where
// they are set, and the database's clock as SavedAt. A turn that has ended does not become a running one again, whoever ended it:
// that is conversation.ErrNotFound.
func (s *Store) Save(ctx context.Context, conversationID string, t conversation.Turn) error {
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
	return s.inTx(ctx, "save a turn", func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `UPDATE conversations SET updated_at = $1 WHERE continuation_id = $2`,
			stamp(now()), text(conversationID)); err != nil {
			return err
		}
		done, err := tx.ExecContext(ctx, `UPDATE messages SET content = $1, reasoning = $2, turn_status = $3,
				finish_reason = $4, input_tokens = $5, cached_tokens = $6, output_tokens = $7, reasoning_tokens = $8,
				cost_usd = $9, turn_meta = $10, step_tool = $11, step_number = $12, step_input = $13, step_reply = $14,
				model_used = coalesce($15, model_used), provider_used = coalesce($16, provider_used), saved_at = clock_timestamp()
			WHERE id = $17 AND dropped_at IS NULL AND ($3 <> 'running' OR turn_status = 'running')
				AND conversation_id = (SELECT id FROM conversations WHERE continuation_id = $18)`,
			v.content, v.reasoning, v.status, v.finish, v.input, v.cached, v.output, v.thought, v.cost, v.meta, v.stepTool,
			v.stepNumber, v.stepInput, v.stepReply, v.model, v.provider, id.String(), text(conversationID))
		if err != nil {
			return err
		}
		n, err := done.RowsAffected()
		if err == nil && n == 0 {
			err = conversation.ErrNotFound
		}
		return err
	})
}

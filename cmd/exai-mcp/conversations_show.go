package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/review"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

func (a *app) conversationsShowCommand() *cobra.Command {
	var turn int
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "show ID",
		Short: "Show a conversation with its turns, files and issues, or one turn",
		Args:  argumentRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if cmd.Flags().Changed("turn") && turn < 1 {
				return fmt.Errorf("--turn %d: turns are numbered from 1", turn)
			}
			return a.withStore(cmd.Context(), func(_ *config.Config, s *store.Store) error {
				t, err := loadConversation(cmd.Context(), s, args[0])
				if err != nil {
					return err
				}
				if turn > 0 {
					if err := keepTurn(t, turn); err != nil {
						return err
					}
				}
				switch {
				case asJSON:
					return a.printJSON(conversationJSON(t, false))
				case turn > 0:
					return a.print(turnText(t.Turns[0]))
				}
				return a.printConversation(cmd.Context(), s, t, time.Local)
			})
		},
	}
	cmd.Flags().IntVar(&turn, "turn", 0, "print the content of this turn alone; for a workflow step, also its arguments and its reply")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// keepTurn removes all turns of a conversation but one.
func keepTurn(t *conversation.Conversation, n int) error {
	last := 0
	for _, turn := range t.Turns {
		if turn.N == n {
			t.Turns = []conversation.Turn{turn}
			return nil
		}
		last = turn.N
	}
	return failure{fmt.Errorf("conversation %s has no turn %d; its last one is %d", t.ID, n, last)}
}

func (a *app) conversationsExportCommand() *cobra.Command {
	var form format
	cmd := &cobra.Command{
		Use:   "export ID --json|--markdown",
		Short: "Export a conversation in full; JSON has the files sent in it",
		Args:  argumentRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if !form.json && !form.markdown {
				return errors.New("conversations export: expected a format, --json or --markdown")
			}
			return a.withStore(cmd.Context(), func(_ *config.Config, s *store.Store) error {
				t, err := loadConversation(cmd.Context(), s, args[0])
				if err != nil {
					return err
				}
				if form.json {
					return a.printJSON(conversationJSON(t, true))
				}
				return a.printConversation(cmd.Context(), s, t, time.UTC)
			})
		},
	}
	form.flags(cmd)
	return cmd
}

// printConversation prints a whole conversation, with the issues that it has to do with, and its times in a zone.
func (a *app) printConversation(ctx context.Context, s *store.Store, t *conversation.Conversation, zone *time.Location) error {
	issues, err := issue.All(ctx, s.Issues(), issue.Filter{ConversationID: t.ID})
	if err != nil {
		return err
	}
	page := conversation.Page{Conversation: *t, Zone: zone}
	for _, i := range issues {
		page.Issues = append(page.Issues, fmt.Sprintf("#%d %s (%s, %s)", i.Number, i.Title, i.Severity, i.Status))
	}
	return a.print(page.Markdown())
}

// turnText is what was said in one turn, as it is; a workflow step has its arguments and its reply below it.
func turnText(t conversation.Turn) string {
	text := strings.TrimRight(t.Content, "\n") + "\n"
	if t.Step != nil {
		text += fmt.Sprintf("\nArguments\n\n%s\n\nReply\n\n%s\n", pretty(t.Step.Input), pretty(t.Step.Reply))
	}
	return text
}

func pretty(raw json.RawMessage) string {
	var b bytes.Buffer
	if err := json.Indent(&b, raw, "", "  "); err != nil {
		return string(raw)
	}
	return b.String()
}

type summaryRecord struct {
	ID        string    `json:"id"`
	Title     string    `json:"title"`
	Tool      string    `json:"tool"`
	Model     string    `json:"model"`
	Workspace string    `json:"workspace"`
	Host      string    `json:"host,omitempty"`
	Turns     int       `json:"turns"`
	Running   bool      `json:"running"`
	CreatedAt time.Time `json:"created_at,omitzero"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	Excerpt   string    `json:"excerpt,omitempty"`
}

// printSummaries prints a list as an indented JSON array, one by one as they are read.
func (a *app) printSummaries(list iter.Seq2[conversation.Summary, error]) error {
	out := bufio.NewWriterSize(writerFunc(func(text []byte) error { return a.write(string(text)) }), 64<<10)
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("  ", "  ")
	before, last := "[\n  ", "[]\n"
	for t, err := range list {
		if err != nil {
			return err
		}
		b.Reset()
		if err := enc.Encode(summaryRecord(t)); err != nil {
			return failure{err}
		}
		if _, err := out.WriteString(before + plainJSON(bytes.TrimSuffix(b.Bytes(), []byte("\n")))); err != nil {
			return err
		}
		before, last = ",\n  ", "\n]\n"
	}
	if _, err := out.WriteString(last); err != nil {
		return err
	}
	return out.Flush()
}

type conversationRecord struct {
	ID        string       `json:"id"`
	Title     string       `json:"title"`
	Tool      string       `json:"tool"`
	Workspace string       `json:"workspace"`
	CreatedAt time.Time    `json:"created_at,omitzero"`
	UpdatedAt time.Time    `json:"updated_at,omitzero"`
	Turns     []turnRecord `json:"turns"`
}

type turnRecord struct {
	N            int                    `json:"turn"`
	ID           string                 `json:"id"`
	Role         providers.Role         `json:"role"`
	Status       string                 `json:"status"`
	FinishReason providers.FinishReason `json:"finish_reason,omitempty"`
	Tool         string                 `json:"tool,omitempty"`
	Model        string                 `json:"model,omitempty"`
	Provider     string                 `json:"provider,omitempty"`
	CreatedAt    time.Time              `json:"created_at,omitzero"`
	Usage        *providers.Usage       `json:"usage,omitempty"`
	Content      string                 `json:"content"`
	Reasoning    string                 `json:"reasoning,omitempty"`
	Files        []fileRecord           `json:"files,omitempty"`
	Step         *stepRecord            `json:"step,omitempty"`
	Meta         json.RawMessage        `json:"metadata,omitempty"`
}

type fileRecord struct {
	Path   string  `json:"path,omitempty"`
	MIME   string  `json:"mime_type"`
	Size   int64   `json:"size_bytes"`
	SHA256 string  `json:"sha256"`
	Text   *string `json:"text,omitempty"`
	Base64 []byte  `json:"base64,omitempty"`
}

type stepRecord struct {
	Tool   string          `json:"tool"`
	Number int             `json:"number"`
	Input  json.RawMessage `json:"input,omitempty"`
	Reply  json.RawMessage `json:"reply,omitempty"`
}

// conversationJSON is a conversation as JSON, with the files' content if that is asked for.
func conversationJSON(t *conversation.Conversation, whole bool) ([]byte, error) {
	out := conversationRecord{
		ID: t.ID, Title: t.Title, Tool: t.Tool, Workspace: t.Workspace, CreatedAt: t.CreatedAt, UpdatedAt: t.UpdatedAt,
		Turns: []turnRecord{},
	}
	for _, turn := range t.Turns {
		r := turnRecord{
			N: turn.N, ID: turn.ID, Role: turn.Role, Status: string(turn.EffectiveStatus()), FinishReason: turn.FinishReason,
			Tool: turn.Tool, Model: turn.Model, Provider: turn.Provider, CreatedAt: turn.CreatedAt, Content: turn.Content,
			Reasoning: turn.Reasoning, Meta: turn.Meta,
		}
		if turn.Usage != (providers.Usage{}) {
			r.Usage = &turn.Usage
		}
		if turn.Step != nil {
			r.Step = &stepRecord{turn.Step.Tool, turn.Step.Number, turn.Step.Input, turn.Step.Reply}
		}
		for _, f := range turn.Attachments {
			r.Files = append(r.Files, fileOf(f, whole))
		}
		out.Turns = append(out.Turns, r)
	}
	return review.IndentedJSON(out)
}

func fileOf(f conversation.Attachment, whole bool) fileRecord {
	r := fileRecord{Path: f.Path, MIME: f.MIME, Size: f.Size, SHA256: f.SHA256}
	switch {
	case !whole:
	case utf8.Valid(f.Data):
		text := string(f.Data)
		r.Text = &text
	default:
		r.Base64 = f.Data
	}
	return r
}

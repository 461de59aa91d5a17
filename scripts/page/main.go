// Command page fills the store of a state folder with invented calls, conversations and issues, for the browser test of the
// local page, its pictures and its benchmark.
package main

import (
	"context"
	"database/sql"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

func main() {
	dir := flag.String("dir", "", "state folder")
	requests := flag.Int("requests", 4000, "how many requests of the last 30 days")
	issues := flag.Int("issues", 14, "how many issues")
	pictures := flag.Bool("pictures", false, "for pictures: nothing hostile, and little on weekends")
	elsewhere := flag.Bool("elsewhere", false, "instead, be another machine whose requests are under way, until killed")
	flag.Parse()
	ctx := context.Background()
	err := errors.New("-dir is required")
	switch {
	case *dir == "":
	case *elsewhere:
		err = work(ctx, *dir)
	default:
		err = fill(ctx, *dir, *requests, *issues, *pictures)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "page:", err)
		os.Exit(1)
	}
}

// fill makes the store and what is in it.
func fill(ctx context.Context, dir string, requests, issues int, pictures bool) error {
	s, err := store.Open(ctx, config.Conversations{Backend: "sqlite", StateDir: dir})
	if err != nil {
		return err
	}
	if err := talk(ctx, s); err != nil {
		return err
	}
	if err := track(ctx, s, min(issues, 14)); err != nil {
		return err
	}
	if !pictures {
		if err := attack(ctx, s); err != nil {
			return err
		}
	}
	if err := s.Close(); err != nil {
		return err
	}
	return bulk(ctx, filepath.Join(dir, "exai.db"), requests, issues-14, pictures)
}

// work keeps two requests under way, as the server of another machine with a limit for the day does.
func work(ctx context.Context, dir string) error {
	s, err := store.Open(ctx, config.Conversations{Backend: "sqlite", StateDir: dir})
	if err != nil {
		return err
	}
	var ids []string
	for i, tool := range []string{"precommit", "consensus"} {
		id, _, err := s.Usage().Reserve(ctx, usage.Reservation{
			AmountUSD: 0.04, LimitUSD: 1000,
			Request: usage.Request{Host: "build-7", User: "ci", Tool: tool, Vendor: "glm", Model: "glm-5.3", ConversationID: id(5 + i)},
		})
		if err != nil {
			return err
		}
		ids = append(ids, id)
	}
	for {
		if err := s.Usage().Beat(ctx, ids); err != nil {
			return err
		}
		time.Sleep(usage.BeatEvery)
	}
}

var topics = []struct{ title, tool, question, answer string }{
	{"Review the retry loop before release", "codereview", "Is the backoff in client.go right?", "The loop is sound, but the jitter is drawn before the cap is applied, so that late waits are all equal. Draw it after."},
	{"Windows of Sums are off by one", "debug", "Sums([1 2 3], 2) misses the last window.", "The loop ends at len(xs)-n where it must include it: use <= in line 12."},
	{"SQLite or PostgreSQL for a team of twelve?", "consensus", "Which store fits a small team?", "PostgreSQL, since twelve machines write. SQLite stays right for one."},
	{"Split the parser", "refactor", "parse.go has 900 lines.", "Three parts are independent: tokens, expressions, statements."},
	{"Do we leak goroutines on cancel?", "thinkdeep", "The worker waits on two channels.", "It does when both are ready: the second send has no reader. Give it a buffer of one."},
	{"Audit the upload handler", "secaudit", "Check upload.go for path traversal.", "The name is joined before it is cleaned. Resolve first, then open below the root."},
	{"Tests for the calendar", "testgen", "Cover leap years and time zones.", "Nine cases, of which two fail today: 29 February in New Zealand, and the hour that does not exist."},
	{"What is idempotence?", "chat", "Explain idempotence with one example.", "Doing it twice is as doing it once: PUT replaces, POST adds."},
}

// hostile is an answer that tries to be more than text.
const hostile = `<script>document.title = "broken"</script><img src="http://203.0.113.1/x.png" onerror="document.title='broken'">` +
	"\n\x1b[31mred\x1b[0m \u202etxt.exe\u202c\n"

func talk(ctx context.Context, s *store.Store) error {
	now := time.Now()
	for i, t := range topics {
		status := conversation.TurnComplete
		if i == 2 {
			status = conversation.TurnPartial
		}
		_, err := s.Append(ctx, conversation.NewTurns{
			ConversationID: id(i), Title: t.title, Tool: t.tool, Workspace: "/home/ada/engine", Host: "ada-laptop", User: "ada",
			Turns: []conversation.Turn{
				{
					Role: providers.RoleUser, Content: t.question, Tool: t.tool, CreatedAt: now.Add(-time.Duration(i) * 7 * time.Hour),
					Attachments: []conversation.Attachment{{Path: "/home/ada/engine/window.go", MIME: "text/x-go", Data: []byte(code)}},
				},
				{
					Role: providers.RoleAssistant, Content: t.answer, Tool: t.tool, Model: "glm-5.3", Provider: "glm", Status: status,
					Usage: providers.Usage{InputTokens: 18_400 + 900*i, OutputTokens: 2_300 + 210*i, CostUSD: 0.0359 + 0.003*float64(i)},
				},
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// attack stores what is hostile: a conversation with a line of 1 MB, an issue and a request, in every field that is free text.
func attack(ctx context.Context, s *store.Store) error {
	const id = "0badc0de-0000-4000-8000-000000000000"
	old := time.Now().AddDate(0, 0, -25)
	_, err := s.Append(ctx, conversation.NewTurns{
		ConversationID: id, Title: "A hostile answer " + hostile, Tool: "chat", Workspace: hostile, Host: hostile, User: hostile,
		Turns: []conversation.Turn{
			{Role: providers.RoleUser, Content: hostile, Tool: "chat", CreatedAt: old},
			{
				Role: providers.RoleAssistant, Content: hostile + strings.Repeat("wide", 1<<18), Tool: "chat", Model: hostile, Provider: "kimi",
				CreatedAt: old,
			},
		},
	})
	if err != nil {
		return err
	}
	if _, err := s.Issues().Create(ctx, issue.Issue{
		Title: hostile, Description: hostile + strings.Repeat("wide", 1<<18), Severity: issue.Low, Category: issue.Other, File: "/home/ada/" + hostile,
		RootCause: hostile, Impact: hostile, RecommendedFix: hostile, Quote: hostile + strings.Repeat("wide", 1<<10), ConversationID: id,
		Checklist: []issue.ChecklistStep{{Description: hostile + strings.Repeat("wide", 1<<10)}},
	}); err != nil {
		return err
	}
	return s.Usage().Record(ctx, usage.Request{
		Host: hostile, User: hostile, Tool: hostile, Vendor: "kimi", Model: hostile, Outcome: hostile, ExceededLimit: hostile, ConversationID: id,
		Workspace: hostile, InputTokens: 9, OutputTokens: 3, CostUSD: 0.0001,
	})
}

func id(i int) string { return fmt.Sprintf("5e55a0%02x-0000-4000-8000-000000000000", i) }

const code = `package window

// Sums returns the sums of all windows of n numbers.
func Sums(xs []int, n int) []int {
	var out []int
	sum := 0
	for i := 0; i < len(xs); i++ {
		sum += xs[i]
		if i >= n {
			sum -= xs[i-n]
		}
		if i > n-1 {
			out = append(out, sum)
		}
	}
	return out
}
`

var defects = []struct {
	title, description, cause, fix string
	severity                       issue.Severity
	topic                          int
}{
	{
		"The first window is never appended", "Sums([]int{1, 2, 3}, 2) returns [5] where [3 5] is right: the window that ends at index 1 is left out.",
		"A window is whole once n numbers are in it, which is at index n-1. The comparison asks for one more.", "Compare with >= n-1.", issue.High, 1,
	},
	{"Jitter is drawn before the cap", topics[0].answer, "The order of two lines.", "Cap the wait first, then draw.", issue.Medium, 0},
	{"Upload name is joined before it is cleaned", topics[5].answer, "The name is joined before it is checked.", "Use os.Root.", issue.Critical, 5},
	{"A send on cancel has no reader", topics[4].answer, "Both channels may be ready.", "Give the channel a buffer of one.", issue.High, 4},
	{"29 February fails in New Zealand", topics[6].answer, "The date is made in UTC.", "Make it in the calendar's zone.", issue.Medium, 6},
	{"parse.go mixes three grammars", topics[3].answer, "It grew.", "Split it by grammar.", issue.Low, 3},
	{"Response body is not closed", "Each failed request keeps its connection.", "The early return.", "Defer the close.", issue.High, 0},
}

func track(ctx context.Context, s *store.Store, n int) error {
	for i := range n {
		d := defects[i%len(defects)]
		made, err := s.Issues().Create(ctx, issue.Issue{
			Title: d.title, Description: d.description, Severity: d.severity, Category: issue.Other, File: "/home/ada/engine/window.go", LineStart: 12,
			LineEnd: 14, ConversationID: id(d.topic), RootCause: d.cause, Workspace: "/home/ada/engine", RecommendedFix: d.fix, Quote: "if i > n-1 {",
			Checklist: []issue.ChecklistStep{{Description: "Reproduce it with three numbers"}, {Description: "Fix the comparison"}},
		})
		if err != nil {
			return err
		}
		if i%4 == 3 {
			fixed := id((i + 1) % len(topics))
			if _, err := s.Issues().Update(ctx, made.Number, issue.Change{FixConversationID: &fixed, Note: "the test of three numbers passes"}); err != nil {
				return err
			}
		} else if err := s.Issues().Comment(ctx, made.Number, "Seen again in the nightly run.", id(0)); err != nil {
			return err
		}
	}
	return nil
}

// bulk adds rows past the store, which would take a transaction for each.
func bulk(ctx context.Context, path string, requests, issues int, pictures bool) error {
	db, err := sql.Open("sqlite", path) // registered by the store's imports
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }() // what was written is committed
	const numbers = `WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < $1) `
	if _, err := db.ExecContext(ctx, numbers+`INSERT INTO exai_usage (id, created_at, host, user_name, tool, vendor, model, input_tokens,
			cached_tokens, output_tokens, reasoning_tokens, cost_usd, duration_ms, outcome, exceeded_limit, conversation_id, workspace, billing)
		SELECT 'r' || i, strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-' || ((i * i * 7 + i * 2503) % 43200) || ' minutes'),
			CASE i % 3 WHEN 0 THEN 'build-7' ELSE 'ada-laptop' END, CASE i % 3 WHEN 0 THEN 'ci' ELSE 'ada' END,
			CASE i % 9 WHEN 0 THEN 'codereview' WHEN 1 THEN 'codereview' WHEN 2 THEN 'precommit' WHEN 3 THEN 'debug' WHEN 4 THEN 'consensus' WHEN 5 THEN 'thinkdeep' ELSE 'chat' END,
			CASE WHEN i % 5 < 3 THEN 'glm' ELSE 'kimi' END,
			CASE i % 5 WHEN 0 THEN 'glm-5.3' WHEN 1 THEN 'glm-5.3' WHEN 2 THEN 'glm-5.3-flash' WHEN 3 THEN 'kimi-k3.1-pro' ELSE 'kimi-for-coding' END,
			4000 + (i * 7919) % 30000, 900, 600 + (i * 104729) % 4000, 300,
			CASE i % 5 WHEN 4 THEN 0 ELSE 0.0008 + ((i * 7919) % 30000) / 1500000.0 END, 2500 + (i * 31) % 40000,
			CASE WHEN i % 97 = 0 THEN 'timeout' WHEN i % 211 = 0 THEN 'rate_limited' ELSE 'ok' END,
			CASE WHEN i % 291 = 0 THEN 'KIMI_TIMEOUT_SECS' WHEN i % 97 = 0 THEN 'EXPERT_ANALYSIS_TIMEOUT_SECS' END,
			'5e55a0' || printf('%02x', i % 8) || '-0000-4000-8000-000000000000', CASE i % 4 WHEN 0 THEN '/home/ada/parser' ELSE '/home/ada/engine' END,
			CASE i % 5 WHEN 4 THEN 'plan' END
		FROM n ORDER BY 2`, requests); err != nil {
		return fmt.Errorf("add requests: %w", err)
	}
	if pictures {
		if _, err := db.ExecContext(ctx, `DELETE FROM exai_usage WHERE rowid * 7919 % 100 >=
			CASE strftime('%w', created_at) WHEN '0' THEN 4 WHEN '6' THEN 9 ELSE 35 + 60 * (julianday(date(created_at)) * 7919 % 13) / 13 END`); err != nil {
			return fmt.Errorf("leave out requests: %w", err)
		}
	}
	if issues <= 0 {
		return nil
	}
	_, err = db.ExecContext(ctx, numbers+`INSERT INTO exai_issues (id, issue_number, title, description, severity, category, status, file_path,
			workspace, created_at, updated_at)
		SELECT 'i' || i, 1000 + i, 'Finding number ' || i, 'Invented.', CASE i % 4 WHEN 0 THEN 'critical' WHEN 1 THEN 'high' WHEN 2 THEN 'medium' ELSE 'low' END,
			'other', CASE i % 5 WHEN 0 THEN 'open' ELSE 'fixed' END, '/home/ada/engine/f' || (i % 500) || '.go', '/home/ada/engine',
			strftime('%Y-%m-%dT%H:%M:%f000Z', 'now', '-' || (i % 40000) || ' minutes'), strftime('%Y-%m-%dT%H:%M:%f000Z', 'now')
		FROM n`, issues)
	if err != nil {
		return fmt.Errorf("add issues: %w", err)
	}
	return nil
}

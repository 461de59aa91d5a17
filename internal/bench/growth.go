//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// steepest is the exponent of growth that still counts as linear: the time of a step of ten may be measured 40 % too long.
const steepest = 1.15

// series is how long something takes as something else grows.
type series struct {
	what, of string
	points   []point
}

type point struct {
	n    int
	took time.Duration
}

// exponent is the growth between the last two points, as the power of n; constant costs make the earlier ones flatter.
func (s series) exponent() float64 {
	a, b := s.points[len(s.points)-2], s.points[len(s.points)-1]
	return math.Log(float64(b.took)/float64(a.took)) / math.Log(float64(b.n)/float64(a.n))
}

func (s series) figure() figure {
	var points []string
	for _, p := range s.points {
		points = append(points, fmt.Sprintf("%d: %s", p.n, shown(p.took)))
	}
	e := s.exponent()
	return figure{
		what: s.what, value: fmt.Sprintf("n^%.2f", e), bound: fmt.Sprintf("at most n^%.2f", steepest), share: max(e, 0) / steepest,
		details: "by " + s.of + ": " + strings.Join(points, ", "),
	}
}

// large measures a store that a team has filled, on SQLite and on the PostgreSQL of EXAI_TEST_POSTGRES_URL, and how what reads
// it grows.
func (b *bench) large() ([]figure, error) {
	state := filepath.Join(b.dir, "large")
	figures, err := b.largeIn("SQLite", sqlite, config.Conversations{Backend: "sqlite", StateDir: state}, filepath.Join(state, "exai.db"),
		b.environ(nil, "large"))
	if err != nil {
		return nil, err
	}
	dsn := os.Getenv("EXAI_TEST_POSTGRES_URL") //nolint:forbidigo // of scripts/postgres.sh
	if dsn == "" {
		fmt.Fprintln(os.Stderr, "EXAI_TEST_POSTGRES_URL is not set: the large store is measured on SQLite alone")
		return figures, nil
	}
	more, err := b.largeIn("PostgreSQL", postgres, config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(dsn)}, "",
		b.environ(nil, "large-postgres", "CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL="+dsn))
	return append(figures, more...), err
}

func (b *bench) largeIn(name string, d dialect, c config.Conversations, path string, environ []string) ([]figure, error) {
	ctx := context.Background()
	if err := opened(ctx, c); err != nil {
		return nil, err
	}
	db, err := d.open(c, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }() // what was written is committed
	lists := series{what: "conversations list --limit 0, " + name, of: "conversations"}
	active := series{what: "issues list, " + name, of: "active issues"}
	export := series{what: "issues export, " + name, of: "issues"}
	capture := series{what: "50 findings recorded, " + name, of: "issues"}
	reserve := series{what: "usage of a request with a daily limit, " + name, of: "requests"}
	var figures []figure
	var have sizes
	var most int64
	for _, part := range []int{100, 10, 2, 1} {
		next := sizes{teamStore.conversations / part, teamStore.issues / part, teamStore.usage / part}
		if err := d.fill(ctx, db, have, next); err != nil {
			return nil, err
		}
		have = next
		memory, err := b.commands(environ, have, &lists, &active, &export)
		if err != nil {
			return nil, err
		}
		most = max(most, memory)
		if err := inStore(ctx, c, have, &capture, &reserve); err != nil {
			return nil, err
		}
		if part == 2 {
			figures = append(figures, within(export.what+" of 50,000", export.points[2].took, 10*time.Second, fmt.Sprintf("at most %d MB resident", most/1e6)))
			figures = append(figures, figure{
				what: export.what + " of 50,000, memory", value: fmt.Sprintf("%d MB", most/1e6), bound: "at most 80 MB", share: float64(most) / 80e6,
			})
		}
	}
	figures = append(figures,
		within(active.what+" of 25,000", active.points[3].took, 500*time.Millisecond, "the command, start included"),
		within(lists.what+" of 100,000", lists.points[3].took, 2500*time.Millisecond, "the command, start included"),
		within(capture.what+" among 100,000 issues", capture.points[3].took, 100*time.Millisecond, ""),
	)
	for _, s := range []series{lists, active, export, capture, reserve} {
		figures = append(figures, s.figure())
	}
	b.growing = append(b.growing, lists, active, export, capture, reserve)
	return figures, nil
}

// commands measures the commands that list a store of so many rows, and returns the most memory that the export took.
func (b *bench) commands(environ []string, have sizes, lists, active, export *series) (memory int64, err error) {
	for _, m := range []struct {
		into *series
		n    int
		args []string
	}{
		{lists, have.conversations, []string{"conversations", "list", "--limit", "0", "--json"}},
		{active, have.issues / 4, []string{"issues", "list", "--json"}},
		{export, have.issues, []string{"issues", "export", "json"}},
	} {
		var took time.Duration
		if took, memory, err = b.command(environ, m.args...); err != nil {
			return 0, err
		}
		m.into.points = append(m.into.points, point{m.n, took})
	}
	return memory, nil
}

// command runs the program three times and returns the shortest time that it took, and the most memory that it was seen to have.
func (b *bench) command(environ []string, args ...string) (shortest time.Duration, memory int64, err error) {
	for range 3 {
		cmd := exec.Command(b.exai, args...) //nolint:noctx // runs to its end
		cmd.Env, cmd.Dir = environ, b.dir
		var stderr strings.Builder
		cmd.Stderr = &stderr
		begin := time.Now()
		if err := cmd.Start(); err != nil {
			return 0, 0, err
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for running := true; running; {
			select {
			case err := <-ended:
				if err != nil {
					return 0, 0, fmt.Errorf("exai-mcp %s: %w: %s", strings.Join(args, " "), err, stderr.String())
				}
				running = false
			case <-time.After(10 * time.Millisecond):
				// Not the Maxrss of wait4: it begins with what this process had when it forked.
				if peak, err := memoryOf(cmd.Process.Pid, "VmHWM"); err == nil {
					memory = max(memory, peak)
				}
			}
		}
		if took := time.Since(begin); shortest == 0 || took < shortest {
			shortest = took
		}
	}
	return shortest, memory, nil
}

// inStore measures what calls do to a store besides turns: 50 findings, and the reservation and the usage of a request. Each is the
// median of some.
func inStore(ctx context.Context, c config.Conversations, have sizes, capture, reserve *series) (err error) {
	s, err := store.Open(ctx, c)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	var took [2][]time.Duration
	for round := range 9 {
		var found []issue.Finding
		for k := range 50 {
			found = append(found, issue.Finding{
				Workspace: "/home/ada/engine", File: fmt.Sprintf("/home/ada/engine/f%d.go", k), Severity: issue.High, Tool: "codereview",
				Title: fmt.Sprintf("Defect %d of round %d among %d", k, round, have.issues), Quote: fmt.Sprintf("value := compute(%d, %d)", k, round),
			})
		}
		begin := time.Now()
		if _, err := s.Issues().Capture(ctx, found); err != nil {
			return err
		}
		middle := time.Now()
		request := usage.Request{Host: "build-7", User: "ada", Tool: "chat", Vendor: "glm", Model: "glm-5.3", CostUSD: 0.001, Outcome: usage.OutcomeOK}
		id, _, err := s.Usage().Reserve(ctx, usage.Reservation{AmountUSD: 0.001, LimitUSD: 1e9, Request: request})
		if err != nil {
			return err
		}
		if err := s.Usage().Settle(ctx, id, request); err != nil {
			return err
		}
		took[0], took[1] = append(took[0], middle.Sub(begin)), append(took[1], time.Since(middle))
	}
	capture.points = append(capture.points, point{have.issues, median(took[0])})
	reserve.points = append(reserve.points, point{have.usage, median(took[1])})
	return nil
}

// growth measures calls as what they are given grows.
func (b *bench) growth() ([]figure, error) {
	e, err := instant()
	if err != nil {
		return nil, err
	}
	defer e.Close()
	root := filepath.Join(b.dir, "growth")
	c, err := b.serve(b.environ(e, "growth-state", "EXAI_ALLOWED_ROOTS="+root, "GLM_MAX_INFLIGHT=64", "MAX_INFLIGHT=64", "EXPERT_READS=named"))
	if err != nil {
		return nil, err
	}
	defer c.kill()
	var figures []figure
	for _, m := range growing(c, e, root) {
		for _, n := range m.sizes {
			once, err := m.make(n)
			if err != nil {
				return nil, err
			}
			var took []time.Duration
			for round := range 8 {
				begin := time.Now()
				if err := once(); err != nil {
					return nil, fmt.Errorf("%s, %d %s: %w", m.what, n, m.of, err)
				}
				if round > 0 {
					took = append(took, time.Since(begin))
				}
			}
			m.points = append(m.points, point{n, slices.Min(took)}) // the least disturbed
		}
		figures, b.growing = append(figures, m.figure()), append(b.growing, m.series)
	}
	turns, err := b.turns()
	b.growing = append(b.growing, turns)
	return append(figures, turns.figure()), err
}

// growingCall is a call whose arguments have a size; make prepares one of a size.
type growingCall struct {
	series
	sizes []int
	make  func(n int) (func() error, error)
}

// growing are the calls that are measured, whose files are made below root.
func growing(c *server, e *emulator.Emulator, root string) []growingCall {
	call := func(tool string, arguments map[string]any) func() error {
		return func() error {
			defer e.Forget()
			r, err := c.call(tool, arguments, nil)
			if err == nil && r.Status == "error" {
				err = fmt.Errorf("%s: %s", tool, r.Error.Message)
			}
			return err
		}
	}
	files := func(git bool) func(int) (func() error, error) {
		return func(n int) (func() error, error) {
			dir := filepath.Join(root, fmt.Sprintf("files-%d-%t", n, git))
			return call("chat", map[string]any{"prompt": "What is this?", "model": "glm-5.3-flash", "files": []string{dir}}), folder(dir, n, git)
		}
	}
	several := []string{"glm-5.3", "glm-5.3-flash", "kimi-k3.1-pro", "kimi-k3"}
	return []growingCall{
		{series{what: "chat with a folder", of: "files"}, []int{10, 100, 1000}, files(false)},
		{series{what: "chat with a folder in git", of: "files"}, []int{10, 100, 1000}, files(true)},
		{series{what: "precommit", of: "changed lines"}, []int{100, 1000, 10_000}, func(n int) (func() error, error) {
			dir := filepath.Join(root, fmt.Sprint("diff-", n))
			return call("precommit", map[string]any{"step": "Review.", "path": dir, "model": "glm-5.3-flash"}), diff(dir, n)
		}},
		{series{what: "chats at once", of: "calls"}, []int{4, 16, 64}, func(n int) (func() error, error) {
			return func() error { return together(n, n, func(int) error { return c.answered(question) }) }, nil
		}},
		{series{what: "consensus", of: "models"}, []int{1, 2, 4}, func(n int) (func() error, error) {
			var models []map[string]any
			for _, model := range several[:n] {
				models = append(models, map[string]any{"model": model})
			}
			return call("consensus", map[string]any{"step": "Which is better?", "models": models}), nil
		}},
	}
}

// folder makes n small source files, in a repository or not.
func folder(dir string, n int, git bool) error {
	for i := range n {
		sub := filepath.Join(dir, fmt.Sprint("part", i/100))
		if err := os.MkdirAll(sub, 0o700); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(sub, fmt.Sprintf("f%d.go", i)), fmt.Appendf(nil, "package part\n\nfunc f%d() int { return %d }\n", i, i), 0o600); err != nil {
			return err
		}
	}
	if !git {
		return nil
	}
	return commit(dir)
}

// diff makes a repository in which n lines of ten files are changed.
func diff(dir string, n int) error {
	write := func(word string) error {
		for f := range 10 {
			var text strings.Builder
			for i := range n / 10 {
				fmt.Fprintf(&text, "%s := compute(%d)\n", word, i)
			}
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%d.go", f)), []byte(text.String()), 0o600); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.Join(os.MkdirAll(dir, 0o700), write("before"), commit(dir), write("after"))
}

// turns is how long a conversation takes to load and to fit into a model's window, by its length.
func (b *bench) turns() (series, error) {
	out := series{what: "load and budget of a conversation", of: "turns"}
	ctx := context.Background()
	s, err := store.Open(ctx, config.Conversations{Backend: "sqlite", StateDir: filepath.Join(b.dir, "turns")})
	if err != nil {
		return out, err
	}
	defer func() { _ = s.Close() }()
	for _, n := range []int{100, 1000, 10_000} {
		id := fmt.Sprint("turns ", n)
		if _, err := s.Append(ctx, conversation.NewTurns{ConversationID: id, Title: id, Tool: "chat", Turns: pairs(n)}); err != nil {
			return out, err
		}
		took, err := budgeted(ctx, s, id, n)
		if err != nil {
			return out, err
		}
		out.points = append(out.points, point{n, took})
	}
	return out, nil
}

//go:build linux

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

// soakLimit is the limit of every call of a soak; the vendors' slow answers take twice as long.
const soakLimit = 1500 * time.Millisecond

// soak is a long run of mixed calls through three servers on one store: one that a client keeps open, one whose client
// declares tasks, and one that is killed again and again.
type soak struct {
	b        *bench
	e        *emulator.Emulator
	settings []string // where everything is stored
	limits   []string // short ones, that calls exceed
	stored   config.Conversations
	admin    *sql.DB // of the PostgreSQL; nil for SQLite
	calls    int

	kept struct {
		sync.Mutex
		texts map[string][]string // by conversation: what a reply said, which did not say that it was not stored
	}
	kinds, statuses counter
	cut             atomic.Int64 // calls whose server was killed
}

// soak makes calls mixed calls, on PostgreSQL if database is set, else on SQLite, and reports whether servers end with what they
// began with and whether everything is in the store that was reported so.
func (b *bench) soak(calls int, database string) ([]figure, error) {
	project, err := b.project()
	if err != nil {
		return nil, err
	}
	e, err := emulator.Start(emulator.Concurrency(emulator.GLM, 64), emulator.Concurrency(emulator.Kimi, 64))
	if err != nil {
		return nil, err
	}
	defer e.Close()
	s := &soak{b: b, e: e, calls: calls, stored: config.Conversations{Backend: "sqlite", StateDir: filepath.Join(b.dir, "soak")}}
	s.settings = []string{"EXAI_ALLOWED_ROOTS=" + project}
	s.limits = []string{
		"GLM_TIMEOUT_SECS=1.5", "KIMI_TIMEOUT_SECS=1.5", "STREAM_IDLE_TIMEOUT_SECS=1", "SIMPLE_TOOL_TIMEOUT_SECS=1.5",
		"BACKGROUND_MAX_SECS=5", "MAX_RETRIES=1",
	}
	if database != "" {
		if database, s.admin, err = limited(database); err != nil {
			return nil, err
		}
		defer func() { _ = s.admin.Close() }() // it only watched
		s.stored = config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(database)}
		s.settings = append(s.settings, "CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL="+database)
	}
	s.kept.texts = map[string][]string{}
	e.Always(emulator.Match{}, s.answer)
	return s.run()
}

// run measures a server after a few calls of every kind, then others after all of them.
func (s *soak) run() ([]figure, error) {
	few := max(s.calls/20, min(s.calls, 300)) // every kind of fault
	began, err := s.session(few)
	if err != nil {
		return nil, err
	}
	s.kinds, s.statuses = counter{}, counter{}
	ended, err := s.session(s.calls)
	if err != nil {
		return nil, err
	}
	lost, checked, err := s.lost()
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "calls: %s\nreplies: %s; %d cut off by SIGKILL\n", &s.kinds, &s.statuses, s.cut.Load())
	at := fmt.Sprintf("after %d calls; before: after %d", s.calls, few)
	if len(ended.files) > len(began.files) {
		fmt.Fprintf(os.Stderr, "open before: %q\nopen after: %q\n", began.files, ended.files)
	}
	same := func(what string, before, after, tolerance float64, unit string) figure {
		return figure{
			what, fmt.Sprintf("%g%s", after, unit), fmt.Sprintf("%g%s before", before, unit),
			after / (before*(1+tolerance) + 1e-9), at,
		}
	}
	figures := []figure{
		same("goroutines", float64(began.goroutines), float64(ended.goroutines), 0, ""),
		same("descriptors", float64(len(began.files)), float64(len(ended.files)), 0, ""),
		same("resident memory", float64(began.memory>>20), float64(ended.memory>>20), 0.5, " MiB"),
		{
			what: "replies that are not in the store", value: fmt.Sprint(len(lost)), bound: "0", share: float64(2 * len(lost)),
			details: fmt.Sprintf("of %d that were reported as stored; %s", checked, strings.Join(lost[:min(3, len(lost))], "; ")),
		},
	}
	if s.admin == nil {
		return figures, nil
	}
	crowd, err := s.crowd()
	return append(append(figures, same("connections of idle servers", 0, float64(ended.connections), 0, "")), crowd...), err
}

// held is what a server holds.
type held struct {
	goroutines, connections int
	files                   []string
	memory                  int64
}

// session makes calls with fresh servers, waits until nothing goes on, and returns what the one holds that was kept open.
func (s *soak) session(calls int) (held, error) {
	environ := s.b.environ(s.e, "soak", slices.Concat(s.settings, s.limits)...)
	keep, err := s.b.serve(environ)
	if err != nil {
		return held{}, err
	}
	defer keep.kill()
	tasks, err := startServer(environ, s.b.dir, s.b.exai)
	if err != nil {
		return held{}, err
	}
	defer tasks.kill()
	victim := &victim{start: func() (*server, error) { return s.b.serve(environ) }}
	defer victim.kill()
	err = together(calls, 32, func(i int) error {
		r := rand.New(rand.NewPCG(19, uint64(i)))
		if i%200 == 199 {
			victim.kill()
			s.e.Forget()
		}
		switch n := r.IntN(100); {
		case n < 8:
			return s.task(tasks, i)
		case n < 25:
			c, err := victim.server()
			if err != nil {
				return err
			}
			if err := s.call(c, r, i); err != nil && !c.ended() {
				return err
			} else if err != nil {
				s.cut.Add(1)
			}
			return nil
		}
		return s.call(keep, r, i)
	})
	if err != nil {
		return held{}, err
	}
	return s.settled(keep)
}

// settled waits for longer than work in the background and idle connections last, and returns what a server holds.
func (s *soak) settled(c *server) (h held, err error) {
	time.Sleep(100 * time.Second)
	if h.files, err = c.files(""); err != nil {
		return held{}, err
	}
	if h.memory, err = c.memory("VmRSS"); err != nil {
		return held{}, err
	}
	if s.admin != nil {
		if h.connections, err = s.connections(); err != nil {
			return held{}, err
		}
	}
	h.goroutines, err = c.goroutines()
	return h, err
}

// limited makes a database whose role may have fifteen connections, and returns its address and a connection of the
// administrator's.
func limited(admin string) (address string, db *sql.DB, err error) {
	u, err := url.Parse(admin)
	if err != nil {
		return "", nil, err
	}
	if db, err = sql.Open("pgx", admin); err != nil {
		return "", nil, err
	}
	for _, statement := range []string{
		"CREATE ROLE soak LOGIN PASSWORD 'soak' CONNECTION LIMIT 15", "CREATE DATABASE soak OWNER soak",
	} {
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			return "", nil, errors.Join(err, db.Close())
		}
	}
	u.User, u.Path = url.UserPassword("soak", "soak"), "/soak"
	return u.String(), db, nil
}

func (s *soak) connections() (n int, err error) {
	err = s.admin.QueryRow("SELECT count(*) FROM pg_stat_activity WHERE usename = 'soak'").Scan(&n) //nolint:noctx // a count
	return n, err
}

// crowd starts forty servers, eight at a time, has each store a chat and leaves them idle: the fifteen connections must do
// for all, and be free for others afterwards.
func (s *soak) crowd() ([]figure, error) {
	const servers = 40
	environ := s.b.environ(s.e, "soak", s.settings...)
	var all [servers]*server
	defer func() {
		for _, c := range all {
			if c != nil {
				c.kill()
			}
		}
	}()
	var stored atomic.Int64
	err := together(servers, 8, func(i int) (err error) {
		if all[i], err = s.b.serve(environ); err != nil {
			return err
		}
		r, err := all[i].chat(map[string]any{"prompt": "soak crowd.", "model": "glm-5.3-flash", "use_websearch": false})
		switch {
		case err != nil:
			return err
		case r.Status == "continuation_available" && r.Metadata.Stored == nil:
			stored.Add(1)
		default:
			fmt.Fprintf(os.Stderr, "server %d: %s %s\n", i, r.Status, r.Error.Message)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	time.Sleep(12 * time.Second) // several times what an idle connection lasts
	n, err := s.connections()
	return []figure{
		{
			"chats of forty servers that were stored", fmt.Sprint(stored.Load()), fmt.Sprint(servers), servers / float64(stored.Load()),
			"on a database of 15 connections",
		},
		{"connections of forty idle servers", fmt.Sprint(n), "at most 5 of 15", float64(n) / 5, "each had stored a chat"},
	}, err
}

// lost is each reply that the store does not have, with the number of those that were looked for.
func (s *soak) lost() (lost []string, checked int, err error) {
	ctx := context.Background()
	db, err := store.Open(ctx, s.stored)
	if err != nil {
		return nil, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for id, texts := range s.kept.texts {
		c, err := db.Load(ctx, id)
		if err != nil {
			return nil, 0, fmt.Errorf("conversation %s: %w", id, err)
		}
		for _, text := range texts {
			checked++
			if !slices.ContainsFunc(c.Turns, func(t conversation.Turn) bool {
				return t.Role == providers.RoleAssistant && strings.HasPrefix(t.Content, strings.TrimSpace(text))
			}) {
				lost = append(lost, fmt.Sprintf("%s %q, the last turn is %q", id, text, c.Turns[len(c.Turns)-1].Content))
			}
		}
	}
	return lost, checked, nil
}

//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

// measurement makes one or more figures.
type measurement struct {
	name    string
	measure func() ([]figure, error)
}

func (b *bench) measurements() []measurement {
	return []measurement{
		{"start", b.start},
		{"catalogue", b.catalogue},
		{"replies", b.replies},
		{"added", b.added},
		{"parallel", b.parallel},
		{"memory", b.memory},
		{"conversation", b.conversation},
		{"page", b.page},
		{"overrun", b.overrun},
		{"leaks", b.leaks},
	}
}

// environ is a server's environment: the emulator's addresses, a state folder of this name, more settings.
func (b *bench) environ(e *emulator.Emulator, state string, settings ...string) []string {
	environ := []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "LOG_LEVEL=error", //nolint:forbidigo // what a child process needs
		"EXAI_STATE_DIR=" + filepath.Join(b.dir, state),
	}
	if e != nil {
		environ = append(environ, "GLM_API_KEY="+e.Key(emulator.GLM), "GLM_API_URL="+e.GLMURL(),
			"KIMI_API_KEY="+e.Key(emulator.Kimi), "KIMI_API_URL="+e.KimiURL())
	}
	return append(environ, settings...)
}

// serve starts the program and initializes the session.
func (b *bench) serve(environ []string) (*server, error) {
	c, err := startServer(environ, b.dir, b.exai)
	if err != nil {
		return nil, err
	}
	_, err = c.list()
	return c, err
}

// instant is an emulator that answers at once.
func instant() (*emulator.Emulator, error) {
	e, err := emulator.Start()
	if err == nil {
		e.Always(emulator.Match{}, func(emulator.Request) emulator.Reply {
			return emulator.Say("(emulated) ", "one ", "two ", "three")
		})
	}
	return e, err
}

var question = map[string]any{"prompt": "Name three numbers.", "model": "glm-5.3-flash"}

func median(d []time.Duration) time.Duration { return percentile(d, 0.5) }

func percentile(d []time.Duration, p float64) time.Duration {
	d = slices.Sorted(slices.Values(d))
	return d[min(len(d)-1, int(p*float64(len(d))))]
}

// start is the time from the start of the process to its answer to tools/list, by turns with the no-op server's.
func (b *bench) start() ([]figure, error) {
	const rounds, warm = 105, 5
	once := func(exe string) (time.Duration, error) {
		begin := time.Now()
		c, err := startServer(b.environ(nil, "start", "GLM_API_KEY=a.b"), b.dir, exe)
		if err != nil {
			return 0, err
		}
		list, err := c.list()
		c.kill()
		return list.At.Sub(begin), err
	}
	var ours, noop []time.Duration
	for round := range rounds {
		for exe, into := range map[string]*[]time.Duration{b.exai: &ours, b.noop: &noop} {
			took, err := once(exe)
			if err != nil {
				return nil, err
			}
			if round >= warm {
				*into = append(*into, took)
			}
		}
	}
	ratio := float64(median(ours)) / float64(median(noop))
	return []figure{{
		what: "start to tools/list answered", value: fmt.Sprintf("%s, %.2f times the no-op server's", shown(median(ours)), ratio),
		bound: "at most 1.5 times", share: ratio / 1.5,
		details: fmt.Sprintf("no-op mcp-go server with one tool: %s; medians of %d starts each, by turns", shown(median(noop)), rounds-warm),
	}}, nil
}

// catalogue is the size of tools/list, which a client pays for in every session.
func (b *bench) catalogue() ([]figure, error) {
	size := func(settings ...string) (chars, tools int, err error) {
		c, err := startServer(b.environ(nil, "catalogue", settings...), b.dir, b.exai)
		if err != nil {
			return 0, 0, err
		}
		defer c.kill()
		list, err := c.list()
		if err != nil {
			return 0, 0, err
		}
		var listed struct{ Tools []struct{} }
		err = json.Unmarshal(list.Result, &listed)
		return utf8.RuneCount(list.Result), len(listed.Tools), err
	}
	var figures []figure
	for _, mode := range []struct {
		what    string
		bound   int
		setting string
	}{{"tools/list", 31_000, "LEAN_MODE=false"}, {"tools/list in LEAN_MODE", 13_000, "LEAN_MODE=true"}} {
		chars, tools, err := size(mode.setting)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{
			what: mode.what, value: fmt.Sprintf("%d characters", chars), bound: fmt.Sprintf("at most %d", mode.bound),
			share: float64(chars) / float64(mode.bound), details: fmt.Sprintf("%d tools", tools),
		})
	}
	return figures, nil
}

// added is what the program adds to a chat: the whole call as the client sees it, less the bare HTTP exchange with the
// same vendor and the same bytes, by turns.
func (b *bench) added() ([]figure, error) {
	const rounds, warm = 600, 100
	e, err := instant()
	if err != nil {
		return nil, err
	}
	defer e.Close()
	c, err := b.serve(b.environ(e, "added"))
	if err != nil {
		return nil, err
	}
	defer c.kill()
	if err := c.answered(question); err != nil {
		return nil, err
	}
	requests := e.Requests()
	body := requests[len(requests)-1].Body
	client := &http.Client{}
	var through, bare []time.Duration
	for round := range rounds + warm {
		begin := time.Now()
		if err := c.answered(question); err != nil {
			return nil, err
		}
		middle := time.Now()
		if err := exchange(client, e, body); err != nil {
			return nil, err
		}
		if round >= warm {
			through, bare = append(through, middle.Sub(begin)), append(bare, time.Since(middle))
		}
		e.Forget()
	}
	return []figure{within("added to a chat by the program", median(through)-median(bare), 1500*time.Microsecond,
		fmt.Sprintf("median of %d: %s over stdio, stored in SQLite; the bare HTTP exchange %s; p99 %s and %s", rounds,
			shown(median(through)), shown(median(bare)), shown(percentile(through, .99)), shown(percentile(bare, .99))))}, nil
}

// exchange is a chat with the vendor as plain HTTP.
func exchange(client *http.Client, e *emulator.Emulator, body []byte) error {
	req, err := http.NewRequestWithContext(context.Background(), http.MethodPost, e.GLMURL()+"/chat/completions", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+e.Key(emulator.GLM))
	req.Header.Set("Content-Type", "application/json")
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && !strings.Contains(string(text), "three") {
		err = fmt.Errorf("the vendor answered %s", text)
	}
	return err
}

// parallel is how long 64 chats take that begin at once, with a vendor that takes a second for each.
func (b *bench) parallel() ([]figure, error) {
	const calls, rounds = 64, 3
	e, err := emulator.Start()
	if err != nil {
		return nil, err
	}
	defer e.Close()
	e.Always(emulator.Match{}, func(emulator.Request) emulator.Reply {
		return emulator.Say("(emulated) ", "at last").With(emulator.DelayHeaders(time.Second))
	})
	c, err := b.serve(b.environ(e, "parallel", "GLM_MAX_INFLIGHT=64", "MAX_INFLIGHT=64"))
	if err != nil {
		return nil, err
	}
	defer c.kill()
	var longest time.Duration
	for range rounds {
		begin := time.Now()
		if err := together(calls, calls, func(int) error { return c.answered(question) }); err != nil {
			return nil, err
		}
		longest = max(longest, time.Since(begin))
	}
	return []figure{within("64 chats at once, each 1 s at the vendor", longest, 1500*time.Millisecond,
		fmt.Sprintf("the longest of %d rounds, to the last answer; limits raised to 64", rounds))}, nil
}

// together makes n calls, at most atOnce at a time, and returns the first error.
func together(n, atOnce int, call func(i int) error) error {
	errs := make([]error, n)
	slots := make(chan struct{}, atOnce)
	var wg sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		wg.Go(func() {
			errs[i] = call(i)
			<-slots
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// memory is what is resident once the server is up, and after 1,000 chats.
func (b *bench) memory() ([]figure, error) {
	e, err := instant()
	if err != nil {
		return nil, err
	}
	defer e.Close()
	c, err := b.serve(b.environ(e, "memory"))
	if err != nil {
		return nil, err
	}
	defer c.kill()
	time.Sleep(2 * time.Second) // the database is open, nothing is going on
	idle, err := c.memory("VmRSS")
	if err != nil {
		return nil, err
	}
	if err := together(1000, 8, func(int) error { return c.answered(question) }); err != nil {
		return nil, err
	}
	time.Sleep(2 * time.Second)
	after, err := c.memory("VmRSS")
	if err != nil {
		return nil, err
	}
	peak, err := c.memory("VmHWM")
	if err != nil {
		return nil, err
	}
	const mb = 1e6
	size := func(what string, got int64, bound float64, details string) figure {
		return figure{what, fmt.Sprintf("%.1f MB", float64(got)/mb), fmt.Sprintf("at most %g MB", bound), float64(got) / mb / bound, details}
	}
	return []figure{
		size("resident memory, idle", idle, 40, "2 s after tools/list, the database open"),
		size("resident memory after 1,000 chats", after, 60, fmt.Sprintf("8 at once; the most meanwhile was %.1f MB", float64(peak)/mb)),
	}, nil
}

// conversation is the continuation of a long conversation in a large database.
func (b *bench) conversation() ([]figure, error) {
	const conversations, turns = 10_000, 1000
	state := filepath.Join(b.dir, "conversation")
	if err := fill(state, conversations, turns); err != nil {
		return nil, err
	}
	ctx := context.Background()
	s, err := store.Open(ctx, config.Conversations{Backend: "sqlite", StateDir: state})
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.Close() }()
	var took []time.Duration
	for range 60 {
		begin := time.Now()
		t, err := s.Load(ctx, "long")
		if err != nil {
			return nil, err
		}
		first := conversation.Window(t.Turns, 200_000)
		messages := conversation.Messages(t.Turns[first:], true)
		took = append(took, time.Since(begin))
		if len(t.Turns) != turns || len(messages) == 0 {
			return nil, fmt.Errorf("%d turns, %d messages", len(t.Turns), len(messages))
		}
	}
	whole, err := b.continued(state)
	if err != nil {
		return nil, err
	}
	return []figure{within("a 1,000-turn conversation of 10,000: load and budget", median(took), 10*time.Millisecond,
		fmt.Sprintf("median of %d; p99 %s; the whole continuation over stdio, against an instant vendor: %s", len(took), shown(percentile(took, .99)), shown(whole)))}, nil
}

// continued is the median of whole chats in the long conversation.
func (b *bench) continued(state string) (time.Duration, error) {
	e, err := instant()
	if err != nil {
		return 0, err
	}
	defer e.Close()
	c, err := b.serve(b.environ(e, filepath.Base(state)))
	if err != nil {
		return 0, err
	}
	defer c.kill()
	var took []time.Duration
	for range 15 {
		begin := time.Now()
		if err := c.answered(map[string]any{"prompt": "And then?", "model": "glm-5.3-flash", "continuation_id": "long"}); err != nil {
			return 0, err
		}
		took = append(took, time.Since(begin))
		e.Forget()
	}
	return median(took), nil
}

// fill makes a database with many conversations of two turns and a long one.
func fill(state string, conversations, turns int) error {
	ctx := context.Background()
	s, err := store.Open(ctx, config.Conversations{Backend: "sqlite", StateDir: state})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	pairs := func(n int) []conversation.Turn {
		var out []conversation.Turn
		for range n / 2 {
			out = append(out,
				conversation.Turn{Role: providers.RoleUser, Content: strings.Repeat("What does this function do? ", 10)},
				conversation.Turn{
					Role: providers.RoleAssistant, Content: strings.Repeat("It adds two numbers and returns their sum. ", 20),
					Model: "glm-5.3-flash", Provider: "glm", FinishReason: providers.FinishStop,
				})
		}
		return out
	}
	long := conversation.NewTurns{ConversationID: "long", Title: "long", Tool: "chat", Turns: pairs(turns)}
	if _, err := s.Append(ctx, long); err != nil {
		return err
	}
	return together(conversations, 4, func(i int) error {
		_, err := s.Append(ctx, conversation.NewTurns{ConversationID: fmt.Sprint("short ", i), Title: "short", Tool: "chat", Turns: pairs(2)})
		return err
	})
}

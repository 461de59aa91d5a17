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

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
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
		{"growth", b.growth},
		{"large", b.large},
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
	return []figure{within("added to a chat by the program", median(through)-median(bare), 1300*time.Microsecond,
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
	var figures []figure
	for _, mode := range []struct {
		details  string
		bound    time.Duration
		settings []string
	}{
		{"16 in flight, the default", 4500 * time.Millisecond, nil},
		{"limits raised to 64", 1300 * time.Millisecond, []string{"GLM_MAX_INFLIGHT=64", "MAX_INFLIGHT=64"}},
	} {
		took, err := b.atOnce(mode.settings...)
		if err != nil {
			return nil, err
		}
		figures = append(figures, within("64 chats at once, each 1 s at the vendor, "+mode.details, took, mode.bound, "the longest of 3 rounds, to the last answer"))
	}
	return figures, nil
}

// atOnce is the longest of three rounds of 64 chats.
func (b *bench) atOnce(settings ...string) (longest time.Duration, err error) {
	const calls, rounds = 64, 3
	e, err := emulator.Start(emulator.Concurrency(emulator.GLM, calls))
	if err != nil {
		return 0, err
	}
	defer e.Close()
	e.Always(emulator.Match{}, func(emulator.Request) emulator.Reply {
		return emulator.Say("(emulated) ", "at last").With(emulator.DelayHeaders(time.Second))
	})
	c, err := b.serve(b.environ(e, "parallel", settings...))
	if err != nil {
		return 0, err
	}
	defer c.kill()
	for range rounds {
		begin := time.Now()
		if err := together(calls, calls, func(int) error { return c.answered(question) }); err != nil {
			return 0, err
		}
		longest = max(longest, time.Since(begin))
	}
	return longest, nil
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

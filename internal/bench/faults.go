//go:build linux

package main

import (
	"fmt"
	"os/exec"
	"regexp"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// overrunLine is the last line of the fault matrix.
var overrunLine = regexp.MustCompile(`overrun of the (\d+) calls that a limit ended: p50 (\S+), p99 (\S+), max (\S+)`)

// overrun runs the fault matrix over real sockets, which measures how much later than its limit a call ends.
func (b *bench) overrun() ([]figure, error) {
	cmd := exec.Command("go", "test", "-tags", "faults", "-count=1", "-v", "-run", "TestFaultsOnSockets", "./internal/providers/calls/") //nolint:noctx // runs to its end
	out, err := cmd.CombinedOutput()
	m := overrunLine.FindSubmatch(out)
	if m == nil {
		return nil, fmt.Errorf("the fault matrix printed no figures (%w): %s", err, out[max(0, len(out)-2000):])
	}
	p99, err := time.ParseDuration(string(m[3]))
	if err != nil {
		return nil, err
	}
	longest, err := time.ParseDuration(string(m[4]))
	if err != nil {
		return nil, err
	}
	details := fmt.Sprintf("the %s calls of the fault matrix that a limit ended, on real sockets; p50 %s", m[1], m[2])
	return []figure{
		within("overrun of a limit, p99", p99, 50*time.Millisecond, details),
		within("overrun of a limit, longest", longest, 250*time.Millisecond, ""),
	}, nil
}

// leaks makes 1,000 calls to vendors that fail in every way that the emulator knows, and compares goroutines and
// connections with a server that only answered.
func (b *bench) leaks() ([]figure, error) {
	const calls = 1000
	const limit = 1500 * time.Millisecond
	settings := []string{
		"GLM_TIMEOUT_SECS=1.5", "KIMI_TIMEOUT_SECS=1.5", "STREAM_IDLE_TIMEOUT_SECS=1", "SIMPLE_TOOL_TIMEOUT_SECS=1.5",
		"BACKGROUND_MAX_SECS=3", "GLM_MAX_INFLIGHT=16", "KIMI_MAX_INFLIGHT=16",
	}
	before, err := b.afterwards("before", settings, func(*emulator.Emulator, *server) error { return nil })
	if err != nil {
		return nil, err
	}
	kinds := map[string]bool{}
	var longest time.Duration
	after, err := b.afterwards("after", settings, func(e *emulator.Emulator, c *server) error {
		faults := map[string][]emulator.Fault{"glm-5.3-flash": emulator.Faults(emulator.GLM), "kimi-k3.1-pro": emulator.Faults(emulator.Kimi)}
		for model, list := range faults {
			for _, f := range list {
				kinds[f.Name] = true
				e.Always(emulator.Match{Model: model, Text: "fault " + f.Name + "."}, func(emulator.Request) emulator.Reply {
					return emulator.Say("(emulated) ", "one ", "two ", "three").With(f)
				})
			}
		}
		took := make([]time.Duration, calls)
		err := together(calls, 16, func(i int) error {
			model := []string{"glm-5.3-flash", "kimi-k3.1-pro"}[i%2]
			f := faults[model][i/2%len(faults[model])]
			begin := time.Now()
			_, err := c.chat(map[string]any{"prompt": "Meet fault " + f.Name + ".", "model": model, "use_websearch": false})
			took[i] = time.Since(begin)
			return err
		})
		longest = percentile(took, 1)
		return err
	})
	if err != nil {
		return nil, err
	}
	return []figure{
		{
			what: "goroutines after 1,000 faulty calls", value: fmt.Sprintf("%d", after.goroutines), bound: fmt.Sprintf("%d, as before", before.goroutines),
			share:   float64(after.goroutines) / float64(before.goroutines),
			details: fmt.Sprintf("%d kinds of fault, both vendors, 16 at once", len(kinds)),
		},
		{
			what: "connections after 1,000 faulty calls", value: fmt.Sprintf("%d", after.sockets), bound: fmt.Sprintf("%d, as before", before.sockets),
			share: float64(after.sockets) / float64(max(before.sockets, 1)),
		},
		within("longest of these calls, to its line on stdout", longest, limit+250*time.Millisecond, "limit of the call: "+limit.String()),
	}, nil
}

// footprint is what a server holds.
type footprint struct{ goroutines, sockets int }

// afterwards does something with a server, has it answer a chat of each vendor, waits until nothing goes on, and returns
// what it holds then.
func (b *bench) afterwards(name string, settings []string, do func(*emulator.Emulator, *server) error) (footprint, error) {
	e, err := instant()
	if err != nil {
		return footprint{}, err
	}
	defer e.Close()
	c, err := b.serve(b.environ(e, "leaks-"+name, settings...))
	if err != nil {
		return footprint{}, err
	}
	if err := do(e, c); err != nil {
		return footprint{}, err
	}
	time.Sleep(5 * time.Second) // longer than anything in the background may take
	for _, model := range []string{"glm-5.3-flash", "kimi-k3.1-pro"} {
		if err := c.answered(map[string]any{"prompt": "Hello.", "model": model, "use_websearch": false}); err != nil {
			return footprint{}, err
		}
	}
	time.Sleep(time.Second)
	sockets, err := c.files("socket:")
	if err != nil {
		return footprint{}, err
	}
	goroutines, err := c.goroutines()
	return footprint{goroutines, len(sockets)}, err
}

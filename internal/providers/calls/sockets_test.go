//go:build faults

package calls_test

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// What a deadline may be overrun by, over the whole matrix (ARCHITECTURE.md, figures).
const (
	overrunP99 = 50 * time.Millisecond
	overrunMax = 250 * time.Millisecond
)

// repeats is how often each fault is tried.
const repeats = 3

// onSockets is the clock of real connections: the same limits, short enough to wait for.
func onSockets() clock {
	return clock{
		call: 3 * time.Second, idle: time.Second, connect: time.Second,
		beat: 50 * time.Millisecond, wait: time.Second, retry: 20 * time.Millisecond,
	}
}

// probe is one fault tried on one kind of request, and how that went.
type probe struct {
	testing.TB
	row    row
	vendor emulator.Vendor
	kind   string
	want   end
	run    func(testing.TB, *vendorPath) time.Duration

	late   time.Duration
	mu     sync.Mutex
	errors []string
}

// Errorf keeps a failure, to be reported with the probe's name: hundreds of subtests would bury the table.
func (p *probe) Errorf(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.errors = append(p.errors, fmt.Sprintf(format, args...))
}

// FailNow ends the probe's goroutine.
func (p *probe) FailNow() { runtime.Goexit() }

func (p *probe) name() string { return p.row.name + ", " + string(p.vendor) }

// together is how many probes like this one may run at once: those that a limit ends wait most of the time, the others
// take the processors that clocks need.
func (p *probe) together() int {
	switch {
	case p.want.limit != "":
		return 16
	case strings.Contains(p.row.name, "50 MB"):
		return 1
	}
	return 2
}

func probes(t *testing.T) []*probe {
	var all []*probe
	for _, x := range matrix() {
		for _, v := range vendors {
			if x.only != "" && x.only != v {
				continue
			}
			for range repeats {
				if x.chat.attempts > 0 {
					all = append(all, &probe{
						TB: t, row: x, vendor: v, kind: "chat", want: x.chat,
						run: func(t testing.TB, r *vendorPath) time.Duration { return r.chat(t, x) },
					})
				}
				for _, q := range requests() {
					if q.vendor == v && x.plain.attempts > 0 && !(q.opaque && readsTheBody(x)) {
						all = append(all, &probe{
							TB: t, row: x, vendor: v, kind: string(q.op), want: x.plain,
							run: func(t testing.TB, r *vendorPath) time.Duration { return r.plain(t, x, q) },
						})
					}
				}
			}
		}
	}
	return all
}

// try runs the probe on connections of its own.
func (p *probe) try() {
	e, err := emulator.Start()
	require.NoError(p, err)
	url := e.URL(p.vendor)
	if p.row.hole {
		hole, err := emulator.StartBlackHole()
		require.NoError(p, err)
		defer hole.Close()
		url = hole.URL("/v1")
	}
	r, close := build(p, p.vendor, onSockets(), e, url, nil)
	took := p.run(p, r)
	p.late = max(0, took-p.want.after(r.clock))
	r.idle(p, p.row, p.want)
	close()
	e.Close()
	assert.Zero(p, e.Connections(), "connections left open")
}

// TestFaultsOnSockets is the fault matrix on real connections and a real clock. It prints how late each call came back,
// and fails when a limit is overrun by more than is promised.
func TestFaultsOnSockets(t *testing.T) {
	all := probes(t)
	for _, together := range []int{16, 2, 1} {
		slot := make(chan struct{}, together)
		var running sync.WaitGroup
		for _, p := range all {
			if p.together() != together {
				continue
			}
			running.Go(func() {
				slot <- struct{}{}
				defer func() { <-slot }()
				p.try()
			})
		}
		running.Wait()
	}
	for _, p := range all {
		for _, e := range p.errors {
			t.Errorf("%s, %s: %s", p.name(), p.kind, e)
		}
	}
	report(t, all)
}

func report(t *testing.T, all []*probe) {
	late := map[string][]time.Duration{}
	var names []string
	var timed []time.Duration
	ends := map[string]*probe{}
	for _, p := range all {
		if late[p.name()] == nil {
			names = append(names, p.name())
		}
		late[p.name()], ends[p.name()] = append(late[p.name()], p.late), p
		if p.want.limit != "" {
			timed = append(timed, p.late)
		}
	}
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 2, 0, 2, ' ', 0)
	fmt.Fprintf(w, "fault, vendor\tcalls\tend after\tlate, p50\tlate, max\tended by\n")
	for _, n := range names {
		slices.Sort(late[n])
		want := ends[n].want
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\n", n, len(late[n]), want.after(onSockets()),
			shown(percentile(late[n], .5)), shown(percentile(late[n], 1)), want.limit)
	}
	require.NoError(t, w.Flush())
	slices.Sort(timed)
	p50, p99, most := percentile(timed, .5), percentile(timed, .99), percentile(timed, 1)
	t.Logf("\n%s\noverrun of the %d calls that a limit ended: p50 %s, p99 %s, max %s", table.String(), len(timed), shown(p50), shown(p99), shown(most))
	assert.Less(t, p99, overrunP99, "p99 of the overrun")
	assert.Less(t, most, overrunMax, "the longest overrun")
}

func percentile(sorted []time.Duration, p float64) time.Duration {
	return sorted[min(len(sorted)-1, int(p*float64(len(sorted))))]
}

func shown(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

//go:build linux

// Command bench measures the figures of docs/benchmarks.md in one run and compares them with their bounds. It
// starts the program as a client does, as a child over stdio, with both vendors emulated in this process, and a no-op
// mcp-go server beside it. It needs Linux: it reads /proc.
//
//	go run ./internal/bench            print the table
//	go run ./internal/bench -write     and write it to docs/benchmarks.md, with its pictures benchmarks.svg and growth.svg
//	go run ./internal/bench -soak N    make N mixed calls instead, and look for what is lost or left; see soak.go
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"text/tabwriter"
	"time"
)

func main() {
	write := flag.Bool("write", false, "write the figures to docs")
	only := flag.String("only", "", "measure only the figures whose name contains this")
	calls := flag.Int("soak", 0, "make this many mixed calls instead, on SQLite, or on the PostgreSQL of EXAI_TEST_POSTGRES_URL")
	flag.Parse()
	ok, err := run(os.Stdout, *only, *calls, *write) //nolint:forbidigo // a program of its own, which speaks no protocol
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	if !ok {
		os.Exit(1)
	}
}

// figure is one measurement beside its bound.
type figure struct {
	what    string
	value   string  // as shown
	bound   string  // as shown
	share   float64 // of the bound: above 1 it is broken
	details string
}

func (f figure) ok() bool { return f.share <= 1 }

func (f figure) mark() string {
	if f.ok() {
		return "yes"
	}
	return "NO"
}

// within makes a figure of a duration and its bound.
func within(what string, took, bound time.Duration, details string) figure {
	return figure{what, shown(took), "at most " + bound.String(), float64(took) / float64(bound), details}
}

// shown writes a duration in three digits or so.
func shown(d time.Duration) string {
	switch {
	case d >= 10*time.Second:
		return fmt.Sprintf("%.1f s", d.Seconds())
	case d >= time.Second:
		return fmt.Sprintf("%.2f s", d.Seconds())
	case d >= 10*time.Millisecond:
		return fmt.Sprintf("%.1f ms", d.Seconds()*1e3)
	}
	return fmt.Sprintf("%.2f ms", d.Seconds()*1e3)
}

// run measures everything, prints it, and reports whether every bound holds.
func run(w io.Writer, only string, soak int, write bool) (bool, error) {
	dir, err := os.MkdirTemp("", "exai-mcp-bench-")
	if err != nil {
		return false, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears its temporary folder in time
	b := &bench{dir: dir, w: w}
	if err := b.build(); err != nil {
		return false, err
	}
	measurements := b.measurements()
	if soak > 0 {
		measurements = []measurement{{"soak", func() ([]figure, error) { return b.soak(soak, os.Getenv("EXAI_TEST_POSTGRES_URL")) }}} //nolint:forbidigo // of the Makefile
	}
	var figures []figure
	for _, m := range measurements {
		if !strings.Contains(m.name, only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring: %s\n", m.name)
		got, err := m.measure()
		if err != nil {
			return false, fmt.Errorf("%s: %w", m.name, err)
		}
		figures = append(figures, got...)
	}
	ok := true
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "figure\tmeasured\tbound\tholds\t")
	for _, f := range figures {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", f.what, f.value, f.bound, f.mark(), f.details)
		ok = ok && f.ok()
	}
	if err := t.Flush(); err != nil {
		return false, err
	}
	if write {
		err = publish(figures, b.growing)
	}
	return ok, err
}

// machine is where it was measured, in general terms.
func machine() string {
	return fmt.Sprintf("%d processor cores, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
}

// bench holds what the measurements share.
type bench struct {
	dir  string
	w    io.Writer
	exai string // the program
	noop string // the no-op server

	growing []series // measured so far
}

func (b *bench) build() error {
	b.exai, b.noop = filepath.Join(b.dir, "exai-mcp"), filepath.Join(b.dir, "noop")
	for exe, from := range map[string]string{b.exai: "./cmd/exai-mcp", b.noop: "./internal/bench/testdata/noop"} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", exe, from) //nolint:noctx // runs to its end
		cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", from, err, out)
		}
	}
	return nil
}

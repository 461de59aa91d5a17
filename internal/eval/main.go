// Command eval measures how well models review changes through this program. Ten small repositories have a change whose diff does
// not show what is wrong with it: the defect is in another file. precommit reviews each, as an agent or a script would call it.
//
//	go run ./internal/eval                     every vendor with a key; without one, scripted models on emulated vendors
//	go run ./internal/eval -models glm,kimi    these models
//	go run ./internal/eval -scripted           scripted models, whatever keys there are
//
// docs/eval.md says what is counted.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"text/tabwriter"
	"time"
)

// options are the command's flags.
type options struct {
	models   string
	only     string
	scripted bool
	json     bool
	maxUSD   float64
	parallel int
}

func main() {
	var o options
	flag.StringVar(&o.models, "models", "", "models to measure, comma-separated (default: the quality model of each vendor with a key)")
	flag.StringVar(&o.only, "only", "", "run only the cases whose name contains this")
	flag.BoolVar(&o.scripted, "scripted", false, "run scripted models on emulated vendors: no key, no cost")
	flag.BoolVar(&o.json, "json", false, "print every score as JSON")
	flag.Float64Var(&o.maxUSD, "max-cost", 2, "stop real models at this cost, in USD")
	flag.IntVar(&o.parallel, "parallel", 2, "reviews at once")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Stdout, o); err != nil { //nolint:forbidigo // a program of its own, which speaks no protocol
		fmt.Fprintln(os.Stderr, "eval:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop
	}
}

func run(ctx context.Context, w io.Writer, o options) error {
	all, err := cases()
	if err != nil {
		return err
	}
	var list []evalCase
	for _, c := range all {
		if strings.Contains(c.Name, o.only) {
			list = append(list, c)
		}
	}
	dir, err := os.MkdirTemp("", "exai-mcp-eval-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears its temporary folder in time
	exe, err := build(dir)
	if err != nil {
		return err
	}
	e := &evaluation{exe: exe, dir: dir, parallel: max(o.parallel, 1)}
	scores, err := e.measure(ctx, list, o)
	if err != nil {
		return err
	}
	if o.json {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(scores)
	}
	return report(w, scores)
}

// measure runs real models where there are any, else scripted ones.
func (e *evaluation) measure(ctx context.Context, list []evalCase, o options) ([]score, error) {
	var models []string
	for model := range strings.SplitSeq(o.models, ",") {
		if model = strings.TrimSpace(model); model != "" {
			models = append(models, model)
		}
	}
	if !o.scripted && len(models) == 0 {
		var err error
		if models, err = e.configured(ctx); err != nil {
			return nil, err
		}
	}
	if o.scripted || len(models) == 0 {
		fmt.Fprintln(os.Stderr, "eval: scripted models on emulated vendors; set a key to measure real ones")
		return e.scripted(ctx, list, nil)
	}
	expected, most, err := e.price(ctx, list, models)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(os.Stderr, "eval: %d reviews by %s; at least $%.2f is expected, $%.2f is the most, and it stops at $%.2f (-max-cost)\n",
		len(list)*len(models), strings.Join(models, ", "), expected, most, o.maxUSD)
	return e.real(ctx, list, models, o.maxUSD)
}

// report prints a line for each model, and what it missed and made up.
func report(w io.Writer, scores []score) error {
	t := tabwriter.NewWriter(w, 2, 0, 2, ' ', 0)
	fmt.Fprintln(t, "model\tfound\tfalse claims\tinconclusive\tfailed\treads\ttokens in\tcached\tout\tcost\tmedian\t")
	for _, m := range summarise(scores) {
		fmt.Fprintf(t, "%s\t%d of %d\t%d (%.1f a change)\t%d\t%d\t%d\t%d\t%d\t%d\t$%.4f\t%s\t\n",
			m.Model, m.Found, m.Cases, m.False, float64(m.False)/float64(m.Cases), m.Inconclusive, m.Failed, m.Reads,
			m.Input, m.Cached, m.Output, m.CostUSD, m.Median.Round(10*time.Millisecond))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, s := range scores {
		switch {
		case s.Failure != "":
			fmt.Fprintf(w, "\n%s, %s: no answer: %s", s.Model, s.Case, s.Failure)
		case !s.Found:
			fmt.Fprintf(w, "\n%s, %s: missed (verdict %s)", s.Model, s.Case, s.Verdict)
		}
		for _, f := range s.False {
			fmt.Fprintf(w, "\n%s, %s: false: %s, %s:%d, %s (%s)", s.Model, s.Case, f.Severity, f.File, f.Line, f.Title, f.Citation)
		}
	}
	_, err := fmt.Fprintln(w)
	return err
}

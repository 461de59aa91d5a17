package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// evaluation is one run of all cases.
type evaluation struct {
	exe      string // the program
	dir      string // for repositories and state; removed by the caller
	parallel int    // reviews at once
}

// build builds the program.
func build(dir string) (exe string, err error) {
	exe = filepath.Join(dir, "exai-mcp")
	cmd := exec.Command("go", "build", "-trimpath", "-o", exe, "github.com/exai-mcp/exai-mcp/cmd/exai-mcp") //nolint:noctx // runs to its end
	cmd.Env = append(cmd.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return exe, nil
}

// scripted runs the cases with the scripted models. look, which may be nil, sees what each model was asked and what came of it.
func (e *evaluation) scripted(ctx context.Context, list []evalCase, look func(script, evalCase, []emulator.Request, reply)) ([]score, error) {
	parts := scripts()
	scores := make([]score, len(parts)*len(list))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(e.parallel)
	for i, part := range parts {
		for j, c := range list {
			group.Go(func() error {
				vendors, err := emulator.Start()
				if err != nil {
					return err
				}
				defer vendors.Close()
				vendors.Always(emulator.Match{}, part.play(c))
				dir := filepath.Join(e.dir, fmt.Sprintf("scripted-%d-%s", i, c.Name))
				environ := append(
					slices.DeleteFunc(inherited(), func(v string) bool { return !strings.HasPrefix(v, "PATH=") }), // git is found there
					"HOME="+dir, "XDG_CONFIG_HOME="+dir, "EXAI_STATE_DIR="+dir+"-state",
					"GLM_API_KEY="+vendors.Key(emulator.GLM), "GLM_API_URL="+vendors.GLMURL(),
					"KIMI_API_KEY="+vendors.Key(emulator.Kimi), "KIMI_API_URL="+vendors.KimiURL(),
				)
				r, err := e.review(ctx, c, part.model, dir, environ)
				if err != nil {
					return err
				}
				scores[i*len(list)+j] = judge(c, part.name, dir, r)
				if look != nil {
					look(part, c, vendors.Requests(), r)
				}
				return nil
			})
		}
	}
	return scores, group.Wait()
}

// real runs the cases with real models, for at most maxUSD in all.
func (e *evaluation) real(ctx context.Context, list []evalCase, models []string, maxUSD float64) ([]score, error) {
	environ := e.realEnviron(maxUSD)
	scores := make([]score, len(models)*len(list))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(e.parallel)
	for i, model := range models {
		for j, c := range list {
			group.Go(func() error {
				dir := filepath.Join(e.dir, fmt.Sprintf("real-%d-%s", i, c.Name))
				r, err := e.review(ctx, c, model, dir, environ)
				scores[i*len(list)+j] = judge(c, model, dir, r)
				return err
			})
		}
	}
	return scores, group.Wait()
}

// realEnviron is the environment of a real run: the user's own, but with a store of its own, which counts the cost.
func (e *evaluation) realEnviron(maxUSD float64) []string {
	return append(
		inherited(), "EXAI_STATE_DIR="+filepath.Join(e.dir, "state"), "CONVERSATION_STORAGE_BACKEND=sqlite", "DATABASE_URL=", "SUPABASE_DB_URL=",
		fmt.Sprintf("MAX_COST_PER_DAY_USD=%g", maxUSD),
	)
}

// inherited is the environment in which the evaluation was started.
func inherited() []string { return (&exec.Cmd{}).Environ() }

// review reviews a case's change in a repository that it lays into dir.
func (e *evaluation) review(ctx context.Context, c evalCase, model, dir string, environ []string) (r reply, err error) {
	err = e.precommit(ctx, c, model, dir, environ, false, &r)
	return r, err
}

// precommit lays a case's repository into dir, calls precommit there, and reads its reply, an error's too.
func (e *evaluation) precommit(ctx context.Context, c evalCase, model, dir string, environ []string, preview bool, into any) error {
	if err := c.lay(ctx, dir); err != nil {
		return fmt.Errorf("%s: %w", c.Name, err)
	}
	arguments := map[string]any{"step": c.Step, "path": dir, "model": model, "preview": preview}
	cmd := exec.CommandContext(ctx, e.exe, "call", "precommit", "-")
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(text(arguments))
	cmd.Env = append(
		slices.Clip(environ), "EXAI_ALLOWED_ROOTS="+dir, "ISSUE_TRACKER_CAPTURE=false", "LOG_LEVEL=error",
		"REPLY_STYLE=full", // which has the usage
	)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 && json.Valid(out) {
		err = nil // a reply that is an error
	}
	if err != nil {
		return fmt.Errorf("%s: precommit: %w: %s", c.Name, err, bytes.TrimSpace(errs.Bytes()))
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("%s: %w: %s", c.Name, err, out)
	}
	return nil
}

// configured are the models of the vendors and endpoints that have a key in the environment, or in the user's own file, by their
// bare names, which mean their quality models.
func (e *evaluation) configured(ctx context.Context) ([]string, error) {
	cmd := exec.CommandContext(ctx, e.exe, "config", "--json")
	cmd.Dir = e.dir
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	var config struct {
		Settings []struct{ Name, Value string }
	}
	if err := json.Unmarshal(out, &config); err != nil {
		return nil, fmt.Errorf("config: %w", err)
	}
	var models []string
	for _, s := range config.Settings {
		switch {
		case s.Value == "":
		case s.Name == "GLM_API_KEY":
			models = append(models, "glm")
		case s.Name == "KIMI_API_KEY":
			models = append(models, "kimi")
		case s.Name == "ENDPOINTS":
			models = append(models, strings.Split(s.Value, ",")...)
		}
	}
	return models, nil
}

// price is what a run with real models is expected to cost, and what it costs at most, in USD. Of a model without a known price it
// is too low.
func (e *evaluation) price(ctx context.Context, list []evalCase, models []string) (expected, most float64, err error) {
	for i, model := range models {
		for _, c := range list {
			var p struct {
				Expected float64 `json:"expected_cost_usd"`
				Most     float64 `json:"maximum_cost_usd"`
			}
			dir := filepath.Join(e.dir, fmt.Sprintf("preview-%d-%s", i, c.Name))
			if err := e.precommit(ctx, c, model, dir, e.realEnviron(1), true, &p); err != nil {
				return 0, 0, err
			}
			expected, most = expected+p.Expected, most+p.Most
		}
	}
	return expected, most, nil
}

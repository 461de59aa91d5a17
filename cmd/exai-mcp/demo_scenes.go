package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// scene is a part of the demo.
type scene struct {
	title string
	play  func(ctx context.Context, d *demo) error
}

// scenes lists what is played, in order.
func scenes() []scene {
	return []scene{
		{"chat with GLM, and go on with the conversation", playGLM},
		{"chat with Kimi, which speaks another dialect", playKimi},
		{"chat with an OpenAI-compatible server on this machine", playEndpoint},
		{"debug on a planted bug: findings are checked against the files", playDebug},
		{"a review: the expert reads a file that nobody named", playReview},
		{"a consensus: models of both vendors at once, each independently", playConsensus},
		{"a web search", playSearch},
		{"a vendor that never answers: the call ends at its limit", playSilence},
		{"a stream that falls silent: what had arrived is kept", playStall},
		{"an answer longer than its call may be: it goes on, and is fetched", playBackground},
	}
}

func playGLM(ctx context.Context, d *demo) error {
	first, err := d.call(ctx, "chat", map[string]any{"prompt": "Name two uses of a bloom filter.", "model": "glm-5.3-flash"})
	if err != nil {
		return err
	}
	_, err = d.call(ctx, "chat", map[string]any{
		"prompt": "And its price?", "continuation_id": first.text("continuation_offer", "continuation_id"),
	})
	return err
}

func playKimi(ctx context.Context, d *demo) error {
	_, err := d.call(ctx, "chat", map[string]any{"prompt": "What is idempotence, in one sentence?", "model": "kimi-k3.1-pro"})
	return err
}

// playEndpoint asks the third vendor, of which nothing is known but its address: what it refuses is left out.
func playEndpoint(ctx context.Context, d *demo) error {
	r, err := d.call(ctx, "chat", map[string]any{"prompt": "What is a mutex, in one sentence?", "model": "lab"})
	if err == nil && r.text("metadata", "model_used") != "lab/lab-large" {
		err = fmt.Errorf("expected an answer of lab/lab-large, got %v", r)
	}
	return err
}

func playDebug(ctx context.Context, d *demo) error {
	file := filepath.Join(d.project, "window.go")
	first, err := d.call(ctx, "debug", map[string]any{
		"step": "Sums([1 2 3], 2) returns [3]; the sum of the last window is missing.", "step_number": 1, "total_steps": 2,
		"next_step_required": true, "findings": "The symptom is the same for every input: one sum too few.",
		"relevant_files": []string{file}, "confidence": "low", "model": "glm-5.3",
	})
	if err != nil {
		return err
	}
	_, err = d.call(ctx, "debug", map[string]any{
		"step": "Read the loop of Sums and walked it by hand with n=2.", "step_number": 2, "total_steps": 2,
		"next_step_required": false, "findings": "With three numbers and n=2, i takes 0 only; the bound is off by one.",
		"hypothesis": "The loop's bound should be i <= len(numbers)-n.", "relevant_files": []string{file},
		"confidence": "high", "model": "glm-5.3", "continuation_id": first.text("continuation_id"),
	})
	return err
}

// playReview reviews one file, whose caller in another one has the defect. The agent's own claim is shown to the expert afterwards.
func playReview(ctx context.Context, d *demo) error {
	if d.git == "" {
		d.print("(left out: git was not found, and an expert reads what git tracks)")
		return nil
	}
	r, err := d.call(ctx, "codereview", map[string]any{
		"step": "Review Mean before others rely on it.", "relevant_files": []string{filepath.Join(d.project, "mean.go")},
		"issues_found": []any{map[string]any{"severity": "medium", "file": "mean.go", "description": "Mean divides by zero when there are no numbers."}},
		"model":        "glm-5.3",
	})
	if err == nil && r.text("verdict") != "changes_required" {
		err = fmt.Errorf("expected a verdict, got %v", r)
	}
	return err
}

func playConsensus(ctx context.Context, d *demo) error {
	_, err := d.call(ctx, "consensus", map[string]any{
		"step": "Should sessions live in signed cookies or in the database?", "step_number": 1, "total_steps": 2,
		"next_step_required": true, "findings": "A few thousand users, one server today.",
	})
	return err
}

func playSearch(ctx context.Context, d *demo) error {
	_, err := d.call(ctx, "glm_web_search", map[string]any{"search_query": "go 1.26 release notes", "count": 2})
	return err
}

func playSilence(ctx context.Context, d *demo) error {
	r, err := d.call(ctx, "chat", map[string]any{"prompt": "Are you there?", "model": "glm-5.3"})
	if err == nil && r.text("error", "code") != "timeout" {
		err = fmt.Errorf("expected a timeout, got %v", r)
	}
	return err
}

func playStall(ctx context.Context, d *demo) error {
	r, err := d.call(ctx, "chat", map[string]any{"prompt": "Count to five.", "model": "glm-5.3-flash"})
	if err == nil && r.text("status") != "partial" {
		err = fmt.Errorf("expected a partial answer, got %v", r)
	}
	return err
}

func playBackground(ctx context.Context, d *demo) error {
	r, err := d.call(ctx, "chat", map[string]any{"prompt": "Tell me slowly.", "model": "glm-5.3-flash"})
	if err != nil {
		return err
	}
	if r.text("status") != "partial" {
		return fmt.Errorf("expected a partial answer, got %v", r)
	}
	r, err = d.call(ctx, "chat", map[string]any{"prompt": "", "continuation_id": r.text("continuation_offer", "continuation_id")})
	if err == nil && !strings.HasSuffix(r.text("content"), "its time.") {
		err = fmt.Errorf("expected the whole answer, got %v", r)
	}
	return err
}

// writeProject makes the small project with bugs in it that the experts' answers are about, as a repository where there is git.
func writeProject(ctx context.Context, dir, program string, environ []string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range emulator.DemoProject() {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	if program == "" {
		return nil
	}
	for _, args := range [][]string{
		{"init", "-q"}, {"add", "."}, {"-c", "user.name=demo", "-c", "user.email=demo@example.org", "commit", "-q", "--no-verify", "-m", "The demo's project"},
	} {
		cmd := exec.CommandContext(ctx, program, args...)
		// The user's own configuration, hooks and templates have no say.
		cmd.Dir, cmd.Env = dir, slices.Concat(environ, []string{"GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TEMPLATE_DIR="})
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	return nil
}

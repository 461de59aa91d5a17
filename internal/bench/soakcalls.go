//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// project makes a small repository for reviews, and returns its folder.
func (b *bench) project() (string, error) {
	dir := filepath.Join(b.dir, "soak-project")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	for name, text := range map[string]string{
		"shop.py": "from cart import total\n\n\ndef price(items):\n    return total(items)\n",
		"cart.py": "def total(items):\n    return sum(i.price for i in items)\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	return dir, commit(dir)
}

// commit makes a repository of a folder.
func commit(dir string) error {
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "-qm", "Begin"}} {
		cmd := exec.Command("git", args...) //nolint:gosec,noctx // fixed words
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	return nil
}

// call makes a call of one of the kinds but a task.
func (s *soak) call(c *server, r *rand.Rand, i int) error {
	model := []string{"glm-5.3-flash", "kimi-k3.1-pro"}[i%2]
	text := fmt.Sprintf("soak %d", i)
	chat := map[string]any{"prompt": text + " answer.", "model": model, "use_websearch": false}
	switch n := r.IntN(100); {
	case n < 45:
		s.kinds.add("chat")
		_, err := s.ask(c, "chat", chat)
		return err
	case n < 55:
		s.kinds.add("continued")
		first, err := s.ask(c, "chat", chat)
		if err == nil && first.Offer.ID != "" {
			chat["continuation_id"], chat["prompt"] = first.Offer.ID, text+" again."
			_, err = s.ask(c, "chat", chat)
		}
		return err
	case n < 70:
		s.kinds.add("fault")
		faults := emulator.Faults(emulator.GLM)
		chat["prompt"], chat["model"] = fmt.Sprintf("%s fault %d.", text, i%len(faults)), "glm-5.3-flash"
		_, err := s.ask(c, "chat", chat)
		return err
	case n < 78:
		s.kinds.add("cancelled")
		chat["prompt"] = text + " slowly."
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(r.IntN(1000))*time.Millisecond)
		defer cancel()
		_, err := c.Request(ctx, "tools/call", map[string]any{"name": "chat", "arguments": chat})
		if errors.Is(err, context.DeadlineExceeded) {
			err = nil
		}
		return err
	case n < 88:
		s.kinds.add("functions")
		_, err := s.ask(c, "codereview", map[string]any{
			"step": text + " review.", "relevant_files": []string{"shop.py"}, "model": model,
		})
		return err
	case n < 94:
		s.kinds.add("background")
		chat["prompt"] = text + " slowly."
		return s.fetched(c, chat)
	}
	s.kinds.add("without a model")
	_, err := s.ask(c, []string{"status", "listmodels", "version"}[i%3], map[string]any{})
	return err
}

// ask makes a call and keeps what its reply says.
func (s *soak) ask(c *server, tool string, arguments map[string]any) (reply, error) {
	r, err := c.call(tool, arguments, nil)
	if err == nil {
		s.keep(r)
	}
	if r.Error.Code == "invalid_request" || r.Error.Code == "internal" {
		err = fmt.Errorf("%s: %v: %s: %s", tool, arguments, r.Error.Code, r.Error.Message)
	}
	return r, err
}

func (s *soak) keep(r reply) {
	s.statuses.add(strings.TrimSpace(r.Status + " " + r.Error.Code))
	if r.Metadata.Stored != nil {
		s.statuses.add("(not stored)")
	}
	if r.Offer.ID == "" || r.Metadata.Stored != nil || !strings.Contains(r.Content, "(emulated)") {
		return
	}
	s.kept.Lock()
	defer s.kept.Unlock()
	s.kept.texts[r.Offer.ID] = append(s.kept.texts[r.Offer.ID], r.Content)
}

// fetched makes a call that goes on in the background, and fetches its answer.
func (s *soak) fetched(c *server, chat map[string]any) error {
	r, err := s.ask(c, "chat", chat)
	for range 5 {
		if err != nil || r.Status != "partial" || r.Metadata.Stored != nil {
			return err
		}
		r, err = s.ask(c, "chat", map[string]any{"prompt": "", "continuation_id": r.Offer.ID})
	}
	return err
}

// task makes a call that becomes a task, and polls or cancels it.
func (s *soak) task(c *server, i int) error {
	s.kinds.add("task")
	meta := map[string]any{
		"io.modelcontextprotocol/protocolVersion": "2026-07-28",
		"io.modelcontextprotocol/clientCapabilities": map[string]any{
			"extensions": map[string]any{"io.modelcontextprotocol/tasks": map[string]any{}},
		},
	}
	r, err := c.call("chat", map[string]any{
		"prompt": fmt.Sprintf("soak %d slowly.", i), "model": "glm-5.3-flash", "use_websearch": false,
	}, meta)
	if err != nil || r.taskID == "" {
		s.keep(r)
		return err
	}
	if i%4 == 0 {
		_, err := c.ask("tasks/cancel", map[string]any{"taskId": r.taskID, "_meta": meta})
		return err
	}
	for range 100 {
		a, err := c.ask("tasks/get", map[string]any{"taskId": r.taskID, "_meta": meta})
		if err != nil {
			return err
		}
		var got struct {
			Status string
			Result struct{ StructuredContent reply }
		}
		if err := json.Unmarshal(a.Result, &got); err != nil {
			return err
		}
		if got.Status != "working" {
			s.statuses.add("task " + got.Status)
			s.keep(got.Result.StructuredContent)
			return nil
		}
		time.Sleep(200 * time.Millisecond)
	}
	return fmt.Errorf("task %s did not end", r.taskID)
}

// answer plays both vendors: the prompt says how.
func (s *soak) answer(r emulator.Request) emulator.Reply {
	if r.Chat == nil {
		return emulator.Reply{}
	}
	text := r.Chat.Text()
	at := strings.LastIndex(text, "soak ")
	if at < 0 {
		return emulator.Reply{}
	}
	said, _, _ := strings.Cut(text[at:], ".")
	words := strings.Fields(said)
	say := emulator.Say("(emulated) ", "an answer ", "to ", strings.Join(words[:min(2, len(words))], " "))
	switch {
	case strings.Contains(said, "fault"):
		var n int
		if _, err := fmt.Sscan(words[len(words)-1], &n); err != nil {
			return say
		}
		faults := emulator.Faults(emulator.GLM)
		return say.With(faults[n%len(faults)])
	case strings.Contains(said, "slowly"):
		return emulator.Say("(emulated) ", "one ", "two ", "three ", "four ", said).Every(2 * soakLimit / 6)
	case strings.Contains(said, "review"):
		return emulator.Reads(emulator.Say(`{"status":"analysis_complete","findings":[],"summary":"(emulated)"}`),
			[]emulator.ToolCall{{Name: "read_file", Arguments: `{"path":"cart.py"}`}, {Name: "search_files", Arguments: `{"pattern":"def "}`}},
			[]emulator.ToolCall{{Name: "git_history", Arguments: `{"path":"cart.py"}`}},
		)(r)
	}
	return say
}

// victim is a server that is killed as kill -9 does, and started again for the next call.
type victim struct {
	start func() (*server, error)

	mu  sync.Mutex
	now *server
}

func (v *victim) server() (*server, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	var err error
	if v.now == nil {
		v.now, err = v.start()
	}
	return v.now, err
}

func (v *victim) kill() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.now != nil {
		v.now.kill()
		v.now = nil
	}
}

// counter counts by name.
type counter struct {
	mu sync.Mutex
	of map[string]int
}

func (c *counter) add(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of = map[string]int{}
	}
	c.of[name]++
}

func (c *counter) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var parts []string
	for name, n := range c.of {
		parts = append(parts, fmt.Sprintf("%d %s", n, name))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

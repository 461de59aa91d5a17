package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

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
		{"a vendor that never answers: the call ends at its limit", playSilence},
		{"a stream that dies: what had arrived is kept", playStall},
	}
}

func playGLM(ctx context.Context, d *demo) error {
	d.vendors.On(emulator.Match{Vendor: emulator.GLM, Text: "bloom filter"},
		emulator.Say("(emulated) ", "A bloom filter tells quickly that something is certainly not in a set. ",
			"Databases ask one before they read from disk; crawlers, before they fetch a page again."))
	first, err := d.call(ctx, "chat", map[string]any{"prompt": "Name two uses of a bloom filter.", "model": "glm-5.3-flash"})
	if err != nil {
		return err
	}
	d.vendors.On(emulator.Match{Vendor: emulator.GLM, Text: "And its price"},
		emulator.Say("(emulated) ", "It errs to one side: now and then it says \"maybe\" of something that is not there."))
	_, err = d.call(ctx, "chat", map[string]any{
		"prompt": "And its price?", "continuation_id": first.text("continuation_offer", "continuation_id"),
	})
	return err
}

func playKimi(ctx context.Context, d *demo) error {
	d.vendors.On(emulator.Match{Vendor: emulator.Kimi, Text: "idempotence"},
		emulator.Say("(emulated) ", "Doing it twice has the effect of doing it once."))
	_, err := d.call(ctx, "chat", map[string]any{"prompt": "What is idempotence, in one sentence?", "model": "kimi-k3.1-pro"})
	return err
}

func playSilence(ctx context.Context, d *demo) error {
	d.vendors.On(emulator.Match{Vendor: emulator.GLM, Text: "Are you there"}, emulator.Fail(emulator.NeverAnswer()))
	r, err := d.call(ctx, "chat", map[string]any{"prompt": "Are you there?", "model": "glm-5.3"})
	if err == nil && r.text("error", "code") != "timeout" {
		err = fmt.Errorf("expected a timeout, got %v", r)
	}
	return err
}

func playStall(ctx context.Context, d *demo) error {
	d.vendors.On(emulator.Match{Vendor: emulator.GLM, Text: "Count to five"},
		emulator.Say("(emulated) ", "one, ", "two, ", "three, ", "four, ", "five.").With(emulator.StallAfter(4)))
	r, err := d.call(ctx, "chat", map[string]any{"prompt": "Count to five.", "model": "glm-5.3-flash"})
	if err == nil && r.text("status") != "partial" {
		err = fmt.Errorf("expected a partial answer, got %v", r)
	}
	return err
}

// writeProject makes a small project with a bug in it.
func writeProject(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	for name, text := range map[string]string{
		"go.mod": "module example.org/window\n\ngo 1.26\n",
		"window.go": `package window

// Sums returns the sum of every window of n neighbouring numbers.
func Sums(numbers []int, n int) []int {
	var sums []int
	for i := 0; i < len(numbers)-n; i++ {
		sum := 0
		for _, v := range numbers[i : i+n] {
			sum += v
		}
		sums = append(sums, sum)
	}
	return sums
}
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

//go:build linux

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/bench/o200k"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// anID is a conversation's id. Their lengths in tokens differ.
var anID = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// replies are what replies in the compact style cost an agent beyond what it asked for, in tokens.
func (b *bench) replies() ([]figure, error) {
	e, err := emulator.Start()
	if err != nil {
		return nil, err
	}
	defer e.Close()
	e.Always(emulator.Match{}, func(emulator.Request) emulator.Reply {
		return emulator.Say(`{"summary":"One defect.","findings":[{"severity":"high","file":"cart.go","line":3,"title":"Mean of nothing","quote":"func Mean(sum, n int) int { return sum / n }","recommendation":"Check n."}]}`)
	})
	project := filepath.Join(b.dir, "shop")
	if err := os.MkdirAll(project, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(project, "cart.go"), []byte("package cart\n\nfunc Mean(sum, n int) int { return sum / n }\n"), 0o600); err != nil {
		return nil, err
	}
	c, err := b.serve(b.environ(e, "replies", "REPLY_STYLE=compact", "EXAI_ALLOWED_ROOTS="+project))
	if err != nil {
		return nil, err
	}
	defer c.kill()
	var figures []figure
	for _, r := range []struct {
		what, tool, answer string
		bound              int
		args               map[string]any
	}{
		{"a chat's reply beyond its answer", "chat", "content", 125, question},
		{
			"a review's reply beyond its findings", "codereview", "expert_analysis", 200,
			map[string]any{"step": "Review the cart.", "relevant_files": []string{"cart.go"}},
		},
		{
			"a pause's reply", "debug", "", 240,
			map[string]any{"step": "The mean is wrong.", "step_number": 1, "total_steps": 3, "next_step_required": true, "findings": strings.Repeat("It panics. ", 50)},
		},
	} {
		tokens, err := b.replyTokens(c, r.tool, r.args, r.answer)
		if err != nil {
			return nil, err
		}
		figures = append(figures, figure{
			what: r.what, value: fmt.Sprintf("%d tokens", tokens), bound: fmt.Sprintf("at most %d", r.bound),
			share: float64(tokens) / float64(r.bound), details: "REPLY_STYLE=compact, o200k; the tests of the replies hold every tool to it",
		})
	}
	return figures, nil
}

// replyTokens calls a tool and returns the tokens of its reply, less those of the key that holds the answer, "" for none.
func (b *bench) replyTokens(c *server, tool string, args map[string]any, answer string) (int, error) {
	result, err := c.ask("tools/call", map[string]any{"name": tool, "arguments": args})
	if err != nil {
		return 0, err
	}
	var reply struct {
		IsError           bool
		StructuredContent json.RawMessage
	}
	var keys map[string]json.RawMessage
	if err := json.Unmarshal(result.Result, &reply); err != nil {
		return 0, err
	}
	if err := json.Unmarshal(reply.StructuredContent, &keys); err != nil || reply.IsError {
		return 0, fmt.Errorf("%s answered %s (%w)", tool, result.Result, err)
	}
	count := func(text []byte) int {
		stable := anID.ReplaceAllString(strings.ReplaceAll(string(text), b.dir, "/home/ada"), "3f6c1d0a-5b7e-4c8d-9a10-2b3c4d5e6f70")
		return o200k.Count(stable)
	}
	tokens := count(reply.StructuredContent)
	if answer != "" {
		if keys[answer] == nil {
			return 0, fmt.Errorf("%s: no %s in %s", tool, answer, reply.StructuredContent)
		}
		tokens -= count(keys[answer])
	}
	return tokens, nil
}

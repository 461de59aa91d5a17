package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// script is a model that plays a part on the emulated vendors, so that a run without keys measures everything but the judgement.
type script struct {
	name  string // as reports show it
	model string // whose dialect it speaks
	play  func(c evalCase) func(emulator.Request) emulator.Reply
}

// scripts are the parts: one that looks for what depends on the change, in both vendors' dialects; one that looks at the diff
// alone and makes up a finding; and one that reads as long as it is let.
func scripts() []script {
	return []script{
		{"reader (GLM)", "glm-5.3", reader},
		{"reader (Kimi)", "kimi-k3.1-pro", reader},
		{"hasty (GLM)", "glm-5.3", hasty},
		{"endless (GLM)", "glm-5.3", endless},
		{"endless (Kimi)", "kimi-k3.1-pro", endless},
	}
}

// reader searches for what the change touches, reads the file with the defect, and quotes the line as it was shown there.
func reader(c evalCase) func(emulator.Request) emulator.Reply {
	return func(r emulator.Request) emulator.Reply {
		switch rounds(r.Chat) {
		case 0:
			return calling(call("search_files", map[string]any{"pattern": c.Search}), call("list_files", map[string]any{"depth": 5}))
		case 1:
			return calling(call("read_file", map[string]any{"path": c.Defect.File}))
		}
		return concluding(c, r.Chat)
	}
}

// hasty concludes at once, with a line that nobody wrote.
func hasty(c evalCase) func(emulator.Request) emulator.Reply {
	file := slices.Sorted(maps.Keys(c.change))[0]
	return func(emulator.Request) emulator.Reply {
		return answering(map[string]any{
			"severity": "medium", "file": file, "line": 1, "title": "Errors are not handled", "quote": "this line was made up by the model",
			"evidence": "(scripted)", "recommendation": "Handle errors.", "confidence": "high",
		})
	}
}

// greed is how many calls endless makes in a round: more than are run.
const greed = 10

// endless makes as many calls as it is let, whatever it is told, and then concludes.
func endless(c evalCase) func(emulator.Request) emulator.Reply {
	files := slices.Sorted(maps.Keys(c.base))
	return func(r emulator.Request) emulator.Reply {
		if r.Chat.ToolChoice == "none" || len(r.Chat.Tools) == 0 {
			return concluding(c, r.Chat)
		}
		calls := []emulator.ToolCall{call("read_file", map[string]any{"path": c.Defect.File, "to": 1000 + rounds(r.Chat)})}
		for i := range greed - 1 {
			calls = append(calls, call("read_file", map[string]any{"path": files[i%len(files)], "to": 2000 + rounds(r.Chat)*greed + i}))
		}
		return calling(calls...)
	}
}

// concluding is the finding of the planted defect, if the model was shown its line, else none.
func concluding(c evalCase, chat *emulator.Chat) emulator.Reply {
	n, text, ok := shown(chat, c.Defect)
	if !ok {
		return answering()
	}
	return answering(map[string]any{
		"severity": "high", "file": c.Defect.File, "line": n, "line_end": n, "title": c.Title, "quote": text,
		"evidence": "(scripted)", "trigger": "(scripted)", "recommendation": "(scripted)", "fix": nil, "confidence": "certain",
	})
}

var numbered = regexp.MustCompile(`(?m)^ *(\d+)\| ?(.*)$`)

// shown is the line of a place as a result of read_file showed it.
func shown(chat *emulator.Chat, p place) (n int, text string, ok bool) {
	for _, m := range chat.Messages {
		if m.Role != "tool" || !strings.HasPrefix(m.Content, p.File+", ") {
			continue
		}
		for _, line := range numbered.FindAllStringSubmatch(m.Content, -1) {
			if strings.Contains(line[2], p.Text) {
				n, err := strconv.Atoi(line[1])
				return n, strings.TrimSpace(line[2]), err == nil
			}
		}
	}
	return 0, "", false
}

// rounds is how many rounds of calls a chat carries.
func rounds(chat *emulator.Chat) (n int) {
	for _, m := range chat.Messages {
		if len(m.ToolCalls) > 0 {
			n++
		}
	}
	return n
}

func call(name string, arguments map[string]any) emulator.ToolCall {
	return emulator.ToolCall{Name: name, Arguments: text(arguments)}
}

func calling(calls ...emulator.ToolCall) emulator.Reply {
	return emulator.Reply{Reasoning: []string{"(scripted) I look."}, ToolCalls: calls}
}

func answering(findings ...map[string]any) emulator.Reply {
	if findings == nil {
		findings = []map[string]any{}
	}
	return emulator.Say(text(map[string]any{"status": "analysis_complete", "summary": "(scripted)", "findings": findings}))
}

func text(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(err) // it is made of values that marshal
	}
	return string(b)
}

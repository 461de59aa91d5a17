package emulator_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// reviewForm is a system prompt that asks for findings, with keys of its own.
const reviewForm = `Reply with one JSON object:
{"summary": "s", "findings": [{"severity": "low"}]}

Each finding also has "category" (a name) and "attack" (what happens). The object also has these keys:
- "first_step": the one change to begin with.
- "risks": what could break, as a list.
- "fix": the change, or null.
- "files": the files, each {"path": "p", "content": "c"}.

What the keys hold:
- "quote" is one line.`

// turn is a message as JSON.
func turn(role, content, more string) string {
	return fmt.Sprintf(`{"role":%q,"content":%q%s}`, role, content, more)
}

// answered is an unscripted model's answer to messages, as an object.
func answered(t *testing.T, e *emulator.Emulator, list ...string) map[string]any {
	t.Helper()
	r := to(t, e, emulator.GLM).post("/chat/completions", messages("glm-5.3", strings.Join(list, ","), ""))
	require.Equal(t, 200, r.status, r.body)
	content, _ := at(t, decode(t, r.body), "choices", 0, "message", "content").(string)
	return decode(t, content)
}

func TestUnscriptedReviewCitesTheFirstLineShown(t *testing.T) {
	call := `,"tool_calls":[{"id":"c","type":"function","function":{"name":"read_file","arguments":"{}"}}]`
	result := func(text string) []string {
		return []string{turn("user", "Review.", ""), turn("assistant", "", call), turn("tool", text, `,"tool_call_id":"c"`)}
	}
	const diff = "=== BEGIN CHANGES m1 /repo ===\nBranch: main\ndiff --git a/old.go b/old.go\n--- a/old.go\n+++ /dev/null\n@@ -1 +0,0 @@\n   1|-package gone\n" +
		"diff --git a/new.go b/new.go\n--- a/new.go\n+++ b/new.go\n@@ -1,2 +1,2 @@\n   1|-package before\n   1|+package after\n   2| \n=== END CHANGES m1 ===\n"
	for name, c := range map[string]struct {
		shown []string
		file  string
		line  float64
		quote string
	}{
		"a file":            {[]string{turn("user", "=== BEGIN FILE m1 /p/a b.go ===\n   1| \n   2| }\n   3| func Long(x int) {\n=== END FILE m1 ===\n\nReview.", "")}, "/p/a b.go", 3, "func Long(x int) {"},
		"the second file":   {[]string{turn("user", "=== BEGIN FILE m1 /p/a ===\n=== END FILE m1 ===\n   9| outside of files\n=== BEGIN FILE m1 /p/b ===\n   1| package b\n=== END FILE m1 ===\n", "")}, "/p/b", 1, "package b"},
		"a diff":            {[]string{turn("user", diff, "")}, "new.go", 1, "package after"},
		"what it read":      {result("pay/pay.go, 2 lines\n   1| // x\n   2| package pay\n"), "pay/pay.go", 2, "package pay"},
		"a list of files":   {result("pay/pay.go\npay/rate.go"), "", 0, ""},
		"an old revision":   {result("pay/pay.go in commit abc, 1 line\n   1| package pay\n"), "", 0, ""},
		"nothing":           {[]string{turn("user", "Review.", "")}, "", 0, ""},
		"lines of no file":  {[]string{turn("user", "   1| package quoted", "")}, "", 0, ""},
		"nothing but signs": {[]string{turn("user", "=== BEGIN FILE m1 /p/a ===\n   1| }{ ab c d)\n=== END FILE m1 ===\n", "")}, "", 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			answer := answered(t, start(t), append([]string{turn("system", reviewForm, "")}, c.shown...)...)
			assert.Equal(t, "analysis_complete", answer["status"])
			assert.Contains(t, answer["summary"], "emulated")
			assert.Contains(t, answer["first_step"], "emulated")
			assert.Equal(t, []any{"(emulated)"}, answer["risks"])
			assert.Contains(t, answer, "fix")
			assert.Nil(t, answer["fix"])
			assert.NotEmpty(t, at(t, answer["files"], 0, "content"))
			assert.NotContains(t, answer, "quote", "a key of findings")
			findings, ok := answer["findings"].([]any)
			require.True(t, ok)
			if c.file == "" {
				assert.Empty(t, findings)
				return
			}
			require.Len(t, findings, 1)
			for key, want := range map[string]any{
				"file": c.file, "line": c.line, "quote": c.quote, "severity": "low", "category": "emulated", "attack": "emulated",
			} {
				assert.Equal(t, want, at(t, findings[0], key), key)
			}
		})
	}
}

func TestUnscriptedJudgementsAndIntents(t *testing.T) {
	e := start(t)
	judged := answered(
		t, e, turn("system", reviewForm, ""), turn("user", "Review.", ""), turn("assistant", "{}", ""),
		turn("user", "## What the agent reports\n1. [HIGH, a.go:4] It divides by zero.\n2. [its findings] Nothing else.\n\nReply: {\"judgements\": []}", ""),
	)
	require.Len(t, judged["judgements"], 2)
	assert.Equal(t, "1. It divides by zero.", at(t, judged["judgements"], 0, "claim"))
	assert.Equal(t, "undecided", at(t, judged["judgements"], 1, "judgement"))

	const form = "Keys:\n- \"needs_websearch\": true or false.\n- a pair:\n  - provider \"KIMI\", model \"kimi-k3\": long\n  - provider \"GLM\", model \"glm-5.3\": quick\n"
	intent := answered(t, e, turn("system", form, ""), turn("user", "What is new?", ""))
	assert.Equal(t, "KIMI", intent["recommended_provider"])
	assert.Equal(t, "kimi-k3", intent["recommended_model"])
	assert.Equal(t, false, intent["needs_websearch"])
	assert.Equal(t, "simple", intent["complexity"])
}

// A model that reads lists the files, reads one that it was not sent, and answers; one that does not read answers at once.
func TestReadingModels(t *testing.T) {
	tools := `,"tools":[` + function("list_files") + `,` + function("read_file") + `]`
	sent := turn("user", "=== BEGIN FILE m1 /repo/a.go ===\n   1| package a\n=== END FILE m1 ===\n", "")
	listed := func(result string) string {
		return sent + `,{"role":"assistant","reasoning_content":"r","tool_calls":[{"id":"c:0","type":"function","function":{"name":"list_files","arguments":"{}"}}]},` +
			turn("tool", result, `,"tool_call_id":"c:0"`)
	}
	const read = `read_file{"path":"b.go","to":200}`
	for name, c := range map[string]struct {
		options []emulator.Option
		model   string
		list    string
		more    string
		want    string // the call that it makes
	}{
		"it lists": {[]emulator.Option{emulator.Reading()}, "kimi-k3", sent, tools, "list_files{}"},
		"it reads": {[]emulator.Option{emulator.Reading()}, "kimi-k3", listed("[2 more: name a folder]\nsub/ (3 files)\na.go\nb.go"), tools, read},
		"it has read": {
			[]emulator.Option{emulator.Reading()},
			"kimi-k3",
			listed("a.go\nb.go") + `,{"role":"assistant","reasoning_content":"r","tool_calls":[{"id":"c:1","type":"function","function":{"name":"read_file","arguments":"{}"}}]},` +
				turn("tool", "b.go, 1 line\n   1| package b", `,"tool_call_id":"c:1"`), tools, "",
		},
		"nothing is left":       {[]emulator.Option{emulator.Reading()}, "kimi-k3", listed("a.go\nNo files."), tools, ""},
		"it was refused":        {[]emulator.Option{emulator.Reading()}, "kimi-k3", listed("Error: no such folder"), tools, ""},
		"functions are gone":    {[]emulator.Option{emulator.Reading()}, "kimi-k3", sent, "", ""},
		"functions are barred":  {[]emulator.Option{emulator.Reading()}, "kimi-k3", sent, tools + `,"tool_choice":"none"`, ""},
		"functions of a caller": {[]emulator.Option{emulator.Reading()}, "kimi-k3", sent, `,"tools":[` + function("lookup") + `]`, ""},
		"one that does not":     {[]emulator.Option{emulator.Reading()}, "glm-5.3-flash", sent, tools, ""},
		"without the option":    {nil, "kimi-k3", sent, tools, ""},
	} {
		t.Run(name, func(t *testing.T) {
			vendor := emulator.Kimi
			if strings.HasPrefix(c.model, "glm") {
				vendor = emulator.GLM
			}
			r := to(t, start(t, c.options...), vendor).post("/chat/completions", messages(c.model, c.list, c.more))
			require.Equal(t, 200, r.status, r.body)
			m, ok := at(t, decode(t, r.body), "choices", 0, "message").(map[string]any)
			require.True(t, ok)
			calls, _ := m["tool_calls"].([]any)
			if c.want == "" {
				assert.Empty(t, calls)
				return
			}
			require.Len(t, calls, 1)
			assert.Equal(t, c.want, fmt.Sprint(at(t, calls[0], "function", "name"), at(t, calls[0], "function", "arguments")))
		})
	}
}

package emulator_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

var demoModels = map[emulator.Vendor]string{emulator.GLM: "glm-5.3", emulator.Kimi: "kimi-k3.1-pro"}

// ask puts a question to a model, with more parameters, and gives the message that comes back.
func ask(t *testing.T, c client, model, text, extra string) map[string]any {
	t.Helper()
	r := c.post("/chat/completions", messages(model, fmt.Sprintf(`{"role":"user","content":%q}`, text), extra))
	require.Equal(t, 200, r.status, r.body)
	m, ok := at(t, decode(t, r.body), "choices", 0, "message").(map[string]any)
	require.True(t, ok)
	return m
}

func TestDemoAnswersEveryQuestionAndSaysThatItIsEmulated(t *testing.T) {
	e := start(t, emulator.Demo())
	asked := 0
	for _, s := range emulator.DemoScenes() {
		for v, model := range demoModels {
			if s.Ask == "" || s.Fault != "" || s.Vendor != "" && s.Vendor != v {
				continue
			}
			asked++
			m := ask(t, to(t, e, v), model, "Please. "+s.Ask, "")
			assert.Contains(t, m["content"], "emulated", s.Name)
			assert.NotContains(t, m["content"], "no model was called", s.Name+": the default answered")
		}
	}
	assert.Greater(t, asked, 8)
}

func TestDemoExpert(t *testing.T) {
	e := start(t, emulator.Demo())
	project := emulator.DemoProject()
	require.Contains(t, project, "go.mod")
	prompt := "Reply with one JSON object: {\"findings\": []}\n\n" + project["window.go"]
	content, ok := ask(t, to(t, e, emulator.GLM), "glm-5.3", prompt, "")["content"].(string)
	require.True(t, ok)
	answer := decode(t, content)
	assert.Contains(t, answer["summary"], "emulated")
	findings, ok := answer["findings"].([]any)
	require.True(t, ok)
	invented := 0
	for _, f := range findings {
		for _, key := range []string{"severity", "file", "line", "title", "quote", "evidence", "recommendation", "confidence"} {
			assert.NotEmpty(t, at(t, f, key), key)
		}
		name, _ := at(t, f, "file").(string)
		text, exists := project[name]
		if !exists {
			invented++
			continue
		}
		line, _ := at(t, f, "line").(float64)
		assert.Contains(t, strings.Split(text, "\n")[int(line)-1], at(t, f, "quote"), "the line says what the finding says")
	}
	assert.Equal(t, 1, invented)
	plain := ask(t, to(t, e, emulator.GLM), "glm-5.3", project["window.go"], "")["content"]
	assert.Contains(t, plain, "no model was called", "a chat about the file is no expert call")
}

// The reviewer looks for the callers, reads the one that nobody named, and quotes a line of it and one that does not exist.
func TestDemoReviewerReads(t *testing.T) {
	e := start(t, emulator.Demo())
	project := emulator.DemoProject()
	prompt := fmt.Sprintf(`{"role":"user","content":%q}`, "Reply with one JSON object: {\"findings\": []}\n\n"+project["mean.go"])
	tools := `,"tools":[` + function("search_files") + `,` + function("list_files") + `,` + function("read_file") + `]`
	var called []string
	for round := range 3 {
		r := to(t, e, emulator.Kimi).post("/chat/completions", messages("kimi-k3.1-pro", prompt, tools))
		require.Equal(t, 200, r.status, r.body)
		m, ok := at(t, decode(t, r.body), "choices", 0, "message").(map[string]any)
		require.True(t, ok)
		calls, _ := m["tool_calls"].([]any)
		if round == 2 {
			assert.Empty(t, calls)
			text, _ := m["content"].(string)
			prompt = text
			break
		}
		line, err := json.Marshal(m)
		require.NoError(t, err)
		prompt += "," + string(line)
		for _, call := range calls {
			called = append(called, fmt.Sprint(at(t, call, "function", "name"), at(t, call, "function", "arguments")))
			prompt += fmt.Sprintf(`,{"role":"tool","tool_call_id":%q,"content":"x"}`, at(t, call, "id"))
		}
	}
	assert.Equal(t, []string{`search_files{"pattern": "Mean\\("}`, `list_files{}`, `read_file{"path": "above.go"}`}, called)
	answer := decode(t, prompt)
	assert.Contains(t, answer["summary"], "emulated")
	for i, real := range []bool{true, false} {
		f := at(t, answer, "findings", i)
		name, _ := at(t, f, "file").(string)
		line, _ := at(t, f, "line").(float64)
		quote, _ := at(t, f, "quote").(string)
		assert.Equal(t, real, strings.Contains(strings.Split(project[name], "\n")[int(line)-1], quote), "%v", f)
	}

	second := ask(t, to(t, e, emulator.GLM), "glm-5.3", project["mean.go"]+`Reply: {"judgements": []}, not {"findings": []}`, "")
	content, _ := second["content"].(string)
	assert.Equal(t, "wrong", at(t, decode(t, content), "judgements", 0, "judgement"))
}

func function(name string) string {
	return `{"type":"function","function":{"name":"` + name + `","description":"d","parameters":{"type":"object"}}}`
}

func TestDemoVendorsDisagree(t *testing.T) {
	e := start(t, emulator.Demo())
	const q = "Should sessions live in signed cookies or in the database?"
	assert.NotEqual(t, ask(t, to(t, e, emulator.GLM), "glm-5.3", q, "")["content"], ask(t, to(t, e, emulator.Kimi), "kimi-k3", q, "")["content"])
}

func TestDemoSearches(t *testing.T) {
	e := start(t, emulator.Demo())
	const q = "What is new in the latest Go release?"
	tools := `,"tools":[{"type":"function","function":{"name":"web_search","parameters":{"type":"object"}}}]`
	call := at(t, ask(t, to(t, e, emulator.Kimi), "kimi-k3", q, tools), "tool_calls", 0)
	assert.Equal(t, `{"query":"latest Go release notes"}`, at(t, call, "function", "arguments"))
	after := fmt.Sprintf(`{"role":"user","content":%q},{"role":"assistant","content":"","reasoning_content":"r","tool_calls":[{"id":"web_search:0","type":"function",`+
		`"function":{"name":"web_search","arguments":"{}"}}]},{"role":"tool","tool_call_id":"web_search:0","content":"pages"}`, q)
	r := to(t, e, emulator.Kimi).post("/chat/completions", messages("kimi-k3", after, tools))
	assert.Contains(t, at(t, decode(t, r.body), "choices", 0, "message", "content"), "https://emulated.invalid/release-notes")

	found := to(t, e, emulator.GLM).post("/web_search", `{"search_engine":"search-prime","search_query":"anything"}`)
	assert.Contains(t, found.body, "emulated.invalid/release-notes")
	native := to(t, e, emulator.GLM).post("/chat/completions", chatBody("glm-5.3", `,"tools":[{"type":"web_search","web_search":{"search_result":true}}]`))
	assert.Equal(t, 200, native.status)
}

func TestDemoStall(t *testing.T) {
	inFakeTime(t, emulator.GLM, func(t *testing.T, _ *emulator.Emulator, c client) {
		_, got, err := c.read(limit, messages("glm-5.3-flash", `{"role":"user","content":"Count to five."}`, streamed))
		require.Error(t, err)
		assert.Contains(t, texts(got), "three")
		assert.NotContains(t, texts(got), "four")
		_, got, err = c.read(limit, messages("glm-5.3-flash", `{"role":"user","content":"Are you there?"}`, streamed))
		require.Error(t, err)
		assert.Empty(t, got)
	}, emulator.Demo())
}

func TestScriptsComeBeforeTheDemo(t *testing.T) {
	e := start(t, emulator.Demo())
	e.Always(emulator.Match{Text: "bloom filter"}, func(emulator.Request) emulator.Reply { return emulator.Say("mine") })
	c := to(t, e, emulator.GLM)
	assert.Equal(t, "mine", ask(t, c, "glm-5.3", "a bloom filter", "")["content"])
	e.Script(emulator.Say("first"))
	assert.Equal(t, "first", ask(t, c, "glm-5.3", "a bloom filter", "")["content"])
}

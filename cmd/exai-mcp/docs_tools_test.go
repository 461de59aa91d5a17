package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// example is one call of a tool, as docs/tools.md shows it.
type example struct {
	when string // what kind of reply it brings, where a tool has several
	args string // {project} is the project's folder, {id} the last reply's continuation_id
}

// investigated are the two ends of an investigation: a first step, and a last one.
func investigated(what, found, more string) []example {
	return []example{
		{"a step that goes on", `{"step":"` + what + `","step_number":1,"total_steps":2,"next_step_required":true,"findings":"Read window.go.","relevant_files":["{project}/window.go"]` + more + `}`},
		{"the last step", `{"step":"Read it again, with the tests.","step_number":2,"total_steps":2,"next_step_required":false,"findings":"` + found + `","relevant_files":["{project}/window.go"],"continuation_id":"{id}"` + more + `}`},
	}
}

// examples are the calls, by tool. Every tool has at least one.
func examples() map[string][]example {
	one := func(args string) []example { return []example{{"", args}} }
	return map[string][]example{
		"chat":      one(`{"prompt":"Is a bloom filter the right thing for 100 keys?","files":["{project}/window.go"]}`),
		"challenge": one(`{"prompt":"You are wrong: the loop is fine."}`),
		"debug":     investigated("Sums([1 2 3], 2) misses the last window.", "The loop ends one window early: off by one.", `,"hypothesis":"< where <= is meant","confidence":"high"`),
		"analyze":   investigated("How does the window package work, and where are its limits?", "One function, quadratic.", `,"analysis_type":"performance"`),
		"thinkdeep": investigated("Should Sums keep a running sum?", "It would be linear; overflow stays.", `,"problem_context":"Windows of up to 10,000 numbers."`),
		"codereview": investigated("Review the window package before release.", "The bound of the loop is off by one.",
			`,"review_type":"full","severity_filter":"low"`),
		"refactor": investigated("Find what to simplify in the window package.", "The inner loop repeats work.", `,"refactor_type":"codesmells","confidence":"incomplete"`),
		"secaudit": investigated("Audit the window package.", "n is not checked: a negative one panics.", `,"threat_level":"medium"`),
		"testgen":  investigated("Tests for Sums: paths and edges.", "n of 0, n beyond the length, the last window.", ""),
		"precommit": {
			{"a step that goes on", `{"step":"Check my changes before I commit.","step_number":1,"total_steps":2,"next_step_required":true,"findings":"","path":"{project}"}`},
			{"the last step", `{"step":"Looked at the diff.","step_number":2,"total_steps":2,"next_step_required":false,"findings":"One bound changed.","path":"{project}","continuation_id":"{id}"}`},
		},
		"consensus": one(`{"step":"Is SQLite enough for a few million rows?","step_number":1,"total_steps":2,"next_step_required":true,"findings":"One process writes."}`),
		"planner": {
			{"a step that goes on", `{"step":"Move the store to PostgreSQL without downtime.","step_number":1,"total_steps":2,"next_step_required":true}`},
			{"the last step", `{"step":"Write to both, compare, switch reads, drop the old one.","step_number":2,"total_steps":2,"next_step_required":false,"continuation_id":"{id}"}`},
		},
		"tracer": {
			{"a step that goes on", `{"step":"Who calls Sums?","step_number":1,"total_steps":2,"next_step_required":true,"findings":"","trace_mode":"precision","target_description":"Sums in window.go"}`},
			{"the last step", `{"step":"Nobody but the tests.","step_number":2,"total_steps":2,"next_step_required":false,"findings":"No caller.","trace_mode":"precision","target_description":"Sums in window.go","continuation_id":"{id}"}`},
		},
		"docgen": {
			{"a step that goes on", `{"step":"Document the window package.","step_number":1,"total_steps":2,"next_step_required":true,"findings":"One file.","total_files_to_document":1}`},
			{"the last step", `{"step":"window.go is done.","step_number":2,"total_steps":2,"next_step_required":false,"findings":"Doc comment for Sums.","num_files_documented":1,"total_files_to_document":1,"continuation_id":"{id}"}`},
		},
		"listmodels":              one(`{}`),
		"provider_capabilities":   one(`{"show_advanced":true}`),
		"status":                  one(`{"doctor":true}`),
		"version":                 one(`{}`),
		"health":                  one(`{"tail_lines":20}`),
		"activity":                one(`{"lines":50,"filter":"timeout"}`),
		"toolcall_log_tail":       one(`{"n":5}`),
		"kimi_upload_and_extract": one(`{"files":["{project}/window.go"]}`),
		"kimi_multi_file_chat":    one(`{"files":["{project}/window.go"],"prompt":"What does this do?"}`),
		"kimi_intent_analysis":    one(`{"prompt":"Which Go version is the newest?"}`),
		"kimi_capture_headers":    one(`{"messages":[{"role":"user","content":"Hello"}],"session_id":"my-session"}`),
		"kimi_chat_with_tools": {
			{"the model calls a function", `{"messages":"Call lookup for Oslo.","tools":[{"type":"function","function":{"name":"lookup","parameters":{"type":"object","properties":{"city":{"type":"string"}}}}}],"tool_choice":"required"}`},
			{"the model answers", `{"messages":"What is idempotence?"}`},
		},
		"glm_upload_file":     one(`{"file":"{project}/report.pdf"}`),
		"glm_web_search":      one(`{"search_query":"go 1.26 release notes","count":3}`),
		"glm_payload_preview": one(`{"prompt":"Hello","use_websearch":true}`),
	}
}

// expertsOpinion is what the emulated expert answers.
const expertsOpinion = `{"status":"analysis_complete","summary":"(emulated) Window sizes below 1 are not refused.","findings":[{"severity":"high","file":"%s/window.go","line":6,"line_end":8,"title":"A negative window size panics","quote":"for i := 0; i <= len(numbers)-n; i++ {","evidence":"n is never checked, and numbers[i : i+n] ends before it begins","trigger":"Sums([]int{1}, -1)","recommendation":"return nil when n < 1","fix":"if n < 1 {\n\treturn nil\n}","confidence":"certain"}],"root_cause":"(emulated) The size is trusted."}`

// stage is where the examples are played.
func stage(t *testing.T) (s *site, project string) {
	s = newSite(t, "LOG_LEVEL=error", "ISSUE_TRACKER_CAPTURE=true")
	project = filepath.Join(s.dir, "project")
	program := git.Find("")
	require.NotEmpty(t, program)
	require.NoError(t, writeProject(t.Context(), project, program, s.environ))
	file := filepath.Join(project, "window.go")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(read(t, file), "i < len", "i <= len", 1)), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(project, "report.pdf"), []byte("%PDF-1.4\n"), 0o644))
	s.environ = append(s.environ, "EXAI_ALLOWED_ROOTS="+project)
	s.vendors.Always(emulator.Match{Anywhere: `"findings"`}, func(emulator.Request) emulator.Reply {
		return emulator.Say(fmt.Sprintf(expertsOpinion, project))
	})
	s.vendors.Always(emulator.Match{Text: "bloom filter"}, func(emulator.Request) emulator.Reply {
		return emulator.Say("(emulated) For 100 keys a map is simpler, exact and small.")
	})
	return s, project
}

func TestDocsTools(t *testing.T) {
	s, project := stage(t)
	all, about := examples(), parameterTexts(t)
	var b strings.Builder
	shown := shownTools(t)
	shared := common(t, shown)
	require.Greater(t, len(shared), 10)
	b.WriteString("## The parameters of every investigation\n\nOf " + strings.Join(investigations[:], ", ") + ".\n\n")
	writeTable(t, &b, "", shared, []string{"step"}, about)
	for _, tool := range shown {
		calls := all[tool.Name]
		require.NotEmpty(t, calls, "%s needs an example", tool.Name)
		delete(all, tool.Name)
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", tool.Name, tool.Description)
		writeParameters(t, &b, tool, shared, about)
		id := ""
		for i, call := range calls {
			args := strings.NewReplacer("{project}", project, "{id}", id).Replace(call.args)
			code, out, errs := s.run("", "call", tool.Name, args)
			require.Equal(t, exitOK, code, "%s %s: %s%s", tool.Name, args, out, errs)
			if i == 0 {
				fmt.Fprintf(&b, "```sh\nexai-mcp call %s '%s'\n```\n\n", tool.Name, strings.ReplaceAll(call.args, "{project}", "/path/to/your/project"))
			}
			keys, found := keysOf(t, out)
			if id = found; call.when == "" {
				fmt.Fprintf(&b, "Reply: %s.\n\n", keys)
			} else {
				fmt.Fprintf(&b, "Reply, %s: %s.\n\n", call.when, keys)
			}
		}
	}
	assert.Empty(t, all, "examples of tools that are not there")
	assert.Empty(t, about.unused(), "texts about parameters that are not there")
	generated(t, toolsFile, "tools", b.String())
}

// keysOf lists a reply's keys, and its continuation_id.
func keysOf(t *testing.T, reply string) (keys, id string) {
	t.Helper()
	var names []string
	for _, m := range members(t, []byte(reply)) {
		names = append(names, "`"+m.name+"`")
	}
	o := outcome{}
	_ = json.Unmarshal([]byte(reply), &o)
	if id = o.ID; id == "" {
		id = o.Offer.ID
	}
	return strings.Join(names, ", "), id
}

// member is a name and a value of an object.
type member struct {
	name  string
	value json.RawMessage
}

// members reads an object in its own order.
func members(t *testing.T, object []byte) []member {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(object))
	_, err := dec.Token()
	require.NoError(t, err)
	var all []member
	for dec.More() {
		name, err := dec.Token()
		require.NoError(t, err)
		m := member{name: name.(string)}
		require.NoError(t, dec.Decode(&m.value))
		all = append(all, m)
	}
	return all
}

// texts are what parameters mean.
type texts struct {
	about map[string]string
	used  map[string]bool
}

// of is what a parameter means: what the tool says of it in particular, what clients are told, what it means in general.
func (x texts) of(tool, parameter, published string) string {
	own, general := tool+"."+parameter, parameter
	switch {
	case x.about[own] != "":
		x.used[own] = true
		return x.about[own]
	case published != "":
		return published
	}
	x.used[general] = true
	return x.about[general]
}

func (x texts) unused() (names []string) {
	for name := range x.about {
		if !x.used[name] {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func parameterTexts(t *testing.T) texts {
	x := texts{map[string]string{}, map[string]bool{}}
	for line := range strings.Lines(read(t, "testdata/parameters.txt")) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, text, ok := strings.Cut(line, ": ")
		require.True(t, ok && x.about[name] == "", line)
		x.about[name] = text
	}
	return x
}

// investigations are the tools whose common parameters are described once.
var investigations = [...]string{"debug", "analyze", "thinkdeep", "codereview", "refactor", "secaudit", "testgen", "precommit"}

// parametersOf are a tool's parameters in its own order, with the names of those that it requires.
func parametersOf(t *testing.T, tool tool.Tool) (parameters []member, required []string) {
	t.Helper()
	var schema struct {
		Properties json.RawMessage
		Required   []string
	}
	require.NoError(t, json.Unmarshal(tool.Schema(), &schema))
	return members(t, schema.Properties), schema.Required
}

// common are the parameters that all investigations have in the same form.
func common(t *testing.T, all []tool.Tool) []member {
	t.Helper()
	var shared []member
	for _, tool := range all {
		if !slices.Contains(investigations[:], tool.Name) {
			continue
		}
		parameters, _ := parametersOf(t, tool)
		if shared == nil {
			shared = parameters
		}
		shared = slices.DeleteFunc(slices.Clone(shared), func(p member) bool { return !holds(parameters, p) })
	}
	return shared
}

func holds(parameters []member, p member) bool {
	return slices.ContainsFunc(parameters, func(other member) bool {
		return other.name == p.name && bytes.Equal(other.value, p.value)
	})
}

// writeParameters writes a tool's parameters as a table, but for those that are described elsewhere.
func writeParameters(t *testing.T, b *strings.Builder, tool tool.Tool, elsewhere []member, about texts) {
	t.Helper()
	parameters, required := parametersOf(t, tool)
	if slices.Contains(investigations[:], tool.Name) {
		parameters = slices.DeleteFunc(parameters, func(p member) bool { return holds(elsewhere, p) })
		b.WriteString("Takes the [parameters of every investigation](#the-parameters-of-every-investigation)")
		if len(parameters) == 0 {
			b.WriteString(".\n\n")
			return
		}
		b.WriteString(", and:\n\n")
	}
	if len(parameters) == 0 {
		b.WriteString("Takes no parameters.\n\n")
		return
	}
	writeTable(t, b, tool.Name, parameters, required, about)
}

func writeTable(t *testing.T, b *strings.Builder, tool string, parameters []member, required []string, about texts) {
	t.Helper()
	b.WriteString("| parameter | type | meaning |\n|---|---|---|\n")
	for _, p := range parameters {
		var s struct{ Description string }
		require.NoError(t, json.Unmarshal(p.value, &s))
		text := about.of(tool, p.name, s.Description)
		require.NotEmpty(t, text, "testdata/parameters.txt says nothing about %s.%s", tool, p.name)
		text = strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".") + "."
		name := "`" + p.name + "`"
		if slices.Contains(required, p.name) {
			name = "**" + name + "**"
		}
		fmt.Fprintf(b, "| %s | %s | %s |\n", name, typeOf(t, p.value), strings.ReplaceAll(text, "|", `\|`))
	}
	b.WriteString("\n")
}

// typeOf says in words what a value must be.
func typeOf(t *testing.T, schema json.RawMessage) string {
	t.Helper()
	var s struct {
		Type             any
		Enum             []string
		Items            json.RawMessage
		Minimum, Maximum *float64
	}
	require.NoError(t, json.Unmarshal(schema, &s))
	words := fmt.Sprint(s.Type)
	if list, ok := s.Type.([]any); ok {
		var names []string
		for _, name := range list {
			names = append(names, fmt.Sprint(name))
		}
		words = strings.Join(names, " or ")
	}
	if s.Items != nil && words == "array" {
		words = "list of " + typeOf(t, s.Items)
	}
	if len(s.Enum) > 0 {
		words = "`" + strings.Join(s.Enum, "`, `") + "`"
	}
	switch {
	case s.Minimum != nil && s.Maximum != nil:
		words += fmt.Sprintf(", %g to %g", *s.Minimum, *s.Maximum)
	case s.Minimum != nil:
		words += fmt.Sprintf(", from %g", *s.Minimum)
	}
	return words
}

// settled puts something fixed in place of what differs between two runs of the same example, such as the tokens of
// paths.
func settled(text, project string) string {
	text = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}`).ReplaceAllString(text, "5f2b6c1e-8d2a-4c57-9b43-6f1f0c9f2d11")
	for name, value := range map[string]string{
		"duration_ms": "812", "elapsed_ms": "640", "input_tokens": "1380", "output_tokens": "88", "cost_usd": "0.0023",
	} {
		text = regexp.MustCompile(`"`+name+`": [0-9.e-]+`).ReplaceAllString(text, `"`+name+`": `+value)
	}
	return strings.ReplaceAll(text, project, "/path/to/your/project")
}

// The replies that docs/tools.md shows whole.
func TestDocsReplies(t *testing.T) {
	s, project := stage(t)
	s.vendors.Always(emulator.Match{Text: "Are you there"}, func(emulator.Request) emulator.Reply {
		return emulator.Fail(emulator.VendorError(429, "1113", "(emulated) no balance"))
	})
	show := func(name, tool, args string) string {
		_, out, _ := s.run("", "call", tool, strings.ReplaceAll(args, "{project}", project))
		_, id := keysOf(t, out)
		generated(t, toolsFile, "reply "+name, "```json\n"+settled(out, project)+"```\n")
		return id
	}
	show("answer", "chat", `{"prompt":"Is a bloom filter the right thing for 100 keys?","model":"glm-5.3-flash","use_websearch":false}`)
	show("error", "chat", `{"prompt":"Are you there?","model":"glm-5.3-flash","use_websearch":false}`)
	all := examples()["debug"]
	id := show("pause", "debug", all[0].args)
	show("end", "debug", strings.ReplaceAll(all[1].args, "{id}", id))
}

package tools

import (
	"bytes"
	"encoding/json"
	goflag "flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

var update = goflag.Bool("update", false, "rewrite the golden files")

// golden compares with a file, or writes it under -update. A missing file fails.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, got, 0o644))
		return
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err, "run go test ./internal/tools -update and look at the difference")
	assert.Equal(t, string(want), string(got))
}

func indented(t *testing.T, text []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, json.Indent(&b, text, "", "  "))
	b.WriteByte('\n')
	return b.Bytes()
}

// everyTool is the whole catalogue, described as where all of it is shown.
func everyTool() []tool.Tool {
	all := Catalog(&Deps{Config: config.Default()})
	var names []string
	for _, t := range all {
		names = append(names, t.Name)
	}
	for i, t := range all {
		all[i].Description = words.Describe(t.Name, t.Description, names)
	}
	return all
}

// What is listed is what the structs say, for every tool that there is.
func TestListedSchemas(t *testing.T) {
	var made bytes.Buffer
	for _, tool := range everyTool() {
		made.WriteString(tool.Name + " " + string(tool.Schema()) + "\n")
	}
	golden(t, "../schemas.txt", made.Bytes())
	cfg := config.Default()
	cfg.Tools.Diagnostics, cfg.Tools.IssueTracker = true, true
	shown, _ := Shown(&Deps{Config: cfg})
	assert.Len(t, shown, len(everyTool()))
	for _, tool := range shown {
		assert.NotEmpty(t, tool.Listed, tool.Name)
	}
}

func TestSchemas(t *testing.T) {
	for _, tool := range everyTool() {
		t.Run(tool.Name, func(t *testing.T) {
			golden(t, "schema/"+tool.Name+".json", indented(t, tool.Schema()))
			document, err := jsonschema.UnmarshalJSON(bytes.NewReader(tool.Schema()))
			require.NoError(t, err)
			c := jsonschema.NewCompiler()
			require.NoError(t, c.AddResource("schema.json", document))
			_, err = c.Compile("schema.json")
			assert.NoError(t, err)
		})
	}
}

// No schema file outlives its tool.
func TestNoStaleSchemas(t *testing.T) {
	files, err := filepath.Glob("testdata/schema/*.json")
	require.NoError(t, err)
	known := map[string]bool{}
	for _, tool := range everyTool() {
		known[tool.Name] = true
	}
	for _, f := range files {
		assert.True(t, known[strings.TrimSuffix(filepath.Base(f), ".json")], "%s belongs to no tool", f)
	}
}

func TestHouseRules(t *testing.T) {
	seen := map[string]bool{}
	for _, tool := range everyTool() {
		t.Run(tool.Name, func(t *testing.T) {
			assert.False(t, seen[tool.Name], "two tools of one name")
			seen[tool.Name] = true
			assert.NotEmpty(t, tool.Title)
			assert.GreaterOrEqual(t, len(tool.Description), 120, "a description says when to use the tool")
			assert.True(t, strings.HasSuffix(tool.Description, "."), "whole sentences")
			a := tool.Annotations
			assert.False(t, a.ReadOnly && a.Destructive, "what only reads destroys nothing")
			assert.NotContains(t, string(tool.Schema()), `\u003c`, "no escapes that cost every client tokens")
			assert.NotContains(t, string(tool.Schema()), "additionalProperties", "google-genai's client fails on it")
			w, err := words.For(tool.Name)
			require.NoError(t, err)
			for _, section := range w.Sections() {
				assert.NotEmpty(t, strings.TrimSpace(section))
			}
		})
	}
}

// listed is a tool as tools/list shows it.
type listed struct {
	Annotations map[string]any  `json:"annotations"`
	Description string          `json:"description"`
	InputSchema json.RawMessage `json:"inputSchema"`
	Name        string          `json:"name"`
	Title       string          `json:"title"`
}

func listSize(t *testing.T, tools []tool.Tool) int {
	t.Helper()
	list := []listed{}
	for _, tool := range tools {
		a := tool.Annotations
		list = append(list, listed{
			Annotations: map[string]any{
				"title": tool.Title, "readOnlyHint": a.ReadOnly, "destructiveHint": a.Destructive, "idempotentHint": a.Idempotent, "openWorldHint": a.OpenWorld,
			},
			Description: tool.Description, InputSchema: tool.Schema(), Name: tool.Name, Title: tool.Title,
		})
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(map[string]any{"tools": list}))
	return b.Len()
}

// Every client pays for the list in every session: these are the promised bounds.
func TestCatalogSize(t *testing.T) {
	d := &Deps{Config: config.Default()}
	all, warnings := Shown(d)
	assert.Empty(t, warnings)
	size := listSize(t, all)
	t.Logf("%d tools, %d characters", len(all), size)
	assert.LessOrEqual(t, size, 31_000)

	d.Config.Tools.LeanMode = true
	lean, _ := Shown(d)
	size = listSize(t, lean)
	t.Logf("lean: %d tools, %d characters", len(lean), size)
	assert.LessOrEqual(t, size, 13_000)
}

type originalTool struct {
	Properties map[string]originalProperty `json:"properties"`
	Required   []string                    `json:"required"`
}

type originalProperty struct {
	Type    any               `json:"type"`
	Enum    []string          `json:"enum"`
	Minimum *float64          `json:"minimum"`
	Maximum *float64          `json:"maximum"`
	Items   *originalProperty `json:"items"`
	OneOf   []struct {
		Type string `json:"type"`
	} `json:"oneOf"`
	Properties map[string]originalProperty `json:"properties"`
	Required   []string                    `json:"required"`
}

func (p originalProperty) types() []string {
	var types []string
	switch t := p.Type.(type) {
	case string:
		types = append(types, t)
	case []any:
		for _, one := range t {
			types = append(types, one.(string))
		}
	}
	for _, one := range p.OneOf {
		types = append(types, one.Type)
	}
	return types
}

// examples are values that the original's schema takes.
func (p originalProperty) examples() []any {
	var out []any
	for _, word := range p.Enum {
		out = append(out, word)
	}
	for _, typ := range p.types() {
		switch typ {
		case "string":
			if p.Enum == nil {
				out = append(out, "text")
			}
		case "boolean":
			out = append(out, true, false)
		case "integer", "number":
			low := 0.0
			if p.Minimum != nil {
				low = *p.Minimum
			}
			high := low + 1
			if p.Maximum != nil {
				high = *p.Maximum
			}
			out = append(out, low, high)
			if typ == "number" {
				out = append(out, low+(high-low)/2)
			}
		case "null":
			out = append(out, nil)
		case "object":
			object := map[string]any{}
			for name, inner := range p.Properties {
				object[name] = inner.examples()[0]
			}
			out = append(out, object, maps.Collect(maps.All(object)))
			out[len(out)-1].(map[string]any)["further"] = 1
		case "array":
			out = append(out, []any{})
			if p.Items != nil {
				out = append(out, p.Items.examples())
			}
		}
	}
	return out
}

func originals(t *testing.T) map[string]originalTool {
	t.Helper()
	text, err := os.ReadFile("testdata/original.json")
	require.NoError(t, err)
	var tools map[string]originalTool
	require.NoError(t, json.Unmarshal(text, &tools))
	return tools
}

// The schemas of the original are the floor: each of its properties is there, and whatever was valid is taken.
func TestOriginalSchemasAreTheFloor(t *testing.T) {
	floor := originals(t)
	cfg := config.Default()
	for _, tool := range everyTool() {
		was, known := floor[tool.Name]
		if !known {
			continue
		}
		t.Run(tool.Name, func(t *testing.T) {
			var is struct {
				Properties map[string]json.RawMessage `json:"properties"`
				Required   []string                   `json:"required"`
			}
			require.NoError(t, json.Unmarshal(tool.Schema(), &is))
			for name, property := range was.Properties {
				if !assert.Contains(t, is.Properties, name) {
					continue
				}
				var now originalProperty
				if json.Unmarshal(is.Properties[name], &now) == nil && len(now.Enum) > 0 {
					assert.Subset(t, now.Enum, property.Enum, name)
				}
			}
			minimal := map[string]any{}
			for _, name := range was.Required {
				minimal[name] = was.Properties[name].examples()[0]
			}
			accept := func(args map[string]any) {
				t.Helper()
				text, err := json.Marshal(args)
				require.NoError(t, err)
				_, _, err = tool.Check(text, cfg)
				assert.NoError(t, err, "%s", text)
			}
			accept(minimal)
			for name, property := range was.Properties {
				for _, value := range property.examples() {
					args := maps.Clone(minimal)
					args[name] = value
					accept(args)
				}
			}
		})
	}
}

// By default a client sees the original's tools, whatever keys are set, and nothing else.
func TestTheTwentyNine(t *testing.T) {
	var want, got []string
	for name := range originals(t) {
		if name != "self-check" {
			want = append(want, name)
		}
	}
	shown, _ := Shown(&Deps{Config: config.Default()})
	for _, tool := range shown {
		got = append(got, tool.Name)
	}
	assert.Len(t, want, 29)
	assert.ElementsMatch(t, want, got)
}

func TestShown(t *testing.T) {
	names := func(set func(c *config.Tools)) (names, warnings []string) {
		d := &Deps{Config: config.Default()}
		set(&d.Config.Tools)
		shown, warnings := Shown(d)
		for _, tool := range shown {
			names = append(names, tool.Name)
		}
		return names, warnings
	}
	all, warnings := names(func(*config.Tools) {})
	assert.Empty(t, warnings)
	assert.NotContains(t, all, "self-check")
	assert.NotContains(t, all, "issues")

	lean, _ := names(func(c *config.Tools) { c.LeanMode = true })
	assert.ElementsMatch(t, []string{"chat", "consensus", "codereview", "precommit", "debug", "thinkdeep", "challenge", "status"}, lean)

	for _, leanMode := range []bool{true, false} {
		exact, _ := names(func(c *config.Tools) {
			c.LeanMode, c.LeanTools = leanMode, []string{"Chat ", "challenge", "self-check"}
		})
		assert.ElementsMatch(t, []string{"chat", "challenge", "self-check"}, exact, "exactly those that are named")
	}
	added, _ := names(func(c *config.Tools) { c.LeanMode, c.Diagnostics, c.IssueTracker = true, true, true })
	assert.Len(t, added, 10)

	some, warnings := names(func(c *config.Tools) { c.Disabled = []string{"chat", "chalenge"} })
	assert.NotContains(t, some, "chat")
	assert.Contains(t, some, "challenge")
	assert.Equal(t, []string{`DISABLED_TOOLS: unknown tool "chalenge". Did you mean challenge?`}, warnings)
}

func instructionsFor(shown []tool.Tool) string {
	var names []string
	for _, t := range shown {
		names = append(names, t.Name)
	}
	return words.Instructions(names)
}

func TestInstructions(t *testing.T) {
	d := &Deps{Config: config.Default()}
	shown, _ := Shown(d)
	text := instructionsFor(shown)
	assert.Less(t, len(text), 2000)
	first, _, _ := strings.Cut(text, "\n")
	assert.Less(t, len(first), 300, "some clients show the first line alone")
	for _, name := range []string{"chat", "consensus", "codereview", "precommit", "debug", "thinkdeep", "challenge"} {
		assert.Contains(t, first, name, "it says when to use which tool")
	}
	assert.NotContains(t, first, "sent", "it is not a warning")
	assert.Contains(t, text, "One call is enough")
	assert.Contains(t, text, "files you name")
	for _, name := range slices.Sorted(maps.Keys(originals(t))) {
		if strings.HasPrefix(name, "kimi_") || strings.HasPrefix(name, "glm_") || slices.Contains([]string{"listmodels", "version", "provider_capabilities", "self-check"}, name) {
			continue
		}
		assert.Contains(t, text, name, fmt.Sprintf("the instructions say when to use %s", name))
	}
	assert.NotContains(t, text, "\n\n\n")
}

// What a client reads of the server names only tools that it is shown.
func TestNothingNamesAHiddenTool(t *testing.T) {
	ordinary := []string{"analyze", "issues", "status", "health", "activity", "version"} // words of English too, and of arguments
	set := []func(c *config.Tools){
		func(c *config.Tools) { c.LeanMode = true },
		func(c *config.Tools) { c.LeanTools = []string{"status"} },
		func(c *config.Tools) { c.LeanTools = []string{"codereview"} },
	}
	for _, name := range slices.Sorted(maps.Keys(originals(t))) {
		set = append(set, func(c *config.Tools) { c.Disabled = []string{name} })
	}
	for _, narrow := range set {
		d := &Deps{Config: config.Default()}
		narrow(&d.Config.Tools)
		shown, _ := Shown(d)
		text := instructionsFor(shown)
		list, err := json.Marshal(NewPrompts(d, shown).List())
		require.NoError(t, err)
		text += "\n" + string(list)
		for _, one := range shown {
			text += "\n" + one.Description + "\n" + string(one.Schema())
			prompt, err := NewPrompts(d, shown).Get(t.Context(), one.Name, map[string]string{
				"prompt": "x", "step": "x", "messages": "x", "files": "x", "search_query": "x", "file": "x", "target_description": "x",
			})
			if err == nil {
				text += "\n" + prompt
			}
		}
		for _, hidden := range everyTool() {
			if slices.ContainsFunc(shown, func(t tool.Tool) bool { return t.Name == hidden.Name }) || slices.Contains(ordinary, hidden.Name) {
				continue
			}
			if !strings.Contains(strings.ToLower(text), hidden.Name) {
				continue
			}
			name := regexp.MustCompile(`(?i).{0,60}\b` + hidden.Name + `\b.{0,60}`)
			for _, place := range name.FindAllString(text, -1) {
				if strings.Contains(place, "Kimi: chat with tools") { // a title
					continue
				}
				t.Errorf("%s is hidden, and named: %s", hidden.Name, place)
			}
		}
	}
}

// Some clients turn schemas into dialects that know neither a list of types nor null.
func TestSchemasNameOneTypeEach(t *testing.T) {
	for _, tool := range everyTool() {
		assert.NotContains(t, string(tool.Schema()), `"type":[`, tool.Name)
		assert.NotContains(t, string(tool.Schema()), `"null"`, tool.Name)
	}
}

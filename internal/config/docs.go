package config

import (
	"fmt"
	"strings"
)

// Setting is one variable as `exai-mcp config`, status and the resource exai://config show it.
type Setting struct {
	Name    string `json:"name"`
	Value   string `json:"value"` // secrets masked
	Default string `json:"default"`
	Source  string `json:"source"` // "default", "environment", "file /path" or "derived from NAME"; of ENV_FILE who named it, or where it was found
}

// Settings lists every variable with its effective value and where that comes from, in the order of the documents.
func (c *Config) Settings() []Setting {
	values, defaults := texts(c), texts(defaultWith(c.otherRows()))
	var out []Setting
	eachSpec(c.otherRows(), func(s spec) {
		out = append(out, Setting{
			Name: s.name, Value: values[s.name], Default: defaults[s.name], Source: sourceOf(c.sources, s.name),
		})
	})
	return out
}

// Source returns where a variable's value comes from, in the form of Setting.Source.
func (c *Config) Source(name string) string { return sourceOf(c.sources, name) }

func texts(c *Config) map[string]string {
	out := map[string]string{}
	eachVariable(c, func(v variable) { out[v.name] = v.text() })
	return out
}

func sourceOf(sources map[string]string, name string) string {
	if s, ok := sources[name]; ok {
		return s
	}
	return "default"
}

func derivedFrom(name string) string { return "derived from " + name }

const exampleHead = `# Settings of exai-mcp. Every variable is listed, commented out with its default.
# Pass this file to exai-mcp with --env-file or ENV_FILE, save it as ~/.config/exai-mcp/.env, or use it with
# docker run --env-file or compose. The process environment wins over it. An empty value counts as unset.
# Put comments on their own lines. Values need no quotes, except that one with a $ needs single quotes, because
# compose would read it as a variable.
`

// EnvExample is the text of .env.example.
func EnvExample() string {
	var b strings.Builder
	b.WriteString(exampleHead)
	defaults := texts(Default())
	for _, g := range table {
		fmt.Fprintf(&b, "\n# %s\n", g.title)
		comment(&b, g.doc)
		for _, s := range g.specs {
			b.WriteString("\n")
			comment(&b, s.text())
			if !s.example {
				b.WriteString("#")
			}
			fmt.Fprintf(&b, "%s=%s\n", s.name, defaults[s.name])
		}
	}
	b.WriteString("\n# Endpoints\n")
	comment(&b, endpointsDoc)
	for _, row := range Presets() {
		b.WriteString("\n")
		for _, s := range presetSpecs(row) {
			fmt.Fprintf(&b, "#%s=%s\n", s.name, presetDefault(row, s))
		}
	}
	return b.String()
}

const endpointsDoc = "Settings of the endpoints that ENDPOINTS names. Each has the variables below for its name in capitals: NAME_API_KEY, " +
	"NAME_API_URL (also read as NAME_BASE_URL), NAME_MODEL, NAME_SPEED_MODEL, NAME_ALLOWED_MODELS, NAME_MAX_OUTPUT_TOKENS, " +
	"NAME_MAX_INFLIGHT (4, or 1 at an address of this machine) and NAME_TIMEOUT_SECS (30, or 300 at an address of this machine). " +
	"A name of your own needs NAME_API_URL. GOOGLE_API_KEY, OLLAMA_HOST, LM_API_TOKEN and CUSTOM_MODEL_NAME are read, too."

// presetSpecs are the settings of a preset that people set: its key, its address and its model.
func presetSpecs(row VendorRow) []spec { return row.endpointSpecs()[:3] }

func presetDefault(row VendorRow, s spec) string {
	if s.key != "" {
		return row.URL
	}
	return ""
}

// text is the description with the words and the other names that a variable takes.
func (s spec) text() string {
	doc := s.doc
	if s.rule.words {
		doc += " Accepts " + s.rule.accepts + "."
	}
	if len(s.aliases) > 0 {
		doc += " Also read as " + strings.Join(s.aliases, " or ") + "."
	}
	return doc
}

// comment writes a text as comment lines of at most 110 characters.
func comment(b *strings.Builder, text string) {
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > 108 {
			b.WriteString("# " + line + "\n")
			line = ""
		}
		line = strings.TrimSpace(line + " " + word)
	}
	if line != "" {
		b.WriteString("# " + line + "\n")
	}
}

// Reference is the configuration reference in Markdown: a table for each group of variables.
func Reference() string {
	var b strings.Builder
	defaults := texts(Default())
	for _, g := range table {
		fmt.Fprintf(&b, "## %s\n\n", g.title)
		if g.doc != "" {
			fmt.Fprintf(&b, "%s\n\n", cell(g.doc))
		}
		b.WriteString("| variable | default | accepts | meaning |\n|---|---|---|---|\n")
		for _, s := range g.specs {
			value := ""
			if d := defaults[s.name]; d != "" {
				value = "`" + d + "`"
			}
			doc := s.doc
			if len(s.aliases) > 0 {
				doc += " Also read as " + strings.Join(s.aliases, " or ") + "."
			}
			fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.name, value, cell(s.rule.accepts), cell(doc))
		}
		b.WriteString("\n")
	}
	fmt.Fprintf(&b, "## Endpoints\n\nFor each name in ENDPOINTS, in capitals in place of NAME. A name of your own needs NAME_API_URL; a preset has an address and models of its own, see [endpoints.md](endpoints.md).\n\n")
	b.WriteString("| variable | default | accepts | meaning |\n|---|---|---|---|\n")
	row := endpointRow("name", Endpoint{})
	row.Title = "the endpoint"
	for _, s := range row.endpointSpecs() {
		doc := s.doc
		if len(s.aliases) > 0 {
			doc += " Also read as " + strings.Join(s.aliases, " or ") + "."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", s.name, endpointDefaults[strings.TrimPrefix(s.name, "NAME_")], cell(s.rule.accepts), cell(doc))
	}
	return b.String()
}

// endpointDefaults are the defaults of an endpoint's settings, by the end of their names.
var endpointDefaults = map[string]string{"MAX_OUTPUT_TOKENS": "`0`", "MAX_INFLIGHT": "`4`", "TIMEOUT_SECS": "`30`"}

// PresetTable is a Markdown table of the presets.
func PresetTable() string {
	var b strings.Builder
	b.WriteString("| name | endpoint | key | base URL | model for reasoning, the first that it has | model for fast tools |\n|---|---|---|---|---|---|\n")
	code := func(names []string, none string) string {
		if len(names) == 0 {
			return none
		}
		return "`" + strings.Join(names, "`, `") + "`"
	}
	for _, row := range Presets() {
		key := code(append([]string{row.Variable("API_KEY")}, row.KeyAliases...), "")
		if !row.Endpoint.NeedsKey {
			key = "not needed; " + key
		}
		where, models := "`"+row.URL+"`", "the loaded or only one"
		if row.URL == "" {
			where, models = "`"+row.Variable("API_URL")+"`", code(row.Endpoint.ModelAliases, "")
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s | %s |\n", row.Name, row.Title, key, where, code(row.Endpoint.Quality, models), code(row.Endpoint.Speed, models))
	}
	return b.String()
}

// cell escapes what Markdown would take for a column or a tag.
func cell(text string) string {
	return strings.NewReplacer("|", `\|`, "<", "&lt;", ">", "&gt;").Replace(text)
}

// Variable is what the documents say about a variable.
type Variable struct {
	Name    string
	Doc     string // sentences for operators
	Default string
	Secret  bool // never shown
}

// Lookup finds a variable by its name, false when there is none.
func Lookup(name string) (found Variable, ok bool) {
	eachSpec(Presets(), func(s spec) {
		if s.name == name {
			found, ok = Variable{Name: name, Doc: s.doc, Default: texts(Default())[name], Secret: s.rule.secret}, true
		}
	})
	return found, ok
}

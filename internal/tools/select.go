package tools

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/typo"
)

// leanTools are what LEAN_MODE shows when LEAN_TOOLS is empty.
var leanTools = [...]string{"chat", "consensus", "codereview", "precommit", "debug", "thinkdeep", "challenge", "status"}

// Shown returns the tools that a client sees, with warnings about names in the settings that no tool has: LEAN_MODE shows a
// few, LEAN_TOOLS exactly those that it names, DIAGNOSTICS adds self-check, ISSUE_TRACKER_TOOL adds issues, and DISABLED_TOOLS
// removes any. Descriptions name only tools that are shown.
func Shown(d *Deps) (shown []tool.Tool, warnings []string) {
	c, all := d.Config.Tools, Catalog(d)
	lean, disabled := lowerAll(c.LeanTools), lowerAll(c.Disabled)
	warnings = append(unknown("LEAN_TOOLS", lean, all), unknown("DISABLED_TOOLS", disabled, all)...)
	narrow := c.LeanMode || len(lean) > 0
	if len(lean) == 0 {
		lean = leanTools[:]
	}
	var names []string
	for _, t := range all {
		show := !narrow || slices.Contains(lean, t.Name)
		switch t.Name {
		case "self-check":
			show = c.Diagnostics || narrow && show
		case "issues":
			show = c.IssueTracker || narrow && show
		}
		if show && !slices.Contains(disabled, t.Name) {
			shown, names = append(shown, t), append(names, t.Name)
		}
	}
	schemas := readSchemas()
	for i := range shown {
		shown[i].Listed = schemas[shown[i].Name]
		shown[i].Description = words.Describe(shown[i].Name, shown[i].Description, names)
	}
	return shown, warnings
}

// schemas has the schema of each tool on a line behind its name: making them all of their structs takes a good part of the
// start. A test compares the two, and make golden writes it.
//
//go:embed schemas.txt
var schemas string

func readSchemas() map[string]json.RawMessage {
	out := map[string]json.RawMessage{}
	for line := range strings.Lines(schemas) {
		name, schema, _ := strings.Cut(strings.TrimSpace(line), " ")
		out[name] = json.RawMessage(schema)
	}
	return out
}

func lowerAll(names []string) []string {
	var out []string
	for _, n := range names {
		if n = strings.ToLower(strings.TrimSpace(n)); n != "" {
			out = append(out, n)
		}
	}
	return out
}

func unknown(variable string, names []string, all []tool.Tool) []string {
	var known, warnings []string
	for _, t := range all {
		known = append(known, t.Name)
	}
	for _, n := range names {
		if slices.Contains(known, n) {
			continue
		}
		w := fmt.Sprintf("%s: unknown tool %q.", variable, n)
		if near := typo.Nearest(n, known); len(near) > 0 {
			w += " Did you mean " + reply.Either(near) + "?"
		}
		warnings = append(warnings, w)
	}
	return warnings
}

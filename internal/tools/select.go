package tools

import (
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/typo"

	"github.com/exai-mcp/exai-mcp/internal/tools/tool"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// leanTools are what LEAN_MODE shows when LEAN_TOOLS is empty.
var leanTools = [...]string{"status", "chat", "planner", "thinkdeep", "analyze", "codereview", "refactor", "testgen", "debug"}

// leanExtras stay in LEAN_MODE unless STRICT_LEAN is set.
var leanExtras = [...]string{"version", "listmodels"}

// Shown are the tools that a client sees, with warnings about names in the settings that no tool has: LEAN_MODE,
// LEAN_TOOLS and STRICT_LEAN narrow the catalogue, DIAGNOSTICS adds self-check and ISSUE_TRACKER_TOOL adds issues, and
// DISABLED_TOOLS takes away.
func Shown(d *Deps) (shown []tool.Tool, warnings []string) {
	c, all := d.Config.Tools, Catalog(d)
	lean := lowered(c.LeanTools)
	disabled := lowered(c.Disabled)
	warnings = append(strange("LEAN_TOOLS", lean, all), strange("DISABLED_TOOLS", disabled, all)...)
	if len(lean) == 0 {
		lean = leanTools[:]
	}
	if !c.StrictLean {
		lean = slices.Concat(lean, leanExtras[:])
	}
	for _, t := range all {
		show := !c.LeanMode || slices.Contains(lean, t.Name)
		switch t.Name {
		case "self-check":
			show = c.Diagnostics
		case "issues":
			show = c.IssueTracker
		}
		if show && !slices.Contains(disabled, t.Name) {
			shown = append(shown, t)
		}
	}
	return shown, warnings
}

func lowered(names []string) []string {
	var out []string
	for _, n := range names {
		if n = strings.ToLower(strings.TrimSpace(n)); n != "" {
			out = append(out, n)
		}
	}
	return out
}

func strange(variable string, names []string, all []tool.Tool) []string {
	var known, warnings []string
	for _, t := range all {
		known = append(known, t.Name)
	}
	for _, n := range names {
		if slices.Contains(known, n) {
			continue
		}
		w := fmt.Sprintf("%s: there is no tool %q.", variable, n)
		if near := typo.Nearest(n, known); len(near) > 0 {
			w += " Did you mean " + reply.Either(near) + "?"
		}
		warnings = append(warnings, w)
	}
	return warnings
}

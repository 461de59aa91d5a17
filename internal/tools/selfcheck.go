package tools

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

type selfCheckInput struct {
	LogLines *int `json:"log_lines,omitempty" minimum:"0" maximum:"500"`
}

func selfCheck(d *Deps) tool.Tool {
	return tool.New("self-check", d.selfCheck, tool.Hints(tool.Annotations{ReadOnly: true, Idempotent: true}))
}

const standardLogLines = 40

// selfCheck is a report for people: what the server finds when it looks at itself.
func (d *Deps) selfCheck(ctx context.Context, in selfCheckInput) (*Result, error) {
	shown, warnings := Shown(d)
	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, "- "+format+"\n", args...) }
	fmt.Fprintf(&b, "# exai-mcp %s, checking itself\n\n## Vendors\n\n", d.Version.Number)
	for _, vendor := range d.Config.VendorRows() {
		name := vendor.Name
		state := "ready"
		if _, err := d.Registry.Provider(name); err != nil {
			state = "not configured"
		}
		line("%s: %s", vendor.Title, state)
	}
	line("Models that can be asked: %d", len(d.Registry.Models()))

	var names []string
	for _, t := range shown {
		names = append(names, t.Name)
	}
	fmt.Fprintf(&b, "\n## Tools (%d)\n\n%s\n", len(names), strings.Join(names, ", "))

	b.WriteString("\n## Environment\n\n")
	for _, s := range d.Config.Settings() {
		if slices.Contains(checkedSettings[:], s.Name) {
			state := "not set"
			if s.Value != "" {
				state = "set"
			}
			line("%s: %s", s.Name, state)
		}
	}
	b.WriteString("\n## State\n\n")
	line("Store: %s, %v", d.Config.Conversations.Backend, d.storeState(ctx).Get("state"))
	line("Folders that may be read: %d", len(d.Workspace.Roots(ctx)))
	for _, w := range slices.Concat(d.Config.Warnings, warnings) {
		line("Warning: %s", w)
	}
	d.checkLog(ctx, &b, orDefaultLines(in.LogLines))

	r := &Result{}
	r.Body.Set("status", "success").Set("content", b.String()).Set("content_type", "markdown")
	return r, nil
}

// checkedSettings are those whose absence explains most.
var checkedSettings = [...]string{"KIMI_API_KEY", "GLM_API_KEY", "KIMI_API_URL", "GLM_API_URL", "DATABASE_URL", "EXAI_STATE_DIR", "EXAI_ALLOWED_ROOTS"}

// checkLog writes the end of the activity log.
func (d *Deps) checkLog(ctx context.Context, b *strings.Builder, lines int) {
	fmt.Fprintf(b, "\n## Log (%s)\n\n", d.Config.Logs.ActivityPath)
	if d.Activity == nil || lines == 0 {
		b.WriteString("Not shown.\n")
		return
	}
	tail, err := d.Activity.TailActivity(ctx, activity.Query{Lines: lines})
	if err != nil {
		fmt.Fprintf(b, "Nothing to show: %s.\n", err)
		return
	}
	b.WriteString("```\n")
	for _, l := range tail {
		b.WriteString(activity.Text(l) + "\n")
	}
	b.WriteString("```\n")
}

func orDefaultLines(given *int) int {
	if given == nil {
		return standardLogLines
	}
	return *given
}

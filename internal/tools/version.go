package tools

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// modelInput is the argument that the original's tools of this kind take, although no model is asked.
type modelInput struct {
	Model string `json:"model,omitempty"`
}

func version(d *Deps) tool.Tool {
	return tool.New("version", d.version, tool.Hints(tool.Annotations{ReadOnly: true, Idempotent: true}))
}

func (d *Deps) version(ctx context.Context, _ modelInput) (*Result, error) {
	v := d.Version
	platform := runtime.GOOS + "/" + runtime.GOARCH
	var b strings.Builder
	fmt.Fprintf(&b, "# exai-mcp %s\n\n", v.Number)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "- %s: %s\n", name, value)
		}
	}
	line("Commit", strings.TrimSpace(v.Commit+" "+v.Date))
	line("Go", runtime.Version()+" on "+platform)
	line("Protocol revisions", strings.Join(v.Protocols, ", "))
	line("Client", tool.CallFrom(ctx).Client)
	if program, err := os.Executable(); err == nil {
		line("Program", program)
	}
	line("Providers", d.providerLine())
	line("Models that can be asked", fmt.Sprint(len(d.Registry.Models())))
	b.WriteString("\nUpdates are not looked for online.\n")

	r := &Result{}
	r.Body.Set("status", "success").Set("content", b.String()).Set("content_type", "markdown")
	r.Metadata.Own.Set("server_version", v.Number).Set("last_updated", v.Date).Set("go_version", runtime.Version()).Set("platform", platform)
	return r, nil
}

// providerLine says which vendors can be called.
func (d *Deps) providerLine() string {
	var ready []string
	for _, p := range d.Registry.Providers() {
		ready = append(ready, d.Config.VendorTitle(p.Name()))
	}
	if len(ready) == 0 {
		var keys []string
		for _, row := range d.Config.VendorRows() {
			keys = append(keys, row.Variable("API_KEY"))
		}
		return "none (set " + strings.Join(keys, " or ") + ")"
	}
	return strings.Join(ready, ", ")
}

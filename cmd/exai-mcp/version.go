package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/server"
)

// version is set by the linker in releases; else it comes from the build information.
var version = ""

// build is what this binary was made from.
type build struct {
	version string
	commit  string // "" when it was not built from a repository
	date    string // of the commit, YYYY-MM-DD
}

func thisBuild() build {
	b := build{version: version}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		info = &debug.BuildInfo{}
	}
	dirty := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			b.commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " with changes"
		case s.Key == "vcs.time":
			b.date, _, _ = strings.Cut(s.Value, "T")
		}
	}
	if b.commit != "" {
		b.commit = b.commit[:min(len(b.commit), 12)] + dirty
	}
	if b.version == "" {
		b.version = info.Main.Version
	}
	if b.version == "" || b.version == "(devel)" {
		b.version = "dev"
	}
	return b
}

func (a *app) versionCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Print version, commit, Go and the MCP revisions spoken",
		Args:  cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if !asJSON {
				return a.write(versionText())
			}
			b := thisBuild()
			text, err := json.MarshalIndent(map[string]any{
				"version": b.version, "commit": b.commit, "date": b.date, "go": runtime.Version(),
				"platform": runtime.GOOS + "/" + runtime.GOARCH, "mcp": server.Revisions(),
			}, "", "  ")
			if err != nil {
				return failure{err}
			}
			return a.write(string(text) + "\n")
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// versionText is what version and --version print.
func versionText() string {
	b := thisBuild()
	commit := "unknown"
	if b.commit != "" {
		commit = b.commit + " of " + b.date
	}
	return fmt.Sprintf("exai-mcp %s\ncommit   %s\ngo       %s %s/%s\nmcp      %s\n",
		b.version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, strings.Join(server.Revisions(), ", "))
}

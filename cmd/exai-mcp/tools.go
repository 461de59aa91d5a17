package main

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/server"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/typo"
)

func (a *app) toolsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tools [NAME]",
		Short: "List the tools that clients see, or show one tool's parameters",
		Long: `Lists the tools that clients see with the effective settings, and the size of the list, which a client pays for in every
session. With a name it shows that tool's parameters. --json prints what tools/list returns, or one entry of it.`,
		Args: argumentRange(0, 1),
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 {
				return a.showTool(args[0], asJSON)
			}
			return a.listTools(asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what tools/list returns")
	return cmd
}

// showTool prints one tool: its parameters, or its entry in tools/list.
func (a *app) showTool(name string, asJSON bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	p, err := a.assemble(cfg, io.Discard)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(p.tools, func(t tool.Tool) bool { return t.Name == name })
	if i < 0 {
		var names []string
		for _, t := range p.tools {
			names = append(names, t.Name)
		}
		hint := `"exai-mcp tools" lists them`
		if near := typo.Nearest(name, names); len(near) > 0 {
			hint = "did you mean " + strings.Join(near, " or ") + "?"
		}
		return fmt.Errorf("unknown tool %q; %s", name, hint)
	}
	if !asJSON {
		return printTool(a.out, p.tools[i])
	}
	list, err := server.ListTools(p.tools[i : i+1])
	if err != nil {
		return failure{err}
	}
	var shown struct{ Tools []json.RawMessage }
	if err := json.Unmarshal(list, &shown); err != nil || len(shown.Tools) != 1 {
		return failure{fmt.Errorf("the entry of %s: %w", name, err)}
	}
	fmt.Fprintf(a.out, "%s\n", shown.Tools[0])
	return nil
}

func (a *app) listTools(asJSON bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	p, err := a.assemble(cfg, io.Discard)
	if err != nil {
		return err
	}
	for _, warning := range p.warnings {
		fmt.Fprintf(a.errw, "exai-mcp: %s\n", warning)
	}
	list, err := server.ListTools(p.tools)
	if err != nil {
		return failure{err}
	}
	if asJSON {
		fmt.Fprintf(a.out, "%s\n", list)
		fmt.Fprintf(a.errw, "%d tools, %d characters\n", len(p.tools), utf8.RuneCount(list))
		return nil
	}
	rows := [][]string{{"TOOL", "DOES"}}
	for _, t := range p.tools {
		rows = append(rows, []string{t.Name, purpose(t.Description)})
	}
	if err := a.write(a.table(rows)); err != nil {
		return err
	}
	fmt.Fprintf(a.out, "\n%d tools; tools/list is %d characters long.\n", len(p.tools), utf8.RuneCount(list))
	return nil
}

// purpose is the beginning of a tool's description, which says what the tool is for.
func purpose(description string) string {
	for _, end := range []string{". ", ": ", "; "} {
		description, _, _ = strings.Cut(description, end)
	}
	description = strings.TrimSuffix(description, ".")
	does, found := strings.CutPrefix(description, "Use to ")
	if !found {
		return description
	}
	return strings.ToUpper(does[:1]) + does[1:]
}

package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/server"
)

func (a *app) toolsCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "tools",
		Short: "List the tools that clients are shown",
		Long: `Lists the tools that the settings in force show to clients, and the size of the list, which a client pays for in every
session. --json prints exactly what tools/list answers.`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.listTools(asJSON) },
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print what tools/list answers")
	return cmd
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
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	for _, t := range p.tools {
		fmt.Fprintf(w, "%s\t%s\n", t.Name, t.Title)
	}
	if err := w.Flush(); err != nil {
		return failure{err}
	}
	fmt.Fprintf(a.out, "\n%d tools; tools/list is %d characters long.\n", len(p.tools), utf8.RuneCount(list))
	return nil
}

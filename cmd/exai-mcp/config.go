package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	var client clientOptions
	cmd := &cobra.Command{
		Use:   "config",
		Short: "List the effective settings, or print the entry for an MCP client",
		Long: `Lists each setting with its value and its source: default, environment, a file, or derived from another setting.
Keys and passwords are masked. Warnings about variables without effect follow the table.

--client prints the entry that an MCP client's configuration needs: the program, the settings file, and the client's time
limit where it has one. It changes no file; stderr says where the entry belongs and where the keys come from.
"exai-mcp install" writes the same entry.`,
		Example: `  exai-mcp config
  exai-mcp config --client claude-code`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if client.name != "" {
				return a.showClient(client)
			}
			return a.showConfig()
		},
	}
	addClientFlags(cmd, &client)
	return cmd
}

func (a *app) showConfig() error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(a.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SETTING\tVALUE\tSOURCE")
	for _, s := range cfg.Settings() {
		fmt.Fprintf(w, "%s\t%s\t%s\n", s.Name, s.Value, s.Source)
	}
	if err := w.Flush(); err != nil {
		return failure{err}
	}
	t := cfg.Timeouts
	fmt.Fprintf(a.out, "\nSet your client's limit for one tool call to %s or more (a program in between: %s).\n", t.Client(), t.Shim())
	for _, warning := range cfg.Warnings {
		fmt.Fprintf(a.out, "\nNote: %s\n", warning)
	}
	return nil
}

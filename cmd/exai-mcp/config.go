package main

import (
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

func (a *app) configCommand() *cobra.Command {
	var client string
	cmd := &cobra.Command{
		Use:   "config",
		Short: "List the settings in force, or print a client's settings for this server",
		Long: `Lists every setting with its value and its source: default, environment, a file, or derived from another setting.
Keys and passwords are masked. Below the table stands what was read but has no effect, or another than it seems to have.

--client prints instead what an MCP client's settings need to start this server: absolute paths, this folder as the
project whose files may be read, and the client's time limit where it has one. It changes no file; on stderr it says where
the text belongs, and where the keys come from.`,
		Example: `  exai-mcp config
  exai-mcp config --client claude-code     what .mcp.json needs`,
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			if client != "" {
				return a.showClient(client)
			}
			return a.showConfig()
		},
	}
	cmd.Flags().StringVar(&client, "client", "", "print the settings for "+strings.Join(clientNames(), ", "))
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

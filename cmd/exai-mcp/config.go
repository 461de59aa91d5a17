package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

func (a *app) configCommand() *cobra.Command {
	var client clientOptions
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "List the effective settings, or print a client's entry",
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
			return a.showConfig(asJSON)
		},
	}
	addClientFlags(cmd, &client)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("json", "client")
	return cmd
}

// configJSON is the effective settings as scripts read them.
func configJSON(cfg *config.Config) ([]byte, error) {
	type setting struct {
		Name    string `json:"name"`
		Value   string `json:"value"`
		Default string `json:"default"`
		Source  string `json:"source"`
	}
	list := []setting{}
	for _, s := range cfg.Settings() {
		list = append(list, setting{s.Name, s.Value, s.Default, s.Source})
	}
	warnings := cfg.Warnings
	if warnings == nil {
		warnings = []string{}
	}
	return indented(json.Marshal(map[string]any{
		"settings": list, "time_limits": cfg.Timeouts.Table(), "client_timeout_secs": cfg.Timeouts.Client().Seconds(),
		"shim_timeout_secs": cfg.Timeouts.Shim().Seconds(), "warnings": warnings,
	}))
}

func (a *app) showConfig(asJSON bool) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if asJSON {
		return a.printJSON(configJSON(cfg))
	}
	rows := [][]string{{"SETTING", "VALUE", "SOURCE"}}
	for _, s := range cfg.Settings() {
		rows = append(rows, []string{s.Name, s.Value, s.Source})
	}
	if err := a.write(a.table(rows)); err != nil {
		return err
	}
	t := cfg.Timeouts
	fmt.Fprintf(a.out, "\n%s", a.hangingIndent(fmt.Sprintf("Set your client's limit for one tool call to %s or more (a program in between: %s).", t.Client(), t.Shim()), ""))
	for _, warning := range cfg.Warnings {
		fmt.Fprintf(a.out, "\n%s", a.hangingIndent("Note: "+warning, ""))
	}
	return nil
}

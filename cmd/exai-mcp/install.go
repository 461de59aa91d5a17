package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/clients"
)

type installOptions struct {
	clientOptions
	hook, remove, yes bool
}

func (a *app) installCommand() *cobra.Command {
	var o installOptions
	cmd := &cobra.Command{
		Use:   "install --client NAME",
		Short: "Add this server to an MCP client's configuration, or remove it",
		Long: `Adds this server to a client's configuration file as the entry "exai", and changes nothing else in it: comments, order,
links and the file's mode stay. The file as it was is kept beside it as .exai-backup. For Claude Code's and VS Code's user
scope the client's own command is run instead.

No key is written. The entry refers to the environment that the client runs in, or to your settings file (--env-file).

install prints the entry and asks before it writes; where nobody can answer, it needs --yes.`,
		Example: `  exai-mcp install --client claude-code
  exai-mcp install --client codex --patient --hook
  exai-mcp install --client cursor --scope project --yes
  exai-mcp install --client codex --remove --hook`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.name == "" {
				return fmt.Errorf("--client is required; expected one of %s", strings.Join(clients.Names(), ", "))
			}
			return a.install(cmd.Context(), o)
		},
	}
	addClientFlags(cmd, &o.clientOptions)
	cmd.Flags().BoolVar(&o.hook, "hook", false, "also run the review gate when the agent stops (claude-code, codex)")
	cmd.Flags().BoolVar(&o.remove, "remove", false, "remove the entry; with --hook, also the hooks")
	cmd.Flags().BoolVarP(&o.yes, "yes", "y", false, "write without asking")
	return cmd
}

func addClientFlags(cmd *cobra.Command, o *clientOptions) {
	cmd.Flags().StringVar(&o.name, "client", "", "the client: "+strings.Join(clients.Names(), ", "))
	cmd.Flags().StringVar(&o.scope, "scope", string(clients.User), "user: in all projects; project: in this folder only")
	cmd.Flags().BoolVar(&o.patient, "patient", false, "allow experts four minutes, and raise the client's limit accordingly")
}

// action is one step of an installation.
type action struct {
	shows string // printed on stdout: what is added
	says  string // on stderr: where, or what is removed
	did   string // on stderr, once it is done
	do    func(context.Context) error
}

func (a *app) install(ctx context.Context, o installOptions) error {
	c, s, err := a.clientSetup(o.clientOptions)
	if err != nil {
		return err
	}
	if o.hook && !c.HasHook() {
		return fmt.Errorf("--hook: exai-mcp does not support hooks of %s", c.Title)
	}
	if builtByGoRun(s.Command) && !o.remove {
		return failure{fmt.Errorf("%s was built by \"go run\", which deletes it: install it first (go install ./cmd/exai-mcp)", s.Command)}
	}
	if home := a.home(); clients.Scope(o.scope) == clients.User && !filepath.IsAbs(home) {
		return failure{fmt.Errorf("%s=%q: expected the path of your home folder; set it, or use --scope project", homeVariable, home)}
	}
	actions, err := a.actions(c, s, o)
	if err != nil {
		return failure{err}
	}
	if len(actions) == 0 {
		fmt.Fprintf(a.errw, "Nothing to change in %s.\n", c.Title)
		return nil
	}
	for _, step := range actions {
		fmt.Fprintln(a.errw, step.says)
		if step.shows != "" {
			if err := a.printf("%s\n", step.shows); err != nil {
				return err
			}
		}
	}
	if err := a.confirm(o.yes); err != nil {
		return err
	}
	for _, step := range actions {
		if err := step.do(ctx); err != nil {
			return failure{err}
		}
		fmt.Fprintln(a.errw, step.did)
	}
	a.afterInstall(c, s, o)
	return nil
}

// actions plans what to do. It is empty if everything is as it should be.
func (a *app) actions(c clients.Client, s clients.Setup, o installOptions) ([]action, error) {
	m, scope := a.machine(), clients.Scope(o.scope)
	var actions []action
	own, err := a.clientCommand(c, s, o)
	if err != nil {
		return nil, err
	}
	actions = append(actions, own...)
	files, err := c.Files(m, scope)
	if err != nil {
		return nil, err
	}
	entry, err := c.Entry(s)
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		change, err := c.Plan(file, s, o.remove)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			entry = "" // shown once
		}
		if change.Changed() {
			actions = append(actions, fileAction(change, "entry \""+clients.ServerName+"\"", entry, o.remove))
		}
	}
	if o.hook {
		change, err := c.PlanHooks(c.HookFile(m, scope), s, o.remove)
		if err != nil {
			return nil, err
		}
		hooks, err := c.HookEntry(s)
		if err != nil {
			return nil, err
		}
		if change.Changed() {
			actions = append(actions, fileAction(change, "review hooks", hooks, o.remove))
		}
	}
	return actions, nil
}

func fileAction(change *clients.Change, what, text string, remove bool) action {
	step := action{
		shows: text, says: fmt.Sprintf("Add the %s to %s:", what, change.File), did: "Wrote " + change.File + ".",
		do: func(context.Context) error { return change.Write() },
	}
	if remove {
		step.shows, step.says = "", fmt.Sprintf("Remove the %s from %s.", what, change.File)
	}
	if change.Before != nil {
		backup := change.Backup()
		if filepath.Dir(backup) == filepath.Dir(change.File) {
			backup = filepath.Base(backup)
		}
		step.did += " The old version is " + backup + "."
	}
	return step
}

// confirm asks whether to go on, on a terminal.
func (a *app) confirm(yes bool) error {
	if yes {
		return nil
	}
	if !isTerminal(a.in) {
		return fmt.Errorf("nothing was written: stdin is not a terminal, so pass --yes to confirm")
	}
	fmt.Fprint(a.errw, "Go on? [y/N] ")
	line, _ := bufio.NewReader(a.in).ReadString('\n') // no answer is a no
	if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
		return failure{errors.New("nothing was written")}
	}
	return nil
}

// afterInstall says what is left to do.
func (a *app) afterInstall(c clients.Client, s clients.Setup, o installOptions) {
	if o.remove {
		return
	}
	for _, note := range clientNotes(c, s, clients.Scope(o.scope)) {
		fmt.Fprintln(a.errw, note)
	}
	if clients.Scope(o.scope) == clients.Project {
		fmt.Fprintf(a.errw, "%s may ask you to approve the servers of a project.\n", c.Title)
	}
	if o.hook && c.Name == "codex" {
		fmt.Fprintln(a.errw, "Codex skips a hook until you accept it: type /hooks in Codex.")
	}
	undo := fmt.Sprintf("exai-mcp install --client %s --scope %s --remove", c.Name, o.scope)
	if o.hook {
		undo += " --hook"
	}
	fmt.Fprintf(a.errw, "Restart %s. Undo this with: %s\n", c.Title, undo)
}

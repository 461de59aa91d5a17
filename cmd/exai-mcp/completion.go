package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/clients"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/review"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// completing reports whether a shell asks what may come next on a command line.
func completing(args []string) bool {
	return len(args) > 0 && (args[0] == cobra.ShellCompRequestCmd || args[0] == cobra.ShellCompNoDescRequestCmd)
}

// addCompletionCommand adds cobra's own command, but one that fails for a shell that it does not know.
func addCompletionCommand(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, sub := range root.Commands() {
		if sub.Name() == "completion" {
			sub.Args = noSubcommand
			sub.RunE = func(cmd *cobra.Command, _ []string) error { return cmd.Help() }
		}
	}
}

// addCompletions tells cobra what the commands and flags take, for the scripts of `exai-mcp completion`. It is called only
// when a shell asks, so that no start of the server pays for it.
func (a *app) addCompletions(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp)
	a.addCompletion(root)
}

func (a *app) addCompletion(cmd *cobra.Command) {
	for name, words := range map[string][]string{
		"client": clients.Names(), "severity": namesOf(issue.Severities()), "category": namesOf(issue.Categories()), "status": statuses(cmd),
		"format": review.Formats(), "fail-on": namesOf(issue.Severities()), "hook": namesOf(review.Hooks()),
		"scope": {string(clients.User), string(clients.Project)},
	} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)) // fails where the flag isn't
	}
	if cmd.Use == "usage" {
		_ = cmd.RegisterFlagCompletionFunc("by", cobra.FixedCompletions(namesOf(usage.Groups()), cobra.ShellCompDirectiveNoFileComp))
	}
	for _, name := range []string{"conversation", "fixed-by", "found-in", "by"} {
		_ = cmd.RegisterFlagCompletionFunc(name, a.completeConversations)
	}
	_ = cmd.RegisterFlagCompletionFunc("tool", a.completeTools)
	_ = cmd.RegisterFlagCompletionFunc("model", a.completeModels)
	for _, name := range []string{"env-file", "file", "path", "output"} {
		_ = cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault))
	}
	_ = cmd.RegisterFlagCompletionFunc("workspace", cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
	switch use := cmd.Use; {
	case strings.HasPrefix(use, "review "):
		cmd.ValidArgsFunction = cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault)
	case strings.HasPrefix(use, "call "), strings.HasPrefix(use, "tools "):
		cmd.ValidArgsFunction = firstArgument(a.completeTools)
	case strings.Contains(use, " ID..."):
		cmd.ValidArgsFunction = a.completeConversations
	case strings.Contains(use, " ID"):
		cmd.ValidArgsFunction = firstArgument(a.completeConversations)
	case strings.Contains(use, " NUMBER"):
		cmd.ValidArgsFunction = firstArgument(a.completeIssues)
	}
	for _, sub := range cmd.Commands() {
		a.addCompletion(sub)
	}
}

// firstArgument completes a command's first argument and leaves the others alone.
func firstArgument(complete cobra.CompletionFunc) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return complete(cmd, args, typed)
	}
}

// statuses are the words of a command's --status: those of an issue, or those of a step of its checklist.
func statuses(cmd *cobra.Command) []string {
	if cmd.Name() == "check" {
		return namesOf(issue.StepStatuses())
	}
	return namesOf(issue.Statuses())
}

func namesOf[T ~string](words []T) []string {
	var out []string
	for _, w := range words {
		out = append(out, string(w))
	}
	return out
}

func (a *app) completeTools(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	var out []cobra.Completion
	if cfg, err := a.load(); err == nil {
		if p, err := a.assemble(cfg, io.Discard); err == nil {
			for _, t := range p.tools {
				out = append(out, cobra.CompletionWithDesc(t.Name, t.Title))
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp
}

// completeModels offers the models that can be asked.
func (a *app) completeModels(*cobra.Command, []string, string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
	if cfg, err := a.load(); err == nil {
		if p, err := a.assemble(cfg, io.Discard); err == nil {
			for _, m := range p.registry.Models() {
				out = append(out, m.ID)
			}
		}
	}
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

// completeConversations offers the latest conversations. In a shell there is nobody to tell of a failure, here and below.
func (a *app) completeConversations(cmd *cobra.Command, _ []string, _ string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
	_ = a.withStore(cmd.Context(), func(_ *config.Config, s *store.Store) error {
		list, err := s.List(cmd.Context(), conversation.Filter{Limit: 50})
		for _, t := range list {
			out = append(out, cobra.CompletionWithDesc(t.ID, plain(t.Tool+": "+truncate(t.Title, 50))))
		}
		return err
	})
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

func (a *app) completeIssues(cmd *cobra.Command, _ []string, _ string) (out []cobra.Completion, _ cobra.ShellCompDirective) {
	_ = a.withStore(cmd.Context(), func(_ *config.Config, s *store.Store) error {
		list, err := s.Issues().List(cmd.Context(), issue.Filter{Status: issue.ActiveStatuses()})
		for _, i := range list {
			out = append(out, cobra.CompletionWithDesc(fmt.Sprint(i.Number), plain(string(i.Severity)+": "+truncate(i.Title, 50))))
		}
		return err
	})
	return out, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveKeepOrder
}

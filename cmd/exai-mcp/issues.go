package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

func (a *app) issuesCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "issues",
		Short: "List, show, change and export tracked issues",
		Long: `Shows and changes the issue tracker: what finished workflows found, and what people and agents recorded. Every change
leaves a row in the issue's history.

  exai-mcp issues list                          active ones, the worst first
  exai-mcp issues show 3                        one with its links and history
  exai-mcp issues check 3 --step 1              a step of its checklist is done
  exai-mcp issues update 3 --fixed-by CONVERSATION --actual-fix "..."
  exai-mcp issues update 3 --status verified

A CONVERSATION is named as in "exai-mcp conversations": by its id, a unique beginning of it (6 characters or more), or
"latest".`,
		Args: noSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.issuesListCommand(), a.issuesSearchCommand(), a.issuesShowCommand(), a.issuesExportCommand(),
		a.issuesCreateCommand(), a.issuesUpdateCommand(), a.issuesCommentCommand(), a.issuesCheckCommand(), a.issuesLinkCommand(),
	)
	return cmd
}

// noSubcommand checks the arguments of a command that only groups others.
func noSubcommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return fmt.Errorf("unknown command %q of %q; %s\"%[2]s --help\" lists the commands",
			args[0], cmd.CommandPath(), didYouMean(cmd, args[0]))
	}
	return nil
}

// withStore opens the database for a command, runs it and closes the database.
func (a *app) withStore(ctx context.Context, work func(cfg *config.Config, s *store.Store) error) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	if cfg.Conversations.Backend == "memory" {
		return failure{errors.New("CONVERSATION_STORAGE_BACKEND=memory keeps nothing between processes; set sqlite or postgres")}
	}
	s, err := store.Open(ctx, cfg.Conversations)
	if err != nil {
		return failure{fmt.Errorf("%w; \"exai-mcp doctor\" says more", err)}
	}
	err = work(cfg, s)
	if err := s.Close(); err != nil {
		fmt.Fprintf(a.errw, "exai-mcp: close the database: %v\n", err)
	}
	return withRemedy(err)
}

// withRemedy adds to an error of the store what to do about it. The error may contain stored text.
func withRemedy(err error) error {
	var known failure
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, issue.ErrNotFound):
		err = fmt.Errorf("%w; \"exai-mcp issues list --all\" lists them", err)
	case errors.Is(err, conversation.ErrNotFound):
		err = fmt.Errorf("%w; \"exai-mcp conversations list\" lists them", err)
	}
	return failure{errors.New(plain(err.Error()))}
}

// numberOf reads an issue's number, "3" or "#3".
func numberOf(text string) (int, error) {
	n, err := strconv.Atoi(strings.TrimPrefix(text, "#"))
	if err != nil || n < 1 {
		return 0, fmt.Errorf("invalid issue number %q; \"exai-mcp issues list --all\" shows them", text)
	}
	return n, nil
}

// oneNumber is a command's first argument as an issue's number. Cobra calls it before the command runs.
func oneNumber(args cobra.PositionalArgs) cobra.PositionalArgs {
	return cobra.MatchAll(args, func(_ *cobra.Command, args []string) error {
		_, err := numberOf(args[0])
		return err
	})
}

package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

func (a *app) issuesCommentCommand() *cobra.Command {
	var conversation string
	cmd := &cobra.Command{
		Use:   "comment NUMBER TEXT",
		Short: "Add a comment to an issue's history; - reads the text from stdin",
		Args:  oneNumber(argumentRange(2, 2)),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, _ := numberOf(args[0]) // checked by Args
			text, err := a.textOf(args[1])
			if err != nil {
				return err
			}
			if strings.TrimSpace(text) == "" {
				return errors.New("TEXT is required: issues comment NUMBER TEXT")
			}
			return a.withStore(cmd.Context(), func(_ *config.Config, s *store.Store) error {
				if err := nameConversations(cmd.Context(), s, &conversation); err != nil {
					return err
				}
				if err := s.Issues().Comment(cmd.Context(), number, text, conversation); err != nil {
					return err
				}
				return a.printf("Commented on issue %d.\n", number)
			})
		},
	}
	cmd.Flags().StringVar(&conversation, "conversation", "", "the conversation that the comment belongs to")
	return cmd
}

func (a *app) issuesCheckCommand() *cobra.Command {
	var (
		step                 int
		status, conversation string
		add                  []string
	)
	cmd := &cobra.Command{
		Use:   "check NUMBER --step K | --add TEXT",
		Short: "Set a step of an issue's checklist, or add steps to it",
		Example: `  exai-mcp issues check 3 --step 1 --conversation ID
  exai-mcp issues check 3 --step 2 --status skipped
  exai-mcp issues check 3 --add "Say so in the documentation"`,
		Args: oneNumber(argumentRange(1, 1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, _ := numberOf(args[0]) // checked by Args
			word, err := wordOf("status", status, issue.StepStatuses())
			switch {
			case err != nil:
				return err
			case (step > 0) == (len(add) > 0) || step < 0:
				return errors.New(`give --step with the number of a step, or --add with the text of a new one; "exai-mcp issues show NUMBER" lists the steps`)
			}
			return a.withStore(cmd.Context(), func(_ *config.Config, s *store.Store) error {
				if err := nameConversations(cmd.Context(), s, &conversation); err != nil {
					return err
				}
				if len(add) > 0 {
					return a.addSteps(cmd.Context(), s, number, add, conversation)
				}
				return a.setStep(cmd.Context(), s, number, step, word, conversation)
			})
		},
	}
	flags := cmd.Flags()
	flags.IntVar(&step, "step", 0, "the step's number")
	flags.StringVar(&status, "status", "complete", "complete, in_progress, skipped or pending")
	flags.StringVar(&conversation, "conversation", "", "the conversation in which it was worked on")
	flags.StringArrayVar(&add, "add", nil, "a new step; may be repeated, in order")
	return cmd
}

func (a *app) addSteps(ctx context.Context, s *store.Store, number int, steps []string, conversation string) error {
	i, err := s.Issues().AddSteps(ctx, number, steps, conversation)
	if err != nil {
		return err
	}
	return a.printf("Issue %d has %d steps now. %s\n", number, i.TotalSteps, i.Bar(20))
}

func (a *app) setStep(ctx context.Context, s *store.Store, number, step int, status issue.StepStatus, conversation string) error {
	i, err := s.Issues().SetStep(ctx, number, step, status, conversation)
	if errors.Is(err, issue.ErrInvalid) {
		return fmt.Errorf("%w; \"exai-mcp issues show %d\" lists its steps", err, number)
	}
	if err != nil {
		return err
	}
	what := ""
	for _, k := range i.Checklist {
		if k.Number == step {
			what = oneLine(k.Description)
		}
	}
	return a.printf("Issue %d, step %d is %s: %s %s\n", number, step, status, what, i.Bar(20))
}

func (a *app) issuesLinkCommand() *cobra.Command {
	links := map[issue.LinkKind]*[]int{issue.LinkBlocks: {}, issue.LinkBlockedBy: {}, issue.LinkRelated: {}}
	var conversation string
	cmd := &cobra.Command{
		Use:   "link NUMBER --blocks N | --blocked-by N | --related N",
		Short: "Link issues; both show the link",
		Args:  oneNumber(argumentRange(1, 1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, _ := numberOf(args[0]) // checked by Args
			given := 0
			for _, others := range links {
				given += len(*others)
			}
			if given == 0 {
				return errors.New("the number of another issue is required: --blocks N, --blocked-by N or --related N")
			}
			return a.withStore(cmd.Context(), func(_ *config.Config, s *store.Store) error {
				if err := nameConversations(cmd.Context(), s, &conversation); err != nil {
					return err
				}
				for _, kind := range issue.LinkKinds() {
					for _, other := range *links[kind] {
						if err := s.Issues().Link(cmd.Context(), number, kind, other, conversation); err != nil {
							return fmt.Errorf("link %d to %d: %w", number, other, err)
						}
						if err := a.printf("Issue %d %s issue %d.\n", number, kind.Verb(), other); err != nil {
							return err
						}
					}
				}
				return nil
			})
		},
	}
	flags := cmd.Flags()
	flags.IntSliceVar(links[issue.LinkBlocks], "blocks", nil, "numbers of issues that wait for it")
	flags.IntSliceVar(links[issue.LinkBlockedBy], "blocked-by", nil, "numbers of issues that it waits for")
	flags.IntSliceVar(links[issue.LinkRelated], "related", nil, "related issue numbers")
	flags.StringVar(&conversation, "conversation", "", "the conversation in which you noticed")
	return cmd
}

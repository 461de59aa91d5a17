package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"iter"
	"math"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

func (a *app) conversationsCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "conversations",
		Short: "List, show, search, export and delete conversations",
		Long: `Shows and deletes the conversations of calls with a continuation_id, workflow runs included. An ID is the continuation_id
that clients see and that an issue names, a unique beginning of it (6 characters or more), or "latest", the newest
conversation of this folder.

  exai-mcp conversations list
  exai-mcp conversations show ID
  exai-mcp conversations search "retry budget" --path src/client.go
  exai-mcp conversations prune --older-than 90d`,
		Args: noSubcommand,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(
		a.conversationsListCommand(), a.conversationsShowCommand(), a.conversationsSearchCommand(),
		a.conversationsExportCommand(), a.conversationsDeleteCommand(), a.conversationsPruneCommand(),
	)
	return cmd
}

func (a *app) conversationsListCommand() *cobra.Command {
	var f conversation.Filter
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List conversations, the latest first",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f.Limit < 0 {
				return fmt.Errorf("--limit %d: give 0 for all, or a number above it", f.Limit)
			}
			return a.listConversations(cmd.Context(), f, "", asJSON)
		},
	}
	cmd.Flags().StringVar(&f.Tool, "tool", "", "only conversations started by this tool")
	cmd.Flags().IntVar(&f.Limit, "limit", 50, "maximum number of results, 0 for all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (a *app) conversationsSearchCommand() *cobra.Command {
	var f conversation.Filter
	var path string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "search [TEXT] [--path FILE]",
		Short: "Search conversations for a text, or for a file that was sent",
		RunE: func(cmd *cobra.Command, args []string) error {
			f.Text = strings.Join(args, " ")
			switch {
			case strings.TrimSpace(f.Text) == "" && path == "":
				return errors.New("give a text to search for, or --path FILE")
			case f.Limit < 0:
				return fmt.Errorf("--limit %d: give 0 for all, or a number above it", f.Limit)
			}
			return a.listConversations(cmd.Context(), f, path, asJSON)
		},
	}
	cmd.Flags().StringVar(&path, "path", "", "only conversations in which this file was sent")
	cmd.Flags().StringVar(&f.Tool, "tool", "", "only conversations started by this tool")
	cmd.Flags().IntVar(&f.Limit, "limit", 50, "maximum number of results, 0 for all")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// listConversations prints a list. A path that nobody sent is tried once more from the working directory.
func (a *app) listConversations(ctx context.Context, f conversation.Filter, path string, asJSON bool) error {
	return a.withStore(ctx, func(_ *config.Config, s *store.Store) error {
		f.Path = path
		if path != "" && !filepath.IsAbs(path) {
			n, err := s.Count(ctx, f)
			if err == nil && n == 0 {
				f.Path, err = filepath.Abs(path)
			}
			if err != nil {
				return err
			}
		}
		if asJSON {
			return a.printSummaries(eachConversation(ctx, s, f))
		}
		var list []conversation.Summary
		for t, err := range eachConversation(ctx, s, f) {
			if err != nil {
				return err
			}
			list = append(list, t)
		}
		if len(list) == 0 {
			return a.print("No conversations.\n")
		}
		if err := a.write(a.summaryTable(list, f.Text != "")); err != nil || f.Limit == 0 || len(list) < f.Limit {
			return err
		}
		return a.printf("The latest %d; there may be more: --limit 0 shows all.\n", f.Limit)
	})
}

// summaryTable lists conversations, with where a text was found in them. That has a line of its own where lines are short.
func (a *app) summaryTable(list []conversation.Summary, found bool) string {
	width := a.lineWidth()
	rows := [][]string{{"ID", "TOOL", "MODEL", "TURNS", "UPDATED", "STATE", "TITLE"}}
	if found && width == 0 {
		rows[0] = append(rows[0], "FOUND")
	}
	for _, t := range list {
		state := ""
		if t.Running {
			state = "running"
		}
		row := []string{a.shownID(t.ID), t.Tool, t.Model, strconv.Itoa(t.Turns), clock(t.UpdatedAt), state, truncate(t.Title, 200)}
		if found && width == 0 {
			row = append(row, t.Excerpt)
		}
		rows = append(rows, row)
	}
	table := a.table(rows)
	if !found || width == 0 {
		return table
	}
	lines := strings.SplitAfter(table, "\n") // one for each row
	for i, t := range list {
		lines[i+1] += wrapped(plain(oneLine(t.Excerpt)), "    ", width)
	}
	return strings.Join(lines, "")
}

// eachConversation yields conversations, all of them with a limit of 0. An error is the last thing that it yields.
func eachConversation(ctx context.Context, s *store.Store, f conversation.Filter) iter.Seq2[conversation.Summary, error] {
	if f.Limit == 0 {
		return s.Each(ctx, f)
	}
	return func(yield func(conversation.Summary, error) bool) {
		list, err := s.List(ctx, f)
		for _, t := range list {
			if !yield(t, nil) {
				return
			}
		}
		if err != nil {
			yield(conversation.Summary{}, err)
		}
	}
}

func truncate(text string, limit int) string {
	text = oneLine(text)
	if r := []rune(text); len(r) > limit {
		return strings.TrimSpace(string(r[:limit-1])) + "…"
	}
	return text
}

func (a *app) conversationsDeleteCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "delete ID...",
		Short: "Delete conversations with all their messages and files",
		Args:  argumentRange(1, math.MaxInt),
		RunE: func(cmd *cobra.Command, ids []string) error {
			return a.withStore(cmd.Context(), func(_ *config.Config, s *store.Store) error {
				var errs []error
				for _, name := range ids {
					id, err := conversationID(cmd.Context(), s, name)
					if err == nil {
						if err = s.Delete(cmd.Context(), id); err != nil {
							err = fmt.Errorf("%s: %w", name, err)
						} else {
							err = a.printf("Deleted conversation %s.\n", id)
						}
					}
					errs = append(errs, withRemedy(err))
				}
				if err := errors.Join(errs...); err != nil {
					return failure{err}
				}
				return nil
			})
		},
	}
}

func (a *app) conversationsPruneCommand() *cobra.Command {
	var olderThan string
	var yes bool
	cmd := &cobra.Command{
		Use:   "prune --older-than AGE",
		Short: "Delete old conversations",
		Long: `Deletes the conversations that were last used before --older-than: 30d, 12w, or a Go duration such as 36h.
It says how many, and asks before it deletes; --yes answers for you. Issues stay.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			age, err := ageOf(olderThan)
			if err != nil {
				return err
			}
			return a.prune(cmd.Context(), time.Now().Add(-age), yes)
		},
	}
	cmd.Flags().StringVar(&olderThan, "older-than", "", "minimum age, such as 30d")
	cmd.Flags().BoolVar(&yes, "yes", false, "delete without asking")
	return cmd
}

// ageOf reads days, weeks or a Go duration.
func ageOf(text string) (time.Duration, error) {
	bad := fmt.Errorf("--older-than %q: give an age above 0, such as 30d, 12w or 36h", text)
	day := 24 * time.Hour
	for suffix, unit := range map[string]time.Duration{"d": day, "w": 7 * day} {
		if number, ok := strings.CutSuffix(text, suffix); ok {
			n, err := strconv.Atoi(number)
			if err != nil || n < 1 || n > 36500 {
				return 0, bad
			}
			return time.Duration(n) * unit, nil
		}
	}
	age, err := time.ParseDuration(text)
	if err != nil || age <= 0 {
		return 0, bad
	}
	return age, nil
}

func (a *app) prune(ctx context.Context, before time.Time, yes bool) error {
	return a.withStore(ctx, func(_ *config.Config, s *store.Store) error {
		old, err := s.Count(ctx, conversation.Filter{Before: before})
		if err != nil {
			return err
		}
		if old == 0 {
			return a.printf("No conversation was last used before %s.\n", clock(before))
		}
		if !yes {
			if err := a.printf("Delete %s last used before %s? [y/N] ", counted(old, "conversation that was", "conversations that were"), clock(before)); err != nil {
				return err
			}
			line, _ := bufio.NewReader(a.in).ReadString('\n') // no answer is a no
			if answer := strings.ToLower(strings.TrimSpace(line)); answer != "y" && answer != "yes" {
				return failure{errors.New("nothing was deleted; answer y, or give --yes")}
			}
		}
		n, err := s.Prune(ctx, before)
		if err != nil {
			return fmt.Errorf("%w; deleted before that: %d", err, n)
		}
		return a.printf("Deleted %s.\n", counted(n, "conversation", "conversations"))
	})
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

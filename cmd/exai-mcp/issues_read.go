package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

// issueFilter are the flags that narrow a list.
type issueFilter struct {
	severity, status, category          []string
	file, component, conversation, text string
	workspace                           string
	all                                 bool
	limit                               int
}

func (f *issueFilter) flags(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.severity, "severity", nil, "only these: critical, high, medium, low")
	flags.StringSliceVar(&f.status, "status", nil, "only these: open, in_progress, fixed, verified, closed, wont_fix")
	flags.StringSliceVar(&f.category, "category", nil, "only these: timeout, architecture, configuration, performance, security, other")
	flags.StringVar(&f.file, "file", "", "only those in this file: a path, or the end of one")
	flags.StringVar(&f.component, "component", "", "only those that affect this component")
	flags.StringVar(&f.conversation, "conversation", "", "only those that were found, fixed or worked on in this conversation")
	flags.StringVar(&f.workspace, "workspace", "", `only those of this project folder; "." is this one`)
	flags.IntVar(&f.limit, "limit", 0, "maximum number of results, 0 for all")
}

// filter checks the words; byDefault are the statuses that are listed when none is asked for, nil for every one.
func (f *issueFilter) filter(byDefault []issue.Status) (issue.Filter, error) {
	out := issue.Filter{
		Status: byDefault, File: f.file, Component: f.component, ConversationID: f.conversation, Text: f.text,
		Workspace: f.workspace, Limit: f.limit,
	}
	var errs [3]error
	out.Severity, errs[0] = wordsOf("severity", f.severity, issue.Severities())
	out.Category, errs[1] = wordsOf("category", f.category, issue.Categories())
	status, err := wordsOf("status", f.status, issue.Statuses())
	errs[2] = err
	switch {
	case f.all && len(status) > 0:
		return out, errors.New("--all lists every status, so it can't be given with --status; leave one of them out")
	case f.all:
		out.Status = nil
	case len(status) > 0:
		out.Status = status
	}
	if f.limit < 0 {
		return out, fmt.Errorf("--limit %d: give 0 for all, or a number above it", f.limit)
	}
	return out, errors.Join(errs[:]...)
}

func wordsOf[T ~string](flag string, given []string, all []T) ([]T, error) {
	var out []T
	for _, text := range given {
		word, err := wordOf(flag, text, all)
		if err != nil {
			return nil, err
		}
		out = append(out, word)
	}
	return out, nil
}

func wordOf[T ~string](flag, text string, all []T) (T, error) {
	word, err := issue.Word(text, all)
	if err != nil {
		var known []string
		for _, w := range all {
			known = append(known, string(w))
		}
		return "", fmt.Errorf("--%s %q: use %s", flag, text, strings.Join(known, ", "))
	}
	return word, nil
}

func (a *app) issuesListCommand() *cobra.Command {
	var f issueFilter
	var form format
	cmd := &cobra.Command{
		Use:   "list",
		Short: "List active issues, or those that the flags select",
		Long: `Lists the issues that are open or in progress, the most severe first, then by number. --all lists every status. The bar is
the progress of an issue's checklist.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			filter, err := f.filter(issue.ActiveStatuses())
			if err != nil {
				return err
			}
			none := `No active issues. "exai-mcp issues list --all" lists those that are done, too.`
			switch {
			case len(f.status) > 0:
				none = "No issues with this status."
			case f.all:
				none = "No issues."
			}
			return a.listIssues(cmd.Context(), filter, form, none)
		},
	}
	f.flags(cmd)
	cmd.Flags().BoolVar(&f.all, "all", false, "all statuses, including done issues")
	cmd.Flags().StringVar(&f.text, "text", "", "only issues that contain this text")
	form.flags(cmd)
	return cmd
}

func (a *app) issuesSearchCommand() *cobra.Command {
	var f issueFilter
	var form format
	cmd := &cobra.Command{
		Use:   "search TEXT",
		Short: "Search all issues for a text",
		Long: `Finds the issues with a text in their title, description, causes, fixes, file, components, checklist or history. Case
doesn't count.`,
		Args: argumentRange(1, math.MaxInt),
		RunE: func(cmd *cobra.Command, args []string) error {
			f.text = strings.Join(args, " ")
			filter, err := f.filter(nil)
			if err != nil {
				return err
			}
			return a.listIssues(cmd.Context(), filter, form, fmt.Sprintf("No issue has %q in it.", f.text))
		},
	}
	f.flags(cmd)
	form.flags(cmd)
	return cmd
}

// format is how a command prints: for people, or as the flags say.
type format struct{ json, markdown bool }

func (f *format) flags(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&f.json, "json", false, "print JSON")
	cmd.Flags().BoolVar(&f.markdown, "markdown", false, "print Markdown")
	cmd.MarkFlagsMutuallyExclusive("json", "markdown")
}

func (a *app) listIssues(ctx context.Context, f issue.Filter, form format, none string) error {
	if form.json {
		return a.exportIssues(ctx, f, "json", false)
	}
	return a.withStore(ctx, func(cfg *config.Config, s *store.Store) error {
		f, err := a.named(ctx, cfg, s, f)
		if err != nil {
			return err
		}
		list, err := issue.All(ctx, s.Issues(), f)
		switch {
		case err != nil:
			return err
		case form.markdown:
			return a.print(issue.Markdown(list))
		case len(list) == 0:
			return a.printf("%s\n", none)
		}
		bar := 10
		if width := a.lineWidth(); width > 0 && width < 100 {
			bar = 4
		}
		rows := [][]string{{"#", "SEVERITY", "STATUS", "CATEGORY", "PROGRESS", "TITLE", "PLACE"}}
		for _, i := range list {
			rows = append(rows, []string{
				fmt.Sprint(i.Number), string(i.Severity), string(i.Status), string(i.Category), i.Bar(bar), truncate(i.Title, 200), fromHere(i.Where()),
			})
		}
		return a.write(a.table(rows))
	})
}

// named puts the names that issues have for them in place of the workspace and the conversation that the flags name.
func (a *app) named(ctx context.Context, cfg *config.Config, s *store.Store, f issue.Filter) (issue.Filter, error) {
	if f.Workspace != "" {
		dir, err := a.workspaceOf(ctx, cfg, f.Workspace)
		switch {
		case err != nil:
			return f, err
		case dir == "":
			return f, fmt.Errorf("--workspace %q: this folder is not a project whose files may be read; name the project's folder", f.Workspace)
		}
		f.Workspace = dir
	}
	return f, nameConversations(ctx, s, &f.ConversationID)
}

func (a *app) issuesShowCommand() *cobra.Command {
	var form format
	cmd := &cobra.Command{
		Use:   "show NUMBER",
		Short: "Show an issue with its checklist, links, conversations and history",
		Long:  `Shows everything about an issue, as Markdown.`,
		Args:  oneNumber(argumentRange(1, 1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			number, _ := numberOf(args[0]) // checked by Args
			return a.withStore(ctx, func(_ *config.Config, s *store.Store) error {
				i, err := s.Issues().Get(ctx, number)
				if err != nil {
					return err
				}
				if form.json {
					return a.printIssue(*i)
				}
				page, err := pageOf(ctx, s, *i)
				if err != nil {
					return err
				}
				page.Zone = time.Local
				return a.print(page.Markdown())
			})
		},
	}
	form.flags(cmd)
	return cmd
}

// pageOf reads what belongs beside an issue.
func pageOf(ctx context.Context, s *store.Store, i issue.Issue) (issue.Page, error) {
	page := issue.Page{Issue: i, Titles: map[string]string{}}
	var err error
	if page.Linked, err = issue.Linked(ctx, s.Issues(), i); err != nil {
		return page, err
	}
	ids := i.Conversations()
	if len(ids) == 0 {
		return page, nil
	}
	conversations, err := s.List(ctx, conversation.Filter{IDs: ids, Limit: len(ids)})
	if err != nil {
		return page, err
	}
	for _, t := range conversations {
		page.Titles[t.ID] = t.Title
	}
	return page, nil
}

// printIssue prints one issue as a JSON object.
func (a *app) printIssue(i issue.Issue) error {
	text, err := i.MarshalJSON()
	return a.printJSON(indented(text, err))
}

func (a *app) issuesExportCommand() *cobra.Command {
	var f issueFilter
	cmd := &cobra.Command{
		Use:   "export json|markdown|csv",
		Short: "Export all issues in full, with checklists and history",
		Long: `Exports the issues that the flags select, or all, with all their data. In CSV an issue is a row, and a
cell that a spreadsheet would take for a formula begins with an apostrophe.`,
		ValidArgs: issue.Formats(),
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(issue.Formats(), args[0]) {
				return fmt.Errorf("issues export %q: expected one format, %s", strings.Join(args, " "), strings.Join(issue.Formats(), ", "))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			filter, err := f.filter(nil)
			if err != nil {
				return err
			}
			return a.exportIssues(cmd.Context(), filter, args[0], true)
		},
	}
	f.flags(cmd)
	cmd.Flags().StringVar(&f.text, "text", "", "only issues that contain this text")
	return cmd
}

// exportIssues prints issues as they are read, so that it holds few at a time. Whole ones have their checklist and history.
func (a *app) exportIssues(ctx context.Context, f issue.Filter, form string, whole bool) error {
	return a.withStore(ctx, func(cfg *config.Config, s *store.Store) error {
		f, err := a.named(ctx, cfg, s, f)
		if err != nil {
			return err
		}
		safe := plain
		if form == "json" {
			safe = func(text string) string { return plainJSON([]byte(text)) }
		}
		out := bufio.NewWriterSize(writerFunc(func(text []byte) error { return a.write(string(text)) }), 64<<10)
		escaped := writerFunc(func(text []byte) error { _, err := out.WriteString(safe(string(text))); return err })
		err = issue.ExportTo(escaped, s.Issues().Each(ctx, f, whole), form, func(i issue.Issue) ([]issue.Issue, error) {
			return issue.Linked(ctx, s.Issues(), i)
		})
		if err != nil {
			return err
		}
		return out.Flush()
	})
}

// writerFunc is a writer that takes everything or fails.
type writerFunc func(text []byte) error

// Write implements io.Writer.
func (f writerFunc) Write(text []byte) (int, error) {
	if err := f(text); err != nil {
		return 0, err
	}
	return len(text), nil
}

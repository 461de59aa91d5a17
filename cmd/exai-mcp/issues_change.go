package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// issueFields are the flags for an issue's columns, for create and update alike.
type issueFields struct {
	cmd                                                          *cobra.Command
	title, description, severity, category, status               string
	file, lines, conversation, fixedBy, rootCause, impact        string
	recommendedFix, actualFix, fixDate, workspace, foundIn, note string
	components, steps                                            []string
	blocks, blockedBy, related                                   []int
	json                                                         bool
}

func (f *issueFields) flags(cmd *cobra.Command) {
	f.cmd = cmd
	flags := cmd.Flags()
	flags.StringVar(&f.description, "description", "", "what is wrong; - reads it from stdin")
	flags.StringVar(&f.category, "category", "", "timeout, architecture, configuration, performance, security or other")
	flags.StringVar(&f.file, "file", "", "the file")
	flags.StringVar(&f.lines, "lines", "", "the lines in it, 48 or 48-51")
	flags.StringArrayVar(&f.components, "component", nil, "a component that is affected; may be repeated")
	flags.StringVar(&f.rootCause, "root-cause", "", "root cause")
	flags.StringVar(&f.impact, "impact", "", "user impact")
	flags.StringVar(&f.recommendedFix, "recommended-fix", "", "what should be done")
	flags.StringVar(&f.actualFix, "actual-fix", "", "what was done")
	flags.StringVar(&f.fixedBy, "fixed-by", "", "the conversation in which it was fixed; an active issue becomes fixed")
	flags.BoolVar(&f.json, "json", false, "print the issue as JSON")
}

// given is a flag's value, nil when the flag was not given.
func (f *issueFields) given(name string, value string) *string {
	if !f.cmd.Flags().Changed(name) {
		return nil
	}
	return &value
}

// lineNumbers reads "48", "48-51" or, to forget them, "".
func lineNumbers(text string) (first, last int, err error) {
	if text == "" {
		return 0, 0, nil
	}
	from, to, isRange := strings.Cut(text, "-")
	first, err = strconv.Atoi(strings.TrimSpace(from))
	if err == nil && isRange {
		last, err = strconv.Atoi(strings.TrimSpace(to))
	}
	if err != nil || first < 1 || isRange && last < first {
		return 0, 0, fmt.Errorf("--lines %q: give one line, 48, or two, 48-51", text)
	}
	return first, last, nil
}

// textOf is a flag's or an argument's text, which - reads from stdin.
func (a *app) textOf(text string) (string, error) {
	if text != "-" {
		return text, nil
	}
	read, err := io.ReadAll(a.in)
	if err != nil {
		return "", failure{fmt.Errorf("read the text from stdin: %w", err)}
	}
	return strings.TrimRight(string(read), "\r\n"), nil
}

// workspaceOf names a project folder as issues keep it: "." is the first root, "" where there is none; other folders are
// made absolute.
func (a *app) workspaceOf(ctx context.Context, cfg *config.Config, dir string) (string, error) {
	if dir == "" {
		return "", nil
	}
	if dir != "." {
		abs, err := filepath.Abs(dir)
		if err != nil {
			return "", fmt.Errorf("--workspace %q: %w", dir, err)
		}
		if real, err := filepath.EvalSymlinks(abs); err == nil { // one that is gone may still have issues
			abs = real
		}
		return abs, nil
	}
	cwd, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("find the working directory: %w", err)
	}
	files, err := workspace.New(cfg.Files, cfg.Conversations.StateDir, cwd, a.home(), nil, nil)
	if err != nil {
		return "", err
	}
	return files.FirstRoot(ctx), nil
}

func (a *app) issuesCreateCommand() *cobra.Command {
	f := &issueFields{}
	cmd := &cobra.Command{
		Use:   "create TITLE",
		Short: "Record an issue",
		Example: `  exai-mcp issues create "Async GLM client without a timeout" \
    --severity critical --category timeout --conversation latest \
    --file src/providers/async_glm.py --lines 48-51 \
    --check "HTTP client with the limit" --check "A test of the limit"`,
		Args: argumentRange(1, 1),
		RunE: func(cmd *cobra.Command, args []string) error {
			i, err := f.issue(args[0])
			if err != nil {
				return err
			}
			if i.Description, err = a.textOf(i.Description); err != nil {
				return err
			}
			return a.createIssue(cmd.Context(), i, f.json)
		},
	}
	f.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.severity, "severity", "medium", "critical, high, medium or low")
	flags.StringVar(&f.status, "status", "open", "open, in_progress, fixed, verified, closed or wont_fix")
	flags.StringVar(&f.conversation, "conversation", "", "the conversation that found it")
	flags.StringVar(&f.fixDate, "fix-date", "", "when it was fixed, 2026-01-31 or with a time, 2026-01-31T15:04:05Z")
	flags.StringVar(&f.workspace, "workspace", ".", `the project folder; "." is this one`)
	flags.StringArrayVar(&f.steps, "check", nil, "a step of its checklist; may be repeated, in order")
	flags.IntSliceVar(&f.blocks, "blocks", nil, "numbers of issues that wait for it")
	flags.IntSliceVar(&f.blockedBy, "blocked-by", nil, "numbers of issues that it waits for")
	flags.IntSliceVar(&f.related, "related", nil, "related issue numbers")
	return cmd
}

// issue is the new issue that the flags describe.
func (f *issueFields) issue(title string) (issue.Issue, error) {
	i := issue.Issue{
		Title: title, Description: f.description, File: f.file, Components: f.components, ConversationID: f.conversation,
		FixConversationID: f.fixedBy, RootCause: f.rootCause, Impact: f.impact, RecommendedFix: f.recommendedFix,
		ActualFix: f.actualFix, Workspace: f.workspace, Blocks: f.blocks, BlockedBy: f.blockedBy, Related: f.related,
		Category: issue.Other,
	}
	var errs [6]error
	i.Severity, errs[0] = wordOf("severity", f.severity, issue.Severities())
	i.Status, errs[1] = wordOf("status", f.status, issue.Statuses())
	if f.category != "" {
		i.Category, errs[2] = wordOf("category", f.category, issue.Categories())
	}
	i.LineStart, i.LineEnd, errs[3] = lineNumbers(f.lines)
	i.FixDate, errs[4] = dateOf(f.fixDate)
	if strings.TrimSpace(title) == "" {
		errs[5] = errors.New("TITLE is required: issues create TITLE")
	}
	if i.FixConversationID != "" && !f.cmd.Flags().Changed("status") {
		i.Status = issue.Fixed
	}
	for _, step := range f.steps {
		i.Checklist = append(i.Checklist, issue.ChecklistStep{Description: step})
	}
	return i, errors.Join(errs[:]...)
}

func dateOf(text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.ParseInLocation(layout, text, time.Local); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("--fix-date %q: give 2026-01-31, or with a time, 2026-01-31T15:04:05Z", text)
}

func (a *app) createIssue(ctx context.Context, i issue.Issue, asJSON bool) error {
	return a.withStore(ctx, func(cfg *config.Config, s *store.Store) (err error) {
		if i.Workspace, err = a.workspaceOf(ctx, cfg, i.Workspace); err != nil {
			return err
		}
		if err := nameConversations(ctx, s, &i.ConversationID, &i.FixConversationID); err != nil {
			return err
		}
		made, err := s.Issues().Create(ctx, i)
		switch {
		case err != nil:
			return err
		case asJSON:
			return a.printIssue(*made)
		}
		return a.printf("Created issue %d: %s\n", made.Number, oneLine(made.Title))
	})
}

func (a *app) issuesUpdateCommand() *cobra.Command {
	f := &issueFields{}
	cmd := &cobra.Command{
		Use:   "update NUMBER",
		Short: "Change an issue's status or any of its fields",
		Long: `Changes the fields that the flags name, and records each change in the history. A flag with "" clears its field.

--fixed-by CONVERSATION records where the issue was fixed; one that is open or in progress becomes fixed by it, with the
current time as its fix date. A status goes from open and in_progress to fixed, closed or wont_fix, from fixed to verified
or closed, from verified to closed, and from everywhere back to open or in_progress.`,
		Example: `  exai-mcp issues update 3 --status in_progress --by CONVERSATION
  exai-mcp issues update 3 --fixed-by latest --actual-fix "Limits are settings."
  exai-mcp issues update 3 --status verified --note "Its test passes."`,
		Args: oneNumber(argumentRange(1, 1)),
		RunE: func(cmd *cobra.Command, args []string) error {
			number, _ := numberOf(args[0]) // checked by Args
			c, err := f.change()
			if err != nil {
				return err
			}
			if c.Description != nil {
				if *c.Description, err = a.textOf(*c.Description); err != nil {
					return err
				}
			}
			return a.updateIssue(cmd.Context(), number, c, f)
		},
	}
	f.flags(cmd)
	flags := cmd.Flags()
	flags.StringVar(&f.title, "title", "", "the title")
	flags.StringVar(&f.severity, "severity", "", "critical, high, medium or low")
	flags.StringVar(&f.status, "status", "", "open, in_progress, fixed, verified, closed or wont_fix")
	flags.StringVar(&f.foundIn, "found-in", "", "the conversation that found it")
	flags.StringVar(&f.note, "note", "", "why, for the history")
	flags.StringVar(&f.conversation, "by", "", "the conversation in which you change it, for the history")
	return cmd
}

// change is what the flags that were given ask for.
func (f *issueFields) change() (issue.Change, error) {
	flags := f.cmd.Flags()
	c := issue.Change{
		Title: f.given("title", f.title), Description: f.given("description", f.description), File: f.given("file", f.file),
		RootCause: f.given("root-cause", f.rootCause), Impact: f.given("impact", f.impact),
		RecommendedFix: f.given("recommended-fix", f.recommendedFix), ActualFix: f.given("actual-fix", f.actualFix),
		ConversationID: f.given("found-in", f.foundIn), FixConversationID: f.given("fixed-by", f.fixedBy),
		Note: f.note, By: f.conversation,
	}
	var errs [4]error
	c.Severity, errs[0] = changedWord(f.cmd, "severity", f.severity, issue.Severities())
	c.Category, errs[1] = changedWord(f.cmd, "category", f.category, issue.Categories())
	c.Status, errs[2] = changedWord(f.cmd, "status", f.status, issue.Statuses())
	if flags.Changed("lines") {
		var first, last int
		first, last, errs[3] = lineNumbers(f.lines)
		c.LineStart, c.LineEnd = &first, &last
	}
	if flags.Changed("component") {
		components := []string{}
		for _, name := range f.components {
			if strings.TrimSpace(name) != "" {
				components = append(components, name)
			}
		}
		c.Components = &components
	}
	if err := errors.Join(errs[:]...); err != nil {
		return c, err
	}
	if c == (issue.Change{By: c.By}) {
		return c, errors.New(`nothing to change: give at least one field, such as --status fixed; "exai-mcp issues update --help" lists them`)
	}
	return c, nil
}

func changedWord[T ~string](cmd *cobra.Command, flag, text string, all []T) (*T, error) {
	if !cmd.Flags().Changed(flag) {
		return nil, nil
	}
	word, err := wordOf(flag, text, all)
	return &word, err
}

func (a *app) updateIssue(ctx context.Context, number int, c issue.Change, f *issueFields) error {
	return a.withStore(ctx, func(_ *config.Config, s *store.Store) error {
		before, err := s.Issues().Get(ctx, number)
		if err != nil {
			return err
		}
		if err := nameConversations(ctx, s, c.ConversationID, c.FixConversationID, &c.By); err != nil {
			return err
		}
		after, err := s.Issues().Update(ctx, number, c)
		switch {
		case err != nil:
			return err
		case f.json:
			return a.printIssue(*after)
		case len(after.Updates) == len(before.Updates):
			return a.printf("Issue %d is unchanged: %s\n", number, oneLine(after.Title))
		}
		text := fmt.Sprintf("Issue %d: %s\n", number, oneLine(after.Title))
		for _, u := range after.Updates[len(before.Updates):] {
			text += fmt.Sprintf("  %s: %s\n", u.Type, oneLine(u.Content))
		}
		return a.print(text)
	})
}

package tools

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// issuesInput are the arguments of all actions. Their names are the columns' names where they are columns.
type issuesInput struct {
	Action          string   `json:"action" enum:"list,show,create,update,comment,check,link,search,export,fix"`
	Number          int      `json:"issue_number,omitempty"`
	Text            *string  `json:"text,omitempty" jsonschema:"A comment, the reason for a change, or what to search for."`
	Title           *string  `json:"title,omitempty"`
	Description     *string  `json:"description,omitempty"`
	Severity        *string  `json:"severity,omitempty" jsonschema:"critical, high, medium, low. Lists take several with commas, here and below."`
	Category        *string  `json:"category,omitempty" jsonschema:"timeout, architecture, configuration, performance, security, other."`
	Status          *string  `json:"status,omitempty" jsonschema:"open, in_progress, fixed, verified, closed, wont_fix; list: or all; check: complete (default), in_progress, skipped, pending."`
	File            *string  `json:"file_path,omitempty"`
	LineStart       *int     `json:"line_start,omitempty"`
	LineEnd         *int     `json:"line_end,omitempty"`
	Components      []string `json:"affected_components,omitempty"`
	Conversation    string   `json:"conversation_id,omitempty" jsonschema:"The continuation_id in which you do this; narrows lists."`
	FoundIn         *string  `json:"found_in,omitempty"`
	FixConversation *string  `json:"fix_conversation_id,omitempty"`
	FixDate         *string  `json:"fix_date,omitempty"`
	RootCause       *string  `json:"root_cause,omitempty"`
	Impact          *string  `json:"impact_description,omitempty"`
	RecommendedFix  *string  `json:"recommended_fix,omitempty"`
	ActualFix       *string  `json:"actual_fix,omitempty"`
	Steps           []string `json:"steps,omitempty" jsonschema:"Checklist steps to add."`
	Step            int      `json:"step_number,omitempty" jsonschema:"The one to check."`
	Blocks          []int    `json:"blocks_issues,omitempty"`
	BlockedBy       []int    `json:"blocked_by_issues,omitempty"`
	Related         []int    `json:"related_issues,omitempty"`
	Workspace       string   `json:"workspace,omitempty" jsonschema:"A project folder; . is this one."`
	Format          string   `json:"format,omitempty" enum:"json,markdown,csv"`
	Limit           int      `json:"limit,omitempty" minimum:"1" maximum:"200"`
	Offset          int      `json:"offset,omitempty" minimum:"0"`
}

func issues(d *Deps) tool.Tool { return tool.New("issues", d.issues) }

// issueAction is what one action needs, what else it takes, and what it does.
type issueAction struct {
	needs, takes string // names of arguments
	run          func(ctx context.Context, s issue.Store, in issuesInput) (*Result, error)
}

const (
	narrowingArguments = "severity category status file_path affected_components conversation_id workspace limit offset "
	columnArguments    = "description severity category status file_path line_start line_end affected_components " +
		"conversation_id fix_conversation_id root_cause impact_description recommended_fix actual_fix "
	linkArguments = "blocks_issues blocked_by_issues related_issues "
)

func (d *Deps) issueAction(name string) issueAction {
	switch name {
	case "show":
		return issueAction{"issue_number", "", d.showIssue}
	case "create":
		return issueAction{"title", columnArguments + linkArguments + "steps workspace fix_date", d.createIssue}
	case "update":
		return issueAction{"issue_number", "title text found_in " + columnArguments, d.updateIssue}
	case "fix":
		return issueAction{"issue_number", "fix_conversation_id conversation_id actual_fix text", d.fixIssue}
	case "comment":
		return issueAction{"issue_number text", "conversation_id", d.commentIssue}
	case "check":
		return issueAction{"issue_number", "step_number steps status conversation_id", d.checkIssue}
	case "link":
		return issueAction{"issue_number", linkArguments + "conversation_id", d.linkIssue}
	case "search":
		return issueAction{"text", narrowingArguments, d.listIssues}
	case "export":
		return issueAction{"", "format text " + narrowingArguments, d.exportIssues}
	}
	return issueAction{"", "text " + narrowingArguments, d.listIssues}
}

func (d *Deps) issues(ctx context.Context, in issuesInput) (*Result, error) {
	action := d.issueAction(in.Action)
	if err := action.check(in); err != nil {
		return nil, err
	}
	s, err := d.Issues(ctx)
	if err != nil {
		return nil, issueError(ctx, err)
	}
	r, err := action.run(ctx, s, in)
	if err != nil {
		return nil, issueError(ctx, err)
	}
	return r, nil
}

// check asks for the arguments that the action needs, and refuses those that it would not look at.
func (a issueAction) check(in issuesInput) error {
	text, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	given := map[string]any{} // all but those that were left out
	if err := json.Unmarshal(text, &given); err != nil {
		return fmt.Errorf("arguments: %w", err)
	}
	needs, takes := strings.Fields(a.needs), strings.Fields(a.takes)
	var missing, strange []string
	for _, name := range needs {
		if value := given[name]; value == nil || value == "" {
			missing = append(missing, name)
		}
	}
	for name := range given {
		if name != "action" && !slices.Contains(needs, name) && !slices.Contains(takes, name) {
			strange = append(strange, name)
		}
	}
	slices.Sort(strange)
	hint := fmt.Sprintf("%s takes %s.", in.Action, strings.Join(slices.Concat(needs, takes), ", "))
	switch {
	case len(missing) > 0:
		return reply.InvalidRequest(hint, "The action %s needs %s.", in.Action, strings.Join(missing, " and "))
	case len(strange) > 0:
		return reply.InvalidRequest(hint, "The action %s does not take %s.", in.Action, strings.Join(strange, ", "))
	}
	return nil
}

// issueError is a store's error as the caller may read it.
func issueError(ctx context.Context, err error) error {
	var known *Error
	var missing issue.MissingError
	switch {
	case errors.As(err, &known):
		return err
	case errors.As(err, &missing):
		return reply.InvalidRequest("The action list with status all shows every issue's number.", "There is no issue %d.", int(missing))
	case errors.Is(err, issue.ErrInvalid):
		return reply.InvalidRequest("Correct it and call again; the action show lists its fields.",
			"That can't be done: %s.", issue.Reason(err))
	case ctx.Err() != nil:
		return err
	}
	return &Error{
		Code: reply.CodeStoreUnavailable, Retryable: true, Err: err,
		Message: "The issue tracker's database did not answer.",
		Hint:    "Try again; status and exai-mcp doctor say what is wrong with the database.",
	}
}

// issueWord reads one of a column's words.
func issueWord[T ~string](name, text string, all []T) (T, error) {
	word, err := issue.Word(text, all)
	if err != nil {
		return "", reply.InvalidRequest("Correct "+name+".", "%s: %s.", name, issue.Reason(err))
	}
	return word, nil
}

// issueWords reads several, with commas; nil is none.
func issueWords[T ~string](name string, text *string, all []T) ([]T, error) {
	if text == nil {
		return nil, nil
	}
	var out []T
	for part := range strings.SplitSeq(*text, ",") {
		word, err := issueWord(name, part, all)
		if err != nil {
			return nil, err
		}
		out = append(out, word)
	}
	return out, nil
}

// changedWord reads one; nil stays nil.
func changedWord[T ~string](name string, text *string, all []T) (*T, error) {
	if text == nil {
		return nil, nil
	}
	word, err := issueWord(name, *text, all)
	return &word, err
}

// deref is what a pointer leads to, the zero value for nil.
func deref[T any](p *T) (v T) {
	if p != nil {
		v = *p
	}
	return v
}

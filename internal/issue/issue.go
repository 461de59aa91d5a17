// Package issue is the vocabulary of the issue tracker: what an issue is, which words its columns take, how its status
// may move, and the Store that keeps it.
//
// It knows no database and no protocol.
package issue

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"
)

// Errors of a Store that the caller can put right. Every other error means that the store itself failed.
var (
	ErrNotFound = errors.New("no issue with this number")
	ErrInvalid  = errors.New("invalid issue")
)

// MissingError is an ErrNotFound that says which number it was.
type MissingError int

// Error names the number.
func (e MissingError) Error() string { return fmt.Sprintf("there is no issue %d", int(e)) }

// Is makes it an ErrNotFound.
func (e MissingError) Is(target error) bool { return target == ErrNotFound }

// Reason is what an ErrInvalid says is wrong, without the operation that it came from.
func Reason(err error) string {
	if _, reason, ok := strings.Cut(err.Error(), ErrInvalid.Error()+": "); ok {
		return reason
	}
	return err.Error()
}

// Issue is one row of exai_issues. Its JSON has the columns' names; what is empty is left out.
type Issue struct {
	ID                string          `json:"id"`           // uuid; given by the Store
	Number            int             `json:"issue_number"` // unique, rising, never used twice; given by the Store
	Title             string          `json:"title"`
	Description       string          `json:"description,omitempty"`
	Severity          Severity        `json:"severity"`
	Category          Category        `json:"category"`
	Status            Status          `json:"status"`               // "" means Open in Create
	File              string          `json:"file_path,omitempty"`  // as the host names it
	LineStart         int             `json:"line_start,omitempty"` // 0 when unknown
	LineEnd           int             `json:"line_end,omitempty"`
	Components        []string        `json:"affected_components,omitempty"`
	ConversationID    string          `json:"conversation_id,omitempty"`     // the continuation_id of the conversation that found it
	FixConversationID string          `json:"fix_conversation_id,omitempty"` // the continuation_id of the conversation that fixed it
	RootCause         string          `json:"root_cause,omitempty"`
	Impact            string          `json:"impact_description,omitempty"`
	RecommendedFix    string          `json:"recommended_fix,omitempty"`
	ActualFix         string          `json:"actual_fix,omitempty"`
	FixDate           time.Time       `json:"fix_date,omitzero"`        // zero until it was fixed
	Related           []int           `json:"related_issues,omitempty"` // issue numbers, rising
	Blocks            []int           `json:"blocks_issues,omitempty"`
	BlockedBy         []int           `json:"blocked_by_issues,omitempty"`
	Workspace         string          `json:"workspace,omitempty"` // the first allowed root when it was found, as the host names it
	Quote             string          `json:"quote,omitempty"`     // the line of code that proves it
	CreatedAt         time.Time       `json:"created_at,omitzero"`
	UpdatedAt         time.Time       `json:"updated_at,omitzero"`
	CompletedSteps    int             `json:"completed_steps"` // of the checklist
	TotalSteps        int             `json:"total_steps"`
	Checklist         []ChecklistStep `json:"checklist,omitempty"` // by step number; filled by Get
	Updates           []Update        `json:"updates,omitempty"`   // oldest first; filled by Get
}

// Progress is how much of the checklist is complete, in per cent; 0 when there is none.
func (i Issue) Progress() int {
	if i.TotalSteps == 0 {
		return 0
	}
	return 100 * i.CompletedSteps / i.TotalSteps
}

// MarshalJSON adds progress_percentage, as exai_active_issues has it. Texts stay as they are, "<" too.
func (i Issue) MarshalJSON() ([]byte, error) {
	type columns Issue
	return marshal(struct {
		columns
		Progress int `json:"progress_percentage"`
	}{columns(i), i.Progress()})
}

// Update is one row of an issue's audit trail, exai_issue_updates. Every change of an issue leaves at least one.
type Update struct {
	Type           UpdateType `json:"update_type"`
	Content        string     `json:"content"`
	ConversationID string     `json:"conversation_id,omitempty"` // where the change was made; "" outside of conversations
	CreatedAt      time.Time  `json:"created_at,omitzero"`
}

// ChecklistStep is one row of exai_issue_checklist.
type ChecklistStep struct {
	Number         int        `json:"step_number"` // 1, 2, 3 ... within the issue
	Description    string     `json:"description"`
	Status         StepStatus `json:"status"`
	ConversationID string     `json:"conversation_id,omitempty"` // where the step was worked on
	CompletedAt    time.Time  `json:"completed_at,omitzero"`
}

// Change is what Update does to an issue; nil fields stay as they are.
type Change struct {
	Title             *string
	Description       *string
	Severity          *Severity
	Category          *Category
	Status            *Status
	File              *string
	LineStart         *int
	LineEnd           *int
	Components        *[]string
	ConversationID    *string
	FixConversationID *string // makes an issue that is not fixed, verified or closed fixed, unless Status says otherwise
	RootCause         *string
	Impact            *string
	RecommendedFix    *string
	ActualFix         *string
	Note              string // kept with the audit row
	By                string // the continuation_id of the conversation that makes the change; "" is FixConversationID's, or none
}

// Finding is what a finished workflow reports. One finding is one workspace and file with the same NormalTitle, or the same
// NormalQuote.
type Finding struct {
	Workspace      string
	File           string
	Line           int // 0 when unknown
	Title          string
	Quote          string // the line of code that proves it, "" for none
	Description    string
	RecommendedFix string
	Severity       Severity // "" means Medium
	Category       Category // "" means Other
	ConversationID string
	Tool           string // who found it, for the audit trail
}

// Issue is the finding as a new issue. Words that are not ours become the defaults, since a model may have chosen them.
func (f Finding) Issue() Issue {
	i := Issue{
		Title: strings.TrimSpace(f.Title), Description: f.Description, Severity: f.Severity, Category: f.Category,
		Status: Open, File: f.File, LineStart: max(f.Line, 0), ConversationID: f.ConversationID,
		RecommendedFix: f.RecommendedFix, Workspace: f.Workspace, Quote: strings.TrimSpace(f.Quote),
	}
	i.Severity, _ = ParseSeverity(string(f.Severity))
	if !i.Category.Valid() {
		i.Category = Other
	}
	if i.Title == "" {
		i.Title, _, _ = strings.Cut(strings.TrimSpace(f.Description), "\n")
		i.Title = cmp.Or(i.Title, "Untitled finding")
	}
	return i
}

// Captured is what became of a finding.
type Captured struct {
	Number   int
	Title    string
	Severity Severity
	Status   Status
	New      bool // false: the issue was active already and got an update
}

// Filter narrows a list. Zero fields do not narrow.
type Filter struct {
	Text           string // case-insensitive, in title, texts, file, components, checklist or updates
	Status         []Status
	Severity       []Severity
	Category       []Category
	File           string // exactly, or the end of the path after a separator
	Component      string // one of the affected components, in any case
	Workspace      string
	ConversationID string // found, fixed, updated or worked on there
	Limit          int    // 0 means 50
	Offset         int
}

// Store keeps issues. Implementations are safe for concurrent use, also by several processes on one database; every
// method gives up when ctx ends. Each change is one transaction with its audit rows.
type Store interface {
	// Create stores a new issue, with its checklist's descriptions and its links, and returns it with ID, Number and times
	// filled in. ErrNotFound when an issue that it is linked to is not there.
	Create(ctx context.Context, i Issue) (*Issue, error)
	// Get returns an issue with its checklist and updates, or ErrNotFound.
	Get(ctx context.Context, number int) (*Issue, error)
	// List returns issues, the most severe first and then by number.
	List(ctx context.Context, f Filter) ([]Issue, error)
	// Each yields issues in List's order, however many there are: a Limit of 0 is none. Whole ones have their checklist and
	// updates. An error is the last thing that it yields.
	Each(ctx context.Context, f Filter, whole bool) iter.Seq2[Issue, error]
	// Update changes an issue and returns it as it is then. A status that CanBecome refuses is ErrInvalid. Fixed stamps
	// FixDate; going back to Open or InProgress clears it.
	Update(ctx context.Context, number int, c Change) (*Issue, error)
	// Comment adds a comment to the audit trail.
	Comment(ctx context.Context, number int, text, conversationID string) error
	// AddSteps appends steps to the checklist and returns the issue.
	AddSteps(ctx context.Context, number int, descriptions []string, conversationID string) (*Issue, error)
	// SetStep sets the status of a checklist step and returns the issue. ErrInvalid when there is no such step.
	SetStep(ctx context.Context, number, step int, status StepStatus, conversationID string) (*Issue, error)
	// Link ties two issues together, on both of them: "5 blocks 7" is also "7 is blocked by 5".
	Link(ctx context.Context, number int, kind LinkKind, other int, conversationID string) error
	// Capture records findings, a few per transaction: with an error, such as ctx's end, it returns those that are recorded. One that is already active, or that nobody wants to fix, gets an update instead of a second
	// issue; one that came back after its fix is a new issue, related to the old one. The results are in
	// the order of the findings.
	Capture(ctx context.Context, findings []Finding) ([]Captured, error)
}

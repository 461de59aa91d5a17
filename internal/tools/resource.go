package tools

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// ErrNoResource says that there is nothing under a URI.
var ErrNoResource = errors.New("no such resource")

// How long reading, listing and completing wait for the database. A client lists resources when it starts, and completes
// while a person types.
const (
	readWait     = 5 * time.Second
	listWait     = 300 * time.Millisecond
	completeWait = 500 * time.Millisecond
)

// What of the store is listed: enough to find what one worked on lately, and no flood in a client's menu.
const (
	listedConversations = 10
	listedIssues        = 10
)

// Resource is a document that clients can read, or with a template for its URI a family of them.
type Resource struct {
	URI         string // a template (RFC 6570) for a family
	Name        string
	Title       string
	Description string
	MIME        string
	Priority    float64   // how much it matters to a reader, 0 to 1
	Modified    time.Time // zero when that says nothing
}

// Document is what a resource holds.
type Document struct {
	MIME string
	Text string
}

// The forms of documents.
const (
	mimeMarkdown = "text/markdown"
	mimeJSON     = "application/json"
)

// Resources are what clients can read besides calling tools: conversations, issues, models and settings. No text of
// theirs holds a key.
type Resources struct {
	deps     *Deps
	redactor *activity.Redactor
}

// NewResources makes the resources. It opens nothing.
func NewResources(d *Deps) *Resources {
	return &Resources{deps: d, redactor: activity.NewRedactor(d.Config.Secrets()...)}
}

// The URIs. Conversations have their continuation_id in theirs, issues their number, answers the number of their turn.
const (
	uriScheme        = "exai://"
	uriConversations = uriScheme + "conversations"
	uriIssues        = uriScheme + "issues"
	uriModels        = uriScheme + "models"
	uriConfig        = uriScheme + "config"
	uriConversation  = uriConversations + "/{id}"
	uriTurn          = uriConversations + "/{id}/turns/{n}"
	uriIssue         = uriIssues + "/{number}"
)

func conversationURI(id string) string { return uriConversations + "/" + url.PathEscape(id) }

func turnURI(id string, n int) string { return conversationURI(id) + "/turns/" + strconv.Itoa(n) }

func issueURI(number int) string { return uriIssues + "/" + strconv.Itoa(number) }

// Fixed lists the resources that are always there.
func (*Resources) Fixed() []Resource {
	return []Resource{
		{
			URI: uriConversations, Name: "conversations", Title: "Conversations", MIME: mimeMarkdown, Priority: 0.6,
			Description: "The latest conversations with GLM and Kimi models: continuation_id, title, tool, model, turns.",
		},
		{
			URI: uriIssues, Name: "issues", Title: "Issues", MIME: mimeMarkdown, Priority: 0.6,
			Description: "The issue tracker: what reviews, audits and debugging found, the open ones first.",
		},
		{
			URI: uriModels, Name: "models", Title: "Models", MIME: mimeJSON, Priority: 0.4,
			Description: "Every model of the catalogue with its window, abilities, prices, and whether it can be asked now.",
		},
		{
			URI: uriConfig, Name: "config", Title: "Settings", MIME: mimeJSON, Priority: 0.2,
			Description: "Every setting of the server with its value and source, secrets masked, and the time limits in force.",
		},
	}
}

// Templates lists the families of resources.
func (*Resources) Templates() []Resource {
	return []Resource{
		{
			URI: uriConversation, Name: "conversation", Title: "Conversation", MIME: mimeMarkdown,
			Description: "A whole conversation by its continuation_id: who said what, with models, costs and issues.",
		},
		{
			URI: uriTurn, Name: "turn", Title: "Answer",
			Description: "The whole text of one turn: where `more.uri` of a long reply leads.",
		},
		{
			URI: uriIssue, Name: "issue", Title: "Issue", MIME: mimeMarkdown,
			Description: "One issue by its number: place, cause, fix, checklist, conversations, history.",
		},
	}
}

// Latest lists the conversations and issues that were worked on last. It waits a moment for the database and lists none
// where that is not enough.
func (r *Resources) Latest(ctx context.Context) []Resource {
	list, err := look(ctx, listWait, r.latest)
	if err != nil {
		r.deps.log().Sugar().Debugw("the latest resources were not listed", "error", err)
	}
	return list
}

func (r *Resources) latest(ctx context.Context) ([]Resource, error) {
	conversations, err := r.deps.conversationList(ctx, conversation.Filter{Limit: listedConversations})
	if err != nil {
		return nil, err
	}
	var list []Resource
	for _, t := range conversations {
		title := r.title(t.Title, "Conversation")
		list = append(list, Resource{
			URI: conversationURI(t.ID), Name: title, Title: title, MIME: mimeMarkdown, Priority: 0.5,
			Modified: t.UpdatedAt, Description: r.redactor.String(conversationLine(t)),
		})
	}
	issues, err := r.deps.issueList(ctx, issue.Filter{Status: issue.ActiveStatuses(), Limit: listedIssues})
	if err != nil {
		return list, err
	}
	for _, i := range issues {
		title := fmt.Sprintf("#%d %s", i.Number, r.title(i.Title, "Issue"))
		list = append(list, Resource{
			URI: issueURI(i.Number), Name: title, Title: title, MIME: mimeMarkdown, Priority: 0.5, Modified: i.UpdatedAt,
			Description: r.redactor.String(strings.Join(nonEmpty(string(i.Severity), string(i.Status), i.Where()), ", ")),
		})
	}
	return list, nil
}

// title is a stored title as a menu shows it.
func (r *Resources) title(text, otherwise string) string {
	const longest = 80
	if text = oneLine(r.redactor.String(text)); text == "" {
		return otherwise
	}
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest-1]) + "…"
	}
	return text
}

// Read gives the document under a URI. ErrNoResource says that there is none; any other error may be shown to a client by
// way of reply.FromError.
func (r *Resources) Read(ctx context.Context, uri string) (Document, error) {
	path, ok := strings.CutPrefix(uri, uriScheme)
	if !ok {
		return Document{}, ErrNoResource
	}
	parts := strings.Split(path, "/")
	for i, p := range parts {
		var err error
		if parts[i], err = url.PathUnescape(p); err != nil {
			return Document{}, ErrNoResource
		}
	}
	read := r.page(parts)
	if read == nil {
		return Document{}, ErrNoResource
	}
	doc, err := look(ctx, readWait, read)
	switch {
	case err == nil:
		doc.Text = r.redactor.String(doc.Text)
		return doc, nil
	case errors.Is(err, conversation.ErrNotFound), errors.Is(err, issue.ErrNotFound), errors.Is(err, ErrNoResource):
		return Document{}, ErrNoResource
	case ctx.Err() != nil:
		return Document{}, context.Cause(ctx)
	}
	return Document{}, &reply.Error{
		Code: reply.CodeStoreUnavailable, Retryable: true, Err: fmt.Errorf("read %s: %w", strings.Join(parts, "/"), err),
		Message: "The store of conversations and issues did not answer, so this can't be read now.",
		Hint:    "Try again; status and exai-mcp doctor say what is wrong with the database.",
	}
}

// page finds who writes the page under a path, nil when nobody does.
func (r *Resources) page(path []string) func(context.Context) (Document, error) {
	last := path[len(path)-1]
	switch {
	case len(path) == 1 && path[0] == "models":
		return r.modelsPage
	case len(path) == 1 && path[0] == "config":
		return r.configPage
	case len(path) == 1 && path[0] == "conversations":
		return r.conversationsPage
	case len(path) == 1 && path[0] == "issues":
		return r.issuesPage
	case len(path) == 2 && path[0] == "issues":
		if n, ok := parseCount(last); ok {
			return func(ctx context.Context) (Document, error) { return r.issuePage(ctx, n) }
		}
	case len(path) == 2 && path[0] == "conversations" && last != "":
		return func(ctx context.Context) (Document, error) { return r.conversationPage(ctx, last) }
	case len(path) == 4 && path[0] == "conversations" && path[1] != "" && path[2] == "turns":
		if n, ok := parseCount(last); ok {
			return func(ctx context.Context) (Document, error) { return r.turnPage(ctx, path[1], n) }
		}
	}
	return nil
}

// parseCount parses a number from 1 on, written as we write it.
func parseCount(text string) (int, bool) {
	n, err := strconv.Atoi(text)
	return n, err == nil && n > 0 && strconv.Itoa(n) == text
}

// look runs f and gives up on it when the time is over, whether f obeys its context or not. A panic of f is an error.
func look[T any](ctx context.Context, wait time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, wait, fmt.Errorf("no answer within %s", wait))
	defer cancel()
	return bounded.Run(ctx, f)
}

func (d *Deps) conversationList(ctx context.Context, f conversation.Filter) ([]conversation.Summary, error) {
	store, err := d.Store(ctx)
	if err != nil {
		return nil, err
	}
	return store.List(ctx, f)
}

func (d *Deps) issueList(ctx context.Context, f issue.Filter) ([]issue.Issue, error) {
	store, err := d.Issues(ctx)
	if err != nil {
		return nil, err
	}
	return store.List(ctx, f)
}

func nonEmpty(parts ...string) []string {
	var kept []string
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return kept
}

func oneLine(text string) string {
	return conversation.Printable(strings.Join(strings.Fields(text), " "))
}

package tools

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// How much a page shows.
const (
	pageConversations = 50
	pageIssues        = 200
	pageLimit         = 200_000 // characters of a conversation's texts; each turn has a page of its own with the whole
)

func (r *Resources) modelsPage(ctx context.Context) (Document, error) {
	reg := r.deps.Registry
	type row struct {
		providers.Model
		Usable bool `json:"usable"`
	}
	var usable []string
	for _, m := range reg.Models() {
		usable = append(usable, m.ID)
	}
	rows := []row{}
	for _, m := range reg.Catalog().Models("") {
		rows = append(rows, row{m, slices.Contains(usable, m.ID)})
	}
	vendors := []any{}
	for _, vendor := range r.deps.Config.VendorRows() {
		name := vendor.Name
		o := (&Object{}).Set("name", name).Set("title", vendor.Title)
		_, err := reg.Provider(name)
		o.Set("configured", err == nil)
		if err != nil {
			e := reply.FromError(ctx, err)
			o.Set("why", e.Message+" "+e.Hint)
		}
		vendors = append(vendors, o)
	}
	return jsonPage((&Object{}).Set("without_a_model", r.deps.choice()).Set("vendors", vendors).Set("models", rows))
}

func (r *Resources) configPage(context.Context) (Document, error) {
	c := r.deps.Config
	settings := c.Settings()
	for i, s := range settings {
		settings[i].Value = r.redactor.String(s.Value)
	}
	warnings := []string{}
	for _, w := range c.Warnings {
		warnings = append(warnings, r.redactor.String(w))
	}
	return jsonPage((&Object{}).Set("env_file", c.Server.EnvFile).Set("settings", settings).
		Set("time_limits", c.Timeouts.Table()).Set("warnings", warnings))
}

func jsonPage(o *Object) (Document, error) {
	text, err := o.MarshalJSON()
	if err != nil {
		return Document{}, err
	}
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return Document{}, err
	}
	return Document{MIME: mimeJSON, Text: b.String()}, nil
}

func (r *Resources) conversationsPage(ctx context.Context) (Document, error) {
	conversations, err := r.deps.conversationList(ctx, conversation.Filter{Limit: pageConversations})
	if err != nil {
		return Document{}, err
	}
	var b strings.Builder
	b.WriteString("# Conversations\n\n")
	if len(conversations) == 0 {
		b.WriteString("None yet.\n")
	}
	for _, t := range conversations {
		fmt.Fprintf(&b, "- %s: %s (%s)\n", oneLine(t.ID), r.title(t.Title, "without a title"), conversationLine(t))
	}
	fmt.Fprintf(&b, "\nTo read one: %s. To go on: any tool with its continuation_id.\n", uriConversation)
	return Document{MIME: mimeMarkdown, Text: b.String()}, nil
}

// conversationLine is a conversation in a few words, its title aside.
func conversationLine(t conversation.Summary) string {
	turns := fmt.Sprintf("%d turns", t.Turns)
	if t.Turns == 1 {
		turns = "1 turn"
	}
	running := ""
	if t.Running {
		running = "an answer is being written"
	}
	return strings.Join(nonEmpty(oneLine(t.Tool), oneLine(t.Model), turns, running, minute(t.UpdatedAt)), ", ")
}

func minute(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format("2006-01-02 15:04 UTC")
}

func (r *Resources) conversationPage(ctx context.Context, id string) (Document, error) {
	store, err := r.deps.Store(ctx)
	if err != nil {
		return Document{}, err
	}
	conv, err := store.Load(ctx, id)
	if err != nil {
		return Document{}, err
	}
	page := conversation.Page{
		Conversation: *conv, Limit: pageLimit,
		URI: func(turn int) string { return turnURI(id, turn) },
	}
	issues, err := r.deps.issueList(ctx, issue.Filter{ConversationID: id})
	if err != nil {
		r.deps.log().Sugar().Warnw("a conversation is shown without its issues", "error", err)
	}
	for _, i := range issues {
		page.Issues = append(page.Issues, fmt.Sprintf("#%d %s (%s, %s): %s", i.Number, i.Title, i.Severity, i.Status, issueURI(i.Number)))
	}
	return Document{MIME: mimeMarkdown, Text: page.Markdown()}, nil
}

func (r *Resources) turnPage(ctx context.Context, id string, n int) (Document, error) {
	store, err := r.deps.Store(ctx)
	if err != nil {
		return Document{}, err
	}
	conv, err := store.Load(ctx, id)
	if err != nil {
		return Document{}, err
	}
	k := slices.IndexFunc(conv.Turns, func(t conversation.Turn) bool { return t.N == n })
	if k < 0 {
		return Document{}, ErrNoResource
	}
	text := conv.Turns[k].Content
	doc := Document{MIME: mimeMarkdown, Text: text}
	if trimmed := strings.TrimSpace(text); strings.HasPrefix(trimmed, "{") && json.Valid([]byte(trimmed)) {
		doc.MIME = mimeJSON
	}
	if all := ask.ListingOf(conv.Turns[k]); all != nil {
		doc = Document{MIME: mimeMarkdown, Text: text + "\n\n" + ask.Markdown(all)}
	}
	return doc, nil
}

func (r *Resources) issuesPage(ctx context.Context) (Document, error) {
	active, err := r.deps.issueList(ctx, issue.Filter{Status: issue.ActiveStatuses(), Limit: pageIssues})
	if err != nil {
		return Document{}, err
	}
	var ended []issue.Status
	for _, s := range issue.Statuses() {
		if !s.Active() {
			ended = append(ended, s)
		}
	}
	done, err := r.deps.issueList(ctx, issue.Filter{Status: ended, Limit: pageIssues})
	if err != nil {
		return Document{}, err
	}
	var b strings.Builder
	section := func(title string, list []issue.Issue) {
		fmt.Fprintf(&b, "# %s\n\n", title)
		switch {
		case len(list) == 0:
			b.WriteString("None.\n\n")
		case len(list) == pageIssues:
			fmt.Fprintf(&b, "%s\nThe first %d are shown; exai-mcp issues list shows all.\n\n", issue.Markdown(list), pageIssues)
		default:
			b.WriteString(issue.Markdown(list) + "\n")
		}
	}
	section("Open and in progress", active)
	section("Done", done)
	fmt.Fprintf(&b, "To read one: %s.\n", uriIssue)
	return Document{MIME: mimeMarkdown, Text: b.String()}, nil
}

func (r *Resources) issuePage(ctx context.Context, number int) (Document, error) {
	store, err := r.deps.Issues(ctx)
	if err != nil {
		return Document{}, err
	}
	whole, err := store.Get(ctx, number)
	if err != nil {
		return Document{}, err
	}
	page, err := r.deps.issuePage(ctx, store, *whole)
	if err != nil {
		return Document{}, err
	}
	if len(page.Titles) == 0 {
		return Document{MIME: mimeMarkdown, Text: page.Markdown()}, nil
	}
	return Document{MIME: mimeMarkdown, Text: page.Markdown() + "\nTo read a conversation: " + uriConversation + ".\n"}, nil
}

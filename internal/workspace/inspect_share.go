package workspace

import (
	"cmp"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// share gives each part its share of the budget and writes the repositories' texts.
func (i *inspection) share() {
	texts := make([]string, len(i.report.Repositories))
	budget := i.query.Tokens
	for n, r := range i.report.Repositories {
		if r.Problem == "" {
			texts[n] = describe(r, i.nameOf(r))
			budget -= providers.EstimateTokens(texts[n])
		}
	}
	var sizes []int
	for _, p := range i.parts {
		sizes = append(sizes, providers.EstimateTokens(p.text))
	}
	heading := make([]string, len(texts))
	sent := make([]bool, len(texts))
	for n, granted := range i.grants(sizes, max(budget, 0)) {
		p := i.parts[n]
		if granted == leftOut {
			i.leaveOut(Entry{Path: p.host, Part: p.of, Reason: overBudget(i.query.Tokens), Bytes: int64(len(p.text))})
			continue
		}
		text, e := p.text, Entry{Path: p.host, Part: p.of, Lines: countLines(p.text), Encoding: p.charset}
		if p.cut || granted < sizes[n] {
			text, e.Lines = cutText(text, granted, max(p.size, int64(len(text))))
			e.Reason = firstLines(e.Lines) + " of its diff"
		}
		e.Tokens, e.Bytes, e.Masked = providers.EstimateTokens(text), int64(len(text)), i.w.masks(text)
		i.report.Manifest.send(e)
		if heading[p.repo] != p.of {
			heading[p.repo] = p.of
			texts[p.repo] += "\nDiff, " + conversation.Printable(p.of) + ":\n"
		}
		texts[p.repo] += text
		sent[p.repo] = true
	}
	i.attach(texts, sent)
}

// attach makes one attachment of each repository that has anything to show.
func (i *inspection) attach(texts []string, sent []bool) {
	for n, r := range i.report.Repositories {
		if r.Problem != "" || len(r.Changes) == 0 && !sent[n] {
			continue
		}
		i.report.Attachments = append(i.report.Attachments, conversation.Attachment{
			Path: r.Path, Name: i.nameOf(r), SHA256: hashOf(texts[n]), MIME: mimeDiff, Size: int64(len(texts[n])), Data: []byte(texts[n]),
		})
	}
}

// nameOf is how a model is shown a repository: by its folder's name, or by its path where there are several.
func (i *inspection) nameOf(r Repository) string {
	if len(i.report.Repositories) > 1 {
		return ""
	}
	return r.Path[strings.LastIndexAny(r.Path, `/\`)+1:]
}

// describe is a repository's state in words, without its diffs. Where it has a name, paths are relative to it.
func describe(r Repository, name string) string {
	var b strings.Builder
	shown := func(path string) string {
		if name != "" {
			path = Below(r.Path, path)
		}
		return conversation.Printable(path)
	}
	fmt.Fprintf(&b, "Repository: %s\n", conversation.Printable(cmp.Or(name, r.Path)))
	switch {
	case r.Head == "":
		fmt.Fprintf(&b, "Branch: %s, without a commit yet\n", conversation.Printable(r.Branch))
	case r.Branch == "":
		fmt.Fprintf(&b, "HEAD is detached at %s\n", r.Head)
	default:
		fmt.Fprintf(&b, "Branch: %s at %s\n", conversation.Printable(r.Branch), r.Head)
	}
	if r.CompareTo != "" {
		fmt.Fprintf(&b, "Compared with: %s, from the common commit %s on\n", conversation.Printable(r.CompareTo), r.Base)
	}
	if len(r.subjects) > 0 {
		b.WriteString("Last commits, the newest first:\n")
		for _, subject := range r.subjects {
			fmt.Fprintf(&b, "- %s\n", conversation.Printable(subject))
		}
	}
	b.WriteString("Status, as git's two letters (index, work tree):\n")
	for n, c := range r.Changes {
		if n == statusShown {
			fmt.Fprintf(&b, "... and %d more\n", len(r.Changes)-n)
			break
		}
		fmt.Fprintf(&b, "%s %s", c.State, shown(c.Path))
		if c.From != "" {
			fmt.Fprintf(&b, " (from %s)", shown(c.From))
		}
		b.WriteByte('\n')
	}
	if len(r.Changes) == 0 {
		b.WriteString("(clean)\n")
	}
	return b.String()
}

package conversation

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Page is a conversation with what a reader wants to see beside it.
type Page struct {
	Conversation Conversation
	Issues       []string // of the conversation, a line each, where they are known
	// Limit bounds the turns' texts, in characters: beyond it, long ones are cut alike, and URI says where the whole is.
	// 0 is no limit.
	Limit int
	URI   func(turn int) string
	Zone  *time.Location // of the times; nil is UTC
}

// Markdown is the conversation for people and models: what it is, then every turn in its order. Texts are quoted, so that
// nothing in them looks like a part of the page; files are named, not shown.
func (p Page) Markdown() string {
	t := p.Conversation
	var b strings.Builder
	fmt.Fprintf(&b, "# %s\n\n", cmp.Or(line(t.Title), "Conversation"))
	field := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "- %s: %s\n", name, value)
		}
	}
	field("continuation_id", line(t.ID))
	field("Begun by", line(t.Tool))
	field("Workspace", line(t.Workspace))
	field("Created", p.clock(t.CreatedAt))
	field("Changed", p.clock(t.UpdatedAt))
	field("Turns", fmt.Sprint(len(t.Turns)))
	field("Models", strings.Join(t.models(), ", "))
	field("Cost", t.cost())
	for _, issue := range p.Issues {
		field("Issue", line(issue))
	}
	share := p.share()
	for _, turn := range t.Turns {
		p.turn(&b, turn, share)
	}
	return b.String()
}

func (p Page) turn(b *strings.Builder, t Turn, share int) {
	fmt.Fprintf(b, "\n## Turn %d: %s\n\n", t.N, p.heading(t))
	for _, a := range t.Attachments {
		fmt.Fprintf(b, "- Attached: %s (%s, %d bytes)\n", Printable(cmp.Or(a.Path, "pasted")), line(a.MIME), a.Size)
	}
	if len(t.Attachments) > 0 {
		b.WriteByte('\n')
	}
	text, whole := head(t.Content, share)
	switch {
	case text == "" && t.Role == providers.RoleAssistant:
		b.WriteString("No part of this answer has arrived.\n")
	case text == "":
		b.WriteString("Without text.\n")
	default:
		b.WriteString(quote(text) + "\n")
	}
	if !whole {
		fmt.Fprintf(b, "\n[cut: %d of %d characters", utf8.RuneCountInString(text), utf8.RuneCountInString(t.Content))
		if p.URI != nil {
			fmt.Fprintf(b, "; the whole is at %s", p.URI(t.N))
		}
		b.WriteString("]\n")
	}
}

// heading says who spoke, when, and whether all is there.
func (p Page) heading(t Turn) string {
	parts := []string{string(t.Role)}
	if t.Role == providers.RoleAssistant {
		parts[0] = "answer"
		if t.Model != "" {
			parts[0] += " by " + line(t.Model)
		}
		if t.Provider != "" {
			parts[0] += " (" + line(t.Provider) + ")"
		}
	}
	switch {
	case t.Step != nil:
		parts = append(parts, fmt.Sprintf("step %d of %s", t.Step.Number, line(t.Step.Tool)))
	case t.Tool != "":
		parts = append(parts, line(t.Tool))
	}
	parts = append(parts, p.clock(t.CreatedAt))
	switch t.EffectiveStatus() {
	case TurnRunning:
		parts = append(parts, "still being written")
	case TurnPartial:
		parts = append(parts, strings.TrimSpace("only a part arrived "+ended(t.FinishReason)))
	}
	return strings.Join(nonEmpty(parts), ", ")
}

func ended(reason providers.FinishReason) string {
	if reason == "" {
		return ""
	}
	return "(" + string(reason) + ")"
}

// models are those that answered in the conversation, in the order in which they came up.
func (t Conversation) models() []string {
	var names []string
	seen := map[string]bool{}
	for _, turn := range t.Turns {
		if turn.Role == providers.RoleAssistant && turn.Model != "" && !seen[turn.Model] {
			seen[turn.Model] = true
			names = append(names, line(turn.Model))
		}
	}
	return names
}

// cost is what the conversation's answers took, "" when nothing is known of it.
func (t Conversation) cost() string {
	var u providers.Usage
	for _, turn := range t.Turns {
		u.InputTokens += turn.Usage.InputTokens
		u.OutputTokens += turn.Usage.OutputTokens
		u.CostUSD += turn.Usage.CostUSD
	}
	if u.InputTokens+u.OutputTokens == 0 {
		return ""
	}
	text := fmt.Sprintf("%d tokens in, %d out", u.InputTokens, u.OutputTokens)
	if u.CostUSD > 0 {
		text += fmt.Sprintf(", %.4f USD", u.CostUSD)
	}
	return text
}

// share is how many characters each turn's text may have so that all stay within the limit: short ones keep what they
// have, long ones share what is left. 0 is no bound.
func (p Page) share() int {
	lengths, total := make([]int, len(p.Conversation.Turns)), 0
	for i, t := range p.Conversation.Turns {
		lengths[i] = utf8.RuneCountInString(t.Content)
		total += lengths[i]
	}
	if p.Limit <= 0 || total <= p.Limit {
		return 0
	}
	share, settled := 0, -1
	for settled != share {
		settled = share
		room, long := p.Limit, 0
		for _, n := range lengths {
			if n > share {
				long++
			} else {
				room -= n
			}
		}
		if long > 0 {
			share = max(share, room/long)
		}
	}
	return max(share, 1)
}

// head is the first n characters of a text, up to the end of a line where that keeps half of them. All of it for n 0.
func head(text string, n int) (start string, whole bool) {
	if n <= 0 || len(text) <= n {
		return text, true
	}
	count, end := 0, len(text)
	for i := range text {
		if count++; count > n {
			end = i
			break
		}
	}
	if end == len(text) {
		return text, true
	}
	if i := strings.LastIndexByte(text[:end], '\n'); i > end/2 {
		end = i
	}
	return text[:end], false
}

// clock is a time for people, to the second, "" for none.
func (p Page) clock(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(cmp.Or(p.Zone, time.UTC)).Format("2006-01-02 15:04:05 MST")
}

// line is a text on one line.
func line(text string) string { return Printable(strings.Join(strings.Fields(text), " ")) }

func quote(text string) string {
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimRight(text, "\r\n"))
	return "> " + strings.ReplaceAll(text, "\n", "\n> ")
}

func nonEmpty(parts []string) []string {
	kept := parts[:0]
	for _, p := range parts {
		if p != "" {
			kept = append(kept, p)
		}
	}
	return kept
}

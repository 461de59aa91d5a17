package workflow

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// AgentFindings is what a blind expert says in its second turn of what the caller reports.
type AgentFindings struct {
	State  string           `json:"state"` // judged, partial or not_judged
	Reason string           `json:"reason,omitempty"`
	List   []AgentJudgement `json:"list,omitempty"` // the caller's issues first, in their order
}

// AgentJudgement is the expert's judgement of one claim of the caller's.
type AgentJudgement struct {
	Claim     string `json:"claim"`
	Judgement string `json:"judgement"` // holds, wrong or undecided
	Why       string `json:"why"`
}

const (
	agentJudged    = "judged"
	agentPending   = "partial"
	agentNotJudged = "not_judged"
)

// Judgements of a claim.
const (
	JudgedHolds     = "holds"
	JudgedWrong     = "wrong"
	JudgedUndecided = "undecided"
)

func (a *AgentFindings) pending() bool { return a != nil && a.State == agentPending }

// withoutWrong are the caller's issues that the expert did not judge wrong.
func (a *AgentFindings) withoutWrong(issues []map[string]any) (left []map[string]any) {
	if a == nil || a.State != agentJudged {
		return issues
	}
	for i, one := range issues {
		if i >= len(a.List) || a.List[i].Judgement != JudgedWrong {
			left = append(left, one)
		}
	}
	return left
}

// claim is something that the caller reports.
type claim struct {
	text  string
	label string // what the text is
	issue bool
}

// claimsOf is what the caller reports in a run: its issues, in the order of the run's, then what it found and believes.
func claimsOf(c Consolidated, steps []Facts) (claims []claim) {
	for _, one := range c.Issues {
		f := Finding(one)
		text := cmp.Or(f.Text("description"), f.Text(titleKeys...), plainText(one))
		label := strings.ToUpper(string(f.Severity()))
		if file, line := f.Place(); file != "" {
			label += ", " + file
			if line > 0 {
				label += ":" + strconv.Itoa(line)
			}
		}
		claims = append(claims, claim{text: text, label: label, issue: true})
	}
	for _, f := range steps {
		if hasContent(f.Findings) {
			claims = append(claims, claim{text: strings.TrimSpace(f.Findings), label: "its findings"})
		}
	}
	for _, h := range c.Hypotheses {
		if hasContent(h.Hypothesis) && !slices.ContainsFunc(claims, func(have claim) bool { return have.text == h.Hypothesis }) {
			claims = append(claims, claim{text: h.Hypothesis, label: "its hypothesis, confidence " + h.Confidence})
		}
	}
	return claims
}

// reported shows claims to the expert, numbered.
func reported(claims []claim, context []string) string {
	var b strings.Builder
	b.WriteString("## What the agent reports\n")
	for i, c := range claims {
		fmt.Fprintf(&b, "%d. [%s] %s\n", i+1, c.label, c.text)
	}
	if len(context) > 0 {
		b.WriteString("\n## Context that the agent calls relevant\n" + strings.Join(bulleted(context), "\n") + "\n")
	}
	return strings.TrimSpace(b.String())
}

// readJudgements reads the answer of a second turn.
func readJudgements(text string, claims []claim) AgentFindings {
	list := judgementsIn(text)
	if list == nil {
		return AgentFindings{State: agentNotJudged, Reason: "The expert's answer is not in the requested form."}
	}
	out := AgentFindings{State: agentJudged}
	of, used := matchJudgements(list, claims)
	open := []AgentJudgement{}
	for n, c := range claims {
		j := AgentJudgement{Claim: c.text, Judgement: JudgedUndecided, Why: "The expert did not judge it."}
		switch i := of[n]; {
		case i >= 0:
			j.Judgement, j.Why = judgementWord(list[i].Text("judgement", "judgment", "verdict")), list[i].Text("why", "reason", "evidence")
			out.List = append(out.List, j)
		case c.issue:
			out.List = append(out.List, j)
		default:
			open = append(open, j)
		}
	}
	more := 0
	for i, f := range list {
		if text := f.Text(claimKeys...); !used[i] && text != "" {
			more++
			out.List = append(out.List, AgentJudgement{text, judgementWord(f.Text("judgement", "judgment", "verdict")), f.Text("why", "reason", "evidence")})
		}
	}
	if more == 0 { // else the expert has taken a text apart
		out.List = append(out.List, open...)
	}
	return out
}

// matchJudgements finds the judgement of each claim, -1 for none, and says which judgements are used. Those that repeat a claim
// come first, then those that give its number: a short claim may also be a part of another one, and a model may count from 0.
func matchJudgements(list []Finding, claims []claim) (of []int, used []bool) {
	of, used = slices.Repeat([]int{-1}, len(claims)), make([]bool, len(list))
	texts := make([]string, len(list))
	for i, f := range list {
		texts[i] = letters(f.Text(claimKeys...))
	}
	repeats := func(_ Finding, text, own string, _ int) bool { return text != "" && text == own }
	numbered := func(f Finding, _, _ string, number int) bool { n, ok := numberIn(f); return ok && n == number }
	for _, matches := range []func(f Finding, text, own string, number int) bool{repeats, numbered, judges} {
		for n, c := range claims {
			own := letters(c.text)
			for i := 0; i < len(list) && of[n] < 0; i++ {
				if !used[i] && matches(list[i], texts[i], own, n+1) {
					of[n], used[i] = i, true
				}
			}
		}
	}
	return of, used
}

// claimKeys are those under which a judgement repeats its claim.
var claimKeys = []string{"claim", "description", "title"}

// judgementsIn finds the list of judgements in an answer, nil when there is none.
func judgementsIn(text string) []Finding {
	rest := unfenced(strings.TrimSpace(text))
	for range maxStarts {
		at := strings.IndexAny(rest, "{[")
		if at < 0 {
			return nil
		}
		rest = rest[at:]
		value, _ := decodeFirst(rest)
		if object, ok := value.(map[string]any); ok {
			value = nil
			for _, key := range []string{"judgements", "judgments", "agent_findings", "claims"} {
				if list, ok := object[key].([]any); ok {
					value = list
					break
				}
			}
		}
		if list, ok := value.([]any); ok {
			judgements := []Finding{}
			for _, v := range list {
				if f, ok := v.(map[string]any); ok {
					judgements = append(judgements, f)
				}
			}
			if len(judgements) == len(list) {
				return judgements
			}
		}
		rest = rest[1:]
	}
	return nil
}

var leadingNumber = lazyregexp.New(`^\s*#?(\d{1,4})\s*(?:[.):]|$)`)

// numberIn is the number of the claim that a judgement names.
func numberIn(f Finding) (int, bool) {
	for _, key := range []string{"number", "n", "claim"} {
		if n, ok := f[key].(float64); ok {
			return int(n), true
		}
	}
	return 0, false
}

// judges reports whether a judgement, with its text's letters, is that of the claim with a number: by a part of either text, or
// by the number in front.
func judges(f Finding, text, own string, number int) bool {
	if _, ok := numberIn(f); ok {
		return false // it is another one's
	}
	if own != "" && len(text) > minClaim && (strings.Contains(text, own) || strings.HasPrefix(own, text)) {
		return true
	}
	m := leadingNumber().FindStringSubmatch(f.Text(claimKeys...))
	return m != nil && m[1] == strconv.Itoa(number)
}

// minClaim is how much of a claim, in bytes of its letters and digits, must be repeated so that it is known again.
const minClaim = 12

// letters is a text's letters and digits in lower case.
func letters(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, text)
}

// judgementWord is a judgement in our words; whatever is neither is undecided.
func judgementWord(word string) string {
	switch strings.ToLower(strings.Trim(word, " .!")) {
	case "holds", "hold", "true", "valid", "correct", "confirmed", "right", "agree":
		return JudgedHolds
	case "wrong", "false", "invalid", "incorrect", "refuted", "does not hold", "disagree":
		return JudgedWrong
	}
	return JudgedUndecided
}

// minWithheld is how long a claim must be, in bytes of its letters and digits, so that what repeats it is withheld: shorter
// ones, such as "bug", stand in texts about anything.
const minWithheld = 6

// withheld are the texts that a blind expert's first turn may not show.
func withheld(claims []claim) (texts []string) {
	for _, c := range claims {
		if text := letters(c.text); len(text) >= minWithheld {
			texts = append(texts, text)
		}
	}
	return texts
}

// blindTo leaves out of a history what shows the caller's findings: the steps of every workflow whose arguments hold some,
// and what repeats one of the texts; each question with its answer, whichever of them does.
func blindTo(history []conversation.Turn, texts []string) (blind []conversation.Turn) {
	repeats := func(t conversation.Turn) bool {
		said := letters(t.Content)
		return slices.ContainsFunc(texts, func(text string) bool { return strings.Contains(said, text) })
	}
	for len(history) > 0 {
		n := 1
		for n < len(history) && history[n].Role == providers.RoleAssistant {
			n++
		}
		exchange := history[:n]
		if history = history[n:]; !slices.ContainsFunc(exchange, holdsFindings) && !slices.ContainsFunc(exchange, repeats) {
			blind = append(blind, exchange...)
		}
	}
	return blind
}

// holdsFindings reports whether a turn shows what the caller reported at a step. A blind expert's question does not.
func holdsFindings(t conversation.Turn) bool {
	if t.Step == nil {
		return stepMetaOf(t).Second
	}
	var in struct {
		Findings   string `json:"findings"`
		Hypothesis string `json:"hypothesis"`
		Issues     []any  `json:"issues_found"`
	}
	_ = json.Unmarshal(t.Step.Input, &in) // under these names another tool may keep something else, which is no finding
	reports := hasContent(in.Findings) || hasContent(in.Hypothesis) || len(in.Issues) > 0
	return reports && !stepMetaOf(t).Blind
}

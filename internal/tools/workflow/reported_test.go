package workflow

import (
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// What the caller reports is listed for the expert: its issues by what they say, then what it found and believes, each once.
func TestClaims(t *testing.T) {
	c := Consolidated{
		Issues: []map[string]any{
			{"severity": "high", "description": "It leaks.", "title": "leak", "file": "a.go", "line": 7.0},
			{"title": "No test", "file": "b.go"},
			{"severity": "low", "note": "odd"},
		},
		Hypotheses: []Hypothesis{{Hypothesis: "a race", Confidence: "low"}, {Hypothesis: "n/a", Confidence: "low"}, {Hypothesis: "It leaks.", Confidence: "high"}, {Hypothesis: "a lock", Confidence: "high"}},
	}
	claims := claimsOf(c, []Facts{{Findings: " The pool is shared.\n"}, {Findings: "none"}, {Findings: "a race"}})
	assert.Equal(t, []claim{
		{"It leaks.", "HIGH, a.go:7", true},
		{"No test", "MEDIUM, b.go", true},
		{`{"note":"odd","severity":"low"}`, "LOW", true},
		{"The pool is shared.", "its findings", false},
		{"a race", "its findings", false},
		{"a lock", "its hypothesis, confidence high", false},
	}, claims)
	assert.Equal(t, "## What the agent reports\n1. [HIGH, a.go:7] It leaks.\n2. [MEDIUM, b.go] No test", reported(claims[:2], nil))
	assert.Equal(t, "## What the agent reports\n1. [its findings] a race\n\n## Context that the agent calls relevant\n- Pool.Get\n- Pool.Put",
		reported(claims[4:5], []string{"Pool.Get", "Pool.Put"}))
}

// An issue counts against a review until the expert has judged it wrong.
func TestWithoutWrong(t *testing.T) {
	issues := []map[string]any{{"title": "a"}, {"title": "b"}, {"title": "c"}}
	judged := []AgentJudgement{{Judgement: JudgedUndecided}, {Judgement: JudgedWrong}}
	for name, c := range map[string]struct {
		agent *AgentFindings
		want  []map[string]any
	}{
		"not asked":       {nil, issues},
		"not judged":      {&AgentFindings{State: agentNotJudged, List: judged}, issues},
		"not judged yet":  {&AgentFindings{State: agentPending, List: judged}, issues},
		"judged":          {&AgentFindings{State: agentJudged, List: judged}, []map[string]any{issues[0], issues[2]}},
		"nothing of them": {&AgentFindings{State: agentJudged}, issues},
	} {
		assert.Equal(t, c.want, c.agent.withoutWrong(issues), name)
	}
}

// The answer of a second turn is read whatever a model calls its keys, and each claim gets one judgement.
func TestReadJudgements(t *testing.T) {
	claims := []claim{{text: "the first issue", issue: true}, {text: "the second issue", issue: true}, {text: "what was found"}}
	const unjudged = "The expert did not judge it."
	first, second := AgentJudgement{"the first issue", JudgedUndecided, unjudged}, AgentJudgement{"the second issue", JudgedUndecided, unjudged}
	found := AgentJudgement{"what was found", JudgedUndecided, unjudged}
	wrong := func(claim, why string) AgentJudgement { return AgentJudgement{claim, JudgedWrong, why} }
	for name, c := range map[string]struct {
		text string
		want []AgentJudgement
	}{
		"nothing":                {`{"judgements": []}`, []AgentJudgement{first, second, found}},
		"other keys":             {`{"judgments": [{"number": 2, "verdict": "WRONG.", "reason": "r"}]}`, []AgentJudgement{first, wrong("the second issue", "r"), found}},
		"by their text":          {`{"claims": [{"title": "What was found!", "judgment": " false ", "evidence": "e"}]}`, []AgentJudgement{first, second, wrong("what was found", "e")}},
		"under agent_findings":   {`{"agent_findings": [{"description": "the first issue", "judgement": "wrong", "why": "w"}]}`, []AgentJudgement{wrong("the first issue", "w"), second, found}},
		"twice":                  {`{"judgements": [{"n": 1, "judgement": "wrong", "why": "w"}, {"n": 1, "judgement": "holds"}]}`, []AgentJudgement{wrong("the first issue", "w"), second, found}},
		"a text taken apart":     {`{"judgements": [{"claim": "Another one", "judgement": "refuted", "why": "w"}]}`, []AgentJudgement{first, second, wrong("Another one", "w")}},
		"the first list":         {`{"claims": [{"n": 2, "judgement": "wrong"}], "judgements": [{"n": 1, "judgement": "wrong"}]}`, []AgentJudgement{wrong("the first issue", ""), second, found}},
		"a bare list":            {`[{"claim": "1) the first", "judgement": "wrong"}]`, []AgentJudgement{wrong("the first issue", ""), second, found}},
		"behind words":           {"I read n[0] and {x}.\n{\"judgements\": [{\"n\": 1, \"judgement\": \"wrong\"}]}", []AgentJudgement{wrong("the first issue", ""), second, found}},
		"in another object":      {`{"result": {"judgements": [{"n": 1, "judgement": "wrong"}]}}`, []AgentJudgement{wrong("the first issue", ""), second, found}},
		"in a fence":             {" ```json\n{\"judgements\": [{\"n\": 1, \"judgement\": \"wrong\"}]}\n``` ", []AgentJudgement{wrong("the first issue", ""), second, found}},
		"in a fence of a line":   {"```{\"judgements\": [{\"n\": 1, \"judgement\": \"wrong\"}]}```", []AgentJudgement{wrong("the first issue", ""), second, found}},
		"with an odd entry":      {`{"judgements": ["x", {"n": 1, "judgement": "wrong"}]}`, nil},
		"prose":                  {"They are right.", nil},
		"a list of other things": {`["x"]`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			want := AgentFindings{State: agentJudged, List: c.want}
			if c.want == nil {
				want = AgentFindings{State: agentNotJudged, Reason: "The expert's answer is not in the requested form."}
			}
			assert.Equal(t, want, readJudgements(c.text, claims))
		})
	}
}

// A judgement that repeats a part of a claim is the claim's only where the part is long enough to be known again.
func TestJudgementsRepeatEnoughOfAClaim(t *testing.T) {
	for _, c := range []struct {
		claim, text string
		want        bool
	}{
		{"abcdefghijklm of it", "abcdefghijklm", true},    // 13 letters
		{"abcdefghijkl of it", "abcdefghijkl", false},     // 12
		{"leak", "a leak in the pool of lines", true},     // the claim within the text
		{"!?", "a leak in the pool of lines", false},      // a claim without letters
		{"of it abcdefghijklm", "abcdefghijklm", false},   // a part of the claim that does not begin it
		{"a quite different claim", "12: another", false}, // a number of another one
	} {
		assert.Equal(t, c.want, judges(Finding{"claim": c.text}, letters(c.text), letters(c.claim), 1), c.text)
	}
}

// Whatever words a model uses, a claim holds, is wrong, or is undecided.
func TestJudgementWords(t *testing.T) {
	for want, words := range map[string][]string{
		JudgedHolds:     {"holds", "hold", "True", "valid", "CORRECT", "confirmed!", "right", "agree."},
		JudgedWrong:     {"wrong", "False", "invalid", "incorrect", "refuted", " does not hold. ", "disagree"},
		JudgedUndecided: {"undecided", "", "partly right", "holds?"},
	} {
		for _, word := range words {
			assert.Equal(t, want, judgementWord(word), word)
		}
	}
}

// A claim is withheld from a blind expert from six letters on; shorter ones stand in texts about anything.
func TestWithheld(t *testing.T) {
	assert.Equal(t, []string{"abcdef"}, withheld([]claim{{text: "A b-c d.e"}, {text: "A b-c d.e f"}}))
}

// A blind expert sees no step that reports something, whatever it reports; a step that reports nothing it sees, and its own
// question too.
func TestHoldsFindings(t *testing.T) {
	step := func(input, meta string) conversation.Turn {
		return conversation.Turn{Step: &conversation.Step{Input: []byte(input)}, Meta: []byte(meta)}
	}
	for name, c := range map[string]struct {
		turn conversation.Turn
		want bool
	}{
		"findings":            {step(`{"findings": "a leak"}`, ""), true},
		"a hypothesis":        {step(`{"hypothesis": "a leak"}`, ""), true},
		"an issue":            {step(`{"issues_found": [{}]}`, ""), true},
		"nothing":             {step(`{"findings": "none", "hypothesis": "", "issues_found": []}`, ""), false},
		"a blind question":    {step(`{"findings": "a leak"}`, `{"blind": true}`), false},
		"a second turn":       {conversation.Turn{Meta: []byte(`{"of": 1, "second": true}`)}, true},
		"an expert's answer":  {conversation.Turn{Meta: []byte(`{"of": 1}`)}, false},
		"a message of a chat": {conversation.Turn{Content: "a leak"}, false},
	} {
		assert.Equal(t, c.want, holdsFindings(c.turn), name)
	}
}

// With a question that is withheld, all the answers to it are.
func TestBlindToAQuestionWithItsAnswers(t *testing.T) {
	turn := func(role providers.Role, text string) conversation.Turn {
		return conversation.Turn{Role: role, Content: text}
	}
	history := []conversation.Turn{
		turn(providers.RoleAssistant, "An answer alone."),
		turn(providers.RoleUser, "Is it a leak?"), turn(providers.RoleAssistant, "One."), turn(providers.RoleAssistant, "Two."),
		turn(providers.RoleUser, "First."), turn(providers.RoleUser, "Then."),
	}
	assert.Equal(t, []conversation.Turn{history[0], history[4], history[5]}, blindTo(history, []string{"isitaleak"}))
	assert.Equal(t, history, blindTo(history, nil))
}

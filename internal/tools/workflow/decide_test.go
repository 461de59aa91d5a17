package workflow

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
)

var plain = Spec{
	Tool:   "debug",
	Ladder: Ladder{Default: "low", Final: "certain"},
	Expert: ExpertEvidence,
}

func step(n, total int, more bool, change ...func(*Facts)) Facts {
	f := Facts{StepInput: StepInput{Step: "look", StepNumber: n, TotalSteps: total, NextStepRequired: &more}, Findings: "found"}
	for _, c := range change {
		c(&f)
	}
	return f
}

func confidence(word string) func(*Facts) { return func(f *Facts) { f.Confidence = word } }
func files(paths ...string) func(*Facts)  { return func(f *Facts) { f.RelevantFiles = paths } }
func findings(text string) func(*Facts)   { return func(f *Facts) { f.Findings = text } }
func backtrack(n int) func(*Facts)        { return func(f *Facts) { f.BacktrackFromStep = n } }
func refuse() func(*Facts) {
	return func(f *Facts) { no := false; f.UseAssistantModel = &no }
}

func numbers(steps []Facts) (ns []int) {
	for _, s := range steps {
		ns = append(ns, s.StepNumber)
	}
	return ns
}

func TestDecidePlacesSteps(t *testing.T) {
	past := []Facts{step(1, 4, true), step(2, 4, true), step(4, 4, true)}
	for _, c := range []struct {
		name     string
		in       Facts
		same     bool
		again    int
		dropFrom int
		steps    []int
	}{
		{name: "the next number", in: step(5, 5, true), again: -1, steps: []int{1, 2, 4, 5}},
		{name: "a number not seen yet takes its place", in: step(3, 4, true), again: -1, steps: []int{1, 2, 3, 4}},
		{name: "sent again", in: step(2, 4, true), same: true, again: 1, steps: []int{1, 2}},
		{name: "sent again with other arguments", in: step(2, 4, true), again: -1, dropFrom: 2, steps: []int{1, 2}},
		{name: "backtracking", in: step(5, 5, true, backtrack(2)), again: -1, dropFrom: 2, steps: []int{1, 5}},
		{name: "backtracking to the begin", in: step(5, 5, true, backtrack(1)), again: -1, dropFrom: 1, steps: []int{5}},
		{name: "backtracking to before a replaced step", in: step(4, 4, true, backtrack(2)), again: -1, dropFrom: 2, steps: []int{1, 4}},
		{name: "replacing wins over a later backtrack", in: step(2, 4, true, backtrack(4)), again: -1, dropFrom: 2, steps: []int{1, 2}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decide(plain, past, c.in, Options{Same: func(int) bool { return c.same }})
			assert.Equal(t, c.again, d.Repeats)
			assert.Equal(t, c.dropFrom, d.DropFrom)
			assert.Equal(t, c.steps, numbers(d.Steps))
			assert.Equal(t, []int{1, 2, 4}, numbers(past), "the past must not be changed")
		})
	}
}

// Two processes may take the same step of a run at once: it counts once, as it was stored last.
func TestByNumber(t *testing.T) {
	var stored []conversation.Turn
	for _, s := range []struct {
		id string
		n  int
	}{{"a", 1}, {"d", 3}, {"b", 2}, {"c", 2}, {"e", 1}} {
		stored = append(stored, conversation.Turn{ID: s.id, Step: &conversation.Step{Number: s.n}})
	}
	var ids []string
	for _, turn := range byNumber(stored) {
		ids = append(ids, turn.ID)
	}
	assert.Equal(t, []string{"e", "c", "d"}, ids)
	assert.Empty(t, byNumber(nil))
}

// A caller is told what it has lost.
func TestDecideSaysWhatItDrops(t *testing.T) {
	past := []Facts{step(1, 4, true), step(2, 4, true), step(4, 4, true)}
	for _, c := range []struct {
		name string
		in   Facts
		note []string
	}{
		{"a new step", step(3, 4, true), nil},
		{"replaced, with later ones", step(2, 4, true), []string{"Step 2 was sent before with other arguments; this one replaces it. Dropped from this run: step 4."}},
		{"replaced, the last", step(4, 4, true), []string{"Step 4 was sent before with other arguments; this one replaces it."}},
		{"backtracking", step(5, 5, true, backtrack(2)), []string{"Dropped from this run: step 2, 4."}},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.note, Decide(plain, past, c.in, Options{}).Notes)
		})
	}
	assert.Empty(t, Decide(plain, past, past[1], Options{Same: func(int) bool { return true }}).Notes)
}

func TestDecideRaisesTotalSteps(t *testing.T) {
	d := Decide(plain, nil, step(3, 2, true), Options{})
	assert.Equal(t, 3, d.Step.TotalSteps)
	assert.Len(t, d.Notes, 1)
	assert.Contains(t, d.Notes[0], "from 2 to 3")
	assert.Len(t, Decide(plain, nil, step(3, 1, true), Options{}).Notes, 1)

	d = Decide(plain, nil, step(3, 0, true), Options{})
	assert.Equal(t, 3, d.Step.TotalSteps)
	assert.Empty(t, d.Notes, "no number was given that could have been raised")
	d = Decide(plain, nil, step(3, 3, true), Options{})
	assert.Empty(t, d.Notes)
}

// A step that is sent again is the stored one, with what was filled in for it.
func TestARepeatedStepIsTheStoredOne(t *testing.T) {
	past := []Facts{step(1, 3, true, files("filled.go")), step(2, 3, true)}
	d := Decide(plain, past, step(1, 3, true), Options{Same: func(i int) bool { return i == 0 }})
	assert.Equal(t, past[0], d.Step)
	assert.Equal(t, past[:1], d.Steps)
}

// Which limit a call has depends on whether its step can come to an expert.
func TestMayAsk(t *testing.T) {
	never := plain
	never.Expert = ExpertNever
	accept := func(f *Facts) { yes := true; f.UseAssistantModel = &yes }
	substantial := []func(*Facts){confidence("very_high"), files("a"), findings(strings.Repeat("x", 101))}
	for name, c := range map[string]struct {
		spec Spec
		in   Facts
		o    Options
		want bool
	}{
		"the last step":        {plain, step(2, 2, false), Options{ExpertEnabled: true, UseExpert: true}, true},
		"another one follows":  {plain, step(1, 2, true), Options{ExpertEnabled: true, UseExpert: true}, false},
		"the run ends early":   {plain, step(2, 3, true, substantial...), Options{ExpertEnabled: true, UseExpert: true}, true},
		"certain":              {plain, step(2, 2, false, confidence("certain")), Options{ExpertEnabled: true, UseExpert: true}, false},
		"switched off":         {plain, step(2, 2, false), Options{UseExpert: true}, false},
		"off by default":       {plain, step(2, 2, false), Options{ExpertEnabled: true}, false},
		"asked for":            {plain, step(2, 2, false, accept), Options{ExpertEnabled: true}, true},
		"refused":              {plain, step(2, 2, false, refuse()), Options{ExpertEnabled: true, UseExpert: true}, false},
		"a tool without one":   {never, step(2, 2, false), Options{ExpertEnabled: true, UseExpert: true}, false},
		"asked for in advance": {plain, step(1, 2, true, accept), Options{ExpertEnabled: true}, false},
	} {
		t.Run(name, func(t *testing.T) { assert.Equal(t, c.want, MayAsk(c.spec, c.in, c.o)) })
	}
}

func TestDecideEndsEarly(t *testing.T) {
	long := strings.Repeat("x", 101)
	refactor := plain
	refactor.Ladder.Final = "complete"
	planner := plain
	planner.Expert = ExpertNever
	for _, c := range []struct {
		name string
		spec Spec
		in   Facts
		ends bool
	}{
		{"certain", plain, step(2, 9, true, confidence("certain"), files("a"), findings(long)), true},
		{"certain at step 1", plain, step(1, 9, true, confidence("certain"), files("a"), findings(long)), false},
		{"certain without files", plain, step(2, 9, true, confidence("certain"), findings(long)), false},
		{"certain on thin findings", plain, step(2, 9, true, confidence("certain"), files("a"), findings(long[:100])), false},
		{"very high before the end", plain, step(2, 4, true, confidence("very_high"), files("a"), findings(long)), false},
		{"very high near the end", plain, step(3, 4, true, confidence("very_high"), files("a"), findings(long)), true},
		{"almost certain never", plain, step(4, 4, true, confidence("almost_certain"), files("a"), findings(long)), false},
		{"the tool's own last word", refactor, step(2, 9, true, confidence("complete"), files("a"), findings(long)), true},
		{"a tool without an expert", planner, step(2, 9, true, confidence("certain"), files("a"), findings(long)), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decide(c.spec, nil, c.in, Options{ExpertEnabled: true, UseExpert: true})
			assert.Equal(t, c.ends, d.Done)
			assert.Equal(t, c.ends, d.Early != "")
		})
	}
}

func TestDecideWishesForAnExpert(t *testing.T) {
	always := plain
	always.Expert = ExpertAlways
	never := plain
	never.Expert = ExpertNever
	on := Options{ExpertEnabled: true, UseExpert: true}
	for _, c := range []struct {
		name string
		spec Spec
		past []Facts
		in   Facts
		o    Options
		want ExpertChoice
	}{
		{"a relevant file", plain, nil, step(1, 1, false, files("a")), on, AskExpert},
		{"two findings", plain, []Facts{step(1, 2, true)}, step(2, 2, false), on, AskExpert},
		{"an issue", plain, nil, step(1, 1, false, func(f *Facts) { f.IssuesFound = []map[string]any{{"severity": "high", "description": "leaks"}} }), on, AskExpert},
		{"nothing to judge", plain, nil, step(1, 1, false), on, SkipUnwarranted},
		{"always", always, nil, step(1, 1, false), on, AskExpert},
		{"never", never, nil, step(1, 1, false, files("a")), on, NoExpert},
		{"certain", plain, nil, step(1, 1, false, confidence("certain"), files("a")), on, SkipConfident},
		{"certain counts before off", plain, nil, step(1, 1, false, confidence("certain")), Options{}, SkipConfident},
		{"certain earlier, nothing said now", plain, []Facts{step(1, 2, true, confidence("certain"))}, step(2, 2, false, files("a")), on, SkipConfident},
		{"certain earlier, doubtful now", plain, []Facts{step(1, 2, true, confidence("certain"))}, step(2, 2, false, confidence("low")), on, AskExpert},
		{"switched off", plain, nil, step(1, 1, false, files("a")), Options{UseExpert: true}, SkipOff},
		{"refused by the caller", plain, nil, step(1, 1, false, files("a"), refuse()), on, SkipRefused},
		{"off by default", plain, nil, step(1, 1, false, files("a")), Options{ExpertEnabled: true}, SkipRefused},
		{"going on", plain, nil, step(1, 2, true, files("a")), on, NoExpert},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, Decide(c.spec, c.past, c.in, c.o).Expert)
		})
	}
}

package workflow

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

var debugLike = Spec{
	Tool:     "debug",
	Statuses: Statuses{Pause: "pause_for_investigation", Complete: "investigation_complete", Final: "certain_confidence_proceed_with_fix", Skipped: "skipped_due_to_certain_confidence"},
	Keys: Keys{
		Status: "investigation_status", Completion: "complete_investigation", Required: "investigation_required",
		Flags: []string{"investigation_complete"},
	},
	Ladder: Ladder{Default: "low", Final: "certain"},
	Expert: ExpertEvidence,
	Counts: func(o *reply.Object, c Consolidated) { o.Set("hypotheses_formed", len(c.Hypotheses)) },
}

func value(t *testing.T, o *reply.Object, key string) any {
	t.Helper()
	require.Contains(t, o.Keys(), key)
	return o.Get(key)
}

func TestPauseReplyHasEveryKey(t *testing.T) {
	d := Decide(debugLike, nil, step(1, 3, true, files("a.go"), func(f *Facts) { f.Hypothesis = "a race" }), Options{})
	f := PauseReply(debugLike, Pause{
		Step: d.Step, Run: Consolidate(debugLike.Ladder, d.Steps), ID: "id-1", Files: FileContext{Type: "reference_only"},
		Next: NextCall{Tool: "debug"}, Words: Words{Actions: []string{"read"}},
	})
	assert.Equal(t, []string{
		"status", "step_number", "total_steps", "next_step_required", "continuation_id", "investigation_status", "file_context",
		"next_call", "investigation_required", "required_actions", "next_steps", "continuation_required",
		"continuation_available", "next_step_number",
	}, f.Keys())
	assert.Equal(t, "pause_for_investigation", value(t, f, "status"))
	counts, err := json.Marshal(value(t, f, "investigation_status"))
	require.NoError(t, err)
	assert.JSONEq(t, `{"files_checked":0,"relevant_files":1,"relevant_context":0,"issues_found":0,"images_collected":0,
		"current_confidence":"low","hypotheses_formed":1}`, string(counts))
}

func TestFinalReplyStatusFollowsTheExpert(t *testing.T) {
	for _, c := range []struct {
		name   string
		in     Facts
		expert Expert
		status string
		has    []string
		hasNot []string
	}{
		{
			"answered", step(1, 1, false, files("a")),
			Expert{Analysis: "text"},
			"investigation_complete",
			[]string{"investigation_complete", "complete_investigation", "expert_analysis"},
			[]string{"skip_expert_analysis", "next_call", "tracked_issues"},
		},
		{
			"certain", step(1, 1, false, confidence("certain")),
			Expert{Analysis: "skipped"},
			"certain_confidence_proceed_with_fix",
			[]string{"complete_investigation", "skip_expert_analysis", "expert_analysis"},
			[]string{"next_call"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := Decide(debugLike, nil, c.in, Options{ExpertEnabled: true, UseExpert: true})
			f := FinalReply(debugLike, Final{Decision: d, Run: Consolidate(debugLike.Ladder, d.Steps), ID: "id-1", Expert: c.expert})
			assert.Equal(t, c.status, value(t, f, "status"))
			assert.Equal(t, false, value(t, f, "next_step_required"))
			for _, k := range c.has {
				assert.Contains(t, f.Keys(), k)
			}
			for _, k := range c.hasNot {
				assert.NotContains(t, f.Keys(), k)
			}
		})
	}
}

func TestCompletionOfACertainRunConcludes(t *testing.T) {
	in := step(1, 1, false, confidence("certain"), func(f *Facts) { f.Hypothesis = "off by one" })
	d := Decide(debugLike, nil, in, Options{})
	raw, err := json.Marshal(completion(Final{Decision: d, Run: Consolidate(debugLike.Ladder, d.Steps)}))
	require.NoError(t, err)
	var block map[string]any
	require.NoError(t, json.Unmarshal(raw, &block))
	assert.Equal(t, "off by one", block["final_analysis"])
	assert.Equal(t, "certain", block["confidence_level"])
	assert.Equal(t, []any{}, block["issues_found"], "an empty list stays a list")
}

func TestConsolidateCountsARepeatedIssueOnce(t *testing.T) {
	issue := map[string]any{"severity": "High", "description": "leak"}
	withIssue := func(f *Facts) { f.IssuesFound = []map[string]any{issue} }
	c := Consolidate(plain.Ladder, []Facts{step(1, 2, true, withIssue), step(2, 2, false, withIssue)})
	assert.Len(t, c.Issues, 1)
	assert.Equal(t, map[string]int{"high": 1}, c.BySeverity())
	assert.Equal(t, []string{"Step 1: found", "Step 2: found"}, c.Findings)
}

func TestLaterSettingsWin(t *testing.T) {
	set := func(name, v string) func(*Facts) {
		return func(f *Facts) { f.Settings = append(f.Settings, Setting{name, v}) }
	}
	c := Consolidate(plain.Ladder, []Facts{step(1, 2, true, set("focus", "speed"), set("type", "full")), step(2, 2, false, set("focus", "safety"), set("type", ""))})
	assert.Equal(t, []Setting{{"focus", "safety"}, {"type", "full"}}, c.Settings)
}

// What a pause holds beside its words: what the expert asked for and looked at, and its files without their listing.
func TestPauseOfAnExpertThatAsksForMore(t *testing.T) {
	d := Decide(debugLike, nil, step(1, 3, true), Options{})
	o := PauseReply(debugLike, Pause{
		Step: d.Step, Run: Consolidate(debugLike.Ladder, d.Steps), Files: FileContext{Type: "fully_embedded", Listing: []workspace.FileGroup{{}}},
		Content: "a.go, please", Status: "files_required_to_continue", Looked: []looks.Look{{Tool: "read_file", Path: "/w/a.go"}},
	})
	assert.Equal(t, []string{
		"status", "step_number", "total_steps", "next_step_required", "investigation_status", "content", "looked_at", "file_context", "next_call",
		"investigation_required", "required_actions", "next_steps", "continuation_required", "continuation_available", "next_step_number",
	}, o.Keys())
	text, err := o.MarshalJSON()
	require.NoError(t, err)
	assert.Contains(t, string(text), `"status":"files_required_to_continue"`)
	assert.Contains(t, string(text), `"content":"a.go, please","looked_at":[{"tool":"read_file","path":"/w/a.go","lines":0,"bytes":0}],"file_context":{"type":"fully_embedded","files_embedded":0},"next_call"`)
	assert.Contains(t, string(text), `"continuation_required":true,"continuation_available":false,"next_step_number":2}`)
}

// Each part of the last reply stands where there is something to say, and only there.
func TestPartsOfTheFinalReply(t *testing.T) {
	d := Decide(debugLike, nil, step(1, 1, false), Options{})
	always := []string{"status", "step_number", "total_steps", "next_step_required", "investigation_status", "investigation_complete"}
	rest := []string{"complete_investigation", "file_context", "next_steps"}
	entries := func(n int) []Coverage { return make([]Coverage, n) }
	for name, c := range map[string]struct {
		final Final
		keys  []string // behind "investigation_complete"
	}{
		"nothing":              {Final{}, rest},
		"one look":             {Final{Looked: []looks.Look{{}}}, append([]string{"looked_at"}, rest...)},
		"one file covered":     {Final{Coverage: entries(1)}, append([]string{"coverage"}, rest...)},
		"a hundred files":      {Final{Coverage: entries(100)}, append([]string{"coverage"}, rest...)},
		"one more":             {Final{Coverage: entries(101)}, append([]string{"coverage", "coverage_more"}, rest...)},
		"a verdict":            {Final{Verdict: VerdictPass}, append([]string{"verdict"}, rest...)},
		"and why":              {Final{Verdict: VerdictPass, VerdictReason: "r"}, append([]string{"verdict", "verdict_reason"}, rest...)},
		"a reason for none":    {Final{VerdictReason: "r"}, rest},
		"one tracked issue":    {Final{Tracked: []Tracked{{}}}, append(rest[:3:3], "tracked_issues", "close_tracked_issues")},
		"what to bear in mind": {Final{Words: Words{Considered: "c"}}, append(rest[:3:3], "important_considerations")},
		"an analysis":          {Final{Expert: Expert{Analysis: "a"}}, []string{rest[0], "expert_analysis", rest[1], rest[2]}},
		"nothing to review":    {Final{Expert: Expert{Analysis: "a"}, Nothing: true}, rest},
		"the agent's findings": {Final{Agent: "a"}, []string{rest[0], "agent_findings", rest[1], rest[2]}},
	} {
		c.final.Decision, c.final.Run, c.final.Files.Listing = d, Consolidate(debugLike.Ladder, d.Steps), []workspace.FileGroup{{}}
		o := FinalReply(debugLike, c.final)
		assert.Equal(t, append(always[:6:6], c.keys...), o.Keys(), name)
		text, err := o.MarshalJSON()
		require.NoError(t, err)
		assert.NotContains(t, string(text), "listing")
		if name == "one more" {
			assert.EqualValues(t, 1, o.Get("coverage_more"))
			assert.Len(t, o.Get("coverage"), 100)
		}
	}
	assert.Equal(t, "nothing_to_review", FinalReply(debugLike, Final{Nothing: true}).Get("status"))
}

package workflow

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
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

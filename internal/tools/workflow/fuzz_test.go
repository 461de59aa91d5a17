package workflow

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzDecide feeds Decide random runs and holds what must be true of every one of them.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{1, 0, 2, 0, 3, 0})
	f.Add([]byte{1, 0, 2, 9, 2, 1, 3, 255})
	f.Fuzz(func(t *testing.T, moves []byte) {
		var past []Facts
		var args []string
		for i := 0; i+1 < len(moves) && i < 200; i += 2 {
			in := randomStep(moves[i], moves[i+1])
			key := string(moves[i : i+2])
			d := Decide(plain, past, in, Options{ExpertEnabled: true, UseExpert: true, Same: func(i int) bool { return args[i] == key }})

			before := Consolidate(plain.Ladder, past)
			after := Consolidate(plain.Ladder, d.Steps)
			require.GreaterOrEqual(t, d.Step.TotalSteps, d.Step.StepNumber, "total_steps covers the step")
			require.True(t, slices.IsSortedFunc(d.Steps, func(a, b Facts) int { return a.StepNumber - b.StepNumber }), "steps are in order")
			require.True(t, slices.ContainsFunc(d.Steps, func(s Facts) bool { return s.StepNumber == in.StepNumber }), "the step is part of its run")
			require.Equal(t, d.Done, !in.Continues() || d.Early != "", "a run ends when asked to, or early with a reason")
			require.Equal(t, d.Expert == NoExpert, !d.Done, "an expert is considered exactly at the end")
			if d.Repeats < 0 && d.DropFrom == 0 {
				require.GreaterOrEqual(t, len(after.RelevantFiles), len(before.RelevantFiles), "counts never shrink without a backtrack")
				require.GreaterOrEqual(t, len(after.Issues), len(before.Issues))
				require.GreaterOrEqual(t, after.Steps, before.Steps)
			}
			requireNext(t, in, d)
			if d.Repeats < 0 {
				past, args = remember(past, args, d, key)
			}
		}
	})
}

// requireNext holds that the call that a pause proposes is one that the tool takes, and that it leads on.
func requireNext(t *testing.T, in Facts, d Decision) {
	args, err := json.Marshal(Investigation{
		StepInput: in.StepInput, Findings: in.Findings, RelevantFiles: in.RelevantFiles, IssuesFound: in.IssuesFound, BacktrackFromStep: in.BacktrackFromStep,
	})
	require.NoError(t, err)
	next := (&run{spec: plain, step: Step{Args: args}, state: state{decision: d}}).next("id-1")
	text, err := next.Arguments.MarshalJSON()
	require.NoError(t, err)
	var call Investigation
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	require.NoError(t, strict.Decode(&call), "%s", text)
	require.NotEmpty(t, call.Step)
	require.Equal(t, d.Step.StepNumber+1, call.StepNumber)
	require.GreaterOrEqual(t, call.TotalSteps, call.StepNumber)
	require.Equal(t, call.StepNumber < d.Step.TotalSteps, call.Continues(), "as many steps as were announced")
	require.Equal(t, in.Findings, call.Findings)
	require.Equal(t, "id-1", call.ContinuationID)
	require.Zero(t, call.BacktrackFromStep, "a backtrack is not made twice")
	require.NotNil(t, next.Arguments.Get("findings"), "what is required is there")
	if !slices.ContainsFunc(d.Steps, func(s Facts) bool { return s.StepNumber == call.StepNumber }) {
		require.Zero(t, Decide(plain, d.Steps, call.Facts(), Options{}).DropFrom, "the next step drops nothing")
	}
}

func randomStep(a, b byte) Facts {
	in := step(int(a%12)+1, int(b%12)+1, b&1 == 0)
	if b&2 != 0 {
		in.RelevantFiles = []string{"f" + string('a'+rune(b%7))}
		in.Findings = strings.Repeat("y", 50+int(b))
	}
	if b&4 != 0 {
		in.Confidence = []string{"exploring", "low", "very_high", "certain"}[a%4]
	}
	if b&8 != 0 && in.StepNumber > 1 {
		in.BacktrackFromStep = int(b)%(in.StepNumber-1) + 1
	}
	if b&16 != 0 {
		in.IssuesFound = []map[string]any{{"severity": "low", "description": string(rune('a' + a%9))}}
	}
	return in
}

// remember keeps what a store would: the steps that were not dropped, each with the arguments it came with.
func remember(past []Facts, args []string, d Decision, key string) ([]Facts, []string) {
	var keys []string
	for i, p := range past {
		if d.DropFrom == 0 || p.StepNumber < d.DropFrom {
			keys = append(keys, args[i])
		}
	}
	at := slices.IndexFunc(d.Steps, func(s Facts) bool { return s.StepNumber == d.Step.StepNumber })
	return d.Steps, slices.Insert(keys, at, key)
}

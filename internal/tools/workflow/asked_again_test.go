package workflow_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/tools/workflow"
)

var emptyAccount = fails(providers.Error{Kind: providers.KindBalance, Message: "The account is empty."})

// The whole reply of a step whose expert had failed and is asked again, with what the caller fixed and reports.
func TestGoldenAskedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &fixer{}
		l := newFixture(t, emptyAccount, func(l *fixture) { l.tracker = seen })
		l.secondTurns = true
		l.file("window.go", source)
		args := l.step("codereview", 1, 1, append([]any{"relevant_files", []string{"window.go"}, "fixes", []int{7}}, told...)...)
		failed := l.call("codereview", args)
		assert.True(t, noteIn(failed, "fixes waits for the expert"))
		assert.Empty(t, seen.fixed())
		args["continuation_id"] = failed["continuation_id"]
		l.glm = inTurns(slowly(3, expertSays(finding("high", "window.go", 4))), secondTurnAnswer("ISSUE-7 ends too soon", "wrong"))
		r := replies{l, t, "asked-again"}
		r.keep("answered", "codereview", args)
		assert.Equal(t, []int{7}, seen.fixed())
		assert.Equal(t, "user user assistant user assistant", l.rolesOf(args["continuation_id"]))
		r.keep("stored", "codereview", args)
		assert.Equal(t, []int{7}, seen.fixed(), "once")
	})
}

// What a run fixed is closed when its late expert has judged it, though nobody asks again.
func TestLateExpertClosesWhatWasFixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := &fixer{}
		l := newFixture(t, slowly(90, expertSays()), func(l *fixture) { l.tracker = seen })
		l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)}, "fixes", []int{7}))
		assert.Empty(t, seen.fixed())
		time.Sleep(time.Minute)
		assert.Equal(t, []int{7}, seen.fixed())
	})
}

// The second turn of an expert that was asked again goes on behind the call, as that of any other.
func TestAskedAgainAndJudgedBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, emptyAccount)
		l.secondTurns = true
		l.file("window.go", source)
		args := l.step("codereview", 1, 1, append([]any{"relevant_files", []string{"window.go"}}, told...)...)
		args["continuation_id"] = l.call("codereview", args)["continuation_id"]
		l.glm = inTurns(slowly(48, expertSays()), slowlyJudged(12))
		assert.Equal(t, "partial", at(l.call("codereview", args), "agent_findings", "status"))
		time.Sleep(time.Minute)
		assert.Equal(t, "user user assistant user assistant", l.rolesOf(args["continuation_id"]))
		assert.Equal(t, "wrong", at(l.call("codereview", args), "agent_findings", 0, "judgement"))
	})
}

// A long answer of an expert that was asked again is cut to what the client takes, and the rest can be fetched, stored or not.
func TestLongAnswerOfAnExpertThatIsAskedAgain(t *testing.T) {
	for _, broken := range []string{"", "save", "append"} {
		t.Run(broken, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFixture(t, emptyAccount)
				args := l.step("thinkdeep", 1, 1)
				args["continuation_id"] = l.call("thinkdeep", args)["continuation_id"]
				l.glm = asktest.Says(strings.Repeat("One paragraph of the answer.\n\n", 7_000))
				l.store.Before = func(_ context.Context, op string) error {
					if op == broken {
						return errors.New("disk full")
					}
					return nil
				}
				done := l.call("thinkdeep", args)
				require.NotNil(t, done["more"])
				assert.Equal(t, broken == "", at(done, "more", "uri") != nil, "what is stored has a resource")
				assert.Equal(t, broken == "", at(done, "metadata", "stored") == nil)
				assert.True(t, noteIn(done, "call chat with continuation_id"), "%v", at(done, "metadata", "notes"))
				assert.Equal(t, "glm-5.3", at(done, "metadata", "model_used"))
				next := l.call("chat", dict{"prompt": "", "continuation_id": args["continuation_id"], "offset": at(done, "more", "next_offset")})
				assert.NotEmpty(t, next["content"])
			})
		})
	}
}

// Words that lack a section fail the step, whichever way it came to its reply.
func TestWordsThatLackASection(t *testing.T) {
	for name, c := range map[string]struct {
		first, second asktest.Chat
		set           func(l *fixture)
		wait          time.Duration
	}{
		"while the expert writes":   {slowly(200, strings.Repeat("x", 400)), silent, nil, 0},
		"asked again":               {emptyAccount, asktest.Says(expertSays()), nil, 0},
		"killed before it was done": {slowly(70, expertSays()), silent, withMortalStore, time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				set := []func(l *fixture){}
				if c.set != nil {
					set = append(set, c.set)
				}
				l := newFixture(t, c.first, set...)
				step := bareStep(l.file("window.go", source))
				first, err := l.runBare(step)
				require.NoError(t, err)
				step.Facts.ContinuationID = first.Body.Get("continuation_id").(string)
				time.Sleep(c.wait)
				l.glm, l.openStore = c.second, l.store.Open
				other := l
				if c.set != nil {
					other = l.otherProcess()
				}
				step.Words, err = words.For("chat") // which is no workflow
				require.NoError(t, err)
				_, err = other.runBare(step)
				require.ErrorContains(t, err, `words/chat.md has no section "done"`)
			})
		})
	}
}

// bareSpec is a workflow that asks an expert at every end.
var bareSpec = workflow.Spec{
	Tool: "debug", Expert: workflow.ExpertAlways, Statuses: workflow.Statuses{Complete: "complete"}, Keys: workflow.Keys{Status: "counts", Completion: "run"},
}

// bareStep is the only step of a run, about one file.
func bareStep(file string) workflow.Step {
	w, err := words.For("debug")
	if err != nil {
		panic(err)
	}
	facts := workflow.Facts{StepInput: workflow.StepInput{Step: "look", StepNumber: 1, TotalSteps: 1}, RelevantFiles: []string{file}}
	return workflow.Step{
		Facts: facts, Args: json.RawMessage(`{"step":"look"}`), Words: w, Read: func(json.RawMessage) (workflow.Facts, error) { return facts, nil },
	}
}

// runBare takes a step of bareSpec within the time of a call.
func (l *fixture) runBare(step workflow.Step) (*reply.Result, error) {
	e := &workflow.Engine{
		Config: l.cfg, Conversations: l.deps.Conversations, Files: l.deps.Workspace, Window: func(context.Context, ask.Question, bool) int { return 0 }, Log: zap.NewNop(),
	}
	b := providers.Budget{Limit: l.cfg.Timeouts.For(config.ClassExpert), Class: config.ClassExpert, Start: time.Now(), Tool: "debug"}
	return e.Run(providers.WithBudget(l.t.Context(), b), bareSpec, step)
}

// fixer is a tracker whose issues are all open, and which remembers those that were set to fixed.
type fixer struct {
	tracker
	mu  sync.Mutex
	set []int
}

func (f *fixer) Get(_ context.Context, n int) (*issue.Issue, error) {
	return &issue.Issue{Number: n, Status: issue.Open}, nil
}

func (f *fixer) Update(ctx context.Context, n int, _ issue.Change) (*issue.Issue, error) {
	f.mu.Lock()
	f.set = append(f.set, n)
	f.mu.Unlock()
	return f.Get(ctx, n)
}

func (f *fixer) fixed() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.set
}

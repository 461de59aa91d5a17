package workflow_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// lateReview is the end of a review whose expert reads a file behind its call, and has a second turn later still.
func lateReview(t *testing.T, second asktest.Chat, set ...func(l *fixture)) (l *fixture, args dict) {
	l = newFixture(t, nil, append(set, withTracker(&tracker{}))...)
	l.secondTurns = true
	l.file("big.go", strings.Repeat("var changed = 1 // a line of a large file\n", 2_000))
	l.file("caller.go", "package a\n\nfunc use() { window(nil) }\n")
	l.commitAll()
	answer := expertSays(with(finding("high", "caller.go", 3), "quote", "func use() { window(nil) }"))
	l.glm = inTurns(func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		time.Sleep(130 * time.Millisecond) // so that nothing arrives in the moment when a limit passes or somebody looks
		for range 12 * (1 - rounds(req)) {
			time.Sleep(5 * time.Second)
			on(providers.Delta{Reasoning: "hm. "})
		}
		return readingModel(60, answer, []string{`read_file {"path":"big.go","from":1500}`})(ctx, req, on)
	}, second)
	l.restart()
	first := l.call("codereview", l.step("codereview", 1, 2, "findings", "", "relevant_files", []string{"big.go", "caller.go"}, "model", "glm-4.5v"))
	return l, l.step("codereview", 2, 2, append([]any{"continuation_id", first["continuation_id"], "model", "glm-4.5v"}, told...)...)
}

// The replies of a review whose expert is late: what has arrived so far, twice, and then the whole.
func TestGoldenLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, args := lateReview(t, slowlyJudged(15))
		r := replies{l, t, "late"}
		r.keep("partial", "codereview", args)
		r.keep("reporting", "codereview", args)
		r.keep("whole", "codereview", args)
		require.Equal(t, "user user assistant user assistant", l.rolesOf(args["continuation_id"]))
		assert.Contains(t, l.turnsOf(args["continuation_id"])[2].Content, `"analysis_complete"`, "the answer is stored whole")
	})
}

// The process that asked the expert was killed when its answer was stored, and its step was not: another process completes the
// step, with what the expert read meanwhile, and has it judge what the caller reports.
func TestGoldenCompletedByAnotherProcess(t *testing.T) {
	for scene, c := range map[string]struct {
		wait   time.Duration // between the calls
		second asktest.Chat
		turns  string // at the end of the second call
	}{
		"completed":         {2 * time.Minute, slowlyJudged(15), "user user assistant user assistant"},
		"completed-unsaved": {2 * time.Minute, slowlyJudged(15), "user user assistant"},
		"completed-judging": {36 * time.Second, slowlyJudged(25), "user user assistant"},
	} {
		t.Run(scene, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, args := lateReview(t, silent, withMortalStore)
				l.call("codereview", args)
				time.Sleep(c.wait)
				if scene == "completed-unsaved" {
					l.store.Before = func(_ context.Context, op string) error {
						if op != "load" {
							return errors.New("disk full")
						}
						return nil
					}
				}
				l.openStore = l.store.Open
				other := l.otherProcess()
				other.glm = inTurns(silent, c.second)
				r := replies{other, t, "late"}
				r.keep(scene, "codereview", args)
				assert.Equal(t, c.turns, other.rolesOf(args["continuation_id"]))
				if scene != "completed-unsaved" {
					r.keep(scene+"-again", "codereview", args)
					assert.Equal(t, "user user assistant user assistant", other.rolesOf(args["continuation_id"]), "with the second turn")
				}
			})
		})
	}
}

// slowlyJudged is a second turn that takes so many seconds.
func slowlyJudged(seconds int) asktest.Chat {
	answer := slowly(seconds, `{"judgements": [{"claim": "ISSUE-7 ends too soon", "judgement": "wrong", "why": "window.go:4 decides it"}]}`)
	return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		time.Sleep(70 * time.Millisecond) // as above
		return answer(ctx, req, on)
	}
}

// rolesOf says whose turns a conversation has.
func (l *fixture) rolesOf(id any) string {
	var roles []string
	for _, turn := range l.turnsOf(id) {
		roles = append(roles, string(turn.Role))
	}
	return strings.Join(roles, " ")
}

// mortal is the store of a process that is killed as soon as it has saved an answer that is whole.
type mortal struct{ *asktest.Store }

func withMortalStore(l *fixture) {
	l.openStore = func(context.Context) (conversation.Store, error) { return mortal{l.store}, nil }
}

func (m mortal) dead() error {
	for _, turn := range m.Saves() {
		if turn.Status == conversation.TurnComplete {
			return errors.New("killed")
		}
	}
	return nil
}

func (m mortal) Save(ctx context.Context, id string, turn conversation.Turn) error {
	if err := m.dead(); err != nil {
		return err
	}
	return m.Store.Save(ctx, id, turn)
}

func (m mortal) Append(ctx context.Context, n conversation.NewTurns) ([]conversation.Turn, error) {
	if err := m.dead(); err != nil {
		return nil, err
	}
	return m.Store.Append(ctx, n)
}

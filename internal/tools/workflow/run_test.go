package workflow

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Arguments are equal when they say the same, whatever the order of their keys; numbers keep all their digits.
func TestSameJSON(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{`{"a": 1, "b": [true]}`, `{"b":[true],"a":1}`, true},
		{`{"a": 1}`, `{"a": 2}`, false},
		{`{"a": 9007199254740993}`, `{"a": 9007199254740992}`, false},
		{`{"a": 1`, `{"a": 1`, true},
		{`{"a": 1`, `{"a":1`, false},
	} {
		assert.Equal(t, c.want, sameJSON(json.RawMessage(c.a), json.RawMessage(c.b)), c.a)
	}
}

// The steps of a branch are stored under a name of their own.
func TestKey(t *testing.T) {
	r := &run{spec: Spec{Tool: "planner"}}
	assert.Equal(t, "planner", r.key())
	r.step.Facts.Branch = "b"
	assert.Equal(t, "planner/b", r.key())
}

// thinkdeep has a setting of its own for whether an expert is asked; the others share one.
func TestUsesExpert(t *testing.T) {
	yes, no := true, false
	for _, c := range []struct {
		tool   string
		shared bool
		own    *bool
		want   bool
	}{
		{"debug", true, &no, true}, {"debug", false, &yes, false}, {"thinkdeep", true, &no, false}, {"thinkdeep", false, &yes, true}, {"thinkdeep", true, nil, true},
	} {
		cfg := config.Default()
		cfg.Expert.UseAssistantModel, cfg.Expert.ThinkDeepUseModel = c.shared, c.own
		assert.Equal(t, c.want, UsesExpert(cfg, c.tool), c.tool)
	}
}

// What has become of an expert's answer shows in its turn alone, wherever its process is.
func TestStoredAnswer(t *testing.T) {
	const wants = `{"status": "files_required_to_continue"}`
	for name, c := range map[string]struct {
		turns []conversation.Turn
		want  answerState
	}{
		"none":         {nil, answerNone},
		"another's":    {[]conversation.Turn{{ID: "other", Status: conversation.TurnComplete}}, answerNone},
		"cut":          {[]conversation.Turn{{ID: "answer", Status: conversation.TurnPartial, Content: wants}}, answerNone},
		"whole":        {[]conversation.Turn{{ID: "answer", Status: conversation.TurnComplete, Content: "{}"}}, answerFinished},
		"whole, wants": {[]conversation.Turn{{ID: "other"}, {ID: "answer", Status: conversation.TurnComplete, Content: wants}}, answerRequests},
	} {
		r := &run{lease: leaseOf(c.turns...), state: state{stored: &storedStep{meta: stepMeta{Answer: "answer"}}}}
		assert.Equal(t, c.want, r.storedAnswer(), name)
	}
	r := &run{lease: leaseOf(conversation.Turn{ID: ""}), state: state{stored: &storedStep{}}}
	assert.Nil(t, r.answerOf(r.stored.meta), "no id is nobody's")
}

// The question of an answer is the last one before it.
func TestAskedBefore(t *testing.T) {
	turn := func(id string, role providers.Role) conversation.Turn { return conversation.Turn{ID: id, Role: role} }
	r := &run{lease: leaseOf(turn("1", providers.RoleUser), turn("2", providers.RoleAssistant), turn("3", providers.RoleUser), turn("4", providers.RoleAssistant),
		turn("5", providers.RoleUser))}
	assert.Equal(t, "1", r.askedBefore("2").ID)
	assert.Equal(t, "3", r.askedBefore("4").ID)
}

// A step whose second turn is lost, by the clock of the store, is not waited for.
func TestAwaitJudged(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pending := stepMeta{Agent: &AgentFindings{State: agentPending}}
	for name, c := range map[string]struct {
		meta stepMeta
		age  time.Duration
		lost bool
	}{
		"not asked": {stepMeta{}, time.Hour, false},
		"judged":    {stepMeta{Agent: &AgentFindings{State: agentJudged}}, time.Hour, false},
		"lost":      {pending, conversation.HeartbeatLost + 1, true},
	} {
		r := &run{lease: leaseOf(), state: state{stored: &storedStep{turn: conversation.Turn{SavedAt: now.Add(-c.age)}, meta: c.meta}}}
		r.lease.ReadAt = now
		lost, err := r.awaitJudged(t.Context())
		assert.NoError(t, err)
		assert.Equal(t, c.lost, lost, name)
	}
}

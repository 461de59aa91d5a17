package ask

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// reading is a conversation with turns, for one who only reads it.
func reading(change func(*config.Config), turns ...conversation.Turn) *Lease {
	cfg := config.Default()
	if change != nil {
		change(cfg)
	}
	c := New(Options{Config: cfg})
	c.lasting.Store(true)
	return c.Reading(&conversation.Conversation{ID: "c", Turns: turns})
}

func TestStoredAnswersSayHowTheyEnded(t *testing.T) {
	left := 6
	for name, tc := range map[string]struct {
		turn    conversation.Turn
		running bool
		offset  int
		want    StoredAnswer
		notes   []string
		pending *reply.Pending
	}{
		"whole": {
			turn: conversation.Turn{Content: "äbc", Status: conversation.TurnComplete}, offset: 1,
			want: StoredAnswer{Text: "bc", Offset: 1},
		},
		"its notes": {
			turn: conversation.Turn{Content: "{[secret: key]", Meta: json.RawMessage(`{"notes":["n"],"looked_at":[{"tool":"read","lines":1,"bytes":2}]}`)},
			want: StoredAnswer{Text: "{[secret: key]", Looked: []looks.Look{{Tool: "read", Lines: 1, Bytes: 2}}}, notes: []string{"n", maskedCodeNote},
		},
		"cancelled": {
			turn: conversation.Turn{Content: "half", Status: conversation.TurnPartial, FinishReason: providers.FinishCancelled},
			want: StoredAnswer{Text: "half", Partial: true}, notes: []string{"The call was cancelled before the answer was complete."},
		},
		"cut off": {
			turn: conversation.Turn{Content: "half", Status: conversation.TurnPartial, FinishReason: providers.FinishTimeout},
			want: StoredAnswer{Text: "half", Partial: true}, notes: []string{"The answer was cut off."},
		},
		"its process died": {
			turn: conversation.Turn{Content: "half", Status: conversation.TurnRunning, Orphaned: true},
			want: StoredAnswer{Text: "half", Partial: true}, notes: []string{"The answer was cut off."},
		},
		"nothing arrived": {
			turn: conversation.Turn{Content: " \n", Status: conversation.TurnPartial}, offset: 7,
			want:  StoredAnswer{Text: "The model was still thinking when the answer was cut off; no part of it had arrived.", Partial: true},
			notes: []string{"The answer was cut off."},
		},
		"written elsewhere": {
			turn: conversation.Turn{Content: "half", Status: conversation.TurnRunning}, running: true, offset: 4,
			want: StoredAnswer{Partial: true, Pending: true, Offset: 4}, notes: []string{"The answer is still being written in the background."},
			pending: &reply.Pending{ContinuationID: "c", Turn: 2},
		},
		"thinking elsewhere": {
			turn: conversation.Turn{Status: conversation.TurnRunning}, running: true, offset: 7,
			want:    StoredAnswer{Text: "The model is still thinking; no part of the answer has arrived yet.", Partial: true, Pending: true},
			notes:   []string{"The answer is still being written in the background."},
			pending: &reply.Pending{ContinuationID: "c", Turn: 2},
		},
	} {
		t.Run(name, func(t *testing.T) {
			turn := tc.turn
			turn.N, turn.Role, turn.Model, turn.Provider = 2, providers.RoleAssistant, "glm-5.3", "glm"
			h := reading(func(c *config.Config) { c.Conversations.MaxTurns = 8 }, conversation.Turn{}, turn)
			got, err := h.answer(&turn, tc.running, tc.offset)
			require.NoError(t, err)
			tc.want.ContinuationID, tc.want.N, tc.want.Remaining, tc.want.pending = "c", 2, &left, tc.pending
			tc.want.Metadata = reply.Metadata{
				ModelUsed: "glm-5.3", ProviderUsed: "glm", FinishReason: string(turn.FinishReason), Usage: &providers.Usage{}, Notes: tc.notes,
			}
			assert.Equal(t, tc.want, *got)
		})
	}
}

func TestOffsetsOutsideOfAnAnswer(t *testing.T) {
	h := reading(nil, conversation.Turn{Role: providers.RoleAssistant, N: 1, Content: "äbc"})
	for _, offset := range []int{-1, 4} {
		got, err := h.lastAnswer(offset)
		assert.Equal(t, reply.CodeInvalidRequest, reply.FromError(t.Context(), err).Code, offset)
		require.ErrorContains(t, err, "the last answer, which has 3 characters")
		assert.Nil(t, got)
	}
	empty := reading(nil, conversation.Turn{Role: providers.RoleAssistant, N: 1})
	_, err := empty.lastAnswer(-1)
	require.Error(t, err)
	got, err := empty.lastAnswer(0)
	require.NoError(t, err)
	assert.Empty(t, got.Text)
}

// What a client reads of an answer: whether it can go on from here, and where the answer is.
func TestReplyOfAStoredAnswer(t *testing.T) {
	looked := []looks.Look{{Tool: "read", Path: "a.go", Lines: 3, Bytes: 40}}
	for name, tc := range map[string]struct {
		s    StoredAnswer
		body string
		uri  string
		id   string
	}{
		"stored": {
			StoredAnswer{ContinuationID: "c", N: 1, Text: "yes", Looked: looked},
			`{"status":"continuation_available","content":"yes","content_type":"text","looked_at":[{"tool":"read","path":"a.go","lines":3,"bytes":40}],` +
				`"continuation_offer":{"continuation_id":"c","note":"Send this continuation_id with the next prompt: the model remembers this ` +
				`conversation, files included.","remaining_turns":null}}`,
			"exai://conversations/c/turns/1", "c",
		},
		"kept here": {
			StoredAnswer{ContinuationID: "c", Text: "yes", Offset: 3, InProcess: true},
			`{"status":"success","content":"yes","content_type":"text"}`, "", "c",
		},
		"kept nowhere": {
			StoredAnswer{ContinuationID: "c", Text: "yes", Partial: true},
			`{"status":"partial","content":"yes","content_type":"text"}`, "", "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := tc.s.Reply()
			body, err := r.Body.MarshalJSON()
			require.NoError(t, err)
			assert.Equal(t, tc.body, string(body))
			r.Answer.Put("shorter")
			assert.Equal(t, "shorter", r.Body.Get("content"))
			r.Answer.Put = nil
			assert.Equal(t, &reply.Answer{Text: "yes", Offset: tc.s.Offset, URI: tc.uri, ContinuationID: tc.id}, r.Answer)
		})
	}
}

func TestNotStoredSaysWhatCanBeDone(t *testing.T) {
	for kept, want := range map[bool]string{
		true: NotConfirmed + "the conversation can't be continued from here. Until this server ends, or has more such answers, chat with " +
			"continuation_id c and a blank prompt reads this answer again.",
		false: NotConfirmed + "this answer cannot be continued or fetched again: keep what you need of it.",
	} {
		s := StoredAnswer{ContinuationID: "c", N: 2, Pending: true, InProcess: kept, pending: &reply.Pending{}}
		s.NotStored()
		assert.Equal(t, StoredAnswer{ContinuationID: "c", InProcess: kept, Metadata: reply.Metadata{Stored: new(bool), Notes: []string{want}}}, s)
	}
}

func TestRunningIsTheLastAnswer(t *testing.T) {
	asked := conversation.Turn{N: 1, Role: providers.RoleUser, Status: conversation.TurnComplete}
	running := conversation.Turn{N: 2, Role: providers.RoleAssistant, Status: conversation.TurnRunning}
	orphan, whole := running, running
	orphan.Orphaned, whole.Status, whole.N = true, conversation.TurnComplete, 4
	for name, tc := range map[string]struct {
		turns []conversation.Turn
		here  bool // it goes on in this process
		is    bool
	}{
		"no turns":              {},
		"a question":            {turns: []conversation.Turn{asked}},
		"the first turn":        {turns: []conversation.Turn{running}, is: true},
		"with a later question": {turns: []conversation.Turn{asked, running, asked}, is: true},
		"with a later answer":   {turns: []conversation.Turn{asked, running, asked, whole}, here: true},
		"its process died":      {turns: []conversation.Turn{asked, orphan}},
		"its saves are late":    {turns: []conversation.Turn{asked, orphan}, here: true, is: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := reading(nil, tc.turns...)
			if tc.here {
				h.t.live["c"] = &follower{turn: running}
			}
			got := h.Running()
			require.Equal(t, tc.is, got != nil)
			if tc.is {
				assert.Equal(t, 2, got.N)
			}
		})
	}
}

func TestModelOfAConversation(t *testing.T) {
	user := conversation.Turn{Role: providers.RoleUser, Model: "never"}
	by := func(model, meta string) conversation.Turn {
		return conversation.Turn{Role: providers.RoleAssistant, Model: model, Meta: json.RawMessage(meta)}
	}
	for name, tc := range map[string]struct {
		turns []conversation.Turn
		want  string
	}{
		"none yet":         {[]conversation.Turn{user}, ""},
		"the first turn":   {[]conversation.Turn{by("a", ""), user}, "a"},
		"the last one":     {[]conversation.Turn{user, by("a", ""), user, by("b", "{}")}, "b"},
		"nobody answered":  {[]conversation.Turn{user, by("a", ""), user, by("", "")}, "a"},
		"another stood in": {[]conversation.Turn{user, by("b", `{"fallback":{"from":"a","to":"b"}}`)}, "a"},
	} {
		assert.Equal(t, tc.want, reading(nil, tc.turns...).Model(), name)
	}
}

func TestCapacity(t *testing.T) {
	now := time.Now()
	for name, tc := range map[string]struct {
		turns, most int
		hours       float64
		idle        time.Duration
		isNew       bool
		code        reply.Code
		message     string
		remaining   int // -1: no limit
	}{
		"no limits":        {turns: 9, idle: 1000 * time.Hour, remaining: -1},
		"a new one":        {isNew: true, most: 2, hours: 1, idle: 1000 * time.Hour, remaining: 1},
		"one turn":         {turns: 1, most: 1, code: reply.CodeConversationFull, message: "This conversation has 1 turns, the limit set by MAX_CONVERSATION_TURNS=1."},
		"room for one":     {turns: 1, most: 2},
		"room for two":     {turns: 1, most: 3, remaining: 1},
		"more than may be": {turns: 5, most: 2, code: reply.CodeConversationFull, message: "This conversation has 5 turns, the limit set by MAX_CONVERSATION_TURNS=2."},
		"just in time":     {hours: 1.5, idle: 90 * time.Minute, remaining: -1},
		"too late": {
			hours: 1.5, idle: 2 * time.Hour, remaining: -1, code: reply.CodeConversationExpired,
			message: "This conversation has been idle for 2.0 hours, longer than CONVERSATION_TIMEOUT_HOURS=1.5 allows.",
		},
		"under an hour": {hours: 0.5, idle: 45 * time.Minute, remaining: -1, code: reply.CodeConversationExpired, message: "This conversation has been idle for 0.8 hours, longer than CONVERSATION_TIMEOUT_HOURS=0.5 allows."},
	} {
		t.Run(name, func(t *testing.T) {
			h := reading(func(c *config.Config) { c.Conversations.MaxTurns, c.Conversations.TimeoutHours = tc.most, tc.hours }, make([]conversation.Turn, tc.turns)...)
			h.New, h.UpdatedAt, h.t.now = tc.isNew, now.Add(-tc.idle), func() time.Time { return now }
			if err := h.CheckCapacity(); tc.code != "" {
				var e *reply.Error
				require.ErrorAs(t, err, &e)
				assert.Equal(t, tc.code, e.Code)
				assert.Equal(t, tc.message, e.Message)
				assert.Contains(t, e.Hint, "Omit continuation_id")
			} else {
				require.NoError(t, err)
			}
			if left := h.Remaining(1); tc.remaining < 0 {
				assert.Nil(t, left)
			} else {
				assert.Equal(t, &tc.remaining, left)
			}
		})
	}
}

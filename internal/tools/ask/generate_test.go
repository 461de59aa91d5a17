package ask_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// stubCaller builds the request for its model, and returns an outcome without asking anybody.
type stubCaller struct {
	model   providers.Model
	outcome calls.Outcome
	err     error

	call    calls.Call // the last one
	request providers.ChatRequest
}

func (s *stubCaller) Call(_ context.Context, c calls.Call) (*calls.Outcome, error) {
	s.call = c
	if c.On != nil {
		c.On(providers.Event{Phase: providers.PhaseAsking})
	}
	var err error
	if s.request, err = c.Build(s.model); err != nil {
		return nil, err
	}
	out := s.outcome
	out.Model = s.model
	return &out, s.err
}

// began is when a stub's service believes that it is.
var began = time.Date(2026, time.March, 2, 9, 30, 0, 0, time.UTC)

// service is one that asks the stub.
func (s *stubCaller) service(cfg *config.Config) *ask.Conversations {
	return ask.New(ask.Options{Config: cfg, Caller: s, Now: func() time.Time { return began }})
}

// generate asks the stub a question that must succeed.
func (s *stubCaller) generate(t *testing.T, q ask.Question) *ask.Answer {
	t.Helper()
	a, err := s.service(config.Default()).Generate(t.Context(), q)
	require.NoError(t, err)
	return a
}

func tokensOf(turns ...conversation.Turn) (n int) {
	for _, turn := range turns {
		n += turn.Tokens()
	}
	return n
}

func saidBefore(turns int, text string) (history []conversation.Turn) {
	for i := range turns {
		role := providers.RoleUser
		if i%2 == 1 {
			role = providers.RoleAssistant
		}
		history = append(history, conversation.Turn{Role: role, Content: text})
	}
	return history
}

func TestWhatWasAskedIsATurn(t *testing.T) {
	s := &stubCaller{outcome: calls.Outcome{Response: providers.ChatResponse{Content: "yes"}}}
	q := question("is it?")
	q.Attachments = []conversation.Attachment{{Path: "/p/a.go", MIME: "text/plain", Data: []byte("package a")}}
	a := s.generate(t, q)
	assert.Equal(t, "yes", a.Text)
	assert.Equal(t, conversation.Turn{
		Role: providers.RoleUser, Content: "is it?", Tool: "chat", Attachments: q.Attachments, Status: conversation.TurnComplete, CreatedAt: began,
	}, a.Asked)
	assert.Equal(t, began, s.service(config.Default()).Now())

	q.Listing = []workspace.FileGroup{{What: "Sent", Paths: []string{"/p/a.go"}}}
	assert.Equal(t, q.Listing, ask.ListingOf(s.generate(t, q).Asked))
}

// A quarter of the window, or 32,768 tokens of a large one, is kept for the answer; history has the rest.
func TestHistoryHasTheWindowButForTheAnswer(t *testing.T) {
	pictures := saidBefore(1, "look")
	for i := range 80 {
		pictures[0].Attachments = append(pictures[0].Attachments, conversation.Attachment{SHA256: fmt.Sprint(i), MIME: "image/png"})
	}
	for name, history := range map[string][]conversation.Turn{"small": saidBefore(6, "a few words"), "large": pictures} {
		s, q := &stubCaller{}, question("and then?")
		s.generate(t, q)
		need, window := s.call.Needs.Tokens+tokensOf(history...), 1
		for window-min(window/4, 32_768) < need {
			window++
		}
		q.History = history
		s.model.ContextWindow = window
		assert.Zero(t, s.generate(t, q).Dropped, name)
		s.model.ContextWindow--
		assert.Positive(t, s.generate(t, q).Dropped, name)
	}
}

func TestAnUnknownWindowIsTakenForASmallOne(t *testing.T) {
	s, q := &stubCaller{}, question("x")
	q.History = saidBefore(100, strings.Repeat("a few words ", 120))
	unknown := s.generate(t, q).Dropped
	s.model.ContextWindow = 32_768
	assert.Equal(t, s.generate(t, q).Dropped, unknown)
	assert.Positive(t, unknown)
	assert.Less(t, unknown, len(q.History))

	q.Prompt = strings.Repeat("a few words ", 20_000)
	s.model.ContextWindow = 0
	s.generate(t, q) // it is tried, since nobody knows
	assert.Greater(t, s.call.Needs.Tokens, 32_768)
}

func TestARequestMustFitItsWindow(t *testing.T) {
	s, q := &stubCaller{model: providers.Model{ID: "m", Provider: "glm"}}, question("a question of some length")
	s.generate(t, q)
	need := s.call.Needs.Tokens
	assert.Equal(t, providers.Planned(providers.EstimateRequest(providers.ChatRequest{Messages: s.request.Messages[:1]}))+
		tokensOf(conversation.Turn{Content: q.Prompt}), need, "the system prompt and the question")
	s.model.ContextWindow = need
	s.generate(t, q)
	for _, window := range []int{1, need - 1} {
		s.model.ContextWindow = window
		_, err := s.service(config.Default()).Generate(t.Context(), q)
		assert.Equal(t, &providers.Error{
			Kind: providers.KindContextLength, Provider: "glm", Model: "m",
			Message: fmt.Sprintf("The request has about %d tokens, more than the context window of m (%d).", need, window),
			Hint:    "Send fewer or smaller files, a shorter prompt, or name a model with a larger window (listmodels).",
		}, err)
	}
}

// What a model called and was given stands where it was: before the answer that it led to.
func TestAnExchangeStandsBeforeItsAnswer(t *testing.T) {
	s, q := &stubCaller{}, question("sure?")
	q.Exchange = []providers.Message{
		{Role: providers.RoleAssistant, ToolCalls: []providers.ToolCall{{ID: "1", Name: "read_file", Arguments: "{}"}}},
		{Role: providers.RoleTool, Content: "1 | package a", ToolCallID: "1", Name: "read_file"},
	}
	asked, answer := providers.Message{Role: providers.RoleUser, Content: "what?"}, providers.Message{Role: providers.RoleAssistant, Content: "that"}
	last := providers.Message{Role: providers.RoleUser, Content: "sure?"}
	q.History = []conversation.Turn{{Role: asked.Role, Content: asked.Content}, {Role: answer.Role, Content: answer.Content}}
	s.generate(t, q)
	assert.Equal(t, []providers.Message{asked, q.Exchange[0], q.Exchange[1], answer, last}, s.request.Messages[1:])
	q.History[1].Content = ""
	s.generate(t, q)
	assert.Equal(t, []providers.Message{asked, last}, s.request.Messages[1:], "there was no answer")
}

func TestTheRequestIsWhatTheQuestionWants(t *testing.T) {
	warm := 0.7
	for _, can := range []bool{false, true} {
		for _, wanted := range []bool{false, true} {
			s, q := &stubCaller{model: providers.Model{JSONObject: can}}, question("x")
			q.JSONObject, q.Temperature, q.MaxOutput, q.Key = wanted, &warm, 100, "id"
			s.generate(t, q)
			s.request.Messages = nil
			assert.Equal(t, providers.ChatRequest{Temperature: &warm, MaxOutputTokens: 100, JSONObject: can && wanted, CacheKey: "id"}, s.request)
		}
	}
}

// A model is told what a mask is where it may meet one.
func TestTheRulesExplainMasks(t *testing.T) {
	for setting, explained := range map[string]bool{"mask": true, "refuse": false, "send": false} {
		s, cfg := &stubCaller{}, config.Default()
		cfg.Files.Secrets = setting
		_, err := s.service(cfg).Generate(t.Context(), question("x"))
		require.NoError(t, err)
		assert.Equal(t, explained, strings.Contains(s.request.Messages[0].Content, "[secret: kind] stands for a literal secret"), setting)
	}
}

// The notes of a reply: the tool's, the call's, then those on the answer itself.
func TestNotesOfAnAnswer(t *testing.T) {
	for turns, leftOut := range []string{
		"", "Left out, since the window of m has no room for more: the oldest turn of this conversation.",
		"Left out, since the window of m has no room for more: the 2 oldest turns of this conversation.",
	} {
		s, q := &stubCaller{model: providers.Model{ID: "m"}}, question("x")
		s.outcome.Notes = []string{"of the call"}
		s.outcome.Response.Content = "Write this:\n```\nkey = [secret: github-pat]\n```"
		q.Notes = []string{"of the tool"}
		s.generate(t, q)
		s.model.ContextWindow = s.call.Needs.Tokens // nothing else fits
		q.History = saidBefore(turns, "before")
		want := []string{
			"of the tool", "of the call",
			"The answer's code contains [secret: kind], which stands for a secret that the model was not shown. Don't apply these lines as they are.",
		}
		if leftOut != "" {
			want = append(want, leftOut)
		}
		a := s.generate(t, q)
		assert.Equal(t, turns, a.Dropped)
		assert.Equal(t, want, a.Metadata().Notes)
	}
}

// A cost that is not known is said, and no zero.
func TestACostThatIsNotKnown(t *testing.T) {
	const note = "cost_usd leaves out lab/m, whose price is not known; MODELS_FILE can give it."
	for name, tc := range map[string]struct {
		price *providers.Price
		known bool // the vendor says what it charges
		notes []string
	}{
		"no price":          {nil, false, []string{note}},
		"the vendor says":   {nil, true, nil},
		"a price":           {&providers.Price{Input: 1}, false, nil},
		"a local model's":   {nil, false, nil},
		"a price that is 0": {&providers.Price{}, false, nil},
	} {
		s := &stubCaller{model: providers.Model{ID: "lab/m", Price: tc.price, Local: name == "a local model's"}}
		s.outcome.Response = providers.ChatResponse{Content: "x", UsageKnown: true, CostKnown: tc.known, Usage: providers.Usage{InputTokens: 1}}
		assert.Equal(t, tc.notes, s.generate(t, question("x")).Metadata().Notes, name)
	}
}

// A preview lists the files that the model would be sent, and those turns that it would not.
func TestAPreviewShowsWhatWouldBeSent(t *testing.T) {
	s, q := &stubCaller{}, question("x")
	q.Notes = []string{"of the tool"}
	q.Attachments = []conversation.Attachment{
		{Path: "/p/cut.go", SHA256: "1", MIME: "text/plain", Size: 1000, Data: []byte("package cut")},
		{Path: "/p/b.go", SHA256: "2", MIME: "text/plain", Data: []byte("package b")},
		{Path: "/p/c.png", SHA256: "3", MIME: "image/png", Data: []byte("png")},
		{Path: "/p/old.go", SHA256: "4", MIME: "text/plain", Data: []byte("package old")},
	}
	s.generate(t, q)
	s.err = providers.ErrPreview
	preview := func() ([]providers.PlannedFile, []string) {
		ctx, p := providers.WithPreview(t.Context())
		a, err := s.service(config.Default()).Generate(ctx, q)
		assert.Nil(t, a)
		require.ErrorIs(t, err, providers.ErrPreview)
		requests, files, notes := p.Planned()
		assert.Empty(t, requests, "these are the caller's to add")
		return files, notes
	}
	want := []providers.PlannedFile{
		{Path: "/p/cut.go", Bytes: 1000, Tokens: providers.EstimateTokens("package cut")},
		{Path: "/p/b.go", Bytes: 9, Tokens: providers.EstimateTokens("package b")},
		{Path: "/p/c.png", Bytes: 3, Tokens: 1500},
		{Path: "/p/old.go", Bytes: 11, Tokens: providers.EstimateTokens("package old")},
	}
	q.History = []conversation.Turn{{Role: providers.RoleUser, Content: "with a file", Attachments: q.Attachments[3:]}}
	files, notes := preview()
	assert.Equal(t, want[:3], files, "the conversation has the last one")
	assert.Equal(t, []string{"of the tool"}, notes)
	s.model.ContextWindow = s.call.Needs.Tokens
	files, notes = preview()
	assert.Equal(t, want, files)
	assert.Equal(t, []string{"of the tool", "Left out, since the model's window has no room for more: the oldest turn of this conversation."}, notes)
}

func TestAnErrorHasWhatIsKnownOfItsRequests(t *testing.T) {
	failed := &providers.Error{Kind: providers.KindOverloaded, Message: "busy"}
	assert.Same(t, failed, ask.CallError(t.Context(), failed, nil))
	assert.Same(t, failed, ask.CallError(t.Context(), failed, &calls.Outcome{Notes: []string{"n"}}), "nothing was sent")
	out := &calls.Outcome{
		Model: providers.Model{ID: "m", Provider: "glm"}, Attempts: 1, Thinking: "thinking=disabled", Notes: []string{"n"},
		Response: providers.ChatResponse{FinishReason: providers.FinishStop},
	}
	var e *reply.Error
	require.ErrorAs(t, ask.CallError(t.Context(), failed, out), &e)
	assert.Equal(t, reply.Code(providers.KindOverloaded), e.Code)
	assert.Equal(t, &reply.Metadata{Attempts: 1, Thinking: "thinking=disabled", Notes: []string{"n"}}, e.Metadata)
	out.Response.Usage.InputTokens = 3
	require.ErrorAs(t, ask.CallError(t.Context(), failed, out), &e)
	assert.Equal(t, &providers.Usage{InputTokens: 3}, e.Metadata.Usage)

	s := &stubCaller{err: failed}
	s.outcome.Attempts = 1
	_, err := s.service(config.Default()).Generate(t.Context(), question("x"))
	require.ErrorAs(t, err, &e)
	assert.Equal(t, 1, e.Metadata.Attempts)
}

// A partial answer says what ended it, and whether it goes on; where no text has arrived, a sentence stands for it.
func TestWhatAPartialAnswerSays(t *testing.T) {
	limit := &config.Limit{Name: "GLM_TIMEOUT_SECS", Value: 30 * time.Second}
	cut := &providers.Error{Kind: providers.KindCancelled, Message: "The call was cancelled."}
	const goesOn = "The call exceeded its limit (GLM_TIMEOUT_SECS=30s); the answer continues in the background."
	live, thought := new(calls.Generation), strings.Repeat("hmm, ", 10)
	about := providers.EstimateTokens(thought)
	text := func(content, reasoning string, tokens int, finish providers.FinishReason) providers.ChatResponse {
		return providers.ChatResponse{
			Content: content, Reasoning: reasoning, FinishReason: finish, UsageKnown: true, Usage: providers.Usage{ReasoningTokens: tokens},
		}
	}
	for name, tc := range map[string]struct {
		out        calls.Outcome
		local      bool
		text, note string
	}{
		"in the background": {out: calls.Outcome{Live: live, Limit: limit, Response: text("half", "", 0, "")}, text: "half", note: goesOn},
		"thinking": {
			out:  calls.Outcome{Live: live, Limit: limit, Response: text(" \n", thought, 2, "")},
			text: fmt.Sprintf("m has been thinking for 12 s (about %d tokens) and has not begun its answer yet; it goes on in the background.", about), note: goesOn,
		},
		"thinking, by the vendor's count": {
			out:  calls.Outcome{Live: live, Limit: limit, Response: text("", thought, 900, "")},
			text: "m has been thinking for 12 s (about 900 tokens) and has not begun its answer yet; it goes on in the background.", note: goesOn,
		},
		"nothing of a vendor's model": {
			out:  calls.Outcome{Live: live, Limit: limit},
			text: "m has been thinking for 12 s (about 0 tokens) and has not begun its answer yet; it goes on in the background.", note: goesOn,
		},
		"nothing of a local model": {
			out: calls.Outcome{Live: live, Limit: limit}, local: true,
			text: "The model is loading or reading the prompt: m, on this machine, has had the request for 12 s. It goes on in the background.", note: goesOn,
		},
		"a thought of a local model": {
			out: calls.Outcome{Live: live, Limit: limit, Response: text("", "", 1, "")}, local: true,
			text: "m has been thinking for 12 s (about 1 tokens) and has not begun its answer yet; it goes on in the background.", note: goesOn,
		},
		"a local model that was stopped": {
			out: calls.Outcome{Limit: limit}, local: true,
			text: "m had been thinking for 12 s (about 0 tokens) and had not begun its answer when it was stopped.", note: "The answer was cut off by GLM_TIMEOUT_SECS=30s.",
		},
		"cancelled": {
			out:  calls.Outcome{Cut: cut, Response: text("half", "", 0, providers.FinishCancelled)},
			text: "half", note: "The answer was cut off.",
		},
		"for no known reason": {out: calls.Outcome{Response: text("half", "", 0, providers.FinishStop)}, text: "half", note: "The answer was cut off."},
	} {
		s := &stubCaller{model: providers.Model{ID: "m", Local: tc.local}, outcome: tc.out}
		s.outcome.Partial, s.outcome.Elapsed = true, 12*time.Second
		a := s.generate(t, question("x"))
		assert.True(t, a.Partial, name)
		assert.Equal(t, tc.out.Live != nil, a.Pending, name)
		assert.Equal(t, tc.text, a.Text, name)
		assert.Equal(t, []string{tc.note}, a.Metadata().Notes, name)
	}
}

// What a model does is the progress of the tool call, unless whoever asks wants to hear of it.
func TestEventsAreTheCallsProgress(t *testing.T) {
	var shown, heard int
	report := progress.Start(nil, func(providers.Event) { shown++ }, "", "chat", time.Now())
	ctx := progress.With(t.Context(), report)
	s, q := &stubCaller{}, question("x")
	_, err := s.service(config.Default()).Generate(ctx, q)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 0}, []int{shown, heard})
	q.On = func(providers.Event) { heard++ }
	_, err = s.service(config.Default()).Generate(ctx, q)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 1}, []int{shown, heard})
}

// Whoever asks for the last answer of a conversation gets none that was asked for beside it.
func TestAnAnswerAsideIsNotTheLast(t *testing.T) {
	said := "the answer"
	b := newFixture(t, func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
		return &providers.ChatResponse{Content: said, FinishReason: providers.FinishStop}, nil
	})
	first := b.ask("", "x")
	said = "an aside"
	q := question("y")
	q.Aside = true
	second, err := b.Ask(b.call(), first.ContinuationID, q)
	require.NoError(t, err)
	assert.Equal(t, "an aside", second.Text)
	fetched, err := b.Fetch(b.call(), first.ContinuationID, nil)
	require.NoError(t, err)
	assert.Equal(t, "the answer", fetched.Text)
	loaded, err := b.store.Load(t.Context(), first.ContinuationID)
	require.NoError(t, err)
	assert.Equal(t, second.Metadata.Attempts, ask.MetadataOf(loaded.Turns[3]).Attempts, "it keeps how it was made")
}

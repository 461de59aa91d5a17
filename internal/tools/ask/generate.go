package ask

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

const (
	unknownWindow = 32_768 // tokens; for a model whose window nobody knows
	answerRoom    = 32_768 // tokens of a window that are kept for the answer, at most a quarter of it
)

// Generate asks a model and waits for the answer within the call's limit. It knows no conversation: History is what the model sees of
// one. An error means that nothing of an answer has arrived.
func (t *Conversations) Generate(ctx context.Context, q Question) (*Answer, error) {
	b := t.compose(ctx, q)
	if q.On == nil {
		q.On = progress.From(ctx).Model()
	}
	out, err := t.caller.Call(ctx, t.callOf(q, b))
	if errors.Is(err, providers.ErrPreview) {
		preview(providers.PreviewFrom(ctx), q, b)
		return nil, err
	}
	if err != nil {
		return nil, CallError(ctx, err, out)
	}
	asked, dropped := b.last()
	keepListing(&asked, q.Listing)
	a := &Answer{Outcome: *out, Asked: asked, Dropped: dropped, Notes: slices.Concat(q.Notes, out.Notes), question: q}
	a.describe()
	if dropped > 0 {
		a.Notes = append(a.Notes, leftOut(dropped, "the window of "+out.Model.ID))
	}
	return a, nil
}

// leftOut is the note on turns of the history that a window has no room for.
func leftOut(turns int, window string) string {
	which := "oldest turn"
	if turns > 1 {
		which = fmt.Sprintf("%d oldest turns", turns)
	}
	return fmt.Sprintf("Left out, since %s has no room for more: the %s of this conversation.", window, which)
}

// preview adds to a preview what a question would send beside its texts.
func preview(p *providers.Preview, q Question, b *builder) {
	asked, dropped := b.last()
	for _, a := range asked.Attachments {
		f := providers.PlannedFile{Path: a.Path, Bytes: max(a.Size, int64(len(a.Data))), Tokens: providers.EstimateTokens(a.Data)}
		if a.Image() {
			f.Tokens = providers.TokensPerImage
		}
		p.File(f)
	}
	p.Note(q.Notes...)
	if dropped > 0 {
		p.Note(leftOut(dropped, "the model's window"))
	}
}

// CallError is a model call's error with what is known of the requests behind it; out is the outcome that came with it.
func CallError(ctx context.Context, err error, out *calls.Outcome) error {
	if out == nil || out.Attempts == 0 {
		return err
	}
	e := *reply.FromError(ctx, err)
	m := metadata(*out)
	m.ModelUsed, m.ProviderUsed, m.FinishReason = "", "", "" // nobody answered; the error names who was asked
	if *m.Usage == (providers.Usage{}) {
		m.Usage = nil
	}
	e.Metadata = &m
	return &e
}

// describe says what the outcome means for who reads the answer.
func (a *Answer) describe() {
	out := a.Outcome
	a.Text, a.Partial, a.Pending, a.why = out.Response.Content, out.Partial, out.Live != nil, ""
	if out.Partial {
		a.why = whyPartial(out)
	}
	if note := noteOnMasks(a.Text); note != "" {
		a.Notes = append(a.Notes, note)
	}
	if out.Partial && strings.TrimSpace(a.Text) == "" {
		a.Text = stillThinking(out)
	}
}

// Preview shows the request that Generate would send, with calls.Caller.Preview as preview.
func (t *Conversations) Preview(ctx context.Context, q Question, preview func(context.Context, calls.Call) (*calls.Preview, error)) (*calls.Preview, error) {
	return preview(ctx, t.callOf(q, t.compose(ctx, q)))
}

func (t *Conversations) callOf(q Question, b *builder) calls.Call {
	images := false
	for _, a := range q.Attachments {
		images = images || a.Image()
	}
	return calls.Call{
		Model: q.Model, Prefer: q.Prefer, Provider: q.Provider, Category: q.Category,
		Needs:    providers.Needs{Images: images, Functions: len(q.Tools) > 0, Tokens: b.fixed + b.question.Tokens()},
		Thinking: q.Thinking, Search: q.Search, Build: b.build, Tools: b.tools, Bounds: b.bounds, NoCalls: q.NoCalls, Key: q.Key, Background: q.Background, On: q.On,
	}
}

// builder makes the request for whichever model is chosen, and remembers what it made last.
type builder struct {
	q        Question
	rules    string
	tools    []calls.Tool // the question's, and those that read
	bounds   calls.Bounds
	question conversation.Turn // with everything attached
	fixed    int               // tokens of what is sent besides history and question

	mu      sync.Mutex
	asked   conversation.Turn
	dropped int
}

func (t *Conversations) compose(ctx context.Context, q Question) *builder {
	b := &builder{q: q, rules: t.rules(q), tools: slices.Concat(q.Tools, q.Reader.Tools())}
	if q.Reader != nil {
		budget, _ := providers.BudgetFrom(ctx)
		b.bounds = looks.Bounds(budget.Limit.Value, q.FewReads)
	}
	b.question = conversation.Turn{
		Role: providers.RoleUser, Content: q.Prompt, Tool: q.Tool, Attachments: q.Attachments,
		Status: conversation.TurnComplete, CreatedAt: t.now(),
	}
	fixed := providers.ChatRequest{Messages: []providers.Message{{Content: b.system(q.Reader != nil)}}}
	for _, f := range b.tools {
		fixed.Functions = append(fixed.Functions, f.Function)
	}
	b.fixed = providers.Planned(providers.EstimateRequest(fixed))
	return b
}

// rules are those that hold for every tool.
func (t *Conversations) rules(q Question) string {
	return words.Rules(words.Facts{
		Date: t.now().Format("Monday, 2 January 2006"), Locale: t.cfg.Server.Locale, JSON: q.JSONObject, Search: q.Search,
		Masked: t.cfg.Files.Secrets == "mask",
	})
}

// build is calls.Call.Build: as much history as the model's window holds, then the question.
func (b *builder) build(m providers.Model) (providers.ChatRequest, error) {
	window := m.ContextWindow
	if window == 0 {
		window = unknownWindow
	}
	room := window - min(answerRoom, window/4) - b.fixed
	history, earlier := b.history()
	asked, held, first := b.fit(history, room)
	// While all of the turns fit, there may be room for those that were not read.
	for bytes := conversation.BytesPerToken * max(room, 2*usualWindow); first == 0 && earlier > 0; bytes *= 2 {
		more, err := b.q.more(bytes)
		if err != nil {
			return providers.ChatRequest{}, err
		}
		history, earlier = more.Turns, more.Earlier
		b.keep(history, earlier)
		asked, held, first = b.fit(history, room)
	}
	if need := asked.Tokens() + b.fixed; m.ContextWindow > 0 && need > window {
		return providers.ChatRequest{}, &providers.Error{
			Kind: providers.KindContextLength, Provider: m.Provider, Model: m.ID,
			Message: fmt.Sprintf("The request has about %d tokens, more than the context window of %s (%d).", need, m.ID, window),
			Hint:    "Send fewer or smaller files, a shorter prompt, or name a model with a larger window (listmodels).",
		}
	}
	history = history[first:]
	if len(held) > 0 {
		asked.Content += "\n\n[Unchanged since they were sent earlier in this conversation: " + strings.Join(held, ", ") + "]"
	}
	b.mu.Lock()
	b.asked, b.dropped = asked, earlier+first
	b.mu.Unlock()

	messages := append([]providers.Message{{Role: providers.RoleSystem, Content: b.system(b.q.Reader != nil && m.Functions)}}, conversation.Messages(history, m.Images)...)
	if n := len(messages) - 1; messages[n].Role == providers.RoleAssistant {
		messages = slices.Insert(messages, n, b.q.Exchange...)
	}
	return providers.ChatRequest{
		Messages: append(messages, asked.Messages(m.Images)...), Temperature: b.q.Temperature, MaxOutputTokens: b.q.MaxOutput,
		JSONObject: b.q.JSONObject && m.JSONObject, CacheKey: b.q.Key,
	}, nil
}

// fit is the question with the attachments that the model must be sent, the names of those that it has, and the index of the
// first turn of the history that goes with it.
func (b *builder) fit(history []conversation.Turn, room int) (asked conversation.Turn, held []string, first int) {
	asked = b.question
	// What the model has of the attachments depends on the turns that it sees, and these on what it must be sent again.
	for before, left := math.MinInt, math.MinInt; before != first; {
		before = first
		asked.Attachments, held = conversation.Unsent(history[first:], b.q.Attachments)
		if more := room - asked.Tokens(); more != left { // going over a long history takes its time
			first, left = max(first, conversation.Window(history, more)), more
		}
	}
	return asked, held, first
}

// history is as much of the history as was read so far, and how many turns there are before it.
func (b *builder) history() ([]conversation.Turn, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.q.History, b.q.earlier
}

func (b *builder) keep(history []conversation.Turn, earlier int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.q.History, b.q.earlier = history, earlier
}

// system is the system prompt. A model that reads by itself is told how.
func (b *builder) system(reads bool) string {
	parts := []string{b.q.System}
	if reads {
		parts = append(parts, b.q.Reader.Prompt(b.bounds, b.q.Reads))
	}
	parts = append(parts, b.rules, b.q.Form)
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n\n")
}

func (b *builder) last() (conversation.Turn, int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked, b.dropped
}

// stillThinking is what a client reads of an answer that has not started.
func stillThinking(out calls.Outcome) string {
	thought := max(providers.EstimateTokens(out.Response.Reasoning), out.Response.Usage.ReasoningTokens)
	who, secs := nameOf(out.Model.ID), out.Elapsed.Seconds()
	if out.Live != nil && out.Model.Local && thought == 0 {
		return fmt.Sprintf("The model is loading or reading the prompt: %s, on this machine, has had the request for %.0f s. It goes on in the background.", who, secs)
	}
	if out.Live != nil {
		return fmt.Sprintf("%s has been thinking for %.0f s (about %d tokens) and has not begun its answer yet; it goes on in the background.", who, secs, thought)
	}
	return fmt.Sprintf("%s had been thinking for %.0f s (about %d tokens) and had not begun its answer when it was stopped.", who, secs, thought)
}

func nameOf(model string) string {
	if model == "" {
		return "The model"
	}
	return model
}

// whyPartial says what ended a partial answer.
func whyPartial(out calls.Outcome) string {
	switch {
	case out.Live != nil: // which always has the limit that its call exceeded
		return fmt.Sprintf("The call exceeded its limit (%s); the answer continues in the background.", out.Limit)
	case out.Limit != nil:
		return fmt.Sprintf("The answer was cut off by %s.", out.Limit)
	case out.Cut != nil && out.Response.FinishReason != providers.FinishCancelled:
		return "The answer was cut off: " + out.Cut.Message + " This is what had arrived."
	case out.Response.FinishReason == providers.FinishLength:
		return "The answer exceeds the model's output limit and was cut off."
	case out.Response.FinishReason == providers.FinishContentFilter:
		return "The vendor's content filter cut the answer off; this is what had arrived."
	}
	return "The answer was cut off."
}

// turnMeta is what a turn keeps about how it was made.
type turnMeta struct {
	Thinking string                 `json:"thinking,omitempty"`
	Attempts int                    `json:"attempts,omitempty"`
	Fallback *providers.Fallback    `json:"fallback,omitempty"`
	Notes    []string               `json:"notes,omitempty"`
	Sources  []reply.Source         `json:"sources,omitempty"`
	Searches *providers.SearchTotal `json:"searches,omitempty"`
	// Original is the text as the model wrote it, where function calls written as text were removed from the content.
	Original string       `json:"original,omitempty"`
	Looked   []looks.Look `json:"looked_at,omitempty"`
	// Exchange is what the model called and was given before the answer, where it read files: whatever was sent is kept, and
	// another process can check what the answer quotes.
	Exchange []providers.Message `json:"exchange,omitempty"`
	Aside    bool                `json:"aside,omitempty"`
}

// LookedIn lists what the model of a stored answer looked at by itself.
func LookedIn(turn conversation.Turn) []looks.Look { return turnMetaOf(turn).Looked }

// ExchangeIn is what the model of a stored answer that has ended called and was given before it, where it read files.
func ExchangeIn(turn conversation.Turn) []providers.Message { return turnMetaOf(turn).Exchange }

// turnMetaOf returns a turn's; it is zero for one that this program did not make.
func turnMetaOf(turn conversation.Turn) (meta turnMeta) {
	_ = json.Unmarshal(turn.Meta, &meta)
	return meta
}

// Metadata says who answered and what it took.
func (a *Answer) Metadata() reply.Metadata {
	m := metadata(a.Outcome)
	m.Notes = nil
	m.Note(a.Notes...)
	m.Note(a.why)
	out := a.Outcome
	if out.Live != nil || out.Response.Usage == (providers.Usage{}) {
		return m
	}
	if !out.Response.UsageKnown {
		m.Note("usage is an estimate: the vendor did not report it.")
	}
	if out.Model.Price == nil && !out.Model.Local && !out.Response.CostKnown {
		m.Note("cost_usd leaves out " + out.Model.ID + ", whose price is not known; MODELS_FILE can give it.")
	}
	return m
}

func metadata(out calls.Outcome) reply.Metadata {
	m := reply.Metadata{
		ModelUsed: out.Model.ID, ProviderUsed: out.Model.Provider, Attempts: out.Attempts,
		FinishReason: string(out.Response.FinishReason), Thinking: out.Thinking, Fallback: out.Fallback,
	}
	usage := out.Response.Usage
	m.Usage = &usage
	m.Searched(out.Response.Searches, out.Searches)
	m.Note(out.Notes...)
	return m
}

// Turn is the answer as a turn to keep.
func (a *Answer) Turn() conversation.Turn {
	turn := fill(conversation.Turn{Role: providers.RoleAssistant, Tool: a.question.Tool}, a.Outcome, a.Looked())
	if a.question.Aside {
		meta := turnMetaOf(turn)
		meta.Aside = true
		turn.Meta, _ = json.Marshal(meta) // as in fill
	}
	return turn
}

// Looked lists what the model has looked at by itself so far.
func (a *Answer) Looked() []looks.Look { return a.question.Reader.Looked() }

// fill writes what an answer has come to, and what was looked at for it, into its turn.
func fill(turn conversation.Turn, out calls.Outcome, looked []looks.Look) conversation.Turn {
	turn.Content = out.Response.Content
	turn.Model, turn.Provider = out.Model.ID, out.Model.Provider
	turn.FinishReason, turn.Usage = out.Response.FinishReason, out.Response.Usage
	switch {
	case out.Live != nil:
		turn.Status = conversation.TurnRunning
	case out.Partial:
		turn.Status = conversation.TurnPartial
	default:
		turn.Status = conversation.TurnComplete
	}
	m := metadata(out)
	kept := turnMeta{
		Thinking: out.Thinking, Attempts: out.Attempts, Fallback: out.Fallback, Notes: out.Notes,
		Sources: m.Sources, Searches: m.Searches, Original: out.Original, Looked: looked,
	}
	if len(looked) > 0 && out.Live == nil { // while it goes on, it would be written again every 2 s
		kept.Exchange = out.Messages
	}
	meta, err := json.Marshal(kept)
	if err == nil { // these types always marshal
		turn.Meta = meta
	}
	return turn
}

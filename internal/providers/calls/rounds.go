package calls

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/markup"
)

func asError(err error) *providers.Error {
	var e *providers.Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// toolRounds is the exchange of function calls with one model. The generation's goroutine alone uses it.
type toolRounds struct {
	g        *Generation
	p        providers.Provider
	j        *job
	bounds   Bounds
	offer    offer
	round    int               // exchanges so far
	given    int               // bytes of results so far
	results  map[string]string // of calls that succeeded, by callKey
	numbered int               // calls of the rounds before, run or not
}

// offer is how far a request offers functions.
type offer int

const (
	offered   offer = iota
	withdrawn       // the request still lists them, so that the vendor's prefix cache holds; no call is run
	removed         // the request lists none: the last resort, behind which there is no further round
)

// What a model is told when its functions are withdrawn.
const (
	noMoreCalls = "No more function calls are possible. Conclude with what you have."
	concludeNow = "No more function calls are possible. Write your whole answer now, in the form that was asked for, from what you have. " +
		"Say what you could not check."
)

// runToolRounds gets the answer of one model: it sends the request, runs the functions that the model calls, and sends it
// again with their results, until there is text.
func (g *Generation) runToolRounds(c Candidate) (*providers.ChatResponse, error) {
	j, err := g.c.prepare(g.call, c.Model, g.deadline)
	if err != nil {
		return nil, err
	}
	j.searches = &g.searches
	g.update(func(s *state) {
		s.local = c.Model.Local
		s.out.Model, s.out.Thinking = c.Model, j.thinking()
		s.out.Notes = slices.Concat(s.out.Notes, c.Notes, j.notes)
	})
	r := &toolRounds{g: g, p: g.c.reg.lookup(c.Model.Provider), j: j, bounds: g.call.Bounds, results: map[string]string{}}
	if r.bounds == (Bounds{}) {
		r.bounds = DefaultBounds()
	}
	if len(j.req.Functions) > 0 && j.runsTools() && r.affordable(2) < minRoom {
		g.addNote(noMoreMoney)
		r.remove()
	}
	if g.call.NoCalls && len(j.req.Functions) > 0 {
		r.withdraw()
	}
	for {
		resp, failure := g.requestOnceMoreIfEmpty(r.p, j)
		if failure != nil {
			if g.attemptSentText() || !r.mayConclude(failure) {
				return nil, failure // what was delivered cannot be taken back
			}
			r.conclude()
			continue
		}
		if len(resp.ToolCalls) == 0 {
			r.takeWrittenCalls(resp)
		}
		if len(resp.ToolCalls) == 0 || r.offer == removed {
			if empty := emptyAnswerError(c.Model, resp); empty != nil && r.mayConclude(asError(empty)) {
				r.conclude()
				continue
			}
			return r.finish(resp)
		}
		pending := r.exchange(resp)
		if g.ctx.Err() != nil {
			return nil, g.contextError()
		}
		if len(pending) > 0 {
			resp.ToolCalls, resp.FinishReason = pending, providers.FinishToolCalls
			return resp, nil
		}
	}
}

// finish makes a model's last response the answer.
func (r *toolRounds) finish(resp *providers.ChatResponse) (*providers.ChatResponse, error) {
	m := r.j.req.Model
	if differentModel(resp.Model, m.ID) {
		r.g.addNote(fmt.Sprintf("%s reports that %s answered.", r.g.c.cfg.VendorTitle(r.p.Name()), resp.Model))
	}
	resp.ToolCalls = nil
	return resp, emptyAnswerError(m, resp)
}

// exchange is one round: it answers the calls of a response, and adds both to the next request. Beyond the bounds, the
// functions are withdrawn. pending are the calls that only our caller's client can run.
func (r *toolRounds) exchange(resp *providers.ChatResponse) (pending []providers.ToolCall) {
	before := r.offer
	replies, pending := r.answerCalls(resp)
	r.round++
	switch {
	case len(pending) > 0:
	case before == withdrawn:
		r.remove()
	case r.exhausted(replies):
		last := &replies[len(replies)-1]
		last.Content += "\n\n" + noMoreCalls
		short := r.affordable(2, replies...) < minRoom
		replies = append(replies, providers.Message{Role: providers.RoleUser, Content: concludeNow})
		if r.withdraw(); short { // a model that calls on would cost one more request
			r.g.addNote(noMoreMoney)
			r.remove()
		}
	}
	r.j.req.Messages = slices.Concat(r.j.req.Messages, replies)
	r.j.req.MaxOutputTokens = clampOutput(r.j.req.MaxOutputTokens, r.j.req)
	r.g.update(func(s *state) {
		if len(pending) == 0 {
			s.endRound()
		}
		s.out.Messages = append(s.out.Messages, replies...)
		found, total, cost := r.j.searches.total()
		s.out.Response.Searches, s.out.Searches = found, total
		s.out.Response.Usage = s.out.Response.Usage.Plus(providers.Usage{CostUSD: cost})
	})
	return pending
}

// exhausted reports whether a bound is reached: the rounds, the bytes, the model's window, half of the call's limit, or what
// the call may cost.
func (r *toolRounds) exhausted(replies []providers.Message) bool {
	d := r.g.deadline
	return r.round >= r.bounds.Rounds || r.room(replies...) < minRoom || r.affordable(2, replies...) < minRoom ||
		d.bounded && time.Since(d.start) >= d.budget.Limit.Value/2
}

// minRoom is how many bytes of results a further round must have room for.
const minRoom = 2_000

// room is how many bytes the results of a round may have: what is left of the bound, and of the model's window beside its
// answer, at two bytes a token: code has three.
func (r *toolRounds) room(replies ...providers.Message) int {
	room := r.bounds.Bytes - r.given
	if m := r.j.req.Model; m.ContextWindow > 0 {
		req := r.j.req
		req.Messages = slices.Concat(req.Messages, replies)
		answer := min(req.MaxOutputTokens, m.ContextWindow/4)
		room = min(room, 2*(m.ContextWindow-answer-providers.Planned(providers.EstimateRequest(req))))
	}
	if len(replies) == 0 { // results of this round, which the next request must carry
		room = min(room, r.affordable(1))
	}
	return max(room, 0)
}

// withdraw ends the function calls in the way that keeps the vendor's cached prefix: the functions stay in the request,
// with tool_choice "none" where the model takes it (Kimi). Elsewhere (GLM) the texts alone say so.
func (r *toolRounds) withdraw() {
	r.offer, r.j.req.ToolChoice = withdrawn, nil
	if slices.Contains(r.j.req.Model.ToolChoices, "none") {
		r.j.req.ToolChoice = json.RawMessage(`"none"`)
	}
}

// remove makes the next request the last one, without functions.
func (r *toolRounds) remove() {
	r.offer, r.j.req.Functions, r.j.req.ToolChoice = removed, nil, nil
}

// mayConclude reports whether one last request without functions may follow a failure: there are results that an answer can
// be made from, and the failure is none that such a request would meet too.
func (r *toolRounds) mayConclude(e *providers.Error) bool {
	if r.round == 0 || r.offer == removed || r.g.ctx.Err() != nil {
		return false
	}
	switch e.Kind {
	case providers.KindAuth, providers.KindBalance, providers.KindNotConfigured, providers.KindModelNotFound,
		providers.KindContentFiltered, providers.KindCancelled:
		return false
	}
	return true
}

// conclude prepares that request.
func (r *toolRounds) conclude() {
	if r.offer == offered {
		tell := providers.Message{Role: providers.RoleUser, Content: concludeNow}
		r.j.req.Messages = append(slices.Clip(r.j.req.Messages), tell)
		r.g.update(func(s *state) { s.out.Messages = append(s.out.Messages, tell) })
	}
	r.g.update((*state).endRound)
	r.remove()
}

// takeWrittenCalls takes function calls that the model wrote as text off the answer's end. Complete calls of functions that
// are on offer become calls; the others are removed, with a note. The original text stays in the outcome.
func (r *toolRounds) takeWrittenCalls(resp *providers.ChatResponse) {
	var onOffer []providers.Function
	if r.offer == offered {
		onOffer = r.j.req.Functions
	}
	parsed := markup.ParseCallMarkup(resp.Content, onOffer)
	if !parsed.Found() {
		return
	}
	original := resp.Content
	resp.Content, resp.ToolCalls = parsed.Text, parsed.Calls
	for i := range resp.ToolCalls { // ids must not repeat between the rounds
		resp.ToolCalls[i].ID = fmt.Sprintf("%s_%d", resp.ToolCalls[i].ID, r.round+1)
	}
	r.g.update(func(s *state) {
		s.out.Notes = append(s.out.Notes, removedNotes(parsed.Removed)...)
		s.taken = original
	})
}

// removedNotes are the notes about function calls that were removed from an answer's text, by the functions' names.
func removedNotes(names []string) []string {
	var notes []string
	for _, name := range names {
		what := "a function"
		if name != "" {
			what = fmt.Sprintf("the function %q", name)
		}
		note := fmt.Sprintf("The model wrote a call of %s as text. It was incomplete or not offered, so it was removed.", what)
		if !slices.Contains(notes, note) {
			notes = append(notes, note)
		}
	}
	return notes
}

func (g *Generation) addNote(note string) {
	g.update(func(s *state) { s.out.Notes = append(s.out.Notes, note) })
}

// differentModel reports whether a vendor named another model than it was asked for. A dated version is the same, and so
// is one with a gateway's path in front.
func differentModel(said, asked string) bool {
	said, asked = strings.ToLower(said[strings.LastIndexByte(said, '/')+1:]), strings.ToLower(asked[strings.LastIndexByte(asked, '/')+1:])
	rest, same := strings.CutPrefix(said, asked)
	dated := len(rest) > 1 && strings.ContainsRune("-@:", rune(rest[0])) && '0' <= rest[1] && rest[1] <= '9'
	return said != "" && (!same || rest != "" && !dated)
}

// emptyAnswerError is the error of a finished answer without text, nil when it has text.
func emptyAnswerError(m providers.Model, resp *providers.ChatResponse) error {
	if strings.TrimSpace(resp.Content) != "" {
		return nil
	}
	e := &providers.Error{Kind: providers.KindProviderError, RequestID: resp.RequestID}
	switch resp.FinishReason {
	case providers.FinishContentFilter:
		e.Kind = providers.KindContentFiltered
		e.Message = fmt.Sprintf("%s refused to answer: its vendor's content filter stopped it.", m.ID)
		e.Hint = "Rephrase the request, or name a model of the other vendor."
	case providers.FinishLength:
		e.Message = fmt.Sprintf("%s reached its output limit before it wrote any text.", m.ID)
		e.Hint = fmt.Sprintf("Ask with a lower thinking_mode, or raise %s_MAX_OUTPUT_TOKENS in the server's environment.", strings.ToUpper(m.Provider))
	default:
		e.Retry = true // as the hint says; a second answer often has text
		e.Message = fmt.Sprintf("%s finished without any text.", m.ID)
		e.Hint = "Send it again, rephrase it, or name another model."
	}
	return e
}

// requestOnceMoreIfEmpty sends a request. An answer that its output limit ended before any text is asked for once more
// with a higher limit or less thinking, if half of the call's time is left.
func (g *Generation) requestOnceMoreIfEmpty(p providers.Provider, j *job) (*providers.ChatResponse, *providers.Error) {
	resp, err := g.withRetries(p, j)
	empty := err == nil && resp.FinishReason == providers.FinishLength && strings.TrimSpace(resp.Content) == "" && len(resp.ToolCalls) == 0
	if !empty || !g.enoughTimeLeft(j) || !j.relax() {
		return resp, err
	}
	again, err := g.withRetries(p, j)
	if err != nil && err.Kind == providers.KindBudget {
		g.addNote("It was not asked again for text: " + err.Message)
		return resp, nil
	}
	g.update(func(s *state) {
		s.out.Thinking = j.thinking()
		s.out.Notes = append(s.out.Notes, fmt.Sprintf("The output limit ended the first answer before any text; asked again with %d tokens and %s.",
			j.req.MaxOutputTokens, describe(s.out.Thinking)))
	})
	return again, err
}

func describe(thinking string) string {
	if thinking == "" {
		return "the same thinking"
	}
	return thinking
}

// enoughTimeLeft reports whether half of the call's limit is left.
func (g *Generation) enoughTimeLeft(j *job) bool {
	request := g.c.cfg.Timeouts.Vendor(j.req.Model.Provider)
	end := g.deadline.start.Add(request.Value)
	if g.deadline.bounded {
		end = g.deadline.answerBy
	}
	return time.Until(end) >= g.deadline.limit(request)/2
}

// relax gives the next request more tokens for text, or less thinking, and reports whether it could. A cap that somebody
// set stays.
func (j *job) relax() bool {
	if !j.capSet {
		if more := clampOutput(4*j.req.MaxOutputTokens, j.req); more > j.req.MaxOutputTokens {
			j.req.MaxOutputTokens = more
			return true
		}
	}
	weaker, ok := j.req.Model.Thinking.Weaker(j.req.Thinking)
	j.req.Thinking = weaker
	return ok
}

// dropFunctions offers no functions where the model, or the server that runs it, has just said that it takes none, and
// remembers it. Functions that only our caller's client can run are what the call is about: they stay.
func (g *Generation) dropFunctions(j *job, e *providers.Error) bool {
	if !e.NoFunctions || len(j.req.Functions) == 0 || len(j.tools) < len(j.req.Functions) || !j.runsTools() {
		return false
	}
	g.c.reg.catalog.MarkNoFunctions(j.req.Model)
	j.req.Functions, j.req.ToolChoice, j.req.Model.Functions = nil, nil, false
	g.rebuild(j)
	g.addNote(fmt.Sprintf("%s takes no functions, so it was asked without them.", j.req.Model.ID))
	return true
}

// rebuild makes the messages of a first request again for what is now known of its model: a model that takes no functions
// is not told of any.
func (g *Generation) rebuild(j *job) {
	g.mu.Lock()
	begun := len(g.state.out.Messages) > 0
	g.mu.Unlock()
	if begun {
		return // what was called and returned stays
	}
	req, err := g.call.Build(j.req.Model)
	if err != nil {
		return // it was made before, so the one that there is will do
	}
	fresh := &job{req: req, searches: &searches{}}
	if g.c.vet(fresh) == nil {
		j.req.Messages = fresh.req.Messages
	}
}

// dropParameter leaves out the wire parameter that a refusal names, and reports whether the request can do without it.
func (g *Generation) dropParameter(j *job, e *providers.Error) bool {
	param := droppable(e.Param)
	if e.Kind != providers.KindInvalidRequest || param == "" || slices.Contains(j.req.Drop, param) {
		return false
	}
	j.req.Drop = append(slices.Clone(j.req.Drop), param)
	g.update(func(s *state) {
		s.out.Thinking = j.thinking()
		s.out.Notes = append(s.out.Notes, fmt.Sprintf("%s refused the parameter %s, so it was left out.", j.req.Model.ID, param))
	})
	return true
}

// lowerOutput asks once for a shorter answer where the vendor counts the output limit in advance and one request may not ask
// for so many tokens, and reports whether an answer would still fit.
func (g *Generation) lowerOutput(j *job, e *providers.Error) bool {
	fits := j.req.MaxOutputTokens - e.TooManyTokens
	if e.TooManyTokens <= 0 || j.lowered || fits < leastOutput {
		return false
	}
	j.lowered, j.req.MaxOutputTokens = true, fits
	g.addNote(fmt.Sprintf("%s was asked for at most %d tokens, since more than the account may ask for at once was refused.", j.req.Model.ID, fits))
	return true
}

// leastOutput is the least output limit with which a request is worth sending, in tokens.
const leastOutput = 1024

package calls

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// maxRounds is how many requests one answer may take when the model calls functions; the last is made without them, so
// that it ends in text.
const maxRounds = 5

// answer asks the first candidate and, where that is allowed, the next after a failure.
func (g *Generation) answer(list []Candidate) (*providers.ChatResponse, error) {
	for {
		c := list[0]
		resp, err := g.ask(c)
		failure := asError(err)
		if err == nil || failure != nil { // else it is Build's, and no vendor was asked
			g.c.reg.note(c.Model.Provider, g.blame(failure))
		}
		if len(list) < 2 || failure == nil || !g.mayFallBack(failure) {
			return resp, err
		}
		list = list[1:]
		g.mu.Lock()
		g.out.Fallback = &providers.Fallback{From: c.Model.ID, To: list[0].Model.ID, Reason: string(failure.Kind)}
		g.mu.Unlock()
		g.tell(providers.PhaseFallback, 0)
	}
}

func asError(err error) *providers.Error {
	var e *providers.Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// blame is the failure as far as it is the vendor's: a limit of ours that ended an answer in the middle is not.
func (g *Generation) blame(e *providers.Error) *providers.Error {
	if e != nil && e.Kind == providers.KindTimeout && g.begun() {
		return nil
	}
	return e
}

func (g *Generation) begun() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.spoken
}

// mayFallBack tells whether another vendor, if there is one (for a model that the caller named there is none), may answer
// instead: the failure is one that another attempt might have cured, and no passed limit.
func (g *Generation) mayFallBack(e *providers.Error) bool {
	return g.c.cfg.Calls.FallbackOnFailure &&
		(e.Retry || e.Kind == providers.KindOverloaded) && e.Kind != providers.KindTimeout &&
		!g.begun() && g.ctx.Err() == nil &&
		(!g.frame.bounded || time.Until(g.frame.answerBy) > minAttempt)
}

// ask gets the answer of one model: its rounds of functions, until there is text.
func (g *Generation) ask(c Candidate) (*providers.ChatResponse, error) {
	j, err := g.c.prepare(g.call, c.Model, g.frame)
	if err != nil {
		return nil, err
	}
	g.mu.Lock()
	g.out.Model, g.out.Thinking = c.Model, j.thinking()
	g.out.Notes = slices.Concat(g.out.Notes, c.Notes, j.notes)
	g.mu.Unlock()

	p := g.c.reg.lookup(c.Model.Provider)
	for round := 1; ; round++ {
		if round == maxRounds {
			j.req.Functions, j.req.ToolChoice = nil, nil
		}
		resp, failure := g.request(p, j)
		if failure != nil {
			return nil, failure
		}
		if len(resp.ToolCalls) == 0 || round == maxRounds {
			if another(resp.Model, c.Model.ID) {
				g.mu.Lock()
				g.out.Notes = append(g.out.Notes, fmt.Sprintf("%s says that the model which answered is %s.", titleOf(p.Name()), resp.Model))
				g.mu.Unlock()
			}
			resp.ToolCalls = nil
			return resp, textless(c.Model, resp)
		}
		replies, pending := g.callTools(j, resp)
		if g.ctx.Err() != nil {
			return nil, g.ending()
		}
		g.mu.Lock()
		g.out.Messages = append(g.out.Messages, replies...)
		found, cost := j.searched()
		g.out.Response.Searches = found
		g.out.Response.Usage = g.out.Response.Usage.Plus(providers.Usage{CostUSD: cost})
		g.mu.Unlock()
		if len(pending) > 0 {
			resp.ToolCalls, resp.FinishReason = pending, providers.FinishToolCalls
			return resp, nil
		}
		j.req.Messages = slices.Concat(j.req.Messages, replies)
	}
}

// another tells whether a vendor named another model than it was asked for. A dated version is the same, and so is one
// with a gateway's path in front.
func another(said, asked string) bool {
	said, asked = strings.ToLower(said[strings.LastIndexByte(said, '/')+1:]), strings.ToLower(asked)
	rest, same := strings.CutPrefix(said, asked)
	dated := len(rest) > 1 && strings.ContainsRune("-@:", rune(rest[0])) && '0' <= rest[1] && rest[1] <= '9'
	return said != "" && (!same || rest != "" && !dated)
}

// textless is the error of a finished answer that says nothing, nil when it says something.
func textless(m providers.Model, resp *providers.ChatResponse) error {
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
		e.Message = fmt.Sprintf("%s finished without any text.", m.ID)
		e.Hint = "Send it again, rephrase it, or name another model."
	}
	return e
}

// request sends one request until it is answered. An answer that its output limit ended before any text is asked for
// once more with a higher limit or less thinking, if half of the call's time is left.
func (g *Generation) request(p providers.Provider, j *job) (*providers.ChatResponse, *providers.Error) {
	resp, err := g.send(p, j)
	empty := err == nil && resp.FinishReason == providers.FinishLength && strings.TrimSpace(resp.Content) == "" && len(resp.ToolCalls) == 0
	if !empty || !g.halfLeft(j) || !j.loosen() {
		return resp, err
	}
	g.mu.Lock()
	g.out.Thinking = j.thinking()
	g.out.Notes = append(g.out.Notes, fmt.Sprintf("The output limit ended the first answer before any text; asked again with %d tokens and %s.",
		j.req.MaxOutputTokens, describe(g.out.Thinking)))
	g.mu.Unlock()
	return g.send(p, j)
}

func describe(thinking string) string {
	if thinking == "" {
		return "the same thinking"
	}
	return thinking
}

// halfLeft tells whether half of the call's limit is left.
func (g *Generation) halfLeft(j *job) bool {
	request := g.c.cfg.Timeouts.Vendor(j.req.Model.Provider)
	end := g.frame.start.Add(request.Value)
	if g.frame.bounded {
		end = g.frame.answerBy
	}
	return time.Until(end) >= g.frame.limit(request)/2
}

// loosen gives the next request more room for text, and is false when there is none to give. A cap that somebody set
// stays, so there only the thinking can give way.
func (j *job) loosen() bool {
	if !j.capSet {
		if more := bounded(4*j.req.MaxOutputTokens, j.req); more > j.req.MaxOutputTokens {
			j.req.MaxOutputTokens = more
			return true
		}
	}
	weaker, ok := j.req.Model.Thinking.Weaker(j.req.Thinking)
	j.req.Thinking = weaker
	return ok
}

// send makes the attempts of one request, within the vendor's limit.
func (g *Generation) send(p providers.Provider, j *job) (*providers.ChatResponse, *providers.Error) {
	limit, since := g.c.cfg.Timeouts.Vendor(p.Name()), time.Now()
	g.mu.Lock()
	g.asked = asking{limit: limit, since: since, input: providers.EstimateRequest(j.req)}
	g.delivering = false
	g.onWait = time.AfterFunc(limit.Value, g.requestOver)
	wait := g.onWait
	g.mu.Unlock()
	defer func() {
		wait.Stop()
		g.mu.Lock()
		g.asked.limit = config.Limit{} // what runs until the next request, if anything, is no request
		g.mu.Unlock()
	}()

	loop := retrying{
		attempts: 1 + g.c.cfg.Calls.MaxRetries,
		left:     func() time.Duration { return g.left(limit.Value, since) },
		ended:    g.ending,
		mend:     func(e *providers.Error) bool { return g.mend(j, e) },
		waiting:  func(wait time.Duration) { g.tell(providers.PhaseRetrying, wait) },
		jitter:   g.c.jitter,
	}
	var resp *providers.ChatResponse
	err := loop.run(g.ctx, func() (err *providers.Error) {
		resp, err = g.attempt(p, j.req)
		return err
	})
	if err == nil || err.Kind != providers.KindInvalidRequest { // else it was not the parameters, and later requests keep them
		g.c.drop(j.req.Model, j.req.Drop)
	}
	if err != nil && err.Kind == providers.KindModelNotFound {
		err.Hint = g.c.reg.suggest(j.req.Model.ID)
	}
	return resp, err
}

// left is what is left of a request's time; a call that is over counts no more once its answer goes on behind it.
func (g *Generation) left(limit time.Duration, since time.Time) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	left := limit - time.Since(since)
	if g.frame.bounded && !g.detached {
		left = min(left, time.Until(g.frame.answerBy))
	}
	return left
}

// mend leaves out the wire parameter that a refusal names, if the request can do without.
func (g *Generation) mend(j *job, e *providers.Error) bool {
	param := droppable(e.Param)
	if e.Kind != providers.KindInvalidRequest || param == "" || slices.Contains(j.req.Drop, param) {
		return false
	}
	j.req.Drop = append(slices.Clone(j.req.Drop), param)
	g.mu.Lock()
	g.out.Thinking = j.thinking()
	g.out.Notes = append(g.out.Notes, fmt.Sprintf("%s refused the parameter %s, so it was left out.", j.req.Model.ID, param))
	g.mu.Unlock()
	return true
}

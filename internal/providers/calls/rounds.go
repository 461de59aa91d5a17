package calls

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/markup"
)

// maxRounds is how many requests one answer may take when the model calls functions; the last is made without them, so
// that it ends in text.
const maxRounds = 5

func asError(err error) *providers.Error {
	var e *providers.Error
	if errors.As(err, &e) {
		return e
	}
	return nil
}

// runToolRounds gets the answer of one model: it sends the request, runs the functions that the model calls, and sends it
// again with their results, until there is text.
func (g *Generation) runToolRounds(c Candidate) (*providers.ChatResponse, error) {
	j, err := g.c.prepare(g.call, c.Model, g.deadline)
	if err != nil {
		return nil, err
	}
	j.searches = &g.searches
	g.update(func(s *state) {
		s.out.Model, s.out.Thinking = c.Model, j.thinking()
		s.out.Notes = slices.Concat(s.out.Notes, c.Notes, j.notes)
	})

	p := g.c.reg.lookup(c.Model.Provider)
	for round := 1; ; round++ {
		if round == maxRounds {
			j.req.Functions, j.req.ToolChoice = nil, nil
		}
		resp, failure := g.requestOnceMoreIfEmpty(p, j)
		if failure != nil {
			return nil, failure
		}
		if len(resp.ToolCalls) == 0 {
			g.takeWrittenCalls(j, resp, round)
		}
		if len(resp.ToolCalls) == 0 || round == maxRounds {
			if differentModel(resp.Model, c.Model.ID) {
				g.addNote(fmt.Sprintf("%s reports that %s answered.", g.c.cfg.VendorTitle(p.Name()), resp.Model))
			}
			resp.ToolCalls = nil
			return resp, emptyAnswerError(c.Model, resp)
		}
		replies, pending := g.callTools(j, resp)
		g.update(func(s *state) {
			s.out.Messages = append(s.out.Messages, replies...)
			found, total, cost := j.searches.total()
			s.out.Response.Searches, s.out.Searches = found, total
			s.out.Response.Usage = s.out.Response.Usage.Plus(providers.Usage{CostUSD: cost})
		})
		if g.ctx.Err() != nil {
			return nil, g.contextError()
		}
		if len(pending) > 0 {
			resp.ToolCalls, resp.FinishReason = pending, providers.FinishToolCalls
			return resp, nil
		}
		j.req.Messages = slices.Concat(j.req.Messages, replies)
	}
}

// takeWrittenCalls takes function calls that the model wrote as text off the answer's end. Complete calls of functions that
// the request offered become calls; the others are removed, with a note. The original text stays in the outcome, unless
// the answer goes on with another round.
func (g *Generation) takeWrittenCalls(j *job, resp *providers.ChatResponse, round int) {
	parsed := markup.ParseCallMarkup(resp.Content, j.req.Functions)
	if !parsed.Found() {
		return
	}
	original := resp.Content
	resp.Content, resp.ToolCalls = parsed.Text, parsed.Calls
	for i := range resp.ToolCalls { // ids must not repeat between the rounds
		resp.ToolCalls[i].ID = fmt.Sprintf("%s_%d", resp.ToolCalls[i].ID, round)
	}
	g.update(func(s *state) {
		s.out.Notes = append(s.out.Notes, removedNotes(parsed.Removed)...)
		if len(resp.ToolCalls) == 0 {
			s.out.Original = original
		}
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
	said, asked = strings.ToLower(said[strings.LastIndexByte(said, '/')+1:]), strings.ToLower(asked)
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
	g.update(func(s *state) {
		s.out.Thinking = j.thinking()
		s.out.Notes = append(s.out.Notes, fmt.Sprintf("The output limit ended the first answer before any text; asked again with %d tokens and %s.",
			j.req.MaxOutputTokens, describe(s.out.Thinking)))
	})
	return g.withRetries(p, j)
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

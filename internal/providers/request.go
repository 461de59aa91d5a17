package providers

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// job is one call made ready for one model.
type job struct {
	req   ChatRequest
	tools map[string]Tool
	notes []string
	// capSet: the operator or the tool set the output cap.
	capSet bool

	mu    sync.Mutex
	found []SearchHit // by our search function
	cost  float64     // of its searches, in USD, as far as it is not counted yet
}

// prepare makes the request for a model: what Build made of it, and what follows from the model and the configuration.
func (c *Caller) prepare(call Call, m Model, f frame) (*job, error) {
	req, err := call.Build(m)
	if err != nil {
		return nil, err
	}
	j := &job{req: req, tools: map[string]Tool{}}
	j.req.Model = m
	j.req.Thinking = m.Thinking.Switch(call.mode(f), f.limit(c.cfg.Timeouts.Vendor(m.Provider)))
	j.req.Drop = c.dropped(m)
	for _, param := range j.req.Drop {
		j.notes = append(j.notes, fmt.Sprintf("%s refused the parameter %s before, so it is left out.", m.ID, param))
	}
	j.req.Functions = slices.Clone(req.Functions)
	for _, t := range call.Tools {
		j.offer(t)
	}
	if call.Search {
		c.attachSearch(j)
	}
	if j.capSet = j.req.MaxOutputTokens > 0; !j.capSet {
		j.req.MaxOutputTokens, j.capSet = outputCap(c.cfg, m, j.req.Thinking)
	}
	j.req.MaxOutputTokens = bounded(j.req.MaxOutputTokens, j.req)
	return j, nil
}

// mode is the call's thinking mode, or the default of its class: a simple tool's answer is wanted at once.
func (call Call) mode(f frame) ThinkingMode {
	switch {
	case call.Thinking != "":
		return call.Thinking
	case f.simple():
		return ThinkLow
	}
	return ThinkMedium
}

// limit is the whole call's limit, its reserve included; the request's own outside a tool call.
func (f frame) limit(request config.Limit) time.Duration {
	if f.bounded {
		return f.budget.Limit.Value
	}
	return request.Value
}

func (j *job) offer(t Tool) {
	j.req.Functions = append(j.req.Functions, t.Function)
	j.tools[t.Name] = t
}

// leastOutput is what a full window still leaves for the answer; the vendor says so itself when that is too much.
const leastOutput = 1_024

// bounded keeps an output cap below what the model can write and what its window leaves beside the input.
func bounded(n int, req ChatRequest) int {
	m := req.Model
	if m.MaxOutput > 0 {
		n = min(n, m.MaxOutput)
	}
	if m.ContextWindow > 0 {
		room := m.ContextWindow - Planned(EstimateRequest(req))
		n = min(n, max(room, leastOutput))
	}
	return n
}

// thinking is the switch as it is sent, "" when nothing is.
func (j *job) thinking() string {
	s := j.req.Thinking
	if slices.Contains(j.req.Drop, "thinking") {
		s.Type = ""
	}
	if slices.Contains(j.req.Drop, "reasoning_effort") {
		s.Effort = ""
	}
	return s.String()
}

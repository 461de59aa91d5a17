package calls

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// job is one call made ready for one model.
type job struct {
	req   providers.ChatRequest
	tools map[string]Tool
	notes []string
	// capSet: the operator or the tool set the output cap.
	capSet bool
	// lowered: the vendor refused so large an output cap, so it was lowered.
	lowered bool

	searches *searches // of the whole answer
}

// prepare makes the request for a model: what Build made of it, and what follows from the model and the configuration.
func (c *Caller) prepare(call Call, m providers.Model, d callDeadline) (*job, error) {
	req, err := call.Build(m)
	if err != nil {
		return nil, err
	}
	j := &job{req: req, tools: map[string]Tool{}, searches: &searches{}}
	if err := c.vet(j); err != nil {
		return nil, err
	}
	j.req.Model = m
	j.req.Thinking = m.Thinking.Switch(call.mode(d), d.limit(c.cfg.Timeouts.Vendor(m.Provider)))
	j.req.Drop = c.dropped(m)
	for _, param := range j.req.Drop {
		j.notes = append(j.notes, fmt.Sprintf("%s refused the parameter %s before, so it is left out.", m.ID, param))
	}
	j.req.Functions = slices.Clone(req.Functions)
	var left []string
	for _, t := range call.Tools {
		if t.Optional && !m.Functions {
			left = append(left, t.Name)
			continue
		}
		j.addTool(t)
	}
	if len(left) > 0 {
		j.notes = append(j.notes, fmt.Sprintf("%s cannot call functions, so it had none of %s.", m.ID, strings.Join(left, ", ")))
	}
	if call.Search {
		c.attachSearch(j)
	}
	if j.capSet = j.req.MaxOutputTokens > 0; !j.capSet {
		j.req.MaxOutputTokens, j.capSet = outputCap(c.cfg, m, j.req.Thinking)
	}
	j.req.MaxOutputTokens = clampOutput(j.req.MaxOutputTokens, j.req)
	return j, nil
}

// mode is the call's thinking mode, or the default of its class: a simple tool's answer is wanted at once.
func (call Call) mode(d callDeadline) providers.ThinkingMode {
	switch {
	case call.Thinking != "":
		return call.Thinking
	case d.simple():
		return providers.ThinkLow
	}
	return providers.ThinkMedium
}

// limit is the whole call's limit, its reserve included; the request's own outside a tool call.
func (d callDeadline) limit(request config.Limit) time.Duration {
	if d.bounded {
		return d.budget.Limit.Value
	}
	return request.Value
}

func (j *job) addTool(t Tool) {
	j.req.Functions = append(j.req.Functions, t.Function)
	j.tools[t.Name] = t
}

// minOutput is what a full window still leaves for the answer; the vendor says so itself when that is too much.
const minOutput = 1_024

// clampOutput keeps an output cap below what the model can write and what its window leaves beside the input.
func clampOutput(n int, req providers.ChatRequest) int {
	m := req.Model
	if m.MaxOutput > 0 {
		n = min(n, m.MaxOutput)
	}
	if m.ContextWindow > 0 {
		room := m.ContextWindow - providers.Planned(providers.EstimateRequest(req))
		n = min(n, max(room, minOutput))
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

// outputCap is how many tokens a model may answer with where a tool says nothing, and whether the operator set it: else
// more where the model thinks, since thinking counts as output.
func outputCap(c *config.Config, m providers.Model, s providers.ThinkingSwitch) (tokens int, set bool) {
	if v := c.Vendor(m.Provider); v != nil && v.MaxOutputTokens > 0 {
		return v.MaxOutputTokens, true
	}
	if c.Models.MaxOutputTokens > 0 {
		return c.Models.MaxOutputTokens, true
	}
	if m.Thinking.On(s) {
		return 32_768, false
	}
	return 8_192, false
}

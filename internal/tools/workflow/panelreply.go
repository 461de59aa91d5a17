package workflow

import (
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

// combinedReply is the reply with all answers.
func combinedReply(p Panel, id string) *reply.Object {
	return consensusReply(p, id, "consensus_workflow_complete", 0, len(p.Answers)).
		Set("agent_analysis", (&reply.Object{}).Set("initial_analysis", p.Step.Step).Set("findings", p.Step.Findings)).
		Set("consensus_complete", true).Set("complete_consensus", finishedConsensus(p)).
		Set("next_steps", p.WhenAll)
}

// singleReply is the reply with the answer that a step's number stands for.
func singleReply(p Panel, id string) (*reply.Object, error) {
	n, total := p.Step.StepNumber, len(p.Answers)
	if n > total {
		return nil, reply.InvalidRequest("Begin a new consensus with step_number 1 and without continuation_id.",
			"step_number %d: this consensus has %s, all given with step 1.", n, count(total, "answer"))
	}
	if n == total {
		return consensusReply(p, id, "consensus_workflow_complete", n-1, n).
			Set("consensus_complete", true).Set("complete_consensus", finishedConsensus(p)).
			Set("next_steps", p.WhenAll), nil
	}
	args := (&reply.Object{}).Set("step", p.Question).Set("step_number", n+1).Set("total_steps", total).
		Set("next_step_required", n+1 < total).Set("continuation_id", id)
	o := consensusReply(p, id, "model_consulted", n-1, n).
		Set("next_call", NextCall{Tool: "consensus", Arguments: args}).Set("next_steps", p.ForMore)
	return continued(o, n+1, id), nil
}

// consensusReply is what all replies of a consensus have: the answer at shown, and the first given ones.
func consensusReply(p Panel, id, status string, shown, given int) *reply.Object {
	o := (&reply.Object{}).Set("status", status).Set("step_number", p.Step.StepNumber).Set("total_steps", len(p.Answers)).
		Set("next_step_required", given < len(p.Answers))
	if id != "" {
		o.Set("continuation_id", id)
	}
	var looked []looks.Look
	for _, a := range p.Answers[:given] {
		looked = append(looked, a.Who.Looked...)
	}
	if len(looked) > 0 {
		o.Set("looked_at", looked)
	}
	one := p.Answers[shown]
	return o.Set("model_consulted", one.Model).Set("model_stance", one.Stance).
		Set("model_response", (&reply.Object{}).Set("see", "accumulated_responses").Set("index", shown)).
		Set("current_model_index", given).Set("accumulated_responses", p.Answers[:given]).Set("file_context", p.Files.shown())
}

// finishedConsensus sums a consensus up: whom it asked, and how many answered in full.
func finishedConsensus(p Panel) *reply.Object {
	labels, complete := []string{}, 0
	for _, o := range p.Answers {
		labels = append(labels, o.label())
		if o.Status == panelistAnswered {
			complete++
		}
	}
	return (&reply.Object{}).Set("initial_prompt", p.Question).Set("models_consulted", labels).Set("total_responses", complete)
}

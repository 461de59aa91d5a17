package workflow_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

const question = "Should sessions live in cookies or in the database?"

func consensusArgs(more ...any) dict {
	return with(dict{
		"step": question, "step_number": 1, "total_steps": 2, "next_step_required": true, "findings": "I lean to cookies.",
		"models": []dict{{"model": "glm-5.3", "stance": "for"}, {"model": "kimi-k3", "stance": "against", "stance_prompt": "Be the auditor."}},
	}, more...)
}

func both(glm, kimi asktest.Chat) func(t *testing.T, set ...func(l *fixture)) *fixture {
	return func(t *testing.T, set ...func(l *fixture)) *fixture {
		return newFixture(t, glm, append([]func(l *fixture){func(l *fixture) { l.kimi = kimi }}, set...)...)
	}
}

func panelOpinions(reply dict) (out []string) {
	list, _ := reply["accumulated_responses"].([]any)
	for _, o := range list {
		out = append(out, fmt.Sprintf("%v:%v %v", at(o, "model"), at(o, "stance"), at(o, "status")))
	}
	return out
}

// All are asked at once, independently of each other and to the caller's view, and step 1 returns all answers.
func TestConsensusAsksAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := both(slowly(10, "**Verdict** cookies."), slowly(12, "**Verdict** the database."))(t)
		file := l.file("session.go", "package session\n")
		start := time.Now()
		r := l.call("consensus", consensusArgs("relevant_files", []string{file}))
		assert.Equal(t, 12*time.Second, time.Since(start), "the slowest, not the sum")
		assert.ElementsMatch(t, []string{
			"status", "step_number", "total_steps", "next_step_required", "continuation_id", "model_consulted", "model_stance", "model_response",
			"current_model_index", "accumulated_responses", "file_context", "agent_analysis", "consensus_complete", "complete_consensus",
			"next_steps", "metadata",
		}, keysOf(r))
		assert.Equal(t, "consensus_workflow_complete", r["status"])
		assert.Equal(t, false, r["next_step_required"])
		assert.Equal(t, true, r["consensus_complete"])
		assert.EqualValues(t, 2, r["total_steps"])
		assert.Equal(t, []string{"glm-5.3:for success", "kimi-k3:against success"}, panelOpinions(r))
		assert.Equal(t, "**Verdict** the database.", at(r, "accumulated_responses", 1, "verdict"))
		assert.Equal(t, "glm-5.3", at(r, "accumulated_responses", 0, "metadata", "model_name"))
		assert.Equal(t, question, at(r, "complete_consensus", "initial_prompt"))
		assert.Equal(t, []any{"glm-5.3:for", "kimi-k3:against"}, at(r, "complete_consensus", "models_consulted"))
		assert.Equal(t, dict{"see": "accumulated_responses", "index": 0.0}, r["model_response"], "no answer appears twice")
		assert.NotContains(t, r["complete_consensus"], "consensus_confidence")
		assert.Equal(t, "I lean to cookies.", at(r, "agent_analysis", "findings"))
		assert.Equal(t, "glm-5.3, kimi-k3", at(r, "metadata", "model_used"))
		assert.Equal(t, "glm, kimi", at(r, "metadata", "provider_used"))
		assert.EqualValues(t, 20, at(r, "metadata", "usage", "input_tokens"))
		assert.Equal(t, "multi_model_consensus", at(r, "metadata", "workflow_type"))

		require.Len(t, l.requests, 2)
		for i, q := range l.requests {
			require.Len(t, q.Messages, 2, "no history")
			assert.NotContains(t, fmt.Sprint(q.Messages), "lean to cookies")
			assert.Contains(t, q.Messages[1].Content, question)
			assert.Contains(t, q.Messages[1].Content, "package session")
			assert.Equal(t, "high", q.Thinking.Effort, "medium on this scale, in a call of 55 s")
			assert.False(t, q.NativeSearch)
			assert.Equal(t, []string{"read_file", "search_files", "list_files"}, functionsOf(q), "reads, and no search beside them")
			stance := map[string]string{"glm": "# Stance\n\nArgue for the proposal", "kimi": "# Stance\n\nBe the auditor."}[l.vendors[i]]
			assert.Contains(t, q.Messages[0].Content, stance)
		}

		// Sent again: stored. Steps 2 and later: the same answers, one by one.
		id := r["continuation_id"]
		l.restart()
		again := l.call("consensus", consensusArgs("relevant_files", []string{file}, "continuation_id", id))
		assert.Equal(t, r["accumulated_responses"], again["accumulated_responses"])
		assert.True(t, noteIn(again, "no model was asked"))
		second := l.call("consensus", dict{"step": "go on", "step_number": 2, "total_steps": 2, "next_step_required": false, "continuation_id": id})
		assert.Equal(t, "consensus_workflow_complete", second["status"])
		assert.Equal(t, "kimi-k3", second["model_consulted"])
		assert.Equal(t, []string{"glm-5.3:for success", "kimi-k3:against success"}, panelOpinions(second))
		assert.Equal(t, "invalid_request", l.errorCode("consensus", dict{"step": "more", "step_number": 3, "total_steps": 3, "next_step_required": true, "continuation_id": id}))
		assert.Len(t, l.requests, 2)

		chat := l.call("chat", dict{"prompt": "So which?", "continuation_id": id})
		assert.NotEqual(t, "error", chat["status"])
		assert.Contains(t, fmt.Sprint(l.requests[2].Messages), "**Verdict** the database.", "the conversation knows the answers")
	})
}

// Three answers one by one: next_call leads from one to the next.
func TestConsensusOneByOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := both(asktest.Says("one"), asktest.Says("two"))(t)
		r := l.call("consensus", consensusArgs("models", []dict{{"model": "glm-5.3"}, {"model": "kimi-k3"}, {"model": "glm-5.3", "stance": "against"}}))
		next := dict{"step": "go on", "step_number": 2, "total_steps": 3, "next_step_required": true, "continuation_id": r["continuation_id"]}
		second := l.call("consensus", next)
		assert.Equal(t, "model_consulted", second["status"])
		assert.Equal(t, "The next call returns answer 3 of 3.", second["next_steps"])
		assert.Equal(t, true, second["next_step_required"])
		assert.Len(t, second["accumulated_responses"], 2)
		third := l.call("consensus", l.nextCall(second))
		assert.Equal(t, "consensus_workflow_complete", third["status"])
		assert.Len(t, third["accumulated_responses"], 3)
		assert.Equal(t, 3, l.asked())
	})
}

func TestConsensusWithFailures(t *testing.T) {
	balance := fails(providers.Error{Kind: providers.KindBalance, Message: "The account is empty."})
	t.Run("one fails", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := both(asktest.Says("cookies"), balance)(t)
			r := l.call("consensus", consensusArgs())
			assert.Equal(t, []string{"glm-5.3:for success", "kimi-k3:against error"}, panelOpinions(r))
			assert.Equal(t, "balance", at(r, "accumulated_responses", 1, "error", "code"))
			assert.EqualValues(t, 1, at(r, "accumulated_responses", 1, "metadata", "attempts"))
			assert.EqualValues(t, 2, at(r, "metadata", "attempts"), "failed requests count")
			assert.NotContains(t, at(r, "accumulated_responses", 1), "verdict")
			assert.EqualValues(t, 1, at(r, "complete_consensus", "total_responses"))
			assert.Equal(t, "glm-5.3", at(r, "metadata", "model_used"))

			// Sent again, over a restart: only the one that failed is asked, and its place stays.
			l.restart()
			stored := l.call("consensus", dict{"step": "x", "step_number": 2, "total_steps": 2, "next_step_required": false, "continuation_id": r["continuation_id"]})
			assert.Equal(t, dict{"see": "accumulated_responses", "index": 1.0}, stored["model_response"])
			assert.Equal(t, "balance", at(stored, "accumulated_responses", 1, "error", "code"), "what it failed of is kept")
			l.kimi = asktest.Says("the database")
			before := l.asked()
			again := l.call("consensus", consensusArgs("continuation_id", r["continuation_id"]))
			assert.Equal(t, before+1, l.asked())
			assert.Equal(t, "kimi", l.vendors[before])
			assert.Equal(t, []string{"glm-5.3:for success", "kimi-k3:against success"}, panelOpinions(again))
			assert.True(t, noteIn(again, "only the models that had not answered"))
			loaded, err := l.store.Load(t.Context(), r["continuation_id"].(string))
			require.NoError(t, err)
			assert.Len(t, loaded.Turns, 2, "the new answers take the place of the old")
		})
	})
	t.Run("one of those that were chosen", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := both(asktest.Says("cookies"), balance)(t)
			args := consensusArgs("models", nil)
			args["continuation_id"] = l.call("consensus", args)["continuation_id"]
			l.cfg.GLM.QualityModel, l.cfg.Kimi.QualityModel = "glm-5.2", "kimi-k3"
			l.restart()
			l.kimi = asktest.Says("the database")
			before := l.asked()
			again := l.call("consensus", args)
			assert.Equal(t, []string{"glm-5.3:neutral success", "kimi-k3.1-pro:neutral success"}, panelOpinions(again), "who was asked before, whatever the default is by now")
			assert.Equal(t, before+1, l.asked())
		})
	})
	t.Run("one is partial", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := both(asktest.Says("cookies"), slowly(90, strings.Repeat("x", 90)))(t)
			start := time.Now()
			r := l.call("consensus", consensusArgs())
			assert.Less(t, time.Since(start), 55*time.Second)
			assert.Equal(t, []string{"glm-5.3:for success", "kimi-k3:against partial"}, panelOpinions(r))
			part := at(r, "accumulated_responses", 1, "verdict").(string)
			assert.Greater(t, len(part), 40)
			assert.Equal(t, "timeout", at(r, "accumulated_responses", 1, "metadata", "finish_reason"))
			assert.Empty(t, l.deps.Caller.Background(), "a consensus does not go on behind its call")

			l.kimi = balance
			again := l.call("consensus", consensusArgs("continuation_id", r["continuation_id"]))
			assert.Equal(t, part, at(again, "accumulated_responses", 1, "verdict"), "a part is better than nothing")
		})
	})
	t.Run("all fail", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := both(balance, silent)(t)
			reply, _ := l.try(t.Context(), "consensus", consensusArgs())
			assert.Equal(t, "balance", at(reply, "error", "code"))
			assert.Contains(t, at(reply, "error", "message"), "glm-5.3:for: The account is empty.")
			assert.Contains(t, at(reply, "error", "message"), "kimi-k3:against: ")
			assert.EqualValues(t, 2, at(reply, "metadata", "attempts"))
		})
	})
	t.Run("one has no key", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newFixture(t, asktest.Says("cookies"))
			r := l.call("consensus", consensusArgs())
			assert.Equal(t, []string{"glm-5.3:for success", "kimi-k3:against error"}, panelOpinions(r))
			assert.Equal(t, "not_configured", at(r, "accumulated_responses", 1, "error", "code"))
		})
	})
	t.Run("nobody has", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := newFixture(t, nil)
			assert.Equal(t, "not_configured", l.errorCode("consensus", consensusArgs()))
			assert.Equal(t, "not_configured", l.errorCode("consensus", consensusArgs("models", nil)))
		})
	})
	t.Run("the client goes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := both(asktest.Says("cookies"), slowly(50, strings.Repeat("x", 50)))(t)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			l.try(ctx, "consensus", consensusArgs())
			list, err := l.store.List(t.Context(), emptyFilter)
			require.NoError(t, err)
			assert.Len(t, list, 1, "what had arrived is kept")
		})
	})
}

func TestConsensusModels(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := both(asktest.Says("one"), asktest.Says("two"))(t)
		r := l.call("consensus", consensusArgs("models", nil))
		assert.Equal(t, []string{"glm-5.3:neutral success", "kimi-k3.1-pro:neutral success"}, panelOpinions(r))
		assert.True(t, noteIn(r, "these were asked: glm-5.3, kimi-k3.1-pro"))
		r = l.call("consensus", consensusArgs("models", []string{}, "images", []string{onePixel}))
		assert.Equal(t, []string{"kimi-k3.1-pro:neutral success", "glm-5.3-flash:neutral success"}, panelOpinions(r), "those that see")

		before := l.asked()
		assert.Equal(t, "model_not_found", l.errorCode("consensus", consensusArgs("models", []dict{{"model": "glm-5.3"}, {"model": "gpt-9"}})))
		assert.Equal(t, "invalid_request", l.errorCode("consensus", consensusArgs("models", []dict{{"model": "glm-5.3"}, {"model": "GLM-5.3"}})), "twice the same")
		assert.Equal(t, "invalid_request", l.errorCode("consensus", consensusArgs("images", []string{onePixel})), "glm-5.3 is blind")
		assert.Equal(t, "path_denied", l.errorCode("consensus", consensusArgs("relevant_files", []string{"/etc/passwd"})))
		assert.Equal(t, before, l.asked(), "refused before anybody is asked")

		single := newFixture(t, asktest.Says("one"))
		r = single.call("consensus", consensusArgs("models", nil))
		assert.Equal(t, []string{"glm-5.3:neutral success", "glm-5.3-flash:neutral success"}, panelOpinions(r), "with one vendor alone, two of its models")

		assert.True(t, noteIn(single.call("consensus", consensusArgs("models", nil, "step_number", 3)), "begins a new run"))
		chat := single.call("chat", dict{"prompt": "hi"})
		assert.Equal(t, "invalid_request", single.errorCode("consensus", consensusArgs("step_number", 2, "continuation_id", at(chat, "continuation_offer", "continuation_id"))))
	})
}

// In a conversation whose last answer is still being written, a consensus waits for it.
func TestConsensusWaitsForItsConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, slowly(70, strings.Repeat("x", 70)))
		part := l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)}))
		l.glm = asktest.Says("cookies")
		start := time.Now()
		r := l.call("consensus", consensusArgs("models", nil, "continuation_id", part["continuation_id"]))
		assert.InDelta(t, 17, time.Since(start).Seconds(), 1)
		assert.Equal(t, part["continuation_id"], r["continuation_id"])
	})
}

// The files fit the smallest window of the panel.
func TestConsensusFilesFitEveryWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, asktest.Says("cookies"))
		big := l.file("big.go", strings.Repeat("var x = 1 // a line of a large file\n", 60_000))
		r := l.call("consensus", consensusArgs("models", []string{"glm-5.3", "glm-4.5v"}, "relevant_files", []string{big}))
		assert.Equal(t, []string{"glm-5.3:neutral success", "glm-4.5v:neutral success"}, panelOpinions(r))
		assert.True(t, noteIn(r, "took the text as its model"))
		for _, q := range l.requests {
			assert.Less(t, providers.EstimateTokens(q.Messages[1].Content), 65_536/2)
			assert.Contains(t, q.Messages[1].Content, "big.go: cut")
		}
		stored, err := l.store.Load(t.Context(), r["continuation_id"].(string))
		require.NoError(t, err)
		require.Len(t, stored.Turns[0].Attachments, 1, "so that a later question has the file")
		assert.Equal(t, big, stored.Turns[0].Attachments[0].Path)
	})
}

// The whole consensus has the expert limit.
func TestConsensusLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := both(silent, silent)(t, func(l *fixture) {
			l.cfg.Timeouts.GLM, l.cfg.Timeouts.Kimi, l.cfg.Timeouts.Expert = 20*time.Second, 20*time.Second, 20*time.Second
		})
		start := time.Now()
		assert.Equal(t, "timeout", l.errorCode("consensus", consensusArgs()))
		assert.LessOrEqual(t, time.Since(start), 20*time.Second)
		assert.Equal(t, config.Limit{Name: "EXPERT_ANALYSIS_TIMEOUT_SECS", Value: 20 * time.Second}, l.cfg.Timeouts.For(config.ClassExpert))
	})
}

// Answers too long for the client give way to the beginning of their digest, and chat reads the rest.
func TestLongConsensusIsReadOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		long := strings.Repeat("A paragraph of an answer.\n\n", 800)
		l := both(asktest.Says(long), asktest.Says(long))(t, func(l *fixture) { l.cfg.Files.MaxOutputTokens = 5000 })
		r, text := l.try(t.Context(), "consensus", consensusArgs())
		assert.Less(t, len(text)*2/7, 5000)
		whole := r["content"].(string)
		next := at(r, "more", "next_offset")
		require.NotNil(t, next)
		for next != nil {
			part := l.call("chat", dict{"prompt": "", "continuation_id": r["continuation_id"], "offset": next})
			whole += part["content"].(string)
			next = at(part, "more", "next_offset")
		}
		assert.Equal(t, 2, strings.Count(whole, long[:len(long)-2]))
		assert.Equal(t, []string{"glm-5.3:for success", "kimi-k3:against success"}, panelOpinions(r))
	})
}

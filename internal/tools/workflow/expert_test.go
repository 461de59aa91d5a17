package workflow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// A preview of a step with an expert asks nobody and keeps nothing.
func TestPreviewEndsTheStep(t *testing.T) {
	l := newFixture(t, asktest.Says("never"))
	out := l.call("codereview", l.step("codereview", 1, 1, "preview", true))
	assert.Equal(t, "preview", out["status"])
	assert.Nil(t, out["expert_analysis"])
	assert.Zero(t, l.asked())
	list, err := l.store.List(t.Context(), conversation.Filter{})
	require.NoError(t, err)
	assert.Empty(t, list)
}

// An expert that needs a file gets it once, within the same call; then the word goes to the caller.
func TestExpertAsksForFiles(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newFixture(t, nil)
		window := l.file("window.go", source)
		extra := l.file("extra.go", "package window // the other half\n")
		third := l.file("third.go", "package window // the third\n")
		wants := func(path string) string {
			return fmt.Sprintf(`{"status": "files_required_to_continue", "mandatory_instructions": "The caller's file.", "files_needed": [%q]}`, path)
		}
		answers := []string{wants(extra), p.answer(l)}
		l.glm = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			answer := answers[0]
			answers = answers[1:]
			return asktest.Says(answer)(ctx, req, on)
		}
		l.restart()
		served := l.call(tool, l.step(tool, 1, 1, "relevant_files", []string{window}))
		assert.Equal(t, p.complete, served["status"])
		assert.Equal(t, 2, l.asked())
		assert.Contains(t, l.prompt(), "the other half")
		assert.Contains(t, l.prompt(), "The files that you asked for")
		assert.EqualValues(t, 2, at(served, "file_context", "files_embedded"))
		requests := 2
		if p.verdict { // and the judgement of the caller's findings
			requests = 3
		}
		assert.EqualValues(t, requests, at(served, "metadata", "attempts"))
		assert.EqualValues(t, requests*10, at(served, "metadata", "usage", "input_tokens"), "all requests count")

		answers = []string{wants(extra), wants(third), p.answer(l)}
		paused := l.call(tool, l.step(tool, 1, 1, "relevant_files", []string{window}))
		assert.Equal(t, "files_required_to_continue", paused["status"])
		assert.Equal(t, wants(third), paused["content"])
		assert.NotContains(t, paused, p.block)
		assert.NotContains(t, paused, "expert_analysis")
		for _, flag := range p.flags {
			assert.NotContains(t, paused, flag)
		}
		next := l.nextCall(paused)
		assert.EqualValues(t, 2, next["step_number"])
		assert.Equal(t, false, next["next_step_required"])
		assert.Contains(t, next["relevant_files"], third)
		again := l.call(tool, l.step(tool, 1, 1, "relevant_files", []string{window}, "continuation_id", paused["continuation_id"]))
		assert.Equal(t, "files_required_to_continue", again["status"], "the stored reply")
		assert.Len(t, answers, 1)

		done := l.call(tool, next)
		assert.Equal(t, p.complete, done["status"])
		assert.Contains(t, l.prompt(), "the third")
	})
}

// A single file that the expert needs is named in the next call, too.
func TestExpertAsksForOneFile(t *testing.T) {
	l := newFixture(t, nil)
	extra, third := l.file("extra.go", "package window\n"), l.file("third.go", "package window\n")
	answers := []string{extra, third}
	l.glm = func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		answer := fmt.Sprintf(`{"status": "files_required_to_continue", "files_needed": [%q]}`, answers[0])
		answers = answers[1:]
		return asktest.Says(answer)(ctx, req, on)
	}
	l.restart()
	paused := l.call("thinkdeep", l.step("thinkdeep", 1, 1))
	assert.Equal(t, "files_required_to_continue", paused["status"])
	assert.Equal(t, []any{third}, l.nextCall(paused)["relevant_files"])
}

// What a caller says of its task reaches the expert, also where the first step is the last.
func TestExpertIsToldEveryParameter(t *testing.T) {
	// These steer the call or the protocol, or are files.
	others := []string{
		"step_number", "total_steps", "next_step_required", "use_assistant_model", "continuation_id", "backtrack_from_step", "temperature",
		"thinking_mode", "use_websearch", "images", "model", "files_checked", "relevant_files", "style_guide_examples", "issues_found",
		"path", "compare_to", "include_staged", "include_unstaged", "confidence", "preview", "fixes",
	}
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newFixture(t, asktest.Says(p.answer(nil)))
		l.secondTurns = true
		l.file("window.go", source)
		var schema struct {
			Properties map[string]struct {
				Type string
				Enum []string
			}
		}
		require.NoError(t, json.Unmarshal(schemaOf(t, tool), &schema))
		args := l.step(tool, 1, 1, "relevant_files", []string{"window.go"})
		var marks []string
		for name, property := range schema.Properties {
			mark := "mark of " + name
			switch {
			case slices.Contains(others, name):
				continue
			case len(property.Enum) > 0:
				mark = property.Enum[1]
				args[name] = mark
			case property.Type == "array":
				args[name] = []string{mark}
			default:
				args[name] = mark
			}
			marks = append(marks, mark)
		}
		require.Greater(t, len(marks), 2)
		l.call(tool, args)
		for _, mark := range marks {
			assert.Contains(t, fmt.Sprint(l.requests), mark, "in the first turn or in the second")
		}
	})
}

// The expert is given a file that is named with a line, that stands in a text with another, and that it cites itself.
func TestExpertIsGivenFilesAsAgentsNameThem(t *testing.T) {
	answers := []string{`{"status": "files_required_to_continue", "files_needed": ["third.go:1"]}`, expertSays()}
	l := newFixture(t, func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		answer := answers[0]
		answers = answers[1:]
		return asktest.Says(answer)(ctx, req, on)
	})
	l.file("window.go", source)
	l.file("extra.go", "package window // the other half\n")
	l.file("third.go", "package window // the third\n")
	done := l.call("debug", l.step("debug", 1, 1, "files_checked", "window.go:1", "relevant_files", []string{"window.go:4, extra.go", "./extra.go"}))
	assert.EqualValues(t, 3, at(done, "file_context", "files_embedded"))
	assert.False(t, noteIn(done, "Not found"))
	for _, part := range []string{"func Sum", "the other half", "the third"} {
		assert.Equal(t, 1, strings.Count(l.prompt(), part), part)
	}
}

// A file that the expert asks for is never one that may not be read.
func TestExpertAsksForARefusedFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, asktest.Says(`{"status": "files_required_to_continue", "files_needed": [".env", "/etc/passwd"]}`))
		window := l.file("window.go", source)
		l.file(".env", "KEY=secret-value")
		paused, text := l.try(t.Context(), "debug", l.step("debug", 1, 1, "relevant_files", []string{window}))
		assert.Equal(t, "files_required_to_continue", paused["status"])
		assert.NotContains(t, text, "secret-value")
		assert.NotContains(t, fmt.Sprint(l.requests), "secret-value")
		assert.Equal(t, 1, l.asked(), "there was nothing to ask again with")
		next := l.nextCall(paused)
		assert.Equal(t, []any{window}, next["relevant_files"], "next_call stays valid")
		l.call("debug", next)
	})
}

// The expert's long answer is cut at a paragraph's end, and chat reads the rest.
func TestLongExpertAnswerIsReadOn(t *testing.T) {
	for name, answer := range map[string]string{
		"prose": strings.Repeat("A paragraph of the expert's answer.\n\n", 2000),
		"findings": func() string {
			var list []dict
			for i := range 60 {
				f := finding("high", "window.go", 4)
				f["title"], f["evidence"] = fmt.Sprintf("Number %d", i), strings.Repeat("proof ", 200)
				list = append(list, f)
			}
			return expertSays(list...)
		}(),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFixture(t, asktest.Says(answer), func(l *fixture) { l.cfg.Files.MaxOutputTokens = 8000 })
				window := l.file("window.go", source)
				tool := "codereview"
				args := l.step(tool, 1, 1, "relevant_files", []string{window})
				done, text := l.try(t.Context(), tool, args)
				require.NotEqual(t, "error", done["status"], text)
				head := at(done, "expert_analysis", "raw_analysis").(string)
				require.True(t, strings.HasPrefix(answer, head), "the beginning, as it was written")
				next := at(done, "more", "next_offset")
				require.EqualValues(t, len(head), next)
				assert.EqualValues(t, len(answer), at(done, "more", "total_chars"))
				assert.Contains(t, at(done, "more", "uri"), "exai://conversations/"+done["continuation_id"].(string)+"/turns/")
				assert.Less(t, len(text)*2/7, 8000)
				if name == "findings" {
					assert.Equal(t, "changes_required", done["verdict"])
					assert.Len(t, at(done, "expert_analysis", "findings"), 60, "an index of all findings")
					assert.Equal(t, "verified", at(done, "expert_analysis", "findings", 59, "citation"))
				}
				whole := head
				for next != nil {
					part := l.call("chat", dict{"prompt": "", "continuation_id": done["continuation_id"], "offset": next})
					whole += part["content"].(string)
					next = at(part, "more", "next_offset")
				}
				assert.Equal(t, answer, whole)

				args["continuation_id"] = done["continuation_id"]
				stored, _ := l.try(t.Context(), tool, args)
				assert.Equal(t, at(done, "more", "uri"), at(stored, "more", "uri"), "the stored reply is cut alike")
				assert.True(t, strings.HasPrefix(head, at(stored, "expert_analysis", "raw_analysis").(string)), "to make room for its note")
				assert.Equal(t, 1, l.asked())
			})
		})
	}
}

// thinkdeep's limit follows its thinking mode, and every expert call obeys its own.
func TestExpertLimits(t *testing.T) {
	for _, c := range []struct {
		tool, mode string
		set        func(l *fixture)
		limit      string
		secs       float64
	}{
		{"debug", "", nil, "GLM_TIMEOUT_SECS=30s", 30},
		{"debug", "", func(l *fixture) { l.cfg.Timeouts.GLM = 50 * time.Second }, "GLM_TIMEOUT_SECS=50s", 50},
		{"thinkdeep", "minimal", func(l *fixture) { l.cfg.Timeouts.GLM = 50 * time.Second }, "EXPERT_ANALYSIS_TIMEOUT_SECS=60s x 0.5", 30},
		{"thinkdeep", "low", func(l *fixture) { l.cfg.Timeouts.GLM = 50 * time.Second }, "EXPERT_ANALYSIS_TIMEOUT_SECS=60s x 0.7", 42},
		{"thinkdeep", "medium", func(l *fixture) { l.cfg.Timeouts.GLM = 59 * time.Second }, "ANSWER_WITHIN_SECS=55s", 55},
		{"thinkdeep", "", func(l *fixture) {
			l.cfg.Timeouts.GLM, l.cfg.Timeouts.AnswerWithin, l.cfg.Timeouts.Expert = 80*time.Second, 300*time.Second, 30*time.Second
		}, "EXPERT_ANALYSIS_TIMEOUT_SECS=30s x 1.5", 45},
		{"thinkdeep", "max", func(l *fixture) { l.cfg.Timeouts.GLM, l.cfg.Timeouts.ThinkDeepExpert = 50*time.Second, 20*time.Second }, "THINKDEEP_EXPERT_TIMEOUT_SECS=20s", 20},
	} {
		t.Run(fmt.Sprintf("%s %s %s", c.tool, c.mode, c.limit), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newFixture(t, silent, func(l *fixture) {
					if c.set != nil {
						c.set(l)
					}
				})
				window := l.file("window.go", source)
				args := l.step(c.tool, 1, 1, "relevant_files", []string{window})
				if c.mode != "" {
					args["thinking_mode"] = c.mode
				}
				start := time.Now()
				done := l.call(c.tool, args)
				took := time.Since(start).Seconds()
				assert.LessOrEqual(t, took, c.secs)
				assert.Greater(t, took, c.secs-2.1)
				assert.Equal(t, "analysis_timeout", at(done, "expert_analysis", "status"))
				assert.Contains(t, []any{c.limit, strings.Split(c.limit, " ")[0]}, at(done, "expert_analysis", "error", "limit"))
			})
		})
	}
}

// How hard the expert thinks, what it may search and how it is set: as asked, else as configured.
func TestExpertSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, asktest.Says("fine"))
		window := l.file("window.go", source)
		ask := func(tool string, more ...any) providers.ChatRequest {
			l.call(tool, l.step(tool, 1, 1, append([]any{"relevant_files", []string{window}}, more...)...))
			return l.requests[len(l.requests)-1]
		}
		assert.Equal(t, "high", ask("debug").Thinking.Effort, "medium, in a call of 55 s, on a model that has low, high and max")
		assert.Equal(t, "low", ask("debug", "thinking_mode", "low").Thinking.Effort)
		assert.Equal(t, "max", ask("debug", "thinking_mode", "max").Thinking.Effort)
		assert.Equal(t, "high", ask("thinkdeep").Thinking.Effort)
		assert.Nil(t, ask("debug").Temperature)
		assert.InDelta(t, 0.7, *ask("debug", "temperature", 0.7).Temperature, 0)
		assert.NotContains(t, functionsOf(ask("debug")), "web_search", "no search unless it is asked for")
		assert.Contains(t, functionsOf(ask("debug", "use_websearch", true)), "web_search")
		off := ask("debug", "use_websearch", false)
		assert.False(t, off.NativeSearch)
		assert.NotContains(t, functionsOf(off), "web_search")
		assert.True(t, ask("debug").JSONObject)
		assert.False(t, ask("thinkdeep").JSONObject, "prose")
		picture := ask("debug", "images", []string{onePixel})
		assert.True(t, picture.Model.Images, "a model that sees is chosen")
		assert.Len(t, picture.Messages[len(picture.Messages)-1].Images, 1)
	})
}

// The expert sees the rest of its conversation, and its own earlier answers, but nothing twice.
func TestExpertSeesTheConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, asktest.Says(expertSays()))
		window := l.file("window.go", source)
		id := l.call("debug", l.step("debug", 1, 3, "relevant_files", []string{window}))["continuation_id"]
		l.call("debug", l.step("debug", 2, 2, "continuation_id", id))
		l.glm = asktest.Says("A chat's answer.")
		l.call("chat", dict{"prompt": "What of it?", "continuation_id": id})
		l.glm = asktest.Says(expertSays())
		l.call("debug", l.step("debug", 3, 3, "continuation_id", id))

		var roles, texts []string
		for _, m := range l.requests[len(l.requests)-1].Messages {
			roles, texts = append(roles, string(m.Role)), append(texts, m.Content)
		}
		assert.Equal(t, []string{"system", "user", "assistant", "user", "assistant", "user"}, roles)
		assert.Contains(t, texts[1], source[:14], "the file, as it was sent")
		assert.Equal(t, expertSays(), texts[2])
		assert.Equal(t, "What of it?", texts[3])
		assert.NotContains(t, texts[5], "package window", "a file is sent once per conversation")
		assert.Contains(t, texts[5], "Unchanged since they were sent")
		assert.Contains(t, texts[5], "Finding of step 3.")
	})
}

// A conversation keeps its model for its experts, too, unless the caller names another.
func TestExpertIsTheConversationsModel(t *testing.T) {
	l := newFixture(t, asktest.Says(expertSays()))
	l.kimi = asktest.Says(expertSays())
	l.restart()
	window := l.file("window.go", source)
	said := l.call("chat", dict{"prompt": "What of it?", "model": "kimi-k2.6"})
	id := at(said, "continuation_offer", "continuation_id")
	done := l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{window}, "continuation_id", id))
	assert.Equal(t, "kimi-k2.6", at(done, "metadata", "model_used"))
	done = l.call("debug", l.step("debug", 2, 2, "continuation_id", id, "model", "glm-5.3"))
	assert.Equal(t, "glm-5.3", at(done, "metadata", "model_used"))
}

// What an expert said of a step that was taken back is not shown to the next one.
func TestExpertDoesNotSeeWhatWasTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, fails(providers.Error{Kind: providers.KindBalance, Message: "empty"}))
		id := l.call("debug", l.step("debug", 1, 3))["continuation_id"]
		end := l.step("debug", 2, 2, "continuation_id", id)
		l.call("debug", end)
		l.glm = asktest.Says(`{"findings": [], "summary": "the old opinion"}`)
		l.call("debug", end) // asked again: question and answer stand behind the step
		l.glm = asktest.Says(expertSays())
		l.call("debug", with(end, "findings", "again"))
		assert.NotContains(t, fmt.Sprint(l.requests[len(l.requests)-1].Messages), "the old opinion")
		l.call("debug", l.step("debug", 3, 3, "continuation_id", id))
		sent := fmt.Sprint(l.requests[len(l.requests)-1].Messages)
		assert.NotContains(t, sent, "the old opinion")
		assert.Contains(t, sent, "Looked at it.", "the opinion on the step that stands")
		l.call("debug", l.step("debug", 4, 4, "continuation_id", id, "backtrack_from_step", 2))
		assert.NotContains(t, fmt.Sprint(l.requests[len(l.requests)-1].Messages), "Looked at it.", "all of them were dropped")
	})
}

// EXPERT_ANALYSIS_INCLUDE_FILES=false and the bounds on files are obeyed, and said.
func TestExpertFileSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, asktest.Says(expertSays()))
		var files []string
		for i := range 5 {
			files = append(files, l.file(fmt.Sprintf("f%d.go", i), strings.Repeat(fmt.Sprintf("// line of %d\n", i), 500)))
		}
		l.cfg.Expert.MaxFileCount, l.cfg.Expert.MaxFileSizeKB = 2, 1
		done := l.call("debug", l.step("debug", 1, 1, "relevant_files", files))
		assert.Equal(t, "partially_embedded", at(done, "file_context", "type"))
		assert.Len(t, at(done, "file_context", "manifest", "cut"), 2)
		assert.Len(t, at(done, "file_context", "manifest", "left_out"), 3)
		assert.Contains(t, l.prompt(), "f4.go: not given")
		assert.Contains(t, l.prompt(), "f0.go: cut")

		l.cfg.Expert.IncludeFiles = false
		done = l.call("codereview", l.step("codereview", 1, 1, "relevant_files", files))
		assert.Equal(t, "reference_only", at(done, "file_context", "type"))
		assert.Contains(t, at(done, "file_context", "note"), "EXPERT_ANALYSIS_INCLUDE_FILES")
		assert.NotContains(t, l.prompt(), "line of 0")
		assert.Equal(t, "inconclusive", done["verdict"], "no file was read")
	})
}

// Files never fill more of a window than leaves room for the rest.
func TestExpertFilesFitTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, asktest.Says(expertSays()))
		big := l.file("big.go", strings.Repeat("var x = 1 // some line of a large file\n", 60_000))
		l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{big}, "model", "glm-4.5v"))
		m := l.requests[len(l.requests)-1].Model
		sent := providers.EstimateTokens(l.prompt())
		assert.Less(t, sent, m.ContextWindow*3/5)
		assert.Greater(t, sent, m.ContextWindow/5)
	})
}

// With pictures, the window that counts is that of a model which sees.
func TestExpertFilesFitTheWindowOfWhoSees(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, asktest.Says(expertSays()), func(l *fixture) { l.cfg.GLM.AllowedModels = []string{"glm-5.3", "glm-4.5v"} })
		big := l.file("big.go", strings.Repeat("var x = 1 // some line of a large file\n", 20_000))
		done := l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{big}, "images", []string{onePixel}))
		assert.Equal(t, "glm-4.5v", at(done, "metadata", "model_used"))
		assert.Less(t, providers.EstimateTokens(l.prompt()), 65_536/2)
	})
}

// idOf is the continuation_id that a reply gives, at its top or in its offer.
func idOf(reply dict) string {
	if offer, ok := at(reply, "continuation_offer", "continuation_id").(string); ok {
		return offer
	}
	return reply["continuation_id"].(string)
}

// A file is sent once per conversation, whichever tool sent it first: line numbers are no change.
func TestFileIsSentOnceByWhateverTool(t *testing.T) {
	chat := func(l *fixture, id any) dict {
		return l.call("chat", with(dict{"prompt": "look", "files": []string{"window.go"}}, "continuation_id", id))
	}
	step := func(l *fixture, id any) dict {
		return l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{"window.go"}, "continuation_id", id))
	}
	for name, calls := range map[string][2]func(l *fixture, id any) dict{"workflow first": {step, chat}, "chat first": {chat, step}} {
		t.Run(name, func(t *testing.T) {
			l := newFixture(t, asktest.Says(expertSays()))
			l.file("window.go", source)
			id := idOf(calls[0](l, nil))
			calls[1](l, id)
			shown := ""
			for _, m := range l.requests[len(l.requests)-1].Messages {
				shown += m.Content
			}
			assert.Equal(t, 1, strings.Count(shown, "func Sum"), "the model sees it once")
			kept, err := l.store.Load(t.Context(), id)
			require.NoError(t, err)
			sent := 0
			for _, turn := range kept.Turns {
				sent += len(turn.Attachments)
			}
			assert.Equal(t, 1, sent)

			l.file("window.go", source+"// changed\n")
			chat(l, id)
			assert.Contains(t, l.prompt(), "// changed")
		})
	}
}

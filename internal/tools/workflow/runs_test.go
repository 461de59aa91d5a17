package workflow_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// A run sent again with other arguments replaces its step and drops later ones; a number not seen yet takes its place.
func TestStepsReplaceAndTakeTheirPlace(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newFixture(t, asktest.Says(p.answer(nil)))
		window := l.file("window.go", source)
		id := l.call(tool, l.step(tool, 1, 9, "files_checked", []string{window}, "relevant_files", []string{window}))["continuation_id"]
		for n := 2; n <= 4; n++ {
			l.call(tool, l.step(tool, n, 9, "continuation_id", id, "relevant_context", []string{fmt.Sprint(n)}))
		}
		replaced := l.call(tool, l.step(tool, 3, 9, "continuation_id", id, "relevant_context", []string{"other"}))
		assert.EqualValues(t, 2, at(replaced, p.counts, "relevant_context"), "2 and other")
		far := l.call(tool, l.step(tool, 7, 9, "continuation_id", id, "relevant_context", []string{"7"}))
		assert.EqualValues(t, 3, at(far, p.counts, "relevant_context"))
		between := l.call(tool, l.step(tool, 5, 9, "continuation_id", id, "relevant_context", []string{"5"}))
		assert.EqualValues(t, 4, at(between, p.counts, "relevant_context"))
		restart := l.call(tool, l.step(tool, 1, 9, "continuation_id", id, "findings", "another begin", "relevant_files", []string{window}))
		assert.EqualValues(t, 0, at(restart, p.counts, "relevant_context"), "everything was dropped")
	})
}

// Step 1 without a continuation_id is always a new run; a later one is, too, and says so.
func TestStepsWithoutAnID(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newFixture(t, asktest.Says(p.answer(nil)))
		window := l.file("window.go", source)
		args := l.step(tool, 1, 3, "relevant_files", []string{window})
		one, two := l.call(tool, args), l.call(tool, args)
		assert.NotEqual(t, one["continuation_id"], two["continuation_id"])
		assert.False(t, noteIn(two, "stored"))
		third := l.call(tool, l.step(tool, 3, 5, "relevant_files", []string{window}))
		assert.NotEqual(t, one["continuation_id"], third["continuation_id"])
		assert.True(t, noteIn(third, "begins a new run"))
		blank := l.call(tool, l.step(tool, 3, 5, "relevant_files", []string{window}, "continuation_id", " "))
		assert.True(t, noteIn(blank, "begins a new run"), "a blank id is none")
		assert.EqualValues(t, 1, at(third, p.counts, "relevant_files"))
		assert.Equal(t, "conversation_not_found", l.errorCode(tool, with(args, "continuation_id", "no-such-id")))
	})
}

// What was answered is answered again, whatever has become of the files since.
func TestStoredReplyOutlivesItsFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, asktest.Says(expertSays()))
		window := l.file("window.go", source)
		picture := l.file("p.png", "")
		require.NoError(t, os.WriteFile(picture, pixel(t), 0o644))
		args := l.step("debug", 1, 1, "relevant_files", []string{window}, "images", []string{picture})
		args["continuation_id"] = l.call("debug", args)["continuation_id"]
		require.NoError(t, os.Remove(window))
		require.NoError(t, os.Remove(picture))
		assert.True(t, noteIn(l.call("debug", args), "stored reply"))

		// A picture of an earlier step that is gone is not sent, and costs nothing else.
		require.NoError(t, os.WriteFile(picture, pixel(t), 0o644))
		id := l.call("debug", l.step("debug", 1, 2, "images", []string{picture}))["continuation_id"]
		require.NoError(t, os.Remove(picture))
		done := l.call("debug", l.step("debug", 2, 2, "continuation_id", id))
		assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
		assert.True(t, noteIn(done, "Not sent: "))
	})
}

func pixel(t *testing.T) []byte {
	t.Helper()
	_, data, _ := strings.Cut(onePixel, ",")
	raw, err := base64.StdEncoding.DecodeString(data)
	require.NoError(t, err)
	return raw
}

// script is a whole run of a tool as calls that follow from each other's replies.
func (l *fixture) script(tool, window string) []func(id any) dict {
	return []func(id any) dict{
		func(any) dict {
			return l.step(tool, 1, 4, "relevant_files", []string{window}, "hypothesis", tool+" guesses")
		},
		func(id any) dict {
			return l.step(tool, 2, 4, "continuation_id", id, "issues_found", []dict{{"severity": "high", "description": "of " + tool}})
		},
		func(id any) dict {
			return l.step(tool, 3, 4, "continuation_id", id, "backtrack_from_step", 2, "confidence", "high")
		},
		func(id any) dict { return l.step(tool, 3, 4, "continuation_id", id, "findings", "other") },
		func(id any) dict { return l.step(tool, 4, 4, "continuation_id", id) },
		func(id any) dict { return l.step(tool, 4, 4, "continuation_id", id) },
	}
}

// The replies of a run are the same whether it runs alone, among others, or across processes.
func TestRunsDoNotSeeEachOther(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		run := func(between func(l *fixture, i int)) (texts []string) {
			l := newFixture(t, asktest.Says(p.answer(nil)))
			window := l.file("window.go", source)
			var id any
			for i, args := range l.script(tool, window) {
				if between != nil {
					between(l, i)
				}
				reply, text := l.try(t.Context(), tool, with(args(id), "confidence", nil))
				require.NotEqual(t, "error", reply["status"], text)
				id = reply["continuation_id"]
				texts = append(texts, l.stable(text))
			}
			return texts
		}
		alone := run(nil)
		assert.Equal(t, alone, run(func(l *fixture, _ int) { l.restart() }), "a restart before every step")

		ids := map[string]any{}
		assert.Equal(t, alone, run(func(l *fixture, i int) {
			for other := range investigators { // each of them one step further, in conversations of their own
				name := "another " + other
				window := l.file("another.go", "package another\n")
				reply := l.call(other, with(l.script(other, window)[i](ids[name]), "confidence", nil, "findings", "of "+name))
				ids[name] = reply["continuation_id"]
			}
		}), "other runs between the steps")
	})
}

// A database keeps runs as the map of the other tests does: places, drops, answers and stored replies.
func TestRunsOnADatabase(t *testing.T) {
	run := func(t *testing.T, tool string, set ...func(l *fixture)) (texts []string) {
		l := newFixture(t, asktest.Says(investigators[tool].answer(nil)), set...)
		window := l.file("window.go", source)
		var id any
		for _, args := range l.script(tool, window) {
			reply, text := l.try(t.Context(), tool, with(args(id), "confidence", nil))
			require.NotEqual(t, "error", reply["status"], text)
			id = reply["continuation_id"]
			texts = append(texts, regexp.MustCompile(`"duration_ms":\d+`).ReplaceAllString(l.stable(text), ""))
		}
		return texts
	}
	for tool := range investigators {
		t.Run(tool, func(t *testing.T) {
			assert.Equal(t, run(t, tool), run(t, tool, onDatabase(t)))
		})
	}
}

// onDatabase puts a fixture on a database of its own.
func onDatabase(t *testing.T) func(l *fixture) {
	s, err := store.Open(t.Context(), config.Conversations{Backend: "sqlite", StateDir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, s.Close()) })
	return func(l *fixture) {
		l.openStore = func(context.Context) (conversation.Store, error) { return s, nil }
	}
}

// A run is taken up by another process at any step.
func TestRunGoesOnInAnotherProcess(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		l := newFixture(t, asktest.Says(p.answer(nil)))
		window := l.file("window.go", source)
		other := l.otherProcess()
		id := l.call(tool, l.step(tool, 1, 3, "relevant_files", []string{window}))["continuation_id"]
		second := other.call(tool, l.step(tool, 2, 3, "continuation_id", id, "relevant_context", []string{"Sum"}))
		assert.EqualValues(t, 1, at(second, p.counts, "relevant_files"))
		done := l.call(tool, l.step(tool, 3, 3, "continuation_id", id))
		assert.EqualValues(t, 3, at(done, p.block, "steps_taken"))
		assert.Equal(t, []any{"Sum"}, at(done, p.block, "relevant_context"))
	})
}

// MAX_CONVERSATION_TURNS ends a conversation for new steps; reading goes on.
func TestFullConversation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, asktest.Says(expertSays()), func(l *fixture) { l.cfg.Conversations.MaxTurns = 2 })
		first := l.step("debug", 1, 5)
		id := l.call("debug", first)["continuation_id"]
		l.call("debug", l.step("debug", 2, 5, "continuation_id", id))
		assert.Equal(t, "conversation_full", l.errorCode("debug", l.step("debug", 3, 5, "continuation_id", id)))
		again := l.call("debug", with(first, "continuation_id", id))
		assert.Equal(t, "pause_for_investigation", again["status"])
	})
}

// When the store does not confirm, the answer still goes out, and promises nothing.
func TestStoreThatDoesNotConfirm(t *testing.T) {
	eachInvestigator(t, func(t *testing.T, tool string, p promised) {
		broken := true
		l := newFixture(t, asktest.Says(p.answer(nil)), func(l *fixture) {
			l.store.Before = func(_ context.Context, op string) error {
				if broken && op == "append" {
					return errors.New("disk full")
				}
				return nil
			}
		})
		window := l.file("window.go", source)
		pause := l.call(tool, l.step(tool, 1, 2, "relevant_files", []string{window}))
		assert.Equal(t, p.pause, pause["status"])
		assert.Equal(t, false, at(pause, "metadata", "stored"))
		assert.NotContains(t, pause, "continuation_id")
		assert.Equal(t, false, pause["continuation_available"])
		assert.NotContains(t, l.nextCall(pause), "continuation_id")
		assert.True(t, noteIn(pause, "not kept"))

		done := l.call(tool, l.step(tool, 1, 1, "relevant_files", []string{window}))
		assert.Equal(t, p.complete, done["status"])
		assert.Equal(t, "analysis_complete", at(done, "expert_analysis", "status"))
		assert.Equal(t, false, at(done, "metadata", "stored"))

		broken = false
		id := l.call(tool, l.step(tool, 1, 3, "relevant_files", []string{window}))["continuation_id"]
		broken = true
		second := l.call(tool, l.step(tool, 2, 3, "continuation_id", id))
		assert.Equal(t, id, second["continuation_id"], "the run is there up to step 1")
		assert.Equal(t, false, at(second, "metadata", "stored"))
		broken = false
		third := l.call(tool, l.step(tool, 3, 4, "continuation_id", id))
		assert.EqualValues(t, 1, at(third, p.counts, "relevant_files"))
	})
}

// Code in arguments comes back as it is, in next_call and in what is stored.
func TestRepliesAreNotEscapedForHTML(t *testing.T) {
	const code = "a < b && c > d"
	l := newFixture(t, asktest.Says(expertSays(dict{"severity": "low", "title": code})))
	window := l.file("a < b & c.go", source)
	first, text := l.try(t.Context(), "debug", l.step("debug", 1, 2, "step", code, "findings", code, "relevant_files", []string{window}))
	assert.NotContains(t, text, `\u00`)
	assert.GreaterOrEqual(t, strings.Count(text, code), 1)
	assert.Equal(t, code, at(l.nextCall(first), "findings"))
	end := l.step("debug", 2, 2, "step", code, "continuation_id", first["continuation_id"], "issues_found", []dict{{"severity": "high", "description": code}})
	for range 2 { // the second reply is the stored one
		_, text = l.try(t.Context(), "debug", end)
		assert.NotContains(t, text, `\u00`)
		assert.GreaterOrEqual(t, strings.Count(text, code), 4)
	}
}

// A long answer that the store does not take can be read to its end, whatever tool it answers, and no note says otherwise.
func TestUnstoredAnswersAreReadOn(t *testing.T) {
	for _, name := range []string{"thinkdeep", "consensus", "chat"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := strings.Repeat("One paragraph of the answer.\n\n", 7_000)
				l := newFixture(t, asktest.Says(answer))
				l.store.Before = func(_ context.Context, op string) error {
					if op == "append" {
						return errors.New("disk full")
					}
					return nil
				}
				args := map[string]dict{
					"thinkdeep": l.step("thinkdeep", 1, 1), "chat": {"prompt": "x"},
					"consensus": consensusArgs("models", []dict{{"model": "glm-5.3"}}),
				}
				reply := l.call(name, args[name])
				assert.Equal(t, false, at(reply, "metadata", "stored"))
				assert.NotContains(t, reply, "continuation_offer")
				assert.NotContains(t, reply, "continuation_id")
				id := regexp.MustCompile(`call chat with continuation_id (\S+), a blank prompt and offset \d+`).FindStringSubmatch(fmt.Sprint(at(reply, "metadata", "notes")))
				require.NotNil(t, id, "%v", at(reply, "metadata", "notes"))
				assert.Nil(t, at(reply, "more", "uri"), "no resource has it")
				read := 0
				for more := at(reply, "more"); more != nil; {
					read = int(at(more, "next_offset").(float64))
					next := l.call("chat", dict{"prompt": "", "continuation_id": id[1], "offset": read})
					assert.NotEmpty(t, next["content"])
					if more = at(next, "more"); more == nil {
						read += utf8.RuneCountInString(next["content"].(string))
					}
				}
				assert.GreaterOrEqual(t, read, utf8.RuneCountInString(answer), "all of it was read")
			})
		})
	}
}

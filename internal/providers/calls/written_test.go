package calls_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

const (
	writtenCall = "<tool_call>read\n<arg_key>path</arg_key>\n<arg_value>a.go</arg_value>\n</tool_call>"
	otherCall   = "<tool_call>read\n<arg_key>path</arg_key>\n<arg_value>b.go</arg_value>\n</tool_call>"
	cutCall     = "<tool_call>read\n<arg_key>path</arg_key>\n<arg_va"
)

// TestACallThatIsWrittenAsTextIsRun: of a function that the request offered, however the model spelt it.
func TestACallThatIsWrittenAsTextIsRun(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{answers("I look." + writtenCall), answers(otherCall + cutCall), answers("done")}}
		b.glm.ChatFunc = turns.chat
		call := ask("glm-5.3")
		var read []string
		call.Tools = []calls.Tool{function("read", func(_ context.Context, arguments string) (string, error) {
			read = append(read, arguments)
			return "text", nil
		})}
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassExpert), call)
		require.NoError(t, err)
		assert.Equal(t, "done", out.Response.Content)
		assert.Equal(t, "I look."+writtenCall+"\n\n"+otherCall+cutCall+"\n\ndone", out.Original, "what is stored")
		assert.Equal(t, []string{`{"path":"a.go"}`, `{"path":"b.go"}`}, read)
		require.Len(t, turns.requests, 3)
		said := turns.requests[1].Messages[1]
		assert.Equal(t, "I look.", said.Content)
		assert.NotEqual(t, said.ToolCalls[0].ID, turns.requests[2].Messages[3].ToolCalls[0].ID, "ids don't repeat")
		assert.Equal(t, []string{`The model wrote a call of the function "read" as text. It was incomplete or not offered, so it was removed.`}, out.Notes, "the one that was cut short")
	})
}

func TestACallThatNobodyOfferedIsRemoved(t *testing.T) {
	for _, c := range []struct {
		name, text, shown, note string
	}{
		{"after prose", "Here it is.\n" + writtenCall, "Here it is.", `The model wrote a call of the function "read" as text. It was incomplete or not offered, so it was removed.`},
		{"twice the same", "Here it is.\n" + writtenCall + writtenCall, "Here it is.", `The model wrote a call of the function "read" as text. It was incomplete or not offered, so it was removed.`},
		{"cut before its name", "Here it is.\n<tool_call>", "Here it is.", "The model wrote a call of a function as text. It was incomplete or not offered, so it was removed."},
		{"in code it is text", "Like this: `" + writtenCall + "`", "Like this: `" + writtenCall + "`", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			inFakeTime(t, nil, func(t *testing.T, b *fixture) {
				b.glm.ChatFunc = answers(c.text)
				out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
				require.NoError(t, err)
				assert.Equal(t, c.shown, out.Response.Content)
				if c.note == "" {
					assert.Empty(t, out.Notes)
					assert.Empty(t, out.Original)
					return
				}
				assert.Equal(t, []string{c.note}, out.Notes)
				assert.Equal(t, c.text, out.Original, "what is stored")
			})
		})
	}
}

func TestAnAnswerThatIsNothingButARefusedCallIsEmpty(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = answers(writtenCall)
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("glm-5.3"))
		e := failure(t, err)
		assert.Equal(t, providers.KindProviderError, e.Kind)
		assert.True(t, e.Retry, "the hint says to send it again")
		assert.Len(t, out.Notes, 1)
	})
}

func TestAfterTheLastRoundAWrittenCallIsRemoved(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		again := callsTool("read", 0)
		turns := &inTurn{scripts: []chatFunc{again, again, again, again, answers("Enough. " + writtenCall)}}
		b.kimi.ChatFunc = turns.chat
		call := ask("kimi-k3")
		call.Tools = []calls.Tool{function("read", func(context.Context, string) (string, error) { return "text", nil })}
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Equal(t, "Enough.", out.Response.Content)
		assert.Equal(t, "Enough. "+writtenCall, out.Original)
		assert.Len(t, out.Notes, 1)
	})
}

func TestAWrittenCallThatAClientRunsLeavesTheText(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = answers("I look." + writtenCall)
		call := ask("glm-5.3")
		call.Tools = []calls.Tool{function("read", nil)}
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Equal(t, "I look.", out.Response.Content)
		assert.Len(t, out.Response.ToolCalls, 1)
		assert.Equal(t, "I look."+writtenCall, out.Original)
	})
}

// TestAnAnswerOfOnlyRefusedCallsAfterARoundIsAskedForOnceMore: with the functions withdrawn, a written call is not run.
func TestAnAnswerOfOnlyRefusedCallsAfterARoundIsAskedForOnceMore(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		turns := &inTurn{scripts: []chatFunc{callsTool("read", 0), answers(writtenCall), answers("done")}}
		b.glm.ChatFunc = turns.chat
		ran := 0
		call := ask("glm-5.3")
		call.Bounds = calls.Bounds{Rounds: 1, Calls: 8, Bytes: 10_000}
		call.Tools = []calls.Tool{function("read", func(context.Context, string) (string, error) { ran++; return "text", nil })}
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), call)
		require.NoError(t, err)
		assert.Equal(t, "done", out.Response.Content)
		assert.Equal(t, writtenCall+"\n\ndone", out.Original)
		assert.Equal(t, 1, ran)
		assert.Empty(t, turns.requests[2].Functions)
		assert.Equal(t, turns.requests[1].Messages, turns.requests[2].Messages, "the refused answer is not part of the exchange")
	})
}

func TestAPartialAnswerShowsNoCallEither(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = stream(nil, say(time.Second, "\nSo far.\n"), say(time.Second, cutCall), say(forever, ""))
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall("glm-5.3", "id"))
		require.NoError(t, err)
		assert.True(t, out.Partial)
		assert.Equal(t, "So far.", out.Response.Content)
		assert.Equal(t, "So far.\n"+cutCall, out.Original)
		assert.Equal(t, []string{`The model wrote a call of the function "read" as text. It was incomplete or not offered, so it was removed.`}, out.Notes)
	})
}

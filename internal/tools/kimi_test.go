package tools_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

func TestExtract(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		files := []string{r.file("b.txt", "second"), r.file("sub/a.md", "# first"), filepath.Join(r.dir, "missing"), r.file("c.bin", "\x00\x01")}
		o := r.call("kimi_upload_and_extract", object{"files": files, "purpose": "assistants"})
		assert.Equal(t, "success", o["status"])
		assert.NotContains(t, o, "pending")
		messages := o["messages"].([]any)
		require.Len(t, messages, 2, "in the order of the call")
		for i, want := range []struct{ path, name, content string }{{files[0], "b.txt", "second"}, {files[1], "a.md", "# first"}} {
			m := messages[i].(object)
			assert.Equal(t, "system", m["role"])
			assert.Equal(t, want.path, m["_path"])
			assert.NotEmpty(t, m["_file_id"])
			var whole object
			require.NoError(t, json.Unmarshal([]byte(m["content"].(string)), &whole), "passed on as the vendor gives it")
			assert.Equal(t, want.content, whole["content"])
			assert.Equal(t, want.name, whole["filename"])
		}
		errs := o["errors"].([]any)
		require.Len(t, errs, 2)
		assert.Equal(t, files[2], errs[0].(object)["path"])
		assert.Equal(t, "file_not_found", errs[0].(object)["error"].(object)["code"])
		assert.Equal(t, "invalid_request", errs[1].(object)["error"].(object)["code"], "what the vendor can't read")
		assert.Contains(t, fmt.Sprint(notes(o)), "file-extract")
		for _, q := range r.seen(emulator.OpUpload) {
			assert.Equal(t, "file-extract", q.Upload.Purpose)
		}
		synctest.Wait()
		assert.Len(t, r.seen(emulator.OpFileDelete), 2)

		// Nothing is sent twice.
		before := len(r.Requests())
		again := r.call("kimi_upload_and_extract", object{"files": files[:2]})
		assert.Equal(t, messages, again["messages"])
		assert.Len(t, r.Requests(), before)
	})
}

// Paths as agents write them: relative ones, one file in two spellings, two in one text, with a line behind.
func TestFilesAreKnownByAnySpelling(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		a, b := r.file("a.txt", "first"), r.file("b.txt", "second")
		for _, files := range []any{[]string{a, "a.txt", "b.txt"}, a + ", b.txt", []string{"a.txt:12", "b.txt#L3-L4", b}} {
			o := r.call("kimi_upload_and_extract", object{"files": files})
			require.Len(t, o["messages"], 2, files)
			for i, path := range []string{a, b} {
				assert.Equal(t, path, o["messages"].([]any)[i].(object)["_path"], files)
			}
			r.Script(emulator.Say("Read."))
			o = r.call("kimi_multi_file_chat", object{"files": files, "prompt": "What do they say?"})
			assert.Equal(t, "Read.", o["content"], o)
		}
		assert.Len(t, r.seen(emulator.OpUpload), 2)
	})
}

func TestExtractWithinItsLimits(t *testing.T) {
	t.Run("count", func(t *testing.T) {
		with(t, func(t *testing.T, r *vendorFixture) {
			o := r.call("kimi_upload_and_extract", object{"files": []string{r.file("a.txt", "a"), r.file("b.txt", "b"), r.file("c.txt", "c")}})
			assert.Len(t, o["messages"], 2)
			assert.Contains(t, fmt.Sprint(notes(o)), "KIMI_FILES_MAX_COUNT=2")
			assert.Contains(t, fmt.Sprint(notes(o)), "c.txt")
		}, func(c *config.Config) { c.KimiFiles.MaxCount = 2 })
	})
	small := func(c *config.Config) { c.KimiFiles.MaxSizeMB = 0.001 }
	t.Run("size, the others stand", func(t *testing.T) {
		with(t, func(t *testing.T, r *vendorFixture) {
			o := r.call("kimi_upload_and_extract", object{"files": []string{r.file("a.txt", strings.Repeat("a", 2000)), r.file("b.txt", "b")}})
			assert.Len(t, o["messages"], 1)
			assert.Equal(t, "too_large", o["errors"].([]any)[0].(object)["error"].(object)["code"])
		}, small)
	})
	t.Run("size, all of them", func(t *testing.T) {
		with(t, func(t *testing.T, r *vendorFixture) {
			big := strings.Repeat("a", 2000)
			o := r.call("kimi_upload_and_extract", object{"files": []string{r.file("a.txt", big), r.file("b.txt", big)}})
			assert.Equal(t, "too_large", code(o))
			assert.Contains(t, o["content"], "b.txt")
			assert.Contains(t, o["content"], "KIMI_FILES_MAX_SIZE_MB=0.001")
		}, small)
	})
	t.Run("size, where it fails the call", func(t *testing.T) {
		with(t, func(t *testing.T, r *vendorFixture) {
			o := r.call("kimi_upload_and_extract", object{"files": []string{r.file("b.txt", "b"), r.file("a.txt", strings.Repeat("a", 2000))}})
			assert.Equal(t, "too_large", code(o))
			assert.Empty(t, r.Requests())
		}, small, func(c *config.Config) { c.KimiFiles.OnOversize = "fail" })
	})
	t.Run("the reply's length", func(t *testing.T) {
		with(t, func(t *testing.T, r *vendorFixture) {
			o := r.call("kimi_upload_and_extract", object{"files": []string{r.file("a.txt", strings.Repeat("many words ", 20_000))}})
			text, err := json.Marshal(o)
			require.NoError(t, err)
			assert.Less(t, len(text), 25_000*4)
			assert.Contains(t, fmt.Sprint(notes(o)), "kimi_multi_file_chat")
		})
	})
}

// A file that takes longer than the call: the reply says how far it is, it goes on, and the same call waits for it.
func TestExtractGoesOnBehindTheCall(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		// net/http writes in pieces, and a pipe holds none back: about 64 s for this file.
		r.On(emulator.Match{Op: emulator.OpUpload}, emulator.Reply{Faults: []emulator.Fault{emulator.SlowBodyRead(1<<10, time.Second)}})
		slow := r.file("slow.txt", strings.Repeat("0123456789abcdef", 4<<10))
		quick := r.file("quick.txt", "quick")
		args := object{"files": []string{slow, quick}}
		start := time.Now()
		o := r.call("kimi_upload_and_extract", args)
		assert.Less(t, time.Since(start), 55*time.Second)
		assert.Equal(t, "partial", o["status"])
		require.Len(t, o["messages"], 1)
		assert.Equal(t, quick, o["messages"].([]any)[0].(object)["_path"])
		pending := o["pending"].([]any)
		require.Len(t, pending, 1)
		p := pending[0].(object)
		assert.Equal(t, slow, p["path"])
		assert.Equal(t, 65536.0, p["size"])
		assert.Greater(t, p["bytes_sent"], 40_000.0)
		assert.LessOrEqual(t, p["bytes_sent"], 65_536.0)
		assert.Contains(t, fmt.Sprint(notes(o)), "FILE_TOOL_TIMEOUT_SECS=55s")

		running := r.call("activity", object{})["running"].([]any)
		require.Len(t, running, 1)
		assert.Equal(t, "kimi_upload_and_extract", running[0].(object)["tool"])
		assert.Equal(t, true, running[0].(object)["background"])

		o = r.call("kimi_upload_and_extract", args)
		assert.Equal(t, "success", o["status"], o)
		assert.Len(t, o["messages"], 2)
		assert.Equal(t, slow, o["messages"].([]any)[0].(object)["_path"])
		assert.Len(t, r.seen(emulator.OpUpload), 2, "each was sent once")
		assert.Less(t, time.Since(start), 75*time.Second)
	})
}

func TestMultiFileChat(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		doc := r.file("plan.txt", "Launch on Monday.")
		bad := r.file("c.bin", "\x00\x01")
		r.Script(emulator.Say("On Monday."), emulator.Say("Because."))
		o := r.call("kimi_multi_file_chat", object{"files": []string{doc, bad}, "prompt": "When is the launch?"})
		assert.Equal(t, "continuation_available", o["status"], o)
		assert.Equal(t, "On Monday.", o["content"])
		assert.Equal(t, "kimi-k2.6", o["model"])
		assert.Contains(t, fmt.Sprint(notes(o)), "c.bin")

		chat := r.seen(emulator.OpChat)[0].Chat
		assert.Equal(t, "kimi-k2.6", chat.Model)
		require.Len(t, chat.Messages, 3)
		assert.Equal(t, "system", chat.Messages[0].Role)
		assert.Equal(t, "system", chat.Messages[1].Role, "the document, as the vendor gave it")
		assert.Contains(t, chat.Messages[1].Content, `"content":"Launch on Monday."`)
		assert.Equal(t, "user", chat.Messages[2].Role)
		assert.Contains(t, chat.Messages[2].Content, "When is the launch?")
		assert.Contains(t, chat.Messages[2].Content, "c.bin", "the model is told what it was not given")

		// It is a conversation like any other.
		id := o["continuation_offer"].(object)["continuation_id"].(string)
		o = r.call("chat", object{"prompt": "Why?", "continuation_id": id, "use_websearch": false})
		assert.Equal(t, "Because.", o["content"], o)
		next := r.seen(emulator.OpChat)[1].Chat
		require.Len(t, next.Messages, 5)
		assert.Equal(t, "kimi-k2.6", next.Model)
		assert.Equal(t, chat.Messages[1:], next.Messages[1:3], "what was sent stays as it was")
		assert.Equal(t, "On Monday.", next.Messages[3].Content)
		conv, err := r.store.Load(t.Context(), id)
		require.NoError(t, err)
		assert.Equal(t, "kimi_multi_file_chat", conv.Tool)
		require.Len(t, conv.Turns[0].Attachments, 1)
		assert.Equal(t, conversation.DocumentMIME, conv.Turns[0].Attachments[0].MIME)
	}, func(c *config.Config) { c.KimiTools.DefaultModel = "kimi-k2.6" })
}

func TestMultiFileChatRefuses(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		doc := r.file("plan.txt", "x")
		for name, c := range map[string]struct {
			args object
			code string
		}{
			"a model of another vendor": {object{"files": []string{doc}, "prompt": "?", "model": "glm-5.3"}, "invalid_request"},
			"an unknown model":          {object{"files": []string{doc}, "prompt": "?", "model": "kimmi"}, "model_not_found"},
			"one path of several":       {object{"files": []string{doc, "/etc/passwd"}, "prompt": "?"}, "path_denied"},
		} {
			assert.Equal(t, c.code, code(r.call("kimi_multi_file_chat", c.args)), name)
		}
		assert.Empty(t, r.seen(emulator.OpChat))
	})
}

// The question is not asked before every file is through; the next call begins with it.
func TestMultiFileChatWaitsForItsFiles(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.On(emulator.Match{Op: emulator.OpUpload}, emulator.Fail(emulator.DelayHeaders(70*time.Second)))
		args := object{"files": []string{r.file("slow.txt", "slow"), r.file("quick.txt", "quick")}, "prompt": "Which?"}
		o := r.call("kimi_multi_file_chat", args)
		assert.Equal(t, "partial", o["status"])
		assert.Nil(t, o["model"])
		assert.Len(t, o["pending"], 1)
		assert.Contains(t, o["content"], "1 of 2 files")
		assert.NotContains(t, o, "continuation_offer")
		assert.Empty(t, r.seen(emulator.OpChat))
		o = r.call("kimi_multi_file_chat", args)
		assert.Equal(t, "continuation_available", o["status"], o)
		assert.Len(t, r.seen(emulator.OpChat)[0].Chat.Messages, 4)
		assert.Len(t, r.seen(emulator.OpUpload), 2)
	})
}

// An answer that takes longer than the call goes on like any other.
func TestMultiFileChatGoesOn(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.Script(emulator.Say(strings.Split(strings.Repeat("word ,", 80), ",")...).Every(time.Second))
		o := r.call("kimi_multi_file_chat", object{"files": []string{r.file("a.txt", "a")}, "prompt": "Tell all."})
		assert.Equal(t, "partial", o["status"])
		id := o["continuation_offer"].(object)["continuation_id"]
		o = r.call("chat", object{"prompt": "", "continuation_id": id})
		for o["status"] == "partial" {
			o = r.call("chat", object{"prompt": "", "continuation_id": id})
		}
		assert.Equal(t, strings.Repeat("word ", 80), o["content"])
	})
}

func TestIntentAnalysis(t *testing.T) {
	good := emulator.Say("```json\n", strings.ReplaceAll(analysis, `"GLM"`, `"glm"`), "\n```")
	with(t, func(t *testing.T, r *vendorFixture) {
		r.Script(good)
		o := r.call("kimi_intent_analysis", object{"prompt": "Write a parser.", "context": "In Go.", "use_websearch": true})
		assert.Equal(t, "success", o["status"])
		assert.Equal(t, object{
			"needs_websearch": false, "complexity": "moderate", "domain": "parsing", "recommended_provider": "GLM",
			"recommended_model": "glm-5.3-flash", "streaming_preferred": true,
		}, only(o, "needs_websearch", "complexity", "domain", "recommended_provider", "recommended_model", "streaming_preferred"))
		assert.Contains(t, fmt.Sprint(notes(o)), "use_websearch")
		chat := r.seen(emulator.OpChat)[0].Chat
		assert.Equal(t, "json_object", chat.Format)
		assert.Contains(t, chat.Messages[0].Content, `provider "KIMI", model "kimi-k3.1-pro"`)
		assert.Contains(t, chat.Messages[1].Content, "In Go.")
	})
	flaws := map[string]emulator.Reply{
		"no JSON":          emulator.Say("It is a moderate request."),
		"broken JSON":      emulator.Say(analysis[:40]),
		"a key missing":    emulator.Say(strings.Replace(analysis, "streaming_preferred", "stream", 1)),
		"an unknown word":  emulator.Say(strings.Replace(analysis, "moderate", "medium", 1)),
		"an unknown model": emulator.Say(strings.Replace(analysis, "glm-5.3-flash", "gpt-5", 1)),
		"no pair":          emulator.Say(strings.Replace(analysis, `"GLM"`, `"KIMI"`, 1)),
	}
	for name, bad := range flaws {
		t.Run(name, func(t *testing.T) {
			with(t, func(t *testing.T, r *vendorFixture) {
				r.Script(bad, good)
				o := r.call("kimi_intent_analysis", object{"prompt": "Write a parser."})
				assert.Equal(t, "moderate", o["complexity"], o)
				assert.Equal(t, 2.0, o["metadata"].(object)["attempts"])
				asked := r.seen(emulator.OpChat)
				require.Len(t, asked, 2)
				assert.Len(t, asked[1].Chat.Messages, 4, "the model sees what it said")

				r.Script(bad, bad, good)
				o = r.call("kimi_intent_analysis", object{"prompt": "Write a parser."})
				assert.Equal(t, "provider_error", code(o), "never a default in the place of an analysis")
				assert.Len(t, r.seen(emulator.OpChat), 4, "asked once more, not forever")
			})
		})
	}
	t.Run("recommends only what can be asked", func(t *testing.T) {
		with(t, func(t *testing.T, r *vendorFixture) {
			r.Script(good, good)
			assert.Equal(t, "provider_error", code(r.call("kimi_intent_analysis", object{"prompt": "Write a parser."})))
			assert.NotContains(t, r.seen(emulator.OpChat)[0].Chat.Messages[0].Content, "glm-")
		}, func(c *config.Config) { c.GLM.APIKey = "" })
	})
}

func only(o object, keys ...string) object {
	out := object{}
	for _, k := range keys {
		out[k] = o[k]
	}
	return out
}

func TestCaptureHeaders(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		long := strings.Repeat("A long beginning that stays the same. ", 400)
		args := object{
			"messages":   []object{{"role": "system", "content": long}, {"role": "user", "content": []object{{"type": "text", "text": "hi"}}}},
			"session_id": "s-1", "call_key": "c-1", "temperature": 0.6,
		}
		first := r.call("kimi_capture_headers", args)
		assert.Equal(t, "KIMI", first["provider"])
		assert.Nil(t, first["tool_calls"])
		assert.NotEmpty(t, first["content"])
		headers := first["raw"].(object)["headers"].(object)
		assert.NotEmpty(t, headers["msh-request-id"])
		assert.NotEmpty(t, headers["x-msh-trace-id"])
		meta := first["metadata"].(object)
		assert.Equal(t, headers["msh-request-id"], meta["request_id"])
		assert.Equal(t, "c-1", meta["idempotency_key"])
		assert.Equal(t, "stop", meta["finish_reason"])
		cache := meta["cache"].(object)
		assert.Equal(t, true, cache["attached"])
		assert.Equal(t, false, cache["saved"])
		assert.Equal(t, 0.0, cache["cached_tokens"])

		second := r.call("kimi_capture_headers", args)
		cache = second["metadata"].(object)["cache"].(object)
		assert.Greater(t, cache["cached_tokens"], 1000.0)
		assert.Equal(t, cache["cached_tokens"], second["usage"].(object)["cached_tokens"])
		assert.Equal(t, meta["prefix_hash"], second["metadata"].(object)["prefix_hash"])

		chat := r.seen(emulator.OpChat)[0].Chat
		assert.Equal(t, `"s-1:kimi_capture_headers"`, string(chat.Raw["prompt_cache_key"]))
		require.Len(t, chat.Messages, 2, "as they are, and nothing of ours")
		assert.Equal(t, long, chat.Messages[0].Content)

		other := r.call("kimi_capture_headers", object{"messages": []object{{"role": "user", "content": "hi"}}})
		assert.Equal(t, false, other["metadata"].(object)["cache"].(object)["attached"])
		assert.NotEqual(t, meta["prefix_hash"], other["metadata"].(object)["prefix_hash"])
	})
}

func TestChatMessagesAreChecked(t *testing.T) {
	call := object{"id": "f:0", "type": "function", "function": object{"name": "f", "arguments": "{}"}}
	for name, c := range map[string]struct {
		messages []object
		says     string
	}{
		"role":              {[]object{{"role": "robot", "content": "x"}}, `"robot"`},
		"parts":             {[]object{{"role": "user", "content": []object{{"type": "video_url"}}}}, "video_url"},
		"web address":       {[]object{{"role": "user", "content": []object{{"type": "image_url", "image_url": object{"url": "https://x/y.png"}}}}}, "data URL"},
		"number":            {[]object{{"role": "user", "content": 7}}, "content"},
		"answer to nothing": {[]object{{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "f:0", "content": "x"}}, "f:0"},
		"answer without id": {[]object{{"role": "tool", "content": "x"}}, "answers no call"},
		"call unanswered":   {[]object{{"role": "assistant", "content": "", "tool_calls": []object{call}}, {"role": "user", "content": "x"}}, "f:0"},
		"call at the end":   {[]object{{"role": "user", "content": "x"}, {"role": "assistant", "content": "", "tool_calls": []object{call}}}, "f:0"},
		"call without id":   {[]object{{"role": "assistant", "tool_calls": []object{{"function": object{"name": "f"}}}}}, "tool call"},
		"none":              {[]object{}, "empty"},
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(t *testing.T, r *vendorFixture) {
				for _, tool := range []string{"kimi_capture_headers", "kimi_chat_with_tools"} {
					o := r.call(tool, object{"messages": c.messages})
					assert.Equal(t, "invalid_request", code(o))
					assert.Contains(t, o["content"], c.says)
				}
				assert.Empty(t, r.Requests())
			})
		})
	}
}

// Two calls at once keep to their own.
func TestVendorToolsSideBySide(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.Always(emulator.Match{}, func(q emulator.Request) emulator.Reply { return emulator.Say("to " + q.Chat.LastUser()) })
		type answer struct{ asked, got string }
		answers := make(chan answer, 20)
		for i := range 20 {
			go func() {
				text := fmt.Sprint(i)
				o := r.callWith(context.Background(), "kimi_chat_with_tools", object{"messages": text})
				answers <- answer{text, o["content"].(string)}
			}()
		}
		for range 20 {
			a := <-answers
			assert.Equal(t, "to "+a.asked, a.got)
		}
	})
}

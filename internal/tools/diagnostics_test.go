package tools_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/bench/o200k"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// The tools that tell what happened answer without a key, without a log, and before anything has happened.
func TestDiagnosticsAlwaysAnswer(t *testing.T) {
	for name, set := range map[string]func(*config.Config){
		"nothing yet": func(*config.Config) {},
		"no keys":     func(c *config.Config) { c.GLM.APIKey, c.Kimi.APIKey = "", "" },
		"no logs":     func(c *config.Config) { c.Logs.ActivityPath, c.Logs.ToolCallPath = "", "" },
	} {
		t.Run(name, func(t *testing.T) {
			with(t, func(t *testing.T, r *vendorFixture) {
				for tool, status := range map[string][]any{
					"health": {"success"}, "activity": {"success"}, "self-check": {"success"}, "toolcall_log_tail": {"ok", "disabled", "not_found"},
				} {
					o := r.call(tool, object{})
					assert.Contains(t, status, o["status"], tool)
				}
				assert.Empty(t, r.Requests(), "nobody is asked")
			}, set)
		})
	}
}

func TestModelsThatOnlyTheKeyKnows(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.On(emulator.Match{Vendor: emulator.Kimi, Op: emulator.OpModels}, emulator.Reply{
			JSON: `{"object":"list","data":[{"id":"kimi-k3"},{"id":"kimi-k4","context_length":2000000,"supports_image_in":true,"supports_reasoning":true}]}`,
		})
		assert.NotContains(t, r.call("listmodels", object{})["content"], "kimi-k4")
		r.call("provider_capabilities", object{"invalidate_cache": true})
		list := r.call("listmodels", object{})["content"]
		assert.Contains(t, list, "| kimi-k4 (seen by your key) | 2000K | images | always |")
		assert.Contains(t, list, "| kimi-k3.1-pro (unavailable) |", "its own list lacks it")
	})
}

func TestHealth(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.Script(
			emulator.Say("one ", "two").Every(time.Second), emulator.Fail(emulator.VendorError(401, "invalid_authentication_error", "no")),
			emulator.Fail(emulator.NeverAnswer()),
		)
		r.call("kimi_chat_with_tools", object{"messages": "hi"})
		r.call("kimi_chat_with_tools", object{"messages": "hi"})
		r.call("kimi_chat_with_tools", object{"messages": "hi"})
		o := r.call("health", object{"tail_lines": 2})
		assert.Equal(t, []any{"glm", "kimi"}, o["providers_configured"])
		assert.Contains(t, o["models_available"], "glm-5.3")
		assert.Equal(t, object{"KIMI_TIMEOUT_SECS": 1.0}, o["limits_exceeded"])
		kimi := o["vendors"].(object)["kimi"].(object)
		assert.Equal(t, true, kimi["configured"])
		assert.Equal(t, 3.0, kimi["requests"])
		assert.Equal(t, 2.0, kimi["failures"])
		assert.Equal(t, "2000-01-01T00:00:02Z", kimi["last_success"])
		assert.Equal(t, "timeout", kimi["last_failure"].(object)["kind"])
		assert.Equal(t, 2.0, kimi["latency_secs"].(object)["p50"])
		assert.Greater(t, kimi["today"].(object)["cost_usd"], 0.0)
		assert.Equal(t, kimi["today"], o["today"].(object)["usage"])
		glm := o["vendors"].(object)["glm"].(object)
		assert.Equal(t, 0.0, glm["requests"])
		assert.Nil(t, glm["last_success"])
		metrics := o["metrics_tail"].([]any)
		require.Len(t, metrics, 2)
		assert.Contains(t, metrics[1].(string)+metrics[0].(string), "LIMIT_EXCEEDED")
		calls := o["toolcalls_tail"].([]any)
		require.Len(t, calls, 2)
		assert.Contains(t, calls[1], `"error_code":"timeout"`)
	})
}

func TestActivity(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.call("kimi_chat_with_tools", object{"messages": "secret words"})
		time.Sleep(time.Hour)
		chat := r.call("chat", object{"prompt": "hi", "use_websearch": false})
		id := chat["continuation_offer"].(object)["continuation_id"].(string)

		o := r.call("activity", object{
			"temperature": 0.5, "thinking_mode": "low", "use_websearch": true, "images": []string{}, "files": []string{}, "model": "glm-5.3",
		})
		all := strings.Split(o["content"].(string), "\n")
		assert.GreaterOrEqual(t, len(all), 6)
		assert.Equal(t, float64(len(all)), o["lines"])
		assert.Contains(t, all[0], "2000-01-01 00:00:00 INFO TOOL_CALL: kimi_chat_with_tools")
		assert.NotContains(t, o["content"], "secret words")
		assert.Empty(t, o["running"], "the call that asks is not in it")

		lines := func(args object) []string {
			t.Helper()
			o := r.call("activity", args)
			require.Equal(t, "success", o["status"], o)
			if o["content"] == "" {
				return nil
			}
			return strings.Split(o["content"].(string), "\n")
		}
		assert.Len(t, lines(object{"filter": `TOOL_DONE: (chat|kimi_\w+) status`}), 2)
		assert.Len(t, lines(object{"filter": `(?i)tool_done: CHAT `}), 1)
		assert.Empty(t, lines(object{"filter": "nothing like this"}))
		late := lines(object{"since": "2000-01-01T00:30", "filter": "TOOL_CALL: (chat|kimi)"})
		assert.Len(t, late, 1)
		early := lines(object{"until": "2000-01-01T02:00:00+01:30", "filter": "TOOL_CALL: (chat|kimi)"})
		assert.Len(t, early, 1)
		assert.NotEqual(t, late, early)
		for _, line := range lines(object{"continuation_id": id}) {
			assert.NotContains(t, line, "kimi_chat_with_tools")
		}
		assert.Len(t, lines(object{"continuation_id": id, "filter": "TOOL_DONE: chat"}), 1)
		for _, line := range lines(object{"structured": true, "source": "activity"}) {
			assert.True(t, json.Valid([]byte(line)), line)
		}
		assert.Len(t, lines(object{"lines": 3}), 10)
		o = r.call("activity", object{"lines": 3, "source": "server"})
		assert.Contains(t, fmt.Sprint(notes(o)), "took 3 as 10")
		assert.Contains(t, fmt.Sprint(notes(o)), "stderr")

		for _, bad := range []object{{"filter": "("}, {"filter": "(?=x)"}, {"since": "yesterday"}, {"until": "12:00"}, {"source": "both"}} {
			o := r.call("activity", bad)
			assert.Equal(t, "invalid_request", code(o), bad)
			assert.NotEmpty(t, o["error"].(object)["hint"])
		}
	})
}

// What runs is listed under the id that its conversation will have, and an answer that goes on behind its call stays there.
func TestActivityShowsWhatRuns(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.Script(emulator.Say(strings.Split(strings.Repeat("word ,", 60), ",")...).Every(time.Second))
		done := make(chan object, 1)
		go func() { done <- r.call("chat", object{"prompt": "count", "use_websearch": false}) }()
		time.Sleep(10500 * time.Millisecond)
		running := r.call("activity", object{})["running"].([]any)
		require.Len(t, running, 1)
		w := running[0].(object)
		assert.Equal(t, "chat", w["tool"])
		assert.Equal(t, "writing", w["phase"])
		assert.Equal(t, "glm-5.3-flash", w["model"])
		assert.Equal(t, 10.5, w["seconds"])
		assert.Equal(t, false, w["background"])
		assert.Greater(t, w["tokens"], 5.0)
		id := w["continuation_id"]

		partial := <-done
		assert.Equal(t, "partial", partial["status"])
		assert.Equal(t, id, partial["continuation_offer"].(object)["continuation_id"])
		running = r.call("activity", object{"continuation_id": id})["running"].([]any)
		require.Len(t, running, 1)
		assert.Equal(t, true, running[0].(object)["background"])
		assert.Equal(t, id, running[0].(object)["continuation_id"])
		assert.Empty(t, r.call("activity", object{"continuation_id": "another"})["running"])
		time.Sleep(40 * time.Second)
		synctest.Wait()
		assert.Empty(t, r.call("activity", object{})["running"])
	})
}

func TestToolCallLogTail(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		missing := r.call("toolcall_log_tail", object{})
		assert.Equal(t, "not_found", missing["status"])
		assert.Equal(t, r.cfg.Logs.ToolCallPath, missing["path"])

		for range 3 {
			r.call("kimi_chat_with_tools", object{"messages": "secret words"})
		}
		o := r.call("toolcall_log_tail", object{"n": 2})
		assert.Equal(t, "ok", o["status"])
		assert.Equal(t, 2.0, o["count"])
		events := o["events"].([]any)
		require.Len(t, events, 2)
		e := events[1].(object)
		assert.Equal(t, "kimi_chat_with_tools", e["tool"])
		assert.Equal(t, "success", e["status"])
		assert.Equal(t, "kimi-k3.1-pro", e["model"])
		assert.NotContains(t, fmt.Sprint(events), "secret words")
		assert.Contains(t, fmt.Sprint(notes(r.call("toolcall_log_tail", object{"n": 500}))), "took 500 as 200")

		for _, path := range []string{"activity.jsonl", filepath.Join(r.state, "logs", "activity.jsonl")} {
			o = r.call("toolcall_log_tail", object{"path": path})
			assert.Equal(t, "ok", o["status"], path)
			assert.NotEmpty(t, o["events"])
		}
		assert.Equal(t, "not_found", r.call("toolcall_log_tail", object{"path": "other.jsonl"})["status"])
		inside := r.file("project.jsonl", "{}\n")
		require.NoError(t, os.WriteFile(filepath.Join(r.state, "exai.jsonl"), []byte("{}\n"), 0o600))
		for _, path := range []string{"/etc/passwd", "../exai.jsonl", inside, "toolcalls.jsonl/../../exai.jsonl"} {
			o = r.call("toolcall_log_tail", object{"path": path})
			assert.Equal(t, "path_denied", code(o), path)
			assert.Contains(t, o["error"].(object)["hint"], "EX_TOOLCALL_LOG_PATH")
		}
	})
	with(t, func(t *testing.T, r *vendorFixture) {
		o := r.call("toolcall_log_tail", object{})
		assert.Equal(t, "disabled", o["status"])
		assert.Contains(t, o["reason"], "EX_TOOLCALL_LOG_PATH")
	}, func(c *config.Config) { c.Logs.ToolCallPath = "" })
}

func TestSelfCheck(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.call("kimi_chat_with_tools", object{"messages": "hi"})
		o := r.call("self-check", object{"log_lines": 5})
		text := o["content"].(string)
		assert.Equal(t, "markdown", o["content_type"])
		for _, part := range []string{
			"# exai-mcp 1.2.3", "GLM (Z.ai): ready", "Kimi (Moonshot): ready", "kimi_chat_with_tools", "GLM_API_KEY: set", "Folders that may be read: 1",
			"Store: sqlite, ready", "TOOL_DONE: kimi_chat_with_tools",
		} {
			assert.Contains(t, text, part)
		}
		assert.NotContains(t, r.call("self-check", object{"log_lines": 0})["content"], "TOOL_DONE")
		assert.Equal(t, "invalid_request", code(r.call("self-check", object{"log_lines": 501})))
	})
	with(t, func(t *testing.T, r *vendorFixture) {
		o := r.call("self-check", object{})
		assert.Contains(t, o["content"], "GLM (Z.ai): not configured")
	}, func(c *config.Config) { c.GLM.APIKey, c.Kimi.APIKey = "", "" })
}

// Agents look at health, activity and status in passing: each takes at most 1,500 tokens, whatever has happened, unless the
// call asks for more.
func TestDiagnosticsAreShort(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		for range 90 {
			r.call("chat", object{"prompt": "hello"})
			r.call("chat", object{"prompt": " "})
		}
		size := func(tool string, args object) (int, object) {
			o := r.call(tool, args)
			text, err := json.Marshal(o)
			require.NoError(t, err)
			return o200k.Count(string(text)), o
		}
		for tool, more := range map[string]object{"health": {"tail_lines": 50}, "activity": {"lines": 200}, "status": {"include_tools": true}} {
			short, o := size(tool, object{})
			t.Logf("%s: %d tokens", tool, short)
			assert.LessOrEqual(t, short, 1500, tool)
			assert.Greater(t, short, 900, "%s: room is used", tool)
			assert.Contains(t, fmt.Sprint(notes(o)), "Left out to keep this short: ", tool)
			long, o := size(tool, more)
			assert.Greater(t, long, 1500, tool)
			assert.NotContains(t, fmt.Sprint(notes(o)), "Left out", tool)
		}
		r.call("chat", object{"prompt": " "})
		_, short := size("health", object{})
		_, long := size("health", object{"tail_lines": 50})
		for _, tail := range []string{"metrics_tail", "toolcalls_tail"} {
			kept, all := short[tail].([]any), long[tail].([]any)
			require.Len(t, all, 50)
			assert.NotEmpty(t, kept, tail)
			assert.Less(t, len(kept), 50, tail)
		}
		kept := short["toolcalls_tail"].([]any)
		assert.Contains(t, kept[len(kept)-1], `"tool":"chat"`, "the newest are kept")
		_, o := size("activity", object{})
		assert.EqualValues(t, strings.Count(o["content"].(string), "\n")+1, o["lines"])
		assert.Contains(t, o["content"], "TOOL_DONE: health", "the newest are kept")
	}, func(c *config.Config) {
		for i := range 60 {
			c.Warnings = append(c.Warnings, fmt.Sprintf("OLD_NAME_%d has no effect: use NEW_NAME_%d instead.", i, i))
		}
	})
}

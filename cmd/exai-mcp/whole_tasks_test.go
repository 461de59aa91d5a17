package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// modern is a client of revision 2026-07-28 that declares tasks, on a server in a process of its own. It sends one request
// at a time and takes nothing for granted.
type modern struct {
	s     *site
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Reader
	last  int
}

func (s *site) modern() *modern {
	exe, err := os.Executable()
	require.NoError(s.t, err)
	cmd := exec.Command(exe, "serve")
	cmd.Env, cmd.Dir, cmd.Stderr = append(slices.Clone(s.environ), "GORACE=atexit_sleep_ms=0"), s.dir, os.Stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(s.t, err)
	stdout, err := cmd.StdoutPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, cmd.Start())
	c := &modern{s: s, cmd: cmd, stdin: stdin, lines: bufio.NewReader(stdout)}
	s.t.Cleanup(c.kill)
	return c
}

// kill ends the server as kill -9 does.
func (c *modern) kill() {
	_ = c.cmd.Process.Kill() // it may have ended before
	_, _ = io.Copy(io.Discard, c.lines)
	_ = c.cmd.Wait()
}

// request sends a request and reads lines up to its answer. Progress comes before the answer alone.
func (c *modern) request(method string, params, capabilities object) (result, failure object) {
	c.s.t.Helper()
	c.last++
	params["_meta"] = object{
		"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": capabilities,
		"progressToken": c.last,
	}
	line, err := json.Marshal(object{"jsonrpc": "2.0", "id": c.last, "method": method, "params": params})
	require.NoError(c.s.t, err)
	_, err = c.stdin.Write(append(line, '\n'))
	require.NoError(c.s.t, err)
	for {
		raw, err := c.lines.ReadBytes('\n')
		require.NoError(c.s.t, err)
		var m struct {
			ID     int
			Method string
			Params struct{ ProgressToken int }
			Result object
			Error  object
		}
		require.NoError(c.s.t, json.Unmarshal(raw, &m), "%s", raw)
		if m.Method == "notifications/progress" {
			assert.Equal(c.s.t, c.last, m.Params.ProgressToken, "progress of a call that is over: %s", raw)
			continue
		}
		require.Equal(c.s.t, c.last, m.ID, "%s", raw)
		return m.Result, m.Error
	}
}

func declared() object {
	return object{"extensions": object{"io.modelcontextprotocol/tasks": object{}}}
}

// about asks about a task; there must be a result.
func (c *modern) about(method, id string) object {
	c.s.t.Helper()
	result, failure := c.request(method, object{"taskId": id}, declared())
	require.Nil(c.s.t, failure, "%s %s", method, id)
	assert.Equal(c.s.t, "complete", result["resultType"])
	return result
}

// call calls a tool.
func (c *modern) call(tool string, arguments, capabilities object) object {
	c.s.t.Helper()
	result, failure := c.request("tools/call", object{"name": tool, "arguments": arguments}, capabilities)
	require.Nil(c.s.t, failure)
	return result
}

// task makes a call that becomes a task, and returns it. On a machine that is busy enough the store may not confirm in time, or
// nothing arrives before the limit; the call is then answered in part, or with that limit, and made again.
func (c *modern) task(tool string, arguments object) object {
	c.s.t.Helper()
	for range 20 {
		result := c.call(tool, arguments, declared())
		if result["resultType"] == "task" {
			assert.Equal(c.s.t, "working", result["status"])
			assert.EqualValues(c.s.t, (600+24*3600)*1000, result["ttlMs"])
			assert.EqualValues(c.s.t, 2000, result["pollIntervalMs"])
			assert.NotContains(c.s.t, result, "content")
			return result
		}
		reply := replyIn(c.s.t, result)
		failure, _ := reply["error"].(object)
		inPart := reply["status"] == "partial" || reply["status"] == "investigation_complete" // a step whose expert was late
		assert.True(c.s.t, inPart || failure["code"] == "timeout", "%v", result)
	}
	require.Fail(c.s.t, "no call became a task")
	return nil
}

// poll asks for a task until it has ended, and returns it.
func (c *modern) poll(id string) object {
	c.s.t.Helper()
	for end := time.Now().Add(scaled(20 * time.Second)); time.Now().Before(end); {
		if task := c.about("tasks/get", id); task["status"] != "working" {
			return task
		}
		time.Sleep(50 * time.Millisecond)
	}
	require.Fail(c.s.t, "the task did not end")
	return nil
}

// replyIn is the tool's reply in the result of a call.
func replyIn(t *testing.T, result any) object {
	t.Helper()
	whole, _ := result.(object)
	content, _ := whole["content"].([]any)
	require.Len(t, content, 1, "%v", result)
	text, _ := content[0].(object)["text"].(string)
	var reply object
	require.NoError(t, json.Unmarshal([]byte(text), &reply), text)
	assert.Equal(t, whole["structuredContent"], reply)
	return reply
}

// slowCall is a question whose answer takes about four seconds, a word each 100 ms.
func (s *site) slowCall() object {
	var words []string
	for i := range 40 {
		words = append(words, fmt.Sprintf("(emulated) %d ", i))
	}
	s.vendors.Always(emulator.Match{Text: "Slowly"}, func(emulator.Request) emulator.Reply {
		return emulator.Say(words...).Every(scaled(100 * time.Millisecond))
	})
	return object{"prompt": "Slowly, please.", "model": "glm-5.3-flash", "use_websearch": false}
}

// Calls have a second and a half, so that longer ones become tasks soon.
func shortAnswers() []string { return limits("LOG_LEVEL=error", "ANSWER_WITHIN_SECS=1.5") }

// A call that is longer than its limit is a task that every process of the store knows, and whose result is the whole reply.
func TestACallIsATaskInEveryProcess(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *site) {
		s.environ = append(s.environ, shortAnswers()...)
		c, other := s.modern(), s.modern()
		task := c.task("chat", s.slowCall())
		id, _ := task["taskId"].(string)
		conversation, turn, _ := strings.Cut(id, ".")
		assert.Equal(t, "2", turn)
		for _, in := range []*modern{c, other} {
			for _, by := range []string{id, conversation} {
				got := in.about("tasks/get", by)
				assert.Equal(t, "working", got["status"])
				assert.Equal(t, by, got["taskId"])
				assert.Contains(t, got["statusMessage"], "glm-5.3-flash")
			}
		}
		assert.Equal(t, object{"resultType": "complete", "_meta": task["_meta"]}, other.about("tasks/update", id))

		here, there := c.poll(id), other.poll(id)
		assert.Equal(t, "completed", here["status"])
		assert.Equal(t, here, there)
		reply := replyIn(t, here["result"])
		assert.Equal(t, "continuation_available", reply["status"])
		assert.Contains(t, reply["content"], "(emulated) 39")
		assert.Equal(t, conversation, reply["continuation_offer"].(object)["continuation_id"])
		meta := reply["metadata"].(object)
		assert.Equal(t, "chat", meta["tool_name"])
		assert.Greater(t, meta["duration_ms"], 3000.0)
		fetched := replyIn(t, c.call("chat", object{"prompt": "", "continuation_id": conversation}, object{}))
		assert.Equal(t, reply["content"], fetched["content"], "a blank prompt fetches the same answer")

		// A later turn does not change what an old id answers.
		later := replyIn(t, c.call("chat", object{"prompt": "Shortly.", "continuation_id": conversation, "model": "glm-5.3-flash", "use_websearch": false}, declared()))
		assert.NotEqual(t, reply["content"], later["content"])
		assert.Equal(t, here, other.about("tasks/get", id))
		assert.Equal(t, later["content"], replyIn(t, other.about("tasks/get", conversation)["result"])["content"])
	})
}

// The result of a workflow's task is the finished step.
func TestAWorkflowIsATask(t *testing.T) {
	s := newSite(t, shortAnswers()...)
	project := s.project()
	expert, err := json.Marshal(object{"status": "analysis_complete", "summary": "(emulated) The sign is wrong.", "root_cause": "(emulated) - for +"})
	require.NoError(t, err)
	var pieces []string
	for i := range 40 {
		pieces = append(pieces, string(expert[len(expert)*i/40:len(expert)*(i+1)/40]))
	}
	s.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply {
		return emulator.Say(pieces...).Every(scaled(100 * time.Millisecond))
	})
	c := s.modern()
	args := object{"step": "Why is Add wrong?", "relevant_files": []string{project + "/add.go"}, "model": "glm-5.3"}
	id, _ := c.task("debug", args)["taskId"].(string)
	task := c.poll(id)
	reply := replyIn(t, task["result"])
	assert.Equal(t, "analysis_complete", reply["expert_analysis"].(object)["status"], "%v", reply)
	conversation, _, _ := strings.Cut(id, ".")
	assert.Equal(t, conversation, reply["continuation_id"])
	assert.Equal(t, "debug", reply["metadata"].(object)["tool_name"])
	args["continuation_id"] = conversation
	again := replyIn(t, c.call("debug", args, declared()))
	assert.Equal(t, reply["expert_analysis"], again["expert_analysis"], "the same step fetches the same answer")
	other := s.modern()
	assert.Equal(t, task, other.about("tasks/get", id))
}

// A server that is killed leaves what was stored: another process answers that the task works as long as it may, and then
// that it has completed in part.
func TestAKilledServersTaskIsAnsweredElsewhere(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *site) {
		s.environ = append(s.environ, shortAnswers()...)
		s.vendors.Always(emulator.Match{Text: "Tell me"}, func(emulator.Request) emulator.Reply { return emulator.Fail(emulator.Drip(20 * time.Millisecond)) })
		chat := object{"prompt": "Tell me everything.", "model": "glm-5.3-flash", "use_websearch": false}
		debug := object{"step": "Tell me everything.", "relevant_files": []string{s.project() + "/add.go"}, "model": "glm-5.3"}
		c, db := s.modern(), s.openStore()
		ids := map[string]string{}
		for tool, args := range map[string]object{"chat": chat, "debug": debug} {
			id, _ := c.task(tool, args)["taskId"].(string)
			conversation, _, _ := strings.Cut(id, ".")
			first := len(s.lastTurn(db, conversation).Content)
			require.Eventually(t, func() bool { return len(s.lastTurn(db, conversation).Content) > first }, scaled(10*time.Second), 20*time.Millisecond)
			ids[tool] = id
		}
		c.kill()
		other := s.modern()
		for _, id := range ids {
			assert.Equal(t, "working", other.about("tasks/get", id)["status"], "nobody knows yet")
		}
		s.ageHeartbeats()
		for tool, id := range ids {
			task := other.about("tasks/get", id)
			assert.Equal(t, "completed", task["status"])
			reply := replyIn(t, task["result"])
			conversation, _, _ := strings.Cut(id, ".")
			stored := s.lastTurn(db, conversation).Content
			if tool == "chat" {
				assert.Equal(t, "partial", reply["status"])
				assert.Equal(t, stored, reply["content"])
				continue
			}
			analysis := reply["expert_analysis"].(object)
			assert.Equal(t, object{"status": "partial", "content": stored}, analysis)
		}
	})
}

// tasks/cancel ends a task and closes the vendor's connection, however often it comes; what had arrived is kept.
func TestATaskIsCancelled(t *testing.T) {
	s := newSite(t, shortAnswers()...)
	s.vendors.Always(emulator.Match{Text: "Tell me"}, func(emulator.Request) emulator.Reply { return emulator.Fail(emulator.Drip(20 * time.Millisecond)) })
	c := s.modern()
	id, _ := c.task("chat", object{"prompt": "Tell me everything.", "model": "glm-5.3-flash", "use_websearch": false})["taskId"].(string)
	conversation, _, _ := strings.Cut(id, ".")
	for range 2 {
		assert.NotContains(t, c.about("tasks/cancel", id), "status")
	}
	_, err := s.vendors.WaitGone(t.Context(), 1)
	require.NoError(t, err)
	task := c.poll(id)
	assert.Equal(t, "cancelled", task["status"])
	assert.Contains(t, task["statusMessage"], conversation)
	assert.NotContains(t, task, "result")
	c.about("tasks/cancel", id)
	kept := replyIn(t, c.call("chat", object{"prompt": "", "continuation_id": conversation}, declared()))
	assert.Equal(t, "partial", kept["status"])
	assert.Contains(t, kept["content"], "drip")
	assert.Equal(t, task, s.modern().about("tasks/get", id))
}

// Who did not declare tasks gets none and may not ask for one; who did is told what is not there.
func TestWhoHasNoTasks(t *testing.T) {
	s := newSite(t, shortAnswers()...)
	c := s.modern()
	reply := replyIn(t, c.call("chat", s.slowCall(), object{}))
	require.Equal(t, "partial", reply["status"], "%v", reply)
	id := reply["continuation_offer"].(object)["continuation_id"].(string)
	_, failure := c.request("tasks/get", object{"taskId": id}, object{})
	assert.EqualValues(t, -32021, failure["code"])
	_, failure = c.request("tasks/get", object{"taskId": "0b8e1f7c-0000-4000-8000-000000000000.2"}, declared())
	assert.EqualValues(t, -32602, failure["code"])
	assert.Equal(t, "working", c.about("tasks/get", id)["status"], "what goes on can be asked for, whoever began it")
	_, failure = c.request("tasks/get", object{"taskId": id + ".1"}, declared())
	assert.EqualValues(t, -32602, failure["code"], "a question is no task")
}

// A reply that was reported as stored needs a store that outlives the process.
func TestNoTasksInMemory(t *testing.T) {
	s := newSite(t, append(shortAnswers(), "CONVERSATION_STORAGE_BACKEND=memory")...)
	reply := replyIn(t, s.modern().call("chat", s.slowCall(), declared()))
	assert.Equal(t, "partial", reply["status"], "%v", reply)
	assert.NotNil(t, reply["continuation_offer"])
}

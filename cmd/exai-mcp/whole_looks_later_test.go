package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// slowAnswer reads in four rounds at once and takes some seconds for the answer behind them, and for a second turn.
func slowAnswer(answer emulator.Reply) func(emulator.Request) emulator.Reply {
	pieces := []string{}
	for _, r := range strings.Join(answer.Content, "") {
		pieces = append(pieces, string(r))
	}
	answer.Content = nil
	for part := range slices.Chunk(pieces, (len(pieces)+19)/20) {
		answer.Content = append(answer.Content, strings.Join(part, ""))
	}
	rounds := [][]emulator.ToolCall{}
	for i := range 4 {
		rounds = append(rounds, []emulator.ToolCall{called("read_file", fmt.Sprintf(`{"path":"caller.go","from":%d}`, i+1))})
	}
	answer = answer.Every(scaled(200 * time.Millisecond))
	return func(r emulator.Request) emulator.Reply {
		reply := emulator.Reads(answer, rounds...)(r)
		if len(reply.ToolCalls) > 0 {
			reply.Gap = 0
		}
		return reply
	}
}

// A call whose limit ends it in the fifth round goes on behind it: with the same step, with a blank prompt, and from another
// process, the whole answer is fetched, with what was read, the proof and the verdict after the second turn.
func TestTheFifthRoundIsFetched(t *testing.T) {
	for _, model := range []string{"glm-5.3", "glm-4.6", "kimi-k3", "kimi-k2.6"} {
		for _, how := range []string{"step", "blank prompt", "another process"} {
			t.Run(model+" "+how, func(t *testing.T) {
				t.Parallel()
				s := reading(t, hurried...)
				s.experts(slowAnswer(concludes(emptyCart())))
				p := s.serveHere()
				args := reported(s.review(dialect{model: model, thinking: "low"}, nil))
				part := p.call("codereview", args)
				assert.Less(t, part.took, scaled(3*time.Second)+overrun)
				require.Equal(t, "partial", part.str("expert_analysis", "status"), part.text)
				assert.Equal(t, "inconclusive", part.str("verdict"))
				assert.Len(t, part.list("looked_at"), 4)
				require.Len(t, s.chats(), 5)

				tool, fetch := "codereview", args
				if how == "blank prompt" {
					tool, fetch = "chat", object{"prompt": ""}
				}
				fetch["continuation_id"] = part.id()
				if how == "another process" {
					p = s.serveHere()
				}
				var r *toolReply
				for range 10 {
					r = p.call(tool, fetch)
					if pending := r.object["agent_findings"]; pending != nil && r.str("agent_findings", "status") != "partial" {
						break
					}
				}
				analysis := r.object["expert_analysis"]
				if tool == "chat" {
					assert.Equal(t, "continuation_available", r.str("status"))
					require.NoError(t, json.Unmarshal([]byte(r.str("content")), &analysis), r.text)
				}
				findings := (&toolReply{object: object{"a": analysis}}).list("a", "findings")
				require.Len(t, findings, 1, r.text)
				assert.Equal(t, "verified", findings[0]["citation"])
				assert.Equal(t, "wrong", r.list("agent_findings")[0]["judgement"], r.text)
				assert.Equal(t, "changes_required", r.str("verdict"))
				assert.Equal(t, part.list("looked_at"), r.list("looked_at"))
				assert.Equal(t, "whole", r.list("coverage")[0]["how"])
				assert.Len(t, s.chats(), 6, "four rounds, the answer and the second turn")
			})
		}
	}
}

// What was changed or named and not seen makes a review inconclusive, however content its expert is. One that reads the rest
// by itself may pass it.
func TestWhatNobodySawIsInconclusive(t *testing.T) {
	for _, model := range []string{"glm-5.3", "kimi-k2.6"} {
		for _, tool := range []string{"codereview", "secaudit", "precommit"} {
			for _, reads := range []bool{false, true} {
				t.Run(fmt.Sprint(model, " ", tool, " reads ", reads), func(t *testing.T) {
					s := reading(t, "LOG_LEVEL=error", "EXPERT_ANALYSIS_MAX_FILE_SIZE_KB=8")
					var old, now strings.Builder
					for i := range 1500 {
						fmt.Fprintf(&old, "var limit%d = %d\n", i, i)
						fmt.Fprintf(&now, "var limit%d = %d\n", i, i+1)
					}
					s.file("project/limits.go", old.String())
					s.git("add", "limits.go")
					s.git("commit", "-q", "-m", "Add limits")
					s.file("project/limits.go", now.String())
					s.git("checkout", "sum.go")
					var rounds [][]emulator.ToolCall
					if reads {
						rounds = [][]emulator.ToolCall{{called("read_file", `{"path":"limits.go"}`)}, {called("git_show", `{"commit":"HEAD","path":"limits.go"}`)}}
					}
					s.experts(emulator.Reads(concludes(), rounds...))
					args := s.review(dialect{model: model, thinking: "low"}, object{"relevant_files": []string{s.dir + "/project/limits.go"}})
					if tool == "precommit" {
						delete(args, "relevant_files")
						args["path"] = s.dir + "/project"
					}
					r := s.serveHere().call(tool, args)
					require.Len(t, r.list("coverage"), 1, r.text)
					how := r.list("coverage")[0]["how"]
					switch {
					case tool == "precommit": // whose diff has room for it
						assert.Equal(t, "diff", how, r.text)
						assert.Equal(t, "pass", r.str("verdict"))
					case reads:
						assert.Equal(t, "whole", how)
						assert.Equal(t, "pass", r.str("verdict"), r.text)
					default:
						assert.Equal(t, "part", how)
						assert.Equal(t, "inconclusive", r.str("verdict"), r.text)
						assert.Contains(t, r.str("verdict_reason"), "limits.go")
					}
				})
			}
		}
	}
}

// A change that is larger than all that an expert can be sent is inconclusive, too, and exai-mcp review says so.
func TestAChangeTooLargeToSeeIsInconclusive(t *testing.T) {
	s := reading(t, "LOG_LEVEL=error", "GLM_QUALITY_MODEL=glm-4.5v")
	var now strings.Builder
	for i := range 20_000 {
		fmt.Fprintf(&now, "var limit%d = %d\n", i, i+1)
	}
	s.file("project/limits.go", "package sums\n")
	s.git("add", "limits.go")
	s.git("commit", "-q", "-m", "Add limits")
	s.file("project/limits.go", "package sums\n"+now.String())
	s.experts(func(emulator.Request) emulator.Reply { return concludes() })
	r := s.serveHere().call("precommit", object{"step": "Review.", "path": s.dir + "/project", "model": "glm-4.5v"})
	how := map[string]any{}
	for _, c := range r.list("coverage") {
		how[c["file"].(string)[len(s.dir+"/project/"):]] = c["how"]
	}
	assert.Equal(t, "part", how["limits.go"], "%v", how)
	assert.Contains(t, []any{"diff", "whole"}, how["sum.go"])
	assert.Equal(t, "inconclusive", r.str("verdict"))
	assert.Contains(t, r.str("verdict_reason"), "limits.go")
	assert.NotContains(t, r.str("verdict_reason"), "sum.go")
}

// A model that takes no functions, whether that is known before or its server says so, is sent the files, and asks for more
// in its answer.
func TestModelsWithoutFunctions(t *testing.T) {
	for name, refusals := range map[string]int{"known": 0, "not known": 1} {
		t.Run(name, func(t *testing.T) {
			s := reading(t, "LOG_LEVEL=error")
			if refusals > 0 {
				s.environ = append(s.environ, "MODELS_FILE="+s.file("models.json", `{"models":[{"id":"lab/lab-small","provider":"lab","functions":true}]}`))
			}
			s.experts(func(r emulator.Request) emulator.Reply {
				if strings.Contains(r.Chat.Text(), callerLine) {
					return concludes(emptyCart())
				}
				return emulator.Say(`{"status": "files_required_to_continue", "mandatory_instructions": "Who calls it?", "files_needed": ["caller.go"]}`)
			})
			p := s.serveHere()
			args := reported(s.review(dialect{model: "lab/lab-small", thinking: "low"}, nil))
			r := p.call("codereview", args)
			require.NotEqual(t, "error", r.str("status"), r.text)
			refused := 0
			var chats []emulator.Request
			for _, q := range s.vendors.Requests() {
				switch {
				case q.Refused == "model without tools":
					refused++
				case q.Op == emulator.OpChat && q.Refused == "":
					chats = append(chats, q)
				}
			}
			assert.Equal(t, refusals, refused)
			require.Len(t, chats, 3, "the question, the same with the file, the second turn")
			for _, c := range chats {
				assert.Empty(t, c.Chat.Tools)
				assert.NotContains(t, c.Chat.Text(), "read_file", "it is not told of functions")
			}
			assert.NotContains(t, chats[0].Chat.Text(), callerLine)
			assert.Contains(t, chats[1].Chat.Text(), callerLine)
			assert.NotContains(t, chats[1].Chat.Text(), "ISSUE-7")
			assert.Contains(t, chats[2].Chat.Text(), "ISSUE-7")
			assert.Equal(t, "verified", r.list("expert_analysis", "findings")[0]["citation"], r.text)
			assert.Equal(t, "changes_required", r.str("verdict"))
			assert.Empty(t, r.list("looked_at"))
			assert.Equal(t, "wrong", r.list("agent_findings")[0]["judgement"])
		})
	}
}

// costs are the requests and the money that the store has on record, and what is still reserved.
func (p *peer) costs() (requests, usd, reserved float64) {
	p.t.Helper()
	today, _ := p.call("health", object{}).object["costs"].(object)["today"].(object)
	requests, _ = today["requests"].(float64)
	usd, _ = today["cost_usd"].(float64)
	reserved, _ = today["reserved_usd"].(float64)
	return requests, usd, reserved
}

// Each request of a reading expert and of its second turn is settled with what it took, in the call and behind it, and the
// reply has the sum.
func TestReadsAndSecondTurnsAreSettled(t *testing.T) {
	for _, model := range []string{"glm-5.3", "kimi-k3", "kimi-k2.6"} {
		for _, behind := range []bool{false, true} {
			t.Run(fmt.Sprint(model, " behind the call ", behind), func(t *testing.T) {
				t.Parallel()
				s := reading(t, hurried...)
				answer := emulator.Reads(concludes(emptyCart()), []emulator.ToolCall{called("read_file", `{"path":"caller.go"}`)})
				want := 3.0
				if behind {
					answer, want = slowAnswer(concludes(emptyCart())), 6
				}
				s.experts(answer)
				p := s.serveHere()
				args := reported(s.review(dialect{model: model, thinking: "low"}, nil))
				r := p.call("codereview", args)
				args["continuation_id"] = r.id()
				var requests, usd, reserved float64
				require.Eventually(t, func() bool {
					requests, usd, reserved = p.costs()
					return requests == want && reserved == 0
				}, scaled(20*time.Second), 200*time.Millisecond, "%v requests, %v USD, %v reserved", requests, usd, reserved)
				r = p.call("codereview", args)
				usage, _ := r.object["metadata"].(object)["usage"].(object)
				assert.Positive(t, usd)
				assert.InDelta(t, usd, usage["cost_usd"], 1e-6, r.text)
			})
		}
	}
}

// A call's own limit withdraws the functions and the second turn, and never fails what has begun.
func TestACallsCostWithdrawsReadsAndTheSecondTurn(t *testing.T) {
	for _, c := range []struct {
		usd    string
		reads  int // of the three rounds
		judged bool
	}{{"10", 3, true}, {"0.06", 0, false}} {
		t.Run(c.usd, func(t *testing.T) {
			s := reading(t, "LOG_LEVEL=error", "MAX_COST_PER_CALL_USD="+c.usd)
			answer := concludes(emptyCart())
			answer.Usage = &emulator.Usage{Prompt: 4000, Output: 8000, Reasoning: 7000}
			s.experts(emulator.Reads(answer,
				[]emulator.ToolCall{called("read_file", `{"path":"caller.go"}`)}, []emulator.ToolCall{called("read_file", `{"path":"caller.go","from":2}`)},
				[]emulator.ToolCall{called("read_file", `{"path":"caller.go","from":3}`)}))
			p := s.serveHere()
			r := p.call("codereview", reported(s.review(dialect{model: "glm-5.3", thinking: "high"}, nil)))
			assert.Equal(t, "analysis_complete", r.str("expert_analysis", "status"), r.text)
			assert.Len(t, r.list("looked_at"), c.reads, r.text)
			if c.judged {
				assert.Equal(t, "wrong", r.list("agent_findings")[0]["judgement"])
			} else {
				assert.Equal(t, "not_judged", r.str("agent_findings", "status"))
				assert.Contains(t, r.str("agent_findings", "reason"), "MAX_COST_PER_CALL_USD")
			}
			_, _, reserved := p.costs()
			assert.Zero(t, reserved)
		})
	}
}

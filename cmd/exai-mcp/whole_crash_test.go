package main

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/store/storetest"
)

// eachDatabase runs a test at a site on SQLite, and at one on PostgreSQL where EXAI_TEST_POSTGRES_URL names a server.
func eachDatabase(t *testing.T, test func(t *testing.T, s *site)) {
	t.Run("sqlite", func(t *testing.T) { test(t, newSite(t, "LOG_LEVEL=warn")) })
	t.Run("postgres", func(t *testing.T) {
		test(t, newSite(t, "LOG_LEVEL=warn", "CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL="+storetest.Postgres(t)))
	})
}

// openStore opens the site's database beside whoever else has it open.
func (s *site) openStore() *store.Store {
	s.t.Helper()
	cfg, err := (&app{environ: s.environ}).load()
	require.NoError(s.t, err)
	db, err := store.Open(s.t.Context(), cfg.Conversations)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { assert.NoError(s.t, db.Close()) })
	return db
}

// database opens the site's database past the store.
func (s *site) database() *sql.DB {
	s.t.Helper()
	cfg, err := (&app{environ: s.environ}).load()
	require.NoError(s.t, err)
	driver, dsn := "pgx", cfg.Conversations.DatabaseURL.Reveal()
	if cfg.Conversations.Backend == "sqlite" {
		driver, dsn = "sqlite", "file:"+cfg.Conversations.StateDir+"/exai.db?_pragma=busy_timeout(10000)" // a server may be writing
	}
	db, err := sql.Open(driver, dsn)
	require.NoError(s.t, err)
	s.t.Cleanup(func() { assert.NoError(s.t, db.Close()) })
	return db
}

// checkIntegrity checks what a SQLite file can tell about itself.
func (s *site) checkIntegrity() {
	s.t.Helper()
	if slices.Contains(s.environ, "CONVERSATION_STORAGE_BACKEND=postgres") {
		return
	}
	db := s.database()
	var verdict string
	require.NoError(s.t, db.QueryRowContext(s.t.Context(), `PRAGMA integrity_check`).Scan(&verdict))
	assert.Equal(s.t, "ok", verdict)
	var table sql.NullString
	err := db.QueryRowContext(s.t.Context(), `PRAGMA foreign_key_check`).Scan(&table, new(any), new(any), new(any))
	assert.ErrorIs(s.t, err, sql.ErrNoRows)
}

var tag = regexp.MustCompile(`<[a-z]+ \d+ \d+>`)

// echo has the vendors answer each question with its own tag.
func (s *site) echo() {
	s.vendors.Always(emulator.Match{}, func(r emulator.Request) emulator.Reply {
		return emulator.Say("(emulated) ", "answer to ", tag.FindString(r.Chat.LastUser()))
	})
}

// talker is a caller that has one conversation: it asks one question after the other, whatever becomes of the server.
type talker struct {
	name  string
	model string
	id    string   // the conversation's, once it is known
	asked int      // how many questions
	told  []string // the tags whose answer has reached it
}

// ask puts the next question; false when the server ended before it answered.
func (l *talker) ask(p *peer) bool {
	l.asked++
	question := fmt.Sprintf("<%s %d>", l.name, l.asked)
	args := object{"prompt": "Question " + question, "model": l.model, "use_websearch": false}
	if l.id != "" {
		args["continuation_id"] = l.id
	}
	r := p.await(p.ask("chat", args))
	if r == nil {
		return false
	}
	// On a machine that is busy enough, a store may not confirm in time: the reply then says so and offers nothing, and
	// nothing of it was promised.
	if assert.Equal(p.t, "(emulated) answer to "+question, r.str("content"), r.text) && r.id() != "" {
		l.told = append(l.told, question)
		l.id = r.id()
	}
	return true
}

// checkRemembered checks that what talkers were told is in their conversation, once, in order, question and answer
// side by side, and nothing that is half a turn.
func checkRemembered(t *testing.T, messages []providers.Message, lanes ...*talker) {
	t.Helper()
	var there []string
	for i := 0; i+1 < len(messages); i += 2 {
		q, a := messages[i], messages[i+1]
		question := tag.FindString(q.Content)
		require.Equal(t, providers.RoleUser, q.Role, "turn %d", i)
		require.Equal(t, providers.RoleAssistant, a.Role, "turn %d", i+1)
		require.Equal(t, "(emulated) answer to "+question, a.Content)
		there = append(there, question)
	}
	require.Zero(t, len(messages)%2, "half a turn")
	for _, l := range lanes {
		at := -1
		for _, question := range l.told {
			next := slices.Index(there, question)
			require.Greater(t, next, at, "%s is lost, or out of order, in %v", question, there)
			require.NotContains(t, there[next+1:], question, "stored twice")
			at = next
		}
	}
}

// historyOf is what a vendor is sent of a conversation by a new process, the further question left out.
func (s *site) historyOf(p *peer, id string) []providers.Message {
	s.t.Helper()
	s.vendors.Forget()
	p.call("chat", object{"prompt": "Question <again 0 0>", "continuation_id": id, "use_websearch": false})
	requests := s.vendors.Requests()
	require.Len(s.t, requests, 1)
	var out []providers.Message
	for _, m := range requests[0].Chat.Messages {
		if m.Role != "system" {
			out = append(out, providers.Message{Role: providers.Role(m.Role), Content: m.Content})
		}
	}
	require.Contains(s.t, out[len(out)-1].Content, "<again 0 0>")
	return out[:len(out)-1]
}

// The server is killed again and again while four callers talk to it: what any of them has been told is there afterwards.
func TestKilledServersLoseNothing(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *site) {
		s.echo()
		r := rand.New(rand.NewPCG(20, 26))
		lanes := []*talker{
			{name: "lane 1", model: "glm-5.3-flash"},
			{name: "lane 2", model: "glm-5.3-flash"},
			{name: "lane 3", model: "kimi-k2.6"},
			{name: "lane 4", model: "kimi-k2.6"},
		}
		told := func() (n int) {
			for _, l := range lanes {
				n += len(l.told)
			}
			return n
		}
		kills := 0
		for ; told() < 200; kills++ {
			p := s.serveChild()
			answered := make(chan struct{}, 1000)
			var talking sync.WaitGroup
			for _, l := range lanes {
				talking.Go(func() {
					for l.ask(p) {
						answered <- struct{}{}
					}
				})
			}
			// The number of answers is the seeded moment, and a wait of about a turn puts the blow anywhere in one.
			for range 5 + r.IntN(25) {
				<-answered
			}
			time.Sleep(time.Duration(r.IntN(8000)) * time.Microsecond)
			p.kill()
			talking.Wait()
			assert.NotContains(t, p.stderr.String(), "panic")
		}
		t.Logf("%d answers from %d servers that were killed", told(), kills)

		s.checkIntegrity()
		p := s.serveChild()
		for _, l := range lanes {
			checkRemembered(t, s.historyOf(p, l.id), l)
			code, out, errs := s.run("", "conversations", "show", l.id)
			require.Equal(t, exitOK, code, errs)
			for _, question := range l.told {
				assert.Contains(t, out, "answer to "+question)
			}
		}
		p.closeInput()
		assert.Empty(t, p.stderr.String())
	})
}

// Eight servers share one file: 1,000 turns of conversations that each has for itself and of four conversations that all write to.
func TestEightServersShareOneFile(t *testing.T) {
	const servers, own, shared = 8, 32, 31
	s := newSite(t, "LOG_LEVEL=warn")
	s.echo()
	first := s.serveChild()
	conversations := make([]*talker, 4)
	for i := range conversations {
		conversations[i] = &talker{name: fmt.Sprint("shared ", i), model: "glm-5.3-flash"}
		require.True(t, conversations[i].ask(first))
	}
	first.closeInput()

	var working sync.WaitGroup
	everyone := make([][]*talker, len(conversations)) // who wrote to a shared conversation
	var alone []*talker
	var peers []*peer
	for n := range servers {
		p := s.serveChild()
		peers = append(peers, p)
		mine := &talker{name: fmt.Sprint("own ", n), model: "kimi-k2.6"}
		alone = append(alone, mine)
		working.Go(func() {
			for try := 0; len(mine.told) < own && try < 3*own; try++ {
				mine.ask(p)
			}
		})
		var guests []*talker
		for i, conv := range conversations {
			guest := &talker{name: fmt.Sprintf("guest %d", n*len(conversations)+i), model: "glm-5.3-flash", id: conv.id}
			guests = append(guests, guest)
			everyone[i] = append(everyone[i], guest)
		}
		working.Go(func() {
			for i, try := 0, 0; i < shared && try < 3*shared; try++ {
				guest := guests[(n+i)%len(guests)]
				if told := len(guest.told); guest.ask(p) && len(guest.told) > told {
					i++
				}
			}
		})
	}
	working.Wait()
	for _, p := range peers {
		p.closeInput()
		assert.NotContains(t, p.stderr.String(), "locked")
	}

	s.checkIntegrity()
	db := s.openStore()
	turns := 0
	for i, conv := range conversations {
		turns += s.checkStored(db, append(everyone[i], conv)...)
	}
	for _, l := range alone {
		assert.Len(t, l.told, own)
		turns += s.checkStored(db, l)
	}
	assert.GreaterOrEqual(t, turns, 1000)
	assert.GreaterOrEqual(t, turns, 2*(servers*(own+shared)+len(conversations)), "none was lost")
}

// checkStored checks a conversation in the database, and returns its number of turns.
func (s *site) checkStored(db *store.Store, lanes ...*talker) int {
	s.t.Helper()
	conv, err := db.Load(s.t.Context(), lanes[0].id)
	require.NoError(s.t, err)
	var messages []providers.Message
	for i, turn := range conv.Turns {
		require.Equal(s.t, i+1, turn.N)
		messages = append(messages, providers.Message{Role: turn.Role, Content: turn.Content})
	}
	checkRemembered(s.t, messages, lanes...)
	return len(conv.Turns)
}

// shortCalls are limits with which an answer that goes on does so in the background before long.
func shortCalls() []string {
	return limits("GLM_TIMEOUT_SECS=0.8", "KIMI_TIMEOUT_SECS=0.8", "SIMPLE_TOOL_TIMEOUT_SECS=0.8")
}

// askEndless asks a question whose answer never ends, and returns the reply: a part of it, the rest going on.
func (s *site) askEndless(p *peer, id string) *toolReply {
	s.t.Helper()
	s.vendors.On(emulator.Match{Text: "Tell me"}, emulator.Fail(emulator.Drip(20*time.Millisecond)))
	args := object{"prompt": "Tell me everything.", "model": "glm-5.3-flash", "use_websearch": false}
	if id != "" {
		args["continuation_id"] = id
	}
	r := p.call("chat", args)
	// With so short a limit a busy machine may not store in time: the reply then offers nothing to go on with.
	for try := 0; r.id() == "" && try < 20; try++ {
		s.vendors.On(emulator.Match{Text: "Tell me"}, emulator.Fail(emulator.Drip(20*time.Millisecond)))
		r = p.call("chat", args)
	}
	require.Equal(s.t, "partial", r.str("status"), r.text)
	require.Contains(s.t, r.str("content"), "drip")
	return r
}

// lastTurn is a conversation's last turn in the database.
func (s *site) lastTurn(db *store.Store, id string) conversation.Turn {
	s.t.Helper()
	conv, err := db.Load(s.t.Context(), id)
	require.NoError(s.t, err)
	return conv.Turns[len(conv.Turns)-1]
}

// elevenSecondsBefore is a column's time eleven seconds earlier, in SQL.
func (s *site) elevenSecondsBefore(column string) string {
	if slices.Contains(s.environ, "CONVERSATION_STORAGE_BACKEND=postgres") {
		return column + ` - interval '11 seconds'`
	}
	return `strftime('%Y-%m-%dT%H:%M:%f000Z', ` + column + `, '-11 seconds')`
}

// ageHeartbeats makes what was being written look as it does eleven seconds after its process died.
func (s *site) ageHeartbeats() {
	s.t.Helper()
	_, err := s.database().ExecContext(s.t.Context(), `UPDATE messages SET saved_at = `+s.elevenSecondsBefore("saved_at")+` WHERE turn_status = 'running'`)
	require.NoError(s.t, err)
}

// An answer that goes on in the background is saved as it grows. Once its process has been dead for 10 s, what was saved
// is a finished partial answer: it can be fetched, and the conversation goes on from it.
func TestKilledServersLeaveWhatWentOnBehindThem(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *site) {
		s.environ = append(s.environ, shortCalls()...)
		s.echo()
		p := s.serveChild()
		part := s.askEndless(p, "")
		id, db := part.id(), s.openStore()
		require.Eventually(t, func() bool { return len(s.lastTurn(db, id).Content) > len(part.str("content")) }, scaled(10*time.Second), 20*time.Millisecond,
			"what came after the reply is saved")
		p.kill()

		turn := s.lastTurn(db, id)
		assert.Equal(t, conversation.TurnRunning, turn.EffectiveStatus(), "nobody knows yet")

		s.ageHeartbeats()
		p = s.serveChild()
		again := p.call("chat", object{"prompt": "", "continuation_id": id})
		assert.Equal(t, "partial", again.str("status"), again.text)
		assert.Equal(t, turn.Content, again.str("content"))
		_, out, _ := s.run("", "conversations", "show", id)
		assert.Contains(t, out, turn.Content)
		history := s.historyOf(p, id)
		require.Len(t, history, 2)
		assert.True(t, strings.HasPrefix(history[1].Content, turn.Content), history[1].Content)
		p.closeInput()
	})
}

// The end of stdin, and a signal, with an answer that goes on in the background and one that is being waited for: the
// process is gone within 2 s, the vendor is told, and both answers are kept as far as they had come.
func TestTheEndKeepsWhatGoesOn(t *testing.T) {
	for name, end := range map[string]func(p *peer){
		"end of stdin": func(p *peer) { p.stdin.Close() },
		"SIGTERM":      func(p *peer) { assert.NoError(p.t, p.cmd.Process.Signal(syscall.SIGTERM)) },
	} {
		t.Run(name, func(t *testing.T) {
			if os.PathSeparator == '\\' && name == "SIGTERM" {
				t.Skip("Windows has no such signal")
			}
			s := newSite(t, append(shortCalls(), "LOG_LEVEL=warn")...)
			s.echo()
			p := s.serveChild()
			behind := s.askEndless(p, "")
			// A workflow's expert has the time that a chat does not have here.
			s.vendors.On(emulator.Match{Anywhere: "expert question"}, emulator.Say("(emulated) ", "half ", "an answer").With(emulator.StallAfter(2)))
			waiting := p.ask("analyze", object{
				"step": "expert question", "step_number": 1, "total_steps": 1, "next_step_required": false, "findings": "none",
				"issues_found": []object{{"severity": "low", "description": "something"}}, "model": "kimi-k2.6",
			})
			_, err := s.vendors.WaitUntil(t.Context(), func(all []emulator.Request) bool {
				return slices.ContainsFunc(all, func(r emulator.Request) bool { return r.Vendor == emulator.Kimi && r.Sent == 2 })
			})
			require.NoError(t, err)
			time.Sleep(scaled(100 * time.Millisecond)) // for what was sent to arrive: nothing tells when it has
			start := time.Now()
			end(p)
			answer := p.await(waiting)
			<-p.ended
			assert.NoError(t, p.cmd.Wait())
			assert.Less(t, time.Since(start), scaled(2*time.Second))
			_, err = s.vendors.WaitGone(t.Context(), 2)
			assert.NoError(t, err, "both requests are cancelled upstream")

			db := s.openStore()
			turn := s.lastTurn(db, behind.id())
			assert.Equal(t, conversation.TurnPartial, turn.Status)
			assert.Greater(t, len(turn.Content), len(behind.str("content")), "what came after the reply is kept, too")
			require.NotNil(t, answer, "a call in flight is answered")
			assert.Equal(t, "partial", answer.str("expert_analysis", "status"), answer.text)
			turn = s.lastTurn(db, answer.id())
			assert.Equal(t, conversation.TurnPartial, turn.Status)
			assert.Equal(t, "(emulated) half ", turn.Content)
		})
	}
}

// normalised is a text without what differs from run to run: ids, times, and the site's own folder and ports.
func (s *site) normalised(text string) string {
	for _, own := range []struct{ pattern, as string }{
		{regexp.QuoteMeta(s.dir), "DIR"},
		{`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`, "UUID"},
		{`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[0-9.]*(Z|\+00:00)`, "TIME"},
		{`(the mark|BEGIN FILE|END FILE) [0-9a-f]{16}`, "$1 MARK"}, // a hash, of the path too
		{`"duration_ms": ?\d+`, `"duration_ms":0`},
	} {
		text = regexp.MustCompile(own.pattern).ReplaceAllString(text, own.as)
	}
	return text
}

// A debug run of three steps, with and without a restart of the server between them: replies, requests and what is stored
// are the same.
func TestAWorkflowGoesOnInAnotherProcess(t *testing.T) {
	play := func(restart bool) (transcript []string) {
		s := newSite(t, "LOG_LEVEL=warn")
		project := s.project()
		expert, err := json.Marshal(object{
			"status": "analysis_complete", "summary": "(emulated) The sign is wrong.", "root_cause": "(emulated) - where + is meant",
			"findings": []object{{"severity": "high", "file": project + "/add.go", "line": 3, "title": "Add subtracts", "quote": "func Add(a, b int) int { return a - b }", "confidence": "certain"}},
		})
		require.NoError(t, err)
		s.vendors.On(emulator.Match{}, emulator.Say(string(expert)))
		p := s.serveChild()
		id := ""
		step := func(n int, findings string, more object) {
			if restart && n > 1 {
				p.closeInput()
				p = s.serveChild()
			}
			args := object{
				"step": fmt.Sprint("Step ", n), "step_number": n, "total_steps": 3, "next_step_required": n < 3, "findings": findings,
				"relevant_files": []string{project + "/add.go"}, "model": "glm-5.3",
			}
			if n > 1 {
				args["continuation_id"] = id
			}
			for k, v := range more {
				args[k] = v
			}
			r := p.call("debug", args)
			id = r.id()
			transcript = append(transcript, s.normalised(r.text))
		}
		step(1, "Add(2, 1) is 1.", object{"confidence": "low", "files_checked": []string{project + "/notes.txt"}})
		step(2, "The body reads a - b.", object{"hypothesis": "The sign is wrong.", "confidence": "medium"})
		last := object{"hypothesis": "- should be +.", "confidence": "high", "issues_found": []object{{"severity": "high", "description": "wrong sign"}}}
		step(3, "git blame shows a slip.", last)
		assert.Contains(t, transcript[2], `"citation":"verified"`)
		asked := len(s.vendors.Requests())
		step(3, "git blame shows a slip.", last) // sent again: the stored reply
		assert.Len(t, s.vendors.Requests(), asked, "no model is asked again")
		p.closeInput()
		assert.Empty(t, p.stderr.String())

		requests := s.vendors.Requests()
		require.Len(t, requests, 1)
		transcript = append(transcript, s.normalised(requests[0].Chat.Text()))
		code, out, _ := s.run("", "conversations", "show", id, "--json")
		require.Equal(t, exitOK, code)
		return append(transcript, s.normalised(out))
	}
	through, restarted := play(false), play(true)
	require.Equal(t, len(through), len(restarted))
	for i := range through {
		assert.Equal(t, through[i], restarted[i])
	}
}

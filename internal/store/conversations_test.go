package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/store/storetest"
)

func TestRoundTrip(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		_, err := s.Load(t.Context(), "nobody")
		require.ErrorIs(t, err, conversation.ErrNotFound)

		id := uuid.NewString()
		full := assistant("an answer")
		full.ID = uuid.NewString()
		full.Reasoning = "because"
		full.Status = conversation.TurnPartial
		full.FinishReason = providers.FinishTimeout
		full.Usage = providers.Usage{InputTokens: 10, CachedTokens: 3, OutputTokens: 5, ReasoningTokens: 2, CostUSD: 0.00125}
		full.Meta = json.RawMessage(`{"b": [1, 2], "a": "é \u0000 \ud800", "n": 12345678901234567890}`)
		full.CreatedAt = time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC)
		before := now()
		got, err := s.Append(t.Context(), conversation.NewTurns{
			ConversationID: id, Title: "A title", Tool: "debug", Workspace: "/home/me/project",
			Turns: []conversation.Turn{user("a question"), full, step("debug", 1)},
		})
		require.NoError(t, err)

		th := load(t, s, id)
		assert.Equal(t, "A title", th.Title)
		assert.Equal(t, "debug", th.Tool)
		assert.Equal(t, "/home/me/project", th.Workspace)
		assert.WithinRange(t, th.CreatedAt, before.Add(-time.Minute), before.Add(time.Minute))
		assert.WithinRange(t, th.UpdatedAt, before.Add(-time.Minute), before.Add(time.Minute))
		if diff := cmp.Diff(got, th.Turns); diff != "" {
			t.Errorf("loaded turns differ from what Append returned:\n%s", diff)
		}
		full.N, full.SavedAt = 2, got[1].SavedAt
		if diff := cmp.Diff(full, th.Turns[1]); diff != "" {
			t.Errorf("a turn changed on its way:\n%s", diff)
		}
		for i, turn := range th.Turns {
			assert.Equal(t, i+1, turn.N)
			assert.NoError(t, uuid.Validate(turn.ID))
			assert.False(t, turn.CreatedAt.IsZero())
			assert.False(t, turn.SavedAt.IsZero())
		}
		assert.Equal(t, conversation.TurnComplete, th.Turns[0].Status)
		assert.Equal(t, `{"z":1,"step_number":1}`, string(th.Turns[2].Step.Input), "a step comes back letter for letter")
	})
}

func TestAppendGrowsTheConversation(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		say(t, s, "a", user("1"), assistant("2"))
		say(t, s, "b", user("other"))
		more, err := s.Append(t.Context(), conversation.NewTurns{ConversationID: "a", Title: "late", Tool: "late", Turns: []conversation.Turn{user("3")}})
		require.NoError(t, err)
		assert.Equal(t, 3, more[0].N)
		th := load(t, s, "a")
		assert.Equal(t, []string{"1", "2", "3"}, contents(th.Turns))
		assert.Equal(t, "About a", th.Title, "what a conversation has stays")
		say(t, s, "empty")
		assert.Empty(t, load(t, s, "empty").Turns)
	})
}

func TestManyTurnsAtOnce(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		var turns []conversation.Turn
		for i := range 8*maxInsert + 7 {
			turns = append(turns, user(fmt.Sprint(i)))
		}
		say(t, s, "long", turns...)
		got := load(t, s, "long").Turns
		require.Len(t, got, len(turns))
		for i, turn := range got {
			require.Equal(t, i+1, turn.N)
			require.Equal(t, turns[i].Content, turn.Content)
		}
	})
}

func TestHostileText(t *testing.T) {
	cases := map[string]string{
		"quotes":       `it's "quoted"; DROP TABLE messages; -- $1 \ \\ %_`,
		"emoji":        "🙂 héllo 世界",
		"windows":      "line\r\nline\r",
		"a backslash":  `\`,
		"empty":        "",
		"replacement":  "\uFFFD",
		"long":         strings.Repeat("x", 1<<20),
		"placeholders": "? ?? ?|",
	}
	changed := map[string][2]string{
		"nul":          {"a\x00b", "a\uFFFDb"},
		"not utf-8":    {"a\xff\xfeb", "a\uFFFDb"},
		"half a rune":  {"a\xe4\xb8", "a\uFFFD"},
		"surrogate":    {"a\xed\xa0\x80b", "a\uFFFDb"},
		"only garbage": {"\xc3", "\uFFFD"},
	}
	for name, text := range cases {
		changed[name] = [2]string{text, text}
	}
	eachStore(t, func(t *testing.T, s *Store) {
		for name, c := range changed {
			turn := assistant(c[0])
			turn.Reasoning, turn.Model, turn.Tool = c[0], c[0], c[0]
			id := "id " + c[0]
			if len(id) > 1000 {
				id = name // PostgreSQL bounds what an index holds
			}
			_, err := s.Append(t.Context(), conversation.NewTurns{ConversationID: id, Title: c[0], Tool: c[0], Workspace: c[0], Turns: []conversation.Turn{turn}})
			require.NoError(t, err, name)
			th := load(t, s, id)
			got := th.Turns[0]
			for _, text := range []string{th.Title, th.Tool, th.Workspace, got.Content, got.Reasoning, got.Model, got.Tool} {
				require.Equal(t, c[1], text, name)
			}
		}
	})
}

func TestAppendRefuses(t *testing.T) {
	tool := user("x")
	tool.Role = providers.RoleTool
	id := user("x")
	id.ID = "not a uuid"
	meta := user("x")
	meta.Meta = json.RawMessage(`{`)
	reply := step("debug", 1)
	reply.Step.Reply = json.RawMessage(`no`)
	hash := user("x")
	hash.Attachments = []conversation.Attachment{{Path: "a", SHA256: "00", Data: []byte("x")}}
	eachStore(t, func(t *testing.T, s *Store) {
		for want, turn := range map[string]conversation.Turn{
			"a turn's role is user, assistant or system, not \"tool\"": tool, "is not a UUID": id, "a turn's meta is not valid JSON": meta,
			"a step's reply is not valid JSON": reply, "attachment a: its data has the hash": hash,
		} {
			_, err := s.Append(t.Context(), conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("before"), turn}})
			require.ErrorContains(t, err, want)
		}
		_, err := s.Append(t.Context(), conversation.NewTurns{Turns: []conversation.Turn{user("x")}})
		require.ErrorContains(t, err, "conversation id")
		_, err = s.Load(t.Context(), "t")
		require.ErrorIs(t, err, conversation.ErrNotFound, "a refused append leaves nothing")
	})
}

func TestSave(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		running := assistant("")
		running.Status = conversation.TurnRunning
		running.SavedAt = now().Add(-time.Hour) // by a clock that does not count
		turn := say(t, s, "t", user("q"), running)[1]
		assert.Equal(t, conversation.TurnRunning, load(t, s, "t").Turns[1].EffectiveStatus())
		for _, age := range []time.Duration{conversation.HeartbeatLost + time.Second, -time.Hour} {
			heartbeat(t, s, age)
			assert.Equal(t, conversation.TurnPartial, load(t, s, "t").Turns[1].EffectiveStatus(), "the last heartbeat was %s ago", age)
		}

		turn.Content, turn.Reasoning = "half", "hm"
		require.NoError(t, s.Save(t.Context(), "t", turn))
		got := load(t, s, "t").Turns[1]
		assert.Equal(t, conversation.TurnRunning, got.EffectiveStatus(), "the save was a heartbeat")
		assert.Equal(t, "half", got.Content)

		turn.Content, turn.Reasoning, turn.Status = "whole", "", ""
		turn.FinishReason, turn.Usage = providers.FinishStop, providers.Usage{OutputTokens: 7}
		turn.Meta, turn.Model = json.RawMessage(`{"k":1}`), "glm-6"
		turn.Step = &conversation.Step{Tool: "debug", Number: 4, Reply: json.RawMessage(`{"r":2}`)}
		turn.Provider = ""
		require.NoError(t, s.Save(t.Context(), "t", turn))
		got = load(t, s, "t").Turns[1]
		want := turn
		want.Status, want.SavedAt, want.Provider = conversation.TurnComplete, got.SavedAt, "glm"
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}

		other := turn
		other.ID = uuid.NewString()
		require.ErrorIs(t, s.Save(t.Context(), "t", other), conversation.ErrNotFound)
		other.ID = "nonsense"
		require.ErrorIs(t, s.Save(t.Context(), "t", other), conversation.ErrNotFound)
		require.ErrorIs(t, s.Save(t.Context(), "another conversation", turn), conversation.ErrNotFound)
		require.NoError(t, s.Delete(t.Context(), "t"))
		require.ErrorIs(t, s.Save(t.Context(), "t", turn), conversation.ErrNotFound)
	})
}

// A turn that another process has cancelled does not come back to life, but keeps what its own process had of it in the end.
func TestACancelledTurnIsNotSavedAsRunning(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		running := assistant("half")
		running.Status = conversation.TurnRunning
		turn := say(t, s, "t", user("q"), running)[1]
		turn.FinishReason = providers.FinishTimeout // of its call
		require.NoError(t, s.Save(t.Context(), "t", turn))
		cancelled := turn
		cancelled.Status, cancelled.FinishReason = conversation.TurnPartial, providers.FinishCancelled
		require.NoError(t, s.Save(t.Context(), "t", cancelled))
		turn.Content = "half and more"
		require.ErrorIs(t, s.Save(t.Context(), "t", turn), conversation.ErrNotFound)
		got := load(t, s, "t").Turns[1]
		assert.Equal(t, conversation.TurnPartial, got.EffectiveStatus())
		assert.Equal(t, "half", got.Content)
		cancelled.Content = "half and more"
		require.NoError(t, s.Save(t.Context(), "t", cancelled))
		assert.Equal(t, "half and more", load(t, s, "t").Turns[1].Content)
	})
}

// A save that was under way when an answer's last one was made does not undo it.
func TestATurnThatHasEndedIsNotSavedAsRunning(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		running := assistant("half")
		running.Status = conversation.TurnRunning
		turn := say(t, s, "t", user("q"), running)[1]
		whole := turn
		whole.Status, whole.Content = conversation.TurnComplete, "half and whole"
		require.NoError(t, s.Save(t.Context(), "t", whole))
		require.ErrorIs(t, s.Save(t.Context(), "t", turn), conversation.ErrNotFound)
		got := load(t, s, "t").Turns[1]
		assert.Equal(t, conversation.TurnComplete, got.EffectiveStatus())
		assert.Equal(t, "half and whole", got.Content)
	})
}

// A database whose clock differs from ours judges heartbeats by its own.
func TestHeartbeatsByTheDatabasesClock(t *testing.T) {
	for _, ahead := range []string{"30 seconds", "-30 seconds"} {
		t.Run(ahead, func(t *testing.T) {
			u, err := url.Parse(storetest.Postgres(t))
			require.NoError(t, err)
			q := u.Query()
			q.Set("search_path", q.Get("search_path")+",pg_catalog") // which is the first where it is not named
			u.RawQuery = q.Encode()
			dsn := u.String()
			db, err := sql.Open("pgx", dsn)
			require.NoError(t, err)
			defer db.Close()
			_, err = db.ExecContext(t.Context(), `CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql AS
				$$ SELECT pg_catalog.clock_timestamp() + interval '`+ahead+`' $$`)
			require.NoError(t, err)
			s := open(t, config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(dsn)})
			running := assistant("so far")
			running.Status = conversation.TurnRunning
			turn := say(t, s, "t", user("q"), running)[1]
			alive := func() []bool {
				list, err := s.List(t.Context(), conversation.Filter{})
				require.NoError(t, err)
				return []bool{load(t, s, "t").Turns[1].EffectiveStatus() == conversation.TurnRunning, list[0].Running}
			}
			assert.Equal(t, []bool{true, true}, alive(), "begun just now")
			heartbeat(t, s, 11*time.Second)
			assert.Equal(t, []bool{false, false}, alive(), "dead")
			require.NoError(t, s.Save(t.Context(), "t", turn))
			assert.Equal(t, []bool{true, true}, alive(), "saved just now")
			assert.WithinDuration(t, load(t, s, "t").ReadAt, clock(t, s), 10*time.Second)
		})
	}
}

// clock is the database's.
func clock(t testing.TB, s *Store) (at time.Time) {
	t.Helper()
	require.NoError(t, s.write.QueryRowContext(t.Context(), `SELECT clock_timestamp()`).Scan(intoTime{&at}))
	return at
}

// heartbeat moves the last heartbeat of every running turn.
func heartbeat(t testing.TB, s *Store, ago time.Duration) {
	t.Helper()
	raw(t, s, `UPDATE messages SET saved_at = $1 WHERE turn_status = 'running'`, stamp(clock(t, s).Add(-ago)))
}

func TestDropSteps(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		turns := say(t, s, "t",
			user("hello"), assistant("hi"),
			step("debug", 1),
			step("debug", 2), assistant("expert 2"), assistant("second expert 2"),
			user("meanwhile"), assistant("chat goes on"),
			step("analyze", 2), assistant("analyze expert"),
			step("debug", 3), assistant("expert 3"),
		)
		out, err := s.Append(t.Context(), conversation.NewTurns{
			ConversationID: "t", DropStepsTool: "debug", DropStepsFrom: 2,
			Turns: []conversation.Turn{step("debug", 2), assistant("new expert 2")},
		})
		require.NoError(t, err)
		assert.Equal(t, 13, out[0].N, "numbers are not used again")
		assert.Equal(t, []string{
			"hello", "hi", "debug 1", "meanwhile", "chat goes on", "analyze 2", "analyze expert", "debug 2", "new expert 2",
		}, contents(load(t, s, "t").Turns))
		assert.EqualValues(t, 14, one[int64](t, s, `SELECT count(*) FROM messages`), "dropped turns are kept")
		require.ErrorIs(t, s.Save(t.Context(), "t", turns[11]), conversation.ErrNotFound)

		list, err := s.List(t.Context(), conversation.Filter{Text: "expert 3"})
		require.NoError(t, err)
		assert.Empty(t, list, "dropped turns are not searched")
		_, err = s.Append(t.Context(), conversation.NewTurns{ConversationID: "t", DropStepsTool: "debug", DropStepsFrom: 9})
		require.NoError(t, err)
		assert.Len(t, load(t, s, "t").Turns, 9)
	})
}

func attach(turn conversation.Turn, a ...conversation.Attachment) conversation.Turn {
	turn.Attachments = append(turn.Attachments, a...)
	return turn
}

func file(path, data string) conversation.Attachment {
	return conversation.Attachment{Path: path, MIME: "text/plain", Data: []byte(data)}
}

func TestAttachments(t *testing.T) {
	png := conversation.Attachment{MIME: "image/png", Data: []byte("\x89PNG\x00\xff")}
	eachStore(t, func(t *testing.T, s *Store) {
		named := file("/p/main.go", "v1")
		named.Name = "main.go" // as models are shown it
		first := say(t, s, "t", attach(user("look"), named, png, file("/p/copy.go", "v1")), assistant("ok"))
		say(t, s, "t", attach(user("again"), file("/p/main.go", "v2"), file("/q/main.go", "v1"), file("/p/empty", "")))
		say(t, s, "u", attach(user("same"), file("/p/main.go", "v1")))

		sum := sha256.Sum256([]byte("v1"))
		v1 := hex.EncodeToString(sum[:])
		assert.Equal(t, v1, first[0].Attachments[0].SHA256)
		turns := load(t, s, "t").Turns
		want := []conversation.Attachment{
			{Path: "/p/main.go", Name: "main.go", SHA256: v1, MIME: "text/plain", Size: 2, Data: []byte("v1")},
			first[0].Attachments[1],
			{Path: "/p/copy.go", SHA256: v1, MIME: "text/plain", Size: 2, Data: []byte("v1")},
		}
		if diff := cmp.Diff(want, turns[0].Attachments); diff != "" {
			t.Error(diff)
		}
		assert.Equal(t, png.Data, turns[0].Attachments[1].Data)
		assert.Empty(t, turns[1].Attachments)
		assert.Equal(t, []byte("v2"), turns[2].Attachments[0].Data, "both versions of one file are kept")
		assert.Equal(t, "/q/main.go", turns[2].Attachments[1].Path)
		assert.Equal(t, []byte{}, turns[2].Attachments[2].Data)
		assert.EqualValues(t, 4, one[int64](t, s, `SELECT count(*) FROM exai_blobs`), "v1, v2, the image and the empty file")

		// The same file in the same conversation is one row of files.
		say(t, s, "t", attach(user("once more"), file("/p/main.go", "v2")))
		assert.EqualValues(t, 1, one[int64](t, s, `SELECT count(*) FROM files f JOIN conversation_files cf ON cf.file_id = f.id
			JOIN conversations c ON c.id = cf.conversation_id
			WHERE c.continuation_id = 't' AND f.original_name = 'main.go' AND f.size_bytes = 2
			AND f.metadata ->> 'path' = '/p/main.go' AND f.metadata ->> 'sha256' <> $1`, v1))

		for path, want := range map[string]int{"/p/main.go": 2, "/p/empty": 1, "/nobody": 0, "main.go": 0} {
			list, err := s.List(t.Context(), conversation.Filter{Path: path})
			require.NoError(t, err)
			assert.Len(t, list, want, path)
		}
	})
}

func TestLongPaths(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		r := rand.New(rand.NewPCG(3, 4))
		random := func() string {
			b := make([]byte, 4000)
			for i := range b {
				b[i] = byte('a' + r.IntN(26))
			}
			return "/" + string(b)
		}
		a, b := random(), random()
		say(t, s, "t", attach(user("x"), file(a, "1"), file(b, "1"), file(a, "2")))
		got := load(t, s, "t").Turns[0].Attachments
		require.Len(t, got, 3)
		assert.Equal(t, []string{a, b, a}, []string{got[0].Path, got[1].Path, got[2].Path})
		list, err := s.List(t.Context(), conversation.Filter{Path: b})
		require.NoError(t, err)
		assert.Len(t, list, 1)
		_, err = s.Issues().Capture(t.Context(), []issue.Finding{{File: a, Title: random()}})
		require.NoError(t, err)
	})
}

func TestDeleteTakesEverythingAlong(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		say(t, s, "t", attach(user("x"), file("/own", "own"), file("/shared", "shared")))
		say(t, s, "u", attach(user("y"), file("/shared", "shared")))
		require.ErrorIs(t, s.Delete(t.Context(), "nobody"), conversation.ErrNotFound)
		require.NoError(t, s.Delete(t.Context(), "t"))
		_, err := s.Load(t.Context(), "t")
		require.ErrorIs(t, err, conversation.ErrNotFound)
		for table, want := range map[string]int64{"conversations": 1, "messages": 1, "files": 1, "conversation_files": 1, "exai_blobs": 1} {
			assert.Equal(t, want, one[int64](t, s, `SELECT count(*) FROM `+table), table)
		}
		assert.Equal(t, []byte("shared"), load(t, s, "u").Turns[0].Attachments[0].Data)
		_, err = s.Append(t.Context(), conversation.NewTurns{
			ConversationID: "t", Existing: true, Turns: []conversation.Turn{attach(user("late"), file("/late", "late"))},
		})
		require.ErrorIs(t, err, conversation.ErrNotFound, "an answer that comes late does not bring a conversation back")
		_, err = s.Load(t.Context(), "t")
		require.ErrorIs(t, err, conversation.ErrNotFound)
		assert.EqualValues(t, 1, one[int64](t, s, `SELECT count(*) FROM exai_blobs`))
		_, err = s.Append(t.Context(), conversation.NewTurns{ConversationID: "u", Existing: true, Turns: []conversation.Turn{user("z")}})
		require.NoError(t, err)
		say(t, s, "t", user("begun again"))
		assert.Equal(t, 1, load(t, s, "t").Turns[0].N)
	})
}

func TestPrune(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		for i := range 5 {
			say(t, s, fmt.Sprint(i), attach(user("x"), file("/f", fmt.Sprint(i))))
		}
		say(t, s, "0", user("woken up"))
		at := load(t, s, "3").UpdatedAt
		n, err := s.Prune(t.Context(), at)
		require.NoError(t, err)
		assert.Equal(t, 2, n, "1 and 2")
		list, err := s.List(t.Context(), conversation.Filter{})
		require.NoError(t, err)
		assert.Equal(t, []string{"0", "4", "3"}, ids(list))
		assert.EqualValues(t, 3, one[int64](t, s, `SELECT count(*) FROM exai_blobs`))
	})
}

func ids(list []conversation.Summary) (out []string) {
	for _, c := range list {
		out = append(out, c.ID)
	}
	return out
}

func TestList(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		long := strings.Repeat("words before it ", 30) + "the Needle is HERE" + strings.Repeat(" words behind it", 30)
		say(t, s, "a", user("100% of the_cases"), assistant("!bang"))
		_, err := s.Append(t.Context(), conversation.NewTurns{
			ConversationID: "b", Title: "Größe ÄÖÜ", Tool: "debug", Workspace: "/w",
			Turns: []conversation.Turn{step("debug", 1), assistant(long)},
		})
		require.NoError(t, err)
		running := assistant("so far")
		running.Status, running.Model = conversation.TurnRunning, "kimi-k3"
		say(t, s, "c", user("1000 of the-cases"), running)
		dead := running
		say(t, s, "d", user("x"), dead)
		raw(t, s, `UPDATE messages SET saved_at = $1 WHERE turn_status = 'running' AND conversation_id =
			(SELECT id FROM conversations WHERE continuation_id = 'd')`, stamp(clock(t, s).Add(-2*conversation.HeartbeatLost)))
		mid := load(t, s, "b").UpdatedAt

		cases := []struct {
			name string
			f    conversation.Filter
			want []string
		}{
			{"everything, the latest first", conversation.Filter{}, []string{"d", "c", "b", "a"}},
			{"limit", conversation.Filter{Limit: 2}, []string{"d", "c"}},
			{"prefix", conversation.Filter{Prefix: "b"}, []string{"b"}},
			{"a prefix that is longer than the id", conversation.Filter{Prefix: "bb"}, nil},
			{"a prefix has no wildcards", conversation.Filter{Prefix: "_"}, nil},
			{"a prefix in its case", conversation.Filter{Prefix: "B"}, nil},
			{"offset", conversation.Filter{Limit: 2, Offset: 1}, []string{"c", "b"}},
			{"past the end", conversation.Filter{Offset: 9}, nil},
			{"text of any case", conversation.Filter{Text: "nEEDLE is"}, []string{"b"}},
			{"title", conversation.Filter{Text: "ABOUT a"}, []string{"a"}},
			{"letters beyond ASCII", conversation.Filter{Text: "gröSSe äöü"}, nil},
			{"letters beyond ASCII of any case", conversation.Filter{Text: "GRÖße äöÜ"}, []string{"b"}},
			{"percent is no wildcard", conversation.Filter{Text: "100%"}, []string{"a"}},
			{"underscore is no wildcard", conversation.Filter{Text: "the_c"}, []string{"a"}},
			{"the escape character", conversation.Filter{Text: "!b"}, []string{"a"}},
			{"nothing", conversation.Filter{Text: "nowhere"}, nil},
			{"tool", conversation.Filter{Tool: "debug"}, []string{"b"}},
			{"since", conversation.Filter{Since: mid}, []string{"d", "c", "b"}},
			{"before", conversation.Filter{Before: mid}, []string{"a"}},
			{"all at once", conversation.Filter{Text: "needle", Tool: "debug", Since: mid, Before: mid.Add(time.Hour), Limit: 5}, []string{"b"}},
		}
		for _, c := range cases {
			list, err := s.List(t.Context(), c.f)
			require.NoError(t, err, c.name)
			assert.Equal(t, c.want, ids(list), c.name)
		}

		list, err := s.List(t.Context(), conversation.Filter{})
		require.NoError(t, err)
		b := load(t, s, "b")
		want := conversation.Summary{
			ID: "b", Title: "Größe ÄÖÜ", Tool: "debug", Model: "glm-5.3", Workspace: "/w", Turns: 2,
			CreatedAt: b.CreatedAt, UpdatedAt: b.UpdatedAt,
		}
		if diff := cmp.Diff(want, list[2]); diff != "" {
			t.Error(diff)
		}
		assert.Equal(t, []bool{false, true, false, false}, []bool{list[0].Running, list[1].Running, list[2].Running, list[3].Running})
		assert.Equal(t, "kimi-k3", list[1].Model)

		list, err = s.List(t.Context(), conversation.Filter{Text: "needle"})
		require.NoError(t, err)
		assert.Contains(t, list[0].Excerpt, "the Needle is HERE")
		assert.Less(t, len(list[0].Excerpt), 250)
		list, err = s.List(t.Context(), conversation.Filter{Text: "about c"})
		require.NoError(t, err)
		assert.Equal(t, "About c", list[0].Excerpt)
	})
}

func TestExcerpt(t *testing.T) {
	for _, c := range []struct{ content, found, want string }{
		{"short", "SHORT", "short"},
		{"", "x", ""},
		{"a\n\tb   c", "b", "a b c"},
		{strings.Repeat("é", 200) + "x", "X", "…" + strings.Repeat("é", 40) + "x"},
		{strings.Repeat("İ", 100), "zzz", strings.Repeat("İ", 42) + "…"},
	} {
		assert.Equal(t, c.want, excerpt(c.content, c.found))
	}
}

func TestContext(t *testing.T) {
	gone := errors.New("the client has left")
	eachStore(t, func(t *testing.T, s *Store) {
		turn := say(t, s, "t", user("x"))[0]
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(gone)
		_, err := s.Load(ctx, "t")
		require.ErrorIs(t, err, gone)
		_, err = s.Append(ctx, conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("y")}})
		require.ErrorIs(t, err, gone)
		require.ErrorIs(t, s.Save(ctx, "t", turn), gone)
		_, err = s.List(ctx, conversation.Filter{})
		require.ErrorIs(t, err, gone)
		require.ErrorIs(t, s.Delete(ctx, "t"), gone)
		_, err = s.Prune(ctx, now())
		require.ErrorIs(t, err, gone)
		require.ErrorIs(t, s.Ping(ctx), gone)
		assert.Equal(t, []string{"x"}, contents(load(t, s, "t").Turns))
		require.NoError(t, s.Ping(t.Context()))
	})
}

func TestCancelledInTheMiddle(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		r := rand.New(rand.NewPCG(1, 2))
		stored := 0
		for range 40 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Duration(r.IntN(1500))*time.Microsecond)
			_, err := s.Append(ctx, conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{user("q"), assistant("a")}})
			if err == nil {
				stored++
			}
			cancel()
		}
		say(t, s, "t", user("q"), assistant("a"))
		turns := load(t, s, "t").Turns
		require.GreaterOrEqual(t, len(turns), 2*(stored+1), "what was acknowledged is there")
		require.Zero(t, len(turns)%2, "a transaction is whole or nothing")
		for i, turn := range turns {
			require.Equal(t, i+1, turn.N)
		}
	})
}

func TestAppendersTakeTurns(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		const writers, each = 16, 5
		var mu sync.Mutex
		given := map[int]string{}
		g, ctx := errgroup.WithContext(later(t))
		for w := range writers {
			g.Go(func() error {
				for i := range each {
					out, err := s.Append(ctx, conversation.NewTurns{ConversationID: "t", Turns: []conversation.Turn{
						user(fmt.Sprintf("q %d %d", w, i)), assistant(fmt.Sprintf("a %d %d", w, i)),
					}})
					if err != nil {
						return err
					}
					mu.Lock()
					given[out[0].N], given[out[1].N] = out[0].Content, out[1].Content
					mu.Unlock()
				}
				return nil
			})
		}
		require.NoError(t, g.Wait())
		turns := load(t, s, "t").Turns
		require.Len(t, turns, 2*writers*each)
		for i, turn := range turns {
			require.Equal(t, i+1, turn.N)
			require.Equal(t, given[turn.N], turn.Content)
		}
		for i := 0; i < len(turns); i += 2 {
			require.Equal(t, turns[i].Content[1:], turns[i+1].Content[1:], "an append stays together")
		}
	})
}

// Deleting one conversation must never take the content of a file away from another that is just attaching it.
func TestDeleteBesideAttach(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		const rounds, beside = 25, 3
		for i := range rounds {
			data := file("/f", fmt.Sprint(i))
			say(t, s, "old", attach(user("x"), data))
			g, ctx := errgroup.WithContext(later(t))
			start := make(chan struct{})
			for k := range beside {
				g.Go(func() error {
					<-start
					_, err := s.Append(ctx, conversation.NewTurns{
						ConversationID: fmt.Sprint(i, " ", k), Turns: []conversation.Turn{attach(user("x"), file("/g", "the same"), data)},
					})
					return err
				})
			}
			g.Go(func() error {
				<-start
				return s.Delete(ctx, "old")
			})
			close(start)
			require.NoError(t, g.Wait())
			for k := range beside {
				got := load(t, s, fmt.Sprint(i, " ", k)).Turns[0].Attachments
				require.Len(t, got, 2, "round %d", i)
				require.Equal(t, fmt.Sprint(i), string(got[1].Data))
			}
		}
		require.EqualValues(t, rounds+1, one[int64](t, s, `SELECT count(*) FROM exai_blobs`))
	})
}

// A server or a pooler may end connections at any time; what is asked next gets new ones.
func TestLostConnections(t *testing.T) {
	c := backends[2].fresh(t)
	other := open(t, c)
	c.DatabaseURL += "&application_name=lost"
	s := open(t, c)
	g, ctx := errgroup.WithContext(later(t))
	for i := range 8 { // fill the pool
		g.Go(func() error {
			_, err := s.Append(ctx, conversation.NewTurns{ConversationID: fmt.Sprint(i), Turns: []conversation.Turn{user("x")}})
			return err
		})
	}
	require.NoError(t, g.Wait())
	for i := range 5 {
		raw(t, other, `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'lost'`)
		out := say(t, s, "t", user("x"))
		require.Equal(t, i+1, out[0].N)
		require.Len(t, load(t, s, "t").Turns, i+1)
	}
}

func TestListByOrigin(t *testing.T) {
	eachStore(t, func(t *testing.T, s *Store) {
		for _, n := range []conversation.NewTurns{
			{ConversationID: "mine", Workspace: "/w", Host: "box", User: "ann"},
			{ConversationID: "elsewhere", Workspace: "/v", Host: "box", User: "ann"},
			{ConversationID: "other host", Workspace: "/w", Host: "bag", User: "ann"},
			{ConversationID: "other user", Workspace: "/w", Host: "box", User: "bob"},
			{ConversationID: "unknown", Workspace: "/w"},
			{ConversationID: "mine", Existing: true, Workspace: "/v", Host: "bag", User: "bob"},
		} {
			n.Turns = []conversation.Turn{{Role: providers.RoleUser, Content: "x"}}
			_, err := s.Append(t.Context(), n)
			require.NoError(t, err)
		}
		list, err := s.List(t.Context(), conversation.Filter{Workspace: "/w", Host: "box", User: "ann"})
		require.NoError(t, err)
		require.Len(t, list, 1)
		assert.Equal(t, "mine", list[0].ID, "who goes on with it does not count")
	})
}

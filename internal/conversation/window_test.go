package conversation

import (
	"flag"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func talk(turns int, size int) []Turn {
	var out []Turn
	for i := range turns {
		role := providers.RoleUser
		if i%2 == 1 {
			role = providers.RoleAssistant
		}
		out = append(out, Turn{N: i + 1, Role: role, Content: strings.Repeat("word ", size)})
	}
	return out
}

func sum(turns []Turn) (n int) {
	for _, t := range turns {
		n += t.Tokens()
	}
	return n
}

func TestWindow(t *testing.T) {
	turns := talk(100, 100)
	assert.Equal(t, 0, Window(turns, sum(turns)))
	assert.Equal(t, len(turns), Window(turns, 0))
	assert.Equal(t, len(turns), Window(turns, -5))
	assert.Equal(t, 0, Window(nil, 10))

	first := Window(turns, sum(turns)-1)
	assert.Equal(t, 0, first%2, "an answer is never the first that a model sees")
	assert.Equal(t, 16, first, "more goes than must, so that the next calls begin alike")

	moves, before := 0, 0
	for n := 50; n < 200; n += 2 {
		turns := talk(n, 100)
		first := Window(turns, 9000)
		assert.LessOrEqual(t, sum(turns[first:]), 9000)
		assert.GreaterOrEqual(t, first, before)
		if first != before {
			moves++
		}
		before = first
	}
	assert.Less(t, moves, 15, "75 exchanges, and the beginning moved only now and then")
}

// Turns that don't fit make no difference, so that they need not be read; and as turns are added, the first never goes back.
func TestWindowNeedsTheLatestTurnsAlone(t *testing.T) {
	require.NoError(t, flag.Set("rapid.seed", "1")) // nothing depends on chance; -rapid.checks tries more
	rapid.Check(t, func(t *rapid.T) {
		turns := talk(rapid.IntRange(1, 50).Draw(t, "turns"), 1)
		for i := range turns {
			turns[i].N += rapid.SampledFrom([]int{0, 0, 1}).Draw(t, "gap") * i
			turns[i].Content = strings.Repeat("word ", rapid.IntRange(1, 60).Draw(t, "size"))
		}
		room := rapid.IntRange(1, 2000).Draw(t, "room")
		before := 0
		for n := range turns {
			turns := turns[:n+1]
			first := Window(turns, room)
			if first < before {
				t.Fatalf("back from %d to %d", before, first)
			}
			before = first
			for earlier := range turns {
				if sum(turns[earlier:]) <= room {
					break
				}
				if got := Window(turns[earlier:], room) + earlier; got != first {
					t.Fatalf("%d without the %d first turns, %d with them", got, earlier, first)
				}
			}
		}
	})
}

func TestWindowAlwaysFits(t *testing.T) {
	require.NoError(t, flag.Set("rapid.seed", "1")) // nothing depends on chance; -rapid.checks tries more
	rapid.Check(t, func(t *rapid.T) {
		var turns []Turn
		for range rapid.IntRange(0, 40).Draw(t, "turns") {
			role := rapid.SampledFrom([]providers.Role{providers.RoleUser, providers.RoleAssistant}).Draw(t, "role")
			turns = append(turns, Turn{Role: role, Content: strings.Repeat("x", rapid.IntRange(0, 4000).Draw(t, "size"))})
		}
		room := rapid.IntRange(-10, 20_000).Draw(t, "room")
		first := Window(turns, room)
		if n := sum(turns[first:]); n > max(room, 0) {
			t.Fatalf("%d tokens for %d", n, room)
		}
		if first > 0 && first < len(turns) && turns[first].Role == providers.RoleAssistant {
			t.Fatal("begins with an answer")
		}
	})
}

func TestMessages(t *testing.T) {
	turns := []Turn{
		{Role: providers.RoleUser, Content: "see", Attachments: []Attachment{
			{Path: "/a.go", MIME: "text/plain", Data: []byte("package a")},
			{Path: "/p.png", MIME: "image/png", Data: []byte("png")},
		}},
		{Role: providers.RoleAssistant, Content: "seen"},
		{Role: providers.RoleUser, Content: "and?"},
		{Role: providers.RoleAssistant, Status: TurnPartial},
		{Role: providers.RoleUser, Content: "so?"},
		{Role: providers.RoleAssistant, Content: "because", Status: TurnPartial},
	}
	seeing := Messages(turns, true)
	assert.Len(t, seeing, 5, "an answer of which nothing arrived is no message: vendors refuse empty ones")
	assert.Equal(t, []providers.Image{{MIME: "image/png", Data: []byte("png")}}, seeing[0].Images)
	assert.Contains(t, seeing[0].Content, "package a")
	assert.True(t, strings.HasSuffix(seeing[0].Content, "see"))
	assert.Equal(t, "because\n\n[The answer was cut off here.]", seeing[4].Content)

	blind := Messages(turns, false)
	assert.Empty(t, blind[0].Images)
	assert.Contains(t, blind[0].Content, "[A picture was sent here that you cannot see: /p.png]")
}

func TestUnsent(t *testing.T) {
	file := func(path, sum string) Attachment { return Attachment{Path: path, SHA256: sum, MIME: "text/plain"} }
	turns := []Turn{
		{Attachments: []Attachment{file("/a", "1"), file("/b", "1")}},
		{Attachments: []Attachment{file("/a", "2"), {SHA256: "i", MIME: "image/png"}}},
	}
	unsent, held := Unsent(turns, []Attachment{
		file("/a", "2"), file("/b", "2"), file("/c", "1"), {SHA256: "i", MIME: "image/png"}, file("/a", "1"),
	})
	assert.Equal(t, []Attachment{file("/b", "2"), file("/c", "1"), file("/a", "1")}, unsent, "the last state counts")
	assert.Equal(t, []string{"/a", "pasted, image/png"}, held)
	assert.Equal(t, "2", LatestAttachments(turns)["/a"].SHA256)
}

func TestSettled(t *testing.T) {
	for _, c := range []struct {
		turn Turn
		want TurnStatus
	}{
		{Turn{}, TurnComplete},
		{Turn{Status: TurnPartial}, TurnPartial},
		{Turn{Status: TurnRunning}, TurnRunning},
		{Turn{Status: TurnRunning, Orphaned: true}, TurnPartial},
		{Turn{Status: TurnComplete, Orphaned: true}, TurnComplete},
	} {
		assert.Equal(t, c.want, c.turn.EffectiveStatus())
	}
}

func TestAlive(t *testing.T) {
	now := time.Now()
	for ago, want := range map[time.Duration]bool{
		0: true, 9 * time.Second: true, HeartbeatLost: true, HeartbeatLost + 1: false, time.Hour: false,
		-time.Microsecond: false, -time.Hour: false,
	} {
		assert.Equal(t, want, Alive(now.Add(-ago), now), "a heartbeat %s ago", ago)
	}
}

// A conversation of 1,000 turns is weighed and rendered for every call that goes on with it.
func BenchmarkWindow(b *testing.B) {
	turns := talk(1000, 800)
	for b.Loop() {
		Messages(turns[Window(turns, 700_000):], true)
	}
}

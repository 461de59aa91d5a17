package progress

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// said keeps the messages of a call and when they came.
type said struct {
	mu    sync.Mutex
	start time.Time
	texts []string
	at    []time.Duration
}

func (s *said) send(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts, s.at = append(s.texts, text), append(s.at, time.Since(s.start))
}

func (s *said) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.texts...)
}

func begin(id string) (*said, *Reporter) {
	s := &said{start: time.Now()}
	return s, Start(s.send, nil, id, "chat", s.start)
}

func TestEveryPhaseIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := begin("t-1")
		defer r.Stop()
		assert.Equal(t, []string{"continuation_id=t-1 | chat, 0 s"}, s.all(), "at once, the id first")
		r.Phase("reading files")
		on := r.Model()
		time.Sleep(2 * time.Second)
		on(providers.Event{Phase: providers.PhaseAsking, Model: "glm-5.3"})
		on(providers.Event{Phase: providers.PhaseAsking, Model: "glm-5.3"})
		on(providers.Event{Phase: providers.PhaseRetrying, Model: "glm-5.3", Attempt: 1, Wait: 1500 * time.Millisecond})
		on(providers.Event{Phase: providers.PhaseWriting, Model: "glm-5.3", Attempt: 2, Tokens: 1})
		on(providers.Event{Phase: providers.PhaseWriting, Model: "glm-5.3", Attempt: 2, Tokens: 40})
		assert.Equal(t, []string{
			"continuation_id=t-1 | reading files, 0 s",
			fmt.Sprintf("continuation_id=t-1 | glm-5.3 %s, 2 s", providers.PhaseAsking),
			"continuation_id=t-1 | glm-5.3 retrying in 1.5 s (attempt 2), 2 s",
			fmt.Sprintf("continuation_id=t-1 | glm-5.3 %s (attempt 2), 2 s, 1 tokens", providers.PhaseWriting),
		}, s.all()[1:], "each change once; tokens alone are none")
		time.Sleep(every + pace)
		assert.Equal(t, fmt.Sprintf("continuation_id=t-1 | glm-5.3 %s (attempt 2), 6 s, 40 tokens", providers.PhaseWriting), s.all()[5], "and the tokens when it speaks anyway")
	})
}

// A client is promised a message every 5 s, and none after the result.
func TestSilenceIsBroken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := begin("")
		time.Sleep(time.Minute)
		r.Stop()
		n := len(s.all())
		assert.GreaterOrEqual(t, n, 13)
		for i := 1; i < n; i++ {
			assert.LessOrEqual(t, s.at[i]-s.at[i-1], 5*time.Second)
		}
		r.Phase("too late")
		r.Model()(providers.Event{Phase: providers.PhaseWriting, Model: "m"})
		r.Stop()
		time.Sleep(time.Minute)
		assert.Len(t, s.all(), n)
	})
}

// Many models at once tell all that matters in a few messages a second, and what they tell last is the present state.
func TestAFloodIsHeldBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := begin("t-1")
		defer r.Stop()
		var models []func(providers.Event)
		for range 5 {
			models = append(models, r.Model())
		}
		for i := range 40 {
			for k, on := range models {
				on(providers.Event{Phase: providers.PhaseAsking, Attempt: i + 1, Model: fmt.Sprintf("m%d", k)})
			}
			time.Sleep(25 * time.Millisecond)
		}
		for k, on := range models {
			on(providers.Event{Phase: providers.PhaseWriting, Model: fmt.Sprintf("m%d", k)})
		}
		time.Sleep(2 * pace)
		texts := s.all()
		assert.LessOrEqual(t, len(texts), burst+6, "200 changes in a second")
		assert.GreaterOrEqual(t, len(texts), burst+3)
		for k := range models {
			assert.Contains(t, texts[len(texts)-1], fmt.Sprintf("m%d %s", k, providers.PhaseWriting), "each model is told of")
		}
		time.Sleep(10 * time.Second)
		before := len(s.all())
		for range burst {
			r.Phase(fmt.Sprint("phase ", len(s.all())))
		}
		assert.Len(t, s.all(), before+burst, "after a rest there is room for a burst again")
	})
}

func TestMessagesAreShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := begin(strings.Repeat("é", 300))
		r.Stop()
		assert.Equal(t, maxLine, utf8.RuneCountInString(s.all()[0]))
		assert.True(t, utf8.ValidString(s.all()[0]))
	})
}

func TestNobodyListens(t *testing.T) {
	var heard []providers.Event
	r := Start(nil, func(e providers.Event) { heard = append(heard, e) }, "t-1", "chat", time.Now())
	r.Phase("x")
	r.Model()(providers.Event{Model: "m"})
	r.Stop()
	assert.Len(t, heard, 1)
	assert.Equal(t, "t-1", r.ContinuationID())

	var none *Reporter
	none.Phase("x")
	none.Stop()
	assert.Nil(t, none.Model())
	assert.Empty(t, none.ContinuationID())
	assert.Nil(t, From(t.Context()))
	assert.Same(t, r, From(With(t.Context(), r)))
}

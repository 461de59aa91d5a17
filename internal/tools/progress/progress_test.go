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

// messageLog keeps the messages of a call and when they came.
type messageLog struct {
	mu    sync.Mutex
	start time.Time
	texts []string
	at    []time.Duration
}

func (s *messageLog) send(text string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.texts, s.at = append(s.texts, text), append(s.at, time.Since(s.start))
}

func (s *messageLog) all() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.texts...)
}

func begin(id string) (*messageLog, *Reporter) {
	s := &messageLog{start: time.Now()}
	return s, Start(s.send, nil, id, "chat", s.start)
}

func TestEveryPhaseIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := begin("t-1")
		defer r.Stop()
		time.Sleep(time.Second)
		assert.Equal(t, []string{"continuation_id=t-1 | chat, 0 s"}, s.all(), "the id first")
		last := func() string { all := s.all(); return all[len(all)-1] }
		r.Phase("reading files")
		assert.Equal(t, "continuation_id=t-1 | reading files, 1 s", last(), "a change after a while is sent immediately")
		n := len(s.all())
		time.Sleep(time.Second)
		r.Phase("reading files")
		assert.Len(t, s.all(), n, "the same phase is no change")
		on := r.Model()
		on(providers.Event{Phase: providers.PhaseAsking, Model: "glm-5.3"})
		assert.Equal(t, "continuation_id=t-1 | glm-5.3 asking, 2 s", last())
		on(providers.Event{Phase: providers.PhaseRetrying, Model: "glm-5.3", Attempt: 1, Wait: 1500 * time.Millisecond})
		assert.Equal(t, "continuation_id=t-1 | glm-5.3 asking, 2 s", last(), "a change right after a message waits")
		time.Sleep(pace)
		synctest.Wait()
		assert.Equal(t, "continuation_id=t-1 | glm-5.3 retrying in 1.5 s (attempt 2), 2 s", last())
		time.Sleep(2 * time.Second)
		on(providers.Event{Phase: providers.PhaseWriting, Model: "glm-5.3", Attempt: 2, Tokens: 1})
		assert.Equal(t, "continuation_id=t-1 | glm-5.3 writing (attempt 2), 4 s, 1 tokens", last())
		n = len(s.all())
		time.Sleep(time.Second)
		on(providers.Event{Phase: providers.PhaseWriting, Model: "glm-5.3", Attempt: 2, Tokens: 40})
		time.Sleep(2 * pace)
		assert.Len(t, s.all(), n, "more tokens alone are no change")
		time.Sleep(interval)
		assert.Equal(t, "continuation_id=t-1 | glm-5.3 writing (attempt 2), 8 s, 40 tokens", last(), "the next regular message has them")
		on(providers.Event{Phase: providers.PhaseReading, Model: "glm-5.3", Attempt: 2, Tokens: 40, Detail: "a.go, b.go"})
		assert.Equal(t, "continuation_id=t-1 | glm-5.3 reading a.go, b.go, 9 s, 40 tokens", last())
		time.Sleep(2 * pace)
		r.Phase("storing")
		assert.Equal(t, "continuation_id=t-1 | storing, 9 s", last(), "the tool's own phase replaces the models")
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

// Changes of many models at once become a few messages a second, and the last of them is the present state.
func TestManyChangesBecomeFewMessages(t *testing.T) {
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
		assert.LessOrEqual(t, len(texts), 10, "of 205 changes in a second")
		assert.GreaterOrEqual(t, len(texts), 7)
		for i := 1; i < len(texts); i++ {
			assert.GreaterOrEqual(t, s.at[i]-s.at[i-1], 100*time.Millisecond)
		}
		for k := range models {
			assert.Contains(t, texts[len(texts)-1], fmt.Sprintf("m%d writing", k), "each model is reported")
		}
	})
}

// Fast calls send nothing: every message costs the client a wake-up, and some clients confuse one that comes right before
// the result.
func TestTheFirstMessage(t *testing.T) {
	t.Run("comes after 200 ms and by 250 ms", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, r := begin("t-1")
			defer r.Stop()
			on := r.Model()
			for range 20 {
				on(providers.Event{Phase: providers.PhaseAsking, Model: "m"})
				on(providers.Event{Phase: providers.PhaseWriting, Model: "m"})
				time.Sleep(10 * time.Millisecond)
			}
			assert.Empty(t, s.all(), "none in the first 200 ms")
			time.Sleep(50 * time.Millisecond)
			synctest.Wait()
			assert.Equal(t, []string{"continuation_id=t-1 | m writing, 0 s"}, s.all())
		})
	})
	t.Run("counts from the call's start", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &messageLog{start: time.Now()}
			time.Sleep(150 * time.Millisecond) // the call waited before it was dispatched
			r := Start(s.send, nil, "", "chat", s.start)
			defer r.Stop()
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
			assert.Equal(t, []time.Duration{first}, s.at)
		})
	})
	t.Run("is sent even if the start was long ago", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := &messageLog{start: time.Now()}
			r := Start(s.send, nil, "", "chat", s.start.Add(-time.Hour))
			defer r.Stop()
			synctest.Wait()
			assert.Len(t, s.all(), 1)
		})
	})
	t.Run("is not sent by a call that is over before", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, r := begin("t-1")
			time.Sleep(first - time.Millisecond)
			r.Stop()
			time.Sleep(time.Minute)
			assert.Empty(t, s.all())
		})
	})
}

func TestMessagesAreShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, r := begin(strings.Repeat("é", 300))
		time.Sleep(first)
		synctest.Wait()
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

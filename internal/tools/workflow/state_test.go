package workflow

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestNextPhase(t *testing.T) {
	repeated := func(expert string, change ...func(*situation)) situation {
		s := situation{Repeated: true, Choice: AskExpert, Expert: expert}
		for _, c := range change {
			c(&s)
		}
		return s
	}
	waited := func(a answerState) func(*situation) { return func(s *situation) { s.Waited, s.Answer = true, a } }
	off := func(s *situation) { s.Choice = SkipOff }
	served := func(s *situation) { s.Served = true }
	for _, c := range []struct {
		name string
		s    situation
		want phase
	}{
		{"a pause", situation{Choice: NoExpert}, keeping},
		{"a pause waits for nothing", situation{Choice: NoExpert, Running: true}, keeping},
		{"an end without an expert", situation{Choice: SkipConfident}, keeping},
		{"an end without an expert waits for nothing", situation{Choice: SkipOff, Running: true}, keeping},
		{"an end with one", situation{Choice: AskExpert}, asking},
		{"while another answer is written", situation{Choice: AskExpert, Running: true}, waiting},
		{"after waiting", situation{Choice: AskExpert, Waited: true}, asking},
		{"a wait is made once", situation{Choice: AskExpert, Running: true, Waited: true}, asking},
		{"the expert has been asked", situation{Choice: AskExpert, Asked: true}, keeping},
		{"the expert has been asked while another answer began", situation{Choice: AskExpert, Asked: true, Running: true}, keeping},

		{"a stored pause", repeated(""), replaying},
		{"a stored pause while an answer is written", repeated("", func(s *situation) { s.Running = true }), replaying},
		{"answered", repeated(expertAnswered), replaying},
		{"skipped", repeated(expertSkipped), replaying},
		{"failed", repeated(expertFailed), asking},
		{"failed, and switched off since", repeated(expertFailed, off), replaying},
		{"asked for files", repeated(expertWants), asking},
		{"asked for files that it had", repeated(expertWants, served), replaying},
		{"asked for files, and switched off since", repeated(expertWants, off), replaying},
		{"asked again", repeated(expertFailed, func(s *situation) { s.Asked = true }), completing},

		{"partial", repeated(expertPartial), waiting},
		{"partial, switched off since", repeated(expertPartial, off), waiting},
		{"still written", repeated(expertPartial, waited(answerRunning)), reporting},
		{"finished since", repeated(expertPartial, waited(answerFinished)), completing},
		{"finished since, switched off", repeated(expertPartial, waited(answerFinished), off), completing},
		{"its answer is gone, switched off since", repeated(expertPartial, waited(answerNone), off), replaying},
		{"its answer is gone, or was cut", repeated(expertPartial, waited(answerNone)), asking},
		{"finished with a request for files", repeated(expertPartial, waited(answerRequests)), asking},
		{"finished with a request for files that it had", repeated(expertPartial, waited(answerRequests), served), completing},
		{"finished with a request for files, switched off since", repeated(expertPartial, waited(answerRequests), off), replaying},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, nextPhase(c.s))
		})
	}
}

// Whatever the situation, a call comes to a reply within a wait and a question.
func TestEveryCallEndsInAReply(t *testing.T) {
	seen := map[string]bool{}
	for _, repeated := range []bool{false, true} {
		for choice := NoExpert; choice <= SkipUnwarranted; choice++ {
			for _, expert := range []string{"", expertAnswered, expertWants, expertSkipped, expertPartial, expertFailed} {
				for answer := answerNone; answer <= answerRequests; answer++ {
					for bits := range 4 {
						s := situation{Repeated: repeated, Choice: choice, Expert: expert, Answer: answer, Running: bits&1 != 0, Served: bits&2 != 0}
						seen[requireReply(t, s).String()] = true
					}
				}
			}
		}
	}
	assert.Equal(t, map[string]bool{"keeping": true, "completing": true, "reporting": true, "replaying": true}, seen, "every reply occurs")
}

func requireReply(t *testing.T, s situation) phase {
	start := s
	for range 4 {
		switch p := nextPhase(s); p {
		case waiting:
			require.False(t, s.Waited, "waits twice: %+v", start)
			s.Waited = true
		case asking:
			require.False(t, s.Asked, "asks twice: %+v", start)
			require.Equal(t, AskExpert, s.Choice, "asks an expert that is not due: %+v", start)
			s.Asked = true
		case completing:
			require.True(t, s.Repeated && (s.Asked || s.Answer >= answerFinished), "nothing to complete: %+v", start)
			return p
		case reporting:
			require.True(t, s.Repeated && s.Answer == answerRunning, "nothing to report: %+v", start)
			return p
		case keeping:
			require.False(t, s.Repeated, "keeps a stored step: %+v", start)
			return p
		case replaying:
			require.True(t, s.Repeated, "replays a new step: %+v", start)
			require.False(t, s.Asked, "drops an answer: %+v", start)
			return p
		default:
			require.Fail(t, "no phase", "%v after %+v", p, s)
		}
	}
	require.Fail(t, "no reply", fmt.Sprintf("%+v", start))
	return judged
}

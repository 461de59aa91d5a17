package workflow

import (
	"github.com/exai-mcp/exai-mcp/internal/conversation"
)

// phase is what a call of a workflow tool is in. A call starts out judged, and nextPhase alone says where it goes:
//
//	judged --> waiting     an answer of this conversation is still being written
//	       --> asking      the run ends and its expert is due, or the stored step's expert has to be asked again
//	       --> keeping     a pause, or an end without an expert
//	       --> completing  the stored step's expert has finished since
//	       --> reporting   the stored step's expert still writes
//	       --> replaying   the stored reply stands
//	waiting --> judged     with what has been written meanwhile
//	asking --> keeping, completing
//
// keeping, completing, reporting and replaying end in a reply.
type phase int

// The phases.
const (
	judged     phase = iota
	waiting          // for an answer that is being written in this conversation
	asking           // the expert
	keeping          // storing a new step with its reply
	completing       // storing a new reply for a stored step
	reporting        // replying with what an expert has written so far; nothing is stored
	replaying        // replying with the stored reply
)

// String names the phase, for tests and logs.
func (p phase) String() string {
	return [...]string{"judged", "waiting", "asking", "keeping", "completing", "reporting", "replaying"}[p]
}

// answerState is what has become of the expert's answer to a stored step.
type answerState int

// The states of a stored answer.
const (
	answerNone     answerState = iota // there is none, or it ended before it was complete
	answerRunning                     // it is still being written, here or in another process
	answerFinished                    // it is whole
	answerRequests                    // it is whole, and asks for files that the expert has not been given
)

// situation is all that the next phase depends on.
type situation struct {
	Repeated bool         // the step is stored, with equal arguments
	Waited   bool         // running answers were waited for, as long as the call can
	Running  bool         // an answer of the conversation is still being written
	Choice   ExpertChoice // whether an expert is to be asked
	Expert   string       // of a repeated step: the stored state of its expert, "" for none
	Served   bool         // of a repeated step: its expert was given the files that it asked for
	Answer   answerState  // of a repeated step: its expert's answer
	Asked    bool         // the expert has been asked in this call
}

// nextPhase is what a call that is judged, or has asked its expert, does next.
func nextPhase(s situation) phase {
	switch {
	case s.Asked && s.Repeated:
		return completing
	case s.Asked:
		return keeping
	case s.Repeated:
		return nextOfRepeated(s)
	case s.Choice != AskExpert:
		return keeping
	case s.Running && !s.Waited:
		return waiting
	}
	return asking
}

// nextOfRepeated is nextPhase of a step that is sent again. What was answered is answered again; an expert that failed, or
// whose answer was cut, is asked again.
func nextOfRepeated(s situation) phase {
	again := asking
	if s.Choice != AskExpert { // it was switched off since
		again = replaying
	}
	switch s.Expert {
	case expertFailed:
		return again
	case expertWants:
		if s.Served {
			return replaying
		}
		return again
	case expertPartial:
	default:
		return replaying
	}
	if !s.Waited {
		return waiting
	}
	switch s.Answer {
	case answerRunning:
		return reporting
	case answerFinished:
		return completing
	case answerRequests:
		if s.Served {
			return completing
		}
		return again
	}
	return again
}

// state is what a call has come to. It changes in judge, wait and consult alone.
type state struct {
	phase  phase
	waited bool

	past     []conversation.Turn // the run's stored steps, in order of their numbers
	facts    []Facts             // of past
	filled   []string            // relevant files that were filled in
	decision Decision
	sum      Consolidated

	stored *storedStep    // the step as it is stored; nil for a new one
	expert *expertOutcome // nil before the expert was asked
}

// storedStep is a step that was sent before with equal arguments.
type storedStep struct {
	turn conversation.Turn
	meta stepMeta
}

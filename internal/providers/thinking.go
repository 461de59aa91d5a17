package providers

import (
	"slices"
	"time"
)

// mediumIsHigh is how long a call must last for "medium" to become "high" on a model that knows only low, high and
// max: long enough for a whole answer after high effort.
const mediumIsHigh = 55 * time.Second

// effortOff is the effort that switches thinking off.
const effortOff = "none"

// effortScale ranks the words of every vendor's reasoning_effort, weakest first.
var effortScale = [...]string{effortOff, "minimal", "low", "medium", "high", "xhigh", "max"}

// Switch turns a thinking mode into what is sent to a model that thinks this way: never the vendor's default, unless
// nothing can be set. limit is the whole call's limit, its reserve included. An unknown mode counts as medium.
func (t Thinking) Switch(mode ThinkingMode, limit time.Duration) ThinkingSwitch {
	if len(t.Efforts) > 0 {
		return t.effort(mode, limit)
	}
	if !t.Toggle || t.Always {
		return ThinkingSwitch{}
	}
	if mode == ThinkMinimal || mode == ThinkLow {
		return ThinkingSwitch{Type: "disabled"}
	}
	return ThinkingSwitch{Type: "enabled"}
}

func (t Thinking) effort(mode ThinkingMode, limit time.Duration) ThinkingSwitch {
	word := string(mode)
	switch mode {
	case ThinkMinimal:
		if slices.Contains(t.Efforts, effortOff) {
			return ThinkingSwitch{Effort: effortOff}
		}
		if t.Toggle && !t.Always {
			return ThinkingSwitch{Type: "disabled"}
		}
		word = "low"
	case ThinkLow, ThinkHigh, ThinkMax:
	default:
		word = "medium"
		if !slices.Contains(t.Efforts, word) {
			word = "low"
			if limit >= mediumIsHigh {
				word = "high"
			}
		}
	}
	return ThinkingSwitch{Effort: t.nearest(word)}
}

// nearest is the model's word closest to the one wanted; of two that are equally close, the weaker. "none" switches
// thinking off, so it is not among them.
func (t Thinking) nearest(word string) string {
	want, best, distance := rank(word), "", len(effortScale)+1
	for _, e := range t.Efforts {
		if e == effortOff {
			continue
		}
		d := max(rank(e)-want, want-rank(e))
		if d < distance || d == distance && rank(e) < rank(best) {
			best, distance = e, d
		}
	}
	return best
}

func rank(effort string) int { return slices.Index(effortScale[:], effort) }

// Weaker is the switch one step below s, and false when the model can think no less.
func (t Thinking) Weaker(s ThinkingSwitch) (ThinkingSwitch, bool) {
	if s.Effort != "" {
		if i := slices.Index(t.Efforts, s.Effort); i > 0 {
			return ThinkingSwitch{Effort: t.Efforts[i-1]}, true
		}
		return s, false
	}
	if t.Toggle && !t.Always && s.Type != "disabled" {
		return ThinkingSwitch{Type: "disabled"}, true
	}
	return s, false
}

// On reports whether a model thinks when the switch is sent.
func (t Thinking) On(s ThinkingSwitch) bool {
	return t.Thinks() && (t.Always || s.Type != "disabled" && s.Effort != effortOff)
}

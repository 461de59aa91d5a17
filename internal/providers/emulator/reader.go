package emulator

import "slices"

// Reads plays a model that calls functions round by round, as long as it may, and then answers. It is for Always.
func Reads(answer Reply, rounds ...[]ToolCall) func(Request) Reply {
	return func(r Request) Reply {
		if n := exchanges(r.Chat); n < len(rounds) && offersFunctions(r.Chat) {
			return Reply{Reasoning: answer.Reasoning, ToolCalls: rounds[n]}
		}
		return answer
	}
}

// ReadsOn plays a model that calls functions for as long as a request lists any and does not forbid them, whatever it is
// told, and then answers. next gives the calls of a round, which count from 0.
func ReadsOn(answer Reply, next func(round int) []ToolCall) func(Request) Reply {
	return func(r Request) Reply {
		if !offersFunctions(r.Chat) {
			return answer
		}
		return Reply{Reasoning: answer.Reasoning, ToolCalls: next(exchanges(r.Chat))}
	}
}

// exchanges is how many rounds of function calls a chat carries.
func exchanges(c *Chat) (n int) {
	for _, m := range c.Messages {
		if len(m.ToolCalls) > 0 {
			n++
		}
	}
	return n
}

// offersFunctions reports whether the model may call a function.
func offersFunctions(c *Chat) bool {
	return c.ToolChoice != "none" && slices.ContainsFunc(c.Tools, func(t Tool) bool { return t.Type == "function" })
}

package emulator

import (
	"slices"
	"strings"
	"time"
)

// Reply is one scripted answer. The zero Reply is the answer that would have come without a script, so that a fault can
// be put on it: Reply{Faults: []Fault{StallAfter(2)}}.
type Reply struct {
	// Reasoning and Content are the answer's pieces, each one delta of a stream.
	Reasoning []string
	Content   []string
	ToolCalls []ToolCall
	// FinishReason is the vendor's word. "": "tool_calls" when there are calls, else "stop".
	FinishReason string
	// Usage is what is reported; nil: estimated from the request and the answer, prefix cache included.
	Usage *Usage
	// Gap is the wait before each delta.
	Gap time.Duration
	// ObjectArguments sends the arguments of tool calls as a JSON object instead of a string, as Z.ai's API
	// specification has it.
	ObjectArguments bool
	// CountParts counts choices[].index of a stream up with each part of the one answer (reasoning, text, each call, the
	// end), as api.z.ai was recorded to do.
	CountParts bool
	// Hits are what a search finds: GLM's web_search endpoint, GLM's search inside a chat, Kimi's web-search formula.
	Hits []Hit
	// JSON is the whole body of a 200 answer, for operations other than a chat, and for a chat that must look otherwise.
	JSON string

	Faults []Fault
}

// ToolCall is a function call in a reply. ID "" takes the vendor's form of id.
type ToolCall struct {
	ID        string
	Name      string
	Arguments string // JSON text
}

// Usage is what a reply reports, in tokens.
type Usage struct {
	Prompt    int // cached ones included
	Cached    int
	Output    int // reasoning included
	Reasoning int
}

// Hit is one page that a search finds, with the field names of Z.ai's web_search.
type Hit struct {
	Title       string `json:"title"`
	Content     string `json:"content"`
	Link        string `json:"link"`
	Media       string `json:"media"`
	Icon        string `json:"icon"`
	Refer       string `json:"refer"`
	PublishDate string `json:"publish_date"`
}

// Say is a reply of text, one delta per piece.
func Say(pieces ...string) Reply { return Reply{Content: pieces} }

// Call is a reply that calls one function.
func Call(name, arguments string) Reply {
	return Reply{ToolCalls: []ToolCall{{Name: name, Arguments: arguments}}}
}

// Fail is the default answer with faults.
func Fail(faults ...Fault) Reply { return Reply{Faults: faults} }

// Thinking returns the reply with reasoning before its content, one delta per piece.
func (r Reply) Thinking(pieces ...string) Reply {
	r.Reasoning = pieces
	return r
}

// Every returns the reply with a wait before each delta.
func (r Reply) Every(gap time.Duration) Reply {
	r.Gap = gap
	return r
}

// With returns the reply with more faults.
func (r Reply) With(faults ...Fault) Reply {
	r.Faults = append(slices.Clone(r.Faults), faults...)
	return r
}

// scripted reports whether the reply says what to answer.
func (r Reply) scripted() bool {
	return len(r.Reasoning)+len(r.Content)+len(r.ToolCalls) > 0 || r.FinishReason != ""
}

// Match chooses requests. Empty fields match everything, save that an empty Op means chats.
type Match struct {
	Vendor Vendor
	Op     Op
	Model  string // of a chat: the id as sent
	// Text must occur in the last user message of a chat, in the query of a search, or in the name of an upload.
	Text string
	// Anywhere must occur in some message of a chat.
	Anywhere string
	// If has the last word; nil: no objection.
	If func(Request) bool
}

func (m Match) fits(r Request) bool {
	op := m.Op
	if op == "" {
		op = OpChat
	}
	if op != r.Op || m.Vendor != "" && m.Vendor != r.Vendor {
		return false
	}
	if m.Model != "" && (r.Chat == nil || r.Chat.Model != m.Model) {
		return false
	}
	if m.Text != "" && !strings.Contains(r.subject(), m.Text) {
		return false
	}
	if m.Anywhere != "" && (r.Chat == nil || !strings.Contains(r.Chat.Text(), m.Anywhere)) {
		return false
	}
	return m.If == nil || m.If(r)
}

// subject is what Match.Text looks into.
func (r Request) subject() string {
	switch {
	case r.Chat != nil:
		return r.Chat.LastUser()
	case r.Upload != nil:
		return r.Upload.Name
	}
	return string(r.Body)
}

type rule struct {
	match Match
	reply func(Request) Reply
	once  *Reply // the reply of a rule that answers once
}

// Script queues replies for chats of either vendor: each answers one.
func (e *Emulator) Script(replies ...Reply) { e.On(Match{}, replies...) }

// On queues replies for the requests that match: each answers one, in order. Queued replies come before those of
// Always, in the order in which they were queued.
func (e *Emulator) On(m Match, replies ...Reply) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, r := range replies {
		e.queue = append(e.queue, &rule{match: m, once: &r, reply: func(Request) Reply { return r }})
	}
}

// Always answers every request that matches with what f returns. A later rule comes before an earlier one. f may be
// called from several goroutines at once.
func (e *Emulator) Always(m Match, f func(Request) Reply) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.standing = slices.Insert(e.standing, 0, &rule{match: m, reply: f})
}

// Unused is how many queued replies nobody asked for yet.
func (e *Emulator) Unused() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.queue)
}

// reply finds the scripted answer to a request and takes it out of the queue. Without one it is the zero Reply.
func (e *Emulator) reply(r Request) Reply {
	f := e.takeRule(r)
	if f == nil {
		return Reply{}
	}
	return f.reply(r)
}

func (e *Emulator) takeRule(r Request) *rule {
	e.mu.Lock()
	queue, standing := slices.Clone(e.queue), slices.Clone(e.standing)
	e.mu.Unlock()
	// The matches run without the lock, since a Match.If may well look at the emulator.
	for _, q := range queue {
		if q.match.fits(r) && e.drop(q) {
			return q
		}
	}
	for _, s := range standing {
		if s.match.fits(r) {
			return s
		}
	}
	return nil
}

// drop takes a rule out of the queue; it is false when another request was faster.
func (e *Emulator) drop(q *rule) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(e.queue, q)
	if i < 0 {
		return false
	}
	e.queue = slices.Delete(e.queue, i, i+1)
	return true
}

// bodyReadFor is the upload fault of the reply that will answer, found before the body is read: only replies of On whose
// Match needs nothing from the body.
func (e *Emulator) bodyReadFor(r Request) *bodyRead {
	e.mu.Lock()
	queue := slices.Clone(e.queue)
	e.mu.Unlock()
	for _, q := range queue {
		if !q.match.fits(r) {
			continue
		}
		for _, f := range q.once.Faults {
			if f.intake != nil {
				return f.intake
			}
		}
		return nil
	}
	return nil
}

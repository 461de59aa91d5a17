// Package ask is the one way from a tool to a model, and from a continuation_id to its conversation.
//
// A call leases a conversation (Lease), asks a model (Generate) and stores question and answer (Append); Ask does the three
// for a plain conversation, Fetch reads what a conversation's last question came to. An answer that goes on after its call is
// followed in the background, saved every 2 s, and ended by Close.
//
// It knows no protocol, no vendor and no database, and no tool: the tools, and the workflow engine, import it.
package ask

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// Caller makes model calls; *calls.Caller is one.
type Caller interface {
	Call(ctx context.Context, c calls.Call) (*calls.Outcome, error)
}

// Options are what Conversations needs.
type Options struct {
	Config *config.Config
	Caller Caller
	// Store gives the conversation store. It waits while the store is still being opened, at most until ctx ends.
	Store func(ctx context.Context) (conversation.Store, error)
	// Workspace names the folder that new conversations belong to. May be nil.
	Workspace func() string
	// Host and User are where and by whom new conversations are started. Where one is "", conversation_not_found lists none.
	Host, User string
	Activity   *activity.Log    // hears of answers that go on in the background; nil: nobody does
	Log        *zap.Logger      // nil logs nothing
	Now        func() time.Time // nil means time.Now
}

// Conversations is the service: one for a process. It is safe for concurrent use.
type Conversations struct {
	cfg    *config.Config
	caller Caller
	open   func(ctx context.Context) (conversation.Store, error)
	space  func() string
	host   string
	user   string
	events *activity.Log
	log    *zap.Logger
	now    func() time.Time

	mu        sync.Mutex
	live      map[string]*follower // conversations whose answer goes on here
	closed    bool
	unstored  unstoredAnswers
	leases    keyedMutex  // by continuation_id
	lasting   atomic.Bool // what the store confirms outlives this process
	followers sync.WaitGroup
	closing   context.Context // ends when Close begins: it bounds what goes on behind calls
	endLater  context.CancelFunc
}

// New returns the service.
func New(o Options) *Conversations {
	t := &Conversations{
		cfg: o.Config, caller: o.Caller, open: o.Store, space: o.Workspace, host: o.Host, user: o.User, events: o.Activity, log: o.Log, now: o.Now,
		live: map[string]*follower{},
	}
	t.closing, t.endLater = context.WithCancel(context.Background())
	if t.space == nil {
		t.space = func() string { return "" }
	}
	if t.log == nil {
		t.log = zap.NewNop()
	}
	if t.now == nil {
		t.now = time.Now
	}
	return t
}

// Question is what is asked of a model, apart from the conversation that it is asked in.
type Question struct {
	Tool string
	// System is the tool's own part of the system prompt. The functions that a model has and the rules that hold for every tool
	// (only what was given, today's date, LOCALE) follow it, and last Form, which says what the answer is to look like.
	System string
	Form   string
	Reads  string // what to read for this task, for a model that has Reader's functions; "" for nothing
	Prompt string
	// Attachments go with the prompt: files in front of it, pictures beside it. In a conversation, a file that was sent before
	// and has not changed is only named.
	Attachments []conversation.Attachment
	// Attach adds to the question what depends on its conversation, such as files that the conversation does not have yet. Ask calls it
	// when it has loaded the conversation. May be nil.
	Attach func(ctx context.Context, h *Lease, q *Question) error
	// History are earlier turns that the model is to see, oldest first. Those that don't fit its window are left out.
	History []conversation.Turn

	earlier int                                                 // how many turns there are before History
	more    func(bytes int) (*conversation.Conversation, error) // reads more of them

	// Listing are all files that were named for the question, where its notes don't name them all; nil where they do.
	Listing []workspace.FileGroup

	Notes []string // for the reply's metadata

	Model       string // the caller's; "" or "auto" for none
	Prefer      string // the conversation's; Ask fills it in
	Provider    string // binds the call to one vendor; "" for any
	Category    providers.Category
	Thinking    providers.ThinkingMode
	Temperature *float64
	Search      bool
	Tools       []calls.Tool
	// Reader lets the model read files by itself, if it takes functions; nil: it can't. FewReads: it is one of several that
	// are asked, or its answer is wanted soon.
	Reader   *looks.Reader
	FewReads bool
	NoCalls  bool // the functions are listed as in the turn before, but none is run
	// Aside: the answer is not what the conversation has come to. Whoever asks for its last answer gets the one before.
	Aside bool
	// Exchange is what was called and returned between the last question and the last answer of History.
	Exchange   []providers.Message
	MaxOutput  int  // 0: the configured cap
	JSONObject bool // ask for one JSON object as the answer
	Key        string
	Background bool // the answer may go on after the call's limit
	// On hears of the call's events. nil reports them as the call's progress.
	On func(providers.Event)
	// Finished hears of a background answer that has ended and is saved, or can't be. It runs when the call is long over,
	// so ctx has no budget; it may take 10 s. May be nil.
	Finished func(ctx context.Context, turn conversation.Turn)
}

// Answer is what a question came to: a finished answer or a part of one.
type Answer struct {
	// Text is shown to the client: the answer, or, where only thinking has arrived, a sentence that says so.
	Text    string
	Partial bool
	Pending bool // the rest is being written in the background
	Outcome calls.Outcome
	// Asked is the question as a turn to keep: the prompt with what was attached to it.
	Asked conversation.Turn
	// Dropped counts the turns of History that the model's window had no room for.
	Dropped int
	Notes   []string

	question Question
	why      string // why it is a part only
}

// Now is the time as the service sees it.
func (t *Conversations) Now() time.Time { return t.now() }

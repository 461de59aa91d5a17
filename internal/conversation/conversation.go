// Package conversation is the vocabulary of conversations: what is said in them, what is kept, and the Store that keeps it.
//
// It knows no database and no protocol.
package conversation

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// Errors of a Store. Every other error means that the store itself failed (the contract's store_unavailable).
var (
	ErrNotFound = errors.New("no conversation with this id")
	ErrBusy     = errors.New("an answer is still being written in this conversation")
)

// Conversation is one conversation. Its ID is the continuation_id that clients see.
type Conversation struct {
	ID        string
	Title     string
	Tool      string // the tool that began it
	Workspace string // the first allowed root when it began, as the host names it
	CreatedAt time.Time
	UpdatedAt time.Time
	ReadAt    time.Time // when Load read it, by the Store's clock
	Turns     []Turn    // oldest first, dropped ones left out
	Earlier   int       // how many turns there are before Turns, which LoadLatest did not read
}

// TurnStatus says whether a turn is whole.
type TurnStatus string

// The states of a turn.
const (
	TurnComplete TurnStatus = "complete"
	TurnPartial  TurnStatus = "partial" // a limit, the network or a cancellation ended it; Content is what arrived
	TurnRunning  TurnStatus = "running" // being written in the background; SavedAt is its heartbeat
)

// HeartbeatLost is how old a running turn's SavedAt must be for its process to count as dead; the turn is then a
// finished partial.
const HeartbeatLost = 10 * time.Second

// Alive reports whether a process whose last heartbeat was at savedAt counts as alive at now. Both times must be from the
// clock of the store, since processes of other machines, whose clocks differ, write there too. A heartbeat from the future
// was written before the clock was set back, so nothing is known of its process; one that lives soon writes the next.
func Alive(savedAt, now time.Time) bool {
	age := now.Sub(savedAt)
	return age >= 0 && age <= HeartbeatLost
}

// Turn is one message of a conversation, or one workflow step (a user turn with Step, and the expert's answer as the
// assistant turn after it).
type Turn struct {
	N            int    // 1, 2, 3 ... within its conversation; given by the Store
	ID           string // uuid; given by the Store when empty
	Role         providers.Role
	Content      string
	Reasoning    string // kept only while a tool loop needs it back
	Tool         string
	Model        string // who answered, for assistant turns
	Provider     string
	Status       TurnStatus // "" means TurnComplete
	FinishReason providers.FinishReason
	Usage        providers.Usage
	Attachments  []Attachment // files and images that went with a user turn
	Step         *Step
	Meta         json.RawMessage // whatever else a tool needs back; an object or nil
	CreatedAt    time.Time
	SavedAt      time.Time // the last save, by the Store's clock; a heartbeat while running
	Orphaned     bool      // Load found it running and its process not Alive
}

// EffectiveStatus is the status that a reader must assume: a running turn whose process died is partial.
func (t Turn) EffectiveStatus() TurnStatus {
	switch {
	case t.Status == "":
		return TurnComplete
	case t.Status == TurnRunning && t.Orphaned:
		return TurnPartial
	}
	return t.Status
}

// Attachment is a file or an image as it was when it was sent. Its bytes are kept by content hash, so that the
// messages of a conversation stay the same whatever happens to the file.
type Attachment struct {
	Path   string // as the host names it; "" for an image given inline
	Name   string // as models are shown it: relative to its work tree, with slashes; "" where that is Path
	SHA256 string // lower-case hex of Data
	MIME   string // "text/..." for files; image/png ... for images
	Size   int64
	Data   []byte // the text as it was sent, or the image; filled by Load
}

// DocumentMIME marks an attachment whose Data is what a vendor extracted from a document, in that vendor's own form. Models
// get it word for word, as a message of its own.
const DocumentMIME = "text/x-extracted"

// Step is one stored step of a workflow: what was asked and what was answered. The state of a run is a fold over them.
type Step struct {
	Tool   string
	Number int
	Input  json.RawMessage // the arguments as decoded, in the tool's own JSON form
	Reply  json.RawMessage // the whole reply object
}

// NewTurns is what Append stores, in one transaction.
type NewTurns struct {
	ConversationID string // a new id begins a conversation, unless Existing
	Existing       bool   // the conversation must be there; one that was deleted meanwhile is ErrNotFound, and nothing is stored
	Title          string // of a new conversation
	Tool           string // of a new conversation
	Workspace      string // of a new conversation
	Host           string // where a new conversation is started
	User           string // who started a new conversation
	// DropSteps drops, before appending, the turns of Tool's steps with a number >= DropStepsFrom and every turn that came
	// with them (their expert answers). 0 drops none.
	DropStepsTool string
	DropStepsFrom int
	Turns         []Turn
}

// Summary is a conversation in a list.
type Summary struct {
	ID        string
	Title     string
	Tool      string
	Model     string
	Workspace string
	Host      string // where it was started
	Turns     int
	Running   bool
	CreatedAt time.Time
	UpdatedAt time.Time
	Excerpt   string // where a search matched
}

// Filter narrows a list. Zero fields do not narrow.
type Filter struct {
	IDs       []string // of these conversations
	Prefix    string   // of the id
	Text      string   // case-insensitive, in title or content
	Tool      string
	Path      string // a file that was attached
	Workspace string // where it was started, as Conversation has it
	Host      string // the host where it was started
	User      string // the user who began it
	Since     time.Time
	Before    time.Time
	Limit     int // 0 means 50
	Offset    int
}

// Temporary is an ability of a Store that may end with its process although the configuration asks for a database.
type Temporary interface {
	// Temporary says why everything in the Store ends with the process; "" where that is not so, or was asked for.
	Temporary() string
}

// TemporaryReason says why a Store is temporary; "" where it is not.
func TemporaryReason(s Store) string {
	if t, ok := s.(Temporary); ok {
		return t.Temporary()
	}
	return ""
}

// Store keeps conversations. Implementations are safe for concurrent use, also by several processes on one database; every
// method gives up when ctx ends.
type Store interface {
	// Load returns a conversation with its turns and attachments, or ErrNotFound.
	Load(ctx context.Context, id string) (*Conversation, error)
	// LoadLatest is Load with the latest turns alone: all if their texts and attachments have fewer than so many bytes, else
	// at least so many that they have as much, and at least those from the latest answer of a known model on. Earlier counts
	// the others.
	LoadLatest(ctx context.Context, id string, bytes int) (*Conversation, error)
	// Append stores turns at a conversation's end and returns them with N, ID and times filled in; a CreatedAt that is set is
	// kept, SavedAt is the Store's clock. Roles are user, assistant and system: a tool loop's messages go into Meta.
	Append(ctx context.Context, n NewTurns) ([]Turn, error)
	// Save writes a stored turn's Content, Reasoning, Status, FinishReason, Usage, Meta and Step again, Model and Provider
	// where they are set, and the Store's clock as SavedAt. It is how a background answer grows and ends. ErrNotFound when
	// the turn was deleted or dropped meanwhile, or is saved as running after it was cancelled.
	Save(ctx context.Context, conversationID string, t Turn) error
	// List returns conversations, the latest first.
	List(ctx context.Context, f Filter) ([]Summary, error)
	// Delete removes a conversation with everything in it, or ErrNotFound.
	Delete(ctx context.Context, id string) error
	// Prune deletes the conversations last updated before a time and returns how many.
	Prune(ctx context.Context, before time.Time) (int, error)
}

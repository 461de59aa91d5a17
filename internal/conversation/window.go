package conversation

import (
	"cmp"
	"fmt"
	"math/bits"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// BytesPerToken is how many bytes of history are read for a token of a model's window: some more than text has for a token
// that is planned, so that reading more is seldom needed.
const BytesPerToken = 4

// FileTokens is what the lines around an attached file take.
const FileTokens = 60

// Tokens is how many tokens to plan for the turn's message, its attachments included.
func (t Turn) Tokens() int {
	n := providers.EstimateTokens(t.Content) + providers.TokensPerMessage
	for _, a := range t.Attachments {
		if a.Image() {
			n += providers.TokensPerImage
		} else {
			n += providers.EstimateTokens(a.Data) + FileTokens
		}
	}
	return providers.Planned(n)
}

// Image reports whether the attachment is a picture.
func (a Attachment) Image() bool { return strings.HasPrefix(a.MIME, "image/") }

// Bytes is how long the turn's text and attachments are.
func (t Turn) Bytes() int {
	n := len(t.Content)
	for _, a := range t.Attachments {
		n += len(a.Data)
	}
	return n
}

// Window gives the index of the first turn that goes to a model with room for that many tokens of history: the oldest
// turns are left out first, and never so that an answer comes first. The beginning of what a model is sent, by which vendors
// find it in their caches, moves only now and then: of the turns from the first that fits up to where a quarter of the room
// is left, it is the one whose number can be halved the most often, and stays it until it fits no longer.
//
// The turns before the first that fits don't matter, so it is the same whether they are there or not.
func Window(turns []Turn, tokens int) (first int) {
	fits, spare := len(turns), len(turns)
	for total := 0; fits > 0; fits-- {
		if total += turns[fits-1].Tokens(); total > tokens {
			break
		}
		if total <= tokens-tokens/4 {
			spare = fits - 1
		}
	}
	if fits == 0 {
		return 0
	}
	first = len(turns)
	most := -1
	for i := fits; i < len(turns) && (i <= spare || most < 0); i++ {
		// Questions have every other number.
		if halved := bits.TrailingZeros(uint(turns[i].N / 2)); turns[i].Role != providers.RoleAssistant && halved > most {
			first, most = i, halved
		}
	}
	return first
}

// Messages renders turns as a model reads them, in order. The same turns always give the same messages. A model that
// cannot see pictures is told of them. An answer of which nothing arrived is left out.
func Messages(turns []Turn, images bool) []providers.Message {
	messages := make([]providers.Message, 0, len(turns))
	for _, t := range turns {
		switch {
		case t.Role != providers.RoleAssistant:
			messages = append(messages, t.Messages(images)...)
		case t.Content == "":
		case t.Status == TurnComplete || t.Status == "":
			messages = append(messages, providers.Message{Role: t.Role, Content: t.Content})
		default:
			messages = append(messages, providers.Message{Role: t.Role, Content: t.Content + "\n\n[The answer was cut off here.]"})
		}
	}
	return messages
}

// Messages renders a user turn: its documents, each a system message as Moonshot's documents have it (API docs, file
// content), then its files and its text in one message, with its pictures beside them.
func (t Turn) Messages(images bool) []providers.Message {
	var messages []providers.Message
	for _, a := range t.Attachments {
		if a.MIME == DocumentMIME && len(a.Data) > 0 {
			messages = append(messages, providers.Message{Role: providers.RoleSystem, Content: string(a.Data)})
		}
	}
	return append(messages, t.message(images))
}

func (t Turn) message(images bool) providers.Message {
	m := providers.Message{Role: t.Role, Content: t.Content}
	if len(t.Attachments) == 0 {
		return m
	}
	var b strings.Builder
	b.WriteString(RenderAttachments(t.Attachments))
	for _, a := range t.Attachments {
		switch {
		case !a.Image():
		case images:
			m.Images = append(m.Images, providers.Image{MIME: a.MIME, Data: a.Data})
		default:
			fmt.Fprintf(&b, "[A picture was sent here that you cannot see: %s]\n\n", Printable(a.name()))
		}
	}
	b.WriteString(t.Content)
	m.Content = b.String()
	return m
}

// name is how a picture or file is spoken of.
func (a Attachment) name() string {
	if a.Path != "" {
		return cmp.Or(a.Name, a.Path)
	}
	return "pasted, " + a.MIME
}

// LatestAttachments are the attachments that turns hold, each in its last state, by path; a picture without one by its content.
func LatestAttachments(turns []Turn) map[string]Attachment {
	held := map[string]Attachment{}
	for _, t := range turns {
		for _, a := range t.Attachments {
			held[attachmentKey(a)] = a
		}
	}
	return held
}

// Unsent splits attachments into those that a model must be sent and the paths of files that the turns already hold in
// the same state. The last state of a path counts. Pictures pasted without a path are compared by content alone.
func Unsent(turns []Turn, attachments []Attachment) (unsent []Attachment, held []string) {
	last := LatestAttachments(turns)
	for _, a := range attachments {
		if have, ok := last[attachmentKey(a)]; ok && have.SHA256 == a.SHA256 && a.SHA256 != "" {
			held = append(held, a.name())
		} else {
			unsent = append(unsent, a)
		}
	}
	return unsent, held
}

func attachmentKey(a Attachment) string {
	if a.Path != "" {
		return a.Path
	}
	return "sha256:" + a.SHA256
}

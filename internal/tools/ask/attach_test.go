package ask

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

func TestFilesHaveTwoFifthsOfAWindow(t *testing.T) {
	for window, want := range map[int]int{-1: 13_107, 0: 13_107, 1: 0, 10: 4, 100_000: 40_000, 499_999: 199_999, 500_000: 200_000, 1_000_000: 200_000} {
		assert.Equal(t, want, FileTokens(window), window)
	}
}

// embedder reads nothing, and keeps how it was asked.
type embedder struct {
	sent     []conversation.Attachment
	manifest workspace.Manifest
	err      error

	budget  workspace.Budget
	already map[string]conversation.Attachment
}

func (e *embedder) Embed(
	_ context.Context, _ []workspace.Ref, b workspace.Budget, already map[string]conversation.Attachment,
) ([]conversation.Attachment, workspace.Manifest, error) {
	e.budget, e.already = b, already
	return e.sent, e.manifest, e.err
}

// A file that the conversation has goes along all the same: the turn that sent it may be left out by then.
func TestAttachAddsWhatIsHeld(t *testing.T) {
	fresh := conversation.Attachment{Path: "/p/new.go", Data: []byte("new")}
	held := map[string]conversation.Attachment{"/p/old.go": {Path: "/p/old.go", Data: []byte("old")}}
	e := &embedder{sent: []conversation.Attachment{fresh}, manifest: workspace.Manifest{
		Sent: []workspace.Entry{{Path: "/p/new.go"}}, Unchanged: []workspace.Entry{{Path: "/p/old.go"}, {Path: "/p/elsewhere.go"}},
		LeftOut: []workspace.Entry{{Path: "/p/big.go", Reason: "no room"}},
	}}
	problems := []workspace.Problem{{Path: "gone.go", Err: &workspace.Error{Code: workspace.CodeNotFound, Message: "There is no such file."}}}
	sent, m, err := Attach(t.Context(), e, nil, problems, workspace.Budget{Tokens: 10}, held)
	require.NoError(t, err)
	assert.Equal(t, []conversation.Attachment{fresh, held["/p/old.go"]}, sent)
	want := e.manifest
	want.LeftOut = []workspace.Entry{{Path: "/p/big.go", Reason: "no room"}, {Path: "gone.go", Code: workspace.CodeNotFound, Reason: "There is no such file."}}
	assert.Equal(t, want, m)
	assert.Equal(t, workspace.Budget{Tokens: 10, LineNumbers: true}, e.budget)
	assert.Equal(t, held, e.already)

	e.err = context.Canceled
	sent, m, err = Attach(t.Context(), e, nil, problems, workspace.Budget{}, held)
	require.ErrorIs(t, err, context.Canceled)
	assert.Nil(t, sent)
	assert.Equal(t, e.manifest, m)
}

func TestFilesThatAreNotSent(t *testing.T) {
	some := workspace.Manifest{Sent: []workspace.Entry{{Path: "a.go"}}, LeftOut: []workspace.Entry{{Path: "b.pdf", Reason: "binary: PDF"}}}
	assert.Empty(t, NotSent(workspace.Manifest{}))
	assert.Contains(t, NotSent(some), "Not sent: ")
	assert.Contains(t, NotSent(some), "kimi_multi_file_chat reads PDF and Office files.")
	require.NoError(t, NothingSent(workspace.Manifest{}), "no file was named")
	require.NoError(t, NothingSent(some), "one was sent")

	assert.Equal(t, "Not sent: b.pdf (binary: PDF). kimi_multi_file_chat reads PDF and Office files.", NotSentByName(some))
	assert.Empty(t, NotSentByName(workspace.Manifest{}))
	assert.Empty(t, SentInPart(some))

	picture := workspace.Manifest{LeftOut: []workspace.Entry{{Path: "a.png", Reason: "binary: PNG."}}}
	assert.Contains(t, NotSent(picture), "Pictures are given under images.")
	var e *workspace.Error
	require.ErrorAs(t, NothingSent(picture), &e)
	assert.Equal(t, workspace.CodeInvalid, e.Code)
	assert.Equal(t, `"a.png" can't be sent: binary: PNG.`, e.Message)
	assert.Equal(t, "Pictures are given under images.", e.Hint)
	gone := workspace.Manifest{LeftOut: []workspace.Entry{{Path: "a.pdf", Code: workspace.CodeNotFound, Reason: "there is no such file"}, {Path: "b.txt", Reason: "binary"}}}
	require.ErrorAs(t, NothingSent(gone), &e)
	assert.Equal(t, workspace.CodeNotFound, e.Code, "what the first one failed of")
	assert.Contains(t, e.Message, "None of the 2 files can be sent: ")
	assert.NotContains(t, e.Hint, "kimi_multi_file_chat", "it can't read what is not there")
	outside := workspace.Manifest{LeftOut: []workspace.Entry{{Path: "/srv/a.go", Code: workspace.CodeDenied, Reason: "it is outside"}}}
	require.ErrorAs(t, NothingSent(outside), &e)
	assert.Contains(t, e.Hint, "EXAI_ALLOWED_ROOTS adds folders")

	foreign := workspace.Problem{Path: `C:\a.go`, Err: &workspace.Error{Code: workspace.CodeDenied, Message: "It is elsewhere.", Hint: "Set EXAI_PATH_MAP."}}.Entry()
	require.ErrorAs(t, NothingSent(workspace.Manifest{LeftOut: []workspace.Entry{foreign, foreign}}), &e)
	assert.Equal(t, "Set EXAI_PATH_MAP.", e.Hint, "the setting that the refusal names")
	require.ErrorAs(t, NothingSent(workspace.Manifest{LeftOut: []workspace.Entry{foreign, outside.LeftOut[0]}}), &e)
	assert.Contains(t, e.Hint, "EXAI_ALLOWED_ROOTS adds folders", "they have different ones")
}

// A note names each file while there are no more than a reply lists; the question's turn keeps the names of the others.
func TestManyFilesAreNamed(t *testing.T) {
	many := func(n int) (m workspace.Manifest) {
		for i := range n {
			e := workspace.Entry{Path: fmt.Sprintf("/w/d%d/f%03d.go", i%2, i), Reason: "no room."}
			if i == 1 {
				e.Reason = "binary"
			}
			m.LeftOut = append(m.LeftOut, e)
		}
		return m
	}
	note := NotSentByName(many(listedFiles))
	for _, e := range many(listedFiles).LeftOut {
		assert.Contains(t, note, e.Path)
	}
	assert.Contains(t, note, "/w/d1/f001.go (binary)")
	assert.Equal(t, 1, strings.Count(note, "(no room)"))
	_, all := Listed(many(listedFiles))
	assert.Nil(t, all, "the note names them all")

	assert.Contains(t, NotSentByName(many(listedFiles+1)), "; and 1 more: 1 in /w/d1.")

	m := many(400)
	m.Sent, m.Cut = []workspace.Entry{{Path: "/w/sent.go"}}, []workspace.Entry{{Path: "/w/cut.go", Reason: "the first 3 lines"}}
	note = NotSentByName(m)
	assert.Contains(t, note, "/w/d0/f000.go")
	assert.NotContains(t, note, "/w/d1/f399.go")
	assert.Contains(t, note, "; and 300 more: 100 in /w/d0, 200 in /w/d1.")
	assert.Equal(t, "Sent in part: /w/cut.go (the first 3 lines).", SentInPart(m))

	_, all = Listed(m)
	turn := conversation.Turn{N: 3}
	keepListing(&turn, all)
	assert.Equal(t, all, ListingOf(turn))
	assert.Contains(t, ListingNote("c", turn), "exai://conversations/c/turns/3")
	page := Markdown(ListingOf(turn))
	for _, e := range m.LeftOut {
		assert.Contains(t, page, "\n- "+e.Path+"\n")
	}
	for _, want := range []string{"\n## Not sent: no room (399)\n", "\n## Not sent: binary (1)\n", "\n## Sent (1)\n\n- /w/sent.go\n", "\n## Sent in part: the first 3 lines (1)\n"} {
		assert.Contains(t, page, want)
	}

	step := conversation.Turn{N: 1, Meta: []byte(`{"files":{"type":"x","listing":[{"what":"Sent","paths":["a"]}]}}`)}
	assert.Equal(t, []workspace.FileGroup{{What: "Sent", Paths: []string{"a"}}}, ListingOf(step))
	for _, meta := range []string{"", "[]", `{"files":[]}`, `{"notes":["x"]}`} {
		assert.Nil(t, ListingOf(conversation.Turn{Meta: []byte(meta)}), meta)
		assert.Empty(t, ListingNote("c", conversation.Turn{N: 1, Meta: []byte(meta)}))
	}
	turn.N = 0
	assert.Empty(t, ListingNote("c", turn), "a turn that was not stored has no resource")
}

func TestThinkingThatWasStoppedNamesNoUnknownModel(t *testing.T) {
	out := calls.Outcome{Elapsed: 3 * time.Second}
	out.Response.Usage.ReasoningTokens = 7
	assert.Equal(t, "The model had been thinking for 3 s (about 7 tokens) and had not begun its answer when it was stopped.", stillThinking(out))
	out.Model.ID = "glm-5.3"
	assert.True(t, strings.HasPrefix(stillThinking(out), "glm-5.3 had been thinking for 3 s"))
}

func TestTitle(t *testing.T) {
	assert.Equal(t, "first", Title("\r\n\nfirst\nsecond"))
	assert.Equal(t, strings.Repeat("é", 80), Title(strings.Repeat("é", 80)))
	assert.Equal(t, strings.Repeat("é", 79)+"…", Title(strings.Repeat("é", 81)+"\nsecond"))
	assert.Empty(t, Title("\n"))
}

func TestEntriesNamesTheFirstTen(t *testing.T) {
	list := make([]workspace.Entry, 10)
	for i := range list {
		list[i] = workspace.Entry{Path: fmt.Sprintf("f%d.go", i), Reason: "binary."}
	}
	assert.True(t, strings.HasSuffix(Entries(list), "; f9.go (binary)"))
	list = append(list, workspace.Entry{Path: "f10.go", Reason: "binary."}, workspace.Entry{Path: "f11.go", Reason: "binary."})
	assert.True(t, strings.HasSuffix(Entries(list), "; f9.go (binary); and 2 more"))
}

func TestCallNeedsWhatAQuestionHas(t *testing.T) {
	b := &builder{fixed: 5}
	none := (&Conversations{}).callOf(Question{}, b)
	assert.Equal(t, providers.Needs{Tokens: 5 + b.question.Tokens()}, none.Needs)
	q := Question{Tools: make([]calls.Tool, 1), Attachments: []conversation.Attachment{{MIME: "text/plain"}, {MIME: "image/png"}}}
	all := (&Conversations{}).callOf(q, b)
	assert.True(t, all.Needs.Functions)
	assert.True(t, all.Needs.Images)
}

func TestWhatALeaseKnows(t *testing.T) {
	cfg := config.Default()
	h := &Lease{t: &Conversations{cfg: cfg}}
	assert.Empty(t, h.Model())
	h.Turns = []conversation.Turn{{Role: providers.RoleAssistant, Model: "glm-5.3"}}
	assert.Equal(t, "glm-5.3", h.Model())
	for most, want := range map[int]int{4: 1, 3: 0, 2: 0, 1: 0} {
		cfg.Conversations.MaxTurns = most
		assert.Equal(t, want, *h.Remaining(2), most)
	}
	cfg.Conversations.MaxTurns = 0
	assert.Nil(t, h.Remaining(2))
}

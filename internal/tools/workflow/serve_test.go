package workflow_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask/asktest"
)

// inOrder is a vendor that gives one answer after the other.
func inOrder(answers ...asktest.Chat) asktest.Chat {
	n := 0
	return func(ctx context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		answer := answers[min(n, len(answers)-1)]
		n++
		return answer(ctx, req, on)
	}
}

// wantsFiles is an expert's request for files.
func wantsFiles(names ...string) asktest.Chat {
	list := append([]string{}, names...)
	text, err := json.Marshal(dict{"status": "files_required_to_continue", "mandatory_instructions": "The rest.", "files_needed": list})
	if err != nil {
		panic(err)
	}
	return asktest.Says(string(text))
}

// The second request of an expert that asked for a file shows the file in the place of what it had of it, and is in the same
// form as the first.
func TestServedFileTakesThePlaceOfItsPart(t *testing.T) {
	l := newFixture(t, inOrder(wantsFiles("f0.go"), asktest.Says(expertSays())))
	l.repository()
	var files []string
	for i := range 4 {
		files = append(files, l.file(fmt.Sprintf("f%d.go", i), strings.Repeat(fmt.Sprintf("// some line of file %d\n", i), 1_300)+fmt.Sprintf("// end of file %d\n", i)))
	}
	done := l.call("debug", l.step("debug", 1, 1, "relevant_files", files, "model", "glm-4.5v"))
	require.Equal(t, 2, l.asked())
	first, second := fmt.Sprint(l.requests[0].Messages), fmt.Sprint(l.requests[1].Messages)
	for text, want := range map[string][2]int{
		"f0.go: cut": {1, 0}, "f1.go: cut": {1, 1}, "end of file 0": {0, 1}, "## Not given to you": {1, 1},
		"The files that you asked for are among those above": {0, 1}, "Reply with that one JSON object and nothing around it.": {1, 1},
	} {
		assert.Equal(t, want, [2]int{strings.Count(first, text), strings.Count(second, text)}, text)
	}
	assert.Equal(t, strings.Count(first, "f0.go ==="), strings.Count(second, "f0.go ==="), "it stands there once")
	assert.EqualValues(t, 4, at(done, "file_context", "files_embedded"), "each counts once")
	assert.Len(t, at(done, "file_context", "manifest", "cut"), 3)
}

// A file that had no room at first is with the expert once it was served: nothing says that it is missing, and what the
// expert quotes of it is proven.
func TestServedFileIsNoLongerMissing(t *testing.T) {
	found := with(finding("high", "b.go", 1), "quote", "package window // the second")
	l := newFixture(t, inOrder(wantsFiles("b.go", "a.go"), asktest.Says(expertSays(found))))
	a, b := l.file("a.go", "package window // the first\n"), l.file("b.go", "package window // the second\n")
	l.cfg.Expert.MaxFileCount = 1
	args := l.step("codereview", 1, 1, "relevant_files", []string{a, b}, "findings", "")
	done := l.call("codereview", args)
	require.Equal(t, 2, l.asked())
	assert.Contains(t, fmt.Sprint(l.requests[0].Messages), "b.go: not given")
	assert.False(t, strings.Contains(l.prompt(), "Not given to you"))
	assert.Equal(t, "fully_embedded", at(done, "file_context", "type"))
	assert.EqualValues(t, 2, at(done, "file_context", "files_embedded"), "a.go counts once")
	assert.Equal(t, map[string]string{"a.go": "whole", "b.go": "whole"}, l.covered(done))
	assert.Equal(t, "verified", at(done, "expert_analysis", "findings", 0, "citation"))
	assert.Equal(t, "changes_required", done["verdict"])
}

// An expert that asks for what it has is not asked again, neither at once nor when the step is sent again.
func TestExpertAsksForWhatItHas(t *testing.T) {
	l := newFixture(t, inOrder(wantsFiles("window.go"), asktest.Says(expertSays())))
	args := l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)})
	paused := l.call("debug", args)
	assert.Equal(t, "files_required_to_continue", paused["status"])
	assert.True(t, noteIn(paused, "The expert asked for files (window.go), but there is none among them that could be given and that it did not have."))
	again := l.call("debug", with(args, "continuation_id", paused["continuation_id"]))
	assert.Equal(t, "files_required_to_continue", again["status"])
	assert.True(t, noteIn(again, "stored reply"))
	assert.Equal(t, 1, l.asked())
}

// Where the second request fails, the expert's request for files stands, with why, and its turn keeps what it was given.
func TestServingFails(t *testing.T) {
	l := newFixture(t, inOrder(wantsFiles("f0.go"), fails(providers.Error{Kind: providers.KindBalance, Message: "The account is empty."}), asktest.Says(expertSays())))
	var files []string
	for i := range 4 {
		files = append(files, l.file(fmt.Sprintf("f%d.go", i), strings.Repeat("// some line of a file\n", 1_300)+"// its end\n"))
	}
	args := l.step("debug", 1, 1, "relevant_files", files, "model", "glm-4.5v")
	paused := l.call("debug", args)
	assert.Equal(t, "files_required_to_continue", paused["status"])
	assert.True(t, noteIn(paused, "The expert asked for files (f0.go), but asking it again with them failed: The account is empty."))
	assert.Len(t, at(paused, "file_context", "manifest", "cut"), 4, "nobody read the whole one")
	assert.True(t, strings.Contains(fmt.Sprint(l.requests[1].Messages), "its end"))
	for _, a := range l.turnsOf(paused["continuation_id"])[0].Attachments {
		assert.False(t, strings.Contains(string(a.Data), "its end"), a.Path)
	}
	again := l.call("debug", with(args, "continuation_id", paused["continuation_id"]))
	assert.Equal(t, "files_required_to_continue", again["status"])
	assert.Equal(t, 2, l.asked())
}

// Of several files that it asks for an expert gets a part of those that are too long.
func TestServedFilesShareTheRoom(t *testing.T) {
	l := newFixture(t, inOrder(wantsFiles("short.go", "long.go"), asktest.Says(expertSays())))
	l.file("short.go", "package short\n")
	l.file("long.go", strings.Repeat("// some line of a file\n", 5_000))
	done := l.call("debug", l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)}, "model", "glm-4.5v"))
	assert.Equal(t, 2, l.asked())
	assert.Len(t, at(done, "file_context", "manifest", "sent"), 2)
	assert.Len(t, at(done, "file_context", "manifest", "cut"), 1)
}

// An expert whose late answer asked for a file gets it when its step is sent again; what it asks for then goes to the caller.
func TestLateExpertIsServedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newFixture(t, slowly(80, `{"status": "files_required_to_continue", "files_needed": ["extra.go"]}`+strings.Repeat(" ", 80)))
		l.file("extra.go", "package window // the other half\n")
		l.file("third.go", "package window // the third\n")
		args := l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)})
		args["continuation_id"] = l.call("debug", args)["continuation_id"]
		time.Sleep(time.Minute)
		l.glm = inOrder(wantsFiles("third.go"), asktest.Says(expertSays()))
		paused := l.call("debug", args)
		assert.Equal(t, "files_required_to_continue", paused["status"])
		assert.Equal(t, []any{l.dir + "/window.go", l.dir + "/third.go"}, l.nextCall(paused)["relevant_files"])
		assert.Equal(t, 2, l.asked())
		assert.True(t, strings.Contains(l.prompt(), "the other half"))
	})
}

// An expert that asks for files and names none is asked again when the step is sent again, and then gets what it names; never
// more than once in a call.
func TestExpertAsksForNoFileByName(t *testing.T) {
	l := newFixture(t, inOrder(wantsFiles(), asktest.Says(expertSays())))
	args := l.step("debug", 1, 1, "relevant_files", []string{l.file("window.go", source)})
	paused := l.call("debug", args)
	assert.Equal(t, "files_required_to_continue", paused["status"])
	assert.False(t, noteIn(paused, "asked for files"))
	assert.Equal(t, 1, l.asked())
	done := l.call("debug", with(args, "continuation_id", paused["continuation_id"]))
	assert.Equal(t, "investigation_complete", done["status"])
	assert.True(t, noteIn(done, "its expert had not finished: only the expert was asked again"))
	assert.Equal(t, 2, l.asked())
}

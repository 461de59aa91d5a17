package ask

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// listedFiles is how many files of each kind a reply names: those that were sent, cut or left out.
const listedFiles = 100

// Listed is a manifest as replies show it, and all of its files by name where that leaves out some; nil where it does not.
// A question's turn keeps the latter, and its resource shows it.
func Listed(m workspace.Manifest) (short workspace.Manifest, all []workspace.FileGroup) {
	short = m.Limit(listedFiles)
	if short.More > 0 {
		all = m.Groups()
	}
	return short, all
}

// listingMeta is where turns keep the names of all files: questions beside what else they keep, steps of a workflow in
// their file context.
type listingMeta struct {
	Listing []workspace.FileGroup `json:"listing,omitempty"`
	Files   struct {
		Listing []workspace.FileGroup `json:"listing,omitempty"`
	} `json:"files"`
}

// ListingOf returns the names of all files of a question's turn where its reply did not name them all, else nil.
func ListingOf(turn conversation.Turn) []workspace.FileGroup {
	var m listingMeta
	if json.Unmarshal(turn.Meta, &m) != nil {
		return nil
	}
	if m.Listing != nil {
		return m.Listing
	}
	return m.Files.Listing
}

// ListingNote says where all files of a question are listed, "" where the reply names them all.
func ListingNote(continuationID string, turn conversation.Turn) string {
	if turn.N == 0 || ListingOf(turn) == nil {
		return ""
	}
	return "The names of all files of this call, sent or not, are in the resource " + turnURI(continuationID, turn.N) + "."
}

// turnURI names the resource that holds a turn whole.
func turnURI(continuationID string, n int) string {
	return fmt.Sprintf("exai://conversations/%s/turns/%d", continuationID, n)
}

// keepListing puts the names of all files into a question's turn.
func keepListing(turn *conversation.Turn, all []workspace.FileGroup) {
	if all == nil {
		return
	}
	if meta, err := json.Marshal(struct {
		Listing []workspace.FileGroup `json:"listing"`
	}{all}); err == nil { // strings marshal
		turn.Meta = meta
	}
}

// Markdown lists all files by name, under what became of them.
func Markdown(all []workspace.FileGroup) string {
	var b strings.Builder
	b.WriteString("# Files\n")
	for _, g := range all {
		fmt.Fprintf(&b, "\n## %s (%d)\n\n", conversation.Printable(g.What), len(g.Paths))
		for _, path := range g.Paths {
			fmt.Fprintf(&b, "- %s\n", conversation.Printable(path))
		}
	}
	return b.String()
}

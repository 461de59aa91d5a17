package workflow

import (
	"context"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// mimeDiff marks an attachment that holds what git says of a repository.
const mimeDiff = "text/x-diff"

// show records attachments as shown to a model.
func show(s *proof.Shown, attachments []conversation.Attachment) {
	for _, a := range attachments {
		if a.Name != "" {
			s.Name(a.Name, a.Path)
			s.Name(conversation.Printable(a.Name), a.Path)
		}
		switch {
		case a.Image() || a.MIME == conversation.DocumentMIME:
		case a.MIME == mimeDiff:
			showDiffs(s, a.Path, string(a.Data))
		case strings.HasPrefix(strings.TrimLeft(string(a.Data), " "), "1| "):
			s.AddNumbered(a.Path, proof.WorkTree, string(a.Data))
		default: // of another version of this program
			s.Add(a.Path, proof.WorkTree, 1, string(a.Data))
		}
	}
}

// showDiffs records the diffs of a repository, one for each file, and the names by which they call the files. In a hunk each
// line begins with its number, so "diff --" begins a file's part.
func showDiffs(s *proof.Shown, top, text string) {
	parts := strings.Split("\n"+text, "\ndiff --")
	for _, part := range parts[1:] {
		before, after := sidesOf(part)
		if after == "" {
			continue // no line of it is shown
		}
		file := hostPath(top, after)
		s.AddDiff(file, hostPath(top, before), part)
		s.Name(before, hostPath(top, before))
		s.Name(after, file)
	}
}

// sidesOf are the names of a file on both sides of its part of a diff: the same where only one side has it. Where the part
// has no hunks they are "".
func sidesOf(part string) (before, after string) {
	for line := range strings.Lines(part) {
		line = strings.TrimRight(line, "\r\n")
		if strings.HasPrefix(line, "@@") {
			break
		}
		if name, ok := strings.CutPrefix(line, "--- a/"); ok {
			before = name
		}
		if name, ok := strings.CutPrefix(line, "+++ b/"); ok {
			after = name
		}
	}
	if before == "" {
		before = after
	}
	if after == "" {
		after = before
	}
	return before, after
}

// hostPath is a name below a folder, as the host writes the folder.
func hostPath(top, name string) string {
	if strings.Contains(top, `\`) && !strings.Contains(top, "/") {
		return top + `\` + strings.ReplaceAll(name, "/", `\`)
	}
	return strings.TrimSuffix(top, "/") + "/" + name
}

// spell lets files be cited as diffs spell their names, which have escapes for what can't be printed.
func spell(s *proof.Shown, files ...string) {
	for _, file := range files {
		if printed := conversation.Printable(file); printed != file {
			s.Name(printed, file)
		}
	}
}

// showHistory begins the record of what the expert is shown with what the conversation holds. changed are the files of the
// diffs that follow.
func (r *run) showHistory(history []conversation.Turn, changed []workspace.ChangedFile) {
	r.shown = &proof.Shown{}
	for _, c := range changed {
		spell(r.shown, c.Path, c.From)
	}
	for _, turn := range history {
		show(r.shown, turn.Attachments)
	}
}

// shownFor is what the expert of an answer was shown, as far as the conversation has it.
func (r *run) shownFor(answerID string) *proof.Shown {
	s := &proof.Shown{}
	if r.stored != nil {
		for _, c := range r.stored.meta.Coverage {
			spell(s, c.File)
		}
	}
	for _, turn := range r.lease.Turns {
		if turn.ID == answerID {
			break
		}
		if turn.Role != providers.RoleAssistant {
			show(s, turn.Attachments)
		}
	}
	return s
}

// prove checks what the findings of an analysis cite against what the expert was shown.
func (r *run) prove(ctx context.Context, a Analysis, shown *proof.Shown) {
	for _, f := range a.Findings {
		f.prove(shown, func(name string) (string, bool) { return r.Files.Find(ctx, name, r.refs.known) })
	}
}

// prove says in the finding what was found of its quote, and corrects its file and line.
func (f Finding) prove(shown *proof.Shown, find func(name string) (string, bool)) {
	file, line := f.Place()
	result := shown.Check(proof.Claim{File: file, Line: line, Quote: f.Text("quote")}, find)
	f["citation"] = string(result.Citation)
	if result.File != "" {
		f["file"] = result.File
	} else if file != "" {
		f["file"] = file
	}
	if line > 0 {
		f["line"] = float64(result.Line) // as a line that was read from JSON
	}
	if result.Citation != proof.Moved {
		return
	}
	f["line"] = float64(result.Line)
	if line == 0 {
		delete(f, "line_end")
		return
	}
	f["cited_line"] = float64(line)
	if end, ok := f["line_end"].(float64); ok && (result.Line < line || result.Line > int(end)) {
		f["line_end"] = end + float64(result.Line-line)
	}
}

// proven reports whether what the finding cites was found.
func (f Finding) proven() bool {
	citation := proof.Citation(f.Text("citation"))
	return citation == proof.Verified || citation == proof.Moved
}

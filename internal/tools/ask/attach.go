package ask

import (
	"context"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// MaxFileTokens bounds the files of one question, in tokens, whatever its model could take: more than that answers slower
// than a client waits.
const MaxFileTokens = 200_000

// FileTokens is how many tokens the files of a question may take: two fifths of its model's context window (0: unknown).
func FileTokens(window int) int {
	if window <= 0 {
		window = unknownWindow
	}
	return min(window*2/5, MaxFileTokens)
}

// Embedder reads files for a model; *workspace.Workspace does.
type Embedder interface {
	Embed(ctx context.Context, refs []workspace.Ref, b workspace.Budget, already map[string]conversation.Attachment) ([]conversation.Attachment, workspace.Manifest, error)
}

// Attach reads files for a question: every tool that sends files sends them in this one form, numbered, so that a file is
// sent once in a conversation whichever tools name it. What the history shows already (held) is attached again, since
// older turns may be left out of it. The manifest lists the problems among what was left out. An error is the end of ctx.
func Attach(ctx context.Context, files Embedder, refs []workspace.Ref, problems []workspace.Problem, b workspace.Budget,
	held map[string]conversation.Attachment,
) ([]conversation.Attachment, workspace.Manifest, error) {
	b.LineNumbers = true
	sent, m, err := files.Embed(ctx, refs, b, held)
	if err != nil {
		return nil, m, err
	}
	for _, same := range m.Unchanged {
		if have, ok := held[same.Path]; ok {
			sent = append(sent, have)
		}
	}
	for _, p := range problems {
		m.LeftOut = append(m.LeftOut, p.Entry())
	}
	return sent, m, nil
}

// NothingSent is the error of a call that named files of which none can be sent, nil for any other: a model would be paid
// for an answer about nothing.
func NothingSent(m workspace.Manifest) error {
	if !m.Empty() || len(m.LeftOut) == 0 {
		return nil
	}
	first := m.LeftOut[0]
	e := &workspace.Error{
		Code: first.Code, Path: first.Path, Message: first.Reason,
		Hint: "Name text files inside the allowed folders, or leave the files out.",
	}
	switch e.Code {
	case workspace.CodeDenied:
		e.Hint = "Name text files inside the allowed folders. EXAI_ALLOWED_ROOTS adds folders; keys and .env files stay refused."
	case "":
		e.Code = workspace.CodeInvalid
		e.Message = fmt.Sprintf("%q can't be sent: %s.", first.Path, strings.TrimSuffix(first.Reason, "."))
	}
	if first.Hint != "" && !slices.ContainsFunc(m.LeftOut, func(o workspace.Entry) bool { return o.Hint != first.Hint }) {
		e.Hint = first.Hint
	}
	if len(m.LeftOut) > 1 {
		e.Message = fmt.Sprintf("None of the %d files can be sent: %s.", len(m.LeftOut), Entries(m.LeftOut))
	}
	if hint := documentHint(m.LeftOut); hint != "" {
		e.Hint = hint
	}
	return e
}

// NotSent is the note about files that were left out, "" when there are none: the first ten by name, for a reply that has
// the manifest besides.
func NotSent(m workspace.Manifest) string {
	if len(m.LeftOut) == 0 {
		return ""
	}
	return strings.TrimSpace("Not sent: " + Entries(m.LeftOut) + ". " + documentHint(m.LeftOut))
}

// NotSentByName is NotSent for a reply without a manifest: all by name, as far as Listed names them.
func NotSentByName(m workspace.Manifest) string {
	if len(m.LeftOut) == 0 {
		return ""
	}
	return strings.TrimSpace("Not sent: " + byName(m.LeftOut) + ". " + documentHint(m.LeftOut))
}

// SentInPart is the note about files of which only the beginning was sent, by name as far as Listed names them; "" when
// there are none.
func SentInPart(m workspace.Manifest) string {
	if len(m.Cut) == 0 {
		return ""
	}
	return "Sent in part: " + byName(m.Cut) + "."
}

// byName lists files under the reasons that they share, and counts by folder those that Listed does not name.
func byName(list []workspace.Entry) string {
	short, _ := Listed(workspace.Manifest{LeftOut: list})
	paths := map[string][]string{}
	var reasons, parts []string
	for _, e := range short.LeftOut {
		reason := strings.TrimSuffix(e.Reason, ".")
		if paths[reason] == nil {
			reasons = append(reasons, reason)
		}
		paths[reason] = append(paths[reason], e.Path)
	}
	for _, reason := range reasons {
		parts = append(parts, fmt.Sprintf("%s (%s)", strings.Join(paths[reason], ", "), reason))
	}
	if short.More > 0 {
		var folders []string
		for _, name := range slices.Sorted(maps.Keys(short.MoreIn)) {
			folders = append(folders, fmt.Sprintf("%d in %s", short.MoreIn[name], name))
		}
		parts = append(parts, fmt.Sprintf("and %d more: %s", short.More, strings.Join(folders, ", ")))
	}
	return strings.Join(parts, "; ")
}

// documentHint names the tools that read what is no text.
func documentHint(left []workspace.Entry) string {
	var documents, pictures bool
	for _, e := range left {
		switch strings.ToLower(path.Ext(e.Path)) {
		case ".pdf", ".doc", ".docx", ".xls", ".xlsx", ".ppt", ".pptx", ".odt", ".ods", ".odp", ".epub":
			documents = documents || e.Code == ""
		case ".png", ".jpg", ".jpeg", ".gif", ".webp":
			pictures = pictures || e.Code == ""
		}
	}
	var hints []string
	if documents {
		hints = append(hints, "kimi_multi_file_chat reads PDF and Office files.")
	}
	if pictures {
		hints = append(hints, "Pictures are given under images.")
	}
	return strings.Join(hints, " ")
}

// Entries lists files of a manifest with their reasons, the first ten by name.
func Entries(list []workspace.Entry) string {
	const named = 10
	var parts []string
	for _, e := range list[:min(named, len(list))] {
		part := fmt.Sprintf("%s (%s)", e.Path, strings.TrimSuffix(e.Reason, "."))
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if len(list) > named {
		parts = append(parts, fmt.Sprintf("and %d more", len(list)-named))
	}
	return strings.Join(parts, "; ")
}

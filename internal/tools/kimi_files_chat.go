package tools

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/upload"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

type filesChatInput struct {
	Files       []string `json:"files"`
	Prompt      string   `json:"prompt"`
	Model       string   `json:"model,omitempty"`
	Temperature *float64 `json:"temperature,omitempty" default:"0.3"`
}

const filesChatName = "kimi_multi_file_chat"

func kimiMultiFileChat(d *Deps) tool.Tool {
	return tool.New(filesChatName, d.filesChat, tool.Hints(tool.Annotations{OpenWorld: true}), tool.InConversation(), tool.Class(config.ClassFile))
}

// filesChat asks a Kimi model about files: each goes to it as a system message of its own, with the text that Kimi
// extracted.
func (d *Deps) filesChat(ctx context.Context, in filesChatInput) (*Result, error) {
	w, err := words.For(filesChatName)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Prompt) == "" {
		return nil, reply.InvalidRequest("Say in prompt what you want to know about the files.", "The prompt is blank.")
	}
	if r := d.tooLong(in.Prompt, w); r != nil {
		return r, nil
	}
	// A path that can't be used is the caller's slip: better to say so than to answer about the rest.
	refs, problems := d.Workspace.Resolve(ctx, in.Files)
	if len(problems) > 0 {
		return nil, problems[0].Err
	}
	files, err := d.read(ctx, w.Name, refs, nil)
	if err != nil {
		return nil, err
	}
	if r := d.uploadsPending(ctx, files); r != nil {
		return r, nil
	}
	system, err := w.Render("system", nil)
	if err != nil {
		return nil, err
	}
	q := ask.Question{
		Tool: w.Name, System: system, Prompt: in.Prompt, Model: in.Model, Provider: "kimi", Category: providers.CategoryFiles,
		Thinking: providers.ThinkLow, Temperature: in.Temperature, Background: true, Notes: files.notes,
	}
	for _, f := range files.through {
		f.Text, err = d.Workspace.Mask(f.Path, f.Text) // of a document that could not be checked before it was uploaded
		if err != nil {
			return nil, err
		}
		q.Attachments = append(q.Attachments, document(f))
	}
	if left := leftOut(ctx, files.failed); left != "" {
		q.Prompt += "\n\n[Named but not included here: " + left + "]"
		q.Notes = append(q.Notes, "Not sent: "+left+".")
	}
	said, err := d.Conversations.Ask(ctx, "", q)
	if err != nil {
		return nil, err
	}
	return filesChatReply(said), nil
}

// filesChatReply is what kimi_multi_file_chat answers with.
func filesChatReply(said *ask.StoredAnswer) *Result {
	r := said.Reply()
	r.Body.Set("model", said.Metadata.ModelUsed)
	return r
}

// minAnswer is how much time of a call must be left for a question to be asked.
const minAnswer = 5 * time.Second

// uploadsPending returns the reply of a call whose time was used up by uploads, nil if the question can be asked.
func (d *Deps) uploadsPending(ctx context.Context, files *documents) *Result {
	r := &Result{}
	r.Metadata.Note(files.notes...)
	if n := len(files.pending); n > 0 {
		r.Body.Set("status", "partial").Set("model", nil).Set("content", fmt.Sprintf(
			"No model was asked yet: %d of %d files are still being uploaded to Kimi. Send the same call again.",
			n, n+len(files.through)+len(files.failed)))
		d.continueUploads(ctx, r, "kimi", files.pending)
		return r
	}
	b, ok := providers.BudgetFrom(ctx)
	if !ok || time.Until(b.AnswerBy()) > min(minAnswer, b.Limit.Value/10) {
		return nil
	}
	r.Body.Set("status", "partial").Set("model", nil).
		Set("content", "No model was asked yet: the files are uploaded, but the call's time is over. Send the same call again; their text is kept.")
	d.continueUploads(ctx, r, "kimi", nil)
	return r
}

// document is an extracted file as a conversation keeps it.
func document(f upload.File) conversation.Attachment {
	sum := sha256.Sum256([]byte(f.Text))
	return conversation.Attachment{
		Path: f.Path, SHA256: hex.EncodeToString(sum[:]), MIME: conversation.DocumentMIME, Size: int64(len(f.Text)), Data: []byte(f.Text),
	}
}

// leftOut names files that failed, with their reasons.
func leftOut(ctx context.Context, failed []upload.File) string {
	var parts []string
	for _, f := range failed {
		parts = append(parts, fmt.Sprintf("%s (%s)", f.Path, strings.TrimSuffix(reply.FromError(ctx, f.Err).Message, ".")))
	}
	return strings.Join(parts, "; ")
}

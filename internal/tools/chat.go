package tools

import (
	"context"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

type chatInput struct {
	Prompt         string   `json:"prompt" default:"" jsonschema:"Goal, context, what was tried. Blank with continuation_id: fetch the last answer."`
	Files          []string `json:"files,omitempty" jsonschema:"Files or folders, not pasted text."`
	Images         []string `json:"images,omitempty" jsonschema:"Paths or data: URLs."`
	Model          string   `json:"model,omitempty" jsonschema:"Omit to have one chosen."`
	Temperature    *float64 `json:"temperature,omitempty" minimum:"0" maximum:"1"`
	ThinkingMode   string   `json:"thinking_mode,omitempty" enum:"minimal,low,medium,high,max"`
	UseWebsearch   *bool    `json:"use_websearch,omitempty"`
	Stream         *bool    `json:"stream,omitempty"`
	ContinuationID string   `json:"continuation_id,omitempty"`
	Offset         *int     `json:"offset,omitempty" minimum:"0" jsonschema:"With a blank prompt: more.next_offset."`
	tool.Previewable
}

func chat(d *Deps) tool.Tool {
	return tool.New("chat", d.chat, tool.Hints(tool.Annotations{ReadOnly: true, OpenWorld: true}), tool.InConversation())
}

func (d *Deps) chat(ctx context.Context, in chatInput) (*Result, error) {
	w, err := words.For("chat")
	if err != nil {
		return nil, err
	}
	files, err := d.promptFile(ctx, in.Files, &in.Prompt)
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(in.Prompt) == "" {
		return d.fetch(ctx, in)
	}
	if r := d.tooLong(in.Prompt, w); r != nil {
		return r, nil
	}
	q, err := d.chatQuestion(w, in, len(files)+len(in.Images) > 0)
	if err != nil {
		return nil, err
	}
	q.Attach = func(ctx context.Context, h *ask.Lease, q *ask.Question) error {
		return d.attach(ctx, h, q, files, in.Images, in.UseWebsearch)
	}
	if in.Stream != nil {
		q.Notes = append(q.Notes, "stream: answers are always streamed from the vendor, and the reply always comes whole.")
	}
	if in.Offset != nil {
		q.Notes = append(q.Notes, "offset was ignored: it counts with a blank prompt only.")
	}
	said, err := d.Conversations.Ask(ctx, in.ContinuationID, q)
	if err != nil {
		return nil, err
	}
	return said.Reply(), nil
}

// chatQuestion is what a chat asks, without its files.
func (d *Deps) chatQuestion(w words.Words, in chatInput, files bool) (ask.Question, error) {
	system, err := w.Render("system", nil)
	return ask.Question{
		Tool: "chat", System: system, Prompt: in.Prompt, Model: in.Model, Category: providers.CategoryFast,
		Thinking: providers.ThinkingMode(in.ThinkingMode), Temperature: in.Temperature,
		Search: d.searches(in.UseWebsearch, "chat", files), Background: true,
	}, err
}

// fetch reads what the conversation's last question came to.
func (d *Deps) fetch(ctx context.Context, in chatInput) (*Result, error) {
	if strings.TrimSpace(in.ContinuationID) == "" {
		return nil, reply.InvalidRequest("Say in prompt what you want to know; a blank prompt only fetches the answer of a continuation_id.", "The prompt is blank.")
	}
	said, err := d.Conversations.Fetch(ctx, in.ContinuationID, in.Offset)
	if err != nil {
		return nil, err
	}
	if len(in.Files)+len(in.Images) > 0 {
		said.Metadata.Note("files and images were ignored: a blank prompt fetches the last answer.")
	}
	out := said.Reply()
	if in.Offset == nil && said.N > 0 && !said.Pending {
		if err := d.engine().AddStep(ctx, said.ContinuationID, said.N, out); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// promptFile takes a file named prompt.txt for the prompt itself, as hosts do whose arguments are short. Of several, the
// last counts. One that is too long for a prompt is a file like others: that is how a caller is told to resend it.
func (d *Deps) promptFile(ctx context.Context, files []string, prompt *string) ([]string, error) {
	var rest []string
	for _, name := range files {
		if base := name[strings.LastIndexAny(name, `/\`)+1:]; base != "prompt.txt" {
			rest = append(rest, name)
			continue
		}
		refs, problems := d.Workspace.Resolve(ctx, []string{name})
		if len(problems) > 0 {
			return nil, problems[0].Err
		}
		text, err := refs[0].ReadText(0)
		if err != nil {
			return nil, err
		}
		if strings.TrimSpace(*prompt) != "" && d.isLong(text.Content) {
			rest = append(rest, name)
			continue
		}
		*prompt = text.Content
	}
	return rest, nil
}

// tooLong is the reply to a prompt beyond MCP_PROMPT_SIZE_LIMIT, nil when it fits. It is no error: the client is
// told how to send it.
func (d *Deps) tooLong(prompt string, w words.Words) *Result { return d.resend("prompt", prompt, w) }

// resend is tooLong for an argument of any name.
func (d *Deps) resend(name, text string, w words.Words) *Result {
	if !d.isLong(text) {
		return nil
	}
	limit, size := d.Config.Files.PromptSizeLimit, utf8.RuneCountInString(text)
	how := fmt.Sprintf("%s has %d characters, more than MCP_PROMPT_SIZE_LIMIT=%d. Save its long part in a file inside an allowed folder, "+
		"and call %s again with a short %s and that file's path.", name, size, limit, w.Name, name)
	r := &Result{}
	r.Body.Set("status", "resend_prompt").Set("content", how).Set("content_type", "text")
	r.Metadata.Own.Set("prompt_size", size).Set("limit", limit).Set("instructions", how)
	return r
}

// isLong reports whether a text is beyond MCP_PROMPT_SIZE_LIMIT.
func (d *Deps) isLong(text string) bool {
	limit := d.Config.Files.PromptSizeLimit
	return limit > 0 && utf8.RuneCountInString(text) > limit
}

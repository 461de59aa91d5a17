package workflow

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/tools/ask"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// fileTokens is how much of a run's files the expert is sent at most. It fits the smallest window that a reasoning model
// of today has, with room for its answer.
const fileTokens = 120_000

// opinion is what became of the expert: its state, what the reply says of it, and what it was given.
type opinion struct {
	state    string
	analysis Analysis
	said     Expert
	files    FileContext
	sent     []string
	answer   *ask.Answer // nil when no text arrived
}

// finish ends a run: the expert is asked where it is due, the findings are recorded, the step is stored.
func (r *run) finish(ctx context.Context) (*reply.Result, error) {
	turn := r.said()
	o := r.skipped()
	if r.d.Expert == AskExpert {
		var err error
		if o, err = r.consult(ctx); err != nil {
			return nil, err
		}
	}
	if o.answer != nil {
		turn = o.answer.Asked
		turn.Tool = r.spec.Tool
		r.take(o.answer.Metadata())
	}
	body, err := r.render(ctx, o)
	if err != nil {
		return nil, err
	}
	return r.keep(ctx, turn, kept{Expert: o.state, Files: &o.files, Sent: o.sent}, o.answer, body), nil
}

// take makes an answer's metadata the reply's, notes added to those already there.
func (r *run) take(m reply.Metadata) {
	notes := r.meta.Notes
	r.meta = m
	own := m.Notes
	r.meta.Notes = nil
	r.meta.Note(notes...)
	r.meta.Note(own...)
}

// skipped is the opinion of a run that ends without an expert.
func (r *run) skipped() opinion {
	o := opinion{state: expertSkipped, files: FileContext{Type: "reference_only", Note: "No model was asked, so no file was sent."}}
	skip := func(status, reason string) {
		o.said.Analysis = (&reply.Object{}).Set("status", status).Set("reason", reason)
	}
	switch r.d.Expert {
	case SkipConfident:
		skip(r.spec.Statuses.Skipped, fmt.Sprintf("The caller's confidence is %q, so no second opinion was asked for.", r.c.Confidence))
	case SkipOff:
		skip("skipped", "Expert analysis is switched off (EXPERT_ANALYSIS_ENABLED=false).")
	case SkipRefused:
		skip("skipped", "The caller asked for no expert (use_assistant_model=false).")
	case SkipUnwarranted:
		skip("skipped", "There is nothing for an expert to judge: no relevant file, no issue and a single finding. Name relevant_files to get a second opinion.")
	default:
		o.state = ""
	}
	return o
}

// consult asks the expert, with the run's files. One that asks for files gets them once, within the same limit. An error
// means that the call itself is at fault, or was cancelled; an expert's failure is an opinion.
func (r *run) consult(ctx context.Context) (opinion, error) {
	progress.From(ctx).Phase("reading files")
	q := r.question()
	given, err := r.attach(ctx, r.c.RelevantFiles, fileTokens, nil)
	if err != nil {
		return r.failed(ctx, err, given)
	}
	q.Attachments = given.Attachments
	if given.Note != "" {
		q.Prompt += "\n\n" + given.Note
	}
	a, err := r.Threads.Put(ctx, q)
	if err != nil {
		return r.failed(ctx, err, given)
	}
	o := r.opinion(ctx, a, given)
	status, wanted := o.analysis.Wants()
	if o.state != expertWants || len(wanted) == 0 {
		return o, nil
	}
	more, err := r.attach(ctx, wanted, fileTokens/2, q.Attachments)
	if err != nil || len(more.Attachments) == 0 {
		r.meta.Note("The expert asked for files that could not be given: " + strings.Join(wanted, ", ") + ".")
		return o, nil
	}
	r.Log.Debug("expert asked for files", zap.String("status", status), zap.Strings("files", wanted))
	q.Attachments = append(q.Attachments, more.Attachments...)
	q.Prompt += "\n\nThe files that you asked for are now among those above, as far as they exist and may be read."
	b, err := r.Threads.Put(ctx, q)
	if err != nil {
		r.meta.Note("The expert asked for files; asking it again with them failed: " + reply.Of(ctx, err).Message)
		return o, nil
	}
	b.Outcome.Response.Usage = b.Outcome.Response.Usage.Plus(a.Outcome.Response.Usage)
	b.Outcome.Attempts += a.Outcome.Attempts
	given.Manifest = merge(given.Manifest, more.Manifest)
	return r.opinion(ctx, b, given), nil
}

// question is what the expert is asked, without its files.
func (r *run) question() ask.Question {
	q := r.step.Ask
	q.Tool, q.Key, q.Background = r.spec.Tool, r.hold.ID, true
	q.Category = providers.CategoryReasoning
	q.System, q.Prompt = r.system(), Prompt(r.c)
	q.Prefer = r.hold.Model()
	q.History = r.others()
	q.Finished = r.finished
	return q
}

// others are the thread's turns that don't belong to this tool's run: the prompt holds the run as a whole.
func (r *run) others() (turns []conversation.Turn) {
	for _, t := range r.hold.Turns {
		if t.Tool != r.spec.Tool {
			turns = append(turns, t)
		}
	}
	return turns
}

// system is the tool's system prompt with the rules for every expert.
func (r *run) system() string {
	parts := []string{}
	add := func(w words.Words, section string) {
		if text, err := w.Render(section, nil); err == nil { // the tests render every section
			parts = append(parts, text)
		}
	}
	add(r.step.Words, "system")
	expert, err := words.For("expert")
	if err == nil {
		add(expert, "rules")
		add(expert, "files")
		if r.spec.Findings {
			add(expert, "findings")
		}
	}
	return strings.Join(parts, "\n\n")
}

// attach reads files for the expert. The first time, when there is nothing yet, the tool's own evidence and the run's
// pictures come with them.
func (r *run) attach(ctx context.Context, paths []string, tokens int, have []conversation.Attachment) (Evidence, error) {
	var e Evidence
	if r.step.Evidence != nil && have == nil {
		var err error
		if e, err = r.step.Evidence(ctx, r.c, tokens); err != nil {
			return e, err
		}
		tokens = max(tokens-e.Manifest.Tokens, tokens/4)
	}
	if r.Config.Expert.IncludeFiles && len(paths) > 0 {
		already := map[string]conversation.Attachment{}
		for _, a := range have {
			already[a.Path] = a
		}
		b := workspace.Budget{Tokens: tokens, MaxFiles: r.Config.Expert.MaxFileCount, MaxFileBytes: r.Config.Expert.MaxFileSizeKB << 10, LineNumbers: true}
		found, m, err := r.Files.Embed(ctx, paths, b, already)
		if err != nil {
			return e, err
		}
		e.Attachments, e.Manifest = append(e.Attachments, found...), merge(e.Manifest, m)
	}
	if have != nil {
		return e, nil
	}
	for _, ref := range r.c.Images {
		picture, err := r.Files.Image(ctx, ref)
		if err != nil {
			return e, err
		}
		e.Attachments = append(e.Attachments, picture)
	}
	return e, nil
}

// merge joins two manifests.
func merge(a, b workspace.Manifest) workspace.Manifest {
	return workspace.Manifest{
		Sent: slices.Concat(a.Sent, b.Sent), Cut: slices.Concat(a.Cut, b.Cut),
		Unchanged: slices.Concat(a.Unchanged, b.Unchanged), LeftOut: slices.Concat(a.LeftOut, b.LeftOut),
		Tokens: a.Tokens + b.Tokens, Bytes: a.Bytes + b.Bytes,
	}
}

// manifestLines is how many files of each kind a reply lists.
const manifestLines = 40

// contextOf says what the expert was given.
func contextOf(m workspace.Manifest) (FileContext, []string) {
	if m.Empty() {
		f := FileContext{Type: "reference_only", Note: "No file's text was sent to the expert."}
		if len(m.LeftOut) > 0 {
			f.Manifest = m.Limit(manifestLines)
		}
		return f, nil
	}
	var sent []string
	for _, list := range [][]workspace.Entry{m.Sent, m.Cut, m.Unchanged} {
		for _, e := range list {
			sent = append(sent, e.Path)
		}
	}
	f := FileContext{Type: "fully_embedded", FilesEmbedded: len(sent), Manifest: m.Limit(manifestLines)}
	if len(m.Cut)+len(m.LeftOut) > 0 {
		f.Type = "partially_embedded"
		f.Note = "Not everything fitted or could be read: the manifest names what was cut or left out."
	}
	return f, sent
}

// opinion reads an answer.
func (r *run) opinion(ctx context.Context, a *ask.Answer, given Evidence) opinion {
	o := opinion{answer: a}
	o.files, o.sent = contextOf(given.Manifest)
	r.judgeAnswer(ctx, &o, a.Text, a.Partial, a.Pending)
	return o
}

// judgeAnswer fills in what an answer's text amounts to.
func (r *run) judgeAnswer(ctx context.Context, o *opinion, text string, partial, pending bool) {
	if partial {
		o.state = expertPartial
		if text == "" {
			text = "The expert is still thinking; nothing of its answer has arrived yet."
		}
		part := (&reply.Object{}).Set("status", "partial").Set("content", text)
		if pending {
			part.Set("note", "The expert is still writing. Send this step again unchanged to wait for its whole answer.")
		} else {
			part.Set("note", "The expert's answer was ended before it was whole. Send this step again unchanged to ask it anew.")
		}
		o.said = Expert{Analysis: part}
		return
	}
	o.analysis = Read(text)
	if status, _ := o.analysis.Wants(); status != "" {
		o.state = expertWants
		o.said = Expert{Wants: status, Content: text}
		return
	}
	o.state = expertAnswered
	o.analysis.cite(ctx, r.Files, o.sent)
	o.said = Expert{Analysis: o.analysis.Object}
}

// failed is the opinion when nothing of an answer arrived: the step stands, the expert's part says why. An argument that
// can't be used, and a cancelled call, are errors of the call instead.
func (r *run) failed(ctx context.Context, err error, given Evidence) (opinion, error) {
	e := reply.Of(ctx, err)
	status := "analysis_error"
	switch e.Code {
	case reply.Timeout:
		status = "analysis_timeout"
	case reply.Cancelled, reply.InvalidRequest, reply.ModelNotFound, reply.PathDenied, reply.FileNotFound, reply.TooLarge:
		return opinion{}, err
	}
	r.Log.Info("expert failed", zap.String("tool", r.spec.Tool), zap.Error(err))
	o := opinion{state: expertFailed, said: Expert{Analysis: (&reply.Object{}).Set("status", status).Set("error", e.Object())}}
	o.files, o.sent = contextOf(given.Manifest)
	return o, nil
}

// render prepares the final reply: verdict, filter and record are settled here, once; the returned function makes the
// object for a continuation id.
func (r *run) render(ctx context.Context, o opinion) (func(id string) *reply.Object, error) {
	section := "done"
	if o.said.Wants != "" {
		section = "next"
	}
	w, err := r.words(section, "")
	if err != nil {
		return nil, err
	}
	if o.state != expertAnswered && o.state != expertPartial {
		w.Considered = ""
	}
	judged := ""
	if r.spec.Verdict && o.said.Wants == "" {
		judged = verdict(o.state, o.analysis, r.c.Issues, o.files.FilesEmbedded > 0)
	}
	tracked := r.capture(ctx, o)
	c := r.c
	r.hide(&c, &o)
	return func(id string) *reply.Object {
		body := FinalReply(r.spec, r.d, c, id, o.files, o.said, r.next(id), w)
		if judged != "" {
			body.Set("verdict", judged)
		}
		if tracked != nil && id != "" {
			body.Set("tracked_issues", tracked)
		}
		return body
	}, nil
}

// hide applies the severity filter to what is shown; what is counted and recorded stays whole.
func (r *run) hide(c *Consolidated, o *opinion) {
	least := ""
	for _, s := range r.c.Settings {
		if s.Name == SeveritySetting {
			least = s.Value
		}
	}
	if rank(least) == 0 {
		return // "all", or none
	}
	var issues []Finding
	for _, issue := range c.Issues {
		issues = append(issues, issue)
	}
	shown, hidden := filter(issues, least)
	c.Issues = nil
	for _, f := range shown {
		c.Issues = append(c.Issues, f)
	}
	if o.state == expertAnswered && o.analysis.Structured {
		found, more := filter(o.analysis.Findings, least)
		hidden += more
		list := make([]any, len(found))
		for i, f := range found {
			list[i] = map[string]any(f)
		}
		o.analysis.Object["findings"] = list
	}
	if hidden > 0 {
		r.meta.Note(fmt.Sprintf("severity_filter=%s leaves out %d findings of lower severity.", least, hidden))
	}
}

// capture records the findings of a run that is over.
func (r *run) capture(ctx context.Context, o opinion) *reply.Object {
	if r.Capture == nil || o.state == expertPartial && o.answer != nil && o.answer.Pending || o.said.Wants != "" {
		return nil
	}
	tracked, err := r.Capture(ctx, Finished{
		Tool: r.spec.Tool, ContinuationID: r.hold.ID, Issues: r.c.Issues, Findings: o.analysis.Findings, RelevantFiles: r.c.RelevantFiles,
	})
	if err != nil {
		r.Log.Warn("findings not recorded", zap.String("continuation_id", r.hold.ID), zap.Error(err))
		r.meta.Note("The findings could not be recorded in the issue tracker.")
	}
	return tracked
}

// Prompt is a run as the expert reads it.
func Prompt(c Consolidated) string {
	var b strings.Builder
	block := func(title string, lines ...string) {
		if len(lines) == 0 {
			return
		}
		fmt.Fprintf(&b, "## %s\n%s\n\n", title, strings.Join(lines, "\n"))
	}
	block("Request", c.Initial)
	var settings []string
	for _, s := range c.Settings {
		settings = append(settings, "- "+s.Name+": "+s.Value)
	}
	block("Settings", settings...)
	block(fmt.Sprintf("The work so far: %d steps, %d files examined", c.Steps, len(c.FilesChecked)), c.Findings...)
	block("Relevant context", bulleted(c.RelevantContext)...)
	var issues []string
	for _, issue := range c.Issues {
		text, err := json.Marshal(issue)
		if err != nil {
			text = []byte(fmt.Sprint(issue))
		}
		issues = append(issues, fmt.Sprintf("- [%s] %s", strings.ToUpper(Finding(issue).Severity()), text))
	}
	block("Issues that the agent reports", issues...)
	var hypotheses []string
	for _, h := range c.Hypotheses {
		hypotheses = append(hypotheses, fmt.Sprintf("- step %d (confidence %s): %s", h.Step, h.Confidence, h.Hypothesis))
	}
	block("The agent's hypotheses, in order", hypotheses...)
	block("Relevant files", bulleted(c.RelevantFiles)...)
	block("The agent's confidence", c.Confidence)
	return strings.TrimSpace(b.String())
}

func bulleted(list []string) []string {
	out := make([]string, len(list))
	for i, s := range list {
		out[i] = "- " + s
	}
	return out
}

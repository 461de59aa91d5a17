package review

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

// Hook is one of the hooks that the review gate serves.
type Hook string

// The hooks.
const (
	ClaudeStop Hook = "claude-stop"
	CodexStop  Hook = "codex-stop"
	PreCommit  Hook = "pre-commit"
	PrePush    Hook = "pre-push"
)

// Hooks lists the hooks.
func Hooks() []Hook { return []Hook{ClaudeStop, CodexStop, PreCommit, PrePush} }

// ParseHook reads a hook's name.
func ParseHook(name string) (Hook, error) {
	if h := Hook(name); slices.Contains(Hooks(), h) {
		return h, nil
	}
	return "", fmt.Errorf("unknown hook %q; expected claude-stop, codex-stop, pre-commit or pre-push", name)
}

// OfAgent reports whether an agent's host runs the hook, which decides in JSON; git decides by the exit code.
func (h Hook) OfAgent() bool { return h == ClaudeStop || h == CodexStop }

// Off says how a person switches the hook off.
func (h Hook) Off() string {
	switch h {
	case ClaudeStop:
		return `To switch this gate off: exai-mcp install --client claude-code --remove --hook (of a project: with --scope project; of the plugin: unset EXAI_GATE), or "disableAllHooks": true in .claude/settings.json.`
	case CodexStop:
		return "To switch this gate off: exai-mcp install --client codex --remove --hook (of a project: with --scope project; of the plugin: unset EXAI_GATE), or disable it under /hooks."
	case PreCommit:
		return "To skip this gate once: git commit --no-verify (under pre-commit: SKIP=exai-review git commit)."
	}
	return "To skip this gate once: git push --no-verify (under pre-commit: SKIP=exai-review-push git push)."
}

// Events that agents' hooks are run at.
const (
	SessionStart = "SessionStart"
	Stop         = "Stop"
)

// Input is what is used of the object that an agent's host writes to its hooks. Transcripts and messages are not among it.
type Input struct {
	Event     string `json:"hook_event_name"`
	SessionID string `json:"session_id"`
	Dir       string `json:"cwd"`
	// Active: the agent goes on because a hook blocked its stop before.
	Active bool `json:"stop_hook_active"`
}

// MaxInput is how much an agent's host may write to a hook, in bytes.
const MaxInput = 1 << 20

// ReadInput reads what an agent's host wrote to a hook.
func ReadInput(data []byte) (in Input, err error) {
	if len(data) > MaxInput {
		return in, fmt.Errorf("the hook's input exceeds the limit of %d bytes", MaxInput)
	}
	data = bytes.TrimSpace(bytes.TrimPrefix(data, []byte("\xef\xbb\xbf")))
	if len(data) == 0 || data[0] != '{' {
		return in, errors.New("the hook's input must be a JSON object on stdin")
	}
	if err := json.Unmarshal(data, &in); err != nil {
		return in, fmt.Errorf("the hook's input: %w", err)
	}
	switch {
	case in.Event != SessionStart && in.Event != Stop:
		return in, fmt.Errorf("unknown event %q; this hook serves SessionStart and Stop", oneLine(in.Event))
	case in.SessionID == "":
		return in, errors.New("the hook's input has no session_id")
	case in.Dir == "":
		return in, errors.New("the hook's input has no cwd")
	}
	return in, nil
}

// Push is one ref that git is about to push.
type Push struct {
	Ref    string // the local name
	Tip    string // the commit or tag that is pushed
	To     string // the remote's name, such as refs/heads/main
	Remote string // what the remote has now, "" for a new ref
}

// ReadPushes reads the lines that git writes to a pre-push hook: local ref, local id, remote ref, remote id. Deleted refs
// are left out.
func ReadPushes(text string) (pushes []Push, err error) {
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 4 {
			return nil, fmt.Errorf("a line of git's refs has %d fields, not 4", len(fields))
		}
		p := Push{Ref: fields[0], Tip: fields[1], To: fields[2], Remote: fields[3]}
		if isZero(p.Remote) {
			p.Remote = ""
		}
		if !isZero(p.Tip) {
			pushes = append(pushes, p)
		}
	}
	return pushes, nil
}

// isZero reports whether an id stands for nothing.
func isZero(id string) bool { return strings.Trim(id, "0") == "" }

// Merge is one report of several, with the worst verdict of them.
func Merge(reports []*Report) *Report {
	out := *reports[0]
	for _, r := range reports[1:] {
		out.Findings = append(slices.Clone(out.Findings), r.Findings...)
		out.Coverage = append(slices.Clone(out.Coverage), r.Coverage...)
		out.MoreCoverage += r.MoreCoverage
		out.Compared += "; " + r.Compared
		out.Seconds, out.CostUSD = max(out.Seconds, r.Seconds), out.CostUSD+r.CostUSD
		out.Nothing = out.Nothing && r.Nothing
		out.Model, out.failed = cmp.Or(out.Model, r.Model), cmp.Or(out.failed, r.failed)
		worst := []Verdict{Pass, Inconclusive, ChangesRequired}
		if slices.Index(worst, r.Verdict) > slices.Index(worst, out.Verdict) {
			out.Verdict, out.Reason = r.Verdict, r.Reason
		}
	}
	return &out
}

// Memory is what is known of earlier judgements, in a session or a work tree.
type Memory struct {
	Blocks   int     // of the chain
	State    string  // names what was judged last, "" for nothing
	Verdict  Verdict // what that came to
	Findings []string
}

// Begin is the memory as a hook finds it: a stop that no hook of ours caused begins a new chain.
func (m Memory) Begin(active bool) Memory {
	if !active {
		m.Blocks = 0
	}
	return m
}

// maxBlocks is how often a chain is blocked.
const maxBlocks = 2

// Decision is what a hook answers.
type Decision struct {
	Block    bool
	Message  string   // a line for the person
	Findings []string // for the agent, where it blocks; open ones, where it does not
}

// Known answers without a request, where that is possible: for what was judged before, and at the end of a chain.
func (m Memory) Known(state string) (Decision, bool) {
	switch {
	case state != "" && state == m.State && m.Verdict == Pass:
		return Decision{Message: "exai review: pass; nothing changed since."}, true
	case state != "" && state == m.State && m.Verdict == ChangesRequired:
		return Decision{Message: "exai review: nothing changed since the findings below, which stay open.", Findings: m.Findings}, true
	case state != "" && state == m.State && m.Verdict == Inconclusive:
		return Decision{Message: "exai review: still inconclusive; nothing changed since.", Findings: m.Findings}, true
	case m.Blocks >= maxBlocks:
		return Decision{Message: fmt.Sprintf("exai review: blocked %d times already, so this passes without a judgement. Open findings:", m.Blocks), Findings: m.Findings}, true
	}
	return Decision{}, false
}

// Decide answers a judgement and returns what is to be remembered of it. kept says that the memory outlives this process;
// where it does not, only the first stop of a chain is blocked.
func (m Memory) Decide(r *Report, on FailOn, state string, active, kept bool) (Decision, Memory) {
	d := Decision{Findings: r.lines(on.Least)}
	if r.Judged() {
		m.State, m.Verdict, m.Findings = state, r.Verdict, d.Findings
	}
	switch {
	case r.Nothing:
		d.Message = "exai review: nothing to review"
		if r.Reason != "" {
			d.Message += ": " + oneLine(r.Reason)
		}
		return d, m
	case r.Verdict == Pass:
		d.Message = "exai review: pass" + r.took()
		d.Findings = nil
		return d, m
	case r.Verdict == Inconclusive: // never a reason to block
		d.Message = strings.TrimSuffix("exai review: inconclusive: "+oneLine(r.Reason), ": ") + r.took()
		return d, m
	case m.Blocks >= maxBlocks, active && !kept:
		d.Message = "exai review: " + r.Verdict.Words() + r.took() + ", allowed, since the limit of blocks is reached."
		return d, m
	}
	m.Blocks++
	d.Block, d.Message = true, "exai review: "+r.Verdict.Words()+r.took()
	return d, m
}

// took is what a review took, for the end of a line.
func (r *Report) took() string {
	if r.Model == "" {
		return ""
	}
	return fmt.Sprintf(" (%s, %.1f s, $%.4f)", oneLine(r.Model), r.Seconds, r.CostUSD)
}

// Warn is the answer to a review that could not run: it never blocks.
func Warn(err error) Decision {
	return Decision{Message: "exai review: not reviewed: " + oneLine(err.Error())}
}

const (
	maxLines = 20  // findings that a hook reports
	maxTitle = 200 // characters of a title in it
)

// lines are the findings of a severity or worse, as an agent is given them: no text of the model but the title.
func (r *Report) lines(least issue.Severity) (lines []string) {
	for _, f := range r.Findings {
		if !f.Severity.AtLeast(least) {
			continue
		}
		title := []rune(oneLine(f.Title))
		if len(title) > maxTitle {
			title = append(title[:maxTitle-1], '…')
		}
		line := string(f.Severity)
		if place := oneLine(f.Place()); place != "" {
			line += " " + place
		}
		if lines = append(lines, line+" "+string(title)); len(lines) == maxLines {
			break
		}
	}
	return lines
}

// introduction is the first line of what an agent is given.
const introduction = "Findings of a reviewer; check them before you act"

// stopReply is what an agent's host reads. Codex refuses every other key.
type stopReply struct {
	Decision      string `json:"decision,omitempty"`
	Reason        string `json:"reason,omitempty"`
	SystemMessage string `json:"systemMessage,omitempty"`
}

// Reply is the decision as an agent's host reads it, one line.
func (d Decision) Reply(h Hook) ([]byte, error) {
	r := stopReply{SystemMessage: d.Text(h)}
	if d.Block {
		r.Decision = "block"
		r.Reason = strings.Join(append(append([]string{introduction}, d.Findings...), h.Off()), "\n")
		r.SystemMessage = d.Message + ". " + h.Off()
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(r)
	return b.Bytes(), err
}

// Text is the decision for a person, on git's stderr or in an agent's terminal.
func (d Decision) Text(h Hook) string {
	lines := append([]string{d.Message}, d.Findings...)
	if d.Block {
		lines = append(lines, h.Off())
	}
	return strings.Join(lines, "\n")
}

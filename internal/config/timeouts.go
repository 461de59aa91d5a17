package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// TimeoutConfig is the one source of every time limit. GLM and Kimi clients both get theirs from here and from nowhere else.
// All are whole limits counted from the start of what they bound.
type TimeoutConfig struct {
	GLM             time.Duration `env:"GLM_TIMEOUT_SECS"`
	Kimi            time.Duration `env:"KIMI_TIMEOUT_SECS"`
	StreamIdle      time.Duration `env:"STREAM_IDLE_TIMEOUT_SECS"`
	Connect         time.Duration `env:"CONNECT_TIMEOUT_SECS"`
	KimiSearch      time.Duration `env:"KIMI_WEB_SEARCH_TIMEOUT_SECS"`
	GLMSearch       time.Duration `env:"GLM_WEBSEARCH_TIMEOUT_SECS"`
	SimpleTool      time.Duration `env:"SIMPLE_TOOL_TIMEOUT_SECS"`
	WorkflowTool    time.Duration `env:"WORKFLOW_TOOL_TIMEOUT_SECS"`
	Expert          time.Duration `env:"EXPERT_ANALYSIS_TIMEOUT_SECS"`
	ThinkDeepExpert time.Duration `env:"THINKDEEP_EXPERT_TIMEOUT_SECS"` // 0: Expert times a factor of the thinking mode
	FileTool        time.Duration `env:"FILE_TOOL_TIMEOUT_SECS"`
	KimiUpload      time.Duration `env:"KIMI_FILES_UPLOAD_TIMEOUT_SECS"`
	KimiFetch       time.Duration `env:"KIMI_FILES_FETCH_TIMEOUT_SECS"` // one request for an uploaded file's text
	GLMUpload       time.Duration `env:"GLM_FILE_UPLOAD_TIMEOUT_SECS"`
	AnswerWithin    time.Duration `env:"ANSWER_WITHIN_SECS"`
	Background      time.Duration `env:"BACKGROUND_MAX_SECS"`

	call    *Limit            // in the place of the limits of all calls; nil keeps them
	others  map[string]Limit  // of the vendors beside GLM and Kimi, by name; outside the order
	sources map[string]string // shared with Config
}

// Limit is one time limit under the name that the operator set it by.
type Limit struct {
	Name   string // the environment variable
	Value  time.Duration
	Factor float64 // Value is the variable's value times this; 0 means 1
}

// String is the limit as replies and logs show it, "GLM_TIMEOUT_SECS=30s" or, where a factor applies,
// "EXPERT_ANALYSIS_TIMEOUT_SECS=60s x 1.5": the variable with its own value.
func (l Limit) String() string {
	if l.Factor == 0 || l.Factor == 1 {
		return l.Name + "=" + seconds(l.Value) + "s"
	}
	own := time.Duration(float64(l.Value) / l.Factor).Round(time.Millisecond)
	return l.Name + "=" + seconds(own) + "s x " + strconv.FormatFloat(l.Factor, 'g', -1, 64)
}

func (l Limit) times(factor float64) Limit {
	return Limit{Name: l.Name, Value: time.Duration(float64(l.Value) * factor).Round(time.Millisecond), Factor: factor}
}

// seconds writes a duration as the variables take it: a plain number of seconds.
func seconds(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// Class says which of the TimeoutConfig's limits governs a whole tool call.
type Class int

// The classes of tool calls.
const (
	ClassSimple   Class = iota // a tool that is no workflow and no file tool
	ClassWorkflow              // a workflow step without an expert call
	ClassExpert                // a workflow step with one, and a consensus
	ClassFile                  // a file tool
)

// maxLimit is the longest time that a variable may give.
const maxLimit = time.Hour

// thinkDeepFactors are what thinkdeep's expert limit is multiplied by, for each effective thinking mode.
var thinkDeepFactors = []struct {
	mode   string
	factor float64
}{
	{"minimal", 0.5},
	{"low", 0.7},
	{"medium", 1},
	{"high", 1.5},
	{"max", 2},
}

func (t TimeoutConfig) simple() Limit {
	return Limit{Name: "SIMPLE_TOOL_TIMEOUT_SECS", Value: t.SimpleTool}
}

func (t TimeoutConfig) workflow() Limit {
	return Limit{Name: "WORKFLOW_TOOL_TIMEOUT_SECS", Value: t.WorkflowTool}
}

func (t TimeoutConfig) expert() Limit {
	return Limit{Name: "EXPERT_ANALYSIS_TIMEOUT_SECS", Value: t.Expert}
}

func (t TimeoutConfig) file() Limit { return Limit{Name: "FILE_TOOL_TIMEOUT_SECS", Value: t.FileTool} }

// For is the limit of a whole call: its class's, ANSWER_WITHIN_SECS or the daemon's, whichever is smallest, under the
// name of the variable that decided.
func (t TimeoutConfig) For(class Class) Limit {
	if t.call != nil {
		return *t.call
	}
	switch class {
	case ClassWorkflow:
		return t.capped(t.workflow())
	case ClassExpert:
		return t.capped(t.expert())
	case ClassFile:
		return t.capped(t.file())
	default:
		return t.capped(t.simple())
	}
}

// ReplaceCallLimits puts one limit in the place of those of all tool calls, for a command that has a limit of its own. The
// limits of requests stay.
func (t *TimeoutConfig) ReplaceCallLimits(l Limit) { t.call = &l }

// ThinkDeep is the limit of a thinkdeep step with an expert call, for the thinking mode that takes effect: the expert
// limit times the mode's factor (1 for an unknown mode), or THINKDEEP_EXPERT_TIMEOUT_SECS where that is set, capped as
// every call's.
func (t TimeoutConfig) ThinkDeep(mode string) Limit {
	if t.call != nil {
		return *t.call
	}
	if t.ThinkDeepExpert > 0 {
		return t.capped(Limit{Name: "THINKDEEP_EXPERT_TIMEOUT_SECS", Value: t.ThinkDeepExpert})
	}
	for _, f := range thinkDeepFactors {
		if f.mode == mode && f.factor != 1 {
			return t.capped(t.expert().times(f.factor))
		}
	}
	return t.capped(t.expert())
}

func (t TimeoutConfig) capped(l Limit) Limit {
	if answer := (Limit{Name: "ANSWER_WITHIN_SECS", Value: t.AnswerWithin}); answer.Value < l.Value {
		l = answer
	}
	if daemon := t.daemon(); daemon.Value < l.Value {
		l = daemon
	}
	return l
}

// longest is the limit that the derived ones come from, with B's share in it: the workflow limit, or the longest other
// class limit (simple, expert, file) divided by 1.5 where that is longer. thinkdeep's own limit and its factors don't
// count: the daemon's limit is what caps them.
func (t TimeoutConfig) longest() (l Limit, share float64) {
	l, share = t.workflow(), 1
	for _, other := range []Limit{t.simple(), t.expert(), t.file()} {
		if float64(other.Value)/1.5 > float64(l.Value)*share {
			l, share = other, 1/1.5
		}
	}
	return l, share
}

func (t TimeoutConfig) daemon() Limit {
	l, share := t.longest()
	return l.times(1.5 * share)
}

// Daemon caps the foreground of any call: 1.5 times B, where B is the workflow limit or, where that is longer, the
// longest other class limit divided by 1.5.
func (t TimeoutConfig) Daemon() time.Duration { return t.daemon().Value }

// Shim is how long a program between client and server should wait for an answer: 2 times B (see Daemon).
func (t TimeoutConfig) Shim() time.Duration {
	l, share := t.longest()
	return l.times(2 * share).Value
}

// Client is how long a client should wait for an answer: 2.5 times B (see Daemon).
func (t TimeoutConfig) Client() time.Duration {
	l, share := t.longest()
	return l.times(2.5 * share).Value
}

// Vendor is the wait for the first event of a request to a vendor, queueing and retries included.
func (t TimeoutConfig) Vendor(name string) Limit {
	if l, ok := t.others[name]; ok {
		return l
	}
	if name == kimiRow.Name {
		return Limit{Name: kimiRow.Variable("TIMEOUT_SECS"), Value: t.Kimi}
	}
	return Limit{Name: glmRow.Variable("TIMEOUT_SECS"), Value: t.GLM}
}

// Search is the limit of one web search at a vendor.
func (t TimeoutConfig) Search(name string) Limit {
	switch l, other := t.others[name]; {
	case other:
		return l
	case name == kimiRow.Name:
		return Limit{Name: "KIMI_WEB_SEARCH_TIMEOUT_SECS", Value: t.KimiSearch}
	}
	return Limit{Name: "GLM_WEBSEARCH_TIMEOUT_SECS", Value: t.GLMSearch}
}

// Upload is the limit of sending one file to a vendor.
func (t TimeoutConfig) Upload(name string) Limit {
	switch l, other := t.others[name]; {
	case other:
		return l
	case name == kimiRow.Name:
		return Limit{Name: "KIMI_FILES_UPLOAD_TIMEOUT_SECS", Value: t.KimiUpload}
	}
	return Limit{Name: "GLM_FILE_UPLOAD_TIMEOUT_SECS", Value: t.GLMUpload}
}

// Fetch is the limit of one request for the text of a file that was uploaded to Kimi.
func (t TimeoutConfig) Fetch() Limit {
	return Limit{Name: "KIMI_FILES_FETCH_TIMEOUT_SECS", Value: t.KimiFetch}
}

// Idle is how long a stream may be silent after its first event.
func (t TimeoutConfig) Idle() Limit {
	return Limit{Name: "STREAM_IDLE_TIMEOUT_SECS", Value: t.StreamIdle}
}

// ConnectLimit bounds dialling and the TLS handshake.
func (t TimeoutConfig) ConnectLimit() Limit {
	return Limit{Name: "CONNECT_TIMEOUT_SECS", Value: t.Connect}
}

// BackgroundLimit bounds an answer that goes on after its call.
func (t TimeoutConfig) BackgroundLimit() Limit {
	return Limit{Name: "BACKGROUND_MAX_SECS", Value: t.Background}
}

// TimeoutRow is one line of the table that status and the start line show.
type TimeoutRow struct {
	Name    string  `json:"name"`
	Seconds float64 `json:"seconds"`
	Source  string  `json:"source"`
}

// Table lists every limit with its source, the derived ones last.
func (t TimeoutConfig) Table() []TimeoutRow {
	var rows []TimeoutRow
	add := func(name string, d time.Duration, source string) {
		rows = append(rows, TimeoutRow{Name: name, Seconds: d.Seconds(), Source: source})
	}
	eachVariable(&t, func(v variable) {
		d := v.field.Interface().(time.Duration)
		if v.name == "THINKDEEP_EXPERT_TIMEOUT_SECS" && d == 0 {
			for _, f := range thinkDeepFactors {
				add("thinkdeep "+f.mode, t.expert().times(f.factor).Value, derivedFrom(t.expert().Name))
			}
			return
		}
		add(v.name, d, sourceOf(t.sources, v.name))
	})
	for _, name := range slices.Sorted(maps.Keys(t.others)) {
		add(t.others[name].Name, t.others[name].Value, sourceOf(t.sources, t.others[name].Name))
	}
	base, _ := t.longest()
	add("daemon", t.Daemon(), derivedFrom(base.Name))
	add("shim", t.Shim(), derivedFrom(base.Name))
	add("client", t.Client(), derivedFrom(base.Name))
	return rows
}

// StartLine is the whole table in one line, for the log at start.
func (t TimeoutConfig) StartLine() string {
	rows := t.Table()
	parts := make([]string, len(rows))
	for i, r := range rows {
		parts[i] = fmt.Sprintf("%s=%ss (%s)", r.Name, strconv.FormatFloat(r.Seconds, 'f', -1, 64), r.Source)
	}
	return "TimeoutConfig: " + strings.Join(parts, ", ")
}

// order holds vendor <= simple <= workflow <= expert (the daemon's limit follows by its making). An outer limit that
// is unset grows; one that is set against the order is an error that names it and the inner limit.
func (t *TimeoutConfig) order() error {
	inner := t.Vendor(glmRow.Name)
	if kimi := t.Vendor(kimiRow.Name); kimi.Value > inner.Value {
		inner = kimi
	}
	for _, outer := range []struct {
		limit Limit
		field *time.Duration
	}{{t.simple(), &t.SimpleTool}, {t.workflow(), &t.WorkflowTool}, {t.expert(), &t.Expert}} {
		name := outer.limit.Name
		if outer.limit.Value >= inner.Value {
			inner = outer.limit
			continue
		}
		if source, set := t.sources[name]; set {
			return &ValueError{
				Name: name, Value: seconds(outer.limit.Value), Source: source,
				Accepts: fmt.Sprintf("at least %s, since %s (%s) must fit in it",
					seconds(inner.Value), inner, sourceOf(t.sources, inner.Name)),
			}
		}
		*outer.field = inner.Value
		t.sources[name] = derivedFrom(inner.Name) // inner stays: it is the cause for what lies further out, too
	}
	return nil
}

// tooLong are the limits of whole calls that were set, or grew, beyond ANSWER_WITHIN_SECS or the daemon's limit, so that they can't be
// reached.
func (t TimeoutConfig) tooLong() (unreached []Limit) {
	thinkDeep := Limit{Name: "THINKDEEP_EXPERT_TIMEOUT_SECS", Value: t.ThinkDeepExpert}
	for _, l := range []Limit{t.simple(), t.workflow(), t.expert(), thinkDeep, t.file()} {
		if _, set := t.sources[l.Name]; set && t.capped(l).Value < l.Value {
			unreached = append(unreached, l)
		}
	}
	return unreached
}

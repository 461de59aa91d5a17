package tool

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/secrets"
	"github.com/exai-mcp/exai-mcp/internal/tools/progress"
	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
	"github.com/exai-mcp/exai-mcp/internal/typo"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// Invocation is one call of a tool as a transport hands it over.
type Invocation struct {
	ID        string // the request's id, for logs
	Tool      string
	Arguments json.RawMessage
	Received  time.Time // when the request was read; the limit counts from here
	Client    string    // the client's name and version, for logs
	// Progress sends one line (under 200 characters) to a client that asked for progress; nil when it did not. It may be
	// called from any goroutine and never after Call has returned.
	Progress func(message string)
	// MayAskRoots says that the client can be asked for its folders, by a reply whose AskRoots is set.
	MayAskRoots bool
	// TakesTask says that the client takes an answer that goes on behind the call as a task (reply.Result.Pending).
	TakesTask bool
}

// Options are what a Dispatcher works with.
type Options struct {
	Config   *config.Config
	Activity *activity.Log // nil records nothing
	Log      *zap.Logger   // nil logs nothing
	// FileExists reports whether a text names a file that may be read. nil: never.
	FileExists func(ctx context.Context, name string) bool
	// NeedsRoots reports whether the client's folders may hold what a call needs and the known ones don't. paths are what it
	// names; where that is nothing, fills says that files of the first root stand in. nil: never.
	NeedsRoots func(ctx context.Context, paths []string, fills bool) bool
}

// Dispatcher is the one entrance to the tools, for the server and the command line alike.
type Dispatcher struct {
	o     Options
	tools map[string]Tool
	names []string
	keys  *activity.Redactor // the vendors' keys, which nobody means to send
}

// NewDispatcher returns the entrance to these tools.
func NewDispatcher(o Options, tools []Tool) *Dispatcher {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	x := &Dispatcher{o: o, tools: map[string]Tool{}, keys: activity.NewRedactor(o.Config.VendorKeys()...)}
	for _, t := range tools {
		x.tools[t.Name] = t
		x.names = append(x.names, t.Name)
	}
	return x
}

// cancelWait is how long a call that the client has cancelled may take to store what had arrived: a server that is told
// to end waits for it.
const cancelWait = 1600 * time.Millisecond

// Call runs a tool within its limit and always returns a reply: a panic, an exceeded limit or bad arguments are error
// results. It returns by the limit's deadline, whatever the tool does.
func (x *Dispatcher) Call(ctx context.Context, inv Invocation) (r *reply.Result) {
	if inv.Received.IsZero() {
		inv.Received = time.Now()
	}
	// A key that somebody pasted would go to a vendor, into the database and back to the client.
	masked := x.keys.JSON(inv.Arguments)
	pasted := !bytes.Equal(masked, inv.Arguments)
	args, note, secret := mask(secrets.Policy(x.o.Config.Files.Secrets), masked)
	inv.Arguments = args
	c := &call{
		Dispatcher: x, inv: inv,
		about: activity.Call{
			ID: uuid.NewString(), RequestID: inv.ID, Tool: inv.Tool, Client: inv.Client, Arguments: inv.Arguments, Started: inv.Received,
		},
	}
	defer func() {
		if fell := recover(); fell != nil { // while reading the arguments or writing the reply
			if c.work == nil {
				c.begin()
			}
			r = c.failed(ctx, bounded.Panic(fell))
			r.Metadata.ToolName, r.Metadata.DurationMS = inv.Tool, time.Since(inv.Received).Milliseconds()
			r.Body.Set("metadata", r.Metadata)
			c.finish(r)
		}
	}()
	t, p, err := x.prepare(ctx, inv)
	if err == nil {
		err = secret
	}
	if err != nil {
		c.begin()
		return c.end(c.failed(ctx, err), nil)
	}
	// A tool that reaches nothing reads none of the user's files: its paths are of another kind.
	if inv.MayAskRoots && x.o.NeedsRoots != nil && t.Annotations.OpenWorld && x.o.NeedsRoots(ctx, p.paths, t.shape().fills()) {
		return &reply.Result{AskRoots: true} // nothing was started, so there is nothing to record
	}
	if pasted {
		p.notes = append(p.notes, "The arguments contained one of this server's API keys. It was masked, and is neither sent nor stored.")
	}
	if note != "" {
		p.notes = append(p.notes, note)
	}
	c.about.ContinuationID, c.about.Limit = p.continuationID, p.limit.Value
	if t.inConversation && p.continuationID == "" {
		c.about.ContinuationID = uuid.NewString()
	}
	c.begin()
	return c.end(c.run(ctx, p), p.notes)
}

// prepare finds the tool and reads its arguments.
func (x *Dispatcher) prepare(ctx context.Context, inv Invocation) (Tool, *prepared, error) {
	t, ok := x.tools[inv.Tool]
	if !ok {
		hint := "See tools/list."
		if near := typo.Nearest(inv.Tool, x.names); len(near) > 0 {
			hint = "Did you mean " + reply.Either(near) + "? " + hint
		} else {
			hint = "The tools are " + strings.Join(slices.Sorted(slices.Values(x.names)), ", ") + "."
		}
		return Tool{}, nil, reply.InvalidRequest(hint, "Unknown tool %q.", reply.Clip(inv.Tool))
	}
	exists := func(name string) bool { return x.o.FileExists != nil && x.o.FileExists(ctx, name) }
	args, preview := t.takePreview(inv.Arguments)
	p, err := t.prepare(args, x.o.Config, exists)
	if preview && err == nil {
		p.run = previewed(p.run)
	}
	return t, p, err
}

// call is one tool call in progress.
type call struct {
	*Dispatcher
	inv   Invocation
	about activity.Call
	work  *activity.Work
	err   error // for the log
}

func (c *call) begin() {
	if c.o.Activity != nil {
		c.work = c.o.Activity.Start(c.about)
	}
}

// run gives the handler its context and waits for it, but not longer than the limit.
func (c *call) run(ctx context.Context, p *prepared) *reply.Result {
	cause := reply.LimitExceeded(p.limit)
	budget := providers.Budget{Limit: p.limit, Class: p.class, Start: c.inv.Received, Tool: c.inv.Tool, ContinuationID: c.about.ContinuationID, Task: c.inv.TakesTask}
	ctx, cancel := context.WithDeadlineCause(ctx, budget.Deadline(), cause)
	defer cancel()
	reporter := progress.Start(c.inv.Progress, c.work.Update, c.about.ContinuationID, c.inv.Tool, c.inv.Received)
	defer reporter.Stop()

	ctx = usage.WithCallBudget(ctx, usage.NewCallBudget(c.o.Config.Costs.PerCallUSD))
	work := progress.With(withCall(providers.WithBudget(ctx, budget), c.about), reporter)
	done := bounded.Go(work, p.run)
	h, ok := bounded.Await(ctx, done)
	if !ok && !errors.Is(context.Cause(ctx), cause) { // the client cancelled: what had arrived may still be stored
		wait, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelWait)
		defer stop()
		h, ok = bounded.Await(wait, done)
	}
	switch {
	case !ok:
		return c.failed(ctx, context.Cause(ctx))
	case h.Err != nil:
		return c.failed(ctx, h.Err)
	case h.Value == nil:
		return c.failed(ctx, errors.New("the tool returned neither a result nor an error"))
	}
	return h.Value
}

// failed renders an error and keeps it for the log.
func (c *call) failed(ctx context.Context, err error) *reply.Result {
	e := *reply.FromError(ctx, err)
	if e.Limit != nil && e.Elapsed == 0 {
		e.Elapsed = time.Since(c.inv.Received)
	}
	c.err = &e
	return e.Result()
}

// end completes the metadata and fits the reply to the client.
func (c *call) end(r *reply.Result, notes []string) *reply.Result {
	r.Metadata.Notes = slices.Concat(notes, r.Metadata.Notes)
	c.finish(c.Render(c.inv.Tool, time.Since(c.inv.Received), r))
	return r
}

// Render completes the metadata of a tool's reply and fits it to the client.
func (x *Dispatcher) Render(tool string, took time.Duration, r *reply.Result) *reply.Result {
	r.Metadata.ToolName, r.Metadata.DurationMS = tool, took.Milliseconds()
	if x.o.Config.Tools.ReplyStyle == config.ReplyCompact {
		r.Compact(x.tools[tool].inConversation)
	}
	fit(r, x.o.Config.Files.MaxOutputTokens)
	return r
}

// finish records what the call came to.
func (c *call) finish(r *reply.Result) {
	m := &r.Metadata
	end := activity.End{Provider: m.ProviderUsed, Model: m.ModelUsed, Attempts: m.Attempts, Fallback: m.Fallback}
	end.Status, _ = r.Body.Get("status").(string)
	if m.Usage != nil {
		end.Usage = *m.Usage
	}
	var e *reply.Error
	if errors.As(c.err, &e) {
		end.ErrorCode = string(e.Code)
		if end.Provider, end.Model = e.Provider, e.Model; e.Provider == "" {
			end.Limit = e.Limit // limits of model calls are reported by the call engine
		}
		c.logFailure(e)
	}
	c.work.Finish(end)
}

// logFailure is the one place where a failed call is logged, with its cause.
func (c *call) logFailure(e *reply.Error) {
	fields := []zap.Field{
		zap.String("tool", c.inv.Tool), zap.String("request_id", c.inv.ID),
		zap.String("code", string(e.Code)), zap.Float64("elapsed_secs", time.Since(c.inv.Received).Seconds()), zap.Error(e),
	}
	if e.Limit != nil {
		fields = append(fields, zap.String("limit", e.Limit.String()))
	}
	switch e.Code {
	case reply.CodeInternal:
		c.o.Log.Error("tool failed", fields...)
	case reply.CodeInvalidRequest, reply.CodeCancelled:
		c.o.Log.Info("tool call refused", fields...)
	default:
		c.o.Log.Warn("tool failed", fields...)
	}
}

type callKey struct{}

func withCall(ctx context.Context, c activity.Call) context.Context {
	return context.WithValue(ctx, callKey{}, c)
}

// CallFrom returns the tool call that a handler works on, the zero Call outside of one.
func CallFrom(ctx context.Context) activity.Call {
	c, _ := ctx.Value(callKey{}).(activity.Call)
	return c
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/review"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

// How long a review may take where --timeout does not say.
const (
	reviewWithin     = 5 * time.Minute
	stopHookWithin   = 50 * time.Second // half of the limit that the hook's entry sets
	gitHookWithin    = 2 * time.Minute
	maxReviewTimeout = time.Hour
	maxReviewCost    = 1_000_000 // USD, as in MAX_COST_PER_CALL_USD

	answerSlack = 250 * time.Millisecond
)

// reviewOptions are the flags of review.
type reviewOptions struct {
	staged       bool
	base, commit string
	files        []string

	hook    string
	failOn  string
	format  string
	output  string
	model   string
	maxCost float64
	timeout time.Duration
	dryRun  bool
	asJSON  bool

	on   review.FailOn
	gate review.Hook // "" without --hook
}

func (a *app) reviewCommand() *cobra.Command {
	var o reviewOptions
	cmd := &cobra.Command{
		Use:   "review [FILE...]",
		Short: "Review uncommitted changes, a branch, a commit or files",
		Long: `Reviews changes before they are committed or merged, and ends with a verdict. Without a flag it reviews what is
uncommitted, untracked files included; if nothing is, HEAD against its merge base with its upstream, else with origin/HEAD,
origin/main, origin/master, main or master. With FILE it reviews those files whole.

Exit codes: 0 pass; 1 changes are required; 2 inconclusive (an answer that can't be used, a file that was not read, the
time is over); 3 the review could not run (no key, no answer from a vendor, budget, not a repository, wrong arguments).
--fail-on is the lowest severity that counts; with ",inconclusive", an inconclusive review exits 1.

With --hook it is the hook of a coding agent (claude-stop, codex-stop) or of git (pre-commit, pre-push): it reads what the
hook is given, blocks only if changes are required, and never because a review could not run. "exai-mcp install --hook"
sets up the agents' hooks. It reads no .env of the working directory.`,
		Example: `  exai-mcp review
  exai-mcp review --staged
  exai-mcp review --base origin/main --format sarif --output review.sarif
  exai-mcp review --commit HEAD~1 --fail-on high`,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.files = args
			return a.review(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.staged, "staged", false, "review what is staged alone")
	f.StringVar(&o.base, "base", "", "review HEAD against its merge base with this branch, tag or commit")
	f.StringVar(&o.commit, "commit", "", "review this commit against its parent")
	f.StringVar(&o.hook, "hook", "", "act as a hook: claude-stop, codex-stop, pre-commit or pre-push")
	f.StringVar(&o.failOn, "fail-on", "medium", "lowest severity that counts: critical, high, medium or low; \",inconclusive\" may follow")
	f.StringVar(&o.format, "format", "text", "output format: "+strings.Join(review.Formats(), ", "))
	f.BoolVar(&o.asJSON, "json", false, "the same as --format json")
	f.StringVar(&o.output, "output", "", "write the report to this file, and text to stdout")
	f.StringVar(&o.model, "model", "", "the model that reviews")
	f.Float64Var(&o.maxCost, "max-cost", 0, "most that the review may cost, in US dollars; 0 for no limit")
	f.DurationVar(&o.timeout, "timeout", 0, "most time that the review may take (default 5m; agents' hooks 50s, git's 2m)")
	f.BoolVar(&o.dryRun, "dry-run", false, "send nothing; print what would be sent and what it may cost")
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return exitError{review.ExitFailed, flagError(cmd, err)}
	})
	return cmd
}

// check reads the flags that have a form of their own.
func (o *reviewOptions) check() (err error) {
	if o.on, err = review.ParseFailOn(o.failOn); err != nil {
		return fmt.Errorf("--fail-on %w", err)
	}
	if o.asJSON {
		if o.format != "text" && o.format != "json" {
			return fmt.Errorf("give --json or --format %s, not both", o.format)
		}
		o.format = "json"
	}
	if !slices.Contains(review.Formats(), o.format) {
		return fmt.Errorf("--format %q: expected one of %s", o.format, strings.Join(review.Formats(), ", "))
	}
	if o.hook != "" {
		if o.gate, err = review.ParseHook(o.hook); err != nil {
			return fmt.Errorf("--hook: %w", err)
		}
	}
	named := 0
	for _, is := range []bool{o.staged, o.base != "", o.commit != "", len(o.files) > 0 && o.gate == ""} {
		if is {
			named++
		}
	}
	switch {
	case named > 1:
		return errors.New("give one of --staged, --base, --commit and files")
	case named > 0 && o.gate != "":
		return errors.New("--hook says itself what is reviewed; leave out --staged, --base and --commit")
	case len(o.files) > 0 && o.gate.OfAgent():
		return fmt.Errorf("--hook %s takes no files", o.gate)
	case o.gate != "" && (o.format != "text" || o.output != "" || o.dryRun):
		return errors.New("--hook has a format of its own; leave out --format, --output and --dry-run")
	case o.timeout < 0 || o.timeout > maxReviewTimeout:
		return fmt.Errorf("--timeout %s: expected a duration up to %s, such as 90s", o.timeout, maxReviewTimeout)
	case !(o.maxCost >= 0 && o.maxCost <= maxReviewCost): // not a number is neither
		return fmt.Errorf("--max-cost %g: expected an amount from 0 to %d", o.maxCost, maxReviewCost)
	case o.dryRun && (o.output != "" || o.format != "text" && o.format != "json"):
		return errors.New("--dry-run makes no report; leave out --output, and any --format but text and json")
	case o.gate == "" && slices.Contains(o.files, ""):
		return errors.New("the name of a FILE is empty; \".\" is the whole folder")
	}
	if o.timeout == 0 {
		switch {
		case o.gate.OfAgent():
			o.timeout = stopHookWithin
		case o.gate != "":
			o.timeout = gitHookWithin
		default:
			o.timeout = reviewWithin
		}
	}
	return nil
}

func (a *app) review(ctx context.Context, o reviewOptions) error {
	a.fullCode = review.ExitFailed
	if err := o.check(); err != nil {
		return exitError{review.ExitFailed, err}
	}
	start := time.Now()
	// The call keeps to the same limit, and needs a moment after it to be answered.
	ctx, cancel := context.WithDeadlineCause(ctx, start.Add(o.timeout+answerSlack), errReviewTime)
	defer cancel()
	if o.gate != "" {
		return a.reviewHook(ctx, o, start)
	}
	err := a.reviewOnce(ctx, o, start)
	var code exitError
	if err == nil || errors.As(err, &code) {
		return err
	}
	if errors.Is(err, errReviewTime) {
		return exitError{o.on.ExitCode(review.Inconclusive), fmt.Errorf("inconclusive: the review exceeded --timeout %s", o.timeout)}
	}
	return exitError{review.ExitFailed, fmt.Errorf("not reviewed: %w", err)}
}

// errReviewTime ends a review's context.
var errReviewTime = errors.New("the review exceeded --timeout")

// reviewOnce makes one review and prints it.
func (a *app) reviewOnce(ctx context.Context, o reviewOptions, start time.Time) error {
	dir, err := os.Getwd()
	if err != nil {
		return fmt.Errorf("find the working directory: %w", err)
	}
	r, err := a.newReviewer(o, dir, start)
	if err != nil {
		return err
	}
	defer r.close()
	t, err := r.target(ctx)
	if err != nil {
		return err
	}
	if o.dryRun {
		return a.previewReview(ctx, r, t)
	}
	report, err := r.run(ctx, t)
	var failed *review.Failure
	if errors.As(err, &failed) {
		code := failed.ExitCode(o.on)
		word := "not reviewed"
		if code != review.ExitFailed {
			word = "inconclusive"
		}
		return exitError{code, fmt.Errorf("%s: %w", word, failed)}
	}
	if err != nil {
		return err
	}
	code := o.on.ExitCode(report.Verdict)
	if err := a.printReport(report, o, code); err != nil {
		return err
	}
	if code != exitOK {
		return exitError{code: code}
	}
	return nil
}

// reviewer runs reviews of one work tree.
type reviewer struct {
	*program
	o       reviewOptions
	dir     string // where review was started
	top     string // the work tree's top folder, or dir outside of one
	inGit   bool
	start   time.Time
	waiting func(message string) // shows what the review does now
	done    func()               // ends that
}

// newReviewer puts the program together for a review in a folder. The whole work tree around the folder may be read.
func (a *app) newReviewer(o reviewOptions, dir string, start time.Time) (*reviewer, error) {
	a.judgesProject = true
	var more []string
	if o.maxCost > 0 {
		more = append(more, "MAX_COST_PER_CALL_USD="+strconv.FormatFloat(o.maxCost, 'f', -1, 64))
	}
	cfg, err := a.loadWith(more)
	if err != nil {
		return nil, err
	}
	cfg.Timeouts.ReplaceCallLimits(config.Limit{Name: review.TimeoutFlag, Value: o.timeout})
	cfg.Files.MaxOutputTokens = math.MaxInt32 // every finding whole
	cfg.Tools.ReplyStyle = config.ReplyFull
	a.limitLogsToWarnings(cfg)
	top, inside, err := workTreeTop(dir)
	if err != nil {
		return nil, err
	}
	a.readable = top
	p, err := a.assembleCommand(cfg)
	if err != nil {
		return nil, err
	}
	p.files.Narrow(workspace.Scope{})
	status := a.newStatus(false)
	p.database.prewarm()
	return &reviewer{program: p, o: o, dir: dir, top: top, inGit: inside, start: start, waiting: status.show, done: status.clear}, nil
}

func (r *reviewer) close() {
	r.done()
	r.program.close(time.Now().Add(goneWithin))
}

// target is what one review compares with what.
type target struct {
	tool     string
	args     map[string]any
	compared string // for people
	nothing  bool   // there is no difference
	state    string // names what is reviewed, for hooks
}

// run reviews a target, and judges it by --fail-on.
func (r *reviewer) run(ctx context.Context, t target) (*review.Report, error) {
	if t.nothing {
		return review.Nothing(t.compared), nil
	}
	if r.o.model != "" {
		t.args["model"] = r.o.model
	}
	arguments, err := json.Marshal(t.args)
	if err != nil {
		return nil, err
	}
	reply, err := r.finished(ctx, r.start.Add(r.o.timeout), func() tool.Invocation {
		return tool.Invocation{
			ID: "review", Tool: t.tool, Arguments: arguments, Received: r.start, Client: "exai-mcp review", Progress: r.waiting,
		}
	})
	r.done()
	if err != nil {
		return nil, err
	}
	object, err := reply.JSON()
	if err != nil {
		return nil, err
	}
	report, err := review.Read(object, r.files.HostPath(r.top))
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			return nil, cause
		}
		return nil, r.ownCost(err)
	}
	report.Compared = t.compared
	report.Judge(r.o.on)
	return report, nil
}

// ownCost names --max-cost where its limit ended the review: the call knows it by the name of a server's setting.
func (r *reviewer) ownCost(err error) error {
	var f *review.Failure
	if r.o.maxCost > 0 && errors.As(err, &f) && f.Code == "budget" {
		name := strings.NewReplacer("MAX_COST_PER_CALL_USD in the server's environment", "--max-cost", "MAX_COST_PER_CALL_USD", "--max-cost")
		f.Message, f.Hint = name.Replace(f.Message), name.Replace(f.Hint)
	}
	return err
}

// printReport prints a report in its format, or writes it to a file and prints it as text.
func (a *app) printReport(r *review.Report, o reviewOptions, code int) error {
	text, err := a.reportIn(r, o, code)
	if err != nil {
		return err
	}
	forServices := o.format == "sarif" || o.format == "gitlab"
	if forServices && !r.Judged() { // a report without findings would close those of earlier reviews
		fmt.Fprintf(a.errw, "exai-mcp: no %s report is written for a review without a judgement\n", o.format)
		text = nil
	}
	if o.output == "" {
		return a.write(string(text))
	}
	if text != nil {
		if err := os.WriteFile(o.output, text, 0o644); err != nil { //nolint:gosec // a report that other programs read
			return exitError{review.ExitFailed, fmt.Errorf("write the report: %w", err)}
		}
	}
	return a.write(r.Text(a.reportStyle()))
}

// reportIn is the report in the format that is asked for.
func (a *app) reportIn(r *review.Report, o reviewOptions, code int) ([]byte, error) {
	switch o.format {
	case "json":
		return r.JSON(code)
	case "sarif":
		return r.SARIF(thisBuild().version)
	case "github":
		return []byte(r.GitHub()), nil
	case "gitlab":
		return r.GitLab()
	}
	if o.output != "" {
		return []byte(r.Text(review.Style{})), nil
	}
	return []byte(r.Text(a.reportStyle())), nil
}

// previewReview prints what a review would send.
func (a *app) previewReview(ctx context.Context, r *reviewer, t target) error {
	if t.nothing {
		return a.write(review.Nothing(t.compared).Text(a.reportStyle()))
	}
	t.args["preview"] = true
	if r.o.model != "" {
		t.args["model"] = r.o.model
	}
	arguments, err := json.Marshal(t.args)
	if err != nil {
		return err
	}
	reply := r.dispatch.Call(ctx, tool.Invocation{ID: "review", Tool: t.tool, Arguments: arguments, Received: r.start, Client: "exai-mcp review"})
	r.done()
	if reply.IsError {
		object, err := reply.JSON()
		if err == nil {
			_, err = review.Read(object, "")
		}
		return err
	}
	if r.o.format == "json" {
		return a.printReply(reply)
	}
	if err := a.printf("Compared: %s\n", t.compared); err != nil {
		return err
	}
	return a.printPreview(reply)
}

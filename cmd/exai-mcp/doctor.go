package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

func (a *app) doctorCommand() *cobra.Command {
	var offline, live, asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check the setup and print how to fix problems",
		Long: `Checks the setup and prints how to fix problems: the settings, each vendor's key (one cheap request, the list of models),
the state folder, the database, the log folder, the roots whose files may be read, git, and models that are about to
retire. --offline makes no request to a vendor; --live also sends each vendor a short question and a search, and prints
their cost.

Exit code 1 if any check fails, or if a key could not be checked (without --offline).`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), offline, live, asJSON) },
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "make no request to a vendor")
	cmd.Flags().BoolVar(&live, "live", false, "send each vendor a short question and a search (costs a little)")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	cmd.MarkFlagsMutuallyExclusive("offline", "live")
	return cmd
}

// report is what doctor finds, printed line by line, or as JSON at the end.
type report struct {
	a       *app
	json    bool
	head    string
	area    string             // the section
	secrets *activity.Redactor // an address may hold a password
	failed  int
	checks  []checkResult

	unchecked map[string]bool // vendors whose key is set and was not checked
}

// checkResult is one thing that doctor looked at.
type checkResult struct {
	Section string `json:"section"`
	State   string `json:"state"` // ok, note or fail
	Text    string `json:"text"`
	Remedy  string `json:"remedy,omitempty"`
}

func (r *report) section(title string) {
	r.area = title
	if !r.json {
		fmt.Fprintf(r.a.out, "\n%s\n", r.a.paint("bold", title))
	}
}

func (r *report) ok(format string, args ...any) { r.line("ok", "", format, args...) }

// note is worth knowing, and no problem.
func (r *report) note(format string, args ...any) { r.line("note", "", format, args...) }

// fail is a problem, and how to fix it.
func (r *report) fail(todo, format string, args ...any) {
	r.failed++
	r.line("fail", todo, format, args...)
}

// marks are what the states of checks look like, and the meaning that colours them.
var marks = map[string][2]string{"ok": {"ok", "pass"}, "note": {"note", "medium"}, "fail": {"FAIL", "high"}}

func (r *report) line(state, todo, format string, args ...any) {
	found := strings.ReplaceAll(fmt.Sprintf(format, args...), "\n", "; ") // a driver's error may have several lines
	found = r.secrets.String(found)
	r.checks = append(r.checks, checkResult{r.area, state, found, todo})
	if r.json {
		return
	}
	const indent = "          "
	mark := fmt.Sprintf("%-4s", marks[state][0])
	fmt.Fprintf(r.a.out, "  %s    %s", r.a.paint(marks[state][1], mark), r.a.hangingIndent(found, indent))
	if todo != "" {
		fmt.Fprintf(r.a.out, "%s-> %s", indent, r.a.hangingIndent(todo, indent+"   "))
	}
}

func (a *app) doctor(ctx context.Context, offline, live, asJSON bool) error {
	b := thisBuild()
	r := &report{
		a: a, json: asJSON, unchecked: map[string]bool{},
		head: fmt.Sprintf("exai-mcp %s, %s, %s/%s", b.version, runtime.Version(), runtime.GOOS, runtime.GOARCH),
	}
	if !asJSON {
		fmt.Fprintln(a.out, r.head)
	}
	cfg, err := a.load()
	if err != nil {
		r.section("Settings")
		r.fail("correct it where it is set, then run doctor again", "%v", err)
		return r.end(offline, false)
	}
	r.secrets = activity.NewRedactor(cfg.Secrets()...)
	p, err := a.assemble(cfg, io.Discard) // what would be logged is reported
	if err != nil {
		r.section("Settings")
		r.fail("correct it where it is set, then run doctor again", "%v", err)
		return r.end(offline, false)
	}
	defer p.close(time.Now().Add(time.Second))
	checkSettings(r, p)
	working := checkKeys(ctx, r, p, offline)
	switch {
	case live:
		checkLive(ctx, r, p, working)
	case !offline && len(working) > 0:
		r.note("only --live checks that a model answers, that the account has credit and that a coding plan's key is used at the plan's address")
	}
	checkFolders(ctx, r, p)
	checkModels(r, p)
	return r.end(offline, true)
}

// end prints the number of problems, or all as JSON. It fails if there are any, or if a key could not be checked. whole
// reports whether everything was looked at.
func (r *report) end(offline, whole bool) error {
	switch {
	case r.json:
		text, err := indented(json.Marshal(map[string]any{
			"program": r.head, "checks": r.checks, "problems": r.failed, "keys_not_checked": len(r.unchecked),
		}))
		if err := r.a.printJSON(text, err); err != nil {
			return err
		}
	case whole:
		found := "No problems found"
		if r.failed > 0 {
			found = counted(r.failed, "problem", "problems") + " found"
		}
		fmt.Fprintf(r.a.out, "\n%s; %s not checked.\n", found, counted(len(r.unchecked), "key", "keys"))
	}
	if r.failed > 0 || len(r.unchecked) > 0 && !offline {
		return failure{}
	}
	return nil
}

func checkSettings(r *report, p *program) {
	cfg := p.cfg
	r.section("Settings")
	if cfg.Server.EnvFile != "" {
		r.ok("read from the environment and %s", cfg.Server.EnvFile)
	} else {
		r.ok("read from the environment; there is no settings file")
	}
	if cfg.Source("ENV_FILE") == "working directory" {
		r.note("%s belongs to this folder: only its keys and their base URLs are used, and only here. Move them to %s to use them everywhere.",
			cfg.Server.EnvFile, cfg.SettingsFile())
	}
	for _, e := range cfg.Examples {
		r.note("%s (%s) still contains the example text, which counts as unset: put your key in its place", e.Name, e.Source)
	}
	t := cfg.Timeouts
	r.ok("a call is answered within %s; give your client at least %s", longestLimit(t), t.Client())
	for _, w := range p.warnings {
		r.note("%s", w)
	}
}

// longestLimit is the longest that any call may take.
func longestLimit(t config.TimeoutConfig) time.Duration {
	longest := t.ThinkDeep("max").Value
	for _, class := range []config.Class{config.ClassSimple, config.ClassWorkflow, config.ClassExpert, config.ClassFile} {
		longest = max(longest, t.For(class).Value)
	}
	return longest
}

// checkKeys requests each vendor's list of models, which costs nothing and checks the key. It returns the vendors that
// are worth further requests.
func checkKeys(ctx context.Context, r *report, p *program, offline bool) (working []providers.Provider) {
	r.section("Keys")
	usable := 0
	var pages []string
	for _, v := range p.cfg.Vendors() {
		key, title := v.Row.Variable("API_KEY"), v.Row.Title
		pages = append(pages, keyPage(v))
		provider, err := p.registry.Provider(v.Row.Name)
		if err != nil {
			r.note("%s", sentenceOf(err))
			continue
		}
		usable++
		from := p.cfg.Source(key)
		if v.APIKey == "" {
			working = append(working, r.checkKeyless(ctx, p, v, provider, offline)...)
			continue
		}
		r.unchecked[v.Row.Name] = true
		if offline {
			r.ok("%s: a key is set (%s); not checked", title, from)
			continue
		}
		start := time.Now()
		models, err := p.caller.ListModels(ctx, v.Row.Name)
		took := time.Since(start).Round(time.Millisecond)
		switch kind := kindOf(err); {
		case kind == providers.KindAuth || kind == providers.KindBalance:
			delete(r.unchecked, v.Row.Name)
			r.fail(hintOf(err), "%s: the key (%s) does not work at %s: %s", title, from, v.APIURL, sentenceOf(err))
			continue
		case err != nil: // which says nothing about the key
			r.fail("check "+v.Row.Variable("API_URL")+", the network, HTTPS_PROXY and the clock; if they are right, run doctor again later",
				"%s at %s did not answer as it should: %s", title, v.APIURL, sentenceOf(err))
			continue
		case len(models) == 0:
			r.note("%s at %s has no list of models (%s), so the key was not checked: check %s, or use --live",
				title, v.APIURL, took, v.Row.Variable("API_URL"))
		default:
			delete(r.unchecked, v.Row.Name)
			r.ok("%s takes the key (%s) and lists %s (%s)", title, from, counted(len(models), "model", "models"), took)
			r.endpointModels(p, v)
		}
		working = append(working, provider)
	}
	r.otherKeys(p.cfg)
	switch {
	case usable > 0:
	case len(p.cfg.VendorKeys()) > 0:
		r.fail("change ALLOWED_PROVIDERS or DISABLED_PROVIDERS, or set the other vendor's key", "no vendor can be asked: models answer not_configured")
	default:
		r.fail("set "+strings.Join(pages, " or ")+" in "+p.cfg.SettingsFile()+", or in the client's settings",
			"no vendor can be asked: models answer not_configured")
	}
	return working
}

// kindOf, sentenceOf and hintOf are the parts of an error that are reported.
func kindOf(err error) providers.Kind {
	var e *providers.Error
	if errors.As(err, &e) {
		return e.Kind
	}
	return ""
}

func sentenceOf(err error) string {
	var e *providers.Error
	if errors.As(err, &e) {
		return e.Message
	}
	return err.Error()
}

func hintOf(err error) string {
	var e *providers.Error
	if errors.As(err, &e) {
		return e.Hint
	}
	return ""
}

func checkFolders(ctx context.Context, r *report, p *program) {
	r.section("Folders and database")
	state := p.cfg.Conversations.StateDir
	usable := state == "" || checkWritable(r, "state folder", state, "set EXAI_STATE_DIR to a folder that you may write to; until then conversations end with the server")
	checked := ""
	for _, log := range []struct{ path, variable string }{
		{p.cfg.Logs.ToolCallPath, "EX_TOOLCALL_LOG_PATH"}, {p.cfg.Logs.ActivityPath, "EX_ACTIVITY_LOG_PATH"},
	} {
		dir := filepath.Dir(log.path)
		if log.path == "" || dir == checked || !usable && dir == filepath.Join(state, "logs") {
			continue
		}
		checked = dir
		checkWritable(r, "log folder", dir, "set "+log.variable+" to a file in a folder that you may write to")
	}
	if usable || state == "" || p.cfg.Conversations.Backend != "sqlite" { // else it can't be opened, for the same reason
		checkDatabase(ctx, r, p)
	}
	checkRoots(ctx, r, p)
	checkSecrets(r, p.cfg.Files.Secrets)
	checkGit(ctx, r, p.files.Git())
}

// checkSecrets says what becomes of secrets in what is sent.
func checkSecrets(r *report, policy string) {
	switch policy {
	case "send":
		r.note("secrets in the text of calls and files are sent as they are (SECRETS_IN_CONTEXT=send)")
	case "refuse":
		r.ok("a call that would send a known form of secret is refused (SECRETS_IN_CONTEXT=refuse)")
	default:
		r.ok("known forms of secrets are masked in all text that is sent; images and binary documents can't be checked")
	}
}

func checkDatabase(ctx context.Context, r *report, p *program) {
	start := time.Now()
	opened, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	s, err := p.database.get(opened)
	switch {
	case err != nil:
		r.fail("until it opens, nothing is remembered from one call to the next", "database: %v", err)
	case s.Temporary() != "":
		r.fail("until then, conversations and issues end with each process", "database: %s", s.Temporary())
	default:
		r.ok("database %s at %s (%s)", s.Backend(), s.Location(), time.Since(start).Round(time.Millisecond))
		for _, warning := range s.Warnings() {
			r.note("database: %s", warning)
		}
	}
}

func checkRoots(ctx context.Context, r *report, p *program) {
	roots := p.files.Roots(ctx)
	for _, root := range roots {
		switch {
		case root.Problem == "":
			r.ok("files below %s may be read (%s)", root.Path, root.Source)
		case root.Source == workspace.SourceProjectDir: // set by Claude Code, so that nothing is there to correct
			r.note("%s, where Claude Code was started, may not be read: %s", root.Path, root.Problem)
		default:
			r.fail("correct "+root.Source+", or make the folder", "root %s (%s): %s", root.Path, root.Source, root.Problem)
		}
	}
	if len(roots) == 0 {
		r.note("no folder may be read unless the client names one: set EXAI_ALLOWED_ROOTS, or start inside a project")
	}
}

// checkWritable makes the folder as the server would, and a file in it. It reports whether that worked.
func checkWritable(r *report, what, dir, todo string) bool {
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(dir, ".doctor-*"); err == nil {
			f.Close()
			err = os.Remove(f.Name())
		}
	}
	if err != nil {
		r.fail(todo, "%s: %v", what, err)
		return false
	}
	r.ok("%s %s", what, dir)
	return true
}

func checkGit(ctx context.Context, r *report, path string) {
	if path == "" {
		r.note("git was not found, in PATH or in the usual places: precommit needs it, and folders expand without ignore rules")
		return
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		r.note("git at %s does not run: %v", path, err)
		return
	}
	r.ok("%s at %s", strings.TrimSpace(string(out)), path)
}

package main

import (
	"context"
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

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func (a *app) doctorCommand() *cobra.Command {
	var offline, live bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Check keys, folders, database and settings, and say what to do",
		Long: `Checks what exai-mcp needs and says what to do about what it finds: the settings, each vendor's key (one cheap request,
the list of models), the state folder, the database, the log folder, the roots whose files may be read, git, and models
that are about to retire. --offline leaves the vendors out; --live also asks each vendor a short question, and GLM for a search,
and tells what that cost.

Exit code 1 when something must be mended.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.doctor(cmd.Context(), offline, live) },
	}
	cmd.Flags().BoolVar(&offline, "offline", false, "make no request to a vendor")
	cmd.Flags().BoolVar(&live, "live", false, "ask each vendor a short question, and GLM for a search (costs a little)")
	cmd.MarkFlagsMutuallyExclusive("offline", "live")
	return cmd
}

// report is what doctor prints, line by line as it finds out.
type report struct {
	w      io.Writer
	failed int
}

func (r *report) section(title string) { fmt.Fprintf(r.w, "\n%s\n", title) }

func (r *report) ok(format string, args ...any) { r.line("ok", format, args...) }

// note is something to know that keeps nothing from working.
func (r *report) note(format string, args ...any) { r.line("note", format, args...) }

// fail is something to mend, and how.
func (r *report) fail(todo, format string, args ...any) {
	r.failed++
	r.line("FAIL", format, args...)
	if todo != "" {
		fmt.Fprintf(r.w, "          -> %s\n", todo)
	}
}

func (r *report) line(mark, format string, args ...any) {
	fmt.Fprintf(r.w, "  %-4s    %s\n", mark, fmt.Sprintf(format, args...))
}

func (a *app) doctor(ctx context.Context, offline, live bool) error {
	b := thisBuild()
	fmt.Fprintf(a.out, "exai-mcp %s, %s, %s/%s\n", b.version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	r := &report{w: a.out}
	cfg, err := a.load()
	if err != nil {
		r.section("Settings")
		r.fail("correct it where it is set, then run doctor again", "%v", err)
		return failure{}
	}
	p, err := a.assemble(cfg, io.Discard) // what would be logged is reported
	if err != nil {
		r.section("Settings")
		r.fail("correct it where it is set, then run doctor again", "%v", err)
		return failure{}
	}
	defer p.close(time.Now().Add(time.Second))
	checkSettings(r, p)
	checkKeys(ctx, r, p, offline)
	if live {
		checkLive(ctx, r, p)
	}
	checkFolders(ctx, r, p)
	checkModels(r, p)
	if r.failed > 0 {
		fmt.Fprintf(a.out, "\n%d to mend.\n", r.failed)
		return failure{}
	}
	fmt.Fprintln(a.out, "\nNothing to mend.")
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

// checkKeys asks each vendor for its models, which costs nothing and tells whether the key is taken.
func checkKeys(ctx context.Context, r *report, p *program, offline bool) {
	r.section("Keys")
	working := 0
	for _, v := range []struct{ name, variable, title string }{
		{"glm", "GLM_API_KEY", "GLM (Z.ai)"}, {"kimi", "KIMI_API_KEY", "Kimi (Moonshot)"},
	} {
		if _, err := p.registry.Provider(v.name); err != nil {
			r.note("%s: %s", v.title, sentenceOf(err))
			continue
		}
		working++
		if offline {
			r.ok("%s: a key is set (%s); not tried", v.title, p.cfg.Source(v.variable))
			continue
		}
		start := time.Now()
		models, err := p.caller.ListModels(ctx, v.name)
		switch took := time.Since(start).Round(time.Millisecond); {
		case err != nil:
			r.fail(hintOf(err), "%s: the key (%s) does not work: %s", v.title, p.cfg.Source(v.variable), sentenceOf(err))
		case len(models) == 0:
			r.ok("%s answers (%s), but lists no models", v.title, took)
		default:
			r.ok("%s takes the key (%s) and lists %d models (%s)", v.title, p.cfg.Source(v.variable), len(models), took)
		}
	}
	if working == 0 {
		r.fail("set GLM_API_KEY (https://z.ai/manage-apikey/apikey-list) or KIMI_API_KEY (https://platform.moonshot.ai/console/api-keys)",
			"no vendor can be asked: models answer not_configured")
	}
}

// sentenceOf and hintOf are an error's parts for people.
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
	if dir := p.cfg.Conversations.StateDir; dir != "" {
		checkWritable(r, "state folder", dir, "set EXAI_STATE_DIR to a folder that you may write to")
	}
	for _, log := range []struct{ what, path, variable string }{
		{"tool-call log", p.cfg.Logs.ToolCallPath, "EX_TOOLCALL_LOG_PATH"},
		{"activity log", p.cfg.Logs.ActivityPath, "EX_ACTIVITY_LOG_PATH"},
	} {
		if log.path != "" {
			checkWritable(r, log.what+" folder", filepath.Dir(log.path), "set "+log.variable+" to a file in a folder that you may write to")
		}
	}
	start := time.Now()
	opened, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if s, err := p.database.get(opened); err != nil {
		r.fail("without it nothing is remembered from one call to the next", "database: %v", err)
	} else {
		r.ok("database %s at %s (%s)", s.Backend(), s.Location(), time.Since(start).Round(time.Millisecond))
	}
	roots := p.files.Roots(ctx)
	for _, root := range roots {
		if root.Problem != "" {
			r.fail("correct "+root.Source+", or make the folder", "root %s (%s): %s", root.Path, root.Source, root.Problem)
		} else {
			r.ok("files below %s may be read (%s)", root.Path, root.Source)
		}
	}
	if len(roots) == 0 {
		r.note("no folder may be read unless the client names one: set EXAI_ALLOWED_ROOTS, or start inside a project")
	}
	checkGit(ctx, r)
}

// checkWritable makes the folder as the server would, and a file in it.
func checkWritable(r *report, what, dir, todo string) {
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
		return
	}
	r.ok("%s %s", what, dir)
}

func checkGit(ctx context.Context, r *report) {
	path, err := exec.LookPath("git")
	if err != nil {
		r.note("git is not in PATH: precommit needs it, and folders expand without ignore rules")
		return
	}
	out, err := exec.CommandContext(ctx, path, "--version").Output()
	if err != nil {
		r.note("git at %s does not run: %v", path, err)
		return
	}
	r.ok("%s at %s", strings.TrimSpace(string(out)), path)
}

func checkModels(r *report, p *program) {
	r.section("Models")
	r.ok("%d models may be asked", len(p.registry.Models()))
	for _, m := range p.registry.Catalog().Retiring() {
		if _, err := p.registry.Provider(m.Provider); err != nil {
			continue
		}
		if m.Replacement != "" {
			r.note("%s retires on %s; %s takes its place", m.ID, m.RetiresOn, m.Replacement)
		} else {
			r.note("%s retires on %s", m.ID, m.RetiresOn)
		}
	}
}

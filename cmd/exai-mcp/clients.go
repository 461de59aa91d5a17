package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/clients"
	"github.com/exai-mcp/exai-mcp/internal/config"
)

// clientOptions say which entry is wanted.
type clientOptions struct {
	name    string
	scope   string
	patient bool
}

// patientLimits are the settings of --patient: an expert gets four minutes instead of one.
var patientLimits = []string{"EXPERT_ANALYSIS_TIMEOUT_SECS=240", "ANSWER_WITHIN_SECS=240"}

// ownFile is the settings file that advice names.
const ownFile = "~/.config/exai-mcp/.env"

// clientSetup finds the client and what its entry says. Errors are those of the arguments and the settings.
func (a *app) clientSetup(o clientOptions) (c clients.Client, s clients.Setup, err error) {
	if c, err = clients.Find(o.name); err != nil {
		return c, s, fmt.Errorf("--client: %w", err)
	}
	scope := clients.Scope(o.scope)
	if _, err := c.Files(a.machine(), scope); err != nil {
		return c, s, fmt.Errorf("--scope: %w", err)
	}
	if o.patient && !c.Timed() {
		return c, s, fmt.Errorf("--patient: %s has no setting for its limit per tool call", c.Title)
	}
	if o.patient {
		s.Patient = patientLimits
	}
	cfg, err := a.loadWith(s.Patient)
	if err != nil {
		return c, s, err
	}
	if s.Command, err = os.Executable(); err != nil {
		return c, s, failure{err}
	}
	s.Timeout = cfg.Timeouts.Client()
	s.Compact = true
	if cfg.Source("ENV_FILE") != "working directory" { // a project's file would count in full if --env-file named it
		s.EnvFile = cfg.Server.EnvFile
	}
	if c.NeedsRoot(scope) {
		s.Root = a.project()
	}
	s.Inputs = scope == clients.Project
	fillVariables(&s, cfg)
	return c, s, nil
}

// fillVariables finds the variables that the entry refers to: those that the environment sets, by the name that is set,
// and, where no key is set at all, the names of all keys.
func fillVariables(s *clients.Setup, cfg *config.Config) {
	inFile := false
	var all []string
	for _, v := range cfg.VendorVariables() {
		s.Passed = append(append(s.Passed, v.Key...), v.URL...)
		all = append(all, v.Key[0])
		if name := fromEnvironment(cfg, v.Key[0]); name != "" {
			s.Keys = append(s.Keys, name)
		}
		if name := fromEnvironment(cfg, v.URL[0]); name != "" {
			s.Addresses = append(s.Addresses, name)
		}
		inFile = inFile || s.EnvFile != "" && strings.HasPrefix(cfg.Source(v.Key[0]), "file ")
	}
	if fromEnvironment(cfg, "ENDPOINTS") != "" { // without it, the keys and addresses of endpoints mean nothing
		s.Passed = append(s.Passed, "ENDPOINTS")
		for _, v := range cfg.Vendors() {
			for _, setting := range []string{"MODEL", "SPEED_MODEL"} {
				if name := fromEnvironment(cfg, v.Row.Variable(setting)); v.Row.IsEndpoint() && name != "" {
					s.Passed = append(s.Passed, name)
				}
			}
		}
	}
	s.Passed = append(s.Passed, config.ConnectionVariables()...)
	if len(s.Keys) == 0 && !inFile {
		s.Keys = all
	}
}

// fromEnvironment returns the name under which the environment sets a variable, or "".
func fromEnvironment(cfg *config.Config, name string) string {
	source, ok := strings.CutPrefix(cfg.Source(name), "environment")
	if !ok {
		return ""
	}
	if alias, ok := strings.CutPrefix(source, ", as "); ok {
		return alias
	}
	return name
}

// machine is where clients' files are looked for.
func (a *app) machine() clients.Machine {
	dir, err := os.Getwd()
	if err != nil {
		dir = "." // deleted; no file is there
	}
	return clients.Machine{OS: runtime.GOOS, Home: a.home(), Dir: dir, Getenv: a.getenv}
}

// project is the working directory, or "" if that is the home folder or a file system's root.
func (a *app) project() string {
	dir, err := os.Getwd()
	if err != nil || dir == a.home() || dir == filepath.Dir(dir) {
		return ""
	}
	return dir
}

// showClient prints a client's entry, and on stderr what to do with it.
func (a *app) showClient(o clientOptions) error {
	c, s, err := a.clientSetup(o)
	if err != nil {
		return err
	}
	text, err := c.Entry(s)
	if err != nil {
		return failure{err}
	}
	if err := a.printf("%s\n", text); err != nil {
		return err
	}
	run := "exai-mcp install --client " + c.Name
	if clients.Scope(o.scope) != clients.User {
		run += " --scope " + o.scope
	}
	if o.patient {
		run += " --patient"
	}
	fmt.Fprintf(a.errw, "Add this to %s, or run: %s\n", c.Where, run)
	for _, note := range clientNotes(c, s, clients.Scope(o.scope)) {
		fmt.Fprintln(a.errw, note)
	}
	return nil
}

// clientNotes say where the keys come from, and what the entry can't say.
func clientNotes(c clients.Client, s clients.Setup, scope clients.Scope) []string {
	notes := []string{keyNote(c, s, scope)}
	if !c.Timed() {
		notes = append(notes, c.Title+" has no setting for its limit per tool call; answers come within ANSWER_WITHIN_SECS.")
	}
	if c.NeedsRoot(scope) && s.Root == "" {
		notes = append(notes, "No folder is allowed yet: run this in your project's folder, or set EXAI_ALLOWED_ROOTS.")
	}
	if strings.ContainsAny(strings.TrimPrefix(s.Root, filepath.VolumeName(s.Root)), ",;:") {
		notes = append(notes, "The project's path contains a separator of EXAI_ALLOWED_ROOTS: use the folder above it instead.")
	}
	if builtByGoRun(s.Command) {
		notes = append(notes, "\"go run\" deletes its program: install it first (go install ./cmd/exai-mcp).")
	}
	return notes
}

func keyNote(c clients.Client, s clients.Setup, scope clients.Scope) string {
	switch {
	case s.EnvFile != "" && len(s.Keys) == 0:
		return "The keys stay in " + s.EnvFile + "."
	case c.Name == "vscode" && scope == clients.Project:
		return "VS Code asks for the keys when it first starts the server, and keeps them."
	case c.Name == "claude-desktop" || c.Name == "windsurf" || c.Name == "zed" || c.Name == "cline":
		return fmt.Sprintf("%s may not see your shell's environment: put the keys into %s.", c.Title, ownFile)
	}
	return fmt.Sprintf("The keys come from the environment in which %s is started; or put them into %s.", c.Title, ownFile)
}

// builtByGoRun reports whether a program is one that "go run" built: in a folder of go build, or in its cache.
func builtByGoRun(program string) bool {
	if strings.HasSuffix(strings.TrimSuffix(program, ".exe"), ".test") {
		return false
	}
	return slices.ContainsFunc(strings.Split(filepath.ToSlash(program), "/"), func(folder string) bool {
		return strings.TrimRight(folder, "0123456789") == "go-build"
	})
}

package config

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/caarlos0/env/v11"
)

// Options is everything outside the program that a configuration is made from.
type Options struct {
	Environ []string // as os.Environ gives it
	Dir     string   // the working directory, absolute
	EnvFile string   // the value of --env-file, "" without one
	// NoProjectFile leaves .env of the working directory unread, for commands that judge a project.
	NoProjectFile bool
	// Vendors are those beside GLM and Kimi.
	Vendors []VendorRow

	goos string // runtime.GOOS, unless a test says otherwise
}

// ValueError is a setting that stops the start. Its text is one line: variable, value, where it was set, what is accepted.
type ValueError struct {
	Name    string
	Value   string // as it was set; "(hidden)" for a secret
	Source  string
	Accepts string
}

// Error is the one line for stderr.
func (e *ValueError) Error() string {
	value := []rune(e.Value)
	if len(value) > 80 {
		value = append(value[:80], []rune("...")...)
	}
	return fmt.Sprintf("%s=%q (%s): accepted: %s", e.Name, string(value), e.Source, e.Accepts)
}

// setting is a variable as it was found: under which of its names, with which text, in which source.
type setting struct {
	name, raw string
	from      string
}

func (s setting) isSet() bool { return s.raw != "" }

// loader turns sources into a Config.
type loader struct {
	at       place
	others   []VendorRow // the vendors beside GLM and Kimi
	environ  map[string]string
	sources  []source // the environment first: it wins
	defaults map[string]string
	found    map[string]setting
	fileFrom string // who named the env file, or where it was found; "" if there is none
	warnings []string
	examples []Example
}

// inProject is where an env file was found that may be somebody else's.
const inProject = "working directory"

// Load reads the configuration: the environment, then one file (see openEnvFile), over Default. It changes nothing
// outside. Its errors are what the operator must fix, each in one line without secrets.
func Load(o Options) (*Config, error) {
	l := newLoader(o)
	file, err := l.openEnvFile(o.EnvFile, o.NoProjectFile)
	if err != nil {
		return nil, err
	}
	if err := l.addEndpoints(); err != nil {
		return nil, err
	}
	c := defaultWith(l.others)
	eachVariable(c, func(v variable) { l.defaults[v.name] = v.text() })
	plain, err := l.collect()
	if err != nil {
		return nil, err
	}
	if err := env.ParseWithOptions(c, env.Options{Environment: plain}); err != nil {
		return nil, fmt.Errorf("decode settings: %w", err)
	}
	for _, o := range c.Others {
		if err := env.ParseWithOptions(o, env.Options{Environment: plain, Prefix: o.Row.Variable("")}); err != nil {
			return nil, fmt.Errorf("decode settings of %s: %w", o.Row.Title, err)
		}
	}
	l.settleEndpoints(c)
	c.otherKeys = l.unusedKeys()
	c.Timeouts.others = c.otherLimits()
	c.Server.EnvFile, c.settingsFile = file, l.settingsFile(file)
	c.sources = map[string]string{}
	if l.fileFrom != "" {
		c.sources["ENV_FILE"] = l.fileFrom
	}
	c.Timeouts.sources = c.sources
	for name, set := range l.found {
		c.sources[name] = set.from
		if set.name != name {
			c.sources[name] += ", as " + set.name
		}
	}
	if err := l.finish(c); err != nil {
		return nil, err
	}
	c.Files.OwnKeys = c.ownKeys()
	l.warnAll(c)
	c.Warnings, c.Examples = l.warnings, l.examples
	return c, nil
}

// settingsFile is the file in which the user sets what the environment lacks, for messages: the one that was read, unless it is
// the project's, or else the first place where one is looked for. The home folder is written as ~.
func (l *loader) settingsFile(read string) string {
	file := l.ownFile()
	if read != "" && l.fileFrom != inProject {
		file = read
	}
	if rest, ok := strings.CutPrefix(file, l.at.home+string(filepath.Separator)); ok && l.at.home != "" && l.at.goos != "windows" {
		file = filepath.Join("~", rest)
	}
	return file
}

// SettingsFile returns the file in which the user sets what the environment lacks.
func (c *Config) SettingsFile() string { return c.settingsFile }

func newLoader(o Options) *loader {
	l := &loader{defaults: map[string]string{}, found: map[string]setting{}, others: o.Vendors}
	l.at = place{dir: o.Dir, goos: o.goos}
	for _, row := range l.others {
		l.at.vendors = append(l.at.vendors, row.Name)
	}
	if l.at.goos == "" {
		l.at.goos = runtime.GOOS
	}
	l.environ = environment(o.Environ, l.at.goos)
	l.at.home = l.environ["HOME"]
	if l.at.goos == "windows" {
		l.at.home = l.environ["USERPROFILE"]
	}
	if !filepath.IsAbs(l.at.home) { // "${HOME}" that a client left as it is would be a folder of the project
		l.at.home = ""
	}
	l.sources = []source{{label: "environment", values: l.environ}}
	l.examples = l.exampleKeys(l.sources[0])
	return l
}

// collect finds every variable and returns the plain forms for the env library.
func (l *loader) collect() (map[string]string, error) {
	plain := map[string]string{}
	var first error
	eachSpec(l.others, func(s spec) {
		if first != nil || s.env {
			return
		}
		set, value, err := l.find(s)
		if err != nil {
			first = err
		} else if set.isSet() {
			plain[s.name], l.found[s.name] = value, set
		}
	})
	return plain, first
}

// find looks a variable up in the sources, the environment first, and returns it with its plain form. What counts as
// unset is passed over, and so is a base URL that does not stand where its key stands.
func (l *loader) find(s spec) (setting, string, error) {
	key := l.found[s.key]
	var stray setting
	for _, from := range l.sources {
		set := from.first(s)
		if !set.isSet() {
			continue
		}
		if key.isSet() && set.from != key.from {
			stray = set
			continue
		}
		plain, ok := s.rule.norm(set.raw, l.at)
		if !ok {
			return set, "", l.refuse(s, set)
		}
		if plain == "" || s.rule.limit && plain == l.plainDefault(s) {
			continue
		}
		l.warnStray(s, stray, key, plain)
		return set, plain, nil
	}
	l.warnStray(s, stray, key, l.defaults[s.name])
	return setting{}, "", nil
}

func (l *loader) plainDefault(s spec) string {
	plain, _ := s.rule.norm(l.defaults[s.name], l.at)
	return plain
}

// warnStray reports a base URL from elsewhere than its key, unless the one in use is the same.
func (l *loader) warnStray(s spec, stray, key setting, used string) {
	if plain, _ := s.rule.norm(stray.raw, l.at); stray.isSet() && plain != used {
		l.warn("%s from the %s is not used: a base URL counts only from where its key is set, and %s comes from the %s. Set both in one place.",
			stray.name, stray.from, key.name, key.from)
	}
}

func (l *loader) warn(format string, args ...any) {
	l.warnings = append(l.warnings, fmt.Sprintf(format, args...))
}

// refuse is the error for a value that its rule does not accept.
func (l *loader) refuse(s spec, set setting) error {
	value := l.shown(set.raw)
	if s.key != "" { // a base URL
		value = maskAddress(value)
	}
	if s.rule.secret {
		value = "(hidden)"
	}
	return &ValueError{Name: set.name, Value: value, Source: set.from, Accepts: s.rule.accepts}
}

// shown is a value without what may be a secret on the wrong line: an address, keyword=value pairs, or a key.
func (l *loader) shown(value string) string {
	switch found := credential().FindStringIndex(value); {
	case filepath.IsAbs(value) && !strings.HasPrefix(value, "//"): // whose @ and = are those of names
	case strings.Contains(value, "@"), strings.Contains(value, "://"):
		value = maskAddress(value)
	case found != nil:
		value = value[:found[1]] + mask
	}
	eachSpec(l.others, func(s spec) {
		if raw := l.found[s.name].raw; s.vendorKey && len(raw) > 6 {
			value = strings.ReplaceAll(value, raw, mask)
		}
	})
	return value
}

// finish fills in what depends on several settings or on the machine, and checks what they must agree on.
func (l *loader) finish(c *Config) error {
	if err := c.Timeouts.order(); err != nil {
		return err
	}
	if !c.KimiFiles.Parallel && c.KimiFiles.MaxParallel > 1 {
		c.KimiFiles.MaxParallel = 1
		c.sources["KIMI_FILES_MAX_PARALLEL"] = derivedFrom("KIMI_FILES_PARALLEL_UPLOADS")
	}
	if err := l.checkStore(c); err != nil {
		return err
	}
	if set := l.found["DATABASE_URL"]; set.isSet() && c.Conversations.Backend != "postgres" {
		l.warn("%s (%s) is not used: CONVERSATION_STORAGE_BACKEND is %s. Set it to postgres to use that database.",
			set.name, set.from, c.Conversations.Backend)
	}
	if f := c.Models.File; f != "" {
		if info, err := os.Stat(f); err != nil || !info.Mode().IsRegular() {
			set := l.found["MODELS_FILE"]
			return &ValueError{Name: set.name, Value: l.shown(set.raw), Source: set.from, Accepts: regularFile}
		}
	}
	if c.Conversations.StateDir == "" {
		return nil
	}
	if c.Logs.ActivityPath == "" {
		c.Logs.ActivityPath = filepath.Join(c.Conversations.StateDir, "logs", "activity.jsonl")
		c.sources["EX_ACTIVITY_LOG_PATH"] = derivedFrom("EXAI_STATE_DIR")
	}
	if c.Logs.ToolCallPath == "" {
		c.Logs.ToolCallPath = filepath.Join(c.Conversations.StateDir, "logs", "toolcalls.jsonl")
		c.sources["EX_TOOLCALL_LOG_PATH"] = derivedFrom("EXAI_STATE_DIR")
	}
	return nil
}

// checkStore makes sure that the chosen backend has what it needs.
func (l *loader) checkStore(c *Config) error {
	if c.Conversations.StateDir == "" {
		c.Conversations.StateDir = stateDir(l.environ, l.at)
	}
	switch c.Conversations.Backend {
	case "sqlite":
		if c.Conversations.StateDir == "" { // the store is in memory then
			l.warn("EXAI_STATE_DIR is not set, and there is no home directory for the database and the logs: conversations end with the process. Set EXAI_STATE_DIR to a folder.")
		}
	case "postgres":
		set, url := l.found["CONVERSATION_STORAGE_BACKEND"], l.found["DATABASE_URL"]
		if !url.isSet() {
			accepts := "this only with DATABASE_URL=" + dsnAccepts
			if hint := l.supabaseHint(); hint != "" {
				accepts += ". " + hint
			}
			return &ValueError{Name: set.name, Value: set.raw, Source: set.from, Accepts: accepts}
		}
		if !validDSN(url.raw) {
			return &ValueError{Name: url.name, Value: "(hidden)", Source: url.from, Accepts: dsnAccepts}
		}
	}
	return nil
}

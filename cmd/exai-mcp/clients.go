package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// client is an MCP client that we know how to set up.
type client struct {
	name, title string
	where       string              // the file that the snippet belongs into
	key         func(string) string // writes a reference to a variable of the client's environment; nil: none in env
	typed       bool                // an entry says that it is stdio
	timed       bool                // it can be told how long to wait for a call
	snippet     func(c client, s setup) (string, error)
}

// clients are what we can set up, with the form and the place of their settings, and the form of their references to variables, as
// their documents have them: Claude Desktop (no references), Claude Code (mcpServers, timeout, ${NAME:-}), Cursor
// (mcp.json, ${env:NAME}), VS Code (servers, inputs that it asks for and keeps), Codex (TOML, env_vars, tool_timeout_sec),
// Gemini CLI (settings.json, timeout, $NAME).
func clients() []client {
	return []client{
		{
			name: "claude-desktop", title: "Claude Desktop", where: "claude_desktop_config.json (Settings, Developer, Edit Config)",
			key: placeholder, snippet: inMCPServers,
		},
		{
			name: "claude-code", title: "Claude Code", where: ".mcp.json in the project",
			key: func(name string) string { return "${" + name + ":-}" }, typed: true, timed: true, snippet: inMCPServers,
		},
		{
			name: "cursor", title: "Cursor", where: ".cursor/mcp.json in the project, or ~/.cursor/mcp.json",
			key: func(name string) string { return "${env:" + name + "}" }, typed: true, snippet: inMCPServers,
		},
		{
			name: "vscode", title: "VS Code", where: ".vscode/mcp.json in the project",
			key: func(name string) string { return "${input:" + inputID(name) + "}" }, typed: true, snippet: inVSCode,
		},
		{
			name: "codex", title: "Codex", where: "~/.codex/config.toml, or .codex/config.toml in a project that Codex trusts",
			timed: true, snippet: inCodex,
		},
		{
			name: "gemini", title: "Gemini CLI", where: ".gemini/settings.json in the project, or ~/.gemini/settings.json",
			key: func(name string) string { return "$" + name }, timed: true, snippet: inMCPServers,
		},
	}
}

func clientNames() []string {
	var names []string
	for _, c := range clients() {
		names = append(names, c.name)
	}
	return names
}

// placeholder marks a key's place. It counts as unset.
func placeholder(name string) string { return "your_" + strings.ToLower(name) + "_here" }

func inputID(name string) string { return strings.ReplaceAll(strings.ToLower(name), "_", "-") }

// keyNames are the variables that a client hands over where no settings file holds them.
var keyNames = [...]string{"GLM_API_KEY", "KIMI_API_KEY"}

// setup is what a client must know to start this server.
type setup struct {
	command string
	envFile string   // the settings file in force, "" when there is none
	keys    []string // the variables of keys that the client must hand over, since the file does not hold them
	project string
	timeout time.Duration // for one tool call
}

// serverName is what clients call the server.
const serverName = "exai"

// showClient prints what a client's settings need, and on stderr what to do with it.
func (a *app) showClient(name string) error {
	all := clients()
	i := slices.IndexFunc(all, func(c client) bool { return c.name == name })
	if i < 0 {
		return fmt.Errorf("--client %s: accepted are %s", name, strings.Join(clientNames(), ", "))
	}
	cfg, err := a.load()
	if err != nil {
		return err
	}
	s, err := a.setup(cfg)
	if err != nil {
		return failure{err}
	}
	c := all[i]
	text, err := c.snippet(c, s)
	if err != nil {
		return failure{err}
	}
	fmt.Fprintln(a.out, text)
	fmt.Fprintf(a.errw, "This belongs into %s; where that has servers already, add %q to them.\n%s\n", c.where, serverName, c.aboutKeys(s))
	if !c.timed {
		fmt.Fprintf(a.errw, "%s has no time limit of its own to set; answers come within ANSWER_WITHIN_SECS.\n", c.title)
	}
	if s.project == noProject {
		fmt.Fprintf(a.errw, "Put your project's folder in place of %s, or ask again inside the project.\n", noProject)
	}
	if strings.ContainsAny(strings.TrimPrefix(s.project, filepath.VolumeName(s.project)), ",;:") {
		fmt.Fprintln(a.errw, "The project's path holds a character that divides paths in EXAI_ALLOWED_ROOTS: name the folder above it there.")
	}
	if strings.Contains(s.command, "go-build") {
		fmt.Fprintln(a.errw, "The command is one of \"go run\", which goes away: install the program first (go install ./cmd/exai-mcp).")
	}
	return nil
}

// noProject stands for the project's folder where the working directory is none.
const noProject = "/path/to/your/project"

// setup names the program and the project, which is the working directory unless that is the home folder or a file
// system's root.
func (a *app) setup(cfg *config.Config) (setup, error) {
	exe, err := os.Executable()
	if err != nil {
		return setup{}, err
	}
	project, err := os.Getwd()
	if err != nil || project == a.home() || project == filepath.Dir(project) {
		project = noProject
	}
	s := setup{command: exe, envFile: cfg.Server.EnvFile, project: project, timeout: cfg.Timeouts.Client()}
	foreign := cfg.Source("ENV_FILE") == "working directory"
	if foreign { // named in --env-file it would count whole
		s.envFile = ""
	}
	keyed := false
	for _, name := range keyNames {
		switch source := cfg.Source(name); {
		case strings.HasPrefix(source, "file "):
			keyed = !foreign
		case strings.HasPrefix(source, "environment"):
			s.keys = append(s.keys, name)
		}
	}
	if !keyed { // whichever comes to be set
		s.keys = keyNames[:]
	}
	return s, nil
}

// aboutKeys says where the keys come from when the client starts the server so.
func (c client) aboutKeys(s setup) string {
	switch {
	case len(s.keys) == 0:
		return "The keys stay in " + s.envFile + "."
	case c.name == "claude-desktop":
		return "Put your keys in the marked places; or in ~/.config/exai-mcp/.env, and ask again."
	case c.name == "vscode":
		return "VS Code asks for the keys when it starts the server for the first time, and keeps them."
	}
	return fmt.Sprintf("The keys are taken from the environment that %s is started in; or put them in ~/.config/exai-mcp/.env, and ask again.", c.title)
}

// entry is how a client starts the server.
type entry struct {
	Type    string            `json:"type,omitempty"`
	Command string            `json:"command"`
	Args    []string          `json:"args,omitempty"`
	Env     map[string]string `json:"env"`
	Timeout int64             `json:"timeout,omitempty"` // milliseconds for one tool call
}

func (c client) entry(s setup) entry {
	e := entry{Command: s.command, Env: map[string]string{"EXAI_ALLOWED_ROOTS": s.project}}
	if c.typed {
		e.Type = "stdio"
	}
	if c.timed {
		e.Timeout = s.timeout.Milliseconds()
	}
	if s.envFile != "" {
		e.Args = []string{"--env-file", s.envFile}
	}
	if c.key != nil {
		for _, name := range s.keys {
			e.Env[name] = c.key(name)
		}
	}
	return e
}

func inMCPServers(c client, s setup) (string, error) {
	return indentJSON(map[string]map[string]entry{"mcpServers": {serverName: c.entry(s)}})
}

func inVSCode(c client, s setup) (string, error) {
	type input struct {
		Type        string `json:"type"`
		ID          string `json:"id"`
		Description string `json:"description"`
		Password    bool   `json:"password"`
	}
	file := struct {
		Inputs  []input          `json:"inputs,omitempty"`
		Servers map[string]entry `json:"servers"`
	}{Servers: map[string]entry{serverName: c.entry(s)}}
	for _, name := range s.keys {
		file.Inputs = append(file.Inputs, input{"promptString", inputID(name), name + ", empty if you have none", true})
	}
	return indentJSON(file)
}

func inCodex(c client, s setup) (string, error) {
	e := c.entry(s)
	var b strings.Builder
	fmt.Fprintf(&b, "[mcp_servers.%s]\ncommand = %s\n", serverName, tomlString(e.Command))
	if len(e.Args) > 0 {
		fmt.Fprintf(&b, "args = %s\n", tomlStrings(e.Args))
	}
	if len(s.keys) > 0 { // variables that Codex hands over from its own environment
		fmt.Fprintf(&b, "env_vars = %s\n", tomlStrings(s.keys))
	}
	fmt.Fprintf(&b, "tool_timeout_sec = %v\n\n[mcp_servers.%s.env]\n", s.timeout.Seconds(), serverName)
	fmt.Fprintf(&b, "EXAI_ALLOWED_ROOTS = %s", tomlString(s.project))
	return b.String(), nil
}

func tomlStrings(list []string) string {
	var quoted []string
	for _, s := range list {
		quoted = append(quoted, tomlString(s))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// tomlString quotes a text as TOML does, which is JSON's way for every text that is no binary.
func tomlString(s string) string {
	quoted, err := indentJSON(s)
	if err != nil {
		return `""` // a string always encodes
	}
	return quoted
}

func indentJSON(v any) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return "", err
	}
	return strings.TrimRight(b.String(), "\n"), nil
}

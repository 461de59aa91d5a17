// Package clients knows how MCP clients are configured: where each keeps its list of servers, in which form, how it refers
// to environment variables and how long it can be told to wait. It prints the entry for this server, and edits that entry
// alone in a client's own file.
package clients

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ServerName is the name of this server's entry in every client.
const ServerName = "exai"

// Scope is for whom a client's configuration counts.
type Scope string

// The scopes that install offers. A client may have more of its own.
const (
	User    Scope = "user"    // one person, in all projects
	Project Scope = "project" // one project folder, for everyone who works on it
)

// Machine is where configuration files are looked for.
type Machine struct {
	OS     string              // as runtime.GOOS has it
	Home   string              // the home folder
	Dir    string              // the project's folder, absolute
	Getenv func(string) string // the environment of the person who installs
}

// Client is one MCP client.
type Client struct {
	Name  string // on the command line
	Title string // as its maker writes it
	Where string // the configuration files, for people

	path  []string                // keys that lead to the entry; the last is ServerName
	toml  bool                    // the file is TOML; otherwise JSON, with comments allowed
	files func(Machine) []string  // user scope: the files to edit; nil if add is set
	repo  func(Machine) string    // project scope: the file to edit; nil if there is none
	add   func(string) []string   // user scope: the client's own command that adds an entry, given as JSON
	drop  []string                // user scope: the client's own command that removes it; nil if there is none
	state func(Machine) string    // where the client's own command keeps the entry; nil if unknown
	shape func(Client, Setup) any // writes the entry
	kind  string                  // value of the entry's "type"
	refs  reference               // how the entry refers to variables
	limit limitKey                // the client's limit for one tool call; zero if it has no such setting
	// roaming reports that the client neither starts servers in the project's folder nor sends its roots, so that an entry
	// for all projects has to name folders.
	roaming bool
	hooks   *hookFiles // where its hooks are; nil if --hook is not offered
}

// limitKey is the name and unit of a client's limit for one tool call.
type limitKey struct {
	key   string
	milli bool // milliseconds; otherwise seconds
	whole bool // accepts no fraction
}

// Timed reports whether the client can be told how long to wait for a tool call.
func (c Client) Timed() bool { return c.limit.key != "" }

// NeedsRoot reports whether an entry of this scope has to name the folder whose files may be read: a project's entry names
// that project; the user's only if the client neither starts servers in the project's folder nor sends its roots.
func (c Client) NeedsRoot(scope Scope) bool { return scope == Project || c.roaming }

// ListsVariables reports whether the client passes only the variables that its configuration names.
func (c Client) ListsVariables() bool { return c.refs == byName }

// RefersToKeys reports whether the entry refers to the keys of the environment that the client runs in.
func (c Client) RefersToKeys() bool { return c.refs != noReference }

// HasProject reports whether the client has configuration files in projects.
func (c Client) HasProject() bool { return c.repo != nil }

// All returns the clients in alphabetical order of their names.
//
// Paths, forms and limits are those that the clients document, or that runs of Claude Code 2.1, Codex 0.171, Gemini CLI
// 0.61, qwen-code 0.24, Copilot CLI 1.0, opencode 1.18 and Cline CLI 3.0 showed.
func All() []Client {
	return slices.SortedFunc(slices.Values(slices.Concat(terminalAgents(), editors())), func(a, b Client) int {
		return strings.Compare(a.Name, b.Name)
	})
}

var (
	millis  = limitKey{key: "timeout", milli: true, whole: true}
	seconds = limitKey{key: "timeout", whole: true}
)

func terminalAgents() []Client {
	return []Client{
		{
			Name: "claude-code", Title: "Claude Code", Where: "the user's configuration (claude mcp add-json), or .mcp.json in the project",
			path: servers("mcpServers"), repo: inProject(".mcp.json"),
			add: func(entry string) []string {
				return []string{"claude", "mcp", "add-json", ServerName, "-s", "user", entry}
			},
			drop:  []string{"claude", "mcp", "remove", ServerName, "-s", "user"},
			state: claudeState,
			shape: standard, kind: "stdio", limit: millis, hooks: claudeHooks,
		},
		{
			Name: "codex", Title: "Codex", Where: "~/.codex/config.toml, or .codex/config.toml in a trusted project",
			path: servers("mcp_servers"), toml: true, files: inFolder("CODEX_HOME", ".codex", "config.toml"), repo: inProject(".codex/config.toml"),
			shape: codexEntry, refs: byName, limit: limitKey{key: "tool_timeout_sec"}, hooks: codexHooks,
		},
		{
			Name: "copilot", Title: "Copilot CLI", Where: "~/.copilot/mcp-config.json, or .github/mcp.json in the project",
			path: servers("mcpServers"), files: inFolder("COPILOT_HOME", ".copilot", "mcp-config.json"), repo: inProject(".github/mcp.json"),
			shape: copilotEntry, kind: "local", limit: millis,
		},
		{
			Name: "gemini", Title: "Gemini CLI", Where: "~/.gemini/settings.json, or .gemini/settings.json in the project",
			path: servers("mcpServers"), files: inHome(".gemini/settings.json"), repo: inProject(".gemini/settings.json"),
			shape: standard, refs: dollar, limit: millis,
		},
		{
			Name: "kimi-code", Title: "Kimi Code", Where: "~/.kimi-code/mcp.json, or .kimi-code/mcp.json in the project",
			path: servers("mcpServers"), files: inFolder("KIMI_CODE_HOME", ".kimi-code", "mcp.json"), repo: inProject(".kimi-code/mcp.json"),
			shape: standard, limit: limitKey{key: "toolTimeoutMs", milli: true, whole: true},
		},
		{
			Name: "opencode", Title: "opencode", Where: "opencode.json or opencode.jsonc in ~/.config/opencode or in the project",
			path: servers("mcp"), files: func(m Machine) []string { return []string{opencodeFile(m.config("opencode"))} },
			repo:  func(m Machine) string { return opencodeFile(m.Dir) },
			shape: opencodeEntry, kind: "local", limit: millis,
		},
		{
			Name: "qwen-code", Title: "Qwen Code", Where: "~/.qwen/settings.json, or .qwen/settings.json in the project",
			path: servers("mcpServers"), files: inHome(".qwen/settings.json"), repo: inProject(".qwen/settings.json"),
			shape: standard, limit: millis,
		},
	}
}

func editors() []Client {
	return []Client{
		{
			Name: "claude-desktop", Title: "Claude Desktop", Where: "claude_desktop_config.json (Settings, Developer, Edit Config)",
			path: servers("mcpServers"), files: desktopFiles, shape: standard, roaming: true,
		},
		{
			// Its extension for VS Code has a file of its own.
			Name: "cline", Title: "Cline", Where: "cline_mcp_settings.json in ~/.cline/data/settings",
			path: servers("mcpServers"), files: clineFiles, shape: standard, limit: seconds, roaming: true,
		},
		{
			Name: "cursor", Title: "Cursor", Where: "~/.cursor/mcp.json, or .cursor/mcp.json in the project",
			path: servers("mcpServers"), files: inHome(".cursor/mcp.json"), repo: inProject(".cursor/mcp.json"),
			shape: standard, kind: "stdio", refs: envBraces,
		},
		{
			// The user's file differs by profile, so only its own command finds it.
			Name: "vscode", Title: "VS Code", Where: "the user's mcp.json (code --add-mcp), or .vscode/mcp.json in the project",
			path: servers("servers"), repo: inProject(".vscode/mcp.json"),
			add:   func(entry string) []string { return []string{"code", "--add-mcp", entry} },
			shape: standard, kind: "stdio", refs: envBraces,
		},
		{
			Name: "windsurf", Title: "Windsurf", Where: "~/.codeium/windsurf/mcp_config.json",
			path: servers("mcpServers"), files: windsurfFiles, shape: standard, refs: envBraces, roaming: true,
		},
		{
			Name: "zed", Title: "Zed", Where: "~/.config/zed/settings.json, or .zed/settings.json in the project",
			path: servers("context_servers"), files: zedFiles, repo: inProject(".zed/settings.json"),
			shape: standard, limit: seconds,
		},
	}
}

func servers(key string) []string { return []string{key, ServerName} }

// Names returns the clients' names.
func Names() []string {
	var names []string
	for _, c := range All() {
		names = append(names, c.Name)
	}
	return names
}

// Find returns the client with this name, or an error that lists the names.
func Find(name string) (Client, error) {
	for _, c := range All() {
		if c.Name == name {
			return c, nil
		}
	}
	return Client{}, fmt.Errorf("unknown client %q; expected one of %s", name, strings.Join(Names(), ", "))
}

// Files returns the files to edit in a scope. It fails if the client has none there.
func (c Client) Files(m Machine, scope Scope) ([]string, error) {
	switch {
	case scope == User && c.files != nil:
		return c.files(m), nil
	case scope == User:
		return nil, nil
	case scope == Project && c.repo != nil:
		return []string{c.repo(m)}, nil
	case scope == Project:
		return nil, fmt.Errorf("%s has no configuration file in projects; use --scope user", c.Title)
	}
	return nil, fmt.Errorf("unknown scope %q; expected user or project", scope)
}

func inHome(path string) func(Machine) []string {
	return func(m Machine) []string { return []string{filepath.Join(m.Home, filepath.FromSlash(path))} }
}

func inProject(path string) func(Machine) string {
	return func(m Machine) string { return filepath.Join(m.Dir, filepath.FromSlash(path)) }
}

// inFolder is a file in the folder that a variable names, or else in one of the home folder.
func inFolder(variable, folder, file string) func(Machine) []string {
	return func(m Machine) []string {
		if dir := m.Getenv(variable); dir != "" {
			return []string{filepath.Join(dir, file)}
		}
		return []string{filepath.Join(m.Home, folder, file)}
	}
}

// config is a program's folder in $XDG_CONFIG_HOME or ~/.config.
func (m Machine) config(program string) string {
	if dir := m.Getenv("XDG_CONFIG_HOME"); dir != "" && filepath.IsAbs(dir) {
		return filepath.Join(dir, program)
	}
	return filepath.Join(m.Home, ".config", program)
}

// applications is where desktop programs keep their settings.
func (m Machine) applications() string {
	switch m.OS {
	case "darwin":
		return filepath.Join(m.Home, "Library", "Application Support")
	case "windows":
		if dir := m.Getenv("APPDATA"); dir != "" {
			return dir
		}
		return filepath.Join(m.Home, "AppData", "Roaming")
	}
	return m.config("")
}

// desktopFiles are two on Windows if Claude Desktop was installed from the Store: that build reads a folder of its own
// (anthropics/claude-code issue 26073).
func desktopFiles(m Machine) []string {
	const file = "claude_desktop_config.json"
	files := []string{filepath.Join(m.applications(), "Claude", file)}
	if m.OS == "windows" {
		store := filepath.Join(m.Getenv("LOCALAPPDATA"), "Packages", "Claude_pzs8sxrjxfjjc", "LocalCache", "Roaming", "Claude")
		if isFolder(store) {
			files = append(files, filepath.Join(store, file))
		}
	}
	return files
}

func clineFiles(m Machine) []string {
	const file = "cline_mcp_settings.json"
	files := []string{filepath.Join(m.Home, ".cline", "data", "settings", file)}
	extension := filepath.Join(m.applications(), "Code", "User", "globalStorage", "saoudrizwan.claude-dev", "settings")
	if isFolder(extension) {
		files = append(files, filepath.Join(extension, file))
	}
	return files
}

// windsurfFiles is whichever exists of the two places that Windsurf's documents name.
func windsurfFiles(m Machine) []string {
	file := filepath.Join(m.Home, ".codeium", "windsurf", "mcp_config.json")
	if other := filepath.Join(m.Home, ".codeium", "mcp_config.json"); !exists(file) && exists(other) {
		file = other
	}
	return []string{file}
}

func opencodeFile(folder string) string {
	file := filepath.Join(folder, "opencode.json")
	if other := file + "c"; !exists(file) && exists(other) {
		file = other
	}
	return file
}

func zedFiles(m Machine) []string {
	folder := m.config("zed")
	if m.OS == "windows" {
		folder = filepath.Join(m.applications(), "Zed")
	}
	return []string{filepath.Join(folder, "settings.json")}
}

func exists(file string) bool {
	_, err := os.Lstat(file)
	return err == nil
}

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

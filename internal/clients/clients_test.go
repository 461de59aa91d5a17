package clients

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", filepath.FromSlash(name))
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "%s; if this is meant, run make golden", file)
}

// full is a setup in which everything is set.
var full = Setup{
	Command: `/opt/with "space/exai-mcp`, EnvFile: "/home/me/.config/exai-mcp/.env", Root: "/home/me/project", Compact: true,
	Patient: []string{"EXPERT_ANALYSIS_TIMEOUT_SECS=240", "ANSWER_WITHIN_SECS=240"}, Timeout: 112500 * time.Millisecond,
	Keys: []string{"ZAI_API_KEY", "KIMI_API_KEY"}, Addresses: []string{"GLM_API_URL"},
	Passed: []string{"GLM_API_KEY", "GLM_API_URL", "HTTPS_PROXY"}, Inputs: true,
}

// small is a setup in which nothing is set that may be left out.
var small = Setup{Command: "/usr/local/bin/exai-mcp", Timeout: 112500 * time.Millisecond, Passed: []string{"GLM_API_KEY"}}

func TestEntries(t *testing.T) {
	for _, c := range All() {
		t.Run(c.Name, func(t *testing.T) {
			for name, setup := range map[string]Setup{"full": full, "small": small} {
				text, err := c.Entry(setup)
				require.NoError(t, err)
				golden(t, "entry/"+c.Name+"."+name, text+"\n")
				var parsed map[string]any
				if c.toml {
					require.NoError(t, toml.Unmarshal([]byte(text), &parsed))
				} else {
					require.NoError(t, json.Unmarshal([]byte(text), &parsed))
				}
				assert.Contains(t, parsed[c.path[0]], ServerName)
				assert.Equal(t, c.Timed(), strings.Contains(text, "112") || strings.Contains(text, "113"), "the limit")
			}
		})
	}
}

// The clients' own commands get the entry as one argument.
func TestCommands(t *testing.T) {
	var lines []string
	for _, c := range All() {
		args, err := c.Command(User, full)
		require.NoError(t, err)
		project, err := c.Command(Project, full)
		require.NoError(t, err)
		assert.Nil(t, project)
		assert.Nil(t, c.RemoveCommand(Project))
		if args == nil {
			assert.Nil(t, c.RemoveCommand(User))
			continue
		}
		lines = append(lines, strings.Join(args, "\n\t"), strings.Join(append(c.RemoveCommand(User), ""), "\n\t"))
	}
	golden(t, "commands", strings.Join(lines, "\n")+"\n")
}

// Whatever the environment is, no entry holds the value of a variable.
func TestEntriesHoldReferencesOnly(t *testing.T) {
	for _, c := range All() {
		text, err := c.Entry(full)
		require.NoError(t, err)
		for line := range strings.Lines(text) {
			if strings.Contains(line, "ZAI_API_KEY") && !c.toml {
				assert.Regexp(t, `"(\$\{env:ZAI_API_KEY\}|\$ZAI_API_KEY|\$\{input:exai-zai-api-key\}|ZAI_API_KEY, empty if you have none)"`, line)
			}
		}
	}
}

func machine(home string, environ map[string]string, system string) Machine {
	return Machine{OS: system, Home: home, Dir: filepath.Join(home, "project"), Getenv: func(name string) string { return environ[name] }}
}

func TestFiles(t *testing.T) {
	home := t.TempDir()
	touch := func(name string) string {
		file := filepath.Join(home, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte("{}"), 0o600))
		return file
	}
	of := func(name string, scope Scope, m Machine) []string {
		c, err := Find(name)
		require.NoError(t, err)
		files, err := c.Files(m, scope)
		require.NoError(t, err)
		for i := range files {
			files[i] = filepath.ToSlash(strings.TrimPrefix(files[i], home+string(filepath.Separator)))
		}
		return files
	}
	linux := machine(home, nil, "linux")
	for name, want := range map[string][2]string{
		"claude-code":    {"", "project/.mcp.json"},
		"claude-desktop": {".config/Claude/claude_desktop_config.json", ""},
		"cline":          {".cline/data/settings/cline_mcp_settings.json", ""},
		"codex":          {".codex/config.toml", "project/.codex/config.toml"},
		"copilot":        {".copilot/mcp-config.json", "project/.github/mcp.json"},
		"cursor":         {".cursor/mcp.json", "project/.cursor/mcp.json"},
		"gemini":         {".gemini/settings.json", "project/.gemini/settings.json"},
		"kimi-code":      {".kimi-code/mcp.json", "project/.kimi-code/mcp.json"},
		"opencode":       {".config/opencode/opencode.json", "project/opencode.json"},
		"qwen-code":      {".qwen/settings.json", "project/.qwen/settings.json"},
		"vscode":         {"", "project/.vscode/mcp.json"},
		"windsurf":       {".codeium/windsurf/mcp_config.json", ""},
		"zed":            {".config/zed/settings.json", "project/.zed/settings.json"},
	} {
		assert.Equal(t, want[0], strings.Join(of(name, User, linux), " "), name)
		c, err := Find(name)
		require.NoError(t, err)
		if assert.Equal(t, want[1] != "", c.HasProject(), name); want[1] != "" {
			assert.Equal(t, want[1], strings.Join(of(name, Project, linux), " "), name)
		} else {
			_, err := c.Files(linux, Project)
			assert.ErrorContains(t, err, "use --scope user")
		}
	}
	assert.Len(t, All(), 13)

	moved := machine(home, map[string]string{
		"CODEX_HOME": "/c", "COPILOT_HOME": "/p", "KIMI_CODE_HOME": "/k", "XDG_CONFIG_HOME": "/x", "CLAUDE_CONFIG_DIR": "/d",
	}, "linux")
	assert.Equal(t, []string{"/c/config.toml"}, of("codex", User, moved))
	assert.Equal(t, []string{"/p/mcp-config.json"}, of("copilot", User, moved))
	assert.Equal(t, []string{"/k/mcp.json"}, of("kimi-code", User, moved))
	assert.Equal(t, []string{"/x/opencode/opencode.json"}, of("opencode", User, moved))
	assert.Equal(t, []string{"/x/zed/settings.json"}, of("zed", User, moved))
	assert.Equal(t, []string{"/x/Claude/claude_desktop_config.json"}, of("claude-desktop", User, moved))
	claude, _ := Find("claude-code")
	assert.Equal(t, "/d/settings.json", filepath.ToSlash(claude.HookFile(moved, User)))
	assert.Equal(t, filepath.Join(home, "project/.claude/settings.json"), claude.HookFile(moved, Project))

	mac := machine(home, nil, "darwin")
	assert.Equal(t, []string{"Library/Application Support/Claude/claude_desktop_config.json"}, of("claude-desktop", User, mac))
	windows := machine(home, map[string]string{"APPDATA": filepath.Join(home, "R"), "LOCALAPPDATA": filepath.Join(home, "L")}, "windows")
	assert.Equal(t, []string{"R/Claude/claude_desktop_config.json"}, of("claude-desktop", User, windows))
	assert.Equal(t, []string{"R/Zed/settings.json"}, of("zed", User, windows))
	store := "L/Packages/Claude_pzs8sxrjxfjjc/LocalCache/Roaming/Claude/claude_desktop_config.json"
	touch(store)
	assert.Equal(t, []string{"R/Claude/claude_desktop_config.json", store}, of("claude-desktop", User, windows))

	touch(".codeium/mcp_config.json")
	assert.Equal(t, []string{".codeium/mcp_config.json"}, of("windsurf", User, linux), "the one that exists")
	touch(".codeium/windsurf/mcp_config.json")
	assert.Equal(t, []string{".codeium/windsurf/mcp_config.json"}, of("windsurf", User, linux))
	touch("project/opencode.jsonc")
	assert.Equal(t, []string{"project/opencode.jsonc"}, of("opencode", Project, linux))
	extension := ".config/Code/User/globalStorage/saoudrizwan.claude-dev/settings/cline_mcp_settings.json"
	touch(extension)
	assert.Equal(t, []string{".cline/data/settings/cline_mcp_settings.json", extension}, of("cline", User, linux))

	_, err := Find("emacs")
	assert.ErrorContains(t, err, `unknown client "emacs"; expected one of claude-code, claude-desktop, cline, codex`)
	_, err = claude.Files(linux, "team")
	assert.ErrorContains(t, err, "expected user or project")
}

package clients

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// states are files as they are found, by client. In the golden files follow what install and remove make of them.
var states = []struct{ name, client, text string }{
	{"missing", "cursor", ""},
	{"empty object", "cursor", "{}\n"},
	{"no newline at the end", "cursor", `{"mcpServers":{}}`},
	{"one line", "cursor", `{"mcpServers": {"a": {"command": "a"}}, "z": 1}`},
	{"other servers", "cursor", "{\n  \"mcpServers\": {\n    \"b\": {\"command\": \"b\", \"n\": 1.50},\n    \"a\": {\"command\": \"a\"}\n  },\n  \"z\": [1, 2]\n}\n"},
	{"an old entry in the middle", "cursor", "{\n\t\"mcpServers\": {\n\t\t\"a\": {},\n\t\t// ours\n\t\t\"exai\": {\"command\": \"old\"}, // was here\n\t\t\"b\": {}\n\t}\n}\n"},
	{"comments and trailing commas", "zed", "// Zed settings\n{\n  /* theme */ \"theme\": \"One\", // dark\n  \"context_servers\": {\n    \"a\": {\"command\": \"a\",}, // first\n    // nothing more\n  },\n}\n"},
	{"a comment after the last", "gemini", "{\n  \"mcpServers\": {\n    \"a\": {} // the only one\n  } // end\n}\n"},
	{"a comment before the comma", "zed", "{\n  \"context_servers\": {\n    \"a\": {} /* one */ ,\n    \"exai\": {}\n  }\n}\n"},
	{"four spaces", "qwen-code", "{\n    \"theme\": \"x\"\n}\n"},
	{"windows lines and a byte order mark", "claude-desktop", "\uFEFF{\r\n  \"mcpServers\": {\r\n    \"a\": {\r\n      \"command\": \"a\"\r\n    }\r\n  }\r\n}\r\n"},
	{"escaped text", "copilot", "{\n  \"mcpServers\": {\n    \"\\u0061\": {\"x\": \"<&>\\u2028\", \"n\": 1e400}\n  }\n}\n"},
	{"opencode", "opencode", "{\n  \"$schema\": \"https://opencode.ai/config.json\",\n  \"mcp\": {}\n}\n"},
	{"inputs", "vscode", "{\n  \"inputs\": [\n    // mine\n    {\"id\": \"token\", \"type\": \"promptString\"}\n  ],\n  \"servers\": {\n    \"a\": {\"env\": {\"T\": \"${input:token}\"}}\n  }\n}\n"},
	{"inputs of ours", "vscode", "{\n  \"inputs\": [\n    {\"id\": \"exai-zai-api-key\", \"type\": \"promptString\", \"password\": true},\n    {\"id\": \"exai-old-api-key\", \"type\": \"promptString\"}\n  ]\n}\n"},
	{"toml missing", "codex", ""},
	{"toml other tables", "codex", "model = \"o\" # best\n\n[mcp_servers.a]\ncommand = \"a\"\n\n# profiles\n[profiles.x]\nmodel = \"y\"\n"},
	{"toml an old entry in the middle", "codex", "# mine\nmodel = \"o\"\n\n[mcp_servers.exai]\ncommand = \"old\"\nargs = [\n  \"a\", # one\n]\n\n[mcp_servers.exai.env]\nX = \"1\"\n\n# allowed by hand\n[mcp_servers.exai.tools.chat]\napproval_mode = \"approve\"\n\n# others\n[mcp_servers.b]\ncommand = \"b\"\n"},
	{"toml an old entry in two places", "codex", "[mcp_servers.exai.env]\nX = \"1\"\n\n[other]\nd = 1979-05-27T07:32:00Z\n\n[mcp_servers.\"exai\"]\ncommand = '''\nold'''\n"},
	{"toml dotted keys", "codex", "mcp_servers.exai.command = \"old\"\nmcp_servers.exai.args = [\n  \"a\",\n]\nmodel = \"o\"\n"},
	{"toml inline in its table", "codex", "[mcp_servers]\na = { command = \"a\" }\nexai = { command = \"old\" } # ours\nb = { command = \"b\" }\n"},
	{"toml windows lines", "codex", "\uFEFFmodel = \"o\"\r\n\r\n[a]\r\nb = 1\r\n"},
}

func client(t *testing.T, name string) Client {
	t.Helper()
	c, err := Find(name)
	require.NoError(t, err)
	return c
}

// put writes a file, or none for an empty text.
func put(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "settings")
	if text != "" {
		require.NoError(t, os.WriteFile(file, []byte(text), 0o640))
		require.NoError(t, os.Chmod(file, 0o640)) // whatever the umask is
	}
	return file
}

func write(t *testing.T, change *Change, err error) {
	t.Helper()
	require.NoError(t, err)
	require.NoError(t, change.Write())
}

func TestEdits(t *testing.T) {
	setup := full
	setup.Command, setup.Patient = "/usr/local/bin/exai-mcp", nil
	for _, state := range states {
		t.Run(state.name, func(t *testing.T) {
			c, file := client(t, state.client), put(t, state.text)
			change, err := c.Plan(file, setup, false)
			write(t, change, err)
			installed, err := os.ReadFile(file)
			require.NoError(t, err)

			again, err := c.Plan(file, setup, false)
			require.NoError(t, err)
			assert.False(t, again.Changed(), "a second install changes nothing: %s", again.After)

			change, err = c.Plan(file, setup, true)
			write(t, change, err)
			removed, err := os.ReadFile(file)
			require.NoError(t, err)
			change, err = c.Plan(file, setup, true)
			require.NoError(t, err)
			assert.False(t, change.Changed(), "a second removal changes nothing")

			show := func(text []byte) string {
				return strings.NewReplacer("\r", "\\r", "\uFEFF", "\\ufeff").Replace(string(text))
			}
			golden(t, "edit/"+strings.ReplaceAll(state.name, " ", "-"),
				show([]byte(state.text))+"\n== install "+state.client+"\n"+show(installed)+"\n== remove\n"+show(removed))
		})
	}
}

// What was not there before an install is not there after its removal, apart from the object that held the entry.
func TestRemovalRestoresTheFile(t *testing.T) {
	for _, state := range states {
		if strings.Contains(state.text, "exai") || state.text == "" {
			continue
		}
		c, file := client(t, state.client), put(t, state.text)
		change, err := c.Plan(file, full, false)
		write(t, change, err)
		change, err = c.Plan(file, full, true)
		write(t, change, err)
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		if c.toml {
			assert.Equal(t, strings.TrimSpace(state.text), strings.TrimSpace(string(got)), state.name)
			continue
		}
		want, err := plain([]byte(state.text))
		require.NoError(t, err)
		have, err := plain(got)
		require.NoError(t, err)
		for _, m := range []map[string]any{want, have} {
			if inner, ok := m[c.path[0]].(map[string]any); ok && len(inner) == 0 {
				delete(m, c.path[0])
			}
		}
		assert.Equal(t, want, have, state.name)
		for line := range strings.Lines(state.text) {
			if _, comment, ok := strings.Cut(line, "//"); ok {
				assert.Contains(t, string(got), strings.TrimSpace(comment), state.name)
			}
		}
	}
}

func TestRefusedFiles(t *testing.T) {
	for _, c := range []struct{ client, text, want string }{
		{"cursor", "{", "not valid JSON"},
		{"cursor", "[]", "expected a JSON object"},
		{"cursor", `{"mcpServers": []}`, `"mcpServers" is not an object`},
		{"cursor", `{"mcpServers": {"exai": {}, "exai": {}}}`, `"exai" is defined twice`},
		{"cursor", `{"mcpServers": {}, "mcpServers": {}}`, `"mcpServers" is defined twice`},
		{"vscode", `{"inputs": {}}`, `"inputs" is not a list`},
		{"codex", "a = ", "not valid TOML"},
		{"codex", "[mcp_servers]\n[mcp_servers]\n", "not valid TOML"},
		{"codex", "mcp_servers = { a = { command = 'a' } }\n", "mcp_servers is an inline table; write it as [mcp_servers] first"},
	} {
		file := put(t, c.text)
		_, err := client(t, c.client).Plan(file, full, false)
		assert.ErrorContains(t, err, c.want, c.text)
		assert.ErrorContains(t, err, file)
		got, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Equal(t, c.text, string(got))
	}
	c := client(t, "cursor")
	file := put(t, "{}")
	require.NoError(t, os.Chmod(file, 0o444))
	_, err := c.Plan(file, full, false)
	assert.ErrorContains(t, err, "read-only; make it writable first")
	_, err = c.Plan(filepath.Dir(file), full, false)
	assert.ErrorContains(t, err, "not a regular file")
	big := put(t, "{}"+strings.Repeat(" ", maxFileSize))
	_, err = c.Plan(big, full, false)
	assert.ErrorContains(t, err, "exceed the limit")
}

func TestWrite(t *testing.T) {
	c := client(t, "cursor")
	t.Run("a new file in a new folder", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "a", "b", "mcp.json")
		change, err := c.Plan(file, full, false)
		write(t, change, err)
		info, err := os.Stat(file)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		entries, err := os.ReadDir(filepath.Dir(file))
		require.NoError(t, err)
		assert.Len(t, entries, 1, "no backup of nothing, no temporary file")
	})
	t.Run("mode and one backup", func(t *testing.T) {
		file := put(t, "{}")
		change, err := c.Plan(file, small, false)
		write(t, change, err)
		first, err := os.ReadFile(file)
		require.NoError(t, err)
		change, err = c.Plan(file, full, false)
		write(t, change, err)
		backup, err := os.ReadFile(file + BackupSuffix)
		require.NoError(t, err)
		assert.Equal(t, string(first), string(backup), "the file as it was before the last change")
		for _, name := range []string{file, file + BackupSuffix} {
			info, err := os.Stat(name)
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o640), info.Mode().Perm(), name)
		}
		change, err = c.Plan(file, full, false)
		write(t, change, err)
		unchanged, err := os.ReadFile(file + BackupSuffix)
		require.NoError(t, err)
		assert.Equal(t, string(backup), string(unchanged), "nothing changed, so there is nothing to back up")
		entries, err := os.ReadDir(filepath.Dir(file))
		require.NoError(t, err)
		assert.Len(t, entries, 2)
	})
	t.Run("links", func(t *testing.T) {
		file := put(t, "{}")
		link := filepath.Join(t.TempDir(), "link")
		require.NoError(t, os.Symlink(file, link))
		change, err := c.Plan(link, full, false)
		write(t, change, err)
		to, err := os.Readlink(link)
		require.NoError(t, err, "the link stays")
		assert.Equal(t, file, to)
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		assert.Contains(t, string(text), ServerName)
		assert.FileExists(t, file+BackupSuffix)

		target := filepath.Join(t.TempDir(), "later")
		dangling := filepath.Join(t.TempDir(), "link")
		require.NoError(t, os.Symlink(target, dangling))
		change, err = c.Plan(dangling, full, false)
		write(t, change, err)
		assert.FileExists(t, target)

		circle := filepath.Join(t.TempDir(), "circle")
		require.NoError(t, os.Symlink(circle, circle))
		_, err = c.Plan(circle, full, false)
		assert.ErrorContains(t, err, "too many links")
	})
	t.Run("changed meanwhile", func(t *testing.T) {
		file := put(t, "{}")
		change, err := c.Plan(file, full, false)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(file, []byte(`{"a":1}`), 0o600))
		assert.ErrorContains(t, change.Write(), "changed by another program")
		missing := put(t, "")
		change, err = c.Plan(missing, full, false)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(missing, []byte(`{"a":1}`), 0o600))
		assert.ErrorContains(t, change.Write(), "changed by another program")
	})
	t.Run("removing from nothing", func(t *testing.T) {
		for _, name := range []string{"cursor", "codex"} {
			file := put(t, "")
			change, err := client(t, name).Plan(file, full, true)
			require.NoError(t, err)
			assert.False(t, change.Changed())
			require.NoError(t, change.Write())
			assert.NoFileExists(t, file)
		}
	})
}

func TestOnlyChanged(t *testing.T) {
	path := []string{"mcpServers", ServerName}
	for after, fails := range map[string]bool{
		`{"a":1,"mcpServers":{"exai":{"x":1}}}`: false,
		`{"a":2,"mcpServers":{"exai":{}}}`:      true,
		`{"a":1,"mcpServers":{"b":{}}}`:         true,
		`{"a":1,"b":1}`:                         true,
	} {
		err := onlyChanged([]byte(`{"a":1}`), []byte(after), path)
		assert.Equal(t, fails, err != nil, after)
	}
}

var hookStates = []struct{ name, client, text string }{
	{"missing", "claude-code", ""},
	{"others", "claude-code", "{\n  // mine\n  \"permissions\": {},\n  \"hooks\": {\n    \"Stop\": [\n      {\"hooks\": [{\"type\": \"command\", \"command\": \"beep\"}]}\n    ]\n  }\n}\n"},
	{"an old one", "codex", "{\n  \"description\": \"x\",\n  \"hooks\": {\n    \"Stop\": [\n      {\"hooks\": [{\"type\": \"command\", \"command\": \"/old/exai-mcp review --hook codex-stop\", \"timeout\": 5}]},\n      {\"hooks\": [{\"type\": \"command\", \"command\": \"beep\"}]}\n    ]\n  }\n}\n"},
}

func TestHooks(t *testing.T) {
	for _, state := range hookStates {
		t.Run(state.name, func(t *testing.T) {
			c, file := client(t, state.client), put(t, state.text)
			const command = "/opt/my tools/exai-mcp"
			change, err := c.PlanHooks(file, Setup{Command: command}, false)
			write(t, change, err)
			installed, err := os.ReadFile(file)
			require.NoError(t, err)
			again, err := c.PlanHooks(file, Setup{Command: command}, false)
			require.NoError(t, err)
			assert.False(t, again.Changed(), "an unchanged hook is not written again: %s", again.After)
			change, err = c.PlanHooks(file, Setup{Command: command}, true)
			write(t, change, err)
			removed, err := os.ReadFile(file)
			require.NoError(t, err)
			assert.False(t, bytes.Contains(removed, []byte("review --hook")))
			golden(t, "hooks/"+strings.ReplaceAll(state.name, " ", "-"), state.text+"\n== install "+state.client+"\n"+string(installed)+"\n== remove\n"+string(removed))
		})
	}
	for text, want := range map[string]string{
		`{"hooks": []}`:           `"hooks" is not an object`,
		`{"hooks": {"Stop": {}}}`: `"hooks.Stop" is not a list`,
		`{"hooks": {"Stop": [{"hooks": [{"command": "x review --hook claude-stop"}, {"command": "beep"}]}]}}`: "hooks.Stop has our hook in a group with others; remove it by hand first",
	} {
		for _, remove := range []bool{false, true} {
			_, err := client(t, "claude-code").PlanHooks(put(t, text), Setup{Command: "x"}, remove)
			assert.ErrorContains(t, err, want)
		}
	}
	for _, c := range All() {
		assert.Equal(t, c.Name == "claude-code" || c.Name == "codex", c.HasHook())
	}
}

// A hook to which the user added flags is ours: it is neither doubled nor rewritten, and removed with the others.
func TestHookWithFlags(t *testing.T) {
	c, s := client(t, "codex"), Setup{Command: "/opt/exai-mcp", EnvFile: "/my keys/.env"}
	const ours = `"/opt/exai-mcp --env-file '/my keys/.env' review --hook codex-stop`
	entry, err := c.HookEntry(s)
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(entry, ours+`"`), "a hook reads the settings file of the entry")
	text := strings.ReplaceAll(entry, ours, ours+" --fail-on high --timeout 40s")
	file := put(t, text)
	change, err := c.PlanHooks(file, s, false)
	require.NoError(t, err)
	assert.False(t, change.Changed(), string(change.After))
	change, err = c.PlanHooks(file, Setup{Command: "/new/exai-mcp"}, false)
	require.NoError(t, err)
	assert.Equal(t, 2, strings.Count(string(change.After), "review --hook codex-stop"), "another program's replaces it")
	change, err = c.PlanHooks(file, s, true)
	require.NoError(t, err)
	assert.Equal(t, "{}", string(change.After))
	change, err = c.PlanHooks(put(t, strings.ReplaceAll(text, "codex-stop", "codex-stopper")), s, true)
	require.NoError(t, err)
	assert.False(t, change.Changed(), "another command")
}

// An entry that says the same in another form is not written again.
func TestEqualEntryStays(t *testing.T) {
	c := client(t, "cursor")
	file := put(t, "{}")
	change, err := c.Plan(file, full, false)
	write(t, change, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	compact := bytes.ReplaceAll(text, []byte("  "), nil)
	require.NoError(t, os.WriteFile(file, append(compact, "// mine\n"...), 0o600))
	change, err = c.Plan(file, full, false)
	require.NoError(t, err)
	assert.False(t, change.Changed(), string(change.After))
}

func TestShellWord(t *testing.T) {
	for path, want := range map[string]string{
		"/usr/bin/exai-mcp": "/usr/bin/exai-mcp", "/my tools/x": "'/my tools/x'", "/it's/x": `'/it'\''s/x'`, "/$HOME/x": "'/$HOME/x'",
	} {
		assert.Equal(t, want, shellWord(path))
	}
}

package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// snippet is what a client reads of a snippet, whatever its form.
type snippet struct {
	Type    string
	Command string
	Args    []string
	Env     map[string]string
	Timeout float64 // milliseconds
	EnvVars []string
}

// readSnippet parses a snippet as its client would.
func readSnippet(t *testing.T, c client, text string) snippet {
	t.Helper()
	if c.name == "codex" {
		return readTOML(t, text)
	}
	var file struct {
		MCPServers, Servers map[string]snippet
		Inputs              []struct{ ID, Type string }
	}
	dec := json.NewDecoder(strings.NewReader(text))
	require.NoError(t, dec.Decode(&file))
	servers := file.MCPServers
	if c.name == "vscode" {
		servers = file.Servers
		for _, input := range file.Inputs {
			assert.Contains(t, text, `"${input:`+input.ID+`}"`, "an input that nothing uses")
		}
		assert.Equal(t, strings.Count(text, "${input:"), len(file.Inputs))
	}
	require.Len(t, servers, 1)
	return servers["exai"]
}

// readTOML reads the little of it that we write: tables, and strings, lists of strings and numbers in them.
func readTOML(t *testing.T, text string) snippet {
	var s snippet
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		name, value, pair := strings.Cut(line, " = ")
		switch {
		case line == "":
		case strings.HasPrefix(line, "["):
			table = strings.Trim(line, "[]")
		case table == "mcp_servers.exai" && pair:
			into := map[string]any{"command": &s.Command, "args": &s.Args, "env_vars": &s.EnvVars, "tool_timeout_sec": &s.Timeout}[name]
			require.NotNil(t, into, line)
			require.NoError(t, json.Unmarshal([]byte(value), into), line)
		case table == "mcp_servers.exai.env" && pair:
			var text string
			require.NoError(t, json.Unmarshal([]byte(value), &text), line)
			s.Env = map[string]string{name: text}
		default:
			require.Fail(t, "unexpected", line)
		}
	}
	s.Timeout *= 1000
	return s
}

func TestClientSnippets(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	project := filepath.Join(t.TempDir(), `a "project" & more`)
	require.NoError(t, os.MkdirAll(project, 0o755))
	t.Chdir(project)
	if project, err = os.Getwd(); err != nil { // as the system calls it
		t.Fatal(err)
	}
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, "GLM_API_KEY=", "KIMI_API_KEY=")
			code, out, errs := s.run("", "config", "--client", c.name)
			require.Equal(t, exitOK, code, errs)
			assert.Contains(t, errs, c.where)
			got := readSnippet(t, c, out)
			assert.Equal(t, exe, got.Command)
			assert.Equal(t, project, got.Env["EXAI_ALLOWED_ROOTS"])
			assert.Empty(t, got.Args)
			if c.timed {
				assert.InDelta(t, 112_500, got.Timeout, 0, "the client's limit of the TimeoutConfig")
			} else {
				assert.Zero(t, got.Timeout)
				assert.Contains(t, errs, "ANSWER_WITHIN_SECS")
			}

			// What stands in a key's place must not be taken for a key, should the client pass it on as it stands.
			environ := []string{homeVariable + "=" + s.dir}
			for name, value := range got.Env {
				environ = append(environ, name+"="+value)
			}
			cfg, err := config.Load(config.Options{Environ: environ, Dir: s.dir})
			require.NoError(t, err)
			assert.Empty(t, cfg.GLM.APIKey)
			assert.Empty(t, cfg.Kimi.APIKey)
			assert.Empty(t, cfg.Warnings)
			for _, name := range keyNames {
				assert.Equal(t, c.name == "codex", got.Env[name] == "", "Codex hands them over by name")
				assert.Equal(t, c.name == "codex", strings.Contains(strings.Join(got.EnvVars, " "), name))
			}
		})
	}
}

func TestClientSnippetsNameTheSettingsFile(t *testing.T) {
	s := newSite(t, "GLM_API_KEY=", "KIMI_API_KEY=")
	file := filepath.Join(s.dir, "exai-mcp", ".env")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	for _, c := range clients() {
		t.Run(c.name, func(t *testing.T) {
			write("GLM_API_KEY=secret-secret\nWORKFLOW_TOOL_TIMEOUT_SECS=100\nEXPERT_ANALYSIS_TIMEOUT_SECS=100\n")
			_, out, errs := s.run("", "config", "--client", c.name)
			assert.NotContains(t, out+errs, "secret-secret")
			got := readSnippet(t, c, out)
			assert.Equal(t, []string{"--env-file", file}, got.Args)
			assert.Equal(t, []string{"EXAI_ALLOWED_ROOTS"}, mapKeys(got.Env), "the file holds the keys")
			assert.Empty(t, got.EnvVars)
			if c.timed {
				assert.InDelta(t, 250_000, got.Timeout, 0, "2.5 times the workflow limit")
			}
			code, listed, errs := s.run("", append(got.Args, "config")...)
			require.Equal(t, exitOK, code, errs)
			assert.Regexp(t, `GLM_API_KEY +\*+ +file `+regexp.QuoteMeta(file), listed)

			write("LOG_LEVEL=warn\n") // the keys are in the environment
			_, out, _ = s.run("", "config", "--client", c.name)
			got = readSnippet(t, c, out)
			assert.Equal(t, []string{"--env-file", file}, got.Args)
			assert.Contains(t, out, "KIMI_API_KEY")

			write("KIMI_API_KEY=secret-secret\n") // each key from another place
			s.environ = append(s.environ, "GLM_API_KEY=another-secret")
			defer func() { s.environ = append(s.environ, "GLM_API_KEY=") }()
			_, out, _ = s.run("", "config", "--client", c.name)
			assert.Contains(t, out, "GLM_API_KEY", "the file does not hold it")
			assert.NotContains(t, out, "KIMI_API_KEY")
			assert.NotContains(t, out, "another-secret")
		})
	}
}

func mapKeys(m map[string]string) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	return names
}

func TestClientSnippetOfAFolderThatTheListOfRootsWouldDivide(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "one, two")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	t.Chdir(dir)
	_, _, errs := newSite(t).run("", "config", "--client", "codex")
	assert.Contains(t, errs, "name the folder above it")
}

func TestClientSnippetOutsideOfAProject(t *testing.T) {
	s := newSite(t)
	t.Chdir(s.dir) // the home folder
	if dir, err := os.Getwd(); err == nil {
		s.environ = append([]string{homeVariable + "=" + dir}, s.environ...) // as the system calls it
	}
	_, out, errs := s.run("", "config", "--client", "codex")
	assert.Contains(t, out, `EXAI_ALLOWED_ROOTS = "/path/to/your/project"`)
	assert.Contains(t, errs, "ask again inside the project")

	code, out, errs := s.run("", "config", "--client", "emacs")
	assert.Equal(t, exitUsage, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, "claude-desktop, claude-code, cursor, vscode, codex, gemini")
}

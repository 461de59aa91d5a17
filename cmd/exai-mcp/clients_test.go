package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/clients"
	"github.com/exai-mcp/exai-mcp/internal/config"
)

// clientEntry is what a client reads of an entry, whatever its form.
type clientEntry struct {
	Command     any
	Args        []string
	Env         map[string]string
	Environment map[string]string // opencode's name for Env
	Timeout     float64
	ToolTimeout float64  `json:"toolTimeoutMs"`
	Codex       float64  `json:"tool_timeout_sec"`
	EnvVars     []string `json:"env_vars"`
}

// env are the variables that the entry sets.
func (e clientEntry) env() map[string]string {
	if e.Environment != nil {
		return e.Environment
	}
	return e.Env
}

// program is the command with its arguments.
func (e clientEntry) program() []string {
	if list, ok := e.Command.([]any); ok {
		var all []string
		for _, word := range list {
			all = append(all, word.(string))
		}
		return all
	}
	return append([]string{e.Command.(string)}, e.Args...)
}

// milliseconds is the client's limit.
func (e clientEntry) milliseconds(client string) float64 {
	if client == "zed" || client == "cline" {
		return e.Timeout * 1000
	}
	return e.Timeout + e.ToolTimeout + e.Codex*1000
}

// readEntry parses a file as its client would.
func readEntry(t *testing.T, client, text string) clientEntry {
	t.Helper()
	file := map[string]any{}
	if client == "codex" {
		require.NoError(t, toml.Unmarshal([]byte(text), &file))
	} else {
		require.NoError(t, json.Unmarshal([]byte(text), &file))
	}
	for _, key := range []string{"mcpServers", "servers", "mcp", "mcp_servers", "context_servers"} {
		list, ok := file[key].(map[string]any)
		if !ok {
			continue
		}
		raw, err := json.Marshal(list["exai"])
		require.NoError(t, err)
		var e clientEntry
		require.NoError(t, json.Unmarshal(raw, &e))
		return e
	}
	require.Fail(t, "no entry", text)
	return clientEntry{}
}

// inProject starts a site in a project's folder, with nothing of a vendor set but what is given.
func inProject(t *testing.T, name string, settings ...string) (s *site, project string) {
	t.Helper()
	s = newSite(t, append([]string{"GLM_API_KEY=", "GLM_API_URL=", "KIMI_API_KEY=", "KIMI_API_URL="}, settings...)...)
	project = filepath.Join(s.dir, name)
	require.NoError(t, os.MkdirAll(project, 0o755))
	t.Chdir(project)
	project, err := os.Getwd() // as the system names it
	require.NoError(t, err)
	return s, project
}

func TestClientEntries(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	s, project := inProject(t, `a "project" & more`)
	for _, c := range clients.All() {
		for _, scope := range []string{"user", "project"} {
			if scope == "project" && !c.HasProject() {
				continue
			}
			t.Run(c.Name+" "+scope, func(t *testing.T) {
				code, out, errs := s.run("", "config", "--client", c.Name, "--scope", scope)
				require.Equal(t, exitOK, code, errs)
				assert.Contains(t, errs, c.Where)
				got := readEntry(t, c.Name, out)
				assert.Equal(t, []string{exe}, got.program())
				roaming := c.Name == "claude-desktop" || c.Name == "cline" || c.Name == "windsurf"
				if root := got.env()["EXAI_ALLOWED_ROOTS"]; scope == "project" || roaming {
					assert.Equal(t, project, root)
				} else {
					assert.Empty(t, root, "the client starts servers in the project, or sends its roots")
				}
				if c.Timed() {
					assert.InDelta(t, 112_500, got.milliseconds(c.Name), 500, "the client's limit of the TimeoutConfig")
				} else {
					assert.Zero(t, got.milliseconds(c.Name))
					assert.Contains(t, errs, "ANSWER_WITHIN_SECS")
				}

				// A reference that the client passes on as it is must not count as a key.
				environ := []string{homeVariable + "=" + s.dir}
				for name, value := range got.env() {
					environ = append(environ, name+"="+value)
				}
				cfg, err := config.Load(config.Options{Environ: environ, Dir: s.dir})
				require.NoError(t, err)
				assert.Empty(t, cfg.GLM.APIKey)
				assert.Empty(t, cfg.Kimi.APIKey)
				assert.Empty(t, cfg.Warnings)
			})
		}
	}
}

// An entry refers to the variables by the names that are set.
func TestClientEntriesReferToWhatIsSet(t *testing.T) {
	s, _ := inProject(t, "project", "ZAI_API_KEY=secret-secret", "GLM_BASE_URL=https://api.z.ai/api/coding/paas/v4")
	entry := func(client string, args ...string) clientEntry {
		code, out, errs := s.run("", append([]string{"config", "--client", client}, args...)...)
		require.Equal(t, exitOK, code, errs)
		assert.NotContains(t, out+errs, "secret-secret")
		assert.NotContains(t, out+errs, "coding/paas", "no address either: it may contain a password")
		return readEntry(t, client, out)
	}
	assert.Equal(t, map[string]string{"ZAI_API_KEY": "$ZAI_API_KEY", "REPLY_STYLE": "compact"}, entry("gemini").Env)
	assert.Equal(t, map[string]string{
		"ZAI_API_KEY": "${env:ZAI_API_KEY}", "GLM_BASE_URL": "${env:GLM_BASE_URL}", "REPLY_STYLE": "compact",
	}, entry("cursor").Env)
	assert.Equal(t, "${input:exai-zai-api-key}", entry("vscode", "--scope", "project").Env["ZAI_API_KEY"])
	for _, client := range []string{"claude-code", "qwen-code", "copilot", "opencode", "kimi-code", "zed"} {
		assert.Equal(t, map[string]string{"REPLY_STYLE": "compact"}, entry(client).env(), "%s passes its whole environment", client)
	}
	for _, name := range []string{
		"GLM_API_KEY", "ZHIPUAI_API_KEY", "ZAI_API_KEY", "KIMI_API_KEY", "MOONSHOT_API_KEY", "GLM_API_URL", "GLM_BASE_URL",
		"ZHIPUAI_API_URL", "KIMI_API_URL", "KIMI_BASE_URL", "MOONSHOT_API_URL", "HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY", "SSL_CERT_FILE",
	} {
		assert.Contains(t, entry("codex").EnvVars, name, "Codex passes nothing else")
	}
}

func TestClientEntriesNameTheSettingsFile(t *testing.T) {
	s, _ := inProject(t, "project")
	file := filepath.Join(s.dir, "exai-mcp", ".env")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	write := func(text string) { require.NoError(t, os.WriteFile(file, []byte(text), 0o600)) }
	for _, c := range clients.All() {
		t.Run(c.Name, func(t *testing.T) {
			write("GLM_API_KEY=secret-secret\nWORKFLOW_TOOL_TIMEOUT_SECS=100\nEXPERT_ANALYSIS_TIMEOUT_SECS=100\n")
			_, out, errs := s.run("", "config", "--client", c.Name)
			assert.NotContains(t, out+errs, "secret-secret")
			assert.Contains(t, errs, "The keys stay in "+file)
			got := readEntry(t, c.Name, out)
			assert.Equal(t, []string{"--env-file", file}, got.program()[1:])
			assert.NotContains(t, got.env(), "GLM_API_KEY", "the file holds the key")
			if c.Timed() {
				assert.InDelta(t, 250_000, got.milliseconds(c.Name), 0, "2.5 times the workflow limit")
			}
			code, listed, errs := s.run("", append(got.program()[1:], "config")...)
			require.Equal(t, exitOK, code, errs)
			assert.Regexp(t, `GLM_API_KEY +\*+ +file `, listed)
		})
	}
	write("KIMI_API_KEY=secret-secret\n") // each key from another place
	s.environ = append(s.environ, "GLM_API_KEY=another-secret")
	_, out, _ := s.run("", "config", "--client", "gemini")
	assert.Equal(t, map[string]string{"GLM_API_KEY": "$GLM_API_KEY", "REPLY_STYLE": "compact"}, readEntry(t, "gemini", out).Env)
}

func TestClientEntriesPatient(t *testing.T) {
	s, _ := inProject(t, "project")
	for _, c := range clients.All() {
		code, out, errs := s.run("", "config", "--client", c.Name, "--patient")
		if !c.Timed() {
			assert.Equal(t, exitUsage, code, c.Name)
			assert.Contains(t, errs, c.Title+" has no setting for its limit per tool call")
			continue
		}
		require.Equal(t, exitOK, code, errs)
		got := readEntry(t, c.Name, out)
		assert.Equal(t, "240", got.env()["ANSWER_WITHIN_SECS"])
		environ := append([]string{homeVariable + "=" + s.dir}, "EXPERT_ANALYSIS_TIMEOUT_SECS="+got.env()["EXPERT_ANALYSIS_TIMEOUT_SECS"])
		cfg, err := config.Load(config.Options{Environ: environ, Dir: s.dir})
		require.NoError(t, err)
		assert.InDelta(t, cfg.Timeouts.Client().Milliseconds(), got.milliseconds(c.Name), 1000, "derived from them")
		assert.Greater(t, got.milliseconds(c.Name), 240_000.0)
	}
}

func TestClientEntryNotes(t *testing.T) {
	s, _ := inProject(t, "one, two")
	_, _, errs := s.run("", "config", "--client", "zed", "--scope", "project", "--patient")
	assert.Contains(t, errs, "or run: exai-mcp install --client zed --scope project --patient\n", "the entry that is printed")
	_, _, errs = s.run("", "config", "--client", "claude-desktop")
	assert.Contains(t, errs, "use the folder above it instead")

	t.Chdir(s.dir) // the home folder
	if dir, err := os.Getwd(); err == nil {
		s.environ = append([]string{homeVariable + "=" + dir}, s.environ...) // as the system names it
	}
	_, out, errs := s.run("", "config", "--client", "windsurf")
	assert.NotContains(t, out, "EXAI_ALLOWED_ROOTS")
	assert.Contains(t, errs, "No folder is allowed yet")

	code, out, errs := s.run("", "config", "--client", "emacs")
	assert.Equal(t, exitUsage, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, strings.Join(clients.Names(), ", "))
	code, _, errs = s.run("", "config", "--client", "cline", "--scope", "project")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, "use --scope user")
}

func TestTemporary(t *testing.T) {
	for program, want := range map[string]bool{
		"/usr/local/bin/exai-mcp":                     false,
		"/tmp/go-build123/b001/exe/exai-mcp":          true,
		"/home/me/.cache/go-build/a1/a1b2-d/exai-mcp": true,
		"/tmp/go-build123/b001/exai-mcp.test":         false,
		"/home/me/go-builder/bin/exai-mcp":            false,
		"/home/me/src/exai-mcp/bin/exai-mcp":          false,
	} {
		assert.Equal(t, want, builtByGoRun(program), program)
	}
}

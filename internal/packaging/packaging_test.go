package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools"
)

var update = flag.Bool("update", false, "rewrite server.json")

const serverFile = "../../server.json"

// version is that of the server.json in the repository: of the next release.
func version(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../CHANGELOG.md")
	require.NoError(t, err)
	m := regexp.MustCompile(`(?m)^## \[?([0-9]+\.[0-9]+\.[0-9]+)`).FindSubmatch(text)
	require.NotNil(t, m, "CHANGELOG.md names no version")
	return string(m[1])
}

func TestServerFile(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, run([]string{"server", "-version", version(t)}, &b))
	if *update {
		require.NoError(t, os.WriteFile(serverFile, b.Bytes(), 0o644))
	}
	got, err := os.ReadFile(serverFile)
	require.NoError(t, err)
	assert.Equal(t, b.String(), string(got), "run make docs")
}

func TestServerFitsTheRegistrysSchema(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile("testdata/server.schema.json")
	require.NoError(t, err)
	built := filepath.Join(t.TempDir(), "exai-mcp-linux-amd64.mcpb")
	require.NoError(t, os.WriteFile(built, []byte("x"), 0o600))
	for name, args := range map[string][]string{"before the release": nil, "with digests": {built}} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			require.NoError(t, run(append([]string{"server", "-version", "1.2.3"}, args...), &b))
			assert.Equal(t, len(args), strings.Count(b.String(), "fileSha256"))
			document, err := jsonschema.UnmarshalJSON(&b)
			require.NoError(t, err)
			assert.NoError(t, schema.Validate(document))
			document.(map[string]any)["description"] = strings.Repeat("x", 101)
			assert.Error(t, schema.Validate(document), "the schema can refuse")
		})
	}
}

// The registry proves by the image's label that the image is the server's.
func TestServerNameIsTheImagesLabel(t *testing.T) {
	text, err := os.ReadFile("../../Dockerfile")
	require.NoError(t, err)
	assert.Contains(t, string(text), `io.modelcontextprotocol.server.name="`+registered+`"`)
}

func TestServerMarksTheSecrets(t *testing.T) {
	for _, p := range serverEntry("1.2.3", unbuilt()).Packages {
		var secrets []string
		for _, v := range p.Environment {
			if v.IsSecret {
				secrets = append(secrets, v.Name)
			}
			assert.NotEmpty(t, v.Description+v.Value, v.Name)
		}
		want := []string{"GLM_API_KEY", "KIMI_API_KEY", "OPENROUTER_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "DEEPSEEK_API_KEY"}
		assert.Equal(t, want, secrets, p.Identifier)
	}
}

// A bundle's settings reach the server as the client fills them in: nothing as nothing, something as that.
func TestManifestSettings(t *testing.T) {
	project := t.TempDir()
	for name, filled := range map[string]map[string]string{
		"nothing": {},
		"all": {
			"glm_api_key": "g.key", "kimi_api_key": "k-key", "project_folder": project,
			"glm_api_url": "https://open.bigmodel.cn/api/paas/v4", "kimi_api_url": "https://api.moonshot.cn/v1",
			"endpoints": "openrouter, ollama", "openrouter_api_key": "o-key", "ollama_model": "qwen3:32b",
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := manifestFor("darwin", "1.2.3")
			require.NoError(t, err)
			environ := []string{"HOME=" + project, "XDG_CONFIG_HOME=" + project}
			for variable, value := range m.Server.Start.Env {
				key := strings.TrimSuffix(strings.TrimPrefix(value, "${user_config."), "}")
				setting, ok := m.UserConfig[key]
				require.True(t, ok, value)
				if value = setting.Default; filled[key] != "" {
					value = filled[key]
				}
				environ = append(environ, variable+"="+value)
			}
			c, err := config.Load(config.Options{Environ: environ, Dir: project})
			require.NoError(t, err)
			assert.Empty(t, c.Warnings)
			assert.Equal(t, filled["glm_api_key"], c.GLM.APIKey.Reveal())
			assert.Equal(t, filled["kimi_api_key"], c.Kimi.APIKey.Reveal())
			if name == "nothing" {
				assert.Equal(t, config.Default().GLM.APIURL, c.GLM.APIURL)
				assert.Empty(t, c.Files.AllowedRoots)
				return
			}
			assert.Equal(t, filled["glm_api_url"], c.GLM.APIURL)
			assert.Equal(t, filled["openrouter_api_key"], c.Vendor("openrouter").APIKey.Reveal())
			assert.Equal(t, filled["ollama_model"], c.Vendor("ollama").QualityModel)
			assert.Equal(t, filled["kimi_api_url"], c.Kimi.APIURL)
			assert.Equal(t, []string{project}, c.Files.AllowedRoots)
		})
	}
}

func TestManifest(t *testing.T) {
	for system, want := range map[string][2]string{
		"darwin": {"darwin", "server/exai-mcp"}, "windows": {"win32", "server/exai-mcp.exe"}, "linux": {"linux", "server/exai-mcp"},
	} {
		var b bytes.Buffer
		require.NoError(t, run([]string{"manifest", "-os", system, "-version", "1.2.3"}, &b))
		var m manifest
		require.NoError(t, json.Unmarshal(b.Bytes(), &m))
		assert.Equal(t, []any{want[0]}, m.Compatibility["platforms"])
		assert.Equal(t, want[1], m.Server.EntryPoint)
		assert.Equal(t, "${__dirname}/"+want[1], m.Server.Start.Command)
		assert.Len(t, m.Tools, 29)
		var sensitive []string
		for key, s := range m.UserConfig {
			if s.Sensitive {
				sensitive = append(sensitive, key)
			}
		}
		slices.Sort(sensitive)
		assert.Equal(t, []string{"deepseek_api_key", "gemini_api_key", "glm_api_key", "kimi_api_key", "openai_api_key", "openrouter_api_key"}, sensitive)
		assert.Equal(t, "directory", m.UserConfig["project_folder"].Type)
	}
}

// The launcher depends on one package for every system that is released, at its own version, and finds each by its name.
func TestNPM(t *testing.T) {
	read := func(args ...string) npmPackage {
		var b bytes.Buffer
		require.NoError(t, run(append([]string{"npm", "-version", "1.2.3"}, args...), &b))
		var p npmPackage
		require.NoError(t, json.Unmarshal(b.Bytes(), &p))
		return p
	}
	launcher := read()
	assert.Equal(t, name, launcher.Name)
	assert.Equal(t, registered, launcher.MCPName)
	assert.Len(t, launcher.Optional, len(systems))
	for _, s := range systems {
		system, arch, _ := strings.Cut(s, "-")
		p := read("-os", system, "-arch", arch)
		assert.Equal(t, "1.2.3", launcher.Optional[p.Name], p.Name)
		assert.Equal(t, npmScope+p.OS[0]+"-"+p.CPU[0], p.Name, "the launcher's script makes the name so")
		assert.Empty(t, p.Bin, "only the launcher has a command")
	}
	script, err := os.ReadFile("../../npm/exai-mcp.js")
	require.NoError(t, err)
	assert.Contains(t, string(script), npmScope+"${platform}")
	assert.NotContains(t, launcher.Files, "scripts", "no install script")
	var b bytes.Buffer
	assert.ErrorContains(t, run([]string{"npm", "-os", "plan9", "-arch", "amd64"}, &b), "no release is made for plan9/amd64")
}

func TestUsage(t *testing.T) {
	for _, args := range [][]string{nil, {"nothing"}, {"manifest", "-nope"}, {"server", "/nonexistent"}} {
		assert.Error(t, run(args, &bytes.Buffer{}), args)
	}
}

// The plugins in the repository are those that pluginFiles makes, and hold nothing else.
func TestPluginFiles(t *testing.T) {
	const top = "../../"
	files, err := pluginFiles(version(t))
	require.NoError(t, err)
	for name, text := range files {
		if *update {
			require.NoError(t, os.MkdirAll(filepath.Dir(top+name), 0o755))
			require.NoError(t, os.WriteFile(top+name, []byte(text), 0o644))
		}
		got, err := os.ReadFile(top + name)
		require.NoError(t, err, "run make docs")
		assert.Equal(t, text, string(got), "%s: run make docs", name)
	}
	for _, folder := range []string{pluginFolder, geminiFolder, ".claude-plugin", ".agents"} {
		require.NoError(t, filepath.WalkDir(top+folder, func(path string, entry fs.DirEntry, err error) error {
			if err == nil && !entry.IsDir() {
				name, _ := filepath.Rel(top, path)
				assert.Contains(t, files, filepath.ToSlash(name), "a file that is not generated")
			}
			return err
		}))
	}
}

// The plugin's gate starts nothing and says nothing until the user asks for it.
func TestTheGateOfThePluginIsOff(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		t.Skip("there is no sh")
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "npx"), []byte("#!/bin/sh\necho \"$@\"\n"), 0o755))
	for value, want := range map[string]string{"": "", "off": "", "1": "", "on": "-y exai-mcp@1.2.3 review --hook claude-stop\n"} {
		cmd := exec.CommandContext(t.Context(), sh, "-c", gateCommand("1.2.3", "claude-stop"))
		cmd.Env = []string{"PATH=" + dir, "EXAI_GATE=" + value}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err)
		assert.Equal(t, want, string(out), "EXAI_GATE=%s", value)
	}
}

// What the plugins tell an agent to call, and what they pass to the server, exists.
func TestPluginsNameWhatExists(t *testing.T) {
	files, err := pluginFiles("1.2.3")
	require.NoError(t, err)
	shown, _ := tools.Shown(&tools.Deps{Config: config.Default()})
	var names []string
	for _, tl := range shown {
		names = append(names, tl.Name)
	}
	called := regexp.MustCompile("`([a-z_]+)`")
	seen := 0
	for name, text := range files {
		for _, m := range called.FindAllStringSubmatch(text, -1) {
			assert.Contains(t, names, m[1], name)
			seen++
		}
		if strings.HasSuffix(name, ".json") {
			assert.True(t, json.Valid([]byte(text)), name)
			assert.NotContains(t, text, "${", "%s: Codex would take a reference for the value", name)
		}
	}
	assert.Greater(t, seen, 10)
	assert.Contains(t, files[pluginFolder+".mcp.json"], `"exai-mcp@1.2.3"`)
	for _, key := range []string{"GLM_API_KEY", "KIMI_API_KEY", "ENDPOINTS", "HTTPS_PROXY"} {
		assert.Contains(t, files[pluginFolder+".mcp.json"], `"`+key+`"`)
	}
	assert.Contains(t, files[geminiFolder+"gemini-extension.json"], `"envVar": "KIMI_API_KEY"`)
	for file, hook := range map[string]string{"hooks/hooks.json": "claude-stop", "hooks/codex.json": "codex-stop"} {
		var hooks struct {
			Hooks map[string][]struct{ Hooks []struct{ Command string } }
		}
		require.NoError(t, json.Unmarshal([]byte(files[pluginFolder+file]), &hooks))
		for _, event := range []string{"SessionStart", "Stop"} {
			require.Len(t, hooks.Hooks[event], 1)
			assert.Equal(t, `[ "$EXAI_GATE" != on ] || npx -y exai-mcp@1.2.3 review --hook `+hook, hooks.Hooks[event][0].Hooks[0].Command)
		}
	}
	assert.Regexp(t, `^---\nname: "`+skillName+`"\ndescription: ".{40,}"\n---\n`, files[pluginFolder+"skills/"+skillName+"/SKILL.md"])
}

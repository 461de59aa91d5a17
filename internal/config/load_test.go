package config

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// machine is a home and a working directory for Load, and nothing else.
type machine struct {
	t         *testing.T
	home, dir string
}

func newMachine(t *testing.T) *machine {
	root := t.TempDir()
	m := &machine{t: t, home: filepath.Join(root, "home"), dir: filepath.Join(root, "project")}
	require.NoError(t, os.MkdirAll(m.home, 0o700))
	require.NoError(t, os.MkdirAll(m.dir, 0o700))
	return m
}

func (m *machine) write(path, text string) string {
	m.t.Helper()
	require.NoError(m.t, os.MkdirAll(filepath.Dir(path), 0o700))
	require.NoError(m.t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func (m *machine) userFile(text string) string {
	return m.write(filepath.Join(m.home, ".config", "exai-mcp", ".env"), text)
}

func (m *machine) projectFile(text string) string { return m.write(filepath.Join(m.dir, ".env"), text) }

// inOtherFolder is the same home with another working directory.
func (m *machine) inOtherFolder() *machine { return &machine{t: m.t, home: m.home, dir: m.t.TempDir()} }

func (m *machine) load(environ ...string) (*Config, error) {
	return Load(Options{Environ: append([]string{"HOME=" + m.home}, environ...), Dir: m.dir, goos: "linux"})
}

func (m *machine) mustLoad(environ ...string) *Config {
	m.t.Helper()
	c, err := m.load(environ...)
	require.NoError(m.t, err)
	return c
}

// Keys are masked in files, but not what may be an ordinary word.
func TestOwnKeys(t *testing.T) {
	c := newMachine(t).mustLoad("GLM_API_KEY=a-key-of-glm-0123456789", "ENDPOINTS=lab,ollama", "LAB_API_URL=http://127.0.0.1:1/v1", "LAB_API_KEY=a-key-of-lab-0123456789",
		"OLLAMA_API_KEY=ollama")
	assert.Equal(t, []string{"a-key-of-glm-0123456789", "a-key-of-lab-0123456789"}, c.Files.OwnKeys)
}

func TestLoadOfAnEmptyEnvironmentIsTheDefault(t *testing.T) {
	m := newMachine(t)
	c := m.mustLoad()
	assert.Empty(t, c.Warnings)
	assert.Equal(t, filepath.Join(m.home, ".local", "state", "exai-mcp"), c.Conversations.StateDir)
	assert.Equal(t, filepath.Join(c.Conversations.StateDir, "logs", "activity.jsonl"), c.Logs.ActivityPath)
	assert.Equal(t, filepath.Join(c.Conversations.StateDir, "logs", "toolcalls.jsonl"), c.Logs.ToolCallPath)
	want := Default()
	want.Conversations.StateDir, want.Logs.ActivityPath, want.Logs.ToolCallPath = c.Conversations.StateDir, c.Logs.ActivityPath, c.Logs.ToolCallPath
	c.sources, c.Timeouts.sources = nil, nil
	assert.Equal(t, want, c)
}

func TestPrecedenceOfSources(t *testing.T) {
	t.Run("the environment wins over the file, name by name", func(t *testing.T) {
		m := newMachine(t)
		file := m.userFile("LOG_LEVEL=debug\nLOCALE=fr-FR\nMAX_RETRIES=7\n")
		c := m.mustLoad("LOG_LEVEL=error", "LOCALE=", "MAX_RETRIES=your_number_here")
		assert.Equal(t, "error", c.Logs.Level)
		assert.Equal(t, "fr-FR", c.Server.Locale, "an empty value counts as unset")
		assert.Equal(t, 7, c.Calls.MaxRetries, "so does a placeholder")
		assert.Equal(t, "environment", c.Source("LOG_LEVEL"))
		assert.Equal(t, "file "+file, c.Source("LOCALE"))
		assert.Equal(t, "default", c.Source("MAX_INFLIGHT"))
		assert.Equal(t, file, c.Server.EnvFile)
	})
	t.Run("a limit set to its default hides none", func(t *testing.T) {
		m := newMachine(t)
		m.userFile("GLM_TIMEOUT_SECS=20\nKIMI_TIMEOUT_SECS=30\n")
		c := m.mustLoad("GLM_TIMEOUT_SECS=30.0", "KIMI_TIMEOUT_SECS=10")
		assert.Equal(t, []time.Duration{20 * time.Second, 10 * time.Second}, []time.Duration{c.Timeouts.GLM, c.Timeouts.Kimi})
	})
	t.Run("the environment's alias wins over the file's first name", func(t *testing.T) {
		m := newMachine(t)
		m.userFile("GLM_API_KEY=from-file\n")
		c := m.mustLoad("ZAI_API_KEY=from-environment")
		assert.Equal(t, "from-environment", c.GLM.APIKey.Reveal())
		assert.Equal(t, "environment, as ZAI_API_KEY", c.Source("GLM_API_KEY"))
	})
	t.Run("a reference that a client left as it stood hides nothing", func(t *testing.T) {
		m := newMachine(t)
		m.userFile("GLM_API_KEY=from-file\nDATABASE_URL=postgres://me:$word@host/db\n")
		for _, reference := range []string{"${GLM_API_KEY}", "${env:GLM_API_KEY}", "${input:glm-key}", "$GLM_API_KEY", "${user_config.glm_api_key}"} {
			c := m.mustLoad("GLM_API_KEY=" + reference)
			assert.Equal(t, "from-file", c.GLM.APIKey.Reveal(), reference)
			assert.Equal(t, "postgres://me:$word@host/db", c.Conversations.DatabaseURL.Reveal())
		}
		assert.Equal(t, "$5$abc", m.mustLoad("GLM_API_KEY=$5$abc").GLM.APIKey.Reveal(), "only a whole reference is one")
	})
	t.Run("one file only", func(t *testing.T) {
		m := newMachine(t)
		m.userFile("LOG_LEVEL=debug\n")
		m.projectFile("GLM_API_KEY=project\nLOCALE=de\n")
		flag := m.write(filepath.Join(m.dir, "flag.env"), "MAX_RETRIES=1\n")
		named := m.write(filepath.Join(m.dir, "named.env"), "MAX_RETRIES=2\n")

		c := m.mustLoad()
		assert.Equal(t, "debug", c.Logs.Level)
		assert.Empty(t, c.GLM.APIKey, "the user's file hides the project's")
		assert.Equal(t, "configuration folder", c.Source("ENV_FILE"))

		c = m.mustLoad("ENV_FILE=named.env")
		assert.Equal(t, 2, c.Calls.MaxRetries)
		assert.Equal(t, "info", c.Logs.Level)
		assert.Equal(t, named, c.Server.EnvFile)
		assert.Equal(t, "environment", c.Source("ENV_FILE"))

		c, err := Load(Options{Environ: []string{"HOME=" + m.home, "ENV_FILE=named.env"}, Dir: m.dir, EnvFile: flag})
		require.NoError(t, err)
		assert.Equal(t, 1, c.Calls.MaxRetries, "the flag wins over ENV_FILE")
		assert.Equal(t, "command line", c.Source("ENV_FILE"))
	})
	t.Run("XDG_CONFIG_HOME moves the user's file", func(t *testing.T) {
		m := newMachine(t)
		m.userFile("LOG_LEVEL=debug\n")
		xdg := filepath.Join(m.home, "xdg")
		file := m.write(filepath.Join(xdg, "exai-mcp", ".env"), "LOG_LEVEL=warn\n")
		c := m.mustLoad("XDG_CONFIG_HOME=" + xdg)
		assert.Equal(t, "warn", c.Logs.Level)
		assert.Equal(t, file, c.Server.EnvFile)
		assert.Equal(t, "debug", m.mustLoad("XDG_CONFIG_HOME=relative").Logs.Level, "a relative one does not count")
	})
}

func TestProjectFileCountsOnlyWithAKey(t *testing.T) {
	for _, tc := range []struct {
		name, text string
		key        string // what is taken
		warns      string // what is ignored
	}{
		{"of another program", "LOG_LEVEL=verbose\nDATABASE_URL=mysql://x\nPORT=80\n", "", ""},
		{"an empty key", "GLM_API_KEY=\nLOG_LEVEL=debug\n", "", ""},
		{"a placeholder", "KIMI_API_KEY=your_kimi_key_here\nLOG_LEVEL=debug\n", "", ""},
		{"a key with spaces", "KIMI_API_KEY=put the key into this line\nLOG_LEVEL=debug\n", "", "KIMI_API_KEY, LOG_LEVEL: the .env of a working directory is used only if it holds a key"},
		{"settings without a key", "LOG_LEVEL=debug\nEXAI_ALLOWED_ROOTS=/\n", "", "EXAI_ALLOWED_ROOTS, LOG_LEVEL: the .env"},
		{"an address without a key", "GLM_API_URL=https://evil\n", "", "GLM_API_URL: the .env"},
		{"a GLM key", "GLM_API_KEY=abc.def\n", "abc.def", ""},
		{"a GLM key and more", "GLM_API_KEY=abc.def\nLOG_LEVEL=debug\n", "abc.def", "LOG_LEVEL: from the .env of a working directory only"},
		{"a GLM key under two names", "GLM_API_KEY=abc.def\nZAI_API_KEY=second\n", "abc.def", ""},
		{"a Kimi key under its other name", "MOONSHOT_API_KEY=sk-abc\nMAX_RETRIES=2\n", "sk-abc", "MAX_RETRIES: from"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t)
			file := m.projectFile(tc.text)
			c := m.mustLoad()
			assert.Equal(t, tc.key, c.GLM.APIKey.Reveal()+c.Kimi.APIKey.Reveal())
			assert.Equal(t, "info", c.Logs.Level)
			if tc.key == "" {
				assert.Empty(t, c.Server.EnvFile)
			} else {
				assert.Equal(t, file, c.Server.EnvFile)
				assert.Equal(t, "working directory", c.Source("ENV_FILE"))
			}
			if tc.warns == "" {
				assert.Empty(t, c.Warnings)
				return
			}
			require.Len(t, c.Warnings, 1)
			assert.Contains(t, c.Warnings[0], file+": ignored "+tc.warns)
			assert.Contains(t, c.Warnings[0], "--env-file .env, or move these settings to "+filepath.Join(m.home, ".config", "exai-mcp", ".env"))
		})
	}
	t.Run("and not if a command judges the project", func(t *testing.T) {
		m := newMachine(t)
		m.projectFile("GLM_API_KEY=abc.def\nLOG_LEVEL=debug\n")
		c, err := Load(Options{Environ: []string{"HOME=" + m.home}, Dir: m.dir, NoProjectFile: true})
		require.NoError(t, err)
		assert.Empty(t, c.GLM.APIKey)
		assert.Empty(t, c.Warnings)
	})
	t.Run("one that cannot be parsed is passed over", func(t *testing.T) {
		m := newMachine(t)
		m.projectFile("this is {no} env file\n")
		assert.Empty(t, m.mustLoad().Warnings)
		file := m.projectFile("GLM_API_KEY=secret-secret\n}{ oops\n")
		c := m.mustLoad()
		require.Len(t, c.Warnings, 1)
		assert.Contains(t, c.Warnings[0], file+" is not used: line 2:")
		assert.NotContains(t, c.Warnings[0], "secret-secret")
	})
	t.Run("a folder called .env", func(t *testing.T) {
		m := newMachine(t)
		require.NoError(t, os.Mkdir(filepath.Join(m.dir, ".env"), 0o700))
		assert.Empty(t, m.mustLoad().Server.EnvFile)
	})
}

// A cloned project's .env must not send the user's work anywhere, nor widen what may be read or written.
func TestHostileProjectFile(t *testing.T) {
	const hostile = "KIMI_API_KEY=theirs\nKIMI_API_URL=https://evil/v1\nMOONSHOT_API_URL=https://evil/v1\nEXAI_ALLOWED_ROOTS=/\nDEFAULT_MODEL=kimi-k3\n" +
		"EX_TOOLCALL_LOG_PATH=/home/me/.bashrc\nLOG_PROMPTS=true\nDATABASE_URL=postgres://evil/x\nCONVERSATION_STORAGE_BACKEND=postgres\n" +
		"MODELS_FILE=/dev/zero\nEXAI_STATE_DIR=/tmp/x\nENV_FILE=/tmp/evil.env\nENDPOINTS=evil\nEVIL_API_URL=https://evil\nHTTPS_PROXY=http://evil\n"
	for _, own := range []string{
		"GLM_API_KEY=mine", "ZAI_API_KEY=mine", "KIMI_API_KEY=mine", "MOONSHOT_API_KEY=mine", "ENDPOINTS=ollama",
	} {
		t.Run(own, func(t *testing.T) {
			m := newMachine(t)
			file := m.projectFile(hostile)
			c := m.mustLoad(own)
			name, _, _ := strings.Cut(own, "=")
			require.Len(t, c.Warnings, 1)
			assert.Contains(t, c.Warnings[0], file+": ignored CONVERSATION_STORAGE_BACKEND, DATABASE_URL, DEFAULT_MODEL, ENDPOINTS, ENV_FILE, EXAI_ALLOWED_ROOTS, "+
				"EXAI_STATE_DIR, EX_TOOLCALL_LOG_PATH, KIMI_API_KEY, KIMI_API_URL, LOG_PROMPTS, MODELS_FILE, MOONSHOT_API_URL: "+
				"the .env of a working directory is not used when "+name+" is set elsewhere.")
			assert.NotContains(t, c.Warnings[0], "evil")
			c.Warnings = nil
			assert.Equal(t, m.inOtherFolder().mustLoad(own), c, "as if the file were not there")
		})
	}
	t.Run("without a key of one's own", func(t *testing.T) {
		m := newMachine(t)
		m.projectFile(hostile)
		c := m.mustLoad()
		require.Len(t, c.Warnings, 1)
		assert.NotContains(t, c.Warnings[0], "KIMI_API_KEY, KIMI_API_URL", "these are taken")
		c.Warnings = nil
		want := m.inOtherFolder().mustLoad("KIMI_API_KEY=theirs", "KIMI_API_URL=https://evil/v1")
		want.Server.EnvFile = c.Server.EnvFile
		c.sources, c.Timeouts.sources, want.sources, want.Timeouts.sources = nil, nil, nil, nil
		assert.Equal(t, want, c)
	})
	t.Run("a key in the user's file, too", func(t *testing.T) {
		m := newMachine(t)
		m.projectFile(hostile)
		m.userFile("GLM_API_KEY=mine\n")
		c := m.mustLoad()
		assert.Empty(t, c.Kimi.APIKey)
		assert.Empty(t, c.Files.AllowedRoots)
	})
	t.Run("named by the user it counts whole", func(t *testing.T) {
		m := newMachine(t)
		m.projectFile("KIMI_API_KEY=mine\nDEFAULT_MODEL=kimi-k3\n")
		c, err := Load(Options{Environ: []string{"HOME=" + m.home, "GLM_API_KEY=mine"}, Dir: m.dir, EnvFile: ".env"})
		require.NoError(t, err)
		assert.Equal(t, "mine", c.Kimi.APIKey.Reveal())
		assert.Equal(t, "kimi-k3", c.Models.Default)
		assert.Empty(t, c.Warnings)
	})
}

func TestPlaceholders(t *testing.T) {
	m := newMachine(t)
	file := m.userFile("GLM_API_KEY=real\nMOONSHOT_API_KEY='your_kimi_api_key_here'\n")
	for _, text := range []string{
		"your_glm_key_here", "YOUR_API_KEY", "your-api-key", "Your_GLM_API_Key_Here", "your token", "<your-key>", "<YOUR KEY>", "<your_key_here>",
		"${X}", "${env:X}", "${input:glm-key}", "$X", "{env:GLM_API_KEY}", "%GLM_API_KEY%", "{{GLM_API_KEY}}", "{{ secrets.GLM }}", "undefined", "null", "NULL", `"null"`,
	} {
		c := m.mustLoad("GLM_API_KEY=" + text)
		assert.Equal(t, "real", c.GLM.APIKey.Reveal(), text)
		assert.Equal(t, []Example{{"GLM_API_KEY", "environment"}, {"MOONSHOT_API_KEY", "file " + file}}, c.Examples, text)
	}
	for _, text := range []string{
		"$5$abc", "yourself", "your_", "yoursecretkey", "{x}", "{envy}", "%", "%%", "%a b%", "<", "<>", "nullable", "undefined1", "u", "$", "${", "{{}}", "a<b>", "${a}b${c}",
	} {
		want := text
		if strings.Contains(text, " ") {
			_, err := m.load("GLM_API_KEY=" + text)
			assert.Error(t, err, text)
			continue
		}
		assert.Equal(t, want, m.mustLoad("GLM_API_KEY="+text).GLM.APIKey.Reveal())
	}
	assert.Empty(t, newMachine(t).mustLoad("GLM_API_KEY=real", "LOCALE=your_locale_here").Examples, "only keys")
}

func TestAliases(t *testing.T) {
	for _, tc := range []struct {
		environ []string
		get     func(*Config) string
		want    string
	}{
		{[]string{"ZAI_API_KEY=c", "ZHIPUAI_API_KEY=b", "GLM_API_KEY=a"}, func(c *Config) string { return c.GLM.APIKey.Reveal() }, "a"},
		{[]string{"ZAI_API_KEY=c", "ZHIPUAI_API_KEY=b"}, func(c *Config) string { return c.GLM.APIKey.Reveal() }, "b"},
		{[]string{"ZAI_API_KEY=c"}, func(c *Config) string { return c.GLM.APIKey.Reveal() }, "c"},
		{[]string{"MOONSHOT_API_KEY=b", "KIMI_API_KEY="}, func(c *Config) string { return c.Kimi.APIKey.Reveal() }, "b"},
		{[]string{"GLM_BASE_URL=https://b/", "ZHIPUAI_API_URL=https://c"}, func(c *Config) string { return c.GLM.APIURL }, "https://b"},
		{[]string{"KIMI_BASE_URL=https://b/v1", "MOONSHOT_API_URL=https://c"}, func(c *Config) string { return c.Kimi.APIURL }, "https://b/v1"},
		{[]string{"MOONSHOT_API_URL=https://c"}, func(c *Config) string { return c.Kimi.APIURL }, "https://c"},
		{[]string{"SUPABASE_DB_URL=postgres://h/d"}, func(c *Config) string { return c.Conversations.DatabaseURL.Reveal() }, "postgres://h/d"},
	} {
		c := newMachine(t).mustLoad(tc.environ...)
		assert.Equal(t, tc.want, tc.get(c), tc.environ)
		if tc.environ[0] != "SUPABASE_DB_URL=postgres://h/d" {
			assert.Empty(t, c.Warnings, tc.environ)
		}
	}
}

func TestBaseURLStandsBesideItsKey(t *testing.T) {
	const def = "https://api.z.ai/api/paas/v4"
	for _, tc := range []struct {
		name    string
		environ []string
		file    string
		want    string
		warns   bool
	}{
		{"both in the environment", []string{"GLM_API_KEY=k", "GLM_API_URL=https://a"}, "", "https://a", false},
		{"both in the file", nil, "GLM_API_KEY=k\nGLM_API_URL=https://b\n", "https://b", false},
		{"the environment's pair hides the file's", []string{"GLM_API_KEY=k", "GLM_API_URL=https://a"}, "GLM_API_KEY=k2\nGLM_API_URL=https://b\n", "https://a", false},
		{"a project's file cannot redirect the key", []string{"GLM_API_KEY=k"}, "GLM_API_URL=https://evil\n", def, true},
		{"nor with a key of its own", []string{"GLM_API_KEY=k"}, "GLM_API_KEY=k2\nGLM_API_URL=https://evil\n", def, true},
		{"the environment cannot redirect the file's key", []string{"GLM_BASE_URL=https://a"}, "GLM_API_KEY=k\n", def, true},
		{"the file's address stays beside the file's key", []string{"GLM_API_URL=https://a"}, "GLM_API_KEY=k\nGLM_API_URL=https://b\n", "https://b", true},
		{"the same address is no mix", []string{"GLM_API_KEY=k"}, "GLM_API_URL=" + def + "/\n", def, false},
		{"an unusable stray does not stop the start", []string{"GLM_API_KEY=k"}, "GLM_API_URL=nonsense\n", def, true},
		{"without a key", []string{"GLM_API_URL=https://a"}, "", "https://a", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newMachine(t)
			file := m.userFile(tc.file)
			c := m.mustLoad(tc.environ...)
			assert.Equal(t, tc.want, c.GLM.APIURL)
			if !tc.warns {
				assert.Empty(t, c.Warnings)
				return
			}
			require.Len(t, c.Warnings, 1)
			assert.Contains(t, c.Warnings[0], "from the environment")
			assert.Contains(t, c.Warnings[0], "file "+file)
			assert.Contains(t, c.Warnings[0], "GLM_API_KEY")
		})
	}
}

func TestValuesAsPeopleWriteThem(t *testing.T) {
	c := newMachine(t).mustLoad(
		"GLM_API_KEY=\"quoted.key\"", "KIMI_API_KEY= 'sk-1' ", "LOG_LEVEL=WARNING", "LEAN_MODE=Yes", "DIAGNOSTICS=on",
		"EXPERT_ANALYSIS_ENABLED=OFF", "GLM_WEBSEARCH_RECENCY=all", "DISABLED_TOOLS=Chat, tracer;docgen", "LEAN_TOOLS=,",
		"ALLOWED_PROVIDERS=KIMI, Zai", "GLM_ALLOWED_MODELS=glm-5.3,  glm-5.3-flash", "DEFAULT_MODEL=AUTO",
		"STREAM_IDLE_TIMEOUT_SECS=1.5", "BACKGROUND_MAX_SECS=20m", "KIMI_FILES_FETCH_INITIAL_DELAY=0",
		"THINKDEEP_USE_ASSISTANT_MODEL_DEFAULT=false", "KIMI_FILES_PARALLEL_UPLOADS=false", "MAX_ANSWER_BYTES=1073741824",
	)
	assert.Equal(t, "quoted.key", c.GLM.APIKey.Reveal(), "docker run --env-file leaves quotes in place")
	assert.Equal(t, "sk-1", c.Kimi.APIKey.Reveal())
	assert.Equal(t, "warn", c.Logs.Level)
	assert.Equal(t, []bool{true, true, false}, []bool{c.Tools.LeanMode, c.Tools.Diagnostics, c.Expert.Enabled})
	assert.Equal(t, "noLimit", c.GLMSearch.Recency)
	assert.Equal(t, []string{"chat", "tracer", "docgen"}, c.Tools.Disabled)
	assert.Empty(t, c.Tools.LeanTools)
	assert.Equal(t, []string{"kimi", "glm"}, c.Models.AllowedProviders)
	assert.Equal(t, []string{"glm-5.3", "glm-5.3-flash"}, c.GLM.AllowedModels)
	assert.Equal(t, "auto", c.Models.Default)
	assert.Equal(t, 1500*time.Millisecond, c.Timeouts.StreamIdle)
	assert.Equal(t, 20*time.Minute, c.Timeouts.Background)
	assert.Zero(t, c.KimiFiles.FetchDelay)
	require.NotNil(t, c.Expert.ThinkDeepUseModel)
	assert.False(t, *c.Expert.ThinkDeepUseModel)
	assert.Equal(t, 1, c.KimiFiles.MaxParallel)
	assert.Equal(t, "derived from KIMI_FILES_PARALLEL_UPLOADS", c.Source("KIMI_FILES_MAX_PARALLEL"))
	assert.Equal(t, int64(1<<30), c.Calls.MaxAnswerBytes)
}

func TestValuesThatStopTheStart(t *testing.T) {
	for _, tc := range []struct{ environ, want string }{
		{"GLM_TIMEOUT_SECS=soon", `GLM_TIMEOUT_SECS="soon" (environment): accepted: seconds or a duration`},
		{"GLM_TIMEOUT_SECS=0", "GLM_TIMEOUT_SECS"},
		{"GLM_TIMEOUT_SECS=-1", "GLM_TIMEOUT_SECS"},
		{"GLM_TIMEOUT_SECS=3601", "at most 3600"},
		{"GLM_TIMEOUT_SECS=3600.0001", "at most 3600"},
		{"GLM_TIMEOUT_SECS=2h", "at most 3600"},
		{"GLM_TIMEOUT_SECS=1m 30s", "seconds or a duration"},
		{"GLM_TIMEOUT_SECS=1e300", "at most 3600"},
		{"GLM_TIMEOUT_SECS=inf", "GLM_TIMEOUT_SECS"},
		{"GLM_TIMEOUT_SECS=nan", "GLM_TIMEOUT_SECS"},
		{"GLM_TIMEOUT_SECS=0x10", "GLM_TIMEOUT_SECS"},
		{"GLM_TIMEOUT_SECS=0.0000000001", "GLM_TIMEOUT_SECS"},
		{"KIMI_FILES_MAX_SIZE_MB=20  # megabytes", `KIMI_FILES_MAX_SIZE_MB="20  # megabytes"`},
		{"MAX_RETRIES=1.5", "a whole number from 0 to 20"},
		{"MAX_RETRIES=99999999999999999999", "a whole number from 0 to 20"},
		{"MAX_INFLIGHT=0", "a whole number from 1"},
		{"LEAN_MODE=perhaps", "true or false"},
		{"LOG_LEVEL=verbose", "one of debug, info, warn, error"},
		{"CONVERSATION_STORAGE_BACKEND=redis", "one of sqlite, postgres, memory"},
		{"EXPERT_ANALYSIS_THINKING_MODE=hard", "one of minimal, low, medium, high, max"},
		{"KIMI_FILES_BEHAVIOR_ON_OVERSIZE=explode", "one of skip, fail"},
		{"GLM_WEBSEARCH_RECENCY=yesterday", "one of oneDay"},
		{"ALLOWED_PROVIDERS=openai", "glm, kimi and names of ENDPOINTS"},
		{"ALLOWED_PROVIDERS=OPENROUTER", "glm, kimi and names of ENDPOINTS"},
		{"KIMI_API_URL=api.moonshot.cn/v1", "https://host/path"},
		{"KIMI_API_URL=ftp://host/v1", "https://host/path"},
		{"KIMI_API_URL=https:///v1", "https://host/path"},
		{"KIMI_API_URL=https://host/v1?key=abcdefgh", "https://host/path"},
		{"EXAI_PATH_MAP=/home/me", "host=container"},
		{"EXAI_PATH_MAP=relative=/work", "host=container"},
		{"MODELS_FILE=missing.json", "the path of a regular file that exists"},
		{"ENV_FILE=missing.env", `ENV_FILE="missing.env" (environment): accepted: the path of a regular file that exists`},
		{"GLM_API_KEY=two words", `GLM_API_KEY="(hidden)" (environment): accepted: the key alone`},
		{"MCP_SERVER_NAME=a\nb", "MCP_SERVER_NAME"},
		{"EXAI_STATE_DIR=a\x00b", "EXAI_STATE_DIR"},
	} {
		t.Run(tc.environ, func(t *testing.T) {
			_, err := newMachine(t).load(tc.environ)
			require.Error(t, err)
			assert.Contains(t, err.Error(), tc.want)
			assert.NotContains(t, err.Error(), "\n")
			assert.NotContains(t, err.Error(), "abcdefgh")
			name, _, _ := strings.Cut(tc.environ, "=")
			assert.True(t, strings.HasPrefix(err.Error(), name+"="), err.Error())
		})
	}
	t.Run("the file is named", func(t *testing.T) {
		m := newMachine(t)
		file := m.userFile("LOG_LEVEL=loud\n")
		_, err := m.load()
		assert.EqualError(t, err, `LOG_LEVEL="loud" (file `+file+`): accepted: one of debug, info, warn, error`)
	})
	t.Run("a value that is not used does not count", func(t *testing.T) {
		m := newMachine(t)
		m.userFile("LOG_LEVEL=loud\n")
		assert.Equal(t, "warn", m.mustLoad("LOG_LEVEL=warn").Logs.Level)
	})
	t.Run("a key on the wrong line is not shown", func(t *testing.T) {
		_, err := newMachine(t).load("GLM_API_KEY=abcdefgh.12345678", "GLM_API_URL=abcdefgh.12345678")
		require.Error(t, err)
		assert.NotContains(t, err.Error(), "abcdefgh")
	})
	t.Run("a long value is cut", func(t *testing.T) {
		_, err := newMachine(t).load("LOG_LEVEL=" + strings.Repeat("x", 5000))
		require.Error(t, err)
		assert.Less(t, len(err.Error()), 250)
	})
}

func TestEnvFileThatCannotBeParsed(t *testing.T) {
	for name, tc := range map[string]struct{ text, want string }{
		"no env file":       {"GLM_API_KEY=very-secret\nKIMI_API_KEY very-secret\nX=1\n", "line 2: accepted: NAME=value"},
		"open quote":        {"A=1\n\n# c\nGLM_API_KEY='very-secret\nX=1\n", "line 4: accepted: NAME=value"},
		"a NUL in it":       {"GLM_API_KEY=very-secret\x00\n", "accepted: an env file in UTF-8"},
		"UTF-16":            {"\xff\xfeG\x00L\x00M\x00", "accepted: an env file in UTF-8"},
		"too large":         {strings.Repeat("A=very-secret\n", 1<<17), "up to 1 MiB"},
		"after a long text": {"A='" + strings.Repeat("x\n", 50) + "'\nvery-secret!\n", "line 52: accepted"},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMachine(t)
			file := m.userFile(tc.text)
			_, err := m.load()
			require.Error(t, err)
			assert.Contains(t, err.Error(), file+": ")
			assert.Contains(t, err.Error(), tc.want)
			assert.NotContains(t, err.Error(), "very-secret")
			assert.NotContains(t, err.Error(), "\n")
		})
	}
}

func TestEnvFileOfTheLargestSize(t *testing.T) {
	m := newMachine(t)
	text := "LOCALE=fr\n#"
	m.userFile(text + strings.Repeat("x", 1<<20-len(text)))
	assert.Equal(t, "fr", m.mustLoad().Server.Locale)
}

func TestEnvFileDialects(t *testing.T) {
	m := newMachine(t)
	m.userFile("\xef\xbb\xbfexport LOCALE=fr\r\n" +
		"GLM_API_KEY=abc#def # a comment\r\n" +
		"KIMI_API_KEY='sk-$HOME$5'\n" +
		"DATABASE_URL=postgres://u:pa$WORD$1@h/d\n" +
		"MCP_SERVER_NAME=\"a name\"\n")
	c := m.mustLoad()
	assert.Equal(t, "fr", c.Server.Locale, "a byte order mark and Windows line ends")
	assert.Equal(t, "abc#def", c.GLM.APIKey.Reveal())
	assert.Equal(t, "sk-$HOME$5", c.Kimi.APIKey.Reveal())
	assert.Equal(t, "postgres://u:pa$WORD$1@h/d", c.Conversations.DatabaseURL.Reveal(), "a $ means itself")
	assert.Equal(t, "a name", c.Server.Name)
}

func TestLoadLeavesTheProcessAlone(t *testing.T) {
	m := newMachine(t)
	m.userFile("EXAI_STATE_DIR=/from/file\nGLM_API_KEY=k\n")
	before := os.Environ()
	m.mustLoad()
	assert.Equal(t, before, os.Environ())
}

func TestPaths(t *testing.T) {
	m := newMachine(t)
	c := m.mustLoad("EXAI_STATE_DIR=~/state", "EX_TOOLCALL_LOG_PATH=logs/t.jsonl", "EXAI_ALLOWED_ROOTS=~, /a/b/:/c;rel",
		`EXAI_PATH_MAP=C:\Users\me=/work, /home/me=/home/me`)
	assert.Equal(t, filepath.Join(m.home, "state"), c.Conversations.StateDir)
	assert.Equal(t, filepath.Join(m.dir, "logs", "t.jsonl"), c.Logs.ToolCallPath)
	assert.Equal(t, filepath.Join(m.home, "state", "logs", "activity.jsonl"), c.Logs.ActivityPath)
	assert.Equal(t, []string{m.home, "/a/b", "/c", filepath.Join(m.dir, "rel")}, c.Files.AllowedRoots)
	assert.Equal(t, `C:\Users\me=/work,/home/me=/home/me`, c.Files.PathMap)
	assert.Equal(t, "environment", c.Source("EX_TOOLCALL_LOG_PATH"))
	assert.Equal(t, "derived from EXAI_STATE_DIR", c.Source("EX_ACTIVITY_LOG_PATH"))

	c = m.mustLoad("XDG_STATE_HOME=/xdg")
	assert.Equal(t, "/xdg/exai-mcp", c.Conversations.StateDir)
}

func TestSplitPaths(t *testing.T) {
	for _, tc := range []struct {
		raw, goos string
		want      []string
	}{
		{`/a:/b,/c;/d`, "linux", []string{"/a", "/b", "/c", "/d"}},
		{`C:\a;D:/b,E:\c`, "windows", []string{`C:\a`, `D:/b`, `E:\c`}},
		{`C:\a:D:\b`, "linux", []string{`C:\a`, `D:\b`}},
		{` /a , , /b c `, "linux", []string{"/a", "/b c"}},
		{`,;`, "linux", nil},
		{`\\host\share;C:\x`, "windows", []string{`\\host\share`, `C:\x`}},
	} {
		assert.Equal(t, tc.want, splitPaths(tc.raw, tc.goos), tc.raw)
	}
}

func TestPlacesOfOtherSystems(t *testing.T) {
	windows := map[string]string{"APPDATA": `/r`, "LOCALAPPDATA": `/l`}
	assert.Equal(t, filepath.Join("/l", "exai-mcp"), stateDir(windows, place{goos: "windows", home: "/h"}))
	assert.Equal(t, filepath.Join("/h", "AppData", "Local", "exai-mcp"), stateDir(nil, place{goos: "windows", home: "/h"}))
	assert.Equal(t, filepath.Join("/h", "Library", "Application Support", "exai-mcp"), stateDir(nil, place{goos: "darwin", home: "/h"}))
	assert.Equal(t, "", stateDir(nil, place{goos: "linux"}))
	assert.Equal(t, []string{"/h/.config/exai-mcp/.env", "/r/exai-mcp/.env"}, configFiles(windows, place{goos: "windows", home: "/h"}))
	assert.Equal(t, []string{"/h/.config/exai-mcp/.env", "/h/Library/Application Support/exai-mcp/.env"}, configFiles(nil, place{goos: "darwin", home: "/h"}))

	c, err := Load(Options{Environ: []string{`UserProfile=/h`, `glm_api_key=k`, `=C:=C:\x`}, Dir: t.TempDir(), goos: "windows"})
	require.NoError(t, err)
	assert.Equal(t, "k", c.GLM.APIKey.Reveal(), "names have no case there")
	assert.Equal(t, filepath.Join("/h", "AppData", "Local", "exai-mcp"), c.Conversations.StateDir)
}

func TestWithoutAHomeTheStoreIsInMemory(t *testing.T) {
	c, err := Load(Options{Dir: t.TempDir()})
	require.NoError(t, err)
	assert.Empty(t, c.Conversations.StateDir)
	assert.Empty(t, c.Logs.ActivityPath, "nothing is written")
	require.Len(t, c.Warnings, 1)
	assert.Contains(t, c.Warnings[0], "EXAI_STATE_DIR is not set")
	c, err = Load(Options{Environ: []string{"CONVERSATION_STORAGE_BACKEND=memory"}, Dir: t.TempDir()})
	require.NoError(t, err)
	assert.Empty(t, c.Warnings)
}

// A home that is no folder does not stop the start, and one that depends on the working directory is none.
func TestHomesThatAreNone(t *testing.T) {
	m := newMachine(t)
	file := m.write(filepath.Join(m.dir, "file"), "")
	for _, environ := range []string{"HOME=" + file, "XDG_CONFIG_HOME=" + file} {
		c, err := Load(Options{Environ: []string{"HOME=" + m.home, environ}, Dir: m.dir, goos: "linux"})
		require.NoError(t, err, environ)
		assert.Empty(t, c.Server.EnvFile)
	}
	for _, home := range []string{"${HOME}", "relative"} {
		c, err := Load(Options{Environ: []string{"HOME=" + home}, Dir: m.dir, goos: "linux"})
		require.NoError(t, err)
		assert.Empty(t, c.Conversations.StateDir, home)
	}
}

func TestBackends(t *testing.T) {
	const url = "DATABASE_URL=postgresql://u:secret-word@db:5432/x"
	for _, word := range []string{"postgres", "PostgreSQL", "supabase", "dual"} {
		c := newMachine(t).mustLoad("CONVERSATION_STORAGE_BACKEND="+word, url)
		assert.Equal(t, "postgres", c.Conversations.Backend, word)
		_, err := newMachine(t).load("CONVERSATION_STORAGE_BACKEND=" + word)
		require.ErrorContains(t, err, `CONVERSATION_STORAGE_BACKEND="`+word+`"`)
		assert.ErrorContains(t, err, "DATABASE_URL=postgresql://")
	}
	for _, bad := range []string{"mysql://u:secret-word@h/d", "postgresql+asyncpg://u:secret-word@h/d", "postgres://u:secret-%word@h/d", "secret-word", "postgres:///d"} {
		_, err := newMachine(t).load("CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL="+bad)
		require.ErrorContains(t, err, `DATABASE_URL="(hidden)"`, bad)
		assert.NotContains(t, err.Error(), "secret-")
		// Another program's DATABASE_URL does not stop the start.
		c := newMachine(t).mustLoad("DATABASE_URL=" + bad)
		require.Len(t, c.Warnings, 1)
		assert.Contains(t, c.Warnings[0], "DATABASE_URL (environment) is not used: CONVERSATION_STORAGE_BACKEND is sqlite")
		assert.NotContains(t, c.Warnings[0], "secret")
	}
	for _, good := range []string{"postgres://h", "host=/run/postgresql dbname=x password=secret-word", "postgresql://u@/d?host=/run"} {
		newMachine(t).mustLoad("CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL="+good)
	}
}

// FuzzProjectFile: whatever a project's .env holds, beside a key of one's own nothing is taken from it, and without one only
// keys and base URLs are.
func FuzzProjectFile(f *testing.F) {
	for _, seed := range []string{
		"", "KIMI_API_KEY=k\nKIMI_API_URL=https://evil\nEXAI_ALLOWED_ROOTS=/\n", "MOONSHOT_API_KEY='k'\nLOG_PROMPTS=true\n", "export GLM_API_KEY=k\nGLM_BASE_URL=nonsense\n",
		"GLM_API_KEY=\"a\nb\"\n", "GLM_API_KEY=${KIMI_API_KEY}\n", "\xef\xbb\xbfGLM_API_KEY: k\nDEFAULT_MODEL=x\n", "GLM_API_KEY=k\n}{\n",
	} {
		f.Add(seed)
	}
	dir, home := f.TempDir(), f.TempDir()
	elsewhere := f.TempDir()
	strip := func(c *Config) *Config {
		c.Warnings, c.Examples, c.Server.EnvFile, c.sources, c.Timeouts.sources = nil, nil, "", nil, nil
		return c
	}
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(filepath.Join(dir, ".env"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		load := func(at string, environ ...string) *Config {
			c, err := Load(Options{Environ: append(environ, "HOME="+home), Dir: at})
			if err != nil {
				if strings.ContainsAny(err.Error(), "\r\n") {
					t.Fatalf("error %q", err)
				}
				return nil
			}
			if n := len(c.Warnings); n > 2 {
				t.Fatalf("%d warnings: %q", n, c.Warnings)
			}
			return strip(c)
		}
		if got, want := load(dir, "GLM_API_KEY=mine"), load(elsewhere, "GLM_API_KEY=mine"); !reflect.DeepEqual(want, got) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		got, want := load(dir), load(elsewhere)
		if got == nil {
			return // a base URL that is not accepted
		}
		want.GLM.APIKey, want.GLM.APIURL, want.Kimi.APIKey, want.Kimi.APIURL = got.GLM.APIKey, got.GLM.APIURL, got.Kimi.APIKey, got.Kimi.APIURL
		if !reflect.DeepEqual(want, got) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

// FuzzLoad: whatever an env file holds, Load gives a configuration or one line that holds no secret.
func FuzzLoad(f *testing.F) {
	for _, seed := range []string{
		"", "GLM_TIMEOUT_SECS=90s\n", "GLM_API_URL=https://u:p@h\n", "KIMI_API_KEY=your_key_here\n", "A='\n'\n", "EXAI_ALLOWED_ROOTS=C:\\a:/b\n",
		"EXPERT_ANALYSIS_TIMEOUT_SECS=1e9\nSIMPLE_TOOL_TIMEOUT_SECS=60\n", "export X: y\n$A=${B}\n", "DATABASE_URL=postgres://a:b@c/d\nCONVERSATION_STORAGE_BACKEND=dual\n",
	} {
		f.Add(seed)
	}
	const secret = "sk-never-to-be-shown"
	file := filepath.Join(f.TempDir(), "fuzz.env")
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text string) {
		if err := os.WriteFile(file, []byte("GLM_API_KEY="+secret+"\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(Options{Environ: []string{"HOME=" + dir}, Dir: dir, EnvFile: file})
		if err != nil {
			if strings.Contains(err.Error(), secret) || strings.ContainsAny(err.Error(), "\r\n") {
				t.Fatalf("error %q", err)
			}
			return
		}
		tc := c.Timeouts
		if max(tc.GLM, tc.Kimi) > tc.SimpleTool || tc.SimpleTool > tc.WorkflowTool || tc.WorkflowTool > tc.Expert || tc.Expert > tc.Daemon() {
			t.Fatalf("order broken: %s", tc.StartLine())
		}
		shown := c.GLM.APIURL
		for _, s := range c.Settings() {
			if s.Name != "LOCALE" && s.Name != "MCP_SERVER_NAME" {
				shown += s.Value
			}
		}
		if !strings.Contains(text, secret) && strings.Contains(shown+strings.Join(c.Warnings, ""), secret) {
			t.Fatal("a setting shows the key")
		}
	})
}

func TestBilling(t *testing.T) {
	for _, c := range []struct {
		vendor, url string
		want        Billing
	}{
		{"glm", "https://api.z.ai/api/paas/v4", BillingTokens},
		{"glm", "https://api.z.ai/api/coding/paas/v4", BillingMaybePlan},
		{"glm", "http://127.0.0.1:8080/v4", BillingTokens},
		{"kimi", "https://api.moonshot.ai/v1", BillingTokens},
		{"kimi", "https://api.kimi.com/coding/v1", BillingPlan},
		{"kimi", "https://notkimi.com/v1", BillingTokens},
		{"lab", "http://localhost:11434/v1", BillingLocal},
		{"lab", "http://[::1]:1234/v1", BillingLocal},
		{"lab", "http://192.168.0.2/v1", BillingTokens},
		{"lab", "http://a b", BillingTokens},
	} {
		v := Vendor{Row: VendorRow{Name: c.vendor}, APIURL: c.url}
		assert.Equal(t, c.want, v.Billing(), c.url)
	}
}

// The file that messages name is the one that a new setting belongs in.
func TestSettingsFile(t *testing.T) {
	assert.Equal(t, "~/.config/exai-mcp/.env", Default().SettingsFile())
	home := t.TempDir()
	own := filepath.Join(home, ".config", "exai-mcp", ".env")
	project := t.TempDir()
	named := filepath.Join(t.TempDir(), "keys.env")
	for _, file := range []string{own, named, filepath.Join(project, ".env")} {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
		require.NoError(t, os.WriteFile(file, []byte("GLM_API_KEY=some-key\n"), 0o600))
	}
	for _, c := range []struct {
		name    string
		environ []string
		flag    string
		goos    string
		want    string
	}{
		{"none there", []string{"HOME=" + filepath.Join(home, "nobody")}, "", "linux", "~/.config/exai-mcp/.env"},
		{"the user's", []string{"HOME=" + home}, "", "linux", "~/.config/exai-mcp/.env"},
		{"another configuration folder", []string{"HOME=" + home, "XDG_CONFIG_HOME=/etc/xdg"}, "", "linux", "/etc/xdg/exai-mcp/.env"},
		{"named by the flag", []string{"HOME=" + home}, named, "linux", named},
		{"named by the environment", []string{"HOME=" + home, "ENV_FILE=" + named}, "", "linux", named},
		{"the project's is not the user's", []string{"HOME=" + filepath.Join(home, "nobody")}, "", "linux", "~/.config/exai-mcp/.env"},
		{"Windows has no ~", []string{"USERPROFILE=" + home}, "", "windows", own},
		{"no home", nil, "", "linux", "a file of your own that ENV_FILE names"},
	} {
		cfg, err := Load(Options{Environ: append(c.environ, "EXAI_STATE_DIR="+home), Dir: project, EnvFile: c.flag, goos: c.goos})
		require.NoError(t, err, c.name)
		assert.Equal(t, c.want, cfg.SettingsFile(), c.name)
	}
}

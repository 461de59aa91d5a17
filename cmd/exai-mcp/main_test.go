package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/clients"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/review"
)

// TestMain lets the test binary stand in for the program, where a test needs it as a process of its own. Local times are UTC in
// the tests themselves, since the documents' captures show some.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == "serve" || os.Args[1] == "review" || os.Getenv(asProgram) != "") {
		main()
	}
	time.Local = time.UTC
	os.Exit(m.Run())
}

// asProgram is set for a test binary that is to be the program, whatever its arguments are.
const asProgram = "EXAI_TEST_AS_PROGRAM"

// site is where the program runs in a test: emulated vendors, a folder of its own, an environment.
type site struct {
	t       *testing.T
	vendors *emulator.Emulator
	dir     string
	environ []string
	listen  func(line string) // hears what servers write to stdout; may be nil
}

func newSite(t *testing.T, settings ...string) *site {
	vendors, err := emulator.Start(emulator.LoadTime(scaled(emulator.UsualLoadTime)))
	require.NoError(t, err)
	t.Cleanup(vendors.Close)
	s := &site{t: t, vendors: vendors, dir: t.TempDir()}
	s.environ = append([]string{
		"PATH=" + os.Getenv("PATH"), homeVariable + "=" + s.dir, "XDG_CONFIG_HOME=" + s.dir,
		"EXAI_STATE_DIR=" + filepath.Join(s.dir, "state"), "LOG_LEVEL=debug",
		"GLM_API_KEY=" + emulator.GLMKey, "GLM_API_URL=" + vendors.GLMURL(),
		"KIMI_API_KEY=" + emulator.KimiKey, "KIMI_API_URL=" + vendors.KimiURL(),
	}, settings...)
	return s
}

// run runs the program to its end. No key may be in what it prints.
func (s *site) run(stdin string, args ...string) (code int, out, errs string) {
	s.t.Helper()
	var o, e bytes.Buffer
	code = run(s.t.Context(), args, s.environ, strings.NewReader(stdin), &o, &e)
	s.noKeyIn(o.String() + e.String())
	return code, o.String(), e.String()
}

func (s *site) noKeyIn(text string) {
	s.t.Helper()
	for _, key := range []string{emulator.GLMKey, emulator.KimiKey} {
		assert.NotContains(s.t, text, key)
	}
}

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		name     string
		args     []string
		settings []string
		code     int
		stderr   string // a part of it; one line in any case
	}{
		{"version", []string{"version"}, nil, exitOK, ""},
		{"help", []string{"--help"}, nil, exitOK, ""},
		{"config", []string{"config"}, nil, exitOK, ""},
		{"unknown command", []string{"chat"}, nil, exitUsage, `"exai-mcp call TOOL" calls a tool`},
		{"misspelt command", []string{"revew"}, nil, exitUsage, `unknown command "revew"; did you mean review? "exai-mcp --help"`},
		{"misspelt subcommand", []string{"issues", "shwo"}, nil, exitUsage, `unknown command "shwo" of "exai-mcp issues"; did you mean show?`},
		{"unknown flag", []string{"doctor", "--nope"}, nil, exitUsage, `--nope; "exai-mcp doctor --help" lists the flags`},
		{"a flag's value that is no number", []string{"usage", "--days", "x"}, nil, exitUsage, `exai-mcp: --days: expected a whole number, got "x"; "exai-mcp usage --help" lists the flags`},
		{"a flag's value that is no duration", []string{"review", "--timeout", "soon"}, nil, review.ExitFailed, `--timeout: expected a duration such as 90s or 5m, got "soon"; "exai-mcp review --help"`},
		{"unknown shell", []string{"completion", "foo"}, nil, exitUsage, `unknown command "foo" of "exai-mcp completion"; "exai-mcp completion --help"`},
		{"completion's help", []string{"completion"}, nil, exitOK, ""},
		{"too few arguments", []string{"call"}, nil, exitUsage, "expected 1 to 2 arguments, got 0; usage: exai-mcp call TOOL [JSON or -]"},
		{"arguments that are no object", []string{"call", "chat", "[1]"}, nil, exitUsage, "must be a JSON object, such as"},
		{"no arguments on stdin", []string{"call", "chat", "-"}, nil, exitUsage, "must be a JSON object, such as"},
		{"arguments that are no JSON", []string{"call", "chat", `{"prompt":"a" "b"}`}, nil, exitUsage, "'\"' after object key:value pair, at byte 15 of 18"},
		{"bad setting", nil, []string{"GLM_TIMEOUT_SECS=soon"}, exitUsage, `GLM_TIMEOUT_SECS="soon" (environment): accepted: `},
		{"limits out of order", nil, []string{"SIMPLE_TOOL_TIMEOUT_SECS=5"}, exitUsage, "SIMPLE_TOOL_TIMEOUT_SECS"},
		{"bad model", []string{"tools"}, []string{"DEFAULT_MODEL=gpt-9"}, exitUsage, "DEFAULT_MODEL"},
		{"no such settings file", []string{"--env-file", "/nonexistent/env", "config"}, nil, exitUsage, "/nonexistent/env"},
		{"unknown tool", []string{"call", "nope"}, nil, exitFailed, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSite(t, append(c.settings, "LOG_LEVEL=error")...)
			code, out, errs := s.run("", c.args...)
			assert.Equal(t, c.code, code, errs)
			assert.Contains(t, errs, c.stderr)
			assert.LessOrEqual(t, strings.Count(errs, "\n"), 1, errs)
			assert.Equal(t, c.code == exitUsage || c.code == review.ExitFailed, out == "", "wrong usage prints nothing on stdout, all else does: %q", out)
		})
	}
}

func TestVersionAsJSON(t *testing.T) {
	s := newSite(t)
	code, out, errs := s.run("", "version", "--json")
	require.Equal(t, exitOK, code, errs)
	var v struct {
		Version, Go, Platform string
		MCP                   []string
	}
	require.NoError(t, json.Unmarshal([]byte(out), &v), out)
	assert.NotEmpty(t, v.Version)
	assert.Contains(t, v.MCP, "2025-11-25")
	assert.Regexp(t, `^\w+/\w+$`, v.Platform)
}

func TestVersionAndHelp(t *testing.T) {
	s := newSite(t)
	_, out, _ := s.run("", "version")
	_, flag, _ := s.run("", "--version")
	for _, command := range [][]string{{"review"}, {"call", "chat"}, {"issues", "list"}} {
		code, out, _ := s.run("", append(command, "--version")...)
		assert.Zero(t, code, "%v", command)
		assert.Equal(t, flag, out, "%v", command)
	}
	assert.Equal(t, out, flag)
	for _, want := range []string{"exai-mcp ", "go1.", "2026-07-28, 2025-11-25, 2025-06-18, 2025-03-26, 2024-11-05"} {
		assert.Contains(t, out, want)
	}
	_, out, _ = s.run("", "--help")
	for _, want := range []string{"serve", "call", "tools", "doctor", "config", "demo", "version", "completion", "Exit codes"} {
		assert.Contains(t, out, want)
	}
}

// A cloned project's .env has no say when the user has a key: not in what is read, written or sent, and each command says so.
func TestHostileProjectFile(t *testing.T) {
	theirs, err := emulator.Start()
	require.NoError(t, err)
	defer theirs.Close()
	s := newSite(t, "KIMI_API_KEY=", "KIMI_API_URL=", "LOG_LEVEL=warn", "XDG_CONFIG_HOME="+t.TempDir())
	project, victim := t.TempDir(), filepath.Join(s.dir, ".bashrc")
	require.NoError(t, os.WriteFile(victim, []byte("alias ll='ls -l'\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(project, ".env"), []byte("KIMI_API_KEY="+theirs.Key(emulator.Kimi)+"\nKIMI_API_URL="+theirs.KimiURL()+
		"\nDEFAULT_MODEL=kimi-k3\nEXAI_ALLOWED_ROOTS="+s.dir+"\nEX_TOOLCALL_LOG_PATH="+victim+"\nLOG_PROMPTS=true\n"), 0o600))
	t.Chdir(project)

	code, out, _ := s.run("", "call", "chat", `{"prompt":"attacker's text","files":["`+filepath.ToSlash(victim)+`"]}`)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, `"path_denied"`)
	code, out, errs := s.run("", "call", "chat", `{"prompt":"attacker's text"}`)
	assert.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, `"provider_used": "glm"`)
	assert.Empty(t, theirs.Requests(), "nothing is sent to the address of the project")
	text, err := os.ReadFile(victim)
	require.NoError(t, err)
	assert.Equal(t, "alias ll='ls -l'\n", string(text))

	const ignored = "ignored DEFAULT_MODEL, EXAI_ALLOWED_ROOTS, EX_TOOLCALL_LOG_PATH, KIMI_API_KEY, KIMI_API_URL, LOG_PROMPTS: "
	const remedy = "To use this file, start with --env-file .env, or move these settings to "
	_, doctor, _ := s.run("", "doctor", "--offline")
	_, status, _ := s.run("", "call", "status")
	_, settings, _ := s.run("", "config")
	c := s.serve()
	c.handshake("2025-11-25")
	c.closeInput()
	for what, text := range map[string]string{"doctor": doctor, "status": status, "config": settings, "start": c.errs.String()} {
		assert.Equal(t, 1, strings.Count(text, ignored), what)
		assert.Contains(t, text, remedy, what)
	}

	s.environ = append(s.environ, "GLM_API_KEY=", "GLM_API_URL=")
	for _, client := range clients.Names() {
		_, out, _ := s.run("", "config", "--client", client)
		assert.NotContains(t, out, "--env-file", "named there, the project's file would count in full")
	}
}

// Whatever setting a cloned project's .env has, the program's are what they would be without it.
func TestHostileProjectFileChangesNoSetting(t *testing.T) {
	s := newSite(t, "KIMI_API_KEY=", "KIMI_API_URL=", "LOG_LEVEL=error", "XDG_CONFIG_HOME="+t.TempDir())
	settings := func() (all []struct{ Name, Value, Source string }) {
		code, out, errs := s.run("", "config", "--json")
		require.Equal(t, exitOK, code, errs)
		var c struct {
			Settings []struct{ Name, Value, Source string }
		}
		require.NoError(t, json.Unmarshal([]byte(out), &c), out)
		return c.Settings
	}
	project := t.TempDir()
	t.Chdir(project)
	before := settings()
	require.Greater(t, len(before), 90)
	for _, value := range []string{"/tmp/x", "1", "true", "send", "postgres", "https://evil.example/v1", "sk-0123456789abcdef0123456789abcdef"} {
		text := "HTTPS_PROXY=http://evil.example\nALL_PROXY=http://evil.example\nSSL_CERT_FILE=/tmp/x\nPATH=/tmp/x\nHOME=/tmp/x\nENV_FILE=/tmp/x\nOLLAMA_HOST=evil.example\n"
		for _, setting := range before {
			text += setting.Name + "=" + value + "\n"
		}
		require.NoError(t, os.WriteFile(filepath.Join(project, ".env"), []byte(text), 0o600))
		assert.Equal(t, before, settings(), value)
		code, _, errs := s.run("", "call", "chat", `{"prompt":"hi"}`)
		assert.Equal(t, exitOK, code, errs)
		_, out, errs := s.run("", "review")
		assert.NotContains(t, out+errs, "evil.example")
	}
}

func TestDoctorNamesTheFileThatStillHoldsTheExampleKey(t *testing.T) {
	s := newSite(t, "GLM_API_KEY=", "KIMI_API_KEY=")
	file := filepath.Join(s.dir, "exai-mcp", ".env")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o700))
	require.NoError(t, os.WriteFile(file, []byte("GLM_API_KEY=your_glm_api_key_here\n"), 0o600)) // the README's first step, word by word
	code, out, _ := s.run("", "doctor", "--offline")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "GLM_API_KEY (file "+file+") still contains the example text")
}

func TestConfig(t *testing.T) {
	s := newSite(t, "ANSWER_WITHIN_SECS=50")
	code, out, _ := s.run("", "config")
	assert.Equal(t, exitOK, code)
	assert.Regexp(t, `ANSWER_WITHIN_SECS +50s? +environment`, out)
	assert.Regexp(t, `GLM_API_KEY +\*{8} +environment`, out)
	assert.Regexp(t, `MAX_RETRIES +4 +default`, out)
}

// What a model writes must not act on the terminal that shows it.
func TestCallEscapesWhatCouldActOnATerminal(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	s.vendors.On(emulator.Match{}, emulator.Say("(emulated) \u009b31m \x7f \u202e evil \u2066 end"))
	code, out, _ := s.run("\xef\xbb\xbf"+`{"prompt":"x"}`, "call", "chat", "-") // with a byte order mark
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, `"content": "(emulated) \u009b31m \u007f \u202e evil \u2066 end"`)
}

func TestCallPrintsTheContentAlone(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	s.vendors.On(emulator.Match{}, emulator.Say("(emulated) first \u202e\nsecond\n"))
	code, out, _ := s.run("", "call", "--text", "chat", `{"prompt":"x"}`)
	assert.Equal(t, exitOK, code)
	assert.Equal(t, "(emulated) first \\u202e\nsecond\n", out)
	code, out, errs := s.run("", "call", "--text", "chat", `{"prompt":"x","model":"gpt-9"}`)
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out)
	assert.Contains(t, errs, `Unknown model "gpt-9". listmodels shows every name`, "with what to do")
	code, out, errs = s.run("", "call", "--text", "planner", `{"step":"x"}`)
	assert.Equal(t, exitFailed, code)
	assert.Empty(t, out)
	assert.Regexp(t, `no content; omit --text to see all of it; "exai-mcp conversations show [0-9a-f-]{36}" shows`, errs)
}

func TestToolsShowsParameters(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	_, out, _ := s.run("", "tools", "codereview")
	for _, want := range []string{"codereview (", "Parameters:", "\n  step  string  (required)\n", "  relevant_files  list of string\n", "  severity_filter  critical|high|medium|low|all"} {
		assert.Contains(t, out, want)
	}
	for line := range strings.Lines(out) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), 100, line)
	}
	_, help, _ := s.run("", "call", "codereview", "--help")
	assert.Equal(t, out, help)
	_, help, _ = s.run("", "call", "--help")
	assert.Contains(t, help, "exai-mcp call TOOL [JSON or -]")
	_, out, _ = s.run("", "tools", "version", "--json")
	assert.True(t, strings.HasPrefix(out, `{"name":"version",`), out)
	code, _, errs := s.run("", "tools", "code_review")
	assert.Equal(t, exitUsage, code)
	assert.Contains(t, errs, `unknown tool "code_review"; did you mean codereview?`)
	code, help, errs = s.run("", "call", "code_review", "--help")
	assert.Equal(t, exitUsage, code)
	assert.Empty(t, help)
	assert.Contains(t, errs, "did you mean codereview?")
}

func TestPurpose(t *testing.T) {
	for description, want := range map[string]string{
		"Use to store a file at Z.ai for its agent API. Chats can't read it: use chat.": "Store a file at Z.ai for its agent API",
		"Ask another model: test an idea; weigh a design.":                              "Ask another model",
		"Use before you name a model.":                                                  "Use before you name a model",
	} {
		assert.Equal(t, want, purpose(description))
	}
}

// fullDisk takes nothing.
type fullDisk struct{ err error }

func (f fullDisk) Write([]byte) (int, error) { return 0, f.err }

func TestOutputThatCanNotBeWritten(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error", "CONVERSATION_STORAGE_BACKEND=memory")
	for _, args := range [][]string{
		{"version"}, {"--version"}, {"--help"}, {"tools"}, {"tools", "--json"}, {"config"}, {"doctor", "--offline"}, {"call", "listmodels"},
	} {
		name := strings.Join(args, " ")
		var errs bytes.Buffer
		code := run(t.Context(), args, s.environ, strings.NewReader(""), fullDisk{syscall.ENOSPC}, &errs)
		assert.Equal(t, exitFailed, code, name)
		assert.Contains(t, errs.String(), "exai-mcp: write the output: no space left on device\n", name)

		errs.Reset()
		code = run(t.Context(), args, s.environ, strings.NewReader(""), fullDisk{syscall.EPIPE}, &errs)
		assert.Equal(t, exitOK, code, name)
		assert.NotContains(t, errs.String(), "pipe", name)
	}
	var errs bytes.Buffer
	code := run(t.Context(), []string{"call", "nope"}, s.environ, strings.NewReader(""), fullDisk{syscall.EPIPE}, &errs)
	assert.Equal(t, exitFailed, code, "the command's own exit code stays")
}

// Without a home folder, or with a state folder that can't be used, the server starts and keeps conversations in memory.
func TestServesWithoutAStateFolder(t *testing.T) {
	for name, settings := range map[string][]string{
		"no home":           {homeVariable + "=", "XDG_CONFIG_HOME=", "EXAI_STATE_DIR=", "XDG_STATE_HOME=", "LOCALAPPDATA="},
		"no folder as home": {homeVariable + "=" + os.DevNull, "XDG_CONFIG_HOME=", "EXAI_STATE_DIR=", "XDG_STATE_HOME=", "LOCALAPPDATA="},
		"an unusable path":  {"EXAI_STATE_DIR=" + filepath.Join(os.DevNull, "x")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, append(settings, "LOG_LEVEL=error")...)
			code, out, errs := s.run("", "call", "chat", `{"prompt":"x"}`)
			assert.Equal(t, exitOK, code, errs)
			assert.Contains(t, out, `"stored": false`)
			_, out, _ = s.run("", "call", "status")
			assert.Contains(t, out, `"state": "in memory"`)
			code, out, _ = s.run("", "doctor", "--offline")
			assert.Equal(t, exitFailed, code)
			assert.Contains(t, out, "set EXAI_STATE_DIR")
			c := s.serve()
			c.handshake("2025-11-25")
			code, _ = c.closeInput()
			assert.Equal(t, exitOK, code)
		})
	}
}

func TestCall(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=warn")
	s.vendors.On(emulator.Match{Text: "name two"}, emulator.Say("(emulated) one, two").With(emulator.DelayHeaders(300*time.Millisecond)))
	code, out, errs := s.run(`{"prompt":"name two"}`, "call", "chat", "-")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, out, `"content": "(emulated) one, two"`)
	assert.Contains(t, errs, "continuation_id=", "progress")

	code, out, _ = s.run("", "call", "chat", `{"prompt":""}`)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, `"code": "invalid_request"`)
}

func TestCallWaitsForAnAnswerThatALimitCutShort(t *testing.T) {
	slow := func() *site {
		s := newSite(t, limits("LOG_LEVEL=error", "GLM_TIMEOUT_SECS=1", "KIMI_TIMEOUT_SECS=1", "SIMPLE_TOOL_TIMEOUT_SECS=1")...)
		s.vendors.On(emulator.Match{Vendor: emulator.GLM},
			emulator.Say("(emulated) ", "a ", "b ", "c ", "d ", "e ", "f ", "g").Every(scaled(250*time.Millisecond)))
		return s
	}
	t.Run("to its end", func(t *testing.T) {
		code, out, _ := slow().run("", "call", "chat", `{"prompt":"alphabet","model":"glm-5.3-flash"}`)
		assert.Equal(t, exitOK, code)
		assert.Contains(t, out, `"content": "(emulated) a b c d e f g"`)
	})
	t.Run("but not with --limit", func(t *testing.T) {
		_, out, _ := slow().run("", "call", "--limit", "chat", `{"prompt":"alphabet","model":"glm-5.3-flash"}`)
		assert.Contains(t, out, `"status": "partial"`)
	})
}

func TestTools(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error", "DISABLED_TOOLS=challenge,nonsense")
	code, out, errs := s.run("", "tools")
	assert.Equal(t, exitOK, code)
	assert.Regexp(t, `(?m)^chat +Ask another model for a second opinion$`, out)
	assert.Regexp(t, `(?m)^activity +See what is running$`, out, "without \"Use to\"")
	assert.NotContains(t, out, "challenge")
	assert.Regexp(t, `\d+ tools; tools/list is \d+ characters long\.`, out)
	assert.Contains(t, errs, "nonsense", "a name that no tool has")

	_, out, _ = s.run("", "tools", "--json")
	assert.True(t, strings.HasPrefix(out, `{"tools":[{"name":`), out)
}

func TestDoctor(t *testing.T) {
	t.Run("no problem", func(t *testing.T) {
		s := newSite(t)
		code, out, errs := s.run("", "doctor")
		assert.Equal(t, exitOK, code, out)
		assert.Empty(t, errs)
		for _, want := range []string{"GLM (Z.ai) takes the key (environment) and lists", "Kimi (Moonshot) takes the key", "database sqlite at", "No problems found; 0 keys not checked."} {
			assert.Contains(t, out, want)
		}
	})
	t.Run("in a Claude Code that was started at home", func(t *testing.T) {
		s := newSite(t)
		s.environ = append(s.environ, "CLAUDE_PROJECT_DIR="+s.dir)
		code, out, _ := s.run("", "doctor", "--offline")
		assert.Equal(t, exitOK, code, out)
		assert.Contains(t, strings.Join(strings.Fields(out), " "), s.dir+", where Claude Code was started, may not be read: it is the home folder")
	})
	t.Run("offline", func(t *testing.T) {
		s := newSite(t)
		code, out, _ := s.run("", "doctor", "--offline")
		assert.Equal(t, exitOK, code, out)
		assert.Empty(t, s.vendors.Requests())
	})
	t.Run("live", func(t *testing.T) {
		s := newSite(t)
		code, out, _ := s.run("", "doctor", "--live")
		assert.Equal(t, exitOK, code, out)
		assert.Regexp(t, `glm: glm-\S+ answered in \S+, the first text after \S+; \d+ tokens in, \d+ out, \$0\.\d+`, out)
		assert.Regexp(t, `kimi: kimi-\S+ answered in`, out)
		assert.Regexp(t, `glm: a search found 1 page in \S+; \$0\.01`, out)
		assert.Regexp(t, `kimi: \d+\.\d\d USD left on the account`, out)
		s.vendors.On(emulator.Match{Vendor: emulator.Kimi}, emulator.Fail(emulator.VendorError(429, "exceeded_current_quota_error", "x")))
		code, out, _ = s.run("", "doctor", "--live")
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, out, "FAIL    kimi: a chat failed")
	})
	t.Run("an address where nobody is", func(t *testing.T) {
		s := newSite(t, "GLM_API_URL=http://127.0.0.1:1", "MAX_RETRIES=0")
		code, out, _ := s.run("", "doctor", "--live")
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, out, "FAIL    GLM (Z.ai) at http://127.0.0.1:1 did not answer as it should")
		assert.NotContains(t, out, "does not work", "nothing is known about the key")
		assert.NotContains(t, out, "glm: a chat", "a vendor that can't be reached is not asked twice")
		assert.Contains(t, out, "kimi: kimi-")
		assert.Contains(t, out, "1 problem found; 1 key not checked.")
	})
	t.Run("an address without a list of models", func(t *testing.T) {
		nothing := httptest.NewServer(http.NotFoundHandler())
		defer nothing.Close()
		s := newSite(t, "GLM_API_URL="+nothing.URL)
		code, out, _ := s.run("", "doctor")
		assert.Contains(t, out, "note    GLM (Z.ai) at "+nothing.URL+" has no list of models")
		assert.True(t, strings.HasSuffix(out, "No problems found; 1 key not checked.\n"), out)
		assert.Equal(t, exitFailed, code, "a wrong path may hide a wrong key")
		code, out, _ = s.run("", "doctor", "--offline")
		assert.Equal(t, exitOK, code)
		assert.True(t, strings.HasSuffix(out, "No problems found; 2 keys not checked.\n"), out)
	})
	t.Run("settings of the working directory", func(t *testing.T) {
		s := newSite(t, "GLM_API_KEY=", "KIMI_API_KEY=")
		t.Chdir(s.dir)
		require.NoError(t, os.WriteFile(".env", []byte("KIMI_API_KEY=sk-of-the-folder\n"), 0o600))
		_, out, _ := s.run("", "doctor", "--offline")
		assert.Contains(t, out, ".env belongs to this folder: only its keys and their base URLs are used")
		assert.NotContains(t, out, ".config", "XDG_CONFIG_HOME is set")
	})
	t.Run("models that are gone", func(t *testing.T) {
		s := newSite(t, "KIMI_QUALITY_MODEL=kimi-thinking-preview", "KIMI_SPEED_MODEL=kimi-k3", "KIMI_ALLOWED_MODELS=kimi-k3.1-pro", "GLM_API_KEY=")
		_, out, _ := s.run("", "doctor", "--offline")
		assert.Contains(t, out, "ok      1 model may be asked")
		assert.Regexp(t, `note    KIMI_QUALITY_MODEL=kimi-thinking-preview: kimi-thinking-preview was retired on \S+; kimi-\S+ answers in its place\.`, out)
		assert.Contains(t, out, "note    KIMI_SPEED_MODEL=kimi-k3: kimi-k3 is not among the models that may be asked.")
		assert.NotContains(t, out, "kimi-k2.6 retires", "it may not be asked")
	})
	t.Run("git outside of PATH", func(t *testing.T) {
		s := newSite(t)
		s.environ = append(s.environ, "PATH=")
		t.Setenv("PATH", "")
		_, out, _ := s.run("", "doctor", "--offline")
		assert.NotContains(t, out, "not in PATH:", "the server finds it in the usual places")
	})
	t.Run("a key that is refused", func(t *testing.T) {
		s := newSite(t, "GLM_API_KEY=00000000000000000000000000000000.wrongwrongwrong1")
		code, out, _ := s.run("", "doctor")
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, out, "FAIL    GLM (Z.ai): the key (environment) does not work")
		assert.Contains(t, out, "GLM_API_URL", "the hint names the mix-up of regions")
		assert.NotContains(t, out, "wrongwrong")
	})
	t.Run("no key at all", func(t *testing.T) {
		s := newSite(t, "GLM_API_KEY=", "KIMI_API_KEY=")
		code, out, _ := s.run("", "doctor")
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, out, "set GLM_API_KEY")
		assert.Contains(t, out, filepath.Join("exai-mcp", ".env")+", or in the client's settings")
		assert.NotContains(t, out, ".config", "XDG_CONFIG_HOME is set")
	})
	t.Run("a state folder that can't be", func(t *testing.T) {
		s := newSite(t)
		require.NoError(t, os.WriteFile(filepath.Join(s.dir, "state"), nil, 0o600))
		code, out, _ := s.run("", "doctor", "--offline")
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, out, "set EXAI_STATE_DIR")
		assert.Contains(t, out, "1 problem found; 2 keys not checked.", "one cause is told once")
	})
	t.Run("a bad setting", func(t *testing.T) {
		s := newSite(t, "MAX_RETRIES=many")
		code, out, _ := s.run("", "doctor")
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, out, "MAX_RETRIES")
	})
}

func TestLogsHoldNoKey(t *testing.T) {
	s := newSite(t)
	cfg, err := (&app{environ: s.environ}).load()
	require.NoError(t, err)
	var out bytes.Buffer
	p, err := (&app{environ: s.environ}).assemble(cfg, &out)
	require.NoError(t, err)
	defer p.close(time.Now().Add(time.Second))
	p.log.Sugar().Infof("a careless line with %s in it", emulator.GLMKey)
	assert.Contains(t, out.String(), "a careless line with ******** in it")
}

func TestDemo(t *testing.T) {
	s := newSite(t, "GLM_API_KEY=a-real-key-of-the-user", "LOG_LEVEL=debug", "COLUMNS=120")
	out, errs := s.demo()
	assert.NotContains(t, out+errs, "a-real-key-of-the-user")
	assert.Empty(t, errs)
	for _, want := range []string{
		"speaks MCP 2025-11-25", "-> chat\n", "status: continuation_available", "; kimi; ", "citation: verified", "citation: not_found",
		"status: consensus_workflow_complete", "emulated page", "limit: GLM_TIMEOUT_SECS=2s", "status: partial",
		"a long answer takes its time.", "the server was gone after", "verdict: changes_required", "citation: unproven", "judgement: wrong",
		"tool: read_file", "how: whole",
	} {
		assert.Contains(t, out, want)
	}
	for _, line := range strings.Split(out, "\n") {
		if strings.HasPrefix(line, "   content: ") && !strings.Contains(line, "sent nothing") {
			assert.Contains(t, line, "emulated", "every emulated answer says so")
		}
	}
	onLinux(t)
	captureDemo(t, out, 120)
}

// The emulator alone serves a server that is given the settings which it prints.
func TestDemoEmulatorAlone(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	ctx, cancel := context.WithCancel(t.Context())
	out, printed := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"demo", "--emulator"}, s.environ, strings.NewReader(""), printed, io.Discard)
		printed.Close()
	}()
	var settings []string
	lines := bufio.NewScanner(out)
	for len(settings) < 4 && lines.Scan() {
		settings = append(settings, lines.Text())
	}
	file := filepath.Join(s.dir, "emulated.env")
	require.NoError(t, os.WriteFile(file, []byte(strings.Join(settings, "\n")), 0o600))
	s.environ = append(s.environ, "GLM_API_KEY=", "GLM_API_URL=", "KIMI_API_KEY=", "KIMI_API_URL=")
	for _, model := range []string{"glm-5.3-flash", "kimi-k3"} {
		code, answer, errs := s.run("", "--env-file", file, "call", "chat", `{"prompt":"hello","model":"`+model+`"}`)
		assert.Equal(t, exitOK, code, errs)
		assert.Contains(t, answer, "emulated")
	}
	assert.Empty(t, s.vendors.Requests(), "other vendors were asked")
	cancel()
	assert.Equal(t, exitOK, <-ended)
}

func TestASignalEndsTheDemo(t *testing.T) {
	s := newSite(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out, errs bytes.Buffer
	assert.Equal(t, exitFailed, run(ctx, []string{"demo"}, s.environ, strings.NewReader(""), &out, &errs))
}

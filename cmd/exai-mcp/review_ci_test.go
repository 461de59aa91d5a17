package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// action.yml is valid, and no input of it becomes the text of a script.
func TestActionFile(t *testing.T) {
	var action map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "../../action.yml")), &action))
	// testdata/github-action-schema.json is SchemaStore's (Apache License 2.0), as check-jsonschema 0.39.0 ships it.
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(read(t, "testdata/github-action-schema.json")))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("action.json", doc))
	schema, err := c.Compile("action.json")
	require.NoError(t, err)
	require.NoError(t, schema.Validate(action))

	script := read(t, "../../scripts/action.sh")
	for _, step := range action["runs"].(map[string]any)["steps"].([]any) {
		step := step.(map[string]any)
		assert.Equal(t, "bash", step["shell"])
		assert.NotContains(t, step["run"], "${{")
		for name := range step["env"].(map[string]any) {
			assert.Contains(t, script, name, "the script reads it")
		}
	}
	for name, output := range action["outputs"].(map[string]any) {
		assert.Contains(t, output.(map[string]any)["value"], "outputs."+name)
		assert.Contains(t, script, "output "+name+" ")
	}
}

// The hooks of the pre-commit framework and GitLab's job call review with flags that it has.
func TestHookAndTemplateFlags(t *testing.T) {
	var hooks []map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "../../.pre-commit-hooks.yaml")), &hooks))
	require.Len(t, hooks, 2)
	commands := []string{}
	for _, h := range hooks {
		assert.Equal(t, false, h["pass_filenames"])
		assert.Equal(t, true, h["require_serial"])
		commands = append(commands, h["entry"].(string))
		assert.Contains(t, h["entry"], h["stages"].([]any)[0].(string))
	}
	var job map[string]map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "../../ci/exai-review.gitlab-ci.yml")), &job))
	commands = append(commands, job["exai-review"]["script"].([]any)[0].(string))
	commands = append(commands, regexp.MustCompile(`args=\((.*)\)`).FindStringSubmatch(read(t, "../../scripts/action.sh"))[1])
	flags := (&app{}).reviewCommand().Flags()
	for _, command := range commands {
		for _, flag := range regexp.MustCompile(`--([a-z-]+)`).FindAllStringSubmatch(command, -1) {
			assert.NotNil(t, flags.Lookup(flag[1]), command)
		}
	}
}

// The step of the action: annotations, summary, outputs and exit code.
func TestActionScript(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here")
	}
	script, err := filepath.Abs("../../scripts/action.sh")
	require.NoError(t, err)
	program, err := os.Executable()
	require.NoError(t, err)
	g := newGate(t)
	g.judge(`{"findings":[{"severity":"high","file":"a.go","line":3,"title":"Divides by zero","quote":"func F(a, b int) int { return a / b } // PLANTED",` +
		`"fix":"::error::forged\n##[error]forged"}]}`)
	g.commit("b.go", "package a\n")
	before := g.head()
	g.commit("a.go", defective)

	step := func(settings ...string) (code int, log, outputs, summary string) {
		t.Helper()
		temp := t.TempDir()
		cmd := exec.Command(bash, script)
		cmd.Dir = g.repo
		cmd.Env = append(append(append([]string{}, g.environ...), "RUNNER_TEMP="+temp, "REVIEW_PROGRAM="+program, "GITHUB_OUTPUT="+temp+"/outputs",
			"GITHUB_STEP_SUMMARY="+temp+"/summary"), settings...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit, string(out))
			code = exit.ExitCode()
		}
		one, _ := os.ReadFile(temp + "/outputs")
		two, _ := os.ReadFile(temp + "/summary")
		g.noKeyIn(string(out))
		return code, string(out), string(one), string(two)
	}
	code, log, outputs, summary := step("REVIEW_BASE=" + before)
	assert.Equal(t, 1, code, log)
	assert.Contains(t, log, "::error file=a.go,line=3,title=high%3A Divides by zero::")
	for line := range strings.Lines(log) {
		assert.NotRegexp(t, `^\s*(::error::|##\[)forged`, line, "a model's text is not a command")
	}
	assert.Equal(t, "verdict=changes_required\nexit-code=1\n", outputs)
	assert.Contains(t, summary, "\n    high      a.go:3")
	assert.Contains(t, summary, "        ::error::forged")

	sarif := filepath.Join(t.TempDir(), "x.sarif")
	code, log, _, _ = step("REVIEW_BASE="+before, "REVIEW_SARIF="+sarif, "REVIEW_FAIL_ON=critical")
	assert.Equal(t, 0, code, log)
	written, err := os.ReadFile(sarif)
	require.NoError(t, err)
	assert.True(t, bytes.Contains(written, []byte(`"2.1.0"`)))

	code, log, outputs, _ = step("REVIEW_BASE="+strings.Repeat("0", 40), "REVIEW_DEFAULT_BRANCH=nope")
	assert.Equal(t, 3, code, log)
	assert.Contains(t, log, `::warning title=exai review::exai-mcp: not reviewed: "origin/nope" names no commit`)
	assert.Equal(t, "verdict=not_reviewed\nexit-code=3\n", outputs)

	code, log, outputs, _ = step("GLM_API_KEY=", "KIMI_API_KEY=")
	assert.Equal(t, 0, code, "pull requests of forks have no keys: "+log)
	assert.Contains(t, log, "::notice title=exai review::Not reviewed")
	assert.Contains(t, outputs, "verdict=not_reviewed")

	g.vendors.Always(emulator.Match{}, func(emulator.Request) emulator.Reply { return emulator.Say("100% prose") })
	code, log, _, _ = step("REVIEW_BASE="+before, "REVIEW_FAIL_ON=medium; echo injected")
	assert.Equal(t, 3, code)
	assert.NotRegexp(t, `(?m)^injected`, log)
}

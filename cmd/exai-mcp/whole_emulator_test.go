package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// emulated is a site whose vendors are those of demo --emulator.
func emulated(t *testing.T, settings ...string) *site {
	vendors, err := emulator.Start(emulator.Demo(), emulator.Reading())
	require.NoError(t, err)
	t.Cleanup(vendors.Close)
	s := newSite(t, append([]string{"LOG_LEVEL=error"}, settings...)...)
	s.vendors = vendors
	s.environ = append(s.environ, "GLM_API_URL="+vendors.GLMURL(), "KIMI_API_URL="+vendors.KimiURL())
	return s
}

// The vendors of demo --emulator answer every tool validly, about a project that they have never seen: findings cite a line that
// is there, and every verdict can be reached.
func TestTheEmulatorAnswersEveryToolValidly(t *testing.T) {
	s := emulated(t)
	source := filepath.Join(s.project(), "add.go")
	p := s.serveHere()
	for _, model := range []string{"", "glm-5.3", "glm-5.3-flash", "kimi-k3.1-pro"} {
		for tool, args := range everyTool("Judge the sums.", source, s.file("project/upload.txt", "text")) {
			expert := slices.Contains([]string{"thinkdeep", "debug", "analyze", "codereview", "refactor", "secaudit", "testgen", "precommit"}, tool)
			if model != "" && !expert {
				continue
			}
			if model != "" {
				args["model"] = model
			}
			r := p.call(tool, args)
			require.NotEqual(t, "error", r.str("status"), "%s: %s", tool, r.text)
			if expert && tool != "thinkdeep" {
				assertFormed(t, r, tool)
			}
			if expert {
				looked, _ := r.object["looked_at"].([]any)
				assert.Equal(t, !strings.Contains(r.str("metadata", "model_used"), "flash"), len(looked) > 0, "%s %s: %s", tool, model, r.text)
			}
		}
	}
}

// assertFormed reports an expert's answer that is not in its form, or whose finding the server could not verify.
func assertFormed(t *testing.T, r *toolReply, tool string) {
	t.Helper()
	analysis, _ := r.object["expert_analysis"].(object)
	require.Equal(t, "analysis_complete", analysis["status"], "%s: %s", tool, r.text)
	assert.NotContains(t, analysis, "parse_error", tool)
	assert.Contains(t, analysis["summary"], "emulated", tool)
	findings, _ := analysis["findings"].([]any)
	require.Len(t, findings, 1, "%s: %s", tool, r.text)
	finding, _ := findings[0].(object)
	assert.Equal(t, "verified", finding["citation"], "%s: %s", tool, r.text)
	assert.Contains(t, []any{"package sums", "Add has to add."}, finding["quote"], tool)
	for key, of := range map[string]string{"attack": "secaudit", "type": "refactor"} {
		assert.Equal(t, tool == of, finding[key] != nil, "%s of %s", key, tool)
	}
	own := map[string][]string{
		"analyze": {"overview", "strengths", "first_step"}, "debug": {"root_cause", "unexplained"},
		"refactor": {"target", "steps", "risks", "tests_first"}, "testgen": {"files"}, "secaudit": {"recommendations"},
	}
	for _, key := range own[tool] {
		assert.Contains(t, analysis, key, tool)
	}
	if slices.Contains([]string{"codereview", "precommit", "secaudit"}, tool) {
		assert.Equal(t, "pass", r.str("verdict"), "%s: %s", tool, r.text)
		judged, _ := r.object["agent_findings"].([]any)
		require.Len(t, judged, 1, "%s: %s", tool, r.text)
		assert.Equal(t, "undecided", judged[0].(object)["judgement"], tool)
	}
}

// A review on the emulated vendors comes to a verdict.
func TestReviewOnTheEmulator(t *testing.T) {
	s := emulated(t)
	t.Chdir(s.project())
	code, out, errs := s.run("", "review")
	assert.Equal(t, exitOK, code, out+errs)
	assert.Contains(t, out, "Verdict: pass")
	require.NoError(t, os.WriteFile("new.go", []byte("package sums\n\nvar Zero = 0\n"), 0o600))
	code, out, errs = s.run("", "review", "--fail-on", "low", "new.go")
	assert.Equal(t, 1, code, out+errs)
	assert.Contains(t, out, "Emulated finding")
}

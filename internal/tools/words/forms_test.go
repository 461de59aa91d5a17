package words

import (
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// withFindings are the tools whose expert answers with a JSON object, withProse those whose model answers in markdown.
var (
	withFindings = []string{"analyze", "codereview", "debug", "precommit", "refactor", "secaudit", "testgen"}
	withProse    = []string{"consensus", "thinkdeep"}
)

// form is the output format of a tool whose expert answers with findings.
func form(t *testing.T, tool string) string {
	t.Helper()
	w, err := For(tool)
	require.NoError(t, err)
	own := map[string]string{}
	for key, section := range map[string]string{"Answer": "answer", "Example": "example", "Bad": "bad"} {
		own[key] = w.Text(section, nil)
	}
	return Expert("findings", own)
}

var (
	formKey  = regexp.MustCompile(`"([a-z_]+)":`)
	extraKey = regexp.MustCompile(`(?:also has|and) "([a-z_]+)"`)
	quoted   = regexp.MustCompile(`"([a-z_]+)"`)
)

// Whatever a prompt asks for has a key in the form of the answer, and the example shows every key of a finding.
func TestNothingIsAskedForThatHasNoKey(t *testing.T) {
	values := []string{"no_bug_found"}
	for _, tool := range withFindings {
		w, err := For(tool)
		require.NoError(t, err)
		text := form(t, tool)
		keys := map[string]bool{}
		for _, pattern := range []*regexp.Regexp{formKey, extraKey} {
			for _, m := range pattern.FindAllStringSubmatch(text, -1) {
				keys[m[1]] = true
			}
		}
		for _, section := range []string{"system", "answer", "reads"} {
			body, err := w.Render(section, nil)
			if section == "answer" && !w.Has(section) {
				continue
			}
			require.NoError(t, err, "%s, %s", tool, section)
			for _, m := range quoted.FindAllStringSubmatch(body, -1) {
				assert.True(t, keys[m[1]] || slices.Contains(values, m[1]), "%s, %s: %q is no key of the answer", tool, section, m[1])
			}
		}
	}
}

// The last lines of every form are a finding to report and one to leave out, as valid JSON with the keys of the form.
func TestExamplesOfFindings(t *testing.T) {
	for _, tool := range withFindings {
		text := form(t, tool)
		var examples []map[string]any
		for line := range strings.Lines(text) {
			if strings.HasPrefix(line, `{"`) {
				var f map[string]any
				require.NoError(t, json.Unmarshal([]byte(line), &f), "%s: %s", tool, line)
				examples = append(examples, f)
			}
		}
		require.Len(t, examples, 2, tool)
		good, bad := examples[0], examples[1]
		for _, key := range []string{"severity", "file", "line", "line_end", "title", "quote", "evidence", "trigger", "recommendation", "fix", "confidence"} {
			assert.Contains(t, good, key, tool)
		}
		for _, key := range slices.Sorted(maps.Keys(good)) {
			assert.Contains(t, strings.Split(text, "A finding worth reporting")[0], `"`+key+`"`, "%s: the form names it", tool)
		}
		assert.NotContains(t, bad, "quote", tool)
		assert.NotContains(t, bad, "line", tool)
		assert.True(t, strings.HasSuffix(strings.TrimSpace(text), "}"), "%s: the examples come last", tool)
	}
}

// Each prompt has its role first, what to look for as numbered lists, and says what to read.
func TestPromptsOfExperts(t *testing.T) {
	for _, tool := range slices.Concat(withFindings, withProse) {
		w, err := For(tool)
		require.NoError(t, err)
		system, err := w.Render("system", nil)
		require.NoError(t, err)
		assert.True(t, strings.HasPrefix(system, "# Role\n"), tool)
		assert.Contains(t, system, "\n1. ", tool)
		assert.NotContains(t, system, "Output format", "%s: it comes last", tool)
		reads, err := w.Render("reads", nil)
		require.NoError(t, err)
		assert.NotEmpty(t, reads, tool)
		assert.Equal(t, slices.Contains(withProse, tool), w.Has("output"), tool)
	}
	secaudit, err := must("secaudit").Render("system", nil)
	require.NoError(t, err)
	for _, category := range []string{
		"A01 Broken Access Control", "A02 Security Misconfiguration", "A03 Software Supply Chain Failures", "A04 Cryptographic Failures",
		"A05 Injection", "A06 Insecure Design", "A07 Authentication Failures", "A08 Software or Data Integrity Failures",
		"A09 Security Logging and Alerting Failures", "A10 Mishandling of Exceptional Conditions",
	} {
		assert.Contains(t, secaudit, category, "OWASP Top 10:2025")
	}
}

package review

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/issue"
)

var update = flag.Bool("update", false, "write the golden files")

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		require.NoError(t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), string(got))
}

func sample(t *testing.T) *Report {
	t.Helper()
	raw, err := os.ReadFile("testdata/reply.json")
	require.NoError(t, err)
	r, err := Read(raw, "/home/u/shop")
	require.NoError(t, err)
	r.Compared = "what is uncommitted with HEAD (ba68296)"
	return r
}

func TestFormats(t *testing.T) {
	r := sample(t)
	golden(t, "report.txt", []byte(r.Text(Style{})))
	golden(t, "report.github", []byte(r.GitHub()))
	for name, make := range map[string]func() ([]byte, error){
		"report.json":   func() ([]byte, error) { return r.JSON(1) },
		"report.sarif":  func() ([]byte, error) { return r.SARIF("1.2.3") },
		"report.gitlab": r.GitLab,
	} {
		got, err := make()
		require.NoError(t, err)
		golden(t, name, got)
	}
}

// A model's text can neither be a command to a runner nor control a terminal.
func TestFormatsCarryNoCommands(t *testing.T) {
	r := sample(t)
	for line := range strings.Lines(r.GitHub()) {
		assert.Regexp(t, `^::(error|warning|notice) (file=[^,]+,(line=\d+,)?(endLine=\d+,)?)?title=[^,:]+::[^\n]*\n$`, line)
	}
	text := r.Text(Style{})
	for line := range strings.Lines(text) {
		assert.False(t, strings.HasPrefix(line, "::") || strings.HasPrefix(line, "##["), line)
	}
	sarif, err := r.SARIF("")
	require.NoError(t, err)
	for _, made := range []string{r.GitHub(), text, string(sarif), strings.Join(r.lines(issue.Low), "\n")} {
		assert.NotContains(t, made, "\x1b")
		assert.NotContains(t, made, "\u202e")
		assert.Equal(t, made == text, strings.Contains(made, `\u202e`), "people see what was there")
	}
	assert.Equal(t, `a\u001b[2J\u2028b\U000e0041`+"\n\tc\u200d", escaped("a\x1b[2J\u2028b\U000e0041\n\tc\u200d"))
	assert.Equal(t, `a b\u0007`, escapedLine(" a \n b\a"))
}

// GitLab, which shows one of equal fingerprints, is given two for two findings.
func TestGitLabKeepsEveryFinding(t *testing.T) {
	twice := Finding{Severity: issue.High, File: "a.go", Line: 3, Title: "Divides by zero"}
	again := twice
	again.Line = 30
	r := &Report{Verdict: ChangesRequired, Findings: []Finding{twice, again}}
	gitlab, err := r.GitLab()
	require.NoError(t, err)
	var list []struct{ Fingerprint string }
	require.NoError(t, json.Unmarshal(gitlab, &list))
	require.Len(t, list, 2)
	assert.Equal(t, twice.fingerprint(), list[0].Fingerprint)
	assert.NotEqual(t, list[0], list[1])
}

// schema compiles the schema of SARIF. Its patterns are of a dialect that Go's syntax covers.
func schema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	raw, err := os.ReadFile("testdata/sarif-schema-2.1.0.json")
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("sarif.json", doc))
	s, err := c.Compile("sarif.json")
	require.NoError(t, err)
	return s
}

func TestSARIFSchema(t *testing.T) {
	s := schema(t)
	empty, err := Read([]byte(`{"status":"nothing_to_review","verdict":"pass"}`), "/r")
	require.NoError(t, err)
	for _, r := range []*Report{sample(t), empty} {
		raw, err := r.SARIF("1.2.3")
		require.NoError(t, err)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		require.NoError(t, err)
		require.NoError(t, s.Validate(doc))
		for _, run := range doc.(map[string]any)["runs"].([]any) {
			rules := run.(map[string]any)["tool"].(map[string]any)["driver"].(map[string]any)["rules"].([]any)
			for _, x := range run.(map[string]any)["results"].([]any) {
				result := x.(map[string]any)
				at, err := result["ruleIndex"].(json.Number).Int64()
				require.NoError(t, err)
				assert.Equal(t, result["ruleId"], rules[at].(map[string]any)["id"])
			}
		}
	}
	bad, err := jsonschema.UnmarshalJSON(strings.NewReader(`{"version":"2.1.0","runs":[{}]}`))
	require.NoError(t, err)
	require.Error(t, s.Validate(bad), "the schema refuses what is no log")
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name, reply string
		verdict     Verdict
		reason      string
		judged      bool
	}{
		{"nothing", `{"status":"nothing_to_review","verdict":"pass","verdict_reason":"Only lock files changed."}`, Pass, "Only lock files changed.", true},
		{"pass", `{"verdict":"pass","expert_analysis":{"findings":[]}}`, Pass, "", true},
		{"partial", `{"verdict":"inconclusive","expert_analysis":{"status":"partial","content":"so far"}}`, Inconclusive, "The review was cut short.", false},
		{"prose", `{"verdict":"inconclusive","expert_analysis":{"raw_analysis":"fine","parse_error":"no"}}`, Inconclusive, "The reviewer's answer can't be read as findings.", false},
		{"off", `{"verdict":"inconclusive","expert_analysis":{"status":"skipped","reason":"EXPERT_ANALYSIS_ENABLED is false."}}`, Inconclusive, "EXPERT_ANALYSIS_ENABLED is false.", false},
		{"none", `{"verdict":"inconclusive"}`, Inconclusive, "No reviewer was asked.", false},
		{"its own reason", `{"verdict":"inconclusive","verdict_reason":"a.go was not read.","expert_analysis":{"findings":[]}}`, Inconclusive, "a.go was not read.", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Read([]byte(c.reply), "")
			require.NoError(t, err)
			assert.Equal(t, c.verdict, r.Verdict)
			assert.Equal(t, c.reason, r.Reason)
			assert.Equal(t, c.judged, r.Judged())
		})
	}
	for reply, want := range map[string]string{
		`[]`:             "read the reply",
		`{"status":"x"}`: `no verdict (status "x")`,
		`{"error":{"code":"auth","message":"The key was refused.","hint":"Set another."}}`:                                               "The key was refused. Set another.",
		`{"verdict":"inconclusive","expert_analysis":{"status":"analysis_error","error":{"code":"network","message":"No connection."}}}`: "No connection.",
		`{"verdict":"inconclusive","expert_analysis":{"status":"analysis_timeout","error":{"code":"timeout","message":"Too slow."}}}`:    "Too slow.",
	} {
		_, err := Read([]byte(reply), "")
		require.ErrorContains(t, err, want, reply)
	}
}

// A reply lists a hundred files at most, and a report says how many others there are.
func TestFilesThatAreNotListed(t *testing.T) {
	r, err := Read([]byte(`{"verdict": "inconclusive", "coverage": [{"file": "a.go", "how": "not_read"}], "coverage_more": 7,
		"expert_analysis": {"status": "analysis_complete", "findings": []}}`), "")
	require.NoError(t, err)
	assert.Contains(t, r.Text(Style{}), "Not listed here: 7 more files\n")
	object, err := r.JSON(2)
	require.NoError(t, err)
	assert.Contains(t, string(object), `"coverage_more": 7`)
	assert.Equal(t, 14, Merge([]*Report{r, r}).MoreCoverage)
	r.MoreCoverage = 0
	assert.NotContains(t, r.Text(Style{}), "Not listed")
}

func TestFailureExitCode(t *testing.T) {
	medium, strict := FailOn{Least: issue.Medium}, FailOn{Least: issue.Medium, Inconclusive: true}
	for _, c := range []struct {
		f    Failure
		on   FailOn
		want int
	}{
		{Failure{Code: "auth"}, strict, ExitFailed},
		{Failure{Code: "timeout", Limit: "GLM_TIMEOUT_SECS=30s"}, medium, ExitFailed},
		{Failure{Code: "timeout", Limit: "--timeout=300s"}, medium, ExitInconclusive},
		{Failure{Code: "timeout", Limit: "--timeout=300s"}, strict, ExitChanges},
		{Failure{Code: "content_filtered"}, medium, ExitInconclusive},
	} {
		assert.Equal(t, c.want, c.f.ExitCode(c.on), "%+v", c.f)
	}
}

func TestParseFailOn(t *testing.T) {
	for text, want := range map[string]FailOn{
		"medium": {Least: issue.Medium}, "high,inconclusive": {issue.High, true}, " LOW , inconclusive": {issue.Low, true},
		"inconclusive": {issue.Medium, true},
	} {
		got, err := ParseFailOn(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "severe", "high,low", "inconclusive,inconclusive", "high,"} {
		_, err := ParseFailOn(text)
		require.Error(t, err, text)
	}
}

func TestJudge(t *testing.T) {
	finding := func(severity, citation string) string {
		return `{"severity":"` + severity + `","file":"a.go","line":1,"title":"x","citation":"` + citation + `"}`
	}
	reply := func(verdict string, coverage string, findings ...string) string {
		return `{"verdict":"` + verdict + `","coverage":[` + coverage + `],"expert_analysis":{"findings":[` + strings.Join(findings, ",") + `]}}`
	}
	unread := `{"file":"b.go","how":"not_read"}`
	for _, c := range []struct {
		name, reply string
		least       issue.Severity
		want        Verdict
		code        int
	}{
		{"the server's own stands", reply("inconclusive", "", finding("high", "verified")), issue.Medium, Inconclusive, 2},
		{"medium is not high", reply("changes_required", "", finding("medium", "verified")), issue.High, Pass, 0},
		{"high is", reply("changes_required", "", finding("high", "moved")), issue.High, ChangesRequired, 1},
		{"not proven", reply("inconclusive", "", finding("high", "unproven")), issue.High, Inconclusive, 2},
		{"not proven, and below", reply("inconclusive", "", finding("medium", "not_found")), issue.High, Pass, 0},
		{"low counts", reply("pass", "", finding("low", "verified")), issue.Low, ChangesRequired, 1},
		{"low does not prove itself", reply("pass", "", finding("low", "")), issue.Low, Inconclusive, 2},
		{"a file was not read", reply("changes_required", unread, finding("medium", "verified")), issue.Critical, Inconclusive, 2},
		{"skipped files do not count", reply("pass", `{"file":"go.sum","how":"skipped"}`), issue.Critical, Pass, 0},
		{"a reason that only the server knows", reply("inconclusive", ""), issue.High, Inconclusive, 2},
		{"nothing to review", `{"status":"nothing_to_review","verdict":"pass"}`, issue.Low, Pass, 0},
		{"no answer", `{"verdict":"inconclusive"}`, issue.Critical, Inconclusive, 2},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, err := Read([]byte(c.reply), "")
			require.NoError(t, err)
			on := FailOn{Least: c.least}
			r.Judge(on)
			assert.Equal(t, c.want, r.Verdict, r.Reason)
			assert.Equal(t, c.code, on.ExitCode(r.Verdict))
			assert.Equal(t, max(c.code, 1) == 1 && c.code != 0 || c.code == 2, (FailOn{Least: c.least, Inconclusive: true}).ExitCode(r.Verdict) == 1)
		})
	}
}

func TestRelative(t *testing.T) {
	for _, c := range [][3]string{
		{"/r", "/r/a/b.go", "a/b.go"},
		{"/r/", "/r/b.go", "b.go"},
		{"/r", "/rest/b.go", "/rest/b.go"},
		{"/r", "./b.go", "b.go"},
		{"/r", "b.go", "b.go"},
		{"", "/r/b.go", "/r/b.go"},
		{"/r", "", ""},
	} {
		assert.Equal(t, c[2], relative(c[0], c[1]), c)
	}
	for file, want := range map[string]string{"a b/c.go": "a%20b/c.go", "a:12.go": "a%3A12.go", "支付.go": "%E6%94%AF%E4%BB%98.go"} {
		assert.Equal(t, want, uriOf(file), "of SARIF")
	}
	for file, want := range map[string]bool{"a.go": true, "a/b.go": true, "/a.go": false, "../a.go": false, "C:/a.go": false, "": false} {
		assert.Equal(t, want, inside(file), file)
	}
}

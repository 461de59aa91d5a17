package looks_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/tools/looks"
	"github.com/exai-mcp/exai-mcp/internal/tools/proof"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// fixture is a reader over a repository of its own.
type fixture struct {
	*looks.Reader
	dir   string // the repository
	shown *proof.Shown
}

// repository makes one with a commit of the given files, and returns its folder.
func repository(t testing.TB, files map[string]string) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("no git here")
	}
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	gittest.Run(t, dir, "init", "-q", "-b", "main")
	for name, text := range files {
		write(t, filepath.Join(dir, name), text)
	}
	gittest.Run(t, dir, "add", "-A", "-f")
	gittest.Run(t, dir, "commit", "-q", "-m", "First")
	return dir
}

func write(t testing.TB, name, text string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(name), 0o755))
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
}

// newFixture makes a reader in which the given files were named; mask may be nil.
func newFixture(t testing.TB, dir string, tracked bool, mask func(name, text string) (string, error), named ...string) *fixture {
	t.Helper()
	w, err := workspace.New(config.Files{AllowedRoots: []string{dir}}, "", dir, "", nil, nil)
	require.NoError(t, err)
	refs, problems := w.Resolve(t.Context(), named)
	require.Empty(t, problems)
	d := &fixture{dir: dir, shown: &proof.Shown{}}
	d.Reader = looks.New(looks.Options{Scope: w.ReadScope(t.Context(), workspace.ReadQuery{Refs: refs, Tracked: tracked}), Shown: d.shown, Mask: mask})
	return d
}

// run calls a function as a model does.
func (d *fixture) run(t testing.TB, name, arguments string) (string, error) {
	t.Helper()
	return d.runIn(t, name, arguments, 100_000)
}

func (d *fixture) runIn(t testing.TB, name, arguments string, room int) (string, error) {
	t.Helper()
	tools := d.Tools()
	i := slices.IndexFunc(tools, func(tool calls.Tool) bool { return tool.Name == name })
	require.GreaterOrEqual(t, i, 0, "no function %s", name)
	text, err := tools[i].Run(t.Context(), arguments, room)
	assert.LessOrEqual(t, len(text), room)
	return text, err
}

func project() map[string]string {
	return map[string]string{
		"go.mod": "module x\n", "pay/pay.go": "package pay\n\nfunc total() int {\n\treturn 1 // TODO\n}\n", "pay/pay_test.go": "package pay\n\n// TODO\n",
		"a/b/c/deep.txt": "deep\n", "a/b/c/deeper.txt": "deeper\n", "a/top.txt": "x\n", "empty.txt": "", ".env": "TOKEN=hunter2\n", "logo.png": "\x89PNG\x00\x00",
	}
}

func TestReadFile(t *testing.T) {
	d := newFixture(t, repository(t, project()), true, nil)
	for arguments, want := range map[string]string{
		`{"path":"pay/pay.go"}`:                     "pay/pay.go, 5 lines\n   1| package pay\n   2| \n   3| func total() int {\n   4| \treturn 1 // TODO\n   5| }\n",
		`{"path":"pay/pay.go","from":4,"to":4}`:     "pay/pay.go, 5 lines\n   4| \treturn 1 // TODO\n",
		`{"path":"./pay/pay.go","from":"4"}`:        "pay/pay.go, 5 lines\n   4| \treturn 1 // TODO\n   5| }\n",
		`{"path":"pay/pay.go","from":-3,"to":1}`:    "pay/pay.go, 5 lines\n   1| package pay\n",
		`{"path":"pay/pay.go","from":5,"to":9999}`:  "pay/pay.go, 5 lines\n   5| }\n",
		`{"path":"empty.txt","from":null,"to":4.0}`: "empty.txt is empty.",
	} {
		got, err := d.run(t, "read_file", arguments)
		require.NoError(t, err, arguments)
		assert.Equal(t, want, got, arguments)
	}
	for arguments, want := range map[string]string{
		`{"path":"pay/pay.go","from":6}`:        "pay/pay.go has only 5 lines",
		`{"path":"pay/pay.go","from":3,"to":2}`: "to must not be less than from",
		`{"path":"pay"}`:                        `"pay" is a folder. List it with list_files, and read files of it.`,
		`{"path":".env"}`:                       `".env" is refused: files of this name usually hold secrets.`,
		`{"path":"logo.png"}`:                   `"logo.png" is not a text file but`,
		`{}`:                                    "the path is empty",
		`[]`:                                    "the arguments must be one JSON object",
		`{"path":`:                              "the arguments must be one JSON object",
		`{"path":3}`:                            "path must not be number",
		`{"path":"go.mod","from":"x"}`:          "expected an integer, got x",
		`{"path":"go.mod","from":1.5}`:          "expected an integer, got 1.5",
	} {
		_, err := d.run(t, "read_file", arguments)
		assert.ErrorContains(t, err, want, arguments)
		assert.NotContains(t, err.Error(), "hunter2")
	}
}

// TestWhatWasReadIsRecorded: for the reply, and for the check of quotes.
func TestWhatWasReadIsRecorded(t *testing.T) {
	d := newFixture(t, repository(t, project()), true, nil)
	text, err := d.run(t, "read_file", `{"path":"pay/pay.go","from":3,"to":4}`)
	require.NoError(t, err)
	found, err := d.run(t, "search_files", `{"pattern":"^// TODO"}`)
	require.NoError(t, err)
	_, err = d.run(t, "read_file", `{"path":"~/.ssh/id_rsa"}`)
	require.Error(t, err)
	listed, err := d.run(t, "list_files", `{"path":"pay"}`)
	require.NoError(t, err)
	looked := d.Looked()
	require.Len(t, looked, 4)
	assert.Equal(t, looks.Look{Tool: "read_file", Path: d.dir + "/pay/pay.go", Lines: 2, Bytes: len(text)}, looked[0])
	assert.Equal(t, looks.Look{Tool: "search_files", Pattern: "^// TODO", Lines: 1, Bytes: len(found)}, looked[1])
	assert.Equal(t, "~/.ssh/id_rsa", looked[2].Path)
	assert.Contains(t, looked[2].Error, "refused")
	assert.Zero(t, looked[2].Bytes)
	assert.Equal(t, looks.Look{Tool: "list_files", Path: "pay", Lines: 2, Bytes: len(listed)}, looked[3])

	none := func(string) (string, bool) { return "", false }
	for _, c := range []struct {
		claim proof.Claim
		want  proof.Citation
	}{
		{proof.Claim{File: "pay/pay.go", Line: 4, Quote: "return 1 // TODO"}, proof.Verified},
		{proof.Claim{File: d.dir + "/pay/pay.go", Line: 3, Quote: "func total() int {"}, proof.Verified},
		{proof.Claim{File: "pay/pay.go", Line: 1, Quote: "package pay"}, proof.Unproven},
		{proof.Claim{File: "pay/pay_test.go", Line: 3, Quote: "// TODO: x"}, proof.Unproven},
		{proof.Claim{File: "a/top.txt", Line: 1, Quote: "whatever"}, proof.NotFound},
	} {
		assert.Equal(t, c.want, d.shown.Check(c.claim, none).Citation, c.claim)
	}
}

// The calls of a round end in any order; a reply lists them in the model's.
func TestLooksAreListedInTheOrderOfTheCalls(t *testing.T) {
	d := newFixture(t, repository(t, project()), true, nil)
	i := slices.IndexFunc(d.Tools(), func(tool calls.Tool) bool { return tool.Name == "list_files" })
	for _, n := range []int{2, 0, 1} {
		_, err := d.Tools()[i].Run(calls.WithCallNumber(t.Context(), n), fmt.Sprintf(`{"depth":%d}`, n+1), 1000)
		require.NoError(t, err)
	}
	var lines []int
	for _, l := range d.Looked() {
		lines = append(lines, l.Lines)
	}
	assert.True(t, slices.IsSorted(lines) && lines[0] < lines[2], "%v: the deeper, the more", lines)
}

func TestLongFilesAndLinesAreCut(t *testing.T) {
	files := project()
	files["long.txt"] = strings.Repeat("line\n", 1000)
	files["wide.txt"] = strings.Repeat("é", 5000) + "\nlast"
	d := newFixture(t, repository(t, files), true, nil)
	got, err := d.runIn(t, "read_file", `{"path":"long.txt","from":11}`, 300)
	require.NoError(t, err)
	assert.True(t, strings.HasSuffix(got, "  26| line\n[cut for size: read on with from=27]\n"), got)
	assert.Equal(t, 16, d.Looked()[0].Lines)
	got, err = d.run(t, "read_file", `{"path":"wide.txt"}`)
	require.NoError(t, err)
	assert.Less(t, len(got), 2200)
	assert.Contains(t, got, "… [line cut]\n   2| last")
	_, err = d.runIn(t, "read_file", `{"path":"long.txt"}`, 80)
	require.ErrorContains(t, err, "no room left")
}

func TestSearchFiles(t *testing.T) {
	files := project()
	files["many.txt"] = strings.Repeat("needle\n", 50)
	files["sub/x.py"] = "def needle():\n    pass\n"
	files["wide.txt"] = strings.Repeat("x", 1000) + "needle"
	d := newFixture(t, repository(t, files), true, func(_, text string) (string, error) { return strings.ReplaceAll(text, "def", "[secret: x]"), nil })
	for arguments, want := range map[string]string{
		`{"pattern":"TODO"}`:                          "pay/pay.go:4: \treturn 1 // TODO\npay/pay_test.go:3: // TODO\n[2 matching lines in 10 files searched]",
		`{"pattern":"todo"}`:                          "No match in 10 files.",
		`{"pattern":"(?i)todo$","path":"pay"}`:        "pay/pay.go:4: \treturn 1 // TODO\npay/pay_test.go:3: // TODO\n[2 matching lines in 2 files searched]",
		`{"pattern":"TODO","glob":"*_test.go"}`:       "pay/pay_test.go:3: // TODO\n[1 matching line in 1 file searched]",
		`{"pattern":"^deep$","glob":"a/**/*.txt"}`:    "a/b/c/deep.txt:1: deep\n[1 matching line in 3 files searched]",
		`{"pattern":"secret: x","path":"sub/x.py"}`:   "sub/x.py:1: [secret: x] needle():\n[1 matching line in 1 file searched]",
		`{"pattern":"def needle"}`:                    "No match in 10 files.",
		`{"pattern":"hunter2|PNG"}`:                   "No match in 10 files.",
		`{"pattern":"^","path":"a/b"}`:                "a/b/c/deep.txt:1: deep\na/b/c/deeper.txt:1: deeper\n[2 matching lines in 2 files searched]",
		`{"pattern":"$","path":"go.mod"}`:             "go.mod:1: module x\n[1 matching line in 1 file searched]",
		`{"pattern":"x","glob":"{go.mod,*.nothing}"}`: "go.mod:1: module x\n[1 matching line in 1 file searched]",
	} {
		got, err := d.run(t, "search_files", arguments)
		require.NoError(t, err, arguments)
		assert.Equal(t, want, got, arguments)
	}
	got, err := d.run(t, "search_files", `{"pattern":"needle","path":"many.txt"}`)
	require.NoError(t, err)
	assert.Equal(t, 30, strings.Count(got, ": needle\n"))
	assert.Contains(t, got, "many.txt: [more matches: read it]")
	got, err = d.runIn(t, "search_files", `{"pattern":"needle","path":"many.txt"}`, 300)
	require.NoError(t, err)
	assert.Contains(t, got, "there may be more: narrow the pattern, path or glob")
	got, err = d.run(t, "search_files", `{"pattern":"needle","path":"wide.txt"}`)
	require.NoError(t, err)
	assert.Less(t, len(got), 400)
	for arguments, want := range map[string]string{
		`{}`: "pattern is required", `{"pattern":"a(?=b)"}`: "not a valid regular expression in RE2 syntax", `{"pattern":"("}`: "missing closing )",
		`{"pattern":"x","path":"../.."}`: "not among the files", `{"pattern":"x","path":".git"}`: "refused", `{"pattern":"x","glob":"{a"}`: "can't be read",
		`{"pattern":"` + strings.Repeat("a", 1001) + `"}`: "exceeds the limit of 1000 bytes",
	} {
		_, err := d.run(t, "search_files", arguments)
		assert.ErrorContains(t, err, want, arguments)
	}
}

// What a sparse checkout leaves out is not searched, and the model is told.
func TestSearchWithoutTheWorkTreesFiles(t *testing.T) {
	dir := repository(t, project())
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "a")))
	d := newFixture(t, dir, true, nil)
	got, err := d.run(t, "search_files", `{"pattern":"deep"}`)
	require.NoError(t, err)
	assert.Equal(t, "No match in 4 files. 3 tracked files not in the work tree, so not searched.", got)
}

func TestListFiles(t *testing.T) {
	d := newFixture(t, repository(t, project()), true, nil)
	for arguments, want := range map[string]string{
		`{}`:                         "a/b/ (2 files)\na/top.txt\nempty.txt\ngo.mod\nlogo.png\npay/pay.go\npay/pay_test.go",
		`{"depth":1}`:                "a/ (3 files)\nempty.txt\ngo.mod\nlogo.png\npay/ (2 files)",
		`{"path":"a","depth":"1"}`:   "a/b/ (2 files)\na/top.txt",
		`{"path":"a/b/c","depth":1}`: "a/b/c/deep.txt\na/b/c/deeper.txt",
		`{"path":".","depth":9}`:     "a/b/c/deep.txt\na/b/c/deeper.txt\na/top.txt\nempty.txt\ngo.mod\nlogo.png\npay/pay.go\npay/pay_test.go",
		`{"path":"go.mod"}`:          "go.mod",
		`{"path":"pay/","depth":-1}`: "pay/pay.go\npay/pay_test.go",
	} {
		got, err := d.run(t, "list_files", arguments)
		require.NoError(t, err, arguments)
		assert.Equal(t, want, got, arguments)
	}
	got, err := d.runIn(t, "list_files", `{}`, 170)
	require.NoError(t, err)
	assert.Equal(t, "a/b/ (2 files)\n[6 more: name a folder]", got)
	_, err = d.run(t, "list_files", `{"path":"../"}`)
	assert.ErrorContains(t, err, "not among the files")
}

func TestHistory(t *testing.T) {
	dir := repository(t, project())
	first := gittest.Run(t, dir, "rev-parse", "HEAD")
	write(t, dir+"/pay/pay.go", "package pay\n")
	gittest.Run(t, dir, "commit", "-qam", "Take total away (key hunter2)")
	mask := func(_, text string) (string, error) { return strings.ReplaceAll(text, "hunter2", "[secret: x]"), nil }
	d := newFixture(t, dir, true, mask)
	got, err := d.run(t, "git_history", `{"path":"pay/pay.go"}`)
	require.NoError(t, err)
	assert.Regexp(t, `\AThe latest commits that changed pay/pay.go, the newest first:\n[0-9a-f]{12} \d{4}-\d\d-\d\d Ann: Take total away \(key \[secret: x\]\)\n[0-9a-f]{12} \d{4}-\d\d-\d\d Ann: First\n\z`, got)
	got, err = d.run(t, "git_show", `{"commit":"HEAD~1","path":"pay/pay.go","from":3,"to":3}`)
	require.NoError(t, err)
	assert.Equal(t, "pay/pay.go in commit "+first+", 5 lines\n   3| func total() int {\n", got)
	assert.Equal(t, proof.Verified, d.shown.Check(proof.Claim{File: "pay/pay.go", Line: 3, Quote: "func total() int {"}, nil).Citation)
	assert.Equal(t, looks.Look{Tool: "git_show", Path: dir + "/pay/pay.go", Commit: first, Lines: 1, Bytes: len(got)}, d.Looked()[1])
	for arguments, want := range map[string]string{
		`{"commit":"HEAD","path":".env"}`: "refused", `{"commit":"nonsense","path":"go.mod"}`: "no commit in the history of HEAD", `{"path":"go.mod"}`: "no commit",
		`{"commit":"HEAD","path":"missing"}`: "not among the files", `{"commit":"HEAD","path":"logo.png"}`: "not a text file",
	} {
		_, err := d.run(t, "git_show", arguments)
		assert.ErrorContains(t, err, want, arguments)
	}
	named := newFixture(t, dir, false, nil, "go.mod")
	var names []string
	for _, tool := range named.Tools() {
		names = append(names, tool.Name)
	}
	assert.Equal(t, []string{"read_file", "search_files", "list_files"}, names, "no history of what was only named")
}

func TestWhatMaskRefusesIsNotShown(t *testing.T) {
	d := newFixture(t, repository(t, project()), true, func(name, _ string) (string, error) { return "", errors.New(name + " holds a secret in line 1") })
	for _, c := range [][2]string{{"read_file", `{"path":"go.mod"}`}, {"search_files", `{"pattern":"x"}`}, {"git_show", `{"commit":"HEAD","path":"go.mod"}`}} {
		_, err := d.run(t, c[0], c[1])
		assert.ErrorContains(t, err, "holds a secret in line 1", c[0])
	}
}

func TestNothingToRead(t *testing.T) {
	dir := t.TempDir()
	d := newFixture(t, dir, true, nil)
	assert.Nil(t, d.Reader)
	assert.Empty(t, d.Tools())
	assert.Empty(t, d.Looked())
}

// TestFunctionsEndWithTheCall: a file system that hangs costs no more than the call's own time.
func TestFunctionsEndWithTheCall(t *testing.T) {
	let := make(chan struct{})
	d := newFixture(t, repository(t, project()), true, func(_, text string) (string, error) { <-let; return text, nil })
	defer close(let)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := d.Tools()[0].Run(ctx, `{"path":"go.mod"}`, 1000)
	require.Error(t, err)
	assert.Less(t, time.Since(start), 5*time.Second)
}

func TestBounds(t *testing.T) {
	assert.Equal(t, calls.Bounds{Rounds: 6, Calls: 8, Bytes: 240_000}, looks.Bounds(119*time.Second, false))
	assert.Equal(t, calls.Bounds{Rounds: 6, Calls: 8, Bytes: 720_000}, looks.Bounds(120*time.Second, false))
	assert.Equal(t, calls.Bounds{Rounds: 3, Calls: 4, Bytes: 120_000}, looks.Bounds(30*time.Second, true))
	assert.Equal(t, calls.Bounds{Rounds: 3, Calls: 4, Bytes: 360_000}, looks.Bounds(240*time.Second, true))
}

func TestWords(t *testing.T) {
	d := newFixture(t, repository(t, project()), true, nil)
	for _, tool := range d.Tools() {
		assert.Greater(t, len(tool.Description), 30, tool.Name)
		assert.True(t, tool.Optional)
		assert.NotContains(t, tool.Description, "\n")
	}
	prompt := d.Prompt(looks.Bounds(time.Minute, false), "read the callers.")
	assert.Contains(t, prompt, "git_show")
	assert.Contains(t, prompt, "what git tracks")
	assert.Contains(t, prompt, "6 rounds of 8 calls")
	assert.Contains(t, prompt, "For this task: read the callers.")
	named := newFixture(t, d.dir, false, nil, "go.mod").Prompt(looks.Bounds(time.Minute, true), "")
	assert.NotContains(t, named, "git_show")
	assert.NotContains(t, named, "what git tracks")
	assert.NotContains(t, named, "For this task")
	about := d.Tools()[0].About
	assert.Equal(t, "pay/pay.go", about(`{"path":"pay/pay.go"}`))
	assert.Equal(t, "read_file", about(`[`))
	assert.Len(t, []rune(about(`{"path":"`+strings.Repeat("x", 500)+`"}`)), 60)
	assert.Equal(t, "for `a\\(|b`", d.Tools()[1].About(`{"pattern":"a\\(|b"}`))
	assert.Equal(t, "the names in .", d.Tools()[2].About(`{}`))
}

// A name that can't be printed is listed with escapes, and may be read and cited as it is listed.
func TestEscapedNames(t *testing.T) {
	d := newFixture(t, repository(t, map[string]string{"t\tab.go": "package tabs\n"}), true, nil)
	list, err := d.run(t, "list_files", `{}`)
	require.NoError(t, err)
	require.Equal(t, `t\tab.go`, list)
	_, err = d.run(t, "read_file", `{"path":"t\\tab.go"}`)
	require.NoError(t, err)
	none := func(string) (string, bool) { return "", false }
	for _, name := range []string{`t\tab.go`, "t\tab.go"} {
		assert.Equal(t, proof.Verified, d.shown.Check(proof.Claim{File: name, Line: 1, Quote: "package tabs"}, none).Citation, name)
	}
}

package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/clients"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

var update = flag.Bool("update", false, "rewrite the generated parts of the documents")

// The documents, from this folder.
const (
	readmeFile        = "../../README.md"
	clientsFile       = "../../docs/clients.md"
	demoFile          = "../../docs/demo.md"
	errorsFile        = "../../docs/errors.md"
	configurationFile = "../../docs/configuration.md"
	endpointsFile     = "../../docs/endpoints.md"
	toolsFile         = "../../docs/tools.md"
	timeoutsFile      = "../../docs/timeouts.svg"
)

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	return string(text)
}

// generated holds the part of a document between <!-- name --> and <!-- /name --> equal to what it is made from.
func generated(t *testing.T, file, name, want string) {
	t.Helper()
	text := read(t, file)
	begin, end := "<!-- "+name+" -->\n", "<!-- /"+name+" -->"
	head, rest, found := strings.Cut(text, begin)
	got, foot, closed := strings.Cut(rest, end)
	require.True(t, found && closed, "%s lacks the marks of %s", file, name)
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(head+begin+want+end+foot), 0o644))
		return
	}
	assert.Equal(t, want, got, "run make docs")
}

// part returns what stands between <!-- name --> and <!-- /name --> in a document.
func part(t *testing.T, file, name string) string {
	t.Helper()
	_, rest, found := strings.Cut(read(t, file), "<!-- "+name+" -->\n")
	text, _, closed := strings.Cut(rest, "<!-- /"+name+" -->")
	require.True(t, found && closed, "%s lacks the marks of %s", file, name)
	return text
}

// wholeFile holds a document equal to what it is made from.
func wholeFile(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(want), 0o644))
		return
	}
	assert.Equal(t, want, read(t, file), "run make docs")
}

// shownTools are what clients see by default, in the order of the documents.
func shownTools(t *testing.T) []tool.Tool {
	t.Helper()
	s := newSite(t)
	a := &app{environ: s.environ}
	cfg, err := a.load()
	require.NoError(t, err)
	p, err := a.assemble(cfg, io.Discard)
	require.NoError(t, err)
	return p.tools
}

func TestDocsToolTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("| tool | what for | asks a vendor |\n|---|---|---|\n")
	for _, tool := range shownTools(t) {
		asks := "no"
		if tool.Annotations.OpenWorld {
			asks = "yes"
		}
		fmt.Fprintf(&b, "| [`%s`](#%s) | %s | %s |\n", tool.Name, tool.Name, firstSentence(tool.Description), asks)
	}
	generated(t, toolsFile, "index", b.String())
}

// The README's families name every tool that is shown by default once, and no other.
func TestDocsToolFamilies(t *testing.T) {
	var want, got []string
	for _, tool := range shownTools(t) {
		want = append(want, tool.Name)
	}
	for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(part(t, readmeFile, "families"), -1) {
		got = append(got, m[1])
	}
	assert.ElementsMatch(t, want, got)
}

// firstSentence cuts a description; what a colon announces belongs to it.
func firstSentence(text string) string {
	first, _, _ := strings.Cut(text, ". ")
	return strings.TrimSuffix(first, ".") + "."
}

// docs/clients.md has the entry of every client, as config --client prints it where nothing is set.
func TestDocsClients(t *testing.T) {
	exe, err := os.Executable()
	require.NoError(t, err)
	s := newSite(t, "GLM_API_KEY=", "GLM_API_URL=", "KIMI_API_KEY=", "KIMI_API_URL=")
	project := filepath.Join(s.dir, "project")
	require.NoError(t, os.MkdirAll(project, 0o755))
	t.Chdir(project)
	if project, err = os.Getwd(); err != nil {
		t.Fatal(err)
	}
	document, err := filepath.Abs(filepath.Join(sourceFolder(t), clientsFile))
	require.NoError(t, err)
	var b strings.Builder
	for _, c := range clients.All() {
		code, out, errs := s.run("", "config", "--client", c.Name)
		require.Equal(t, exitOK, code, errs)
		out = strings.NewReplacer(exe, "/path/to/exai-mcp", project, "/path/to/your/project").Replace(out)
		form := "json"
		if strings.HasPrefix(out, "[") {
			form = "toml"
		}
		fmt.Fprintf(&b, "## %s\n\n`--client %s`; %s.\n\n```%s\n%s```\n\n", c.Title, c.Name, c.Where, form, out)
	}
	generated(t, document, "clients", b.String())
}

// sourceFolder is where this test lies, whatever the working directory is now.
func sourceFolder(t *testing.T) string {
	t.Helper()
	return testFolder
}

var testFolder, _ = os.Getwd()

func TestDocsConfiguration(t *testing.T) {
	generated(t, configurationFile, "reference", config.Reference()+"\n")
	generated(t, endpointsFile, "presets", config.PresetTable())
	var b strings.Builder
	b.WriteString("| limit | seconds |\n|---|---|\n")
	for _, row := range config.Default().Timeouts.Table() {
		fmt.Fprintf(&b, "| %s | %g |\n", row.Name, row.Seconds)
	}
	generated(t, configurationFile, "limits", b.String())
}

// codeConstant is a line of the two files that define the codes of error replies.
var codeConstant = regexp.MustCompile(`(?m)^\s+(?:Kind)?[A-Z]\w+\s+(?:Kind\s+)?= (?:Code\()?"([a-z_]+)"\)?`)

// The table of errors explains every code that a reply can have, once, and no other.
func TestDocsErrorCodes(t *testing.T) {
	codes := map[string]bool{}
	for _, file := range []string{"../../internal/tools/reply/error.go", "../../internal/providers/errors.go"} {
		for _, m := range codeConstant.FindAllStringSubmatch(read(t, file), -1) {
			codes[m[1]] = true
		}
	}
	delete(codes, "cancelled") // of which no client hears
	assert.Len(t, codes, 22)
	for _, m := range regexp.MustCompile("(?m)^\\| `([a-z_]+)` \\|").FindAllStringSubmatch(part(t, errorsFile, "errors"), -1) {
		assert.True(t, codes[m[1]], "%s is not a code, or is listed twice", m[1])
		delete(codes, m[1])
	}
	assert.Empty(t, codes, "codes that docs/errors.md does not explain")
}

// The demo prints every line of the excerpts in docs/demo.md, in that order. Numbers, ids and the demo's folder may differ,
// and a line "..." stands for omitted lines.
func TestDocsDemo(t *testing.T) {
	onLinux(t)
	excerpt := strings.TrimSuffix(strings.TrimPrefix(part(t, demoFile, "demo"), "```\n"), "```\n")
	out, _ := newSite(t).demo()
	captureDemo(t, out, 80)
	changing := regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f-]{27}|[0-9.]+ ?(ms|s|µs)\b|\S*/project/|\d+`)
	plain := func(text string) []string {
		text = partOfSlow.ReplaceAllString(text, "#")
		return strings.Split(changing.ReplaceAllString(text, "#"), "\n")
	}
	printed := plain(out)
	shown := strings.Split(strings.TrimSuffix(excerpt, "\n"), "\n")
	require.Greater(t, len(shown), 20)
	for i, line := range plain(strings.TrimSuffix(excerpt, "\n")) {
		if strings.TrimSpace(line) == "..." {
			continue
		}
		at := slices.Index(printed, line)
		if !assert.GreaterOrEqual(t, at, 0, "line %d of the excerpts is not printed, or not in this order: %s", i+1, shown[i]) {
			return
		}
		printed = printed[at+1:]
	}
}

// The documents name every resource by an example, and no other.
func TestDocsResources(t *testing.T) {
	var r *tools.Resources
	var want []string
	for _, resource := range append(r.Fixed(), r.Templates()...) {
		want = append(want, strings.NewReplacer("{id}", "ID", "{n}", "4", "{number}", "1").Replace(resource.URI))
	}
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(exai://[^`]+)` \\|").FindAllStringSubmatch(read(t, "../../docs/tools.md"), -1) {
		rows = append(rows, m[1])
	}
	assert.ElementsMatch(t, want, rows)
}

var link = regexp.MustCompile(`\]\(([^)#\s]+)?(#[^)\s]*)?\)`)

// Every link inside the documents leads somewhere.
func TestDocsLinks(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	var files []string
	for _, pattern := range []string{"*.md", "docs/*.md"} {
		found, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		files = append(files, found...)
	}
	require.Greater(t, len(files), 5)
	for _, file := range files {
		for _, m := range link.FindAllStringSubmatch(read(t, file), -1) {
			target, anchor := m[1], m[2]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			path := file
			if target != "" {
				path = filepath.Join(filepath.Dir(file), filepath.FromSlash(target))
			}
			if _, err := os.Stat(path); !assert.NoError(t, err, "%s links to %s", filepath.Base(file), m[0]) {
				continue
			}
			if anchor != "" && strings.HasSuffix(path, ".md") {
				assert.Contains(t, anchors(read(t, path)), anchor, "%s links to %s", filepath.Base(file), m[0])
			}
		}
	}
}

// anchors are a document's headings as links name them.
func anchors(text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(`(?m)^#+ +(.+)$`).FindAllStringSubmatch(text, -1) {
		name := regexp.MustCompile(`[^a-z0-9 _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, "#"+strings.ReplaceAll(name, " ", "-"))
	}
	return out
}

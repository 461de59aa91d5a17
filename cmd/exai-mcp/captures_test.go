package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// What differs from run to run or from machine to machine, and what stands for it in the captures.
var captured = []struct {
	is   *regexp.Regexp
	then string
}{
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d`), "2026-11-29 17:53"},
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "3f6c1d0a-5b7e-4c8d-9a10-2b3c4d5e6f70"},
	{regexp.MustCompile(`(?m)^[0-9a-f]{8}  `), "3f6c1d0a  "},
	{regexp.MustCompile(`HEAD \([0-9a-f]{10}\)`), "HEAD (ba68296294)"},
	{regexp.MustCompile(`\b\d+\.\d s\b`), "2.4 s"},
	{regexp.MustCompile(`\$0\.\d{4}`), "$$0.0021"},
	{regexp.MustCompile(`\(\d+m?s\)`), "(3ms)"},
	{regexp.MustCompile(`exai-mcp dev, go[0-9.]+, \w+/\w+`), "exai-mcp 0.2.0, go1.26.0, linux/amd64"},
	{regexp.MustCompile(`git version [0-9.]+ at .*`), "git version 2.47.0 at /usr/bin/git"},
	// Which models are about to retire, and how many are left, depends on the day.
	{regexp.MustCompile(`(?m)^  note    [\w.-]+ retires on .*\n(?: {10}.*\n)*`), ""},
	{regexp.MustCompile(`\b\d+ models`), "41 models"},
}

// port is an address with a port, whole or cut.
var port = regexp.MustCompile(`127\.0\.0\.1:\d{1,5}`)

// cutFolder is a folder of the test, whole or cut.
var cutFolder = regexp.MustCompile(`/\S*TestDocs\S*`)

// What people read, at two widths. The captures are part of the documents.
func TestDocsCaptures(t *testing.T) {
	g := newGate(t)
	work := filepath.Join(folderOfOneLength(t), "work")
	require.NoError(t, os.Mkdir(work, 0o700))
	require.NoError(t, os.Rename(g.repo, filepath.Join(work, "repo")))
	g.repo = filepath.Join(work, "repo")
	t.Chdir(g.repo)
	state := filepath.Join(work, strings.Repeat("s", 60-len(work)), "exai-mcp")
	g.environ = append(g.environ, "EXAI_STATE_DIR="+state)
	g.commit("cart.go", "package cart\n")
	g.write("cart.go", "package cart\n\n// Mean is the mean price. PLANTED\nfunc Mean(sum float64, n int) float64 { return sum / float64(n) } // PLANTED\n")
	g.judge(`{"findings":[{"severity":"high","file":"cart.go","line":4,"title":"The mean of an empty cart is not a number",` +
		`"quote":"func Mean(sum float64, n int) float64 { return sum / float64(n) } // PLANTED","trigger":"a cart without items, so that n is 0",` +
		`"recommendation":"Return 0 for an empty cart before the division, and say so in the comment, so that no page shows NaN as a price."},` +
		`{"severity":"low","file":"cart.go","line":3,"title":"The comment does not say what the unit is","quote":"// Mean is the mean price. PLANTED"}]}`)
	g.vendors.Always(emulator.Match{Text: "bloom"}, func(emulator.Request) emulator.Reply {
		return emulator.Say("A bloom filter answers \"certainly not\" or \"maybe\" with a few bits per element.")
	})
	_, _, errs := g.run("", "issues", "create", "Retries wait without jitter", "--severity", "high", "--category", "performance", "--file", "retry.go")
	require.Empty(t, errs)

	environ := g.environ
	for _, width := range []int{80, 120} {
		g.environ = append(environ[:len(environ):len(environ)], fmt.Sprintf("COLUMNS=%d", width))
		for _, c := range []struct {
			name string
			args []string
			code int
		}{
			{"help", []string{"--help"}, exitOK},
			{"review-help", []string{"review", "--help"}, exitOK},
			{"ask", []string{"ask", "What is a bloom filter?"}, exitOK},
			{"review", []string{"review"}, exitFailed},
			{"doctor", []string{"doctor"}, exitOK},
			{"config", []string{"config"}, exitOK},
			{"conversations", []string{"conversations", "list", "--limit", "2"}, exitOK},
			{"issues", []string{"issues", "list"}, exitOK},
		} {
			code, out, errs := g.run("", c.args...)
			require.Equal(t, c.code, code, out+errs)
			shown := "$ exai-mcp " + typed(c.args) + "\n" + out + errs
			for line := range strings.Lines(shown) {
				long := text.StringWidth(strings.TrimRight(line, "\n")) > width
				word := len(strings.Fields(line)) <= 2 // a path or a command stays whole
				indented := strings.HasPrefix(line, "  exai-mcp") || strings.HasPrefix(line, "  > ")
				assert.False(t, long && !word && !indented, "%s at %d: %s", c.name, width, line)
			}
			shown = cutFolder.ReplaceAllStringFunc(shown, func(path string) string { // as long, so that columns stay columns
				stand := "/home/ada/" + filepath.Base(path)
				if strings.HasSuffix(path, "…") {
					return "/home/ada/" + strings.Repeat("x", max(0, utf8.RuneCountInString(path)-11)) + "…"
				}
				return stand
			})
			shown = port.ReplaceAllStringFunc(shown, func(address string) string { return "127.0.0.1:40123"[:len(address)] })
			for _, v := range captured {
				shown = v.is.ReplaceAllString(shown, v.then)
			}
			capture(t, fmt.Sprintf("%s-%d.txt", c.name, width), shown)
		}
	}
}

// folderOfOneLength is a new folder whose name is as long on every machine and in every run: where lines break depends on it.
func folderOfOneLength(t *testing.T) string {
	t.Helper()
	onLinux(t)
	for {
		dir := fmt.Sprintf("/tmp/TestDocsCaptures%010d", rand.Uint32())
		err := os.Mkdir(dir, 0o700)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		require.NoError(t, err)
		t.Cleanup(func() { assert.NoError(t, os.RemoveAll(dir)) })
		return dir
	}
}

// onLinux skips a capture elsewhere, where folders for temporary files have longer names.
func onLinux(t *testing.T) {
	t.Helper()
	if runtime.GOOS != "linux" {
		t.Skip("the captures show folders as Linux names them")
	}
}

// demo runs the demo in /tmp, whatever TMPDIR is: where its lines break depends on the length of its folder's name.
func (s *site) demo() (out, errs string) {
	s.t.Helper()
	s.t.Setenv("TMPDIR", "/tmp")
	code, out, errs := s.run("", "demo")
	require.Equal(s.t, exitOK, code, out+errs)
	return out, errs
}

// partOfSlow is what had arrived of the slow answer when its call's limit ended it, which depends on how busy the machine is.
var partOfSlow = regexp.MustCompile(`(?m)\(emulated\) a( long)?( answer)?( takes)?( its)?$`)

// What differs from one demo to the next: how long things took, what was noted meanwhile, and the folder.
var demoVaries = []struct {
	is   *regexp.Regexp
	then string
}{
	{regexp.MustCompile(`(?m)^   \. .*\n(?:      .*\n)?`), ""}, // progress
	{regexp.MustCompile(`(?m)^   \[[^\]]*\]$`), "   [...]"},
	{regexp.MustCompile(`after \d[0-9.]*m?s`), "after 25ms"},
	{regexp.MustCompile(`elapsed_ms: \d+`), "elapsed_ms: 2002"},
	{regexp.MustCompile(`\d+ characters`), "30000 characters"},
	{partOfSlow, "(emulated) a long answer"},
	{regexp.MustCompile(`\S*/exai-mcp-demo-\d+/`), "/tmp/exai-mcp-demo-1/"},
	{regexp.MustCompile(`exai-mcp \S+ speaks`), "exai-mcp 0.2.0 speaks"},
}

// captureDemo holds the capture of a demo at a width equal to what it printed.
func captureDemo(t *testing.T, out string, width int) {
	t.Helper()
	for line := range strings.Lines(out) {
		assert.LessOrEqual(t, text.StringWidth(strings.TrimRight(line, "\n")), width+40, "no line but one with a path is longer: %s", line)
	}
	for _, v := range demoVaries {
		out = v.is.ReplaceAllString(out, v.then)
	}
	for _, v := range captured[:2] {
		out = v.is.ReplaceAllString(out, v.then)
	}
	capture(t, fmt.Sprintf("demo-%d.txt", width), "$ exai-mcp demo\n"+out)
}

// typed is how a person types arguments.
func typed(args []string) string {
	quoted := slices.Clone(args)
	for i, arg := range quoted {
		if strings.Contains(arg, " ") {
			quoted[i] = strconv.Quote(arg)
		}
	}
	return strings.Join(quoted, " ")
}

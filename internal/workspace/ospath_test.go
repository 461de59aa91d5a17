package workspace

import (
	"flag"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// Every system's rules are text, so all of them run here.
func TestParsePath(t *testing.T) {
	for _, c := range []struct {
		on   system
		in   string
		form form
		want string // String()
		err  error
	}{
		{linux, "/a/b", posixForm, "/a/b", nil},
		{linux, "/", posixForm, "/", nil},
		{linux, "//a//./b/../c/", posixForm, "/a/c", nil},
		{linux, "/../../etc", posixForm, "/etc", nil},
		{linux, "a/b", relativeForm, "a/b", nil},
		{linux, "../x", relativeForm, "../x", nil},
		{linux, "C:x", relativeForm, "C:x", nil},
		{linux, `C:\a\b`, windowsForm, `C:\a\b`, nil},
		{linux, "c:/a/../b", windowsForm, `C:\b`, nil},
		{linux, "C:", windowsForm, `C:\`, nil},
		{linux, "/C:/Users/me", windowsForm, `C:\Users\me`, nil},
		{linux, "/c/Users", posixForm, "/c/Users", nil},
		{linux, "file:///a%20b/c", posixForm, "/a b/c", nil},
		{linux, "file://localhost/a", posixForm, "/a", nil},
		{linux, "file:///C:/a%20b", windowsForm, `C:\a b`, nil},
		{linux, "file://C:/a", windowsForm, `C:\a`, nil},
		{linux, "FILE:///a", posixForm, "/a", nil},
		{linux, "file:///a%00b", 0, "", errBadURI},
		{linux, "file:///%zz", 0, "", errBadURI},
		{linux, "", 0, "", errEmptyPath},
		{linux, "/a\x00b", 0, "", errNUL},
		{darwin, "/Users/me", posixForm, "/Users/me", nil},
		{windows, `C:\a/b\..\c`, windowsForm, `C:\a\c`, nil},
		{windows, `c:\`, windowsForm, `C:\`, nil},
		{windows, `C:\..\..\x`, windowsForm, `C:\x`, nil},
		{windows, "C:x", 0, "", errDriveRelative},
		{windows, `a\b`, relativeForm, `a\b`, nil},
		{windows, `\\server\share\a`, windowsForm, `\\server\share\a`, nil},
		{windows, `//server/share/a/../b`, windowsForm, `\\server\share\b`, nil},
		{windows, `\\server`, 0, "", errDevicePath},
		{windows, `\\?\C:\a`, windowsForm, `C:\a`, nil},
		{windows, `\\?\UNC\server\share\a`, windowsForm, `\\server\share\a`, nil},
		{windows, `\\?\GLOBALROOT\Device\x`, 0, "", errDevicePath},
		{windows, `\\.\pipe\x`, 0, "", errDevicePath},
		{windows, `//./PhysicalDrive0`, 0, "", errDevicePath},
		{windows, "/c/Users/me", windowsForm, `C:\Users\me`, nil},
		{windows, "/c", windowsForm, `C:\`, nil},
		{windows, "/home/me", posixForm, "/home/me", nil},
		{windows, "file:///C:/a", windowsForm, `C:\a`, nil},
		{windows, "file://server/share/a", windowsForm, `\\server\share\a`, nil},
	} {
		p, err := parsePath(c.in, c.on)
		if c.err != nil {
			assert.ErrorIs(t, err, c.err, "%q", c.in)
			continue
		}
		require.NoError(t, err, "%q", c.in)
		assert.Equal(t, c.form, p.form, "%q", c.in)
		assert.Equal(t, c.want, p.String(), "%q", c.in)
	}
}

func TestParsePathRefusesEndlessPaths(t *testing.T) {
	_, err := parsePath("/"+string(make([]byte, maxPath)), linux)
	assert.ErrorIs(t, err, errLongPath)
}

func TestUnder(t *testing.T) {
	for _, c := range []struct {
		on      system
		dir, in string
		want    []string
		ok      bool
	}{
		{linux, "/a", "/a/b/c", []string{"b", "c"}, true},
		{linux, "/a", "/a", []string{}, true},
		{linux, "/a", "/ab", nil, false},
		{linux, "/a", "/A/b", nil, false},
		{linux, "/", "/x", []string{"x"}, true},
		{darwin, "/Users/Me", "/users/me/x", []string{"x"}, true},
		{windows, `C:\Code`, `c:\code\X`, []string{"X"}, true},
		{windows, `C:\Code`, `D:\Code\X`, nil, false},
		{windows, `C:\Code`, `C:\Codes`, nil, false},
		{windows, `\\s\x`, `\\S\X\y`, []string{"y"}, true},
		{windows, `C:\`, `C:\y`, []string{"y"}, true},
	} {
		dir, err := parsePath(c.dir, c.on)
		require.NoError(t, err)
		p, err := parsePath(c.in, c.on)
		require.NoError(t, err)
		rest, ok := p.under(dir, c.on.foldsCase())
		assert.Equal(t, c.ok, ok, "%s in %s", c.in, c.dir)
		if c.ok {
			assert.Equal(t, c.want, rest)
		}
	}
}

// refusedNames are what no root and no setting opens: paths within a project, and absolute ones. The file holds one to a
// line, in Go's quotes, and is what the tests of the whole program try, too.
func refusedNames(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile("testdata/refused.txt")
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		name, err := strconv.Unquote(strings.TrimSpace(line))
		require.NoError(t, err, line)
		names = append(names, name)
	}
	return names
}

func TestRefusal(t *testing.T) {
	always := refusedNames(t)
	require.Greater(t, len(always), 70)
	never := []string{
		"/p/.env.example", "/p/.env.SAMPLE", "/p/.env.template", "/p/.env.local.example", "/p/.envrcs", "/p/.gitignore", "/p/.gitattributes", "/p/.github", "/p/terraform.tf", "/p/terraform.tfvars", "/p/jks", "/p/env", "/p/x.env",
		"/p/id_rsa.pub", "/p/config.json", "/p/.docker/daemon.json", "/p/keys.go", "/p/key", "/p/.github/x", "/p/htpasswd", "/p/sshd",
		"/p/proc/x", "/p/sys", "/process/x", "/p/aux.c", "/p/nul",
	}
	for _, on := range []system{linux, darwin, windows} {
		for _, in := range always {
			if !strings.HasPrefix(in, "/") {
				in = "/p/" + in
			}
			p, err := parsePath(in, on)
			require.NoError(t, err)
			assert.NotEmpty(t, refusal(p, on), "%q on %v", in, on)
		}
	}
	for _, in := range never {
		p, err := parsePath(in, linux)
		require.NoError(t, err)
		assert.Empty(t, refusal(p, linux), "%q", in)
	}
	for in, want := range map[string]bool{
		`C:\p\.ENV`: true, `C:\p\nul`: true, `C:\p\NUL.txt`: true, `C:\p\com1`: true, `C:\p\COM¹.log`: true, `C:\p\lpt9`: true,
		`C:\p\conin$`: true, `C:\p\aux .c`: true, `C:\p\a.txt:secret`: true, `\\s\share\.ssh\x`: true,
		`C:\p\com`: false, `C:\p\com10`: false, `C:\p\console.go`: false, `C:\p\null.go`: false, `C:\proc\x`: false,
	} {
		p, err := parsePath(in, windows)
		require.NoError(t, err)
		assert.Equal(t, want, refusal(p, windows) != "", "%q", in)
	}
}

func TestPathMap(t *testing.T) {
	m, err := parsePathMap(`/home/me/code=/code, C:\x=/win ,/home/me/code/deep=/deep,/with=sign=/sign`, linux)
	require.NoError(t, err)
	for _, c := range []struct{ in, local, host string }{
		{"/home/me/code/a.go", "/code/a.go", "/home/me/code/a.go"},
		{"/home/me/code", "/code", "/home/me/code"},
		{"/home/me/codex", "/home/me/codex", "/home/me/codex"},
		{"/home/me/code/deep/a", "/deep/a", "/home/me/code/deep/a"},
		{`C:\x\sub\a.go`, "/win/sub/a.go", `C:\x\sub\a.go`},
		{`c:/X/Sub/a.go`, "/win/Sub/a.go", `C:\x\Sub\a.go`},
		{"file:///c%3A/x/a.go", "/win/a.go", `C:\x\a.go`},
		{"/code/a.go", "/code/a.go", "/home/me/code/a.go"},
		{"/with=sign/a", "/sign/a", "/with=sign/a"},
		{"/elsewhere", "/elsewhere", "/elsewhere"},
	} {
		p, err := parsePath(c.in, linux)
		require.NoError(t, err)
		local := m.toLocal(p)
		assert.Equal(t, c.local, local.String(), "%q", c.in)
		assert.Equal(t, c.host, m.toHost(local).String(), "%q", c.in)
	}
	root, err := parsePathMap(`C:\=/mnt/c`, linux)
	require.NoError(t, err)
	p, _ := parsePath(`C:\Users\me`, linux)
	assert.Equal(t, "/mnt/c/Users/me", root.toLocal(p).String())

	for _, bad := range []string{"/only", "rel=/code", "/a=rel", `/a=C:\x`, "=/code", "/a="} {
		_, err := parsePathMap(bad, linux)
		assert.ErrorContains(t, err, "EXAI_PATH_MAP", "%q", bad)
	}
	none, err := parsePathMap(" , ", linux)
	assert.NoError(t, err)
	assert.Empty(t, none)
}

// Whatever is written, a parsed path has no ".." left, and reads the same when it is parsed again.
func TestParsePathIsStable(t *testing.T) {
	require.NoError(t, flag.Set("rapid.seed", "1")) // nothing depends on chance; -rapid.checks tries more
	rapid.Check(t, func(t *rapid.T) {
		on := rapid.SampledFrom([]system{linux, darwin, windows}).Draw(t, "on")
		pieces := rapid.SliceOfN(rapid.SampledFrom([]string{
			"/", `\`, "..", ".", "a", "C:", "c", ":", "?", `\\`, "//", "UNC", "server", " ", "file:", "%2e", "~", ".env",
		}), 1, 12).Draw(t, "pieces")
		text := strings.Join(pieces, "")
		p, err := parsePath(text, on)
		if err != nil || p.form == relativeForm {
			return
		}
		for _, name := range p.parts {
			if name == "" || name == "." || name == ".." || p.form == windowsForm && strings.ContainsAny(name, `\/`) {
				t.Fatalf("%q holds the name %q", text, name)
			}
		}
		again, err := parsePath(p.String(), on)
		if err != nil || again.String() != p.String() {
			t.Fatalf("%q is %q, then %q (%v)", text, p.String(), again.String(), err)
		}
	})
}

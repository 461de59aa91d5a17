package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/clients"
)

// Installing, installing again and removing, for every client that has a file of its own.
func TestInstall(t *testing.T) {
	for _, c := range clients.All() {
		for _, scope := range []clients.Scope{clients.User, clients.Project} {
			if scope == clients.Project && !c.HasProject() {
				continue
			}
			t.Run(c.Name+" "+string(scope), func(t *testing.T) {
				s, project := inProject(t, "project")
				m := clients.Machine{OS: runtime.GOOS, Home: s.dir, Dir: project, Getenv: func(name string) string {
					if name == "XDG_CONFIG_HOME" {
						return s.dir
					}
					return ""
				}}
				files, err := c.Files(m, scope)
				require.NoError(t, err)
				if files == nil {
					t.Skip("its own command is used")
				}
				args := []string{"install", "--client", c.Name, "--scope", string(scope)}

				code, out, errs := s.run("", args...)
				assert.NotEmpty(t, out, "shown before it asks")
				assert.Equal(t, exitUsage, code)
				assert.Contains(t, errs, "pass --yes")
				assert.NoFileExists(t, files[0])

				code, out, errs = s.run("", append(args, "--yes")...)
				require.Equal(t, exitOK, code, errs)
				written, err := os.ReadFile(files[0])
				require.NoError(t, err)
				assert.Equal(t, strings.TrimSpace(out), strings.TrimSpace(string(written)), "what is printed is what is written")
				assert.Contains(t, errs, files[0])
				_, printed, _ := s.run("", "config", "--client", c.Name, "--scope", string(scope))
				assert.Equal(t, printed, out, "config prints the same")

				code, out, errs = s.run("", append(args, "--yes")...)
				assert.Equal(t, exitOK, code)
				assert.Empty(t, out)
				assert.Contains(t, errs, "Nothing to change in "+c.Title)

				code, out, errs = s.run("", append(args, "--yes", "--remove")...)
				require.Equal(t, exitOK, code, errs)
				assert.Empty(t, out)
				assert.Contains(t, errs, clients.BackupSuffix)
				rest, err := os.ReadFile(files[0])
				require.NoError(t, err)
				assert.NotContains(t, string(rest), "exai")
				code, _, errs = s.run("", append(args, "--yes", "--remove")...)
				assert.Equal(t, exitOK, code)
				assert.Contains(t, errs, "Nothing to change")
			})
		}
	}
}

func TestInstallShowsTheEntryAlone(t *testing.T) {
	s, project := inProject(t, "project")
	file := filepath.Join(project, ".cursor", "mcp.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte(`{"mcpServers": {"other": {"env": {"TOKEN": "private-private"}}}}`), 0o600))
	code, out, errs := s.run("", "install", "--client", "cursor", "--scope", "project", "--yes")
	require.Equal(t, exitOK, code, errs)
	assert.NotContains(t, out+errs, "private-private")
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(written), "private-private")
}

func TestInstallRefuses(t *testing.T) {
	s, project := inProject(t, "project")
	for want, args := range map[string][]string{
		"--client is required":                              nil,
		`unknown client "emacs"`:                            {"--client", "emacs"},
		"expected user or project":                          {"--client", "cursor", "--scope", "team"},
		"Cursor has no setting":                             {"--client", "cursor", "--patient"},
		"--hook: exai-mcp does not support hooks of Cursor": {"--client", "cursor", "--hook"},
	} {
		code, out, errs := s.run("", append([]string{"install", "--yes"}, args...)...)
		assert.Equal(t, exitUsage, code, want)
		assert.Empty(t, out)
		assert.Contains(t, errs, want)
	}
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer null.Close()
	var said bytes.Buffer
	assert.Equal(t, exitUsage, run(t.Context(), []string{"install", "--client", "cursor"}, s.environ, null, io.Discard, &said))
	assert.Contains(t, said.String(), "stdin is not a terminal, so pass --yes", "the null device is none")

	homeless := *s
	homeless.environ = append([]string{homeVariable + "="}, s.environ...)
	code, _, errs := homeless.run("", "install", "--client", "cursor", "--yes")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, homeVariable+`="": expected the path of your home folder`)
	assert.NoDirExists(t, filepath.Join(project, ".cursor"), "the project's folder is not the user's")

	file := filepath.Join(project, ".cursor", "mcp.json")
	require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
	require.NoError(t, os.WriteFile(file, []byte("{"), 0o600))
	code, _, errs = s.run("", "install", "--client", "cursor", "--scope", "project", "--yes")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, file+": not valid JSON")
}

// fakeClient puts a program into PATH that notes its arguments, one a line.
func fakeClient(t *testing.T, s *site, name, code string) (log string) {
	t.Helper()
	if runtime.GOOS == "windows" {
		t.Skip("a shell script stands for the client")
	}
	dir := t.TempDir()
	log = filepath.Join(dir, "log")
	script := fmt.Sprintf("#!/bin/sh\nfor a in \"$@\"; do echo \"$a\" >>'%s'; done\n%s\n", log, code)
	require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	s.environ = append([]string{"PATH=" + dir + string(os.PathListSeparator) + os.Getenv("PATH")}, s.environ...)
	return log
}

func TestInstallByTheClientsOwnCommand(t *testing.T) {
	s, _ := inProject(t, "project")
	s.environ = append([]string{"PATH=" + t.TempDir()}, s.environ...)
	code, out, errs := s.run("", "install", "--client", "claude-code", "--yes")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "claude is not in PATH, so nothing was changed: run this again where it is, use --scope project, or add the entry above by hand")
	assert.Contains(t, out, `"mcpServers"`)
	state := filepath.Join(s.dir, ".claude.json")
	require.NoError(t, os.WriteFile(state, []byte(`{"mcpServers": {"exai": {"command": "old"}}}`), 0o600))
	code, _, errs = s.run("", "install", "--client", "claude-code", "--remove", "--hook", "--yes")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "claude is not in PATH, so nothing was changed: run this again where it is, or run there: claude mcp remove exai -s user")
	require.NoError(t, os.Remove(state))

	log := fakeClient(t, s, "claude", "")
	code, out, errs = s.run("", "install", "--client", "claude-code", "--yes")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, out, `"timeout": 112500`)
	ran, err := os.ReadFile(log)
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(ran)), "\n")
	assert.Equal(t, []string{"mcp", "add-json", "exai", "-s", "user"}, lines[:5])
	assert.Contains(t, lines[5], `{"type":"stdio","command":"`)

	// The client has it now: an equal entry is left alone, an old one is replaced, since add-json refuses a name it has.
	require.NoError(t, os.WriteFile(state, []byte(`{"numStartups": 1, "mcpServers": {"exai": `+strings.TrimSuffix(lines[5], "}")+`, "args": []}}}`), 0o600))
	code, _, errs = s.run("", "install", "--client", "claude-code", "--yes")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, errs, "Nothing to change in Claude Code")
	require.NoError(t, os.WriteFile(state, []byte(`{"mcpServers": {"exai": {"command": "old"}}}`), 0o600))
	require.NoError(t, os.Remove(log))
	code, _, errs = s.run("", "install", "--client", "claude-code", "--yes")
	require.Equal(t, exitOK, code, errs)
	ran, err = os.ReadFile(log)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(string(ran), "mcp\nremove\nexai\n-s\nuser\nmcp\nadd-json\n"), string(ran))

	require.NoError(t, os.Remove(log))
	code, _, errs = s.run("", "install", "--client", "claude-code", "--remove", "--yes")
	require.Equal(t, exitOK, code, errs)
	ran, err = os.ReadFile(log)
	require.NoError(t, err)
	assert.Equal(t, "mcp\nremove\nexai\n-s\nuser\n", string(ran))
	require.NoError(t, os.Remove(state))
	code, _, errs = s.run("", "install", "--client", "claude-code", "--remove", "--yes")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, errs, "Nothing to change")

	fakeClient(t, s, "code", "echo no such profile; exit 3")
	code, _, errs = s.run("", "install", "--client", "vscode", "--yes")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, "exit status 3: no such profile")
	code, _, errs = s.run("", "install", "--client", "vscode", "--remove", "--yes")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, errs, `VS Code has no command that removes a server: delete the entry "exai"`)
}

// A client's own command that fails half-way costs the user nothing: the old entry stays, comes back, or is kept in a file.
func TestInstallKeepsTheOldEntryWhenTheClientFails(t *testing.T) {
	const old = `{"args":["--x","<&>"],"command":"/old/exai-mcp","env":{"GLM_API_KEY":"the-users-own-key"},"timeout":30000}`
	const adds = "printf '{\"mcpServers\":{\"exai\":%s}}' \"$6\" >\"$HOME/.claude.json\""
	for _, c := range []struct {
		name, remove, add string // what the client's commands do
		says              string
		exit              int
		restored, kept    bool
	}{
		{"works", "echo '{}' >\"$HOME/.claude.json\"", adds, "Replaced the old entry.", exitOK, false, false},
		{"adds, but fails afterwards", "echo '{}' >\"$HOME/.claude.json\"", adds + "; exit 1", "Replaced the old entry.", exitOK, false, false},
		{"can't remove", "echo locked; exit 4", adds, "exit status 4: locked; the old entry is still there", exitFailed, true, false},
		{
			"can't add", "echo '{}' >\"$HOME/.claude.json\"", "case $6 in *the-users*) " + adds + ";; *) echo no such option: timeout; exit 5;; esac",
			"exit status 5: no such option: timeout; the old entry was restored", exitFailed, true, false,
		},
		{
			"can't add anything", "echo '{}' >\"$HOME/.claude.json\"", `echo "no: $6"; exit 6`,
			".claude.json" + clients.BackupSuffix + ", add it again by hand", exitFailed, false, true,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := inProject(t, "project")
			s.environ = append(s.environ, "HOME="+s.dir)
			fakeClient(t, s, "claude", fmt.Sprintf("case $2 in remove) %s;; add-json) %s;; esac", c.remove, c.add))
			state := filepath.Join(s.dir, ".claude.json")
			require.NoError(t, os.WriteFile(state, []byte(`{"mcpServers":{"exai":`+old+`}}`), 0o600))
			code, out, errs := s.run("", "install", "--client", "claude-code", "--yes")
			assert.Equal(t, c.exit, code, errs)
			assert.Contains(t, errs, c.says)
			assert.NotContains(t, out+errs, "the-users-own-key")
			has := func(file string) bool {
				data, err := os.ReadFile(file)
				require.NoError(t, err)
				var text bytes.Buffer
				require.NoError(t, json.Compact(&text, data))
				return text.String() == `{"mcpServers":{"exai":`+old+`}}`
			}
			assert.Equal(t, c.restored, has(state))
			if !c.kept {
				assert.NoFileExists(t, state+clients.BackupSuffix)
				return
			}
			assert.True(t, has(state+clients.BackupSuffix))
			info, err := os.Stat(state + clients.BackupSuffix)
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
		})
	}
}

// The backup is beside the file that a link leads to, and is named so.
func TestInstallNamesTheBackupOfALink(t *testing.T) {
	s, project := inProject(t, "project")
	target := filepath.Join(t.TempDir(), "dotfiles.json")
	require.NoError(t, os.WriteFile(target, []byte("{}"), 0o600))
	require.NoError(t, os.MkdirAll(filepath.Join(project, ".cursor"), 0o755))
	if os.Symlink(target, filepath.Join(project, ".cursor", "mcp.json")) != nil {
		t.Skip("links need a privilege here")
	}
	code, _, errs := s.run("", "install", "--client", "cursor", "--scope", "project", "--yes")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, errs, "The old version is "+target+clients.BackupSuffix+".\n")
	assert.FileExists(t, target+clients.BackupSuffix)
}

func TestInstallHooks(t *testing.T) {
	s, _ := inProject(t, "project")
	file := filepath.Join(s.dir, ".codex", "hooks.json")
	code, out, errs := s.run("", "install", "--client", "codex", "--hook", "--yes")
	require.Equal(t, exitOK, code, errs)
	assert.Contains(t, errs, "type /hooks in Codex")
	assert.Contains(t, errs, "Undo this with: exai-mcp install --client codex --scope user --remove --hook\n")
	written, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, out, strings.TrimSpace(string(written)), "the hooks are shown as they are written")
	assert.Equal(t, 2, strings.Count(string(written), "review --hook codex-stop"))

	code, _, errs = s.run("", "install", "--client", "codex", "--hook", "--yes")
	assert.Equal(t, exitOK, code)
	assert.Contains(t, errs, "Nothing to change")
	assert.NoFileExists(t, file+clients.BackupSuffix)

	code, _, errs = s.run("", "install", "--client", "codex", "--remove", "--yes")
	require.Equal(t, exitOK, code, errs)
	assert.FileExists(t, file)
	kept, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, string(written), string(kept), "--remove alone keeps the hooks")
	code, _, errs = s.run("", "install", "--client", "codex", "--remove", "--hook", "--yes")
	require.Equal(t, exitOK, code, errs)
	kept, err = os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, "{}\n", string(kept))
}

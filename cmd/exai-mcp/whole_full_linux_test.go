package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// into runs the program as a process of its own with a file as its stdout.
func (s *site) into(t *testing.T, out *os.File, dir string, args ...string) (code int, errs string) {
	t.Helper()
	exe, err := os.Executable()
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), scaled(20*time.Second))
	defer cancel()
	cmd := exec.CommandContext(ctx, exe, args...)
	var stderr bytes.Buffer
	cmd.Env, cmd.Dir, cmd.Stdout, cmd.Stderr = append(s.environ, asProgram+"=1", "GORACE=atexit_sleep_ms=0"), dir, out, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		require.NoError(t, err)
	}
	return cmd.ProcessState.ExitCode(), stderr.String()
}

// A disk that is full makes every command fail, and says so; whoever closes a pipe has read enough.
func TestWholeOutputThatFails(t *testing.T) {
	g := newGate(t)
	g.commit("a.go", "package a\n")
	g.write("a.go", "package a\n\n// ok\n")
	_, _, errs := g.run("", "issues", "create", "A title")
	require.Empty(t, errs)
	for line, full := range map[string]int{
		"--help": 1, "version": 1, "tools": 1, "tools --json": 1, "config": 1, "doctor --offline": 1, "usage": 1, "completion bash": 1, "ask hello": 1, "ask --json hello": 1,
		"call chat {\"prompt\":\"x\"}": 1, "call --text chat {\"prompt\":\"x\"}": 1, "issues list": 1, "issues list --json": 1, "issues export json": 1,
		"conversations list": 1, "review --dry-run": 3, "review": 3, "review --format sarif": 3, "review --hook pre-commit": 3,
	} {
		t.Run(line, func(t *testing.T) {
			args := strings.SplitN(line, " ", 3)
			if strings.HasPrefix(line, "call --text") {
				args = []string{"call", "--text", "chat", `{"prompt":"x"}`}
			}
			disk, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
			require.NoError(t, err)
			defer disk.Close()
			code, errs := g.into(t, disk, g.repo, args...)
			assert.Equal(t, full, code, errs)
			assert.Contains(t, errs, "no space left on device")

			read, write, err := os.Pipe()
			require.NoError(t, err)
			defer write.Close()
			require.NoError(t, read.Close())
			code, errs = g.into(t, write, g.repo, args...)
			assert.Equal(t, 0, code, errs)
			assert.NotContains(t, errs, "pipe")
		})
	}
}

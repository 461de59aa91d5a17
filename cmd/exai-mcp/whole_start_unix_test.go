//go:build unix

package main

import (
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// start runs the program as a process of its own whose stdin stays open, and returns how to wait for its exit.
func (s *site) start(environ []string, args ...string) (cmd *exec.Cmd, stderr *bytes.Buffer, exited <-chan int) {
	s.t.Helper()
	exe, err := os.Executable()
	require.NoError(s.t, err)
	cmd, stderr = exec.Command(exe, append([]string{"serve"}, args...)...), &bytes.Buffer{}
	cmd.Env, cmd.Dir, cmd.Stderr = append(slices.Concat(s.environ, environ), "GORACE=atexit_sleep_ms=0"), s.dir, stderr
	stdin, err := cmd.StdinPipe()
	require.NoError(s.t, err)
	require.NoError(s.t, cmd.Start())
	done := make(chan int, 1)
	go func() {
		_ = cmd.Wait() // its code is what counts
		done <- cmd.ProcessState.ExitCode()
	}()
	s.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = stdin.(io.Closer).Close()
	})
	return cmd, stderr, done
}

// A file that never ends, or that blocks whoever opens it, is refused at once where a setting names it.
func TestFilesThatAreNone(t *testing.T) {
	s := newSite(t)
	fifo := filepath.Join(s.dir, "fifo")
	require.NoError(t, syscall.Mkfifo(fifo, 0o600))
	link := filepath.Join(s.dir, "link.json")
	require.NoError(t, os.Symlink(fifo, link))
	for _, file := range []string{fifo, link, "/dev/zero", s.dir} {
		for _, tc := range []struct {
			name    string
			environ []string
			args    []string
		}{
			{"MODELS_FILE", []string{"MODELS_FILE=" + file}, nil},
			{"ENV_FILE", []string{"ENV_FILE=" + file}, nil},
			{"--env-file", nil, []string{"--env-file", file}},
		} {
			_, stderr, exited := s.start(tc.environ, tc.args...)
			select {
			case code := <-exited:
				assert.NotZero(t, code, "%s=%s", tc.name, file)
				assert.Contains(t, stderr.String(), tc.name)
				assert.Contains(t, stderr.String(), "regular file")
			case <-time.After(scaled(20 * time.Second)): // it would hang forever
				t.Errorf("%s=%s: the server hangs: %s", tc.name, file, stderr)
			}
		}
	}
}

// A FIFO where settings are looked for without being named is passed by, and so is one in the project.
func TestFIFOsWhereSettingsAreLookedFor(t *testing.T) {
	s := newSite(t)
	require.NoError(t, os.MkdirAll(filepath.Join(s.dir, "exai-mcp"), 0o700))
	for _, name := range []string{"exai-mcp/.env", ".env"} {
		require.NoError(t, syscall.Mkfifo(filepath.Join(s.dir, name), 0o600))
	}
	p := s.serveChild()
	assert.Contains(t, p.call("version", object{}).text, "exai-mcp")
}

// A signal ends the server at whatever moment of its start it comes.
func TestASignalDuringTheStart(t *testing.T) {
	s := newSite(t)
	for _, after := range []time.Duration{0, 5 * time.Millisecond, 20 * time.Millisecond, 80 * time.Millisecond} {
		for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
			machine := measureLag()
			cmd, stderr, exited := s.start(nil)
			time.Sleep(after)
			sent := time.Now()
			require.NoError(t, cmd.Process.Signal(signal))
			<-exited
			took := time.Since(sent)
			assert.Less(t, took, scaled(2*time.Second)+5*machine.end(), "%v after %s: %s", signal, after, stderr)
		}
	}
}

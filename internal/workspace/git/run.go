package git

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"
)

// command is how git is run: the program, where, and with which environment. Nothing of our own environment is passed
// on.
type command struct {
	program string
	dir     string
	env     []string
}

// commonEnv holds for every git command: no prompt, no pager, no editor, no network, no lock that is not needed.
func commonEnv(program string) []string {
	return []string{
		"PATH=" + filepath.Dir(program) + string(os.PathListSeparator) + systemPath(),
		"LC_ALL=C",
		"GIT_TERMINAL_PROMPT=0",
		"GIT_ASKPASS=",
		"SSH_ASKPASS=",
		"GIT_PAGER=cat",
		"GIT_EDITOR=:",
		"GIT_OPTIONAL_LOCKS=0",
		"GIT_NO_LAZY_FETCH=1",
		"GIT_ALLOW_PROTOCOL=none",
		"GIT_NO_REPLACE_OBJECTS=1",
		"GIT_LITERAL_PATHSPECS=1",
		"GIT_ATTR_NOSYSTEM=1",
	}
}

func systemPath() string {
	if runtime.GOOS == "windows" {
		return `C:\Windows\System32`
	}
	return "/usr/bin" + string(os.PathListSeparator) + "/bin"
}

// output runs git and returns what it writes, up to a maximum of bytes; cut reports that there was more, and that git was
// stopped.
func (c command) output(ctx context.Context, most int64, args ...string) (out []byte, cut bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Names are not escaped beyond what their line needs: models and people read them.
	settings := []string{"--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "core.quotePath=false"}
	cmd := exec.CommandContext(ctx, c.program, append(settings, args...)...)
	ownGroup(cmd)
	cmd.Dir, cmd.Env = c.dir, c.env
	cmd.WaitDelay = 500 * time.Millisecond
	var stderr limitedBuffer
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, false, fmt.Errorf("run git: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, false, fmt.Errorf("run git: %w", err)
	}
	out, readErr := io.ReadAll(io.LimitReader(pipe, most+1))
	if int64(len(out)) > most {
		out, cut = out[:most], true
		stop()
	}
	err = cmd.Wait()
	switch {
	case cut:
		return out, true, nil
	case context.Cause(ctx) != nil:
		return nil, false, context.Cause(ctx)
	case err != nil:
		return out, false, fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.Bytes()))
	case readErr != nil:
		return nil, false, fmt.Errorf("read from git: %w", readErr)
	}
	return out, false, nil
}

// line runs git and returns its output without the line's end.
func (c command) line(ctx context.Context, args ...string) (string, error) {
	out, _, err := c.output(ctx, 64<<10, args...)
	return string(bytes.TrimRight(out, "\r\n")), err
}

// limitedBuffer keeps the first few kilobytes and drops the rest.
type limitedBuffer struct{ bytes.Buffer }

func (b *limitedBuffer) Write(p []byte) (int, error) {
	const most = 4 << 10
	b.Buffer.Write(p[:min(len(p), max(most-b.Len(), 0))])
	return len(p), nil
}

package git

import (
	"bytes"
	"cmp"
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
	most    int64 // bytes that are read of its output
	partial bool  // on a partial clone
}

// upTo is the command with another limit of its output.
func (c command) upTo(most int64) command {
	c.most = most
	return c
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

// output runs git and returns what it writes, up to c.most bytes; cut reports that there was more, and that git was
// stopped.
func (c command) output(ctx context.Context, args ...string) (out []byte, cut bool, err error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	// Names are not escaped beyond what their line needs: models and people read them.
	settings := []string{"--no-pager", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=" + os.DevNull, "-c", "core.quotePath=false"}
	cmd := exec.CommandContext(ctx, c.program, append(settings, args...)...)
	ownGroup(cmd)
	cmd.Dir, cmd.Env = c.dir, c.env
	cmd.WaitDelay = 500 * time.Millisecond
	var stderr message
	cmd.Stderr = &stderr
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, false, fmt.Errorf("run git: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, false, cmp.Or(context.Cause(ctx), fmt.Errorf("run git: %w", err))
	}
	out, readErr := io.ReadAll(io.LimitReader(pipe, c.most+1))
	if int64(len(out)) > c.most {
		out, cut = out[:c.most], true
		stop()
	}
	err = cmd.Wait()
	switch {
	case cut:
		return out, true, nil
	case context.Cause(ctx) != nil:
		return nil, false, context.Cause(ctx)
	case err != nil:
		err = fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(stderr.kept))
		if c.partial && cmd.ProcessState.ExitCode() == exitFatal {
			err = fmt.Errorf("%w: %w", ErrPartial, err)
		}
		return out, false, err
	case readErr != nil:
		return nil, false, fmt.Errorf("read from git: %w", readErr)
	}
	return out, false, nil
}

// exitFatal is git's exit code where it could not go on.
const exitFatal = 128

// line runs git and returns its output without the line's end.
func (c command) line(ctx context.Context, args ...string) (string, error) {
	out, _, err := c.upTo(64<<10).output(ctx, args...)
	return string(bytes.TrimRight(out, "\r\n")), err
}

// maxMessage is how much is kept of what git says about a failure, in bytes.
const maxMessage = 4 << 10

// message keeps the first maxMessage bytes and drops the rest. It has no ReadFrom, which would be used instead of Write.
type message struct{ kept []byte }

func (m *message) Write(p []byte) (int, error) {
	m.kept = append(m.kept, p[:min(len(p), maxMessage-len(m.kept))]...)
	return len(p), nil
}

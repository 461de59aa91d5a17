//go:build image

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/stdioclient"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git/gittest"
)

// imageCanary is a key in an .env file beside the sources that the image is built from (scripts/image-test.sh).
const imageCanary = "canary-key-that-must-not-be-in-the-image"

// container runs the image that scripts/image-test.sh has built, as docs/docker.md says: keys from a file, a read-only
// root, no privileges, a volume for the state, the project read-only at its own path.
type container struct {
	t               *testing.T
	s               *site
	docker, image   string
	volume, project string
	extra           []string
}

func newContainer(t *testing.T, extra ...string) *container {
	c := &container{t: t, s: newSite(t), docker: os.Getenv("EXAI_TEST_DOCKER"), image: os.Getenv("EXAI_TEST_IMAGE"), extra: extra}
	require.NotEmpty(t, c.image, "run make image-test")
	c.project = filepath.Join(c.s.dir, "project")
	require.NoError(t, os.Chmod(c.s.dir, 0o755))
	require.NoError(t, writeProject(t.Context(), c.project, "git", os.Environ()))
	c.volume = fmt.Sprintf("exai-test-%d", time.Now().UnixNano())
	c.command("volume", "create", c.volume)
	t.Cleanup(func() { c.command("volume", "rm", "-f", c.volume) })
	settings := strings.Join([]string{
		"GLM_API_KEY=" + emulator.GLMKey, "GLM_API_URL=" + c.s.vendors.GLMURL(),
		"KIMI_API_KEY=" + emulator.KimiKey, "KIMI_API_URL=" + c.s.vendors.KimiURL(), "LOG_LEVEL=warn", "",
	}, "\n")
	require.NoError(t, os.WriteFile(filepath.Join(c.s.dir, "env"), []byte(settings), 0o600))
	return c
}

// command runs docker to its end.
func (c *container) command(args ...string) string {
	c.t.Helper()
	out, err := exec.Command(c.docker, args...).CombinedOutput()
	require.NoError(c.t, err, "docker %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// flags are those of docker run; the network is the host's, since the emulators listen on its loopback.
func (c *container) flags(more ...string) []string {
	return append(append([]string{
		"run", "-i", "--rm", "--network=host", "--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp",
		"--env-file=" + filepath.Join(c.s.dir, "env"), "--volume=" + c.volume + ":/data",
		"--volume=" + c.project + ":" + c.project + ":ro", "--env=EXAI_ALLOWED_ROOTS=" + c.project,
	}, c.extra...), more...)
}

// cli runs a subcommand in a container and returns what it prints on stdout.
func (c *container) cli(args ...string) string {
	c.t.Helper()
	cmd := exec.Command(c.docker, append(c.flags(c.image), args...)...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	require.NoError(c.t, cmd.Run(), "%s\n%s%s", args, &out, &errs)
	c.s.noKeyIn(out.String() + errs.String())
	return out.String()
}

// serve starts the server in a container, as a client does, and initializes the session.
func (c *container) serve(more ...string) *stdioclient.Client {
	c.t.Helper()
	log := &lastLines{}
	cmd := exec.Command(c.docker, c.flags(append(more, c.image)...)...)
	cmd.Dir, cmd.Stderr = c.s.dir, log
	server, err := stdioclient.Start(cmd, nil)
	require.NoError(c.t, err)
	_, err = server.Initialize(c.ctx(), "test", "1")
	require.NoError(c.t, err, log.String())
	return server
}

func (c *container) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	c.t.Cleanup(cancel)
	return ctx
}

func (c *container) call(server *stdioclient.Client, tool string, arguments map[string]any) reply {
	c.t.Helper()
	result, err := server.Request(c.ctx(), "tools/call", map[string]any{"name": tool, "arguments": arguments})
	require.NoError(c.t, err)
	var r struct{ StructuredContent reply }
	require.NoError(c.t, json.Unmarshal(result.Result, &r))
	return r.StructuredContent
}

func TestImageServes(t *testing.T) {
	for name, extra := range map[string][]string{
		"as the image's user":  nil,
		"as somebody else":     {"--user=12345:12345"},
		"without a volume":     {"--env=EXAI_STATE_DIR=/tmp/state"},
		"in memory, bare root": {"--env=CONVERSATION_STORAGE_BACKEND=memory"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newContainer(t, extra...)
			c.s.vendors.On(emulator.Match{Text: "Name two"}, emulator.Say("(emulated) one, two"))
			server := c.serve()
			list, err := server.Request(c.ctx(), "tools/list", map[string]any{})
			require.NoError(t, err)
			assert.Equal(t, 29, strings.Count(string(list.Result), `"inputSchema"`))
			r := c.call(server, "chat", map[string]any{"prompt": "Name two.", "model": "glm-5.3-flash"})
			assert.Equal(t, "(emulated) one, two", r.text("content"), "%v", r)
			took, err := server.Close()
			assert.NoError(t, err)
			assert.Less(t, took, 10*time.Second, "most of it is Docker's")
		})
	}
}

func TestImageKeepsItsStateInTheVolume(t *testing.T) {
	c := newContainer(t)
	c.s.vendors.On(emulator.Match{Text: "My name is Ada"}, emulator.Say("(emulated) Hello Ada."))
	server := c.serve()
	first := c.call(server, "chat", map[string]any{"prompt": "My name is Ada.", "model": "glm-5.3-flash"})
	_, err := server.Close()
	require.NoError(t, err)
	id := first.text("continuation_offer", "continuation_id")
	require.NotEmpty(t, id, "%v", first)

	c.s.vendors.On(emulator.Match{Text: "What is my name", Anywhere: "My name is Ada"}, emulator.Say("(emulated) Ada."))
	server = c.serve() // another container
	second := c.call(server, "chat", map[string]any{"prompt": "What is my name?", "continuation_id": id})
	assert.Equal(t, "(emulated) Ada.", second.text("content"), "%v", second)
	_, err = server.Close()
	require.NoError(t, err)
	assert.Contains(t, c.cli("conversations", "list"), id[:8])
}

// The repository belongs to somebody else than the image's user, as a mounted one does.
func TestImageReadsAMountedRepository(t *testing.T) {
	c := newContainer(t)
	for _, args := range [][]string{{"init", "-q"}, {"add", "-A"}, {"-c", "user.name=a", "-c", "user.email=a@b", "commit", "-q", "-m", "x"}} {
		gittest.Run(t, c.project, args...)
	}
	file := filepath.Join(c.project, "window.go")
	require.NoError(t, os.WriteFile(file, []byte(strings.Replace(read(t, file), "i < len", "i <= len", 1)), 0o644))
	server := c.serve()
	r := c.call(server, "precommit", map[string]any{
		"step": "Check my changes.", "step_number": 1, "total_steps": 1, "next_step_required": false, "findings": "One bound.",
		"path": c.project, "use_assistant_model": true,
	})
	_, err := server.Close()
	require.NoError(t, err)
	requests := c.s.vendors.Requests()
	require.NotEmpty(t, requests, "%v", r)
	assert.Contains(t, string(requests[len(requests)-1].Body), `i \u003c= len(numbers)-n`, "the diff reached the expert")
	assert.Contains(t, r.text("metadata", "model_used"), "-", "%v", r)
}

func TestImageDoctor(t *testing.T) {
	out := newContainer(t).cli("doctor")
	for _, want := range []string{"GLM (Z.ai) takes the key (environment)", "database sqlite at /data/exai.db", "git version", "No problems found; 0 keys not checked."} {
		assert.Contains(t, out, want)
	}
}

func TestImageIsLockedDown(t *testing.T) {
	c := newContainer(t)
	assert.Equal(t, "65532:65532\n", c.command("image", "inspect", "-f", "{{.Config.User}}", c.image))
	shell := func(script string) string {
		return c.command(append(c.flags("--entrypoint=sh", c.image, "-c"), script)...)
	}
	assert.Equal(t, "65532\n", shell("id -u"))
	assert.Contains(t, shell("touch /usr/local/bin/x 2>&1 || true"), "Read-only file system")
	assert.Contains(t, shell("touch "+c.project+"/x 2>&1 || true"), "Read-only file system")
	assert.Contains(t, shell("grep CapEff /proc/self/status"), "0000000000000000")
	for _, setting := range []string{"{{.Config.Env}}", "{{.Config.Labels}}", "{{.Config.Cmd}}"} {
		assert.NotContains(t, c.command("image", "inspect", "-f", setting, c.image), "API_KEY")
	}

	canary := exec.Command("grep", "-c", "--binary-files=text", imageCanary)
	save := exec.Command(c.docker, "save", c.image)
	pipe, err := save.StdoutPipe()
	require.NoError(t, err)
	canary.Stdin = pipe
	require.NoError(t, save.Start())
	out, _ := canary.Output() // grep fails when it finds nothing
	require.NoError(t, save.Wait())
	assert.Equal(t, "0\n", string(out), "the .env file of the sources is in the image")
}

// docker stop sends SIGTERM to the program, which is process 1.
func TestImageStops(t *testing.T) {
	c := newContainer(t)
	name := c.volume
	server := c.serve("--name=" + name)
	start := time.Now()
	c.command("stop", "-t", "20", name)
	assert.Less(t, time.Since(start), 10*time.Second, "gone before Docker kills it")
	assert.NoError(t, server.Wait(), "a signal is an orderly end")
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/stdioclient"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

func (a *app) demoCommand() *cobra.Command {
	var alone bool
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Call real tools on emulated vendors: no key, no network",
		Long: `Starts emulators of the vendors' APIs and of an OpenAI-compatible endpoint on loopback, starts this program as an MCP
server in another process, and calls its tools over that process's stdin and stdout, as a coding agent would. What passes
between them is printed. Every answer comes from the emulator and says so; keys and settings of yours are not used, and all
files are made in a temporary folder that is deleted at the end.

--emulator starts the emulated vendors alone, prints the settings that lead a server to them, and runs until Ctrl-C: for
trying this program with an MCP client of yours, without a key. Every tool gets a valid answer about any project.`,
		Example: `  exai-mcp demo
  exai-mcp demo --emulator > emulated.env
  exai-mcp --env-file /path/to/emulated.env    in the client's settings`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			run := a.demo
			if alone {
				run = a.emulate
			}
			if err := run(cmd.Context()); err != nil {
				return failure{err}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&alone, "emulator", false, "run only the emulated vendors, and print the settings to use them")
	return cmd
}

// The demo's limits are short, so that an answer that never comes is over in seconds.
const (
	demoLimit   = 2 * time.Second
	demoSilence = time.Second
)

// demo is one run of it: the stage, and what is printed.
type demo struct {
	w       io.Writer
	width   int // in columns
	vendors *emulator.Emulator
	project string // the folder that the client works in
	server  *stdioclient.Client
	git     string // the git program, "" where there is none

	mu sync.Mutex // w is written by the server's notifications, too
}

func (a *app) demo(ctx context.Context) (err error) {
	dir, err := os.MkdirTemp("", "exai-mcp-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the system clears its temporary folder in time
	d := &demo{w: a.out, width: a.width(), project: filepath.Join(dir, "project"), git: git.Find("")}
	if d.vendors, err = emulator.Start(emulator.Demo()); err != nil {
		return err
	}
	defer d.vendors.Close()
	environ := a.demoEnviron(d.vendors, dir)
	if err := writeProject(ctx, d.project, d.git, environ); err != nil {
		return err
	}
	log := &lastLines{}
	exe, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.Command(exe, "serve") //nolint:noctx // it is ended by closing its stdin, as a client does
	cmd.Env, cmd.Dir, cmd.Stderr = environ, d.project, log
	d.server, err = stdioclient.Start(cmd, d.printProgress)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_, _ = d.server.Close() // err says more
			err = fmt.Errorf("%w\nthe server's last lines:\n%s", err, log)
		}
	}()
	if err := d.greet(ctx); err != nil {
		return err
	}
	for _, scene := range scenes() {
		d.title(scene.title)
		if err := scene.play(ctx, d); err != nil {
			return fmt.Errorf("%s: %w", scene.title, err)
		}
	}
	return d.close()
}

// demoEnviron is the server's environment: what the system needs, the emulators as vendors, and nothing of the user's.
func (a *app) demoEnviron(vendors *emulator.Emulator, dir string) []string {
	keep := map[string]bool{
		"PATH": true, "TMPDIR": true, "TEMP": true, "TMP": true, "SYSTEMROOT": true, "COMSPEC": true, "LANG": true,
	}
	var environ []string
	for _, entry := range a.environ {
		if name, _, _ := strings.Cut(entry, "="); keep[strings.ToUpper(name)] {
			environ = append(environ, entry)
		}
	}
	return append(environ,
		homeVariable+"="+dir, "XDG_CONFIG_HOME="+dir, "EXAI_STATE_DIR="+filepath.Join(dir, "state"), "LOG_LEVEL=warn",
		"GLM_API_KEY="+vendors.Key(emulator.GLM), "GLM_API_URL="+vendors.GLMURL(),
		"KIMI_API_KEY="+vendors.Key(emulator.Kimi), "KIMI_API_URL="+vendors.KimiURL(),
		"ENDPOINTS=lab", "LAB_API_KEY="+vendors.Key(emulator.Lab), "LAB_API_URL="+vendors.URL(emulator.Lab), "LAB_MODEL=lab-large",
		"GLM_TIMEOUT_SECS="+demoLimit.String(), "STREAM_IDLE_TIMEOUT_SECS="+demoSilence.String(), "MAX_RETRIES=0",
	)
}

// greet initializes the session and lists the tools.
func (d *demo) greet(ctx context.Context) error {
	d.title("handshake")
	result, err := d.server.Initialize(ctx, "exai-mcp demo", thisBuild().version)
	if err != nil {
		return err
	}
	var agreed struct {
		ProtocolVersion string
		ServerInfo      struct{ Name, Version string }
	}
	if err := json.Unmarshal(result.Result, &agreed); err != nil {
		return err
	}
	d.print("%s %s speaks MCP %s", agreed.ServerInfo.Name, agreed.ServerInfo.Version, agreed.ProtocolVersion)
	list, err := d.server.Request(ctx, "tools/list", map[string]any{})
	if err != nil {
		return err
	}
	var shown struct{ Tools []struct{ Name string } }
	if err := json.Unmarshal(list.Result, &shown); err != nil {
		return err
	}
	var names []string
	for _, t := range shown.Tools {
		names = append(names, t.Name)
	}
	d.print("tools/list: %d tools in %d characters", len(names), len([]rune(string(list.Result))))
	d.print("%s", strings.Join(names, ", "))
	return nil
}

// close ends the server the way a client does, and prints how long it took to exit.
func (d *demo) close() error {
	d.title("goodbye")
	took, err := d.server.Close()
	if err != nil {
		return err
	}
	d.print("stdin closed; the server was gone after %s", took.Round(time.Millisecond))
	d.print("\nEvery answer above was emulated. For real ones set GLM_API_KEY or KIMI_API_KEY and run \"exai-mcp doctor\".")
	return nil
}

// call calls a tool, prints both sides, and returns the reply object.
func (d *demo) call(ctx context.Context, tool string, arguments map[string]any) (reply, error) {
	d.print("-> %s\n%s", tool, outline(arguments, "   "))
	start := time.Now()
	result, err := d.server.Request(ctx, "tools/call", map[string]any{
		"name": tool, "arguments": arguments, "_meta": map[string]any{"progressToken": tool},
	})
	if err != nil {
		return nil, err
	}
	var r struct{ StructuredContent reply }
	if err := json.Unmarshal(result.Result, &r); err != nil {
		return nil, err
	}
	d.print("<- after %s\n%s", time.Since(start).Round(time.Millisecond), r.StructuredContent.outline())
	return r.StructuredContent, nil
}

// printProgress prints a progress notification.
func (d *demo) printProgress(method string, params json.RawMessage) {
	var p struct{ Message string }
	if method == "notifications/progress" && json.Unmarshal(params, &p) == nil {
		what := p.Message
		if id, rest, found := strings.Cut(what, " | "); found && strings.HasPrefix(id, "continuation_id=") {
			what = rest // the id stands in the reply
		}
		d.print("   . %s", what)
	}
}

func (d *demo) title(title string) {
	d.print("\n== %s %s", title, strings.Repeat("=", max(3, d.width-4-len(title))))
}

func (d *demo) print(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	fmt.Fprintln(d.w, fit(fmt.Sprintf(format, args...), d.width))
}

// lastLines keeps the end of what is written to it.
type lastLines struct {
	mu   sync.Mutex
	text []byte
}

func (l *lastLines) Write(p []byte) (int, error) {
	const keep = 4096
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text = append(l.text, p...)
	l.text = l.text[max(0, len(l.text)-keep):]
	return len(p), nil
}

func (l *lastLines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.text)
}

package main

import (
	"context"
	"fmt"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/term"

	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/server"
	"github.com/exai-mcp/exai-mcp/internal/tools/words"
)

// startsWithin is when the start is over for most clients: they have their list of tools. What would compete with that for
// a small machine comes after it: opening the database, if no call needs it before, collecting garbage, and removing what
// killed processes left.
const startsWithin = 100 * time.Millisecond

// How long after its end the process may live, and its last log lines after that.
const (
	goneWithin  = 1850 * time.Millisecond
	flushWithin = 50 * time.Millisecond
)

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Serve MCP over stdin and stdout (the default)",
		Long: `Serves MCP over stdin and stdout: one JSON-RPC message per line. Stdout carries only the protocol; logs go to
stderr. The server is started by an MCP client, which closes stdin to end it: calls in flight may finish for 1.5 s, then
they are cancelled and stored. SIGTERM and SIGINT cancel at once. Either way it is gone within 2 s.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.serve(cmd.Context()) },
	}
}

func (a *app) serve(ctx context.Context) error {
	collect := debug.SetGCPercent(-1)
	defer debug.SetGCPercent(collect)
	go calls.Prepare() // beside reading the settings
	cfg, err := a.load()
	if err != nil {
		return err
	}
	log := newDropWriter(a.errw)
	defer log.close(flushWithin)
	p, err := a.assemble(cfg, log)
	if err != nil {
		return err
	}
	if isTerminal(a.in) {
		fmt.Fprintln(a.errw, `exai-mcp: serving MCP on this terminal, which is meant for MCP clients. Try "exai-mcp demo", or Ctrl-D to leave.`)
	}
	p.log.Info("starting exai-mcp", zap.String("version", p.build.version), zap.Int("tools", len(p.tools)),
		zap.String("settings", cfg.Server.EnvFile), zap.String("time_limits", cfg.Timeouts.StartLine()))
	for _, warning := range p.warnings {
		p.log.Warn(warning)
	}
	started := time.AfterFunc(startsWithin, func() {
		debug.SetGCPercent(collect)
		p.database.prewarm()
		p.files.RemoveAbandoned()
	})
	defer started.Stop()
	s := server.New(server.Options{
		Name: cfg.Server.Name, Version: p.build.version, Instructions: words.Instructions(p.toolNames()),
		Tools: p.tools, Call: p.dispatch.Call, Resources: p.reading, Prompts: p.prompts, Tasks: p.tasks, Client: p.client, Log: p.log,
	})
	end, err := s.Serve(ctx, a.in, a.stdout)
	p.close(end.Add(goneWithin))
	if err != nil {
		return failure{err}
	}
	return nil
}

// isTerminal reports whether a person may be typing. The null device is a character device, too. Fd of a pipe would change how
// it is read.
func isTerminal(in any) bool {
	f, ok := in.(*os.File)
	if !ok {
		return false
	}
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0 && term.IsTerminal(int(f.Fd()))
}

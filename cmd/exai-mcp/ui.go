package main

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"
	"os/exec"
	"runtime"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/ui"
)

func (a *app) uiCommand() *cobra.Command {
	port, noOpen := 0, false
	cmd := &cobra.Command{
		Use:   "ui",
		Short: "Show calls, cost, conversations and issues on a local web page",
		Long: `Serves a read-only page on this machine (127.0.0.1) and opens it in your browser, until Ctrl-C. Its address works once.

  exai-mcp ui
  exai-mcp ui --port 7700 --no-open

To see it from another computer, forward the port and open the printed address there:

  ssh -L 7700:127.0.0.1:7700 HOST exai-mcp ui --port 7700 --no-open`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if port < 0 || port > 65535 {
				return fmt.Errorf("--port %d: give a number from 0 to 65535; 0 takes a free one", port)
			}
			return a.withStore(cmd.Context(), func(cfg *config.Config, s *store.Store) error {
				return a.servePage(cmd.Context(), cfg, s, port, noOpen)
			})
		},
	}
	cmd.Flags().IntVar(&port, "port", 0, "port to listen on; 0 takes a free one")
	cmd.Flags().BoolVar(&noOpen, "no-open", false, "print the address and open no browser")
	return cmd
}

// servePage serves the page until ctx ends.
func (a *app) servePage(ctx context.Context, cfg *config.Config, s *store.Store, port int, noOpen bool) error {
	logger := activity.NewLogger(cfg, a.errw)
	events := activity.Open(cfg, logger)
	defer func() { _ = events.Close() }() // it has written nothing
	host, _ := origin()
	page, err := ui.New(ui.Options{
		Usage: s.Usage(), Conversations: s, Issues: s.Issues(), Running: events.LoggedWork, Host: host,
		Store: s.Backend() + " " + s.Location(), DayLimitUSD: cfg.Costs.PerDayUSD,
		Redactor: activity.NewRedactor(cfg.Secrets()...), Log: logger,
	})
	if err != nil {
		return failure{err}
	}
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return failure{fmt.Errorf("listen on 127.0.0.1:%d: %w; --port names another port, 0 takes a free one", port, err)}
	}
	server := &http.Server{
		Handler: page, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: log.New(a.errw, "exai-mcp ui: ", 0),
	}
	address := "http://" + l.Addr().String() + page.Path()
	if err := a.printf("The page is at %s\nThe address works once. Ctrl-C ends it.\n", address); err != nil {
		l.Close()
		return err
	}
	if !noOpen {
		a.openBrowser(ctx, address)
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(stop) != nil {
			_ = server.Close() // a view that takes longer is cut off
		}
		err = <-ended
	}
	if err != nil && !errors.Is(err, http.ErrServerClosed) {
		return failure{fmt.Errorf("serve the page: %w", err)}
	}
	return nil
}

// openBrowser has the system open an address. Where that fails, the address was printed.
func (a *app) openBrowser(ctx context.Context, address string) {
	var cmd *exec.Cmd
	switch runtime.GOOS {
	case "darwin":
		cmd = exec.CommandContext(ctx, "open", address)
	case "windows":
		cmd = exec.CommandContext(ctx, "rundll32", "url.dll,FileProtocolHandler", address)
	default:
		if a.getenv("DISPLAY") == "" && a.getenv("WAYLAND_DISPLAY") == "" {
			return
		}
		cmd = exec.CommandContext(ctx, "xdg-open", address)
	}
	if cmd.Start() == nil {
		go func() { _ = cmd.Wait() }() // nothing depends on it
	}
}

package main

import (
	"io"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/review"
)

// quietFor has a command for people log warnings alone, unless the user chose a level.
func (a *app) quietFor(cfg *config.Config) {
	if cfg.Source("LOG_LEVEL") == "default" {
		cfg.Logs.Level = "warn"
	}
}

// reportStyle is how a report looks on stdout.
func (a *app) reportStyle() review.Style { return review.Style{} }

// statusLine shows what goes on.
func (a *app) statusLine() *statusLine { return &statusLine{w: io.Discard} }

type statusLine struct{ w io.Writer }

func (s *statusLine) show(string) {}
func (s *statusLine) clear()      {}

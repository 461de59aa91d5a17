package main

import (
	"context"
	"fmt"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// emulate runs the emulated vendors alone until ctx ends, for servers and clients that somebody else starts. It prints the
// settings that lead a server to them, as --env-file reads them.
func (a *app) emulate(ctx context.Context) error {
	vendors, err := emulator.Start(emulator.Demo(), emulator.Reading())
	if err != nil {
		return err
	}
	defer vendors.Close()
	_, err = fmt.Fprintf(a.out, "GLM_API_KEY=%s\nGLM_API_URL=%s\nKIMI_API_KEY=%s\nKIMI_API_URL=%s\n"+
		"ENDPOINTS=lab\nLAB_API_KEY=%s\nLAB_API_URL=%s\nLAB_MODEL=lab-large\n",
		vendors.Key(emulator.GLM), vendors.GLMURL(), vendors.Key(emulator.Kimi), vendors.KimiURL(), vendors.Key(emulator.Lab), vendors.URL(emulator.Lab))
	if err != nil {
		return err
	}
	fmt.Fprintln(a.errw, "exai-mcp: the vendors are emulated until you press Ctrl-C; these settings lead a server to them.")
	<-ctx.Done()
	return nil
}

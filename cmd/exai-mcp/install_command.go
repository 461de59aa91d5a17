package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/clients"
)

// ownCommandWithin is how long a client's own command may take.
const ownCommandWithin = time.Minute

// clientCommand plans the client's own command, where its file is not to be edited. Without the program the entry is shown,
// to be added by hand.
func (a *app) clientCommand(c clients.Client, s clients.Setup, o installOptions) ([]action, error) {
	scope := clients.Scope(o.scope)
	add, err := c.Command(scope, s)
	if add == nil || err != nil {
		return nil, err
	}
	old, same := c.Installed(a.machine(), s)
	drop := c.RemoveCommand(scope)
	switch {
	case o.remove && drop == nil:
		return nil, fmt.Errorf("%s has no command that removes a server: delete the entry %q in %s", c.Title, clients.ServerName, c.Where)
	case o.remove && old == "", !o.remove && same:
		return nil, nil
	}
	program, err := a.lookPath(add[0])
	if err != nil && o.remove {
		return nil, fmt.Errorf("%w, so nothing was changed: run this again where it is, or run there: %s", err, strings.Join(drop, " "))
	}
	if err != nil {
		text, entryErr := c.Entry(s)
		if entryErr != nil {
			return nil, errors.Join(err, entryErr)
		}
		if printErr := a.printf("%s\n", text); printErr != nil {
			return nil, printErr
		}
		return nil, fmt.Errorf("%w, so nothing was changed: run this again where it is, use --scope project, or add the entry above by hand to %s", err, c.Where)
	}
	own := ownCommand{app: a, client: c, setup: s, program: program, add: add, drop: drop, old: old}
	if o.remove {
		return []action{{says: "Run: " + strings.Join(drop, " "), did: "Removed.", do: func(ctx context.Context) error { return own.run(ctx, drop) }}}, nil
	}
	text, err := c.Entry(s)
	if err != nil {
		return nil, err
	}
	step := action{
		shows: text, says: "Run " + strings.Join(add[:len(add)-1], " ") + " with this entry:", did: "Added.",
		do: func(ctx context.Context) error { return own.run(ctx, add) },
	}
	if old != "" {
		step.says = "Run: " + strings.Join(drop, " ") + "\n" + step.says
		step.did, step.do = "Replaced the old entry.", own.replace
	}
	return []action{step}, nil
}

// ownCommand runs the commands of a client that keeps its entries itself.
type ownCommand struct {
	app       *app
	client    clients.Client
	setup     clients.Setup
	program   string
	add, drop []string
	old       string // the entry that is there now, as JSON; it may hold the user's keys, so it is never printed
}

// replace removes the old entry and adds the new one, since a client refuses a name that it has. If that fails, the old entry
// is added again.
func (w ownCommand) replace(ctx context.Context) error {
	err := w.run(ctx, w.drop)
	if err == nil {
		err = w.run(ctx, w.add)
	}
	if err == nil {
		return nil
	}
	switch now, same := w.client.Installed(w.app.machine(), w.setup); {
	case same: // it failed after it had written
		return nil
	case now != "":
		return fmt.Errorf("%w; the old entry is still there", err)
	}
	// Also after Ctrl-C: an entry that was there before must not be lost.
	if w.run(context.WithoutCancel(ctx), w.client.RestoreCommand(w.old)) == nil { // an error may repeat the entry
		return fmt.Errorf("%w; the old entry was restored", err)
	}
	file, keepErr := w.client.KeepEntry(w.app.machine(), w.old)
	if keepErr != nil {
		return fmt.Errorf("%w; the old entry was removed and could not be kept: %w", err, keepErr)
	}
	return fmt.Errorf("%w; the old entry was removed and could not be restored: it is in %s, add it again by hand", err, file)
}

// lookPath finds a program in the PATH of the environment.
func (a *app) lookPath(name string) (string, error) {
	for _, dir := range filepath.SplitList(a.getenv("PATH")) {
		if !filepath.IsAbs(dir) {
			continue // never a program of the working directory
		}
		if program, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return program, nil
		}
	}
	return "", fmt.Errorf("%s is not in PATH", name)
}

// run runs one of the client's commands. Its output is part of the error.
func (w ownCommand) run(ctx context.Context, args []string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, ownCommandWithin, fmt.Errorf("no end within %s", ownCommandWithin))
	defer cancel()
	cmd := exec.CommandContext(ctx, w.program, args[1:]...)
	cmd.Env = w.app.environ
	out, err := cmd.CombinedOutput()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
		return fmt.Errorf("%s: %w: %s", w.program, err, strings.TrimSpace(string(out)))
	}
	return nil
}

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"golang.org/x/tools/txtar"
)

//go:embed cases/*.txtar
var caseFiles embed.FS

// evalCase is a small repository with a change whose diff does not show what is wrong with it. It is a txtar archive: files below
// base are committed, those below change replace them in the work tree. The comment begins with what is wrong, and has a line for
// each field.
type evalCase struct {
	Name   string
	Title  string
	Step   string // what the reviewer is asked
	Search string // what the scripted reader searches for
	// Defect is the planted line, in a file that the change does not touch. Also are places that a finding may cite as well.
	Defect place
	Also   []place

	base, change map[string]string
}

// place is a line by a part of its text.
type place struct{ File, Text string }

// cases reads all of them.
func cases() ([]evalCase, error) {
	names, err := fs.Glob(caseFiles, "cases/*.txtar")
	if err != nil {
		return nil, err
	}
	var list []evalCase
	for _, name := range names {
		text, err := caseFiles.ReadFile(name)
		if err != nil {
			return nil, err
		}
		c, err := parseCase(strings.TrimSuffix(path.Base(name), ".txtar"), text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		list = append(list, c)
	}
	return list, nil
}

func parseCase(name string, text []byte) (evalCase, error) {
	c := evalCase{Name: name, base: map[string]string{}, change: map[string]string{}}
	archive := txtar.Parse(text)
	for line := range strings.Lines(string(archive.Comment)) {
		line = strings.TrimSpace(line)
		key, value, _ := strings.Cut(line, ": ")
		switch key {
		case "step":
			c.Step = value
		case "search":
			c.Search = value
		case "defect", "also":
			file, quote, ok := strings.Cut(value, ": ")
			if !ok {
				return c, fmt.Errorf("%q names no line of a file", value)
			}
			if key == "also" {
				c.Also = append(c.Also, place{file, quote})
			} else {
				c.Defect = place{file, quote}
			}
		default:
			if c.Title == "" {
				c.Title = line
			} else if line != "" {
				return c, fmt.Errorf("unknown field: %q", line)
			}
		}
	}
	for _, f := range archive.Files {
		side, file, _ := strings.Cut(f.Name, "/")
		switch side {
		case "base":
			c.base[file] = string(f.Data)
		case "change":
			c.change[file] = string(f.Data)
		default:
			return c, fmt.Errorf("%s is neither below base nor below change", f.Name)
		}
	}
	return c, c.check()
}

// check reports a case that can't be judged.
func (c evalCase) check() error {
	switch {
	case c.Title == "" || c.Step == "" || c.Search == "" || len(c.change) == 0:
		return errors.New("it lacks a title, a step, a search or a change")
	case c.change[c.Defect.File] != "":
		return fmt.Errorf("the diff shows %s", c.Defect.File)
	case len(c.lines(c.Defect)) != 1:
		return fmt.Errorf("%q is on %d lines of %s, expected one", c.Defect.Text, len(c.lines(c.Defect)), c.Defect.File)
	}
	for _, p := range c.Also {
		if len(c.lines(p)) == 0 {
			return fmt.Errorf("%q is not in %s", p.Text, p.File)
		}
	}
	return nil
}

// lines are the numbers of the lines of the changed work tree that hold a place's text.
func (c evalCase) lines(p place) (numbers []int) {
	text, ok := c.change[p.File]
	if !ok {
		text = c.base[p.File]
	}
	n := 0
	for line := range strings.Lines(text) {
		if n++; strings.Contains(line, p.Text) {
			numbers = append(numbers, n)
		}
	}
	return numbers
}

// lay writes the repository into a folder: the base as its one commit, the change as uncommitted.
func (c evalCase) lay(ctx context.Context, dir string) error {
	if err := write(dir, c.base); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"init", "-q", "-b", "main"},
		{"add", "-A"},
		{"-c", "user.name=eval", "-c", "user.email=eval@example.org", "commit", "-q", "--no-verify", "-m", "Before the change"},
	} {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = dir
		cmd.Env = append(cmd.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1", "GIT_TEMPLATE_DIR=")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("git %s: %w: %s", args[0], err, out)
		}
	}
	return write(dir, c.change)
}

func write(dir string, files map[string]string) error {
	for name, text := range files {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

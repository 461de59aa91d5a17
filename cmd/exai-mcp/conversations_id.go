package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

// shownID is an id in a list: whole, or, where lines are short, a beginning of it that names it.
func (a *app) shownID(id string) string {
	const enough = 8 // of a UUID, 32 bits
	if width := a.lineWidth(); width > 0 && width < 120 && len(id) > enough {
		return id[:enough]
	}
	return id
}

// nameConversations puts their ids in place of the names that a person gave some conversations. A nil stays.
func nameConversations(ctx context.Context, s *store.Store, names ...*string) error {
	for _, name := range names {
		if name == nil || *name == "" {
			continue
		}
		id, err := conversationID(ctx, s, *name)
		if err != nil {
			return err
		}
		*name = id
	}
	return nil
}

// conversationID finds the conversation that a person names: by its id, by a unique beginning of it, or as "latest", the
// newest one of this folder or of the project around it. A name that no conversation has is returned as it is.
func conversationID(ctx context.Context, s *store.Store, name string) (string, error) {
	id, err := conversation.Named(ctx, s, name, foldersAround()...)
	var ambiguous *conversation.AmbiguousError
	switch {
	case errors.Is(err, conversation.ErrNoneHere):
		return "", failure{fmt.Errorf(`%w; "exai-mcp conversations list" shows all`, err)}
	case errors.As(err, &ambiguous):
		return "", failure{fmt.Errorf("%s; give more of the id", plain(err.Error()))}
	}
	return id, err
}

// loadConversation loads the conversation that a person names.
func loadConversation(ctx context.Context, s *store.Store, name string) (*conversation.Conversation, error) {
	id, err := conversationID(ctx, s, name)
	if err != nil {
		return nil, err
	}
	c, err := s.Load(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return c, nil
}

// foldersAround are the working directory and, inside a git work tree, those above it up to its top, each under the names
// that a server may know it by.
func foldersAround() []string {
	here, err := os.Getwd()
	if err != nil {
		return nil
	}
	named := func(dir string) []string {
		if real, err := filepath.EvalSymlinks(dir); err == nil && real != dir {
			return []string{dir, real}
		}
		return []string{dir}
	}
	var dirs []string
	for dir := here; ; dir = filepath.Dir(dir) {
		dirs = append(dirs, named(dir)...)
		if _, err := os.Stat(filepath.Join(dir, ".git")); err == nil {
			return dirs
		}
		if dir == filepath.Dir(dir) { // no work tree around us
			return named(here)
		}
	}
}

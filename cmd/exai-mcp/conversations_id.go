package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/store"
)

// minPrefix is how much of an id names a conversation, in characters.
const minPrefix = 6

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
// newest one of this folder. A name that no conversation has is returned as it is.
func conversationID(ctx context.Context, s *store.Store, name string) (string, error) {
	if name == "latest" {
		return latestConversation(ctx, s)
	}
	exact, err := s.List(ctx, conversation.Filter{IDs: []string{name}, Limit: 1})
	if err != nil || len(exact) > 0 || len(name) < minPrefix {
		return name, err
	}
	var found []string
	for c, err := range s.Each(ctx, conversation.Filter{}) {
		if err != nil {
			return "", err
		}
		if strings.HasPrefix(c.ID, name) {
			found = append(found, c.ID)
		}
	}
	switch len(found) {
	case 0:
		return name, nil // whoever loads it says that there is none
	case 1:
		return found[0], nil
	}
	return "", failure{fmt.Errorf("%s is ambiguous: it matches %d conversations, %s; give more of the id",
		name, len(found), strings.Join(found[:min(len(found), 5)], ", "))}
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

// latestConversation is the newest conversation that was started in this folder, or in the project around it.
func latestConversation(ctx context.Context, s *store.Store) (string, error) {
	var newest conversation.Summary
	for _, dir := range foldersAround() {
		list, err := s.List(ctx, conversation.Filter{Workspace: dir, Limit: 1})
		if err != nil {
			return "", err
		}
		if len(list) > 0 && list[0].UpdatedAt.After(newest.UpdatedAt) {
			newest = list[0]
		}
	}
	if newest.ID == "" {
		return "", failure{errors.New(`no conversation was started in this folder; "exai-mcp conversations list" shows all`)}
	}
	return newest.ID, nil
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

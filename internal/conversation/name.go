package conversation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

const (
	nameLatest     = "latest"
	minPrefix      = 6 // characters of an id that name a conversation
	ambiguousShown = 5 // ids that an AmbiguousError lists
)

// ErrNoneHere says that "latest" names nothing: no conversation was started in the folder.
var ErrNoneHere = errors.New("no conversation was started in this folder")

// AmbiguousError is a beginning of an id that several conversations have.
type AmbiguousError struct {
	Name string
	IDs  []string // the latest of them
}

// Error lists what may be meant.
func (e *AmbiguousError) Error() string {
	ids, others := e.IDs, ""
	if len(ids) > ambiguousShown {
		ids, others = ids[:ambiguousShown], " or another"
	}
	return fmt.Sprintf("%s is ambiguous: it may be %s%s", e.Name, strings.Join(ids, ", "), others)
}

// Named returns the id of the conversation that a person names: by its id, by a unique beginning of it (6 characters or
// more), or as "latest", the newest that was started in one of some folders. A name that no conversation has is returned as it
// is. An error is ErrNoneHere, an AmbiguousError or the Store's.
func Named(ctx context.Context, s Store, name string, folders ...string) (string, error) {
	if name == nameLatest {
		return latestIn(ctx, s, folders)
	}
	exact, err := s.List(ctx, Filter{IDs: []string{name}, Limit: 1})
	if err != nil || len(exact) > 0 || len(name) < minPrefix {
		return name, err
	}
	found, err := s.List(ctx, Filter{Prefix: name, Limit: ambiguousShown + 1})
	switch {
	case err != nil || len(found) == 0:
		return name, err
	case len(found) == 1:
		return found[0].ID, nil
	}
	e := &AmbiguousError{Name: name}
	for _, c := range found {
		e.IDs = append(e.IDs, c.ID)
	}
	return "", e
}

func latestIn(ctx context.Context, s Store, folders []string) (string, error) {
	var id string
	var newest time.Time
	for _, dir := range folders {
		if dir == "" {
			continue // it would be every folder
		}
		list, err := s.List(ctx, Filter{Workspace: dir, Limit: 1})
		if err != nil {
			return "", err
		}
		if len(list) > 0 && (id == "" || list[0].UpdatedAt.After(newest)) {
			id, newest = list[0].ID, list[0].UpdatedAt
		}
	}
	if id == "" {
		return "", ErrNoneHere
	}
	return id, nil
}

package issue

import (
	"context"
	"errors"
	"fmt"
)

// All lists every issue that a filter lets through, however many there are. With a Limit it lists so many.
func All(ctx context.Context, s Store, f Filter) ([]Issue, error) {
	var out []Issue
	for i, err := range s.Each(ctx, f, false) {
		if err != nil {
			return nil, err
		}
		out = append(out, i)
	}
	return out, nil
}

// Whole reads the issues of a list again, with their checklists and updates, and leaves out those that are gone.
func Whole(ctx context.Context, s Store, list []Issue) ([]Issue, error) {
	out := make([]Issue, 0, len(list))
	for _, i := range list {
		whole, err := s.Get(ctx, i.Number)
		switch {
		case err == nil:
			out = append(out, *whole)
		case !errors.Is(err, ErrNotFound):
			return nil, fmt.Errorf("issue %d: %w", i.Number, err)
		}
	}
	return out, nil
}

// Linked reads the issues that an issue is tied to.
func Linked(ctx context.Context, s Store, i Issue) ([]Issue, error) {
	var list []Issue
	for _, n := range i.LinkedTo() {
		list = append(list, Issue{Number: n})
	}
	return Whole(ctx, s, list)
}

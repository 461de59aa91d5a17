package issue

import (
	"context"
	"errors"
	"fmt"
)

// pageSize is how many issues All asks for at once.
const pageSize = 500

// All lists every issue that a filter lets through, however many there are. With a Limit it lists so many.
func All(ctx context.Context, s Store, f Filter) ([]Issue, error) {
	if f.Limit > 0 {
		return s.List(ctx, f)
	}
	var out []Issue
	seen := map[int]bool{} // others may add issues between two pages
	for f.Limit = pageSize; ; f.Offset += pageSize {
		page, err := s.List(ctx, f)
		if err != nil {
			return nil, err
		}
		for _, i := range page {
			if !seen[i.Number] {
				seen[i.Number] = true
				out = append(out, i)
			}
		}
		if len(page) < pageSize {
			return out, nil
		}
	}
}

// Whole reads the issues of a list anew, with their checklists and updates, and leaves out those that are gone.
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

// Package lazyregexp delays the compiling of regular expressions until they are first needed. Compiled when the program
// starts, they would take more of its start than its settings do.
package lazyregexp

import (
	"regexp"
	"sync"
)

// New returns a function that compiles the expression when it is first called, and returns the same Regexp from then on.
// That call panics if the expression is none.
func New(expr string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expr) })
}

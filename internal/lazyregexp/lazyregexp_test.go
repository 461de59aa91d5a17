package lazyregexp

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestNew(t *testing.T) {
	digits := New(`^\d+$`)
	assert.True(t, digits().MatchString("12"))
	assert.Same(t, digits(), digits())
	broken := New(`(`)
	assert.Panics(t, func() { broken() })
}

package o200k

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestCount(t *testing.T) {
	for text, want := range map[string]int{
		"": 0, "hello world": 2, "1234567890": 4, "  if err != nil {\n": 6,
		"<|endoftext|>": 7, // text, no special token
	} {
		assert.Equal(t, want, Count(text), "%q", text)
	}
}

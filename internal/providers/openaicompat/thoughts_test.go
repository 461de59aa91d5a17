package openaicompat

import (
	flags "flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func split(pieces ...string) (text, thought string) {
	var s thoughtSplitter
	for _, p := range pieces {
		a, b := s.push(p)
		text, thought = text+a, thought+b
	}
	a, b := s.rest()
	return text + a, thought + b
}

func TestThoughtsInTags(t *testing.T) {
	for _, c := range []struct{ in, text, thought string }{
		{"plain text", "plain text", ""},
		{"<think>hm</think>\n\nanswer", "answer", "hm"},
		{" \n<thinking>a<b</thinking>x", "x", "a<b"},
		{"<thought>a</thought>", "", "a"},
		{"<think>cut off", "", "cut off"},
		{"<think>a</thin", "", "a</thin"},
		{"<thin air", "<thin air", ""},
		{"<t", "<t", ""},
		{"text with <think>tags</think>", "text with <think>tags</think>", ""},
		{"<thinkx>a", "<thinkx>a", ""},
		{"", "", ""},
	} {
		text, thought := split(c.in)
		assert.Equal(t, c.text, text, c.in)
		assert.Equal(t, c.thought, thought, c.in)
		text, thought = split(strings.Split(c.in, "")...)
		assert.Equal(t, c.thought, thought, "in single characters: %s", c.in)
		assert.Equal(t, strings.TrimSpace(c.text), strings.TrimSpace(text), "in single characters: %s", c.in)
	}
}

// Nothing of a text is lost, wherever it is cut, and text is delivered as soon as it can't be a tag.
func TestThoughtsLoseNothing(t *testing.T) {
	require.NoError(t, flags.Set("rapid.seed", "1")) // nothing depends on chance; -rapid.checks tries more
	rapid.Check(t, func(t *rapid.T) {
		pieces := rapid.SliceOf(rapid.SampledFrom([]string{"<", "think", ">", "</think>", "a", "\n", "<think>"})).Draw(t, "pieces")
		text, thought := split(pieces...)
		all := strings.Join(pieces, "")
		lost := func(char string) int {
			return strings.Count(all, char) - strings.Count(text, char) - strings.Count(thought, char)
		}
		// What is missing is tags and line breaks alone: as many of each of a tag's characters as of the others.
		tags := lost("<")
		for _, char := range strings.Split("think>", "") {
			if lost(char) != tags {
				t.Fatalf("%q: text %q, thought %q", all, text, thought)
			}
		}
		if lost("a") != 0 || lost("/") < 0 || lost("/") > tags || lost("\n") < 0 {
			t.Fatalf("%q: text %q, thought %q", all, text, thought)
		}
	})
	var s thoughtSplitter
	text, _ := s.push("H")
	assert.Equal(t, "H", text)
}

func TestAClosingTagAlone(t *testing.T) {
	before, after, found := cutClosingTag("first I look\n</think>\n\nThe answer.")
	assert.True(t, found)
	assert.Equal(t, "first I look\n", before)
	assert.Equal(t, "The answer.", after)
	for _, text := range []string{"no tag", "`</think>` is a tag", "<think>a</think>\nb", "in </think> the middle of a line"} {
		_, _, found := cutClosingTag(text)
		assert.False(t, found, text)
	}
}

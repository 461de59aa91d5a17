package providers

import (
	"flag"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The counts are the o200k vocabulary's, but for Chinese, which both vendors put at 1.5 characters a token.
func TestEstimateIsNearRealTokenizers(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"Artificial intelligence is the simulation of human intelligence processes by machines, especially computer systems.", 16},
		{"if err != nil {\n\t\treturn fmt.Errorf(\"read config: %w\", err)\n\t}\n", 20},
		{strings.Repeat("word ", 1000), 1000},
		{strings.Repeat("人工智能是计算机科学的一个分支", 10), 100},
		{strings.Repeat("Съешь же ещё этих мягких французских булок. ", 10), 150},
		{"1234567890", 4},
	} {
		assert.InEpsilon(t, c.want, EstimateTokens(c.text), 0.35, "%.40q", c.text)
		assert.Equal(t, EstimateTokens(c.text), EstimateTokens([]byte(c.text)))
	}
	for text, want := range map[string]int{
		"": 0, "a": 1, "Word": 2, "wo": 1, " a": 1, "\xff": 2, "😀": 2, "\xf0\x9f": 3, "é": 1, "漢": 1,
	} {
		assert.Equal(t, want, EstimateTokens(text), "%q", text)
	}
}

// Cutting at a budget needs an estimate that never shrinks as text grows, and an answer's is made piece by piece.
func TestEstimateGrows(t *testing.T) {
	require.NoError(t, flag.Set("rapid.seed", "1")) // nothing depends on chance; -rapid.checks tries more
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		more := rapid.String().Draw(t, "more")
		if EstimateTokens(text) > EstimateTokens(text+more) {
			t.Fatalf("%q: %d, with %q: %d", text, EstimateTokens(text), more, EstimateTokens(text+more))
		}
		var pieces TokenTally
		add(&pieces, text)
		add(&pieces, more)
		if pieces.Tokens() != EstimateTokens(text+more) {
			t.Fatalf("%q, then %q: %d, at once: %d", text, more, pieces.Tokens(), EstimateTokens(text+more))
		}
	})
}

func TestPlanned(t *testing.T) {
	for estimated, want := range map[int]int{0: 0, 1: 2, 7: 8, 700: 800} {
		assert.Equal(t, want, Planned(estimated))
	}
}

// A prompt of 400,000 characters is gone over a few times in a call.
func BenchmarkEstimate(b *testing.B) {
	text := strings.Repeat("func (t Turn) Tokens() int { return 42 } // what a turn takes\n", 1<<20/62)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		EstimateTokens(text)
	}
}

package workspace

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"
)

// The counts are the o200k vocabulary's.
func TestEstimateIsNearRealTokenizers(t *testing.T) {
	for _, c := range []struct {
		text string
		want int
	}{
		{"Artificial intelligence is the simulation of human intelligence processes by machines, especially computer systems.", 16},
		{"if err != nil {\n\t\treturn fmt.Errorf(\"read config: %w\", err)\n\t}\n", 20},
		{strings.Repeat("人工智能是计算机科学的一个分支", 10), 100},
	} {
		assert.InEpsilon(t, c.want, Estimate(c.text), 0.35, "%.40q", c.text)
	}
	assert.Zero(t, Estimate(""))
}

// Cutting at a budget needs an estimate that never shrinks as text grows.
func TestEstimateGrows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.String().Draw(t, "text")
		more := rapid.String().Draw(t, "more")
		if Estimate(text) > Estimate(text+more)+1 {
			t.Fatalf("%q: %d, with %q: %d", text, Estimate(text), more, Estimate(text+more))
		}
	})
}

func TestEstimatorLearns(t *testing.T) {
	var e Estimator
	assert.Equal(t, 1150, e.Plan("m", 1000))
	e.Observe("m", 100, 1000) // too small to tell
	assert.Equal(t, 1150, e.Plan("m", 1000))
	e.Observe("m", 1000, 1500)
	assert.Equal(t, 1620, e.Plan("m", 1000))
	assert.Equal(t, 1150, e.Plan("other", 1000))
	for range 50 {
		e.Observe("m", 1000, 900)
	}
	assert.InDelta(t, 972, e.Plan("m", 1000), 2)
	e.Observe("wild", 1000, 1_000_000)
	assert.Equal(t, 2160, e.Plan("wild", 1000), "one odd answer does not ruin a plan")
	assert.Equal(t, e.Plan("m", Estimate("some text")), e.Tokens("m", "some text"))
}

func TestEstimatorIsConcurrent(t *testing.T) {
	var e Estimator
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 200 {
				e.Observe("m", 1000, 1100)
				e.Plan("m", 10)
			}
		})
	}
	all.Wait()
	assert.InDelta(t, 1188, e.Plan("m", 1000), 2)
}

package providers

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var modes = []ThinkingMode{ThinkMinimal, ThinkLow, ThinkMedium, ThinkHigh, ThinkMax}

func TestSwitchTakesTheNearestWord(t *testing.T) {
	for _, c := range []struct {
		name    string
		efforts []string
		want    [5]string // of modes, under a short limit
	}{
		{"one word", []string{"high"}, [5]string{"high", "high", "high", "high", "high"}},
		{"no middle", []string{"low", "max"}, [5]string{"low", "low", "low", "low", "max"}},
		{"off and strong", []string{"none", "high", "max"}, [5]string{"none", "high", "high", "high", "max"}},
		{"no strongest", []string{"low", "medium"}, [5]string{"low", "low", "medium", "medium", "medium"}},
	} {
		for i, mode := range modes {
			assert.Equal(t, c.want[i], Thinking{Efforts: c.efforts}.Switch(mode, time.Second).Effort, "%s %s", c.name, mode)
		}
	}
}

func TestMinimalUsesTheToggleWhereNoWordIsOff(t *testing.T) {
	both := Thinking{Toggle: true, Efforts: []string{"low", "high"}}
	assert.Equal(t, ThinkingSwitch{Type: "disabled"}, both.Switch(ThinkMinimal, time.Second))
	assert.Equal(t, ThinkingSwitch{Effort: "low"}, both.Switch(ThinkLow, time.Second))
}

func TestWeakerEndsWhereThinkingEnds(t *testing.T) {
	for _, think := range []Thinking{
		{Efforts: []string{"none", "minimal", "low", "medium", "high", "xhigh", "max"}},
		{Efforts: []string{"low", "high", "max"}, Always: true},
		{Toggle: true},
		{Always: true},
		{},
	} {
		s, steps := think.Switch(ThinkMax, time.Second), 0
		for {
			next, ok := think.Weaker(s)
			if !ok {
				break
			}
			require.NotEqual(t, s, next)
			s = next
			steps++
			require.Less(t, steps, 10)
		}
		assert.Equal(t, think.Always, think.On(s), "the weakest of %+v", think)
	}
}

package main

import (
	"fmt"
	"os"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

// slowdown is how many times as long as usual the machine of these tests needs, from EXAI_TEST_SLOWDOWN: 1 unless it is set, more
// on an emulated processor. What a test gives the program, its vendors and its own patience is multiplied by it, so that the
// order of what happens stays the same.
var slowdown = slowdownFrom(os.Getenv("EXAI_TEST_SLOWDOWN"))

func slowdownFrom(setting string) float64 {
	if setting == "" {
		return 1
	}
	factor, err := strconv.ParseFloat(setting, 64)
	if err != nil || factor < 1 {
		panic(fmt.Sprintf("EXAI_TEST_SLOWDOWN=%q: expected a number of 1 or more", setting))
	}
	return factor
}

// scaled returns the time that takes the place of d on this machine.
func scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) * slowdown)
}

var limitSetting = regexp.MustCompile(`^(\w+_SECS=)([0-9.]+)$`)

// limits returns settings whose limits, those that end in _SECS, are scaled.
func limits(settings ...string) []string {
	all := make([]string, len(settings))
	for i, setting := range settings {
		all[i] = setting
		if parts := limitSetting.FindStringSubmatch(setting); parts != nil {
			seconds, err := strconv.ParseFloat(parts[2], 64)
			if err != nil {
				panic(err)
			}
			all[i] = parts[1] + strconv.FormatFloat(seconds*slowdown, 'f', -1, 64)
		}
	}
	return all
}

func TestLimitsAreScaled(t *testing.T) {
	was := slowdown
	defer func() { slowdown = was }()
	slowdown = slowdownFrom("2.5")
	assert.Equal(t, 5*time.Second, scaled(2*time.Second))
	assert.Equal(t, []string{"LOG_LEVEL=error", "GLM_TIMEOUT_SECS=2", "MAX_RETRIES=1"}, limits("LOG_LEVEL=error", "GLM_TIMEOUT_SECS=0.8", "MAX_RETRIES=1"))
	slowdown = slowdownFrom("")
	assert.Equal(t, []string{"ANSWER_WITHIN_SECS=1.5"}, limits("ANSWER_WITHIN_SECS=1.5"))
	assert.Panics(t, func() { slowdownFrom("0") })
	assert.Panics(t, func() { slowdownFrom("soon") })
}

package typo

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestDistance(t *testing.T) {
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"same", "same", 0},
		{"a", "", 1},
		{"abc", "", 3},
		{"kitten", "sitting", 3},
		{"sunday", "saturday", 3},
		{"flash", "falsh", 1},
		{"ab", "ba", 1},
		{"abcd", "badc", 2},
		{"GLM_API_KYE", "GLM_API_KEY", 1},
		{"größe", "grosse", 3},
		{"文件", "文", 1},
		{strings.Repeat("x", 100), "x", 101},
	} {
		assert.Equal(t, c.want, Distance(c.a, c.b), "%s %s", c.a, c.b)
		assert.Equal(t, c.want, Distance(c.b, c.a), "%s %s", c.b, c.a)
	}
}

func TestPlain(t *testing.T) {
	for _, same := range []string{"very_high", " Very High ", "VERY-HIGH", "veryhigh"} {
		assert.Equal(t, "veryhigh", Plain(same))
	}
}

func TestNearest(t *testing.T) {
	names := []string{"prompt", "files", "images", "model", "use_websearch", "thinking_mode", "continuation_id", "step", "offset"}
	for meant, want := range map[string][]string{
		"file": {"files"}, "flies": {"files"}, "Prompt": {"prompt"}, "promt": {"prompt"}, "websearch": {"use_websearch"},
		"thinkingMode": {"thinking_mode"}, "continuationId": {"continuation_id"}, "stpe": {"step"}, "explanation": nil, "id": nil, "": nil,
		strings.Repeat("x", 10_000): nil, "stop": {"step"}, "stops": nil,
	} {
		assert.Equal(t, want, Nearest(meant, names), meant)
	}
	assert.Equal(t, []string{"abcde", "abcdf", "abcdg"}, Nearest("abcde", []string{"abcdg9", "abcdf", "abcdg", "abcde"}), "the closest three")
}

func TestSimilar(t *testing.T) {
	names := []string{"glm-5.3", "glm-5.3-flash", "glm-4.6", "kimi-k3", "kimi-k3.1-pro", "moonshot-v1-8k"}
	for meant, want := range map[string]string{
		"glm5.3": "glm-5.3", "glm-5.3-falsh": "glm-5.3-flash", "kimi-k3-pro": "kimi-k3.1-pro", "k3": "kimi-k3", "KIMI-K3": "kimi-k3",
		"moonshot": "moonshot-v1-8k", "gpt-4": "", "": "", " ": "",
	} {
		got := Similar(meant, names)
		assert.LessOrEqual(t, len(got), 3)
		if want == "" {
			assert.Empty(t, got, meant)
		} else if assert.NotEmpty(t, got, meant) {
			assert.Equal(t, want, got[0], meant)
		}
	}
}

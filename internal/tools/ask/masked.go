package ask

import (
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/secrets"
)

// maskedCodeNote is the note on an answer that repeats a mask in its code.
const maskedCodeNote = "The answer's code contains [secret: kind], which stands for a secret that the model was not shown. Don't apply these lines as they are."

// noteOnMasks returns the note on an answer whose code contains a mask, "" for any other: a fenced block, or an answer that
// is JSON, whose fixes are code.
func noteOnMasks(answer string) string {
	if secrets.Marks(answer) == 0 {
		return ""
	}
	if strings.HasPrefix(strings.TrimSpace(answer), "{") {
		return maskedCodeNote
	}
	fence := ""
	for line := range strings.Lines(answer) {
		line = strings.TrimSpace(line)
		switch {
		case fence == "" && (strings.HasPrefix(line, "```") || strings.HasPrefix(line, "~~~")):
			fence = line[:3]
		case fence != "" && strings.HasPrefix(line, fence):
			fence = ""
		case fence != "" && secrets.Marks(line) > 0:
			return maskedCodeNote
		}
	}
	return ""
}

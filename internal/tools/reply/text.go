package reply

import "strings"

// Quote returns a value as a message quotes it: as JSON, cut to 60 characters.
func Quote(v any) string {
	text, err := Marshal(v)
	if err != nil {
		return "unreadable"
	}
	return Clip(string(text))
}

// Clip cuts a text to the 60 characters that a message may quote.
func Clip(text string) string {
	const maxQuoted = 60
	if runes := []rune(text); len(runes) > maxQuoted {
		return string(runes[:maxQuoted]) + "…"
	}
	return text
}

// Either joins words as a choice: "a, b or c".
func Either(words []string) string {
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	return strings.Join(words[:len(words)-1], ", ") + " or " + words[len(words)-1]
}

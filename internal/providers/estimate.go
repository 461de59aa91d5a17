package providers

// tally counts a text's characters by how many bytes they take, which is what a guess of its tokens needs.
type tally struct{ ascii, two, more int }

func (t *tally) add(s string) {
	for i := range len(s) {
		switch b := s[i]; {
		case b < 0x80:
			t.ascii++
		case b < 0xC0: // inside a character
		case b < 0xE0:
			t.two++
		default:
			t.more++
		}
	}
}

// tokens is the guess: 4 characters of Latin text or code a token, 2 of the alphabets with two-byte characters, 1.5 of
// Chinese, Japanese and Korean. Both vendors have vocabularies of their own, so this is not exact for either.
func (t tally) tokens() int { return (3*t.ascii + 6*t.two + 8*t.more + 11) / 12 }

// EstimateTokens guesses how many tokens a text is; see tally.tokens for how well.
func EstimateTokens(text string) int {
	var t tally
	t.add(text)
	return t.tokens()
}

// What the parts of a request take beside their text, in tokens.
const (
	tokensPerMessage = 6
	tokensPerImage   = 1_500
)

// EstimateRequest guesses how many tokens of the model's window a request takes, its output aside.
func EstimateRequest(r ChatRequest) int {
	var t tally
	n := 0
	for _, m := range r.Messages {
		t.add(m.Content)
		t.add(m.Reasoning)
		for _, c := range m.ToolCalls {
			t.add(c.Name)
			t.add(c.Arguments)
		}
		n += tokensPerMessage + tokensPerImage*len(m.Images)
	}
	for _, f := range r.Functions {
		t.add(f.Name)
		t.add(f.Description)
		t.add(string(f.Parameters))
	}
	return n + t.tokens()
}

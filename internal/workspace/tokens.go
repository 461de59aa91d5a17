package workspace

import (
	"math"
	"sync"
	"unicode"
)

// Estimate guesses how many tokens a text takes. It walks runs of characters of one class, as the tokenizers of chat
// models split text before they merge it. Against the public o200k vocabulary it is within about 15 % on prose and on
// source code; GLM and Kimi have vocabularies of their own, which is what Estimator learns from their reported usage.
func Estimate(text string) int {
	total := 0.0
	class, length := classNone, 0
	for _, r := range text {
		next := classOf(r)
		switch {
		case next == class:
			length++
		case class == classUpper && next == classLower && length == 1: // "Word" is one run
			class, length = classLower, 2
		default:
			total += runTokens(class, length)
			class, length = next, 1
		}
	}
	return int(math.Ceil(total + runTokens(class, length)))
}

type class int

const (
	classNone class = iota
	classNewline
	classBlank
	classDigit
	classLower
	classUpper
	classMark    // ASCII punctuation
	classCJK     // Chinese, Japanese, Korean
	classAccent  // Latin letters beyond ASCII
	classScript  // letters of other scripts
	classUnusual // emoji, symbols, control characters
)

func classOf(r rune) class {
	switch {
	case r == '\n':
		return classNewline
	case r == ' ' || r == '\t' || r == '\r':
		return classBlank
	case r >= '0' && r <= '9':
		return classDigit
	case r >= 'a' && r <= 'z':
		return classLower
	case r >= 'A' && r <= 'Z':
		return classUpper
	case r < 0x20:
		return classUnusual
	case r < 0x80:
		return classMark
	case r >= 0x2e80 && r <= 0xd7ff || r >= 0xff00 && r <= 0xffef || r >= 0x20000 && r <= 0x3ffff:
		return classCJK
	case unicode.IsLetter(r) && r < 0x250:
		return classAccent
	case unicode.IsLetter(r) || unicode.IsMark(r):
		return classScript
	}
	return classUnusual
}

// runTokens is what a run of one class takes. The figures were fitted to the o200k vocabulary; Chinese is set to the
// 1.5 characters a token that both vendors name.
func runTokens(c class, length int) float64 {
	n := float64(length)
	switch c {
	case classNewline:
		return 1 + (n-1)/8
	case classBlank:
		if length == 1 {
			return 0.02 // it joins the word after it
		}
		return 0.6 + n/64
	case classDigit:
		return math.Ceil(n / 3)
	case classLower:
		return 0.85 + (min(n, 16)-1)/14 + max(n-16, 0)/3.5
	case classUpper:
		return 0.9 + (n-1)/2.8
	case classMark:
		return 0.55 + 0.42*(min(n, 16)-1) + max(n-16, 0)/8
	case classCJK:
		return 0.68 * n
	case classAccent:
		return 0.75 * n
	case classScript:
		return 0.42 * n
	case classUnusual:
		return 1.2 * n
	}
	return 0
}

// Estimator corrects Estimate for each model by what the vendor counted for earlier requests. Its zero value is ready,
// and it is safe for concurrent use.
type Estimator struct {
	mu     sync.Mutex
	ratios map[string]float64
}

// The margin kept above an estimate, and how much a single observation may teach.
const (
	marginUnknown   = 1.15 // before a model's first usage is known
	marginKnown     = 1.08
	learningRate    = 0.3
	leastObserved   = 200 // tokens: below, the fixed parts of a request weigh too much
	leastRatio      = 0.5
	greatestRatio   = 2.0
	mostModelsKnown = 256
)

// Tokens is how many tokens to plan for a text that goes to a model, with a margin.
func (e *Estimator) Tokens(model, text string) int { return e.Plan(model, Estimate(text)) }

// Plan corrects a sum of Estimates for a model and adds the margin.
func (e *Estimator) Plan(model string, estimated int) int {
	e.mu.Lock()
	ratio, ok := e.ratios[model]
	e.mu.Unlock()
	if !ok {
		return int(math.Ceil(float64(estimated) * marginUnknown))
	}
	return int(math.Ceil(float64(estimated) * ratio * marginKnown))
}

// Observe learns from a request whose text Estimate took for estimated tokens and the vendor counted as counted.
func (e *Estimator) Observe(model string, estimated, counted int) {
	if estimated < leastObserved || counted <= 0 {
		return
	}
	ratio := min(max(float64(counted)/float64(estimated), leastRatio), greatestRatio)
	e.mu.Lock()
	defer e.mu.Unlock()
	if old, ok := e.ratios[model]; ok {
		ratio = old + learningRate*(ratio-old)
	} else if len(e.ratios) >= mostModelsKnown {
		return
	}
	if e.ratios == nil {
		e.ratios = map[string]float64{}
	}
	e.ratios[model] = ratio
}

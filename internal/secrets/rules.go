package secrets

import (
	_ "embed"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"sync"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

var (
	//go:embed gitleaks.txt
	gitleaksRules string
	//go:embed own.txt
	ownRules string
	//go:embed words.txt
	ordinaryWords string
	//go:embed documented.txt
	documentedKeys string
)

// rule is one format.
type rule struct {
	kind string
	// assigned: the expression begins with the vendor's name, which the value is assigned to; else its keyword is part
	// of the token.
	assigned bool
	weak     bool    // its keyword is common, so that the token must look random
	least    int     // bytes that the expression matches at least
	entropy  float64 // bits a byte that the secret has at least
	group    int     // of the secret; 0 is the first group that is not empty
	expr     func() *regexp.Regexp
	except   []func() *regexp.Regexp
}

// longestKind is the length in bytes of the longest kind; a test holds it.
const longestKind = 43

// ruleSet are all rules, and the matcher of their keywords. A keyword's id is the rule's index, or one of the ids below.
type ruleSet struct {
	rules    []rule
	keywords *matcher
}

// credentialWord is the id of the words that a name of a secret holds; assigned.go judges the name and its value.
const credentialWord = -1

// rules are parsed when the first text is masked: the start of the program has no need of them.
var rules = sync.OnceValue(func() *ruleSet {
	set := &ruleSet{}
	var words []wordOf
	for _, line := range dataLines(gitleaksRules + ownRules) {
		if expr, ok := strings.CutPrefix(line, "\t"); ok {
			last := &set.rules[len(set.rules)-1]
			last.except = append(last.except, lazyregexp.New(expr))
			continue
		}
		r, keywords, err := parseRule(line)
		if err != nil {
			panic(err) // the data is embedded; a test parses all of it
		}
		for k := range strings.FieldsSeq(keywords) {
			words = append(words, wordOf{k, len(set.rules)})
		}
		set.rules = append(set.rules, r)
	}
	for _, w := range credentialWords {
		words = append(words, wordOf{w, credentialWord})
	}
	set.keywords = newMatcher(words)
	return set
})

// dataLines are the lines of an embedded file, without comments and empty ones.
func dataLines(text string) []string {
	var out []string
	for line := range strings.SplitSeq(text, "\n") {
		if line != "" && !strings.HasPrefix(line, "#") {
			out = append(out, line)
		}
	}
	return out
}

// parseRule reads kind, form, least, entropy, group, keywords and expression, which tabs separate.
func parseRule(line string) (r rule, keywords string, err error) {
	f := strings.SplitN(line, "\t", 7)
	if len(f) != 7 {
		return r, "", fmt.Errorf("rule %q: expected 7 fields, got %d", line, len(f))
	}
	least, err1 := strconv.Atoi(f[2])
	entropy, err2 := strconv.ParseFloat(f[3], 64)
	group, err3 := strconv.Atoi(f[4])
	if err1 != nil || err2 != nil || err3 != nil {
		return r, "", fmt.Errorf("rule %q: expected numbers, got %q", f[0], f[2:5])
	}
	return rule{f[0], f[1] == "assigned", f[1] == "weak", least, entropy, group, lazyregexp.New(f[6]), nil}, f[5], nil
}

// kinds are all kinds of secrets.
var kinds = sync.OnceValue(func() map[string]bool {
	all := map[string]bool{privateKey: true}
	for k := range assignedKinds {
		all[k] = true
	}
	for _, r := range rules().rules {
		all[r.kind] = true
	}
	return all
})

// ordinary finds words that no random value holds.
var ordinary = sync.OnceValue(func() *matcher { return newMatcher(wordsOf(ordinaryWords)) })

// credentials finds the words of names of secrets.
var credentials = sync.OnceValue(func() *matcher { return newMatcher(wordsOf(strings.Join(credentialWords, "\n"))) })

// documented finds keys that vendors print in their documents, and words that placeholders hold.
var documented = sync.OnceValue(func() *matcher { return newMatcher(wordsOf(documentedKeys)) })

func wordsOf(text string) []wordOf {
	var out []wordOf
	for _, line := range dataLines(text) {
		out = append(out, wordOf{strings.ToLower(line), 0})
	}
	return out
}

// secret returns the group of a match that is the secret.
func (r *rule) secret(match []int) (start, end int) {
	if r.group > 0 {
		return match[2*r.group], match[2*r.group+1]
	}
	for g := 2; g < len(match); g += 2 {
		if match[g] < match[g+1] {
			return match[g], match[g+1]
		}
	}
	return match[0], match[1]
}

// excepted reports whether a value only looks like a secret of this kind.
func (r *rule) excepted(value string) bool {
	if entropy(value) < r.entropy || documented().has(value) || r.weak && !random(value, true) {
		return true
	}
	for _, e := range r.except {
		if e().MatchString(value) {
			return true
		}
	}
	return false
}

// entropy is Shannon's, in bits a byte.
func entropy(s string) float64 {
	var count [256]int
	for i := range len(s) {
		count[s[i]]++
	}
	bits := 0.0
	for _, n := range count {
		if n > 0 {
			p := float64(n) / float64(len(s))
			bits -= p * math.Log2(p)
		}
	}
	return bits
}

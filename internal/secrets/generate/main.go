// Command generate writes the rules that internal/secrets embeds, from the configuration file of gitleaks
// (https://github.com/gitleaks/gitleaks, MIT). Run it in internal/secrets when a new version is out:
//
//	go run ./generate path/to/gitleaks/config/gitleaks.toml v8.30.1
package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"regexp/syntax"
	"slices"
	"strings"

	"github.com/pelletier/go-toml/v2"
)

// dropped are the rules that are not taken over, each with its reason.
var dropped = map[string]string{
	"generic-api-key":                 "assigned.go judges names and values; only its words are used",
	"private-key":                     "privatekey.go masks each line of a block",
	"kubernetes-secret-yaml":          "spans lines; assigned.go finds the values",
	"curl-auth-header":                "spans lines; assigned.go finds the values",
	"curl-auth-user":                  "spans lines, and takes any user and password",
	"pkcs12-file":                     "matches names of files alone",
	"hashicorp-tf-password":           "takes any word that is called a password",
	"nuget-config-password":           "takes any word that is called a password",
	"freemius-secret-key":             "takes any text that is called a secret key",
	"sidekiq-secret":                  "shorter than what the scan looks at",
	"sidekiq-sensitive-url":           "shorter than what the scan looks at",
	"aws-access-token":                "wider in own.txt",
	"sourcegraph-access-token":        "takes any commit beside the vendor's name; narrower in own.txt",
	"facebook-access-token":           "its keyword is not part of the token; in own.txt with one that is",
	"airtable-personnal-access-token": "its keyword is not part of the token; in own.txt with one that is",
	"adobe-client-id":                 "an id",
	"asana-client-id":                 "an id",
	"bitbucket-client-id":             "an id",
	"discord-client-id":               "an id",
	"linkedin-client-id":              "an id",
	"lob-pub-api-key":                 "a public key",
	"flutterwave-public-key":          "a public key",
	"messagebird-client-id":           "an id",
	"new-relic-user-api-id":           "an id",
	"plaid-client-id":                 "an id",
	"sendbird-access-id":              "an id",
	"square-access-token":             "takes parts of base64; narrower in own.txt",
	"vault-service-token":             "takes method names; narrower in own.txt",
	"sumologic-access-id":             "an id",
}

const (
	// operator occurs in every expression of gitleaks for a value that is assigned to a vendor's name.
	operator = `(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)`
	// boundary ends an assigned value in the expressions of gitleaks.
	boundary = `(?:[\x60'"\s;]|\\[nr]|$)`
	// end is ours, of a token: in prose, a token may be followed by any punctuation.
	end = `(?:[^\w-]|$)`
)

// ends are the spellings of a token's end in gitleaks.
var ends = []string{boundary, `(?:[\x60'"\s;]|\\[nr]|$|\b)`, `(?:[^\w-]|\z)`, `(?:[^a-zA-Z0-9+/]|\z)`}

// unescaped takes the backslash, which no token holds, out of what gitleaks lets a JSON Web Token consist of: it would
// take the \n of a string with it.
var unescaped = strings.NewReplacer(`\/\\_-]`, `/_-]`, `\/\\_+\-\r\n]`, `/_+-]`)

type rule struct {
	ID          string   `toml:"id"`
	Regex       string   `toml:"regex"`
	Path        string   `toml:"path"`
	Entropy     float64  `toml:"entropy"`
	SecretGroup int      `toml:"secretGroup"`
	Keywords    []string `toml:"keywords"`
	Allowlists  []struct {
		Condition   string   `toml:"condition"`
		RegexTarget string   `toml:"regexTarget"`
		Paths       []string `toml:"paths"`
		Regexes     []string `toml:"regexes"`
		StopWords   []string `toml:"stopwords"`
	} `toml:"allowlists"`
}

func main() {
	if len(os.Args) != 3 {
		fail(errors.New("usage: generate GITLEAKS.TOML VERSION"))
	}
	text, err := os.ReadFile(os.Args[1])
	if err != nil {
		fail(err)
	}
	var from struct {
		Rules []rule `toml:"rules"`
	}
	if err := toml.Unmarshal(text, &from); err != nil {
		fail(err)
	}
	header := "# Made by generate from the rules of gitleaks " + os.Args[2] + " (MIT, see LICENSE.gitleaks). Do not edit; see own.txt.\n"
	rules, words := []string{}, []string{}
	for _, r := range from.Rules {
		for _, a := range r.Allowlists {
			words = append(words, a.StopWords...)
		}
		if dropped[r.ID] != "" {
			delete(dropped, r.ID)
			continue
		}
		lines, err := lines(r)
		if err != nil {
			fail(fmt.Errorf("%s: %w", r.ID, err))
		}
		rules = append(rules, lines...)
	}
	for id := range dropped {
		fail(fmt.Errorf("%s: no such rule any more; remove it from dropped", id))
	}
	write("gitleaks.txt", header, rules)
	write("words.txt", header, plain(words))
}

// lines are a rule as internal/secrets reads it: kind, form, least number of bytes, entropy, group, keywords and
// expression, and its exceptions, one a line behind a tab.
func lines(r rule) ([]string, error) {
	if r.Path != "" {
		return nil, errors.New("rules for certain files are not supported")
	}
	form, expr, group := "assigned", unescaped.Replace(r.Regex), r.SecretGroup
	if !strings.Contains(expr, operator) {
		form, expr, group = "token", token(expr), 1
	}
	parsed, err := syntax.Parse(expr, syntax.Perl)
	if err != nil {
		return nil, err
	}
	least := max(shortest(parsed), 15) // the scan looks at nothing shorter; no vendor's token is
	for _, k := range r.Keywords {
		if len(k) < 2 || strings.ContainsAny(k, " \t\n") {
			return nil, fmt.Errorf("keyword %q: expected 2 bytes or more without spaces", k)
		}
	}
	out := []string{fmt.Sprintf("%s\t%s\t%d\t%g\t%d\t%s\t%s", r.ID, form, least, r.Entropy, group, strings.Join(r.Keywords, " "), expr)}
	for _, a := range r.Allowlists {
		if a.RegexTarget == "" && len(a.Paths) == 0 {
			for _, x := range a.Regexes {
				out = append(out, "\t"+x)
			}
		}
	}
	return out, nil
}

// token makes the whole token the first group of its expression, and lets any punctuation follow it.
func token(expr string) string {
	for _, e := range ends {
		if body, ok := strings.CutSuffix(expr, e); ok {
			return "(" + body + ")" + end
		}
	}
	if strings.Contains(expr, `(?:^|`) { // it begins with what precedes the token, which is a group already
		return expr
	}
	return "(" + expr + ")"
}

// shortest is the least number of bytes that an expression matches.
func shortest(re *syntax.Regexp) int {
	sum := func() (n int) {
		for _, s := range re.Sub {
			n += shortest(s)
		}
		return n
	}
	switch re.Op {
	case syntax.OpLiteral:
		return len(re.Rune)
	case syntax.OpCharClass, syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return 1
	case syntax.OpCapture, syntax.OpConcat, syntax.OpPlus:
		return sum()
	case syntax.OpRepeat:
		return re.Min * sum()
	case syntax.OpAlternate:
		least := shortest(re.Sub[0])
		for _, s := range re.Sub[1:] {
			least = min(least, shortest(s))
		}
		return least
	}
	return 0
}

// plain are the words of letters alone, of four letters or more: shorter ones occur by chance in random text.
func plain(words []string) []string {
	letters := regexp.MustCompile(`^[a-z]{4,}$`)
	words = slices.DeleteFunc(words, func(w string) bool { return !letters.MatchString(w) })
	slices.Sort(words)
	return slices.Compact(words)
}

func write(name, header string, lines []string) {
	if err := os.WriteFile(name, []byte(header+strings.Join(lines, "\n")+"\n"), 0o644); err != nil {
		fail(err)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, "generate:", err)
	os.Exit(1)
}

package secrets

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp/syntax"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The tokens of these tests are put together from parts, so that no scanner takes this file for a leak.
const (
	letters = "q7Zk2WmX9vB4nT6rYc1Hd8Lp3Js5FgQaUeRoIyKzGtNbVxCwMhSjDfPlE0"
	hexes   = "9f3a7c1e5b8d2406f1e9a3c7b5d80246e7c9a1b3d5f70218"
	digits  = "8301749265093817462590"
)

// tokens are one or more of each format that the documentation names, and of some others.
var tokens = map[string]string{
	"github-pat":                         "ghp_" + letters[:36],
	"github-token":                       "ghs_" + letters[:24],
	"github-fine-grained-pat":            "github_pat_" + letters[:22] + "_" + letters[:56] + letters[:3],
	"gitlab-pat":                         "glpat-" + letters[:20],
	"gitlab-runner-authentication-token": "glrt-" + letters[:20],
	"aws-access-token":                   "AKIA" + "Z7QW3ERTYU2IOPLK",
	"gcp-api-key":                        "AIza" + letters[:35],
	"google-oauth-client-secret":         "GOCSPX-" + letters[:28],
	"slack-bot-token":                    "xoxb-" + digits[:12] + "-" + digits[:12] + "-" + letters[:24],
	"slack-user-token":                   "xoxp-" + digits[:12] + "-" + digits[:12] + "-" + digits[:12] + "-" + hexes[:32],
	"slack-app-token":                    "xapp-1-A" + "01BCDEF23-" + digits[:12] + "-" + hexes[:40],
	"slack-webhook-url":                  "https://hooks." + "slack.com/services/" + "T0" + letters[:8] + "/B0" + letters[:8] + "/" + letters[:24],
	"stripe-access-token":                "sk_" + "live_" + letters[:24],
	"stripe-webhook-secret":              "whsec_" + letters[:32],
	"npm-access-token":                   "npm_" + letters[:36],
	"openai-api-key":                     "sk-proj-" + letters[:24] + "_" + letters[24:48],
	"sk-api-key":                         "sk-" + letters[:48],
	"anthropic-api-key":                  "sk-ant-api03-" + letters + letters[:35] + "AA",
	"openrouter-api-key":                 "sk-or-v1-" + hexes + hexes[:16],
	"huggingface-access-token":           "hf_" + "qZkWmXvBnTrYcHdLpJsFgQaUeRoIyKzGtN",
	"groq-api-key":                       "gsk_" + letters[:52],
	"digitalocean-pat":                   "dop_v1_" + hexes + hexes[:16],
	"sendgrid-api-token":                 "SG." + letters[:22] + "." + letters[:43],
	"pypi-upload-token":                  "pypi-" + "AgEIcHlwaS5vcmc" + letters,
	"jwt":                                "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiI4MzAxNzQ5MjY1In0." + letters[:43],
	"twilio-api-key":                     "SK" + hexes[:32],
	"facebook-access-token":              digits[:15] + "|" + letters[:27],
	"airtable-personal-access-token":     "pat" + letters[:14] + "." + hexes + hexes[:16],
}

// kindOf allows a second kind for tokens that two rules know.
func sameKind(want, got string) bool {
	return want == got || strings.HasPrefix(want, "github") && strings.HasPrefix(got, "github") ||
		strings.HasPrefix(want, "slack") && strings.HasPrefix(got, "slack")
}

func TestFormats(t *testing.T) {
	for kind, token := range tokens {
		t.Run(kind, func(t *testing.T) {
			for _, around := range []string{
				"%s", "Use the key %s, please.", "is it (%s)?", "see %s.", "\t\"x\": \"%s\",", "x: '%s'", "export X=%s", "curl https://host/path?x=%s&y=1",
				"f(\"%s\\n\")", "<x>%s</x>", "`%s`", "X=%s\r",
			} {
				if kind == "slack-webhook-url" && strings.Contains(around, "curl") {
					continue
				}
				text := fmt.Sprintf("first\n"+around+"\nlast", token)
				masked, found := Mask(text)
				require.Len(t, found, 1, around)
				assert.True(t, sameKind(kind, found[0].Kind), found[0].Kind)
				assert.Equal(t, 2, found[0].Line)
				assert.Equal(t, fmt.Sprintf("first\n"+around+"\nlast", "[secret: "+found[0].Kind+"]"), masked)
			}
		})
	}
}

// TestEveryRule draws a token of each format in the data and expects it masked whole.
func TestEveryRule(t *testing.T) {
	longest := len(privateKey)
	for _, r := range rules().rules {
		longest = max(longest, len(r.kind))
		t.Run(r.kind, func(t *testing.T) {
			// A vendor's name alone does not make a commit or a UUID behind it a secret.
			expr := strings.Replace(r.expr().String(), `(?:[ \t\w.-]{0,20})`, "_api_key", 1)
			parsed, err := syntax.Parse(expr, syntax.Perl)
			require.NoError(t, err)
			random := rand.New(rand.NewPCG(1, 2))
			for range 200 {
				text := strings.TrimSpace(sample(parsed, random))
				match := r.expr().FindStringSubmatchIndex(text)
				if match == nil {
					continue // such as a boundary that a drawn letter is none of
				}
				start, end := r.secret(match)
				if r.excepted(text[start:end]) || r.assigned && !plausible(text[match[0]:start], text[start:end]) {
					continue
				}
				masked, found := Mask("a\n" + text + "\nb")
				require.NotEmpty(t, found, text)
				assert.NotContains(t, masked, text[start:end])
				assert.Equal(t, 2, found[0].Line)
				return
			}
			t.Fatal("none of 200 drawn tokens is one")
		})
	}
	assert.Equal(t, longest, longestKind)
}

// sample draws a text that an expression matches.
func sample(re *syntax.Regexp, random *rand.Rand) string {
	switch re.Op {
	case syntax.OpLiteral:
		return string(re.Rune)
	case syntax.OpCharClass:
		for {
			i := 2 * random.IntN(len(re.Rune)/2)
			if lo, hi := re.Rune[i], min(re.Rune[i+1], '~'); lo <= hi && lo != '\n' && hi >= ' ' {
				return string(max(lo, ' ') + random.Int32N(hi-max(lo, ' ')+1))
			}
		}
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		return "."
	case syntax.OpCapture:
		return sample(re.Sub[0], random)
	case syntax.OpConcat:
		var out strings.Builder
		for _, s := range re.Sub {
			out.WriteString(sample(s, random))
		}
		return out.String()
	case syntax.OpAlternate:
		return sample(re.Sub[random.IntN(len(re.Sub))], random)
	case syntax.OpRepeat, syntax.OpPlus, syntax.OpStar, syntax.OpQuest:
		least, most := re.Min, re.Max
		switch re.Op {
		case syntax.OpPlus:
			least, most = 20, 20
		case syntax.OpStar:
			least, most = 20, 20
		case syntax.OpQuest:
			least, most = 0, 1
		}
		if most < 0 || most > least+10 {
			most = least + 10
		}
		var out strings.Builder
		for range least + random.IntN(most-least+1) {
			out.WriteString(sample(re.Sub[0], random))
		}
		return out.String()
	}
	return ""
}

func TestAssigned(t *testing.T) {
	random := "Zx9Kq2Lm7Np4Rt8Vw3Yb"
	hex32, hex64 := hexes[:32], hexes+hexes[:16]
	for line, kind := range map[string]string{
		`API_KEY=` + random:                                                "key",
		`API_KEY = "` + random + `"`:                                       "key",
		`  "apiKey": "` + random + `",`:                                    "key",
		`apikey: ` + random:                                                "key",
		`const apiKey string = "` + random + `"`:                           "key",
		`let api_key: &str = "` + random + `";`:                            "key",
		`private static final String API_KEY = "` + random + `";`:          "key",
		`os.environ["API_KEY"] = "` + random + `"`:                         "key",
		`'api_key' => '` + random + `',`:                                   "key",
		`client.setApiKey("` + random + `");`:                              "key",
		`<apiKey>` + random + `</apiKey>`:                                  "key",
		`#define API_KEY "` + random + `"`:                                 "key",
		`--api-key ` + random:                                              "key",
		`?api_key=` + random + `&x=1`:                                      "key",
		`if token == "` + random + `" {`:                                   "token",
		`"{\"token\": \"` + random + `\"}"`:                                "token",
		`Authorization: Bearer ` + random:                                  "token",
		`"Authorization": "Bearer ` + random + `"`:                         "token",
		`password: "Tr0ub4dor&3!xKcd9Zq#mN2pL"`:                            "password",
		`db_passwd = '` + random + `'`:                                     "password",
		`client_secret: ` + random + `==`:                                  "secret",
		`aws_secret_access_key = qK7/2WmX9vB4nT6rYc1Hd8Lp3Js5+gQaUeRoIyKz`: "secret",
		`SECRET_KEY=` + hex64:                                              "secret",
		`API_KEY=` + hex32:                                                 "key",
		`GLM_API_KEY=` + hex32 + `.` + letters[:16]:                        "key",
		`DATADOG_API_KEY=` + hex32 + hexes[:8]:                             "datadog-access-token",
		`BOT_TOKEN=` + digits[:10] + `:AA` + letters[:33]:                  "token",
		`APP_KEY=base64:` + letters[:43] + `=`:                             "key",
		`POSTGRES_PASSWORD: xK9#` + random + `@n!$Z`:                       "password",
		`password: "xK9$` + random + `"`:                                   "password",
		`password = b"` + random + `"`:                                     "password",
		`password = @"` + random + `"`:                                     "password",
		`password = r'` + random + `'`:                                     "password",
		`secret := []byte("` + random + `")`:                               "secret",
		`secret = os.getenv("SECRET", "` + random + `")`:                   "secret",
		`const secret = process.env.SECRET || "` + random + `"`:            "secret",
		`{"name": "DB_PASSWORD", "value": "` + random + `"}`:               "password",
		`STRIPE_TOKEN=` + tokens["stripe-access-token"]:                    "stripe-access-token",

		`key = "` + hex64 + `"`:                                            "",
		`token: ` + hex32:                                                  "",
		`cache_key = "` + random + `"`:                                     "",
		`secret_hash: ` + hex64:                                            "",
		`password_sha256: ` + hex64:                                        "",
		`integrity key: sha512-` + letters + `==`:                          "",
		`token = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"`:                   "",
		`api_key = "your_api_key_goes_here_1234"`:                          "",
		`api_key = "AKIAIOSFODNN7EXAMPLE"`:                                 "",
		`aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY`: "",
		`password = "correct horse battery staple"`:                        "",
		`password = getPasswordFromEnvironment(config.passwordVariable)`:   "",
		`token := strings.TrimPrefix(header, "Bearer ")`:                   "",
		`const tokenExpirationInMilliseconds = defaultTokenExpiration`:     "",
		`public_key = "` + random + `"`:                                    "",
		`key_id: ` + random:                                                "",
		`token_url: https://accounts.host.com/oauth2/v4/` + random:         "",
		`keyboard: "` + random + `"`:                                       "",
		`name = "` + random + `"`:                                          "",
		`secret = "aaaaaaaaaaaaaaaaaaaaaaaa"`:                              "",
		`secret = "12345678901234567890"`:                                  "",
		`API_KEY=${API_KEY_FROM_ENVIRONMENT_2}`:                            "",
		`{{ secrets.MY_LONG_SECRET_NAME_1234 }}`:                           "",
		`key: assets/images/logo-2f8a91c3d4.png`:                           "",
		`author = "` + random + `"`:                                        "",
		`passwd	1:4.13+dfsg1-1+deb12u1`:                                    "",
		`'urn:ietf:params:oauth:jwk-thumbprint:sha-256:` + letters[:43]:    "",
		`token ? first(a1B2c3D4):second9X8y7Z6w`:                           "",
	} {
		masked, found := Mask(line)
		if kind == "" {
			assert.Empty(t, found, line)
			assert.Equal(t, line, masked)
			continue
		}
		if assert.Len(t, found, 1, line) {
			assert.Equal(t, kind, found[0].Kind, line)
			assert.NotContains(t, masked, random, line)
			assert.Contains(t, masked, "[secret: "+kind+"]", line)
		}
	}
}

func TestOrdinarySourceStays(t *testing.T) {
	files, err := filepath.Glob("testdata/ordinary/*")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, name := range files {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		_, found := Mask(string(text))
		for _, f := range found {
			t.Errorf("%s:%d: %s: %.200s", name, f.Line, f.Kind, strings.Split(string(text), "\n")[f.Line-1])
		}
	}
}

func TestMaskKeepsWhatSurrounds(t *testing.T) {
	token := tokens["github-pat"]
	masked, found := Mask("a " + token + " b " + tokens["npm-access-token"] + "\n\nc\n" + token)
	assert.Equal(t, "a [secret: github-pat] b [secret: npm-access-token]\n\nc\n[secret: github-pat]", masked)
	assert.Equal(t, []Found{{1, "github-pat"}, {1, "npm-access-token"}, {4, "github-pat"}}, found)

	again, found := Mask(masked)
	assert.Equal(t, masked, again)
	assert.Empty(t, found)
	assert.Equal(t, 3, Marks(masked))
	assert.Zero(t, Marks("[secret: nothing-known] [secret: ] [secret: "))

	long := "ghp_" + letters + letters // longer than any known
	masked, _ = Mask("x=" + long)
	assert.Equal(t, "x=[secret: github-pat]", masked)

	hidden, _ := Mask("[secret: " + token + "]") // only what we put in is a mask
	assert.NotContains(t, hidden, token)
}

func TestLongLines(t *testing.T) {
	filler := strings.Repeat("function a(b){return b.key+this.props.value};", 5000)
	masked, found := Mask(filler + `x={token:"` + tokens["gitlab-pat"] + `",apiKey:"` + letters[:32] + `"};` + filler)
	require.Len(t, found, 2)
	assert.Equal(t, filler+`x={token:"[secret: gitlab-pat]",apiKey:"[secret: key]"};`+filler, masked)
}

func FuzzMask(f *testing.F) {
	for _, token := range tokens {
		f.Add("a\n\"token\": \"" + token + "\"\r\n" + token + token)
	}
	f.Add(begin + "\n" + body + "\n" + tail + "\n" + end + "\nAPI_KEY=" + letters[:30])
	f.Add("[secret: github-pat][secret: x] key=[secret: key]\x00\xff")
	f.Fuzz(func(t *testing.T, text string) {
		masked, found := Mask(text)
		lines, after := strings.Split(text, "\n"), strings.Split(masked, "\n")
		if len(lines) != len(after) {
			t.Fatalf("%d lines became %d", len(lines), len(after))
		}
		changed := map[int]bool{}
		for i, f := range found {
			if changed[f.Line] = true; i > 0 && f.Line < found[i-1].Line || f.Line < 1 || f.Line > len(lines) || !kinds()[f.Kind] {
				t.Fatalf("found %v", found)
			}
		}
		for i := range lines {
			if lines[i] != after[i] != changed[i+1] {
				t.Fatalf("line %d: %q became %q; found %v", i+1, lines[i], after[i], found)
			}
		}
		if again, more := Mask(masked); again != masked || len(more) > 0 {
			t.Fatalf("%q became %q, then %q", text, masked, again)
		}
	})
}

package config

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSecretMasksItself(t *testing.T) {
	s := Secret("sk-very-secret")
	data, err := json.Marshal(map[string]any{"key": s, "in": struct{ S Secret }{s}})
	require.NoError(t, err)
	for _, text := range []string{
		s.String(), string(data), fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, struct{ S Secret }{s}, struct{ S Secret }{s}, s, s),
		fmt.Sprintf("%+v", Config{GLM: Vendor{APIKey: s}}),
	} {
		assert.NotContains(t, text, "very-secret")
		assert.Contains(t, text, mask)
	}
	assert.Empty(t, Secret("").String())
	assert.Equal(t, "sk-very-secret", s.Reveal())
}

func TestMaskDSN(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "",
		"postgresql://user:pw@host:5432/db": "postgresql://user:********@host:5432/db",
		"postgres://user@host/db?password=pw&x=1":     "postgres://********@host/db?password=********",
		"postgres://host/db?x=1&password=p' w&y=1":    "postgres://host/db?x=1&password=********",
		"postgres://host/db?sslmode=require":          "postgres://host/db?sslmode=require",
		"postgres://user:p%40ss@host/db":              "postgres://user:********@host/db",
		"postgres://user:S@cret@host/db":              mask, // where the password ends is anybody's guess
		"postgres://exai:SeCrEt@PaRt@127.0.0.1:9/app": mask,
		"postgres://user:p@ss/w#rd@host/db":           mask,
		"postgres://user:1/secret@host/db":            mask,
		"postgres://user:1?secret@host/db":            mask,
		"postgres://user:1#secret@host/db":            mask,
		"postgres://user:%zz@host/db":                 mask,
		"user:pw@host":                                mask,
		"host=h user=u password=pw dbname=d":          "host=h user=u password=********",
		"host=h password = 'p w' sslpassword=x":       "host=h password =********",
		`host=h password='p\'w x' user=u`:             "host=h password=********",
		"host=h user=u dbname=d":                      "host=h user=u dbname=d",
		"user=u host=h password=pw":                   mask,
		"something-that-nobody-expected-but-private":  mask,
	} {
		assert.Equal(t, want, maskDSN(in), in)
	}
}

func TestMaskAddress(t *testing.T) {
	for in, want := range map[string]string{
		"/keys=/srv/keys":                mask,
		"nonsense":                       "nonsense",
		"api.host:8080/v1":               "api.host:8080/v1",
		"http://127.0.0.1:80/v1":         "http://127.0.0.1:80/v1",
		"https://host/v1/":               "https://host/v1/",
		"http://[::1]:80/v1":             "http://[::1]:80/v1",
		"http://[::1]:PASSWORD/v1":       mask,
		"https://token@host/v1":          "https://********@host/v1",
		"https://me:secret@host/v1":      "https://me:********@host/v1",
		"https://me:se@cret@host/v1":     mask,
		"u:PASSWORD@host":                mask,
		"u:PASSWORD%40host":              mask,
		"https://u:PASSWORD":             mask,
		"https:u:PASSWORD@host":          mask,
		"//u:PASSWORD@host":              mask,
		"https://host/v1?k=secret":       mask,
		"https://host/v1#secret":         mask,
		"https://host/v1;secret":         mask,
		"https://me:pw@host/v1?k=secret": mask,
		"":                               "",
	} {
		assert.Equal(t, want, maskAddress(in), in)
	}
	assert.Equal(t, "/keys=/srv/keys", maskURL("/keys=/srv/keys"), "other settings than addresses")
}

// A password is in no message and in no setting shown, however it is written.
func TestPasswordsThatStopTheStart(t *testing.T) {
	const secret, part = "SeCrEt", "PaRt"
	for _, tc := range []string{
		"DATABASE_URL=postgres://exai:SeCrEt@PaRt@127.0.0.1:9/app", "DATABASE_URL=postgres://exai:SeCrEt/PaRt@127.0.0.1:9/app",
		"DATABASE_URL=exai:SeCrEtPaRt@127.0.0.1:9/app", "DATABASE_URL=postgres://exai:1/SeCrEtPaRt@127.0.0.1:9/app",
		"GLM_API_URL=u:SeCrEtPaRt@host", "GLM_API_URL=https://u:SeCrEt@PaRt@host/v1", "GLM_API_URL=https://u:SeCrEtPaRt", "KIMI_BASE_URL=//u:SeCrEtPaRt@host",
		"GLM_API_URL=https://host/v1?k=SeCrEtPaRt", "LOG_LEVEL=u:SeCrEtPaRt@host", "GLM_TIMEOUT_SECS=https://u:SeCrEtPaRt@host/",
		"LOG_LEVEL=host=h password=SeCrEtPaRt", "MODELS_FILE=u:SeCrEtPaRt@host", "MODELS_FILE=//u:SeCrEtPaRt@host", "ENV_FILE=https://u:SeCrEtPaRt@host/app",
		"ENDPOINTS=u:SeCrEtPaRt@host", "ENDPOINTS=u:SeCrEt,PaRt@host", "ENDPOINTS=password=SeCrEtPaRt",
	} {
		_, err := newMachine(t).load("CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL=postgres://h/d", tc)
		if !assert.Error(t, err, tc) {
			continue
		}
		name, _, _ := strings.Cut(tc, "=")
		assert.Contains(t, err.Error(), name)
		assert.NotContains(t, err.Error(), "\n")
		for _, text := range []string{secret, part} {
			assert.NotContains(t, err.Error(), text, tc)
		}
	}
	_, err := newMachine(t).load("GLM_API_KEY=SeCrEtPaRt", "MODELS_FILE=SeCrEtPaRt")
	require.Error(t, err)
	assert.NotContains(t, err.Error(), part, "a key on the wrong line")
	for _, name := range []string{"MODELS_FILE", "ENV_FILE"} {
		_, err := newMachine(t).load(name + "=/srv/me@example.com/token=1.json")
		assert.ErrorContains(t, err, `="/srv/me@example.com/token=1.json"`, "a path holds no password")
	}
	c := newMachine(t).mustLoad("DATABASE_URL=postgres://exai:SeCrEt@PaRt@127.0.0.1:9/app") // another program's
	for _, s := range c.Settings() {
		assert.NotContains(t, s.Value, part)
	}
	assert.NotContains(t, strings.Join(c.Warnings, ""), part)
}

// FuzzMask: a password that is written into a connection string or an address as it is, or encoded, is not in what is shown.
func FuzzMask(f *testing.F) {
	shapes := []string{
		"postgres://u:%s@h/d", "postgresql://u:%s@h:5432/d?sslmode=require", "postgres://%s@h/d", "u:%s@h", "postgres:u:%s@h", "//u:%s@h/d", "postgres://h/d?user=u&password=%s",
		"host=h user=u password=%s dbname=d", "host=h password='%s'", "user=u password=%s", "https://u:%s@host/v1", "https://%s@host/v1", "https://u:%s", "https://host/v1?api_key=%s",
	}
	for _, password := range []string{"SeCrEt@PaRt", "p/w?x#y", "1/secret", "a b=c", "x'y", "%zz", "pass\\word", "k&user=u", "//@:", "host=h", "//>:abc", "@00#", "    ", "\x00abcd", "ＡＢＣ＠", "??????"} {
		for shape := range shapes {
			f.Add(password, uint8(shape))
		}
	}
	f.Fuzz(func(t *testing.T, password string, shape uint8) {
		for _, p := range []string{password, url.QueryEscape(password), url.PathEscape(password)} {
			text := fmt.Sprintf(shapes[int(shape)%len(shapes)], p)
			// What the text holds beside the password tells nothing about it.
			if len(p) < 4 || strings.Contains(fmt.Sprintf(shapes[int(shape)%len(shapes)], ""), p) || strings.Contains(mask, p) || strings.Trim(p, "@:/?#") == "" {
				continue
			}
			if p[0] >= '0' && p[0] <= '9' && !strings.Contains(shapes[int(shape)%len(shapes)], "@") {
				continue // a port, for all that anybody can see
			}
			if shown := maskDSN(text); strings.Contains(shown, p) {
				t.Fatalf("maskDSN(%q) = %q", text, shown)
			}
			if shown := maskURL(text); strings.Contains(text, "://") && strings.Contains(shown, p) {
				t.Fatalf("maskURL(%q) = %q", text, shown)
			}
			if shown := maskAddress(text); strings.ContainsAny(text, "@?") && strings.Contains(shown, p) {
				t.Fatalf("maskAddress(%q) = %q", text, shown)
			}
			for _, name := range []string{"DATABASE_URL", "GLM_API_URL", "LOG_LEVEL"} {
				c, err := Load(Options{Environ: []string{"HOME=/h", "CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL=postgres://h/d", name + "=" + text}, Dir: "/"})
				if err != nil {
					var bad *ValueError
					if errors.As(err, &bad) && strings.Contains(text, "@") && strings.Contains(bad.Value, p) {
						t.Fatalf("%s=%q: %v", name, text, err)
					}
					continue
				}
				for _, s := range c.Settings() {
					if strings.Contains(s.Value, p) && (s.Name == "DATABASE_URL" || s.Name == "GLM_API_URL") && s.Value != s.Default && s.Value != "postgres://h/d" {
						t.Fatalf("%s=%q is shown as %s=%q", name, text, s.Name, s.Value)
					}
				}
			}
		}
	})
}

func TestSettingsShowNoSecret(t *testing.T) {
	c := newMachine(t).mustLoad("GLM_API_KEY=secret-glm", "MOONSHOT_API_KEY=secret-kimi", "GLM_API_URL=https://me:secret-url@host/v1",
		"DATABASE_URL=postgres://u:secret%2Fdb@h/d", "LEAN_MODE=1", "SIMPLE_TOOL_TIMEOUT_SECS=31.5")
	byName := map[string]Setting{}
	for _, s := range c.Settings() {
		assert.NotContains(t, s.Value, "secret", s.Name)
		byName[s.Name] = s
	}
	assert.Equal(t, Setting{"GLM_API_KEY", mask, "", "environment"}, byName["GLM_API_KEY"])
	assert.Equal(t, Setting{"KIMI_API_KEY", mask, "", "environment, as MOONSHOT_API_KEY"}, byName["KIMI_API_KEY"])
	assert.Equal(t, "https://me:********@host/v1", byName["GLM_API_URL"].Value)
	assert.Equal(t, "postgres://u:********@h/d", byName["DATABASE_URL"].Value)
	assert.Equal(t, Setting{"LEAN_MODE", "true", "false", "environment"}, byName["LEAN_MODE"])
	assert.Equal(t, Setting{"SIMPLE_TOOL_TIMEOUT_SECS", "31.5", "30", "environment"}, byName["SIMPLE_TOOL_TIMEOUT_SECS"])
	assert.Equal(t, Setting{"KIMI_API_URL", "https://api.moonshot.ai/v1", "https://api.moonshot.ai/v1", "default"}, byName["KIMI_API_URL"])
	for _, w := range c.Warnings {
		assert.NotContains(t, w, "secret")
	}

	secrets := strings.Join(c.Secrets(), "\n")
	for _, s := range []string{"secret-glm", "secret-kimi", "secret-url", "secret%2Fdb", "secret/db", "postgres://u:secret%2Fdb@h/d"} {
		assert.Contains(t, secrets, s)
	}
	assert.Empty(t, Default().Secrets())
}

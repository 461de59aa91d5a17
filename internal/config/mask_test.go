package config

import (
	"encoding/json"
	"fmt"
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
		"postgres://user:p@ss/w#rd@host/db": "postgres://user:********@host/db",
		"postgres://user@host/db?password=pw&x=1":    "postgres://********@host/db?password=********&x=1",
		"postgres://user@host/db?password=p' w&x=1":  "postgres://********@host/db?password=********&x=1",
		"postgres://host/db?sslmode=require":         "postgres://host/db?sslmode=require",
		"host=h user=u password=pw dbname=d":         "host=h user=u password=******** dbname=d",
		"host=h password = 'p w' sslpassword=x":      "host=h password = ******** sslpassword=********",
		`host=h password='p\'w x' user=u`:            "host=h password=******** user=u",
		`host=h password=p w user=u`:                 mask,
		`host=h password=p\ w user=u`:                mask,
		`host=h password='p w`:                       mask,
		"something-that-nobody-expected-but-private": mask,
	} {
		assert.Equal(t, want, maskDSN(in))
	}
	assert.Equal(t, "/keys=/srv/keys", maskURL("/keys=/srv/keys"))
	assert.Equal(t, "https://********@host/v1", maskURL("https://token@host/v1"))
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

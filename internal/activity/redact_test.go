package activity

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

func TestRedactor(t *testing.T) {
	r := NewRedactor("abcdefg", "abcdefg-and-more", "short", "p@ss/word&1", "")
	for in, want := range map[string]string{
		"nothing here":               "nothing here",
		"xabcdefgx":                  "x********x",
		"abcdefg-and-more":           "********",
		"short words stay":           "short words stay",
		"postgres://u:p@ss/word&1@h": "postgres://u:********@h",
		"p%40ss%2Fword%261":          "********",
	} {
		assert.Equal(t, want, r.String(in))
	}
	line, err := json.Marshal(map[string]string{"a": "p@ss/word&1", "b": "fine"})
	require.NoError(t, err)
	assert.JSONEq(t, `{"a":"********","b":"fine"}`, string(r.JSON(line)))

	none := NewRedactor("short")
	assert.Nil(t, none)
	assert.Equal(t, "abcdefg", none.String("abcdefg"))
	assert.Equal(t, []byte("abcdefg"), none.JSON([]byte("abcdefg")))
}

// leaky is a value that shows its secret in every way that zap knows.
type leaky struct{ Key string }

func (l leaky) Error() string  { return "failed with " + l.Key }
func (l leaky) String() string { return "is " + l.Key }
func (l leaky) Format(f fmt.State, _ rune) {
	fmt.Fprint(f, "verbose ", l.Key)
}

func (l leaky) MarshalLogObject(e zapcore.ObjectEncoder) error {
	e.AddString("key", l.Key)
	return e.AddReflected("deep", map[string]any{"list": []string{l.Key}})
}

func TestLoggerHidesSecretsEverywhere(t *testing.T) {
	const dbPassword = "p@ss/w\"ord<1>"
	cfg := config.Default()
	cfg.Logs.Level = "debug"
	cfg.GLM.APIKey, cfg.Kimi.APIKey = "glm-secret.key", "sk-kimi-secret"
	cfg.Conversations.DatabaseURL = config.Secret("postgres://me:" + "p%40ss%2Fsecret" + "@h/d")
	var out bytes.Buffer
	l := NewLogger(cfg, &out)
	s := "glm-secret.key and sk-kimi-secret and p%40ss%2Fsecret and p@ss/secret"
	var nobody *leaky
	l.With(zap.String("with", s)).Named("n").Info("message "+s,
		zap.String("string", s), zap.ByteString("bytes", []byte(s)), zap.Strings("strings", []string{s}), zap.Error(leaky{s}),
		zap.NamedError("wrapped", fmt.Errorf("outer: %w", errors.New(s))), zap.Stringer("stringer", leaky{s}), zap.Stringer("nil", nobody),
		zap.Object("object", leaky{s}), zap.Inline(leaky{s}), zap.Any("any", map[string]any{"k": s, "in": leaky{s}}), zap.Reflect("reflect", &leaky{s}),
		zap.Any("secret", cfg.GLM.APIKey), zap.Any("config", cfg), zap.Int("number", 7), zap.Duration("took", 1500*time.Millisecond), zap.Bool("yes", true),
		zap.Namespace("ns"), zap.String("inside", s),
	)
	line := out.String()
	assert.NotContains(t, line, "secret.key")
	assert.NotContains(t, line, "kimi-secret")
	assert.NotContains(t, line, "2Fsecret")
	assert.NotContains(t, line, "ss/secret")
	assert.NotContains(t, line, dbPassword)
	assert.Equal(t, 1, strings.Count(line, "\n"))
	var got map[string]any
	require.NoError(t, json.Unmarshal([]byte(line), &got), line)
	clean := "******** and ******** and ******** and ********"
	assert.Equal(t, "message "+clean, got["msg"])
	assert.Equal(t, clean, got["with"])
	assert.Equal(t, []any{clean}, got["strings"])
	assert.Equal(t, "failed with "+clean, got["error"])
	assert.Equal(t, "verbose "+clean, got["errorVerbose"])
	assert.Equal(t, map[string]any{"key": clean, "deep": map[string]any{"list": []any{clean}}}, got["object"])
	assert.Equal(t, clean, got["ns"].(map[string]any)["inside"])
	assert.Equal(t, 7.0, got["number"])
	assert.Equal(t, 1.5, got["took_secs"], "seconds, whatever the encoder does")
	assert.NotContains(t, got, "took")
	assert.Equal(t, "info", got["level"])
	assert.Equal(t, "n", got["logger"])
	assert.Regexp(t, `^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$`, got["ts"])
}

func TestLoggerLevels(t *testing.T) {
	for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1} {
		cfg := config.Default()
		cfg.Logs.Level = level
		cfg.GLM.APIKey = "some-long-key"
		var out bytes.Buffer
		l := NewLogger(cfg, &out)
		l.Debug("a")
		l.Info("b")
		l.Warn("c")
		l.Error("d")
		assert.Equal(t, want, strings.Count(out.String(), "\n"), level)
	}
}

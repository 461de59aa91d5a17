package config

import (
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/joho/godotenv"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "rewrite .env.example")

const exampleFile = "../../.env.example"

func TestEnvExampleFileIsGenerated(t *testing.T) {
	if *update {
		require.NoError(t, os.WriteFile(exampleFile, []byte(EnvExample()), 0o644))
	}
	data, err := os.ReadFile(exampleFile)
	require.NoError(t, err)
	assert.Equal(t, EnvExample(), string(data), "run go test ./internal/config -update")
}

// The table, which the documents are made from, and the struct, which the program runs on, hold the same variables.
func TestTableAndStructHoldTheSameVariables(t *testing.T) {
	fields := map[string]bool{}
	eachVariable(Default(), func(v variable) {
		assert.False(t, fields[v.name], "%s is read into two fields", v.name)
		fields[v.name] = true
	})
	seen := map[string]bool{}
	eachSpec(nil, func(s spec) {
		for _, name := range s.names() {
			assert.False(t, seen[name], "%s stands twice in the table", name)
			seen[name] = true
		}
		assert.True(t, fields[s.name], "%s of the table has no field", s.name)
		delete(fields, s.name)
		assert.Regexp(t, `^[A-Z].{10,}\.$`, s.doc, "%s needs a description in sentences", s.name)
		assert.NotEmpty(t, s.rule.accepts, s.name)
		assert.NotNil(t, s.rule.norm, s.name)
		_, ok := retired[s.name]
		assert.False(t, ok, "%s is both kept and retired", s.name)
	})
	assert.Empty(t, fields, "fields that the table lacks")
}

// What the file shows as a default is what the program does: all of it uncommented changes nothing.
func TestEnvExampleUncommentedIsTheDefault(t *testing.T) {
	data, err := os.ReadFile(exampleFile)
	require.NoError(t, err)
	uncommented := regexp.MustCompile(`(?m)^#([A-Z][A-Z0-9_]*=)`).ReplaceAllString(string(data), "$1")

	lines := literalLines(uncommented)
	values, err := godotenv.Unmarshal(uncommented)
	require.NoError(t, err)
	assert.Equal(t, values, lines, "godotenv and docker run --env-file read the file alike")
	count := 0
	eachVariable(Default(), func(v variable) {
		count++
		value, ok := values[v.name]
		assert.True(t, ok, "%s is missing", v.name)
		assert.Equal(t, v.text(), value, v.name)
	})
	for _, row := range Presets() {
		for _, s := range presetSpecs(row) {
			count++
			value, ok := values[s.name]
			assert.True(t, ok, "%s is missing", s.name)
			assert.Equal(t, presetDefault(row, s), value, s.name)
		}
	}
	assert.Len(t, values, count)

	dir := t.TempDir()
	file := filepath.Join(dir, "all.env")
	require.NoError(t, os.WriteFile(file, []byte(uncommented), 0o600))
	got, err := Load(Options{Environ: []string{"HOME=" + dir}, Dir: dir, EnvFile: file})
	require.NoError(t, err)
	assert.Empty(t, got.Warnings)
	want, err := Load(Options{Environ: []string{"HOME=" + dir}, Dir: dir})
	require.NoError(t, err)
	assert.Equal(t, "~/all.env", got.SettingsFile())
	got.Server.EnvFile, got.settingsFile, got.sources, got.Timeouts.sources = "", want.settingsFile, nil, nil
	want.sources, want.Timeouts.sources = nil, nil
	assert.Equal(t, want, got)
	assert.Equal(t, Default().Timeouts, got.Timeouts)
}

// literalLines reads a file as docker run --env-file does: comments are lines that begin with #, all else is literal.
func literalLines(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		out[name] = value
	}
	return out
}

func TestEnvExampleHasOnlyTheKeysLive(t *testing.T) {
	data, err := os.ReadFile(exampleFile)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"GLM_API_KEY": "", "KIMI_API_KEY": ""}, literalLines(string(data)))
	assert.NotRegexp(t, `(?m)^#?[A-Z_]+=.*["']`, string(data), "no quotes")
	assert.NotRegexp(t, `(?m)^#?[A-Z_]+=.*#`, string(data), "no comments beside values")
}

func TestReferenceNamesEveryVariableOnce(t *testing.T) {
	ref := Reference()
	eachSpec(nil, func(s spec) {
		assert.Equal(t, 1, strings.Count(ref, "| `"+s.name+"` |"), s.name)
	})
	for line := range strings.Lines(ref) {
		if strings.HasPrefix(line, "| `") {
			assert.Equal(t, 5, strings.Count(line, "|")-strings.Count(line, `\|`), line)
		}
	}
}

func TestEveryNameOfTheOriginalIsKeptOrReplaced(t *testing.T) {
	data, err := os.ReadFile("testdata/original-names.txt")
	require.NoError(t, err)
	known := map[string]bool{}
	eachSpec(nil, func(s spec) {
		for _, name := range s.names() {
			known[name] = true
		}
	})
	for name := range strings.FieldsSeq(string(data)) {
		hint, gone := replacement(name)
		assert.True(t, known[name] != gone, "%s: known %t, retired %t", name, known[name], gone)
		if gone {
			assert.Greater(t, len(hint), 10, name)
		}
	}
	// A hint must not send anybody to a name that does not exist.
	for name, hint := range retired {
		for _, other := range regexp.MustCompile(`[A-Z][A-Z0-9]*(_[A-Z0-9]+)+`).FindAllString(hint, -1) {
			assert.True(t, known[other], "%s points to %s", name, other)
		}
	}
}

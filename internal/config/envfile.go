package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"github.com/joho/godotenv"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// source is one place that settings are read from.
type source struct {
	label  string // "environment" or "file /path"
	values map[string]string
}

// first finds a variable under the first of its names that is set.
func (s source) first(of spec) setting {
	for _, name := range append([]string{of.name}, of.aliases...) {
		if raw := clean(s.values[name]); raw != "" {
			return setting{name: name, raw: raw, from: s.label}
		}
	}
	return setting{}
}

// placeholder is what examples hold in a value's place, and a reference to a variable that a client's configuration file
// should have replaced: ${NAME}, ${env:NAME}, $NAME. Taken for a key it would hide the real one of the settings file.
var placeholder = lazyregexp.New(`(?i)^(<?your[_-].*[_-]here>?|\$\{[^{}]*\}|\$[a-z_][a-z0-9_]*)$`)

// clean strips the quotes that docker run --env-file leaves around a value, and empties a placeholder.
func clean(v string) string {
	v = strings.TrimSpace(v)
	if n := len(v); n >= 2 && v[0] == v[n-1] && (v[0] == '"' || v[0] == '\'') {
		v = strings.TrimSpace(v[1 : n-1])
	}
	if v != "" && strings.ContainsRune("<$yY", rune(v[0])) && placeholder().MatchString(v) {
		return ""
	}
	return v
}

// environment turns os.Environ's lines into a map. Windows does not tell the case of names apart.
func environment(environ []string, goos string) map[string]string {
	values := map[string]string{}
	for _, line := range environ {
		name, value, ok := strings.Cut(line, "=")
		if !ok || name == "" {
			continue
		}
		if goos == "windows" {
			name = strings.ToUpper(name)
		}
		values[name] = value
	}
	return values
}

// openEnvFile adds the one file that settings are read from and returns its path: --env-file or ENV_FILE, which must
// exist; else the file of the user's configuration folder; else .env of the working directory, but only if it holds a
// key, since agents start servers inside other people's projects. "" means that there is none.
func (l *loader) openEnvFile(flag string) (string, error) {
	name, from, raw := "--env-file", "command line", clean(flag)
	if raw == "" {
		name, from, raw = "ENV_FILE", "environment", clean(l.environ["ENV_FILE"])
	}
	if raw != "" {
		file, ok := absolute(raw, l.at)
		if info, err := os.Stat(file); !ok || err != nil || info.IsDir() {
			return "", &ValueError{Name: name, Value: raw, Source: from, Accepts: "the path of a file that exists"}
		}
		l.fileFrom = from
		return file, l.addEnvFile(file)
	}
	for _, file := range configFiles(l.environ, l.at) {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			l.fileFrom = "configuration folder"
			return file, l.addEnvFile(file)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return "", fmt.Errorf("%s cannot be read: %w", file, cause(err))
		}
	}
	return l.openProjectFile(), nil
}

// openProjectFile reads .env of the working directory if it holds a key.
func (l *loader) openProjectFile() string {
	file := filepath.Join(l.at.dir, ".env")
	if info, err := os.Stat(file); l.at.dir == "" || err != nil || !info.Mode().IsRegular() {
		return ""
	}
	values := l.projectValues(file)
	held := source{label: "file " + file, values: values}
	holdsKey := false
	eachSpec(func(s spec) {
		if set := held.first(s); s.example && set.isSet() {
			_, ok := s.rule.norm(set.raw, l.at)
			holdsKey = holdsKey || ok
		}
	})
	if !holdsKey {
		return ""
	}
	l.sources = append(l.sources, held)
	l.fileFrom = "working directory"
	return file
}

// projectValues parses a file that is likely somebody else's: where that fails it holds nothing, and is worth a word
// only if it names a key of ours.
func (l *loader) projectValues(file string) map[string]string {
	data, err := readFile(file)
	if err != nil {
		return nil
	}
	values, err := parseEnvFile(data)
	if err != nil && (bytes.Contains(data, []byte("GLM_API_KEY")) || bytes.Contains(data, []byte("KIMI_API_KEY"))) {
		l.warn("%s is not used: %v", file, err)
	}
	return values
}

// maxEnvFile is far more than anybody writes by hand.
const maxEnvFile = 1 << 20

func readFile(file string) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxEnvFile+1))
}

// addEnvFile adds a file's values to the sources.
func (l *loader) addEnvFile(file string) error {
	data, err := readFile(file)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", file, cause(err))
	}
	values, err := parseEnvFile(data)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	l.sources = append(l.sources, source{label: "file " + file, values: values})
	return nil
}

// cause drops the path from a file error, which the message has already.
func cause(err error) error {
	if pathErr := (*fs.PathError)(nil); errors.As(err, &pathErr) {
		return pathErr.Err
	}
	return err
}

// dollar stands for $ while godotenv parses: a $ in a password means itself, as it does to docker run --env-file, and
// must not begin a reference to another variable.
const dollar = "\ue000"

// parseEnvFile parses NAME=value lines. Its errors name a line but never show it: it may hold a key.
func parseEnvFile(data []byte) (map[string]string, error) {
	data = bytes.TrimPrefix(data, []byte("\xef\xbb\xbf"))
	switch {
	case len(data) > maxEnvFile:
		return nil, errors.New("accepted: an env file of up to 1 MiB")
	case !utf8.Valid(data) || bytes.IndexByte(data, 0) >= 0:
		return nil, errors.New("accepted: an env file in UTF-8")
	}
	data = bytes.ReplaceAll(data, []byte("$"), []byte(dollar))
	values, err := godotenv.UnmarshalBytes(data)
	if err != nil {
		return nil, fmt.Errorf("line %d: accepted: NAME=value, comments on lines of their own", badLine(data))
	}
	for name, value := range values {
		values[name] = strings.ReplaceAll(value, dollar, "$")
	}
	return values, nil
}

// badLine finds the line where a file stops being valid, by parsing it statement by statement: a line, or as many as a
// quoted value spans.
func badLine(data []byte) int {
	const longest = 100 // lines of one statement
	lines := bytes.SplitAfter(data, []byte("\n"))
	start := 0
	for end := 1; end <= len(lines) && end-start <= longest; end++ {
		if _, err := godotenv.UnmarshalBytes(bytes.Join(lines[start:end], nil)); err == nil {
			start = end
		}
	}
	return start + 1
}

// configFiles are the places of the user's own env file, the best first.
func configFiles(environ map[string]string, at place) []string {
	var dirs []string
	if xdg := environ["XDG_CONFIG_HOME"]; filepath.IsAbs(xdg) {
		dirs = append(dirs, xdg)
	} else if at.home != "" {
		dirs = append(dirs, filepath.Join(at.home, ".config"))
	}
	switch {
	case at.goos == "darwin" && at.home != "":
		dirs = append(dirs, filepath.Join(at.home, "Library", "Application Support"))
	case at.goos == "windows" && environ["APPDATA"] != "":
		dirs = append(dirs, environ["APPDATA"])
	}
	files := make([]string, len(dirs))
	for i, dir := range dirs {
		files[i] = filepath.Join(dir, "exai-mcp", ".env")
	}
	return files
}

// stateDir is the folder for the database and the logs where none is set, "" if the machine names none.
func stateDir(environ map[string]string, at place) string {
	const name = "exai-mcp"
	switch xdg := environ["XDG_STATE_HOME"]; {
	case filepath.IsAbs(xdg):
		return filepath.Join(xdg, name)
	case at.goos == "windows" && environ["LOCALAPPDATA"] != "":
		return filepath.Join(environ["LOCALAPPDATA"], name)
	case at.home == "":
		return ""
	case at.goos == "windows":
		return filepath.Join(at.home, "AppData", "Local", name)
	case at.goos == "darwin":
		return filepath.Join(at.home, "Library", "Application Support", name)
	}
	return filepath.Join(at.home, ".local", "state", name)
}

package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/joho/godotenv"
)

// source is one place that settings are read from.
type source struct {
	label  string // "environment" or "file /path"
	values map[string]string
}

// first finds a variable under the first of its names that is set.
func (s source) first(of spec) setting {
	for _, name := range of.names() {
		if raw := clean(s.values[name]); raw != "" {
			return setting{name: name, raw: raw, from: s.label}
		}
	}
	return setting{}
}

// clean strips the quotes that docker run --env-file leaves around a value, and empties a placeholder.
func clean(v string) string {
	if v = unquoted(v); isPlaceholder(v) {
		return ""
	}
	return v
}

func unquoted(v string) string {
	v = strings.TrimSpace(v)
	if n := len(v); n >= 2 && v[0] == v[n-1] && (v[0] == '"' || v[0] == '\'') {
		v = strings.TrimSpace(v[1 : n-1])
	}
	return v
}

// isPlaceholder reports whether a value is what examples hold in a value's place (your_glm_api_key_here, YOUR_API_KEY,
// <your-key>), or a reference to a variable that a client's configuration file should have replaced: ${NAME},
// ${env:NAME}, $NAME, {env:NAME}, %NAME%, {{NAME}}, undefined, null. Taken for a key it would hide the real one of the
// settings file.
func isPlaceholder(v string) bool {
	if v == "" || !strings.ContainsRune("<$%{yYuUnN", rune(v[0])) {
		return false
	}
	between := func(before, after string) (string, bool) {
		inner, ok := strings.CutPrefix(v, before)
		if !ok {
			return "", false
		}
		inner, ok = strings.CutSuffix(inner, after)
		return inner, ok && inner != "" && !strings.ContainsAny(inner, before+after)
	}
	if _, ok := between("<", ">"); ok {
		return true
	}
	if _, ok := between("${", "}"); ok {
		return true
	}
	if _, ok := between("{{", "}}"); ok {
		return true
	}
	if _, ok := between("{env:", "}"); ok {
		return true
	}
	if name, ok := between("%", "%"); ok && isName(name) {
		return true
	}
	if name, ok := strings.CutPrefix(v, "$"); ok && isName(name) {
		return true
	}
	lower := strings.ToLower(v)
	if rest, ok := strings.CutPrefix(lower, "your"); ok && rest != "" && strings.ContainsRune("_- ", rune(rest[0])) {
		return strings.HasSuffix(rest, "here") || strings.HasSuffix(rest, "key") || strings.HasSuffix(rest, "token")
	}
	return lower == "undefined" || lower == "null"
}

// isName reports whether a text can be a variable's name.
func isName(s string) bool {
	for i, r := range s {
		letter := 'a' <= r|0x20 && r|0x20 <= 'z' || r == '_'
		if !letter && (i == 0 || r < '0' || '9' < r) {
			return false
		}
	}
	return s != ""
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
// exist; else the file of the user's configuration folder; else .env of the working directory (see openProjectFile). ""
// means that there is none.
func (l *loader) openEnvFile(flag string, noProject bool) (string, error) {
	name, from, raw := "--env-file", "command line", clean(flag)
	if raw == "" {
		name, from, raw = "ENV_FILE", "environment", clean(l.environ["ENV_FILE"])
	}
	if raw != "" {
		file, ok := absolute(raw, l.at)
		if info, err := os.Stat(file); !ok || err != nil || !info.Mode().IsRegular() {
			return "", &ValueError{Name: name, Value: l.shown(raw), Source: from, Accepts: regularFile}
		}
		l.fileFrom = from
		return file, l.addEnvFile(file)
	}
	for _, file := range configFiles(l.environ, l.at) {
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
			l.fileFrom = "configuration folder"
			return file, l.addEnvFile(file)
		} else if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ENOTDIR) { // as below HOME=/dev/null
			return "", fmt.Errorf("%s cannot be read: %w", file, cause(err))
		}
	}
	if noProject {
		return "", nil
	}
	return l.openProjectFile(), nil
}

// regularFile is what a setting that names a file accepts: reading a device or a FIFO could block the start forever.
const regularFile = "the path of a regular file that exists"

// openProjectFile reads .env of the working directory. Agents start servers inside other people's projects, so only keys
// and their base URLs are taken from it, and nothing if the user has a key, or ENDPOINTS, of their own. It returns "" if
// nothing is taken; a warning then lists the settings that the file tried to make.
func (l *loader) openProjectFile() string {
	file := filepath.Join(l.at.dir, ".env")
	if info, err := os.Stat(file); l.at.dir == "" || err != nil || !info.Mode().IsRegular() {
		return ""
	}
	values := l.projectValues(file)
	all := source{label: "file " + file, values: values}
	taken := source{label: all.label, values: map[string]string{}}
	own := l.ownKey()
	holdsKey := false
	eachSpec(l.others, func(s spec) {
		if !s.project || own != "" {
			return
		}
		if set := all.first(s); set.isSet() {
			taken.values[set.name] = set.raw
			_, valid := s.rule.norm(set.raw, l.at)
			holdsKey = holdsKey || s.vendorKey && valid
		}
	})
	if !holdsKey {
		taken.values = nil
	}
	l.warnIgnored(file, values, taken.values, own)
	l.examples = append(l.examples, l.exampleKeys(all)...)
	if !holdsKey {
		return ""
	}
	l.sources = append(l.sources, taken)
	l.fileFrom = inProject
	return file
}

// ownKey returns the name under which the user's own sources set a key or ENDPOINTS, "" if they set none.
func (l *loader) ownKey() (name string) {
	for _, from := range l.sources {
		eachSpec(l.others, func(s spec) {
			if set := from.first(s); s.vendorKey && set.isSet() && name == "" {
				name = set.name
			}
		})
		if name == "" && clean(from.values["ENDPOINTS"]) != "" {
			name = "ENDPOINTS"
		}
	}
	return name
}

// shared are settings whose names other programs use, too: on their own they don't show that a file is meant for us.
var shared = map[string]bool{
	"DATABASE_URL": true, "SUPABASE_DB_URL": true, "LOG_LEVEL": true, "LOCALE": true, "DEFAULT_MODEL": true, "MAX_RETRIES": true,
}

// warnIgnored lists the settings of a project's file that are not taken, unless the file seems to be meant for other
// programs alone.
func (l *loader) warnIgnored(file string, values, taken map[string]string, own string) {
	var ignored []string
	ours := len(taken) > 0
	eachSpec(l.others, func(s spec) {
		if s.project && len(taken) > 0 { // an alias of one that is taken, at most
			return
		}
		for _, name := range s.names() {
			if clean(values[name]) != "" {
				ignored = append(ignored, name)
				ours = ours || !shared[name]
			}
		}
	})
	if !ours || len(ignored) == 0 {
		return
	}
	slices.Sort(ignored)
	why := "from the .env of a working directory only GLM_API_KEY, KIMI_API_KEY and their base URLs are taken"
	if own != "" {
		why = "the .env of a working directory is not used when " + own + " is set elsewhere"
	} else if len(taken) == 0 {
		why = "the .env of a working directory is used only if it holds a key"
	}
	l.warn("%s: ignored %s: %s. To use this file, start with --env-file .env, or move these settings to %s.",
		file, strings.Join(ignored, ", "), why, l.ownFile())
}

// ownFile is the place for the user's own env file.
func (l *loader) ownFile() string {
	if files := configFiles(l.environ, l.at); len(files) > 0 {
		return files[0]
	}
	return "a file of your own that ENV_FILE names"
}

// exampleKeys lists the keys for which a source still holds the text of an example.
func (l *loader) exampleKeys(from source) (found []Example) {
	eachSpec(l.others, func(s spec) {
		for _, name := range s.names() {
			if s.vendorKey && isPlaceholder(unquoted(from.values[name])) {
				found = append(found, Example{Name: name, Source: from.label})
			}
		}
	})
	return found
}

// projectValues parses a file that is likely somebody else's: where that fails it holds nothing, and is worth a word
// only if it names a key of ours.
func (l *loader) projectValues(file string) map[string]string {
	data, err := readFile(file)
	if err != nil {
		return nil
	}
	values, err := parseEnvFile(data)
	if err == nil {
		return values
	}
	eachSpec(l.others, func(s spec) {
		for _, name := range s.names() {
			if s.vendorKey && s.project && bytes.Contains(data, []byte(name)) && err != nil {
				l.warn("%s is not used: %v", file, err)
				err = nil // said once
			}
		}
	})
	return nil
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
	from := source{label: "file " + file, values: values}
	l.sources = append(l.sources, from)
	l.examples = append(l.examples, l.exampleKeys(from)...)
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

package clients

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// Setup is what an entry says about this server.
type Setup struct {
	Command string   // the program, an absolute path
	EnvFile string   // the settings file that it is started with, "" if there is none
	Root    string   // the folder whose files may be read, "" if the entry names none
	Compact bool     // replies without what carries no information
	Patient []string // settings of --patient, as NAME=value
	Timeout time.Duration

	Keys      []string // variables of keys that the environment sets and the settings file does not
	Addresses []string // variables of vendors' addresses that the environment sets
	Passed    []string // every variable that the server may need from the environment, set or not; for clients that pass no others
	Inputs    bool     // VS Code asks for the keys and keeps them
}

// reference is how a client's entry refers to variables of the environment that the client runs in.
type reference int

const (
	noReference reference = iota // none: the client passes its whole environment, or can't refer to it
	envBraces                    // ${env:NAME}
	dollar                       // $NAME
	byName                       // a list of names to pass
)

// env returns the variables of the entry, in the order in which they are written.
func (c Client) env(s Setup) object {
	var env object
	add := func(name, value string) { env = append(env, member{name, value}) }
	if s.Root != "" {
		add("EXAI_ALLOWED_ROOTS", s.Root)
	}
	if s.Compact {
		add("REPLY_STYLE", "compact")
	}
	for _, setting := range s.Patient {
		name, value, _ := strings.Cut(setting, "=")
		add(name, value)
	}
	switch {
	case s.Inputs && c.Name == "vscode":
		for _, name := range s.Keys {
			add(name, "${input:"+inputID(name)+"}")
		}
	case c.refs == envBraces:
		for _, name := range slices.Concat(s.Keys, s.Addresses) {
			add(name, "${env:"+name+"}")
		}
	case c.refs == dollar: // Gemini CLI withholds variables whose name looks like a secret's, and passes the others
		for _, name := range s.Keys {
			add(name, "$"+name)
		}
	}
	return env
}

func inputID(name string) string {
	return ServerName + "-" + strings.ReplaceAll(strings.ToLower(name), "_", "-")
}

// wait is the client's limit in its own unit.
func (l limitKey) wait(d time.Duration) any {
	n := d.Seconds()
	if l.milli {
		n = float64(d.Milliseconds())
	}
	if l.whole {
		return int64(math.Ceil(n))
	}
	return n
}

func (s Setup) args() []string {
	if s.EnvFile == "" {
		return nil
	}
	return []string{"--env-file", s.EnvFile}
}

// standard is the form that most clients share.
func standard(c Client, s Setup) any {
	var e object
	if c.kind != "" {
		e = append(e, member{"type", c.kind})
	}
	e = append(e, member{"command", s.Command})
	if args := s.args(); args != nil {
		e = append(e, member{"args", args})
	}
	if env := c.env(s); env != nil {
		e = append(e, member{"env", env})
	}
	if c.Timed() {
		e = append(e, member{c.limit.key, c.limit.wait(s.Timeout)})
	}
	return e
}

// copilotEntry also says which tools may be used: without the list there are none.
func copilotEntry(c Client, s Setup) any {
	return append(standard(c, s).(object), member{"tools", []string{"*"}})
}

// opencodeEntry has the program and its arguments in one list. opencode refuses to start with another form.
func opencodeEntry(c Client, s Setup) any {
	e := object{{"type", c.kind}, {"command", append([]string{s.Command}, s.args()...)}}
	if env := c.env(s); env != nil {
		e = append(e, member{"environment", env})
	}
	return append(e, member{"enabled", true}, member{c.limit.key, c.limit.wait(s.Timeout)})
}

// codexEntry is a TOML table. Codex passes little of its environment: env_vars names what else the server gets.
func codexEntry(c Client, s Setup) any {
	var b strings.Builder
	name := strings.Join(c.path, ".")
	fmt.Fprintf(&b, "[%s]\ncommand = %s\n", name, tomlString(s.Command))
	if args := s.args(); args != nil {
		fmt.Fprintf(&b, "args = %s\n", tomlStrings(args))
	}
	fmt.Fprintf(&b, "env_vars = %s\n%s = %v\n", tomlStrings(s.Passed), c.limit.key, c.limit.wait(s.Timeout))
	if env := c.env(s); env != nil {
		fmt.Fprintf(&b, "\n[%s.env]\n", name)
		for _, v := range env {
			fmt.Fprintf(&b, "%s = %s\n", v.name, tomlString(v.value.(string)))
		}
	}
	return b.String()
}

// Entry returns the entry as the client's file has it, inside the keys that lead to it.
func (c Client) Entry(s Setup) (string, error) {
	entry := c.shape(c, s)
	if text, ok := entry.(string); ok {
		return strings.TrimRight(text, "\n"), nil
	}
	for i := len(c.path) - 1; i >= 0; i-- {
		entry = object{{c.path[i], entry}}
	}
	if inputs := c.inputs(s); inputs != nil {
		entry = append(entry.(object), member{"inputs", inputs})
	}
	return indentJSON(entry, "", "  ")
}

// inputs are the questions that VS Code asks before it starts the server for the first time.
func (c Client) inputs(s Setup) []object {
	if c.Name != "vscode" || !s.Inputs {
		return nil
	}
	var all []object
	for _, name := range s.Keys {
		all = append(all, object{
			{"type", "promptString"},
			{"id", inputID(name)},
			{"description", name + ", empty if you have none"},
			{"password", true},
		})
	}
	return all
}

func tomlStrings(list []string) string {
	var quoted []string
	for _, s := range list {
		quoted = append(quoted, tomlString(s))
	}
	return "[" + strings.Join(quoted, ", ") + "]"
}

// tomlString quotes a text. JSON's escapes are TOML's, except for DEL, which TOML wants escaped and JSON does not.
func tomlString(s string) string {
	quoted, err := compactJSON(s)
	if err != nil {
		return `""` // a string always encodes
	}
	return strings.ReplaceAll(quoted, "\x7f", `\u007f`)
}

// object is a JSON object that keeps the order of its members.
type object []member

type member struct {
	name  string
	value any
}

// MarshalJSON writes the members in their order.
func (o object) MarshalJSON() ([]byte, error) {
	b := []byte{'{'}
	for i, m := range o {
		if i > 0 {
			b = append(b, ',')
		}
		name, err := compactJSON(m.name)
		if err != nil {
			return nil, err
		}
		value, err := compactJSON(m.value)
		if err != nil {
			return nil, err
		}
		b = append(append(append(b, name...), ':'), value...)
	}
	return append(b, '}'), nil
}

func compactJSON(v any) (string, error) { return indentJSON(v, "", "") }

// indentJSON encodes without the escapes that are meant for HTML.
func indentJSON(v any, prefix, indent string) (string, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if indent != "" {
		enc.SetIndent(prefix, indent)
	}
	err := enc.Encode(v)
	return strings.TrimSuffix(b.String(), "\n"), err
}

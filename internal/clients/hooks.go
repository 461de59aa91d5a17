package clients

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// hookFiles are where a client keeps hooks, and the review hook's name for it.
type hookFiles struct {
	name string // of review --hook
	user func(Machine) []string
	repo func(Machine) string
}

var (
	claudeHooks = &hookFiles{"claude-stop", inFolder("CLAUDE_CONFIG_DIR", ".claude", "settings.json"), inProject(".claude/settings.json")}
	codexHooks  = &hookFiles{"codex-stop", inFolder("CODEX_HOME", ".codex", "hooks.json"), inProject(".codex/hooks.json")}
)

// hookSeconds is the client's limit for the hook: twice the limit that the hook sets itself, so that its message can
// still be sent.
const hookSeconds = 100

// hookEvents are the events that the hook serves: it notes what is uncommitted when a session starts, and judges what
// changed when the agent stops.
var hookEvents = []string{"SessionStart", "Stop"}

// HasHook reports whether the client has hooks that can run the review gate.
func (c Client) HasHook() bool { return c.hooks != nil }

// HookFile returns the file that holds the client's hooks in a scope.
func (c Client) HookFile(m Machine, scope Scope) string {
	if scope == Project {
		return c.hooks.repo(m)
	}
	return c.hooks.user(m)[0]
}

// hook is what runs at an event: the program, with the settings file that the entry names, too.
func (c Client) hook(s Setup) object {
	command := shellWord(s.Command)
	for _, arg := range s.args() {
		command += " " + shellWord(arg)
	}
	return object{{"type", "command"}, {"command", command + c.reviews()}, {"timeout", hookSeconds}}
}

// reviews is what the command of each hook of ours holds. Flags that the user added may follow.
func (c Client) reviews() string { return " review --hook " + c.hooks.name }

// HookEntry returns the hooks as the client's file has them.
func (c Client) HookEntry(s Setup) (string, error) {
	var events object
	for _, event := range hookEvents {
		events = append(events, member{event, []object{{{"hooks", []object{c.hook(s)}}}}})
	}
	return indentJSON(object{{"hooks", events}}, "", "  ")
}

// editHooks adds the hooks to a file, or removes them. Hooks that are there unchanged, or with more flags, stay as they are.
func (c Client) editHooks(data []byte, s Setup, remove bool) ([]byte, error) {
	d, err := parseDocument(data)
	if err != nil {
		return nil, err
	}
	want := c.hook(s)
	for _, event := range hookEvents {
		path := []string{"hooks", event}
		groups, err := d.elements(path)
		if err != nil {
			return nil, err
		}
		if !remove && len(groups) > 0 {
			if same, err := c.contains(groups, want); err != nil || same {
				if err != nil {
					return nil, err
				}
				continue
			}
		}
		if slices.ContainsFunc(groups, c.isMixed) {
			return nil, fmt.Errorf("hooks.%s has our hook in a group with others; remove it by hand first", event)
		}
		if err := d.drop(path, c.isOurs); err != nil {
			return nil, err
		}
		if remove {
			err = d.prune(path...)
		} else {
			err = d.push(path, object{{"hooks", []object{want}}})
		}
		if err != nil {
			return nil, err
		}
	}
	if remove {
		if err := d.prune("hooks"); err != nil {
			return nil, err
		}
	}
	edited := d.bytes()
	return edited, onlyChanged(data, edited, []string{"hooks", hookEvents[0]}, []string{"hooks", hookEvents[1]})
}

// contains reports whether one of the groups holds this hook alone, with or without flags that the user added.
func (c Client) contains(groups []any, want object) (bool, error) {
	text, err := compactJSON(object{{"hooks", []object{want}}})
	if err != nil {
		return false, err
	}
	group, err := parseDocument([]byte(text))
	if err != nil {
		return false, err
	}
	wanted, err := decode(group.root)
	if err != nil {
		return false, err
	}
	for _, g := range groups {
		if c.isOurs(g) {
			for _, hook := range hooksOf(g) {
				before, _, _ := strings.Cut(hook["command"].(string), c.reviews())
				hook["command"] = before + c.reviews()
			}
		}
		if equalJSON(g, wanted) {
			return true, nil
		}
	}
	return false, nil
}

// isOurs reports whether a group of hooks runs our review alone.
func (c Client) isOurs(group any) bool {
	ours, all := c.count(group)
	return ours > 0 && ours == all
}

// isMixed reports whether a group of hooks runs our review beside something else.
func (c Client) isMixed(group any) bool {
	ours, all := c.count(group)
	return ours > 0 && ours < all
}

// count returns how many hooks of a group run our review, and how many there are.
func (c Client) count(group any) (ours, all int) {
	hooks := hooksOf(group)
	for _, hook := range hooks {
		command, _ := hook["command"].(string)
		if strings.Contains(command+" ", c.reviews()+" ") {
			ours++
		}
	}
	return ours, len(hooks)
}

// hooksOf are the hooks of a group; what is no object counts as an empty one.
func hooksOf(group any) (hooks []map[string]any) {
	g, _ := group.(map[string]any)
	list, _ := g["hooks"].([]any)
	for _, h := range list {
		hook, _ := h.(map[string]any)
		hooks = append(hooks, hook)
	}
	return hooks
}

var plainWord = regexp.MustCompile(`^[A-Za-z0-9_@%+=:,./-]+$`)

// shellWord quotes a path for the shell that runs hooks: sh, or cmd.exe and PowerShell on Windows.
func shellWord(path string) string {
	switch {
	case plainWord.MatchString(path):
		return path
	case filepath.Separator == '\\':
		return `"` + path + `"`
	}
	return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
}

package clients

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"

	"github.com/tailscale/hujson"
)

// Command returns the client's own command that adds the entry in a scope, or nil if its file is to be edited.
func (c Client) Command(scope Scope, s Setup) ([]string, error) {
	if scope != User || c.add == nil {
		return nil, nil
	}
	s.Inputs = false // the command can't add questions
	entry := c.shape(c, s)
	if c.Name == "vscode" {
		entry = append(object{{"name", ServerName}}, entry.(object)...)
	}
	text, err := compactJSON(entry)
	return c.add(text), err
}

// RemoveCommand returns the client's own command that removes the entry in a scope, or nil if it has none.
func (c Client) RemoveCommand(scope Scope) []string {
	if scope != User {
		return nil
	}
	return c.drop
}

// Installed returns the entry of ours in the file of the client's own command, as JSON, and reports whether it equals this one.
// It is empty if there is none, or if that file is not known or can't be read.
func (c Client) Installed(m Machine, s Setup) (entry string, same bool) {
	if c.state == nil {
		return "", false
	}
	data, err := os.ReadFile(c.state(m))
	if err != nil {
		return "", false
	}
	d, err := parseDocument(data)
	if err != nil {
		return "", false
	}
	have, err := d.get(c.path)
	if err != nil || have == nil {
		return "", false
	}
	entry, err = compactJSON(have)
	if err != nil {
		return "", false
	}
	return entry, c.equalsEntry(have, s)
}

// equalsEntry reports whether an entry that the client wrote is what this setup would add.
func (c Client) equalsEntry(have any, s Setup) bool {
	if entry, ok := have.(map[string]any); ok { // Claude Code writes empty ones where an entry has none
		for _, name := range []string{"args", "env"} {
			if v := reflect.ValueOf(entry[name]); v.IsValid() && (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0 {
				delete(entry, name)
			}
		}
	}
	text, err := compactJSON(c.shape(c, s))
	if err != nil {
		return false
	}
	want, err := hujson.Parse([]byte(text))
	if err != nil {
		return false
	}
	value, err := decode(want)
	return err == nil && equalJSON(have, value)
}

// RestoreCommand returns the client's own command that adds an entry which Installed returned.
func (c Client) RestoreCommand(entry string) []string { return c.add(entry) }

// KeepEntry writes an entry that Installed returned into a file beside the client's own, for the user to add by hand, and
// returns the file's name.
func (c Client) KeepEntry(m Machine, entry string) (string, error) {
	file := c.state(m) + BackupSuffix
	d, err := parseDocument(nil)
	if err != nil {
		return "", err
	}
	if err := d.set(c.path, json.RawMessage(entry)); err != nil {
		return "", err
	}
	return file, replace(file, d.bytes(), newFile)
}

// claudeState is the file that Claude Code rewrites while it runs.
func claudeState(m Machine) string {
	if dir := m.Getenv("CLAUDE_CONFIG_DIR"); dir != "" {
		return filepath.Join(dir, ".claude.json")
	}
	return filepath.Join(m.Home, ".claude.json")
}

package clients

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
)

// Change is an edit of one file that is ready to be written.
type Change struct {
	File   string // as the client names it; it may be a link
	Before []byte // nil if there is no such file
	After  []byte

	target string // what File leads to
	mode   fs.FileMode
	isNew  bool
}

// Changed reports whether there is anything to write.
func (c *Change) Changed() bool { return !bytes.Equal(c.Before, c.After) }

// Backup returns the name of the file that keeps the old version, beside what File leads to.
func (c *Change) Backup() string { return c.target + BackupSuffix }

// BackupSuffix is what the name of the one backup ends in.
const BackupSuffix = ".exai-backup"

const (
	newFile     fs.FileMode = 0o600
	maxFileSize             = 16 << 20
)

// Plan prepares the edit that writes the client's entry into a file, or removes it.
func (c Client) Plan(file string, s Setup, remove bool) (*Change, error) {
	return plan(file, func(data []byte) ([]byte, error) {
		if c.toml {
			text := ""
			if !remove {
				text = c.shape(c, s).(string)
			}
			edited, _, err := editTOML(data, c.path, text)
			return edited, err
		}
		return c.editJSON(data, s, remove)
	})
}

// PlanHooks prepares the edit that writes the client's hooks into a file, or removes them.
func (c Client) PlanHooks(file string, s Setup, remove bool) (*Change, error) {
	return plan(file, func(data []byte) ([]byte, error) {
		if remove && len(data) == 0 {
			return data, nil
		}
		return c.editHooks(data, s, remove)
	})
}

func (c Client) editJSON(data []byte, s Setup, remove bool) ([]byte, error) {
	d, err := parseDocument(data)
	if err != nil {
		return nil, err
	}
	if remove {
		if len(data) == 0 {
			return data, nil
		}
		if err := d.remove(c.path); err != nil {
			return nil, err
		}
	} else if err := d.set(c.path, c.shape(c, s)); err != nil {
		return nil, err
	}
	paths := [][]string{c.path}
	if c.Name == "vscode" {
		paths = append(paths, []string{"inputs"})
		if err := c.editInputs(d, s, remove); err != nil {
			return nil, err
		}
	}
	edited := d.bytes()
	return edited, onlyChanged(data, edited, paths...)
}

// editInputs adds the questions for the keys, or removes those that are ours. Questions that are there stay unchanged.
func (c Client) editInputs(d *document, s Setup, remove bool) error {
	path := []string{"inputs"}
	wanted := map[string]bool{}
	for _, name := range s.Keys {
		wanted[inputID(name)] = s.Inputs && !remove
	}
	there := map[string]bool{}
	if err := d.drop(path, func(input any) bool {
		id := inputOf(input)
		there[id] = true
		return strings.HasPrefix(id, ServerName+"-") && !wanted[id]
	}); err != nil {
		return err
	}
	for _, input := range c.inputs(s) {
		if id := input[1].value.(string); wanted[id] && !there[id] {
			if err := d.push(path, input); err != nil {
				return err
			}
		}
	}
	if remove {
		return d.prune(path...)
	}
	return nil
}

func inputOf(input any) string {
	m, _ := input.(map[string]any)
	id, _ := m["id"].(string)
	return id
}

// plan reads a file and edits what it holds.
func plan(file string, edit func([]byte) ([]byte, error)) (*Change, error) {
	c := &Change{File: file, mode: newFile}
	var err error
	if c.target, err = follow(file); err != nil {
		return nil, err
	}
	info, err := os.Stat(c.target)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		c.isNew = true
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", file)
	case info.Mode().Perm()&0o200 == 0:
		return nil, fmt.Errorf("%s: read-only; make it writable first", file)
	case info.Size() > maxFileSize:
		return nil, fmt.Errorf("%s: %d bytes exceed the limit of %d", file, info.Size(), maxFileSize)
	default:
		c.mode = info.Mode().Perm()
		if c.Before, err = os.ReadFile(c.target); err != nil {
			return nil, err
		}
	}
	if c.After, err = edit(c.Before); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return c, nil
}

// follow resolves a link, also one that leads to a file that does not exist yet.
func follow(file string) (string, error) {
	for range 40 {
		to, err := os.Readlink(file)
		if err != nil {
			return file, nil //nolint:nilerr // not a link, or not there
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(file), to)
		}
		file = to
	}
	return "", fmt.Errorf("%s: too many links", file)
}

// Write keeps a backup of the file and replaces it in one step. It fails if somebody else changed the file meanwhile.
func (c *Change) Write() error {
	if !c.Changed() {
		return nil
	}
	now, err := os.ReadFile(c.target)
	if c.isNew && errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return err
	}
	if !bytes.Equal(now, c.Before) {
		return fmt.Errorf("%s: changed by another program meanwhile; run the command again", c.File)
	}
	if !c.isNew {
		if err := replace(c.Backup(), c.Before, c.mode); err != nil {
			return fmt.Errorf("back up %s: %w", c.File, err)
		}
	} else if err := os.MkdirAll(filepath.Dir(c.target), 0o755); err != nil {
		return err
	}
	return replace(c.target, c.After, c.mode)
}

// replace writes a file beside the old one and renames it, so that no reader ever sees half of it.
func replace(file string, data []byte, mode fs.FileMode) (err error) {
	temp, err := os.CreateTemp(filepath.Dir(file), "."+filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(temp.Name()))
		}
	}()
	_, err = io.Copy(temp, bytes.NewReader(data))
	if err == nil {
		err = temp.Chmod(mode)
	}
	if err == nil {
		err = temp.Sync()
	}
	if err = errors.Join(err, temp.Close()); err != nil {
		return err
	}
	return os.Rename(temp.Name(), file)
}

func equalJSON(a, b any) bool { return reflect.DeepEqual(a, b) }

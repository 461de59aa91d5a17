package upload

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// How much is kept, and for how long. A file's text does not age, but a vendor's parser improves.
const (
	textLifetime = 30 * 24 * time.Hour
	maxTexts     = 256 << 20 // bytes in the state folder
	maxInMemory  = 32 << 20  // bytes, where nothing is kept on disk
)

// entry is a text that was extracted.
type entry struct {
	Vendor  string    `json:"vendor"`
	Name    string    `json:"name"`
	FileID  string    `json:"file_id"`
	Text    string    `json:"text"`
	Masked  masked    `json:"masked,omitzero"`
	Created time.Time `json:"created_at"`
}

// texts keeps extracted texts, one file each in the state folder; in memory where conversations are, too. Servers that
// share the folder share the texts: a file is written beside its place and moved there.
type texts struct {
	dir string // "" keeps them in memory
	log *zap.Logger

	mu     sync.Mutex
	memory map[string]entry
	order  []string // of memory, the oldest first
	bytes  int
}

func newTexts(cfg *config.Config, log *zap.Logger) *texts {
	t := &texts{log: log, memory: map[string]entry{}}
	if c := cfg.Conversations; c.StateDir != "" && c.Backend != "memory" {
		t.dir = filepath.Join(c.StateDir, "extracted")
	}
	return t
}

const textSuffix = ".json"

// get returns a kept text.
func (t *texts) get(key string) (entry, bool) {
	if t.dir == "" {
		t.mu.Lock()
		defer t.mu.Unlock()
		e, ok := t.memory[key]
		return e, ok
	}
	data, err := os.ReadFile(filepath.Join(t.dir, key+textSuffix))
	if err != nil {
		if !errors.Is(err, fs.ErrNotExist) {
			t.log.Warn("an extracted text cannot be read", zap.Error(err))
		}
		return entry{}, false
	}
	var e entry
	if err := json.Unmarshal(data, &e); err != nil || e.Text == "" || time.Since(e.Created) > textLifetime {
		return entry{}, false
	}
	return e, true
}

// put keeps a text, and reports whether it could.
func (t *texts) put(key string, e entry) bool {
	if t.dir == "" {
		return t.putInMemory(key, e)
	}
	if err := t.write(key, e); err != nil {
		t.log.Warn("an extracted text is not kept", zap.Error(err))
		return false
	}
	t.prune()
	return true
}

func (t *texts) putInMemory(key string, e entry) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, known := t.memory[key]; known || len(e.Text) > maxInMemory {
		return known
	}
	t.memory[key], t.order, t.bytes = e, append(t.order, key), t.bytes+len(e.Text)
	for t.bytes > maxInMemory {
		t.bytes -= len(t.memory[t.order[0]].Text)
		delete(t.memory, t.order[0])
		t.order = t.order[1:]
	}
	return true
}

func (t *texts) write(key string, e entry) error {
	data, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return fmt.Errorf("make the folder of extracted texts: %w", err)
	}
	f, err := os.CreateTemp(t.dir, "new-*") // readable by its owner alone
	if err != nil {
		return fmt.Errorf("write an extracted text: %w", err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(t.dir, key+textSuffix))
	}
	if err != nil {
		_ = os.Remove(f.Name())
		return fmt.Errorf("write an extracted text: %w", err)
	}
	return nil
}

// prune deletes texts that are too old, the oldest of too many, and unfinished files of processes that died.
func (t *texts) prune() {
	list, err := os.ReadDir(t.dir)
	if err != nil {
		return
	}
	var infos []fs.FileInfo
	for _, f := range list {
		if info, err := f.Info(); err == nil && info.Mode().IsRegular() {
			infos = append(infos, info)
		}
	}
	slices.SortFunc(infos, func(a, b fs.FileInfo) int { return b.ModTime().Compare(a.ModTime()) })
	total := int64(0)
	for _, info := range infos {
		age := time.Since(info.ModTime())
		total += info.Size()
		left := !strings.HasSuffix(info.Name(), textSuffix) && age > time.Hour
		if age > textLifetime || total > maxTexts || left {
			if err := os.Remove(filepath.Join(t.dir, info.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
				t.log.Warn("an old extracted text cannot be deleted", zap.Error(err))
			}
		}
	}
}

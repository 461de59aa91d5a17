// Package workspace is the only way to the user's files: which folders may be read, what in them is always refused, and
// how text, folders, images and git repositories become something that a model can be sent.
//
// It knows no tool, no vendor and no protocol. Of ours it imports config for its settings, conversation for the
// Attachment that it fills, secrets to mask what it reads for a model, and nothing else.
package workspace

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/secrets"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
	"github.com/exai-mcp/exai-mcp/internal/workspace/realpath"
)

// ClientRoots is whoever knows the folders that the client works in.
type ClientRoots interface {
	// Roots returns them as paths or file: addresses, and false when the client has told none. While the client is still
	// being asked it waits, at most until ctx ends; what it returned before stays true until the client says otherwise.
	Roots(ctx context.Context) ([]string, bool)
}

// Limits of what a single request may make us do. Text that is sent is bounded by the token budget besides.
const (
	rootsWait     = 2 * time.Second  // for the client's roots
	gitTimeout    = 10 * time.Second // for all git commands of one method call
	maxFiles      = 5000             // that a folder expands to
	maxWalked     = 100_000          // folder entries looked at without git
	maxTextBytes  = 16 << 20         // of one file read as text
	sniffBytes    = 8000             // looked at to tell text from binary, as git does
	maxImageBytes = 20 << 20
	maxPixels     = 50_000_000
)

// Workspace reads the user's files within the allowed roots. It is safe for concurrent use.
type Workspace struct {
	system system
	client ClientRoots
	log    *zap.Logger
	cwd    string
	home   string

	paths   pathMap
	fixed   []candidate // roots that don't depend on the client
	own     []path      // our own state and logs
	git     git.Git
	gitTime time.Duration
	scope   *Scope // nil: everything
	secrets secrets.Policy
	ownKeys []string // the server's, masked wherever they stand

	mu       sync.Mutex
	known    string // the client's roots that resolved was made from
	resolved []root
}

// New prepares the workspace. cwd is the working directory, home the user's home folder ("" when there is none), stateDir
// our own state folder; own names more files of ours (logs outside of it, the file that the keys came from). client and
// log may be nil. It fails only on a setting that can't be read.
func New(cfg config.Files, stateDir, cwd, home string, client ClientRoots, log *zap.Logger, own ...string) (*Workspace, error) {
	if log == nil {
		log = zap.NewNop()
	}
	paths, err := parsePathMap(cfg.PathMap, native())
	if err != nil {
		return nil, err
	}
	w := &Workspace{
		system: native(), client: client, log: log, cwd: cwd, home: home, paths: paths,
		gitTime: gitTimeout, secrets: secrets.Policy(cfg.Secrets), ownKeys: cfg.OwnKeys, git: git.Git{Program: git.Find(home), Home: home, StateDir: stateDir},
	}
	for _, name := range cfg.AllowedRoots {
		w.fixed = append(w.fixed, candidate{name, SourceAllowedRoots})
	}
	for _, name := range cfg.TestFilesDir {
		w.fixed = append(w.fixed, candidate{name, SourceTestFilesDir})
	}
	if cfg.ProjectDir != "" {
		w.fixed = append(w.fixed, candidate{cfg.ProjectDir, SourceProjectDir})
	}
	if cwd != "" && mayBeRoot(cwd, home) {
		w.fixed = append(w.fixed, candidate{cwd, SourceWorkingDir})
	}
	for _, name := range append([]string{stateDir}, own...) {
		if err := w.protect(name); err != nil {
			return nil, err
		}
	}
	return w, nil
}

// protect refuses a file or folder of ours from now on, as it is named and as it resolves.
func (w *Workspace) protect(name string) error {
	if name == "" {
		return nil
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		return fmt.Errorf("make %q absolute: %w", name, err)
	}
	for _, n := range []string{abs, realpath.Resolve(abs)} {
		p, err := parsePath(n, w.system)
		if err != nil {
			return fmt.Errorf("read the path %q: %w", n, err)
		}
		w.own = append(w.own, p)
	}
	return nil
}

// isOwn reports whether a path is our own state: something in a protected folder, a protected file, or one that a rotation
// made of it ("calls.jsonl" becomes "calls.jsonl.1").
func (w *Workspace) isOwn(p path) bool {
	before := unrotated(p)
	return slices.ContainsFunc(w.own, func(own path) bool {
		_, is := p.under(own, w.system.foldsCase())
		_, was := before.under(own, w.system.foldsCase())
		return is || was
	})
}

// unrotated is a path without the number that a rotation put at its end.
func unrotated(p path) path {
	if n := len(p.parts); n > 0 {
		name := strings.TrimRight(p.parts[n-1], "0123456789")
		if stem, ok := strings.CutSuffix(name, "."); ok && stem != "" && name != p.parts[n-1] {
			p.parts = append(slices.Clone(p.parts[:n-1]), stem)
		}
	}
	return p
}

// host names one of our absolute paths as the agent's host does. Names that are not UTF-8 are shown with marks in them.
func (w *Workspace) host(local string) string {
	p, err := parsePath(local, w.system)
	if err != nil {
		return strings.ToValidUTF8(local, "\uFFFD")
	}
	return strings.ToValidUTF8(w.paths.toHost(p).String(), "\uFFFD")
}

// HostPath names one of the server's absolute paths as the agent's host does (EXAI_PATH_MAP).
func (w *Workspace) HostPath(local string) string { return w.host(local) }

// RemoveAbandoned removes temporary folders that killed processes left behind.
func (w *Workspace) RemoveAbandoned() { w.git.RemoveAbandoned(time.Now()) }

// Git is the git program that is used, "" when none was found.
func (w *Workspace) Git() string { return w.git.Program }

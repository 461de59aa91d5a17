package git

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
	"github.com/exai-mcp/exai-mcp/internal/workspace/realpath"
)

// Repository is a repository made ready for inspection. A repository's own configuration can name programs for git to run:
// monitors, hooks, filters, diff drivers, transports, pagers. So whatever looks at files runs on a stand-in, a git folder
// of ours with our own configuration, a copy of the index, and the repository's objects. The repository itself is only
// asked what its names and settings mean, by commands that run nothing.
type Repository struct {
	Top    string // the work tree's top folder, resolved
	Head   string // the commit, "" before the first
	Branch string // "" when HEAD is detached

	location
	plain    command // on the repository: rev-parse, merge-base, symbolic-ref, config
	guest    command // on the stand-in: ls-files, status, diff
	index    string  // the index that is copied
	folder   string  // the stand-in
	reserved func()  // gives back what the copies took of the space for all stand-ins
}

// Open checks the repository around a resolved folder and makes it ready. The caller closes it. Errors are those of
// Check, ErrNoProgram, ErrTooLarge, the end of ctx, and what git or the system said.
func (g *Git) Open(ctx context.Context, dir string, allowed Allowed) (*Repository, error) {
	if g.Program == "" {
		return nil, ErrNoProgram
	}
	l, err := g.locate(ctx, dir, allowed)
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp("", standInPrefix)
	if err != nil && g.StateDir != "" { // a container may have no other place to write to
		folder, err = os.MkdirTemp(g.StateDir, stateStandInPrefix)
	}
	if err != nil {
		return nil, fmt.Errorf("make a folder for git: %w", err)
	}
	own := append(commonEnv(g.Program), "GIT_WORK_TREE="+l.top, "HOME="+folder, "XDG_CONFIG_HOME="+folder,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	r := &Repository{Top: l.top, location: l, index: g.indexOf(l), folder: folder, reserved: func() {}}
	r.plain = command{program: g.Program, dir: l.top, most: maxOutput, env: append(own[:len(own):len(own)], "GIT_DIR="+l.gitDir, "GIT_COMMON_DIR="+l.common)}
	r.guest = command{program: g.Program, dir: l.top, most: maxOutput, env: append(own[:len(own):len(own)], "GIT_DIR="+folder,
		"GIT_OBJECT_DIRECTORY="+filepath.Join(l.common, "objects"))}
	if err := r.prepare(ctx, g); err != nil {
		r.Close()
		return nil, err
	}
	return r, nil
}

// Close removes the stand-in. Once is enough; more does no harm.
func (r *Repository) Close() {
	_ = os.RemoveAll(r.folder)
	r.reserved()
	r.reserved = func() {}
}

// prepare fills the stand-in.
func (r *Repository) prepare(ctx context.Context, g *Git) error {
	settings := r.settings(ctx, g)
	if storage := settings[refStorage]; !settingWord().MatchString(storage) { // newer versions of git take an address here
		return &OutsideError{Top: r.top, Link: filepath.Join(r.common, "config")}
	}
	_, r.guest.partial = settings[partialClone]
	for key := range settings {
		r.guest.partial = r.guest.partial || strings.HasPrefix(key, "remote.") && strings.HasSuffix(key, ".promisor")
	}
	if branch, err := r.plain.line(ctx, "symbolic-ref", "-q", "--short", "HEAD"); err == nil {
		r.Branch = branch
	}
	head := "ref: refs/heads/unborn"
	commit, err := r.Commit(ctx, "HEAD")
	var exit *exec.ExitError
	switch {
	case err == nil:
		r.Head, head = commit, commit
	case !errors.As(err, &exit) || exit.ExitCode() != 1: // 1 is a branch without a commit, all else a broken repository
		return err
	}
	exclude, _ := realpath.ReadSmall(filepath.Join(r.common, "info", "exclude"), maxSmallFile)
	for _, dir := range []string{"refs", "info", "objects"} {
		if err := os.Mkdir(filepath.Join(r.folder, dir), 0o700); err != nil {
			return fmt.Errorf("prepare a folder for git: %w", err)
		}
	}
	for name, text := range map[string]string{
		"HEAD": head + "\n", "config": standInConfig(settings), filepath.Join("info", "exclude"): exclude,
	} {
		if err := os.WriteFile(filepath.Join(r.folder, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("prepare a folder for git: %w", err)
		}
	}
	if err := r.copyShallow(); err != nil {
		return err
	}
	return r.copyIndex(ctx)
}

// maxShallow is how much is read of the list of commits at which a shallow clone ends, in bytes.
const maxShallow = 16 << 20

// copyShallow copies the list of commits at which a shallow clone ends, without which git would look for their parents.
func (r *Repository) copyShallow() error {
	text, err := realpath.ReadSmall(filepath.Join(r.common, "shallow"), maxShallow)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("copy the limits of a shallow clone: %w", err)
	}
	for line := range strings.Lines(text) {
		if !commitID().MatchString(strings.TrimSpace(line)) {
			return fmt.Errorf("copy the limits of a shallow clone: %q is no commit", strings.TrimSpace(line))
		}
	}
	return os.WriteFile(filepath.Join(r.folder, "shallow"), []byte(text), 0o600)
}

// carried are the settings that change what git takes a file's content or name for; none of them names a program. Their
// values are words.
var carried = map[string]string{
	"core.autocrlf": "autocrlf", "core.eol": "eol", "core.filemode": "filemode", "core.ignorecase": "ignorecase",
	"core.precomposeunicode": "precomposeunicode", "core.symlinks": "symlinks", "core.trustctime": "trustctime",
	"core.checkstat": "checkStat", "core.protecthfs": "protectHFS", "core.protectntfs": "protectNTFS",
}

var settingWord = lazyregexp.New(`^[A-Za-z0-9]{0,20}$`)

const (
	objectFormat = "extensions.objectformat"
	refStorage   = "extensions.refstorage"
	excludesFile = "core.excludesfile"
	partialClone = "extensions.partialclone"
)

// settings reads the user's and the repository's effective settings. Without them git's own defaults hold.
func (r *Repository) settings(ctx context.Context, g *Git) map[string]string {
	c := command{program: g.Program, dir: r.top, most: maxSettings, env: append(commonEnv(g.Program),
		"GIT_DIR="+r.gitDir, "GIT_COMMON_DIR="+r.common, "GIT_WORK_TREE="+r.top, "HOME="+g.Home)}
	out, _, err := c.output(ctx, "config", "--list", "-z")
	if err != nil {
		out, _, _ = r.plain.upTo(maxSettings).output(ctx, "config", "--list", "-z") // the user's own configuration may be broken
	}
	found := map[string]string{}
	for entry := range strings.SplitSeq(string(out), "\x00") {
		key, value, ok := strings.Cut(entry, "\n")
		if !ok {
			value = "true" // a key alone
		}
		found[key] = value
	}
	if name, ok := found[excludesFile]; ok {
		found[excludesFile] = expandHome(name, g.Home)
	} else if g.Home != "" {
		found[excludesFile] = filepath.Join(g.Home, ".config", "git", "ignore")
	}
	return found
}

// maxSettings is how much of git's list of settings is read, in bytes.
const maxSettings = 1 << 20

// expandHome replaces a leading "~/" as git does.
func expandHome(name, home string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok && home != "" {
		return filepath.Join(home, rest)
	}
	return name
}

// standInConfig is the stand-in's whole configuration.
func standInConfig(settings map[string]string) string {
	var b strings.Builder
	version := 0
	if format := settings[objectFormat]; settingWord().MatchString(format) && format != "" {
		version = 1
		fmt.Fprintf(&b, "[extensions]\n\tobjectFormat = %s\n", format)
	}
	fmt.Fprintf(&b, "[core]\n\trepositoryformatversion = %d\n\tbare = false\n", version)
	for key, name := range carried {
		if value, ok := settings[key]; ok && settingWord().MatchString(value) {
			fmt.Fprintf(&b, "\t%s = %s\n", name, value)
		}
	}
	if name := settings[excludesFile]; name != "" && !strings.ContainsAny(name, "\n\r\x00") {
		fmt.Fprintf(&b, "\texcludesFile = \"%s\"\n", strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(name))
	}
	return b.String()
}

var commitID = lazyregexp.New(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// Commit resolves a name to a commit, ErrNoCommit for one that can be none. Options can't hide in the name.
func (r *Repository) Commit(ctx context.Context, name string) (string, error) {
	if strings.ContainsAny(name, "\x00\n") {
		return "", ErrNoCommit
	}
	id, err := r.plain.line(ctx, "rev-parse", "--quiet", "--verify", "--end-of-options", name+"^{commit}")
	if err != nil {
		return "", err
	}
	id = id[strings.LastIndexByte(id, '\n')+1:] // old versions repeat --end-of-options on a line of its own
	if !commitID().MatchString(id) {
		return "", fmt.Errorf("rev-parse answered %q", id)
	}
	return id, nil
}

// CommonCommit is the latest commit that two commits have in common; false where they have none, as far as the repository
// goes back.
func (r *Repository) CommonCommit(ctx context.Context, commit, other string) (string, bool) {
	base, err := r.plain.line(ctx, "merge-base", commit, other)
	return base, err == nil && commitID().MatchString(base)
}

// Shallow reports whether the repository's history is cut off, as clones of CI systems are.
func (r *Repository) Shallow() bool { return exists(filepath.Join(r.common, "shallow")) }

// EmptyTree is the id of the tree without files, which the first commit is compared with.
func (r *Repository) EmptyTree() string {
	if len(r.Head) == len(emptyTree256) {
		return emptyTree256
	}
	return emptyTree
}

// The ids of the empty tree in the two formats of git's objects. git knows them without a file.
const (
	emptyTree    = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"
	emptyTree256 = "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"
)

// Side resolves one side of a comparison: a commit's name, or the empty tree.
func (r *Repository) Side(ctx context.Context, name string) (string, error) {
	if name == r.EmptyTree() {
		return name, nil
	}
	return r.Commit(ctx, name)
}

// MergeBase is the latest commit that two commits have in common; the first one where they have none.
func (r *Repository) MergeBase(ctx context.Context, commit, other string) string {
	if base, ok := r.CommonCommit(ctx, commit, other); ok {
		return base
	}
	return commit
}

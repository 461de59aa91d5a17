package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/lazyregexp"
)

// session is a repository made ready for inspection. A repository's own configuration can name programs for git to run:
// monitors, hooks, filters, diff drivers, transports, pagers. So whatever looks at files runs on a stand-in, a git folder
// of ours with our own configuration, a copy of the index, and the repository's objects. The repository itself is only
// asked what its names and settings mean, by commands that run nothing.
type session struct {
	repo
	plain  gitCommand // on the repository: rev-parse, merge-base, symbolic-ref, config
	guest  gitCommand // on the stand-in: ls-files, status, diff
	folder string     // the stand-in
	head   string     // the commit, "" before the first
	branch string     // "" when HEAD is detached
}

// session makes the stand-in. The caller closes it.
func (w *Workspace) session(ctx context.Context, r repo) (*session, error) {
	folder, err := os.MkdirTemp("", "exai-git-")
	if err != nil && w.stateDir != "" { // a container may have no other place to write to
		folder, err = os.MkdirTemp(w.stateDir, "git-")
	}
	if err != nil {
		return nil, fmt.Errorf("make a folder for git: %w", err)
	}
	s := &session{repo: r, folder: folder}
	s.plain = gitCommand{program: w.git, dir: r.top, env: append(commonEnv(w.git),
		"GIT_DIR="+r.gitDir, "GIT_COMMON_DIR="+r.common, "GIT_WORK_TREE="+r.top, "HOME="+folder, "XDG_CONFIG_HOME="+folder,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)}
	s.guest = gitCommand{program: w.git, dir: r.top, env: append(commonEnv(w.git),
		"GIT_DIR="+folder, "GIT_WORK_TREE="+r.top, "HOME="+folder, "XDG_CONFIG_HOME="+folder,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull,
		"GIT_OBJECT_DIRECTORY="+filepath.Join(r.common, "objects"))}
	settings := w.settings(ctx, s)
	if storage := settings[refStorage]; !settingWord().MatchString(storage) { // newer versions of git take an address here
		s.close()
		return nil, w.foreign(r, filepath.Join(r.common, "config"))
	}
	if err := s.prepare(ctx, settings); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// close removes the stand-in.
func (s *session) close() { _ = os.RemoveAll(s.folder) }

// in is the guest command, run in a folder of the work tree.
func (s *session) in(dir string) gitCommand {
	g := s.guest
	g.dir = dir
	return g
}

// prepare fills the stand-in.
func (s *session) prepare(ctx context.Context, settings map[string]string) error {
	if branch, err := s.plain.line(ctx, "symbolic-ref", "-q", "--short", "HEAD"); err == nil {
		s.branch = branch
	}
	head := "ref: refs/heads/unborn"
	commit, err := s.commit(ctx, "HEAD")
	var exit *exec.ExitError
	switch {
	case err == nil:
		s.head, head = commit, commit
	case context.Cause(ctx) != nil:
		return context.Cause(ctx)
	case !errors.As(err, &exit) || exit.ExitCode() != 1: // 1 is a branch without a commit, all else a broken repository
		return err
	}
	exclude, _ := readSmall(filepath.Join(s.common, "info", "exclude"))
	for _, dir := range []string{"refs", "info", "objects"} {
		if err := os.Mkdir(filepath.Join(s.folder, dir), 0o700); err != nil {
			return fmt.Errorf("prepare a folder for git: %w", err)
		}
	}
	for name, text := range map[string]string{
		"HEAD": head + "\n", "config": standInConfig(settings), filepath.Join("info", "exclude"): exclude,
	} {
		if err := os.WriteFile(filepath.Join(s.folder, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("prepare a folder for git: %w", err)
		}
	}
	return s.copyIndex()
}

// copyIndex copies the index, and the shared one that a split index refers to, with their times: git compares files'
// times with the index's. git may refresh the copy; the original is never written.
func (s *session) copyIndex() error {
	names := []string{"index"}
	shared, _ := filepath.Glob(filepath.Join(globEscape(s.gitDir), "sharedindex.*"))
	for _, name := range shared {
		names = append(names, filepath.Base(name))
	}
	for _, name := range names {
		err := copyFile(filepath.Join(s.gitDir, name), filepath.Join(s.folder, name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("copy git's index: %w", err)
		}
	}
	return nil
}

var globSpecial = lazyregexp.New(`[*?\[\\]`)

func globEscape(name string) string {
	if filepath.Separator == '\\' {
		return name
	}
	return globSpecial().ReplaceAllString(name, `\$0`)
}

func copyFile(from, to string) error {
	const most = 512 << 20
	info, err := os.Stat(from)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() || info.Size() > most {
		return os.ErrInvalid
	}
	in, err := os.OpenFile(from, openFlags, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, io.LimitReader(in, most))
	if err = errors.Join(err, out.Close()); err != nil {
		return err
	}
	return os.Chtimes(to, info.ModTime(), info.ModTime())
}

// carried are the settings that change what git takes a file's content or name for; none of them names a program. Their
// values are words.
var carried = map[string]string{
	"core.autocrlf": "autocrlf", "core.eol": "eol", "core.filemode": "filemode", "core.ignorecase": "ignorecase",
	"core.precomposeunicode": "precomposeunicode", "core.symlinks": "symlinks", "core.trustctime": "trustctime",
	"core.checkstat": "checkStat", "core.protecthfs": "protectHFS", "core.protectntfs": "protectNTFS",
}

var (
	settingWord  = lazyregexp.New(`^[A-Za-z0-9]{0,20}$`)
	objectFormat = "extensions.objectformat"
	refStorage   = "extensions.refstorage"
	excludesFile = "core.excludesfile"
)

// settings reads the user's and the repository's effective settings. Without them git's own defaults hold.
func (w *Workspace) settings(ctx context.Context, s *session) map[string]string {
	g := gitCommand{program: w.git, dir: s.top, env: append(commonEnv(w.git),
		"GIT_DIR="+s.gitDir, "GIT_COMMON_DIR="+s.common, "GIT_WORK_TREE="+s.top, "HOME="+w.home)}
	out, _, err := g.output(ctx, 1<<20, "config", "--list", "-z")
	if err != nil {
		out, _, _ = s.plain.output(ctx, 1<<20, "config", "--list", "-z") // the user's own configuration may be broken
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
		found[excludesFile] = w.expandHome(name)
	} else if w.home != "" {
		found[excludesFile] = filepath.Join(w.home, ".config", "git", "ignore")
	}
	return found
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

// commit resolves a name to a commit. Options can't hide in the name.
func (s *session) commit(ctx context.Context, name string) (string, error) {
	id, err := s.plain.line(ctx, "rev-parse", "--quiet", "--verify", "--end-of-options", name+"^{commit}")
	if err != nil {
		return "", err
	}
	id = id[strings.LastIndexByte(id, '\n')+1:] // old versions repeat --end-of-options on a line of its own
	if !commitID().MatchString(id) {
		return "", fmt.Errorf("rev-parse answered %q", id)
	}
	return id, nil
}

// gitList lists the files of a folder that git does not ignore.
func (w *Workspace) gitList(ctx context.Context, roots []root, dir place) (names []string, whole bool, err error) {
	if w.git == "" {
		return nil, false, ErrNoGit
	}
	ctx, cancel := w.gitContext(ctx)
	defer cancel()
	r, err := w.repository(ctx, roots, dir.real)
	if err != nil {
		return nil, false, err
	}
	s, err := w.session(ctx, r)
	if err != nil {
		return nil, false, err
	}
	defer s.close()
	out, cut, err := s.in(dir.real).output(ctx, gitOutput, "ls-files", "-co", "--exclude-standard", "-z")
	if err != nil {
		return nil, false, err
	}
	end := strings.LastIndexByte(string(out), 0) // what follows is empty, or was cut
	for name := range strings.SplitSeq(string(out[:max(end, 0)]), "\x00") {
		if name != "" {
			names = append(names, name)
		}
	}
	return names, !cut, nil
}

package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/exai-mcp/exai-mcp/internal/bounded"
	"github.com/exai-mcp/exai-mcp/internal/review"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
	"github.com/exai-mcp/exai-mcp/internal/workspace/git"
)

// reviewHook serves a hook of an agent's host or of git. It blocks only if changes are required; whatever keeps it from
// judging is said and let go.
func (a *app) reviewHook(ctx context.Context, o reviewOptions, start time.Time) error {
	var in review.Input
	dir, err := os.Getwd()
	if o.gate.OfAgent() {
		in, err = a.hookInput(ctx)
		dir = in.Dir
	}
	var r *reviewer
	if err == nil {
		r, err = a.newReviewer(o, dir, start)
	}
	switch {
	case err != nil && in.Event == review.SessionStart: // what it prints would become context of the model
		return nil
	case err != nil:
		return a.answerHook(o.gate, review.Warn(err))
	}
	defer r.close()
	if in.Event == review.SessionStart {
		r.keepBaseline(ctx, in.SessionID)
		return nil
	}
	d, err := a.decide(ctx, r, in)
	if errors.Is(err, errReviewTime) {
		err = fmt.Errorf("the review exceeded --timeout %s", o.timeout)
	}
	if err != nil {
		d = review.Warn(err)
	}
	r.done()
	return a.answerHook(o.gate, d)
}

// hookInput reads what an agent's host writes to stdin.
func (a *app) hookInput(ctx context.Context) (in review.Input, err error) {
	data, err := a.hookStdin(ctx)
	if err != nil {
		return in, fmt.Errorf("read the hook's input: %w", err)
	}
	if in, err = review.ReadInput(data); err != nil {
		return in, err
	}
	info, err := os.Stat(in.Dir)
	if err != nil || !info.IsDir() || !filepath.IsAbs(in.Dir) {
		return in, errors.New("cwd of the hook's input is not a folder")
	}
	return in, nil
}

// hookStdin reads stdin, and one byte more than a hook may be given, within --timeout: a host may leave it open.
func (a *app) hookStdin(ctx context.Context) ([]byte, error) {
	return bounded.Run(ctx, func(context.Context) ([]byte, error) { return io.ReadAll(io.LimitReader(a.in, review.MaxInput+1)) })
}

// answerHook says what was decided: to an agent's host as JSON, to git as text and by the exit code.
func (a *app) answerHook(gate review.Hook, d review.Decision) error {
	if !gate.OfAgent() {
		if err := a.print(d.Text(gate) + "\n"); err != nil {
			return err
		}
		if d.Block {
			return exitError{code: exitFailed}
		}
		return nil
	}
	reply, err := d.Reply(gate)
	if err != nil {
		return exitError{review.ExitFailed, err}
	}
	return a.write(plainJSON(reply))
}

// decide judges what a hook is about to let through, unless that is known already.
func (a *app) decide(ctx context.Context, r *reviewer, in review.Input) (review.Decision, error) {
	m := r.memory(ctx, in.SessionID)
	targets, left, err := a.hookTargets(ctx, r, m)
	if err != nil {
		return review.Decision{}, err
	}
	d, err := r.judge(ctx, in, m, targets)
	for _, why := range left {
		d.Message = review.Warn(why).Message + "\n" + d.Message
	}
	return d, err
}

// judge answers for the targets of a hook, without a request where that is possible.
func (r *reviewer) judge(ctx context.Context, in review.Input, m *memory, targets []target) (review.Decision, error) {
	states := []string{string(r.o.on.Least)}
	for _, t := range targets {
		states = append(states, t.state)
	}
	state := digest(states...)
	mem := m.known.Begin(in.Active)
	if !slices.ContainsFunc(targets, func(t target) bool { return !t.nothing }) {
		compared := make([]string, len(targets))
		for i, t := range targets {
			compared[i] = t.compared
		}
		m.keep(ctx, mem)
		return review.Decision{Message: "exai review: nothing to review: " + strings.Join(compared, "; ")}, nil
	}
	if d, known := mem.Known(state); known {
		m.keep(ctx, mem)
		return d, nil
	}
	var reports []*review.Report
	for _, t := range targets {
		report, err := r.run(ctx, t)
		if err != nil {
			return review.Decision{}, err
		}
		reports = append(reports, report)
	}
	d, mem := mem.Decide(review.Merge(reports), r.o.on, state, in.Active, m.store != nil)
	m.keep(ctx, mem)
	return d, nil
}

// hookTargets are what a hook is about to let through, and why the others of several can't be compared.
func (a *app) hookTargets(ctx context.Context, r *reviewer, m *memory) (targets []target, left []error, err error) {
	var t target
	switch r.o.gate {
	case review.PrePush:
		return a.pushTargets(ctx, r)
	case review.PreCommit:
		t, err = a.commitTarget(ctx, r)
	default:
		t, err = r.sinceBaseline(ctx, m.baseline)
	}
	return []target{t}, nil, err
}

// commitTarget is what git is about to commit: the index that git names, which is a temporary one for git commit -a and
// for git commit -- FILE.
func (a *app) commitTarget(ctx context.Context, r *reviewer) (target, error) {
	index := a.getenv("GIT_INDEX_FILE")
	if index != "" && !filepath.IsAbs(index) {
		index = filepath.Join(r.dir, index)
	}
	r.files.Narrow(workspace.Scope{IndexFile: index})
	repo, err := r.repository(ctx)
	if err != nil {
		return target{}, err
	}
	defer repo.Close()
	return r.staged(ctx, repo)
}

// pushTargets are what git is about to push, ref by ref; what two refs have in common is one target. A ref that can't be
// compared, such as a tag of a file, does not keep the others from being judged: left says why, unless it is the only one.
func (a *app) pushTargets(ctx context.Context, r *reviewer) (targets []target, left []error, err error) {
	r.files.Narrow(workspace.Scope{})
	repo, err := r.repository(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer repo.Close()
	pushes, err := a.pushes(ctx)
	if err != nil {
		return nil, nil, err
	}
	remote := "origin"
	for _, name := range append(r.o.files, a.getenv("PRE_COMMIT_REMOTE_NAME")) { // git names the remote, or gives its address
		if name != "" && !strings.ContainsAny(name, "/:") {
			remote = name
			break
		}
	}
	for _, p := range pushes {
		t, err := r.pushed(ctx, repo, p, remote)
		switch {
		case err != nil:
			left = append(left, err)
		case !slices.ContainsFunc(targets, func(other target) bool { return other.state == t.state }):
			targets = append(targets, t)
		}
	}
	switch {
	case len(targets) == 0 && len(left) > 0:
		return nil, nil, left[0]
	case len(targets) == 0:
		targets = append(targets, target{nothing: true, compared: "no ref is pushed"})
	}
	return targets, left, nil
}

// pushes are the refs that are pushed. The pre-commit framework names the two ends in the environment, and none on a branch's
// first push.
func (a *app) pushes(ctx context.Context) ([]review.Push, error) {
	if from, to := a.getenv("PRE_COMMIT_FROM_REF"), a.getenv("PRE_COMMIT_TO_REF"); a.getenv("PRE_COMMIT") != "" {
		if to == "" {
			to = "HEAD"
		}
		return []review.Push{{Ref: to, Tip: to, To: a.getenv("PRE_COMMIT_REMOTE_BRANCH"), Remote: from}}, nil
	}
	text, err := a.hookStdin(ctx)
	switch {
	case err != nil:
		return nil, fmt.Errorf("read git's refs: %w", err)
	case len(text) > review.MaxInput:
		return nil, fmt.Errorf("git's refs exceed the limit of %d bytes", review.MaxInput)
	}
	return review.ReadPushes(string(text))
}

// pushed compares what is pushed with what the remote has, a new branch with its merge base with the default branch.
func (r *reviewer) pushed(ctx context.Context, repo *git.Repository, p review.Push, remote string) (target, error) {
	tip, err := repo.Commit(ctx, p.Tip)
	if err != nil {
		return target{}, fmt.Errorf("%s names no commit", p.Ref)
	}
	if p.Remote != "" {
		if old, err := repo.Commit(ctx, p.Remote); err == nil {
			if base, ok := repo.CommonCommit(ctx, old, tip); ok { // after a rebase not the old end itself
				return r.commits(base, tip, fmt.Sprintf("%s (%s) with what %s has (%s)", p.Ref, short(tip), remote, short(base))), nil
			}
		}
	}
	for _, name := range []string{remote + "/HEAD", remote + "/main", remote + "/master", "main", "master"} {
		if branch := "refs/heads/" + name; p.Ref == branch || p.To == branch {
			continue // what the remote does not have yet is no base of itself
		}
		if commit, err := repo.Commit(ctx, name); err == nil {
			return r.sinceCommon(ctx, repo, name, commit, tip, p.Ref)
		}
	}
	return target{}, fmt.Errorf("there is no default branch of %s to compare %s with", remote, p.Ref)
}

// sinceBaseline is what is uncommitted and differs from when the session began. Without a baseline it is all of it.
func (r *reviewer) sinceBaseline(ctx context.Context, baseline map[string]string) (target, error) {
	repo, err := r.repository(ctx)
	if err != nil {
		return target{}, err
	}
	defer repo.Close()
	hashes, err := r.hashes(ctx, repo)
	if err != nil {
		return target{}, err
	}
	names := []string{}
	parts := []string{repo.Head}
	for _, name := range slices.Sorted(maps.Keys(hashes)) {
		if before, known := baseline[name]; !known || before != hashes[name] {
			names = append(names, name)
			parts = append(parts, name, hashes[name])
		}
	}
	r.files.Narrow(workspace.Scope{Files: names})
	t := r.uncommitted(repo)
	t.nothing, t.state = len(names) == 0, digest(parts...)
	if baseline != nil {
		t.compared = "what changed in this session and is uncommitted with " + headName(repo)
	}
	return t, nil
}

// hashes are the hashes of what is uncommitted.
func (r *reviewer) hashes(ctx context.Context, repo *git.Repository) (map[string]string, error) {
	changes, whole, err := repo.Status(ctx, ".")
	if err == nil && !whole {
		err = git.ErrTooLarge
	}
	var hashes map[string]string
	if err == nil {
		hashes, err = r.files.Hashes(ctx, repo, changes)
	}
	if errors.Is(err, git.ErrTooLarge) {
		err = fmt.Errorf("more than 5,000 files or 512 MiB of them are uncommitted in %q; commit them, or have git ignore those that are not meant", r.top)
	}
	return hashes, err
}

// digest is one name for several texts.
func digest(parts ...string) string {
	text, err := json.Marshal(parts)
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// memory is what the store keeps of a session, or of a work tree.
type memory struct {
	key      string
	top      string
	store    *store.Store // nil where nothing outlives this process
	known    review.Memory
	baseline map[string]string
}

// memory loads what is kept. The session's id is stored as a hash alone.
func (r *reviewer) memory(ctx context.Context, session string) *memory {
	m := &memory{key: digest(string(r.o.gate), session, r.top), top: r.top}
	s, err := r.database.get(ctx)
	if err != nil || s.Backend() == "memory" {
		return m
	}
	kept, err := s.Reviews().Load(ctx, m.key)
	if err != nil {
		return m
	}
	m.store, m.baseline = s, kept.Baseline
	m.known = review.Memory{Blocks: kept.Blocks, State: kept.Judged, Verdict: review.Verdict(kept.Verdict)}
	if err := json.Unmarshal(kept.Findings, &m.known.Findings); err != nil {
		m.known.Findings = nil // none were stored
	}
	return m
}

// keep stores what was decided. A failure costs no more than another request.
func (m *memory) keep(ctx context.Context, known review.Memory) {
	if m.store == nil {
		return
	}
	findings, err := json.Marshal(known.Findings)
	if err != nil {
		return
	}
	_ = m.store.Reviews().Change(ctx, m.key, func(v *store.Review) bool {
		v.Workspace, v.Blocks, v.Judged, v.Verdict, v.Findings = m.top, known.Blocks, known.State, string(known.Verdict), findings
		return true
	})
}

// keepBaseline stores the hashes of what is uncommitted as a session begins; a session that is resumed keeps its own.
// Nothing is said of a failure: that session is judged on all that is uncommitted.
func (r *reviewer) keepBaseline(ctx context.Context, session string) {
	m := r.memory(ctx, session)
	if m.store == nil || m.baseline != nil {
		return
	}
	repo, err := r.repository(ctx)
	if err != nil {
		return
	}
	defer repo.Close()
	hashes, err := r.hashes(ctx, repo)
	if err != nil {
		return
	}
	_ = m.store.Reviews().Change(ctx, m.key, func(v *store.Review) bool {
		v.Workspace, v.Baseline = m.top, hashes
		return true
	})
}

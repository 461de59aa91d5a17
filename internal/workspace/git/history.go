package git

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// File is a file as git knows it: in the index, or in a commit.
type File struct {
	Name string // relative to the work tree's top, with slashes
	Mode string // git's: 100644, 100755, 120000 for a link, 160000 for a submodule
	id   string
}

// Link reports whether the file is a symbolic link.
func (f File) Link() bool { return f.Mode == "120000" }

// Submodule reports whether the file is a commit of another repository.
func (f File) Submodule() bool { return f.Mode == modeSubmodule }

// Tracked lists the files that git tracks in the work tree, each once. Whole is false when there are more than were read.
func (r *Repository) Tracked(ctx context.Context) (files []File, whole bool, err error) {
	out, cut, err := r.guest.output(ctx, "ls-files", "--cached", "--stage", "-z")
	if err != nil {
		return nil, false, err
	}
	for _, line := range fieldsOf(out) {
		f, ok := parseFile(line)
		if ok && (len(files) == 0 || files[len(files)-1].Name != f.Name) { // an unmerged file has several stages
			files = append(files, f)
		}
	}
	return files, !cut, nil
}

// parseFile reads a line of ls-files ("mode id stage<tab>name") or ls-tree ("mode type id<tab>name").
func parseFile(line string) (File, bool) {
	info, name, ok := strings.Cut(line, "\t")
	fields := strings.Fields(info)
	if !ok || len(fields) != 3 || name == "" {
		return File{}, false
	}
	f := File{Name: name, Mode: fields[0], id: fields[1]}
	if commitID().MatchString(fields[2]) {
		f.id = fields[2]
	}
	return f, commitID().MatchString(f.id)
}

// Reachable reports whether a commit is another one or can be reached from it.
func (r *Repository) Reachable(ctx context.Context, commit, from string) (bool, error) {
	_, err := r.guest.line(ctx, "merge-base", "--is-ancestor", commit, from)
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		return false, nil
	}
	return err == nil, err
}

// Commit is one entry of a history.
type Commit struct {
	ID      string
	Date    string // YYYY-MM-DD, of the commit
	Author  string // without the address
	Subject string
}

const commitFormat = "%H%x00%cd%x00%an%x00%s%x00"

// Log lists the latest commits, up to most, that changed a file, the newest first, from a commit on.
func (r *Repository) Log(ctx context.Context, from, name string, most int) ([]Commit, error) {
	out, _, err := r.guest.output(ctx, "log", "--no-show-signature", "--no-notes", "--no-decorate", "--no-color", "--no-patch",
		"--date=short", "--encoding=UTF-8", "--format="+commitFormat, "--max-count="+strconv.Itoa(most), from, "--", name)
	if err != nil {
		return nil, err
	}
	fields := fieldsOf(out)
	var commits []Commit
	for ; len(fields) >= 4; fields = fields[4:] {
		commits = append(commits, Commit{ID: strings.TrimSpace(fields[0]), Date: fields[1], Author: fields[2], Subject: fields[3]})
	}
	return commits, nil
}

// ErrNoFile is returned for a file that a commit does not have.
var ErrNoFile = errors.New("no such file in that commit")

// FileAt finds a file in a commit, ErrNoFile if it is not there or is a folder.
func (r *Repository) FileAt(ctx context.Context, commit, name string) (File, error) {
	out, _, err := r.guest.output(ctx, "ls-tree", "-z", "--full-tree", commit, "--", name)
	if err != nil {
		return File{}, err
	}
	for _, line := range fieldsOf(out) {
		if f, ok := parseFile(line); ok && f.Name == name && f.Mode != "040000" {
			return f, nil
		}
	}
	return File{}, ErrNoFile
}

// Content reads a file that FileAt found, at most limit bytes of it. Nothing converts it: it is the bytes as they were
// committed.
func (r *Repository) Content(ctx context.Context, f File, limit int64) (data []byte, cut bool, err error) {
	if f.Submodule() {
		return nil, false, fmt.Errorf("%s is a submodule", f.Name)
	}
	return r.guest.upTo(limit).output(ctx, "cat-file", "blob", f.id)
}

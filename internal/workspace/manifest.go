package workspace

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Manifest says what of the files that were asked for is sent, what is cut, what is not sent and why. Nothing is dropped
// silently.
type Manifest struct {
	Sent      []Entry `json:"sent,omitempty"`
	Cut       []Entry `json:"cut,omitempty"`          // sent, but only the beginning
	Unchanged []Entry `json:"already_sent,omitempty"` // in the conversation already, and still the same
	LeftOut   []Entry `json:"left_out,omitempty"`
	// NotChecked are what can't be searched for secrets: images and documents.
	NotChecked []string `json:"not_checked_for_secrets,omitempty"`
	More       int      `json:"more_not_listed,omitempty"` // entries that Limit took away
	// MoreIn counts them by folder, as the host names it.
	MoreIn map[string]int `json:"more_by_folder,omitempty"`
	Tokens int            `json:"tokens"` // estimated, of what is sent now
	Bytes  int64          `json:"bytes"`  // of what is sent now
}

// Entry is one file, or one file's part of a diff.
type Entry struct {
	Path   string `json:"path"`             // as the host names it
	Part   string `json:"part,omitempty"`   // of a repository: staged, unstaged, ...
	Reason string `json:"reason,omitempty"` // why it is cut or left out
	Code   Code   `json:"code,omitempty"`   // where it was refused or could not be read
	Hint   string `json:"-"`                // what to do then
	// Encoding is what the file is in, where that is not UTF-8; it is sent as UTF-8.
	Encoding string `json:"encoding,omitempty"`
	Tokens   int    `json:"tokens,omitempty"` // estimated, of what is sent
	Bytes    int64  `json:"bytes,omitempty"`  // of what is sent; of what is left out, its size where it is known
	Lines    int    `json:"lines,omitempty"`  // of what is sent
	Masked   int    `json:"masked,omitempty"` // secrets in it that are masked
}

// Limit is the manifest with the first n entries of each list by name, and the number of the others by folder.
func (m Manifest) Limit(n int) Manifest {
	for _, list := range []*[]Entry{&m.Sent, &m.Cut, &m.Unchanged, &m.LeftOut} {
		if len(*list) <= n {
			continue
		}
		if m.MoreIn == nil {
			m.MoreIn = map[string]int{}
		}
		sorted := slices.Clone(*list)
		slices.SortStableFunc(sorted, func(a, b Entry) int { return strings.Compare(a.Path, b.Path) })
		for _, e := range sorted[n:] {
			m.MoreIn[folderOf(e.Path)]++
		}
		m.More += len(sorted) - n
		*list = sorted[:n:n]
	}
	if len(m.MoreIn) > maxMoreFolders {
		m.MoreIn = largestFolders(m.MoreIn)
	}
	return m
}

// FileGroup is files of which the same became.
type FileGroup struct {
	What  string   `json:"what"` // "sent", or why not
	Paths []string `json:"paths"`
}

// Groups lists all files by name, in groups of those of which the same became.
func (m Manifest) Groups() []FileGroup {
	var all []FileGroup
	for _, list := range []struct {
		what    string
		entries []Entry
	}{{"Not sent", m.LeftOut}, {"Sent in part", m.Cut}, {"Sent", m.Sent}, {"Sent before", m.Unchanged}} {
		at := map[string]int{}
		for _, e := range list.entries {
			what := list.what
			if e.Reason != "" {
				what += ": " + strings.TrimSuffix(e.Reason, ".")
			}
			i, ok := at[what]
			if !ok {
				i = len(all)
				at[what], all = i, append(all, FileGroup{What: what})
			}
			all[i].Paths = append(all[i].Paths, e.Path)
		}
	}
	for _, g := range all {
		slices.Sort(g.Paths)
	}
	return all
}

// maxMoreFolders is how many folders a limited manifest counts files in; the others are counted together.
const maxMoreFolders = 50

// otherFolders stands for the folders that are not counted by name.
const otherFolders = "(other folders)"

// largestFolders keeps the folders with the most files, and counts the others together.
func largestFolders(counts map[string]int) map[string]int {
	names := slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(counts[b]-counts[a], strings.Compare(a, b))
	})
	kept := map[string]int{}
	for i, name := range names {
		if i >= maxMoreFolders {
			kept[otherFolders] += counts[name]
			continue
		}
		kept[name] = counts[name]
	}
	return kept
}

// folderOf is the folder of a host's path, however its system separates names.
func folderOf(path string) string {
	at := strings.LastIndexAny(path, `/\`)
	if at < 0 {
		return "."
	}
	return path[:max(at, 1)]
}

// Empty reports whether no file's content is, or was earlier, sent.
func (m Manifest) Empty() bool { return len(m.Sent)+len(m.Cut)+len(m.Unchanged) == 0 }

// Masked counts the secrets that are masked in what is sent now.
func (m Manifest) Masked() (n int) {
	for _, list := range [][]Entry{m.Sent, m.Cut} {
		for _, e := range list {
			n += e.Masked
		}
	}
	return n
}

// send adds what is sent now.
func (m *Manifest) send(e Entry) {
	if e.Reason == "" {
		m.Sent = append(m.Sent, e)
	} else {
		m.Cut = append(m.Cut, e)
	}
	m.Tokens += e.Tokens
	m.Bytes += e.Bytes
}

// failed is the entry of a path that could not be used.
func failed(path string, err error) Entry {
	e := Entry{Path: path, Reason: err.Error(), Code: codeOf(err)}
	if known, ok := asError(err); ok {
		e.Reason, e.Hint = known.Message, known.Hint
	}
	return e
}

func overBudget(tokens int) string {
	return fmt.Sprintf("no room in the budget of %d tokens", tokens)
}

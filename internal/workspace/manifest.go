package workspace

import "fmt"

// Manifest says what of the files that were asked for is sent, what is cut, what is not sent and why. Nothing is dropped
// silently.
type Manifest struct {
	Sent      []Entry `json:"sent,omitempty"`
	Cut       []Entry `json:"cut,omitempty"`          // sent, but only the beginning
	Unchanged []Entry `json:"already_sent,omitempty"` // in the thread already, and still the same
	LeftOut   []Entry `json:"left_out,omitempty"`
	More      int     `json:"more_not_listed,omitempty"` // entries that Limit took away
	Tokens    int     `json:"tokens"`                    // estimated, of what is sent now
	Bytes     int64   `json:"bytes"`                     // of what is sent now
}

// Entry is one file, or one file's part of a diff.
type Entry struct {
	Path   string `json:"path"`             // as the host names it
	Part   string `json:"part,omitempty"`   // of a repository: staged, unstaged, ...
	Reason string `json:"reason,omitempty"` // why it is cut or left out
	Code   Code   `json:"code,omitempty"`   // where it was refused or could not be read
	Tokens int    `json:"tokens,omitempty"` // estimated, of what is sent
	Bytes  int64  `json:"bytes,omitempty"`  // of what is sent; of what is left out, its size where it is known
	Lines  int    `json:"lines,omitempty"`  // of what is sent
}

// Limit is the manifest with at most n entries in each list, and the number of those not listed.
func (m Manifest) Limit(n int) Manifest {
	for _, list := range []*[]Entry{&m.Sent, &m.Cut, &m.Unchanged, &m.LeftOut} {
		if len(*list) > n {
			m.More += len(*list) - n
			*list = (*list)[:n:n]
		}
	}
	return m
}

// Empty tells whether no file's content is, or was earlier, sent.
func (m Manifest) Empty() bool { return len(m.Sent)+len(m.Cut)+len(m.Unchanged) == 0 }

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
		e.Reason = known.Message
	}
	return e
}

func overBudget(tokens int) string {
	return fmt.Sprintf("no room in the budget of %d tokens", tokens)
}

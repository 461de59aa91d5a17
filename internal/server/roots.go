package server

import (
	"context"
	"encoding/json"
	"net/url"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mark3labs/mcp-go/mcp"
)

// rootsTimeout is how long a call waits for the client to say which folders it works in.
const rootsTimeout = 2 * time.Second

// roots are the folders that the client works in.
type roots struct {
	mu      sync.Mutex
	paths   []string
	known   bool
	given   []string        // what stateless requests have said, which adds up
	pending context.Context // ends when the latest question is answered, or has waited long enough; nil before any
}

// expect announces an answer. The function that it returns takes it: the roots, or nil for a refusal.
func (r *roots) expect() (answer func(paths []string)) {
	pending, settle := context.WithTimeout(context.Background(), rootsTimeout)
	r.mu.Lock()
	r.pending = pending
	r.mu.Unlock()
	return func(paths []string) {
		r.mu.Lock()
		if r.pending == pending { // an answer to an older question is out of date
			r.paths, r.known = paths, paths != nil
		}
		r.mu.Unlock()
		settle()
	}
}

// get waits for the announced answer, if there is one.
func (r *roots) get(ctx context.Context) (paths []string, known bool) {
	r.mu.Lock()
	pending := r.pending
	r.mu.Unlock()
	if pending != nil {
		select {
		case <-pending.Done():
		case <-ctx.Done():
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Concat(r.paths, r.given), r.known || r.given != nil
}

// add keeps the folders that a stateless request has named, for the rest of the process: a server on stdio has one client.
func (r *roots) add(paths []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.given == nil {
		r.given = []string{}
	}
	for _, p := range paths {
		if !slices.Contains(r.given, p) {
			r.given = append(r.given, p)
		}
	}
}

// rootsInput is the key under which a stateless client is asked for its roots.
const rootsInput = "roots"

// askRootsResult asks for the roots and ends this round of the call; the client sends the whole call again with its answer.
// The schema makes params optional, but go-sdk 1.8.0 fails a call that asks without them.
const askRootsResult = `{"resultType":"input_required","inputRequests":{"` + rootsInput + `":{"method":"roots/list","params":{}}}}`

// takeRoots keeps the roots that a stateless call brings along.
func (c *conn) takeRoots(inputs json.RawMessage) {
	if len(inputs) == 0 || inputs[0] != '{' {
		return
	}
	for key, value := range members(inputs) {
		if key != rootsInput {
			continue
		}
		if paths := rootPaths(value); paths != nil {
			c.roots.add(paths)
		}
	}
}

// expectRoots has calls that need the roots wait for them, from the handshake on. MCP lets us ask only once the client
// has said that it is ready.
func (c *conn) expectRoots() {
	if c.state.answersRoots() {
		c.roots.expect()
	}
}

// askRoots asks the client for its roots, if it answers that. One without a handshake, which is a stateless one, takes no
// requests of ours.
func (c *conn) askRoots() {
	if c.state.ProtocolVersion() == "" || !c.state.answersRoots() {
		return
	}
	answer := c.roots.expect()
	c.sendRequest(string(mcp.MethodListRoots), func(result json.RawMessage) { answer(rootPaths(result)) })
}

// rootPaths reads a roots/list result: nil when it is none, the paths of its local folders else.
func rootPaths(result json.RawMessage) []string {
	var list struct {
		Roots []json.RawMessage `json:"roots"`
	}
	if result == nil || json.Unmarshal(result, &list) != nil {
		return nil
	}
	paths := []string{}
	for _, each := range list.Roots {
		var root mcp.Root
		if json.Unmarshal(each, &root) != nil {
			continue // an invalid entry does not invalidate the others
		}
		if path, ok := filePath(root.URI, runtime.GOOS == "windows"); ok {
			paths = append(paths, path)
		}
	}
	return paths
}

// filePath turns a file:// URI into a path of this system. It is false for other schemes, other hosts and nonsense.
func filePath(uri string, windows bool) (string, bool) {
	const scheme = "file://"
	if len(uri) < len(scheme) || !strings.EqualFold(uri[:len(scheme)], scheme) {
		return "", false
	}
	rest, err := url.PathUnescape(uri[len(scheme):])
	if err != nil || strings.ContainsRune(rest, 0) {
		return "", false
	}
	host, path, _ := strings.Cut(rest, "/")
	if !windows {
		if host != "" && !strings.EqualFold(host, "localhost") {
			return "", false
		}
		return filepath.Clean("/" + path), true
	}
	switch {
	case isDrive(host): // file://C:/x, one slash short, as some clients write it
		path = host + "/" + path
	case host != "" && !strings.EqualFold(host, "localhost"): // file://server/share is \\server\share
		return `\\` + strings.ReplaceAll(rest, "/", `\`), true
	}
	drive, below, _ := strings.Cut(path, "/")
	if !isDrive(drive) {
		return "", false
	}
	return strings.ToUpper(drive) + `\` + strings.ReplaceAll(below, "/", `\`), true
}

// isDrive reports whether a name is a Windows drive, "C:".
func isDrive(name string) bool {
	return len(name) == 2 && name[1] == ':' && ('a' <= name[0]|0x20 && name[0]|0x20 <= 'z')
}

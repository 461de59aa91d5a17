//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"image"
	"image/png"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// planted stands in every file that must never be read, welcome in those that may be.
const (
	planted = "PlantedSecret7f3a9c"
	welcome = "WelcomeText55e1d2"
)

// trafficLog keeps every byte that clients send to the vendors, uploads included.
type trafficLog struct {
	mu    sync.Mutex
	conns []*recordingConn
}

type recordingListener struct {
	net.Listener
	log *trafficLog
}

type recordingConn struct {
	net.Conn
	log  *trafficLog
	sent []byte
}

func (l recordingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.log.mu.Lock()
	defer l.log.mu.Unlock()
	tapped := &recordingConn{Conn: c, log: l.log}
	l.log.conns = append(l.log.conns, tapped)
	return tapped, nil
}

func (c *recordingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.log.mu.Lock()
	defer c.log.mu.Unlock()
	c.sent = append(c.sent, p[:n]...)
	return n, err
}

// contains reports whether a text was sent.
func (w *trafficLog) contains(text string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.conns, func(c *recordingConn) bool { return bytes.Contains(c.sent, []byte(text)) })
}

// bytes is how many were sent.
func (w *trafficLog) bytes() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		n += len(c.sent)
	}
	return n
}

// forget empties the log.
func (w *trafficLog) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		c.sent = nil
	}
}

// recordTraffic has the site's vendors listen where every byte is kept.
func (s *site) recordTraffic() *trafficLog {
	w := &trafficLog{}
	for _, v := range []emulator.Vendor{emulator.GLM, emulator.Kimi} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(s.t, err)
		s.vendors.Serve(v, recordingListener{l, w})
		s.environ = append(s.environ, strings.ToUpper(string(v))+"_API_URL="+s.vendors.URL(v))
	}
	return w
}

// guardedSite is a site with a root full of things that must not be read, and with ways out of it.
type guardedSite struct {
	*site
	*peer
	root    string
	traffic *trafficLog
	// refused are the files below root whose names no setting opens, and elsewhere those that are outside of it.
	refused, elsewhere []string
}

// refusedNames are the paths that the workspace's own tests hold refused.
func refusedNames(t *testing.T) (names []string) {
	t.Helper()
	text, err := os.ReadFile(filepath.FromSlash("../../internal/workspace/testdata/refused.txt"))
	require.NoError(t, err)
	for line := range strings.Lines(string(text)) {
		name, err := strconv.Unquote(strings.TrimSpace(line))
		require.NoError(t, err, line)
		names = append(names, name)
	}
	return names
}

func newGuardedSite(t *testing.T) *guardedSite {
	s := newSite(t, "LOG_LEVEL=error", "EX_WEBSEARCH_DEFAULT_ON=false", "MAX_MCP_OUTPUT_TOKENS=100000") // long names are not cut
	f := &guardedSite{site: s, root: filepath.Join(s.dir, "project"), traffic: s.recordTraffic()}
	secret := "# " + planted + "\n"
	s.file("outside/secret.txt", secret)
	s.file("outside/prompt.txt", secret)
	for _, name := range []string{".env", "sub/.env.local", "case/.ENV", "case/.Env.Production", "id_rsa", "server.pem", "case/SERVER.PEM", "tls.key", ".ssh/config", ".npmrc", "exai.conf"} {
		s.file("project/"+name, secret)
	}
	for i, name := range refusedNames(t) {
		if !strings.HasPrefix(name, "/") { // each in a folder of its own, since some are folders of others
			f.refused = append(f.refused, fmt.Sprintf("refused/%d/%s", i, name))
			s.file("project/"+f.refused[len(f.refused)-1], secret)
		} else if name != "/proc" {
			f.elsewhere = append(f.elsewhere, name)
		}
	}
	s.file("project/readme.md", welcome+"\n")
	s.file("project/sub/code.go", "package sub // "+welcome+"\n")
	for link, target := range map[string]string{
		"out.txt": "../outside/secret.txt", "outdir": "../outside", "chain.txt": "out.txt", "innocent.txt": ".env", "innocent.md": "sub/.env.local",
		"db.txt": "state/exai.db", "pipe-link.txt": "pipe.txt", "zero.txt": "/dev/zero", "environ.txt": "/proc/self/environ", "dangling.txt": "../outside/later.txt",
		"sub/prompt.txt": "../../outside/prompt.txt",
	} {
		require.NoError(t, os.Symlink(target, filepath.Join(f.root, link)))
	}
	require.NoError(t, syscall.Mkfifo(filepath.Join(f.root, "pipe.txt"), 0o644))
	t.Chdir(f.root) // so that the name of the socket is short enough, and the working directory is no other root
	socket, err := net.Listen("unix", "sock.txt")
	require.NoError(t, err)
	t.Cleanup(func() { socket.Close() })

	s.file("project/state/logs/other.txt", secret)
	require.NoError(t, os.Symlink("../../../outside/secret.txt", filepath.Join(f.root, "state/logs/evil.log")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(f.root, "state/logs/pipe.log"), 0o644))
	s.environ = append(s.environ, "EXAI_ALLOWED_ROOTS="+f.root, "EXAI_STATE_DIR="+filepath.Join(f.root, "state"), "ENV_FILE="+filepath.Join(f.root, "exai.conf"))
	s.listen = func(line string) {
		assert.NotContains(t, line, planted)
		assert.NotContains(t, line, "root:x:0:", "/etc/passwd")
	}
	f.peer = s.serveHere()
	f.call("chat", object{"prompt": "Is the database there?"}) // from here on it is
	s.vendors.Forget()
	f.traffic.forget()
	return f
}

// hostilePaths are hostile paths of each kind, which every parameter is tried with.
func (f *guardedSite) hostilePaths() []string {
	paths := []string{"/etc/passwd", "/proc/self/environ", "/dev/zero", "../outside/secret.txt", "~/outside/secret.txt", "file://" + f.root + "/%2eenv"}
	for _, name := range []string{
		"sub/../../outside/secret.txt", "out.txt", "outdir/secret.txt", "innocent.txt", "dangling.txt", "pipe.txt", "sock.txt", "state", "state/exai.db", ".env",
		"case/.Env.Production", "id_rsa", "case/SERVER.PEM", ".ssh/config", "exai.conf", ".env\n/../../outside/secret.txt",
	} {
		paths = append(paths, f.root+"/"+name)
	}
	return paths
}

// forbiddenPaths are paths of things that exist, and that no parameter may lead to.
func (f *guardedSite) forbiddenPaths() []string {
	paths := []string{
		"/etc/passwd", "/dev/zero",
		"/dev/stdin", "/dev/fd/0", "/dev/tty", "../outside/secret.txt", "sub/../../outside/secret.txt", "./.env", "sub//.env.local", "~/outside/secret.txt",
		"file:///etc/passwd", "FILE://localhost/etc/passwd", "file://" + f.root + "/%2eenv", "file://" + f.root + "/../outside/secret.txt",
		f.root + "/sub/../../outside/secret.txt", filepath.Dir(f.root) + "/outside/secret.txt", filepath.Dir(f.root) + "/outside", f.root + "/outdir/secret.txt",
	}
	for _, name := range []string{
		"out.txt", "outdir", "chain.txt", "innocent.txt", "innocent.md", "db.txt", "pipe.txt", "pipe-link.txt", "zero.txt", "environ.txt", "dangling.txt",
		"sock.txt", "sub/prompt.txt", "state", "state/exai.db", "state/logs", "state/logs/toolcalls.jsonl", "state/logs/other.txt", "exai.conf",
	} {
		paths = append(paths, filepath.Join(f.root, name))
	}
	for _, name := range f.refused {
		paths = append(paths, f.root+"/"+name)
	}
	return append(paths, f.elsewhere...)
}

// missingPaths are paths that lead to nothing, and nonsense.
func (f *guardedSite) missingPaths() []string {
	return []string{
		"", " ", "\x00", f.root + "/readme.md\x00.png", f.root + "/.env\n", "\n/etc/passwd", f.root + "/x\n../../outside/secret.txt", "/etc/passwd\n",
		f.root + "/missing.txt", strings.Repeat("a/", 20_000), `..\outside\secret.txt`, `C:\Windows\win.ini`, `\\server\share\x`, `\\.\pipe\x`, "file://", "file:%zz",
		"http://127.0.0.1:1/readme.md", "https://example.org/x.png", "-", "--output=x", "*", f.root + "/*", "$HOME/outside/secret.txt", "%2e%2e/outside/secret.txt",
	}
}

// fileParams are the parameters that name files or folders, with how a value of theirs is written.
var fileParams = map[string]func(path string) any{
	"files": listOf, "images": listOf, "files_checked": listOf, "relevant_files": listOf, "style_guide_examples": listOf, "path": asString, "file": asString,
}

func listOf(path string) any   { return []string{path} }
func asString(path string) any { return path }

// otherParams are the parameters that don't. One that is in neither list is new, and has to be put into one.
var otherParams = strings.Fields(`
	step step_number total_steps next_step_required use_assistant_model continuation_id findings relevant_context issues_found
	backtrack_from_step temperature thinking_mode use_websearch model confidence hypothesis analysis_type output_format prompt stream offset
	review_type focus_on standards severity_filter models current_model_index model_responses document_complexity document_flow update_existing
	comments_on_complex_logic num_files_documented total_files_to_document system_prompt tools tool_choice purpose search_query count
	search_engine search_domain_filter search_recency_filter request_id user_id tail_lines messages session_id call_key tool_name context
	is_step_revision revises_step_number preview fixes is_branch_point branch_from_step branch_id more_steps_needed include_staged include_unstaged
	include_tools show_advanced invalidate_cache refactor_type focus_areas security_scope threat_level compliance_requirements audit_focus
	doctor probe problem_context n trace_mode target_description lines filter source since until structured compare_to`)

// pathParam is a parameter of a tool that names files.
type pathParam struct{ tool, param string }

// pathParams finds every such parameter in the catalogue.
func (f *guardedSite) pathParams() (list []pathParam) {
	f.site.t.Helper()
	_, out, _ := f.run("", "tools", "--json")
	var catalogue struct {
		Tools []struct {
			Name        string
			InputSchema struct{ Properties map[string]json.RawMessage }
		}
	}
	require.NoError(f.site.t, json.Unmarshal([]byte(out), &catalogue))
	for _, tool := range catalogue.Tools {
		for param := range tool.InputSchema.Properties {
			if fileParams[param] != nil {
				list = append(list, pathParam{tool.Name, param})
			} else {
				assert.Contains(f.site.t, otherParams, param, "a new parameter of %s: does it name a file?", tool.Name)
			}
		}
	}
	slices.SortFunc(list, func(a, b pathParam) int { return strings.Compare(a.tool+a.param, b.tool+b.param) })
	return list
}

// kinds are parameters that each are checked by other code; every other parameter shares the code of one of them.
var kinds = []pathParam{
	{"chat", "files"},
	{"chat", "images"},
	{"debug", "files_checked"},
	{"debug", "relevant_files"},
	{"debug", "images"},
	{"consensus", "relevant_files"},
	{"refactor", "style_guide_examples"},
	{"precommit", "path"},
	{"kimi_upload_and_extract", "files"},
	{"glm_upload_file", "file"},
	{"toolcall_log_tail", "path"},
}

// ignoring are parameters without effect: the original took these parameters and did nothing with them.
var ignoring = []pathParam{{"activity", "files"}, {"activity", "images"}}

// callWithPath calls a tool with a path.
func (f *guardedSite) callWithPath(d pathParam, path string) (<-chan *toolReply, object) {
	args := everyTool("mark", filepath.Join(f.root, "readme.md"), filepath.Join(f.root, "readme.md"))[d.tool]
	args[d.param] = fileParams[d.param](path)
	return f.ask(d.tool, args), args
}

// pathAttempt is a call with a path, and its reply.
type pathAttempt struct {
	pathParam
	path string
	*toolReply
}

// tryAll calls with every path in every parameter, some calls at a time. Each must be answered soon.
func (f *guardedSite) tryAll(doors []pathParam, paths []string) (all []pathAttempt) {
	var mu sync.Mutex
	var underWay sync.WaitGroup
	room := make(chan struct{}, 16)
	for _, d := range doors {
		for _, path := range paths {
			room <- struct{}{}
			answer, _ := f.callWithPath(d, path)
			underWay.Go(func() {
				r := f.await(answer)
				<-room
				mu.Lock()
				defer mu.Unlock()
				all = append(all, pathAttempt{d, path, r})
			})
		}
	}
	underWay.Wait()
	for _, r := range all {
		require.NotNil(f.site.t, r.toolReply, "%s %s %q hung", r.tool(), r.param, r.path)
		assert.Less(f.site.t, r.took, scaled(10*time.Second), "%s %s %q", r.tool(), r.param, r.path)
	}
	return all
}

func (r pathAttempt) tool() string { return r.pathParam.tool }

// Whatever a path names that may not be read, every parameter of every tool that names files refuses it, at once, and
// nothing of it goes to a vendor or into a reply.
func TestNoParameterLeadsOut(t *testing.T) {
	f := newGuardedSite(t)
	require.Greater(t, len(f.pathParams()), 35)
	for _, r := range append(f.tryAll(f.pathParams(), f.hostilePaths()), f.tryAll(kinds, f.forbiddenPaths())...) {
		if slices.Contains(ignoring, r.pathParam) {
			continue
		}
		code := r.errorCode()
		if r.pathParam == (pathParam{"toolcall_log_tail", "path"}) && strings.Contains(r.path, "state/logs/toolcalls.jsonl") {
			continue // the one file that is meant to be read
		}
		assert.Contains(t, []string{"path_denied", "file_not_found", "invalid_request"}, code, "%s %s %q: %s", r.tool(), r.param, r.path, r.text)
	}
	assert.Zero(t, f.traffic.bytes(), "nobody was asked anything: %v", f.vendors.Requests())
}

func TestNoParameterIsLedAstray(t *testing.T) {
	f := newGuardedSite(t)
	for _, r := range append(f.tryAll(f.pathParams(), f.missingPaths()[:6]), f.tryAll(kinds, f.missingPaths()[6:])...) {
		if code := r.errorCode(); code != "" {
			assert.Contains(t, []string{"path_denied", "file_not_found", "invalid_request"}, code, "%s %s %q: %s", r.tool(), r.param, r.path, r.text)
		}
	}
	assert.False(t, f.traffic.contains(planted))
	assert.False(t, f.traffic.contains("root:x:0:"))
}

// A folder stands for what may be read in it, for every parameter that takes one.
func TestFoldersLeaveOutWhatIsRefused(t *testing.T) {
	f := newGuardedSite(t)
	for _, git := range []bool{false, true} {
		if git {
			f.git("init", "-q")
			f.git("add", "-f", ".env", "id_rsa", "server.pem", "readme.md", "sub", "out.txt", "innocent.txt")
			f.git("commit", "-q", "-m", "start")
		}
		for _, d := range f.pathParams() {
			f.traffic.forget()
			answer, args := f.callWithPath(d, f.root)
			r := f.await(answer)
			require.NotNil(t, r, "%v hung", args)
			assert.False(t, f.traffic.contains(planted), "%s %s", d.tool, d.param)
			reads := d.param == "relevant_files" && d.tool != "docgen" && d.tool != "tracer" || d.param == "style_guide_examples" || d == (pathParam{"chat", "files"})
			assert.Equal(t, reads, f.traffic.contains("package sub // "+welcome), "%s %s: %s", d.tool, d.param, r.text)
		}
	}
}

// What an expert asks for is read by the same rules, and what it cites is not looked up elsewhere.
func TestExpertsDoNotLeadOut(t *testing.T) {
	f := newGuardedSite(t)
	bad := slices.DeleteFunc(append(f.forbiddenPaths(), f.missingPaths()...), func(path string) bool { return len(path) > 1000 })
	wants := func(paths ...string) emulator.Reply {
		answer, err := json.Marshal(object{"status": "files_required_to_continue", "files_needed": paths})
		require.NoError(t, err)
		return emulator.Say(string(answer))
	}
	args := everyTool("mark", f.root+"/readme.md", "")["secaudit"]
	f.vendors.Script(wants(bad...))
	r := f.call("secaudit", args)
	assert.Equal(t, "files_required_to_continue", r.str("status"))
	assert.Len(t, f.vendors.Requests(), 1, "there is nothing to give")

	// Beside them one that may be read: that one is given.
	var findings []object
	for _, path := range append(bad, f.root+"/readme.md") {
		findings = append(findings, object{"severity": "high", "file": path, "line": 1, "title": "Reads a secret", "quote": welcome})
	}
	found, err := json.Marshal(object{"status": "analysis_complete", "findings": findings})
	require.NoError(t, err)
	f.vendors.Script(wants(append(bad, f.root+"/sub/code.go")...), emulator.Say(string(found)))
	r = f.call("secaudit", args)
	assert.True(t, f.traffic.contains("package sub // "+welcome))
	assert.False(t, f.traffic.contains(planted))
	analysis, _ := r.object["expert_analysis"].(object)
	cited, _ := analysis["findings"].([]any)
	require.Len(t, cited, len(findings))
	for i, c := range cited[:len(bad)] {
		assert.NotEqual(t, "verified", c.(object)["citation"], "%q", bad[i])
	}
	assert.Equal(t, "verified", cited[len(bad)].(object)["citation"])
}

// A picture is sent because it is one, and only from where it may be read.
func TestPicturesDoNotLeadOut(t *testing.T) {
	f := newGuardedSite(t)
	var picture bytes.Buffer
	require.NoError(t, png.Encode(&picture, image.NewGray(image.Rect(0, 0, 2, 2))))
	for _, name := range []string{"outside/shot.png", "project/id_rsa", "project/.ssh/shot.png", "project/state/shot.png", "project/shot.png"} {
		f.file(name, picture.String())
	}
	require.NoError(t, os.Symlink("../outside/shot.png", filepath.Join(f.root, "linked.png")))
	ask := func(d pathParam, path string) *toolReply {
		answer, args := f.callWithPath(d, path)
		if d.tool != "activity" {
			args["model"] = "glm-5v-turbo"
			answer = f.ask(d.tool, args)
		}
		return f.await(answer)
	}
	for _, d := range f.pathParams() {
		if d.param != "images" || slices.Contains(ignoring, d) {
			continue
		}
		for _, path := range []string{"../outside/shot.png", f.root + "/linked.png", f.root + "/id_rsa", f.root + "/.ssh/shot.png", f.root + "/state/shot.png"} {
			r := ask(d, path)
			assert.Equal(t, "path_denied", r.errorCode(), "%s %q: %s", d.tool, path, r.text)
		}
		assert.False(t, f.traffic.contains("data:image"), d.tool)
	}
	r := ask(pathParam{"chat", "images"}, f.root+"/shot.png")
	assert.Equal(t, "continuation_available", r.str("status"), r.text)
	assert.True(t, f.traffic.contains("data:image/png"), "the way in is open")
}

// precommit shows what has changed, save in files that are refused, and compare_to is a commit and nothing else.
func TestPrecommitDoesNotLeadOut(t *testing.T) {
	f := newGuardedSite(t)
	f.git("init", "-q")
	f.git("add", "-f", ".env", "id_rsa", "server.pem", "readme.md", "sub", "case", "out.txt", "innocent.txt")
	f.git("commit", "-q", "-m", "start")
	for _, name := range []string{".env", "id_rsa", "server.pem", "case/.ENV", "sub/.env.local"} {
		f.file("project/"+name, planted+" changed\n")
	}
	f.file("project/readme.md", welcome+" changed\n")
	f.git("add", "-f", "id_rsa", "case")
	check := func(args object) *toolReply {
		f.traffic.forget()
		args["step"], args["step_number"], args["total_steps"], args["next_step_required"], args["findings"] = "Review.", 1, 1, false, "none"
		r := f.call("precommit", args)
		assert.NotContains(t, r.text, planted)
		return r
	}
	r := check(object{"path": f.root})
	assert.NotEqual(t, "error", r.str("status"), r.text)
	assert.True(t, f.traffic.contains("+"+welcome+" changed"))
	assert.True(t, f.traffic.contains("id_rsa"), "it is named")

	f.git("commit", "-q", "-a", "-m", "changed")
	r = check(object{"path": f.root, "compare_to": "HEAD~1"})
	assert.NotEqual(t, "error", r.str("status"), r.text)
	assert.True(t, f.traffic.contains("+"+welcome+" changed"))

	for _, word := range []string{
		"--output=" + filepath.Join(f.dir, "written"), "--output=written", "-O" + f.root + "/sub/code.go", "--ext-diff", "--no-index", "-p", "--", "HEAD --output=written",
		"HEAD\n--output=written", "HEAD:.env", "HEAD:id_rsa", ":/start", "HEAD; touch written", "$(touch written)", "`touch written`", "HEAD@{0}\x00", "../outside", " ", "nosuch",
	} {
		r := check(object{"path": f.root, "compare_to": word})
		if strings.TrimSpace(word) != "" {
			assert.Equal(t, "invalid_request", r.errorCode(), "%q: %s", word, r.text)
		}
		assert.False(t, f.traffic.contains(planted), word)
	}
	for _, made := range []string{"written", "project/written", "project/sub/written"} {
		assert.NoFileExists(t, filepath.Join(f.dir, made))
	}
}

// An expert's functions read by the same rules, whatever git tracks: every evil path is refused by each of them, on both
// vendors' dialects, and the reply lists the refusals.
func TestFunctionsDoNotLeadOut(t *testing.T) {
	f := newGuardedSite(t)
	f.git("init", "-q")
	f.git("add", "-f", ".env", "sub", "case", "id_rsa", "server.pem", "tls.key", "readme.md", "out.txt", "outdir", "chain.txt", "innocent.txt", "innocent.md",
		"db.txt", "zero.txt", "environ.txt", "dangling.txt", ".ssh", ".npmrc", "exai.conf")
	for _, name := range f.refused {
		if !strings.Contains(strings.ToLower(name), "/.git") { // which git itself refuses
			f.git("add", "-f", name)
		}
	}
	f.git("commit", "-q", "-m", "start")
	paths := slices.DeleteFunc(slices.Concat(f.forbiddenPaths(), f.refused, f.missingPaths()[2:]), func(path string) bool { return len(path) > 1000 })
	const function, rounds, each = 5, 6, 8
	calls := []emulator.ToolCall{}
	for _, path := range paths {
		quoted, err := json.Marshal(path)
		require.NoError(t, err)
		calls = append(calls,
			emulator.ToolCall{Name: "read_file", Arguments: `{"path":` + string(quoted) + `}`},
			emulator.ToolCall{Name: "search_files", Arguments: `{"pattern":".","path":` + string(quoted) + `}`},
			emulator.ToolCall{Name: "list_files", Arguments: `{"path":` + string(quoted) + `}`},
			emulator.ToolCall{Name: "git_history", Arguments: `{"path":` + string(quoted) + `}`},
			emulator.ToolCall{Name: "git_show", Arguments: `{"commit":"HEAD","path":` + string(quoted) + `}`})
	}
	require.Greater(t, len(calls), 180*function)
	args := everyTool("mark", f.root+"/readme.md", "")["debug"]
	done := emulator.Say(`{"status":"analysis_complete","findings":[]}`).Thinking("hm")
	models, refusals := []string{"glm-5.3", "kimi-k3", "glm-4.6"}, 0
	for n := 0; len(calls) > 0; n++ {
		var script [][]emulator.ToolCall
		for len(script) < rounds && len(calls) > 0 {
			k := min(each, len(calls))
			script, calls = append(script, calls[:k]), calls[k:]
		}
		f.vendors.Always(emulator.Match{}, emulator.Reads(done, script...))
		args["model"] = models[n%len(models)]
		r := f.call("debug", args)
		looked, _ := r.object["looked_at"].([]any)
		asked := 0
		for _, calls := range script {
			asked += len(calls)
		}
		require.Len(t, looked, asked, "%s", r.text)
		for _, l := range looked {
			if reason, _ := l.(object)["error"].(string); reason != "" {
				refusals++
				continue
			}
			assert.Fail(t, "not refused", "%v", l)
		}
	}
	assert.Equal(t, len(paths)*function, refusals)
	assert.False(t, f.traffic.contains(planted))
	assert.False(t, f.traffic.contains("root:x:0:"))
}

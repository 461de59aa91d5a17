package main

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/store/storetest"
	"github.com/exai-mcp/exai-mcp/internal/tools"
	"github.com/exai-mcp/exai-mcp/internal/tools/tool"
)

// The secrets of a careful operator. Each piece of one can be told wherever it turns up, however the rest was cut off.
const (
	glmSecret  = "Zq6c0ffee0glm0key.Zq6AbCdEfGhIjKlMnOp"
	kimiSecret = `sk-Zq7+kimi/Zq7=0badcafe"Zq7`
	dbSecret   = `Zq8first/Zq8second:with "Zq8odd" Zq8signs`
	urlSecret  = "Zq9pr0xyPassw0rd"
)

var secretPiece = regexp.MustCompile(`Zq[6-9]|` + func() string {
	var encoded []string
	for _, s := range []string{glmSecret, kimiSecret, dbSecret, urlSecret} {
		encoded = append(encoded, regexp.QuoteMeta(base64.StdEncoding.EncodeToString([]byte(s))[:16]), hex.EncodeToString([]byte(s))[:16])
	}
	return strings.Join(encoded, "|")
}())

// programOutput is everything that a site's program has let out: what it printed, and what it keeps.
type programOutput struct {
	s      *site
	text   map[string]string
	stdout func() string // of the servers
	pieces *regexp.Regexp
}

// collectOutput begins to collect. search ends it.
func (s *site) collectOutput() *programOutput {
	e := &programOutput{s: s, text: map[string]string{}, pieces: secretPiece}
	var said strings.Builder
	s.listen = func(line string) { said.WriteString(line) } // one after the other, and read when stdout has ended
	e.stdout = said.String
	return e
}

// cli runs a command of the program and keeps what it prints.
func (e *programOutput) cli(args ...string) (code int) {
	var out, errs syncBuffer
	code = run(e.s.t.Context(), args, e.s.environ, strings.NewReader(""), &out, &errs)
	name := fmt.Sprintf("command %d, %s", len(e.text), args[0])
	e.text[name+" stdout"], e.text[name+" stderr"] = out.String(), errs.String()
	return code
}

// search looks for the secrets in all of it.
func (e *programOutput) search() {
	t := e.s.t
	t.Helper()
	e.text["stdout"] = e.stdout()
	state := filepath.Join(e.s.dir, "state")
	err := filepath.WalkDir(state, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		e.text[path] = string(content)
		return err
	})
	if !errors.Is(err, fs.ErrNotExist) {
		require.NoError(t, err)
	}
	e.text["database"] = e.s.dump()
	bytes := 0
	for where, text := range e.text {
		bytes += len(text)
		if at := e.pieces.FindStringIndex(text); at != nil {
			assert.Fail(t, "a secret got out", "%s: ...%s...", where, text[max(0, at[0]-300):min(len(text), at[1]+100)])
		}
	}
	t.Logf("searched %d bytes in %d places", bytes, len(e.text))
}

// dump is every value of every table of ours, so that no page or blob of the file hides one.
func (s *site) dump() string {
	cfg, err := (&app{environ: s.environ}).load()
	require.NoError(s.t, err)
	if _, err := os.Stat(filepath.Join(s.dir, "state", "exai.db")); err != nil && cfg.Conversations.Backend == "sqlite" {
		return ""
	}
	var out strings.Builder
	db := s.database()
	tables := s.tables(db, cfg.Conversations.Backend)
	require.Contains(s.t, tables, "messages")
	for _, table := range tables {
		s.dumpTable(&out, db, table)
	}
	return out.String()
}

// tables are the names of the database's tables.
func (s *site) tables(db *sql.DB, backend string) []string {
	query := `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`
	if backend == "sqlite" {
		query = `SELECT name FROM sqlite_master WHERE type = 'table'`
	}
	rows, err := db.QueryContext(s.t.Context(), query)
	require.NoError(s.t, err)
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		require.NoError(s.t, rows.Scan(&name))
		names = append(names, name)
	}
	require.NoError(s.t, rows.Err())
	return names
}

func (s *site) dumpTable(out io.Writer, db *sql.DB, table string) {
	rows, err := db.QueryContext(s.t.Context(), `SELECT * FROM `+table)
	require.NoError(s.t, err)
	defer rows.Close()
	columns, err := rows.Columns()
	require.NoError(s.t, err)
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		require.NoError(s.t, rows.Scan(values...))
		for _, v := range values {
			if raw, ok := (*v.(*any)).([]byte); ok {
				*v.(*any) = string(raw)
			}
			fmt.Fprintln(out, *v.(*any))
		}
	}
	require.NoError(s.t, rows.Err())
}

// newSiteWithSecrets is a site whose program has planted keys, and logs all that it may.
func newSiteWithSecrets(t *testing.T, settings ...string) *site {
	vendors, err := emulator.Start(emulator.Keys(glmSecret, kimiSecret))
	require.NoError(t, err)
	t.Cleanup(vendors.Close)
	s := newSite(t, append(limits(
		"GLM_API_KEY="+glmSecret, "GLM_API_URL="+vendors.GLMURL(), "KIMI_API_KEY="+kimiSecret, "KIMI_API_URL="+vendors.KimiURL(),
		"DATABASE_URL=postgres://planted:"+url.PathEscape(dbSecret)+"@127.0.0.1:1/planted", "LOG_LEVEL=debug", "LOG_PROMPTS=true", "ISSUE_TRACKER_TOOL=true", "DIAGNOSTICS=true",
		"MAX_RETRIES=1", "GLM_TIMEOUT_SECS=2", "KIMI_TIMEOUT_SECS=2", "SIMPLE_TOOL_TIMEOUT_SECS=2", "WORKFLOW_TOOL_TIMEOUT_SECS=2", "EXPERT_ANALYSIS_TIMEOUT_SECS=2", "FILE_TOOL_TIMEOUT_SECS=2",
	), settings...)...)
	s.vendors = vendors
	return s
}

// callEveryTool calls every tool, those that are not shown by default too, all at once, and waits for the replies.
func (s *site) callEveryTool(p *peer, mark string) {
	source := filepath.Join(s.project(), "add.go")
	calls := everyTool(mark, source, s.file("project/upload-"+mark+".txt", "some text"))
	calls["self-check"], calls["issues"] = object{}, object{"action": "list"}
	var answers []<-chan *toolReply
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		answers = append(answers, p.ask(name, calls[name]))
	}
	for _, answer := range answers {
		assert.NotNil(s.t, p.await(answer))
	}
}

// No key and no password gets out of the program: not on stdout or stderr, not into its folder or its database, however
// much it logs and whatever happens to it.
func TestSecretsStayInside(t *testing.T) {
	serve := func(t *testing.T, s *site, e *programOutput, session func(p *peer)) {
		p := s.serveHere()
		p.call("status", object{"doctor": true, "probe": true, "include_tools": true})
		<-p.start("logging/setLevel", "", object{"level": "debug"})
		session(p)
		for _, uri := range []string{"exai://config", "exai://models", "exai://issues", "exai://conversations"} {
			<-p.start("resources/read", "", object{"uri": uri})
		}
		p.call("activity", object{"lines": 500})
		p.call("toolcall_log_tail", object{"n": 200})
		p.closeInput()
		e.text["stderr"] = p.stderr.String()
	}
	t.Run("all goes well", func(t *testing.T) {
		s := newSiteWithSecrets(t)
		e := s.collectOutput()
		serve(t, s, e, func(p *peer) { s.callEveryTool(p, "well") })
		for _, args := range [][]string{{"config"}, {"config", "--client", "vscode"}, {"doctor", "--live"}, {"tools"}, {"issues", "list"}, {"conversations", "list"}, {"version"}} {
			assert.Equal(t, exitOK, e.cli(args...), "%v", args)
		}
		assert.Contains(t, e.text["command 1, config stdout"], "********")
		e.search()
	})
	t.Run("all goes well with PostgreSQL", func(t *testing.T) {
		dsn := storetest.Postgres(t)
		at, err := url.Parse(dsn)
		require.NoError(t, err)
		password, _ := at.User.Password()
		s := newSiteWithSecrets(t, "CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL="+dsn)
		e := s.collectOutput()
		if len(password) > 6 { // a shorter one might be an ordinary word
			e.pieces = regexp.MustCompile(secretPiece.String() + "|" + regexp.QuoteMeta(password) + "|" + regexp.QuoteMeta(url.PathEscape(password)))
		}
		serve(t, s, e, func(p *peer) { s.callEveryTool(p, "postgres") })
		assert.Equal(t, exitOK, e.cli("doctor"))
		assert.Equal(t, exitOK, e.cli("conversations", "list"))
		e.search()
		assert.Contains(t, e.text["database"], "postgres", "there is something to search")
	})
	t.Run("somebody types them", func(t *testing.T) {
		s := newSiteWithSecrets(t)
		e := s.collectOutput()
		serve(t, s, e, func(p *peer) { s.callEveryTool(p, "Why are "+glmSecret+" and "+kimiSecret+" not taken?") })
		e.cli("call", "chat", `{"prompt":"Is `+glmSecret+` a key?"}`)
		e.search()
	})
	t.Run("vendors echo them in errors", func(t *testing.T) {
		s := newSiteWithSecrets(t)
		e := s.collectOutput()
		for vendor, key := range map[emulator.Vendor]string{emulator.GLM: glmSecret, emulator.Kimi: kimiSecret} {
			faults := []emulator.Fault{
				emulator.VendorError(401, "1002", "Incorrect API key provided: "+key), emulator.VendorError(400, "1210", "unknown parameter '"+key+"'"),
				emulator.VendorError(500, "server_error", key), emulator.ErrorIn200(true, "500", key), emulator.ErrorIn200(false, "1305", key),
				emulator.ErrorEvent(2, "1305", key), emulator.Status(403, "<html>"+key+"</html>", "X-Key", key), emulator.Raw(0, "data: {"+key+"\n\n"),
				emulator.Status(429, key, "Retry-After", key),
			}
			var n atomic.Int64
			for _, op := range []emulator.Op{
				emulator.OpChat, emulator.OpSearch, emulator.OpUpload, emulator.OpModels, emulator.OpTokens, emulator.OpBalance, emulator.OpFormulaTools, emulator.OpFormulaRun,
			} {
				s.vendors.Always(emulator.Match{Vendor: vendor, Op: op}, func(emulator.Request) emulator.Reply {
					return emulator.Fail(faults[int(n.Add(1))%len(faults)])
				})
			}
		}
		serve(t, s, e, func(p *peer) {
			for n := range 2 {
				s.callEveryTool(p, fmt.Sprint("echo-", n))
			}
		})
		e.cli("doctor", "--live")
		e.search()
	})
	t.Run("the keys are wrong", func(t *testing.T) {
		s := newSiteWithSecrets(t)
		other, err := emulator.Start()
		require.NoError(t, err)
		t.Cleanup(other.Close)
		s.environ = append(s.environ, "GLM_API_URL="+other.GLMURL(), "KIMI_API_URL="+other.KimiURL())
		e := s.collectOutput()
		serve(t, s, e, func(p *peer) {
			s.callEveryTool(p, "wrong")
			assert.Equal(t, "auth", p.call("chat", object{"prompt": "x", "model": "glm-5.3"}).errorCode())
		})
		assert.Equal(t, exitFailed, e.cli("doctor"))
		e.search()
	})
	t.Run("addresses hold a password", func(t *testing.T) {
		s := newSiteWithSecrets(t)
		for name, at := range map[string]string{"GLM_API_URL": s.vendors.GLMURL(), "KIMI_API_URL": "http://127.0.0.1:1/v1"} {
			s.environ = append(s.environ, name+"="+strings.Replace(at, "://", "://planted:"+urlSecret+"@", 1))
		}
		e := s.collectOutput()
		serve(t, s, e, func(p *peer) { s.callEveryTool(p, "address") })
		e.cli("doctor")
		e.cli("config")
		good := s.environ
		s.environ = append(slices.Clone(good), "GLM_API_URL=https://planted:"+urlSecret+"@host:port/bad")
		assert.Equal(t, exitUsage, e.cli("config"))
		s.environ = good
		e.search()
	})
	t.Run("the database does not answer", func(t *testing.T) {
		s := newSiteWithSecrets(t, "CONVERSATION_STORAGE_BACKEND=postgres")
		e := s.collectOutput()
		serve(t, s, e, func(p *peer) {
			s.callEveryTool(p, "database")
			assert.Equal(t, "store_unavailable", p.call("chat", object{"prompt": "x", "continuation_id": "x"}).errorCode())
		})
		e.cli("doctor")
		assert.Equal(t, exitFailed, e.cli("conversations", "list"))
		good := s.environ
		for _, dsn := range []string{
			"postgres://planted:" + dbSecret + "@nowhere:port/x", "postgres://planted:" + dbSecret, "postgres:" + dbSecret, dbSecret, "host=127.0.0.1 port=1 user=planted password=" + dbSecret,
			"host=127.0.0.1 port=1 user=planted password='" + dbSecret + "' sslmode=no", "postgres://127.0.0.1:1/x?user=planted&password=" + url.QueryEscape(dbSecret) + "&sslmode=no",
		} {
			s.environ = append(slices.Clone(good), "DATABASE_URL="+dsn)
			assert.NotEqual(t, exitOK, e.cli("conversations", "list"), dsn)
			e.cli("doctor", "--offline")
			e.cli("config")
			e.cli("call", "chat", `{"prompt":"x"}`)
		}
		s.environ = append(good, "CONVERSATION_STORAGE_BACKEND=sqlite") // what there is to search is in the folder
		e.search()
	})
	t.Run("a tool panics", func(t *testing.T) {
		s := newSiteWithSecrets(t)
		e := s.collectOutput()
		a := &app{environ: s.environ}
		cfg, err := a.load()
		require.NoError(t, err)
		var log syncBuffer
		p, err := a.assemble(cfg, &log)
		require.NoError(t, err)
		faulty := tool.New("chat", func(context.Context, chatInput) (*tools.Result, error) {
			panic("with " + glmSecret + " and " + kimiSecret + " and " + dbSecret)
		})
		d := tool.NewDispatcher(tool.Options{Config: cfg, Log: p.log, Activity: p.activity}, []tool.Tool{faulty})
		r := d.Call(context.Background(), tool.Invocation{ID: "1", Tool: "chat", Arguments: json.RawMessage(`{"prompt":"x"}`)})
		p.close(time.Now().Add(goneWithin))
		text, err := r.JSON()
		require.NoError(t, err)
		assert.Contains(t, string(text), `"code":"internal"`)
		assert.Contains(t, log.String(), "with ******** and ******** and ********")
		e.text["reply"], e.text["log"] = string(text), log.String()
		e.search()
	})
}

type chatInput struct {
	Prompt string `json:"prompt"`
}

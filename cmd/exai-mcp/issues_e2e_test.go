package main

import (
	"database/sql"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/store/storetest"
)

// found is the conversation in which the three issues were found, fixing the one in which they were fixed.
const (
	found  = "debb44af-15b9-456d-9b88-6a2519f81427"
	fixing = "0d9cf5b7-95a8-4d5e-8b71-1f6d4b3a8f00"
)

// tracker is a site with a database of either kind.
type tracker struct {
	*site
	settings config.Conversations
	db       *sql.DB // the same database, past the program
}

// eachTracker runs a test on a fresh SQLite file, and on PostgreSQL where there is one.
func eachTracker(t *testing.T, test func(t *testing.T, k *tracker)) {
	t.Run("sqlite", func(t *testing.T) {
		s := newSite(t, "LOG_LEVEL=error", "ISSUE_TRACKER_TOOL=true", "EXAI_ALLOWED_ROOTS="+t.TempDir())
		k := &tracker{site: s, settings: config.Conversations{Backend: "sqlite", StateDir: filepath.Join(s.dir, "state")}}
		test(t, k.open("sqlite", filepath.Join(k.settings.StateDir, "exai.db")))
	})
	t.Run("postgres", func(t *testing.T) {
		own := storetest.Postgres(t)
		k := &tracker{
			site: newSite(t, "LOG_LEVEL=error", "ISSUE_TRACKER_TOOL=true", "EXAI_ALLOWED_ROOTS="+t.TempDir(),
				"CONVERSATION_STORAGE_BACKEND=postgres", "DATABASE_URL="+own),
			settings: config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(own)},
		}
		test(t, k.open("pgx", own))
	})
}

func (k *tracker) open(driver, where string) *tracker {
	k.t.Helper()
	k.cli("issues", "list") // makes the tables
	db, err := sql.Open(driver, where)
	require.NoError(k.t, err)
	k.t.Cleanup(func() { assert.NoError(k.t, db.Close()) })
	k.db = db
	return k
}

// cli runs the program and expects it to work.
func (k *tracker) cli(args ...string) string {
	k.t.Helper()
	code, out, errs := k.run("", args...)
	require.Equal(k.t, exitOK, code, "%v: %s%s", args, out, errs)
	require.Empty(k.t, errs)
	return out
}

// numbers lists the issues that the command line finds.
func (k *tracker) numbers(args ...string) (out []int) {
	k.t.Helper()
	return numbersIn(k.t, k.cli(append(append([]string{"issues"}, args...), "--json")...))
}

func numbersIn(t *testing.T, list string) (out []int) {
	t.Helper()
	var rows []struct {
		Number int `json:"issue_number"`
	}
	require.NoError(t, json.Unmarshal([]byte(list), &rows), list)
	for _, r := range rows {
		out = append(out, r.Number)
	}
	return out
}

// tool calls the tool issues through the program.
func (k *tracker) tool(arguments string) map[string]any {
	k.t.Helper()
	code, out, _ := k.run("", "call", "issues", arguments) // stderr has the progress
	require.Equal(k.t, exitOK, code, out)
	var reply map[string]any
	require.NoError(k.t, json.Unmarshal([]byte(out), &reply), out)
	require.Equal(k.t, "success", reply["status"])
	return reply
}

func (k *tracker) toolNumbers(arguments string) []int {
	k.t.Helper()
	list, err := json.Marshal(k.tool(arguments)["issues"])
	require.NoError(k.t, err)
	return numbersIn(k.t, string(list))
}

// query runs a statement past the program and gives its rows as text.
func (k *tracker) query(statement string, args ...any) (out []string) {
	k.t.Helper()
	rows, err := k.db.QueryContext(k.t.Context(), statement, args...)
	require.NoError(k.t, err, statement)
	defer rows.Close()
	names, err := rows.Columns()
	require.NoError(k.t, err)
	for rows.Next() {
		values, into := make([]sql.NullString, len(names)), make([]any, len(names))
		for i := range values {
			into[i] = &values[i]
		}
		require.NoError(k.t, rows.Scan(into...))
		var cells []string
		for _, v := range values {
			cells = append(cells, v.String)
		}
		out = append(out, strings.Join(cells, "|"))
	}
	require.NoError(k.t, rows.Err())
	return out
}

func (k *tracker) exec(statement string) {
	k.t.Helper()
	_, err := k.db.ExecContext(k.t.Context(), statement)
	require.NoError(k.t, err, statement)
}

// statements are the SQL of a page of the documentation, in order.
func statements(t *testing.T, page string) (out []string) {
	t.Helper()
	text, err := os.ReadFile("../../docs/" + page)
	require.NoError(t, err)
	for _, block := range strings.Split(string(text), "```sql\n")[1:] {
		statement, _, ok := strings.Cut(block, "```")
		require.True(t, ok)
		out = append(out, statement)
	}
	return out
}

// addIssueConversations stores the conversations that the issues name, as a server does.
func (k *tracker) addIssueConversations() {
	k.t.Helper()
	s, err := store.Open(k.t.Context(), k.settings)
	require.NoError(k.t, err)
	for id, title := range map[string]string{found: "Timeouts of the async clients", fixing: "Put limits on every client"} {
		_, err := s.Append(k.t.Context(), conversation.NewTurns{ConversationID: id, Title: title, Tool: "codereview", Turns: []conversation.Turn{
			{Role: providers.RoleUser, Content: "Which clients have no limit?", Tool: "codereview"},
			{Role: providers.RoleAssistant, Content: "All of the async ones.", Tool: "codereview", Model: "glm-5.3", Provider: "glm"},
		}})
		require.NoError(k.t, err)
	}
	require.NoError(k.t, s.Close())
}

var checklist = []string{
	"Import the limits", "HTTP client with the limit", "Limit on the vendor's client", "Three retries", "Logging",
	"A test of the limit", "Documentation",
}

// record creates the three issues: by the command line, by the tool, and with links.
func (k *tracker) record() {
	k.t.Helper()
	first := []string{
		"issues", "create", "Async GLM client without a timeout", "--severity", "critical", "--category", "timeout",
		"--file", "src/providers/async_glm.py", "--lines", "48-51", "--conversation", found, "--component", "AsyncGLMProvider",
		"--component", "zhipuai, async", "--description", "The vendor's client is made without any limit.",
		"--root-cause", "The limits are not passed on.", "--impact", "A call can wait forever.",
		"--recommended-fix", "Take the limit from the configuration.",
	}
	for _, step := range checklist {
		first = append(first, "--check", step)
	}
	assert.Equal(k.t, "Created issue 1: Async GLM client without a timeout\n", k.cli(first...))
	second := k.tool(`{"action":"create","title":"Async Kimi client waits for 300 s by default","severity":"high","category":"timeout",
		"file_path":"src/providers/async_kimi.py","line_start":58,"line_end":60,"conversation_id":"` + found + `",
		"affected_components":["AsyncKimiProvider"],"root_cause":"A default of 300 s","related_issues":[1]}`)
	assert.Equal(k.t, 2.0, second["issue"].(map[string]any)["issue_number"])
	k.cli("issues", "create", "Provider configuration is hard-coded", "--severity", "medium", "--category", "architecture",
		"--file", "src/providers/async_base.py", "--lines", "19-22", "--conversation", found, "--blocked-by", "1,2")
}

// The three issues of the report are recorded, found by every way, worked through, and found again.
func TestIssuesFromReportToFix(t *testing.T) {
	eachTracker(t, func(t *testing.T, k *tracker) {
		sqls := statements(t, "issues.md")
		require.Len(t, sqls, 5)
		k.addIssueConversations()
		k.record()

		list := k.cli("issues", "list")
		lines := strings.Split(list, "\n")
		assert.Regexp(t, `^1  critical  open    timeout       \[\.{10}\] 0/7  Async GLM client without a timeout +src/providers/async_glm\.py:48-51$`, lines[1])
		assert.Regexp(t, `^2  high +open +timeout +Async Kimi client`, lines[2])
		assert.Regexp(t, `^3  medium +open +architecture +Provider configuration`, lines[3])
		k.findEach(sqls, []int{1, 2, 3})
		assert.Equal(t, []string{
			"1|critical|timeout|open|Async GLM client without a timeout|src/providers/async_glm.py|0|7|0",
			"2|high|timeout|open|Async Kimi client waits for 300 s by default|src/providers/async_kimi.py|0|0|0",
			"3|medium|architecture|open|Provider configuration is hard-coded|src/providers/async_base.py|0|0|0",
		}, k.query(sqls[0]))

		k.fixIssues(sqls)
		assert.Empty(t, k.numbers("list"), "nothing is active any more")
		assert.Empty(t, k.query(sqls[0]))
		k.findEach(sqls, nil)

		page := k.cli("issues", "show", "1")
		for _, want := range []string{
			"- Status: verified", "[####################] 7/7, 100 %", "- Place: src/providers/async_glm.py:48-51",
			"- Blocks: #3 Provider configuration is hard-coded (fixed)", "- Related: #2 Async Kimi client waits for 300 s by default (fixed)",
			"## Actual fix\n\n> Every client takes the limit from the configuration.\n", "- [x] 7. Documentation (complete, ",
			"- " + found + ": found, 5 updates, checklist step 2 (Timeouts of the async clients)",
			"- " + fixing + ": fixed, ", "(Put limits on every client)",
		} {
			assert.Contains(t, page, want)
		}
		assert.Equal(t, page, k.cli("issues", "show", "#1", "--markdown"))
		assert.Equal(t, timeless(strings.TrimSpace(page)), timeless(strings.TrimSpace(k.tool(`{"action":"show","issue_number":1}`)["content"].(string))))
		assert.Contains(t, k.cli("conversations", "show", fixing), "- Issue: #1 Async GLM client without a timeout (critical, verified)",
			"from the conversation back to its issues")
		assert.Equal(t, history, k.history(1))
	})
}

// timeless is a page without its times, which are local ones for people, and else UTC.
func timeless(page string) string {
	return regexp.MustCompile(`20\d\d-\d\d-\d\d \d\d:\d\d:\d\d [A-Z0-9+-]+`).ReplaceAllString(page, "TIME")
}

// findEach finds the issues by every way there is; active are those that a list shows without being asked for more.
func (k *tracker) findEach(sqls []string, active []int) {
	t := k.t
	t.Helper()
	assert.Equal(t, active, k.numbers("list"))
	assert.Equal(t, active, k.toolNumbers(`{"action":"list"}`))
	for _, c := range []struct {
		cli  []string
		tool string
		want []int
	}{
		{[]string{"list", "--all"}, `"action":"list","status":"all"`, []int{1, 2, 3}},
		{[]string{"list", "--all", "--severity", "high,critical"}, `"action":"list","status":"all","severity":"high,critical"`, []int{1, 2}},
		{[]string{"list", "--all", "--category", "architecture"}, `"action":"list","status":"all","category":"architecture"`, []int{3}},
		{[]string{"list", "--all", "--file", "async_kimi.py"}, `"action":"list","status":"all","file_path":"async_kimi.py"`, []int{2}},
		{[]string{"list", "--all", "--file", "src/providers/async_base.py"}, `"action":"list","status":"all","file_path":"src/providers/async_base.py"`, []int{3}},
		{[]string{"list", "--all", "--component", "ZHIPUAI, async"}, `"action":"list","status":"all","affected_components":["ZHIPUAI, async"]`, []int{1}},
		{[]string{"list", "--all", "--conversation", found}, `"action":"list","status":"all","conversation_id":"` + found + `"`, []int{1, 2, 3}},
		{[]string{"list", "--all", "--workspace", "."}, `"action":"list","status":"all","workspace":"."`, []int{1, 2, 3}},
		{[]string{"list", "--all", "--workspace", "/nowhere"}, `"action":"list","status":"all","workspace":"/nowhere"`, nil},
		{[]string{"list", "--all", "--text", "300 s"}, `"action":"list","status":"all","text":"300 s"`, []int{2}},
		{[]string{"search", "WAIT"}, `"action":"search","text":"WAIT"`, []int{1, 2}},
		{[]string{"search", "three", "retries"}, `"action":"search","text":"three retries"`, []int{1}},
		{[]string{"list", "--all", "--limit", "1"}, `"action":"list","status":"all","limit":1`, []int{1}},
	} {
		assert.Equal(t, c.want, k.numbers(c.cli...), "%v", c.cli)
		assert.Equal(t, c.want, k.toolNumbers("{"+c.tool+"}"), "%v", c.tool)
	}
	assert.Equal(t, []int{1, 2, 3}, numbersIn(t, k.cli("issues", "export", "json", "--workspace", ".")))
	assert.Equal(t, 3, strings.Count(k.cli("issues", "export", "markdown"), "\n## History\n"))
	rows, err := csv.NewReader(strings.NewReader(k.cli("issues", "export", "csv", "--conversation", found))).ReadAll()
	require.NoError(t, err)
	assert.Len(t, rows, 4, "a header and three issues")

	one := k.query(sqls[1])
	require.Len(t, one, 1)
	for _, step := range checklist {
		assert.Contains(t, one[0], step)
	}
	byConversation := k.query(sqls[2])
	require.Len(t, byConversation, 3)
	for i, row := range byConversation {
		assert.True(t, strings.HasPrefix(row, fmt.Sprintf("%d|", i+1)), row)
		assert.Contains(t, row, found)
	}
}

// fixIssues fixes the three issues, a step by each way: command line, tool, plain SQL.
func (k *tracker) fixIssues(sqls []string) {
	t := k.t
	t.Helper()
	assert.Equal(t, "Issue 1: Async GLM client without a timeout\n  status_change: open -> in_progress: looking\n",
		k.cli("issues", "update", "1", "--status", "in_progress", "--note", "looking", "--by", fixing))
	assert.Regexp(t, `^Issue 1, step 1 is complete: Import the limits \[##\.+\] 1/7\n$`, k.cli("issues", "check", "1", "--step", "1", "--conversation", fixing))
	k.exec(sqls[3])
	k.exec(sqls[4])
	k.tool(`{"action":"check","issue_number":1,"step_number":3,"conversation_id":"` + fixing + `"}`)
	k.cli("issues", "check", "1", "--step", "4", "--status", "in-progress", "--conversation", fixing)
	k.cli("issues", "comment", "1", "the vendor's client retries by itself", "--conversation", fixing)
	for step := 4; step <= 7; step++ {
		k.cli("issues", "check", "1", "--step", fmt.Sprint(step), "--conversation", fixing)
	}
	k.cli("issues", "update", "1", "--fixed-by", fixing, "--actual-fix", "Every client takes the limit from the configuration.")
	k.cli("issues", "update", "1", "--status", "verified", "--note", "the test of the limit passes", "--by", fixing)
	k.tool(`{"action":"fix","issue_number":2,"fix_conversation_id":"` + fixing + `","actual_fix":"30 s"}`)
	k.cli("issues", "update", "3", "--fixed-by", fixing)
	for n := 1; n <= 3; n++ {
		row := k.query(`SELECT fix_conversation_id, fix_date FROM exai_issues WHERE issue_number = $1`, n)
		assert.True(t, strings.HasPrefix(row[0], fixing+"|20"), "%v", row)
	}
}

// byHand is the row of the history that was written by SQL. SQLite's clock gives it whole seconds, so it may stand a
// little earlier than it was written.
const byHand = "comment checklist step 2: pending -> complete [found]"

// history is what issue 1's says in the end, byHand aside.
var history = []string{
	"status_change opened as open [found]",
	"comment checklist step 1 added: Import the limits\nchecklist step 2 added: HTTP client with the limit\n" +
		"checklist step 3 added: Limit on the vendor's client\nchecklist step 4 added: Three retries\nchecklist step 5 added: Logging\n" +
		"checklist step 6 added: A test of the limit\nchecklist step 7 added: Documentation [found]",
	"comment is related to issue 2 [found]",
	"comment blocks issue 3 [found]",
	"status_change open -> in_progress: looking [fixing]",
	"comment checklist step 1 (Import the limits): pending -> complete [fixing]",
	"comment checklist step 3 (Limit on the vendor's client): pending -> complete [fixing]",
	"comment checklist step 4 (Three retries): pending -> in_progress [fixing]",
	"comment the vendor's client retries by itself [fixing]",
	"comment checklist step 4 (Three retries): in_progress -> complete [fixing]",
	"comment checklist step 5 (Logging): pending -> complete [fixing]",
	"comment checklist step 6 (A test of the limit): pending -> complete [fixing]",
	"comment checklist step 7 (Documentation): pending -> complete [fixing]",
	"fix_applied in_progress -> fixed [fixing]",
	"comment actual fix: none -> Every client takes the limit from the configuration. [fixing]",
	"conversation_link fixed in conversation: " + fixing + " [fixing]",
	"verification fixed -> verified: the test of the limit passes [fixing]",
}

// history is an issue's history without byHand, which must be in it once.
func (k *tracker) history(number int) (out []string) {
	k.t.Helper()
	var whole struct {
		Updates []struct {
			Type           string `json:"update_type"`
			Content        string `json:"content"`
			ConversationID string `json:"conversation_id"`
		} `json:"updates"`
	}
	require.NoError(k.t, json.Unmarshal([]byte(k.cli("issues", "show", fmt.Sprint(number), "--json")), &whole))
	hands := 0
	for _, u := range whole.Updates {
		name := map[string]string{found: "found", fixing: "fixing"}[u.ConversationID]
		if row := fmt.Sprintf("%s %s [%s]", u.Type, u.Content, name); row != byHand {
			out = append(out, row)
		} else {
			hands++
		}
	}
	assert.Equal(k.t, 1, hands)
	return out
}

// Sixteen commands, each with a store of its own, change one issue at once; no change is lost, and none of the rows that tell of them.
func TestIssueCommandsAtOnce(t *testing.T) {
	eachTracker(t, func(t *testing.T, k *tracker) {
		const writers = 16
		args := []string{"issues", "create", "shared"}
		for n := range writers {
			args = append(args, "--check", fmt.Sprintf("step of writer %d", n+1))
		}
		k.cli(args...)
		var g errgroup.Group
		for w := 1; w <= writers; w++ {
			g.Go(func() error {
				var errs []error
				for _, args := range [][]string{
					{"issues", "check", "1", "--step", fmt.Sprint(w)},
					{"issues", "comment", "1", fmt.Sprintf("said by %d", w)},
					{"issues", "create", fmt.Sprintf("own %d", w), "--related", "1"},
					{"issues", "update", "1", "--note", fmt.Sprintf("noted by %d", w)},
				} {
					if code, out, text := k.run("", args...); code != exitOK {
						errs = append(errs, fmt.Errorf("%v: %s%s", args, out, text))
					}
				}
				return errors.Join(errs...)
			})
		}
		require.NoError(t, g.Wait())
		var whole struct {
			Done    int   `json:"completed_steps"`
			Related []int `json:"related_issues"`
			Updates []struct {
				Content string    `json:"content"`
				At      time.Time `json:"created_at"`
			}
		}
		require.NoError(t, json.Unmarshal([]byte(k.cli("issues", "show", "1", "--json")), &whole))
		assert.Equal(t, writers, whole.Done)
		assert.Len(t, whole.Related, writers)
		kinds := map[string]int{}
		for _, u := range whole.Updates {
			kinds[strings.Fields(u.Content)[0]]++
			assert.False(t, u.At.IsZero())
		}
		assert.Equal(t, map[string]int{"opened": 1, "checklist": 1 + writers, "said": writers, "is": writers, "noted": writers}, kinds)
		assert.Equal(t, []string{fmt.Sprint(writers + 1)}, k.query(`SELECT count(DISTINCT issue_number) FROM exai_issues`))
	})
}

// What a finished workflow reports is an issue, found from its conversation and back, and closed as the reply says.
func TestIssuesOfAWorkflow(t *testing.T) {
	eachTracker(t, func(t *testing.T, k *tracker) {
		const run = `{"step":"read it","step_number":1,"total_steps":1,"next_step_required":false,"findings":"a leak","confidence":"certain",
			"issues_found":[{"severity":"high","description":"Leaks a goroutine","file":"client.go","line":7},{"severity":"low","description":"A typo"}]}`
		code, out, errs := k.run("", "call", "debug", run)
		require.Equal(t, exitOK, code, out+errs)
		var reply struct {
			ID      string `json:"continuation_id"`
			Closing string `json:"close_tracked_issues"`
			Tracked []struct {
				Number int
				New    bool
			} `json:"tracked_issues"`
		}
		require.NoError(t, json.Unmarshal([]byte(out), &reply))
		require.Len(t, reply.Tracked, 1, "what is of low severity is not recorded")
		assert.True(t, reply.Tracked[0].New)
		assert.Equal(t, []int{1}, k.numbers("list", "--conversation", reply.ID))
		assert.Equal(t, []int{1}, k.numbers("list", "--file", "client.go", "--severity", "high"))
		page := k.cli("issues", "show", "1")
		assert.Contains(t, page, "- Place: client.go:7\n")
		assert.Contains(t, page, "- "+reply.ID+": found, 1 update")
		assert.Contains(t, k.cli("conversations", "show", reply.ID), "- Issue: #1 Leaks a goroutine (high, open)\n")

		code, out, _ = k.run("", "call", "debug", run)
		require.Equal(t, exitOK, code)
		require.NoError(t, json.Unmarshal([]byte(out), &reply))
		assert.False(t, reply.Tracked[0].New, "seen again, it is the same issue")
		assert.Equal(t, []int{1}, k.numbers("list", "--all"))

		assert.Contains(t, reply.Closing, "give their numbers as fixes")
		k.cli("issues", "update", "1", "--fixed-by", reply.ID)
		assert.Equal(t, []int{1}, k.numbers("list", "--status", "fixed", "--conversation", reply.ID))
	})
}

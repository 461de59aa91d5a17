package ui

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/activity"
	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/conversation"
	"github.com/exai-mcp/exai-mcp/internal/issue"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/store"
	"github.com/exai-mcp/exai-mcp/internal/store/storetest"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// hostile is what a model might write to become more than text.
const hostile = "<script>alert(1)</script><img src=x onerror=alert(2)>'\"--></pre></textarea>{{.}} \x1b[31mred\x1b]8;;http://evil\x07 \u202egnp.exe\u2066 "

const key = "sk-secret-key-of-the-operator"

// site is the page over a store with something of everything in it.
type site struct {
	t      *testing.T
	server *Server
	store  *store.Store
	cookie *http.Cookie
}

func newSite(t *testing.T, settings config.Conversations) *site {
	s, err := store.Open(t.Context(), settings)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	server, err := New(Options{
		Usage: s.Usage(), Conversations: s, Issues: s.Issues(), Host: "here", Store: s.Location(), DayLimitUSD: 5,
		Redactor: activity.NewRedactor(key),
		Running: func(_ context.Context, now time.Time) ([]activity.Running, error) {
			return []activity.Running{
				{Tool: "chat", Model: hostile, ContinuationID: "talk-1", Started: now.Add(-4 * time.Second), Seconds: 4, LimitSecs: 30},
				{Tool: "upload", Background: true, Started: now, Seconds: 2000, LimitSecs: 600},
			}, nil
		},
	})
	require.NoError(t, err)
	k := &site{t: t, server: server, store: s}
	answer := k.send("GET", server.Path(), nil)
	require.Equal(t, http.StatusSeeOther, answer.StatusCode)
	require.Len(t, answer.Cookies(), 1)
	k.cookie = answer.Cookies()[0]
	return k
}

// fill stores a conversation, issues and requests, all of them hostile.
func (k *site) fill() {
	ctx := k.t.Context()
	code := "package a\n\nfunc f() {\n\tpanic(\"" + hostile + "\")\n}\n"
	_, err := k.store.Append(ctx, conversation.NewTurns{
		ConversationID: "talk-1", Title: hostile, Tool: hostile, Workspace: hostile, Host: "there", Turns: []conversation.Turn{
			{Role: providers.RoleUser, Content: hostile + key, Tool: "chat", Attachments: []conversation.Attachment{
				{Path: "/w/a.go", MIME: "text/x-go", Data: []byte(code)},
				{Path: hostile, MIME: "image/png" + hostile, Data: []byte("\x89PNG")},
			}},
			{Role: providers.RoleAssistant, Content: hostile + strings.Repeat("x", 1<<20), Tool: "chat", Model: hostile, Usage: providers.Usage{InputTokens: 5, OutputTokens: 7, CostUSD: 0.5}},
			{Role: providers.RoleUser, Content: "step", Tool: "debug", Step: &conversation.Step{Tool: "debug", Number: 2, Input: []byte(`{"step":"<b>"}`), Reply: []byte(`{"status":"<i>"}`)}},
			{Role: providers.RoleAssistant, Content: "so far", Tool: "chat", Status: conversation.TurnRunning, SavedAt: time.Now()},
		},
	})
	require.NoError(k.t, err)
	made, err := k.store.Issues().Create(ctx, issue.Issue{
		Title: hostile, Description: hostile, Severity: issue.High, Category: issue.Other, File: "/w/a.go", LineStart: 4, ConversationID: "talk-1",
		RootCause: hostile, Impact: hostile, RecommendedFix: hostile, Workspace: hostile, Quote: hostile,
		Checklist: []issue.ChecklistStep{{Description: hostile}},
	})
	require.NoError(k.t, err)
	_, err = k.store.Issues().Create(ctx, issue.Issue{Title: "second", Severity: issue.Low, Category: issue.Other, Quote: hostile, Related: []int{made.Number}})
	require.NoError(k.t, err)
	require.NoError(k.t, k.store.Issues().Comment(ctx, made.Number, hostile, "talk-1"))
	for i := range 60 {
		r := usage.Request{Host: hostile, User: hostile, Tool: hostile, Vendor: "glm", Model: "m", InputTokens: 10, CostUSD: 0.25, Outcome: "ok", ConversationID: "talk-1", Workspace: hostile}
		switch i {
		case 0:
			r.Tool, r.Outcome, r.ExceededLimit = "chat", "timeout", "GLM_TIMEOUT_SECS"
		case 1:
			r.ConversationID = hostile
			r.Outcome, r.ExceededLimit, r.Vendor, r.Model, r.Billing = hostile, hostile, hostile, hostile, usage.Billing(hostile)
		}
		require.NoError(k.t, k.store.Usage().Record(ctx, r))
	}
}

func (k *site) send(method, path string, change func(*http.Request)) *http.Response {
	r := httptest.NewRequestWithContext(k.t.Context(), method, path, nil)
	r.Host = "127.0.0.1:4711"
	if k.cookie != nil {
		r.AddCookie(k.cookie)
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	k.server.ServeHTTP(w, r)
	return w.Result()
}

func (k *site) get(path string) (int, string) {
	answer := k.send("GET", path, nil)
	var b strings.Builder
	_, err := fmt.Fprint(&b, read(k.t, answer))
	require.NoError(k.t, err)
	return answer.StatusCode, b.String()
}

func read(t *testing.T, r *http.Response) string {
	t.Helper()
	var b strings.Builder
	buffer := make([]byte, 1<<16)
	for {
		n, err := r.Body.Read(buffer)
		b.Write(buffer[:n])
		if err != nil {
			return b.String()
		}
	}
}

func eachSite(t *testing.T, test func(t *testing.T, k *site)) {
	t.Run("sqlite", func(t *testing.T) {
		test(t, newSite(t, config.Conversations{Backend: "sqlite", StateDir: t.TempDir()}))
	})
	t.Run("postgres", func(t *testing.T) {
		test(t, newSite(t, config.Conversations{Backend: "postgres", DatabaseURL: config.Secret(storetest.Postgres(t))}))
	})
}

// What other machines do is shown as far as the store has it, once, with their names.
func TestRunningElsewhere(t *testing.T) {
	eachSite(t, func(t *testing.T, k *site) {
		k.fill()
		u, ctx := k.store.Usage(), t.Context()
		for _, r := range []usage.Request{
			{Host: "build-7", Tool: "codereview", Model: "glm-5.3", ConversationID: "elsewhere"},
			{Host: "build-7", Tool: "consensus", Model: "glm-5.3", ConversationID: "elsewhere"},
			{Host: "here", Tool: "secaudit", ConversationID: "in the log"},
			{Host: hostile, Tool: "precommit"},
		} {
			_, _, err := u.Reserve(ctx, usage.Reservation{AmountUSD: 0.1, LimitUSD: 90, Request: r})
			require.NoError(t, err)
		}
		_, err := k.store.Append(ctx, conversation.NewTurns{ConversationID: "far", Title: "far", Tool: "thinkdeep", Host: "ada-laptop", Turns: []conversation.Turn{
			{Role: providers.RoleAssistant, Content: "so far", Tool: "thinkdeep", Status: conversation.TurnRunning, SavedAt: time.Now()},
		}})
		require.NoError(t, err)
		_, body := k.get("/running")
		assert.Equal(t, 5, strings.Count(body, "</td></tr>"), body) // talk-1 and the upload of this machine, and three of others
		for _, want := range []string{">build-7</td>", ">ada-laptop</td>", `href="/conversations/elsewhere"`, `href="/conversations/far"`, "precommit"} {
			assert.Contains(t, body, want)
		}
		assert.NotContains(t, body, "secaudit", "the activity log has what this machine does")
		assert.NotContains(t, body, "<img src=x")
	})
}

// Rows and sums say what a plan pays for.
func TestPlanMarks(t *testing.T) {
	eachSite(t, func(t *testing.T, k *site) {
		for _, r := range []usage.Request{
			{Model: "kimi", Outcome: "ok", Billing: usage.ByPlan},
			{Model: "glm", Outcome: "ok", CostUSD: 0.5, Billing: usage.ByMaybePlan},
			{Model: "glm", Outcome: "ok", CostUSD: 0.25},
		} {
			require.NoError(t, k.store.Usage().Record(t.Context(), r))
		}
		_, body := k.get("/calls")
		for _, want := range []string{">0 <small>plan</small></td>", ">0.500 <small>plan?</small></td>", ">0.250</td>"} {
			assert.Contains(t, body, want)
		}
		_, body = k.get("/cost")
		for _, want := range []string{">0 <small>plan</small></td>", ">0.750 <small>part plan?</small></td>"} {
			assert.Contains(t, body, want)
		}
	})
}

// views are the addresses of everything that the page shows.
var views = []string{
	"/", "/running", "/calls", "/calls?limit=GLM_TIMEOUT_SECS", "/cost", "/cost?days=7", "/conversations", "/conversations?q=alert",
	"/conversations/talk-1", "/issues", "/issues?status=all&severity=high&q=alert&file=a.go", "/issues/1", "/issues/2",
}

// Whatever a model wrote is text: no element, no attribute, no escape sequence and no hidden reordering comes of it, and no
// key is shown.
func TestHostileTextIsText(t *testing.T) {
	eachSite(t, func(t *testing.T, k *site) {
		k.fill()
		for _, path := range views {
			status, body := k.get(path)
			require.Equal(t, http.StatusOK, status, path)
			for _, bad := range []string{"<script>alert", "<img src=x", "onerror=alert(2)>", "\x1b", "\x07", "\u202e", "\u2066", key, "<b>", "ZgotmplZ"} {
				assert.NotContains(t, body, bad, path)
			}
			assert.Less(t, len(body), 1<<20, path)
			assert.NotRegexp(t, `(?i)(src|href|action)="?https?:`, body, "no address but our own")
			tags := regexp.MustCompile(`"[^"]*"`).ReplaceAllString(body, `""`)
			assert.NotRegexp(t, `(?i)<[^>]* (style|on[a-z]+)=`, tags, "nothing inline, which the policy would refuse")
		}
	})
}

func TestViews(t *testing.T) {
	eachSite(t, func(t *testing.T, k *site) {
		status, body := k.get("/")
		require.Equal(t, http.StatusOK, status, "an empty store")
		assert.Contains(t, body, "No conversations.")
		k.fill()
		for path, wants := range map[string][]string{
			"/":                                  {"15.00 USD", "of 5.00", ">chat<", ">26 s</td>", "GLM_TIMEOUT_SECS", `href="/conversations/talk-1"`, `href="/issues/1"`, "<mark>running</mark>"},
			"/running":                           {">here<", ">26 s</td>", ">0 s</td>", "in the background"},
			"/calls":                             {"Earlier requests", "before="},
			"/calls?limit=GLM_TIMEOUT_SECS":      {"exceeded limit <strong>GLM_TIMEOUT_SECS</strong>", ">timeout</a>"},
			"/cost?days=7":                       {"Cost by day", "Cost by model", "Cost by tool", "Cost by workspace", `data-names="[`, "60 requests"},
			"/conversations?q=alert":             {"talk-1"},
			"/conversations?q=nothing+like+that": {"No conversations."},
			"/conversations/talk-1":              {"Answer by", "Step 2 of debug", "being written", `href="/issues/1"`, "2 files", "Only the beginning is shown"},
			"/issues":                            {"second", "open and in progress"},
			"/issues?severity=high":              {`href="/issues/1"`},
			"/issues/1":                          {`href="/conversations/talk-1"`, `<tr class="mark"><td class="number">4</td>`, "Root cause", "Checklist", "History"},
			"/issues/2":                          {"Quote", `href="/issues/1"`},
		} {
			status, body := k.get(path)
			assert.Equal(t, http.StatusOK, status, path)
			for _, want := range wants {
				assert.Contains(t, body, want, path)
			}
		}
		_, body = k.get("/running")
		assert.NotContains(t, body, "<html", "a part alone")
		_, body = k.get("/issues?severity=high")
		assert.NotContains(t, body, "second")
		_, body = k.get("/calls")
		next := regexp.MustCompile(`href="\?(before=[^"]+)"`).FindStringSubmatch(body)
		require.NotNil(t, next)
		_, body = k.get("/calls?" + strings.ReplaceAll(next[1], "&amp;", "&"))
		assert.Equal(t, 10, strings.Count(body, "<td><time"), "the rest of 60")
		for _, path := range []string{"/issues/99", "/issues/x", "/conversations/nobody", "/nothing"} {
			status, _ := k.get(path)
			assert.Equal(t, http.StatusNotFound, status, path)
		}
		for path, want := range map[string]string{"/issues/1": "Root cause", "/conversations/talk-1": "Answer by"} {
			_, body := k.get(path)
			assert.Contains(t, body, want, "what was not found leaves the view as it was")
		}
	})
}

// The address works once; after that only the cookie opens the page, only under a loopback name, only for reading, and not
// for other pages.
func TestAccess(t *testing.T) {
	k := newSite(t, config.Conversations{Backend: "memory"})
	first := k.send("GET", "/", nil)
	assert.Equal(t, http.StatusOK, first.StatusCode)
	assert.Equal(t, policy, first.Header.Get("Content-Security-Policy"))
	assert.Equal(t, "no-referrer", first.Header.Get("Referrer-Policy"))
	assert.True(t, k.cookie.HttpOnly)
	assert.Equal(t, http.SameSiteStrictMode, k.cookie.SameSite)
	assert.Equal(t, "/?token=", k.server.Path(), "it was used")

	for name, c := range map[string]struct {
		method, path string
		change       func(*http.Request)
		want         int
	}{
		"head":              {"HEAD", "/", nil, 200},
		"style":             {"GET", "/static/pico.css", nil, 200},
		"localhost":         {"GET", "/", func(r *http.Request) { r.Host = "localhost:9" }, 200},
		"ipv6":              {"GET", "/", func(r *http.Request) { r.Host = "[::1]:9" }, 200},
		"no port":           {"GET", "/", func(r *http.Request) { r.Host = "127.0.0.1" }, 200},
		"own page":          {"GET", "/", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-origin") }, 200},
		"typed":             {"GET", "/", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "none") }, 200},
		"post":              {"POST", "/", nil, 405},
		"delete":            {"DELETE", "/conversations/x", nil, 405},
		"foreign host":      {"GET", "/", func(r *http.Request) { r.Host = "evil.example" }, 403},
		"rebound host":      {"GET", "/", func(r *http.Request) { r.Host = "127.0.0.1.evil.example:4711" }, 403},
		"empty host":        {"GET", "/", func(r *http.Request) { r.Host = "" }, 403},
		"other site":        {"GET", "/", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"other port":        {"GET", "/", func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, 403},
		"no cookie":         {"GET", "/", func(r *http.Request) { r.Header.Del("Cookie") }, 403},
		"no cookie, static": {"GET", "/static/pico.css", func(r *http.Request) { r.Header.Del("Cookie") }, 403},
		"wrong cookie":      {"GET", "/", func(r *http.Request) { r.Header.Set("Cookie", cookieName+"=0") }, 403},
		"used token":        {"GET", "/?token=" + k.cookie.Value, func(r *http.Request) { r.Header.Del("Cookie") }, 403},
		"empty token":       {"GET", "/?token=", func(r *http.Request) { r.Header.Del("Cookie") }, 403},
		"token in":          {"GET", "/?token=x", nil, 303},
	} {
		answer := k.send(c.method, c.path, c.change)
		assert.Equal(t, c.want, answer.StatusCode, name)
		if c.want == 403 {
			assert.NotContains(t, read(t, answer), "<", name)
			assert.Empty(t, answer.Cookies(), name)
		}
	}
}

// A store that fails is said on the page, and nothing of the error is shown.
func TestBrokenStore(t *testing.T) {
	k := newSite(t, config.Conversations{Backend: "sqlite", StateDir: t.TempDir()})
	require.NoError(t, k.store.Close())
	for _, path := range []string{"/", "/calls", "/cost", "/conversations", "/issues"} {
		status, body := k.get(path)
		assert.Equal(t, http.StatusServiceUnavailable, status, path)
		assert.Contains(t, body, "The store did not answer.", path)
		assert.NotContains(t, body, "sql", path)
	}
}

func TestTexts(t *testing.T) {
	assert.Equal(t, `a\u001bb\u202ec	d`+"\n", escapeControls("a\x1bb\u202ec\td\n"))
	assert.Equal(t, `\u2028\ufeffé`, escapeControls("\u2028\ufeffé"))
	assert.Equal(t, "plain", escapeControls("plain"))
	long := strings.Repeat("é", maxShown)
	assert.True(t, clipped(long))
	assert.LessOrEqual(t, len(clip(long)), maxShown)
	assert.Equal(t, strings.Repeat("é", maxShown/2), clip(long))
	assert.Equal(t, "a b", oneLine(" a\n b "))
	assert.Len(t, []rune(oneLine(strings.Repeat("é", 500))), 120)
	for n, want := range map[int]string{9999: "9999", 12_345: "12.3 k", 2_500_000: "2.5 M"} {
		assert.Equal(t, want, tokens(n))
	}
	for n, want := range map[float64]string{0: "0", 0.0042: "0.0042", 0.42: "0.420", 42: "42.00"} {
		assert.Equal(t, want, usd(n))
	}
	assert.Empty(t, when(time.Time{}))
	assert.Equal(t, "a=1&c=%26", string(query("a", "1", "b", "", "c", "&")))
	days := everyDay([]usage.Total{{Name: "2026-11-28", Requests: 3}}, 3, time.Date(2026, 11, 29, 23, 0, 0, 0, time.UTC))
	assert.Equal(t, []usage.Total{{Name: "2026-11-27"}, {Name: "2026-11-28", Requests: 3}, {Name: "2026-11-29"}}, days)
}

package activity

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "sk-never/to&be\"shown"

// settings are a configuration whose logs lie in a folder that does not exist yet.
func settings(t *testing.T) *config.Config {
	t.Helper()
	cfg := config.Default()
	cfg.GLM.APIKey = secret
	cfg.Logs.ActivityPath = filepath.Join(t.TempDir(), "logs", "activity.jsonl")
	cfg.Logs.ToolCallPath = filepath.Join(filepath.Dir(cfg.Logs.ActivityPath), "toolcalls.jsonl")
	return cfg
}

func open(t *testing.T, cfg *config.Config) (*Log, *observer.ObservedLogs) {
	t.Helper()
	core, seen := observer.New(zap.DebugLevel)
	l := Open(cfg, zap.New(core))
	t.Cleanup(func() { assert.NoError(t, l.Close()) })
	return l, seen
}

func all() Query { return Query{Lines: 1000} }

// records reads the whole activity log.
func records(t *testing.T, l *Log) []Record {
	t.Helper()
	lines, err := l.TailActivity(t.Context(), all())
	require.NoError(t, err)
	out := make([]Record, len(lines))
	for i, line := range lines {
		require.NoError(t, json.Unmarshal([]byte(line), &out[i]), line)
	}
	return out
}

func messages(rs []Record) []string {
	var out []string
	for _, r := range rs {
		out = append(out, string(r.Kind)+" "+r.Level+" "+r.Message)
	}
	return out
}

func TestToolCallIsLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		cfg := settings(t)
		l, _ := open(t, cfg)
		w := l.Start(Call{
			ID: "1", RequestID: "r-7", Tool: "chat", Client: "cursor 1.0", ContinuationID: "c-1",
			Arguments: []byte(`{"prompt":"very private","files":["/a","/b"],"n":3}`),
		})
		time.Sleep(1234 * time.Millisecond)
		w.Finish(End{
			Status: "continuation_available", Provider: "glm", Model: "glm-5.3", Attempts: 2,
			Usage: providers.Usage{InputTokens: 10, OutputTokens: 20, CostUSD: 0.5}, Fallback: &providers.Fallback{From: "a", To: "b", Reason: "overloaded"},
		})
		w.Finish(End{Status: "again"})

		lines, err := l.TailToolCalls(t.Context(), all())
		require.NoError(t, err)
		require.Len(t, lines, 1)
		assert.JSONEq(t, `{"ts":"2000-01-01T00:00:01.234Z","tool":"chat","request_id":"r-7","client":"cursor 1.0","continuation_id":"c-1",
			"model":"glm-5.3","provider":"glm","status":"continuation_available","attempts":2,"duration_secs":1.234,
			"usage":{"input_tokens":10,"cached_tokens":0,"output_tokens":20,"reasoning_tokens":0,"cost_usd":0.5},
			"argument_bytes":{"prompt":14,"files":11,"n":1}}`, lines[0])
		assert.NotContains(t, lines[0], "private")
		assert.Equal(t, []string{
			"tool_started INFO TOOL_CALL: chat with 3 arguments req_id=r-7",
			"fallback WARNING FALLBACK: a -> b (overloaded) req_id=r-7",
			"tool_finished INFO TOOL_DONE: chat status=continuation_available model=glm-5.3 duration_secs=1.234 req_id=r-7",
		}, messages(records(t, l)))
		assert.Equal(t, 1, l.Stats().Today().Calls)
	})
}

func TestEndsOfWork(t *testing.T) {
	for _, tc := range []struct {
		name       string
		background bool
		end        End
		want       string
		failed     int
	}{
		{"error", false, End{Status: "error", ErrorCode: "timeout"}, "tool_finished WARNING TOOL_ERROR: debug status=error code=timeout duration_secs=0.000 req_id=r", 1},
		{"cancelled", false, End{Status: "error", ErrorCode: "cancelled"}, "tool_cancelled INFO TOOL_CANCELLED: debug status=error code=cancelled duration_secs=0.000 req_id=r", 0},
		{"background", true, End{Status: "success", Model: "m"}, "background_finished INFO BACKGROUND_FINISHED: debug status=success model=m duration_secs=0.000 req_id=r", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l, _ := open(t, settings(t))
				l.Start(Call{ID: "x", RequestID: "r", Tool: "debug", Background: tc.background}).Finish(tc.end)
				got := messages(records(t, l))
				assert.Equal(t, tc.want, got[len(got)-1])
				assert.Equal(t, tc.failed, l.Stats().Today().Failed)
				_, err := l.TailToolCalls(t.Context(), all())
				assert.Equal(t, tc.background, errors.Is(err, os.ErrNotExist), "a background answer is no tool call")
			})
		})
	}
}

func TestPromptsAreLoggedOnlyOnDemandAndWithoutSecrets(t *testing.T) {
	cfg := settings(t)
	cfg.Logs.Prompts = true
	l, _ := open(t, cfg)
	args, err := json.Marshal(map[string]any{
		"prompt": "my key is " + secret, "deep": []any{map[string]any{secret: secret}}, "long": strings.Repeat("é", 50_000), "n": json.Number("12345678901234567890"),
	})
	require.NoError(t, err)
	l.Start(Call{ID: "1", Tool: "chat", Client: secret, Arguments: args}).Finish(End{Status: "success"})
	l.Start(Call{ID: "2", Tool: "chat", Arguments: []byte("no object, " + secret)}).Finish(End{Status: "error"})
	lines, err := l.TailToolCalls(t.Context(), all())
	require.NoError(t, err)
	require.Len(t, lines, 2)
	var got struct {
		Arguments map[string]any `json:"arguments"`
		Client    string         `json:"client"`
	}
	decode := json.NewDecoder(strings.NewReader(lines[0]))
	decode.UseNumber()
	require.NoError(t, decode.Decode(&got))
	assert.Equal(t, "my key is ********", got.Arguments["prompt"])
	assert.Equal(t, []any{map[string]any{hidden: hidden}}, got.Arguments["deep"])
	assert.Equal(t, json.Number("12345678901234567890"), got.Arguments["n"])
	assert.Equal(t, hidden, got.Client)
	assert.Less(t, len(lines[0]), 40_000)
	assert.Contains(t, lines[1], `{"":"no object, ********"}`)
	for _, line := range lines {
		assert.NotContains(t, line, "never")
	}
}

func TestWorkInProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := open(t, config.Default())
		a := l.Start(Call{ID: "z", RequestID: "r", Tool: "chat", ContinuationID: "c-1"})
		time.Sleep(2 * time.Second)
		b := l.Start(Call{ID: "b", Tool: "debug", Model: "kimi-k3.1-pro", Provider: "kimi", ContinuationID: "c-2", Background: true})
		a.Update(providers.Event{Phase: providers.PhaseWriting, Provider: "glm", Model: "glm-5.3", Tokens: 40})
		a.Update(providers.Event{Phase: providers.PhaseSearching, Tokens: 10})
		b.SetConversation("c-3")
		time.Sleep(1500 * time.Millisecond)
		got := l.Running()
		require.Len(t, got, 2)
		start := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
		assert.Equal(t, Running{
			ID: "z", RequestID: "r", Tool: "chat", ContinuationID: "c-1", Provider: "glm", Model: "glm-5.3", Phase: "searching",
			Started: start, Seconds: 3.5, Tokens: 40,
		}, got[0])
		assert.Equal(t, Running{
			ID: "b", Tool: "debug", ContinuationID: "c-3", Provider: "kimi", Model: "kimi-k3.1-pro", Background: true,
			Started: start.Add(2 * time.Second), Seconds: 1.5,
		}, got[1])
		assert.Same(t, a, l.Find("z"))
		l.Find("z").Finish(End{})
		l.Find("nobody").Finish(End{})
		l.Find("nobody").Update(providers.Event{})
		l.Find("nobody").SetConversation("")
		assert.Len(t, l.Running(), 1)
		b.Finish(End{})
		assert.Empty(t, l.Running())
	})
}

func TestExceededLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, seen := open(t, settings(t))
		limit := config.Limit{Name: "GLM_TIMEOUT_SECS", Value: 30 * time.Second}
		l.LimitExceeded(providers.LimitExceeded{Limit: limit, Provider: "glm", Model: "glm-5.3", RequestID: "r-1", Elapsed: 30 * time.Second, Tool: "chat", ContinuationID: "c-1"})
		l.LimitExceeded(providers.LimitExceeded{Limit: limit, Provider: "glm"})
		w := l.Start(Call{ID: "1", RequestID: "r-2", Tool: "precommit"})
		time.Sleep(67500 * time.Millisecond)
		w.Finish(End{Status: "error", ErrorCode: "timeout", Limit: &config.Limit{Name: "WORKFLOW_TOOL_TIMEOUT_SECS", Value: 67500 * time.Millisecond, Factor: 1.5}})

		assert.Equal(t, map[string]int{"GLM_TIMEOUT_SECS": 2, "WORKFLOW_TOOL_TIMEOUT_SECS": 1}, l.Stats().Limits)
		warnings := seen.FilterLevelExact(zapcore.WarnLevel).All()
		require.Len(t, warnings, 3)
		assert.Equal(t, map[string]any{
			"limit": "GLM_TIMEOUT_SECS", "limit_secs": 30.0, "setting": "GLM_TIMEOUT_SECS=30s", "provider": "glm", "model": "glm-5.3",
			"tool": "chat", "request_id": "r-1", "continuation_id": "c-1", "elapsed_secs": 30.0,
		}, warnings[0].ContextMap())
		got := messages(records(t, l))
		assert.Contains(t, got, "limit_exceeded WARNING LIMIT_EXCEEDED: GLM_TIMEOUT_SECS=30s glm/glm-5.3 after 30.0s req_id=r-1")
		assert.Contains(t, got, "limit_exceeded WARNING LIMIT_EXCEEDED: WORKFLOW_TOOL_TIMEOUT_SECS=45s x 1.5 precommit after 67.5s req_id=r-2")
	})
}

func TestFigures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := open(t, settings(t))
		attempt := func(a providers.Attempt) {
			if a.Op == "" {
				a.Op = "chat"
			}
			l.Attempt(a)
		}
		for i := 1; i <= 100; i++ {
			attempt(providers.Attempt{Provider: "glm", Model: "glm-5.3", Duration: time.Duration(i) * time.Second, FirstDelta: time.Duration(i) * time.Millisecond, Usage: providers.Usage{InputTokens: 1, CostUSD: 0.25}})
		}
		time.Sleep(time.Hour)
		attempt(providers.Attempt{Provider: "glm", Op: "search", Duration: time.Hour})
		attempt(providers.Attempt{Provider: "kimi", Model: "k", Duration: time.Hour, Err: &providers.Error{Kind: providers.KindOverloaded}, RequestID: "v-1"})
		attempt(providers.Attempt{Provider: "kimi", Model: "k", Duration: time.Hour, Err: &providers.Error{Kind: providers.KindCancelled}})

		s := l.Stats()
		at := time.Date(2000, 1, 1, 1, 0, 0, 0, time.UTC)
		assert.Equal(t, []Vendor{
			{
				Name: "glm", Requests: 101, LastSuccess: at,
				Latency: Quantiles{P50: 50, P90: 90, P99: 99, Of: 100}, FirstDelta: Quantiles{P50: 0.05, P90: 0.09, P99: 0.099, Of: 100},
				Today: providers.Usage{InputTokens: 100, CostUSD: 25},
			},
			{Name: "kimi", Requests: 2, Failures: 1, LastFailure: &Failure{At: at, Kind: providers.KindOverloaded, Model: "k", Op: "chat"}},
		}, s.Vendors)
		today := s.Today()
		assert.Equal(t, "2000-01-01", today.Date)
		assert.Equal(t, 103, today.Requests)
		assert.Equal(t, 100, today.Usage.InputTokens)
		assert.InDelta(t, 25, today.Usage.CostUSD, 1e-9)
		got := messages(records(t, l))
		assert.Equal(t, "model_attempt INFO MODEL_ATTEMPT: glm/glm-5.3 chat ok duration_secs=1.000 first_secs=0.001 tokens=1+0", got[0])
		assert.Contains(t, got, "model_attempt WARNING MODEL_ATTEMPT: kimi/k chat overloaded duration_secs=3600.000 req_id=v-1")
		assert.Contains(t, got, "model_attempt INFO MODEL_ATTEMPT: kimi/k chat cancelled duration_secs=3600.000")
	})
}

func TestDaysRollOverAtMidnightUTC(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, _ := open(t, config.Default())
		spend := func(usd float64) {
			l.Attempt(providers.Attempt{Provider: "glm", Op: "chat", Usage: providers.Usage{CostUSD: usd}})
		}
		time.Sleep(24*time.Hour - time.Nanosecond)
		spend(1)
		assert.InDelta(t, 1, l.Stats().Today().Usage.CostUSD, 1e-9)
		time.Sleep(time.Nanosecond)
		assert.Zero(t, l.Stats().Today().Usage.CostUSD, "a new day begins even when nothing was spent")
		assert.Zero(t, l.Stats().Vendors[0].Today, "for each vendor too")
		spend(2)
		s := l.Stats()
		require.Len(t, s.Days, 2)
		assert.Equal(t, "2000-01-01", s.Days[0].Date)
		assert.InDelta(t, 1, s.Days[0].Usage.CostUSD, 1e-9)
		assert.Equal(t, "2000-01-02", s.Today().Date)
		assert.InDelta(t, 2, s.Today().Usage.CostUSD, 1e-9)
		assert.InDelta(t, 2, s.Vendors[0].Today.CostUSD, 1e-9)
		for range 60 {
			time.Sleep(24 * time.Hour)
			spend(1)
		}
		assert.Len(t, l.Stats().Days, maxDays)
	})
}

func TestRing(t *testing.T) {
	var r ring
	assert.Equal(t, Quantiles{}, r.quantiles())
	r.add(time.Second)
	assert.Equal(t, Quantiles{1, 1, 1, 1}, r.quantiles())
	for range ringSize {
		r.add(3 * time.Second)
	}
	assert.Equal(t, Quantiles{3, 3, 3, ringSize}, r.quantiles(), "the oldest gives way")
	r = ring{}
	for i := range 1000 {
		r.add(time.Duration(i) * time.Second)
	}
	q := r.quantiles()
	assert.Equal(t, ringSize, q.Of)
	assert.Equal(t, 744.0+127, q.P50)
}

func TestRecordsAreOneLine(t *testing.T) {
	l, _ := open(t, settings(t))
	l.Note(Record{Kind: Notice, Message: "a\nb\x1b[31m\u2028c " + strings.Repeat("x", 5000)})
	l.Start(Call{ID: "1", RequestID: "x\ny", Tool: strings.Repeat("t", 1000)}).Finish(End{})
	lines, err := l.TailActivity(t.Context(), all())
	require.NoError(t, err)
	require.Len(t, lines, 3)
	for _, line := range lines {
		assert.Less(t, len(line), 1500)
		assert.NotRegexp(t, `[\x00-\x1f\x{2028}]`, Text(line))
	}
	assert.Regexp(t, `^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d INFO a b \[31m c x+`, Text(lines[0]))
}

func TestFilesAreMadeLateAndPrivate(t *testing.T) {
	cfg := settings(t)
	folder := filepath.Dir(cfg.Logs.ActivityPath)
	l, _ := open(t, cfg)
	_, err := l.TailActivity(t.Context(), all())
	require.ErrorIs(t, err, os.ErrNotExist)
	_, err = os.Stat(folder)
	require.ErrorIs(t, err, os.ErrNotExist, "looking makes no folder")
	l.Note(Record{Kind: Notice, Message: "hello"})
	require.Len(t, records(t, l), 1)
	if runtime.GOOS == "windows" {
		return
	}
	info, err := os.Stat(folder)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	info, err = os.Stat(cfg.Logs.ActivityPath)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestActivityLogCanBeOff(t *testing.T) {
	cfg := settings(t)
	cfg.Logs.Activity = false
	l, _ := open(t, cfg)
	l.Start(Call{ID: "1", Tool: "chat"}).Finish(End{Status: "success"})
	_, err := l.TailActivity(t.Context(), all())
	require.ErrorIs(t, err, ErrOff)
	lines, err := l.TailToolCalls(t.Context(), all())
	require.NoError(t, err)
	assert.Len(t, lines, 1)
	assert.NoFileExists(t, cfg.Logs.ActivityPath)
	assert.Equal(t, 1, l.Stats().Today().Calls, "figures are kept all the same")
}

func TestConcurrentUse(t *testing.T) {
	l, _ := open(t, settings(t))
	done := make(chan struct{})
	for i := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			for j := range 50 {
				w := l.Start(Call{ID: string(rune('a'+i)) + string(rune('0'+j)), Tool: "chat", Arguments: []byte(`{"a":1}`)})
				w.Update(providers.Event{Phase: providers.PhaseAsking, Model: "m", Tokens: j})
				l.Attempt(providers.Attempt{Provider: "glm", Op: "chat", Duration: time.Second})
				l.LimitExceeded(providers.LimitExceeded{Limit: config.Limit{Name: "X"}})
				l.Running()
				l.Stats()
				w.Finish(End{Status: "success"})
			}
		}()
	}
	for range 8 {
		<-done
	}
	s := l.Stats()
	assert.Equal(t, 400, s.Today().Calls)
	assert.Equal(t, 400, s.Limits["X"])
	lines, err := l.TailToolCalls(t.Context(), Query{Lines: 5000})
	require.NoError(t, err)
	activity, err := l.TailActivity(t.Context(), Query{Lines: 5000})
	require.NoError(t, err)
	assert.Equal(t, 2000, len(lines)+len(activity)+s.Dropped, "every line is written or counted as lost")
	for _, line := range append(lines, activity...) {
		assert.True(t, json.Valid([]byte(line)), line)
	}
}

func TestWhose(t *testing.T) {
	for _, c := range [][3]string{
		{"glm", "glm-5.3", "glm/glm-5.3"}, {"lab", "lab/m1", "lab/m1"}, {"lab", "labs/m1", "lab/labs/m1"}, {"glm", "", "glm"}, {"", "m1", "m1"}, {"", "", ""},
	} {
		assert.Equal(t, c[2], whose(c[0], c[1]))
	}
}

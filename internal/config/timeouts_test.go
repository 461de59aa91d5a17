package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDerivedLimits(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name                 string
		change               func(*TimeoutConfig)
		daemon, shim, client time.Duration
	}{
		{"defaults", func(*TimeoutConfig) {}, 67500 * time.Millisecond, 90 * s, 112500 * time.Millisecond},
		{"a longer workflow", func(c *TimeoutConfig) { c.WorkflowTool = 60 * s }, 90 * s, 120 * s, 150 * s},
		{"an expert below 1.5 workflows changes nothing", func(c *TimeoutConfig) { c.Expert = 67 * s }, 67500 * time.Millisecond, 90 * s, 112500 * time.Millisecond},
		{"a longer expert", func(c *TimeoutConfig) { c.Expert = 180 * s }, 180 * s, 240 * s, 300 * s},
		{"a longer file tool", func(c *TimeoutConfig) { c.FileTool = 300 * s }, 300 * s, 400 * s, 500 * s},
		{"the longest decides", func(c *TimeoutConfig) { c.FileTool, c.Expert = 90*s, 120*s }, 120 * s, 160 * s, 200 * s},
		{"thinkdeep's own limit does not count", func(c *TimeoutConfig) { c.ThinkDeepExpert = 600 * s }, 67500 * time.Millisecond, 90 * s, 112500 * time.Millisecond},
		{"nor do the vendors' nor the background's", func(c *TimeoutConfig) { c.Background, c.KimiUpload = 3600*s, 3600*s }, 67500 * time.Millisecond, 90 * s, 112500 * time.Millisecond},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Default().Timeouts
			tc.change(&c)
			assert.Equal(t, tc.daemon, c.Daemon())
			assert.Equal(t, tc.shim, c.Shim())
			assert.Equal(t, tc.client, c.Client())
			for _, class := range []Limit{c.simple(), c.workflow(), c.expert(), c.file()} {
				assert.GreaterOrEqual(t, c.Daemon(), class.Value, class.Name)
			}
		})
	}
}

func TestLimitOfACall(t *testing.T) {
	const s = time.Second
	for _, tc := range []struct {
		name   string
		change func(*TimeoutConfig)
		limit  func(TimeoutConfig) Limit
		want   string
		value  time.Duration
	}{
		{"simple", nil, func(c TimeoutConfig) Limit { return c.For(ClassSimple) }, "SIMPLE_TOOL_TIMEOUT_SECS=30s", 30 * s},
		{"workflow", nil, func(c TimeoutConfig) Limit { return c.For(ClassWorkflow) }, "WORKFLOW_TOOL_TIMEOUT_SECS=45s", 45 * s},
		{"expert", nil, func(c TimeoutConfig) Limit { return c.For(ClassExpert) }, "ANSWER_WITHIN_SECS=55s", 55 * s},
		{"a file tool is named first where both are equal", nil, func(c TimeoutConfig) Limit { return c.For(ClassFile) }, "FILE_TOOL_TIMEOUT_SECS=55s", 55 * s},
		{"a patient client", func(c *TimeoutConfig) { c.AnswerWithin = 300 * s }, func(c TimeoutConfig) Limit { return c.For(ClassExpert) }, "EXPERT_ANALYSIS_TIMEOUT_SECS=60s", 60 * s},
		{"an impatient client", func(c *TimeoutConfig) { c.AnswerWithin = 10 * s }, func(c TimeoutConfig) Limit { return c.For(ClassFile) }, "ANSWER_WITHIN_SECS=10s", 10 * s},
		{"thinkdeep minimal", nil, func(c TimeoutConfig) Limit { return c.ThinkDeep("minimal") }, "EXPERT_ANALYSIS_TIMEOUT_SECS=60s x 0.5", 30 * s},
		{"thinkdeep low", nil, func(c TimeoutConfig) Limit { return c.ThinkDeep("low") }, "EXPERT_ANALYSIS_TIMEOUT_SECS=60s x 0.7", 42 * s},
		{"thinkdeep max by default", nil, func(c TimeoutConfig) Limit { return c.ThinkDeep("max") }, "ANSWER_WITHIN_SECS=55s", 55 * s},
		{"thinkdeep medium", func(c *TimeoutConfig) { c.AnswerWithin = 300 * s }, func(c TimeoutConfig) Limit { return c.ThinkDeep("medium") }, "EXPERT_ANALYSIS_TIMEOUT_SECS=60s", 60 * s},
		{"thinkdeep high, capped by the daemon", func(c *TimeoutConfig) { c.AnswerWithin = 300 * s }, func(c TimeoutConfig) Limit { return c.ThinkDeep("high") }, "WORKFLOW_TOOL_TIMEOUT_SECS=45s x 1.5", 67500 * time.Millisecond},
		{"thinkdeep high in full", func(c *TimeoutConfig) { c.AnswerWithin, c.WorkflowTool = 300*s, 60*s }, func(c TimeoutConfig) Limit { return c.ThinkDeep("high") }, "EXPERT_ANALYSIS_TIMEOUT_SECS=60s x 1.5", 90 * s},
		{"thinkdeep max, capped where a class limit made the daemon's", func(c *TimeoutConfig) { c.AnswerWithin, c.Expert = 900*s, 180*s }, func(c TimeoutConfig) Limit { return c.ThinkDeep("max") }, "EXPERT_ANALYSIS_TIMEOUT_SECS=180s", 180 * s},
		{"thinkdeep's own", func(c *TimeoutConfig) { c.ThinkDeepExpert = 50 * s }, func(c TimeoutConfig) Limit { return c.ThinkDeep("max") }, "THINKDEEP_EXPERT_TIMEOUT_SECS=50s", 50 * s},
		{"thinkdeep's own, capped", func(c *TimeoutConfig) { c.ThinkDeepExpert, c.AnswerWithin = 500*s, 500*s }, func(c TimeoutConfig) Limit { return c.ThinkDeep("max") }, "WORKFLOW_TOOL_TIMEOUT_SECS=45s x 1.5", 67500 * time.Millisecond},
		{"an unknown mode", nil, func(c TimeoutConfig) Limit { return c.ThinkDeep("") }, "ANSWER_WITHIN_SECS=55s", 55 * s},
		{"glm", func(c *TimeoutConfig) { c.GLM = 7 * s }, func(c TimeoutConfig) Limit { return c.Vendor("glm") }, "GLM_TIMEOUT_SECS=7s", 7 * s},
		{"kimi", func(c *TimeoutConfig) { c.Kimi = 8500 * time.Millisecond }, func(c TimeoutConfig) Limit { return c.Vendor("kimi") }, "KIMI_TIMEOUT_SECS=8.5s", 8500 * time.Millisecond},
		{"kimi search", nil, func(c TimeoutConfig) Limit { return c.Search("kimi") }, "KIMI_WEB_SEARCH_TIMEOUT_SECS=30s", 30 * s},
		{"glm search", nil, func(c TimeoutConfig) Limit { return c.Search("glm") }, "GLM_WEBSEARCH_TIMEOUT_SECS=30s", 30 * s},
		{"kimi upload", nil, func(c TimeoutConfig) Limit { return c.Upload("kimi") }, "KIMI_FILES_UPLOAD_TIMEOUT_SECS=90s", 90 * s},
		{"glm upload", nil, func(c TimeoutConfig) Limit { return c.Upload("glm") }, "GLM_FILE_UPLOAD_TIMEOUT_SECS=90s", 90 * s},
		{"fetch", nil, TimeoutConfig.Fetch, "KIMI_FILES_FETCH_TIMEOUT_SECS=25s", 25 * s},
		{"idle", nil, TimeoutConfig.Idle, "STREAM_IDLE_TIMEOUT_SECS=25s", 25 * s},
		{"connect", nil, TimeoutConfig.ConnectLimit, "CONNECT_TIMEOUT_SECS=5s", 5 * s},
		{"background", nil, TimeoutConfig.BackgroundLimit, "BACKGROUND_MAX_SECS=600s", 600 * s},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c := Default().Timeouts
			if tc.change != nil {
				tc.change(&c)
			}
			got := tc.limit(c)
			assert.Equal(t, tc.want, got.String())
			assert.Equal(t, tc.value, got.Value)
		})
	}
}

func TestOrderOfLimits(t *testing.T) {
	type grown map[string]float64
	for _, tc := range []struct {
		name    string
		environ []string
		grown   grown    // limits that are not as set or by default
		names   []string // of the error, when the start stops
	}{
		{"defaults", nil, grown{}, nil},
		{"a longer vendor makes all outer limits grow", []string{"GLM_TIMEOUT_SECS=100"}, grown{"SIMPLE_TOOL_TIMEOUT_SECS": 100, "WORKFLOW_TOOL_TIMEOUT_SECS": 100, "EXPERT_ANALYSIS_TIMEOUT_SECS": 100}, nil},
		{"as far as needed", []string{"KIMI_TIMEOUT_SECS=50"}, grown{"SIMPLE_TOOL_TIMEOUT_SECS": 50, "WORKFLOW_TOOL_TIMEOUT_SECS": 50}, nil},
		{"the longer vendor counts", []string{"GLM_TIMEOUT_SECS=40", "KIMI_TIMEOUT_SECS=35"}, grown{"SIMPLE_TOOL_TIMEOUT_SECS": 40}, nil},
		{"a longer simple", []string{"SIMPLE_TOOL_TIMEOUT_SECS=50"}, grown{"WORKFLOW_TOOL_TIMEOUT_SECS": 50}, nil},
		{"a longer workflow", []string{"WORKFLOW_TOOL_TIMEOUT_SECS=90"}, grown{"EXPERT_ANALYSIS_TIMEOUT_SECS": 90}, nil},
		{"the longest that there may be", []string{"GLM_TIMEOUT_SECS=1h", "ANSWER_WITHIN_SECS=3600"}, grown{"SIMPLE_TOOL_TIMEOUT_SECS": 3600, "WORKFLOW_TOOL_TIMEOUT_SECS": 3600, "EXPERT_ANALYSIS_TIMEOUT_SECS": 3600}, nil},
		{"a set one in between", []string{"GLM_TIMEOUT_SECS=50", "WORKFLOW_TOOL_TIMEOUT_SECS=55"}, grown{"SIMPLE_TOOL_TIMEOUT_SECS": 50}, nil},
		{"equal ones are in order", []string{"GLM_TIMEOUT_SECS=20", "KIMI_TIMEOUT_SECS=20", "SIMPLE_TOOL_TIMEOUT_SECS=20", "WORKFLOW_TOOL_TIMEOUT_SECS=20", "EXPERT_ANALYSIS_TIMEOUT_SECS=20"}, grown{}, nil},
		{"set to the default counts as unset", []string{"GLM_TIMEOUT_SECS=100", "SIMPLE_TOOL_TIMEOUT_SECS=30", "WORKFLOW_TOOL_TIMEOUT_SECS=45s", "EXPERT_ANALYSIS_TIMEOUT_SECS=1m"}, grown{"SIMPLE_TOOL_TIMEOUT_SECS": 100, "WORKFLOW_TOOL_TIMEOUT_SECS": 100, "EXPERT_ANALYSIS_TIMEOUT_SECS": 100}, nil},
		{"ANSWER_WITHIN and FILE_TOOL never grow", []string{"EXPERT_ANALYSIS_TIMEOUT_SECS=300"}, grown{}, nil},
		{"nor do they count in the order", []string{"ANSWER_WITHIN_SECS=5", "FILE_TOOL_TIMEOUT_SECS=6"}, grown{}, nil},
		{"nor do search, upload, idle", []string{"GLM_WEBSEARCH_TIMEOUT_SECS=300", "KIMI_FILES_UPLOAD_TIMEOUT_SECS=300", "STREAM_IDLE_TIMEOUT_SECS=300"}, grown{}, nil},

		{"simple set below a vendor's default", []string{"SIMPLE_TOOL_TIMEOUT_SECS=20"}, nil, []string{`SIMPLE_TOOL_TIMEOUT_SECS="20" (environment)`, "GLM_TIMEOUT_SECS=30s (default)"}},
		{"workflow set below simple", []string{"WORKFLOW_TOOL_TIMEOUT_SECS=40", "SIMPLE_TOOL_TIMEOUT_SECS=41"}, nil, []string{`WORKFLOW_TOOL_TIMEOUT_SECS="40" (environment)`, "SIMPLE_TOOL_TIMEOUT_SECS=41s (environment)"}},
		{"expert set below workflow", []string{"EXPERT_ANALYSIS_TIMEOUT_SECS=44"}, nil, []string{`EXPERT_ANALYSIS_TIMEOUT_SECS="44"`, "WORKFLOW_TOOL_TIMEOUT_SECS=45s (default)"}},
		{"the cause is named, not what grew in between", []string{"KIMI_TIMEOUT_SECS=100", "EXPERT_ANALYSIS_TIMEOUT_SECS=90"}, nil, []string{`EXPERT_ANALYSIS_TIMEOUT_SECS="90"`, "at least 100", "KIMI_TIMEOUT_SECS=100s (environment)"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			c, err := newMachine(t).load(tc.environ...)
			if tc.names != nil {
				require.Error(t, err)
				for _, name := range tc.names {
					assert.Contains(t, err.Error(), name)
				}
				assert.NotContains(t, err.Error(), "\n")
				return
			}
			require.NoError(t, err)
			want := map[string]float64{}
			for _, r := range Default().Timeouts.Table() {
				want[r.Name] = r.Seconds
			}
			for _, e := range tc.environ {
				name, value, _ := strings.Cut(e, "=")
				if d, ok := limit.norm(value, place{}); assert.True(t, ok) {
					parsed, _ := time.ParseDuration(d)
					want[name] = parsed.Seconds()
				}
			}
			for name, v := range tc.grown {
				want[name] = v
			}
			for _, r := range c.Timeouts.Table() {
				if strings.HasSuffix(r.Name, "_SECS") {
					assert.Equal(t, want[r.Name], r.Seconds, r.Name)
				}
				if _, ok := tc.grown[r.Name]; ok {
					assert.True(t, strings.HasPrefix(r.Source, "derived from "), "%s: %s", r.Name, r.Source)
				}
			}
		})
	}
}

func TestTableAndStartLine(t *testing.T) {
	c := newMachine(t).mustLoad("GLM_TIMEOUT_SECS=50")
	line := c.Timeouts.StartLine()
	assert.NotContains(t, line, "\n")
	for _, part := range []string{
		"GLM_TIMEOUT_SECS=50s (environment)", "KIMI_TIMEOUT_SECS=30s (default)", "SIMPLE_TOOL_TIMEOUT_SECS=50s (derived from GLM_TIMEOUT_SECS)",
		"WORKFLOW_TOOL_TIMEOUT_SECS=50s (derived from GLM_TIMEOUT_SECS)", "EXPERT_ANALYSIS_TIMEOUT_SECS=60s (default)", "ANSWER_WITHIN_SECS=55s (default)",
		"thinkdeep high=90s (derived from EXPERT_ANALYSIS_TIMEOUT_SECS)", "daemon=75s (derived from WORKFLOW_TOOL_TIMEOUT_SECS)", "shim=100s", "client=125s",
	} {
		assert.Contains(t, line, part)
	}
	for _, r := range c.Timeouts.Table() {
		assert.Positive(t, r.Seconds, r.Name)
		assert.Equal(t, 1, strings.Count(line, " "+r.Name+"="), r.Name)
	}
	own := newMachine(t).mustLoad("THINKDEEP_EXPERT_TIMEOUT_SECS=40").Timeouts.StartLine()
	assert.Contains(t, own, "THINKDEEP_EXPERT_TIMEOUT_SECS=40s (environment)")
	assert.NotContains(t, own, "thinkdeep high")
}

func TestWarningForLimitsOutOfReach(t *testing.T) {
	for _, tc := range []struct {
		environ []string
		want    string // of the one warning, "" for none
	}{
		{nil, ""}, // the default expert limit is longer than ANSWER_WITHIN_SECS, and that is how it should be
		{[]string{"ANSWER_WITHIN_SECS=20"}, ""},
		{[]string{"EXPERT_ANALYSIS_TIMEOUT_SECS=120"}, "EXPERT_ANALYSIS_TIMEOUT_SECS=120s: calls end after 55s"},
		{[]string{"EXPERT_ANALYSIS_TIMEOUT_SECS=120", "ANSWER_WITHIN_SECS=120"}, ""},
		{[]string{"FILE_TOOL_TIMEOUT_SECS=300"}, "FILE_TOOL_TIMEOUT_SECS=300s: "},
		{[]string{"WORKFLOW_TOOL_TIMEOUT_SECS=70"}, "WORKFLOW_TOOL_TIMEOUT_SECS=70s, EXPERT_ANALYSIS_TIMEOUT_SECS=70s: "},
		{[]string{"THINKDEEP_EXPERT_TIMEOUT_SECS=100", "ANSWER_WITHIN_SECS=100"}, "THINKDEEP_EXPERT_TIMEOUT_SECS=100s: calls end after 67.5s"},
	} {
		c := newMachine(t).mustLoad(tc.environ...)
		if tc.want == "" {
			assert.Empty(t, c.Warnings, tc.environ)
			continue
		}
		require.Len(t, c.Warnings, 1, tc.environ)
		assert.Contains(t, c.Warnings[0], tc.want)
		assert.Contains(t, c.Warnings[0], "ANSWER_WITHIN_SECS")
	}
}

func TestReplaceCallLimits(t *testing.T) {
	c, err := Load(Options{Environ: []string{"GLM_API_KEY=k.k"}})
	require.NoError(t, err)
	own, vendor, daemon := Limit{Name: "--timeout", Value: 5 * time.Minute}, c.Timeouts.Vendor("glm"), c.Timeouts.Daemon()
	c.Timeouts.ReplaceCallLimits(own)
	for _, class := range []Class{ClassSimple, ClassWorkflow, ClassExpert, ClassFile} {
		assert.Equal(t, own, c.Timeouts.For(class))
	}
	assert.Equal(t, own, c.Timeouts.ThinkDeep("high"))
	assert.Equal(t, "--timeout=300s", c.Timeouts.For(ClassExpert).String())
	assert.Equal(t, vendor, c.Timeouts.Vendor("glm"), "a request's first event is waited for as long as ever")
	assert.Equal(t, daemon, c.Timeouts.Daemon())
}

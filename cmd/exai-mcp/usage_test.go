package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
	"github.com/exai-mcp/exai-mcp/internal/usage"
)

// Calls of two processes leave rows that usage sums up, and health shows.
func TestUsageCommand(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error")
	_, out, _ := s.run("", "usage")
	assert.Equal(t, "No requests in the last 30 days.\n", out)
	for _, model := range []string{"glm-5.3-flash", "kimi-k3.1-pro"} {
		code, _, errs := s.run("", "call", "chat", `{"prompt":"Why?","model":"`+model+`"}`)
		require.Equal(t, exitOK, code, errs)
	}
	var found struct {
		Days, Requests int
		CostUSD        float64 `json:"cost_usd"`
		Rows           []map[string]any
	}
	here, err := os.Getwd()
	require.NoError(t, err)
	here, err = filepath.EvalSymlinks(here)
	require.NoError(t, err)
	for by, want := range map[string][]any{
		"model": {"kimi-k3.1-pro", "glm-5.3-flash"}, "tool": {"chat"}, "day": {time.Now().UTC().Format(time.DateOnly)}, "workspace": {here},
	} {
		code, out, errs := s.run("", "usage", "--days", "7", "--by", by, "--json")
		require.Equal(t, exitOK, code, errs)
		found.Rows = nil
		require.NoError(t, json.Unmarshal([]byte(out), &found))
		assert.Equal(t, 7, found.Days)
		assert.Equal(t, 2, found.Requests)
		assert.Positive(t, found.CostUSD)
		var names []any
		for _, row := range found.Rows {
			names = append(names, row[by])
			assert.Len(t, row, 5)
		}
		assert.Equal(t, want, names, by)
	}
	_, out, _ = s.run("", "usage", "--by", "workspace")
	assert.Contains(t, out, "WORKSPACE")
	_, out, _ = s.run("", "call", "health", `{}`)
	assert.Contains(t, out, `"requests": 2`)
	for _, args := range [][]string{{"--days", "0"}, {"--by", "vendor"}, {"more"}} {
		code, _, _ := s.run("", append([]string{"usage"}, args...)...)
		assert.Equal(t, exitUsage, code, args)
	}
}

// The limit of a day holds over processes, and is an error that says what to do; the limit of a call is one too.
func TestBudgetsOverProcesses(t *testing.T) {
	s := newSite(t, "LOG_LEVEL=error", "MAX_COST_PER_DAY_USD=0.045")
	s.vendors.On(emulator.Match{}, emulator.Say("(emulated) "+strings.Repeat("yes, and more of it. ", 1500)))
	code, out, _ := s.run("", "call", "chat", `{"prompt":"Why?","model":"glm-5.3"}`)
	require.Equal(t, exitOK, code, out)
	assert.Contains(t, out, "80 % or more of MAX_COST_PER_DAY_USD=0.045 is used or reserved.")
	code, out, _ = s.run("", "call", "chat", `{"prompt":"Why?","model":"glm-5.3"}`)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, `"code": "budget"`)
	assert.Contains(t, out, "MAX_COST_PER_DAY_USD=0.045 does not allow this request")
	assert.Contains(t, out, "Name a cheaper model such as glm-")

	s.environ = append(s.environ, "MAX_COST_PER_DAY_USD=0", "MAX_COST_PER_CALL_USD=0.001")
	code, out, _ = s.run("", "call", "chat", `{"prompt":"Why?","model":"glm-5.3"}`)
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "MAX_COST_PER_CALL_USD=0.001 does not allow this request")
}

// A server that is killed while it waits for an answer leaves its reservation, which counts as spent once the server has been
// silent for 10 s; other servers see it on their bill and in their limit.
func TestReservationOfAKilledServer(t *testing.T) {
	eachDatabase(t, func(t *testing.T, s *site) {
		s.environ = append(s.environ, "MAX_COST_PER_DAY_USD=0.05")
		s.vendors.On(emulator.Match{}, emulator.Say("never").With(emulator.DelayHeaders(time.Hour)))
		p := s.serveChild()
		p.start("tools/call", "", object{"name": "chat", "arguments": object{"prompt": "Why?", "model": "glm-5.3"}})
		db := s.openStore()
		held := func() (list []usage.Request) {
			list, err := db.Usage().UnderWay(t.Context())
			require.NoError(t, err)
			return list
		}
		require.Eventually(t, func() bool { return len(held()) == 1 }, scaled(10*time.Second), 10*time.Millisecond)
		reserved := held()[0].CostUSD
		assert.Greater(t, reserved, 0.03)
		p.kill()
		_, err := s.database().ExecContext(t.Context(), `UPDATE exai_usage_reservations SET heartbeat_at = `+s.elevenSecondsBefore("heartbeat_at"))
		require.NoError(t, err)

		code, out, errs := s.run("", "usage", "--json")
		assert.Equal(t, exitOK, code, errs)
		assert.Contains(t, out, fmt.Sprintf(`"cost_usd": %g`, reserved), "it is in the first totals")
		code, out, _ = s.run("", "call", "chat", `{"prompt":"Why?","model":"glm-5.3"}`)
		assert.Equal(t, exitFailed, code)
		assert.Contains(t, out, `"code": "budget"`)
		rows, err := db.Usage().Requests(t.Context(), usage.Filter{Outcome: usage.OutcomeLost})
		require.NoError(t, err)
		require.Len(t, rows, 1)
		assert.InDelta(t, reserved, rows[0].CostUSD, 1e-9)
		assert.Equal(t, "chat", rows[0].Tool)
	})
}

// What people read, at two widths. The captures are part of the documents.
func TestUsageText(t *testing.T) {
	cfg := config.Default()
	cfg.Costs.PerDayUSD = 20
	cfg.GLM.APIKey, cfg.GLM.APIURL = "key", "https://api.z.ai/api/coding/paas/v4"
	cfg.Kimi.APIKey, cfg.Kimi.APIURL = "key", "https://api.kimi.com/coding/v1"
	var days []usage.Total
	for i := range 14 {
		days = append(days, usage.Total{
			Name: fmt.Sprintf("2026-11-%02d", 16+i), Requests: 40 + 31*i%90, InputTokens: 1_250_000 + 400_000*(i*i%11),
			OutputTokens: 81_000 + 9_000*(i*7%13), CostUSD: 1.1 + 0.83*float64(i*i%11),
		})
	}
	days[3].Planned, days[3].Billing = days[3].Requests, usage.ByMaybePlan
	for i := 9; i < len(days); i++ {
		days[i].Planned, days[i].Billing = 12, usage.ByMaybePlan
	}
	today := usage.Day{Start: time.Date(2026, 11, 29, 0, 0, 0, 0, time.UTC), SpentUSD: days[13].CostUSD, ReservedUSD: 0.04}
	for _, width := range []int{80, 120} {
		text := usageText(cfg, 14, usage.ByDay, days, today, width)
		for line := range strings.Lines(text) {
			assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), width)
		}
		capture(t, fmt.Sprintf("usage-%d.txt", width), "$ exai-mcp usage --days 14\n"+text)
	}
	long := []usage.Total{{Name: "/home/ada/" + strings.Repeat("projects/", 20) + "engine\x1b[31m", Requests: 3, CostUSD: 0.004}, {Requests: 1}}
	text := usageText(config.Default(), 30, usage.ByWorkspace, long, today, 80)
	assert.Contains(t, text, "/projects/engine", "the end of a path says more")
	assert.NotContains(t, text, "\x1b")
	assert.Contains(t, text, "(none)")
	for line := range strings.Lines(text) {
		assert.LessOrEqual(t, utf8.RuneCountInString(strings.TrimRight(line, "\n")), 80)
	}
	assert.NotContains(t, text, "MAX_COST_PER_DAY_USD")
	assert.NotContains(t, text, "PAID BY", "there is no plan")

	free := usageText(config.Default(), 30, usage.ByModel, []usage.Total{{Name: "qwen3", Requests: 4}, {Name: "gemma", Requests: 1}}, today, 80)
	assert.Regexp(t, `qwen3 +4 +0 +0 +0  █{40}\n`, free, "where nothing costs anything, requests are compared")
	assert.Regexp(t, `gemma +1 +0 +0 +0  █{10}\n`, free)
}

func TestNumbersForPeople(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1.0k", 999_949: "999.9k", 999_950: "1.0M", 2_500_000_000: "2.5G"} {
		assert.Equal(t, want, count(n))
	}
	for usd, want := range map[float64]string{0: "0", 0.00123: "0.0012", 0.123: "0.123", 12.345: "12.35"} {
		assert.Equal(t, want, dollars(usd))
	}
	for part, want := range map[float64]string{0: "", 0.001: "▏", 0.5: "██", 0.6: "██▍", 1: "████"} {
		assert.Equal(t, want, costBar(part, 4), part)
	}
}

// capture compares with a file of docs/captures, or writes it.
func capture(t *testing.T, name, got string) {
	t.Helper()
	document(t, filepath.Join("captures", name), got)
}

// document compares a text with the generated file of the documents that holds it.
func document(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join(sourceFolder(t), "../../docs", name)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	assert.Equal(t, string(want), got, "run make docs")
}

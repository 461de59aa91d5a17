package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// newLabSite is a site whose one vendor is the lab, an endpoint, but for the settings that are added.
func newLabSite(t *testing.T, settings ...string) *site {
	t.Helper()
	s := newSite(t)
	var own []string
	for _, setting := range s.environ {
		if !strings.HasPrefix(setting, "GLM_") && !strings.HasPrefix(setting, "KIMI_") {
			own = append(own, setting)
		}
	}
	s.environ = append(own, "ENDPOINTS=lab", "LAB_API_URL="+s.vendors.URL(emulator.Lab), "LAB_API_KEY="+emulator.LabKey, "LAB_MODEL=lab-large", "LOG_LEVEL=error")
	s.environ = append(s.environ, settings...)
	return s
}

// tool calls a tool from the command line.
func (s *site) tool(t *testing.T, name, arguments string) (reply map[string]any, raw string) {
	t.Helper()
	_, out, errs := s.run("", "call", name, arguments)
	require.NoError(t, json.Unmarshal([]byte(out), &reply), out+errs)
	var compact bytes.Buffer
	require.NoError(t, json.Compact(&compact, []byte(out)))
	return reply, compact.String()
}

func TestAnEndpointAloneIsEnough(t *testing.T) {
	s := newLabSite(t, "EXAI_ALLOWED_ROOTS="+sourceFolder(t))
	reply, raw := s.tool(t, "chat", `{"prompt":"hello"}`)
	meta, _ := reply["metadata"].(map[string]any)
	assert.Equal(t, "lab", meta["provider_used"], raw)
	assert.Equal(t, "lab/lab-large", meta["model_used"], raw)
	assert.Contains(t, raw, "Sent to a server on this machine.")
	assert.Contains(t, raw, "lab-large refused the parameter max_tokens", "an unknown endpoint is sent max_tokens, which this one refuses")
	for _, r := range s.vendors.Requests() {
		if r.Chat != nil && r.Refused == "" {
			assert.True(t, r.Chat.Has("max_completion_tokens"))
		}
	}

	id, _ := reply["continuation_offer"].(map[string]any)["continuation_id"].(string)
	_, raw = s.tool(t, "chat", `{"prompt":"and?","continuation_id":"`+id+`"}`)
	assert.Contains(t, raw, `"model_used":"lab/lab-large"`, "a conversation keeps its model")

	// Its thoughts stand in the text, it reports no usage, and it has to be loaded.
	reply, raw = s.tool(t, "chat", `{"prompt":"hello","model":"lab/lab-local"}`)
	assert.NotContains(t, reply["content"], "<think>")
	assert.Contains(t, reply["content"], "no model was called", raw)

	reply, raw = s.tool(t, "debug", `{"step":"why?","findings":"it fails","relevant_files":["main.go"]}`)
	assert.Contains(t, raw, `"model_used":"lab/lab-large"`)
	assert.NotContains(t, raw, "analysis_error")
	assert.Equal(t, "debug", reply["metadata"].(map[string]any)["tool_name"])

	_, raw = s.tool(t, "listmodels", `{}`)
	assert.Contains(t, raw, "Requests go to a server on this machine.")
	_, raw = s.tool(t, "status", `{}`)
	assert.Contains(t, raw, `"providers_configured":["lab"]`)
	assert.Contains(t, raw, `"local_providers":["lab"]`)
	assert.Contains(t, raw, `"LAB_TIMEOUT_SECS"`)
	assert.NotContains(t, raw, "No API key for GLM")

	code, out, errs := s.run("", "doctor")
	assert.Equal(t, exitOK, code, out+errs)
	assert.Contains(t, out, "lab takes the key (environment) and lists 3 models")
	assert.Contains(t, out, "lab: lab/lab-large reasons and judges, lab/lab-large answers quick questions")
	assert.NotContains(t, out, emulator.LabKey)
}

// The model takes 2 s to load, and the call has one: the answer is made behind it.
func TestALocalModelLoadsBehindTheCall(t *testing.T) {
	s := newLabSite(t, limits("SIMPLE_TOOL_TIMEOUT_SECS=1", "GLM_TIMEOUT_SECS=1", "KIMI_TIMEOUT_SECS=1")...)
	_, out, errs := s.run("", "call", "--limit", "chat", `{"prompt":"hello","model":"lab/lab-local"}`)
	assert.Contains(t, out, `"status": "partial"`, errs)
	assert.Contains(t, out, "The model is loading or reading the prompt: lab/lab-local, on this machine")
	assert.Contains(t, out, "SIMPLE_TOOL_TIMEOUT_SECS="+scaled(time.Second).String())

	s = newLabSite(t, limits("SIMPLE_TOOL_TIMEOUT_SECS=1", "GLM_TIMEOUT_SECS=1", "KIMI_TIMEOUT_SECS=1")...)
	_, out, errs = s.run("", "call", "chat", `{"prompt":"hello","model":"lab/lab-local"}`)
	assert.Contains(t, out, "no model was called", errs)
	assert.NotContains(t, out, "<think>")
}

// Which model of a local endpoint answers, and what it can take, its list alone says: the first call of a process reads that before
// it decides how much of a file to send, and a preview before it says who would answer.
func TestTheFirstCallReadsTheList(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v1/models":
			fmt.Fprint(w, `{"data":[{"id":"m","max_model_len":8192}]}`)
		default:
			fmt.Fprint(w, "data: {\"choices\":[{\"delta\":{\"content\":\"fine\"},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n")
		}
	}))
	defer server.Close()
	folder := t.TempDir()
	big := filepath.Join(folder, "big.go")
	require.NoError(t, os.WriteFile(big, []byte("package big\n"+strings.Repeat("// a long line of a long file\n", 3000)), 0o600))
	files, err := json.Marshal([]string{big})
	require.NoError(t, err)
	s := newLabSite(t, "LAB_API_URL="+server.URL+"/v1", "LAB_MODEL=", "EXAI_ALLOWED_ROOTS="+folder)
	for tool, arguments := range map[string]string{
		"debug":      `{"step":"why?","relevant_files":` + string(files) + `}`,
		"chat":       `{"prompt":"why?","files":` + string(files) + `}`,
		"consensus":  `{"step":"tabs or spaces?","relevant_files":` + string(files) + `}`,
		"codereview": `{"step":"review","preview":true,"relevant_files":` + string(files) + `}`,
	} {
		reply, raw := s.tool(t, tool, arguments)
		assert.NotEqual(t, "error", reply["status"], raw)
		assert.Contains(t, raw, "lab/m", tool)
		assert.NotContains(t, raw, "glm-", tool)
	}
}

func TestConsensusOfThreeVendors(t *testing.T) {
	s := newSite(t, "ENDPOINTS=lab", "LOG_LEVEL=error")
	s.environ = append(s.environ, "LAB_API_URL="+s.vendors.URL(emulator.Lab), "LAB_API_KEY="+emulator.LabKey, "LAB_MODEL=lab-large")
	_, raw := s.tool(t, "consensus", `{"step":"tabs or spaces?","models":[{"model":"glm"},{"model":"kimi"},{"model":"lab"}]}`)
	for _, model := range []string{"glm-5.3", "kimi-k3.1-pro", "lab/lab-large"} {
		assert.Contains(t, raw, `"model_name":"`+model, raw)
	}
	seen := map[emulator.Vendor]bool{}
	for _, r := range s.vendors.Requests() {
		if r.Chat != nil && r.Refused == "" {
			seen[r.Vendor] = true
		}
	}
	assert.Len(t, seen, 3)

	_, raw = s.tool(t, "consensus", `{"step":"spaces or tabs?"}`)
	assert.Contains(t, raw, "No models were named, so these were asked: glm-5.3, kimi-k3.1-pro.", "two, however many vendors there are")
}

// A key in the environment that ENDPOINTS does not name goes nowhere.
func TestKeysThatNobodyNamedAreNotUsed(t *testing.T) {
	s := newLabSite(t, "OPENAI_API_KEY=sk-not-named-1", "OPENAI_BASE_URL=PLACE", "GEMINI_API_KEY=not-named-2", "OPENROUTER_API_KEY=not-named-3", "CUSTOM_API_URL=PLACE")
	for i, setting := range s.environ { // an endpoint that would be asked if a key were enough
		s.environ[i] = strings.ReplaceAll(setting, "PLACE", s.vendors.KimiURL())
	}
	// What is on its way to the address of a preset comes by this proxy.
	var elsewhere atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		elsewhere.Add(1)
		w.WriteHeader(http.StatusBadGateway)
	}))
	defer proxy.Close()
	t.Setenv("HTTPS_PROXY", proxy.URL)
	s.tool(t, "chat", `{"prompt":"hello"}`)
	s.tool(t, "status", `{"doctor":true}`)
	s.tool(t, "listmodels", `{}`)
	s.tool(t, "provider_capabilities", `{"invalidate_cache":true}`)
	s.tool(t, "glm_payload_preview", `{"prompt":"hello","model":"lab"}`)
	s.tool(t, "chat", `{"prompt":"hello","preview":true}`)
	for _, model := range []string{"openai", "openai/gpt-6.2-sol", "gpt-6.2-sol", "openrouter/auto", "gemini", "custom", "custom/m"} {
		_, raw := s.tool(t, "chat", `{"prompt":"hello","model":"`+model+`"}`)
		assert.Contains(t, raw, `"code":"model_not_found"`, model)
	}
	s.tool(t, "consensus", `{"step":"tabs or spaces?","models":["lab","openai"]}`)
	_, out, _ := s.run("", "doctor", "--live")
	assert.NotContains(t, out, "not-named-")
	_, out, _ = s.run("", "doctor")
	assert.Contains(t, out, "OPENAI_API_KEY is set and not used: ENDPOINTS=lab,openai would use it")
	assert.Contains(t, out, "CUSTOM_API_URL is set and not used: ENDPOINTS=lab,custom would use it")
	assert.NotContains(t, out, "not-named-")
	assert.Zero(t, elsewhere.Load(), "requests to other hosts")
	requests := s.vendors.Requests()
	require.NotEmpty(t, requests)
	for _, r := range requests {
		assert.Equal(t, emulator.Lab, r.Vendor)
		assert.True(t, r.KeyOK)
		body, err := json.Marshal(r)
		require.NoError(t, err)
		assert.NotContains(t, string(body), "not-named-")
	}
}

func TestDoctorOfEndpoints(t *testing.T) {
	s := newLabSite(t, "ENDPOINTS=ollama,lab,far", "OLLAMA_HOST=127.0.0.1:1", "FAR_API_URL=http://far.example/v1", "FAR_API_KEY=far-secret-1", "LAB_API_KEY=wrong-key-1")
	code, out, _ := s.run("", "doctor")
	assert.Equal(t, exitFailed, code)
	assert.Contains(t, out, "Ollama at http://127.0.0.1:1/v1, a server on this machine did not answer as it should")
	assert.Contains(t, out, "start the server, or correct OLLAMA_API_URL")
	assert.Contains(t, out, "lab: the key (environment) does not work")
	assert.Contains(t, out, "FAR_API_URL=http://far.example/v1 is not used: it would send the key in plain text")
	assert.NotContains(t, out, "far-secret-1")
	assert.NotContains(t, out, "wrong-key-1")
}

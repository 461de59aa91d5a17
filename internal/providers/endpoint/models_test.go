package endpoint

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// server answers paths with fixed bodies, a request with a body by the model in it, and everything else with 404.
func server(t *testing.T, bodies map[string]string) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path := r.URL.Path
		if r.Method == http.MethodPost {
			body, _ := io.ReadAll(r.Body)
			var ask struct{ Model string }
			_ = json.Unmarshal(body, &ask)
			path += " " + ask.Model
		}
		body, ok := bodies[path]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
		}
		_, _ = io.WriteString(w, body)
	}))
	t.Cleanup(s.Close)
	return s.URL + "/v1"
}

func list(t *testing.T, name string, bodies map[string]string) map[string]providers.Model {
	t.Helper()
	c, err := config.Load(config.Options{Environ: []string{"ENDPOINTS=" + name, name2var(name) + "_API_URL=" + server(t, bodies), name2var(name) + "_API_KEY=k"}})
	require.NoError(t, err)
	p, err := New(Options{Vendor: *c.Vendor(name)})
	require.NoError(t, err)
	defer p.Close()
	models, err := p.ListModels(t.Context())
	require.NoError(t, err)
	byID := map[string]providers.Model{}
	for _, m := range models {
		assert.Equal(t, name, m.Provider)
		byID[m.ID] = m
	}
	return byID
}

func name2var(name string) string { return config.VendorRow{Name: name}.Variable("")[:len(name)] }

func TestListsOfOllama(t *testing.T) {
	got := list(t, "ollama", map[string]string{
		"/api/tags": `{"models":[{"name":"qwen3:32b","capabilities":["completion","tools","thinking"]},{"name":"llava:latest"},
			{"name":"big:cloud"},{"name":"other","remote_host":"https://ollama.com","capabilities":["completion","tools"]},
			{"name":"nomic-embed-text"},{"name":"bge","capabilities":["embedding"]},{"name":"tuned"}]}`,
		"/api/ps":                `{"models":[{"name":"qwen3:32b","context_length":32768}]}`,
		"/api/show qwen3:32b":    `{"model_info":{"qwen3.context_length":40960}}`,
		"/api/show llava:latest": `{"capabilities":["completion","vision"],"model_info":{"general.architecture":"llama","llama.context_length":2048}}`,
		"/api/show tuned":        `{"parameters":"temperature 1\nnum_ctx    16384\n","model_info":{"x.context_length":131072}}`,
		"/api/show other":        `{"model_info":{"x.context_length":131072}}`,
	})
	require.Len(t, got, 5)
	qwen := got["ollama/qwen3:32b"]
	assert.True(t, qwen.Loaded)
	assert.True(t, qwen.Local)
	assert.True(t, qwen.Functions)
	assert.False(t, qwen.Images)
	assert.Equal(t, 32768, qwen.ContextWindow, "what is loaded, not what the model could take")
	assert.Equal(t, []string{"none", "low", "medium", "high", "max"}, qwen.Thinking.Efforts)
	assert.Equal(t, &providers.Price{}, qwen.Price)
	llava := got["ollama/llava:latest"]
	assert.True(t, llava.Images)
	assert.False(t, llava.Functions)
	assert.False(t, llava.Thinking.Thinks())
	assert.False(t, llava.Loaded)
	assert.Equal(t, 2048, llava.ContextWindow)
	assert.Equal(t, 16384, got["ollama/tuned"].ContextWindow)
	for _, remote := range []string{"ollama/big:cloud", "ollama/other"} {
		assert.False(t, got[remote].Local, remote)
		assert.Nil(t, got[remote].Price, remote)
	}
	assert.Equal(t, 131072, got["ollama/other"].ContextWindow)

	plain := list(t, "ollama", map[string]string{"/v1/models": `{"data":[{"id":"m"}]}`})
	assert.Contains(t, plain, "ollama/m", "another server under that name")
}

func TestListsOfLMStudio(t *testing.T) {
	got := list(t, "lmstudio", map[string]string{"/api/v1/models": `{"models":[
		{"key":"qwen/qwen3.5-9b","type":"llm","loaded_instances":[{"id":"x","config":{"context_length":8192}}],"max_context_length":131072,"capabilities":{"vision":true,"trained_for_tool_use":true}},
		{"key":"small","type":"llm","max_context_length":2048,"capabilities":{"trained_for_tool_use":false}},
		{"key":"e","type":"embedding"}]}`})
	require.Len(t, got, 2)
	assert.Equal(t, 8192, got["lmstudio/qwen/qwen3.5-9b"].ContextWindow)
	assert.True(t, got["lmstudio/qwen/qwen3.5-9b"].Loaded)
	assert.True(t, got["lmstudio/qwen/qwen3.5-9b"].Images)
	assert.False(t, got["lmstudio/small"].Functions)
	assert.Equal(t, 2048, got["lmstudio/small"].ContextWindow)

	got = list(t, "lmstudio", map[string]string{
		"/api/v1/models": `{"error":"Unexpected endpoint or method."}`,
		"/api/v0/models": `{"data":[{"id":"a","type":"vlm","state":"loaded","max_context_length":32768,"loaded_context_length":16384},{"id":"b","type":"llm","state":"not-loaded"},{"id":"c","type":"embeddings"}]}`,
	})
	require.Len(t, got, 2)
	assert.Equal(t, 16384, got["lmstudio/a"].ContextWindow)
	assert.True(t, got["lmstudio/a"].Loaded)
	assert.False(t, got["lmstudio/b"].Loaded)
	assert.Equal(t, 4096, got["lmstudio/b"].ContextWindow)
	assert.Contains(t, list(t, "lmstudio", map[string]string{"/v1/models": `{"data":[{"id":"m"}]}`}), "lmstudio/m")
}

func TestListsOfServers(t *testing.T) {
	for name, c := range map[string]struct {
		body string
		want providers.Model
	}{
		"vllm":           {`{"data":[{"id":"m","max_model_len":32768}]}`, providers.Model{ContextWindow: 32768, Functions: true}},
		"groq":           {`{"data":[{"id":"m","context_window":131072,"max_completion_tokens":"65536"}]}`, providers.Model{ContextWindow: 131072, MaxOutput: 65536, Functions: true}},
		"fireworks":      {`{"data":[{"id":"m","context_length":1000,"supports_tools":false}]}`, providers.Model{ContextWindow: 1000}},
		"mistral":        {`{"data":[{"id":"m","max_context_length":2000,"capabilities":{"function_calling":false,"vision":true}}]}`, providers.Model{ContextWindow: 2000, Images: true}},
		"a bare list":    {`["m"]`, providers.Model{Functions: true}},
		"a list of rows": {`[{"id":"m","context_length":9}]`, providers.Model{ContextWindow: 9, Functions: true}},
		"names":          {`{"models":[{"name":"models/m"}]}`, providers.Model{Functions: true}},
		"odd types":      {`{"data":[{"id":"m","context_length":null,"capabilities":["completion"],"pricing":5}]}`, providers.Model{Functions: true}},
		"openrouter": {
			`{"data":[{"id":"m","context_length":200000,"architecture":{"input_modalities":["text","image"]},"pricing":{"prompt":"0.000002","completion":"0.00001","input_cache_read":"0.0000001"},
			"top_provider":{"context_length":100000,"max_completion_tokens":64000},"supported_parameters":["tools","reasoning"]}]}`,
			providers.Model{
				ContextWindow: 200000, MaxOutput: 64000, Images: true, Functions: true, Price: &providers.Price{Input: 2, CachedInput: 0.1, Output: 10},
				Thinking: providers.Thinking{Efforts: []string{"minimal", "low", "medium", "high", "xhigh"}},
			},
		},
		"no finite price":     {`{"data":[{"id":"m","pricing":{"prompt":"Infinity","completion":"1e300"},"supported_parameters":["temperature"]}]}`, providers.Model{}},
		"a price that varies": {`{"data":[{"id":"m","pricing":{"prompt":"-1","completion":"-1"},"supported_parameters":["temperature"]}]}`, providers.Model{}},
	} {
		c.want.ID, c.want.Provider, c.want.Local = "lab/m", "lab", true
		if c.want.Price == nil {
			c.want.Price = &providers.Price{} // it runs here
		}
		assert.Equal(t, map[string]providers.Model{"lab/m": c.want}, list(t, "lab", map[string]string{"/v1/models": c.body}), name)
	}
	got := list(t, "lab", map[string]string{
		"/v1/models": `{"models":[{"name":"m","capabilities":["completion"]}],"data":[{"id":"/models/q.gguf","meta":{"n_ctx_train":131072}}]}`,
		"/props":     `{"default_generation_settings":{"n_ctx":8192},"modalities":{"vision":true}}`,
	})
	require.Len(t, got, 1)
	m := got["lab//models/q.gguf"]
	assert.Equal(t, 8192, m.ContextWindow, "llama.cpp's real window")
	assert.True(t, m.Loaded)
	assert.True(t, m.Images)
	assert.Empty(t, list(t, "lab", nil), "a server without a list")
	assert.Len(t, list(t, "lab", map[string]string{"/v1/models": `{"data":[{"id":"a"},{"id":"text-embedding-3"},{"id":"whisper-1"},{"id":"gpt-image-1"},{"id":"tts-1"},{"id":"omni-moderation"}]}`}), 1)
}

func TestNamesAtOpenRouter(t *testing.T) {
	assert.Equal(t, "openrouter/auto", ownRouter("auto"))
	assert.Equal(t, "openrouter/auto", ownRouter("openrouter/auto"))
	assert.Equal(t, "anthropic/x", ownRouter("anthropic/x"))
}

func TestAnUnusableEndpointSaysWhy(t *testing.T) {
	c, err := config.Load(config.Options{Environ: []string{"ENDPOINTS=lab"}})
	require.NoError(t, err)
	p, err := New(Options{Vendor: *c.Vendor("lab")})
	require.NoError(t, err)
	_, err = p.ListModels(t.Context())
	require.ErrorContains(t, err, "LAB_API_URL is not set")
	_, err = p.Chat(t.Context(), providers.ChatRequest{Model: providers.Model{ID: "lab/m"}}, nil)
	var e *providers.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, providers.KindNotConfigured, e.Kind)
	assert.Equal(t, "lab/m", e.Model)
}

// Only llama.cpp is asked to say how much of the prompt it has read: others may refuse the parameter.
func TestLlamaCPPIsAskedForItsProgress(t *testing.T) {
	for owner, want := range map[string]bool{"llamacpp": true, "vllm": false} {
		p := at(t, strings.TrimSuffix(server(t, map[string]string{"/v1/models": `{"data":[{"id":"m","owned_by":"` + owner + `","meta":null}]}`}), "/v1"))
		req := providers.ChatRequest{Model: providers.Model{ID: "lab/m"}, Messages: []providers.Message{{Role: providers.RoleUser, Content: "hello"}}}
		before, err := p.Payload(req)
		require.NoError(t, err)
		assert.NotContains(t, string(before), "return_progress")
		_, err = p.ListModels(t.Context())
		require.NoError(t, err)
		after, err := p.Payload(req)
		require.NoError(t, err)
		assert.Equal(t, want, strings.Contains(string(after), `"return_progress":true`), owner)
	}
}

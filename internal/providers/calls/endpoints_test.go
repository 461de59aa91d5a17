package calls_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/providers/providertest"
)

// site is a path with the vendors of an environment; every vendor answers with the id of the model that it was asked for.
type site struct {
	cfg     *config.Config
	caller  *calls.Caller
	reg     *calls.Registry
	vendors map[string]*providertest.Stub
}

// newSite makes a site; lists are what the endpoints' lists of models hold, nil for one that can't be read.
func newSite(t *testing.T, lists map[string][]providers.Model, environ ...string) *site {
	t.Helper()
	cfg, err := config.Load(config.Options{Environ: environ})
	require.NoError(t, err)
	s := &site{cfg: cfg, vendors: map[string]*providertest.Stub{}}
	var all []providers.Provider
	for _, v := range cfg.Vendors() {
		name := v.Row.Name
		stub := &providertest.Stub{
			Vendor: name,
			ChatFunc: func(_ context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				on(providers.Delta{Content: req.Model.ID})
				return &providers.ChatResponse{Content: req.Model.ID, Model: req.Model.ID, FinishReason: providers.FinishStop}, nil
			},
			ListModelsFunc: func(context.Context) ([]providers.Model, error) {
				if lists[name] == nil {
					return nil, &providers.Error{Kind: providers.KindNetwork, Message: name + " could not be connected to."}
				}
				return lists[name], nil
			},
		}
		s.vendors[name] = stub
		all = append(all, stub)
	}
	s.reg, err = calls.NewRegistry(cfg, all...)
	require.NoError(t, err)
	s.caller = calls.NewCaller(s.reg, cfg, nil, nil)
	t.Cleanup(func() { assert.NoError(t, s.caller.Close(context.Background())) })
	return s
}

func (s *site) ask(t *testing.T, model string, category providers.Category) (*calls.Outcome, error) {
	t.Helper()
	call := ask(model)
	call.Category = category
	return s.caller.Call(t.Context(), call)
}

// local are models of a server on this machine.
func local(vendor string, loaded string, ids ...string) (list []providers.Model) {
	for _, id := range ids {
		list = append(list, providers.Model{ID: vendor + "/" + id, Provider: vendor, Functions: true, ContextWindow: 8192, Local: true, Loaded: id == loaded, Price: &providers.Price{}})
	}
	return list
}

func remote(vendor string, ids ...string) (list []providers.Model) {
	for _, id := range ids {
		list = append(list, providers.Model{ID: vendor + "/" + id, Provider: vendor, Functions: true, ContextWindow: 100_000})
	}
	return list
}

func TestWhoIsMeant(t *testing.T) {
	lists := map[string][]providers.Model{
		"ollama":     local("ollama", "qwen3:32b", "llama3.2:latest", "qwen3:32b", "hf.co/user/repo:Q4_K_M"),
		"openrouter": remote("openrouter", "deepseek/deepseek-v4", "openai/gpt-6.2-sol", "openrouter/auto", "google/gemini-3.8-flash", "z-ai/glm-5.3"),
		"lab":        remote("lab", "glm-5.3", "openai/gpt-6.2-sol", "big"),
		"openai":     remote("openai", "gpt-6-sol", "gpt-5.4-mini"),
	}
	s := newSite(t, lists, "GLM_API_KEY=k", "KIMI_API_KEY=k", "ENDPOINTS=openrouter,ollama,lab,openai", "OPENROUTER_API_KEY=k", "OPENAI_API_KEY=k",
		"LAB_API_URL=https://lab.test/v1", "LAB_MODEL=big")
	for name, want := range map[string]string{
		"ollama/qwen3:32b":                "ollama/qwen3:32b",
		"OLLAMA/Qwen3:32b":                "ollama/qwen3:32b",
		"ollama/llama3.2":                 "ollama/llama3.2:latest",
		"ollama/never-seen":               "ollama/never-seen",
		"ollama/hf.co/user/repo:Q4_K_M":   "ollama/hf.co/user/repo:Q4_K_M",
		"qwen3:32b":                       "ollama/qwen3:32b",
		"openrouter/deepseek/deepseek-v4": "openrouter/deepseek/deepseek-v4",
		"openrouter/deepseek-v4":          "openrouter/deepseek/deepseek-v4",
		"deepseek/deepseek-v4":            "openrouter/deepseek/deepseek-v4",
		"openrouter/auto":                 "openrouter/openrouter/auto",
		"openai/gpt-oss-120b":             "openai/gpt-oss-120b", // the endpoint wins, whatever other ids it equals
		"openai/gpt-6.2-sol":              "openai/gpt-6.2-sol",
		"lab/glm-5.3":                     "lab/glm-5.3",
		"glm-5.3":                         "glm-5.3", // the first vendor that has it
		"glm-9-new":                       "glm-9-new",
		"glm":                             "glm-5.3",
		"zai":                             "glm-5.3",
		"Kimi":                            "kimi-k3.1-pro",
		"moonshot":                        "kimi-k3.1-pro",
		"ollama":                          "ollama/qwen3:32b", // the loaded one
		"lab":                             "lab/big",
		"openrouter":                      "openrouter/openai/gpt-6.2-sol", // the first of the preset's that its list has
		"openai":                          "openai/gpt-6-sol",
	} {
		out, err := s.ask(t, name, providers.CategoryFast)
		require.NoError(t, err, name)
		assert.Equal(t, want, out.Response.Content, name)
	}
	out, err := s.ask(t, "glm-5.3", providers.CategoryFast)
	require.NoError(t, err)
	assert.Contains(t, strings.Join(out.Notes, " "), "glm-5.3 answers; name lab/glm-5.3 to ask the other vendor of glm-5.3.")
	out, err = s.ask(t, "ollama", providers.CategoryFast)
	require.NoError(t, err)
	assert.Contains(t, out.Notes, "Sent to a server on this machine.")
	assert.Contains(t, out.Notes, "ollama means ollama/qwen3:32b here.")
	out, err = s.ask(t, "ollama/never-seen", providers.CategoryFast)
	require.NoError(t, err)
	assert.Contains(t, out.Notes, "Ollama's list of models does not have ollama/never-seen.")
	out, err = s.ask(t, "ollama/qwen3:32b", providers.CategoryFast)
	require.NoError(t, err)
	assert.Equal(t, []string{"Sent to a server on this machine."}, out.Notes)
	assert.Equal(t, 8192, out.Model.ContextWindow)
	_, err = s.ask(t, "nobody-has-this", providers.CategoryFast)
	assert.Equal(t, providers.KindModelNotFound, failure(t, err).Kind)
}

// Without GLM's key, an id that an endpoint has too goes there.
func TestAnIdOfAVendorThatCannotBeAsked(t *testing.T) {
	s := newSite(t, map[string][]providers.Model{"lab": remote("lab", "glm-5.3")}, "ENDPOINTS=lab", "LAB_API_URL=https://lab.test/v1")
	out, err := s.ask(t, "glm-5.3", providers.CategoryFast)
	require.NoError(t, err)
	assert.Equal(t, "lab/glm-5.3", out.Response.Content)
	assert.Equal(t, []string{"glm-5.3 is an alias of lab/glm-5.3."}, out.Notes, "nobody else of that name can be asked")
	_, err = s.ask(t, "glm", providers.CategoryFast)
	assert.Equal(t, providers.KindNotConfigured, failure(t, err).Kind)
}

func TestAVendorWhoseConfiguredModelIsNotAllowed(t *testing.T) {
	s := newSite(t, nil, "ENDPOINTS=lab", "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=one", "LAB_ALLOWED_MODELS=two,three",
		"GLM_API_KEY=k", "GLM_ALLOWED_MODELS=glm-5.2", "DEFAULT_MODEL=lab")
	for name, want := range map[string]string{"glm": "glm-5.2", "lab": "lab/two", "": "lab/two"} {
		out, err := s.ask(t, name, providers.CategoryFast)
		require.NoError(t, err, name)
		assert.Equal(t, want, out.Response.Content, name)
	}
}

func TestAutoAsksAnEndpointAlone(t *testing.T) {
	for name, c := range map[string]struct {
		environ []string
		list    []providers.Model
		want    map[providers.Category]string
		err     string
	}{
		"the loaded model":                  {[]string{"ENDPOINTS=ollama"}, local("ollama", "b", "a", "b", "c"), map[providers.Category]string{providers.CategoryFast: "ollama/b", providers.CategoryReasoning: "ollama/b", providers.CategoryFiles: "ollama/b"}, ""},
		"the only model":                    {[]string{"ENDPOINTS=ollama"}, local("ollama", "", "a"), map[providers.Category]string{providers.CategoryReasoning: "ollama/a"}, ""},
		"several, none of them loaded":      {[]string{"ENDPOINTS=ollama"}, local("ollama", "", "a", "b"), nil, "OLLAMA_MODEL is not set"},
		"a server that is not there":        {[]string{"ENDPOINTS=ollama"}, nil, nil, "ollama could not be connected to."},
		"the settings":                      {[]string{"ENDPOINTS=ollama", "OLLAMA_MODEL=x", "OLLAMA_SPEED_MODEL=y"}, nil, map[providers.Category]string{providers.CategoryFast: "ollama/y", providers.CategoryReasoning: "ollama/x"}, ""},
		"a preset's list":                   {[]string{"ENDPOINTS=openai", "OPENAI_API_KEY=k"}, remote("openai", "gpt-5.6-sol", "gpt-6-luna", "other"), map[providers.Category]string{providers.CategoryFast: "openai/gpt-6-luna", providers.CategoryReasoning: "openai/gpt-5.6-sol"}, ""},
		"a preset whose list can't be read": {[]string{"ENDPOINTS=openai", "OPENAI_API_KEY=k"}, nil, map[providers.Category]string{providers.CategoryReasoning: "openai/gpt-6.2-sol"}, ""},
		"a preset of which nothing is left": {[]string{"ENDPOINTS=openai", "OPENAI_API_KEY=k"}, remote("openai", "z"), nil, "OPENAI_MODEL is not set"},
		"what is allowed":                   {[]string{"ENDPOINTS=ollama", "OLLAMA_ALLOWED_MODELS=a"}, local("ollama", "b", "a", "b"), map[providers.Category]string{providers.CategoryFast: "ollama/a"}, ""},
		"no key":                            {[]string{"ENDPOINTS=openai"}, nil, nil, "No model vendor is configured"},
		"a gateway that lists GLM's and Kimi's": {
			[]string{"ENDPOINTS=lab", "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=own", "LAB_SPEED_MODEL=fast"},
			remote("lab", "glm-5.3-flash", "glm-5.3", "kimi-k3.1-pro", "own", "fast"),
			map[providers.Category]string{providers.CategoryFast: "lab/fast", providers.CategoryReasoning: "lab/own", providers.CategoryFiles: "lab/own"},
			"",
		},
	} {
		name0, _, _ := strings.Cut(strings.TrimPrefix(c.environ[0], "ENDPOINTS="), ",")
		s := newSite(t, map[string][]providers.Model{name0: c.list}, c.environ...)
		for category, want := range c.want {
			out, err := s.ask(t, "", category)
			require.NoError(t, err, name)
			assert.Equal(t, want, out.Response.Content, name)
		}
		if c.err != "" {
			_, err := s.ask(t, "", providers.CategoryReasoning)
			e := failure(t, err)
			assert.Equal(t, providers.KindNotConfigured, e.Kind, name)
			assert.Contains(t, e.Message, c.err, name)
		}
	}
}

// "auto" follows GLM, Kimi, ENDPOINTS, and so does a fallback; a remote vendor never gets what was meant for a local one.
func TestFallbackOverEndpoints(t *testing.T) {
	down := func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
		return nil, &providers.Error{Kind: providers.KindOverloaded, Message: "busy"}
	}
	for name, c := range map[string]struct {
		environ []string
		down    []string
		want    string // "" where the call fails
		from    string
	}{
		"GLM to Kimi":                {[]string{"GLM_API_KEY=k", "KIMI_API_KEY=k", "ENDPOINTS=lab"}, []string{"glm"}, "kimi-k3.1-pro", "glm-5.3"},
		"both to the endpoint":       {[]string{"GLM_API_KEY=k", "KIMI_API_KEY=k", "ENDPOINTS=lab"}, []string{"glm", "kimi"}, "lab/big", "glm-5.3"},
		"the endpoints' order":       {[]string{"GLM_API_KEY=k", "ENDPOINTS=ollama,lab"}, []string{"glm"}, "ollama/x", "glm-5.3"},
		"remote to the next remote":  {[]string{"ENDPOINTS=lab,mylab", "MYLAB_API_URL=https://b.test/v1", "MYLAB_MODEL=b"}, []string{"lab"}, "mylab/b", "lab/big"},
		"local to remote":            {[]string{"ENDPOINTS=ollama,lab"}, []string{"ollama"}, "", ""},
		"an API's own DEFAULT_MODEL": {[]string{"KIMI_API_KEY=k", "ENDPOINTS=lab", "DEFAULT_MODEL=kimi-k3"}, []string{"kimi"}, "lab/big", "kimi-k3"},
		"behind another's DEFAULT_MODEL": {
			[]string{"KIMI_API_KEY=k", "ENDPOINTS=lab,mylab", "MYLAB_API_URL=https://b.test/v1", "MYLAB_MODEL=b", "DEFAULT_MODEL=kimi-k3"},
			[]string{"kimi", "lab"},
			"mylab/b", "kimi-k3",
		},
		"what DEFAULT_MODEL names": {[]string{"GLM_API_KEY=k", "ENDPOINTS=lab", "DEFAULT_MODEL=lab"}, []string{"lab"}, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, nil, append(c.environ, "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=big", "OLLAMA_MODEL=x", "MAX_RETRIES=0")...)
				for _, v := range c.down {
					s.vendors[v].ChatFunc = down
				}
				for range 2 { // the second time, the vendor's failure is known
					out, err := s.ask(t, "", providers.CategoryReasoning)
					if c.want == "" {
						assert.Equal(t, providers.KindOverloaded, failure(t, err).Kind)
						continue
					}
					require.NoError(t, err)
					assert.Equal(t, c.want, out.Response.Content)
				}
				require.NoError(t, s.caller.Close(context.Background()))
			})
		})
	}
}

// A local server sends nothing while it loads the model and reads the prompt: a call that ends meanwhile leaves the answer to
// the background, within the endpoint's own limit.
func TestALocalServerLoadsItsModelBehindTheCall(t *testing.T) {
	for _, c := range []struct {
		class config.Class
		loads time.Duration
		limit string // that ended the call
		at    time.Duration
	}{
		{config.ClassSimple, 100 * time.Second, "SIMPLE_TOOL_TIMEOUT_SECS=30s", 28500 * time.Millisecond},
		{config.ClassExpert, 250 * time.Second, "ANSWER_WITHIN_SECS=55s", 53 * time.Second},
		{config.ClassExpert, 400 * time.Second, "ANSWER_WITHIN_SECS=55s", 53 * time.Second},
	} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, map[string][]providers.Model{"ollama": local("ollama", "", "m")}, "ENDPOINTS=ollama")
			s.vendors["ollama"].ChatFunc = func(ctx context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				select {
				case <-time.After(c.loads):
				case <-ctx.Done():
					return nil, &providers.Error{Kind: providers.KindCancelled, Err: context.Cause(ctx)}
				}
				on(providers.Delta{Content: "loaded"})
				return &providers.ChatResponse{Content: "loaded", FinishReason: providers.FinishStop}, nil
			}
			limit := s.cfg.Timeouts.For(c.class)
			start := time.Now()
			ctx := providers.WithBudget(t.Context(), providers.Budget{Limit: limit, Class: c.class, Start: start})
			out, err := s.caller.Call(ctx, backgroundCall("", "conversation"))
			require.NoError(t, err)
			assert.Equal(t, c.at, time.Since(start))
			assert.True(t, out.Partial)
			assert.Empty(t, out.Response.Content)
			assert.Equal(t, c.limit, out.Limit.String())
			assert.Equal(t, []string{"Sent to a server on this machine."}, out.Notes)
			require.NotNil(t, out.Live)
			<-out.Live.Done()
			final := out.Live.Snapshot()
			assert.Equal(t, out.Notes, final.Notes)
			if c.loads < 300*time.Second {
				assert.Equal(t, c.loads, time.Since(start))
				assert.Equal(t, "loaded", final.Response.Content)
				assert.False(t, final.Partial)
			} else {
				assert.Equal(t, 300*time.Second, time.Since(start), "OLLAMA_TIMEOUT_SECS counts in the background too")
				assert.True(t, final.Partial, "nothing is no whole answer")
				assert.Equal(t, providers.FinishTimeout, final.Response.FinishReason)
				assert.Equal(t, "OLLAMA_TIMEOUT_SECS=300s", final.Limit.String())
				require.NotNil(t, final.Cut)
			}
			require.NoError(t, s.caller.Close(context.Background()))
		})
	}
}

// A server without functions says so once; later requests offer none.
func TestAServerWithoutFunctions(t *testing.T) {
	s := newSite(t, map[string][]providers.Model{"lab": remote("lab", "m")}, "ENDPOINTS=lab", "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=m")
	var offered []int
	var told []string
	s.vendors["lab"].ChatFunc = func(_ context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		offered, told = append(offered, len(req.Functions)), append(told, req.Messages[0].Content)
		if len(req.Functions) > 0 {
			return nil, &providers.Error{Kind: providers.KindInvalidRequest, NoFunctions: true, Message: "no"}
		}
		on(providers.Delta{Content: "ok"})
		return &providers.ChatResponse{Content: "ok", FinishReason: providers.FinishStop}, nil
	}
	call := ask("lab/m")
	call.Build = func(m providers.Model) (providers.ChatRequest, error) {
		return providers.ChatRequest{Messages: []providers.Message{{Role: providers.RoleUser, Content: fmt.Sprintf("functions: %t", m.Functions)}}}, nil
	}
	call.Tools = []calls.Tool{{Function: providers.Function{Name: "look"}, Run: func(context.Context, string, int) (string, error) { return "", nil }}}
	out, err := s.caller.Call(t.Context(), call)
	require.NoError(t, err)
	assert.Equal(t, []int{1, 0}, offered)
	assert.Equal(t, []string{"functions: true", "functions: false"}, told, "nor is it told of any")
	assert.Contains(t, out.Notes, "lab/m takes no functions, so it was asked without them.")
	assert.Equal(t, 2, out.Attempts)
	m, _ := s.reg.Catalog().Lookup("lab/m")
	assert.False(t, m.Functions)

	call.Tools[0].Run = nil // the caller's own: what the call is about
	_, err = s.caller.Call(t.Context(), call)
	assert.Equal(t, providers.KindInvalidRequest, failure(t, err).Kind)
}

// A local server's list is read again after a while, without taking its one slot; a remote one's is read once.
func TestListsAreReadAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil, "ENDPOINTS=ollama,lab", "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=big", "OLLAMA_MODEL=m")
		var asked [2]atomic.Int32
		window := 4096
		s.vendors["ollama"].ListModelsFunc = func(context.Context) ([]providers.Model, error) {
			asked[0].Add(1)
			list := local("ollama", "m", "m")
			list[0].ContextWindow = window
			return list, nil
		}
		s.vendors["lab"].ListModelsFunc = func(context.Context) ([]providers.Model, error) {
			asked[1].Add(1)
			return remote("lab", "big"), nil
		}
		for range 3 {
			for _, model := range []string{"ollama", "lab"} {
				_, err := s.ask(t, model, providers.CategoryFast)
				require.NoError(t, err)
			}
		}
		assert.Equal(t, int32(1), asked[0].Load())
		window = 32768
		time.Sleep(30 * time.Second)
		for _, model := range []string{"ollama", "lab"} {
			_, err := s.ask(t, model, providers.CategoryFast)
			require.NoError(t, err)
		}
		assert.Equal(t, int32(2), asked[0].Load())
		assert.Equal(t, int32(1), asked[1].Load())
		m, _ := s.reg.Catalog().Lookup("ollama/m")
		assert.Equal(t, 32768, m.ContextWindow)

		time.Sleep(30 * time.Second)
		s.vendors["ollama"].ListModelsFunc = func(ctx context.Context) ([]providers.Model, error) {
			<-ctx.Done()
			return nil, errors.New("too late")
		}
		start := time.Now()
		_, err := s.ask(t, "ollama", providers.CategoryFast)
		require.NoError(t, err)
		assert.Equal(t, 5*time.Second, time.Since(start), "a list that hangs delays a call by no more")
		require.NoError(t, s.caller.Close(context.Background()))
	})
}

// What is meant for an endpoint goes to no other vendor because its server is down or has unloaded its model.
func TestAnEndpointWhoseModelIsNotKnown(t *testing.T) {
	lab := []string{"LAB_API_URL=https://lab.test/v1", "LAB_MODEL=big"}
	for name, c := range map[string]struct {
		environ []string
		list    []providers.Model // Ollama's
		want    string            // "" for an error
	}{
		"a local server that is down":     {[]string{"ENDPOINTS=ollama,lab"}, nil, ""},
		"no model of it is loaded":        {[]string{"ENDPOINTS=ollama,lab"}, local("ollama", "", "a", "b"), ""},
		"one is":                          {[]string{"ENDPOINTS=ollama,lab"}, local("ollama", "b", "a", "b"), "ollama/b"},
		"one is set":                      {[]string{"ENDPOINTS=ollama,lab", "OLLAMA_MODEL=b"}, nil, "ollama/b"},
		"another vendor comes before it":  {[]string{"ENDPOINTS=lab,ollama"}, nil, "lab/big"},
		"DEFAULT_MODEL names it":          {[]string{"ENDPOINTS=lab,ollama", "DEFAULT_MODEL=ollama"}, nil, ""},
		"DEFAULT_MODEL, and GLM is there": {[]string{"ENDPOINTS=lab,ollama", "DEFAULT_MODEL=ollama", "GLM_API_KEY=k"}, nil, ""},
		"DEFAULT_MODEL names the other":   {[]string{"ENDPOINTS=ollama,lab", "DEFAULT_MODEL=lab"}, nil, "lab/big"},
		"it is switched off":              {[]string{"ENDPOINTS=ollama,lab", "DISABLED_PROVIDERS=ollama"}, nil, "lab/big"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t, map[string][]providers.Model{"lab": remote("lab", "big"), "ollama": c.list}, append(lab, c.environ...)...)
			out, err := s.ask(t, "", providers.CategoryFast)
			if c.want == "" {
				e := failure(t, err)
				assert.Equal(t, providers.KindNotConfigured, e.Kind)
				assert.Contains(t, e.Message, "OLLAMA_MODEL is not set")
				return
			}
			require.NoError(t, err)
			assert.Equal(t, c.want, out.Response.Content)
		})
	}
}

// What the model that DEFAULT_MODEL names can't take goes to no other vendor either.
func TestADefaultThatCannotTakeTheRequest(t *testing.T) {
	s := newSite(t, map[string][]providers.Model{"ollama": local("ollama", "m", "m", "n")}, "ENDPOINTS=ollama", "DEFAULT_MODEL=ollama", "GLM_API_KEY=k")
	call := ask("")
	call.Needs.Tokens = 20_000
	_, err := s.caller.Call(t.Context(), call)
	e := failure(t, err)
	assert.Equal(t, "No model of Ollama, which DEFAULT_MODEL names, can take 20000 tokens.", e.Message)
	assert.Equal(t, providers.KindInvalidRequest, e.Kind)
	call.Model = "glm"
	out, err := s.caller.Call(t.Context(), call)
	require.NoError(t, err)
	assert.Equal(t, "glm-5.3", out.Response.Content)
	call.Model, call.Prefer = "", "glm-5.3"
	out, err = s.caller.Call(t.Context(), call)
	require.NoError(t, err)
	assert.Equal(t, "glm-5.3", out.Response.Content, "the conversation's model")
}

// Nor does a conversation with a local model that is gone, or can't take what comes next.
func TestAConversationWithALocalModel(t *testing.T) {
	s := newSite(t, map[string][]providers.Model{"ollama": local("ollama", "", "other", "m")}, "ENDPOINTS=ollama", "GLM_API_KEY=k")
	call := ask("")
	call.Prefer = "ollama/m"
	out, err := s.caller.Call(t.Context(), call)
	require.NoError(t, err)
	assert.Equal(t, "ollama/m", out.Response.Content)
	call.Needs.Tokens = 20_000
	_, err = s.caller.Call(t.Context(), call)
	assert.Contains(t, failure(t, err).Message, "ollama/m, which answered before, is not there or can't take 20000 tokens")
	call.Needs.Tokens = 0
	s.reg.Catalog().Learn("ollama", local("ollama", "", "other"))
	_, err = s.caller.Call(t.Context(), call)
	assert.Equal(t, providers.KindInvalidRequest, failure(t, err).Kind)
	call.Model = "glm-5.3"
	out, err = s.caller.Call(t.Context(), call)
	require.NoError(t, err)
	assert.Equal(t, "glm-5.3", out.Response.Content)
}

// A local model that was refused, since it was not there, is asked again once its server lists it.
func TestALocalModelThatWasNotThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		list := local("ollama", "", "other")
		s := newSite(t, map[string][]providers.Model{"lab": remote("lab", "big")}, "ENDPOINTS=ollama,lab", "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=big", "OLLAMA_MODEL=m")
		s.vendors["ollama"].ListModelsFunc = func(context.Context) ([]providers.Model, error) { return list, nil }
		chat := s.vendors["ollama"].ChatFunc
		s.vendors["ollama"].ChatFunc = func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
			return nil, &providers.Error{Kind: providers.KindModelNotFound, Message: "not found, try pulling it first"}
		}
		_, err := s.ask(t, "ollama", providers.CategoryFast)
		assert.Equal(t, providers.KindModelNotFound, failure(t, err).Kind)
		list, s.vendors["ollama"].ChatFunc = local("ollama", "m", "other", "m"), chat
		time.Sleep(30 * time.Second)
		out, err := s.ask(t, "", providers.CategoryFast)
		require.NoError(t, err)
		assert.Equal(t, "ollama/m", out.Response.Content)
		require.NoError(t, s.caller.Close(context.Background()))
	})
}

// An endpoint without an address is there, and says what it lacks.
func TestAnEndpointThatCannotBeUsed(t *testing.T) {
	s := newSite(t, nil, "GLM_API_KEY=k", "ENDPOINTS=lab", "LAB_MODEL=big")
	_, err := s.ask(t, "lab", providers.CategoryFast)
	e := failure(t, err)
	assert.Equal(t, providers.KindNotConfigured, e.Kind)
	assert.Equal(t, "lab can't be used: LAB_API_URL is not set.", e.Message)
	assert.Equal(t, "Set LAB_API_URL in the server's environment and restart it.", e.Hint)

	s = newSite(t, nil, "ENDPOINTS=lab", "LAB_API_URL=https://lab.test/v1")
	_, err = s.ask(t, "lab", providers.CategoryFast)
	e = failure(t, err)
	assert.Equal(t, providers.KindNotConfigured, e.Kind)
	assert.Equal(t, "Which model of lab to ask is not known: LAB_MODEL is not set, and its list of models could not be read. lab could not be connected to.", e.Message)
	s.vendors["lab"].ChatFunc = fails(nil, notFound())
	_, err = s.ask(t, "lab/zzz", providers.CategoryFast)
	assert.Equal(t, "listmodels shows every name; leave the model out to have one chosen.", failure(t, err).Hint)
}

// A key that ENDPOINTS does not name makes no vendor.
func TestNoListIsReadOfWhoIsNotNamed(t *testing.T) {
	s := newSite(t, nil, "GLM_API_KEY=k", "OPENAI_API_KEY=k", "OPENROUTER_API_KEY=k")
	assert.Len(t, s.reg.Providers(), 1)
	_, err := s.ask(t, "openai/gpt-6.2-sol", providers.CategoryFast)
	assert.Equal(t, providers.KindModelNotFound, failure(t, err).Kind)
}

func TestModelsFileOverEndpoints(t *testing.T) {
	file := filepath.Join(t.TempDir(), "models.json")
	require.NoError(t, os.WriteFile(file, []byte(`[{"id":"lab/Big","context_window":200000,"price":{"input":1,"output":2}}]`), 0o600))
	s := newSite(t, map[string][]providers.Model{"lab": {{ID: "lab/big", Provider: "lab", ContextWindow: 5000, MaxOutput: 700}}},
		"ENDPOINTS=lab", "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=big", "MODELS_FILE="+file)
	out, err := s.ask(t, "lab", providers.CategoryFast)
	require.NoError(t, err)
	assert.Equal(t, "lab/big", out.Response.Content, "the id is the list's")
	assert.Equal(t, 200000, out.Model.ContextWindow, "the file wins")
	assert.Equal(t, 700, out.Model.MaxOutput, "the list fills what it leaves open")
	assert.Equal(t, &providers.Price{Input: 1, Output: 2}, out.Model.Price)

	require.NoError(t, os.WriteFile(file, []byte(`[{"id":"big","provider":"lab"}]`), 0o600))
	_, err = calls.NewRegistry(s.cfg, s.vendors["lab"])
	assert.ErrorContains(t, err, `model "big": the id of an endpoint's model begins with the endpoint: lab/big`)
}

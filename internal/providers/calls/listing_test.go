package calls_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
)

// TestWhichListsACallReads: those that say who is meant, and no others, since each delays the call.
func TestWhichListsACallReads(t *testing.T) {
	both := []string{"ollama", "lab"}
	for _, c := range []struct {
		name    string
		environ []string
		query   calls.Query
		want    []string
	}{
		{"a vendor's model", []string{"GLM_API_KEY=k"}, calls.Query{Model: "glm-5.3"}, nil},
		{"a vendor's name", []string{"GLM_API_KEY=k"}, calls.Query{Model: "glm"}, nil},
		{"an endpoint's model", []string{"GLM_API_KEY=k"}, calls.Query{Model: " lab/big "}, []string{"lab"}},
		{"an endpoint's name", []string{"GLM_API_KEY=k"}, calls.Query{Model: "ollama"}, []string{"ollama"}},
		{"a name that may be of any", []string{"GLM_API_KEY=k"}, calls.Query{Model: "qwen9"}, both},
		{"a name of a vendor's kind", []string{"GLM_API_KEY=k"}, calls.Query{Model: "glm-99"}, both},
		{"a model of a vendor without a key", []string{"KIMI_API_KEY=k"}, calls.Query{Model: "glm-5.3"}, both},
		{"none is named, and GLM answers", []string{"GLM_API_KEY=k"}, calls.Query{}, nil},
		{"none is named, and Kimi answers", []string{"KIMI_API_KEY=k"}, calls.Query{Model: "auto"}, nil},
		{"none is named, and endpoints alone answer", nil, calls.Query{}, both},
		{"the conversation's", []string{"GLM_API_KEY=k"}, calls.Query{Prefer: "lab/big"}, []string{"lab"}},
		{"the operator's", []string{"GLM_API_KEY=k", "DEFAULT_MODEL=lab/big"}, calls.Query{}, []string{"lab"}},
		{"the conversation's before the operator's", []string{"GLM_API_KEY=k", "DEFAULT_MODEL=lab/big"}, calls.Query{Prefer: "ollama/m"}, []string{"ollama"}},
		{"a tool of one endpoint", []string{"GLM_API_KEY=k"}, calls.Query{Provider: "lab", Model: "ollama/m"}, []string{"lab"}},
		{"a tool of one vendor", []string{"GLM_API_KEY=k"}, calls.Query{Provider: "glm"}, nil},
		{"a tool of nobody", nil, calls.Query{Provider: "nobody"}, nil},
		{"an endpoint that is switched off", []string{"DISABLED_PROVIDERS=lab"}, calls.Query{}, []string{"ollama"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, nil, append(c.environ, "ENDPOINTS=ollama,lab", "LAB_API_URL=https://lab.test/v1")...)
				var mu sync.Mutex
				var asked []string
				for name, v := range s.vendors {
					v.ListModelsFunc = func(context.Context) ([]providers.Model, error) {
						mu.Lock()
						defer mu.Unlock()
						asked = append(asked, name)
						return remote(name, "big", "m"), nil
					}
				}
				call := ask(c.query.Model)
				call.Prefer, call.Provider = c.query.Prefer, c.query.Provider
				_, _ = s.caller.Call(t.Context(), call)
				assert.ElementsMatch(t, c.want, asked)
				require.NoError(t, s.caller.Close(context.Background()))
			})
		})
	}
}

// hangingList makes an endpoint's list hang, and counts how often it is asked for.
func (s *site) hangingList(vendor string) *int {
	asked := new(int)
	s.vendors[vendor].ListModelsFunc = func(ctx context.Context) ([]providers.Model, error) {
		*asked++
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	return asked
}

func TestCallsThatNeedAListAtTheSameTimeShareIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil, "ENDPOINTS=lab", "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=big")
		asked := s.hangingList("lab")
		start := time.Now()
		var all sync.WaitGroup
		for range 3 {
			all.Go(func() {
				_, err := s.ask(t, "lab", providers.CategoryFast)
				assert.NoError(t, err)
				assert.Equal(t, 5*time.Second, time.Since(start), "each waits for it")
			})
			synctest.Wait()
		}
		all.Wait()
		assert.Equal(t, 1, *asked)
		require.NoError(t, s.caller.Close(context.Background()))
	})
}

func TestAClosedPathReadsNoLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil, "GLM_API_KEY=k", "ENDPOINTS=lab", "LAB_API_URL=https://lab.test/v1")
		asked := s.hangingList("lab")
		ofGLM := s.hangingList("glm")
		defer func() { assert.Zero(t, *ofGLM, "the lists of endpoints alone are needed") }()
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		s.caller.LearnEndpoints(ctx)
		assert.Equal(t, time.Second, time.Since(start), "whoever waits for a list may go, and the list is read on")
		require.NoError(t, s.caller.Close(context.Background()))
		assert.Equal(t, time.Second, time.Since(start))
		time.Sleep(time.Hour)
		s.caller.LearnEndpoints(t.Context())
		assert.Equal(t, 1, *asked, "a closed path asks nobody")
	})
}

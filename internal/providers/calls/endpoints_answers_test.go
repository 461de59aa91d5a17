package calls_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
)

// A vendor that counts the output limit in advance refuses more than one request may ask for: it is lowered once.
func TestAnOutputLimitThatIsRefused(t *testing.T) {
	for _, c := range []struct {
		over    []int // what the refusals say, in turn
		want    []int // the limits that were sent
		refused bool
	}{
		{[]int{2137}, []int{8192, 6055}, false},
		{[]int{8192 - 1024}, []int{8192, 1024}, false},
		{[]int{8192 - 1023}, []int{8192}, true},
		{[]int{100, 100}, []int{8192, 8092}, true},
	} {
		s := newSite(t, map[string][]providers.Model{"lab": remote("lab", "m")}, "ENDPOINTS=lab", "LAB_API_URL=https://lab.test/v1", "LAB_MODEL=m")
		var sent []int
		s.vendors["lab"].ChatFunc = func(_ context.Context, req providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
			sent = append(sent, req.MaxOutputTokens)
			if len(sent) <= len(c.over) {
				return nil, &providers.Error{Kind: providers.KindRateLimited, TooManyTokens: c.over[len(sent)-1], Message: "no"}
			}
			on(providers.Delta{Content: "ok"})
			return &providers.ChatResponse{Content: "ok", FinishReason: providers.FinishStop}, nil
		}
		out, err := s.ask(t, "lab/m", providers.CategoryFast)
		assert.Equal(t, c.want, sent)
		if c.refused {
			assert.Equal(t, providers.KindRateLimited, failure(t, err).Kind)
			continue
		}
		require.NoError(t, err)
		assert.Contains(t, strings.Join(out.Notes, " "), fmt.Sprintf("lab/m was asked for at most %d tokens", c.want[1]))
	}
}

// A server that says how much of the prompt it has read is alive: the wait for its first event begins again, and the client
// sees how far it is. When it falls silent, that wait ends.
func TestAServerThatReadsThePromptForLong(t *testing.T) {
	for _, c := range []struct {
		says  int // how often, every 200 s
		whole bool
	}{{3, true}, {2, false}} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, map[string][]providers.Model{"ollama": local("ollama", "m", "m")}, "ENDPOINTS=ollama", "BACKGROUND_MAX_SECS=3000")
			s.vendors["ollama"].ChatFunc = func(ctx context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
				for i := range c.says {
					time.Sleep(200 * time.Second)
					on(providers.Delta{Read: 1000 * (i + 1), Prompt: 3000})
				}
				if !c.whole {
					<-ctx.Done()
					return nil, &providers.Error{Kind: providers.KindCancelled, Err: context.Cause(ctx)}
				}
				time.Sleep(20 * time.Second)
				on(providers.Delta{Content: "read"})
				return &providers.ChatResponse{Content: "read", FinishReason: providers.FinishStop}, nil
			}
			var shown []string
			call := backgroundCall("", "conversation")
			call.On = func(e providers.Event) { shown = append(shown, strings.TrimSpace(string(e.Phase)+" "+e.Detail)) }
			limit := config.Limit{Name: "TEST_SECS", Value: 250 * time.Second}
			start := time.Now()
			ctx := providers.WithBudget(t.Context(), providers.Budget{Limit: limit, Class: config.ClassExpert, Start: start})
			out, err := s.caller.Call(ctx, call)
			require.NoError(t, err)
			require.NotNil(t, out.Live, "the call's own limit is over before")
			<-out.Live.Done()
			final := out.Live.Snapshot()
			assert.Equal(t, []string{"asking", "reading the prompt 33 %", "background"}, shown)
			if c.whole {
				assert.Equal(t, 620*time.Second, time.Since(start))
				assert.Equal(t, "read", final.Response.Content)
			} else {
				assert.Equal(t, 700*time.Second, time.Since(start))
				assert.Equal(t, "OLLAMA_TIMEOUT_SECS=300s", final.Limit.String())
			}
			require.NoError(t, s.caller.Close(context.Background()))
		})
	}
}

// listmodels reads every list that is not known yet; a model that its endpoint does not have gets the names of those that it has.
func TestTheListsOfAllEndpointsAreRead(t *testing.T) {
	s := newSite(t, map[string][]providers.Model{"ollama": local("ollama", "", "a", "b"), "lab": remote("lab", "big")},
		"ENDPOINTS=ollama,lab,openai", "LAB_API_URL=https://lab.test/v1")
	assert.Empty(t, s.reg.Models())
	s.caller.LearnEndpoints(t.Context())
	var names []string
	for _, m := range s.reg.Models() {
		names = append(names, m.ID)
	}
	assert.ElementsMatch(t, []string{"ollama/a", "ollama/b", "lab/big"}, names, "OpenAI has no key")
	s.vendors["ollama"].ChatFunc = func(context.Context, providers.ChatRequest, func(providers.Delta)) (*providers.ChatResponse, error) {
		return nil, &providers.Error{Kind: providers.KindModelNotFound, Message: "none"}
	}
	_, err := s.ask(t, "ollama/something-else", providers.CategoryFast)
	assert.Equal(t, "Ollama has ollama/a, ollama/b. listmodels shows every name.", failure(t, err).Hint)

	s.vendors["lab"].ChatFunc = s.vendors["ollama"].ChatFunc
	s.reg.Catalog().Learn("lab", remote("lab", "big", "q1", "q2", "q3", "q4", "q5"))
	_, err = s.ask(t, "lab/something-else", providers.CategoryFast)
	assert.Equal(t, "lab has lab/big, lab/q1, lab/q2, lab/q3, lab/q4. listmodels shows every name.", failure(t, err).Hint)
	_, err = s.ask(t, "lab/bigg", providers.CategoryFast)
	assert.Equal(t, "Did you mean lab/big? listmodels shows every name.", failure(t, err).Hint)
}

// A model that a local server runs elsewhere is not local: nothing says that it is, and an answer begins behind its call only
// once a part of it has arrived.
func TestAModelThatALocalServerRunsElsewhere(t *testing.T) {
	for model, isLocal := range map[string]bool{"ollama/small": true, "ollama/elsewhere": false, "ollama/never-seen:cloud": false, "ollama/never-seen-cloud": false, "ollama/never-seen": true} {
		synctest.Test(t, func(t *testing.T) {
			list := append(local("ollama", "", "small"), remote("ollama", "elsewhere")...)
			s := newSite(t, map[string][]providers.Model{"ollama": list}, "ENDPOINTS=ollama")
			out, err := s.ask(t, model, providers.CategoryFast)
			require.NoError(t, err)
			assert.Equal(t, isLocal, strings.Contains(strings.Join(out.Notes, " "), "Sent to a server on this machine."), model)

			s.vendors["ollama"].ChatFunc = func(ctx context.Context, _ providers.ChatRequest, _ func(providers.Delta)) (*providers.ChatResponse, error) {
				<-ctx.Done()
				return nil, &providers.Error{Kind: providers.KindCancelled, Err: context.Cause(ctx)}
			}
			limit := config.Limit{Name: "TEST_SECS", Value: 20 * time.Second}
			ctx := providers.WithBudget(t.Context(), providers.Budget{Limit: limit, Class: config.ClassExpert, Start: time.Now()})
			out, err = s.caller.Call(ctx, backgroundCall(model, "thread"))
			if isLocal {
				require.NoError(t, err, model)
				assert.NotNil(t, out.Live, model)
			} else {
				assert.Equal(t, providers.KindTimeout, failure(t, err).Kind, model)
				assert.Equal(t, "TEST_SECS=20s", failure(t, err).Limit.String(), model)
			}
			require.NoError(t, s.caller.Close(context.Background()))
		})
	}
}

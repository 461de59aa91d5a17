package calls_test

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
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

func TestRunning(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc, b.kimi.ChatFunc = steady(100), stream(nil, say(20*time.Second, "yes"))
		out, err := b.caller.Call(b.inClass(t.Context(), config.ClassSimple), backgroundCall("glm-5.3", "conversation"))
		require.NoError(t, err)
		assert.Equal(t, []*calls.Generation{out.Live}, b.caller.Running())
		var waiting sync.WaitGroup
		waiting.Go(func() { _, _ = b.caller.Call(b.inClass(t.Context(), config.ClassSimple), ask("kimi-k3")) })
		time.Sleep(time.Second)
		assert.Len(t, b.caller.Running(), 2, "one goes on in the background, for the other a call waits")
		waiting.Wait()
		<-out.Live.Done()
		synctest.Wait()
		assert.Empty(t, b.caller.Running())
	})
}

// noticedLate is a context whose end is noticed only when nothing else can go on.
type noticedLate struct{ context.Context }

func (c noticedLate) Done() <-chan struct{} {
	synctest.Wait()
	return c.Context.Done()
}

func TestACallThatWasCancelledBeforeSendsNothingMeanwhile(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		b.glm.ChatFunc = answers("never")
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		out, err := b.caller.Call(noticedLate{ctx}, ask("glm-5.3"))
		assert.Equal(t, providers.KindCancelled, failure(t, err).Kind)
		assert.Zero(t, out.Attempts)
		assert.Empty(t, b.seen.attempts)
	})
}

// A refusal says how long after the call's start it came: what the tool did before counts.
func TestARefusalHasItsTime(t *testing.T) {
	inFakeTime(t, nil, func(t *testing.T, b *fixture) {
		ctx := b.inClass(t.Context(), config.ClassSimple)
		time.Sleep(2 * time.Second)
		_, err := b.caller.Call(ctx, ask("gpt-4"))
		assert.Equal(t, 2*time.Second, failure(t, err).Elapsed)
	})
}

// A server that stops does not wait for a list of models that nobody waits for.
func TestCloseEndsTheReadingOfLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, nil, "ENDPOINTS=ollama", "OLLAMA_MODEL=m")
		s.vendors["ollama"].ListModelsFunc = func(ctx context.Context) ([]providers.Model, error) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		_, err := s.caller.Call(ctx, ask("ollama"))
		assert.Equal(t, providers.KindCancelled, failure(t, err).Kind)
		start := time.Now()
		require.NoError(t, s.caller.Close(context.Background()))
		assert.Zero(t, time.Since(start))
	})
}

func TestPreviewOfAnEndpoint(t *testing.T) {
	s := newSite(t, map[string][]providers.Model{"ollama": local("ollama", "b", "a", "b")}, "ENDPOINTS=ollama")
	s.vendors["ollama"].PayloadFunc = func(req providers.ChatRequest) (json.RawMessage, error) {
		return json.RawMessage(`{"model":"` + req.Model.ID + `"}`), nil
	}
	p, err := s.caller.Preview(t.Context(), ask("ollama"))
	require.NoError(t, err)
	assert.JSONEq(t, `{"model":"ollama/b"}`, string(p.Body), "the loaded one, as its list says")
	assert.Equal(t, []string{"ollama means ollama/b here."}, p.Notes)
}

func TestPreviewsThatFail(t *testing.T) {
	b := setUp(t, nil)
	unbuilt, unshown := errors.New("no such file"), errors.New("no payload")
	b.glm.PayloadFunc = func(providers.ChatRequest) (json.RawMessage, error) { return json.RawMessage(`{}`), unshown }
	_, err := b.caller.Preview(t.Context(), ask("gpt-4"))
	assert.Equal(t, providers.KindModelNotFound, failure(t, err).Kind)
	_, err = b.caller.Preview(t.Context(), calls.Call{Model: "glm-5.3", Build: func(providers.Model) (providers.ChatRequest, error) {
		return providers.ChatRequest{}, unbuilt
	}})
	require.ErrorIs(t, err, unbuilt)
	p, err := b.caller.Preview(t.Context(), ask("glm-5.3"))
	require.ErrorIs(t, err, unshown)
	assert.Nil(t, p)
}

// plainPath is a path over a vendor that can do nothing but chat.
func plainPath(t *testing.T) *calls.Caller {
	cfg := config.Default()
	cfg.GLM.APIKey = "k"
	reg, err := calls.NewRegistry(cfg, struct{ providers.Provider }{&providertest.Stub{Vendor: "glm"}})
	require.NoError(t, err)
	return calls.NewCaller(reg, cfg, nil, nil)
}

func TestAVendorThatCanOnlyChat(t *testing.T) {
	c := plainPath(t)
	list, err := c.ListModels(t.Context(), "glm")
	require.NoError(t, err)
	assert.Empty(t, list)
	_, err = c.Preview(t.Context(), ask("glm-5.3"))
	e := failure(t, err)
	assert.Equal(t, providers.KindInvalidRequest, e.Kind)
	assert.Equal(t, "A request to GLM (Z.ai) cannot be previewed.", e.Message)
	_, err = c.ListModels(t.Context(), "kimi")
	assert.Equal(t, providers.KindNotConfigured, failure(t, err).Kind)
}

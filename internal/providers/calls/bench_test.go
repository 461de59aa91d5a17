package calls_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// BenchmarkDelta is what the path adds to each delta of an answer: the text kept, the idle limit set again, the event.
func BenchmarkDelta(b *testing.B) {
	path := setUp(b, func(c *config.Config) { c.Calls.MaxAnswerBytes = 0 })
	path.glm.ChatFunc = func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		b.ResetTimer()
		for range b.N {
			on(providers.Delta{Content: "a word "})
		}
		b.StopTimer()
		return &providers.ChatResponse{Content: "done", FinishReason: providers.FinishStop}, nil
	}
	call := ask("glm-5.3")
	call.On = func(providers.Event) {}
	b.ReportAllocs()
	_, err := path.caller.Call(path.inClass(b.Context(), config.ClassFile), call)
	require.NoError(b, err)
}

// BenchmarkCall is what the path adds to a whole call of an instant vendor: choosing, preparing, a slot, the goroutine,
// the clocks.
func BenchmarkCall(b *testing.B) {
	path := setUp(b, nil)
	path.caller = calls.NewCaller(path.reg, path.cfg, nil, nil)
	path.glm.ChatFunc = func(_ context.Context, _ providers.ChatRequest, on func(providers.Delta)) (*providers.ChatResponse, error) {
		on(providers.Delta{Content: "yes"})
		return &providers.ChatResponse{Content: "yes", FinishReason: providers.FinishStop}, nil
	}
	for _, name := range []string{"glm-5.3", "auto"} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := path.caller.Call(path.inClass(b.Context(), config.ClassSimple), ask(name)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkExchange sets a chat over loopback beside the bare HTTP exchange that it stands on.
func BenchmarkExchange(b *testing.B) {
	e, err := emulator.Start()
	require.NoError(b, err)
	defer e.Close()
	e.Always(emulator.Match{}, func(emulator.Request) emulator.Reply { return emulator.Say("one ", "two ", "three ", "four") })
	url := e.URL(emulator.GLM)
	b.Run("bare HTTP", func(b *testing.B) {
		client := &http.Client{Transport: &http.Transport{}}
		defer client.CloseIdleConnections()
		const body = `{"model":"glm-5.3","messages":[{"role":"user","content":"Why?"}],"stream":true,"max_tokens":8192}`
		b.ReportAllocs()
		for b.Loop() {
			req, err := http.NewRequestWithContext(b.Context(), http.MethodPost, url+"/chat/completions", strings.NewReader(body))
			if err != nil {
				b.Fatal(err)
			}
			req.Header.Set("Authorization", "Bearer "+e.Key(emulator.GLM))
			req.Header.Set("Content-Type", "application/json")
			resp, err := client.Do(req)
			if err != nil {
				b.Fatal(err)
			}
			answer, err := io.ReadAll(resp.Body)
			resp.Body.Close()
			if err != nil || !strings.Contains(string(answer), "four") {
				b.Fatal(err, string(answer))
			}
		}
	})
	b.Run("chat", func(b *testing.B) {
		r, down := build(b, emulator.GLM, byDefault(), e, url, nil)
		defer down()
		r.caller = calls.NewCaller(r.registry, r.cfg, nil, nil)
		b.ReportAllocs()
		for b.Loop() {
			budget := r.clock.budget()
			budget.Start = time.Now()
			out, err := r.caller.Call(providers.WithBudget(b.Context(), budget), ask("glm-5.3"))
			if err != nil || out.Response.Content != "one two three four" {
				b.Fatal(err, out.Response.Content)
			}
		}
	})
}

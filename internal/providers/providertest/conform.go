package providertest

import (
	"context"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/calls"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// Options is how the suite wants a provider made.
type Options struct {
	Key            config.Secret
	Timeouts       config.TimeoutConfig
	Models         []providers.Model
	MaxAnswerBytes int64
	// DialContext makes the provider's connections; nil means the network.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// Make makes a provider that talks to baseURL and closes it with t.Cleanup.
type Make func(t *testing.T, baseURL string, o Options) providers.Provider

// Conform is what every vendor's Provider must do: send what the vendor takes, for every model in the catalogue and
// every switch; understand every answer, and every failure that a vendor was seen to have; and leave nothing running.
// It runs against the emulator, a strict double of the vendor, over pipes and under a fake clock: a goroutine left
// behind fails the test. Optional abilities are tested where the provider has them.
//
// models are the vendor's; without any, those that the catalogue has of it.
func Conform(t *testing.T, v emulator.Vendor, create Make, models ...providers.Model) {
	if len(models) == 0 {
		catalog, err := calls.NewCatalog("")
		require.NoError(t, err)
		models = catalog.Models(string(v))
	}
	s := suite{vendor: v, create: create, models: models}
	t.Run("answers", s.answers)
	t.Run("tool calls", s.toolCalls)
	t.Run("streams", s.streams)
	t.Run("requests", s.requests)
	t.Run("errors", s.errors)
	t.Run("refusals", s.refusals)
	t.Run("accounts", s.accounts)
	t.Run("faults", s.faults)
	t.Run("abilities", s.abilities)
	t.Run("sockets", s.sockets)
}

// suite is Conform for one provider.
type suite struct {
	vendor emulator.Vendor
	create Make
	models []providers.Model
}

// bench is one emulator and one provider that talks to it.
type bench struct {
	suite
	emulator *emulator.Emulator
	provider providers.Provider
}

// maxAnswer is MAX_ANSWER_BYTES in the suite.
const maxAnswer = 1 << 20

// test runs one part of the suite on a provider of its own, under a fake clock.
func (s suite) test(t *testing.T, name string, f func(t *testing.T, b bench)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			l := NewPipeListener()
			e := emulator.New()
			t.Cleanup(func() {
				e.Close()
				assert.Zero(t, e.Connections(), "connections left open")
			})
			e.Serve(s.vendor, l)
			f(t, bench{s, e, s.create(t, e.URL(s.vendor), s.options(e, l))})
		})
	})
}

func (s suite) options(e *emulator.Emulator, l *PipeListener) Options {
	o := Options{
		Key: config.Secret(e.Key(s.vendor)), Models: s.models, MaxAnswerBytes: maxAnswer,
		Timeouts: config.TimeoutConfig{Connect: 5 * time.Second},
	}
	if l != nil {
		o.DialContext = l.Dial
	}
	return o
}

// model is the first model of the catalogue that is served and fits.
func (s suite) model(t *testing.T, fits func(providers.Model) bool) providers.Model {
	t.Helper()
	for _, m := range s.served() {
		if fits(m) {
			return m
		}
	}
	t.Fatal("the catalogue has no such model")
	return providers.Model{}
}

// served are the models that every account can call today.
func (s suite) served() []providers.Model {
	var served []providers.Model
	for _, m := range s.models {
		if m.Status == providers.StatusActive || m.Status == providers.StatusRetiring {
			served = append(served, m)
		}
	}
	return served
}

// ask is a question to a model that thinks and takes functions.
func (s suite) ask(t *testing.T, text string) providers.ChatRequest {
	t.Helper()
	m := s.model(t, func(m providers.Model) bool { return m.Functions && m.Thinking.Thinks() && m.JSONObject })
	return providers.ChatRequest{
		Model: m, MaxOutputTokens: 8_192, Thinking: m.Thinking.Switch(providers.ThinkLow, time.Minute),
		Messages: []providers.Message{{Role: providers.RoleUser, Content: text}},
	}
}

// chat asks and must be answered.
func (b bench) chat(t *testing.T, req providers.ChatRequest) (*providers.ChatResponse, []providers.Delta) {
	t.Helper()
	var deltas []providers.Delta
	resp, err := b.provider.Chat(t.Context(), req, func(d providers.Delta) { deltas = append(deltas, d) })
	require.NoError(t, err, "refused: %s", b.last().Refused)
	return resp, deltas
}

// last is the request that arrived last.
func (b bench) last() emulator.Request {
	all := b.emulator.Requests()
	if len(all) == 0 {
		return emulator.Request{}
	}
	return all[len(all)-1]
}

// failed checks that err is an *Error for all of its three audiences, and gives nothing away.
func (b bench) failed(t *testing.T, err error) *providers.Error {
	t.Helper()
	var e *providers.Error
	require.ErrorAs(t, err, &e)
	assert.Equal(t, string(b.vendor), e.Provider)
	assert.NotEmpty(t, e.Message)
	assert.NotContains(t, e.Message+e.Hint, vendorText, "a vendor's words are for the log alone")
	assert.NotContains(t, e.Error()+e.Hint, b.emulator.Key(b.vendor), "the key leaks")
	assert.NotContains(t, e.Message+e.Hint, "{", "a placeholder was left unfilled")
	return e
}

// vendorText stands in the emulator's errors where a vendor's own words would.
const vendorText = "WORDS-OF-THE-VENDOR"

package providertest

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

// refusal is one error of a vendor's documentation and what it means to us.
type refusal struct {
	status  int
	code    string // GLM's code or Kimi's type
	message string
	kind    providers.Kind
	retry   bool
	scope   scope
}

// scope is what a rate limit counts, as far as the refusal names it.
type scope int

const (
	unnamed scope = iota
	atOnce
	perMinute
)

// errors is what a provider must make of every error that its vendor documents: in the HTTP status, in the body of a
// 200, and as an event in the middle of a stream.
func (s suite) errors(t *testing.T) {
	for _, r := range documented(s.vendor) {
		check := func(t *testing.T, b bench, err error) {
			t.Helper()
			e := b.failed(t, err)
			assert.Equal(t, r.kind, e.Kind)
			assert.Equal(t, r.retry, e.Retry, "retry")
			assert.Equal(t, r.scope == atOnce, e.Concurrency, "concurrency")
			assert.Equal(t, r.scope == perMinute, e.PerMinute, "per minute")
			assert.Equal(t, r.code, e.VendorCode)
			assert.NotEmpty(t, e.Hint)
			assert.NotEmpty(t, e.RequestID)
		}
		text := vendorText + " " + r.message
		s.test(t, r.code+" "+r.message, func(t *testing.T, b bench) {
			req := b.ask(t, "hello")
			b.emulator.Script(emulator.Fail(emulator.VendorError(r.status, r.code, text)))
			resp, err := b.provider.Chat(t.Context(), req, nil)
			assert.Nil(t, resp)
			check(t, b, err)

			b.emulator.Script(emulator.Fail(emulator.ErrorIn200(false, r.code, text)))
			resp, err = b.provider.Chat(t.Context(), req, nil)
			assert.Nil(t, resp)
			check(t, b, err)

			b.emulator.Script(emulator.Say("one ", "two ", "three").With(emulator.ErrorEvent(2, r.code, text)))
			resp, err = b.provider.Chat(t.Context(), req, nil)
			check(t, b, err)
			require.NotNil(t, resp)
			assert.Equal(t, "one two ", resp.Content)
			assert.Equal(t, 3, len(b.emulator.Requests()), "one request each: retrying is the caller's business")
		})
	}
}

// refusals is what a provider must read in a refusal beside its code.
func (s suite) refusals(t *testing.T) {
	s.test(t, "Retry-After", func(t *testing.T, b bench) {
		for value, want := range map[string]time.Duration{
			"7": 7 * time.Second, time.Now().Add(90 * time.Second).UTC().Format(http.TimeFormat): 90 * time.Second,
		} {
			b.emulator.Script(emulator.Fail(emulator.Status(http.StatusTooManyRequests, "", "Retry-After", value)))
			_, err := b.provider.Chat(t.Context(), b.ask(t, "hello"), nil)
			e := b.failed(t, err)
			assert.Equal(t, want, e.RetryAfter)
			assert.Equal(t, providers.KindRateLimited, e.Kind)
		}
	})
	s.test(t, "what the vendor itself refuses", func(t *testing.T, b bench) {
		req := b.ask(t, "hello")
		req.Model.ID = string(b.vendor) + "-0"
		if b.vendor == emulator.Lab { // whose models have its name before them
			req.Model.ID = "lab/none"
		}
		_, err := b.provider.Chat(t.Context(), req, nil)
		assert.Equal(t, providers.KindModelNotFound, b.failed(t, err).Kind)

		req = b.ask(t, "hello")
		req.Thinking = providers.ThinkingSwitch{Effort: "extreme"}
		_, err = b.provider.Chat(t.Context(), req, nil)
		assert.Equal(t, providers.KindInvalidRequest, b.failed(t, err).Kind)
	})
	s.test(t, "the part that the vendor refuses is named", func(t *testing.T, b bench) {
		req := b.ask(t, "weather?")
		req.Functions = []providers.Function{weather}
		req.Functions[0].Name = "not a name"
		_, err := b.provider.Chat(t.Context(), req, nil)
		e := b.failed(t, err)
		assert.Equal(t, providers.KindInvalidRequest, e.Kind)
		assert.Contains(t, e.Message, "tools.function.name")
		if b.vendor != emulator.Kimi {
			return
		}
		req.Functions[0].Name = "weather"
		req.Functions[0].Parameters = json.RawMessage(`{"type":"object","properties":{"a":{"description":"no type"}}}`)
		_, err = b.provider.Chat(t.Context(), req, nil)
		e = b.failed(t, err)
		assert.Contains(t, e.Message, "properties.a of the function weather has no type")
	})
}

// accounts is what a provider must make of a key that does not serve, and of a caller who goes away.
func (s suite) accounts(t *testing.T) {
	s.test(t, "a wrong key", func(t *testing.T, b bench) {
		l := NewPipeListener()
		b.emulator.Serve(b.vendor, l)
		o := b.options(b.emulator, l)
		o.Key = "sk-not-the-right-key-at-all"
		p := b.create(t, b.emulator.URL(b.vendor), o)
		_, err := p.Chat(t.Context(), b.ask(t, "hello"), nil)
		e := b.failed(t, err)
		assert.Equal(t, providers.KindAuth, e.Kind)
		assert.NotContains(t, e.Error(), "sk-not-the-right-key-at-all")
	})
	s.test(t, "no balance", func(t *testing.T, b bench) {
		l := NewPipeListener()
		poor := emulator.New(emulator.Balance(b.vendor, 0))
		t.Cleanup(poor.Close)
		poor.Serve(b.vendor, l)
		p := b.create(t, poor.URL(b.vendor), b.options(poor, l))
		_, err := p.Chat(t.Context(), b.ask(t, "hello"), nil)
		e := b.failed(t, err)
		assert.Equal(t, providers.KindBalance, e.Kind)
		assert.False(t, e.Retry)
	})
	s.test(t, "cancelling closes the connection", func(t *testing.T, b bench) {
		b.emulator.Script(emulator.Say("one ", "two ", "three").With(emulator.StallAfter(2)))
		why := errors.New("nobody waits any more")
		ctx, cancel := context.WithCancelCause(t.Context())
		pieces := 0
		resp, err := b.provider.Chat(ctx, b.ask(t, "hello"), func(providers.Delta) {
			if pieces++; pieces == 2 {
				cancel(why)
			}
		})
		_ = b.failed(t, err)
		require.ErrorIs(t, err, why)
		assert.Equal(t, "one two ", resp.Content)
		_, err = b.emulator.WaitGone(t.Context(), 1)
		require.NoError(t, err)
		synctest.Wait() // the server hears of it before it lets go of the connection
		assert.Zero(t, b.emulator.Connections())
	})
}

// documented are the errors of the vendors' documents (Z.ai and Moonshot API docs, errors) that a request can meet.
func documented(v emulator.Vendor) []refusal {
	if v == emulator.Lab {
		return kimiRefusals
	}
	if v == emulator.Kimi {
		return []refusal{
			{400, "invalid_request_error", "bad", providers.KindInvalidRequest, false, unnamed},
			{400, "invalid_request_error", "Your request exceeded model token limit: 262144 (requested: 269030)", providers.KindContextLength, false, unnamed},
			{400, "content_filter", "", providers.KindContentFiltered, false, unnamed},
			{401, "invalid_authentication_error", "", providers.KindAuth, false, unnamed},
			{401, "incorrect_api_key_error", "", providers.KindAuth, false, unnamed},
			{403, "permission_denied_error", "", providers.KindAuth, false, unnamed},
			{403, "permission_error", "You've reached your usage limit for this billing cycle", providers.KindRateLimited, false, unnamed},
			{403, "access_terminated_error", "You have reached your weekly quota limit", providers.KindRateLimited, false, unnamed},
			{403, "access_terminated_error", "Kimi For Coding is currently only available for Coding Agents", providers.KindAuth, false, unnamed},
			{403, "exceeded_current_quota_error", "account is not active", providers.KindBalance, false, unnamed},
			{404, "resource_not_found_error", "", providers.KindModelNotFound, false, unnamed},
			{429, "engine_overloaded_error", "", providers.KindOverloaded, true, unnamed},
			{429, "rate_limit_reached_error", "max RPM: 3", providers.KindRateLimited, true, perMinute},
			{429, "rate_limit_reached_error", "max TPM: 500000", providers.KindRateLimited, true, perMinute},
			{429, "rate_limit_reached_error", "max TPD: 1500000", providers.KindRateLimited, false, unnamed},
			{429, "rate_limit_reached_error", "max concurrency: 1", providers.KindRateLimited, true, atOnce},
			{429, "exceeded_current_quota_error", "", providers.KindBalance, false, unnamed},
			{500, "server_error", "", providers.KindProviderError, true, unnamed},
			{500, "unexpected_output", "", providers.KindProviderError, true, unnamed},
		}
	}
	list := slices.Clone(glmRefusals)
	add := func(status int, kind providers.Kind, retry bool, codes ...string) {
		for _, code := range codes {
			list = append(list, refusal{status, code, "", kind, retry, unnamed})
		}
	}
	add(500, providers.KindProviderError, true, "500", "1200", "1230", "1120")
	add(401, providers.KindAuth, false, "1000", "1001", "1002", "1003", "1004", "1110", "1111", "1112", "1121", "1220", "1314", "1315")
	add(400, providers.KindInvalidRequest, false, "1210", "1212", "1213", "1214", "1215", "1231")
	add(400, providers.KindContentFiltered, false, "1300", "1301")
	add(400, providers.KindProviderError, false, "1221", "1222")
	add(429, providers.KindRateLimited, false, "1304", "1308", "1310", "1316", "1317", "1318", "1319", "1320", "1321")
	return list
}

var kimiRefusals = []refusal{
	{400, "invalid_request_error", "bad", providers.KindInvalidRequest, false, unnamed},
	{400, "unsupported_value", "", providers.KindInvalidRequest, false, unnamed},
	{400, "context_length_exceeded", "", providers.KindContextLength, false, unnamed},
	{400, "invalid_request_error", "This model's maximum context length is 8192 tokens", providers.KindContextLength, false, unnamed},
	{400, "exceed_context_size_error", "", providers.KindContextLength, false, unnamed},
	{400, "content_policy_violation", "", providers.KindContentFiltered, false, unnamed},
	{400, "data_inspection_failed", "", providers.KindContentFiltered, false, unnamed},
	{400, "Arrearage", "", providers.KindBalance, false, unnamed},
	{400, "invalid_argument", "API key not valid. Please pass a valid API key.", providers.KindAuth, false, unnamed},
	{400, "invalid_request_error", "No models loaded. Please load a model", providers.KindModelNotFound, false, unnamed},
	{401, "invalid_api_key", "", providers.KindAuth, false, unnamed},
	{402, "402", "Insufficient credits", providers.KindBalance, false, unnamed},
	{402, "402", "", providers.KindBalance, false, unnamed},
	{404, "model_not_found", "", providers.KindModelNotFound, false, unnamed},
	{404, "not_found", `model "x" not found, try pulling it first`, providers.KindModelNotFound, false, unnamed},
	{429, "rate_limit_exceeded", "", providers.KindRateLimited, true, unnamed},
	{429, "429", "", providers.KindRateLimited, true, unnamed},
	{429, "rate_limit_exceeded", "on tokens per min (TPM): Limit 30000", providers.KindRateLimited, true, perMinute},
	{429, "rate_limit_exceeded", "too many concurrent requests", providers.KindRateLimited, true, atOnce},
	{429, "insufficient_quota", "", providers.KindBalance, false, unnamed},
	{500, "server_error", "", providers.KindProviderError, true, unnamed},
	{503, "overloaded_error", "", providers.KindOverloaded, true, unnamed},
	{503, "unavailable_error", "Loading model", providers.KindOverloaded, true, unnamed},
}

var glmRefusals = []refusal{
	{429, "1113", "", providers.KindBalance, false, unnamed},
	{429, "1302", "", providers.KindRateLimited, true, atOnce},
	{429, "1303", "", providers.KindRateLimited, true, perMinute},
	{429, "1313", "", providers.KindAuth, false, unnamed},
	{429, "1305", "", providers.KindOverloaded, true, unnamed},
	{429, "1312", "", providers.KindOverloaded, true, unnamed},
	{429, "1309", "", providers.KindBalance, false, unnamed},
	{429, "1311", "", providers.KindModelNotFound, false, unnamed},
	{400, "1211", "", providers.KindModelNotFound, false, unnamed},
	{400, "1261", "", providers.KindContextLength, false, unnamed},
	{500, "1234", "", providers.KindNetwork, true, unnamed},
}

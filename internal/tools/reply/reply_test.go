package reply

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/workspace"
)

func TestObjectKeepsItsOrder(t *testing.T) {
	var o Object
	o.Set("z", 1).Set("a", "<b> & \u2028").Set("z", 2).Set("gone", true).Set("m", &Object{})
	o.Delete("gone")
	o.Delete("never there")
	r := Result{Body: o}
	text, err := r.JSON()
	require.NoError(t, err)
	assert.Equal(t, "{\"z\":2,\"a\":\"<b> & \\u2028\",\"m\":{}}", string(text))
	assert.Equal(t, []string{"z", "a", "m"}, o.Keys())
	assert.Equal(t, 2, o.Get("z"))
	assert.Nil(t, o.Get("gone"))
}

func TestOrdered(t *testing.T) {
	const text = `{"z":1,"a":[{"y":9007199254740993,"b":null},[]],"n":1.50,"t":true}`
	v, err := ParseOrdered([]byte(text))
	require.NoError(t, err)
	r := Result{Body: *v.(*Object)}
	back, err := r.JSON()
	require.NoError(t, err)
	assert.Equal(t, text, string(back))
	for _, bad := range []string{``, `{`, `{"a"`, `[1,`, `{"a":}`} {
		_, err := ParseOrdered([]byte(bad))
		assert.Error(t, err, bad)
	}
}

func TestMetadata(t *testing.T) {
	no := false
	m := Metadata{ToolName: "x", DurationMS: 5, Stored: &no}
	m.Own.Set("own", 1)
	m.Note("n")
	r := Result{}
	r.Body.Set("metadata", m)
	text, err := r.JSON()
	require.NoError(t, err)
	assert.Equal(t, `{"metadata":{"tool_name":"x","duration_ms":5,"stored":false,"own":1,"notes":["n"]}}`, string(text))
	assert.Nil(t, m.Own.Get("notes"), "writing changes nothing")
}

// An error that only says that the context ended is told by the context's cause.
func TestOfContexts(t *testing.T) {
	limit := config.Limit{Name: "SIMPLE_TOOL_TIMEOUT_SECS", Value: time.Second}
	ctx, cancel := context.WithDeadlineCause(t.Context(), time.Now().Add(-time.Second), LimitExceeded(limit))
	defer cancel()
	for _, err := range []error{ctx.Err(), context.Cause(ctx), errors.Join(errors.New("reading"), context.Canceled)} {
		e := FromError(ctx, err)
		assert.Equal(t, CodeTimeout, e.Code)
		assert.Equal(t, limit, *e.Limit)
	}
	gone := errors.New("cancelled by client")
	ctx2, cancel2 := context.WithCancelCause(t.Context())
	cancel2(gone)
	assert.Equal(t, CodeCancelled, FromError(ctx2, context.Canceled).Code)
	assert.Equal(t, CodeCancelled, FromError(ctx2, gone).Code)
	assert.Equal(t, CodeInternal, FromError(t.Context(), context.Canceled).Code, "not this call's context")
	for _, stopped := range []*Error{FromError(ctx2, gone), FromError(ctx2, &providers.Error{Kind: providers.KindCancelled, Message: "The call was cancelled."})} {
		assert.Equal(t, CodeCancelled, stopped.Code, "for the log")
		object, err := stopped.Result().JSON()
		require.NoError(t, err)
		assert.Contains(t, string(object), `"code":"network","message":"exai-mcp was stopped before an answer came.","hint":"Send the call again.`)
		assert.Contains(t, string(object), `"retryable":true`)
	}
	assert.Equal(t, CodeRateLimited, FromError(ctx, &providers.Error{Kind: providers.KindRateLimited}).Code, "what a vendor said comes first")
}

// What a vendor's failure says about sending the same again.
func TestRetryable(t *testing.T) {
	for want, errs := range map[bool][]providers.Error{
		true: {
			{Kind: providers.KindRateLimited, Retry: true},
			{Kind: providers.KindRateLimited, RetryAfter: time.Hour}, // a day's allowance, with the time of its renewal
			{Kind: providers.KindOverloaded},
			{Kind: providers.KindTimeout},
			{Kind: providers.KindNetwork, Retry: true},
			{Kind: providers.KindProviderError, Retry: true},
		},
		false: {
			{Kind: providers.KindNetwork},     // such as a certificate that is not trusted, or a name that does not exist
			{Kind: providers.KindRateLimited}, // a day's or a plan's allowance: a client that repeats its call by itself would never end
			{Kind: providers.KindProviderError}, {Kind: providers.KindAuth}, {Kind: providers.KindBalance},
		},
	} {
		for _, e := range errs {
			assert.Equal(t, want, FromError(t.Context(), &e).Retryable, "%+v", e)
		}
	}
}

func TestErrorForTheLog(t *testing.T) {
	vendor := &providers.Error{Kind: providers.KindBalance, Message: "Nothing left.", HTTPStatus: 429, VendorCode: "1113", RequestID: "r1", Err: errors.New("cause")}
	assert.Equal(t, `balance: Nothing left. [HTTP 429, code "1113", request "r1"] (cause)`, FromError(t.Context(), vendor).Error())
	assert.Equal(t, "internal: Internal error in the tool. (cause)", FromError(t.Context(), errors.New("cause")).Error())
	file := &workspace.Error{Code: workspace.CodeNotFound, Message: "Not there."}
	assert.Equal(t, "file_not_found: Not there.", FromError(t.Context(), file).Error(), "once")
	file.Err = errors.New("cause")
	assert.Equal(t, "file_not_found: Not there. (cause)", FromError(t.Context(), file).Error())
	assert.ErrorIs(t, FromError(t.Context(), vendor), vendor.Err)
}

// Texts reach the client as they are, whoever escaped them before.
func TestNothingIsEscapedForHTML(t *testing.T) {
	const code = `a < b && c > d // "\u003c" \\u0026 \`
	escaped, err := json.Marshal(map[string]string{"step": code})
	require.NoError(t, err)
	upper := json.RawMessage(`{"step":"\u003C\u003E"}`)
	r := &Result{}
	r.Body.Set("raw", json.RawMessage(escaped)).Set("upper", upper).Set("inner", (&Object{}).Set("raw", json.RawMessage(escaped))).
		Set("list", []any{json.RawMessage(escaped), code})
	r.Metadata.Note(code)
	r.Body.Set("metadata", r.Metadata)
	text, err := r.JSON()
	require.NoError(t, err)
	const plain = `"a < b && c > d // \"\\u003c\" \\\\u0026 \\"`
	assert.Equal(t, `{"raw":{"step":`+plain+`},"upper":{"step":"<>"},"inner":{"raw":{"step":`+plain+`}},"list":[{"step":`+plain+`},`+plain+
		`],"metadata":{"tool_name":"","duration_ms":0,"notes":[`+plain+`]}}`, string(text))
	var back struct{ List []any }
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, code, back.List[1])
	assert.Equal(t, `"<b>"`, Quote("<b>"))
}

func FuzzUnescapeHTML(f *testing.F) {
	f.Add(`a < b && c`)
	f.Add(`\u003c \\u003c \`)
	f.Fuzz(func(t *testing.T, text string) {
		escaped, err := json.Marshal([]string{text})
		require.NoError(t, err)
		var want, got []string
		require.NoError(t, json.Unmarshal(escaped, &want))
		require.NoError(t, json.Unmarshal(unescapeHTML(escaped), &got))
		require.Equal(t, want, got)
	})
}

func TestCompact(t *testing.T) {
	fresh := func() *Result {
		no := false
		r := &Result{Metadata: Metadata{
			ToolName: "x", ModelUsed: "m", ProviderUsed: "glm", DurationMS: 0, Attempts: 1, FinishReason: "stop", Thinking: "high",
			Usage: &providers.Usage{InputTokens: 10, CostUSD: 0.5}, Notes: []string{"n"}, Sources: []Source{{"t", "u", ""}},
		}}
		r.Metadata.Own.Set("own", 1)
		r.Body.Set("status", "ok").Set("content", "").Set("none", nil).Set("no", false).Set("zero", 0).Set("float", 0.0).Set("yes", true).Set("n", 7)
		r.Body.Set("list", []string{}).Set("raw", json.RawMessage(`{"a":[],"b":{"c":null},"d":0}`))
		r.Body.Set("places", []any{false, (&Object{}).Set("gone", false).Set("kept", 1.5), "", 0}).Set("flag", &no)
		r.Body.Set("next_call", (&Object{}).Set("arguments", (&Object{}).Set("next_step_required", false)))
		r.Body.Set("expert_analysis", json.RawMessage(`{"findings":[],"sure":false}`))
		r.Body.Set("error", (&Object{}).Set("code", "timeout").Set("retryable", false))
		return r
	}
	text := func(r *Result) string {
		r.Body.Set("metadata", r.Metadata)
		text, err := r.JSON()
		require.NoError(t, err)
		return string(text)
	}
	const metadata = `"metadata":{"model_used":"m","duration_ms":0,"usage":{"cost_usd":0.5},"sources":[{"title":"t","url":"u"}],"notes":["n"]}}`
	r := fresh()
	r.Brief = func(body *Object) {
		assert.Equal(t, json.Number("7"), body.Get("n"), "values are those of JSON")
		body.Delete("n")
	}
	r.Compact(true)
	// Items keep their places, and an empty content is one.
	assert.Equal(t, `{"status":"ok","content":"","yes":true,"places":[false,{"kept":1.5},"",0],`+
		`"next_call":{"arguments":{"next_step_required":false}},"expert_analysis":{"findings":[],"sure":false},"error":{"code":"timeout"},`+metadata, text(r))

	data := fresh()
	data.Compact(false)
	assert.Contains(t, text(data), `"zero":0,`, "data is what was asked for")
	assert.Contains(t, text(data), metadata)
	failed := fresh()
	failed.IsError = true
	failed.Compact(false)
	assert.NotContains(t, text(failed), `"zero"`)

	odd := &Result{Metadata: Metadata{ToolName: "x", FinishReason: "length", Attempts: 2, Stored: new(bool), Fallback: &providers.Fallback{From: "a", To: "b"}}}
	odd.Compact(true)
	assert.JSONEq(t, `{"metadata":{"duration_ms":0,"finish_reason":"length","attempts":2,"stored":false,"fallback":{"from":"a","to":"b","reason":""}}}`, text(odd))
	plain := &Result{Metadata: Metadata{ToolName: "x"}}
	plain.Compact(true)
	assert.Equal(t, `{"metadata":{"duration_ms":0}}`, text(plain))
}

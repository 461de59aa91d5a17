package tools_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/providers/emulator"
)

func TestGLMUpload(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		path := r.file("a.txt", "content")
		o := r.call("glm_upload_file", object{"file": path, "purpose": "agent"})
		assert.Equal(t, "success", o["status"])
		assert.Equal(t, "a.txt", o["filename"])
		require.NotEmpty(t, o["file_id"])
		assert.Equal(t, &emulator.Upload{Name: "a.txt", Purpose: "agent", Size: 7}, r.seen(emulator.OpUpload)[0].Upload)
		assert.NotEqual(t, o["file_id"], r.call("glm_upload_file", object{"file": path})["file_id"], "another call is another file")
		assert.Empty(t, r.seen(emulator.OpFileDelete), "it is to stay there")

		o = r.call("glm_upload_file", object{"file": r.file("a.go", "package a")})
		assert.Equal(t, "invalid_request", code(o), "a type that the vendor does not take")
		assert.Equal(t, "glm", o["error"].(object)["provider"])
	})
	with(t, func(t *testing.T, r *vendorFixture) {
		o := r.call("glm_upload_file", object{"file": r.file("a.txt", "content")})
		assert.Equal(t, "too_large", code(o))
		assert.Contains(t, o["content"], "GLM_FILES_MAX_SIZE_MB=1e-06")
		assert.Empty(t, r.Requests())
	}, func(c *config.Config) { c.GLMFiles.MaxSizeMB = 1e-6 })
}

func TestGLMUploadGoesOnBehindTheCall(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.On(emulator.Match{Op: emulator.OpUpload}, emulator.Fail(emulator.DelayHeaders(70*time.Second)))
		args := object{"file": r.file("a.txt", "content")}
		o := r.call("glm_upload_file", args)
		assert.Equal(t, "partial", o["status"])
		assert.Nil(t, o["file_id"])
		assert.Equal(t, "a.txt", o["filename"])
		assert.Len(t, o["pending"], 1)
		assert.Contains(t, fmt.Sprint(notes(o)), "GLM_FILE_UPLOAD_TIMEOUT_SECS=90s")
		start := time.Now()
		o = r.call("glm_upload_file", args)
		assert.Equal(t, "success", o["status"], o)
		assert.Less(t, time.Since(start), 20*time.Second)
		assert.Len(t, r.seen(emulator.OpUpload), 1)
	})
}

func TestWebSearch(t *testing.T) {
	body := func(t *testing.T, r *vendorFixture) object {
		t.Helper()
		var o object
		seen := r.seen(emulator.OpSearch)
		require.NoError(t, json.Unmarshal(seen[len(seen)-1].Body, &o))
		return o
	}
	with(t, func(t *testing.T, r *vendorFixture) {
		o := r.call("glm_web_search", object{"search_query": "go 1.26"})
		hits := o["search_result"].([]any)
		require.Len(t, hits, 3)
		assert.NotEmpty(t, hits[0].(object)["link"])
		assert.Equal(t, 0.01, o["metadata"].(object)["usage"].(object)["cost_usd"])
		assert.Equal(t, object{
			"search_query": "go 1.26", "search_engine": "search-prime", "search_recency_filter": "oneWeek", "count": 3.0,
			"search_domain_filter": "go.dev",
		}, body(t, r), "the settings stand in for what is omitted")

		r.call("glm_web_search", object{
			"search_query": "x", "count": 99, "search_recency_filter": "all", "search_domain_filter": "example.org",
			"request_id": "r-12345", "user_id": "user-1", "search_engine": "search-prime",
		})
		assert.Equal(t, object{
			"search_query": "x", "search_engine": "search-prime", "search_recency_filter": "noLimit", "count": 50.0,
			"search_domain_filter": "example.org", "request_id": "r-12345", "user_id": "user-1",
		}, body(t, r))
		o = r.call("glm_web_search", object{"search_query": "x", "count": 0, "search_domain_filter": nil, "request_id": nil, "user_id": nil})
		assert.Equal(t, 1.0, body(t, r)["count"])
		assert.Contains(t, fmt.Sprint(notes(o)), "took 0 as 1")

		o = r.call("glm_web_search", object{"search_query": "x", "search_recency_filter": "oneCentury"})
		assert.Equal(t, "invalid_request", code(o))
		o = r.call("glm_web_search", object{"search_query": "x", "user_id": "u"})
		assert.Equal(t, "invalid_request", code(o), "what the vendor refuses")
	}, func(c *config.Config) {
		c.GLMSearch.Count, c.GLMSearch.Recency, c.GLMSearch.DomainFilter = 3, "oneWeek", "go.dev"
	})
}

// A search that hangs ends at its own limit, by name.
func TestWebSearchLimit(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		r.On(emulator.Match{Op: emulator.OpSearch}, emulator.Fail(emulator.NeverAnswer()))
		start := time.Now()
		o := r.call("glm_web_search", object{"search_query": "x"})
		assert.Equal(t, 10*time.Second, time.Since(start))
		assert.Equal(t, "GLM_WEBSEARCH_TIMEOUT_SECS=10s", o["error"].(object)["limit"])
		assert.Equal(t, map[string]int{"GLM_WEBSEARCH_TIMEOUT_SECS": 1}, r.log.Stats().Limits)
	}, func(c *config.Config) { c.Timeouts.GLMSearch = 10 * time.Second })
}

// The preview is the request that chat sends, to the byte.
func TestPayloadPreviewIsWhatChatSends(t *testing.T) {
	with(t, func(t *testing.T, r *vendorFixture) {
		for _, args := range []object{
			{"prompt": "Is a < b && c?", "model": "glm-5.3-flash"},
			{"prompt": "hi", "model": "glm-5.3", "use_websearch": false, "temperature": 0.4},
			{"prompt": "hi", "model": "glm-5.3", "use_websearch": true},
		} {
			preview := r.call("glm_payload_preview", args)
			require.Equal(t, "success", preview["status"], preview)
			delete(preview, "status")
			delete(preview, "metadata")
			require.Nil(t, r.call("chat", args)["error"])
			seen := r.seen(emulator.OpChat)
			var sent object
			require.NoError(t, json.Unmarshal(seen[len(seen)-1].Body, &sent))
			for _, o := range []object{preview, sent} { // chance and the caller's key
				delete(o, "request_id")
				delete(o, "user_id")
			}
			assert.Equal(t, sent, preview)
			assert.NotEmpty(t, preview["messages"].([]any)[0].(object)["content"], "with the system prompt")
		}
	})
}

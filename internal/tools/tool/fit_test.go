package tool

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

func answered(text string, offset int) *reply.Result {
	r := &reply.Result{Metadata: reply.Metadata{ToolName: "chat"}}
	r.Body.Set("status", "continuation_available").Set("content", text)
	r.Answer = &reply.Answer{
		Text: text, Offset: offset, URI: "exai://conversations/t/turns/2", ContinuationID: "t",
		Put: func(text string) { r.Body.Set("content", text) },
	}
	return r
}

func TestFitLeavesWhatFits(t *testing.T) {
	r := answered("short", 0)
	size := fit(r, 25_000)
	text, err := r.JSON()
	require.NoError(t, err)
	assert.Equal(t, `{"status":"continuation_available","content":"short","metadata":{"tool_name":"chat","duration_ms":0}}`, string(text))
	assert.Len(t, text, size)
}

// Read part by part, an answer is the whole again, each part ends where a paragraph does, and no reply is too long.
func TestFitCutsAnswersAtParagraphs(t *testing.T) {
	for name, paragraph := range map[string]string{
		"latin":   strings.Repeat("A sentence with \"quotes\" and a \\ in it. ", 20),
		"chinese": strings.Repeat("这是一个很长的段落。", 30),
		"code":    strings.Repeat("\tif a < b && c > d {\n", 20),
		"emoji":   strings.Repeat("🙂🙃", 100),
	} {
		t.Run(name, func(t *testing.T) {
			whole := strings.TrimSpace(strings.Repeat(paragraph+"\n\n", 60))
			const limit = 3000
			got, offset := "", 0
			for parts := 0; ; parts++ {
				require.Less(t, parts, 60)
				r := answered(string([]rune(whole)[offset:]), offset)
				fit(r, limit)
				text, err := r.JSON()
				require.NoError(t, err)
				assert.LessOrEqual(t, EstimateTokens(string(text)), limit)
				head := r.Body.Get("content").(string)
				got += head
				more, cut := r.Body.Get("more").(reply.More)
				if !cut {
					break
				}
				keys := r.Body.Keys()
				assert.Equal(t, []string{"status", "content", "more", "metadata"}, keys)
				assert.True(t, strings.HasSuffix(head, "\n\n"), "at a paragraph's end")
				assert.Equal(t, offset+utf8.RuneCountInString(head), more.NextOffset)
				assert.Equal(t, utf8.RuneCountInString(whole), more.TotalChars)
				assert.Equal(t, "exai://conversations/t/turns/2", more.URI)
				offset = more.NextOffset
			}
			assert.Equal(t, whole, got)
		})
	}
}

func TestFitCutsWithoutParagraphs(t *testing.T) {
	r := answered(strings.Repeat("x", 100_000), 0)
	fit(r, 1000)
	more, cut := r.Body.Get("more").(reply.More)
	require.True(t, cut)
	assert.Greater(t, more.NextOffset, 2000, "as much as fits")
	assert.Len(t, r.Body.Get("content"), more.NextOffset)
}

func TestFitOfAnAnswerThatWasNotStored(t *testing.T) {
	r := answered(strings.Repeat("word ", 20_000), 0)
	r.Answer.ContinuationID, r.Answer.URI = "", ""
	fit(r, 1000)
	assert.Contains(t, strings.Join(r.Metadata.Notes, " "), "can't be fetched")
}

// A long answer in a long reply: what is small stays whole, the rest is shortened, and the note says so.
func TestFitShortensOtherReplies(t *testing.T) {
	r := &reply.Result{Metadata: reply.Metadata{ToolName: "glm_web_search"}}
	var hits []map[string]any
	for range 50 {
		hits = append(hits, map[string]any{"title": "t", "content": strings.Repeat("long text ", 400)})
	}
	r.Body.Set("status", "success").Set("search_result", hits).Set("id", "an id").Set("raw", strings.Repeat("y", 50_000))
	fit(r, 2000)
	text, err := r.JSON()
	require.NoError(t, err)
	assert.LessOrEqual(t, EstimateTokens(string(text)), 2000)
	var back map[string]any
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Equal(t, "success", back["status"])
	assert.Equal(t, "an id", back["id"])
	assert.NotEmpty(t, back["search_result"])
	assert.Contains(t, back["raw"], "characters]")
	assert.Contains(t, string(text), "MAX_MCP_OUTPUT_TOKENS=2000")
	assert.True(t, strings.HasPrefix(string(text), `{"status":"success","search_result":[`), "in the same order")
}

// Entries of many small values, as a log has, can't be shortened: some are left out, and the rest stays as it is.
func TestFitOfManySmallValues(t *testing.T) {
	r := &reply.Result{}
	var events []map[string]any
	for i := range 200 {
		events = append(events, map[string]any{
			"ts": "2026-11-23T12:00:00.000Z", "tool": "codereview", "duration_secs": float64(i), "usage": map[string]any{"input_tokens": 123456, "output_tokens": 1},
			"client": "some client 1.0", "model": "glm-5.3", "provider": "glm", "status": "success", "attempts": 1, "request_id": "17",
		})
	}
	r.Body.Set("status", "ok").Set("events", events)
	fit(r, 2000)
	text, err := r.JSON()
	require.NoError(t, err)
	assert.LessOrEqual(t, EstimateTokens(string(text)), 2000)
	assert.NotContains(t, string(text), "[cut", "what a cut would make longer")
	var back struct{ Events []map[string]any }
	require.NoError(t, json.Unmarshal(text, &back))
	assert.Greater(t, len(back.Events), 20)
}

func TestFitOfWhatIsNoJSON(t *testing.T) {
	r := &reply.Result{}
	r.Body.Set("status", "success").Set("f", func() {})
	fit(r, 1000)
	assert.True(t, r.IsError)
	assert.Equal(t, "error", r.Body.Get("status"))
}

func FuzzHeadOf(f *testing.F) {
	f.Add("one\n\ntwo three", 3)
	f.Add("ä\xff\x00\u2028🙂", 2)
	f.Fuzz(func(t *testing.T, text string, room int) {
		head := headOf(text, room)
		if !strings.HasPrefix(text, head) {
			t.Fatalf("%q is no beginning of %q", head, text)
		}
		if utf8.ValidString(text) && !utf8.ValidString(head) {
			t.Fatalf("%q cuts a character", head)
		}
	})
}

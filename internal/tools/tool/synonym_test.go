package tool

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/exai-mcp/exai-mcp/internal/tools/reply"
)

type stepInput struct {
	Step          string      `json:"step"`
	RelevantFiles []string    `json:"relevant_files,omitempty"`
	Path          string      `json:"path,omitempty"`
	Models        []modelItem `json:"models,omitempty" text:"model" split:"commas"`
}

type modelItem struct {
	Model string `json:"model"`
}

type chatInput struct {
	Prompt string   `json:"prompt" default:""`
	Files  []string `json:"files,omitempty"`
}

type searchInput struct {
	SearchQuery string `json:"search_query"`
}

// decodeAs decodes arguments as a tool with that input does. a.go is a file.
func decodeAs[In any](t *testing.T, args string) (in In, notes string, err error) {
	t.Helper()
	s, err := shapeOf[In](nil)
	require.NoError(t, err)
	got, err := s.decode(json.RawMessage(args), &in, func(name string) bool { return name == "a.go" })
	if err != nil {
		return in, "", err
	}
	return in, strings.Join(got.notes, "\n"), nil
}

func TestSynonyms(t *testing.T) {
	for _, name := range []string{"file", "files", "paths", "relevant_file"} {
		in, notes, err := decodeAs[stepInput](t, `{"step":"s","`+name+`":"a.go"}`)
		require.NoError(t, err)
		assert.Equal(t, []string{"a.go"}, in.RelevantFiles, name)
		assert.Contains(t, notes, "Took "+name+" as relevant_files.")
	}
	for _, name := range []string{"question", "query", "message", "task", "request", "prompt"} {
		in, notes, err := decodeAs[stepInput](t, `{"`+name+`":"do it"}`)
		require.NoError(t, err)
		assert.Equal(t, "do it", in.Step, name)
		assert.Contains(t, notes, "Took "+name+" as step.")
	}
	in, _, err := decodeAs[stepInput](t, `{"step":"s","path":"a.go"}`)
	require.NoError(t, err)
	assert.Equal(t, stepInput{Step: "s", Path: "a.go"}, in, "the tool's own name is no synonym")

	in, _, err = decodeAs[stepInput](t, `{"step":"s","relevant_files":["b.go"],"file":"a.go","files":"[\"c.go\"]"}`)
	require.NoError(t, err)
	assert.Equal(t, []string{"b.go", "a.go", "c.go"}, in.RelevantFiles, "files are joined")

	in, notes, err := decodeAs[stepInput](t, `{"step":"s","query":"other"}`)
	require.NoError(t, err)
	assert.Equal(t, "s", in.Step)
	assert.Contains(t, notes, "Ignored the unknown argument query.")

	search, notes, err := decodeAs[searchInput](t, `{"search_query":"s","query":"other"}`)
	require.NoError(t, err, "it resembles the real name, but is no typing error")
	assert.Equal(t, "s", search.SearchQuery)
	assert.Contains(t, notes, "Ignored the unknown argument query.")

	for _, none := range []string{`null`, `""`, `" "`, `"null"`} {
		in, notes, err := decodeAs[stepInput](t, `{"step":"s","relevant_file":`+none+`,"files":`+none+`}`)
		require.NoError(t, err, none)
		assert.Empty(t, in.RelevantFiles)
		assert.Empty(t, notes)
		in, _, err = decodeAs[stepInput](t, `{"step":"s","relevant_files":`+none+`,"file":"a.go"}`)
		require.NoError(t, err, none)
		assert.Equal(t, []string{"a.go"}, in.RelevantFiles, none)
		_, _, err = decodeAs[stepInput](t, `{"step":"s","relevant_files":`+none+`,"target":"a.go"}`)
		assert.ErrorContains(t, err, "names an existing file", none)
	}

	for _, blank := range []string{`[""]`, `[" ",null]`, `["null"]`} {
		in, _, err := decodeAs[stepInput](t, `{"step":"s","relevant_files":`+blank+`,"models":`+blank+`}`)
		require.NoError(t, err, blank)
		assert.Empty(t, in.RelevantFiles, blank)
		assert.Empty(t, in.Models, blank)
		_, _, err = decodeAs[stepInput](t, `{"step":"s","relevant_files":`+blank+`,"target":"a.go"}`)
		assert.ErrorContains(t, err, "names an existing file", blank)
	}

	chat, _, err := decodeAs[chatInput](t, `{"question":"why?","relevant_files":["a.go"],"path":"b.go"}`)
	require.NoError(t, err)
	assert.Equal(t, chatInput{Prompt: "why?", Files: []string{"b.go", "a.go"}}, chat)

	for _, name := range []string{"query", "prompt"} {
		search, _, err := decodeAs[searchInput](t, `{"`+name+`":"go 2"}`)
		require.NoError(t, err)
		assert.Equal(t, "go 2", search.SearchQuery)
	}
}

func TestModelsWithCommas(t *testing.T) {
	want := []modelItem{{"glm-5.3"}, {"kimi-k3"}}
	for _, models := range []string{`"glm-5.3,kimi-k3"`, `"glm-5.3, kimi-k3,"`, `["glm-5.3","kimi-k3"]`, `"[\"glm-5.3\",{\"model\":\"kimi-k3\"}]"`} {
		in, _, err := decodeAs[stepInput](t, `{"step":"s","models":`+models+`}`)
		require.NoError(t, err)
		assert.Equal(t, want, in.Models, models)
	}
	in, _, err := decodeAs[stepInput](t, `{"step":"s","relevant_files":"a,b.go"}`)
	require.NoError(t, err)
	assert.Equal(t, []string{"a,b.go"}, in.RelevantFiles, "a file's name may have a comma")
}

// An unknown argument that names a file is not ignored where no file was named: other files would be sent instead.
func TestMisplacedFiles(t *testing.T) {
	for _, args := range []string{`{"step":"s","target":"a.go"}`, `{"step":"s","targets":["x","a.go"]}`, `{"step":"s","relevant_files":[],"target":"[\"a.go\"]"}`} {
		_, _, err := decodeAs[stepInput](t, args)
		var e *reply.Error
		require.True(t, errors.As(err, &e), args)
		assert.Equal(t, reply.CodeInvalidRequest, e.Code)
		assert.Contains(t, e.Message, "Did you mean relevant_files?")
	}
	for _, args := range []string{
		`{"step":"s","target":"b.go"}`, `{"step":"s","target":"a.go","relevant_files":["c.go"]}`, `{"step":"s","target":"a.go","path":"p"}`,
		`{"step":"s","_meta":7}`, `{"step":"s","target":"` + strings.Repeat("x", 2000) + `"}`,
	} {
		_, notes, err := decodeAs[stepInput](t, args)
		require.NoError(t, err, args)
		assert.Contains(t, notes, "Ignored the unknown argument", args)
	}
	_, _, err := decodeAs[searchInput](t, `{"search_query":"s","target":"a.go"}`)
	assert.NoError(t, err, "a tool that takes no files")
}

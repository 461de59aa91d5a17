package glm

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	openai "github.com/sashabaranov/go-openai"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// maxOutput is the most that max_tokens may say; beyond it is a 400 (Z.ai API docs, chat completion).
const maxOutput = 131072

// dialect is everything that GLM does its own way.
func (p *Provider) dialect() openaicompat.Dialect {
	language := p.search.AcceptLanguage
	if language == "" {
		language = "en-US,en"
	}
	return openaicompat.Dialect{
		Name: Name, Label: "GLM",
		Shape:    p.shape,
		Image:    fitImage,
		Classify: classify,
		Hints:    hints,
		// The language of error texts (Z.ai API docs, chat completion).
		Header: http.Header{"Accept-Language": {language}},
	}
}

// shape finishes a chat request: one line per quirk.
func (p *Provider) shape(req providers.ChatRequest, w *openaicompat.Wire) {
	limitOutput(req, w)
	setTemperature(req, w)
	describeFunctions(w)
	streamToolCalls(req, w)
	keepThoughts(req, w)
	p.attachSearch(req, w)
	fillEmptyContent(req, w)
}

// limitOutput: the parameter is max_tokens; max_completion_tokens is not documented (Z.ai API docs, chat completion).
func limitOutput(req providers.ChatRequest, w *openaicompat.Wire) {
	if n := openaicompat.OutputCap(req, maxOutput); n > 0 {
		w.Set("max_tokens", n)
	}
}

// setTemperature: 0 is asked for by do_sample:false, as the vendor's own Python SDK does; temperature itself must be
// above it.
func setTemperature(req providers.ChatRequest, w *openaicompat.Wire) {
	switch t, ok := openaicompat.Temperature(req); {
	case !ok:
	case t <= 0:
		w.Set("do_sample", false)
	default:
		w.Set("temperature", t)
	}
}

// describeFunctions: a function's description is required (Z.ai API docs, chat completion).
func describeFunctions(w *openaicompat.Wire) {
	for _, t := range w.Tools {
		if t.Function != nil && t.Function.Description == "" {
			t.Function.Description = t.Function.Name
		}
	}
}

// streamToolCalls: without tool_stream the arguments of a call come in one piece after a silence; GLM-4.6 and later take
// it (Z.ai docs, tool streaming).
func streamToolCalls(req providers.ChatRequest, w *openaicompat.Wire) {
	if len(w.Tools) > 0 && version(req.Model.ID) >= 4.6 {
		w.Set("tool_stream", true)
	}
}

// keepThoughts: without clear_thinking:false a later user message deletes all earlier reasoning from the prompt, and with
// it the cached prefix (Z.ai docs, preserved thinking; GLM-4.7 and later). It matters where reasoning goes back: in
// function loops, from their first request to the last, which may list no functions any more.
func keepThoughts(req providers.ChatRequest, w *openaicompat.Wire) {
	on := req.Thinking.Type == "enabled" || req.Thinking.Type == "" && req.Thinking.Effort != "" && req.Thinking.Effort != "none"
	loop := len(w.Tools) > 0 || slices.ContainsFunc(req.Messages, func(m providers.Message) bool { return len(m.ToolCalls) > 0 })
	if on && loop && version(req.Model.ID) >= 4.7 {
		w.Set("thinking", map[string]any{"type": "enabled", "clear_thinking": false})
	}
}

// attachSearch adds the vendor's own search tool (Z.ai docs, web search in chat).
func (p *Provider) attachSearch(req providers.ChatRequest, w *openaicompat.Wire) {
	if !req.NativeSearch {
		return
	}
	search := map[string]any{
		"enable": true, "search_engine": p.chatEngine(), "search_recency_filter": recency(p.search.Recency),
		"content_size": "medium", "result_sequence": "after", "search_result": true,
	}
	if p.search.Count > 0 {
		search["count"] = clampCount(p.search.Count)
	}
	if p.search.DomainFilter != "" {
		search["search_domain_filter"] = p.search.DomainFilter
	}
	w.Tools = append(w.Tools, openai.Tool{
		Type: openai.ToolTypeWebSearch, Parameters: map[string]any{"web_search": search},
	})
	w.ToolChoice = "auto"
}

// fillEmptyContent: a user's and a tool's content must not be empty, and an assistant's with calls is left out (as
// recorded with success; some of the vendor's templates print null as "None"). go-openai leaves an empty one out, so every
// other message gets it back.
func fillEmptyContent(req providers.ChatRequest, w *openaicompat.Wire) {
	for i, m := range req.Messages {
		w.Messages[i].Name = "" // not among the vendor's message fields
		switch {
		case m.Content != "" || len(m.Images) > 0 || len(m.ToolCalls) > 0:
		case m.Role == providers.RoleUser:
			w.Messages[i].Content = "(empty)"
		case m.Role == providers.RoleTool:
			w.Messages[i].Content = "(no result)"
		default:
			w.SetInMessage(i, "content", "")
		}
	}
}

// tokenizerModel is the stand-in by which the tokenizer endpoint counts for a model: it knows three (Z.ai API docs,
// tokenizer).
func tokenizerModel(m providers.Model) string {
	switch {
	case m.Images:
		return "glm-4.6v"
	case version(m.ID) == 4.5:
		return "glm-4.5"
	}
	return "glm-4.6"
}

// version is the number in a model's id: 5.3 of "glm-5.3-flash", 5 of "glm-5v-turbo", 0 when there is none.
func version(id string) float64 {
	rest := strings.TrimPrefix(strings.ToLower(id), "glm-")
	end := strings.IndexFunc(rest, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end >= 0 {
		rest = rest[:end]
	}
	v, err := strconv.ParseFloat(strings.TrimSuffix(rest, "."), 64)
	if err != nil {
		return 0
	}
	return v
}

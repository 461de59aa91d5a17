package endpoint

import (
	"net/http"
	"slices"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// returned are the fields that go back in a function loop to an endpoint that sent them, whichever that is, since a gateway
// passes on what the vendor behind it wants: DeepSeek's reasoning_content (DeepSeek API docs, thinking mode), Gemini's
// thought signatures in extra_content (Gemini API docs, thought signatures), OpenRouter's reasoning_details (OpenRouter docs,
// reasoning tokens).
var returned = []string{"reasoning_content", "reasoning", "reasoning_details", "extra_content"}

// dialect is what an endpoint does its own way: as its row says, and as its quirks do.
func (p *Provider) dialect() openaicompat.Dialect {
	d := openaicompat.Dialect{
		Name: p.name, Label: p.row.Title, Shape: p.shape, Classify: classify, ThoughtTags: true,
		Returned: returned,
	}
	if p.name == "openrouter" {
		d.Header = ourName()
	}
	return d
}

// shape finishes a chat request.
func (p *Provider) shape(req providers.ChatRequest, w *openaicompat.Wire) {
	p.limitOutput(req, w)
	p.switchThinking(req, w)
	fillEmptyContent(req, w)
	if p.tellsProgress.Load() {
		w.Set("return_progress", true) // llama.cpp's alone (llama.cpp server README)
	}
}

// limitOutput sends the limit under the name that the endpoint has for it, or under the other one where it refused that: OpenAI
// and others replaced max_tokens by max_completion_tokens, which DeepSeek, Mistral and Ollama don't know.
func (p *Provider) limitOutput(req providers.ChatRequest, w *openaicompat.Wire) {
	n := openaicompat.OutputCap(req, 0)
	if n <= 0 {
		return
	}
	names := []string{"max_tokens", "max_completion_tokens"}
	if p.row.Endpoint.OutputCap == names[1] {
		slices.Reverse(names)
	}
	for _, name := range names {
		if !slices.Contains(req.Drop, name) {
			w.Set(name, n)
			return
		}
	}
}

// switchThinking writes the thinking switch as the endpoint has it. The common form, reasoning_effort and thinking.type, is
// there already.
func (p *Provider) switchThinking(req providers.ChatRequest, w *openaicompat.Wire) {
	effort := req.Thinking.Effort
	switch p.row.Endpoint.Thinking {
	case "object":
		effortObject(effort, w)
	case "type":
		enableThinking(effort, w)
	}
}

// effortObject: OpenRouter takes the effort as reasoning.effort, for the models of all makers (OpenRouter docs, reasoning
// tokens).
func effortObject(effort string, w *openaicompat.Wire) {
	w.ReasoningEffort = ""
	if effort != "" {
		w.Set("reasoning", map[string]string{"effort": effort})
	}
}

// enableThinking: DeepSeek's switch is thinking.type, and reasoning_effort counts beside it (DeepSeek API docs, thinking
// mode).
func enableThinking(effort string, w *openaicompat.Wire) {
	if effort != "" {
		w.Set("thinking", map[string]string{"type": "enabled"})
	}
}

// fillEmptyContent: several servers refuse a message without text. An assistant message with calls may do without.
func fillEmptyContent(req providers.ChatRequest, w *openaicompat.Wire) {
	for i, m := range req.Messages {
		if strings.TrimSpace(m.Content) == "" && len(m.Images) == 0 && len(m.ToolCalls) == 0 {
			w.Messages[i].Content = "(empty)"
		}
	}
}

// ownRouter: OpenRouter's own models have its name for their maker ("openrouter/auto"), which reads as the endpoint's
// (OpenRouter docs, auto router).
func ownRouter(name string) string {
	if name != "" && !strings.Contains(name, "/") {
		return "openrouter/" + name
	}
	return name
}

// ourName: OpenRouter shows its users which program asked, by these headers (OpenRouter docs, app attribution).
func ourName() http.Header {
	return http.Header{"X-Title": {"exai-mcp"}, "Http-Referer": {"https://github.com/exai-mcp/exai-mcp"}}
}

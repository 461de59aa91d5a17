package endpoint

import (
	"context"
	"encoding/json"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

const opModels = "the model list"

// ListModels implements providers.ModelLister. A local server is asked by its own API too, which alone says what is loaded,
// and with which window.
func (p *Provider) ListModels(ctx context.Context) ([]providers.Model, error) {
	if err := p.unusable(""); err != nil {
		return nil, err
	}
	list := p.listed
	switch p.name {
	case "ollama":
		list = p.ollamaModels
	case "lmstudio":
		list = p.lmStudioModels
	}
	models, err := list(ctx)
	if missing(err) && (p.name == "ollama" || p.name == "lmstudio") { // another server under that name
		models, err = p.listed(ctx)
	}
	for i := range models {
		m := &models[i]
		m.Local = m.Local && p.row.Endpoint.Local
		if m.Local && m.Price == nil {
			m.Price = &providers.Price{}
		}
		m.ID, m.Provider = p.qualified(m.ID), p.name
	}
	return models, err
}

// missing reports whether a server does not have a path.
func missing(err error) bool {
	return openaicompat.IsStatus(err, http.StatusNotFound) || openaicompat.IsStatus(err, http.StatusMethodNotAllowed)
}

// get asks a server for JSON; root is for a path below the server's root instead of the base URL.
func (p *Provider) get(ctx context.Context, path string, root bool, out any) error {
	return p.wire.JSON(ctx, openaicompat.Request{Op: opModels, Method: http.MethodGet, Path: path, Root: root}, out)
}

// row is one model of GET /models, in the words of every server that says more than an id: OpenRouter, Groq, Fireworks,
// Mistral, Together, vLLM and llama.cpp.
type row struct {
	ID              string          `json:"id"`
	Name            string          `json:"name"`
	Type            string          `json:"type"`
	Owner           string          `json:"owned_by"`
	ContextLength   number          `json:"context_length"`
	ContextWindow   number          `json:"context_window"`
	MaxContext      number          `json:"max_context_length"`
	MaxModelLen     number          `json:"max_model_len"`
	MaxCompletion   number          `json:"max_completion_tokens"`
	Meta            json.RawMessage `json:"meta"`
	Parameters      []string        `json:"supported_parameters"`
	SupportsTools   *bool           `json:"supports_tools"`
	SupportsImages  *bool           `json:"supports_image_in"`
	SupportsImages2 *bool           `json:"supports_image_input"`
	Architecture    struct {
		Input []string `json:"input_modalities"`
	} `json:"architecture"`
	Capabilities json.RawMessage `json:"capabilities"`
	TopProvider  struct {
		Context number `json:"context_length"`
		Output  number `json:"max_completion_tokens"`
	} `json:"top_provider"`
	Pricing json.RawMessage `json:"pricing"`
}

// number is a count that may be written as text, or be null.
type number int

// UnmarshalJSON implements json.Unmarshaler. It never fails.
func (n *number) UnmarshalJSON(b []byte) error {
	f, err := strconv.ParseFloat(strings.Trim(string(b), `"`), 64)
	if *n = 0; err == nil && f > 0 && f <= math.MaxInt32 {
		*n = number(f)
	}
	return nil
}

// listed reads GET /models.
func (p *Provider) listed(ctx context.Context) ([]providers.Model, error) {
	var raw json.RawMessage
	if err := p.get(ctx, "/models", false, &raw); err != nil {
		if missing(err) {
			return nil, nil // an endpoint without a list
		}
		return nil, err
	}
	rows, err := rowsOf(raw)
	if err != nil {
		return nil, p.wire.Decode(opModels, raw, &rows) // the same error, in the words for it
	}
	var models []providers.Model
	llamaCPP := false
	for _, r := range rows {
		if m := p.model(r); chatModel(m.ID) && r.Type != "embedding" && r.Type != "image" {
			models = append(models, m)
			llamaCPP = llamaCPP || len(r.Meta) > 0
			p.tellsProgress.Store(r.Owner == "llamacpp")
		}
	}
	if llamaCPP && p.row.Endpoint.Local && len(models) == 1 {
		p.askLlamaCPP(ctx, &models[0])
	}
	return models, nil
}

// rowsOf reads a list under data or models, or a bare one.
func rowsOf(raw json.RawMessage) ([]row, error) {
	var lists struct {
		Data   []json.RawMessage `json:"data"`
		Models []json.RawMessage `json:"models"`
	}
	if err := json.Unmarshal(raw, &lists.Data); err != nil {
		lists.Data = nil
		if err := json.Unmarshal(raw, &lists); err != nil {
			return nil, err
		}
	}
	if lists.Data == nil { // llama.cpp gives both, of which models is Ollama's form
		lists.Data = lists.Models
	}
	var rows []row
	for _, one := range lists.Data {
		var r row
		if json.Unmarshal(one, &r.ID) != nil {
			_ = json.Unmarshal(one, &r) // what can be read of it counts
		}
		if r.ID == "" {
			r.ID = r.Name
		}
		if r.ID = strings.TrimPrefix(r.ID, "models/"); r.ID != "" { // Gemini's ids have their path
			rows = append(rows, r)
		}
	}
	return rows, nil
}

// model is what a row says.
func (p *Provider) model(r row) providers.Model {
	m := providers.GuessedModel(p.row, r.ID)
	for _, n := range []number{r.ContextLength, r.ContextWindow, r.MaxContext, r.MaxModelLen, r.TopProvider.Context} {
		if n > 0 {
			m.ContextWindow = int(n)
			break
		}
	}
	m.MaxOutput = max(int(r.MaxCompletion), int(r.TopProvider.Output))
	var can struct {
		Functions *bool `json:"function_calling"`
		Vision    *bool `json:"vision"`
	}
	_ = json.Unmarshal(r.Capabilities, &can) // elsewhere it is a list of words
	for _, known := range []*bool{can.Functions, r.SupportsTools} {
		if known != nil {
			m.Functions = *known
		}
	}
	for _, known := range []*bool{can.Vision, r.SupportsImages, r.SupportsImages2} {
		if known != nil {
			m.Images = *known
		}
	}
	m.Images = m.Images || slices.Contains(r.Architecture.Input, "image")
	if len(r.Parameters) > 0 {
		m.Functions = slices.Contains(r.Parameters, "tools")
		m.JSONObject = slices.Contains(r.Parameters, "response_format")
		m.Thinking = providers.Thinking{}
		if slices.Contains(r.Parameters, "reasoning") {
			m.Thinking.Efforts = []string{"minimal", "low", "medium", "high", "xhigh"}
		}
	}
	m.Price = price(r.Pricing)
	return m
}

// price reads OpenRouter's: texts, in USD per token; -1 is one that varies.
func price(raw json.RawMessage) *providers.Price {
	var p struct {
		Prompt     *string `json:"prompt"`
		Completion *string `json:"completion"`
		CacheRead  *string `json:"input_cache_read"`
	}
	if json.Unmarshal(raw, &p) != nil || p.Prompt == nil || p.Completion == nil {
		return nil
	}
	perMillion := func(s *string) float64 {
		if s == nil {
			return 0
		}
		f, err := strconv.ParseFloat(*s, 64)
		if f = math.Round(f*1e12) / 1e6; err != nil || math.IsNaN(f) || math.IsInf(f, 0) {
			return -1
		}
		return f
	}
	out := providers.Price{Input: perMillion(p.Prompt), CachedInput: max(perMillion(p.CacheRead), 0), Output: perMillion(p.Completion)}
	if out.Input < 0 || out.Output < 0 {
		return nil
	}
	return &out
}

// notForChat are words in the ids of models that lists name beside chat models.
var notForChat = []string{"embed", "tts", "image", "whisper", "moderation", "transcribe", "dall-e", "rerank"}

func chatModel(id string) bool { return !containsAny(strings.ToLower(id), notForChat) }

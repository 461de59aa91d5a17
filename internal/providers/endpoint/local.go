package endpoint

import (
	"context"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/providers"
	"github.com/exai-mcp/exai-mcp/internal/providers/openaicompat"
)

// unknownWindow is the window of a local model that is not loaded: both Ollama and LM Studio load one with 4,096 tokens on a
// machine without much video memory, and Ollama cuts a longer prompt without a word (Ollama docs, context length).
const unknownWindow = 4_096

// maxShown bounds how many models Ollama is asked about one by one.
const maxShown = 32

// ollamaModels reads Ollama's own lists: what is there, what is loaded, and with which window. Its OpenAI-compatible list
// says none of this.
func (p *Provider) ollamaModels(ctx context.Context) ([]providers.Model, error) {
	var tags struct {
		Models []struct {
			Name         string   `json:"name"`
			Capabilities []string `json:"capabilities"`
			RemoteHost   string   `json:"remote_host"`
		} `json:"models"`
	}
	if err := p.get(ctx, "/api/tags", true, &tags); err != nil {
		return nil, err
	}
	var ps struct {
		Models []struct {
			Name    string `json:"name"`
			Context number `json:"context_length"`
		} `json:"models"`
	}
	_ = p.get(ctx, "/api/ps", true, &ps) // then nothing is known to be loaded
	loaded := map[string]int{}
	for _, m := range ps.Models {
		loaded[m.Name] = int(m.Context)
	}
	var models []providers.Model
	for i, tag := range tags.Models {
		m := providers.GuessedModel(p.row, tag.Name)
		m.Local = m.Local && tag.RemoteHost == ""
		window, isLoaded := loaded[tag.Name]
		var shown ollamaShow
		if i < maxShown {
			shown = p.ollamaShow(ctx, tag.Name)
		}
		can := tag.Capabilities
		if len(can) == 0 {
			can = shown.Capabilities
		}
		if !ollamaAbilities(&m, can) || !chatModel(m.ID) {
			continue
		}
		m.Loaded = isLoaded
		m.ContextWindow = shown.window(window, m.Local)
		models = append(models, m)
	}
	return models, nil
}

// ollamaAbilities puts the abilities of Ollama's words into a model, and reports whether it can chat.
func ollamaAbilities(m *providers.Model, can []string) bool {
	m.Thinking = providers.Thinking{}
	if len(can) == 0 {
		return true // an old server
	}
	m.Functions, m.Images = slices.Contains(can, "tools"), slices.Contains(can, "vision")
	if slices.Contains(can, "thinking") {
		m.Thinking.Efforts = []string{"none", "low", "medium", "high", "max"}
	}
	return slices.Contains(can, "completion")
}

type ollamaShow struct {
	Capabilities []string       `json:"capabilities"`
	Info         map[string]any `json:"model_info"`
	Parameters   string         `json:"parameters"`
}

// ollamaShow asks for one model; what fails is not known.
func (p *Provider) ollamaShow(ctx context.Context, name string) (shown ollamaShow) {
	r := openaicompat.Request{Op: opModels, Method: http.MethodPost, Path: "/api/show", Root: true, In: map[string]string{"model": name}}
	_ = p.wire.JSON(ctx, r, &shown)
	return shown
}

// window is what of a model's window can be used: that of the loaded model, else the one that its file sets. The model's own
// greatest window says nothing about a server, except that it is no larger.
func (s ollamaShow) window(loaded int, local bool) int {
	greatest := 0
	for key, value := range s.Info {
		if n, ok := value.(float64); ok && strings.HasSuffix(key, ".context_length") {
			greatest = int(n)
		}
	}
	switch {
	case loaded > 0:
		return loaded
	case !local:
		return greatest
	}
	for line := range strings.Lines(s.Parameters) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "num_ctx" {
			if n, err := strconv.Atoi(fields[1]); err == nil && n > 0 {
				return n
			}
		}
	}
	if greatest > 0 {
		return min(greatest, unknownWindow)
	}
	return unknownWindow
}

// lmStudioModels reads LM Studio's own list, of the current API or of the one before.
func (p *Provider) lmStudioModels(ctx context.Context) ([]providers.Model, error) {
	var list struct {
		Models []struct {
			Key    string `json:"key"`
			Type   string `json:"type"`
			Loaded []struct {
				Config struct {
					Context number `json:"context_length"`
				} `json:"config"`
			} `json:"loaded_instances"`
			Greatest     number `json:"max_context_length"`
			Capabilities struct {
				Vision bool  `json:"vision"`
				Tools  *bool `json:"trained_for_tool_use"`
			} `json:"capabilities"`
		} `json:"models"`
	}
	err := p.get(ctx, "/api/v1/models", true, &list)
	if err != nil || list.Models == nil { // an unknown path is a 200 with an error in it
		return p.lmStudioBefore(ctx)
	}
	var models []providers.Model
	for _, row := range list.Models {
		if strings.HasPrefix(row.Type, "embedding") || row.Key == "" {
			continue
		}
		m := providers.GuessedModel(p.row, row.Key)
		m.Images = row.Capabilities.Vision
		if row.Capabilities.Tools != nil {
			m.Functions = *row.Capabilities.Tools
		}
		m.ContextWindow = min(int(row.Greatest), unknownWindow)
		if len(row.Loaded) > 0 {
			m.Loaded, m.ContextWindow = true, int(row.Loaded[0].Config.Context)
		}
		if m.ContextWindow == 0 {
			m.ContextWindow = unknownWindow
		}
		models = append(models, m)
	}
	return models, nil
}

// lmStudioBefore reads the list of LM Studio's API v0.
func (p *Provider) lmStudioBefore(ctx context.Context) ([]providers.Model, error) {
	var list struct {
		Data []struct {
			ID       string `json:"id"`
			Type     string `json:"type"`
			State    string `json:"state"`
			Greatest number `json:"max_context_length"`
			Context  number `json:"loaded_context_length"`
		} `json:"data"`
	}
	if err := p.get(ctx, "/api/v0/models", true, &list); err != nil || list.Data == nil {
		return p.listed(ctx)
	}
	var models []providers.Model
	for _, row := range list.Data {
		if strings.HasPrefix(row.Type, "embedding") || row.ID == "" {
			continue
		}
		m := providers.GuessedModel(p.row, row.ID)
		m.Loaded, m.Images = row.State == "loaded", row.Type == "vlm"
		m.ContextWindow = int(row.Context)
		if m.ContextWindow == 0 {
			m.ContextWindow = unknownWindow
		}
		models = append(models, m)
	}
	return models, nil
}

// askLlamaCPP takes the real window of a llama.cpp server, and whether its model can see, from its properties.
func (p *Provider) askLlamaCPP(ctx context.Context, m *providers.Model) {
	var props struct {
		Settings struct {
			Context number `json:"n_ctx"`
		} `json:"default_generation_settings"`
		Modalities struct {
			Vision bool `json:"vision"`
		} `json:"modalities"`
	}
	if p.get(ctx, "/props", true, &props) != nil {
		return
	}
	m.Loaded, m.Images = true, props.Modalities.Vision
	if n := int(props.Settings.Context); n > 0 {
		m.ContextWindow = n
	}
}

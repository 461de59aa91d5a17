package endpoint

import "github.com/exai-mcp/exai-mcp/internal/providers"

// knownModels are the models of a preset whose numbers its own list does not give. MODELS_FILE wins over them.
func knownModels(preset string) []providers.Model {
	switch preset {
	case "openai":
		return openaiModels()
	case "gemini":
		return geminiModels()
	case "deepseek":
		return deepseekModels()
	}
	return nil
}

// openaiModels: from gpt-5.4 on, chat completions refuse functions together with reasoning, which can't be switched off
// everywhere (OpenAI docs, reasoning): so they are offered none. Input beyond 272,000 tokens costs twice these prices.
func openaiModels() []providers.Model {
	model := func(id string, efforts []string, in, cached, out float64) providers.Model {
		return providers.Model{
			ID: id, Status: providers.StatusActive, ContextWindow: 1_050_000, MaxOutput: 128_000, Images: true, JSONObject: true,
			Thinking: providers.Thinking{Efforts: efforts}, Price: &providers.Price{Input: in, CachedInput: cached, Output: out},
		}
	}
	always := []string{"low", "medium", "high", "xhigh"}
	return []providers.Model{
		model("gpt-6.2-sol", always, 2, 0.10, 10),
		model("gpt-6.2-astra", always, 8, 0.40, 40),
		model("gpt-6-luna", append([]string{"none"}, always...), 0.10, 0.01, 0.50),
	}
}

// geminiModels: prices from December 2026 on. Thinking counts against the output limit.
func geminiModels() []providers.Model {
	model := func(id string, in, cached, out float64, efforts ...string) providers.Model {
		return providers.Model{
			ID: id, Status: providers.StatusActive, ContextWindow: 1_048_576, MaxOutput: 65_536, Images: true, JSONObject: true, Functions: true,
			ToolChoices: []string{"auto", "none", "required"}, Thinking: providers.Thinking{Efforts: efforts, Always: true},
			Price: &providers.Price{Input: in, CachedInput: cached, Output: out},
		}
	}
	return []providers.Model{
		model("gemini-4-carbon", 4, 0.20, 20, "low", "medium", "high"),
		model("gemini-4-argon", 4, 0.20, 20, "low", "medium", "high"),
		model("gemini-4-neon", 3, 0.15, 15, "low", "medium", "high", "xhigh"),
		model("gemini-4-hydrogen", 1.50, 0.075, 7.50, "low", "medium", "high", "xhigh"),
		model("gemini-3.8-flash", 0.75, 0.075, 3.75, "low", "medium", "high"),
	}
}

// deepseekModels: prices are double on weekdays from 01 to 04 and from 06 to 10 UTC.
func deepseekModels() []providers.Model {
	return []providers.Model{{
		ID: "deepseek-flash", Status: providers.StatusActive, ContextWindow: 1_000_000, MaxOutput: 393_216, Images: true, JSONObject: true, Functions: true,
		ToolChoices: []string{"auto", "none", "required", "function"},
		Thinking:    providers.Thinking{Toggle: true, Efforts: []string{"low", "high", "max"}},
		Price:       &providers.Price{Input: 0.15, CachedInput: 0.003, Output: 0.60},
	}}
}

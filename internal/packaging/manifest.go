package main

import (
	"fmt"

	"github.com/exai-mcp/exai-mcp/internal/config"
	"github.com/exai-mcp/exai-mcp/internal/tools"
)

// manifest is a bundle's manifest.json (MCPB specification, manifest version 0.3, which the Claude Desktop of today reads).
type manifest struct {
	ManifestVersion string            `json:"manifest_version"`
	Name            string            `json:"name"`
	DisplayName     string            `json:"display_name"`
	Version         string            `json:"version"`
	Description     string            `json:"description"`
	LongDescription string            `json:"long_description"`
	Author          map[string]string `json:"author"`
	Repository      map[string]string `json:"repository"`
	Homepage        string            `json:"homepage"`
	Documentation   string            `json:"documentation"`
	Support         string            `json:"support"`
	License         string            `json:"license"`
	Keywords        []string          `json:"keywords"`
	Server          bundledServer     `json:"server"`
	Tools           []bundledTool     `json:"tools"`
	PromptsMade     bool              `json:"prompts_generated"` // the server lists them itself
	Compatibility   map[string]any    `json:"compatibility"`
	UserConfig      map[string]ask    `json:"user_config"`
}

type bundledServer struct {
	Type       string  `json:"type"`
	EntryPoint string  `json:"entry_point"`
	Start      starter `json:"mcp_config"`
}

type starter struct {
	Command string            `json:"command"`
	Args    []string          `json:"args"`
	Env     map[string]string `json:"env"`
}

type bundledTool struct {
	Name        string `json:"name"`
	Description string `json:"description"`
}

// ask is a setting that the client asks its user for.
type ask struct {
	Type        string `json:"type"`
	Title       string `json:"title"`
	Description string `json:"description"`
	Sensitive   bool   `json:"sensitive,omitempty"`
	Required    bool   `json:"required"`
	// Default is never left out: a setting without value and default would reach the server as "${user_config...}".
	Default string `json:"default"`
}

// asked are the settings that the client asks for, with their titles. The rest of what it shows comes from the
// configuration.
var asked = []struct{ variable, key, title, kind string }{
	{"GLM_API_KEY", "glm_api_key", "GLM key (Z.ai)", "string"},
	{"KIMI_API_KEY", "kimi_api_key", "Kimi key (Moonshot)", "string"},
	{"EXAI_ALLOWED_ROOTS", "project_folder", "Project folder", "directory"},
	{"GLM_API_URL", "glm_api_url", "GLM address", "string"},
	{"KIMI_API_URL", "kimi_api_url", "Kimi address", "string"},
	{"ENDPOINTS", "endpoints", "Other endpoints", "string"},
	{"OPENROUTER_API_KEY", "openrouter_api_key", "OpenRouter key", "string"},
	{"OPENAI_API_KEY", "openai_api_key", "OpenAI key", "string"},
	{"GEMINI_API_KEY", "gemini_api_key", "Gemini key", "string"},
	{"DEEPSEEK_API_KEY", "deepseek_api_key", "DeepSeek key", "string"},
	{"OLLAMA_MODEL", "ollama_model", "Ollama model", "string"},
}

const folderDescription = "The folder whose files may be shown to models, such as the one that your projects are in."

func manifestFor(system, version string) (*manifest, error) {
	platform, program := system, name
	if system == "windows" {
		platform, program = "win32", name+".exe"
	}
	env, settings := map[string]string{}, map[string]ask{}
	for _, a := range asked {
		v, ok := config.Lookup(a.variable)
		if !ok {
			return nil, fmt.Errorf("there is no setting %s", a.variable)
		}
		env[a.variable] = "${user_config." + a.key + "}"
		about := v.Doc
		if a.kind == "directory" {
			about = folderDescription
		}
		settings[a.key] = ask{Type: a.kind, Title: a.title, Description: about, Sensitive: v.Secret, Default: v.Default}
	}
	m := &manifest{
		ManifestVersion: "0.3", Name: name, DisplayName: "exai-mcp: second opinions", Version: version,
		Description: description,
		LongDescription: "Asks GLM (Z.ai), Kimi (Moonshot) and any OpenAI-compatible models for second opinions. One key is enough. " +
			"What a call names in files is sent to the vendor that answers; nothing else leaves this computer.",
		Author: map[string]string{"name": "the exai-mcp authors", "url": repository}, License: "MIT",
		Repository: map[string]string{"type": "git", "url": repository}, Homepage: repository,
		Documentation: repository + "#readme", Support: repository + "/issues",
		Keywords: []string{"glm", "kimi", "code review", "debugging", "second opinion"},
		Server: bundledServer{
			Type: "binary", EntryPoint: "server/" + program,
			Start: starter{Command: "${__dirname}/server/" + program, Args: []string{}, Env: env},
		},
		PromptsMade: true, Compatibility: map[string]any{"platforms": []string{platform}}, UserConfig: settings,
	}
	cfg := config.Default()
	shown, _ := tools.Shown(&tools.Deps{Config: cfg})
	for _, t := range shown {
		m.Tools = append(m.Tools, bundledTool{t.Name, t.Description})
	}
	return m, nil
}

package main

import (
	"github.com/exai-mcp/exai-mcp/internal/config"
)

// serverSchema is the form of server.json that the MCP registry takes.
const serverSchema = "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json"

type server struct {
	Schema      string            `json:"$schema"`
	Name        string            `json:"name"`
	Title       string            `json:"title"`
	Description string            `json:"description"`
	Version     string            `json:"version"`
	WebsiteURL  string            `json:"websiteUrl"`
	Repository  map[string]string `json:"repository"`
	Packages    []pack            `json:"packages"`
}

type pack struct {
	RegistryType string            `json:"registryType"`
	Identifier   string            `json:"identifier"`
	Version      string            `json:"version,omitempty"`
	FileSHA256   string            `json:"fileSha256,omitempty"`
	Transport    map[string]string `json:"transport"`
	RuntimeHint  string            `json:"runtimeHint,omitempty"`
	RuntimeArgs  []argument        `json:"runtimeArguments,omitempty"`
	Environment  []input           `json:"environmentVariables"`
}

type argument struct {
	Type      string           `json:"type"`
	Name      string           `json:"name"`
	Value     string           `json:"value"`
	Variables map[string]input `json:"variables,omitempty"`
}

type input struct {
	Name        string           `json:"name,omitempty"`
	Description string           `json:"description,omitempty"`
	IsRequired  bool             `json:"isRequired,omitempty"`
	IsSecret    bool             `json:"isSecret,omitempty"`
	Format      string           `json:"format,omitempty"`
	Default     string           `json:"default,omitempty"`
	Value       string           `json:"value,omitempty"`
	Variables   map[string]input `json:"variables,omitempty"`
}

// serverEntry is the server as the registry lists it: an image, an npm package, and a bundle for each system.
func serverEntry(version string, bundles []bundle) server {
	s := server{
		Schema: serverSchema, Name: registered, Title: name, Description: description, Version: version, WebsiteURL: repository,
		Repository: map[string]string{"url": repository, "source": "github"},
		Packages:   []pack{imagePackage(version), npmEntry(version)},
	}
	for _, b := range bundles {
		s.Packages = append(s.Packages, pack{
			RegistryType: "mcpb", Identifier: release(version, b.file), FileSHA256: b.digest, Transport: stdio(),
			Environment: append(keys(), folder()),
		})
	}
	return s
}

// npmEntry is the launcher, which npx starts.
func npmEntry(version string) pack {
	return pack{
		RegistryType: "npm", Identifier: name, Version: version, Transport: stdio(), RuntimeHint: "npx",
		Environment: append(keys(), folder()),
	}
}

func stdio() map[string]string { return map[string]string{"type": "stdio"} }

// keys are the vendors' keys, and which endpoints there are. None of them is required, since one is enough.
func keys() []input {
	var all []input
	for _, variable := range []string{
		"GLM_API_KEY", "KIMI_API_KEY", "ENDPOINTS", "OPENROUTER_API_KEY", "OPENAI_API_KEY", "GEMINI_API_KEY", "DEEPSEEK_API_KEY", "OLLAMA_MODEL",
	} {
		v, _ := config.Lookup(variable)
		all = append(all, input{Name: v.Name, Description: v.Doc, IsSecret: v.Secret})
	}
	return all
}

func folder() input {
	return input{Name: "EXAI_ALLOWED_ROOTS", Description: folderDescription, Format: "filepath"}
}

// imagePackage runs the image as docs/docker.md says: the state in a volume, the project read-only at its own path.
func imagePackage(version string) pack {
	project := map[string]input{"project": {Description: folderDescription, Format: "filepath", IsRequired: true}}
	roots := folder()
	roots.Value, roots.Variables, roots.Description, roots.Format = "{project}", project, "", ""
	return pack{
		RegistryType: "oci", Identifier: image + ":" + version, Transport: stdio(), RuntimeHint: "docker",
		RuntimeArgs: []argument{
			{Type: "named", Name: "--volume", Value: "exai-data:/data"},
			{Type: "named", Name: "--volume", Value: "{project}:{project}:ro", Variables: project},
		},
		Environment: append(keys(), roots),
	}
}

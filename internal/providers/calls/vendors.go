package calls

import (
	"strings"

	"github.com/exai-mcp/exai-mcp/internal/config"
)

// vendor ties a provider's name to what the configuration says about it. Adding a vendor adds a row to vendors.
type vendor struct {
	name     string
	title    string   // as sentences call it
	prefixes []string // model names that start so belong to it, listed or not
	keys     string   // the variables that hold its API key, as a hint names them
	settings func(*config.Config) config.Vendor
	searchOn func(*config.Config) bool // may its models search the web?
	searchBy string                    // the variable behind searchOn
}

// vendors are the vendors that can be configured, in the order in which "auto" tries them.
func vendors() []vendor {
	return []vendor{
		{
			name: "glm", title: "GLM (Z.ai)", prefixes: []string{"glm-"},
			keys:     "GLM_API_KEY (or ZHIPUAI_API_KEY, ZAI_API_KEY)",
			settings: func(c *config.Config) config.Vendor { return c.GLM },
			searchOn: func(c *config.Config) bool { return c.Search.GLMBrowsing == nil || *c.Search.GLMBrowsing },
			searchBy: "GLM_ENABLE_WEB_BROWSING",
		},
		{
			name: "kimi", title: "Kimi (Moonshot)", prefixes: []string{"kimi-", "moonshot-"},
			keys:     "KIMI_API_KEY (or MOONSHOT_API_KEY)",
			settings: func(c *config.Config) config.Vendor { return c.Kimi },
			searchOn: func(c *config.Config) bool { return c.Search.KimiEnabled },
			searchBy: "KIMI_ENABLE_INTERNET_SEARCH",
		},
	}
}

// vendorNamed finds a vendor by its short name.
func vendorNamed(name string) (vendor, bool) {
	for _, v := range vendors() {
		if v.name == name {
			return v, true
		}
	}
	return vendor{}, false
}

// vendorOfModel finds the vendor whose prefix a model's name carries.
func vendorOfModel(name string) (vendor, bool) {
	name = strings.ToLower(name)
	for _, v := range vendors() {
		for _, p := range v.prefixes {
			if strings.HasPrefix(name, p) && len(name) > len(p) {
				return v, true
			}
		}
	}
	return vendor{}, false
}

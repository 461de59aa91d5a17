package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAnEndpointIsNamedByENDPOINTSAlone(t *testing.T) {
	m := newMachine(t)
	c := m.mustLoad("OPENAI_API_KEY=sk-1", "GEMINI_API_KEY=g", "CUSTOM_API_URL=http://localhost:11434/v1")
	assert.Len(t, c.Vendors(), 2, "a key in the environment adds no vendor")
	assert.Equal(t, map[string]string{"openai": "OPENAI_API_KEY", "gemini": "GEMINI_API_KEY", "custom": "CUSTOM_API_URL"}, c.OtherKeys())

	c = m.mustLoad("ENDPOINTS=openai, Ollama;lab openai", "OPENAI_API_KEY=sk-1", "LAB_API_URL=https://lab.test/v1/", "LAB_MODEL=big", "LAB_MAX_INFLIGHT=7",
		"LAB_TIMEOUT_SECS=44", "LAB_ALLOWED_MODELS=big,small", "OPENAI_SPEED_MODEL=gpt-x")
	var names []string
	for _, v := range c.Vendors() {
		names = append(names, v.Row.Name)
	}
	assert.Equal(t, []string{"glm", "kimi", "openai", "ollama", "lab"}, names)
	openai, ollama, lab := c.Vendor("openai"), c.Vendor("ollama"), c.Vendor("lab")
	assert.True(t, openai.Configured())
	assert.False(t, openai.Local())
	assert.Equal(t, "https://api.openai.com/v1", openai.APIURL)
	assert.Equal(t, "gpt-x", openai.SpeedModel)
	assert.Empty(t, openai.QualityModel)
	assert.Equal(t, 4, openai.MaxInflight)
	assert.True(t, ollama.Configured(), "it needs no key")
	assert.True(t, ollama.Local())
	assert.Equal(t, 1, ollama.MaxInflight)
	assert.Equal(t, "OLLAMA_TIMEOUT_SECS=300s", c.Timeouts.Vendor("ollama").String())
	assert.Equal(t, "OPENAI_TIMEOUT_SECS=30s", c.Timeouts.Vendor("openai").String())
	assert.Equal(t, 30*time.Second, c.Timeouts.SimpleTool, "no other limit grows with an endpoint's")
	assert.Equal(t, "https://lab.test/v1", lab.APIURL)
	assert.Equal(t, []string{"big", "big"}, []string{lab.QualityModel, lab.SpeedModel})
	assert.Equal(t, []string{"big", "small"}, lab.AllowedModels)
	assert.Equal(t, 7, lab.MaxInflight)
	assert.Equal(t, "LAB_TIMEOUT_SECS=44s", c.Timeouts.Vendor("lab").String())
	assert.Equal(t, "environment", c.Source("LAB_MODEL"))
	assert.Empty(t, c.Warnings)
	assert.Empty(t, c.OtherKeys())

	shown := map[string]Setting{}
	for _, s := range c.Settings() {
		shown[s.Name] = s
	}
	assert.Equal(t, "big", shown["LAB_MODEL"].Value)
	assert.Equal(t, "300", shown["OLLAMA_TIMEOUT_SECS"].Default)
	assert.Equal(t, "********", shown["OPENAI_API_KEY"].Value)
}

func TestNamesOfEndpoints(t *testing.T) {
	m := newMachine(t)
	for name, accepted := range map[string]string{
		"glm": "another name", "kimi": "another name", "auto": "another name", "zai": "another name", "moonshot": "another name",
		"google": "gemini, which is the name", "max": "settings of exai-mcp begin with it", "default": "begin with it", "endpoints": "begin with it",
		"supabase": "begin with it", "x": "of your own", "9lab": "of your own", "my-lab": "of your own", "lab_2": "of your own",
		strings.Repeat("a", 25): "of your own",
	} {
		_, err := m.load("ENDPOINTS=ollama," + name)
		var bad *ValueError
		require.ErrorAs(t, err, &bad, name)
		assert.Equal(t, "ENDPOINTS", bad.Name)
		assert.Equal(t, name, bad.Value)
		assert.Contains(t, bad.Accepts, accepted, name)
	}
	for _, name := range []string{"ab", "lab2", "litellm", "vllm", strings.Repeat("a", 24)} {
		_, err := m.load("ENDPOINTS="+name, strings.ToUpper(name)+"_API_URL=https://a.test/v1")
		require.NoError(t, err, name)
	}
}

func TestAddressesOfEndpoints(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		variable, value, want string
		local                 bool
	}{
		{"OLLAMA_HOST", "0.0.0.0", "http://127.0.0.1:11434/v1", true},
		{"OLLAMA_HOST", "0.0.0.0:8080", "http://127.0.0.1:8080/v1", true},
		{"OLLAMA_HOST", "http://[::]:1", "http://127.0.0.1:1/v1", true},
		{"OLLAMA_HOST", "box", "http://box:11434/v1", false},
		{"OLLAMA_HOST", "[::1]", "http://[::1]:11434/v1", true},
		{"OLLAMA_HOST", "https://ollama.com", "https://ollama.com/v1", false},
		{"OLLAMA_API_URL", "http://localhost:11434/", "http://localhost:11434/v1", true},
		{"OLLAMA_API_URL", "http://LocalHost:11434/V1", "http://localhost:11434/V1", true},
		{"OLLAMA_API_URL", "http://0.0.0.0:8000/v1", "http://127.0.0.1:8000/v1", true},
		{"OLLAMA_API_URL", "http://[::]/v1", "http://127.0.0.1/v1", true},
		{"OLLAMA_API_URL", "http://0.0.0.0.test/v1", "http://0.0.0.0.test/v1", false},
		{"OLLAMA_BASE_URL", "http://127.0.0.1:5/api/v9/", "http://127.0.0.1:5/api/v9", true},
	} {
		cfg := m.mustLoad("ENDPOINTS=ollama", c.variable+"="+c.value)
		assert.Equal(t, c.want, cfg.Vendor("ollama").APIURL, c.value)
		assert.Equal(t, c.local, cfg.Vendor("ollama").Local(), c.value)
	}
	assert.Equal(t, "http://127.0.0.1:11434/v1", m.mustLoad("ENDPOINTS=ollama").Vendor("ollama").APIURL)

	pal := m.mustLoad("ENDPOINTS=custom", "CUSTOM_API_URL=http://localhost:8000/v1", "CUSTOM_API_KEY=", "CUSTOM_MODEL_NAME=llama3.2")
	assert.Equal(t, "llama3.2", pal.Vendor("custom").QualityModel)
	assert.True(t, pal.Vendor("custom").Configured())
	assert.True(t, pal.Vendor("custom").Local())
	assert.Empty(t, pal.Warnings)
}

func TestAKeyIsNotSentInPlainTextOverTheInternet(t *testing.T) {
	m := newMachine(t)
	for _, c := range []struct {
		address, key string
		usable       bool
		warning      string
	}{
		{"http://lab.test/v1", "secret-key-1", false, "is not used: it would send the key"},
		{"http://lab.test/v1", "", true, "sends all prompts in plain text over the internet"},
		{"https://lab.test/v1", "secret-key-1", true, ""},
		{"http://10.1.2.3/v1", "secret-key-1", true, "over the local network"},
		{"http://box/v1", "secret-key-1", true, "over the local network"},
		{"http://nas.local:1/v1", "", true, "over the local network"},
		{"http://172.32.0.1/v1", "secret-key-1", false, "is not used"},
		{"http://127.8.0.1:1/v1", "secret-key-1", true, ""},
		{"http://localhost:1/v1", "secret-key-1", true, ""},
		{"", "secret-key-1", false, "but LAB_API_URL is not set"},
	} {
		cfg := m.mustLoad("ENDPOINTS=lab", "LAB_API_URL="+c.address, "LAB_API_KEY="+c.key)
		lab := cfg.Vendor("lab")
		assert.Equal(t, c.usable, lab.Configured(), c.address)
		assert.Equal(t, c.usable, lab.Unusable == "", c.address)
		if c.warning == "" {
			assert.Empty(t, cfg.Warnings, c.address)
			continue
		}
		require.Len(t, cfg.Warnings, 1, c.address)
		assert.Contains(t, cfg.Warnings[0], c.warning)
		assert.NotContains(t, cfg.Warnings[0], "secret-key-1")
	}
}

// The address counts only from where the key is set, and it decides about the limits.
func TestAnEndpointsAddressFromElsewhereThanItsKey(t *testing.T) {
	m := newMachine(t)
	m.userFile("ENDPOINTS=ollama\nOLLAMA_API_URL=https://far.test/v1\n")
	c := m.mustLoad("OLLAMA_API_KEY=mine")
	assert.Equal(t, "http://127.0.0.1:11434/v1", c.Vendor("ollama").APIURL)
	assert.True(t, c.Vendor("ollama").Local())
	require.Len(t, c.Warnings, 1)
	assert.Contains(t, c.Warnings[0], "OLLAMA_API_URL from the file")
	assert.Equal(t, "https://far.test/v1", m.mustLoad().Vendor("ollama").APIURL)
}

func TestAProjectsFileNamesNoEndpoint(t *testing.T) {
	m := newMachine(t)
	m.projectFile("GLM_API_KEY=glm-key\nENDPOINTS=lab\nLAB_API_URL=https://evil.test/v1\nOLLAMA_HOST=evil.test\n")
	c := m.mustLoad()
	assert.Equal(t, "glm-key", c.GLM.APIKey.Reveal())
	assert.Len(t, c.Vendors(), 2)
	assert.Equal(t, "glm-key", m.mustLoad("ENDPOINTS=${ENDPOINTS}").GLM.APIKey.Reveal(), "a placeholder is unset")
	c = m.mustLoad("ENDPOINTS=ollama")
	assert.Empty(t, c.GLM.APIKey, "nothing is taken once ENDPOINTS is the user's own")
	assert.Equal(t, "http://127.0.0.1:11434/v1", c.Vendor("ollama").APIURL)
}

func TestPlaceholdersOfEndpointKeys(t *testing.T) {
	c := newMachine(t).mustLoad("ENDPOINTS=openai", "OPENAI_API_KEY=your_openai_api_key_here")
	assert.False(t, c.Vendor("openai").Configured())
	assert.Equal(t, "OPENAI_API_KEY", c.Vendor("openai").MissingSettings())
	assert.Contains(t, c.Examples, Example{Name: "OPENAI_API_KEY", Source: "environment"})
	lab := newMachine(t).mustLoad("ENDPOINTS=lab")
	assert.Equal(t, "LAB_API_URL", lab.Vendor("lab").MissingSettings())
}

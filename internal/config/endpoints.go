package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Endpoint is what is known of an OpenAI-compatible endpoint that ENDPOINTS names, beside what every vendor's row holds.
// The zero value is an endpoint of which nothing is known, as one with a name of the user's own.
type Endpoint struct {
	Preset       bool     // the program knows it; else the name is the user's own
	Aliases      []string // names that people use for it; ENDPOINTS takes Name alone
	ModelAliases []string // other names of NAME_MODEL
	NeedsKey     bool     // without a key it is not asked
	Host         bool     // the address may be a mere host, as in OLLAMA_HOST
	Local        bool     // its address is this machine's own (loopback)

	// Quality and Speed are its models for reasoning and for fast tools, the best first: the first that its own list of
	// models has is used. Empty: the model that is loaded, or the only one.
	Quality, Speed []string
	// OutputCap is the parameter that limits an answer, "" for max_tokens.
	OutputCap string
	// Thinking is how thinking is switched: "" not at all, "effort" by reasoning_effort, "object" by
	// reasoning.effort, "type" by thinking.type beside reasoning_effort.
	Thinking string
	// Efforts are the words that its models take where their rows and the endpoint's own list say nothing.
	Efforts []string
	// JSONObject: its models take response_format json_object.
	JSONObject bool
}

// The limits of endpoints by default.
const (
	endpointTimeout  = 30 * time.Second
	localTimeout     = 300 * time.Second // nothing is sent while a model loads and while it reads the prompt
	endpointInflight = 4
	localInflight    = 1
)

// Presets are the endpoints that the program knows by name, each one row. What one of them does in a way that a row cannot
// say is a quirk in package endpoint.
func Presets() []VendorRow {
	efforts := []string{"low", "medium", "high", "xhigh"}
	return []VendorRow{
		preset("openai", "OpenAI", "https://api.openai.com/v1", Endpoint{
			NeedsKey: true, OutputCap: "max_completion_tokens", Thinking: "effort", Efforts: efforts, JSONObject: true,
			Quality: []string{"gpt-6.2-sol", "gpt-6.1-sol", "gpt-6-sol", "gpt-5.6-sol"},
			Speed:   []string{"gpt-6-luna", "gpt-5.6-luna", "gpt-5.4-mini"},
		}).keys("https://platform.openai.com/api-keys"),
		preset("gemini", "Google Gemini", "https://generativelanguage.googleapis.com/v1beta/openai", Endpoint{
			NeedsKey: true, Aliases: []string{"google"}, Thinking: "effort", Efforts: efforts[:3], JSONObject: true,
			Quality: []string{"gemini-4-carbon", "gemini-4-argon", "gemini-3.1-pro-preview"},
			Speed:   []string{"gemini-3.8-flash", "gemini-3.6-flash"},
		}).keys("https://aistudio.google.com/apikey", "GOOGLE_API_KEY"),
		preset("openrouter", "OpenRouter", "https://openrouter.ai/api/v1", Endpoint{
			NeedsKey: true, Thinking: "object",
			Quality: []string{"anthropic/claude-opus-5.5", "anthropic/claude-sonnet-5.5", "openai/gpt-6.2-sol", "openrouter/auto"},
			Speed:   []string{"google/gemini-3.8-flash", "deepseek/deepseek-v4.1-flash", "openrouter/auto"},
		}).keys("https://openrouter.ai/settings/keys"),
		preset("deepseek", "DeepSeek", "https://api.deepseek.com", Endpoint{
			NeedsKey: true, Thinking: "type", Efforts: []string{"low", "high", "max"}, JSONObject: true,
			Quality: []string{"deepseek-flash"}, Speed: []string{"deepseek-flash"},
		}).keys("https://platform.deepseek.com/api_keys"),
		preset("ollama", "Ollama", "http://127.0.0.1:11434/v1", Endpoint{Host: true, Thinking: "effort"}).urls("OLLAMA_HOST"),
		preset("lmstudio", "LM Studio", "http://127.0.0.1:1234/v1", Endpoint{Host: true}).keys("", "LM_API_TOKEN"),
		preset("custom", "the custom endpoint", "", Endpoint{ModelAliases: []string{"CUSTOM_MODEL_NAME"}}),
	}
}

func preset(name, title, address string, e Endpoint) VendorRow {
	e.Preset = true
	row := endpointRow(name, e)
	row.Title, row.URL = title, address
	return row
}

// endpointRow is the row of an endpoint.
func endpointRow(name string, e Endpoint) VendorRow {
	return VendorRow{
		Name: name, Title: name, Prefixes: []string{name + "/"}, URLAliases: []string{strings.ToUpper(name) + "_BASE_URL"},
		MaxInflight: endpointInflight, Timeout: endpointTimeout, Endpoint: &e,
	}
}

func (r VendorRow) keys(page string, aliases ...string) VendorRow {
	r.KeyPage, r.KeyAliases = page, aliases
	return r
}

func (r VendorRow) urls(aliases ...string) VendorRow {
	r.URLAliases = append(r.URLAliases, aliases...)
	return r
}

// endpointSpecs are the settings of one endpoint.
func (r VendorRow) endpointSpecs() []spec {
	key, title := r.Variable("API_KEY"), r.Title
	keyDoc := "Key for " + title + "."
	switch {
	case r.KeyPage != "":
		keyDoc = "Key for " + title + ", from " + r.KeyPage + "."
	case !r.Endpoint.NeedsKey:
		keyDoc = "Key for " + title + ", if it wants one. Without one no Authorization header is sent."
	}
	where := address
	if r.Endpoint.Host {
		where = hostAddress(r.URL)
	}
	return []spec{
		{name: key, aliases: r.KeyAliases, rule: apiKey, vendorKey: true, doc: keyDoc},
		{
			name: r.Variable("API_URL"), aliases: r.URLAliases, rule: where, key: key,
			doc: "Base URL, up to and without /chat/completions. It is used only if it comes from the same source as the key.",
		},
		{name: r.Variable("MODEL"), aliases: r.Endpoint.ModelAliases, rule: model, doc: "Its model for reasoning: thinkdeep, expert analysis, consensus. Unset: the preset's first model that the endpoint lists or, at a local endpoint, the loaded or only model."},
		{name: r.Variable("SPEED_MODEL"), rule: model, doc: "Its model for fast tools such as chat. Unset: " + r.Variable("MODEL") + "."},
		{name: r.Variable("ALLOWED_MODELS"), rule: models, doc: "Its models that may be used. Empty allows all."},
		{name: r.Variable("MAX_OUTPUT_TOKENS"), rule: whole(0, 1<<20), doc: "Maximum tokens of an answer. 0: DEFAULT_MAX_OUTPUT_TOKENS."},
		{name: r.Variable("MAX_INFLIGHT"), rule: whole(1, 10_000), doc: "Maximum concurrent requests to it. At an address of this machine the default is 1."},
		{name: r.Variable("TIMEOUT_SECS"), rule: limit, doc: "Wait for the first event of a request to it, queueing and retries included. At an address of this machine the default is 300. No other limit grows with it."},
	}
}

// hostAddress accepts what address does, and a mere host as OLLAMA_HOST has it: the scheme, the port and /v1 are then those
// of the default address, and an address to listen on (0.0.0.0) is read as this machine's own.
func hostAddress(def string) rule {
	r := address
	r.norm = func(raw string, at place) (string, bool) {
		bare := !strings.Contains(raw, "://")
		if bare {
			raw = "http://" + raw
		}
		u, err := url.Parse(raw)
		if err != nil {
			return "", false
		}
		standard, err := url.Parse(def)
		if err != nil {
			return "", false
		}
		host, port := u.Hostname(), u.Port()
		if host == "" {
			host = standard.Hostname()
		}
		if port == "" && bare {
			port = standard.Port()
		}
		switch {
		case port != "":
			u.Host = net.JoinHostPort(host, port)
		case strings.Contains(host, ":"):
			u.Host = "[" + host + "]"
		default:
			u.Host = host
		}
		if strings.Trim(u.Path, "/") == "" {
			u.Path = standard.Path
		}
		return address.norm(u.String(), at)
	}
	return r
}

// IsEndpoint reports whether the vendor is one of ENDPOINTS.
func (r VendorRow) IsEndpoint() bool { return r.Endpoint != nil }

// Local reports whether the vendor's address is this machine's own. Nothing follows about where what is sent goes on to.
func (v *Vendor) Local() bool { return v.Row.Endpoint != nil && v.Row.Endpoint.Local }

// Configured reports whether the vendor can be asked: with its key, or without one where it needs none.
func (v *Vendor) Configured() bool { return v.Unusable == "" && (v.APIKey != "" || v.keyless()) }

func (v *Vendor) keyless() bool {
	return v.Row.Endpoint != nil && !v.Row.Endpoint.NeedsKey && v.APIURL != ""
}

// MissingSettings says what would make the vendor usable, as an operator sets it: "GLM_API_KEY", or "LAB_API_URL".
func (v *Vendor) MissingSettings() string {
	if v.Row.Endpoint != nil && v.APIURL == "" {
		return v.Row.Variable("API_URL")
	}
	return v.Row.KeyNames()
}

// addEndpoints makes the vendors that ENDPOINTS names, from the environment or a file of the user's own.
func (l *loader) addEndpoints() error {
	list := spec{name: "ENDPOINTS"}
	for _, from := range l.sources {
		set := from.first(list)
		if !set.isSet() {
			continue
		}
		for _, name := range strings.FieldsFunc(set.raw, separator) {
			row, problem := l.endpointNamed(strings.ToLower(name))
			if problem != "" {
				value := l.shown(name)
				if strings.Contains(set.raw, "@") { // the name may be a part of a password
					value = mask
				}
				return &ValueError{Name: list.name, Value: value, Source: set.from, Accepts: problem}
			}
			if !slices.Contains(l.at.vendors, row.Name) {
				l.others = append(slices.Clip(l.others), l.placed(row))
				l.at.vendors = append(l.at.vendors, row.Name)
			}
		}
		break
	}
	for _, from := range l.sources {
		for _, e := range l.exampleKeys(from) {
			if !slices.Contains(l.examples, e) {
				l.examples = append(l.examples, e)
			}
		}
	}
	return nil
}

// endpointNamed is the row for a name in ENDPOINTS, or what is accepted instead.
func (l *loader) endpointNamed(name string) (row VendorRow, problem string) {
	for _, p := range Presets() {
		if p.Name == name {
			return p, ""
		}
		if slices.Contains(p.Endpoint.Aliases, name) {
			return row, p.Name + ", which is the name of this endpoint here"
		}
	}
	presets := make([]string, 0, len(Presets()))
	for _, p := range Presets() {
		presets = append(presets, p.Name)
	}
	accepts := fmt.Sprintf("%s, or a name of your own of 2 to 24 letters and digits that begins with a letter", strings.Join(presets, ", "))
	switch {
	case len(name) < 2 || len(name) > 24 || strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || 'z' < r) && (r < '0' || '9' < r) }) || name[0] <= '9':
		return row, accepts
	case name == "auto" || name == "endpoints" || ownWords()[name]:
		return row, "another name, since " + strings.ToUpper(name) + " is not free: settings of exai-mcp begin with it"
	}
	for _, r := range BuiltInVendors() {
		if r.Name == name || slices.Contains(r.Aliases, name) {
			return row, "another name, since " + name + " means " + r.Title + ", which needs no ENDPOINTS"
		}
	}
	return endpointRow(name, Endpoint{}), ""
}

// ownWords are the words that our variables begin with, in lower case: an endpoint of that name would share them.
func ownWords() map[string]bool {
	words := map[string]bool{}
	eachSpec(nil, func(s spec) {
		for _, name := range s.names() {
			word, _, _ := strings.Cut(name, "_")
			words[strings.ToLower(word)] = true
		}
	})
	for _, p := range Presets() { // their keys' other names, such as LM_API_TOKEN
		delete(words, p.Name)
	}
	return words
}

// placed is the row with what follows from where the endpoint is: a local one has other limits by default.
func (l *loader) placed(row VendorRow) VendorRow {
	e := *row.Endpoint
	row.Endpoint = &e
	at := row.URL
	warnings := l.warnings
	for _, s := range row.endpointSpecs()[:2] { // the key and the address, which counts only from where the key is
		set, plain, err := l.find(s)
		if err != nil {
			break // reported when all settings are read
		}
		if set.isSet() {
			l.found[s.name] = set
			if s.key != "" {
				at = plain
			}
		}
	}
	l.warnings = warnings // they come again when all settings are read
	if u, err := url.Parse(at); err == nil && loopback(u.Hostname()) {
		e.Local = true
		row.MaxInflight, row.Timeout = localInflight, localTimeout
	}
	return row
}

// settleEndpoints finishes the endpoints' settings: which models they stand for, and whether their address may be used.
func (l *loader) settleEndpoints(c *Config) {
	for _, o := range c.Others {
		if !o.Row.IsEndpoint() {
			continue
		}
		o.QualityModel = o.Model
		if o.SpeedModel == "" {
			o.SpeedModel = o.Model
		}
		l.judgeAddress(&o.Vendor)
	}
}

// judgeAddress keeps a key from going over a network in plain text.
func (l *loader) judgeAddress(v *Vendor) {
	variable := v.Row.Variable("API_URL")
	u, err := url.Parse(v.APIURL)
	switch {
	case v.APIURL == "":
		v.Unusable = variable + " is not set"
		l.warn("ENDPOINTS names %s, but %s is not set: set it to the endpoint's base URL.", v.Row.Name, variable)
	case err != nil || u.Scheme != "http" || loopback(u.Hostname()):
	case private(u.Hostname()):
		l.warn("%s=%s sends all prompts, and a key where one is set, in plain text over the local network.", variable, maskAddress(v.APIURL))
	case v.APIKey != "":
		v.Unusable = variable + " would send the key in plain text"
		l.warn("%s=%s is not used: it would send the key in plain text over the internet. Use https.", variable, maskAddress(v.APIURL))
	default:
		l.warn("%s=%s sends all prompts in plain text over the internet; use https.", variable, maskAddress(v.APIURL))
	}
}

// private reports whether a host is in a network of the user's own: a private address, or a name that public DNS does not
// have.
func private(host string) bool {
	if ip := net.ParseIP(host); ip != nil {
		return ip.IsPrivate() || ip.IsLinkLocalUnicast()
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if !strings.Contains(host, ".") {
		return true
	}
	return slices.ContainsFunc([]string{".local", ".lan", ".internal", ".home.arpa"}, func(end string) bool { return strings.HasSuffix(host, end) })
}

// OtherKeys lists the keys of known endpoints, and the address of PAL's custom endpoint, that the environment or the env
// file holds although ENDPOINTS does not name their endpoint; by endpoint. They are not used.
func (c *Config) OtherKeys() map[string]string { return maps.Clone(c.otherKeys) }

func (l *loader) unusedKeys() (unused map[string]string) {
	for _, row := range Presets() {
		if slices.Contains(l.at.vendors, row.Name) {
			continue
		}
		names := append([]string{row.Variable("API_KEY")}, row.KeyAliases...)
		if row.URL == "" {
			names = []string{row.Variable("API_URL")}
		}
		for _, from := range l.sources {
			if set := from.first(spec{name: names[0], aliases: names[1:]}); set.isSet() && unused[row.Name] == "" {
				if unused == nil {
					unused = map[string]string{}
				}
				unused[row.Name] = set.name
			}
		}
	}
	return unused
}

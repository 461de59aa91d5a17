package config

import (
	"net/url"
	"strings"
	"time"
)

// VendorRow is what the program knows of a vendor before anything is set. The configuration, the registry, doctor and
// the tools read it from here: a new vendor is one row, and one line where its provider is made.
type VendorRow struct {
	Name         string    // in calls, replies and logs, "glm"; in capitals it begins the names of its settings
	Title        string    // in sentences, "GLM (Z.ai)"
	Prefixes     []string  // a model whose name begins so belongs to the vendor, listed or not
	KeyAliases   []string  // other names of NAME_API_KEY, in the order in which they are read
	URLAliases   []string  // other names of NAME_API_URL
	KeyPage      string    // where a key is made
	SearchSwitch string    // the setting that allows its models to search the web; "": they always may
	FromProject  bool      // key and base URL are also taken from .env of the working directory
	Aliases      []string  // other names that mean the vendor's quality model, as Name itself does
	Endpoint     *Endpoint // what is known of an endpoint of ENDPOINTS; nil for a vendor with an API of its own

	// What its settings are by default.
	URL          string
	SpeedModel   string
	QualityModel string
	MaxInflight  int
	Timeout      time.Duration // NAME_TIMEOUT_SECS
}

// BuiltInVendors are the rows of the vendors that the program always knows, in the order in which "auto" tries them.
func BuiltInVendors() []VendorRow { return []VendorRow{glmRow, kimiRow} }

var (
	glmRow = VendorRow{
		Name: "glm", Title: "GLM (Z.ai)", Prefixes: []string{"glm-"}, Aliases: []string{"zai", "zhipu", "zhipuai"},
		KeyAliases:   []string{"ZHIPUAI_API_KEY", "ZAI_API_KEY"},
		URLAliases:   []string{"GLM_BASE_URL", "ZHIPUAI_API_URL"},
		KeyPage:      "https://z.ai/manage-apikey/apikey-list",
		SearchSwitch: "GLM_ENABLE_WEB_BROWSING", FromProject: true,
		URL: "https://api.z.ai/api/paas/v4", SpeedModel: "glm-5.3-flash", QualityModel: "glm-5.3", MaxInflight: 16,
		Timeout: 30 * time.Second,
	}
	kimiRow = VendorRow{
		Name: "kimi", Title: "Kimi (Moonshot)", Prefixes: []string{"kimi-", "moonshot-"}, Aliases: []string{"moonshot"},
		KeyAliases:   []string{"MOONSHOT_API_KEY"},
		URLAliases:   []string{"KIMI_BASE_URL", "MOONSHOT_API_URL"},
		KeyPage:      "https://platform.moonshot.ai/console/api-keys",
		SearchSwitch: "KIMI_ENABLE_INTERNET_SEARCH", FromProject: true,
		URL: "https://api.moonshot.ai/v1", SpeedModel: "kimi-k3.1-pro", QualityModel: "kimi-k3.1-pro", MaxInflight: 16,
		Timeout: 30 * time.Second,
	}
)

// Variable is the name of one of the vendor's settings: Variable("API_KEY") of glm is GLM_API_KEY.
func (r VendorRow) Variable(setting string) string { return strings.ToUpper(r.Name) + "_" + setting }

// KeyNames are the variables that hold the vendor's key, as a hint names them: "KIMI_API_KEY (or MOONSHOT_API_KEY)".
func (r VendorRow) KeyNames() string {
	name := r.Variable("API_KEY")
	if len(r.KeyAliases) > 0 {
		name += " (or " + strings.Join(r.KeyAliases, ", ") + ")"
	}
	return name
}

// OwnsModel reports whether a model's name carries one of the vendor's prefixes.
func (r VendorRow) OwnsModel(name string) bool {
	name = strings.ToLower(name)
	for _, p := range r.Prefixes {
		if strings.HasPrefix(name, p) && len(name) > len(p) {
			return true
		}
	}
	return false
}

// vendor is the vendor with nothing set.
func (r VendorRow) vendor() Vendor {
	return Vendor{Row: r, APIURL: r.URL, SpeedModel: r.SpeedModel, QualityModel: r.QualityModel, MaxInflight: r.MaxInflight}
}

// group is the part of the table for a vendor that has no part of its own there.
func (r VendorRow) group() group {
	if r.Endpoint != nil {
		return group{r.Title, "", r.endpointSpecs()}
	}
	key := r.Variable("API_KEY")
	keyDoc := "Key for the models of " + r.Title + "."
	if r.KeyPage != "" {
		keyDoc = "Key for the models of " + r.Title + ", from " + r.KeyPage + "."
	}
	return group{r.Title, "", []spec{
		{name: key, aliases: r.KeyAliases, rule: apiKey, vendorKey: true, project: r.FromProject, doc: keyDoc},
		{
			name: r.Variable("API_URL"), aliases: r.URLAliases, rule: address, key: key, project: r.FromProject,
			doc: "Base URL. It is used only if it comes from the same source as " + key + ".",
		},
		{name: r.Variable("SPEED_MODEL"), rule: model, doc: "Its model for fast tools such as chat."},
		{name: r.Variable("QUALITY_MODEL"), rule: model, doc: "Its model for reasoning: thinkdeep, expert analysis, consensus."},
		{name: r.Variable("ALLOWED_MODELS"), rule: models, doc: "Its models that may be used, by name or alias. Empty allows all."},
		{name: r.Variable("MAX_OUTPUT_TOKENS"), rule: whole(0, 1<<20), doc: "Limit on the tokens of an answer. 0: DEFAULT_MAX_OUTPUT_TOKENS."},
		{name: r.Variable("MAX_INFLIGHT"), rule: whole(1, 10_000), doc: "Maximum concurrent requests to it."},
		{name: r.Variable("TIMEOUT_SECS"), rule: limit, doc: "Wait for the first event of a request to it, queueing and retries included."},
	}}
}

// OtherVendor is a vendor beside GLM and Kimi. Its limit stands outside the order of the TimeoutConfig.
type OtherVendor struct {
	Vendor
	Model   string        `env:"MODEL"` // an endpoint's name for QualityModel
	Timeout time.Duration `env:"TIMEOUT_SECS"`
}

// Vendors lists every vendor, whether its key is set or not, in the order in which "auto" tries them.
func (c *Config) Vendors() []*Vendor {
	list := []*Vendor{&c.GLM, &c.Kimi}
	for _, o := range c.Others {
		list = append(list, &o.Vendor)
	}
	return list
}

// Vendor finds a vendor by its name, nil if there is none.
func (c *Config) Vendor(name string) *Vendor {
	for _, v := range c.Vendors() {
		if v.Row.Name == name {
			return v
		}
	}
	return nil
}

// VendorRows are the rows of Vendors.
func (c *Config) VendorRows() []VendorRow {
	var rows []VendorRow
	for _, v := range c.Vendors() {
		rows = append(rows, v.Row)
	}
	return rows
}

// VendorTitle is a vendor's name in sentences; an unknown name stays as it is.
func (c *Config) VendorTitle(name string) string {
	if v := c.Vendor(name); v != nil {
		return v.Row.Title
	}
	return name
}

// VendorKeys are the keys that are set.
func (c *Config) VendorKeys() []string {
	var keys []string
	for _, v := range c.Vendors() {
		if v.APIKey != "" {
			keys = append(keys, v.APIKey.Reveal())
		}
	}
	return keys
}

// SearchAllowed reports whether a vendor's models may search the web, and the setting that decides.
func (c *Config) SearchAllowed(v *Vendor) (setting string, allowed bool) {
	switch v.Row.SearchSwitch {
	case "GLM_ENABLE_WEB_BROWSING":
		allowed = c.Search.GLMBrowsing == nil || *c.Search.GLMBrowsing
	case "KIMI_ENABLE_INTERNET_SEARCH":
		allowed = c.Search.KimiEnabled
	default:
		allowed = true
	}
	return v.Row.SearchSwitch, allowed
}

// defaultWith is Default with further vendors.
func defaultWith(rows []VendorRow) *Config {
	c := Default()
	for _, row := range rows {
		c.Others = append(c.Others, &OtherVendor{Vendor: row.vendor(), Timeout: row.Timeout})
	}
	c.Timeouts.others = c.otherLimits()
	return c
}

func (c *Config) otherRows() (rows []VendorRow) {
	for _, o := range c.Others {
		rows = append(rows, o.Row)
	}
	return rows
}

func (c *Config) otherLimits() (limits map[string]Limit) {
	for _, o := range c.Others {
		if limits == nil {
			limits = map[string]Limit{}
		}
		limits[o.Row.Name] = Limit{Name: o.Row.Variable("TIMEOUT_SECS"), Value: o.Timeout}
	}
	return limits
}

// Billing says who pays for a vendor's requests, as far as its address shows it.
type Billing string

// The kinds of billing.
const (
	BillingTokens    Billing = "tokens" // by the list price
	BillingPlan      Billing = "plan"   // a subscription: requests cost nothing beside it
	BillingMaybePlan Billing = "plan?"  // the key decides; the list price is counted
	BillingLocal     Billing = "local"  // a server on this machine
)

// Billing is by tokens but for addresses of plans and endpoints on this machine. A loopback address of GLM or Kimi is a
// proxy or an emulator, whose requests count like the vendor's. Kimi Code is a membership with an address of its own
// (https://www.kimi.com/code/docs); GLM's coding plan has one too, where keys without a plan are charged by tokens.
func (v *Vendor) Billing() Billing {
	u, err := url.Parse(v.APIURL)
	if err != nil {
		return BillingTokens
	}
	host := strings.ToLower(u.Hostname())
	builtIn := v.Row.Name == glmRow.Name || v.Row.Name == kimiRow.Name
	switch {
	case host == "kimi.com" || strings.HasSuffix(host, ".kimi.com"):
		return BillingPlan
	case v.Row.Name == glmRow.Name && strings.Contains(u.Path, "/coding/"):
		return BillingMaybePlan
	case !builtIn && loopback(host):
		return BillingLocal
	}
	return BillingTokens
}

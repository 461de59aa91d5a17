// Package config reads the environment once and hands out plain values.
//
// It is the only reader of the environment in the program, and every package above the leaves may import it.
package config

import "time"

// Secret is a value that must never be shown. Every way of printing it gives a mask; Reveal is the one way to its text.
type Secret string

// Reveal returns the secret's text, for the one place that sends it.
func (s Secret) Reveal() string { return string(s) }

// String masks the secret. An empty secret stays empty, so that "set or not" can be told.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "********"
}

// GoString masks the secret under %#v.
func (s Secret) GoString() string { return `config.Secret("` + s.String() + `")` }

// MarshalText masks the secret in JSON and in logs.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// Config is everything the operator can set. Load fills it; nothing changes it afterwards.
type Config struct {
	GLM           Vendor         `envPrefix:"GLM_"`
	Kimi          Vendor         `envPrefix:"KIMI_"`
	Others        []*OtherVendor // vendors beside GLM and Kimi, read by the names that their rows give
	GLMSearch     GLMSearch
	KimiTools     KimiTools
	Models        Models
	Timeouts      TimeoutConfig
	Calls         Calls
	Costs         Costs
	Expert        Expert
	Search        Search
	Conversations Conversations
	Files         Files
	KimiFiles     KimiFiles
	GLMFiles      GLMFiles
	Tools         Tools
	Issues        Issues
	Logs          Logs
	Server        Server

	// Warnings are sentences for the operator about settings that have no effect or not the effect they seem to have,
	// at most one for each name. They hold no secrets.
	Warnings []string

	// Examples are the keys that count as unset because their place still holds an example's text.
	Examples []Example

	sources      map[string]string // variable -> where its value comes from; a default's is missing
	otherKeys    map[string]string // endpoint -> the variable that is set although ENDPOINTS does not name it
	settingsFile string            // what SettingsFile returns
}

// Example is a key whose value is a placeholder, such as your_glm_api_key_here.
type Example struct {
	Name   string // the variable, under the name that was used
	Source string // "environment" or "file /path"
}

// Vendor is one vendor: who it is, its account and its models. The settings are GLM_..., KIMI_... and so on.
type Vendor struct {
	Row             VendorRow
	APIKey          Secret   `env:"API_KEY"`
	APIURL          string   `env:"API_URL"`
	AllowedModels   []string `env:"ALLOWED_MODELS"`
	SpeedModel      string   `env:"SPEED_MODEL"`
	QualityModel    string   `env:"QUALITY_MODEL"`
	MaxOutputTokens int      `env:"MAX_OUTPUT_TOKENS"` // 0: the contract's cap (8,192, or 32,768 where a model thinks)
	MaxInflight     int      `env:"MAX_INFLIGHT"`

	Unusable string // why an endpoint that is set up can't be used all the same, "" if it can
}

// GLMSearch sets GLM's web-search endpoint, which glm_web_search and the web_search function use.
type GLMSearch struct {
	AcceptLanguage string `env:"GLM_ACCEPT_LANGUAGE"`
	Engine         string `env:"GLM_WEBSEARCH_ENGINE"`
	Count          int    `env:"GLM_WEBSEARCH_COUNT"`
	Recency        string `env:"GLM_WEBSEARCH_RECENCY"`
	DomainFilter   string `env:"GLM_WEBSEARCH_DOMAIN_FILTER"`
}

// KimiTools sets the models of the tools that are Kimi's own.
type KimiTools struct {
	DefaultModel    string `env:"KIMI_DEFAULT_MODEL"` // empty: KIMI_QUALITY_MODEL
	IntentModel     string `env:"KIMI_INTENT_MODEL"`  // empty: KIMI_DEFAULT_MODEL
	IntentMaxTokens int    `env:"KIMI_INTENT_MAX_TOKENS"`
}

// Models says which models may be used and which one answers when the caller names none.
type Models struct {
	Default           string   `env:"DEFAULT_MODEL"` // "auto" or a model's name
	Endpoints         []string `env:"ENDPOINTS"`     // the vendors beside GLM and Kimi, by name
	File              string   `env:"MODELS_FILE"`   // JSON rows merged on top of the embedded catalogue
	AllowedProviders  []string `env:"ALLOWED_PROVIDERS"`
	DisabledProviders []string `env:"DISABLED_PROVIDERS"`
	MaxOutputTokens   int      `env:"DEFAULT_MAX_OUTPUT_TOKENS"` // 0: see Vendor.MaxOutputTokens
}

// Calls sets how model calls are made, apart from their time limits.
type Calls struct {
	MaxRetries           int   `env:"MAX_RETRIES"`
	MaxInflight          int   `env:"MAX_INFLIGHT"`
	MaxAnswerBytes       int64 `env:"MAX_ANSWER_BYTES"`
	FallbackOnFailure    bool  `env:"FALLBACK_ON_FAILURE"`
	BackgroundCompletion bool  `env:"BACKGROUND_COMPLETION"`
}

// Costs limits what requests to vendors may cost, in USD. 0 is no limit.
type Costs struct {
	PerCallUSD float64 `env:"MAX_COST_PER_CALL_USD"`
	PerDayUSD  float64 `env:"MAX_COST_PER_DAY_USD"` // of all processes of a store; days are UTC
}

// Expert sets the expert call that ends a workflow.
type Expert struct {
	Enabled               bool   `env:"EXPERT_ANALYSIS_ENABLED"`
	ThinkingMode          string `env:"EXPERT_ANALYSIS_THINKING_MODE"`
	IncludeFiles          bool   `env:"EXPERT_ANALYSIS_INCLUDE_FILES"`
	Reads                 string `env:"EXPERT_READS"`                     // tracked, named or off
	MaxFileCount          int    `env:"EXPERT_ANALYSIS_MAX_FILE_COUNT"`   // 0: bounded by the token budget alone
	MaxFileSizeKB         int    `env:"EXPERT_ANALYSIS_MAX_FILE_SIZE_KB"` // 0: bounded by the token budget alone
	UseAssistantModel     bool   `env:"DEFAULT_USE_ASSISTANT_MODEL"`
	ThinkDeepUseModel     *bool  `env:"THINKDEEP_USE_ASSISTANT_MODEL_DEFAULT"` // nil: UseAssistantModel
	ThinkDeepThinkingMode string `env:"DEFAULT_THINKING_MODE_THINKDEEP"`
}

// The words of EXPERT_READS.
const (
	ReadsTracked = "tracked"
	ReadsNamed   = "named"
	ReadsOff     = "off"
)

// Search says whether models may search the web.
type Search struct {
	DefaultOn *bool `env:"EX_WEBSEARCH_DEFAULT_ON"` // what an omitted use_websearch means; nil: by the tool and its files
	// GLMBrowsing: true gives GLM's models the vendor's own search tool, false none; nil: the web_search function.
	GLMBrowsing *bool `env:"GLM_ENABLE_WEB_BROWSING"`
	KimiEnabled bool  `env:"KIMI_ENABLE_INTERNET_SEARCH"` // search offered to Kimi models
}

// Conversations sets where conversations are kept and for how long.
type Conversations struct {
	Backend      string  `env:"CONVERSATION_STORAGE_BACKEND"` // sqlite, postgres (supabase, dual), memory
	DatabaseURL  Secret  `env:"DATABASE_URL"`
	StateDir     string  `env:"EXAI_STATE_DIR"`             // resolved by Load to an absolute path
	MaxTurns     int     `env:"MAX_CONVERSATION_TURNS"`     // 0: no limit
	TimeoutHours float64 `env:"CONVERSATION_TIMEOUT_HOURS"` // 0: no limit
}

// Files says which files may be read and how much of them is sent.
type Files struct {
	AllowedRoots    []string `env:"EXAI_ALLOWED_ROOTS"`    // separated by comma, semicolon or the system's list separator
	TestFilesDir    []string `env:"TEST_FILES_DIR"`        // the original's name for more roots
	ProjectDir      string   `env:"CLAUDE_PROJECT_DIR"`    // the folder that Claude Code works in; it sets this itself
	PathMap         string   `env:"EXAI_PATH_MAP"`         // host=container[,...]
	Secrets         string   `env:"SECRETS_IN_CONTEXT"`    // mask, refuse or send
	PromptSizeLimit int      `env:"MCP_PROMPT_SIZE_LIMIT"` // characters
	MaxOutputTokens int      `env:"MAX_MCP_OUTPUT_TOKENS"` // tokens of a whole reply object
	OwnKeys         []string // the vendors' keys, which leave for no other place; set by Load
}

// KimiFiles sets uploads to Kimi.
type KimiFiles struct {
	MaxSizeMB    float64 `env:"KIMI_FILES_MAX_SIZE_MB"`
	MaxCount     int     `env:"KIMI_FILES_MAX_COUNT"`            // 0: no limit
	OnOversize   string  `env:"KIMI_FILES_BEHAVIOR_ON_OVERSIZE"` // skip or fail
	Parallel     bool    `env:"KIMI_FILES_PARALLEL_UPLOADS"`     // false: Load sets MaxParallel to 1
	MaxParallel  int     `env:"KIMI_FILES_MAX_PARALLEL"`
	FetchRetries int     `env:"KIMI_FILES_FETCH_RETRIES"`
	// FetchDelay is the wait before the second try to fetch a file's text; each further wait is 1+FetchBackoff times the last.
	FetchDelay   time.Duration `env:"KIMI_FILES_FETCH_INITIAL_DELAY"`
	FetchBackoff float64       `env:"KIMI_FILES_FETCH_BACKOFF"`
	Keep         bool          `env:"KIMI_FILES_KEEP"` // keep the remote file after its text was fetched
}

// GLMFiles sets uploads to GLM.
type GLMFiles struct {
	MaxSizeMB float64 `env:"GLM_FILES_MAX_SIZE_MB"`
}

// Tools says which tools are shown, and how they reply.
type Tools struct {
	LeanMode     bool     `env:"LEAN_MODE"`
	LeanTools    []string `env:"LEAN_TOOLS"`
	Disabled     []string `env:"DISABLED_TOOLS"`
	Diagnostics  bool     `env:"DIAGNOSTICS"`
	IssueTracker bool     `env:"ISSUE_TRACKER_TOOL"`
	ReplyStyle   string   `env:"REPLY_STYLE"` // ReplyFull or ReplyCompact
}

// The words of REPLY_STYLE.
const (
	ReplyFull    = "full"
	ReplyCompact = "compact"
)

// Issues sets the issue tracker.
type Issues struct {
	Capture bool `env:"ISSUE_TRACKER_CAPTURE"`
}

// Logs says what is logged, and where.
type Logs struct {
	Level        string `env:"LOG_LEVEL"`
	Prompts      bool   `env:"LOG_PROMPTS"`
	Activity     bool   `env:"ACTIVITY_LOG"`
	ActivityPath string `env:"EX_ACTIVITY_LOG_PATH"` // Load: logs/activity.jsonl in the state folder; empty writes none
	ToolCallPath string `env:"EX_TOOLCALL_LOG_PATH"` // Load: logs/toolcalls.jsonl in the state folder; empty writes none
}

// Server sets the rest.
type Server struct {
	Name    string `env:"MCP_SERVER_NAME"`
	Locale  string `env:"LOCALE"`
	EnvFile string `env:"ENV_FILE"` // the file that Load read, absolute; empty when it read none
}

// Default is the configuration of an empty environment, but for what depends on the machine: the state folder and the
// log paths are empty, so that nothing is written. It is the one place of every default.
func Default() *Config {
	const second = time.Second
	return &Config{
		settingsFile: "~/.config/exai-mcp/.env",

		GLM:       glmRow.vendor(),
		Kimi:      kimiRow.vendor(),
		GLMSearch: GLMSearch{AcceptLanguage: "en-US,en", Engine: "search-prime", Count: 10, Recency: "noLimit"},
		// The original's 512 tokens leave a thinking model nothing to answer with.
		KimiTools: KimiTools{IntentMaxTokens: 4096},
		Models:    Models{Default: "auto"},
		Timeouts: TimeoutConfig{
			GLM:          glmRow.Timeout,
			Kimi:         kimiRow.Timeout,
			StreamIdle:   25 * second,
			Connect:      5 * second,
			KimiSearch:   30 * second,
			GLMSearch:    30 * second,
			SimpleTool:   30 * second,
			WorkflowTool: 45 * second,
			Expert:       60 * second,
			FileTool:     55 * second,
			KimiUpload:   90 * second,
			KimiFetch:    25 * second,
			GLMUpload:    90 * second,
			AnswerWithin: 55 * second,
			Background:   600 * second,
		},
		Calls: Calls{
			MaxRetries:           4,
			MaxInflight:          64,
			MaxAnswerBytes:       8 << 20,
			FallbackOnFailure:    true,
			BackgroundCompletion: true,
		},
		Expert: Expert{
			Enabled:               true,
			ThinkingMode:          "medium",
			IncludeFiles:          true,
			UseAssistantModel:     true,
			ThinkDeepThinkingMode: "high",
			Reads:                 ReadsTracked,
		},
		Search:        Search{KimiEnabled: true},
		Conversations: Conversations{Backend: "sqlite"},
		Tools:         Tools{ReplyStyle: ReplyFull},
		Files:         Files{Secrets: "mask", PromptSizeLimit: 400_000, MaxOutputTokens: 25_000},
		KimiFiles: KimiFiles{
			MaxSizeMB:    100,
			OnOversize:   "skip",
			Parallel:     true,
			MaxParallel:  3,
			FetchRetries: 3,
			FetchDelay:   second / 2,
			FetchBackoff: 0.8,
		},
		GLMFiles: GLMFiles{MaxSizeMB: 100},
		Issues:   Issues{Capture: true},
		Logs:     Logs{Level: "info", Activity: true},
		Server:   Server{Name: "exai-mcp"},
	}
}

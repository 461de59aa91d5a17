package config

// spec is what is known of a variable besides its field: where it stands in the documents, what it accepts and what
// it is for. .env.example and the configuration reference are made from it.
type spec struct {
	name    string
	aliases []string // other names, read in this order when name is unset
	rule    rule
	doc     string // sentences for operators
	key     string // for a base URL: the variable of the key that it must stand beside
	example bool   // live, not commented out, in .env.example
	env     bool   // read from the process environment alone
}

// group is a part of the table with a heading.
type group struct {
	title string
	doc   string
	specs []spec
}

// table holds every variable, in the order of the documents.
var table = []group{
	{"Keys and addresses", "One key is enough to begin with; models of a vendor without a key answer not_configured.", []spec{
		{
			name: "GLM_API_KEY", aliases: []string{"ZHIPUAI_API_KEY", "ZAI_API_KEY"}, rule: key, example: true,
			doc: "Key for the GLM models of Z.ai, from https://z.ai/manage-apikey/apikey-list.",
		},
		{
			name: "KIMI_API_KEY", aliases: []string{"MOONSHOT_API_KEY"}, rule: key, example: true,
			doc: "Key for the Kimi models of Moonshot, from https://platform.moonshot.ai/console/api-keys.",
		},
		{
			name: "GLM_API_URL", aliases: []string{"GLM_BASE_URL", "ZHIPUAI_API_URL"}, rule: address, key: "GLM_API_KEY",
			doc: "Base URL of GLM. Keys of a coding plan need https://api.z.ai/api/coding/paas/v4, keys of mainland China https://open.bigmodel.cn/api/paas/v4. It counts only from where GLM_API_KEY is set (the environment or the file).",
		},
		{
			name: "KIMI_API_URL", aliases: []string{"KIMI_BASE_URL", "MOONSHOT_API_URL"}, rule: address, key: "KIMI_API_KEY",
			doc: "Base URL of Kimi. Keys of mainland China need https://api.moonshot.cn/v1. It counts only from where KIMI_API_KEY is set (the environment or the file).",
		},
	}},
	{"Models", "", []spec{
		{name: "DEFAULT_MODEL", rule: model, doc: `Model of a call that names none. "auto" chooses by the kind of work: the speed model of GLM for fast tools, the quality models for reasoning, Kimi for files.`},
		{name: "GLM_SPEED_MODEL", rule: model, doc: "GLM model for fast tools such as chat."},
		{name: "GLM_QUALITY_MODEL", rule: model, doc: "GLM model for reasoning: thinkdeep, expert analysis, consensus."},
		{name: "KIMI_SPEED_MODEL", rule: model, doc: "Kimi model for fast tools where GLM is not to be had."},
		{name: "KIMI_QUALITY_MODEL", rule: model, doc: "Kimi model for reasoning and files."},
		{name: "KIMI_DEFAULT_MODEL", rule: model, doc: "Model of the kimi_ tools when a call names none. Unset: KIMI_QUALITY_MODEL."},
		{name: "KIMI_INTENT_MODEL", rule: model, doc: "Model of kimi_intent_analysis. Unset: KIMI_DEFAULT_MODEL."},
		{name: "KIMI_INTENT_MAX_TOKENS", rule: whole(64, 1<<20), doc: "Longest answer of kimi_intent_analysis in tokens, thinking included."},
		{name: "GLM_ALLOWED_MODELS", rule: models, doc: "GLM models that may be used, by name or alias. Empty allows all."},
		{name: "KIMI_ALLOWED_MODELS", rule: models, doc: "Kimi models that may be used, by name or alias. Empty allows all."},
		{name: "ALLOWED_PROVIDERS", rule: someVendors, doc: "Vendors that may be used. Empty allows both."},
		{name: "DISABLED_PROVIDERS", rule: vendors, doc: "Vendors that must not be used, whatever keys are set."},
		{name: "MODELS_FILE", rule: path, doc: "JSON file of model rows that are laid over the built-in catalogue, for models newer than this program or other prices."},
		{name: "DEFAULT_MAX_OUTPUT_TOKENS", rule: whole(0, 1<<20), doc: "Cap on the tokens of an answer, sent to every vendor. 0: 8192, or 32768 where the model thinks."},
		{name: "GLM_MAX_OUTPUT_TOKENS", rule: whole(0, 1<<20), doc: "The same for GLM alone. 0: DEFAULT_MAX_OUTPUT_TOKENS."},
		{name: "KIMI_MAX_OUTPUT_TOKENS", rule: whole(0, 1<<20), doc: "The same for Kimi alone. 0: DEFAULT_MAX_OUTPUT_TOKENS."},
		{name: "LOCALE", rule: phrase, doc: "Language of the answers, such as fr-FR. Empty leaves it to the model, which follows the question."},
	}},
	{"Time limits", "In seconds (decimals allowed) or with a unit, such as 90s. Order: vendor <= simple <= workflow <= expert. A longer inner limit makes the unset outer ones grow; an outer one that is set shorter stops the start. A limit set to exactly its default counts as unset.", []spec{
		{name: "GLM_TIMEOUT_SECS", rule: limit, doc: "Wait for the first event of a request to GLM, queueing and retries included; in a simple tool also the whole request."},
		{name: "KIMI_TIMEOUT_SECS", rule: limit, doc: "Wait for the first event of a request to Kimi, queueing and retries included; in a simple tool also the whole request."},
		{name: "STREAM_IDLE_TIMEOUT_SECS", rule: limit, doc: "Longest silence of a stream after its first event. Pings and comments don't break a silence."},
		{name: "CONNECT_TIMEOUT_SECS", rule: limit, doc: "Dialling a vendor and the TLS handshake."},
		{name: "KIMI_WEB_SEARCH_TIMEOUT_SECS", rule: limit, doc: "One web search at Kimi."},
		{name: "GLM_WEBSEARCH_TIMEOUT_SECS", rule: limit, doc: "One web search at GLM."},
		{name: "SIMPLE_TOOL_TIMEOUT_SECS", rule: limit, doc: "A whole call of a tool that is neither a workflow nor a file tool."},
		{name: "WORKFLOW_TOOL_TIMEOUT_SECS", rule: limit, doc: "A whole workflow step without an expert call."},
		{name: "EXPERT_ANALYSIS_TIMEOUT_SECS", rule: limit, doc: "A whole workflow step with an expert call, and a consensus. In thinkdeep it is multiplied by 0.5, 0.7, 1, 1.5 or 2 for the thinking mode minimal, low, medium, high or max."},
		{name: "THINKDEEP_EXPERT_TIMEOUT_SECS", rule: limit, doc: "A thinkdeep step with an expert call, whatever its thinking mode. Unset: made from EXPERT_ANALYSIS_TIMEOUT_SECS."},
		{name: "FILE_TOOL_TIMEOUT_SECS", rule: limit, doc: "A whole call of a file tool. Uploads that are not through by then go on in the background, and the same call sent again waits for them."},
		{name: "KIMI_FILES_UPLOAD_TIMEOUT_SECS", rule: limit, doc: "Sending one file to Kimi."},
		{name: "KIMI_FILES_FETCH_TIMEOUT_SECS", rule: limit, doc: "One request for the text of a file that was uploaded to Kimi."},
		{name: "GLM_FILE_UPLOAD_TIMEOUT_SECS", rule: limit, doc: "Sending one file to GLM."},
		{name: "ANSWER_WITHIN_SECS", rule: limit, doc: "No call takes longer than this, whatever its own limit: many clients give up after 60 s. Raise it together with the client's limit and the limits above."},
		{name: "BACKGROUND_MAX_SECS", rule: limit, doc: "How long an answer may go on after its call had to return a part of it."},
	}},
	{"Model calls", "", []spec{
		{name: "MAX_RETRIES", rule: whole(0, 20), doc: "Further attempts after a failure that is worth one, within the call's limit and never after text has arrived."},
		{name: "FALLBACK_ON_FAILURE", rule: yesNo, doc: "Let the other vendor answer when a call named no model and its first choice failed."},
		{name: "BACKGROUND_COMPLETION", rule: yesNo, doc: "Let an answer that a limit cut short go on in the background, to be fetched by a blank prompt with the same continuation_id."},
		{name: "GLM_MAX_INFLIGHT", rule: whole(1, 10_000), doc: "Requests to GLM at one time; more wait in a queue inside their call's limit."},
		{name: "KIMI_MAX_INFLIGHT", rule: whole(1, 10_000), doc: "Requests to Kimi at one time; more wait in a queue inside their call's limit."},
		{name: "MAX_INFLIGHT", rule: whole(1, 10_000), doc: "Requests to all vendors at one time."},
		{name: "MAX_ANSWER_BYTES", rule: whole(1024, 1<<30), doc: "Longest answer in bytes; a longer one is kept as a partial answer up to here."},
		{name: "MCP_PROMPT_SIZE_LIMIT", rule: whole(1000, 100_000_000), doc: "Longest prompt or step in characters; a longer one is answered with status resend_prompt."},
		{name: "MAX_MCP_OUTPUT_TOKENS", rule: whole(1000, 10_000_000), doc: "Longest reply in tokens that the client takes. Of a longer one the head is sent, and where the rest is."},
	}},
	{"Expert analysis", "The model call that ends a workflow.", []spec{
		{name: "EXPERT_ANALYSIS_ENABLED", rule: yesNo, doc: "Ask an expert model at the end of a workflow. Off, workflows end with the caller's own findings."},
		{name: "EXPERT_ANALYSIS_THINKING_MODE", rule: thinking, doc: "How hard the expert thinks where the call does not say."},
		{name: "EXPERT_ANALYSIS_INCLUDE_FILES", rule: yesNo, doc: "Send the relevant files to the expert, within the token budget."},
		{name: "EXPERT_ANALYSIS_MAX_FILE_COUNT", rule: whole(0, 100_000), doc: "Most files sent to the expert. 0: as many as the token budget holds."},
		{name: "EXPERT_ANALYSIS_MAX_FILE_SIZE_KB", rule: whole(0, 1_000_000), doc: "Most kilobytes of one file sent to the expert. 0: as much as the token budget holds."},
		{name: "DEFAULT_USE_ASSISTANT_MODEL", rule: yesNo, doc: "What an omitted use_assistant_model means."},
		{name: "THINKDEEP_USE_ASSISTANT_MODEL_DEFAULT", rule: yesNo, doc: "The same for thinkdeep. Unset: DEFAULT_USE_ASSISTANT_MODEL."},
		{name: "DEFAULT_THINKING_MODE_THINKDEEP", rule: thinking, doc: "Thinking mode of thinkdeep where the call does not say."},
	}},
	{"Web search", "", []spec{
		{name: "EX_WEBSEARCH_DEFAULT_ON", rule: yesNo, doc: "What an omitted use_websearch means."},
		{name: "GLM_ENABLE_WEB_BROWSING", rule: yesNo, doc: "Allow GLM's own search inside a chat."},
		{name: "KIMI_ENABLE_INTERNET_SEARCH", rule: yesNo, doc: "Offer web search to Kimi models."},
		{name: "GLM_WEBSEARCH_ENGINE", rule: word, doc: "Search engine of glm_web_search and of the search function, by Z.ai's name."},
		{name: "GLM_WEBSEARCH_COUNT", rule: whole(1, 50), doc: "Pages that a search returns."},
		{name: "GLM_WEBSEARCH_RECENCY", rule: oneOf("oneDay", "oneWeek", "oneMonth", "oneYear", "noLimit", "all=noLimit"), doc: "How new the pages must be."},
		{name: "GLM_WEBSEARCH_DOMAIN_FILTER", rule: phrase, doc: "Domain that searches are limited to. Empty searches everywhere."},
		{name: "GLM_ACCEPT_LANGUAGE", rule: phrase, doc: "Accept-Language header of searches at GLM."},
	}},
	{"Conversations and state", "", []spec{
		{name: "CONVERSATION_STORAGE_BACKEND", rule: oneOf("sqlite", "postgres", "memory", "postgresql=postgres", "supabase=postgres", "dual=postgres"), doc: "Where conversations and issues live: a SQLite file in the state folder, PostgreSQL at DATABASE_URL (supabase and dual mean the same), or memory, which forgets them at the end."},
		{name: "DATABASE_URL", aliases: []string{"SUPABASE_DB_URL"}, rule: dsn, doc: "PostgreSQL connection string, used by the postgres backend alone. Supabase shows it under Connect."},
		{name: "EXAI_STATE_DIR", rule: path, doc: "Folder for the database and the logs. Unset: exai-mcp in $XDG_STATE_HOME, ~/.local/state (Linux), ~/Library/Application Support (macOS) or %LocalAppData% (Windows)."},
		{name: "MAX_CONVERSATION_TURNS", rule: whole(0, 1_000_000), doc: "Turns after which a conversation is full. 0: no limit."},
		{name: "CONVERSATION_TIMEOUT_HOURS", rule: number(0, 1_000_000), doc: "Hours after its last turn at which a conversation expires. 0: never."},
	}},
	{"Files", "", []spec{
		{name: "EXAI_ALLOWED_ROOTS", rule: paths, doc: "Folders whose files may be read and sent, besides the roots that the client names and the working directory. Commas, semicolons or the system's list separator divide them."},
		{name: "TEST_FILES_DIR", rule: paths, doc: "The original's name for more such folders."},
		{name: "EXAI_PATH_MAP", rule: pathMap, doc: "For Docker: how the client's paths look inside the container, host=container, divided by commas."},
		{name: "KIMI_FILES_MAX_SIZE_MB", rule: number(0.001, 100), doc: "Largest file uploaded to Kimi, in megabytes. Moonshot takes no more than 100."},
		{name: "KIMI_FILES_MAX_COUNT", rule: whole(0, 1000), doc: "Most files in one upload to Kimi. 0: no limit."},
		{name: "KIMI_FILES_BEHAVIOR_ON_OVERSIZE", rule: oneOf("skip", "fail"), doc: "What to do with a file that is too large: leave it out with a note, or fail the call."},
		{name: "KIMI_FILES_PARALLEL_UPLOADS", rule: yesNo, doc: "Upload several files to Kimi at once. Off means one at a time, whatever KIMI_FILES_MAX_PARALLEL says."},
		{name: "KIMI_FILES_MAX_PARALLEL", rule: whole(1, 32), doc: "Uploads to Kimi at one time."},
		{name: "KIMI_FILES_FETCH_RETRIES", rule: whole(0, 20), doc: "Further attempts to fetch the text of a file that Kimi is still parsing."},
		{name: "KIMI_FILES_FETCH_INITIAL_DELAY", rule: delay, doc: "Seconds before the first of them."},
		{name: "KIMI_FILES_FETCH_BACKOFF", rule: number(0, 10), doc: "How much longer each further wait is than the last; 0.8 means 1.8 times as long."},
		{name: "KIMI_FILES_KEEP", rule: yesNo, doc: "Keep a file at Moonshot after its text was fetched. Off deletes it: an account holds 1000 files."},
		{name: "GLM_FILES_MAX_SIZE_MB", rule: number(0.001, 100), doc: "Largest file uploaded to GLM, in megabytes. Z.ai takes no more than 100."},
	}},
	{"Tools", "", []spec{
		{name: "LEAN_MODE", rule: yesNo, doc: "Show only LEAN_TOOLS, to save the client's context."},
		{name: "LEAN_TOOLS", rule: tools, doc: "Tools of LEAN_MODE. Empty: status, chat, planner, thinkdeep, analyze, codereview, refactor, testgen, debug."},
		{name: "STRICT_LEAN", rule: yesNo, doc: "Leave out version and listmodels, too, which LEAN_MODE otherwise keeps."},
		{name: "DISABLED_TOOLS", rule: tools, doc: "Tools that are not shown."},
		{name: "DIAGNOSTICS", rule: yesNo, doc: "Show the tool self-check."},
		{name: "ISSUE_TRACKER_TOOL", rule: yesNo, doc: "Show the tool issues."},
		{name: "ISSUE_TRACKER_CAPTURE", rule: yesNo, doc: "Record the findings of finished workflows in the issue tracker."},
	}},
	{"Logs", "Logs go to stderr; the tool-call log and the activity log are files, rotated at 10 MiB with five old ones kept.", []spec{
		{name: "LOG_LEVEL", rule: oneOf("debug", "info", "warn", "error", "warning=warn", "critical=error", "fatal=error"), doc: "How much is logged on stderr."},
		{name: "LOG_PROMPTS", rule: yesNo, doc: "Write prompts and other arguments into the tool-call log, and what a vendor says about a refused request into the log on stderr. Off, the first holds names and sizes alone, the second codes."},
		{name: "ACTIVITY_LOG", rule: yesNo, doc: "Write the activity log, which the tool activity reads."},
		{name: "EX_ACTIVITY_LOG_PATH", rule: path, doc: "File of the activity log. Unset: logs/activity.jsonl in the state folder."},
		{name: "EX_TOOLCALL_LOG_PATH", rule: path, doc: "File of the tool-call log, which toolcall_log_tail reads. Unset: logs/toolcalls.jsonl in the state folder."},
	}},
	{"Server", "", []spec{
		{name: "MCP_SERVER_NAME", rule: phrase, doc: "Name that the server gives to clients."},
		{name: "ENV_FILE", rule: path, env: true, doc: "Path of the file that settings are read from, if not --env-file. Only the environment can name it. Unset: exai-mcp/.env in $XDG_CONFIG_HOME (~/.config), else .env in the working directory if it holds a key."},
	}},
}

var thinking = oneOf("minimal", "low", "medium", "high", "max")

// eachSpec visits the table's variables in order.
func eachSpec(visit func(spec)) {
	for _, g := range table {
		for _, s := range g.specs {
			visit(s)
		}
	}
}

package config

// spec is what is known of a variable besides its field: where it stands in the documents, what it accepts and what
// it is for. .env.example and the configuration reference are made from it.
type spec struct {
	name      string
	aliases   []string // other names, read in this order when name is unset
	rule      rule
	doc       string // sentences for operators
	key       string // for a base URL: the variable of the key that it must stand beside
	example   bool   // live, not commented out, in .env.example
	vendorKey bool   // the key of a vendor
	project   bool   // taken from .env of the working directory, too
	env       bool   // read from the process environment alone
}

// group is a part of the table with a heading.
type group struct {
	title string
	doc   string
	specs []spec
}

// table holds every variable, in the order of the documents.
var table = []group{
	{"Keys and addresses", "One key is enough; models of a vendor without a key return not_configured.", []spec{
		{
			name: "GLM_API_KEY", aliases: glmRow.KeyAliases, rule: apiKey, vendorKey: true, example: true, project: glmRow.FromProject,
			doc: "Key for the GLM models of Z.ai, from " + glmRow.KeyPage + ".",
		},
		{
			name: "KIMI_API_KEY", aliases: kimiRow.KeyAliases, rule: apiKey, vendorKey: true, example: true, project: kimiRow.FromProject,
			doc: "Key for the Kimi models of Moonshot, from " + kimiRow.KeyPage + ".",
		},
		{
			name: "GLM_API_URL", aliases: glmRow.URLAliases, rule: address, key: "GLM_API_KEY", project: glmRow.FromProject,
			doc: "Base URL of GLM. Coding-plan keys work only with https://api.z.ai/api/coding/paas/v4, mainland-China keys only with https://open.bigmodel.cn/api/paas/v4. It is used only if it comes from the same source as GLM_API_KEY (the environment or the file).",
		},
		{
			name: "KIMI_API_URL", aliases: kimiRow.URLAliases, rule: address, key: "KIMI_API_KEY", project: kimiRow.FromProject,
			doc: "Base URL of Kimi. Mainland-China keys work only with https://api.moonshot.cn/v1. It is used only if it comes from the same source as KIMI_API_KEY (the environment or the file).",
		},
	}},
	{"Models", "", []spec{
		{name: "DEFAULT_MODEL", rule: model, doc: `Model of a call that names none. "auto" chooses by the kind of work: the speed model of GLM for fast tools, the quality models for reasoning, Kimi for files.`},
		{name: "GLM_SPEED_MODEL", rule: model, doc: "GLM model for fast tools such as chat."},
		{name: "GLM_QUALITY_MODEL", rule: model, doc: "GLM model for reasoning: thinkdeep, expert analysis, consensus."},
		{name: "KIMI_SPEED_MODEL", rule: model, doc: "Kimi model for fast tools when GLM is unavailable."},
		{name: "KIMI_QUALITY_MODEL", rule: model, doc: "Kimi model for reasoning and files."},
		{name: "KIMI_DEFAULT_MODEL", rule: model, doc: "Model of the kimi_ tools when a call names none. Unset: KIMI_QUALITY_MODEL."},
		{name: "KIMI_INTENT_MODEL", rule: model, doc: "Model of kimi_intent_analysis. Unset: KIMI_DEFAULT_MODEL."},
		{name: "KIMI_INTENT_MAX_TOKENS", rule: whole(64, 1<<20), doc: "Longest answer of kimi_intent_analysis in tokens, thinking included."},
		{name: "GLM_ALLOWED_MODELS", rule: models, doc: "GLM models that may be used, by name or alias. Empty allows all."},
		{name: "KIMI_ALLOWED_MODELS", rule: models, doc: "Kimi models that may be used, by name or alias. Empty allows all."},
		{name: "ENDPOINTS", rule: endpoints, doc: "OpenAI-compatible endpoints that serve models beside GLM and Kimi, in the order in which they are tried: openai, gemini, openrouter, deepseek, ollama, lmstudio, custom, or names of your own such as lab, which then needs LAB_API_URL. A key in the environment alone adds no endpoint. See docs/endpoints.md."},
		{name: "ALLOWED_PROVIDERS", rule: someVendors, doc: "Vendors that may be used. Empty allows all."},
		{name: "DISABLED_PROVIDERS", rule: vendors, doc: "Vendors that must not be used, whatever keys are set."},
		{name: "MODELS_FILE", rule: path, doc: "JSON file of model rows that are merged on top of the built-in catalogue, for newer models or other prices."},
		{name: "DEFAULT_MAX_OUTPUT_TOKENS", rule: whole(0, 1<<20), doc: "Maximum tokens of an answer, sent to every vendor. 0: 8192, or 32768 if the model thinks."},
		{name: "GLM_MAX_OUTPUT_TOKENS", rule: whole(0, 1<<20), doc: "The same for GLM only. 0: DEFAULT_MAX_OUTPUT_TOKENS."},
		{name: "KIMI_MAX_OUTPUT_TOKENS", rule: whole(0, 1<<20), doc: "The same for Kimi only. 0: DEFAULT_MAX_OUTPUT_TOKENS."},
		{name: "LOCALE", rule: phrase, doc: "Language of the answers, such as fr-FR. Empty: the language of the question."},
	}},
	{"Time limits", "In seconds (decimals allowed) or with a unit, such as 90s. Order: vendor <= simple <= workflow <= expert. Unset outer limits grow with a longer inner limit; an outer limit that is set shorter is an error at start. A limit that equals its default counts as unset.", []spec{
		{name: "GLM_TIMEOUT_SECS", rule: limit, doc: "Wait for the first event of a request to GLM, queueing and retries included; in a simple tool also the whole request."},
		{name: "KIMI_TIMEOUT_SECS", rule: limit, doc: "Wait for the first event of a request to Kimi, queueing and retries included; in a simple tool also the whole request."},
		{name: "STREAM_IDLE_TIMEOUT_SECS", rule: limit, doc: "Longest silence of a stream after its first event. Pings and comments count as silence."},
		{name: "CONNECT_TIMEOUT_SECS", rule: limit, doc: "Dialling a vendor and the TLS handshake."},
		{name: "KIMI_WEB_SEARCH_TIMEOUT_SECS", rule: limit, doc: "One web search by Kimi."},
		{name: "GLM_WEBSEARCH_TIMEOUT_SECS", rule: limit, doc: "One web search at GLM."},
		{name: "SIMPLE_TOOL_TIMEOUT_SECS", rule: limit, doc: "A whole call of a tool that is neither a workflow nor a file tool."},
		{name: "WORKFLOW_TOOL_TIMEOUT_SECS", rule: limit, doc: "A whole workflow step without an expert call."},
		{name: "EXPERT_ANALYSIS_TIMEOUT_SECS", rule: limit, doc: "A whole workflow step with an expert call, and a consensus. In thinkdeep it is multiplied by 0.5, 0.7, 1, 1.5 or 2 for the thinking mode minimal, low, medium, high or max."},
		{name: "THINKDEEP_EXPERT_TIMEOUT_SECS", rule: limit, doc: "A thinkdeep step with an expert call, whatever its thinking mode. Unset: derived from EXPERT_ANALYSIS_TIMEOUT_SECS."},
		{name: "FILE_TOOL_TIMEOUT_SECS", rule: limit, doc: "A whole call of a file tool. Unfinished uploads continue in the background, and the same call, sent again, waits for them."},
		{name: "KIMI_FILES_UPLOAD_TIMEOUT_SECS", rule: limit, doc: "Sending one file to Kimi."},
		{name: "KIMI_FILES_FETCH_TIMEOUT_SECS", rule: limit, doc: "One request for the text of a file that was uploaded to Kimi."},
		{name: "GLM_FILE_UPLOAD_TIMEOUT_SECS", rule: limit, doc: "Sending one file to GLM."},
		{name: "ANSWER_WITHIN_SECS", rule: limit, doc: "No call takes longer than this, whatever its own limit: many clients give up after 60 s. Raise it together with the client's limit and the limits above."},
		{name: "BACKGROUND_MAX_SECS", rule: limit, doc: "How long an answer may continue in the background after its call returned a part of it."},
	}},
	{"Model calls", "", []spec{
		{name: "MAX_RETRIES", rule: whole(0, 20), doc: "Retries after a retryable failure, within the call's limit and never after text has arrived."},
		{name: "FALLBACK_ON_FAILURE", rule: yesNo, doc: "Let the other vendor answer when a call named no model and its first choice failed."},
		{name: "BACKGROUND_COMPLETION", rule: yesNo, doc: "Let an answer that a limit interrupted continue in the background; fetch it with a blank prompt and the same continuation_id."},
		{name: "GLM_MAX_INFLIGHT", rule: whole(1, 10_000), doc: "Requests to GLM at one time; more wait in a queue inside their call's limit."},
		{name: "KIMI_MAX_INFLIGHT", rule: whole(1, 10_000), doc: "Requests to Kimi at one time; more wait in a queue inside their call's limit."},
		{name: "MAX_INFLIGHT", rule: whole(1, 10_000), doc: "Requests to all vendors at one time."},
		{name: "MAX_ANSWER_BYTES", rule: whole(1024, 1<<30), doc: "Longest answer in bytes; a longer one is cut off here and kept as a partial answer."},
		{name: "MCP_PROMPT_SIZE_LIMIT", rule: whole(1000, 100_000_000), doc: "Longest prompt or step in characters; a longer one returns status resend_prompt."},
		{name: "MAX_MCP_OUTPUT_TOKENS", rule: whole(1000, 10_000_000), doc: "Longest reply in tokens that the client accepts. A longer one is cut off, and says how to get the rest."},
	}},
	{"Cost", "Limits in USD at list price, reserved before each request and settled with what the vendor reports. Beyond them calls return the error budget. exai-mcp usage shows what was spent.", []spec{
		{name: "MAX_COST_PER_CALL_USD", rule: number(0, 1_000_000), doc: "Most that one tool call may cost. A call that has begun is not failed by it: it makes no further retries and function calls. 0: no limit."},
		{name: "MAX_COST_PER_DAY_USD", rule: number(0, 1_000_000), doc: "Most that all servers on one store may spend on one day (UTC). 0: no limit."},
	}},
	{"Expert analysis", "The model call that ends a workflow.", []spec{
		{name: "EXPERT_ANALYSIS_ENABLED", rule: yesNo, doc: "Ask an expert model at the end of a workflow. If false, workflows end with the caller's own findings."},
		{name: "EXPERT_ANALYSIS_THINKING_MODE", rule: thinking, doc: "Thinking mode of the expert if the call does not set it."},
		{name: "EXPERT_ANALYSIS_INCLUDE_FILES", rule: yesNo, doc: "Send the relevant files to the expert, within the token budget."},
		{name: "EXPERT_READS", rule: oneOf(ReadsTracked, ReadsNamed, ReadsOff), doc: "What experts, the members of a consensus, and chat with files may read by themselves while they answer: tracked, the files that git tracks around the named and changed ones, with their history; named, the named and changed files alone; off, nothing."},
		{name: "EXPERT_ANALYSIS_MAX_FILE_COUNT", rule: whole(0, 100_000), doc: "Maximum number of files sent to the expert. 0: as many as fit the token budget."},
		{name: "EXPERT_ANALYSIS_MAX_FILE_SIZE_KB", rule: whole(0, 1_000_000), doc: "Maximum kilobytes of one file sent to the expert. 0: as much as fits the token budget."},
		{name: "DEFAULT_USE_ASSISTANT_MODEL", rule: yesNo, doc: "Default of use_assistant_model."},
		{name: "THINKDEEP_USE_ASSISTANT_MODEL_DEFAULT", rule: yesNo, doc: "The same for thinkdeep. Unset: DEFAULT_USE_ASSISTANT_MODEL."},
		{name: "DEFAULT_THINKING_MODE_THINKDEEP", rule: thinking, doc: "Thinking mode of thinkdeep if the call does not set it."},
	}},
	{"Web search", "", []spec{
		{name: "EX_WEBSEARCH_DEFAULT_ON", rule: yesNo, doc: "Default of use_websearch. Unset: true in chat, thinkdeep, analyze and consensus when the call sends no file, else false."},
		{name: "GLM_ENABLE_WEB_BROWSING", rule: yesNo, doc: "Unset: GLM models get the web_search function, paid for only when used. True: they get GLM's own search tool instead. False: no search."},
		{name: "KIMI_ENABLE_INTERNET_SEARCH", rule: yesNo, doc: "Offer web search to Kimi models."},
		{name: "GLM_WEBSEARCH_ENGINE", rule: word, doc: "Search engine of glm_web_search and of the search function, by Z.ai's name."},
		{name: "GLM_WEBSEARCH_COUNT", rule: whole(1, 50), doc: "Pages that a search returns."},
		{name: "GLM_WEBSEARCH_RECENCY", rule: oneOf("oneDay", "oneWeek", "oneMonth", "oneYear", "noLimit", "all=noLimit"), doc: "How new the pages must be."},
		{name: "GLM_WEBSEARCH_DOMAIN_FILTER", rule: phrase, doc: "Domain that searches are limited to. Empty searches everywhere."},
		{name: "GLM_ACCEPT_LANGUAGE", rule: phrase, doc: "Accept-Language header of searches at GLM."},
	}},
	{"Conversations and state", "", []spec{
		{name: "CONVERSATION_STORAGE_BACKEND", rule: oneOf("sqlite", "postgres", "memory", "postgresql=postgres", "supabase=postgres", "dual=postgres"), doc: "Where conversations and issues are stored: a SQLite file in the state folder, PostgreSQL at DATABASE_URL (supabase and dual mean the same), or memory, which loses them when the server stops."},
		{name: "DATABASE_URL", aliases: []string{"SUPABASE_DB_URL"}, rule: dsn, doc: "PostgreSQL connection string, used only by the postgres backend. Supabase shows it under Connect."},
		{name: "EXAI_STATE_DIR", rule: path, doc: "Folder for the database and the logs. Unset: exai-mcp in $XDG_STATE_HOME, ~/.local/state (Linux), ~/Library/Application Support (macOS) or %LocalAppData% (Windows)."},
		{name: "MAX_CONVERSATION_TURNS", rule: whole(0, 1_000_000), doc: "Turns after which a conversation is full. 0: no limit."},
		{name: "CONVERSATION_TIMEOUT_HOURS", rule: number(0, 1_000_000), doc: "Hours after its last turn at which a conversation expires. 0: never."},
	}},
	{"Files", "", []spec{
		{name: "EXAI_ALLOWED_ROOTS", rule: paths, doc: "Folders whose files may be read and sent, in addition to the client's roots and the working directory; separated by commas, semicolons or the system's list separator."},
		{name: "TEST_FILES_DIR", rule: paths, doc: "The original's name for more such folders."},
		{name: "CLAUDE_PROJECT_DIR", rule: path, doc: "The folder of the project, as Claude Code sets it for the servers that it starts."},
		{name: "SECRETS_IN_CONTEXT", rule: oneOf("mask", "refuse", "send"), doc: "What to do with keys, tokens, passwords and private keys in the text that is sent to a vendor: mask each as [secret: kind], refuse the call, naming file, line and kind, or send them. Images and binary documents can't be checked."},
		{name: "EXAI_PATH_MAP", rule: pathMap, doc: "For Docker: comma-separated host=container pairs that map the client's paths into the container."},
		{name: "KIMI_FILES_MAX_SIZE_MB", rule: number(0.001, 100), doc: "Largest file uploaded to Kimi, in megabytes. Moonshot accepts at most 100."},
		{name: "KIMI_FILES_MAX_COUNT", rule: whole(0, 1000), doc: "Maximum number of files in one upload to Kimi. 0: no limit."},
		{name: "KIMI_FILES_BEHAVIOR_ON_OVERSIZE", rule: oneOf("skip", "fail"), doc: "What to do with a file that is too large: skip it with a note, or fail the call."},
		{name: "KIMI_FILES_PARALLEL_UPLOADS", rule: yesNo, doc: "Upload several files to Kimi at once. If false, one at a time, regardless of KIMI_FILES_MAX_PARALLEL."},
		{name: "KIMI_FILES_MAX_PARALLEL", rule: whole(1, 32), doc: "Uploads to Kimi at one time."},
		{name: "KIMI_FILES_FETCH_RETRIES", rule: whole(0, 20), doc: "Retries of fetching the text of a file that Kimi is still parsing."},
		{name: "KIMI_FILES_FETCH_INITIAL_DELAY", rule: delay, doc: "Seconds before the first of these retries."},
		{name: "KIMI_FILES_FETCH_BACKOFF", rule: number(0, 10), doc: "By how much each wait grows; 0.8 means 1.8 times as long as the last."},
		{name: "KIMI_FILES_KEEP", rule: yesNo, doc: "Keep a file at Moonshot after its text was fetched. If false, it is deleted: an account is limited to 1000 files."},
		{name: "GLM_FILES_MAX_SIZE_MB", rule: number(0.001, 100), doc: "Largest file uploaded to GLM, in megabytes. Z.ai accepts at most 100."},
	}},
	{"Tools", "", []spec{
		{name: "LEAN_MODE", rule: yesNo, doc: "Show only chat, consensus, codereview, precommit, debug, thinkdeep, challenge and status, to save the client's context."},
		{name: "LEAN_TOOLS", rule: tools, doc: "Show exactly these tools."},
		{name: "DISABLED_TOOLS", rule: tools, doc: "Tools that are not shown."},
		{name: "DIAGNOSTICS", rule: yesNo, doc: "Show the tool self-check."},
		{name: "REPLY_STYLE", rule: oneOf(ReplyFull, ReplyCompact), doc: "How tools reply: full has all keys of the original; compact leaves out what carries no information for an agent (empty lists, zero counts, null, false, what repeats the call's arguments or another part of the reply, and most of metadata). The entries that install and config --client write set compact."},
		{name: "ISSUE_TRACKER_TOOL", rule: yesNo, doc: "Show the tool issues."},
		{name: "ISSUE_TRACKER_CAPTURE", rule: yesNo, doc: "Record the findings of finished workflows in the issue tracker."},
	}},
	{"Logs", "Logs go to stderr; the tool-call log and the activity log are files, rotated at 10 MiB with five old ones kept.", []spec{
		{name: "LOG_LEVEL", rule: oneOf("debug", "info", "warn", "error", "warning=warn", "critical=error", "fatal=error"), doc: "Minimum level that is logged on stderr."},
		{name: "LOG_PROMPTS", rule: yesNo, doc: "Write prompts and other arguments into the tool-call log, and what a vendor says about a refused request into the log on stderr. If false, the first contains only names and sizes, the second only codes."},
		{name: "ACTIVITY_LOG", rule: yesNo, doc: "Write the activity log, which the tool activity reads."},
		{name: "EX_ACTIVITY_LOG_PATH", rule: path, doc: "File of the activity log. Unset: logs/activity.jsonl in the state folder."},
		{name: "EX_TOOLCALL_LOG_PATH", rule: path, doc: "File of the tool-call log, which toolcall_log_tail reads. Unset: logs/toolcalls.jsonl in the state folder."},
	}},
	{"Server", "", []spec{
		{name: "MCP_SERVER_NAME", rule: phrase, doc: "Name that the server reports to clients."},
		{name: "ENV_FILE", rule: path, env: true, doc: "Path of the settings file; --env-file wins over it. Only read from the environment. Unset: exai-mcp/.env in $XDG_CONFIG_HOME (~/.config), else .env in the working directory, of which only the two keys and their base URLs are used, and nothing if a key is set elsewhere."},
	}},
}

var thinking = oneOf("minimal", "low", "medium", "high", "max")

// eachSpec visits the table's variables in order, then those of the vendors that have no part of their own in it.
func eachSpec(others []VendorRow, visit func(spec)) {
	for _, g := range groups(others) {
		for _, s := range g.specs {
			visit(s)
		}
	}
}

func groups(others []VendorRow) []group {
	all := table
	for _, row := range others {
		all = append(all[:len(all):len(all)], row.group())
	}
	return all
}

// names are those that a variable is read from: its own, then its aliases.
func (s spec) names() []string { return append([]string{s.name}, s.aliases...) }

// The coding agents that are driven: what each needs to run on the fake model in a home of its own, and how one prompt is put
// to it. The MCP server is configured by exai-mcp install alone.

import { execFile, spawn } from "node:child_process";
import { mkdir, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { server } from "../check.mjs";

export const run = promisify(execFile);
export const modules = join(import.meta.dirname, "node_modules");

export const put = async (file, text) => {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, typeof text === "string" ? text : JSON.stringify(text));
};

const claudeKey = "sk-ant-api03-test-not-a-secret-0000";

export const agents = {
  "claude-code": {
    program: "claude",
    setup: (home, project) =>
      put(join(home, ".claude.json"), {
        hasCompletedOnboarding: true, theme: "dark", customApiKeyResponses: { approved: [claudeKey.slice(-20)], rejected: [] },
        projects: { [project]: { hasTrustDialogAccepted: true } },
      }),
    env: (url) => ({
      ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: claudeKey, DISABLE_AUTOUPDATER: "1", CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
    }),
    // Permissions can't be bypassed as root, so the tools are allowed by name.
    args: (prompt) => ["-p", prompt, "--output-format", "stream-json", "--verbose", "--include-hook-events", "--allowedTools", "mcp__exai", "mcp__plugin_exai_exai", "Write"],
  },
  codex: {
    program: "codex",
    setup: (home, _project, url) =>
      put(join(home, ".codex/config.toml"), `# the user's own
model = "gpt-5.5"
model_provider = "fake"

[model_providers.fake]
name = "fake"
base_url = "${url}/v1"
env_key = "FAKE_KEY"
wire_api = "responses"
`),
    env: () => ({ FAKE_KEY: "x" }),
    args: (prompt) => ["exec", "--json", "--dangerously-bypass-approvals-and-sandbox", "--dangerously-bypass-hook-trust", prompt],
  },
  gemini: {
    program: "gemini",
    setup: async (home, project) => {
      await put(join(home, ".gemini/settings.json"), '{\n  // the user\'s own\n  "security": {"auth": {"selectedType": "gemini-api-key"}}\n}\n');
      await put(join(home, ".gemini/trustedFolders.json"), { [project]: "TRUST_FOLDER" });
    },
    env: (url) => ({ GEMINI_API_KEY: "test", GOOGLE_GEMINI_BASE_URL: url }),
    args: (prompt) => ["-m", "gemini-2.5-flash", "-p", prompt, "-o", "json", "--approval-mode", "yolo"],
  },
  opencode: {
    program: "opencode",
    setup: (home, _project, url) =>
      put(join(home, ".config/opencode/opencode.jsonc"), `{
  // the user's own
  "model": "fake/m",
  "provider": {
    "fake": {
      "npm": "@ai-sdk/openai-compatible", "name": "fake", "models": {"m": {"name": "m"}},
      "options": {"baseURL": "${url}/v1", "apiKey": "x"},
    },
  },
}
`),
    env: () => ({ OPENCODE_DISABLE_AUTOUPDATE: "1" }),
    args: (prompt) => ["run", "--format", "json", prompt],
  },
  copilot: {
    program: "copilot",
    setup: () => {},
    env: (url) => ({ COPILOT_OFFLINE: "true", COPILOT_PROVIDER_BASE_URL: `${url}/v1`, COPILOT_PROVIDER_API_KEY: "x", COPILOT_MODEL: "gpt-4.1" }),
    args: (prompt) => ["-p", prompt, "--allow-all-tools"],
  },
};

/** The emulated vendors' settings, as the variables of a person's shell. */
export async function keys() {
  const lines = (await readFile(process.env.EXAI_ENV_FILE, "utf8")).trim().split("\n");
  return Object.fromEntries(lines.filter((l) => /^(GLM|KIMI)_/.test(l)).map((l) => [l.slice(0, l.indexOf("=")), l.slice(l.indexOf("=") + 1)]));
}

/** A repository with one commit. */
export async function repository() {
  const dir = await mkdtemp(join(tmpdir(), "exai-project-"));
  await git(dir, "init", "-q", "-b", "main");
  await writeFile(join(dir, "a.go"), "package a\n");
  await git(dir, "add", "-A");
  await git(dir, "commit", "-qm", "first");
  return dir;
}

const gitIdentity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
export const git = (dir, ...args) => run("git", [...gitIdentity, ...args], { cwd: dir });

/** An agent in a home of its own that runs on the model at url. */
export async function prepare(name, { url, project }) {
  const agent = agents[name];
  const home = await mkdtemp(join(tmpdir(), `exai-${name}-`));
  await agent.setup(home, project, url);
  const base = {
    HOME: home, LANG: "C.UTF-8", TERM: "xterm-256color", TMPDIR: tmpdir(),
    PATH: [join(modules, ".bin"), dirname(process.execPath), "/usr/local/bin:/usr/bin:/bin"].join(":"),
    ...agent.env(url),
  };
  return {
    home, env: base,
    install: (env, ...args) => run(server, ["install", "--client", name, "--yes", ...args], { cwd: project, env: { ...base, ...env } }),
    /** Runs the agent's own program, for what a person sets up; input is its stdin. */
    run: (args, input = "") => finish(join(modules, ".bin", agent.program), args, { cwd: project, env: base, input }),
    /** Puts a prompt to the agent and waits until it ends; env is what its shell has besides. */
    ask: (prompt, env) => finish(join(modules, ".bin", agent.program), agent.args(prompt), { cwd: project, env: { ...base, ...env } }),
  };
}

/** Runs a program to its end and returns what it wrote. */
function finish(program, args, { input, ...options }, limit = 180_000) {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { ...options, stdio: [input ? "pipe" : "ignore", "pipe", "pipe"], detached: true });
    child.stdin?.end(input);
    let out = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (out += data));
    const stop = () => {
      try {
        process.kill(-child.pid, "SIGKILL"); // with the servers that it started
      } catch {
        // it is gone
      }
    };
    const timer = setTimeout(() => {
      stop();
      reject(new Error(`${program} did not end within ${limit / 1000} s; it wrote: ${out.slice(-2000)}`));
    }, limit);
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(timer);
      stop();
      resolve({ code, out });
    });
  });
}

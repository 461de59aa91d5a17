// Starts the OpenAI-compatible servers that others wrote: mock-llm (npm), fakellm (PyPI, where FAKELLM names it) and ollama
// (where OLLAMA names it).

import { execFile, spawn } from "node:child_process";
import { mkdtemp, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { server } from "./check.mjs";
import { writeModel } from "./gguf.mjs";

export const run = promisify(execFile);

/** A folder of its own for a program's servers, project and state. */
export const newFolder = (name) => mkdtemp(join(tmpdir(), `exai-${name}-`));

/** A port that is free now. */
export const freePort = () =>
  new Promise((resolve) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });

const started = [];

/** Starts a server and waits until it answers something. */
async function start(command, args, folder, port, env = {}) {
  const child = spawn(command, args, { cwd: folder, stdio: "ignore", env: { ...process.env, ...env } });
  started.push(child);
  for (let i = 0; i < 150; i++) {
    try {
      await fetch(`http://127.0.0.1:${port}/v1/models`);
      return child;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  throw new Error(`${command} does not listen on ${port}`);
}

/** Ends what was started. */
export function endAll() {
  for (const child of started) {
    child.kill("SIGCONT");
    child.kill();
  }
}

// mock-llm repeats the last message by default, which is no JSON any more where that has line breaks.
const mockRules = `rules:
  - path: /v1/models
    method: GET
    match: "@"
    response: {status: 200, content: '{"object": "list", "data": [{"id": "mock", "object": "model", "owned_by": "mock-llm"}]}'}
  - path: /v1/chat/completions
    method: POST
    match: "@"
    response:
      status: 200
      content: |
        {"id": "chatcmpl-1", "object": "chat.completion", "model": "mock", "choices": [{"index": 0, "finish_reason": "stop",
         "message": {"role": "assistant", "content": "Line 3 does nothing: main has no body."}}]}
`;

/** Starts mock-llm with one model "mock", and gives its base URL. */
export async function mockLLM(folder) {
  const port = await freePort();
  await writeFile(join(folder, "mock-llm.yaml"), mockRules);
  await start(process.execPath, [join(import.meta.dirname, "node_modules/@dwmkerr/mock-llm/dist/main.js")], folder, port, { PORT: String(port) });
  return `http://127.0.0.1:${port}/v1`;
}

/** Starts fakellm, and gives its base URL; undefined where it is not there. */
export async function fakeLLM(folder) {
  if (!process.env.FAKELLM) {
    console.log("fakellm is not there: its part is left out");
    return undefined;
  }
  const port = await freePort();
  await run(process.env.FAKELLM, ["init"], { cwd: folder });
  await start(process.env.FAKELLM, ["serve", "--port", String(port)], folder, port);
  return `http://127.0.0.1:${port}/v1`;
}

/** Starts ollama with a model "words" of random weights, and gives its process and its host and port. */
export async function ollama(folder) {
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  const env = { ...process.env, HOME: folder, OLLAMA_HOST: host, OLLAMA_MODELS: join(folder, "models"), OLLAMA_CONTEXT_LENGTH: "32768" };
  const child = await start(process.env.OLLAMA, ["serve"], folder, port, env);
  const model = join(folder, "words.gguf");
  const prose = join(process.env.EXAI_SOURCE, "internal/tools/words");
  const prompts = await Promise.all((await readdir(prose)).map((name) => readFile(join(prose, name), "utf8")));
  await writeModel(model, prompts.join("\n"));
  const template = "{{ range .Messages }}{{ .Role }}: {{ .Content }}\n{{ end }}assistant:";
  await writeFile(join(folder, "Modelfile"), `FROM ${model}\nTEMPLATE """${template}"""\nPARAMETER num_thread 1\n`);
  await run(process.env.OLLAMA, ["create", "words", "-f", join(folder, "Modelfile")], { env });
  return { child, host };
}

/** The program with settings of an env file in a folder: exai(...args) gives its output, tool(name, arguments) a tool's reply. */
export async function program(folder, settings) {
  const file = join(folder, "endpoints.env");
  const configure = (more = []) => writeFile(file, [...settings, ...more].join("\n"));
  await configure();
  const exai = async (...args) => (await run(server, ["--env-file", file, ...args], { cwd: folder })).stdout;
  const tool = async (name, args) => JSON.parse(await exai("call", name, JSON.stringify(args)).catch((error) => error.stdout || Promise.reject(error)));
  return { exai, tool, file, configure };
}

// Asks OpenAI-compatible servers that others wrote, as ENDPOINTS: mock-llm (npm), and fakellm (PyPI) where Python is there.

import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { check, done, server } from "./check.mjs";

const run = promisify(execFile);
const folder = await mkdtemp(join(tmpdir(), "exai-endpoints-"));

/** A port that is free now. */
const freePort = () =>
  new Promise((resolve) => {
    const s = createServer().listen(0, "127.0.0.1", () => {
      const { port } = s.address();
      s.close(() => resolve(port));
    });
  });

const started = [];

/** Starts a server and waits until it answers something. */
async function start(command, args, port, env = {}) {
  started.push(spawn(command, args, { cwd: folder, stdio: "ignore", env: { ...process.env, ...env } }));
  for (let i = 0; i < 100; i++) {
    try {
      await fetch(`http://127.0.0.1:${port}/v1/models`);
      return;
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
  throw new Error(`${command} does not listen on ${port}`);
}

const labPort = await freePort();
await start(process.execPath, [join(import.meta.dirname, "node_modules/@dwmkerr/mock-llm/dist/main.js")], labPort, { PORT: String(labPort) });
const emulated = (await readFile(process.env.EXAI_ENV_FILE, "utf8")).split("\n").filter((line) => line.startsWith("GLM_"));
const settings = [...emulated, `EXAI_STATE_DIR=${folder}/state`, `EXAI_ALLOWED_ROOTS=${folder}`, "ENDPOINTS=lab", `LAB_API_URL=http://127.0.0.1:${labPort}/v1`];
const endpoints = ["lab"];
if (process.env.FAKELLM) {
  const port = await freePort();
  await run(process.env.FAKELLM, ["init"], { cwd: folder });
  await start(process.env.FAKELLM, ["serve", "--port", String(port)], port);
  settings.push(`FAKE_API_URL=http://127.0.0.1:${port}/v1`, "FAKE_MODEL=gpt-4o", "ENDPOINTS=lab,fake");
  endpoints.push("fake");
} else {
  console.log("fakellm is not there: its part is left out");
}
const file = join(folder, "endpoints.env");
await writeFile(file, settings.join("\n"));
await writeFile(join(folder, "main.go"), "package main\n\nfunc main() {}\n");

const exai = async (...args) => (await run(server, ["--env-file", file, ...args], { cwd: folder })).stdout;
const tool = async (name, args) => JSON.parse(await exai("call", name, JSON.stringify(args)));

for (const name of endpoints) {
  await check(`chat with ${name}`, async () => {
    const reply = await tool("chat", { prompt: "hello there", model: name, use_websearch: false });
    assert.ok(reply.content.length > 0);
    assert.equal(reply.metadata.provider_used, name);
    assert.ok(reply.metadata.model_used.startsWith(`${name}/`));
    const again = await tool("chat", { prompt: "and again", continuation_id: reply.continuation_offer.continuation_id });
    assert.equal(again.metadata.model_used, reply.metadata.model_used);
    return reply.metadata.model_used;
  });
}

await check("consensus of models of three vendors", async () => {
  const models = ["glm", ...endpoints].map((model) => ({ model }));
  const reply = await tool("consensus", { step: "tabs or spaces?", models });
  const answers = reply.accumulated_responses;
  assert.deepEqual(answers.map((a) => a.status), models.map(() => "success"));
  assert.equal(new Set(answers.map((a) => a.metadata.provider)).size, models.length);
  return `${models.length} vendors`;
});

if (endpoints.includes("fake")) {
  await check("debug with an expert of an endpoint", async () => {
    const reply = await tool("debug", { step: "why?", findings: "it fails", relevant_files: ["main.go"], model: "fake" });
    assert.equal(reply.expert_analysis.status, "analysis_complete");
    assert.equal(reply.metadata.provider_used, "fake");
  });
}

await check("a limit's name in the error of a server that is not there", async () => {
  const nobody = await freePort();
  await writeFile(file, [...settings, `LAB_API_URL=http://127.0.0.1:${nobody}/v1`, "MAX_RETRIES=0"].join("\n"));
  const out = await exai("call", "chat", JSON.stringify({ prompt: "hello", model: "lab/m" })).catch((error) => error.stdout);
  const { error } = JSON.parse(out);
  assert.equal(error.code, "network");
  assert.match(error.hint, /LAB_API_URL/);
  await writeFile(file, settings.join("\n"));
});

await check("doctor", async () => {
  const out = await exai("doctor");
  assert.match(out, /lab at \S+, a server on this machine lists \d+ models, without a key/);
  assert.match(out, /No problems found/);
});

for (const child of started) child.kill();
done("endpoints");

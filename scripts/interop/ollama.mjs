// Asks a real ollama server, with no key for any vendor. Its model has random weights: it says gibberish and calls no functions.

import assert from "node:assert/strict";
import { mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { check, done, server } from "./check.mjs";
import { endAll, fakeLLM, mockLLM, newFolder, ollama, program, run } from "./servers.mjs";

const folder = await newFolder("ollama");
const { child, host } = await ollama(folder);
const alone = [`EXAI_STATE_DIR=${folder}/state`, `EXAI_ALLOWED_ROOTS=${folder}`, `OLLAMA_HOST=${host}`];
const { exai, tool, file, configure } = await program(folder, [...alone, "ENDPOINTS=ollama"]);
await writeFile(join(folder, "main.go"), "package main\n\nfunc main() {}\n");

await check("doctor before the model is loaded", async () => {
  const out = await exai("doctor");
  assert.match(out, new RegExp(`Ollama at http://${host}/v1, a server on this machine lists 1 model, without a key`));
  assert.match(out, /Ollama: ollama\/words:latest reasons and judges, ollama\/words:latest answers quick questions/);
  assert.match(out, /OLLAMA_CONTEXT_LENGTH/, "the window of a model that is not loaded is not known");
  assert.match(out, /No problems found/);
});

let conversation;
await check("chat: the only model, and a conversation with it", async () => {
  const reply = await tool("chat", { prompt: "hello there" });
  assert.equal(reply.metadata.model_used, "ollama/words:latest");
  assert.ok(reply.content.trim().length > 0);
  assert.ok(reply.metadata.usage.output_tokens > 0);
  assert.equal(reply.metadata.usage.cost_usd, 0);
  assert.ok(reply.metadata.notes.includes("Sent to a server on this machine."));
  conversation = reply.continuation_offer.continuation_id;
  const again = await tool("chat", { prompt: "and again", continuation_id: conversation });
  assert.equal(again.metadata.model_used, "ollama/words:latest");
  return JSON.stringify(reply.content.trim().slice(0, 60));
});

await check("listmodels and doctor know the window of the loaded model", async () => {
  const { content } = await tool("listmodels", {});
  assert.match(content, /words:latest/);
  assert.match(content, /a server on this machine/);
  assert.doesNotMatch(await exai("doctor"), /OLLAMA_CONTEXT_LENGTH/);
});

await check("debug with an expert, which is offered no functions", async () => {
  const reply = await tool("debug", { step: "why?", findings: "it fails", relevant_files: ["main.go"] });
  assert.equal(reply.expert_analysis.status, "analysis_complete");
  assert.equal(reply.metadata.provider_used, "ollama");
  assert.equal(reply.metadata.attempts, 1);
});

await check("consensus of one local vendor", async () => {
  const reply = await tool("consensus", { step: "tabs or spaces?", models: ["ollama"] });
  assert.deepEqual(reply.accumulated_responses.map((a) => a.status), ["success"]);
});

await check("a model that it does not have", async () => {
  const { error } = await tool("chat", { prompt: "hello", model: "ollama/none" });
  assert.equal(error.code, "model_not_found");
  assert.match(error.hint, /ollama\/words:latest/);
});

// The server is stopped, as one that loads a large model: it takes requests and sends nothing, no header either.
await check("a limit's name in an error", async () => {
  await configure(["OLLAMA_TIMEOUT_SECS=1", "OLLAMA_MODEL=words"]);
  child.kill("SIGSTOP");
  const { error } = await tool("chat", { prompt: "hello" }).finally(() => child.kill("SIGCONT"));
  assert.equal(error.code, "timeout");
  assert.equal(error.limit, "OLLAMA_TIMEOUT_SECS=1s");
  await configure();
});

await check("an answer that begins behind its call", async () => {
  const env = { ...process.env, SIMPLE_TOOL_TIMEOUT_SECS: "8", GLM_TIMEOUT_SECS: "8", KIMI_TIMEOUT_SECS: "8" };
  const transport = new StdioClientTransport({ command: server, args: ["--env-file", file], cwd: folder, env, stderr: "ignore" });
  const client = new Client({ name: "interop", version: "1" });
  await client.connect(transport);
  const chat = async (args) => (await client.callTool({ name: "chat", arguments: args })).structuredContent;
  try {
    await client.callTool({ name: "listmodels", arguments: {} });
    child.kill("SIGSTOP");
    const first = await chat({ prompt: "tell me more" });
    assert.equal(first.status, "partial");
    assert.match(first.content, /loading or reading the prompt/);
    child.kill("SIGCONT");
    const fetched = await chat({ prompt: "", continuation_id: first.continuation_offer.continuation_id });
    assert.equal(fetched.status, "continuation_available");
    assert.ok(fetched.content.trim().length > 0);
    assert.equal(fetched.metadata.provider_used, "ollama");
  } finally {
    child.kill("SIGCONT");
    await client.close();
  }
});

await check("the README's lines about endpoints, word for word", async () => {
  const readme = await readFile(join(process.env.EXAI_SOURCE, "README.md"), "utf8");
  const [, lines] = readme.match(/\*\*Use it with OpenRouter.*?```sh\n(.*?)```/s);
  const home = join(folder, "home");
  await mkdir(join(home, "bin"), { recursive: true });
  await symlink(server, join(home, "bin", "exai-mcp"));
  await run(process.env.OLLAMA, ["cp", "words", "qwen3:32b"], { env: { ...process.env, HOME: folder, OLLAMA_HOST: host } });
  const env = { HOME: home, PATH: `${join(home, "bin")}:${process.env.PATH}`, OLLAMA_HOST: host };
  const { stdout, stderr } = await run("bash", ["-c", lines], { cwd: home, env });
  assert.match(stdout, /Ollama: ollama\/qwen3:32b reasons and judges/);
  assert.match(stdout, /OPENROUTER_API_KEY/);
  assert.match(stdout, /LAB_API_KEY|lab/);
  assert.match(stderr, /ollama\/qwen3:32b/, "the line below the answer");
  return JSON.stringify(stdout.trimEnd().split("\n").at(-1).trim());
});

await check("consensus of three vendors, none of them GLM or Kimi", async () => {
  const vendors = ["ollama", "lab"];
  const more = [`LAB_API_URL=${await mockLLM(folder)}`];
  const fake = await fakeLLM(folder);
  if (fake) {
    more.push(`FAKE_API_URL=${fake}`, "FAKE_MODEL=gpt-4o");
    vendors.push("fake");
  }
  await configure([...more, `ENDPOINTS=${vendors}`]);
  const reply = await tool("consensus", { step: "tabs or spaces?", models: vendors });
  const answers = reply.accumulated_responses;
  assert.deepEqual(answers.map((a) => a.status), vendors.map(() => "success"));
  assert.deepEqual(answers.map((a) => a.metadata.provider), vendors);
  return `${vendors.length} vendors`;
});

endAll();
done("ollama");

// Asks OpenAI-compatible servers that others wrote, as ENDPOINTS: mock-llm (npm), and fakellm (PyPI) where Python is there.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { check, done } from "./check.mjs";
import { endAll, fakeLLM, freePort, mockLLM, newFolder, program } from "./servers.mjs";

const folder = await newFolder("endpoints");
const emulated = (await readFile(process.env.EXAI_ENV_FILE, "utf8")).split("\n").filter((line) => line.startsWith("GLM_"));
const settings = [...emulated, `EXAI_STATE_DIR=${folder}/state`, `EXAI_ALLOWED_ROOTS=${folder}`, `LAB_API_URL=${await mockLLM(folder)}`];
const endpoints = ["lab"];
const fake = await fakeLLM(folder);
if (fake) {
  settings.push(`FAKE_API_URL=${fake}`, "FAKE_MODEL=gpt-4o");
  endpoints.push("fake");
}
settings.push(`ENDPOINTS=${endpoints}`);
const { exai, tool, configure } = await program(folder, settings);
await writeFile(join(folder, "main.go"), "package main\n\nfunc main() {}\n");

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
  await check(`debug with an expert of ${name}`, async () => {
    const reply = await tool("debug", { step: "why?", findings: "it fails", relevant_files: ["main.go"], model: name });
    assert.equal(reply.expert_analysis.status, "analysis_complete");
    assert.equal(reply.metadata.provider_used, name);
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

await check("a limit's name in the error of a server that is not there", async () => {
  const nobody = await freePort();
  await configure([`LAB_API_URL=http://127.0.0.1:${nobody}/v1`, "MAX_RETRIES=0"]);
  const { error } = await tool("chat", { prompt: "hello", model: "lab/m" });
  assert.equal(error.code, "network");
  assert.match(error.hint, /LAB_API_URL/);
  await configure();
});

await check("doctor", async () => {
  const out = await exai("doctor");
  assert.match(out, /lab at \S+, a server on this machine lists \d+ models?, without a key/);
  assert.match(out, /No problems found/);
});

endAll();
done("endpoints");

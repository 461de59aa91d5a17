// The plugin and the Gemini extension: their makers' validators, and sessions in the agents that load them, with nothing else
// configured. npx fetches the server from a registry on loopback that holds the packages of scripts/npm.sh.

import assert from "node:assert/strict";
import { cp, mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { check, done } from "../check.mjs";
import { repaired, reviewer } from "../vendor.mjs";
import { keys, modules, prepare, put, repository, run } from "./agents.mjs";
import { startModel } from "./model.mjs";
import { startRegistry } from "./registry.mjs";
import { chatAndReview, defectAndRepair, replies, ways } from "./scripts.mjs";

const source = process.env.EXAI_SOURCE;
const registry = await startRegistry(process.env.EXAI_PACKAGES);

// What a clone of the repository holds of it.
const market = await mkdtemp(join(tmpdir(), "exai-market-"));
for (const name of [".claude-plugin", ".agents", "plugins", "extensions", "LICENSE"]) await cp(join(source, name), join(market, name), { recursive: true });
const plugin = join(market, "plugins/exai");
const extension = join(market, "extensions/gemini");

/** An agent that npm serves from the registry alone. */
async function agentOf(name, project, script) {
  const model = await startModel(script);
  const agent = await prepare(name, { url: model.url, project });
  await put(join(agent.home, ".npmrc"), `registry=${registry.url}\n`);
  return { agent, model };
}

/** Runs one of the agent's commands, which must succeed. */
async function does(agent, args, input) {
  const { code, out } = await agent.run(args, input);
  assert.equal(code, 0, `${args.join(" ")}: ${out}`);
  return out;
}

const adds = {
  "claude-code": [["plugin", "marketplace", "add", market], ["plugin", "install", "exai@exai"]],
  codex: [["plugin", "marketplace", "add", market], ["plugin", "add", "exai@exai"]],
  copilot: [["plugin", "marketplace", "add", market], ["plugin", "install", "exai@exai"]],
};

async function addPlugin(name, agent) {
  for (const args of adds[name]) await does(agent, args);
}

const project = await repository();
await writeFile(join(project, "a.go"), "package a\n\nfunc F(a, b int) int { return a / b }\n");

await check("claude plugin validate --strict", async () => {
  const { agent, model } = await agentOf("claude-code", project, chatAndReview);
  for (const folder of [plugin, market]) assert.match(await does(agent, ["plugin", "validate", "--strict", folder]), /Validation passed/);
  model.close();
});

await check("skillsaw lint", async () => {
  const { stdout } = await run(process.env.SKILLSAW, ["lint", plugin]);
  assert.match(stdout, /Errors: +0\n/);
  assert.match(stdout, /Warnings: +0\n/);
});

await check("skills-ref validate", async () => {
  for (const folder of [plugin, extension]) {
    const { stdout } = await run(process.execPath, [join(modules, "skills-ref/dist/cli.js"), "validate", join(folder, "skills/second-opinion")]);
    assert.match(stdout, /Valid skill/);
  }
});

for (const name of Object.keys(adds)) {
  await check(`${name}: the plugin alone, a chat and a review`, async () => {
    const { agent, model } = await agentOf(name, project, chatAndReview);
    await addPlugin(name, agent);
    const { code, out } = await agent.ask("Ask exai what idempotence is, then have it review my change.", await keys());
    const [chat, review] = replies(model);
    assert.equal(code, 0, out);
    assert.match(chat, /emulated/, out);
    assert.match(review, /verdict/, out);
    assert.ok(registry.asked.includes("/exai-mcp"), "npx asked the registry");
    model.close();
  });
}

await check("claude-code: the plugin's command reaches the model", async () => {
  const { agent, model } = await agentOf("claude-code", project, chatAndReview);
  await addPlugin("claude-code", agent);
  await agent.ask("/exai:ask What is idempotence?", await keys());
  assert.match(model.turns.at(-1).text, /Call the tool `chat` of the MCP server exai with this question: What is idempotence\?/);
  assert.match(replies(model)[0], /emulated/);
  model.close();
});

for (const name of Object.keys(ways)) {
  for (const gate of ["", "on"]) {
    await check(`${name}: the plugin's gate with EXAI_GATE=${gate}`, async () => {
      const repo = await repository();
      const file = join(repo, "b.go");
      const vendor = await reviewer("b.go");
      const { agent, model } = await agentOf(name, repo, defectAndRepair(name, file));
      await addPlugin(name, agent);
      const { out } = await agent.ask("Write a division.", { ...vendor.env, EXAI_GATE: gate });
      assert.deepEqual(model.faults, []);
      assert.equal(vendor.requests.length, gate ? 2 : 0, out);
      assert.equal(model.turns.at(-1).text.split(ways[name].block).length - 1, gate ? 1 : 0, out);
      assert.equal((await readFile(file, "utf8")) === repaired, gate === "on");
      vendor.close();
      model.close();
    });
  }
}

await check("gemini: the extension validates, takes a key, and serves its command, a chat and a review", async () => {
  const { agent, model } = await agentOf("gemini", project, chatAndReview);
  const trusted = join(agent.home, ".gemini/trustedFolders.json");
  await writeFile(trusted, JSON.stringify({ [project]: "TRUST_FOLDER", [extension]: "TRUST_FOLDER" }));
  assert.match(await does(agent, ["extensions", "validate", extension]), /successfully validated/);
  await does(agent, ["extensions", "install", extension, "--consent", "--skip-settings"]);
  const { GLM_API_KEY: key, ...rest } = await keys();
  await does(agent, ["extensions", "config", "exai", "GLM_API_KEY"], `${key}\n`);
  const { code, out } = await agent.ask("/ask What is idempotence?", rest);
  const [chat, review] = replies(model);
  assert.equal(code, 0, out);
  assert.match(model.turns.at(-1).text, /Call the tool `chat` of the MCP server exai with this question: What is idempotence\?/);
  assert.match(chat, /emulated/, out);
  assert.match(review, /verdict/, out);
  model.close();
});

registry.close();
done("plugins");

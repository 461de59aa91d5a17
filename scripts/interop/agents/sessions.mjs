// Whole sessions of coding agents on a fake model, each configured by exai-mcp install alone: a chat and a review against the
// emulated vendors, with keys in the environment and without. SESSIONS=codex,gemini chooses some agents.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { createServer, request as forward } from "node:http";
import { join } from "node:path";
import { check, done } from "../check.mjs";
import { agents, keys, prepare, repository, run, modules } from "./agents.mjs";
import { startModel } from "./model.mjs";
import { chatAndReview, replies } from "./scripts.mjs";

const names = process.env.SESSIONS?.split(",") ?? Object.keys(agents);

for (const name of names) {
  const project = await repository();
  await writeFile(join(project, "a.go"), "package a\n\nfunc F(a, b int) int { return a / b }\n");
  const set = await keys();
  const model = await startModel(chatAndReview);
  const agent = await prepare(name, { url: model.url, project });
  const { stdout: version } = await run(join(modules, ".bin", agents[name].program), ["--version"], { env: agent.env });

  await check(`${name}: install, then a chat and a review`, async () => {
    await agent.install(set);
    const { code, out } = await agent.ask("Ask exai what idempotence is, then have it review my change.", set);
    const [chat, review] = replies(model);
    assert.equal(code, 0, out);
    assert.match(chat, /emulated/, out);
    assert.match(chat, /continuation_id/);
    assert.match(review, /verdict/, out);
    assert.match(out, /The session is over/);
    return version.trim().split("\n")[0];
  });

  await check(`${name}: without keys the reply says what is missing`, async () => {
    model.turns.length = 0;
    await agent.ask("Ask exai what idempotence is, then have it review my change.", {});
    const [chat, review] = replies(model);
    assert.match(chat, /not_configured/);
    assert.match(chat, /GLM_API_KEY/);
    assert.match(review, /not_configured/);
  });
  model.close();
}

/** Passes requests on to another address, and keeps their paths. */
async function proxyTo(target, paths) {
  const http = createServer((request, response) => {
    paths.push(request.url);
    const { hostname, port } = new URL(target);
    const path = request.url.replace("/api/coding/paas/v4", new URL(target).pathname);
    const out = forward({ hostname, port, path, method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode, answer.headers);
      answer.pipe(response);
    });
    request.pipe(out);
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return http;
}

if (names.includes("claude-code")) {
  await check("claude-code: its own commands add, replace and remove the entry", async () => {
    const agent = await prepare("claude-code", { url: "http://127.0.0.1:1", project: await repository() });
    const entry = async () => JSON.parse(await readFile(join(agent.home, ".claude.json"), "utf8")).mcpServers?.exai;
    await agent.install({});
    const first = await entry();
    assert.equal(first.timeout, 112500);
    const { stderr } = await agent.install({}, "--patient");
    assert.match(stderr, /Replaced the old entry/);
    const second = await entry();
    assert.ok(second.timeout > first.timeout, JSON.stringify(second));
    assert.match((await agent.install({}, "--patient")).stderr, /Nothing to change/);
    await agent.install({}, "--remove");
    assert.equal(await entry(), undefined);
  });
}

if (names.includes("codex")) {
  await check("codex: a coding plan's address in the environment reaches the server", async () => {
    const set = await keys();
    const paths = [];
    const http = await proxyTo(set.GLM_API_URL, paths);
    const plan = { GLM_API_KEY: set.GLM_API_KEY, GLM_API_URL: `http://127.0.0.1:${http.address().port}/api/coding/paas/v4` };
    const project = await repository();
    const model = await startModel(chatAndReview);
    const agent = await prepare("codex", { url: model.url, project });
    await agent.install({}); // before the variables are set
    await agent.ask("Ask exai what idempotence is.", plan);
    assert.match(replies(model)[0], /emulated/);
    assert.ok(paths.includes("/api/coding/paas/v4/chat/completions"), paths.join(" "));
    model.close();
    http.closeAllConnections();
    http.close();
  });
}

done("sessions of agents");

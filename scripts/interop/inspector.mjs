// Drives the server with the MCP Inspector's command line, as a person who debugs a server does.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { check, done, server, serverArgs } from "./check.mjs";

/** Runs the Inspector once, on a server of its own, and gives what it printed. */
function inspect(...args) {
  const cli = ["node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js", "--cli", server, ...serverArgs, "--", "--format", "json", "-q"];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [...cli, ...args], { stdio: ["ignore", "pipe", "pipe"] });
    let out = "";
    let err = "";
    child.stdout.on("data", (data) => (out += data));
    child.stderr.on("data", (data) => (err += data));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, out, err }));
  });
}

async function result(...args) {
  const { code, out, err } = await inspect(...args);
  assert.equal(code, 0, `exit ${code}: ${err}${out}`);
  return JSON.parse(out).result;
}

for (const era of ["legacy", "modern"]) {
  const as = ["--protocol-era", era];
  await check(`${era}: tools/list --strict finds nothing to say`, async () => {
    const { code, out, err } = await inspect(...as, "--method", "tools/list", "--strict");
    assert.equal(code, 0, err);
    assert.doesNotMatch(err, /warning/i);
    const { tools } = JSON.parse(out).result;
    assert.equal(tools.length, 29);
    return `${tools.length} tools`;
  });
  await check(`${era}: resources/list, resources/templates/list, resources/read`, async () => {
    const { resources } = await result(...as, "--method", "resources/list");
    const { resourceTemplates } = await result(...as, "--method", "resources/templates/list");
    for (const uri of ["exai://conversations", "exai://issues", "exai://models", "exai://config"]) {
      assert.ok(resources.some((r) => r.uri === uri), uri);
      const read = await result(...as, "--method", "resources/read", "--uri", uri);
      assert.equal(read.contents[0].uri, uri);
      assert.ok(read.contents[0].text.length > 0);
    }
    const missing = await inspect(...as, "--method", "resources/read", "--uri", "exai://nope");
    assert.notEqual(missing.code, 0);
    assert.match(missing.err, /no such resource/);
    return `${resources.length} resources, ${resourceTemplates.length} templates`;
  });
  await check(`${era}: prompts/list, prompts/get`, async () => {
    const { prompts } = await result(...as, "--method", "prompts/list");
    const { messages } = await result(...as, "--method", "prompts/get", "--prompt-name", "chat", "--prompt-args", "prompt=What is idempotence?");
    assert.match(messages[0].content.text, /`chat`/);
    return `${prompts.length} prompts`;
  });
  await check(`${era}: tools/call chat`, async () => {
    const called = await result(...as, "--method", "tools/call", "--tool-name", "chat", "--tool-arg", "prompt=What is idempotence?");
    assert.ok(!called.isError);
    assert.deepEqual(JSON.parse(called.content[0].text), called.structuredContent);
    assert.match(called.structuredContent.content, /emulated/);
  });
}

await check("logging/setLevel", () => result("--method", "logging/setLevel", "--log-level", "debug").then(() => ""));

await check("--load: 400 calls of chat, 40 at once", async () => {
  const { code, out, err } = await inspect(
    "--method", "tools/call", "--tool-name", "chat", "--tool-arg", "prompt=hello", "--tool-arg", "model=glm-5.3-flash",
    "--load", "--load-requests", "400", "--load-concurrency", "40",
  );
  assert.equal(code, 0, err);
  const load = JSON.parse(out).result;
  assert.equal(load.ok, 400, out);
  assert.equal(load.errors + load.toolErrors, 0);
  return `${Math.round(load.throughput)} calls/s, p50 ${Math.round(load.latencyMs.p50)} ms, p99 ${Math.round(load.latencyMs.p99)} ms`;
});

done("MCP Inspector");

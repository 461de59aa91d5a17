// Drives the server with the official TypeScript SDK, as most clients do.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport, getDefaultEnvironment } from "@modelcontextprotocol/sdk/client/stdio.js";
import { ListRootsRequestSchema, LoggingMessageNotificationSchema } from "@modelcontextprotocol/sdk/types.js";
import { check, done, server, serverArgs, within } from "./check.mjs";

/** Starts a server and shakes hands. faults receives whatever the SDK finds wrong with any line. */
async function connect(env = {}, capabilities = {}, args = serverArgs) {
  const transport = new StdioClientTransport({
    command: server, args, stderr: "ignore", env: { ...getDefaultEnvironment(), EXAI_STATE_DIR: await mkdtemp(join(tmpdir(), "exai-interop-")), ...env },
  });
  const client = new Client({ name: "interop", version: "1" }, { capabilities });
  const faults = [];
  client.onerror = (error) => faults.push(error);
  await client.connect(transport);
  return { client, transport, faults };
}

const { client, transport, faults } = await connect();
const call = (name, args, options) => client.callTool({ name, arguments: args }, undefined, options);

await check("handshake", () => {
  const offered = Object.keys(client.getServerCapabilities()).sort();
  assert.deepEqual(offered, ["completions", "logging", "prompts", "resources", "tools"]);
  const words = client.getInstructions();
  assert.ok(words.length > 0 && words.length < 2000, `${words.length} characters`);
  return `${client.getServerVersion().name}, instructions of ${words.length} characters`;
});

await check("tools/list", async () => {
  const list = await client.listTools();
  const size = JSON.stringify(list).length;
  assert.equal(list.tools.length, 29);
  assert.ok(size <= 32000, `${size} characters`);
  for (const tool of list.tools) {
    assert.equal(tool.inputSchema.type, "object", tool.name);
    assert.deepEqual(
      Object.keys(tool.annotations).sort(), ["destructiveHint", "idempotentHint", "openWorldHint", "readOnlyHint", "title"], tool.name);
  }
  return `${list.tools.length} tools, ${size} characters`;
});

await check("500 calls of fast tools with onprogress: no error, and no note either", async () => {
  const tools = ["version", "listmodels", "status", "health", "activity"];
  let notes = 0;
  for (let i = 0; i < 500; i++) {
    const result = await call(tools[i % tools.length], {}, { onprogress: () => notes++ });
    assert.ok(!result.isError, JSON.stringify(result.content));
  }
  assert.deepEqual(faults, []);
  return `${notes} notes`;
});

await check("500 chats at once: every payload is its own", async () => {
  const n = 500;
  const conversations = new Set();
  await Promise.all(Array.from({ length: n }, async (_, i) => {
    const prompt = `question ${i} about "ö" & <${i * 7919}>`;
    const result = await call("chat", { prompt, model: "glm-5.3-flash" });
    assert.ok(!result.isError, JSON.stringify(result.content));
    assert.equal(result.content.length, 1);
    assert.deepEqual(JSON.parse(result.content[0].text), result.structuredContent, "both are whole");
    const reply = result.structuredContent;
    assert.equal(reply.status, "continuation_available");
    assert.ok(reply.content.includes(JSON.stringify(prompt)), `${prompt} was answered with ${reply.content}`);
    assert.equal(reply.metadata.model_used, "glm-5.3-flash");
    conversations.add(reply.continuation_offer.continuation_id);
  }));
  assert.equal(conversations.size, n, "each call has a conversation of its own");
  return `${n} answers`;
});

await check("20 partial answers with onprogress: notes rise, come before the result, and no error", async () => {
  let arrived = 0;
  const vendor = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    const part = (content) => response.write(`data: ${JSON.stringify({ id: "x", choices: [{ index: 0, delta: { content } }] })}\n\n`);
    part(`(emulated) ${arrived++}`);
    const timer = setInterval(() => part(" more"), 50);
    response.on("close", () => clearInterval(timer));
  });
  await new Promise((resolve) => vendor.listen(0, "127.0.0.1", resolve));
  const own = await connect({
    GLM_API_KEY: "emulated0glm0key.notasecret", GLM_API_URL: `http://127.0.0.1:${vendor.address().port}/api/paas/v4`,
    SIMPLE_TOOL_TIMEOUT_SECS: "1", GLM_TIMEOUT_SECS: "1", KIMI_TIMEOUT_SECS: "1", GLM_MAX_INFLIGHT: "20", BACKGROUND_COMPLETION: "false",
  }, {}, []);
  let notes = 0;
  try {
    await Promise.all(Array.from({ length: 20 }, async (_, i) => {
      const start = performance.now();
      const seen = [];
      const { structuredContent: reply } = await own.client.callTool({ name: "chat", arguments: { prompt: `count ${i}`, model: "glm-5.3-flash" } }, undefined, {
        onprogress: (p) => seen.push({ ...p, at: performance.now() - start }),
      });
      assert.equal(reply.status, "partial", JSON.stringify(reply));
      const before = seen.length;
      assert.ok(before > 0, "progress comes before the result");
      assert.ok(seen[0].at >= 200, `the first note came after ${seen[0].at} ms`);
      assert.ok(seen[0].message.startsWith(`continuation_id=${reply.continuation_offer.continuation_id}`), seen[0].message);
      for (let k = 1; k < before; k++) assert.ok(seen[k].progress > seen[k - 1].progress, "rising");
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.equal(seen.length, before, "no progress after the result");
      notes += before;
    }));
    assert.deepEqual(own.faults, []);
  } finally {
    await own.client.close();
    vendor.closeAllConnections();
    vendor.close();
  }
  return `${notes} notes`;
});

await check("200 answers that are ready right after their first note: no error", async () => {
  let asked = 0;
  const vendor = createServer((request, response) => {
    request.resume();
    setTimeout(() => {
      const last = { id: "x", choices: [{ index: 0, delta: { content: "(emulated)" }, finish_reason: "stop" }] };
      response.writeHead(200, { "Content-Type": "text/event-stream" });
      response.end(`data: ${JSON.stringify(last)}\n\ndata: [DONE]\n\n`);
    }, 195 + (asked++ % 15));
  });
  await new Promise((resolve) => vendor.listen(0, "127.0.0.1", resolve));
  const env = { GLM_API_KEY: "emulated0glm0key.notasecret", GLM_API_URL: `http://127.0.0.1:${vendor.address().port}/api/paas/v4` };
  const own = await connect(env, {}, []);
  let noted = 0;
  try {
    const worker = async () => {
      for (let i = 0; i < 50; i++) {
        let notes = 0;
        const options = { onprogress: () => notes++ };
        const { structuredContent: reply } = await own.client.callTool({ name: "chat", arguments: { prompt: "hi", model: "glm-5.3-flash" } }, undefined, options);
        assert.equal(reply.content, "(emulated)", JSON.stringify(reply));
        if (notes > 0) noted++;
      }
    };
    await Promise.all([worker(), worker(), worker(), worker()]);
    assert.deepEqual(own.faults, []);
    assert.ok(noted > 20, `only ${noted} calls had a note`);
  } finally {
    await own.client.close();
    vendor.close();
  }
  return `${noted} of them had one`;
});

await check("a conversation goes on", async () => {
  const first = await call("chat", { prompt: "Name two uses of a bloom filter." });
  const id = first.structuredContent.continuation_offer.continuation_id;
  const second = await call("chat", { prompt: "And its price?", continuation_id: id });
  assert.equal(second.structuredContent.continuation_offer.continuation_id, id);
  const read = await client.readResource({ uri: `exai://conversations/${id}` });
  assert.match(read.contents[0].text, /> And its price\?/);
  assert.equal(read.contents[0].mimeType, "text/markdown");
  const turn = await client.readResource({ uri: `exai://conversations/${id}/turns/4` });
  assert.equal(turn.contents[0].text, second.structuredContent.content);
});

await check("a workflow is followed by its next_call alone", async () => {
  const folder = await mkdtemp(join(tmpdir(), "exai-interop-code-"));
  const file = join(folder, "sum.go");
  await writeFile(file, "package sum\n\nfunc Sum(a, b int) int { return a - b }\n");
  const own = await connect({ EXAI_ALLOWED_ROOTS: folder });
  try {
    let next = { name: "debug", arguments: { step: "Sum is wrong", step_number: 1, total_steps: 2, next_step_required: true, findings: "it subtracts", relevant_files: [file] } };
    const words = [];
    for (let i = 0; i < 4 && next; i++) {
      const { structuredContent: reply, isError } = await own.client.callTool(next);
      assert.ok(!isError, JSON.stringify(reply));
      words.push(reply.status);
      const more = reply.next_call;
      next = more && { name: more.tool, arguments: { ...more.arguments, findings: "confirmed", next_step_required: i < 1 } };
    }
    assert.ok(words.length >= 2);
    assert.ok(!next, "it ends");
    return words.join(" -> ");
  } finally {
    await own.client.close();
  }
});

await check("errors are results that say what to do; protocol faults are errors", async () => {
  const bad = await call("chat", { prompt: "x", model: "gpt-9" });
  assert.equal(bad.isError, true);
  assert.equal(bad.structuredContent.error.code, "model_not_found");
  assert.ok(bad.structuredContent.error.hint);
  await assert.rejects(call("nope", {}), { code: -32602 });
});

await check("cancelling reaches the vendor's socket, and nothing is answered", async () => {
  const waits = [];
  let arrived;
  const vendor = createServer((request, response) => {
    request.resume();
    response.writeHead(200, { "Content-Type": "text/event-stream" }); // and never a word
    response.flushHeaders();
    const gone = new Promise((resolve) => response.on("close", () => resolve(performance.now())));
    arrived?.({ gone });
  });
  await new Promise((resolve) => vendor.listen(0, "127.0.0.1", resolve));
  const env = { GLM_API_KEY: "emulated0glm0key.notasecret", GLM_API_URL: `http://127.0.0.1:${vendor.address().port}/api/paas/v4` };
  const own = await connect(env, {}, []);
  try {
    for (let i = 0; i < 20; i++) {
      const here = new Promise((resolve) => (arrived = resolve));
      const stop = new AbortController();
      const called = own.client.callTool({ name: "chat", arguments: { prompt: `wait ${i}`, model: "glm-5.3-flash" } }, undefined, { signal: stop.signal });
      const { gone } = await within(10000, "the request", here);
      const start = performance.now();
      stop.abort("the user stopped it");
      await assert.rejects(called);
      waits.push((await within(5000, "the vendor's end of it", gone)) - start);
    }
    await own.client.ping();
    assert.deepEqual(own.faults, [], "no answer to a call that was cancelled");
  } finally {
    await own.client.close();
    vendor.closeAllConnections();
    vendor.close();
  }
  waits.sort((a, b) => a - b);
  assert.ok(waits[10] < 100, `median ${waits[10]} ms`);
  return `20 times, after ${waits[10].toFixed(1)} ms (median), ${waits[19].toFixed(1)} ms (longest)`;
});

await check("a slow call holds up nobody", async () => {
  const stop = new AbortController();
  const slow = call("chat", { prompt: "Are you there?", model: "glm-5.3" }, { signal: stop.signal }).catch(() => {});
  const start = performance.now();
  await Promise.all([client.ping(), client.listTools(), client.listPrompts(), call("version", {})]);
  const took = performance.now() - start;
  stop.abort();
  await slow;
  assert.ok(took < 2000, `${took} ms`);
  return `${Math.round(took)} ms for ping, two lists and a call`;
});

await check("resources", async () => {
  const { resources } = await client.listResources();
  const { resourceTemplates } = await client.listResourceTemplates();
  for (const { uri } of resources) {
    const { contents } = await client.readResource({ uri });
    assert.equal(contents[0].uri, uri);
    assert.ok(contents[0].text.length > 0, uri);
    assert.ok(!contents[0].text.includes("notasecret") && !contents[0].text.includes("not-a-secret"), `a key in ${uri}`);
  }
  for (const uri of ["exai://nope", "exai://conversations/nope", "exai://issues/999999"]) {
    await assert.rejects(client.readResource({ uri }), { code: -32002 });
  }
  return `${resources.length} resources, ${resourceTemplates.length} templates`;
});

await check("prompts", async () => {
  const { prompts } = await client.listPrompts();
  const { tools } = await client.listTools();
  for (const tool of tools) assert.ok(prompts.some((p) => p.name === tool.name), tool.name);
  for (const prompt of prompts) {
    const args = {};
    for (const a of prompt.arguments ?? []) if (a.required) args[a.name] = a.name === "trace_mode" ? "precision" : "something";
    const got = await client.getPrompt({ name: prompt.name, arguments: args });
    assert.equal(got.messages[0].role, "user");
    if (prompt.name !== "continue") assert.match(got.messages[0].content.text, new RegExp(`\`${prompt.name}\``));
    if (Object.keys(args).length > 0) await assert.rejects(client.getPrompt({ name: prompt.name }), { code: -32602 });
  }
  await assert.rejects(client.getPrompt({ name: "nope" }), { code: -32602 });
  return `${prompts.length} prompts`;
});

await check("completions", async () => {
  const complete = async (ref, name, value) => (await client.complete({ ref, argument: { name, value } })).completion;
  const chat = { type: "ref/prompt", name: "chat" };
  const models = await complete(chat, "model", "glm-5.3");
  assert.ok(models.values.includes("glm-5.3-flash"), models.values.join());
  const ids = await complete(chat, "continuation_id", "");
  assert.equal(ids.values.length, 100);
  assert.equal(ids.hasMore, true);
  const one = await complete({ type: "ref/resource", uri: "exai://conversations/{id}" }, "id", ids.values[0].slice(0, 13));
  assert.ok(one.values.includes(ids.values[0]));
  await assert.rejects(complete({ type: "ref/prompt", name: "nope" }, "model", ""), { code: -32602 });
});

await check("log messages at the client's level", async () => {
  const heard = [];
  client.setNotificationHandler(LoggingMessageNotificationSchema, (note) => heard.push(note.params));
  await call("chat", { prompt: "x", model: "gpt-9" });
  assert.equal(heard.length, 0, "nothing below the level that holds before one is set");
  await client.setLoggingLevel("info");
  const bad = await call("chat", { prompt: "a private word", model: "gpt-9" });
  assert.equal(bad.isError, true);
  await client.ping();
  assert.ok(heard.length > 0);
  assert.ok(!JSON.stringify(heard).includes("private word"));
});

await check("roots are asked for, and again when they change", async () => {
  const folders = [await mkdtemp(join(tmpdir(), "exai-interop-a-")), await mkdtemp(join(tmpdir(), "exai-interop-b-"))];
  for (const folder of folders) await writeFile(join(folder, "note.txt"), "a note");
  const own = await connect({}, { roots: { listChanged: true } });
  let root = folders[0];
  let asked = 0;
  own.client.setRequestHandler(ListRootsRequestSchema, () => {
    asked++;
    return { roots: [{ uri: pathToFileURL(root).href, name: "project" }] };
  });
  const look = async (folder) => {
    const { structuredContent } = await own.client.callTool({ name: "chat", arguments: { prompt: "look", files: [join(folder, "note.txt")] } });
    return structuredContent.error?.code ?? structuredContent.status;
  };
  try {
    await own.client.sendRootsListChanged();
    assert.equal(await look(folders[0]), "continuation_available");
    assert.equal(await look(folders[1]), "path_denied");
    root = folders[1];
    await own.client.sendRootsListChanged();
    assert.equal(await look(folders[1]), "continuation_available");
    assert.equal(await look(folders[0]), "path_denied");
    return `asked ${asked} times`;
  } finally {
    await own.client.close();
  }
});

await check("the server is gone soon after its client", async () => {
  const pid = transport.pid;
  const start = performance.now();
  await client.close();
  for (let alive = true; alive; ) {
    try {
      process.kill(pid, 0);
      await new Promise((resolve) => setTimeout(resolve, 10));
    } catch {
      alive = false;
    }
    assert.ok(performance.now() - start < 2000, "it lives on");
  }
  assert.deepEqual(faults, [], "the SDK took every line");
});

done("TypeScript SDK");

// Drives the server in revision 2026-07-28 with the official TypeScript client, version 2: roots by input requests, and tasks.
// The client refuses a result of the type "task", so the tasks are taken from its transport; it asks about them itself.

import assert from "node:assert/strict";
import { mkdtemp, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { Client } from "@modelcontextprotocol/client";
import { StdioClientTransport, getDefaultEnvironment } from "@modelcontextprotocol/client/stdio";
import { check, done, server, serverArgs, within } from "./check.mjs";
import { slowVendor } from "./vendor.mjs";

const tasks = "io.modelcontextprotocol/tasks";
const anything = { "~standard": { version: 1, vendor: "interop", validate: (value) => ({ value }) } };

/** Starts a server. tasks receives the results that are tasks, faults whatever the client finds wrong with any line. */
async function connect({ env = {}, capabilities = {}, args = serverArgs, roots } = {}) {
  const transport = new StdioClientTransport({
    command: server, args, stderr: "ignore",
    env: { ...getDefaultEnvironment(), EXAI_STATE_DIR: await mkdtemp(join(tmpdir(), "exai-interop-")), ...env },
  });
  const client = new Client({ name: "interop", version: "2" }, { capabilities, versionNegotiation: { mode: { pin: "2026-07-28" } } });
  if (roots) client.setRequestHandler("roots/list", roots);
  const own = { client, transport, faults: [], tasks: [] };
  client.onerror = (error) => own.faults.push(error);
  await client.connect(transport);
  const hear = transport.onmessage;
  transport.onmessage = (message, extra) => {
    if (message.result?.resultType === "task") own.tasks.push(message.result);
    hear(message, extra);
  };
  own.about = (method, taskId) => client.request({ method, params: { taskId } }, anything);
  return own;
}

/** A call that must become a task; returns the task. A busy machine may need more than one try. */
async function becomesTask(own) {
  for (let i = 0; i < 20; i++) {
    try {
      const reply = await own.client.callTool({ name: "chat", arguments: { prompt: "Tell me everything.", model: "glm-5.3-flash" } });
      assert.equal(reply.structuredContent.status, "partial");
    } catch (error) {
      assert.match(error.message, /Unsupported result type 'task'/);
      const task = own.tasks.pop();
      assert.equal(task.status, "working");
      return task;
    }
  }
  assert.fail("no call became a task");
}

/** Polls until a task has ended. */
async function poll(own, id) {
  for (;;) {
    const task = await own.about("tasks/get", id);
    if (task.status !== "working") return task;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const declared = { extensions: { [tasks]: {} } };

await check("server/discover", async () => {
  const own = await connect({ capabilities: declared });
  assert.equal(own.client.getNegotiatedProtocolVersion(), "2026-07-28");
  assert.deepEqual(own.client.getServerCapabilities().extensions, { [tasks]: {} });
  assert.equal((await own.client.listTools()).tools.length, 29);
  assert.deepEqual(own.faults, []);
  await own.client.close();
});

await check("roots are asked for when a path needs them, once", async () => {
  const dir = await mkdtemp(join(tmpdir(), "exai-root-"));
  await writeFile(join(dir, "far.go"), "package far\n");
  let asked = 0;
  const own = await connect({
    capabilities: { roots: {} },
    roots: async () => {
      asked++;
      return { roots: [{ uri: pathToFileURL(dir).href, name: "far" }] };
    },
  });
  const read = (files) => own.client.callTool({ name: "chat", arguments: { prompt: "look", files, model: "glm-5.3-flash" } });
  const chat = await own.client.callTool({ name: "chat", arguments: { prompt: "hello", model: "glm-5.3-flash" } });
  assert.equal(asked, 0, JSON.stringify(chat));
  for (let i = 0; i < 2; i++) {
    const { isError, structuredContent: reply } = await read([join(dir, "far.go")]);
    assert.ok(!isError, JSON.stringify(reply));
    assert.equal(asked, 1);
  }
  const denied = await read([join(tmpdir(), "elsewhere.go")]);
  assert.equal(denied.structuredContent.error.code, "path_denied");
  assert.equal(asked, 2, "another path outside");
  assert.deepEqual(own.faults, []);
  await own.client.close();
});

await check("a call longer than its limit is a task, is polled, and completes", async () => {
  const vendor = await slowVendor(60);
  const own = await connect({ env: vendor.env, capabilities: declared, args: [] });
  const { taskId } = await becomesTask(own);
  const task = await within(30_000, "the task", poll(own, taskId));
  assert.equal(task.status, "completed");
  assert.match(task.result.structuredContent.content, /\(emulated\) 59/);
  assert.deepEqual(JSON.parse(task.result.content[0].text), task.result.structuredContent);
  const bare = taskId.slice(0, taskId.lastIndexOf("."));
  assert.deepEqual((await own.about("tasks/get", bare)).result, task.result, "a bare continuation_id names the latest");
  await own.about("tasks/update", taskId); // is acknowledged, though there is no question to answer
  const again = await own.client.callTool({ name: "chat", arguments: { prompt: "", continuation_id: bare } });
  assert.equal(again.structuredContent.content, task.result.structuredContent.content, "a blank prompt fetches the same answer");
  await own.client.close();
  vendor.close();
  return `${task.result.structuredContent.metadata.duration_ms} ms`;
});

await check("a task is cancelled, twice, and the vendor's connection is closed", async () => {
  const vendor = await slowVendor(10_000);
  const own = await connect({ env: vendor.env, capabilities: declared, args: [] });
  const { taskId } = await becomesTask(own);
  await Promise.all([own.about("tasks/cancel", taskId), own.about("tasks/cancel", taskId)]);
  assert.equal((await within(10_000, "the task", poll(own, taskId))).status, "cancelled");
  assert.equal(vendor.closed, 1);
  await own.client.close();
  vendor.close();
});

await check("the server is killed, and another process answers tasks/get", async () => {
  const vendor = await slowVendor(10_000);
  const env = { ...vendor.env, EXAI_STATE_DIR: await mkdtemp(join(tmpdir(), "exai-interop-")) };
  const own = await connect({ env, capabilities: declared, args: [] });
  const { taskId } = await becomesTask(own);
  await new Promise((resolve) => setTimeout(resolve, 2500)); // what is written is saved every two seconds
  process.kill(own.transport.pid, "SIGKILL");
  const other = await connect({ env, capabilities: declared, args: [] });
  assert.equal((await other.about("tasks/get", taskId)).status, "working", "nobody knows yet");
  const task = await within(30_000, "the task", poll(other, taskId));
  assert.equal(task.status, "completed");
  assert.equal(task.result.structuredContent.status, "partial");
  assert.match(task.result.structuredContent.content, /\(emulated\) 20/);
  await other.client.close();
  vendor.close();
});

await check("who has not declared tasks gets none and may not ask for one", async () => {
  const vendor = await slowVendor(60);
  const own = await connect({ env: vendor.env, args: [] });
  const { structuredContent: reply } = await own.client.callTool({ name: "chat", arguments: { prompt: "Tell me everything.", model: "glm-5.3-flash" } });
  assert.equal(reply.status, "partial");
  await assert.rejects(own.about("tasks/get", reply.continuation_offer.continuation_id), (error) => error.code === -32021);
  const knows = await connect({ env: vendor.env, capabilities: declared, args: [] });
  await assert.rejects(knows.about("tasks/get", "nobody.2"), (error) => error.code === -32602);
  await own.client.close();
  await knows.client.close();
  vendor.close();
});

done("modern");

// Claude Code in its terminal, in tmux, on a fake model: a call that outlasts its limit becomes a task, which the terminal shows,
// whose result reaches the model, which a person can stop, and which outlives both the client and the server.

import assert from "node:assert/strict";
import { join } from "node:path";
import { check, done } from "../check.mjs";
import { slowVendor } from "../vendor.mjs";
import { modules, prepare, repository, run } from "./agents.mjs";
import { startModel } from "./model.mjs";

const socket = `exai-interop-${process.pid}`;
const tmux = (...args) => run("tmux", ["-L", socket, ...args]).then(({ stdout }) => stdout);
const screen = () => tmux("capture-pane", "-p", "-t", "agent");
const keys = (...names) => tmux("send-keys", "-t", "agent", ...names);

/** Waits until a value is there; sees describes what is seen meanwhile. */
async function until(what, value, sees = screen, limit = 90_000) {
  for (const end = Date.now() + limit; Date.now() < end; ) {
    const found = await value();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`expected ${what}, but:\n${await sees()}`);
}

const shows = (pattern) => until(`the terminal to show ${pattern}`, async () => (await screen()).match(pattern)?.[0]);

/** Opens the terminal for the body, with a vendor that writes so many words, and closes it. */
async function terminal(words, body) {
  const project = await repository();
  const vendor = await slowVendor(words);
  const model = await startModel(({ results, text }) => {
    if (results.length === 0) return { tool: "chat", args: { prompt: "Tell me everything.", model: "glm-5.3-flash" } };
    return { say: text.includes("<task-notification>") ? "The answer has arrived." : "The question is asked." };
  });
  const agent = await prepare("claude-code", { url: model.url, project });
  await agent.install(vendor.env);
  const env = Object.entries({ ...agent.env, ...vendor.env }).map(([name, value]) => `${name}=${value}`);
  const open = async (...args) => {
    await tmux("new-session", "-d", "-s", "agent", "-x", "140", "-y", "45", "-c", project, "--",
      "env", "-i", ...env, join(modules, ".bin/claude"), "--allowedTools", "mcp__exai", ...args);
    await shows(/auto mode/);
  };
  try {
    await open();
    await keys("-l", "Ask exai everything.");
    await keys("Enter");
    await shows(/1 MCP task/);
    const note = await body({ vendor, model, open });
    assert.deepEqual(model.faults, []);
    return note;
  } finally {
    await tmux("kill-server").catch(() => {});
    vendor.close();
    model.close();
  }
}

/** The text of the turn in which the model is told how the task ended. */
async function notification(model) {
  await shows(/The answer has arrived/);
  const { text } = model.turns.findLast((turn) => turn.text.includes("<task-notification>"));
  return text.slice(text.indexOf("<task-notification>"));
}

await check("claude-code: the terminal shows a task, and its result reaches the model", () =>
  terminal(240, async ({ model }) => {
    await keys("Down");
    await keys("Enter");
    const status = await shows(/working · .*/);
    assert.match(status, /glm-5\.3-flash writing/);
    const id = (await shows(/Server task: +[0-9a-f-]+\.2/)).split(" ").at(-1);
    await keys("Escape");
    const told = await notification(model);
    assert.match(told, /\(emulated\) 239/, "the whole answer");
    assert.ok(told.includes(id.replace(/\.2$/, "")), "with its continuation_id");
    return status;
  }));

await check("claude-code: a person stops the task, and the vendor's connection is closed", () =>
  terminal(10_000, async ({ vendor }) => {
    await keys("Down");
    await keys("Enter");
    await shows(/x to stop/);
    await keys("x");
    await until("the vendor's connection to be closed", () => vendor.closed === 1);
  }));

await check("claude-code: client and server are killed, and the next session gets the answer from another process", () =>
  terminal(10_000, async ({ vendor, model, open }) => {
    await new Promise((resolve) => setTimeout(resolve, 4000)); // what is written is saved every two seconds
    const client = (await tmux("list-panes", "-t", "agent", "-F", "#{pane_pid}")).trim();
    const children = (await run("ps", ["-o", "pid=,args=", "--ppid", client])).stdout.split("\n").filter((line) => line.includes("exai-mcp"));
    assert.equal(children.length, 1, children.join("\n"));
    process.kill(Number.parseInt(children[0], 10), "SIGKILL");
    process.kill(Number(client), "SIGKILL");
    await until("the vendor's connection to be closed", () => vendor.closed === 1);
    await tmux("kill-server").catch(() => {});
    await open("--continue");
    const told = await notification(model);
    assert.match(told, /"status":"partial"/);
    assert.match(told, /\(emulated\) 20/, "what had been saved");
  }));

done("Claude Code's terminal");

// Claude Code in its terminal, in tmux, on a fake model: a call that outlasts its limit becomes a task, which the terminal
// shows, and whose result reaches the model.

import assert from "node:assert/strict";
import { join } from "node:path";
import { check, done } from "../check.mjs";
import { slowVendor } from "../vendor.mjs";
import { modules, prepare, repository, run } from "./agents.mjs";
import { startModel } from "./model.mjs";

const socket = `exai-interop-${process.pid}`;
const tmux = (...args) => run("tmux", ["-L", socket, ...args]).then(({ stdout }) => stdout);
const screen = () => tmux("capture-pane", "-p", "-t", "agent");

/** Waits until the screen shows something. */
async function shows(pattern, limit = 60_000) {
  for (const end = Date.now() + limit; Date.now() < end; ) {
    const now = await screen();
    const found = now.match(pattern);
    if (found) return found[0];
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  assert.fail(`the terminal does not show ${pattern}, but:\n${await screen()}`);
}

await check("claude-code: the terminal shows a task, and the model gets its result", async () => {
  const project = await repository();
  const vendor = await slowVendor(160); // eight seconds
  const model = await startModel(({ results, text }) => {
    if (results.length === 0) return { tool: "chat", args: { prompt: "Tell me everything.", model: "glm-5.3-flash" } };
    return { say: text.includes("<task-notification>") ? "The answer has arrived." : "The question is asked." };
  });
  const agent = await prepare("claude-code", { url: model.url, project });
  await agent.install(vendor.env);
  const env = Object.entries({ ...agent.env, ...vendor.env }).map(([name, value]) => `${name}=${value}`);
  await tmux("new-session", "-d", "-s", "agent", "-x", "140", "-y", "45", "-c", project, "--",
    "env", "-i", ...env, join(modules, ".bin/claude"), "--allowedTools", "mcp__exai");
  try {
    await shows(/❯|>/);
    await tmux("send-keys", "-t", "agent", "-l", "Ask exai everything.");
    await tmux("send-keys", "-t", "agent", "Enter");
    const shown = await shows(/.*task.*/i, 20_000);
    await shows(/The answer has arrived/);
    assert.deepEqual(model.faults, []);
    const { text } = model.turns.at(-1);
    assert.match(text, /<task-notification>/);
    assert.match(text, /\(emulated\) 159/, "the whole answer");
    assert.match(text, /continuation_id/);
    return shown.trim();
  } finally {
    await tmux("kill-server").catch(() => {});
    vendor.close();
    model.close();
  }
});

done("Claude Code's terminal");

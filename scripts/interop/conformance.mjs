// Runs MCP's conformance suite on the server. It speaks HTTP only, so mcp-proxy stands between. Most scenarios call tools
// of a server made for the suite (test_simple_text and so on); these are the ones that fit any server.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { check, done, server, serverArgs } from "./check.mjs";

const scenarios = ["server-initialize", "ping", "tools-list", "resources-list", "prompts-list", "logging-set-level"];

const port = await new Promise((resolve) => {
  const probe = createServer().listen(0, "127.0.0.1", () => {
    const { port } = probe.address();
    probe.close(() => resolve(port));
  });
});
const proxy = spawn(process.execPath, [
  "node_modules/mcp-proxy/dist/bin/mcp-proxy.mjs", "--host", "127.0.0.1", "--port", String(port), "--server", "stream", "--", server, ...serverArgs,
], { stdio: "ignore" });
process.on("exit", () => proxy.kill());

const url = `http://127.0.0.1:${port}/mcp`;
for (let tries = 0; ; tries++) {
  try {
    await fetch(url);
    break;
  } catch (error) {
    if (tries === 100) throw error;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

for (const scenario of scenarios) {
  await check(scenario, async () => {
    const { code, out } = await new Promise((resolve, reject) => {
      const child = spawn(process.execPath, ["node_modules/@modelcontextprotocol/conformance/dist/index.js", "server", "--url", url, "--scenario", scenario]);
      let out = "";
      child.stdout.on("data", (data) => (out += data));
      child.stderr.on("data", (data) => (out += data));
      child.on("error", reject);
      child.on("close", (code) => resolve({ code, out }));
    });
    const verdict = out.match(/Passed: (\d+)\/(\d+), (\d+) failed, (\d+) warnings/);
    assert.ok(code === 0 && verdict && verdict[1] === verdict[2] && verdict[3] === "0", out);
    return verdict[0];
  });
}

done("MCP conformance");

// exai-mcp install as a person runs it: in a terminal (tmux), where it asks; and as a program that "go run" built.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFile, mkdir, mkdtemp, readFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { check, done, server } from "./check.mjs";

const run = promisify(execFile);
const home = await mkdtemp(join(tmpdir(), "exai-install-"));
const file = join(home, ".codex/config.toml");
const written = () => readFile(file, "utf8").catch(() => undefined);

/** Runs install in a terminal, answers its question, and returns the screen once it has ended. */
async function answered(answer) {
  const socket = `exai-install-${process.pid}`;
  const tmux = (...args) => run("tmux", ["-L", socket, ...args]).then(({ stdout }) => stdout);
  const shows = async (pattern) => {
    for (const end = Date.now() + 20_000; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 50))) {
      const screen = await tmux("capture-pane", "-p", "-t", "person");
      if (pattern.test(screen)) return screen;
    }
    assert.fail(`the terminal does not show ${pattern}`);
  };
  await tmux("new-session", "-d", "-s", "person", "-x", "120", "-y", "40", "-c", home, "--",
    "sh", "-c", `env -i HOME=${home} PATH=/usr/bin:/bin ${server} install --client codex; echo "exit code $?"; sleep 60`);
  try {
    await shows(/Go on\? \[y\/N\]/);
    await tmux("send-keys", "-t", "person", answer, "Enter");
    return await shows(/exit code \d/);
  } finally {
    await tmux("kill-server");
  }
}

await check("install asks in a terminal, and no is no", async () => {
  for (const no of ["n", ""]) {
    assert.match(await answered(no), /nothing was written\s+exit code 1/);
    assert.equal(await written(), undefined);
  }
});

await check("install writes after yes", async () => {
  const screen = await answered("y");
  assert.match(screen, /Wrote .*config\.toml/);
  assert.match(screen, /exit code 0/);
  assert.match(await written(), /^\[mcp_servers\.exai\]\n/);
});

await check('install refuses a program that "go run" built', async () => {
  const program = join(home, "go-build123/b001/exe/exai-mcp");
  await mkdir(dirname(program), { recursive: true });
  await copyFile(server, program);
  await assert.rejects(run(program, ["install", "--client", "cursor", "--yes"], { env: { HOME: home } }), (error) => {
    assert.equal(error.code, 1);
    assert.match(error.stderr, /built by "go run"/);
    return true;
  });
});

done("install");

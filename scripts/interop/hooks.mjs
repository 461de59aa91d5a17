// The git hooks under the pre-commit framework (from PyPI), as .pre-commit-hooks.yaml has them: each kind of commit and the push
// is stopped by a planted defect, and goes through without it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { check, done, server } from "./check.mjs";
import { defective, repaired, reviewer } from "./vendor.mjs";

const run = promisify(execFile);
const vendor = await reviewer();
const home = await mkdtemp(join(tmpdir(), "exai-hooks-"));
const repo = join(home, "repo");
const env = {
  HOME: home, TMPDIR: tmpdir(), PATH: [dirname(server), dirname(process.env.PRE_COMMIT_PROGRAM), process.env.PATH].join(":"),
  GIT_AUTHOR_NAME: "a", GIT_AUTHOR_EMAIL: "a@example.com", GIT_COMMITTER_NAME: "a", GIT_COMMITTER_EMAIL: "a@example.com", ...vendor.env,
};

/** Runs a program in the repository; returns its exit code and what it wrote. */
async function ran(program, ...args) {
  try {
    const { stdout, stderr } = await run(program, args, { cwd: repo, env });
    return { code: 0, out: stdout + stderr };
  } catch (error) {
    return { code: error.code, out: error.stdout + error.stderr };
  }
}

async function git(...args) {
  const { code, out } = await ran("git", ...args);
  assert.equal(code, 0, out);
  return out;
}

const write = (text, name = "a.go") => writeFile(join(repo, name), text);
const head = () => git("rev-parse", "HEAD");

/** A commit or a push that the gate must stop, or let go. */
async function stopped(...args) {
  const before = await head();
  const { code, out } = await ran("git", ...args);
  assert.equal(code, 1, out);
  assert.match(out, /exai review: changes required/);
  assert.match(out, /a\.go:3/);
  assert.equal(await head(), before);
}

async function passes(...args) {
  const out = await git(...args);
  assert.match(out, /exai review: pass/);
}

// The hooks as they are published, but with the program from PATH: installing it from source is pre-commit's own business.
const published = await readFile(join(process.env.EXAI_SOURCE, ".pre-commit-hooks.yaml"), "utf8");
const hooks = published.replace(/^#.*\n/gm, "").replaceAll("language: golang", "language: system").replace(/ *minimum_pre_commit_version.*\n/g, "");

await run("git", ["init", "-q", "-b", "main", repo]);
await run("git", ["init", "-q", "--bare", join(home, "bare")]);
await write(`repos:\n  - repo: local\n    hooks:\n${hooks.replace(/^/gm, "      ").trimEnd()}\n`, ".pre-commit-config.yaml");
await write("package a\n");
await write("package a\n", "other.go");
await git("add", "-A");
await git("commit", "-qm", "first");
await git("remote", "add", "origin", join(home, "bare"));
await git("push", "-q", "origin", "main");

await check("pre-commit installs both hooks", async () => {
  const { code, out } = await ran("pre-commit", "install", "-t", "pre-commit", "-t", "pre-push");
  assert.equal(code, 0, out);
  return (await ran("pre-commit", "--version")).out.trim();
});

for (const [name, stage, commit] of [
  ["git commit of the index", () => git("add", "a.go"), ["commit", "-qm", "x"]],
  ["git commit -a", () => {}, ["commit", "-qam", "x"]],
  ["git commit -- FILE", () => {}, ["commit", "-qm", "x", "--", "a.go"]],
]) {
  await check(`${name}: stopped by the defect, let go without it`, async () => {
    await write(`${defective}// ${name}\n`);
    await stage();
    await stopped(...commit);
    await write(`${repaired}// ${name}\n`);
    await stage();
    await passes(...commit);
  });
}

await check("git commit -- FILE judges that file alone", async () => {
  await write(`${defective}// and again\n`);
  await write("package a\n\n// harmless\n", "other.go");
  await passes("commit", "-qm", "x", "--", "other.go");
  await write(repaired);
});

await check("git push: stopped by the defect, let go without it", async () => {
  await write(`${defective}// pushed\n`);
  await git("commit", "-qam", "x", "--no-verify");
  await stopped("push", "-q", "origin", "main");
  await write(`${repaired}// pushed\n`);
  await git("commit", "-qam", "x", "--no-verify");
  await passes("push", "-q", "origin", "main");
});

await check("the first push of a branch is compared with the default branch", async () => {
  await git("switch", "-qc", "topic");
  await write(`${defective}// topic\n`);
  await git("commit", "-qam", "x", "--no-verify");
  await stopped("push", "-q", "origin", "topic");
});

await check("a vendor that is down blocks nothing", async () => {
  vendor.close();
  await write(`${defective}// down\n`);
  assert.match(await git("commit", "-qam", "x"), /exai review: /);
});

done("pre-commit");

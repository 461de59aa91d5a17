// The review gate in real agents: a fake model writes a defect, the gate that exai-mcp install --hook configured blocks its
// stop once, the model repairs the file, and the gate lets it go.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { check, done } from "../check.mjs";
import { repaired, reviewer } from "../vendor.mjs";
import { prepare, repository } from "./agents.mjs";
import { startModel } from "./model.mjs";
import { defectAndRepair, ways } from "./scripts.mjs";

for (const name of ["claude-code", "codex"]) {
  const { block } = ways[name];
  await check(`${name}: the gate blocks once, and lets the repaired change go`, async () => {
    const project = await repository();
    const file = join(project, "b.go");
    await writeFile(join(project, "a.go"), "package a // BEFORE THE SESSION\n");
    const vendor = await reviewer("b.go");
    const model = await startModel(defectAndRepair(name, file));
    const agent = await prepare(name, { url: model.url, project });
    await agent.install(vendor.env, "--hook");
    const { code, out } = await agent.ask("Write a division.", vendor.env);
    assert.deepEqual(model.faults, []);
    assert.equal(code, 0, out);
    assert.equal(await readFile(file, "utf8"), repaired, out);
    const { text } = model.turns.at(-1);
    assert.equal(text.split(block).length - 1, 1, "blocked once");
    assert.match(text, /high b\.go:3 Divides by zero/);
    assert.match(out, /The file is repaired/);
    assert.equal(vendor.requests.length, 2, "one review of each state");
    assert.ok(!vendor.requests.some((body) => body.includes("BEFORE THE SESSION")), "what was uncommitted before the session is not judged");
    vendor.close();
    model.close();
    return out.match(/exai review: pass[^"\\]*/)?.[0];
  });
}

done("the gate in agents");

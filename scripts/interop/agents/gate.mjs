// The review gate in real agents: a fake model writes a defect, the gate that exai-mcp install --hook configured blocks its
// stop once, the model repairs the file, and the gate lets it go.

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { check, done } from "../check.mjs";
import { defective, repaired, reviewer } from "../vendor.mjs";
import { prepare, repository } from "./agents.mjs";
import { startModel } from "./model.mjs";

/** How each agent writes a file, and what it puts before a block's reason. */
const ways = {
  "claude-code": { write: (file, text) => ({ native: "Write", args: { file_path: file, content: text } }), block: "Stop hook feedback:\nFindings of a reviewer" },
  codex: { write: (file, text) => ({ native: "exec_command", args: { cmd: `cat > ${file} <<'END'\n${text}END` } }), block: "Findings of a reviewer" },
};

for (const [name, { write, block }] of Object.entries(ways)) {
  await check(`${name}: the gate blocks once, and lets the repaired change go`, async () => {
    const project = await repository();
    const file = join(project, "b.go");
    const vendor = await reviewer("b.go");
    const model = await startModel(({ results, text }) => {
      const told = text.includes(block);
      if (results.length === 0) return write(file, defective);
      if (results.length === 1) return told ? write(file, repaired) : { say: "The file is written." };
      return { say: "The file is repaired." };
    });
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
    assert.equal(vendor.asked, 2, "one review of each state");
    vendor.close();
    model.close();
    return out.match(/exai review: pass[^"\\]*/)?.[0];
  });
}

done("the gate in agents");

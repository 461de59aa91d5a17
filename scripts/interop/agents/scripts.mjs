// What the fake model does in more than one program of this folder.

import assert from "node:assert/strict";
import { defective, repaired } from "../vendor.mjs";

/** Calls chat, then precommit, and ends. */
export function chatAndReview({ results }) {
  if (results.length === 0) return { tool: "chat", args: { prompt: "What is idempotence?" } };
  if (results.length === 1) return { tool: "precommit", args: { step: "Review my change" } };
  return { say: "The session is over." };
}

/** What the tools answered, as the model saw it. */
export function replies(model) {
  assert.deepEqual(model.faults, []);
  const last = model.turns.findLast((turn) => turn.results.length > 0);
  assert.ok(last, "no tool was called");
  return last.results;
}

const byShell = (file, text) => `cat > ${file} <<'END'\n${text}END`;

/** How each agent writes a file, and what it puts before a block's reason. */
export const ways = {
  "claude-code": {
    write: (file, text) => ({ native: "Write", args: { file_path: file, content: text } }),
    block: "Stop hook feedback:\nFindings of a reviewer",
  },
  codex: {
    write: (file, text) => ({ native: "exec_command", args: { cmd: byShell(file, text) } }),
    block: "Findings of a reviewer",
  },
  copilot: {
    write: (file, text) => ({ native: "bash", args: { command: byShell(file, text), description: "write the file" } }),
    block: "Findings of a reviewer",
  },
};

/** Writes a defect into a file, and repairs it when a hook sends the model back. */
export const defectAndRepair = (name, file) => ({ results, text }) => {
  const { write, block } = ways[name];
  if (results.length === 0) return write(file, defective);
  if (results.length === 1) return text.includes(block) ? write(file, repaired) : { say: "The file is written." };
  return { say: "The file is repaired." };
};

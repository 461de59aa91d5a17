#!/usr/bin/env node
// Starts the exai-mcp program of the package for this platform, which npm installs as an optional dependency. There is no
// install script, so that it also works with --ignore-scripts and without a network.
"use strict";

const { spawn } = require("node:child_process");
const os = require("node:os");

const platform = `${process.platform}-${process.arch}`;
const file = process.platform === "win32" ? "exai-mcp.exe" : "exai-mcp";

let program;
try {
  program = require.resolve(`@exai-mcp/${platform}/bin/${file}`);
} catch {
  console.error(
    `exai-mcp: the package @exai-mcp/${platform} is missing. ` +
      "If your platform is supported, reinstall with: npm i --include=optional exai-mcp",
  );
  process.exit(1);
}

const child = spawn(program, process.argv.slice(2), { stdio: "inherit", windowsHide: true });
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => child.kill(signal));
}
child.on("error", (error) => {
  console.error(`exai-mcp: ${program}: ${error.message}`);
  process.exit(1);
});
child.on("exit", (code, signal) => {
  process.exit(signal ? 128 + (os.constants.signals[signal] || 0) : code);
});

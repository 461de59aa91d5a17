// What the programs of this folder share: naming what is checked, counting, and the server's command.

export const server = process.env.EXAI_MCP; // the binary
export const serverArgs = ["--env-file", process.env.EXAI_ENV_FILE];

let failed = 0;
let passed = 0;

/** Runs one check and tells how it went. What it returns is said beside its name. */
export async function check(name, body) {
  const start = performance.now();
  try {
    const note = await body();
    passed++;
    console.log(`ok    ${name}${note ? `: ${note}` : ""} (${Math.round(performance.now() - start)} ms)`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${error?.stack ?? error}`);
  }
}

/** Ends the program: with exit code 1 when a check failed. */
export function done(title) {
  console.log(`${title}: ${passed} passed, ${failed} failed`);
  process.exit(failed === 0 && passed > 0 ? 0 : 1);
}

/** Gives up on a promise that takes too long. */
export function within(ms, what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what} took more than ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

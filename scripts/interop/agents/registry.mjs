// A registry of npm on loopback that holds the packages which scripts/npm.sh has packed, and no others.

import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile, readdir } from "node:fs/promises";
import { createServer } from "node:http";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Serves the packages of a folder. asked holds the paths that were requested. */
export async function startRegistry(folder) {
  const packages = new Map();
  const tarballs = new Map();
  for (const file of (await readdir(folder)).filter((name) => name.endsWith(".tgz"))) {
    const data = await readFile(join(folder, file));
    const { stdout } = await run("tar", ["-xOzf", join(folder, file), "package/package.json"]);
    packages.set(JSON.parse(stdout).name, { manifest: JSON.parse(stdout), file, integrity: `sha512-${createHash("sha512").update(data).digest("base64")}` });
    tarballs.set(`/${file}`, data);
  }
  const registry = { asked: [] };
  const http = createServer((request, response) => {
    const path = decodeURIComponent(new URL(request.url, "http://x").pathname);
    registry.asked.push(path);
    if (tarballs.has(path)) {
      response.writeHead(200, { "Content-Type": "application/octet-stream" }).end(tarballs.get(path));
      return;
    }
    const found = packages.get(path.slice(1));
    if (!found) {
      response.writeHead(404, { "Content-Type": "application/json" }).end('{"error":"Not found"}');
      return;
    }
    const { manifest, file, integrity } = found;
    const version = { ...manifest, dist: { tarball: `${registry.url}/${file}`, integrity } };
    const answer = { name: manifest.name, "dist-tags": { latest: manifest.version }, versions: { [manifest.version]: version } };
    response.writeHead(200, { "Content-Type": "application/json" }).end(JSON.stringify(answer));
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  registry.url = `http://127.0.0.1:${http.address().port}`;
  registry.close = () => {
    http.closeAllConnections();
    http.close();
  };
  return registry;
}

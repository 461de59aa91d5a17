// A vendor on loopback that speaks GLM's form of Chat Completions, for what the emulators do not play: long answers, and a
// reviewer who finds one certain defect.

import { createServer } from "node:http";

const delta = (content, finish_reason) => `data: ${JSON.stringify({ id: "x", choices: [{ index: 0, delta: { content }, finish_reason }] })}\n\n`;

async function listen(handler) {
  const http = createServer(handler);
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    env: { GLM_API_KEY: "emulated0glm0key.notasecret", GLM_API_URL: `http://127.0.0.1:${http.address().port}/api/paas/v4` },
    close: () => {
      http.closeAllConnections();
      http.close();
    },
  };
}

/** Writes a word every 50 ms: as many as words says. closed counts the connections that clients closed early. */
export async function slowVendor(words) {
  const vendor = await listen((request, response) => {
    request.resume();
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    let sent = 0;
    const timer = setInterval(() => {
      response.write(delta(`(emulated) ${sent++} `, sent === words ? "stop" : undefined));
      if (sent === words) response.end("data: [DONE]\n\n");
    }, 50);
    response.on("close", () => {
      clearInterval(timer);
      if (sent < words) vendor.closed++;
    });
  });
  vendor.closed = 0;
  vendor.env.ANSWER_WITHIN_SECS = "1.5";
  return vendor;
}

/** What the reviewer finds a defect in, and what it does not. */
export const defective = "package a\n\nfunc F(a, b int) int { return a / b } // PLANTED\n";
export const repaired = "package a\n\nfunc F(a, b int) int {\n\tif b == 0 {\n\t\treturn 0\n\t}\n\treturn a / b\n}\n";

/** Finds a division by zero in line 3 of a file where it is shown the planted line, and nothing elsewhere. requests holds the bodies. */
export async function reviewer(name = "a.go") {
  const vendor = await listen(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    vendor.requests.push(body);
    const findings = [];
    if (body.includes("// PLANTED")) {
      findings.push({
        severity: "high", file: name, line: 3, title: "Divides by zero", quote: "func F(a, b int) int { return a / b } // PLANTED",
        trigger: "b is 0", recommendation: "Check b.",
      });
    }
    response.writeHead(200, { "Content-Type": "text/event-stream" });
    response.end(`${delta(JSON.stringify({ summary: "(emulated)", findings }), "stop")}data: [DONE]\n\n`);
  });
  vendor.requests = [];
  return vendor;
}

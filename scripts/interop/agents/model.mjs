// A fake model for coding agents: it answers what a script says, in the four forms that agents speak, always as a stream.
// Anthropic's Messages, OpenAI's Responses (with the namespaces and the tool search of Codex) and Chat Completions, Gemini.

import { createServer } from "node:http";

const searchTools = ["ToolSearch", "tool_search"];

/** What an agent sent, whatever its form: the tools that it offers, the results that it has, and everything that was said. */
function turnOf({ tools, results, searches, text }) {
  const exai = (name) => tools.find((t) => new RegExp(`^(mcp_+)?(plugin_exai_)?exai[_-]+${name}$`).test((t.namespace ? `${t.namespace}__` : "") + t.name));
  return { tools, results, searches, text, exai, search: tools.find((t) => searchTools.includes(t.name)) };
}

const textOf = (content) =>
  typeof content === "string" ? content : (content ?? []).map((part) => part.text ?? (part.type === "tool_reference" ? part.tool_name : "")).join("");

const messages = {
  path: /^\/v1\/messages$/,
  read(body) {
    const names = new Map();
    const read = { tools: body.tools ?? [], results: [], searches: 0, text: "" };
    for (const { content } of body.messages) {
      for (const block of typeof content === "string" ? [{ type: "text", text: content }] : content) {
        if (block.type === "text") read.text += `${block.text}\n`;
        if (block.type === "tool_use") names.set(block.id, block.name);
        if (block.type !== "tool_result") continue;
        if (searchTools.includes(names.get(block.tool_use_id))) read.searches++;
        else read.results.push(textOf(block.content));
      }
    }
    return read;
  },
  *write(body, step, id) {
    const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
    const usage = { input_tokens: 10, output_tokens: 10 };
    const message = { id, type: "message", role: "assistant", content: [], model: body.model, stop_reason: null, stop_sequence: null, usage };
    let block = { type: "text", text: "" };
    let delta = { type: "text_delta", text: step.say };
    if (step.call) {
      block = { type: "tool_use", id: `toolu_${id}`, name: step.call.name, input: {} };
      delta = { type: "input_json_delta", partial_json: JSON.stringify(step.args) };
    }
    yield event({ type: "message_start", message });
    yield event({ type: "content_block_start", index: 0, content_block: block });
    yield event({ type: "content_block_delta", index: 0, delta });
    yield event({ type: "content_block_stop", index: 0 });
    yield event({ type: "message_delta", delta: { stop_reason: step.call ? "tool_use" : "end_turn", stop_sequence: null }, usage });
    yield event({ type: "message_stop" });
  },
};

const responses = {
  path: /\/responses$/,
  read(body) {
    const read = { tools: [], results: [], searches: 0, text: "" };
    const offer = (tools) => {
      for (const tool of tools ?? []) {
        if (tool.type === "namespace") read.tools.push(...tool.tools.map((t) => ({ ...t, namespace: tool.name })));
        else read.tools.push({ ...tool, name: tool.name ?? tool.type });
      }
    };
    offer(body.tools);
    for (const item of body.input) {
      if (item.type === "message" && item.role !== "developer") read.text += `${textOf(item.content)}\n`;
      if (item.type === "function_call_output") read.results.push(textOf(item.output));
      if (item.type === "tool_search_output") {
        read.searches++;
        offer(item.tools);
      }
    }
    return read;
  },
  *write(body, step, id) {
    const event = (data) => `event: ${data.type}\ndata: ${JSON.stringify(data)}\n\n`;
    let item = { type: "message", id: `msg_${id}`, role: "assistant", content: [{ type: "output_text", text: step.say }] };
    if (step.call) {
      const { name, namespace } = step.call;
      item = { type: "function_call", id: `fc_${id}`, call_id: `call_${id}`, name, namespace, arguments: JSON.stringify(step.args) };
    }
    if (step.call?.type === "tool_search") item = { type: "tool_search_call", id: `ts_${id}`, call_id: `call_${id}`, execution: "client", arguments: step.args };
    yield event({ type: "response.created", response: { id, status: "in_progress" } });
    yield event({ type: "response.output_item.done", output_index: 0, item });
    yield event({ type: "response.completed", response: { id, status: "completed", output: [item], usage: { input_tokens: 10, output_tokens: 10, total_tokens: 20 } } });
  },
};

const completions = {
  path: /\/chat\/completions$/,
  read(body) {
    return {
      tools: (body.tools ?? []).map((t) => t.function),
      results: body.messages.filter((m) => m.role === "tool").map((m) => textOf(m.content)),
      searches: 0,
      text: body.messages.filter((m) => m.role === "user").map((m) => textOf(m.content)).join("\n"),
    };
  },
  *write(body, step, id) {
    const chunk = (delta, finish_reason = null) =>
      `data: ${JSON.stringify({ id, object: "chat.completion.chunk", created: 1, model: body.model, choices: [{ index: 0, delta, finish_reason }] })}\n\n`;
    const call = step.call && { index: 0, id: `call_${id}`, type: "function", function: { name: step.call.name, arguments: JSON.stringify(step.args) } };
    yield chunk({ role: "assistant", ...(call ? { tool_calls: [call] } : { content: step.say }) });
    yield chunk({}, call ? "tool_calls" : "stop");
    yield "data: [DONE]\n\n";
  },
};

const gemini = {
  path: /:(streamGenerateContent|generateContent)$/,
  read(body) {
    const read = { tools: (body.tools ?? []).flatMap((t) => t.functionDeclarations ?? []), results: [], searches: 0, text: "" };
    for (const part of body.contents.flatMap((c) => c.parts)) {
      if (part.text) read.text += `${part.text}\n`;
      if (part.functionResponse) read.results.push(JSON.stringify(part.functionResponse.response));
    }
    return read;
  },
  *write(_body, step) {
    const part = step.call ? { functionCall: { name: step.call.name, args: step.args } } : { text: step.say };
    const answer = {
      candidates: [{ index: 0, content: { role: "model", parts: [part] }, finishReason: "STOP" }],
      usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 10, totalTokenCount: 20 },
    };
    yield `data: ${JSON.stringify(answer)}\n\n`;
  },
};

const forms = [messages, responses, completions, gemini];

/** The step that a script wants, once its tool is in sight: an agent may have to search for it, while the server still starts. */
async function stepOf(script, turn) {
  if (turn.tools.length === 0) return { say: "ok" }; // a title, a summary
  const step = script(turn);
  if (step.say !== undefined) return step;
  const call = step.tool ? turn.exai(step.tool) : turn.tools.find((t) => t.name === step.native);
  if (call) return { call, args: step.args };
  if (turn.search && turn.searches < 20) {
    if (turn.searches > 0) await new Promise((resolve) => setTimeout(resolve, 1000));
    if (turn.search.name !== "ToolSearch") return { call: turn.search, args: { query: "exai chat precommit", limit: 20 } };
    const names = turn.text.match(/\bmcp__\w*exai__(chat|precommit)\b/g);
    return { call: turn.search, args: { query: names ? `select:${[...new Set(names)].join(",")}` : "exai chat precommit", max_results: 5 } };
  }
  throw new Error(`the agent offers no tool ${step.tool ?? step.native}, but ${turn.tools.map((t) => t.name).join(" ")}`);
}

/**
 * Starts the model. Its script is given each turn and returns {say: text}, {tool: name, args} for a tool of exai, or
 * {native: name, args} for one of the agent's own. turns holds what was received, faults what could not be answered.
 */
export async function startModel(script) {
  const model = { turns: [], faults: [] };
  const http = createServer(async (request, response) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const { pathname } = new URL(request.url, "http://x");
    const form = forms.find((f) => f.path.test(pathname));
    if (request.method !== "POST" || !form) {
      response.writeHead(pathname === "/" ? 200 : 404, { "Content-Type": "application/json" }).end("{}");
      return;
    }
    try {
      const body = JSON.parse(Buffer.concat(chunks));
      const turn = turnOf(form.read(body));
      model.turns.push(turn);
      const lines = [...form.write(body, await stepOf(script, turn), `x${model.turns.length}`)];
      if (pathname.endsWith(":generateContent")) {
        response.writeHead(200, { "Content-Type": "application/json" }).end(lines[0].slice("data: ".length));
        return;
      }
      response.writeHead(200, { "Content-Type": "text/event-stream" }).end(lines.join(""));
    } catch (error) {
      model.faults.push(error);
      response.writeHead(400, { "Content-Type": "application/json" }).end(JSON.stringify({ error: { type: "invalid_request_error", message: error.message } }));
    }
  });
  await new Promise((resolve) => http.listen(0, "127.0.0.1", resolve));
  model.url = `http://127.0.0.1:${http.address().port}`;
  model.close = () => {
    http.closeAllConnections();
    http.close();
  };
  return model;
}

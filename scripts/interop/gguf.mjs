// Writes a language model with random weights in GGUF, llama.cpp's file format (ggml docs, GGUF version 3): two layers of the
// llama architecture. What it says is gibberish of words, some dozens of them.

import { writeFile } from "node:fs/promises";

const width = 64;
const hidden = 128;
const heads = 4;
const layers = 2;
const window = 131072;

/** The words that it says; together with the end they are few enough for a server's top_k of 40. */
const words = `tabs spaces read write the file line code test error value returns checks fails opens closes before after loop
  branch map slice key lock race index limit stream token model answer`.split(/\s+/);

const kinds = { u32: 4, i32: 5, f32: 6, bool: 7, string: 8, array: 9 };

class Writer {
  parts = [];
  length = 0;

  bytes(b) {
    this.parts.push(b);
    this.length += b.length;
  }
  number(size, set, value) {
    const b = Buffer.alloc(size);
    b[set](value);
    this.bytes(b);
  }
  u32 = (n) => this.number(4, "writeUInt32LE", n);
  i32 = (n) => this.number(4, "writeInt32LE", n);
  u64 = (n) => this.number(8, "writeBigUInt64LE", BigInt(n));
  f32 = (n) => this.number(4, "writeFloatLE", n);
  bool = (v) => this.bytes(Buffer.from([v ? 1 : 0]));
  string = (s) => {
    const b = Buffer.from(s, "utf8");
    this.u64(b.length);
    this.bytes(b);
  };
  /** A setting: its name, the kind of its value, and the value; a list has the kind of its items. */
  setting(name, kind, value) {
    this.string(name);
    if (!Array.isArray(value)) {
      this.u32(kinds[kind]);
      this[kind](value);
      return;
    }
    this.u32(kinds.array);
    this.u32(kinds[kind]);
    this.u64(value.length);
    value.forEach(this[kind]);
  }
  /** Fills up to the next multiple of 32 bytes. */
  align() {
    this.bytes(Buffer.alloc((32 - (this.length % 32)) % 32));
  }
}

/** Random numbers that are the same each time (mulberry32), between -1 and 1. */
function random(seed) {
  return () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2147483648 - 1;
  };
}

/**
 * The vocabulary: three marks, each byte, the words that are said, and the beginnings of a text's words, which a tokenizer puts
 * together from the left. Any text can be read byte by byte, and one like the given text in fewer tokens.
 */
function vocabulary(text) {
  const tokens = [["<unk>", 2], ["<s>", 3], ["</s>", 3]];
  for (let i = 0; i < 256; i++) tokens.push([`<0x${i.toString(16).toUpperCase().padStart(2, "0")}>`, 6]);
  for (const word of words) tokens.push([`\u2581${word}`, 1]);
  const parts = new Set();
  for (const word of text.match(/[A-Za-z]{2,20}/g) ?? []) {
    for (let n = 1; n <= word.length; n++) {
      parts.add(`\u2581${word.slice(0, n)}`);
      if (n > 1) parts.add(word.slice(0, n));
    }
  }
  for (const [word] of tokens) parts.delete(word);
  for (const part of parts) tokens.push([part, 1]);
  return tokens;
}

/**
 * The weights by name. Every embedding has the same large first number, so that it is there at the end too: by it the marks
 * and bytes are made unlikely, and only words and the end are said. By the second number, the end follows words alone: an
 * answer is never empty.
 */
function weights(tokens) {
  const first = 3 + 256; // of the words that are said
  const next = random(7);
  const fill = (dims, scale) => ({ dims, data: Float32Array.from({ length: dims.reduce((a, b) => a * b) }, () => scale * next()) });
  const ones = () => ({ dims: [width], data: new Float32Array(width).fill(1) });
  const all = { "token_embd.weight": fill([width, tokens.length], 1), "output_norm.weight": ones(), "output.weight": fill([width, tokens.length], 0.2) };
  for (let i = 0; i < tokens.length; i++) {
    const said = i >= first && i < first + words.length;
    all["token_embd.weight"].data.set([8, said ? 4 : -4], i * width);
    all["output.weight"].data.set(i === 2 ? [-2, 4] : [said ? 0 : -10, 0], i * width);
  }
  for (let n = 0; n < layers; n++) {
    all[`blk.${n}.attn_norm.weight`] = ones();
    for (const part of ["attn_q", "attn_k", "attn_v", "attn_output"]) all[`blk.${n}.${part}.weight`] = fill([width, width], 0.1);
    all[`blk.${n}.ffn_norm.weight`] = ones();
    all[`blk.${n}.ffn_gate.weight`] = fill([width, hidden], 0.1);
    all[`blk.${n}.ffn_up.weight`] = fill([width, hidden], 0.1);
    all[`blk.${n}.ffn_down.weight`] = fill([hidden, width], 0.1);
  }
  return all;
}

/** Writes a model to a file that reads texts like the given one in few tokens. */
export async function writeModel(path, text) {
  const tokens = vocabulary(text);
  const tensors = weights(tokens);
  const settings = [
    ["general.architecture", "string", "llama"],
    ["general.name", "string", "random words"],
    ["general.file_type", "u32", 0],
    ["llama.context_length", "u32", window],
    ["llama.embedding_length", "u32", width],
    ["llama.block_count", "u32", layers],
    ["llama.feed_forward_length", "u32", hidden],
    ["llama.attention.head_count", "u32", heads],
    ["llama.attention.head_count_kv", "u32", heads],
    ["llama.attention.layer_norm_rms_epsilon", "f32", 1e-5],
    ["llama.rope.dimension_count", "u32", width / heads],
    ["llama.vocab_size", "u32", tokens.length],
    ["tokenizer.ggml.model", "string", "llama"],
    ["tokenizer.ggml.tokens", "string", tokens.map(([text]) => text)],
    ["tokenizer.ggml.scores", "f32", tokens.map(([word]) => word.length)],
    ["tokenizer.ggml.token_type", "i32", tokens.map(([, kind]) => kind)],
    ["tokenizer.ggml.bos_token_id", "u32", 1],
    ["tokenizer.ggml.eos_token_id", "u32", 2],
    ["tokenizer.ggml.unknown_token_id", "u32", 0],
  ];
  const w = new Writer();
  w.bytes(Buffer.from("GGUF"));
  w.u32(3);
  w.u64(Object.keys(tensors).length);
  w.u64(settings.length);
  for (const [name, kind, value] of settings) w.setting(name, kind, value);
  const data = new Writer();
  for (const [name, { dims, data: numbers }] of Object.entries(tensors)) {
    w.string(name);
    w.u32(dims.length);
    dims.forEach(w.u64);
    w.u32(0); // 32-bit numbers
    w.u64(data.length);
    data.bytes(Buffer.from(numbers.buffer));
    data.align();
  }
  w.align();
  await writeFile(path, Buffer.concat([...w.parts, ...data.parts]));
}

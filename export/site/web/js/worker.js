/**
 * Runs the networks, away from the page, which stays smooth meanwhile.
 *
 * Messages in: {id, command, ...}; messages out: {id, ...answer}, {id, error} or {progress, of}.
 * One command at a time; the page waits for each answer.
 */

import { paddedSize, psnr, toPixels, toTensor, withAlpha } from "./tensors.js";

let ort = null;
let provider = "";
const sessions = new Map();

const commands = { start, load, paint };

// In turn: while a graph waits for the GPU, the engine must not be asked for anything else.
let last = Promise.resolve();
self.onmessage = ({ data }) => {
  last = last.then(() => answer(data));
};

async function answer(data) {
  try {
    const result = await commands[data.command](data);
    self.postMessage({ id: data.id, ...result }, result.pixels ? [result.pixels.buffer] : []);
  } catch (error) {
    self.postMessage({ id: data.id, error: error?.message ?? String(error) });
  }
}

/** Load an engine of site.json. */
async function start({ engine, threads, base }) {
  const [module, glue, binary] = engine.files.map((file) => new URL(file.url, base).href);
  ort = await import(module);
  provider = engine.provider;
  ort.env.logLevel = "error";
  ort.env.wasm.numThreads = threads;
  ort.env.wasm.wasmPaths = { mjs: glue };
  ort.env.wasm.wasmBinary = await download(binary, engine.files[2].bytes);
  return {};
}

/** Open a style and prove that this browser, on this machine, paints it right. */
async function load({ style, base }) {
  if (sessions.has(style.name)) return { psnr: sessions.get(style.name).psnr };
  const address = new URL(style.file, base).href;
  const model = await download(address, style.bytes);
  if (!(await isIntact(model, style.sha256))) {
    await forget(address);
    throw new Error(`${name(address)} is damaged`);
  }
  const session = await ort.InferenceSession.create(model, {
    executionProviders: [provider],
    logSeverityLevel: 3, // errors; by default it warns of what it does on purpose
  });
  const opened = { session, style };
  const { width, height } = style.check;
  const bytes = await download(new URL(style.check.file, base).href, 0);
  const half = bytes.length / 2;
  const { pixels } = await run(opened, withAlpha(bytes.subarray(0, half)), width, height);
  opened.psnr = psnr(pixels, withAlpha(bytes.subarray(half)));
  if (!(opened.psnr >= style.check.least_psnr_db)) {
    await session.release();
    throw new Error(`it paints wrong here (${opened.psnr.toFixed(1)} dB)`);
  }
  sessions.set(style.name, opened);
  return { psnr: opened.psnr };
}

/** Paint one picture: RGBA pixels in and out. */
async function paint({ style, pixels, width, height }) {
  return run(sessions.get(style), pixels, width, height);
}

async function run({ session, style }, pixels, width, height) {
  const begun = performance.now();
  const padded = paddedSize(width, height, style.multiple_of, style.minimum);
  const { data, dims } = toTensor(pixels, width, height, padded, style.input);
  const feeds = { [style.input.name]: new ort.Tensor(style.input.dtype, data, dims) };
  for (const [name, value] of Object.entries(style.scalars)) {
    feeds[name] = new ort.Tensor("float32", Float32Array.of(value.value), value.dims);
  }
  const results = await session.run(feeds);
  const answer = results[style.output.name];
  // Graphs that round sizes tell the size they gave.
  const [rows, columns] = style.output.layout === "NCHW" ? [2, 3] : [1, 2];
  const size = [answer.dims[columns], answer.dims[rows]];
  const painted = toPixels(
    answer.data,
    size,
    Math.min(width, size[0]),
    Math.min(height, size[1]),
    style.output,
  );
  return { pixels: painted, ms: performance.now() - begun };
}

/** A file of the site as bytes; tells the page how far it is if `total` bytes are expected. */
async function download(url, total) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new Error(`${name(url)} cannot be loaded: no connection`);
  }
  if (!response.ok) throw new Error(`${name(url)} is missing on the server (${response.status})`);
  const parts = [];
  let count = 0;
  for (const reader = response.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    parts.push(value);
    count += value.length;
    if (total) self.postMessage({ progress: count, of: total });
  }
  const bytes = new Uint8Array(count);
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Whether bytes are those that were meant. Only secure pages can tell. */
async function isIntact(bytes, sha256) {
  if (!self.crypto?.subtle) return true;
  const digest = new Uint8Array(await self.crypto.subtle.digest("SHA-256", bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("") === sha256;
}

/** Take a damaged file out of the browser's store, so that the next try asks the server. */
async function forget(address) {
  for (const key of (await self.caches?.keys()) ?? []) {
    await (await self.caches.open(key)).delete(address);
  }
}

function name(url) {
  return new URL(url, self.location.href).pathname.split("/").pop();
}

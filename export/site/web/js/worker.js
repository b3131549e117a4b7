/**
 * Runs the networks, away from the page, which stays smooth meanwhile.
 *
 * Messages in: {id, command, ...}; messages out: {id, ...answer}, {id, error} or {progress, of}.
 * One command at a time; the page waits for each answer.
 */

import { addNoise } from "./input_noise.js";
import { colors, Scene } from "./scene.js";
import { Steadier } from "./steady.js";
import { paddedSize, psnr, toPixels, toTensor, withAlpha } from "./tensors.js";

let ort = null;
let provider = "";
/** Open models by the address of their file: several styles may share one. */
const sessions = new Map();
const steadier = new Steadier();

const commands = { start, load, paint, encode };

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

/** Open a style's model and prove that this browser, on this machine, paints it right. */
async function load({ style, base }) {
  if (sessions.has(style.file)) return { psnr: sessions.get(style.file).psnr };
  // Graphs of bytes take a third of the time on a processor, and no GPU runs them.
  const light = provider === "wasm" && style.light ? { ...style, ...style.light } : null;
  const opened = (light && (await proven(light, base).catch(() => null))) || (await proven(style, base));
  sessions.set(style.file, opened);
  return { psnr: opened.psnr };
}

/** A style's file, open, once it has painted the trial picture right. */
async function proven(style, base) {
  const opened = { session: await open(style, base), style };
  try {
    if (style.folding) {
      opened.measuring = await open(style.folding, base);
      opened.scene = new Scene(style.folding.layers);
    }
    const { width, height } = style.check;
    const bytes = await download(new URL(style.check.file, base).href, 0);
    const half = bytes.length / 2;
    const trial = withAlpha(bytes.subarray(0, half));
    const pixels = await run(opened, style.codes, trial, width, height);
    opened.psnr = psnr(pixels, withAlpha(bytes.subarray(half)));
    if (!(opened.psnr >= style.check.least_psnr_db)) {
      throw new Error(`it paints wrong here (${opened.psnr.toFixed(1)} dB)`);
    }
    return opened;
  } catch (error) {
    await opened.session.release();
    await opened.measuring?.release();
    throw error;
  }
}

/** A session of a file of the site, if it is the file that was meant. */
async function open({ file, bytes, sha256 }, base) {
  const address = new URL(file, base).href;
  const model = await download(address, bytes);
  if (!(await isIntact(model, sha256))) {
    await forget(address);
    throw new Error(`${name(address)} is damaged`);
  }
  return ort.InferenceSession.create(model, {
    executionProviders: [provider],
    logSeverityLevel: 3, // errors; by default it warns of what it does on purpose
  });
}

/**
 * Paint one picture: RGBA pixels in and out; `steady` keeps the paint of still places, `noise` is the
 * amount of input noise.
 */
async function paint({ style, codes, pixels, width, height, steady, noise }) {
  const begun = performance.now();
  if (noise) addNoise(pixels, width, height, noise);
  const key = `${style} ${JSON.stringify(codes)}`;
  if (steady) steadier.before(pixels, width, height, key);
  const painted = await run(sessions.get(style), codes, pixels, width, height, steady);
  if (steady) steadier.after(painted);
  return { pixels: painted, ms: performance.now() - begun };
}

/** Read a painting: what the style's model is fed for it. The graph is open for that long only. */
async function encode({ style, base, pixels, width, height }) {
  const { encoder } = style;
  const session = await open(encoder, base);
  try {
    const padded = paddedSize(width, height, encoder.multiple_of, encoder.minimum);
    const { data, dims } = toTensor(pixels, width, height, padded, encoder.input);
    const tensor = new ort.Tensor(encoder.input.dtype, data, dims);
    const results = await session.run({ [encoder.input.name]: tensor });
    return { codes: { [encoder.port]: Array.from(results[encoder.output].data) } };
  } finally {
    await session.release();
  }
}

async function run({ session, style, scene, measuring }, codes, pixels, width, height, live = false) {
  const padded = paddedSize(width, height, style.multiple_of, style.minimum);
  const { data, dims } = toTensor(pixels, width, height, padded, style.input);
  const feeds = { [style.input.name]: new ort.Tensor(style.input.dtype, data, dims) };
  if (scene) {
    const measure = () => statistics(measuring, { ...feeds });
    const seen = live ? colors(pixels, width, height) : [];
    const inputs = await (live ? scene.next(seen, `${dims}`, measure) : scene.still(measure));
    for (const [name, vector] of Object.entries(inputs)) {
      const kind = vector instanceof Int32Array ? "int32" : "float32";
      feeds[name] = new ort.Tensor(kind, vector, [vector.length]);
    }
  }
  for (const [name, value] of Object.entries(style.scalars)) {
    feeds[name] = new ort.Tensor("float32", Float32Array.of(value.value), value.dims);
  }
  for (const [name, values] of Object.entries(codes ?? {})) {
    feeds[name] = new ort.Tensor("float32", Float32Array.from(values), style.code.dims);
  }
  const results = await session.run(feeds);
  const answer = results[style.output.name];
  // Graphs that round sizes tell the size they gave.
  const [rows, columns] = style.output.layout === "NCHW" ? [2, 3] : [1, 2];
  const size = [answer.dims[columns], answer.dims[rows]];
  return toPixels(
    answer.data,
    size,
    Math.min(width, size[0]),
    Math.min(height, size[1]),
    style.output,
  );
}

/** Mean and variance of every layer of a network, on a picture. */
async function statistics(session, feeds) {
  const { mean, variance } = await session.run(feeds);
  return { mean: mean.data, variance: variance.data };
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

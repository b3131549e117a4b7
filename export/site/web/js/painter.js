/** The page's side of the worker: start an engine, open styles, paint. */

import { candidates, describe, findFeatures, threadCount } from "./engines.js";

/** The work was cut off on purpose, because another engine is being started. */
export class Stopped extends Error {}

export class Painter {
  #worker = null;
  #waiting = new Map();
  #number = 0;
  #site;
  #onProgress;
  #left = [];
  #ready = Promise.resolve();

  /** For people: what is running, "" before `start`. */
  engine = "";
  /** The entry of site.json that is running. */
  running = null;

  /**
   * @param {object} site contents of site.json.
   * @param {(share: number) => void} onProgress called with 0..1 while something is loaded.
   */
  constructor(site, onProgress) {
    this.#site = site;
    this.#onProgress = onProgress;
  }

  /**
   * Start the best engine that opens `style` and paints it right; the others are left for `fallBack`.
   * @returns {string[]} why better engines were passed over, one sentence each.
   */
  async start(wish, style) {
    this.#left = candidates(this.#site.engines, wish, await findFeatures());
    return this.#begin(style);
  }

  /** The next engine after one that failed in the middle of the work. */
  async fallBack(style) {
    return this.#begin(style);
  }

  #begin(style) {
    const beginning = this.#next(style);
    this.#ready = beginning.catch(() => {});
    return beginning;
  }

  async #next(style) {
    const notes = [];
    const threads = threadCount(globalThis.crossOriginIsolated, navigator.hardwareConcurrency ?? 1);
    while (this.#left.length > 0) {
      const engine = this.#left.shift();
      this.close();
      this.#listen();
      try {
        const base = document.baseURI;
        await this.#ask({ command: "start", engine, threads, base });
        await this.load(style);
        this.engine = describe(engine, threads);
        this.running = engine;
        return notes;
      } catch (error) {
        notes.push(`${engine.name}: ${error.message}`);
      }
    }
    this.close();
    throw new Error(
      notes.length > 0 ? notes[notes.length - 1] : "this browser has no WebAssembly; use a newer one",
    );
  }

  /** Open a style; does nothing if it is open. */
  async load(style) {
    await this.#ask({ command: "load", style, base: document.baseURI });
  }

  /**
   * Paint a picture.
   * @param {ImageData} image given away: its bytes move to the worker.
   * @param {object} codes what the model is fed besides it.
   * @param {object} how `steady`: whether paint stays where the picture is as it was; `noise`:
   *   amount of input noise, 0..1.
   * @returns {Promise<{image: ImageData, ms: number}>}
   */
  async paint(style, image, codes = style.codes, how = {}) {
    await this.#ready;
    const { width, height, data } = image;
    const picture = { pixels: data, width, height };
    const message = { command: "paint", style: style.file, codes, ...picture, ...how };
    const { pixels, ms } = await this.#ask(message, [data.buffer]);
    return { image: new ImageData(pixels, width, height), ms };
  }

  /** What a style's model is fed for a painting; the picture is given away. */
  async encode(style, { data: pixels, width, height }) {
    await this.#ready;
    const message = { command: "encode", style, base: document.baseURI, pixels, width, height };
    return (await this.#ask(message, [pixels.buffer])).codes;
  }

  /** Stop the worker; what is waiting fails. */
  close() {
    this.#worker?.terminate();
    this.#worker = null;
    this.#fail(new Stopped("the engine was stopped"));
  }

  #listen() {
    this.#worker = new Worker(new URL("./worker.js", import.meta.url), { type: "module" });
    this.#worker.onmessage = ({ data }) => {
      if ("progress" in data) {
        this.#onProgress(Math.min(1, data.progress / data.of));
        return;
      }
      const { resolve, reject } = this.#waiting.get(data.id) ?? {};
      this.#waiting.delete(data.id);
      if ("error" in data) reject?.(new Error(data.error));
      else resolve?.(data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail(new Error(event.message || "the engine's script cannot be loaded"));
    };
  }

  #ask(message, transfer = []) {
    const id = ++this.#number;
    return new Promise((resolve, reject) => {
      if (!this.#worker) {
        reject(new Error("no engine is running"));
        return;
      }
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ id, ...message }, transfer);
    });
  }

  #fail(error) {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

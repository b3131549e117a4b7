/**
 * The loop: take a picture, have it painted, show it.
 *
 * One picture is in work at a time. A live source goes on with its newest frame; a still is painted
 * again only when something changes.
 */

import { Enlarger } from "./enlarger.js";
import { Stopped } from "./painter.js";
import { FIRST, FULL, largerSize, liveSize, median, nextShort, stillSize } from "./sizes.js";
import { compose } from "./view.js";

/** Frames at one size that "auto" looks at before it chooses another; the first one warms up. */
const TRIAL = 4;
/** Frames the rate is taken from. */
const RATE_FRAMES = 16;

export class Studio {
  source = null;
  /** Entry of site.json. */
  style = null;
  /** What its model is fed besides the picture. */
  codes = {};
  /** Whether live paint stays where the camera shows the same as before. */
  stabilizer = true;
  /** Whether pictures get the input noise that their style has learned with. */
  noise = true;
  look = { strength: 1, split: false, splitAt: 0.5, mirror: false };
  frozen = false;
  /** Short side in px, 0 for "auto". */
  detail = 0;
  /** Recordings keep their size: "auto" may not change it, and all is shown at the source's own. */
  recording = false;
  frames = 0;

  #painter;
  #context;
  #events;
  #incoming = canvas();
  #seen = canvas();
  #painted = canvas();
  /** The frames of `#incoming` and `#seen` as the source gave them: a saved picture is painted anew. */
  #incomingWhole = canvas();
  #seenWhole = canvas();
  /** What is shown now: the camera and the painting, of one size. */
  #front = null;
  #large = [canvas(), canvas()];
  #camera = canvas();
  #enlarger = new Enlarger();
  #enlarging = Promise.resolve();
  #short = FIRST;
  #times = [];
  #ends = [];
  #dirty = false;
  #wake = () => {};

  /**
   * @param {HTMLCanvasElement} view where the picture is shown.
   * @param {object} painter of painter.js.
   * @param {object} events onFrame(figures), onBusy(bool), onEngine(note), onFailure(error).
   */
  constructor(view, painter, events) {
    this.#context = view.getContext("2d", { willReadFrequently: true });
    this.#painter = painter;
    this.#events = events;
  }

  /** Show a source in place of the one before, which is closed. */
  show(source) {
    this.source?.close();
    this.source = source;
    this.frozen = false;
    this.#times = [];
    this.#ends = [];
    this.#painted.width = 0;
    this.#front = null;
    if (source) this.#run(source);
  }

  /** Paint again what stands still (another style, another size). */
  repaint() {
    this.#times = [];
    this.#dirty = true;
    this.#wake();
  }

  /** Show the same painting with another look. */
  recompose() {
    if (this.#front) compose(this.#context, ...this.#front, this.look);
  }

  /**
   * The live picture that is seen, painted anew at its source's own size, with the same look.
   * @returns {Promise<HTMLCanvasElement | null>} null where it is seen at that size already.
   */
  async whole() {
    const { source, look } = this;
    const short = this.detail === FULL ? FULL : 0;
    const [width, height] = stillSize(this.#seenWhole.width, this.#seenWhole.height, short);
    if (!source?.live || !this.#painted.width || width <= this.#painted.width) return null;
    const original = canvas();
    fill(original, width, height, (context) =>
      context.drawImage(this.#seenWhole, 0, 0, width, height),
    );
    this.#events.onBusy(true);
    try {
      const seen = pixels(original, width, height);
      const { image } = await this.#painter.paint(this.style, seen, this.codes);
      const painted = canvas();
      fill(painted, width, height, (context) => context.putImageData(image, 0, 0));
      const made = canvas();
      compose(made.getContext("2d"), original, painted, { ...look });
      return made;
    } finally {
      this.#events.onBusy(false);
    }
  }

  /** Resolves with the next picture that is shown at the source's own size. */
  async atFullSize() {
    this.recording = true;
    const before = this.frames;
    while (this.source?.live && !this.frozen && this.frames < before + 2) {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /** Hold the picture, or let it go on. */
  freeze(frozen) {
    this.frozen = frozen;
    this.#ends = [];
    const video = this.source?.kind === "clip" ? this.source.video : null;
    if (frozen) video?.pause();
    else video?.play().catch(() => {});
    this.#wake();
  }

  async #run(source) {
    this.#dirty = true;
    while (this.source === source) {
      const moves = source.live && !this.frozen;
      if (!moves && !this.#dirty) {
        await new Promise((resolve) => {
          this.#wake = resolve;
        });
        continue;
      }
      if (moves) await source.next();
      if (this.source !== source) return;
      const held = this.frozen && this.#painted.width > 0;
      this.#dirty = false;
      try {
        await this.#paint(source, held);
      } catch (error) {
        if (this.source === source) await this.#recover(error);
      }
    }
  }

  async #paint(source, held) {
    const style = this.style;
    const { short } = this;
    const [width, height] = held ? [this.#seen.width, this.#seen.height] : this.#size(source, style);
    if (!held) {
      fill(this.#incoming, width, height, (context) => source.draw(context, width, height));
      if (source.live) keep(this.#incomingWhole, source);
    }
    const image = pixels(held ? this.#seen : this.#incoming, width, height);
    if (!source.live) this.#events.onBusy(true);
    const how = {
      steady: this.stabilizer && source.live && !held,
      noise: this.noise && !source.live ? style.noise : 0,
    };
    const { image: painting, ms } = await this.#painter.paint(style, image, this.codes, how);
    if (this.source !== source) return;
    if (!held) {
      [this.#incoming, this.#seen] = [this.#seen, this.#incoming];
      [this.#incomingWhole, this.#seenWhole] = [this.#seenWhole, this.#incomingWhole];
    }
    fill(this.#painted, width, height, (context) => context.putImageData(painting, 0, 0));
    const figures = { width, height, ms, fps: this.#rate(), live: source.live };
    await this.#present(source, figures);
    if (!source.live) this.#events.onBusy(false);
    this.#measure(source, short, ms);
  }

  /** Show what was painted: live pictures enlarged, while the next one is painted. */
  async #present(source, figures) {
    await this.#enlarging;
    if (this.source !== source) return;
    const { width, height } = this.#painted;
    const size = source.live && this.#largeSize(source);
    if (!size) {
      this.#front = [this.#seen, this.#painted];
      this.#shown(figures);
      return;
    }
    const painting = pixels(this.#painted, width, height);
    const seen = pixels(this.#seen, width, height);
    fill(this.#camera, ...size, (context) => context.drawImage(this.#seenWhole, 0, 0, ...size));
    const camera = pixels(this.#camera, ...size);
    this.#enlarging = this.#enlarge(source, painting, seen, camera, figures);
    if (this.frozen) await this.#enlarging;
  }

  async #enlarge(source, painting, seen, camera, figures) {
    const found = await this.#enlarger.enlarge(painting, seen, camera);
    if (this.source !== source || !found) return;
    for (const [k, image] of [found.camera, found.painted].entries()) {
      fill(this.#large[k], image.width, image.height, (context) => context.putImageData(image, 0, 0));
    }
    this.#front = this.#large;
    this.#shown(figures);
  }

  #shown(figures) {
    this.recompose();
    this.frames += 1;
    this.#events.onFrame(figures);
  }

  /** [width, height] to enlarge a live picture to; null where there is no use, or no time for it. */
  #largeSize(source) {
    const own = [source.width, source.height];
    const { canvas: view } = this.#context;
    const seen = (view.parentElement?.clientWidth ?? 0) * (globalThis.devicePixelRatio ?? 1);
    if (!this.recording && !this.#enlarger.quick) return null;
    return largerSize(this.#painted.width, own, this.recording ? own[0] : seen);
  }

  /** The short side a live picture is painted at. */
  get short() {
    return this.detail || this.#short;
  }

  #size(source, style) {
    if (!source.live) return stillSize(source.width, source.height, this.detail);
    const { multiple_of: multiple, minimum } = style;
    return liveSize(source.width, source.height, this.short, multiple, minimum);
  }

  #measure(source, short, ms) {
    this.#ends.push(performance.now());
    if (this.#ends.length > RATE_FRAMES) this.#ends.shift();
    this.#times.push(ms);
    if (!source.live || this.detail || this.recording || this.#times.length <= TRIAL) return;
    const chosen = nextShort(short, median(this.#times.slice(1)));
    this.#times = [];
    // A source that is smaller than what was chosen is painted at its own size: no use going on.
    if (chosen > short && Math.min(source.width, source.height) <= short) return;
    this.#short = chosen;
  }

  #rate() {
    const count = this.#ends.length - 1;
    return count > 0 ? (1000 * count) / (this.#ends[count] - this.#ends[0]) : 0;
  }

  /** A GPU may be lost at any time; another engine goes on. */
  async #recover(error) {
    if (error instanceof Stopped) {
      this.repaint();
      return;
    }
    try {
      await this.#painter.fallBack(this.style);
      this.#events.onEngine(`The GPU gave up (${error.message}).`);
      this.repaint();
    } catch {
      this.show(null);
      this.#events.onFailure(error);
    }
    this.#events.onBusy(false);
  }
}

function canvas() {
  const made = document.createElement("canvas");
  made.width = made.height = 0;
  return made;
}

function fill(target, width, height, draw) {
  if (target.width !== width || target.height !== height) {
    target.width = width;
    target.height = height;
  }
  const context = target.getContext("2d", { willReadFrequently: true });
  context.imageSmoothingQuality = "high";
  draw(context);
}

/** The source's frame at its own size; read seldom, so it may stay in the GPU's memory. */
function keep(target, source) {
  const { width, height } = source;
  if (target.width !== width || target.height !== height) {
    target.width = width;
    target.height = height;
  }
  source.draw(target.getContext("2d"), width, height);
}

function pixels(from, width, height) {
  return from.getContext("2d", { willReadFrequently: true }).getImageData(0, 0, width, height);
}

/**
 * Steadies a live painting: where the camera shows the same as before, paint stays; where something
 * moves, the newest counts at once. No motion is followed, which the Python runtime does.
 *
 * In squares of CELL pixels the mean change of the camera is measured, spread to the neighbors and
 * interpolated, so that no square is seen. It says how much of the new frame is taken: LEAST where
 * nothing moves, all of it from MOVES levels on. The network sees the steadied camera, too: noise is
 * what makes strokes jump.
 */

const CELL = 8;
/** Mean change in levels up to which a square is still, and from which on it moves. */
const STILL = 3;
const MOVES = 9;
/** Share of a new frame in still places: half of it within 5 frames. */
const LEAST = 0.13;
/** Mean change of the whole picture from which on it is another one. */
const CUT = 30;

export class Steadier {
  #key = "";
  #width = 0;
  #height = 0;
  /** Camera and painting as they stand, RGB. */
  #seen = new Float32Array(0);
  #shown = new Float32Array(0);
  #share = new Float32Array(0);
  #fresh = true;

  /**
   * The camera's picture, steadied, to be painted.
   * @param {Uint8ClampedArray} pixels RGBA; written to.
   * @param {string} key what must stay the same for paint to be kept: style and codes.
   */
  before(pixels, width, height, key) {
    this.#fresh = key !== this.#key || width !== this.#width || height !== this.#height;
    if (this.#fresh) {
      [this.#key, this.#width, this.#height] = [key, width, height];
      this.#seen = new Float32Array(3 * width * height);
      this.#shown = new Float32Array(3 * width * height);
      this.#share = new Float32Array(width * height);
    } else {
      this.#measure(pixels);
    }
    this.#take(this.#seen, pixels);
  }

  /** The painting, steadied in place; follows `before`. */
  after(pixels) {
    this.#take(this.#shown, pixels);
  }

  /** Move `kept` to `pixels` by the shares, and write it back. */
  #take(kept, pixels) {
    const share = this.#share;
    for (let at = 0, from = 0, to = 0; at < share.length; at++, from += 4, to += 3) {
      const part = this.#fresh ? 1 : share[at];
      for (let c = 0; c < 3; c++) {
        kept[to + c] += part * (pixels[from + c] - kept[to + c]);
        pixels[from + c] = kept[to + c];
      }
    }
  }

  #measure(pixels) {
    const [across, down] = [Math.ceil(this.#width / CELL), Math.ceil(this.#height / CELL)];
    const cells = changes(pixels, this.#seen, this.#width, this.#height, across, down);
    if (cells.reduce((sum, value) => sum + value, 0) / cells.length > CUT) this.#fresh = true;
    const shares = widest(cells, across, down).map((value) =>
      Math.max(LEAST, Math.min(1, (value - STILL) / (MOVES - STILL))),
    );
    interpolate(shares, across, down, this.#share, this.#width, this.#height);
  }
}

/** Mean absolute difference of each cell, in levels. */
function changes(pixels, seen, width, height, across, down) {
  const sums = new Float32Array(across * down);
  const counts = new Float32Array(across * down);
  for (let y = 0, from = 0, to = 0; y < height; y++) {
    const row = Math.floor(y / CELL) * across;
    for (let x = 0; x < width; x++, from += 4, to += 3) {
      const cell = row + Math.floor(x / CELL);
      sums[cell] +=
        Math.abs(pixels[from] - seen[to]) +
        Math.abs(pixels[from + 1] - seen[to + 1]) +
        Math.abs(pixels[from + 2] - seen[to + 2]);
      counts[cell] += 3;
    }
  }
  return sums.map((sum, at) => sum / counts[at]);
}

/** The largest of each cell and its eight neighbors. */
function widest(cells, across, down) {
  return cells.map((_, at) => {
    const [x, y] = [at % across, Math.floor(at / across)];
    let most = 0;
    for (let v = Math.max(0, y - 1); v <= Math.min(down - 1, y + 1); v++) {
      for (let u = Math.max(0, x - 1); u <= Math.min(across - 1, x + 1); u++) {
        most = Math.max(most, cells[v * across + u]);
      }
    }
    return most;
  });
}

/** Values of cells at every pixel, linear between the cells' middles. */
function interpolate(cells, across, down, out, width, height) {
  const last = (count) => count - 1;
  for (let y = 0, to = 0; y < height; y++) {
    const v = Math.max(0, Math.min(last(down), (y + 0.5) / CELL - 0.5));
    const upper = Math.floor(v) * across;
    const lower = Math.min(last(down), Math.floor(v) + 1) * across;
    const below = v - Math.floor(v);
    for (let x = 0; x < width; x++, to++) {
      const u = Math.max(0, Math.min(last(across), (x + 0.5) / CELL - 0.5));
      const left = Math.floor(u);
      const right = Math.min(last(across), left + 1);
      const beside = u - left;
      const top = cells[upper + left] + beside * (cells[upper + right] - cells[upper + left]);
      const bottom = cells[lower + left] + beside * (cells[lower + right] - cells[lower + left]);
      out[to] = top + below * (bottom - top);
    }
  }
}

/**
 * What a network of bytes must know of a scene: the mean and variance of each of its layers, folded
 * into a weight scale and a bias per channel (runtime/model/folding.py has the formula).
 *
 * A picture is measured exactly. A live scene is measured when it begins, and again when its colors
 * have drifted; then the fold follows in small steps, so that no frame shows one.
 */

/** Change of a picture's colors that is a new scene, and that is worth a measurement. */
const CUT = 0.5;
const DRIFT = 0.06;
/** Frames between two measurements: each takes as long as two or three frames. */
const REST = 30;
/** Every PACE frames the fold moves by STEP of the way; after LAST steps it has arrived. */
const PACE = 3;
const STEP = 0.4;
const LAST = 12;
/** Every so many pixels are looked at for the colors. */
const STRIDE = 8;
/** Half a level keeps ratios of nearly flat pictures finite; so does a least variance. */
const FLOOR = 0.5;
const TINY = 1e-6;
/** Biases are 32 bits; beyond this a nearly constant channel would overflow. */
const LARGEST_BIAS = 2 ** 29;

/**
 * The inputs of a scene.
 * @param {object[]} layers name, input_scale, epsilon, weight_scale, gamma, beta of each.
 * @param {{mean: ArrayLike<number>, variance: ArrayLike<number>}} found of all layers' channels.
 * @returns {Object<string, Float32Array|Int32Array>} by the names of the inputs.
 */
export function fold(layers, { mean, variance }) {
  const inputs = {};
  let at = 0;
  for (const { name, input_scale, epsilon, weight_scale, gamma, beta } of layers) {
    const scales = new Float32Array(gamma.length);
    const biases = new Int32Array(gamma.length);
    for (let c = 0; c < gamma.length; c++, at++) {
      const gain = gamma[c] / Math.sqrt(Math.max(variance[at], 0) + epsilon);
      const shift = beta[c] - gain * mean[at];
      const least = Math.abs(shift) / (LARGEST_BIAS * input_scale * weight_scale[c]);
      scales[c] = Math.max(gain, least + 1e-12) * weight_scale[c];
      biases[c] = Math.round(shift / (Math.fround(input_scale) * scales[c]));
    }
    inputs[`${name}.weight_scale`] = scales;
    inputs[`${name}.bias`] = biases;
  }
  return inputs;
}

/** Mean and deviation of red, green and blue, in levels. */
export function colors(pixels, width, height) {
  const sums = [0, 0, 0];
  const squares = [0, 0, 0];
  let count = 0;
  for (let y = 0; y < height; y += STRIDE) {
    for (let x = 0; x < width; x += STRIDE, count++) {
      const from = 4 * (y * width + x);
      for (let c = 0; c < 3; c++) {
        sums[c] += pixels[from + c];
        squares[c] += pixels[from + c] ** 2;
      }
    }
  }
  const mean = sums.map((sum) => sum / count);
  const spread = squares.map((sum, c) => Math.sqrt(Math.max(0, sum / count - mean[c] ** 2)));
  return [...mean, ...spread];
}

/** How much colors changed: means in deviations, deviations as ratios. */
export function change(before, after) {
  const spread = (before[3] + before[4] + before[5]) / 3 + FLOOR;
  const shifts = [0, 1, 2].map((c) => Math.abs(after[c] - before[c]) / spread);
  const ratios = [3, 4, 5].map((c) => Math.abs(Math.log((after[c] + FLOOR) / (before[c] + FLOOR))));
  return Math.max(...shifts, ...ratios);
}

export class Scene {
  #layers;
  #key = "";
  #colors = null;
  /** Mean and logarithm of the variance, as they are folded in and as they shall be. */
  #now = null;
  #goal = null;
  #inputs = null;
  #frame = 0;
  #measured = 0;

  /** @param {object[]} layers see `fold`. */
  constructor(layers) {
    this.#layers = layers;
  }

  /** The inputs of a picture that stands alone. */
  async still(measure) {
    return fold(this.#layers, await measure());
  }

  /**
   * The inputs of the next live picture.
   * @param {number[]} seen its colors.
   * @param {string} key what must stay the same for the scene to go on: the size.
   * @param {() => Promise<{mean: ArrayLike<number>, variance: ArrayLike<number>}>} measure the picture.
   */
  async next(seen, key, measure) {
    this.#frame++;
    const changed = this.#colors && key === this.#key ? change(this.#colors, seen) : Infinity;
    const rested = this.#frame - this.#measured >= REST;
    if (changed > CUT) {
      this.#now = await this.#measure(seen, measure);
      this.#goal = null;
    } else if (changed > DRIFT && rested) {
      this.#goal = await this.#measure(seen, measure);
    } else if (!this.#step()) {
      return this.#inputs;
    }
    this.#key = key;
    this.#inputs = fold(this.#layers, { mean: this.#now.mean, variance: this.#now.log.map(Math.exp) });
    return this.#inputs;
  }

  async #measure(seen, measure) {
    [this.#colors, this.#measured] = [seen, this.#frame];
    const { mean, variance } = await measure();
    return { mean: [...mean], log: Array.from(variance, (value) => Math.log(Math.max(value, TINY))) };
  }

  /** Move towards the goal; whether anything moved. */
  #step() {
    const since = this.#frame - this.#measured;
    if (!this.#goal || since % PACE) return false;
    const towards = (now, goal) => now.map((value, at) => value + STEP * (goal[at] - value));
    this.#now = {
      mean: towards(this.#now.mean, this.#goal.mean),
      log: towards(this.#now.log, this.#goal.log),
    };
    if (since >= LAST * PACE) this.#goal = null;
    return true;
  }
}

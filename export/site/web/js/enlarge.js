/**
 * A small painted picture, shown large, with the camera's edges put back: what the Python runtime does
 * live (runtime/live/upscale.py), by the same numbers. Pure functions.
 *
 *   shown = cubic(P) + up(a) * (Y - up(y))      a = cov(y, p) / (var(y) + EPSILON), in 0..MOST
 *
 * P is the painted picture, p its luma, y the luma of what it was painted from and Y the camera's.
 */

const RADIUS = 6;
const EPSILON = 200;
const MOST = 1.5;
/** Cubic convolution with OpenCV's constant (Keys 1981). */
const A = -0.75;

/**
 * `painted` at the size of `camera`.
 * @param {{data: Uint8ClampedArray, width: number, height: number}} painted RGBA.
 * @param {object} seen what was painted, of the same size.
 * @param {object} camera the same at full size.
 * @returns {Uint8ClampedArray} RGBA, opaque, of the camera's size.
 */
export function enlarge(painted, seen, camera) {
  const { width: narrow, height: low } = painted;
  const { width, height, data: full } = camera;
  const small = luma(seen.data);
  const factor = gain(small, luma(painted.data), narrow, low);
  const across = linear(narrow, width);
  const down = linear(low, height);
  const columns = cubic(narrow, width);
  const rows = cubic(low, height);
  const wide = widened(painted.data, narrow, low, columns, width);
  const flat = stretched(small, narrow, low, across, width);
  const share = stretched(factor, narrow, low, across, width);
  const out = new Uint8ClampedArray(4 * width * height);
  for (let y = 0; y < height; y++) blend(y);
  return out;

  // Written out per color: a loop or an array in here takes several times as long.
  function blend(y) {
    const line = 3 * width;
    const k = 4 * y;
    const { places, weights } = rows;
    let r0 = places[k] * line, r1 = places[k + 1] * line;
    let r2 = places[k + 2] * line, r3 = places[k + 3] * line;
    const w0 = weights[k], w1 = weights[k + 1], w2 = weights[k + 2], w3 = weights[k + 3];
    const upper = down.places[2 * y] * width;
    const lower = down.places[2 * y + 1] * width;
    const weight = down.weights[y];
    const end = k * width + 4 * width;
    for (let x = 0, to = k * width; to < end; x++, to += 4) {
      const bright = 0.299 * full[to] + 0.587 * full[to + 1] + 0.114 * full[to + 2];
      const blurred = flat[upper + x] + weight * (flat[lower + x] - flat[upper + x]);
      const much = share[upper + x] + weight * (share[lower + x] - share[upper + x]);
      const detail = much * (bright - blurred);
      out[to] = w0 * wide[r0++] + w1 * wide[r1++] + w2 * wide[r2++] + w3 * wide[r3++] + detail;
      out[to + 1] = w0 * wide[r0++] + w1 * wide[r1++] + w2 * wide[r2++] + w3 * wide[r3++] + detail;
      out[to + 2] = w0 * wide[r0++] + w1 * wide[r1++] + w2 * wide[r2++] + w3 * wide[r3++] + detail;
      out[to + 3] = 255;
    }
  }
}

/** Brightness of RGBA pixels (BT.601), 0..255. */
export function luma(pixels) {
  const made = new Float32Array(pixels.length / 4);
  for (let at = 0, from = 0; at < made.length; at++, from += 4) {
    made[at] = 0.299 * pixels[from] + 0.587 * pixels[from + 1] + 0.114 * pixels[from + 2];
  }
  return made;
}

/** How the painting follows what it was painted from, 0..MOST per pixel. */
export function gain(y, p, width, height) {
  const product = (a, b) => a.map((value, at) => value * b[at]);
  const mean = (values) => boxed(values, width, height);
  const [my, mp, myp, myy] = [mean(y), mean(p), mean(product(y, p)), mean(product(y, y))];
  return my.map((value, at) => {
    const covariance = myp[at] - value * mp[at];
    const variance = myy[at] - value * value;
    return Math.max(0, Math.min(MOST, covariance / (variance + EPSILON)));
  });
}

/** Means over windows of 2 RADIUS + 1 pixels, the picture mirrored at its ends. */
function boxed(values, width, height) {
  const lines = slid(values, width, height, 1, width);
  return slid(lines, height, width, width, 1);
}

function slid(values, length, count, step, stride) {
  const made = new Float32Array(values.length);
  const side = 2 * RADIUS + 1;
  const places = Int32Array.from({ length: length + 2 * RADIUS }, (_, k) =>
    step * mirrored(k - RADIUS, length),
  );
  for (let line = 0; line < count; line++) {
    const base = line * stride;
    let sum = 0;
    for (let k = 0; k < side - 1; k++) sum += values[base + places[k]];
    for (let k = 0; k < length; k++) {
      sum += values[base + places[k + side - 1]];
      made[base + k * step] = sum / side;
      sum -= values[base + places[k]];
    }
  }
  return made;
}

/** Any index, mirrored at the ends without repeating them. */
function mirrored(index, length) {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const inside = ((index % period) + period) % period;
  return inside < length ? inside : period - inside;
}

/** Where each of `count` pixels lies between two of `length`: places (2 each) and weights (1). */
function linear(length, count) {
  const places = new Int32Array(2 * count);
  const weights = new Float32Array(count);
  for (let k = 0; k < count; k++) {
    const at = Math.max(0, Math.min(length - 1, ((k + 0.5) * length) / count - 0.5));
    places[2 * k] = Math.floor(at);
    places[2 * k + 1] = Math.min(length - 1, places[2 * k] + 1);
    weights[k] = at - places[2 * k];
  }
  return { places, weights };
}

/** The same between four: places and weights, 4 each; the ends are repeated. */
function cubic(length, count) {
  const places = new Int32Array(4 * count);
  const weights = new Float32Array(4 * count);
  for (let k = 0; k < count; k++) {
    const at = ((k + 0.5) * length) / count - 0.5;
    const first = Math.floor(at);
    for (let j = 0; j < 4; j++) {
      places[4 * k + j] = Math.max(0, Math.min(length - 1, first - 1 + j));
      weights[4 * k + j] = kernel(Math.abs(at - (first - 1 + j)));
    }
  }
  return { places, weights };
}

function kernel(t) {
  if (t <= 1) return (A + 2) * t ** 3 - (A + 3) * t ** 2 + 1;
  return A * t ** 3 - 5 * A * t ** 2 + 8 * A * t - 4 * A;
}

/** Lines made wider, by cubic weights: RGB floats, 3 * width a line. */
function widened(pixels, narrow, low, { places, weights }, width) {
  const made = new Float32Array(3 * width * low);
  for (let y = 0, to = 0; y < low; y++) {
    const line = 4 * narrow * y;
    for (let k = 0; k < 4 * width; k += 4) {
      let p0 = line + 4 * places[k], p1 = line + 4 * places[k + 1];
      let p2 = line + 4 * places[k + 2], p3 = line + 4 * places[k + 3];
      const w0 = weights[k], w1 = weights[k + 1], w2 = weights[k + 2], w3 = weights[k + 3];
      made[to++] = w0 * pixels[p0++] + w1 * pixels[p1++] + w2 * pixels[p2++] + w3 * pixels[p3++];
      made[to++] = w0 * pixels[p0++] + w1 * pixels[p1++] + w2 * pixels[p2++] + w3 * pixels[p3++];
      made[to++] = w0 * pixels[p0] + w1 * pixels[p1] + w2 * pixels[p2] + w3 * pixels[p3];
    }
  }
  return made;
}

/** Lines made wider, by linear weights. */
function stretched(values, narrow, low, { places, weights }, width) {
  const made = new Float32Array(width * low);
  let to = 0;
  for (let y = 0; y < low; y++) {
    const line = narrow * y;
    for (let x = 0; x < width; x++, to++) {
      const left = values[line + places[2 * x]];
      made[to] = left + weights[x] * (values[line + places[2 * x + 1]] - left);
    }
  }
  return made;
}

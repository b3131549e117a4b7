/**
 * Pixels to tensors and back, as a style's ports describe them. Pure functions.
 *
 * Pictures are canvas pixels: RGBA bytes, row after row. What is done is what the Python runtime does
 * (runtime/model/arrays.py): mirror the bottom and right edge up to a size the graph takes, scale to its
 * range, and round the answer to the nearest level, halves to even.
 */

/** Smallest allowed [width, height] that holds a picture of this size. */
export function paddedSize(width, height, multiple, minimum) {
  const grow = (length) => Math.ceil(Math.max(length, minimum) / multiple) * multiple;
  return [grow(width), grow(height)];
}

/** Position in 0..length-1 of any index >= 0, mirrored at the ends without repeating them. */
export function mirrored(index, length) {
  if (length === 1) return 0;
  const period = 2 * (length - 1);
  const inside = index % period;
  return inside < length ? inside : period - inside;
}

/** Offsets of the port's red, green and blue in channels. */
function order(port) {
  return port.colors === "RGB" ? [0, 1, 2] : [2, 1, 0];
}

/**
 * A picture as the graph's tensor.
 * @param {Uint8ClampedArray} pixels width * height * 4 bytes, RGBA; alpha is ignored.
 * @param {number[]} padded [width, height] of the tensor, at least the picture's.
 * @param {object} port layout "NCHW" or "NHWC", dtype "float32" or "uint8", colors, low, high.
 * @returns {{data: Float32Array|Uint8Array, dims: number[]}}
 */
export function toTensor(pixels, width, height, padded, port) {
  const [across, down] = padded;
  const bytes = port.dtype === "uint8";
  const data = new (bytes ? Uint8Array : Float32Array)(3 * across * down);
  // 256 levels have 256 values: a table is faster than a product, and exact.
  const level = bytes
    ? Uint8Array.from({ length: 256 }, (_, byte) => byte)
    : Float32Array.from(
        { length: 256 },
        (_, byte) => port.low + (byte * (port.high - port.low)) / 255,
      );
  const planar = port.layout === "NCHW";
  const step = planar ? 1 : 3;
  const channels = order(port).map((channel) => channel * (planar ? across * down : 1));
  const columns = Int32Array.from({ length: across }, (_, x) => 4 * mirrored(x, width));
  for (let y = 0; y < down; y++) {
    const row = 4 * width * mirrored(y, height);
    let at = y * across * step;
    for (let x = 0; x < across; x++, at += step) {
      const from = row + columns[x];
      data[channels[0] + at] = level[pixels[from]];
      data[channels[1] + at] = level[pixels[from + 1]];
      data[channels[2] + at] = level[pixels[from + 2]];
    }
  }
  return { data, dims: planar ? [1, 3, down, across] : [1, down, across, 3] };
}

/**
 * The graph's answer as a picture, its padding cut off.
 * @param {ArrayLike<number>} data the tensor.
 * @param {number[]} size [width, height] of the tensor.
 * @returns {Uint8ClampedArray} width * height * 4 bytes, RGBA, opaque.
 */
export function toPixels(data, size, width, height, port) {
  const [across, down] = size;
  const planar = port.layout === "NCHW";
  const step = planar ? 1 : 3;
  const channels = order(port).map((channel) => channel * (planar ? across * down : 1));
  const bytes = port.dtype === "uint8";
  const scale = bytes ? 1 : 255 / (port.high - port.low);
  const shift = bytes ? 0 : -port.low * scale;
  // Clamped arrays round halves to even and saturate, as OpenCV does.
  const pixels = new Uint8ClampedArray(4 * width * height);
  let to = 0;
  for (let y = 0; y < height; y++) {
    let at = y * across * step;
    for (let x = 0; x < width; x++, at += step, to += 4) {
      pixels[to] = data[channels[0] + at] * scale + shift;
      pixels[to + 1] = data[channels[1] + at] * scale + shift;
      pixels[to + 2] = data[channels[2] + at] * scale + shift;
      pixels[to + 3] = 255;
    }
  }
  return pixels;
}

/** Red, green and blue bytes with an opaque alpha added: RGBA. */
export function withAlpha(rgb) {
  const pixels = new Uint8ClampedArray((rgb.length / 3) * 4).fill(255);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    pixels[to] = rgb[from];
    pixels[to + 1] = rgb[from + 1];
    pixels[to + 2] = rgb[from + 2];
  }
  return pixels;
}

/** Peak signal-to-noise ratio in dB of two pictures of one size, over red, green and blue. */
export function psnr(a, b) {
  let sum = 0;
  for (let at = 0; at < a.length; at++) {
    if (at % 4 !== 3) sum += (a[at] - b[at]) ** 2;
  }
  const mean = sum / (a.length * 0.75);
  // Equal pictures have no finite ratio; 200 stands for it, as in the receipts.
  return mean === 0 ? 200 : Math.min(200, 10 * Math.log10((255 * 255) / mean));
}

/**
 * Input noise for pictures: soft noise added to what a network sees where the picture is flat, from
 * which strokes grow in skies and walls. Pure functions.
 *
 * What is done is what the Python runtime does (runtime/input_noise), with another generator's
 * numbers: the same places get paint, of other strokes.
 */

/** Side of one cell of noise in px, and deviation of the noise at amount 1, of the full range. */
const CELL_PX = 16;
const SIGMA = 0.2;
/** Deviation of the brightness within a cell, of 255, at which half of the noise is left. */
const HALF = 5;
/** Every so many pixels each way are looked at. */
const STEP = 2;
/** Taps of the bicubic kernel, and its parameter in OpenCV. */
const TAPS = 4;
const SHARPNESS = -0.75;

/** Columns and rows of cells of a picture. */
function cellsOf(width, height) {
  return [Math.ceil(width / CELL_PX), Math.ceil(height / CELL_PX)];
}

/**
 * The weight of the noise in every cell: 1 / (1 + (s / HALF)^2), s the deviation of the brightness.
 * @param {Uint8ClampedArray} pixels width * height * 4 bytes, RGBA.
 * @returns {Float32Array} a weight in 0..1 per cell, row after row.
 */
export function flatness(pixels, width, height) {
  const [columns, rows] = cellsOf(width, height);
  const weights = new Float32Array(columns * rows);
  const side = CELL_PX / STEP;
  // The last pixels looked at stand for what is beyond them.
  const [lastX, lastY] = [width, height].map((length) => STEP * (Math.ceil(length / STEP) - 1));
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      let sum = 0;
      let squares = 0;
      for (let k = 0; k < side * side; k++) {
        const x = Math.min(column * CELL_PX + STEP * (k % side), lastX);
        const y = Math.min(row * CELL_PX + STEP * Math.floor(k / side), lastY);
        const at = 4 * (y * width + x);
        const gray = Math.round(0.299 * pixels[at] + 0.587 * pixels[at + 1] + 0.114 * pixels[at + 2]);
        sum += gray;
        squares += gray * gray;
      }
      const mean = sum / (side * side);
      const variance = Math.max(0, squares / (side * side) - mean * mean);
      weights[row * columns + column] = 1 / (1 + variance / HALF ** 2);
    }
  }
  return weights;
}

/**
 * Standard normal numbers, always the same ones: the Box-Muller transform of a counter that is
 * mixed by multiplications.
 */
export function normals(count) {
  let state = 0;
  const uniform = () => {
    state = (state + 0x9e3779b9) | 0;
    let mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
    mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
    return ((mixed ^ (mixed >>> 15)) >>> 0) / 2 ** 32;
  };
  return Float32Array.from(
    { length: count },
    () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform()),
  );
}

/** Bicubic weights of the four cells around each of a cell's pixels, from the second before it. */
function kernels() {
  const weight = (distance) => {
    const d = Math.abs(distance);
    if (d <= 1) return ((SHARPNESS + 2) * d - (SHARPNESS + 3)) * d * d + 1;
    return d < 2 ? SHARPNESS * (((d - 5) * d + 8) * d - 4) : 0;
  };
  return Array.from({ length: CELL_PX }, (_, pixel) => {
    const at = (pixel + 0.5) / CELL_PX - 0.5;
    const first = Math.floor(at) - 1;
    const taps = Array.from({ length: TAPS }, (_, k) => weight(at - first - k));
    return { first, taps };
  });
}

/**
 * Cells made as large as the picture by bicubic interpolation, handed out row after row.
 * @param {Float32Array} cells three numbers per cell.
 * @param {(y: number, row: Float32Array) => void} take called with three numbers per pixel.
 */
export function enlarged(cells, width, height, take) {
  const [columns, rows] = cellsOf(width, height);
  const phases = kernels();
  const inside = (index, length) => Math.max(0, Math.min(length - 1, index));
  const between = new Float32Array(3 * columns);
  const row = new Float32Array(3 * width);
  for (let y = 0; y < height; y++) {
    const down = phases[y % CELL_PX];
    between.fill(0);
    for (let k = 0; k < TAPS; k++) {
      const from = 3 * columns * inside(Math.floor(y / CELL_PX) + down.first + k, rows);
      for (let at = 0; at < 3 * columns; at++) between[at] += down.taps[k] * cells[from + at];
    }
    for (let x = 0; x < width; x++) {
      const across = phases[x % CELL_PX];
      const first = Math.floor(x / CELL_PX) + across.first;
      for (let c = 0; c < 3; c++) {
        let value = 0;
        for (let k = 0; k < TAPS; k++) {
          value += across.taps[k] * between[3 * inside(first + k, columns) + c];
        }
        row[3 * x + c] = value;
      }
    }
    take(y, row);
  }
}

/**
 * Add noise to a picture, in place.
 * @param {Uint8ClampedArray} pixels width * height * 4 bytes, RGBA.
 * @param {number} amount 0..1.
 */
export function addNoise(pixels, width, height, amount) {
  const weights = flatness(pixels, width, height);
  const cells = normals(3 * weights.length);
  for (let at = 0; at < cells.length; at++) {
    cells[at] *= 255 * SIGMA * amount * weights[Math.floor(at / 3)];
  }
  enlarged(cells, width, height, (y, row) => {
    for (let x = 0, to = 4 * width * y; x < width; x++, to += 4) {
      pixels[to] += row[3 * x];
      pixels[to + 1] += row[3 * x + 1];
      pixels[to + 2] += row[3 * x + 2];
    }
  });
}

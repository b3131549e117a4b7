/** Which size to paint at. Pure functions. */

/**
 * Short sides of the picture in px that "auto" may choose, from a slow phone's to a GPU's. Below the
 * first strokes are as large as a face: a picture that moves seldom is better than mush.
 */
export const STEPS = [240, 288, 360, 480, 600, 720];
/** Where "auto" begins: a slow machine still answers within a second. */
export const FIRST = 240;
/** Milliseconds a live frame may take: 15 per second. Slower looks like a row of stills. */
export const BUDGET_MS = 66;
/** Longest side in px of a still picture: more is beyond the memory of phones. */
export const LONGEST_STILL = 1600;
/** The short side that stands for "its own size": browsers have no larger pictures. */
export const FULL = 65535;
/** Enlarging by less is not seen. */
const LARGER = 1.15;
/** "auto" steps up only into this share of the budget, so that it does not go back and forth. */
const ROOM = 0.8;

/**
 * [width, height] for a live picture: the short side as wished, never larger than the source, both
 * sides multiples of what the graph takes, so that nothing needs padding.
 */
export function liveSize(width, height, short, multiple, minimum) {
  const scale = Math.min(1, short / Math.min(width, height));
  const round = (side) =>
    Math.max(Math.round((side * scale) / multiple), Math.ceil(minimum / multiple), 1) * multiple;
  return [round(width), round(height)];
}

/**
 * [width, height] at which a painting of some width is shown: as wide as it is seen, at most as large
 * as its source. null where that is not clearly larger: then it is shown as it is.
 * @param {number[]} own [width, height] of the source.
 */
export function largerSize(painted, own, seen) {
  const width = Math.round(Math.min(own[0], seen));
  if (width < LARGER * painted) return null;
  return width === own[0] ? own : [width, Math.max(1, Math.round((own[1] * width) / own[0]))];
}

/** [width, height] for a still picture: its own size unless a side is longer than allowed. */
export function stillSize(width, height, short) {
  const scale = short
    ? Math.min(1, short / Math.min(width, height))
    : Math.min(1, LONGEST_STILL / Math.max(width, height));
  return [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
}

/**
 * The short side to go on with, after a frame at `short` took `ms`. Time grows with the number of
 * pixels, the square of the side.
 */
export function nextShort(short, ms, budget = BUDGET_MS) {
  const fits = (step, share) => ms * (step / short) ** 2 <= budget * share;
  if (!fits(short, 1)) {
    const smaller = STEPS.filter((step) => step < short);
    return smaller.filter((step) => fits(step, 1)).pop() ?? smaller[0] ?? short;
  }
  const larger = STEPS.filter((step) => step > short && fits(step, ROOM));
  // One step at a time: the first frames of a size are slower than those that follow.
  return larger[0] ?? short;
}

/** The middle one of some numbers. */
export function median(values) {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}

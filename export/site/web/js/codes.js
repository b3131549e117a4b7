/** What a model of many styles is fed besides the picture. Pure functions. */

/**
 * The style that `styles[number]` is mixed with: the one of the same model that is `wanted`, else the
 * next one; null for none.
 */
export function partner(styles, number, wanted = "") {
  const style = styles[number];
  if (!style.code?.mixes) return null;
  const family = styles.filter((other) => other.model === style.model);
  if (family.length < 2) return null;
  const other = family.find(({ name }) => name === wanted);
  if (other && other !== style) return other;
  return family[(family.indexOf(style) + 1) % family.length];
}

/** The codes of a style with a share of another one, 0..1; its own where there is no other. */
export function mixed(style, other, share) {
  if (!other || share <= 0) return style.codes;
  const names = Object.keys(style.codes);
  return Object.fromEntries(
    names.map((name) => [
      name,
      style.codes[name].map((value, at) => (1 - share) * value + share * other.codes[name][at]),
    ]),
  );
}

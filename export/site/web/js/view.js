/** The picture on the page: source and painting, blended, side by side, mirrored. */

/**
 * Draw into a canvas of the painting's size.
 * @param {CanvasRenderingContext2D} context of the canvas that is seen, recorded and saved.
 * @param {HTMLCanvasElement} source the picture as the network saw it.
 * @param {HTMLCanvasElement} painted what it made of it, of the same size.
 * @param {object} look strength 0..1, split (bool), splitAt 0..1 from the left, mirror (bool).
 */
export function compose(context, source, painted, look) {
  const { width, height } = source;
  const canvas = context.canvas;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  }
  const layer = (picture, opacity, from) => {
    if (opacity <= 0) return;
    context.save();
    context.beginPath();
    context.rect(from, 0, width - from, height);
    context.clip();
    if (look.mirror) context.setTransform(-1, 0, 0, 1, width, 0);
    context.globalAlpha = opacity;
    context.drawImage(picture, 0, 0);
    context.restore();
  };
  const left = look.split ? Math.round(look.splitAt * width) : 0;
  if (look.split || look.strength < 1) layer(source, 1, 0);
  layer(painted, look.strength, left);
}

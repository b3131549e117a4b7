/** Dragging: the divider between original and painting, and files onto the page. */

/** Call `set` with where the divider is dragged to, in per cent from the left of `view`. */
export function listenDivider(divider, view, set) {
  divider.addEventListener("pointerdown", (event) => divider.setPointerCapture(event.pointerId));
  divider.addEventListener("pointermove", (event) => {
    if (!divider.hasPointerCapture(event.pointerId)) return;
    const { left, width } = view.getBoundingClientRect();
    set(Math.max(0, Math.min(100, (100 * (event.clientX - left)) / width)));
  });
}

/**
 * Call `take` with the first file that is dropped on the page, and what it was dropped onto; `sign`
 * shows where to.
 */
export function listenDrops(sign, take) {
  const over = (on) => (event) => {
    event.preventDefault();
    sign.hidden = !on;
  };
  document.addEventListener("dragover", over(true));
  document.addEventListener("dragleave", over(false));
  document.addEventListener("drop", (event) => {
    over(false)(event);
    take(event.dataTransfer.files[0], event.target);
  });
}

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
  const over = (event) => {
    event.preventDefault(); // a browser drops only where both events were prevented
    sign.hidden = false;
  };
  document.addEventListener("dragenter", over);
  document.addEventListener("dragover", over);
  document.addEventListener("dragleave", (event) => {
    // From one element of the page to another is no leaving.
    if (event.relatedTarget === null) sign.hidden = true;
  });
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    sign.hidden = true;
    take(event.dataTransfer.files[0], event.target);
  });
}

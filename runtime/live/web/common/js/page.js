/** What the page says: one line of news or failure, progress, figures. */

export const $ = (id) => document.getElementById(id);

/** One line for people; a failure stays until the next thing works. */
export function say(text, bad = false) {
  $("message").classList.toggle("bad", bad);
  if ($("message").textContent !== text) $("message").textContent = text;
}

/** Show that something takes its time: `share` 0..1, null for unknown, or false when it is over. */
export function progress(text, share = null) {
  $("loading").hidden = text === false;
  if (text === false) return;
  $("stage-text").textContent = share === null ? text : `${text} ${Math.round(100 * share)} %`;
  if (share === null) $("progress").removeAttribute("value");
  else $("progress").value = share;
}

/** Words for the corner of the picture. */
export function figures({ width, height, ms, fps, live }) {
  const size = `${width}×${height}`;
  $("figures").textContent = live
    ? `${fps.toFixed(fps < 10 ? 1 : 0)} fps · ${ms.toFixed(0)} ms · ${size}`
    : `painted in ${(ms / 1000).toFixed(ms < 10000 ? 2 : 0)} s · ${size}`;
}

/** Seconds as m:ss. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** Mark all buttons of an action as on or off. */
export function press(action, on) {
  for (const button of document.querySelectorAll(`[data-action=${action}][aria-pressed]`)) {
    button.setAttribute("aria-pressed", String(on));
  }
}

/** An element with text and attributes. */
export function make(tag, attributes = {}, ...inside) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...inside);
  return made;
}

/** "The Starry Night, Vincent van Gogh". */
export function titleOf(style) {
  return [style.title, style.artist].filter(Boolean).join(", ");
}

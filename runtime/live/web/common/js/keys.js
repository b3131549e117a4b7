/** The keyboard: the same keys as in the live window, and those of a page's own. */

/** Elements that a letter is written into, or that use the blank themselves. */
const TEXT = "input[type=text], textarea, select";
const PRESSED = "button, summary, a, input, label";

/** The keys a page knows: of its `own`, and of all those whose actions it has. */
export function knownKeys(keys, actions, own = []) {
  return [...own, ...keys].filter(({ action }) => actions.has(action.split(" ")[0]));
}

/**
 * Call `act` with an action's name when its key is pressed.
 * @param {object[]} keys of `knownKeys`.
 * @param {() => boolean} enabled single letters disturb some people's speech input: they can be off.
 */
export function listenKeys(keys, act, enabled) {
  const byKey = new Map();
  for (const key of keys) {
    for (const name of key.keys) byKey.set(name === "space" ? " " : name, key.action);
  }
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.repeat || !enabled()) return;
    if (event.target.closest?.(TEXT) || document.querySelector("dialog[open]")) return;
    if (event.key === " " && event.target.closest?.(PRESSED)) return;
    const action = byKey.get(event.key) ?? byKey.get(event.key.toLowerCase());
    if (!action) return;
    event.preventDefault();
    act(action);
  });
}

/** [keys, text] per line of the help; the nine keys of styles share one. */
export function helpLines(keys) {
  const lines = [];
  for (const { keys: names, action, text } of keys) {
    if (!action.startsWith("style ")) lines.push([names.join(" or "), text]);
    else if (action === "style 1") lines.push(["1 to 9", "style by number"]);
  }
  return lines;
}

/** Sliders and switches beside the picture; what is chosen is kept for the next visit. */

import { choices, remember } from "./choices.js";
import { $, press, say } from "./page.js";
import { FULL } from "./sizes.js";

export class Settings {
  #studio;

  /** @param {object} studio whose look they set. */
  constructor(studio) {
    this.#studio = studio;
  }

  /** Per cent of the painting, the rest is the source. */
  strength(percent) {
    const value = within(percent, 100);
    $("strength").value = value;
    $("strength-text").textContent = `${Math.round(value)} %`;
    this.#studio.look.strength = value / 100;
    this.#studio.recompose();
    remember({ strength: value });
  }

  /** Whether the source is shown left of a divider. */
  split(on) {
    this.#studio.look.split = on;
    press("split", on);
    $("split-row").hidden = $("divider").hidden = !on;
    this.#studio.recompose();
  }

  /** Where the divider stands, in per cent from the left. */
  splitAt(percent) {
    const value = within(percent, 50);
    $("split-at").value = value;
    $("split-text").textContent = `${Math.round(value)} %`;
    $("frame").style.setProperty("--at", `${value}%`);
    this.#studio.look.splitAt = value / 100;
    this.#studio.recompose();
    remember({ splitAt: value });
  }

  mirror(on) {
    this.#studio.look.mirror = on;
    press("mirror", on);
    this.#studio.recompose();
  }

  /** Whether live paint stays where nothing moves. */
  steady(on) {
    this.#studio.stabilizer = on;
    press("stabilizer", on);
    remember({ steady: on });
  }

  /** Whether strokes grow in skies and walls of pictures. */
  noise(on) {
    this.#studio.noise = on;
    press("noise", on);
    remember({ noise: on });
  }

  /** Short side in px to paint at, 0 for "automatic". */
  detail(side) {
    $("detail").value = String(side);
    if (!$("detail").value) $("detail").value = "0";
    this.#studio.detail = Number($("detail").value);
    this.#studio.repaint();
    // What one picture had the memory for the next visit's may not.
    remember({ detail: this.#studio.detail === FULL ? 0 : this.#studio.detail });
  }

  /** Begin with what was kept. */
  restore() {
    const { strength = 100, splitAt = 50, detail = 0 } = choices();
    const { steady = true, noise = true, keys = true } = choices();
    this.strength(strength);
    this.splitAt(splitAt);
    this.steady(steady !== false);
    this.noise(noise !== false);
    this.detail(detail);
    $("keys-on").checked = keys !== false;
  }

  /** Hear the sliders and lists. */
  listen() {
    const hear = (id, event, set) => $(id).addEventListener(event, () => set(Number($(id).value)));
    hear("strength", "input", (value) => this.strength(value));
    hear("split-at", "input", (value) => this.splitAt(value));
    hear("detail", "change", (value) => this.detail(value));
    $("keys-on").addEventListener("change", () => remember({ keys: $("keys-on").checked }));
  }

  /** Switch the stabilizer, and say so. */
  toggleSteady() {
    this.steady(!this.#studio.stabilizer);
    say(this.#studio.stabilizer ? "Paint stays where nothing moves." : "Every frame is painted anew.");
  }

  /** Switch the input noise, and say so. */
  toggleNoise() {
    this.noise(!this.#studio.noise);
    if (!this.#studio.source?.live) this.#studio.repaint();
    const empty = "skies and walls of pictures";
    say(this.#studio.noise ? `Strokes grow in ${empty}.` : `No strokes grow in ${empty}.`);
  }
}

/** A number in 0..100; `otherwise` in place of what is none. */
function within(value, otherwise) {
  return Number.isFinite(Number(value)) ? Math.max(0, Math.min(100, Number(value))) : otherwise;
}

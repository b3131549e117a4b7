/** Mixing the paintings of one model: with which one, and how much of it. */

import { remember } from "./choices.js";
import { mixed, partner } from "./codes.js";
import { $, make } from "./page.js";

export class Mix {
  /** Of the other painting, 0..1. */
  share = 0;
  /** Name of the style that is mixed in, where the model has it; else the next one. */
  wanted = "";

  #styles;
  #studio;
  #number = 0;

  /**
   * @param {object[]} styles of site.json.
   * @param {object} studio what is fed the mixed codes.
   */
  constructor(styles, studio) {
    this.#styles = styles;
    this.#studio = studio;
  }

  get #other() {
    return partner(this.#styles, this.#number, this.wanted);
  }

  /** Feed a style, mixed; show the controls where its model can do it. */
  show(number) {
    this.#number = number;
    const style = this.#styles[number];
    const other = this.#other;
    this.#studio.codes = mixed(style, other, this.share);
    $("mix-row").hidden = !other;
    $("mix").value = 100 * this.share;
    $("mix-text").textContent = `${Math.round(100 * this.share)} %`;
    if (!other) return;
    const options = this.#styles
      .filter(({ model, name }) => model === style.model && name !== style.name)
      .map(({ name, title }) => make("option", { value: name }, title));
    $("mix-with").replaceChildren(...options);
    $("mix-with").value = other.name;
  }

  /** Take another share, or another painting. */
  set({ share = this.share, wanted = this.wanted }) {
    if (!this.#other) return;
    this.share = Math.max(0, Math.min(1, share));
    this.wanted = wanted;
    remember({ mix: this.share, mixWith: wanted });
    this.show(this.#number);
    this.#studio.repaint();
  }
}

/** The cards of the styles: radio buttons that look like pictures. */

import { make } from "./page.js";

/**
 * One card per style; `choose` is called with its number.
 * @param {{title: string, preview: string}[]} styles
 */
export function layStyles(styles, choose) {
  const cards = styles.map((style, number) => {
    const input = make("input", { type: "radio", name: "style", value: String(number) });
    input.addEventListener("change", () => choose(number));
    const picture = make("img", {
      src: style.preview, alt: "", width: "240", height: "160", loading: "lazy",
    });
    picture.addEventListener("error", () => picture.classList.add("none"));
    return make("label", { class: "card", title: style.title }, input, picture, make("span", {}, style.title));
  });
  document.querySelector("#styles .cards").replaceChildren(...cards);
}

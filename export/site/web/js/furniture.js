/** The parts of the page that are made from site.json: the chosen style, help, credits. */

import { helpLines } from "./keys.js";
import { $, make, titleOf } from "./page.js";

/** Mark the chosen style: its card, its credit, and its picture behind the welcome. */
export function markStyle(style, number) {
  document.querySelectorAll("#styles input")[number].checked = true;
  $("credit").textContent = `After ${titleOf(style)}.`;
  $("welcome").style.backgroundImage = `url("${style.preview}")`;
}

/** Give a style's card another name and picture. */
export function relabel(number, style) {
  const card = document.querySelectorAll("#styles .card")[number];
  card.title = style.title;
  card.querySelector("span").textContent = style.title;
  card.querySelector("img").src = style.preview;
}

/** Keys and credits of the "about" dialog. */
export function layAbout(site, keys) {
  const lines = helpLines(keys).flatMap(([names, text]) => [
    make("dt", {}, names),
    make("dd", {}, text),
  ]);
  $("keys").replaceChildren(...lines);
  const names = [...new Set(site.styles.map(({ model }) => model))];
  const models = names.map((name) => site.styles.filter(({ model }) => model === name));
  const credits = models.map((styles) => {
    const license = styles[0].license ? ` Weights: ${styles[0].license}.` : "";
    return make("p", {}, `${styles.map(titleOf).join("; ")}.${license}`);
  });
  credits.push(make("p", {}, `Runs on ${site.runtime.name} ${site.runtime.version}.`));
  $("credits").replaceChildren(...credits);
}

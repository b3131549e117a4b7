/** The parts of the page that are made from site.json: the chosen style, help, credits. */

import { helpLines } from "./keys.js";
import { $, make, titleOf } from "./page.js";

/** Mark the chosen style: its card, its credit, and its picture behind the welcome. */
export function markStyle(style, number) {
  const input = document.querySelectorAll("#styles input")[number];
  input.checked = true;
  bringIntoSight(input.closest(".card"), document.querySelector("#styles .cards"));
  $("credit").textContent = `After ${titleOf(style)}.`;
  $("welcome").style.backgroundImage = `url("${style.preview}")`;
}

/** Scroll the cards, not the page, to one of them. */
function bringIntoSight(card, cards) {
  const [at, shown] = [card.getBoundingClientRect(), cards.getBoundingClientRect()];
  if (at.left < shown.left || at.right > shown.right) cards.scrollLeft += at.left - shown.left;
  if (at.top < shown.top || at.bottom > shown.bottom) cards.scrollTop += at.top - shown.top;
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

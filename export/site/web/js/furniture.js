/** The parts of the page that are made from site.json: the chosen style, help, credits. */

import { helpLines } from "./keys.js";
import { $, make, titleOf } from "./page.js";

/** Mark the chosen style: its card, its credit, and its picture behind the welcome. */
export function markStyle(style, number) {
  document.querySelectorAll("#styles input")[number].checked = true;
  $("credit").textContent = `After ${titleOf(style)}.`;
  $("welcome").style.backgroundImage = `url("${style.preview}")`;
}

/** Keys and credits of the "about" dialog. */
export function layAbout(site, keys) {
  const lines = helpLines(keys).flatMap(([names, text]) => [
    make("dt", {}, names),
    make("dd", {}, text),
  ]);
  $("keys").replaceChildren(...lines);
  const credits = site.styles.map((style) => {
    const license = style.license ? ` Weights: ${style.license}.` : "";
    return make("p", {}, `${titleOf(style)}.${license}`);
  });
  credits.push(make("p", {}, `Runs on ${site.runtime.name} ${site.runtime.version}.`));
  $("credits").replaceChildren(...credits);
}

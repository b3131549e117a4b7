/** The page: what its buttons, keys and drops do. */

import { layStyles } from "./cards.js";
import { choices, remember } from "./choices.js";
import { layAbout, markStyle, relabel } from "./furniture.js";
import { listenDivider, listenDrops } from "./gestures.js";
import { knownKeys, listenKeys } from "./keys.js";
import { keepOffline } from "./offline.js";
import { Recording, savePicture } from "./output.js";
import { Mix } from "./mix.js";
import { Painter } from "./painter.js";
import { $, clock, figures, make, press, progress, say, titleOf } from "./page.js";
import { readPainting } from "./paintings.js";
import { Settings } from "./settings.js";
import { CameraSource, openFile, PictureSource } from "./sources.js";
import { Studio } from "./studio.js";

/** Keys that only this page has. */
const OWN_KEYS = [
  { keys: ["w"], action: "camera", text: "camera on, off" },
  { keys: ["o"], action: "open", text: "open a picture or a clip" },
];
/** How much a key changes the strength, in per cent; as in the live window. */
const STRENGTH_STEP = 10;
/** How often the slow things on the page are refreshed: 4 times a second. */
const REFRESH_MS = 250;
const OWN_PAINTING = "This style is yours: choose a painting, or drop one onto the styles.";

let site, painter, studio, settings, mix;
let number = 0;
let facing = "user";
let recording = null;
let newest = null;
/** How much a key changes the share of the painting that is mixed in. */
const MIX_STEP = 0.1;

const actions = {
  camera: () => (studio.source?.kind === "camera" ? leave() : useCamera()),
  another: () => studio.source?.kind === "camera" && useCamera(),
  open: () => $("file").click(),
  example: useExample,
  flip: () => {
    facing = facing === "user" ? "environment" : "user";
    remember({ camera: "" });
    return useCamera();
  },
  freeze: () => {
    if (!studio.source?.live) return;
    studio.freeze(!studio.frozen);
    press("freeze", studio.frozen);
    say(studio.frozen ? "The picture is held." : "The picture goes on.");
  },
  next: () => chooseStyle((number + 1) % site.styles.length),
  previous: () => chooseStyle((number + site.styles.length - 1) % site.styles.length),
  style: (which) => which <= site.styles.length && chooseStyle(which - 1),
  stronger: () => settings.strength(Number($("strength").value) + STRENGTH_STEP),
  weaker: () => settings.strength(Number($("strength").value) - STRENGTH_STEP),
  more: () => mix.set({ share: mix.share + MIX_STEP }),
  less: () => mix.set({ share: mix.share - MIX_STEP }),
  painting: () => $("painting").click(),
  stabilizer: () => settings.toggleSteady(),
  noise: () => settings.toggleNoise(),
  split: () => settings.split(!studio.look.split),
  mirror: () => {
    settings.mirror(!studio.look.mirror);
    if (looksAtYou(studio.source)) remember({ mirror: studio.look.mirror });
  },
  stats: () => {
    $("figures").classList.toggle("off");
    showFigures();
  },
  snapshot: async () => {
    if (!studio.source || !newest) return;
    const { name } = site.styles[number];
    const made = (await studio.whole()) ?? $("view");
    say(`Saved ${await savePicture(made, name)}${reduced(made, studio.source)}.`);
  },
  record: () => (recording ? stopRecording() : startRecording()),
  fullscreen: () =>
    document.fullscreenElement ? document.exitFullscreen() : $("stage").requestFullscreen?.(),
  help: () => $("about").showModal(),
};

/** Do what a button or a key says; whatever fails is said in one line. */
async function act(words) {
  const [action, argument] = words.split(" ");
  if (!studio && action !== "help") return;
  try {
    await actions[action](Number(argument));
  } catch (error) {
    say(error.message, true);
  }
}

function show(source, text) {
  if (recording) stopRecording();
  newest = null;
  studio.show(source);
  const on = source !== null;
  document.body.dataset.source = source?.kind ?? "";
  $("welcome").hidden = on;
  $("frame").hidden = true;
  $("position-row").hidden = source?.kind !== "clip";
  for (const name of ["snapshot", "record", "split", "mirror", "fullscreen"]) enable(name, on);
  enable("freeze", source?.live ?? false);
  press("freeze", false);
  press("camera", source?.kind === "camera");
  settings.mirror(looksAtYou(source) && choices().mirror !== false);
  say(text);
}

/** Whether a source is a camera that shows the person before it. */
function looksAtYou(source) {
  return source?.kind === "camera" && source.facing === "user";
}

function leave() {
  show(null, "The camera is off.");
}

async function useCamera() {
  // Some cameras can be opened only once: let go of it before it is asked for again.
  if (studio.source?.kind === "camera") show(null, "");
  say("Waiting for the camera. The browser may ask you.");
  let source;
  const lost = () => {
    if (studio.source !== source) return;
    show(null, "");
    say("The camera is gone. Plug it in, or allow it again, and try again.", true);
  };
  const paused = (gone) => {
    if (studio.source !== source) return;
    say(gone ? "The camera gives no picture just now." : "The camera is on again.", gone);
  };
  source = await CameraSource.open({ facing, id: choices().camera }, lost, paused);
  facing = source.facing;
  show(source, "The camera is on. Its picture stays on this device.");
  await showCameras();
}

/** The cameras to choose from, where there are several. */
async function showCameras() {
  const cameras = await CameraSource.list();
  $("cameras-row").hidden = cameras.length < 2;
  $("flip").hidden = cameras.length < 2 || !studio.source?.turns;
  $("cameras").replaceChildren(
    ...cameras.map(({ id, label }) => make("option", { value: id }, label)),
  );
  $("cameras").value = studio.source?.id ?? choices().camera ?? "";
}

async function useExample() {
  const answer = await fetch(site.example);
  if (!answer.ok) throw new Error(`The example is missing on the server (${answer.status}).`);
  show(await PictureSource.open(await answer.blob(), "the example"), "An example picture.");
}

async function useFile(file) {
  if (!file) return;
  try {
    show(await openFile(file), file.name);
  } catch (error) {
    say(error.message, true);
  }
}

async function chooseStyle(chosen) {
  const style = site.styles[chosen];
  try {
    progress("Loading the style");
    await painter.load(style);
  } catch (error) {
    markStyle(site.styles[number], number);
    throw new Error(`${style.title} cannot be used: ${error.message}`);
  } finally {
    progress(false);
  }
  number = chosen;
  studio.style = style;
  markStyle(style, number);
  say(style.encoder ? OWN_PAINTING : `Style: ${titleOf(style)}.`);
  remember({ style: style.name });
  feed();
  studio.repaint();
}

/** Feed the chosen style; show what only some styles have. */
function feed() {
  mix.show(number);
  $("painting-row").hidden = !site.styles[number].encoder;
}

/** Take a painting as the style of the model that takes any; the chosen one, or the first of them. */
async function usePainting(file) {
  if (!file) return;
  const own = site.styles[number].encoder
    ? number
    : site.styles.findIndex((style) => style.encoder);
  const style = site.styles[own];
  try {
    progress("Reading the painting");
    const { image, preview } = await readPainting(file);
    await painter.load(style);
    style.codes = await painter.encode(style, image);
    style.title = file.name.replace(/\.[^.]+$/, "").replaceAll("_", " ");
    style.preview = preview;
    relabel(own, style);
  } catch (error) {
    say(`${file.name}: ${error.message}`, true);
    return;
  } finally {
    progress(false);
  }
  await chooseStyle(own);
  say(`Painting after ${file.name}.`);
}

async function startRecording() {
  const { source } = studio;
  if (!source || !newest) return;
  press("record", true);
  await studio.atFullSize();
  if (studio.source !== source) return;
  recording = new Recording($("view"), source.sound?.() ?? []);
  $("clock").hidden = false;
  say(`Recording what you see, ${$("view").width}×${$("view").height}.`);
}

async function stopRecording() {
  const ended = recording;
  recording = null;
  studio.recording = false;
  press("record", false);
  $("clock").hidden = true;
  say(`Saved ${await ended.stop(site.styles[number].name)}.`);
}

function enable(action, on) {
  for (const button of document.querySelectorAll(`#actions [data-action=${action}]`)) {
    button.disabled = !on;
  }
}

const events = {
  onFrame(found) {
    newest = found;
    const view = $("view");
    $("frame").hidden = false;
    $("stage").style.setProperty("--shape", found.width / found.height);
    view.dataset.frames = studio.frames;
    view.dataset.shows = studio.source.label;
  },
  onBusy: (busy) => progress(busy ? "Painting" : false),
  onEngine(note) {
    showEngine();
    say(`${note} Going on with the ${painter.engine.split(" ")[0]}.`, true);
  },
  onFailure(error) {
    show(null, "");
    say(`The picture cannot be painted: ${error.message}. Reload the page.`, true);
  },
};

/** What to say of a picture that was painted smaller than its source, and how to have it whole. */
function reduced(made, source) {
  if (!source || made.width >= source.width) return "";
  const sizes = `${made.width}×${made.height} of its ${source.width}×${source.height} pixels`;
  return `, ${sizes}; Detail, “Full size”, paints them all if this device has the memory`;
}

function showEngine() {
  $("engine").textContent = painter.engine;
  $("engine").classList.add("on");
  document.body.dataset.engine = painter.running.name;
}

function showFigures() {
  $("figures").hidden = !newest || $("figures").classList.contains("off");
}

/** What changes all the time is written now and then only: nobody reads 30 numbers a second. */
function refresh() {
  const { source } = studio;
  showFigures();
  if (newest) {
    figures(newest);
    const what = `${source?.label ?? "a picture"}, painted after ${titleOf(site.styles[number])}`;
    if ($("view").getAttribute("aria-label") !== what) $("view").setAttribute("aria-label", what);
  }
  if (source?.kind === "clip" && document.activeElement !== $("position")) {
    $("position").value = source.position;
    $("position-text").textContent = clock(source.video.currentTime);
  }
  if (recording) $("clock").textContent = clock(recording.seconds);
}

function listen() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-action]");
    if (button) act(button.dataset.action);
  });
  const keys = knownKeys(site.keys, new Set(Object.keys(actions)), OWN_KEYS);
  listenKeys(keys, act, () => $("keys-on").checked);
  layAbout(site, keys);
  $("file").addEventListener("change", () => {
    useFile($("file").files[0]);
    $("file").value = "";
  });
  $("painting").addEventListener("change", () => {
    usePainting($("painting").files[0]);
    $("painting").value = "";
  });
  $("mix").addEventListener("input", () => mix.set({ share: Number($("mix").value) / 100 }));
  $("mix-with").addEventListener("change", () => mix.set({ wanted: $("mix-with").value }));
  settings.listen();
  $("position").addEventListener("input", () => {
    studio.source.position = Number($("position").value);
  });
  $("cameras").addEventListener("change", () => {
    remember({ camera: $("cameras").value });
    act("another");
  });
  navigator.mediaDevices?.addEventListener?.("devicechange", () => {
    if (studio.source?.kind === "camera") showCameras();
  });
  $("wish").addEventListener("change", () => {
    remember({ wish: $("wish").value });
    startEngine();
  });
  listenDivider($("divider"), $("view"), (percent) => settings.splitAt(percent));
  listenDrops($("drop"), (file, onto) =>
    onto.closest?.("aside") && site.styles.some((style) => style.encoder)
      ? usePainting(file)
      : useFile(file),
  );
}

/** Start what the user wishes to run on; says which engines were passed over. */
async function startEngine() {
  const style = site.styles[number];
  $("engine").textContent = "starting";
  $("engine").classList.remove("on");
  try {
    progress("Loading");
    const notes = await painter.start($("wish").value, style);
    showEngine();
    say(notes.length > 0 ? `Not used: ${notes.join("; ")}.` : "Ready.");
    studio.repaint();
    return true;
  } catch (error) {
    $("engine").textContent = "not running";
    say(`The painter cannot start: ${error.message}.`, true);
    return false;
  } finally {
    progress(false);
  }
}

/** Begin with what was chosen on the last visit, where this site still has it. */
function restore() {
  const kept = choices();
  settings.restore();
  mix.share = Math.max(0, Math.min(1, Number(kept.mix) || 0));
  mix.wanted = kept.mixWith ?? "";
  if (["gpu", "cpu"].includes(kept.wish)) $("wish").value = kept.wish;
  begin(site.styles.findIndex(({ name }) => name === kept.style));
}

/** Begin with a style; the first one where there is none of that number. */
function begin(chosen) {
  number = Math.max(0, chosen);
  studio.style = site.styles[number];
  markStyle(studio.style, number);
  feed();
}

async function main() {
  say("");
  document.body.dataset.alive = "";
  const answer = await fetch("site.json").catch(() => null);
  if (!answer?.ok) {
    progress(false);
    say("site.json is missing: this page was not exported whole. Export it again.", true);
    return;
  }
  site = await answer.json();
  painter = new Painter(site, (share) => progress("Loading", share));
  studio = new Studio($("view"), painter, events);
  settings = new Settings(studio);
  mix = new Mix(site.styles, studio);
  layStyles(site.styles, (chosen) => act(`style ${chosen + 1}`));
  $("example").hidden = !site.example;
  $("wish-gpu").hidden = !site.engines.some((engine) => engine.needs.includes("gpu"));
  const wish = new URLSearchParams(location.search).get("engine");
  restore();
  if (["gpu", "cpu"].includes(wish)) $("wish").value = wish;
  listen();
  setInterval(refresh, REFRESH_MS);
  let running = await startEngine();
  if (!running && number > 0) {
    begin(0); // what was chosen last time may be what does not work now
    running = await startEngine();
  }
  document.body.dataset.ready = String(running);
  if (!running) return;
  const kept = await keepOffline(site, painter.running).catch(() => false);
  $("offline").textContent = kept ? "Works offline from now on." : "";
  document.body.dataset.offline = String(kept);
}

main();

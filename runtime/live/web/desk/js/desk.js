/** The control desk: shows what the program paints, and tells it what to change. */

import { layStyles } from "./cards.js";
import { listenDivider, listenDrops } from "./gestures.js";
import { helpLines, knownKeys, listenKeys } from "./keys.js";
import { download, fileName, Recording } from "./output.js";
import { $, clock, make, press, progress, say } from "./page.js";
import { post, Levels } from "./program.js";
import { watchVideo } from "./video.js";

/** How often the program is asked for its state. */
const REFRESH_MS = 300;
/** How long a line of the page's own stays before the program's lines are shown again. */
const LINE_MS = 4000;
/** How long after the stream broke off it is tried again. */
const RETRY_MS = 1000;

let state = null;
let recording = null;
let lineUntil = 0;
/** The connection of the compressed video, null while pictures are shown. */
let peer = null;
let connecting = false;
const levels = new Levels((error) => tell(error.message, true));

/** What the page does itself; every other action is the program's. */
const own = {
  open: () => $("file").click(),
  snapshot: saveFrame,
  record: () => (recording ? stopRecording() : startRecording()),
  "record-there": () => post("record"),
  webrtc: () => (peer ? showPictures() : showVideo()),
  fullscreen: () =>
    document.fullscreenElement ? document.exitFullscreen() : $("stage").requestFullscreen?.(),
  stats: () => {
    $("details").open = !$("details").open;
  },
  help: () => $("about").showModal(),
};

/** Do what a button or a key says; whatever fails is said in one line. */
async function act(action) {
  try {
    await (own[action] ? own[action]() : post(action));
  } catch (error) {
    tell(error.message, true);
  }
}

function tell(text, bad = false) {
  lineUntil = performance.now() + LINE_MS;
  say(text, bad);
}

/** The style's name as part of a file's. */
function styleName() {
  const name = state?.styles?.[state.settings.style] ?? "live";
  return name.replace(/[^\p{L}\p{N}.-]+/gu, "-");
}

/** The newest picture at full size, without the losses of the stream. */
async function saveFrame() {
  const answer = await fetch("frame.png");
  if (!answer.ok) throw new Error((await answer.text()).trim());
  tell(`Saved ${download(await answer.blob(), fileName(styleName(), "png"))}.`);
}

/** Show compressed video in place of the pictures. */
async function showVideo() {
  if (connecting) return;
  connecting = true;
  progress("Connecting");
  // On the page before it plays, below the pictures: hidden videos are not begun.
  $("video").hidden = false;
  try {
    const found = await watchVideo($("video"), () => {
      if (peer === found) showPictures();
    });
    peer = found;
  } catch (error) {
    showPictures();
    throw error;
  } finally {
    connecting = false;
    progress(false);
  }
  $("view").hidden = true;
  $("view").removeAttribute("src");
  press("webrtc", true);
  tell("Compressed video: less data, a little later.");
}

function showPictures() {
  peer?.close();
  peer = null;
  $("video").srcObject = null;
  $("video").hidden = true;
  $("view").hidden = false;
  $("view").src = `stream?${Date.now()}`;
  press("webrtc", false);
}

/** What shows the picture now, and its size. */
function shown() {
  const view = peer ? $("video") : $("view");
  return { view, width: view.videoWidth ?? view.naturalWidth, height: view.videoHeight ?? view.naturalHeight };
}

/** Record the stream here, at its full size. */
function startRecording() {
  const { width, height } = shown();
  const canvas = make("canvas", { width, height });
  const context = canvas.getContext("2d");
  context.drawImage(shown().view, 0, 0, width, height);
  const taken = new Recording(canvas, []);
  recording = taken;
  const draw = () => {
    if (recording !== taken) return;
    context.drawImage(shown().view, 0, 0, width, height);
    requestAnimationFrame(draw);
  };
  draw();
  press("record", true);
  $("clock").hidden = false;
  tell("Recording what you see, on this device.");
}

async function stopRecording() {
  const ended = recording;
  recording = null;
  press("record", false);
  $("clock").hidden = true;
  tell(`Saved ${await ended.stop(styleName())}.`);
}

/** Have a picture painted at its full size, and show it. */
async function paintFile(file) {
  if (!file) return;
  progress("Painting your picture");
  try {
    const painted = await (await post(file, "paint")).blob();
    showPainted(painted, file.name);
  } catch (error) {
    tell(`${file.name}: ${error.message}`, true);
  } finally {
    progress(false);
  }
}

function showPainted(painted, name) {
  const image = $("painted-image");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(painted);
  image.alt = `${name}, painted`;
  image.onload = () =>
    text("painted-title", `Painted, ${image.naturalWidth}×${image.naturalHeight}`);
  const extension = painted.type === "image/png" ? "png" : "jpg";
  $("painted-save").onclick = () =>
    tell(`Saved ${download(painted, fileName(styleName(), extension))}.`);
  $("painted").showModal();
}

function text(id, words) {
  if ($(id).textContent !== words) $(id).textContent = words;
}

/** Move a slider, unless it is being moved here. */
function showLevel(slider, share) {
  if (levels.moving(slider.dataset.level)) return;
  slider.value = Math.round(100 * share);
  text(`${slider.id}-text`, `${Math.round(100 * share)} %`);
}

function showStyles({ styles, settings }) {
  const names = styles.join("\n");
  if ($("styles").dataset.names !== names) {
    $("styles").dataset.names = names;
    const cards = styles.map((name, k) => ({ title: name.replaceAll("_", " "), preview: `cards/${k + 1}.jpg` }));
    layStyles(cards, (chosen) => act(`style ${chosen + 1}`));
  }
  const card = document.querySelectorAll("#styles input")[settings.style];
  if (card) card.checked = true;
}

function showSettings({ settings, mixes, recording: there, state: words }) {
  for (const slider of document.querySelectorAll("[data-level]")) {
    const share = settings[slider.dataset.level];
    // A mirrored picture has the original on the right.
    showLevel(slider, slider.id === "split-at" && settings.mirror ? 1 - share : share);
  }
  $("mix-row").hidden = !mixes;
  $("split-row").hidden = $("divider").hidden = !settings.split;
  $("frame").style.setProperty("--at", `${$("split-at").value}%`);
  if (document.activeElement !== $("part")) $("part").value = settings.region;
  if (document.activeElement !== $("colors")) $("colors").value = settings.colors || "style";
  for (const button of document.querySelectorAll("[data-state]")) {
    const { state: name } = button.dataset;
    const on = name === "recording" ? there !== null : settings[name];
    button.setAttribute("aria-pressed", String(Boolean(on)));
  }
  showCameras();
  $("webrtc").hidden = !state.webrtc || !globalThis.RTCPeerConnection;
  const painted = state.styles[settings.style] ?? "";
  const seen = ["The live picture, painted after", painted, ...words].join(" ");
  if ($("view").alt !== seen) $("view").alt = seen;
  if ($("video").ariaLabel !== seen) $("video").ariaLabel = seen;
}

/** The cameras to choose from, where there are several. */
function showCameras() {
  const cameras = Object.entries(state.cameras ?? {});
  $("camera-row").hidden = cameras.length < 2;
  const names = JSON.stringify(cameras);
  if ($("camera").dataset.names !== names) {
    $("camera").dataset.names = names;
    const options = cameras.map(([number, name]) => make("option", { value: number }, name));
    $("camera").replaceChildren(...options);
  }
  if (document.activeElement !== $("camera")) $("camera").value = String(state.camera);
}

function showFigures(now) {
  const wish = now.target_fps ? ` of ${now.target_fps.toFixed(0)}` : "";
  text("engine", now.engine);
  $("engine").classList.add("on");
  text("fps", now.fps.toFixed(1) + wish);
  text("latency", `${now.latency_ms.toFixed(0)} ms behind (p95 ${now.latency_p95_ms.toFixed(0)})`);
  text("figures", `${now.fps.toFixed(0)} fps · ${now.latency_ms.toFixed(0)} ms`);
  $("figures").hidden = !$("details").open;
  const [width, height] = now.working;
  const [across, down] = now.size;
  const whole = width === across ? "" : ` of ${across}×${down}`;
  const every = now.every === 2 ? ", every 2nd frame" : "";
  const held = now.held ? "" : " · the rate is not held";
  text("facts", `painted at ${width}×${height}${whole}${every} · ${now.dropped} dropped${held}`);
  showStages(now);
}

/** A bar per stage; a whole one is one and a half times what a frame may take. */
function showStages({ stages_ms: stages, bottleneck, target_fps: target }) {
  const whole = 1500 / (target || 30);
  const rows = Object.entries(stages).map(([name, ms]) => {
    const bar = make("i");
    bar.style.width = `${Math.min(100, (100 * ms) / whole)}%`;
    const kind = name === bottleneck ? "stage worst" : "stage";
    const value = make("span", {}, `${ms.toFixed(1)} ms`);
    return make("div", { class: kind }, make("span", {}, name), make("span", {}, bar), value);
  });
  $("stages").replaceChildren(...rows);
}

async function refresh() {
  try {
    const answer = await fetch("state");
    if (!answer.ok) throw new Error((await answer.text()).trim());
    state = await answer.json();
    if (state.settings) {
      showStyles(state);
      showSettings(state);
      showFigures(state);
      if (performance.now() > lineUntil) say(state.messages.join(" · "));
    }
  } catch {
    $("engine").classList.remove("on");
    text("engine", "not running");
    say("The program does not answer; it may have ended.", true);
  }
  const { width, height } = shown();
  if (width) $("stage").style.setProperty("--shape", width / height);
  if (recording) text("clock", clock(recording.seconds));
  setTimeout(refresh, REFRESH_MS);
}

function setDivider(percent) {
  $("split-at").value = percent;
  text("split-at-text", `${Math.round(percent)} %`);
  $("frame").style.setProperty("--at", `${percent}%`);
  levels.set("divider", state?.settings?.mirror ? 1 - percent / 100 : percent / 100);
}

function listen() {
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-action]");
    if (button) act(button.dataset.action);
  });
  const map = JSON.parse($("key-map").textContent);
  const actions = new Set(map.map(({ action }) => action.split(" ")[0]));
  const keys = knownKeys(map, actions);
  listenKeys(keys, act, () => $("keys-on").checked);
  const lines = helpLines(keys).flatMap(([names, words]) => [
    make("dt", {}, names),
    make("dd", {}, words),
  ]);
  $("keys").replaceChildren(...lines);
  for (const slider of document.querySelectorAll("[data-level]")) {
    slider.addEventListener("input", () => {
      const percent = Number(slider.value);
      if (slider.id === "split-at") return setDivider(percent);
      text(`${slider.id}-text`, `${percent} %`);
      levels.set(slider.dataset.level, percent / 100);
    });
  }
  for (const choice of document.querySelectorAll("[data-word]")) {
    choice.addEventListener("change", () => act(`${choice.dataset.word} ${choice.value}`));
  }
  $("file").addEventListener("change", () => {
    paintFile($("file").files[0]);
    $("file").value = "";
  });
  listenDivider($("divider"), $("frame"), setDivider);
  listenDrops($("drop"), paintFile);
  // The stream ends when the program does; try again in case it comes back.
  $("view").addEventListener("error", () =>
    setTimeout(() => {
      if (!peer) $("view").src = `stream?${Date.now()}`;
    }, RETRY_MS),
  );
}

document.body.dataset.alive = "";
say("");
listen();
refresh();

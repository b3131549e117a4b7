/**
 * Where pictures come from. Each source has
 *   width, height   of its picture in px (may change with a phone's orientation)
 *   live            whether the picture moves
 *   label           for people
 *   draw(context, width, height)   its newest picture, scaled
 *   next()          resolves when there is a new picture
 *   close()
 * and every failure is an Error with one sentence for people.
 */

/** Names of getUserMedia's errors, in words (W3C Media Capture and Streams, section 10.5). */
const CAMERA_ERRORS = {
  NotAllowedError:
    "The camera was not allowed. Allow it in the address bar (or the system's settings) and try again.",
  NotFoundError: "No camera was found. Plug one in, or open a picture or a clip.",
  OverconstrainedError: "This camera cannot give the picture that was asked for.",
  NotReadableError: "The camera is in use by another program. Close that and try again.",
  AbortError: "The camera stopped before it gave a picture. Try again.",
};

/** What getUserMedia says of a camera that was asked for by its id and is not there. */
const ABSENT = ["OverconstrainedError", "NotFoundError"];

/** How long to wait for a new frame: a paused clip gives none, and must notice when it goes on. */
const PATIENCE_MS = 250;

/** The newest frame of a <video>, and when the next one comes. */
class VideoSource {
  live = true;
  #fresh = true;
  #wake = () => {};

  constructor(video, label) {
    this.video = video;
    this.label = label;
    this.#watch();
  }

  #watch() {
    const seen = () => {
      this.#fresh = true;
      this.#wake();
      this.#watch();
    };
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(seen);
    else requestAnimationFrame(seen);
  }

  get width() {
    return this.video.videoWidth;
  }

  get height() {
    return this.video.videoHeight;
  }

  draw(context, width, height) {
    this.#fresh = false;
    context.drawImage(this.video, 0, 0, width, height);
  }

  /** Frames that come while the engine is busy are passed over: the newest one counts. */
  next() {
    if (this.#fresh) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, PATIENCE_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}

/** The camera. */
export class CameraSource extends VideoSource {
  kind = "camera";

  /**
   * @param {string} facing "user" (towards you) or "environment"; a wish, not a demand.
   * @param {string} id of the camera to take, "" for any; another one if it is not there.
   * @param {() => void} onLost called when the camera goes away.
   * @param {(gone: boolean) => void} onPause called when it gives no pictures for a while, and when
   *   it goes on.
   */
  static async open({ facing, id = "" }, onLost, onPause = () => {}) {
    if (!navigator.mediaDevices?.getUserMedia) {
      throw new Error(
        "Browsers give the camera to secure pages only: use https, or localhost.",
      );
    }
    const stream = await ask(id ? { deviceId: { exact: id } } : { facingMode: { ideal: facing } })
      .catch((error) => {
        if (!id || !ABSENT.includes(error.name)) throw error;
        return ask({ facingMode: { ideal: facing } });
      })
      .catch((error) => {
        throw new Error(CAMERA_ERRORS[error.name] ?? `The camera failed: ${error.message}`);
      });
    const video = newVideo();
    video.srcObject = stream;
    const source = new CameraSource(video, "the camera");
    source.stream = stream;
    const [track] = stream.getVideoTracks();
    track.addEventListener("ended", onLost);
    track.addEventListener("mute", () => onPause(true));
    track.addEventListener("unmute", () => onPause(false));
    const { facingMode, deviceId = "" } = track.getSettings();
    // Laptops do not say where their camera looks: at the person in front of it.
    source.facing = facingMode ?? "user";
    source.turns = Boolean(facingMode);
    source.id = deviceId;
    try {
      await started(video);
    } catch {
      source.close();
      throw new Error("The camera gives no picture. Another program may be using it.");
    }
    return source;
  }

  /** The cameras there are: id and label of each (known once one was allowed). */
  static async list() {
    const devices = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
    return devices
      .filter(({ kind, deviceId }) => kind === "videoinput" && deviceId)
      .map(({ deviceId, label }, at) => ({ id: deviceId, label: label || `Camera ${at + 1}` }));
  }

  close() {
    for (const track of this.stream.getTracks()) track.stop();
    this.video.srcObject = null;
  }
}

/** A clip, played in a loop. */
export class ClipSource extends VideoSource {
  kind = "clip";

  static async open(blob, label) {
    const video = newVideo();
    video.loop = true;
    const address = URL.createObjectURL(blob);
    video.src = address;
    const source = new ClipSource(video, label);
    source.address = address;
    try {
      await started(video);
    } catch {
      source.close();
      throw new Error(`"${label}" is a clip this browser cannot play. Try MP4 (H.264) or WebM.`);
    }
    return source;
  }

  /** Position 0..1. */
  get position() {
    return this.video.duration > 0 ? this.video.currentTime / this.video.duration : 0;
  }

  set position(share) {
    if (this.video.duration > 0) this.video.currentTime = share * this.video.duration;
  }

  /** The clip's sound, for recordings: its tracks, none if the browser does not give them. */
  sound() {
    return this.video.captureStream?.().getAudioTracks() ?? [];
  }

  close() {
    this.video.pause();
    this.video.removeAttribute("src");
    URL.revokeObjectURL(this.address);
  }
}

/** A still picture. */
export class PictureSource {
  kind = "picture";
  live = false;

  static async open(blob, label) {
    const source = new PictureSource();
    source.label = label;
    try {
      source.bitmap = await createImageBitmap(blob, { imageOrientation: "from-image" });
    } catch {
      throw new Error(`"${label}" is a picture this browser cannot read. Try JPEG or PNG.`);
    }
    return source;
  }

  get width() {
    return this.bitmap.width;
  }

  get height() {
    return this.bitmap.height;
  }

  draw(context, width, height) {
    context.drawImage(this.bitmap, 0, 0, width, height);
  }

  close() {
    this.bitmap.close();
  }
}

/** A dropped or chosen file: a picture or a clip, by its type, else by trying. */
export async function openFile(file) {
  if (file.type.startsWith("image/")) return PictureSource.open(file, file.name);
  if (file.type.startsWith("video/")) return ClipSource.open(file, file.name);
  if (!file.type) {
    for (const Source of [PictureSource, ClipSource]) {
      try {
        return await Source.open(file, file.name);
      } catch {
        // Not this kind; the other one may fit.
      }
    }
  }
  throw new Error(`"${file.name}" is neither a picture nor a clip.`);
}

/** A camera's pictures. */
function ask(which) {
  const video = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
  return navigator.mediaDevices.getUserMedia({ audio: false, video: { ...which, ...video } });
}

function newVideo() {
  const video = document.createElement("video");
  video.muted = true;
  video.playsInline = true;
  return video;
}

/** Resolves when the first frame is there. */
async function started(video) {
  await new Promise((resolve, reject) => {
    video.addEventListener("loadeddata", resolve, { once: true });
    video.addEventListener("error", reject, { once: true });
    // A camera that is opened by two programs may neither fail nor deliver.
    setTimeout(reject, 15000);
  });
  await video.play();
  if (!video.videoWidth) throw new Error("sound only");
}

/** Saving: snapshots as PNG, recordings as the best clip format this browser writes. */

/** Formats to try, the most widely playable first. */
const FORMATS = [
  // H.264 baseline, level 4.0 (1920x1080), and the sound of a clip as AAC or Opus.
  ["video/mp4;codecs=avc1.42E028,mp4a.40.2", "mp4"],
  ["video/mp4;codecs=avc1.42E028,opus", "mp4"],
  ["video/webm;codecs=vp9,opus", "webm"],
  ["video/webm;codecs=vp8,opus", "webm"],
  ["video/webm", "webm"],
];
/** Bits per second: strokes are finer than what cameras show; the browsers' 2.5 million blur them. */
const BITS = 12_000_000;

/** Save the canvas as PNG. */
export async function savePicture(canvas, style) {
  const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  if (!blob) throw new Error("The picture cannot be saved: the browser is out of memory.");
  return download(blob, fileName(style, "png"));
}

/** Records what the canvas shows. */
export class Recording {
  #recorder;
  #parts = [];
  #ending;
  #extension;

  /**
   * Start; throws with a sentence for people if this browser cannot.
   * @param {MediaStreamTrack[]} sound recorded along, may be empty.
   */
  constructor(canvas, sound) {
    const format = FORMATS.find(([type]) => globalThis.MediaRecorder?.isTypeSupported(type));
    if (!format || !canvas.captureStream) throw new Error("This browser cannot record.");
    const stream = canvas.captureStream();
    for (const track of sound) stream.addTrack(track);
    this.#extension = format[1];
    this.#recorder = new MediaRecorder(stream, { mimeType: format[0], videoBitsPerSecond: BITS });
    this.#ending = new Promise((resolve) => {
      this.#recorder.onstop = resolve;
    });
    this.#recorder.ondataavailable = ({ data }) => {
      if (data.size) this.#parts.push(data);
    };
    this.began = performance.now();
    // A part each second: a crashed tab loses one, and memory holds compressed parts only.
    this.#recorder.start(1000);
  }

  /** Seconds so far. */
  get seconds() {
    return (performance.now() - this.began) / 1000;
  }

  /** Stop and save; gives the file's name. */
  async stop(style) {
    if (this.#recorder.state !== "inactive") this.#recorder.stop();
    await this.#ending;
    const type = this.#recorder.mimeType.split(";")[0];
    return download(new Blob(this.#parts, { type }), fileName(style, this.#extension));
  }
}

/** `impasto-starry-20261130-093000.png`. */
export function fileName(style, extension) {
  const now = new Date();
  const two = (number) => String(number).padStart(2, "0");
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  const time = `${two(now.getHours())}${two(now.getMinutes())}${two(now.getSeconds())}`;
  return `impasto-${style}-${day}-${time}.${extension}`;
}

/** Hand a file over to this device; gives its name. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  // The browser needs the address until it has begun to read.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  return name;
}

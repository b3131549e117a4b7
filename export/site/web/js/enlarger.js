/** The page's side of the worker that enlarges. */

/** Slower than this, in ms, it would be seen: live pictures are then shown as they are. */
const PATIENCE_MS = 80;

export class Enlarger {
  #worker = null;
  #waiting = null;
  #number = 0;

  /** How long the last picture took, in ms. */
  ms = 0;

  /** Whether it keeps up with a live picture. */
  get quick() {
    return this.ms <= PATIENCE_MS;
  }

  /**
   * A picture at the camera's size; see enlarge.js. All three are given away.
   * @returns {Promise<{painted: ImageData, camera: ImageData} | null>} null if it fails.
   */
  enlarge(painted, seen, camera) {
    this.#worker ??= this.#open();
    const { width, height } = camera;
    const id = ++this.#number;
    return new Promise((resolve) => {
      this.#waiting = (data) => {
        if (data !== null && data.id !== id) return;
        this.#waiting = null;
        if (data === null) return resolve(null);
        this.ms = data.ms;
        resolve({
          painted: new ImageData(data.pixels, width, height),
          camera: new ImageData(data.camera, width, height),
        });
      };
      const plain = [painted, seen, camera].map(({ data, width: w, height: h }) => ({
        data, width: w, height: h,
      }));
      this.#worker.postMessage(
        { id, painted: plain[0], seen: plain[1], camera: plain[2] },
        plain.map(({ data }) => data.buffer),
      );
    });
  }

  #open() {
    const worker = new Worker(new URL("./enlarge_worker.js", import.meta.url), { type: "module" });
    worker.onmessage = ({ data }) => this.#waiting?.(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.ms = Infinity;
      this.#waiting?.(null);
    };
    return worker;
  }
}

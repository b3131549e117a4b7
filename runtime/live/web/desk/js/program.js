/** Commands to the program that paints. */

/** How long after a slider was moved here the program's answer may not move it back. */
const SETTLE_MS = 1000;

/** Send a command, or a file to an address; throws with the program's own sentence if it refuses. */
export async function post(body, address = "action") {
  let answer;
  try {
    answer = await fetch(address, { method: "POST", body, headers: { "X-Impasto": "1" } });
  } catch {
    throw new Error("the program does not answer, or does not take it");
  }
  if (!answer.ok) throw new Error((await answer.text()).trim());
  return answer;
}

/** Values that move faster than the network: only the newest of each is sent. */
export class Levels {
  #waiting = new Map();
  #moved = new Map();
  #sending = false;
  #failed;

  /** @param {(error: Error) => void} failed */
  constructor(failed) {
    this.#failed = failed;
  }

  /** Whether a value was moved here a moment ago. */
  moving(word) {
    return performance.now() - (this.#moved.get(word) ?? -Infinity) < SETTLE_MS;
  }

  /** Set a value, 0..1. */
  async set(word, share) {
    this.#moved.set(word, performance.now());
    this.#waiting.set(word, share);
    if (this.#sending) return;
    this.#sending = true;
    try {
      while (this.#waiting.size > 0) {
        const [next, value] = this.#waiting.entries().next().value;
        this.#waiting.delete(next);
        await post(`${next} ${value.toFixed(3)}`);
      }
    } catch (error) {
      this.#failed(error);
    } finally {
      this.#sending = false;
    }
  }
}

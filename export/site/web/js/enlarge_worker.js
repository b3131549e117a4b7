/** Enlarges pictures beside the engine's worker: while one is enlarged, the next is painted. */

import { enlarge } from "./enlarge.js";

self.onmessage = ({ data: { id, painted, seen, camera } }) => {
  const begun = performance.now();
  const pixels = enlarge(painted, seen, camera);
  self.postMessage(
    { id, pixels, camera: camera.data, ms: performance.now() - begun },
    [pixels.buffer, camera.data.buffer],
  );
};

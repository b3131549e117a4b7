/** Which of the site's engines this browser can run, best first. */

/** What the browser has: a real GPU behind WebGPU, and promises in WebAssembly (JSPI). */
export async function findFeatures() {
  let adapter = null;
  try {
    adapter = (await navigator.gpu?.requestAdapter({ powerPreference: "high-performance" })) ?? null;
  } catch {
    // Some drivers throw where they should answer null.
  }
  const software = adapter?.info?.isFallbackAdapter ?? adapter?.isFallbackAdapter ?? false;
  return {
    gpu: adapter !== null,
    // A GPU made of software is many times slower than WebAssembly.
    fast: adapter !== null && !software,
    jspi: typeof WebAssembly === "object" && "Suspending" in WebAssembly,
    wasm: typeof WebAssembly === "object",
  };
}

/**
 * The engines to try, in order.
 * @param {object[]} engines of site.json: name, provider, needs.
 * @param {string} wish "auto", "gpu" or "cpu".
 * @param {object} features of `findFeatures`.
 */
export function candidates(engines, wish, features) {
  const has = { ...features, gpu: wish === "gpu" ? features.gpu : features.fast };
  return engines.filter(
    (engine) =>
      engine.needs.every((need) => has[need]) && !(wish === "cpu" && engine.needs.includes("gpu")),
  );
}

/** Threads for WebAssembly: shared memory needs an isolated page; one core is left for the rest. */
export function threadCount(isolated, cores) {
  return isolated ? Math.max(1, Math.min(4, cores - 1)) : 1;
}

/** For people: what is running. */
export function describe(engine, threads) {
  if (engine.needs.includes("gpu")) return "GPU · WebGPU";
  return `CPU · WebAssembly, ${threads} thread${threads === 1 ? "" : "s"}`;
}

/** Keeps the site in the browser, so that it opens without a network. */

/**
 * Register the service worker and store what this browser needs: the page, the styles, the engine
 * that runs. What belongs to older versions of this site is removed.
 * @returns {Promise<boolean>} whether the page works offline from now on.
 */
export async function keepOffline(site, engine) {
  if (!globalThis.isSecureContext || !("serviceWorker" in navigator) || !globalThis.caches) {
    return false;
  }
  const registration = await navigator.serviceWorker.register("sw.js");
  await navigator.serviceWorker.ready;
  const { scope } = registration;
  const cache = await caches.open(`impasto ${new URL(scope).pathname}`);
  const here = (path) => new URL(path, scope).href;
  const page = site.page.map(here);
  const fixed = [
    ...new Set(
      site.styles.flatMap((style) => [
        style.file,
        style.check.file,
        style.preview,
        ...(style.encoder ? [style.encoder.file] : []),
        ...(style.light ? [style.light.file, style.light.check.file] : []),
        ...(style.light?.folding ? [style.light.folding.file] : []),
      ]),
    ),
    ...engine.files.map((file) => file.url),
  ].map(here);
  const others = site.engines.flatMap((each) => each.files.map((file) => here(file.url)));
  const known = new Set([...page, ...fixed, ...others]);
  for (const request of await cache.keys()) {
    if (!known.has(request.url)) await cache.delete(request);
  }
  // The page itself as it is now; what carries its digest in its address never changes.
  await cache.addAll(page.map((url) => new Request(url, { cache: "no-cache" })));
  for (const url of fixed) {
    if (!(await cache.match(url))) await cache.add(url);
  }
  return true;
}

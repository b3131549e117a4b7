/**
 * Answers for the network. What carries its digest in its address ("?v=") comes from the store; the
 * page itself from the network if there is one, else from the store. js/offline.js fills the store.
 *
 * Every answer gets the headers that isolate the page from other origins, which browsers demand
 * before they give WebAssembly threads: so a plain file server is enough from the second visit on.
 */

const STORE = `impasto ${new URL(self.registration.scope).pathname}`;
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Cross-Origin-Resource-Policy": "same-origin",
};

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("fetch", (event) => {
  const url = new URL(event.request.url);
  const ours = url.href.startsWith(self.registration.scope);
  if (event.request.method === "GET" && ours) event.respondWith(answer(event.request, url));
});

async function answer(request, url) {
  const store = await caches.open(STORE);
  const kept = await store.match(request.mode === "navigate" ? self.registration.scope : request, {
    ignoreVary: true,
  });
  if (kept && url.searchParams.has("v")) return isolated(kept);
  try {
    return isolated(await fetch(request));
  } catch (error) {
    if (kept) return isolated(kept);
    throw error;
  }
}

function isolated(response) {
  // Opaque answers (redirects of a navigation) have no status and cannot be rebuilt.
  if (response.status === 0) return response;
  const headers = new Headers(response.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  const { status, statusText } = response;
  return new Response(response.body, { status, statusText, headers });
}

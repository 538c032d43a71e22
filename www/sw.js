/**
 * Keeps the page on the machine, so that it works without its server. `cargo xtask dist` writes the list of the site's files,
 * with their SHA-256, into the first line of this file: another version of the site is another service worker. Each version
 * has a cache of its own, filled whole or not at all, and takes over in one go, when the person says so or no page of the
 * old one is open any more.
 *
 * Nothing else is ever fetched here than the files of that list.
 *
 * @typedef {{version: string, policy: string, always: Record<string, string>, gpu: Record<string, string>}} Site `always` and
 *   `gpu` map paths to what `integrity` takes; the WebGPU engine is kept only where it is used.
 */

const scope = /** @type {any} */ (globalThis);
/** @type {Site} */
const site = scope.SITE;
const root = new URL(scope.registration.scope);
/** Several sites may share an origin. */
const prefix = `ictus ${root.pathname} `;
const own = prefix + site.version;
/** @type {Record<string, string>} */
const files = { ...site.always, ...site.gpu };

/** @param {string} path */
const address = (path) => new URL(path, root).href;

/**
 * Fetches a file and puts it into the cache of this version. Rejects if it is not the file of this version.
 *
 * @param {string} path
 */
async function keep(path) {
  // Files with the version in their path never change; the others must not come from an older visit.
  const fresh = path.startsWith(`${site.version}/`) ? 'default' : 'no-cache';
  const response = await fetch(address(path), { integrity: files[path], cache: fresh });
  if (!response.ok) throw new Error(`${path}: HTTP ${response.status}`);
  // A worker obeys the policy that comes with its own script, which a plain host does not send: from here on it comes.
  const headers = { 'Content-Type': response.headers.get('Content-Type') ?? '', 'Content-Security-Policy': site.policy, 'Referrer-Policy': 'no-referrer', 'X-Content-Type-Options': 'nosniff', ...isolation(response.headers) };
  const kept = new Response(await response.blob(), { headers });
  await (await caches.open(own)).put(address(path), kept.clone());
  return kept;
}

/**
 * A page that its host isolates from other sites is so when it comes from here, too: only then may it share memory.
 *
 * @param {Headers} sent
 * @returns {Record<string, string>}
 */
function isolation(sent) {
  const names = ['Cross-Origin-Opener-Policy', 'Cross-Origin-Embedder-Policy'];
  return Object.fromEntries(names.flatMap((name) => {
    const value = sent.get(name);
    return value ? [[name, value]] : [];
  }));
}

/** @param {Record<string, string>} group */
async function keepMissing(group) {
  const cache = await caches.open(own);
  const tried = await Promise.allSettled(Object.keys(group).map(async (path) => (await cache.match(address(path))) ?? keep(path)));
  // Only now, when none is under way any more, may a cache that is not whole be thrown away.
  for (const one of tried) if (one.status === 'rejected') throw one.reason;
}

/** Names of this site's caches of other versions. */
async function others() {
  return (await caches.keys()).filter((name) => name.startsWith(prefix) && name !== own);
}

/** @returns {Promise<boolean>} Whether the WebGPU engine was kept by the version before. */
async function usedGpu() {
  for (const name of await others()) {
    const kept = await (await caches.open(name)).keys();
    if (kept.some(({ url }) => url.includes('/pkg/gpu/'))) return true;
  }
  return false;
}

async function install() {
  try {
    await keepMissing(site.always);
    if (await usedGpu()) await keepMissing(site.gpu);
  } catch (error) {
    await caches.delete(own);
    throw error;
  }
}

/** @param {string} path */
async function answer(path) {
  return (await (await caches.open(own)).match(address(path))) ?? keep(path);
}

function requestsMade() {
  const entries = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType('resource'));
  return entries.map(({ name, startTime, transferSize }) => ({ address: name, by: 'service', at: performance.timeOrigin + startTime, bytes: transferSize }));
}

scope.addEventListener('install', (/** @type {any} */ event) => event.waitUntil(install()));

scope.addEventListener('activate', (/** @type {any} */ event) => {
  event.waitUntil(others().then((names) => Promise.all(names.map((name) => caches.delete(name)))));
});

scope.addEventListener('fetch', (/** @type {any} */ event) => {
  const { url, method, mode } = event.request;
  const { origin, pathname } = new URL(url);
  const inside = origin === root.origin && pathname.startsWith(root.pathname);
  const path = pathname.slice(root.pathname.length).replace(/^index\.html$/, '');
  if (method === 'GET' && inside && Object.hasOwn(files, path)) event.respondWith(answer(path));
  // A link may lead elsewhere. Nothing else is passed on, whatever asks for it: no policy keeps a worker from a module of its own server.
  else if (mode !== 'navigate') event.respondWith(Response.error());
});

scope.addEventListener('message', (/** @type {any} */ { data, ports }) => {
  if (data === 'take over') scope.skipWaiting();
  // For the page's log of requests (`engine/requests.js`).
  else if (data === 'requests') ports[0].postMessage(requestsMade());
  // Best effort: without it the page has the CPU engine when it is offline.
  else if (data === 'keep gpu') keepMissing(site.gpu).then(() => ports[0].postMessage(true), () => ports[0].postMessage(false));
});

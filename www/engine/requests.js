/**
 * The log of every request that the page made: the browser's own timings of the page and of its workers, which each keep
 * theirs. Workers tell what they asked for before they are sealed; the service worker is asked when somebody looks.
 *
 * @typedef {{address: string, by: 'page'|'worker'|'gpu'|'service', at: number, bytes: number}} Request `at` is in milliseconds
 *   since 1970, `bytes` what came over the network: 0 for a file that this machine had.
 */

/** The service worker answers at once, or it is gone. */
const PATIENCE_MS = 1000;

/** @type {Request[]} */
const told = [];
/** @type {Request[]} */
let ofService = [];

/**
 * @param {Request['by']} by
 * @returns {Request[]} What this scope asked for so far.
 */
function timed(by) {
  const entries = /** @type {PerformanceResourceTiming[]} */ (performance.getEntriesByType('resource'));
  return entries.filter(({ name }) => !/^(blob|data):/.test(name)).map(({ name, startTime, transferSize }) => ({ address: name, by, at: performance.timeOrigin + startTime, bytes: transferSize }));
}

/**
 * In a worker: what it asked for since the last time.
 *
 * @param {'worker'|'gpu'} by
 */
export function requestsOf(by) {
  const requests = timed(by);
  performance.clearResourceTimings();
  return requests;
}

/**
 * On the page: keeps what a worker told.
 *
 * @param {Request[]} requests
 */
export function keepRequests(requests) {
  told.push(...requests);
}

/** On the page: asks the service worker, where one keeps the page. It remembers what it fetched since it was started last. */
export async function askServiceWorker() {
  const active = (await navigator.serviceWorker?.getRegistration().catch(() => undefined))?.active;
  if (!active) return;
  const { port1, port2 } = new MessageChannel();
  const answer = new Promise((resolve) => {
    port1.onmessage = ({ data }) => resolve(data);
    setTimeout(() => resolve([]), PATIENCE_MS);
  });
  active.postMessage('requests', [port2]);
  ofService = await answer;
  port1.close();
}

/** On the page: every request that is known of, the earliest first. */
export function requestsMade() {
  return [...timed('page'), ...told, ...ofService].sort((a, b) => a.at - b.at);
}

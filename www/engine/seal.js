/** What a worker could send something with. */
const OF_WORKER = ['fetch', 'XMLHttpRequest', 'WebSocket', 'WebSocketStream', 'WebTransport', 'EventSource', 'Worker', 'importScripts', 'BroadcastChannel', 'RTCPeerConnection', 'FontFace', 'Notification', 'indexedDB', 'caches'];

/** What of the page no content security policy binds. */
const OF_PAGE = ['RTCPeerConnection', 'webkitRTCPeerConnection', 'open', 'Notification'];

/**
 * From when on the page needs nothing any more; the policy it came with still holds beside it. One kind of request that it
 * allowed would let `<link rel="prefetch">` through as well.
 */
const SEALED = "default-src 'none'; form-action 'none'; base-uri 'none'";

/**
 * Takes away every way out of this worker, once all it needs is here; what the page is forbidden later does not reach into it.
 * `import()` is no function that could be taken away: the policy leaves it the page's own server, and the service worker nothing.
 */
export function seal() {
  take(OF_WORKER);
  // The name of a lock could tell another page of this site something. What holds one by now keeps it.
  Object.defineProperty(Object.getPrototypeOf(navigator), 'locks', { value: undefined });
}

/** Takes away every way out of the page, once all it needs is here. */
export function sealPage() {
  take(OF_PAGE);
  const policy = document.createElement('meta');
  policy.httpEquiv = 'Content-Security-Policy';
  policy.content = SEALED;
  document.head.append(policy);
  // No policy binds where a page goes, and an address can carry data. Browsers without this API let it go.
  /** @type {any} */ (globalThis).navigation?.addEventListener('navigate', (/** @type {any} */ event) => {
    const { cancelable, hashChange, navigationType, downloadRequest, destination } = event;
    const saves = downloadRequest !== null && destination.url.startsWith('blob:');
    if (cancelable && !hashChange && !saves && navigationType !== 'reload') event.preventDefault();
  });
}

/** @param {string[]} names */
function take(names) {
  for (const name of names) {
    // Interfaces lie on the scope itself, functions on its prototypes too.
    for (let owner = /** @type {any} */ (globalThis); owner; owner = Object.getPrototypeOf(owner)) {
      if (owner !== globalThis && !Object.hasOwn(owner, name)) continue;
      try {
        Object.defineProperty(owner, name, { value: undefined, configurable: false, writable: false });
      } catch {
        owner[name] = undefined;
      }
    }
  }
}

/**
 * Takes away every way out of this worker, once all it needs is here. The policy of the page does not reach into a
 * worker on servers that send no headers; this does. (`import()` cannot be taken away, but only our own script could call it.)
 */
export function seal() {
  const scope = /** @type {any} */ (globalThis);
  for (const name of ['fetch', 'XMLHttpRequest', 'WebSocket', 'WebSocketStream', 'WebTransport', 'EventSource', 'Worker', 'importScripts', 'BroadcastChannel', 'RTCPeerConnection', 'indexedDB', 'caches']) {
    try {
      Object.defineProperty(scope, name, { value: undefined, configurable: false, writable: false });
    } catch {
      scope[name] = undefined;
    }
  }
}

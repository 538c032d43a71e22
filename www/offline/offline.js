/**
 * Has the site kept on this machine by its service worker (`sw.js`), and offers a newer version when there is one.
 * `cargo xtask dist` turns it on, with the meta element `offline`; `cargo xtask serve` shows the sources as they are now.
 */
import { byId, h } from '../dom.js';
import { scriptAddress } from '../engine/source.js';

/** A server that does not answer must not keep the page waiting: what is kept is whole. */
const UPDATE_PATIENCE_MS = 5000;

/**
 * Settles when nothing more will be fetched: the site is kept, or cannot be.
 *
 * @param {boolean} gpu The WebGPU engine is used.
 */
export async function keepOffline(gpu) {
  const wanted = document.querySelector('meta[name="offline"]')?.getAttribute('content') === 'yes';
  // Missing on file:// and on plain http of another machine.
  const workers = navigator.serviceWorker;
  if (!wanted || !workers) return;
  try {
    const registration = await workers.register(scriptAddress('sw.js'), { updateViaCache: 'none' });
    if (registration.active) await Promise.race([update(registration), new Promise((resolve) => setTimeout(resolve, UPDATE_PATIENCE_MS))]);
    else await leaves(registration.installing, ['installing', 'installed', 'activating']);
    if (registration.waiting) offer(registration.waiting);
    if (gpu && registration.active) await keepGpu(registration.active);
  } catch {
    // Storage that is full or forbidden: the page works as long as its server does.
  }
}

/** @param {ServiceWorkerRegistration} registration */
async function update(registration) {
  // Rejects without a network.
  await registration.update().catch(() => {});
  await leaves(registration.installing, ['installing']);
}

/**
 * @param {ServiceWorker|null} worker
 * @param {ServiceWorkerState[]} states
 * @returns {Promise<void>} Settles when the worker is in none of these states.
 */
function leaves(worker, states) {
  return new Promise((resolve) => {
    const look = () => {
      if (!worker || !states.includes(worker.state)) resolve();
    };
    worker?.addEventListener('statechange', look);
    look();
  });
}

/** @param {ServiceWorker} worker */
function keepGpu(worker) {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = resolve;
    worker.postMessage('keep gpu', [port2]);
  });
}

/** @param {ServiceWorker} newer */
function offer(newer) {
  const reload = () => {
    navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
    newer.postMessage('take over');
  };
  byId('main').prepend(h('p.newer', { id: 'newer', role: 'status' },
    'A newer version of this page is here. Changing to it closes what is open. ',
    h('button.button', { type: 'button', onclick: reload }, 'Change now')));
}

/**
 * Where the page's workers and the files of the engine come from: beside the page. The single-file page is built with another
 * version of this module, which carries them inside (`xtask/js/single-file.mjs`).
 */

/** The WebGPU engine can be fetched; the single-file page goes without. */
export const hasGpuEngine = true;

/** @param {'worker'|'gpu-worker'} name */
export function startWorker(name) {
  return new Worker(new URL(`../${name}.js`, import.meta.url), { type: 'module', name });
}

/**
 * What the page itself brought of the engine, so that the worker need not fetch it.
 *
 * @returns {Promise<{module: WebAssembly.Module|null, bytes: ArrayBuffer|null}>} The engine and the weights.
 */
export async function carried() {
  return { module: null, bytes: null };
}

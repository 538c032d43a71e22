/**
 * The worker of the WebGPU backend. It holds the network and nothing else: scans are read and prepared by `worker.js`,
 * which sends the network's input here. So a GPU that fails takes nothing with it.
 *
 * @typedef {{patient: number, slices: Float32Array, evidence: Float32Array, shape: Uint32Array, free(): void}} LogitParts
 *
 * @typedef {{infer(hounsfield: Float32Array, mask: Uint8Array, shape: Uint32Array): Promise<LogitParts>,
 *   self_test(): Promise<number>, free(): void}} Network
 */

import { requestsOf } from './engine/requests.js';
import { seal } from './engine/seal.js';

/** Largest difference from the CPU's logits in the golden self-test for which the GPU is trusted. */
const TOLERANCE = 1e-4;

/** @param {string} path */
const url = (path) => new URL(path, import.meta.url).href;

/** @param {unknown} error */
const sentence = (error) => (typeof error === 'object' && error !== null && 'message' in error ? String(error.message) : String(error));

/**
 * @param {MessagePort} port
 * @param {ArrayBuffer} weights
 */
async function start(port, weights) {
  const glue = await import(url('pkg/gpu/ictus.js'));
  await glue.default({ module_or_path: url('pkg/gpu/ictus_bg.wasm') });
  // From here on no request is made, and none can be: the page may call itself ready while the shaders compile.
  seal();
  postMessage({ event: 'fetched', requests: requestsOf('gpu') });
  /** @type {Network} */
  const network = await glue.Network.load(new Uint8Array(weights));
  const started = performance.now();
  const difference = await network.self_test();
  // Written so that NaN fails too.
  if (!(difference <= TOLERANCE)) throw new Error(`The GPU gave another result than the CPU in the self-test (difference ${difference.toExponential(1)}).`);
  port.onmessage = async ({ data: { hounsfield, mask, shape } }) => {
    try {
      // Read out here: what wasm-bindgen returns is a handle, and a message carries none of its getters.
      const parts = await network.infer(hounsfield, mask, shape);
      const logits = { patient: parts.patient, slices: parts.slices, evidence: parts.evidence, shape: parts.shape };
      parts.free();
      port.postMessage({ logits });
    } catch (error) {
      port.postMessage({ error: sentence(error) });
    }
  };
  return { difference, selfTestMs: performance.now() - started };
}

onmessage = async ({ data: { port, weights } }) => {
  try {
    postMessage({ event: 'ready', ...(await start(port, weights)) });
  } catch (error) {
    postMessage({ event: 'failed', reason: sentence(error) });
  }
};

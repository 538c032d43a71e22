/**
 * Decides whether the WebGPU backend can be used, and starts it. The CPU answers until it is there, and again when it fails.
 *
 * @typedef {{ok: true, details: Record<string, string|number|boolean>} | {ok: false, reason: string, details: Record<string, string|number|boolean>}} Probe
 */
import { keepRequests } from './requests.js';
import { startWorker } from './source.js';

/** What the compact network needs at 512 slices (`MAX_SLICES` of `src/network/model.rs`) of 96 x 80 pixels in its widest layer (16 maps of 48 x 40). */
const NEEDED_BINDING_BYTES = 512 * 16 * 48 * 40 * 4;

/**
 * Looks at the adapter before anything is fetched for it.
 *
 * @param {boolean} forced The person asked for WebGPU: a software adapter will do.
 * @returns {Promise<Probe>}
 */
export async function probe(forced) {
  /** @type {Record<string, string|number|boolean>} */
  const details = {};
  /** @type {(reason: string) => Probe} */
  const no = (reason) => ({ ok: false, reason, details });
  const gpu = /** @type {any} */ (navigator).gpu;
  if (!gpu) return no('This browser has no WebGPU.');
  /** @type {any} */
  let adapter;
  try {
    adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  } catch (error) {
    return no(`The browser gave no WebGPU adapter (${error instanceof Error ? error.message : error}).`);
  }
  if (!adapter) return no('The browser has WebGPU but found no adapter.');
  const info = adapter.info ?? {};
  const software = Boolean(info.isFallbackAdapter ?? adapter.isFallbackAdapter) || /swiftshader|llvmpipe|basic render/i.test(`${info.architecture} ${info.device} ${info.description}`);
  Object.assign(details, {
    adapter_vendor: info.vendor ?? '',
    adapter_architecture: info.architecture ?? '',
    adapter_description: info.description ?? '',
    adapter_software: software,
    timestamp_query: adapter.features.has('timestamp-query'),
    max_buffer_size: adapter.limits.maxBufferSize,
    max_storage_buffer_binding_size: adapter.limits.maxStorageBufferBindingSize,
    max_compute_invocations: adapter.limits.maxComputeInvocationsPerWorkgroup,
  });
  // cubecl-wgpu panics without it.
  if (!adapter.features.has('timestamp-query')) return no('The GPU adapter lacks the feature timestamp-query.');
  if (adapter.limits.maxStorageBufferBindingSize < NEEDED_BINDING_BYTES) return no('The GPU adapter binds too little memory at a time.');
  if (software && !forced) return no('The WebGPU adapter is software, which is slower than the CPU engine.');
  return { ok: true, details };
}

/**
 * Starts the GPU worker. `fetched` settles as soon as it needs no more files, `ready` when its self-test has passed.
 *
 * @param {ArrayBuffer} weights The only ones that it will hold.
 * @param {(reason: string) => void} onLost Called when it fails after it was ready.
 */
export function startGpu(weights, onLost) {
  const { port1, port2 } = new MessageChannel();
  const worker = startWorker('gpu-worker');
  /** @type {PromiseWithResolvers<void>} */
  const fetched = withResolvers();
  /** @type {PromiseWithResolvers<{difference: number, selfTestMs: number}>} */
  const ready = withResolvers();
  // Waited for one after the other: a failure must not count as unhandled in between.
  ready.promise.catch(() => {});
  let isReady = false;
  /** @param {string} reason */
  const fail = (reason) => {
    worker.terminate();
    if (isReady) onLost(reason);
    fetched.resolve();
    ready.reject(new Error(reason));
  };
  worker.onmessage = ({ data }) => {
    if (data.event === 'fetched') {
      keepRequests(data.requests);
      fetched.resolve();
    }
    else if (data.event === 'failed') fail(data.reason);
    else if (data.event === 'ready') {
      isReady = true;
      ready.resolve(data);
    }
  };
  worker.onerror = (event) => {
    event.preventDefault();
    fail(`The GPU engine stopped: ${event.message || 'it could not be loaded'}.`);
  };
  worker.postMessage({ port: port1, weights }, [port1]);
  return { port: port2, fetched: fetched.promise, ready: ready.promise, stop: () => worker.terminate() };
}

/** `Promise.withResolvers`, which browsers have had only since 2024. */
function withResolvers() {
  /** @type {any} */
  const result = {};
  result.promise = new Promise((resolve, reject) => Object.assign(result, { resolve, reject }));
  return result;
}

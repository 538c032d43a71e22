import { requestsOf } from './engine/requests.js';
import { seal } from './engine/seal.js';

/**
 * A worker that holds scans: reads them, prepares them, runs the network on the CPU (or hands its input to the GPU
 * worker), and serves slices to the viewer. The page only ever talks to it by messages, so it never blocks.
 *
 * @typedef {import('./types.js').Found} Found
 * @typedef {{free(): void, load_model(bytes: Uint8Array): string, self_test(): Promise<number>, samples(): string,
 *   sample_thumbnail(index: number): import('./types.js').Thumbnail & {free?(): void},
 *   hold_at_most(bytes: number): void, number_from(first: number): void, add_files(paths: string[], files: File[]): string, add_sample(index: number): string,
 *   screen(id: number, progress: Function, pause: Function, remote: Function|undefined): Promise<string>,
 *   thumbnail(id: number): import('./types.js').Thumbnail & {free?(): void},
 *   use_named_order(id: number, named: boolean): void, open(id: number, progress: Function): string,
 *   slice(id: number, z: number): Int16Array, heat(id: number, z: number): Uint8Array|undefined,
 *   layers(id: number, z: number): Promise<(import('./types.js').LayerPicture & {free?(): void})[]>,
 *   remove(id: number): void, diagnostics(): string}} Engine
 */

import { loadGlue } from './engine/glue.js';

/** @type {Engine} */
let engine;
/**
 * An engine beside the first, for another model on one scan: so nothing of the first one's answer changes.
 *
 * @type {{engine: Engine, busy: boolean, closed: boolean}|null}
 */
let beside = null;
/** @type {MessagePort|null} */
let gpu = null;
/** The GPU worker holds the weights that are loaded here. */
let onGpu = true;
/** @type {Int32Array|null} Number of the scan to cancel + 1, where the page may share memory with its workers. */
let cancelFlag = null;
/** @type {Set<number>} */
const cancelled = new Set();
/** @type {Map<number, {hounsfield: Int16Array, shape: number[]}>} What the network was given of the last scans. */
const netInputs = new Map();
/** @type {any} */
let glue;
/** @type {Uint8Array} What patients' numbers are hashed with, the same for all engines of this page. */
let salt;

const NET_INPUTS_KEPT = 64;

/** Nothing that the network answers in half a minute is worth waiting for: the CPU takes well under a second. */
const GPU_PATIENCE_MS = 30_000;

/** @param {string} path */
const url = (path) => new URL(path, import.meta.url).href;

/** @param {number} id */
const isCancelled = (id) => cancelled.has(id) || (cancelFlag !== null && Atomics.load(cancelFlag, 0) === id + 1);

/** Lets messages in (a cancel, a slice for the viewer) between two steps. */
function pause() {
  return new Promise((resolve) => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
      channel.port1.close();
      resolve(undefined);
    };
    channel.port2.postMessage(null);
  });
}

/** @param {number} id */
function progressOf(id) {
  const tell = teller('progress', id);
  /** @type {(step: string, done: number, total: number) => boolean} */
  return (step, done, total) => {
    tell(step, done, total);
    return isCancelled(id);
  };
}

/**
 * Tells the page of steps, not more often than a person could see.
 *
 * @param {string} event
 * @param {number} id
 */
function teller(event, id) {
  let last = 0;
  /** @type {(step: string, done: number, total: number) => void} */
  return (step, done, total) => {
    const now = performance.now();
    if (done !== 0 && done !== total && now - last <= 40) return;
    last = now;
    postMessage({ event, id, step, done, total });
  };
}

/** @param {{beside?: boolean}} which */
function engineOf(which) {
  if (!which.beside) return engine;
  if (!beside) throw { code: 'unknown_scan', message: 'The other model does not hold this scan any more. Compare again.' };
  return beside.engine;
}

/** Gives back what a comparison took, once nothing uses it any more. */
function closeBeside() {
  if (!beside) return;
  beside.closed = true;
  if (!beside.busy) beside.engine.free();
  beside = null;
}

/**
 * The GPU is not asked again, and the page says why.
 *
 * @param {string} reason
 */
function loseGpu(reason) {
  gpu?.close();
  gpu = null;
  postMessage({ event: 'gpu-lost', reason });
}

/**
 * Runs the network on the GPU worker. Whatever goes wrong there, this rejects, and the engine answers on the CPU.
 *
 * @param {Float32Array} hounsfield
 * @param {Uint8Array} mask
 * @param {Uint32Array} shape
 */
function inferOnGpu(hounsfield, mask, shape) {
  const port = gpu;
  if (!port) return Promise.reject(new Error('no GPU'));
  return new Promise((resolve, reject) => {
    /** @param {string} reason */
    const lose = (reason) => {
      loseGpu(reason);
      reject(new Error(reason));
    };
    const timer = setTimeout(() => lose('The GPU did not answer in time.'), GPU_PATIENCE_MS);
    port.onmessage = ({ data }) => {
      clearTimeout(timer);
      if (data.error) lose(data.error);
      else resolve(data.logits);
    };
    port.postMessage({ hounsfield, mask, shape });
  });
}

/**
 * Keeps what the network is given, for a person to see: whole Hounsfield units relative to the brain's median, black where
 * there is no brain.
 *
 * @param {number} id
 * @param {Float32Array} hounsfield
 * @param {Uint8Array} mask
 * @param {Uint32Array} shape
 */
function keepNetInput(id, hounsfield, mask, shape) {
  netInputs.delete(id);
  netInputs.set(id, { hounsfield: Int16Array.from(hounsfield, (value, i) => (mask[i] ? Math.round(value) : -1024)), shape: [...shape] });
  const [oldest] = netInputs.keys();
  if (netInputs.size > NET_INPUTS_KEPT && oldest !== undefined) netInputs.delete(oldest);
}

function tellRequests() {
  postMessage({ event: 'requests', requests: requestsOf('worker') });
}

const methods = {
  /**
   * Holds a lock for as long as this worker lives.
   *
   * @param {{name: string}} lock
   * @returns {Promise<boolean>} Whether it could.
   */
  hold({ name }) {
    return new Promise((resolve) => {
      const held = navigator.locks?.request(name, () => {
        resolve(true);
        return new Promise(() => {});
      });
      if (held) held.catch(() => resolve(false));
      else resolve(false);
    });
  },

  /** Fetches the JavaScript of the engine, so that starting it later needs no network. */
  async prepare() {
    glue ??= await loadGlue();
    tellRequests();
  },

  /**
   * @param {{module: WebAssembly.Module|null, room: number, flag: Int32Array|null, salt: Uint8Array}} options `module` from an
   *   earlier worker, `room` in bytes of slices.
   */
  async start({ module, room, flag, ...rest }) {
    await this.prepare();
    cancelFlag = flag;
    salt = rest.salt;
    const compiled = module ?? (await compile(url('pkg/cpu/ictus_bg.wasm')));
    await glue.default({ module_or_path: compiled });
    engine = new glue.Engine(salt);
    engine.hold_at_most(room);
    return { module: compiled, samples: JSON.parse(engine.samples()) };
  },

  /** @param {{bytes: ArrayBuffer, onGpu: boolean}} options The weights, and whether the GPU worker holds them too. */
  async loadModel(options) {
    const model = JSON.parse(engine.load_model(new Uint8Array(options.bytes)));
    onGpu = options.onGpu;
    const started = performance.now();
    const difference = await engine.self_test();
    return { model, difference, selfTestMs: performance.now() - started };
  },

  /**
   * Looks at weights without using them: in an engine of their own, so that bad ones change nothing.
   *
   * @param {{bytes: ArrayBuffer, test: boolean}} options `test` has the network compute, too.
   */
  async tryModel({ bytes, test }) {
    const trial = new glue.Engine(salt);
    try {
      const model = JSON.parse(trial.load_model(new Uint8Array(bytes)));
      return { model, difference: test ? await trial.self_test() : 0 };
    } catch (error) {
      // What the engine says of the page as a whole is not so here.
      const { code, message } = /** @type {import('./types.js').Notice} */ (error);
      if (code === 'weights') throw { code, message: message.slice(Math.max(0, message.indexOf('Found on '))) };
      throw error;
    } finally {
      trial.free();
    }
  },

  /**
   * Answers a scan with another model, on the CPU; its slices and maps are then asked for with `beside`.
   *
   * @param {{scan: import('./types.js').FoundScan, bytes: ArrayBuffer, method: 'addFiles'|'addSample', options: any, from: number, named: boolean}} other
   *   `method` and `options` are how the scan came in, and `from` the number that the first of its drop has.
   */
  async screenBeside({ scan, bytes, method, options, from, named }) {
    const { id } = scan;
    closeBeside();
    const mine = { engine: /** @type {Engine} */ (new glue.Engine(salt)), busy: true, closed: false };
    beside = mine;
    try {
      const model = JSON.parse(mine.engine.load_model(new Uint8Array(bytes)));
      mine.engine.number_from(from);
      /** @type {Found} */
      const found = JSON.parse(method === 'addFiles' ? mine.engine.add_files(options.paths, options.files) : mine.engine.add_sample(options.index));
      // Files can be changed by now; what is not the same scan must not be taken for it.
      if (!found.scans.some((one) => one.id === id && one.name === scan.name && one.slices === scan.slices)) throw { code: 'unknown_scan', message: 'The files of this scan are not what they were. Drop it again.' };
      if (named) mine.engine.use_named_order(id, true);
      const tell = teller('beside', id);
      /** @type {(step: string, done: number, total: number) => boolean} */
      const progress = (step, done, total) => {
        tell(step, done, total);
        return mine.closed;
      };
      return { ...JSON.parse(await mine.engine.screen(id, progress, pause, undefined)), model };
    } finally {
      mine.busy = false;
      if (mine.closed) mine.engine.free();
    }
  },

  closeBeside,

  /** From here on nothing can be asked for, so that the log of requests is whole. */
  seal() {
    tellRequests();
    seal();
  },

  requests: () => requestsOf('worker'),

  /** @param {{port: MessagePort}} options */
  connectGpu({ port }) {
    gpu = port;
  },

  /** A crashed GPU worker cannot say so on its port. */
  dropGpu() {
    gpu?.close();
    gpu = null;
  },

  /** @param {{paths: string[], files: File[], from?: number}} drop `from` is the number that its first scan gets. */
  addFiles({ paths, files, from }) {
    if (from !== undefined) engine.number_from(from);
    return JSON.parse(engine.add_files(paths, files));
  },

  /** @param {{index: number, from?: number}} sample */
  addSample({ index, from }) {
    if (from !== undefined) engine.number_from(from);
    return JSON.parse(engine.add_sample(index));
  },

  /** @param {{index: number}} sample */
  sampleThumbnail({ index }) {
    return plainThumbnail(engine.sample_thumbnail(index));
  },

  /** @param {{id: number}} scan */
  async screen({ id }) {
    cancelled.delete(id);
    const asked = onGpu ? gpu : null;
    /** @type {typeof inferOnGpu} Without a GPU this declines, and the engine answers itself. */
    const infer = (hounsfield, mask, shape) => {
      keepNetInput(id, hounsfield, mask, shape);
      return asked ? inferOnGpu(hounsfield, mask, shape) : Promise.reject(new Error('no GPU for these weights'));
    };
    const answered = JSON.parse(await engine.screen(id, progressOf(id), pause, infer));
    // The engine falls back in silence; the badge must not.
    if (asked && gpu === asked && answered.report.backend === 'cpu') loseGpu("The GPU's answer did not fit the scan.");
    return { ...answered, thumbnail: answered.view ? plainThumbnail(engine.thumbnail(id)) : null };
  },

  /** @param {{id: number}} scan */
  cancel({ id }) {
    cancelled.add(id);
  },

  /** @param {{id: number, named: boolean}} choice */
  useNamedOrder({ id, named }) {
    engine.use_named_order(id, named);
  },

  /** @param {{id: number}} scan Reads the scan again if its slices were let go to make room. */
  open({ id }) {
    return JSON.parse(engine.open(id, progressOf(id)));
  },

  /** @param {{id: number, z: number, beside?: boolean}} slice */
  slice({ id, z, ...which }) {
    return engineOf(which).slice(id, z);
  },

  /** @param {{id: number, z: number, beside?: boolean}} slice */
  heat({ id, z, ...which }) {
    return engineOf(which).heat(id, z) ?? null;
  },

  /** @param {{id: number, z: number}} slice */
  async layers({ id, z }) {
    return (await engine.layers(id, z)).map((layer) => {
      const { channels, rows, columns, values } = layer;
      layer.free?.();
      return { channels, rows, columns, values };
    });
  },

  /** @param {{id: number}} scan */
  netInput({ id }) {
    return netInputs.get(id) ?? null;
  },

  /** @param {{id: number}} scan */
  remove({ id }) {
    netInputs.delete(id);
    engine.remove(id);
  },

  diagnostics() {
    return JSON.parse(engine.diagnostics());
  },
};

/** @param {import('./types.js').Thumbnail & {free?(): void}} thumbnail */
function plainThumbnail(thumbnail) {
  const { width, height, grey } = thumbnail;
  thumbnail.free?.();
  return { width, height, grey };
}

/**
 * Servers that do not know `.wasm` send another type, which the streaming compiler refuses.
 *
 * @param {string} address
 */
async function compile(address) {
  const response = await fetch(address);
  if (!response.ok) throw { code: 'engine_missing', message: `The engine could not be fetched (HTTP ${response.status}). The files of this page are not all there: reload it, and if that does not help, tell whoever hosts it.` };
  if (response.headers.get('content-type')?.startsWith('application/wasm')) return WebAssembly.compileStreaming(response);
  return WebAssembly.compile(await response.arrayBuffer());
}

/**
 * The engine's own mistakes, after which its memory cannot be trusted; a stack that is too deep comes as a `RangeError`.
 *
 * @param {unknown} error
 */
const isTrap = (error) => error instanceof WebAssembly.RuntimeError || error instanceof RangeError;

/**
 * @param {unknown} error
 * @returns {{code: string, message: string}}
 */
function asNotice(error) {
  if (isTrap(error)) {
    return { code: 'engine_crashed', message: 'The engine stopped on this scan. The other scans go on in a fresh one; please tell us about it.' };
  }
  if (typeof error === 'object' && error !== null && 'code' in error && 'message' in error) {
    return { code: String(error.code), message: String(error.message) };
  }
  return { code: 'unexpected', message: String(error instanceof Error ? error.message : error) };
}

/**
 * What traps in a step that the engine takes later reaches no caller: the call would wait for ever.
 *
 * @param {Event} event
 * @param {unknown} error
 */
function uncaught(event, error) {
  if (!isTrap(error)) return;
  event.preventDefault();
  postMessage({ event: 'crashed', notice: asNotice(error) });
}
addEventListener('error', (event) => uncaught(event, event.error));
addEventListener('unhandledrejection', (event) => uncaught(event, event.reason));

onmessage = async ({ data: { call, method, options } }) => {
  try {
    const value = await /** @type {any} */ (methods)[method](options);
    const transfer = ArrayBuffer.isView(value) ? [value.buffer] : [];
    postMessage({ call, value }, { transfer });
  } catch (error) {
    postMessage({ call, error: asNotice(error) });
  }
};

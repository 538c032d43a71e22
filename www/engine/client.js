/**
 * The page's side of the worker: calls that return promises, a stream of events, and spare workers that take over
 * when the engine crashes. They have all they need before the page says that it is ready, so that even then
 * nothing is fetched.
 */

import { carriedEngine, startWorker } from './source.js';

/** An idle one costs a few megabytes; a batch may hold more than one scan that nobody has foreseen. */
const SPARES = 3;

/** @typedef {(event: {event: string} & Record<string, any>) => void} OnEvent */

export class EngineClient {
  /** @type {Worker} */
  #worker;
  /** @type {Worker[]} */
  #spares = [];
  /** @type {Map<number, {method: string, resolve: (value: any) => void, reject: (error: any) => void}>} */
  #calls = new Map();
  #next = 0;
  #onEvent;
  /** @type {WebAssembly.Module|null} */
  #module = null;
  // Memory can be shared only on servers that isolate the page by headers; without it a cancel waits for a step to end.
  #flag = globalThis.crossOriginIsolated ? new Int32Array(new SharedArrayBuffer(4)) : null;
  // Stays in memory: with the page it is gone, and nobody can tell any more who is behind a hash.
  #salt = crypto.getRandomValues(new Uint8Array(16));

  /** @param {OnEvent} onEvent */
  constructor(onEvent) {
    this.#onEvent = onEvent;
    this.#worker = this.#spawn();
  }

  #spawn() {
    const worker = startWorker('worker');
    worker.onmessage = ({ data }) => this.#receive(worker, data);
    worker.onerror = (event) => {
      event.preventDefault();
      if (worker !== this.#worker) return;
      this.#fail({ code: 'worker_failed', message: `The page's worker could not start: ${event.message || 'unknown reason'}.` });
    };
    return worker;
  }

  /**
   * @param {Worker} worker
   * @param {any} data
   */
  #receive(worker, data) {
    if (data.event === 'crashed') {
      if (worker === this.#worker) this.#crash(data.notice);
      return;
    }
    if (data.event) {
      this.#onEvent(data);
      return;
    }
    const waiting = this.#calls.get(data.call);
    if (!waiting || worker !== this.#worker) return;
    this.#calls.delete(data.call);
    if (!data.error) waiting.resolve(data.value);
    else {
      waiting.reject(data.error);
      if (data.error.code === 'engine_crashed') this.#crash(null);
    }
  }

  /**
   * @param {import('../types.js').Notice|null} ofScreening What a scan in work is told: it is the cause, unless another call was.
   */
  #crash(ofScreening) {
    for (const [call, { method, reject }] of this.#calls) {
      if (!ofScreening || method !== 'screen') continue;
      this.#calls.delete(call);
      reject(ofScreening);
    }
    this.#fail({ code: 'engine_restarted', message: 'The engine was restarted.' });
    this.#onEvent({ event: 'crashed' });
  }

  /** @param {import('../types.js').Notice} notice */
  #fail(notice) {
    for (const { reject } of this.#calls.values()) reject(notice);
    this.#calls.clear();
  }

  /**
   * @param {string} method A method of `worker.js`.
   * @param {object} [options]
   * @param {Transferable[]} [transfer]
   * @returns {Promise<any>} Rejects with a `Notice`.
   */
  call(method, options = {}, transfer = []) {
    const call = this.#next++;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { method, resolve, reject });
      this.#worker.postMessage({ call, method, options }, transfer);
    });
  }

  /** Starts the engine; `samples` are the drawn scans that it can make. */
  async start() {
    const { module, samples } = await this.call('start', { module: (this.#module ??= await carriedEngine()), flag: this.#flag, salt: this.#salt });
    this.#module = module;
    return /** @type {import('../types.js').Sample[]} */ (samples);
  }

  /**
   * Loads the weights and checks that this engine computes with them what the trainer did.
   *
   * @param {{bytes: ArrayBuffer, onGpu: boolean}} weights
   */
  async loadModel(weights) {
    const { model, difference, selfTestMs } = await this.call('loadModel', weights);
    return { model: withHeader(model, weights.bytes), difference, selfTestMs };
  }

  /**
   * Looks at weights without using them.
   *
   * @param {ArrayBuffer} bytes
   * @param {boolean} test Whether the network computes, too.
   */
  async tryModel(bytes, test) {
    const { model, difference } = await this.call('tryModel', { bytes, test });
    return { model: withHeader(model, bytes), difference };
  }

  /** Makes the spare workers fetch their files now. */
  async prepareSpares() {
    for (let n = 0; n < SPARES; n++) await this.#prepareSpare();
  }

  #prepareSpare() {
    const spare = this.#spawn();
    return new Promise((resolve) => {
      spare.addEventListener('message', ({ data }) => {
        if (!data.error) {
          this.#spares.push(spare);
          // It has all it will need.
          spare.postMessage({ call: -1, method: 'seal', options: {} });
        }
        resolve(undefined);
      }, { once: true });
      spare.addEventListener('error', resolve, { once: true });
      spare.postMessage({ call: -1, method: 'prepare', options: {} });
    });
  }

  /** Puts a spare worker in the place of a crashed one. Returns whether there was one. */
  takeSpare() {
    this.#worker.terminate();
    const spare = this.#spares.shift();
    if (!spare) return false;
    this.#worker = spare;
    return true;
  }

  /** @param {number} id */
  cancel(id) {
    if (this.#flag) Atomics.store(this.#flag, 0, id + 1);
    return this.call('cancel', { id });
  }

  /** A cancel that was asked for must not hit the same scan when it is tried again. */
  clearCancel() {
    if (this.#flag) Atomics.store(this.#flag, 0, 0);
  }
}

/**
 * @param {Omit<import('../types.js').Model, 'header'>} model
 * @param {ArrayBuffer} bytes
 * @returns {import('../types.js').Model}
 */
function withHeader(model, bytes) {
  return { ...model, header: headerOf(bytes) };
}

/**
 * What the weights file says of its data and its tests: safetensors begin with the length of a JSON header, whose metadata
 * holds ours. `null` where it cannot be read; the engine has checked the file by then, so the card just stays shorter.
 *
 * @param {ArrayBuffer} bytes
 * @returns {import('../types.js').ModelHeader|null}
 */
function headerOf(bytes) {
  try {
    const length = Number(new DataView(bytes).getBigUint64(0, true));
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(bytes, 8, length)));
    const { data = [], metrics = {}, calibration, architecture, input_shape: inputShape } = JSON.parse(header.__metadata__.ictus);
    return { data, metrics, patientScore: calibration?.patient_score ?? '', architecture, inputShape };
  } catch {
    return null;
  }
}

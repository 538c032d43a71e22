/**
 * The page's side of a worker: calls that return promises, a stream of events, and its end, in whichever way that comes.
 */

import { startWorker } from './source.js';

/** What a scan in work is told when the browser killed its worker. */
const GONE = { code: 'engine_gone', message: 'The browser ended the engine while it looked at this scan, perhaps because memory ran short. The other scans go on in a fresh one; try this one again.' };

/** @typedef {(event: {event: string} & Record<string, any>) => void} OnEvent */

export class EngineClient {
  #worker = startWorker('worker');
  /** @type {Map<number, {method: string, resolve: (value: any) => void, reject: (error: any) => void}>} */
  #calls = new Map();
  #next = 0;
  #onEvent;
  #ended = false;
  // Memory can be shared only on servers that isolate the page by headers; without it a cancel waits for a step to end.
  #flag = globalThis.crossOriginIsolated ? new Int32Array(new SharedArrayBuffer(4)) : null;

  /** @param {OnEvent} onEvent Gets `ended` once this worker can do nothing any more, beside the worker's own events. */
  constructor(onEvent) {
    this.#onEvent = onEvent;
    this.#worker.onmessage = ({ data }) => this.#receive(data);
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#fail({ code: 'worker_failed', message: `The page's worker could not start: ${event.message || 'unknown reason'}.` });
    };
    void this.#watch();
  }

  /**
   * No event tells that the browser killed a worker. So each holds a lock for as long as it lives, and the page is given it
   * when it died: at once, and never while the worker is only slow or its tab sleeps. Browsers have no locks on plain http.
   */
  async #watch() {
    const locks = globalThis.navigator?.locks;
    if (!locks) return;
    const name = crypto.randomUUID();
    try {
      if (await this.call('hold', { name })) await locks.request(name, () => this.end(GONE));
    } catch {
      // It ended before it held the lock, or this page may not use locks.
    }
  }

  /** @param {any} data */
  #receive(data) {
    if (this.#ended) return;
    if (data.event === 'crashed') {
      this.end(data.notice);
      return;
    }
    if (data.event) {
      this.#onEvent(data);
      return;
    }
    const waiting = this.#calls.get(data.call);
    if (!waiting) return;
    this.#calls.delete(data.call);
    if (!data.error) waiting.resolve(data.value);
    else {
      waiting.reject(data.error);
      if (data.error.code === 'engine_crashed') this.end();
    }
  }

  /**
   * @param {import('../types.js').Notice|null} [ofScreening] What a scan in work is told: it is the cause, unless another call was.
   */
  end(ofScreening = null) {
    if (this.#ended) return;
    this.#ended = true;
    this.#worker.terminate();
    for (const [call, { method, reject }] of this.#calls) {
      if (!ofScreening || method !== 'screen') continue;
      this.#calls.delete(call);
      reject(ofScreening);
    }
    this.#fail(RESTARTED);
    this.#onEvent({ event: 'ended' });
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
    if (this.#ended) return Promise.reject(RESTARTED);
    const call = this.#next++;
    return new Promise((resolve, reject) => {
      this.#calls.set(call, { method, resolve, reject });
      this.#worker.postMessage({ call, method, options }, transfer);
    });
  }

  /**
   * Starts the engine; `samples` are the drawn scans that it can make.
   *
   * @param {WebAssembly.Module|null} module Compiled, if it was before.
   * @param {{room: number, salt: Uint8Array}} options `room` for slices in bytes, and what patients are hashed with.
   * @returns {Promise<{module: WebAssembly.Module, samples: import('../types.js').Sample[]}>}
   */
  start(module, options) {
    return this.call('start', { module, ...options, flag: this.#flag });
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

  /** @param {number} id */
  screen(id) {
    // A cancel that was asked for must not hit the same scan when it is tried again.
    if (this.#flag) Atomics.compareExchange(this.#flag, 0, id + 1, 0);
    return this.call('screen', { id });
  }

  /** @param {number} id */
  cancel(id) {
    if (this.#flag) Atomics.store(this.#flag, 0, id + 1);
    return this.call('cancel', { id });
  }
}

/** What a call is told that another one's crash took with it. */
const RESTARTED = { code: 'engine_restarted', message: 'The engine was restarted.' };

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

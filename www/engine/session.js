/**
 * The engine as the rooms of the page know it: one that survives a crash. A fresh worker takes the place of the old one, is
 * given all scans again under the numbers they had, and only then are the page's calls let through to it, so that no number
 * ever means another scan than before.
 *
 * @typedef {import('../types.js').Found} Found
 * @typedef {import('../types.js').FoundScan} FoundScan
 * @typedef {import('../types.js').Notice} Notice
 *
 * @typedef {object} Given What the engine was given, and what it found in it.
 * @property {'addFiles'|'addSample'} method
 * @property {object} options
 * @property {FoundScan[]} scans
 */
import { EngineClient } from './client.js';

export class Session {
  #client;
  #onEvent;
  /** @type {Given[]} */
  #given = [];
  /** Scans that are read in the order of their file names. */
  #named = new Set();
  #removed = new Set();
  /** Scans that could not be found again. */
  #lost = new Set();
  /** Number of the next scan: none is used twice, not even after a crash. */
  #next = 0;
  /** @type {{bytes: ArrayBuffer, onGpu: boolean}|null} */
  #weights = null;
  /** Settles when the engine holds all scans; calls that come earlier wait for it. */
  #whole = Promise.resolve();
  /** @type {Notice|null} */
  #stopped = null;

  /**
   * @param {import('./client.js').OnEvent} onEvent Gets `restarted` with the numbers of `lost` scans, and `stopped` with the
   *   reason when there is no spare engine left, beside the worker's own events.
   */
  constructor(onEvent) {
    this.#onEvent = onEvent;
    this.#client = new EngineClient((event) => {
      if (event.event === 'crashed') this.#whole = this.#restart();
      else onEvent(event);
    });
  }

  start() {
    return this.#client.start();
  }

  /**
   * @param {ArrayBuffer} bytes
   * @param {boolean} onGpu The GPU worker holds these weights too.
   */
  async loadModel(bytes, onGpu) {
    const weights = { bytes, onGpu };
    await this.#whole;
    const loaded = await this.#client.loadModel(weights);
    this.#weights = weights;
    return loaded;
  }

  /** @type {EngineClient['tryModel']} */
  async tryModel(bytes, test) {
    await this.#whole;
    return this.#client.tryModel(bytes, test);
  }

  /**
   * Answers a scan with another model too, without a change to its answer.
   *
   * @param {number} id
   * @param {ArrayBuffer} bytes
   */
  async screenBeside(id, bytes) {
    const drop = this.#given.find(({ scans }) => scans.some((scan) => scan.id === id));
    const scan = drop?.scans.find((one) => one.id === id);
    if (!drop || !scan) throw { code: 'unknown_scan', message: 'This scan is not open any more. Drop it again.' };
    const { method, options, scans } = drop;
    return this.call('screenBeside', { scan, bytes, method, options, from: scans[0]?.id, named: this.#named.has(id) });
  }

  prepareSpares() {
    return this.#client.prepareSpares();
  }

  /** @type {EngineClient['call']} */
  async call(method, options, transfer) {
    let whole;
    do {
      whole = this.#whole;
      await whole;
      // Crashed again in between, there is another one to wait for.
    } while (whole !== this.#whole);
    if (this.#stopped) throw this.#stopped;
    return this.#client.call(method, options, transfer);
  }

  /**
   * Gives files or a sample to the engine. One at a time: the next waits for this one's numbers.
   *
   * @param {Given['method']} method
   * @param {object} options
   * @returns {Promise<Found>} Rejects with a `Notice`.
   */
  async add(method, options) {
    /** @type {Found} */
    const found = await this.call(method, { ...options, from: this.#next });
    this.#next = Math.max(this.#next, ...found.scans.map(({ id }) => id + 1));
    if (found.scans.length > 0) this.#given.push({ method, options, scans: found.scans });
    return found;
  }

  /** @param {number} id */
  remove(id) {
    this.#removed.add(id);
    // A scan that is gone already is as good as removed.
    this.call('remove', { id }).catch(() => {});
  }

  /**
   * @param {number} id
   * @param {boolean} named
   */
  async useNamedOrder(id, named) {
    await this.call('useNamedOrder', { id, named });
    if (named) this.#named.add(id);
    else this.#named.delete(id);
  }

  /** @param {number} id */
  cancel(id) {
    // An engine that crashed meanwhile has nothing to cancel.
    this.#client.cancel(id).catch(() => {});
  }

  clearCancel() {
    this.#client.clearCancel();
  }

  async #restart() {
    if (!this.#client.takeSpare()) {
      this.#stop({ code: 'engine_stopped', message: 'The engine stopped again. Finished answers stay: save them, and reload the page to go on.' });
      return;
    }
    try {
      await this.#client.start();
      if (this.#weights) await this.#client.loadModel(this.#weights);
      await this.#client.call('seal');
      for (const drop of [...this.#given]) await this.#giveAgain(drop);
      this.#onEvent({ event: 'restarted', lost: [...this.#lost] });
    } catch (error) {
      // After another crash the next engine is on its way.
      if (!isCrash(error)) this.#stop(/** @type {Notice} */ (error));
    }
  }

  /** @param {Given} drop */
  async #giveAgain(drop) {
    const { method, options, scans } = drop;
    const [first] = scans;
    if (!first || scans.every(({ id }) => this.#removed.has(id))) return;
    // Until it is there again it counts as lost, and so it does if the engine crashes on it.
    this.#given = this.#given.filter((other) => other !== drop);
    for (const { id } of scans) this.#lost.add(id);
    /** @type {FoundScan[]} */
    let again = [];
    try {
      ({ scans: again } = await this.#client.call(method, { ...options, from: first.id }));
    } catch (error) {
      if (isCrash(error)) throw error;
    }
    // Files can be changed or be out of reach by now; what is not the same scan must not have its number.
    const same = again.length === scans.length && again.every((scan, place) => isSame(scan, scans[place]));
    for (const { id } of again) {
      if (!same || this.#removed.has(id)) await this.#client.call('remove', { id });
      else if (this.#named.has(id)) await this.#client.call('useNamedOrder', { id, named: true });
    }
    if (!same) return;
    this.#given.push(drop);
    for (const { id } of scans) this.#lost.delete(id);
  }

  /** @param {Notice} reason */
  #stop(reason) {
    this.#stopped = reason;
    this.#onEvent({ event: 'stopped', reason });
  }
}

/** @param {unknown} error */
const isCrash = (error) => ['engine_crashed', 'engine_restarted'].includes(/** @type {Notice} */ (error)?.code);

/**
 * @param {FoundScan} scan
 * @param {FoundScan} [before]
 */
function isSame(scan, before) {
  return before !== undefined && scan.id === before.id && scan.name === before.name && scan.kind === before.kind && scan.slices === before.slices;
}

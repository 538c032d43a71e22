/**
 * An engine in a worker of its own, with what it was given so far. It is given a drop and a model when it needs them: so one
 * that joins the others, or takes the place of one that crashed, has all that they had.
 *
 * @typedef {import('../types.js').FoundScan} FoundScan
 * @typedef {import('../types.js').Notice} Notice
 * @typedef {{bytes: ArrayBuffer, onGpu: boolean}} Weights `onGpu`: the GPU worker holds them too.
 *
 * @typedef {object} Drop Files or a sample, and what was found in them.
 * @property {'addFiles'|'addSample'} method
 * @property {object} options
 * @property {FoundScan[]} scans
 * @property {Set<number>} named Scans that are read in the order of their file names.
 * @property {Set<number>} removed
 * @property {boolean} lost An engine crashed on it when it was given it again: no other one is.
 */

/** @type {Notice} */
const CHANGED = { code: 'files_changed', message: 'Another engine took over and did not find this scan in its files again. Drop them once more.' };

export class Engine {
  /** It looks at a scan. */
  busy = false;
  /** @type {Map<Drop, Promise<void>>} */
  #drops = new Map();
  /** @type {Weights|null} */
  #weights = null;

  /**
   * @param {import('./client.js').EngineClient} client
   * @param {Promise<unknown>} up Settles when it has started, and never rejects.
   */
  constructor(client, up) {
    this.client = client;
    this.up = up;
  }

  /** @param {Drop} drop */
  has(drop) {
    return this.#drops.has(drop);
  }

  /** @param {Drop} drop It found this itself. */
  found(drop) {
    this.#drops.set(drop, Promise.resolve());
  }

  /** @param {Drop} drop */
  forget(drop) {
    this.#drops.delete(drop);
  }

  /**
   * @param {Drop} drop
   * @returns {Promise<void>} Rejects with a `Notice`; asked again, it tries again.
   */
  give(drop) {
    const before = this.#drops.get(drop);
    if (before) return before;
    const given = this.#find(drop);
    this.#drops.set(drop, given);
    given.catch(() => this.#drops.delete(drop));
    return given;
  }

  /** @param {Drop} drop */
  async #find(drop) {
    const { method, options, scans, named, removed } = drop;
    if (drop.lost) throw CHANGED;
    /** @type {FoundScan[]} */
    let again = [];
    try {
      ({ scans: again } = await this.client.call(method, { ...options, from: scans[0]?.id }));
    } catch (error) {
      const { code } = /** @type {Notice} */ (error);
      if (code === 'engine_crashed') drop.lost = true;
      if (code === 'engine_crashed' || code === 'engine_restarted') throw error;
    }
    // Files can be changed or be out of reach by now; what is not the same scan must not have its number.
    const same = again.length === scans.length && again.every((scan, place) => isSame(scan, scans[place]));
    for (const { id } of again) {
      if (!same || removed.has(id)) await this.client.call('remove', { id });
      else if (named.has(id)) await this.client.call('useNamedOrder', { id, named: true });
    }
    if (!same) throw CHANGED;
  }

  /** @param {Weights} weights */
  async load(weights) {
    const loaded = await this.client.loadModel(weights);
    this.#weights = weights;
    return loaded;
  }

  /**
   * Looks at a scan of a drop.
   *
   * @param {number} id
   * @param {Drop} drop
   * @param {Weights|null} weights Of the model that answers.
   * @param {() => boolean} isCancelled
   */
  async screen(id, drop, weights, isCancelled) {
    this.busy = true;
    try {
      await this.up;
      await this.give(drop);
      if (weights && weights !== this.#weights) await this.load(weights);
      if (isCancelled()) throw { code: 'cancelled', message: 'Cancelled.' };
      return await this.client.screen(id);
    } finally {
      this.busy = false;
    }
  }
}

/**
 * @param {FoundScan} scan
 * @param {FoundScan} [before]
 */
function isSame(scan, before) {
  return before !== undefined && scan.id === before.id && scan.name === before.name && scan.kind === before.kind && scan.slices === before.slices;
}

/**
 * Slices of the scan in view, fetched from the worker: the one wanted first, then its neighbours outwards.
 *
 * @typedef {{grey: Int16Array, heat: Uint8Array|null}} Slice
 */

/** Slices kept around the one in view are bounded by this many bytes. */
const BUDGET_BYTES = 192 * 1024 * 1024;

export class Slices {
  /** @type {Map<number, Slice>} */
  #kept = new Map();
  #centre = 0;
  #running = false;
  #closed = false;
  #reach;

  /**
   * @param {number} count
   * @param {number} pixels Of one slice.
   * @param {(z: number) => Promise<Slice>} fetchSlice
   * @param {(z: number) => void} onSlice
   */
  constructor(count, pixels, fetchSlice, onSlice) {
    this.count = count;
    this.fetchSlice = fetchSlice;
    this.onSlice = onSlice;
    this.#reach = Math.max(8, Math.floor(BUDGET_BYTES / (pixels * 3) / 2));
  }

  /** @param {number} z */
  get(z) {
    return this.#kept.get(z) ?? null;
  }

  /** @param {number} z The slice that the person looks at now. */
  lookAt(z) {
    this.#centre = z;
    if (!this.#running) this.#run();
  }

  close() {
    this.#closed = true;
    this.#kept.clear();
  }

  /** The missing slice nearest to the one in view, within reach. */
  #next() {
    for (let distance = 0; distance <= this.#reach; distance++) {
      for (const z of [this.#centre + distance, this.#centre - distance]) {
        if (z >= 0 && z < this.count && !this.#kept.has(z)) return z;
      }
    }
    return null;
  }

  async #run() {
    this.#running = true;
    for (let z = this.#next(); z !== null && !this.#closed; z = this.#next()) {
      try {
        const slice = await this.fetchSlice(z);
        if (this.#closed) break;
        this.#kept.set(z, slice);
        this.onSlice(z);
      } catch {
        // The worker is being restarted or the scan was removed: the next look starts again.
        break;
      }
      for (const kept of this.#kept.keys()) {
        if (Math.abs(kept - this.#centre) > this.#reach) this.#kept.delete(kept);
      }
    }
    this.#running = false;
  }
}

/**
 * Slices of the scan in view, fetched from the worker: the one wanted first, then its neighbours outwards, until all have
 * been here once. Coronal and sagittal pictures are cut from them.
 *
 * @typedef {{grey: Int16Array, heat: Uint8Array|null}} Slice
 * @typedef {{grey: Int16Array, heat: Uint8Array|null, columns: number, rows: number}} Picture
 * @typedef {{hounsfield: Int16Array, shape: number[]}} NetInput What the network was given, slice by slice.
 */

/** Slices kept around the one in view are bounded by this many bytes. */
const BUDGET_BYTES = 192 * 1024 * 1024;
/** Cuts are made from a coarser copy where the volume has more voxels than this. */
const FINE_VOXELS = 24 * 1024 * 1024;
const AIR = -1024;

/**
 * The slice of the network's input that a slice of the volume went into: thin ones go in as the mean of several.
 *
 * @param {NetInput} input
 * @param {import('../types.js').Report} report
 * @param {number} z
 * @returns {Picture|null} `null` for a slice that was not looked at.
 */
export function netPicture({ hounsfield, shape }, report, z) {
  const scored = report.slices.filter((slice) => slice.probability !== null).map((slice) => slice.position);
  const at = scored.indexOf(z);
  const [slices = 0, rows = 0, columns = 0] = shape;
  if (at < 0) return null;
  const place = Math.floor((at * slices) / scored.length);
  return { grey: hounsfield.subarray(place * rows * columns, (place + 1) * rows * columns), heat: null, rows, columns };
}

export class Slices {
  /** @type {Map<number, Slice>} */
  #kept = new Map();
  /** @type {(Slice|null)[]} Every slice that was here once, coarser where the volume is large. */
  #coarse;
  #centre = 0;
  #running = false;
  #closed = false;
  #reach;
  #step;

  /**
   * @param {{slices: number, rows: number, columns: number}} shape
   * @param {(z: number) => Promise<Slice>} fetchSlice
   * @param {(z: number) => void} onSlice
   */
  constructor({ slices, rows, columns }, fetchSlice, onSlice) {
    this.count = slices;
    this.rows = rows;
    this.columns = columns;
    this.fetchSlice = fetchSlice;
    this.onSlice = onSlice;
    this.#reach = Math.max(8, Math.floor(BUDGET_BYTES / (rows * columns * 3) / 2));
    this.#step = Math.ceil(Math.sqrt((slices * rows * columns) / FINE_VOXELS));
    this.#coarse = new Array(slices).fill(null);
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
    this.#coarse = [];
  }

  /**
   * The plane through row `y`: columns by slices, vertex on top.
   *
   * @param {number} y
   */
  coronal(y) {
    const columns = Math.ceil(this.columns / this.#step);
    return this.#cut(columns, Math.floor(y / this.#step) * columns, 1);
  }

  /**
   * The plane through column `x`: rows by slices, vertex on top, the nose to the left.
   *
   * @param {number} x
   */
  sagittal(x) {
    const columns = Math.ceil(this.columns / this.#step);
    return this.#cut(Math.ceil(this.rows / this.#step), Math.floor(x / this.#step), columns);
  }

  /**
   * @param {number} length Pixels of a line of the cut.
   * @param {number} start Index of its first pixel in a slice.
   * @param {number} stride
   * @returns {Picture}
   */
  #cut(length, start, stride) {
    const rows = this.count;
    const grey = new Int16Array(length * rows).fill(AIR);
    const withHeat = this.#coarse.some((slice) => slice?.heat);
    const heat = withHeat ? new Uint8Array(length * rows) : null;
    for (const [z, slice] of this.#coarse.entries()) {
      if (!slice) continue;
      const line = (rows - 1 - z) * length;
      for (let i = 0, from = start; i < length; i++, from += stride) {
        grey[line + i] = slice.grey[from] ?? AIR;
        if (heat && slice.heat) heat[line + i] = slice.heat[from] ?? 0;
      }
    }
    return { grey, heat, columns: length, rows };
  }

  /**
   * Every `#step`th pixel: the cuts of a large volume are drawn smaller than it is.
   *
   * @param {Slice} slice
   * @returns {Slice}
   */
  #coarser(slice) {
    const step = this.#step;
    if (step === 1) return slice;
    const [rows, columns] = [Math.ceil(this.rows / step), Math.ceil(this.columns / step)];
    const grey = new Int16Array(rows * columns);
    const heat = slice.heat ? new Uint8Array(rows * columns) : null;
    for (let row = 0, to = 0; row < rows; row++) {
      for (let column = 0, from = row * step * this.columns; column < columns; column++, from += step, to++) {
        grey[to] = slice.grey[from] ?? AIR;
        if (heat && slice.heat) heat[to] = slice.heat[from] ?? 0;
      }
    }
    return { grey, heat };
  }

  /** The missing slice nearest to the one in view: all within reach, and beyond it those that the cuts still lack. */
  #next() {
    for (let distance = 0; distance < this.count; distance++) {
      for (const z of [this.#centre + distance, this.#centre - distance]) {
        if (z < 0 || z >= this.count) continue;
        if (distance <= this.#reach ? !this.#kept.has(z) : !this.#coarse[z]) return z;
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
        this.#coarse[z] ??= this.#coarser(slice);
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

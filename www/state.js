/**
 * The one place where the page's state lives. Rooms read it and are told when it changed; only actions change it.
 *
 * @typedef {import('./types.js').State} State
 * @typedef {import('./types.js').Row} Row
 */

/** @returns {State} */
export function initialState() {
  return {
    phase: 'loading',
    fault: null,
    backend: { name: null, settled: false, reason: 'Loading', details: {} },
    model: null,
    modelFault: null,
    models: [],
    trying: '',
    notUsed: null,
    rows: [],
    selected: null,
    opening: 0,
    setAside: [],
    ignored: 0,
    search: '',
    filter: 'all',
    sort: 'added',
    look: { z: 0, x: 0, y: 0, cross: false, window: { level: 40, width: 80 }, net: false, heat: true, opacity: 0.6, split: false, planes: true, zoom: 1, pan: { x: 0, y: 0 } },
    language: 'en',
  };
}

export class Store {
  /** @type {State} */
  #state = initialState();
  /** @type {((state: State) => void)[]} */
  #listeners = [];
  #scheduled = false;

  get state() {
    return this.#state;
  }

  /** @param {(state: State) => void} listener Called at most once a frame. */
  subscribe(listener) {
    this.#listeners.push(listener);
  }

  /** @param {Partial<State>} change */
  set(change) {
    this.#state = { ...this.#state, ...change };
    this.#schedule();
  }

  /**
   * @param {string} key
   * @param {Partial<Row>} change
   */
  setRow(key, change) {
    this.set({ rows: this.#state.rows.map((row) => (row.key === key ? { ...row, ...change } : row)) });
  }

  /** @param {Partial<import('./types.js').Look>} change */
  look(change) {
    this.set({ look: { ...this.#state.look, ...change } });
  }

  /** @param {string|null} key */
  row(key) {
    return this.#state.rows.find((row) => row.key === key) ?? null;
  }

  get selectedRow() {
    return this.row(this.#state.selected);
  }

  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // A frame may never come in a hidden tab, where a batch has to go on: a timer stands in.
    const run = () => {
      if (!this.#scheduled) return;
      this.#scheduled = false;
      for (const listener of this.#listeners) listener(this.#state);
    };
    requestAnimationFrame(run);
    setTimeout(run, 50);
  }
}

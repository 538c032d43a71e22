/**
 * The scans of the work list and their way through the engine, as many at a time as it takes.
 *
 * @typedef {import('./types.js').Found} Found
 * @typedef {import('./types.js').Notice} Notice
 * @typedef {import('./types.js').Row} Row
 */
import { percent, t } from './i18n/i18n.js';

/** Large scans wait for each other: those that are looked at together have no more slices than this, so that they fit in a tab. */
const SLICES_AT_A_TIME = 256;

export class Scans {
  /** Drops go in one at a time, so that their lines stand in the order in which they came. */
  #adding = Promise.resolve();
  /** @type {Map<string, Promise<void>>} Attempts that are under way, by the key of their row; a cancelled one ends a little later. */
  #working = new Map();
  /** What may not happen while a scan is looked at waits here for its turn. */
  #turn = Promise.resolve();
  /** How many wait there: no scan is begun before they are through. */
  #between = 0;
  #nextKey = 0;

  /**
   * @param {import('./state.js').Store} store
   * @param {import('./engine/session.js').Session} engine
   * @param {{engineUp: Promise<unknown>, forced: string|null, say: (words: string) => void}} page
   */
  constructor(store, engine, { engineUp, forced, say }) {
    this.store = store;
    this.engine = engine;
    this.engineUp = engineUp;
    this.forced = forced;
    this.say = say;
  }

  // -------------------------------------------------------------- in

  /** @param {Promise<import('./drop/files.js').Drop>} drop */
  addFiles(drop) {
    this.#add(t('drop'), async () => {
      const files = await drop;
      await this.engineUp;
      this.#found(await this.engine.add('addFiles', files));
    });
  }

  /**
   * @param {number} index
   * @param {() => string} title
   */
  addSample(index, title) {
    this.#add(t('sample'), async () => {
      await this.engineUp;
      this.#found(await this.engine.add('addSample', { index }), title());
    });
  }

  /**
   * @param {string} name
   * @param {() => Promise<void>} work
   */
  #add(name, work) {
    const { store } = this;
    store.set({ opening: store.state.opening + 1 });
    this.#adding = this.#adding.then(async () => {
      try {
        await work();
      } catch (error) {
        const refusal = /** @type {Notice} */ (error);
        const row = { ...this.#blank(), name, refusal, outcome: /** @type {const} */ ('refused') };
        store.set({ rows: [...store.state.rows, row], selected: store.state.selected ?? row.key });
        this.say(refusal.message);
      }
      store.set({ opening: store.state.opening - 1 });
    });
  }

  /** @returns {Row} */
  #blank() {
    return { key: `row-${this.#nextKey++}`, id: null, name: '', kind: '', slices: 0, synthetic: false, outcome: 'waiting', step: '', done: 0, total: 0, report: null, refusal: null, sources: [], view: null, thumbnail: null, namedOrder: false };
  }

  /**
   * @param {Found} drop
   * @param {string} [sample] Title of the drawn scan that the drop is.
   */
  #found({ scans, refused, set_aside: setAside, ignored }, sample) {
    const { state } = this.store;
    // A drop of nothing but left-out files still gets its line, or it would vanish without a word.
    const said = scans.length + refused.length === 0 ? setAside : refused;
    /** @type {Row[]} */
    const rows = [
      ...scans.map((scan) => ({ ...this.#blank(), ...scan, name: sample ?? scan.name })),
      ...said.map((report) => ({ ...this.#blank(), name: report.scan || t('drop'), sources: report.sources, report, refusal: report.refusal, outcome: /** @type {const} */ ('refused') })),
    ];
    // A sample is asked for to be seen; a second drop does not take the person away from what they look at.
    const keep = this.store.selectedRow !== null && !sample;
    this.store.set({
      rows: [...state.rows, ...rows],
      selected: keep ? state.selected : (rows[0]?.key ?? state.selected),
      setAside: said === setAside ? state.setAside : [...state.setAside, ...setAside],
      ignored: state.ignored + ignored,
    });
    this.say(scans.length === 0 && said.length > 0 ? `${t('drop.nothing')} ${said[0]?.refusal?.message ?? ''}` : t('drop.found', { scans: scans.length, refused: said.length }));
    this.pump();
  }

  // -------------------------------------------------------------- through

  /** Screens what waits, the selected scan first. */
  pump() {
    for (let row = this.#nextWaiting(); row && this.#mayBegin(row); row = this.#nextWaiting()) {
      const { key } = row;
      this.#working.set(key, this.#screen(row).finally(() => {
        this.#working.delete(key);
        this.pump();
      }));
    }
  }

  /** @param {Row} row */
  #mayBegin({ slices }) {
    if (this.#between > 0 || !this.#mayScreen()) return false;
    const together = this.store.state.rows.reduce((sum, row) => sum + (this.#working.has(row.key) ? row.slices : 0), slices);
    return this.#working.size === 0 || (this.#working.size < this.engine.width && together <= SLICES_AT_A_TIME);
  }

  /**
   * Does the work while no scan is looked at: after those under way, before the next.
   *
   * @param {() => Promise<void>} work
   * @returns {Promise<void>}
   */
  between(work) {
    this.#between += 1;
    const done = this.#turn.then(() => Promise.all(this.#working.values())).then(work).finally(() => {
      this.#between -= 1;
      this.pump();
    });
    this.#turn = done.catch(() => {});
    return done;
  }

  #mayScreen() {
    const { phase } = this.store.state;
    // With a forced backend an answer of another one would be a surprise.
    return phase === 'ready' || (phase === 'usable' && this.forced !== 'webgpu');
  }

  #nextWaiting() {
    const { rows, selected } = this.store.state;
    const waiting = rows.filter((row) => row.outcome === 'waiting' && row.id !== null && !this.#working.has(row.key));
    return waiting.find((row) => row.key === selected) ?? waiting[0] ?? null;
  }

  /** @param {Row} row */
  async #screen({ key, id, slices, name }) {
    if (id === null) return;
    const { store } = this;
    store.setRow(key, { outcome: 'working', step: 'read', done: 0, total: slices });
    try {
      const { report, view, thumbnail } = await this.engine.screen(id);
      if (store.row(key)?.outcome !== 'working') return;
      store.setRow(key, { report, view, thumbnail, outcome: report.outcome, refusal: report.refusal, sources: report.sources });
      this.say(report.finding && report.probability !== null ? `${name}: ${t(`says.${report.finding}`)}, ${percent(report.probability)}` : `${name}: ${t('finding.refused')}. ${report.refusal?.message ?? ''}`);
    } catch (error) {
      const refusal = /** @type {Notice} */ (error);
      // Cancelled and perhaps already asked for again, while this attempt was on its way out.
      if (store.row(key)?.outcome !== 'working') return;
      if (refusal.code === 'cancelled') store.setRow(key, { outcome: 'cancelled' });
      // Not this scan's fault: the next engine looks at it.
      else if (refusal.code === 'engine_restarted') store.setRow(key, { outcome: 'waiting' });
      else store.setRow(key, { outcome: 'refused', refusal });
    }
  }

  /** @param {string} key */
  cancel(key) {
    const row = this.store.row(key);
    if (!row) return;
    if (row.outcome === 'working' && row.id !== null) this.engine.cancel(row.id);
    this.store.setRow(key, { outcome: 'cancelled' });
    this.say(`${row.name}: ${t('state.cancelled')}`);
  }

  cancelAll() {
    // What waits first, so that nothing begins in between.
    for (const outcome of ['waiting', 'working']) {
      for (const row of this.store.state.rows) if (row.outcome === outcome) this.cancel(row.key);
    }
  }

  /** @param {string} key */
  retry(key) {
    if (this.store.row(key)?.id === null) return;
    this.store.setRow(key, { outcome: 'waiting', refusal: null, report: null });
    this.pump();
  }

  /** @param {string} key */
  remove(key) {
    const row = this.store.row(key);
    const { rows, selected } = this.store.state;
    const index = rows.findIndex((candidate) => candidate.key === key);
    const rest = rows.filter((candidate) => candidate.key !== key);
    this.store.set({ rows: rest, selected: selected === key ? (rest[Math.min(index, rest.length - 1)]?.key ?? null) : selected });
    if (row && row.id !== null) this.engine.remove(row.id);
  }

  removeAll() {
    this.cancelAll();
    const { rows } = this.store.state;
    this.store.set({ rows: [], selected: null, setAside: [], ignored: 0, search: '', filter: 'all', sort: 'added' });
    for (const { id } of rows) if (id !== null) this.engine.remove(id);
  }

  /**
   * @param {string} key
   * @param {boolean} named
   */
  async useNamedOrder(key, named) {
    const row = this.store.row(key);
    if (!row || row.id === null) return;
    await this.engine.useNamedOrder(row.id, named);
    this.store.setRow(key, { namedOrder: named, outcome: 'waiting', report: null, view: null });
    this.pump();
  }

  /** @param {string} key */
  async select(key) {
    this.store.set({ selected: key });
    try {
      await this.open(key);
    } catch (error) {
      this.store.setRow(key, { view: null });
      this.say(/** @type {Notice} */ (error).message);
    }
  }

  /**
   * Slices of a scan that was looked at long ago may have been let go: they are read again.
   *
   * @param {string} key
   */
  async open(key) {
    const row = this.store.row(key);
    if (row?.view && row.id !== null) await this.engine.call('open', { id: row.id });
  }

  // -------------------------------------------------------------- what the engine says

  /**
   * @param {number} id
   * @param {Pick<Row, 'step'|'done'|'total'>} progress
   */
  progress(id, { step, done, total }) {
    const row = this.store.state.rows.find((candidate) => candidate.id === id);
    if (row?.outcome === 'working') this.store.setRow(row.key, { step, done, total });
  }

  /** The slices in view may have gone with the old engine. */
  restarted() {
    const { selected } = this.store.state;
    if (selected) void this.select(selected);
  }
}

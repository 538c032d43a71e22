/**
 * The scans of the work list and their way through the engine, one at a time.
 *
 * @typedef {import('./types.js').Found} Found
 * @typedef {import('./types.js').Notice} Notice
 * @typedef {import('./types.js').Row} Row
 */
import { percent, t } from './i18n/i18n.js';

export class Scans {
  /**
   * Everything that was given to the engine, in order: a restarted engine gets it again and finds the same numbers.
   *
   * @type {({paths: string[], files: File[]} | {index: number})[]}
   */
  #given = [];
  /** Calls that make the engine number scans go one at a time, so that `#given` and the numbers agree. */
  #adding = Promise.resolve();
  #pumping = false;
  #nextKey = 0;
  /** Settles when a crashed engine has been replaced. */
  #restarted = Promise.resolve();

  /**
   * @param {import('./state.js').Store} store
   * @param {import('./engine/client.js').EngineClient} engine
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
      this.#found(await this.engine.call('addFiles', files));
      this.#given.push(files);
    });
  }

  /**
   * @param {number} index
   * @param {() => string} title
   */
  addSample(index, title) {
    this.#add(t('sample'), async () => {
      await this.engineUp;
      this.#found(await this.engine.call('addSample', { index }), title());
      this.#given.push({ index });
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
  async pump() {
    if (this.#pumping || !this.#mayScreen()) return;
    this.#pumping = true;
    for (let row = this.#nextWaiting(); row; row = this.#nextWaiting()) await this.#screen(row);
    this.#pumping = false;
  }

  #mayScreen() {
    const { phase } = this.store.state;
    // With a forced backend an answer of another one would be a surprise.
    return phase === 'ready' || (phase === 'usable' && this.forced !== 'webgpu');
  }

  #nextWaiting() {
    const { rows, selected } = this.store.state;
    const waiting = rows.filter((row) => row.outcome === 'waiting' && row.id !== null);
    return waiting.find((row) => row.key === selected) ?? waiting[0] ?? null;
  }

  /** @param {Row} row */
  async #screen({ key, id, slices, name }) {
    if (id === null) return;
    const { store } = this;
    store.setRow(key, { outcome: 'working', step: 'read', done: 0, total: slices });
    try {
      const { report, view, thumbnail } = await this.engine.call('screen', { id });
      if (store.row(key)?.outcome !== 'working') return;
      store.setRow(key, { report, view, thumbnail, outcome: report.outcome, refusal: report.refusal, sources: report.sources });
      this.say(report.finding && report.probability !== null ? `${name}: ${t(`says.${report.finding}`)}, ${percent(report.probability)}` : `${name}: ${t('finding.refused')}. ${report.refusal?.message ?? ''}`);
    } catch (error) {
      const refusal = /** @type {Notice} */ (error);
      if (refusal.code === 'engine_crashed') await this.#restarted;
      // Cancelled and perhaps already asked for again, while this attempt was on its way out.
      if (store.row(key)?.outcome !== 'working') return;
      if (refusal.code === 'cancelled') store.setRow(key, { outcome: 'cancelled' });
      else store.setRow(key, { outcome: 'refused', refusal });
    }
  }

  /** @param {string} key */
  cancel(key) {
    const row = this.store.row(key);
    if (!row) return;
    if (row.outcome === 'working' && row.id !== null) void this.engine.cancel(row.id);
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
    this.engine.clearCancel();
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
    if (row && row.id !== null) void this.engine.call('remove', { id: row.id }).catch(() => {});
  }

  removeAll() {
    this.cancelAll();
    const { rows } = this.store.state;
    this.store.set({ rows: [], selected: null, setAside: [], ignored: 0, search: '', filter: 'all', sort: 'added' });
    for (const { id } of rows) if (id !== null) void this.engine.call('remove', { id }).catch(() => {});
  }

  /**
   * @param {string} key
   * @param {boolean} named
   */
  async useNamedOrder(key, named) {
    const row = this.store.row(key);
    if (!row || row.id === null) return;
    await this.engine.call('useNamedOrder', { id: row.id, named });
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

  /**
   * Puts the spare engine in the place of one that crashed, and gives it all that the first one had.
   *
   * @param {(fault: Notice) => void} onFault
   */
  restart(onFault) {
    this.#restarted = this.#restart(onFault);
  }

  /** @param {(fault: Notice) => void} onFault */
  async #restart(onFault) {
    const { engine, store } = this;
    if (!engine.takeSpare()) {
      onFault({ code: 'engine_crashed', message: t('fault.again') });
      return;
    }
    await engine.start();
    if (store.state.model) await engine.loadModel();
    await engine.call('seal');
    for (const drop of this.#given) await engine.call('index' in drop ? 'addSample' : 'addFiles', drop);
    const { backend } = store.state;
    store.set({ backend: { ...backend, name: 'cpu', reason: 'CPU. The engine was restarted after a crash.' } });
  }
}

/**
 * The engines as the rooms of the page know them: one, which survives crashes and looks at several scans at a time where
 * there are cores for it. Each call goes to the engine that has its scan; a fresh worker takes the place of one that crashed,
 * and is given the scans again under the numbers they had, so that no number ever means another scan than before.
 *
 * @typedef {import('../types.js').Found} Found
 * @typedef {import('../types.js').Notice} Notice
 * @typedef {import('./engine.js').Drop} Drop
 */
import { EngineClient } from './client.js';
import { Engine } from './engine.js';
import { carriedEngine } from './source.js';

/**
 * Workers beside the first, prepared before the page says that it is ready, so that nothing is fetched even when they start.
 * They compute when there is more than one scan to look at, or when an engine crashed. An idle one costs a few megabytes.
 */
const SPARES = 3;

/** Volumes that all engines keep together; a scan is read again in about a second. */
const ROOM_BYTES = 512 * 1024 * 1024;

/** @type {Notice} */
const UNKNOWN = { code: 'unknown_scan', message: 'This scan is not open any more. Drop it again.' };

/**
 * How many engines compute at a time. Half of the cores that a browser counts are often not whole ones, and each engine takes
 * memory: a tab is to stay below 1.5 GB.
 *
 * @param {{hardwareConcurrency?: number, deviceMemory?: number}} machine `deviceMemory` in GiB, 8 at most, where the browser tells it.
 */
export function enginesFor({ hardwareConcurrency = 1, deviceMemory = 4 }) {
  if (hardwareConcurrency < 2 || deviceMemory < 4) return 1;
  return Math.min(Math.max(2, Math.floor(hardwareConcurrency / 2)), deviceMemory < 8 ? 2 : SPARES + 1);
}

export class Session {
  #onEvent;
  #most = enginesFor(globalThis.navigator ?? {});
  /** @type {Engine[]} Those that compute; what belongs to no scan is asked of the first. */
  #engines;
  /** @type {EngineClient[]} */
  #spares = [];
  /** @type {WebAssembly.Module|null} */
  #module = null;
  /** @type {Drop[]} */
  #drops = [];
  /** @type {Map<number, Engine>} Which engine looked at a scan last: it has its slices and its map. */
  #holders = new Map();
  #cancelled = new Set();
  // Stays in memory: with the page it is gone, and nobody can tell any more who is behind a hash.
  #salt = crypto.getRandomValues(new Uint8Array(16));
  /** Number of the next scan: none is used twice, not even after a crash. */
  #next = 0;
  /** @type {import('./engine.js').Weights|null} */
  #weights = null;
  /** @type {Engine|null} The one that can ask the GPU. */
  #withGpu = null;
  /** @type {Engine|null} The one that holds a scan beside its own, for another model. */
  #beside = null;
  /** @type {Notice|null} */
  #stopped = null;

  /**
   * @param {import('./client.js').OnEvent} onEvent Gets `restarted` when a fresh engine has taken over (`lostGpu`: from the one
   *   that asked the GPU), and `stopped` with the reason when none is left, beside the workers' own events.
   */
  constructor(onEvent) {
    this.#onEvent = onEvent;
    // Started by `start`, before which nobody calls.
    this.#engines = [new Engine(this.#spawn(), Promise.resolve())];
  }

  #spawn() {
    const client = new EngineClient((event) => {
      if (event.event === 'ended') this.#replace(client);
      else {
        if (event.event === 'gpu-lost') this.#withGpu = null;
        this.#onEvent(event);
      }
    });
    return client;
  }

  /** Starts the first engine; the answer is the drawn scans that it can make. */
  async start() {
    const { module, samples } = await this.#first.client.start(await carriedEngine(), this.#held);
    this.#module = module;
    return samples;
  }

  get #first() {
    const [first] = this.#engines;
    if (!first) throw this.#stopped;
    return first;
  }

  get #held() {
    return { room: ROOM_BYTES / this.#most, salt: this.#salt };
  }

  /** Makes the spare workers fetch their files now. */
  async prepareSpares() {
    for (let n = 0; n < SPARES; n++) {
      const spare = this.#spawn();
      try {
        await spare.call('prepare');
        // It has all it will need.
        await spare.call('seal');
        this.#spares.push(spare);
      } catch {
        spare.end();
      }
    }
  }

  /** @param {EngineClient} spare */
  #engineOf(spare) {
    // One that does not start is as good as one that crashed.
    return new Engine(spare, spare.start(this.#module, this.#held).catch(() => spare.end()));
  }

  /** @param {EngineClient} ended */
  #replace(ended) {
    this.#spares = this.#spares.filter((spare) => spare !== ended);
    const place = this.#engines.findIndex(({ client }) => client === ended);
    if (place < 0) return;
    const spare = this.#spares.shift();
    const [crashed] = this.#engines.splice(place, 1, ...(spare ? [this.#engineOf(spare)] : []));
    const lostGpu = crashed === this.#withGpu;
    if (lostGpu) this.#withGpu = null;
    const next = this.#engines[place] ?? this.#engines[0];
    if (next) void next.up.then(() => this.#onEvent({ event: 'restarted', lostGpu }));
    else {
      this.#stopped = { code: 'engine_stopped', message: 'The engine stopped again. Finished answers stay: save them, and reload the page to go on.' };
      this.#onEvent({ event: 'stopped', reason: this.#stopped });
    }
  }

  /**
   * @param {() => Engine} choose
   * @returns {Promise<Engine>} One that has started.
   */
  async #started(choose) {
    for (;;) {
      const engine = choose();
      await engine.up;
      // Crashed in between, another one has its place.
      if (this.#engines.includes(engine)) return engine;
    }
  }

  /** @param {number} id */
  #dropOf(id) {
    const drop = this.#drops.find(({ scans, removed }) => !removed.has(id) && scans.some((scan) => scan.id === id));
    if (!drop) throw UNKNOWN;
    return drop;
  }

  /** @param {number} id */
  #holderOf(id) {
    const holder = this.#holders.get(id);
    return holder && this.#engines.includes(holder) ? holder : this.#first;
  }

  // -------------------------------------------------------------- scans

  /**
   * Gives files or a sample to an engine. One at a time: the next waits for this one's numbers.
   *
   * @param {Drop['method']} method
   * @param {object} options
   * @returns {Promise<Found>} Rejects with a `Notice`.
   */
  async add(method, options) {
    const engine = await this.#started(() => this.#engines.find(({ busy }) => !busy) ?? this.#first);
    /** @type {Found} */
    const found = await engine.client.call(method, { ...options, from: this.#next });
    this.#next = Math.max(this.#next, ...found.scans.map(({ id }) => id + 1));
    const drop = { method, options, scans: found.scans, named: new Set(), removed: new Set(), lost: false };
    if (found.scans.length > 0) {
      this.#drops.push(drop);
      engine.found(drop);
    }
    return found;
  }

  /** How many scans can be looked at at a time. A GPU takes one after the other. */
  get width() {
    if (this.#withGpu && this.#weights?.onGpu) return 1;
    return Math.max(1, Math.min(this.#most, this.#engines.length + this.#spares.length));
  }

  /**
   * Looks at a scan, in an engine that looks at no other.
   *
   * @param {number} id
   * @returns {Promise<any>} What `screen` of `worker.js` answers. Rejects with a `Notice`.
   */
  async screen(id) {
    const drop = this.#dropOf(id);
    const engine = this.#engineFor(id, drop);
    this.#holders.set(id, engine);
    this.#cancelled.delete(id);
    return engine.screen(id, drop, this.#weights, () => this.#cancelled.has(id));
  }

  /**
   * @param {number} id
   * @param {Drop} drop
   */
  #engineFor(id, drop) {
    if (this.#withGpu && this.#weights?.onGpu) return this.#withGpu;
    const free = this.#engines.filter(({ busy }) => !busy);
    const holder = this.#holders.get(id);
    return free.find((engine) => engine === holder) ?? free.find((engine) => engine.has(drop)) ?? free[0] ?? this.#join() ?? this.#first;
  }

  /** Another engine beside those that are busy, where there may be one. */
  #join() {
    const spare = this.#engines.length < this.#most ? this.#spares.shift() : undefined;
    if (!spare) return null;
    const engine = this.#engineOf(spare);
    this.#engines.push(engine);
    return engine;
  }

  /** @param {number} id */
  cancel(id) {
    this.#cancelled.add(id);
    // An engine that crashed meanwhile has nothing to cancel.
    this.#holders.get(id)?.client.cancel(id).catch(() => {});
  }

  /** @param {number} id */
  remove(id) {
    const drop = this.#drops.find(({ scans }) => scans.some((scan) => scan.id === id));
    if (!drop) return;
    drop.removed.add(id);
    this.#holders.delete(id);
    const whole = drop.scans.every((scan) => drop.removed.has(scan.id));
    if (whole) this.#drops = this.#drops.filter((other) => other !== drop);
    for (const engine of this.#engines) {
      // A scan that is gone already is as good as removed.
      if (engine.has(drop)) engine.client.call('remove', { id }).catch(() => {});
      if (whole) engine.forget(drop);
    }
  }

  /**
   * @param {number} id
   * @param {boolean} named
   */
  async useNamedOrder(id, named) {
    const drop = this.#dropOf(id);
    if (named) drop.named.add(id);
    else drop.named.delete(id);
    // One that crashed is told when it is given the scan again.
    await Promise.all(this.#engines.map((engine) => engine.has(drop) && engine.client.call('useNamedOrder', { id, named }).catch(() => {})));
  }

  /**
   * Answers a scan with another model too, without a change to its answer. What follows is asked for with `beside`.
   *
   * @param {number} id
   * @param {ArrayBuffer} bytes
   */
  async screenBeside(id, bytes) {
    const { method, options, scans, named } = this.#dropOf(id);
    const engine = await this.#started(() => this.#holderOf(id));
    if (engine !== this.#beside) await this.closeBeside();
    this.#beside = engine;
    return engine.client.call('screenBeside', { scan: scans.find((scan) => scan.id === id), bytes, method, options, from: scans[0]?.id, named: named.has(id) });
  }

  async closeBeside() {
    await this.#beside?.client.call('closeBeside').catch(() => {});
  }

  /**
   * Asks the engine that has the scan `id`, or the first one where no scan is asked about.
   *
   * @param {string} method A method of `worker.js`.
   * @param {{id?: number, beside?: boolean} & Record<string, any>} [options]
   * @returns {Promise<any>} Rejects with a `Notice`.
   */
  async call(method, options = {}) {
    const { id, beside } = options;
    if (id === undefined) return (await this.#started(() => this.#first)).client.call(method, options);
    if (beside) return this.#beside ? this.#beside.client.call(method, options) : Promise.reject(UNKNOWN);
    const drop = this.#dropOf(id);
    const engine = await this.#started(() => this.#holderOf(id));
    await engine.give(drop);
    return engine.client.call(method, options);
  }

  // -------------------------------------------------------------- models and machines

  /**
   * @param {ArrayBuffer} bytes
   * @param {boolean} onGpu The GPU worker holds these weights too.
   */
  async loadModel(bytes, onGpu) {
    const weights = { bytes, onGpu };
    const loaded = await (await this.#started(() => this.#first)).load(weights);
    this.#weights = weights;
    return loaded;
  }

  /** @type {EngineClient['tryModel']} */
  async tryModel(bytes, test) {
    return (await this.#started(() => this.#first)).client.tryModel(bytes, test);
  }

  /** @param {MessagePort} port Of the GPU worker. */
  async connectGpu(port) {
    const engine = await this.#started(() => this.#first);
    await engine.client.call('connectGpu', { port }, [port]);
    this.#withGpu = engine;
  }

  dropGpu() {
    this.#withGpu?.client.call('dropGpu').catch(() => {});
    this.#withGpu = null;
  }

  /** Facts for a report of a problem, of all engines together. */
  async diagnostics() {
    if (this.#stopped) throw this.#stopped;
    const all = await Promise.all(this.#engines.map(({ client, up }) => up.then(() => client.call('diagnostics'))));
    /** @param {string} key */
    const sum = (key) => all.reduce((total, one) => total + one[key], 0);
    const scans = this.#drops.reduce((total, { scans: found, removed }) => total + found.length - removed.size, 0);
    return { ...all[0], scans, engines: all.length, slices_held_bytes: sum('slices_held_bytes'), memory_bytes: sum('memory_bytes') };
  }
}

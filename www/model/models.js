/**
 * The models that can answer: those that the page came with, and weights files that the person gave. The weights of the latter
 * are kept in memory only, and go nowhere but to the engine.
 *
 * @typedef {import('../types.js').Model} Model
 * @typedef {import('../types.js').ModelChoice} ModelChoice
 * @typedef {import('../types.js').Notice} Notice
 * @typedef {import('../types.js').ShippedModel} ShippedModel
 */
import { t } from '../i18n/i18n.js';

/** Largest difference from the trainer's logits in the golden self-test for which an engine is trusted. */
const TOLERANCE = 1e-4;
/** The engine reads no larger file as weights (`MAX_BYTES` of `src/network/file.rs`). */
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * @param {number} difference From the logits that the weights file says.
 * @param {string} words The message for one that is too large.
 */
function mustAgree(difference, words) {
  // Written so that NaN fails too.
  if (!(difference <= TOLERANCE)) throw { code: 'self_test', message: t(words, { difference: difference.toExponential(1) }) };
}

/** @param {string} name Of a file. */
export const isWeights = (name) => /\.safetensors$/i.test(name);

/**
 * The card of the model that gave this answer, which need not be the one in use any more.
 *
 * @param {Pick<import('../types.js').State, 'models'>} state
 * @param {import('../types.js').Report|null} report
 * @returns {Model|null}
 */
export function modelOf({ models }, report) {
  return models.find(({ card }) => card && card.sha256 === report?.model?.sha256)?.card ?? null;
}

export class Models {
  /** @type {Map<string, ArrayBuffer>} */
  #bytes = new Map();
  #nextKey = 0;
  /** Changes go in one at a time. */
  #turn = Promise.resolve();

  /**
   * @param {import('../state.js').Store} store
   * @param {import('../engine/session.js').Session} engine
   * @param {object} page
   * @param {Promise<unknown>} page.engineUp
   * @param {(work: () => Promise<void>) => Promise<void>} page.between Does the work while no scan is looked at.
   * @param {(card: Model, first: boolean) => void} page.used Called with the model that answers from now on.
   */
  constructor(store, engine, { engineUp, between, used }) {
    this.store = store;
    this.engine = engine;
    this.engineUp = engineUp;
    this.between = between;
    this.used = used;
  }

  /**
   * Has the first of the page's models answer, and lists the others.
   *
   * @param {Promise<ShippedModel[]>} shipped
   * @returns {Promise<{difference: number, selfTestMs: number}>} Rejects with a `Notice` if there is no model that may answer.
   */
  start(shipped) {
    return this.#inTurn(async () => {
      const [first, ...others] = await shipped;
      if (!first?.bytes) throw { code: 'weights_missing', message: 'The page came without weights. Slices can be viewed, but not answered.' };
      await this.engineUp;
      const { model, difference, selfTestMs } = await this.engine.loadModel(first.bytes, true);
      mustAgree(difference, 'fault.selfTest');
      this.#list({ name: first.name, file: first.file, says: first.says, own: false, card: model }, first.bytes);
      for (const { name, file, says, bytes } of others) {
        const card = bytes && (await this.engine.tryModel(bytes, false).then((tried) => tried.model, () => null));
        this.#list({ name, file, says, own: false, card }, bytes);
      }
      this.store.set({ model });
      return { difference, selfTestMs };
    });
  }

  /** The weights of the model that the page answers with first. */
  get first() {
    const [key] = this.store.state.models;
    return key ? (this.#bytes.get(key.key) ?? null) : null;
  }

  /** @param {string} key */
  bytesOf(key) {
    return this.#bytes.get(key) ?? null;
  }

  /**
   * Answers from now on with another model of the list.
   *
   * @param {string} key
   */
  async use(key) {
    const choice = this.store.state.models.find((one) => one.key === key);
    const bytes = this.#bytes.get(key);
    if (!choice || !bytes) return;
    await this.#attempt(choice.file, () => this.#use(bytes));
  }

  /**
   * Checks a person's own weights file, lists it and uses it. One that is none changes nothing but `notUsed`.
   *
   * @param {File} file
   */
  async useFile(file) {
    await this.#attempt(file.name, async () => {
      if (file.size > MAX_BYTES) throw { code: 'weights_too_large', message: `The file has ${Math.round(file.size / 2 ** 20)} MiB; weights have at most ${MAX_BYTES / 2 ** 20} MiB.` };
      const bytes = await file.arrayBuffer().catch(() => {
        throw { code: 'file_unreadable', message: 'The file could not be read. Choose it again.' };
      });
      const card = await this.#use(bytes);
      // The same file twice, or one that the page came with, is listed once.
      if (!this.store.state.models.some((one) => one.card?.sha256 === card.sha256)) this.#list({ name: card.name, file: file.name, says: {}, own: true, card }, bytes);
    });
  }

  /**
   * @param {ArrayBuffer} bytes
   * @returns {Promise<Model>} Rejects with a `Notice`, and then the model is the one before.
   */
  async #use(bytes) {
    const { model, difference } = await this.engine.tryModel(bytes, true);
    mustAgree(difference, 'model.differs');
    await this.between(async () => {
      const first = model.sha256 === this.store.state.models[0]?.card?.sha256;
      await this.engine.loadModel(bytes, first);
      this.store.set({ model, modelFault: null });
      this.used(model, first);
    });
    return model;
  }

  /**
   * @param {string} file
   * @param {() => Promise<unknown>} work
   */
  async #attempt(file, work) {
    await this.#inTurn(async () => {
      this.store.set({ trying: file, notUsed: null });
      try {
        await this.engineUp;
        await work();
      } catch (error) {
        this.store.set({ notUsed: { file, notice: /** @type {Notice} */ (error) } });
      }
      this.store.set({ trying: '' });
    });
  }

  /**
   * @param {Omit<ModelChoice, 'key'>} choice
   * @param {ArrayBuffer|null} bytes
   */
  #list(choice, bytes) {
    const key = `model-${this.#nextKey++}`;
    if (bytes) this.#bytes.set(key, bytes);
    this.store.set({ models: [...this.store.state.models, { key, ...choice }] });
  }

  /**
   * @template T
   * @param {() => Promise<T>} work
   * @returns {Promise<T>}
   */
  #inTurn(work) {
    const done = this.#turn.then(work);
    this.#turn = done.then(() => {}, () => {});
    return done;
  }
}

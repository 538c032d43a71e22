import { duration, h, percent, plural } from '../dom.js';
import { stepOf } from '../worklist/worklist.js';
import { frequencies, gauge } from './gauge.js';

/**
 * @typedef {import('../types.js').Row} Row
 * @typedef {import('../types.js').State} State
 *
 * @typedef {object} Actions
 * @property {(z: number) => void} goTo
 * @property {(key: string, named: boolean) => void} useNamedOrder
 * @property {(key: string) => void} save
 * @property {(key: string) => void} retry
 * @property {() => void} openDiagnostics
 */

const WORDS = {
  'bleeding likely': { title: 'Bleeding likely', kind: 'likely', text: 'The network sees signs of bleeding inside the skull.' },
  uncertain: { title: 'Uncertain', kind: 'uncertain', text: 'The network can neither call nor rule out bleeding. Treat this as no answer.' },
  'no bleeding seen': { title: 'No bleeding seen', kind: 'none', text: 'The network sees no sign of bleeding. Small or old bleeds can be missed.' },
};

const STEP_NAMES = /** @type {Record<string, string>} */ ({ read: 'Read', order: 'Order', prepare: 'Prepare', network: 'Look', assess: 'Explain' });

/** The answer, or why there is none, with what led to it. */
export class Answer {
  /** @type {Row|null} */
  #row = null;
  /** @type {unknown} */
  #model = null;
  /** @type {unknown} */
  #reason = '';

  /**
   * @param {HTMLElement} root
   * @param {Actions} actions
   */
  constructor(root, actions) {
    this.root = root;
    this.actions = actions;
  }

  /** @param {State} state */
  render(state) {
    const row = state.rows.find((candidate) => candidate.key === state.selected) ?? null;
    if (row === this.#row && state.model === this.#model && state.backend.reason === this.#reason) return;
    this.#row = row;
    this.#model = state.model;
    this.#reason = state.backend.reason;
    this.root.replaceChildren(...(row ? this.#content(row, state) : []));
    this.root.dataset.outcome = row?.outcome ?? '';
  }

  /**
   * @param {Row} row
   * @param {State} state
   * @returns {Node[]}
   */
  #content(row, state) {
    const notice = h('p.not-device', {}, 'Research and demonstration only, not a medical device.');
    const name = h('p.answer-scan', {}, row.name, ' ', row.synthetic ? h('span.chip', {}, 'synthetic, drawn by this page') : null);
    if (row.outcome === 'working' || row.outcome === 'waiting') return [name, pending(row), notice];
    if (row.outcome === 'cancelled') {
      return [name, h('h2.finding', {}, 'Cancelled'), h('p', {}, 'This scan was not looked at.'),
        h('button.button', { type: 'button', onclick: () => this.actions.retry(row.key) }, 'Try again'), notice];
    }
    const { report } = row;
    if (row.outcome === 'refused' || !report?.finding || report.probability === null) return [name, ...this.#refused(row), notice];
    const words = WORDS[report.finding];
    return [
      name,
      h('h2.finding', {}, h(`span.mark.mark-${words.kind}`, { 'aria-hidden': true }), words.title),
      h('p.finding-text', {}, words.text),
      h('p.probability', {}, h('strong', {}, percent(report.probability)), h('span', {}, 'calibrated probability of bleeding')),
      ...drawn(report, report.probability, state.model),
      notice,
      ...this.#where(row),
      ...this.#order(row),
      ...warnings(report.warnings),
      this.#how(row, state),
      this.#saving(row),
    ];
  }

  /** @param {Row} row */
  #refused(row) {
    const refusal = row.refusal ?? { code: 'unanswered', message: 'The scan was read, but the network gave no answer.' };
    return [
      h('h2.finding', {}, h('span.mark.mark-refused', { 'aria-hidden': true }), 'Not answered'),
      h('p.refusal', {}, refusal.message),
      h('p.quiet', {}, 'No answer is better than a wrong one. Other scans are not affected.'),
      ...warnings(row.report?.warnings ?? []),
      ...(row.sources.length > 0 ? [h('details', {}, h('summary', {}, plural(row.sources.length, 'file')), h('ul.files', {}, ...row.sources.slice(0, 200).map((source) => h('li', {}, source))))] : []),
      h('p.quiet.code', {}, refusal.code),
      this.#saving(row),
    ];
  }

  /** @param {Row} row */
  #where(row) {
    const best = (row.report?.slices ?? []).filter((slice) => slice.probability !== null)
      .sort((a, b) => (b.probability ?? 0) - (a.probability ?? 0)).slice(0, 3);
    if (best.length === 0) return [];
    const title = row.report?.finding === 'no bleeding seen' ? 'Slices with the highest scores' : 'Slices that led to it';
    return [h('section.part', {}, h('h3', {}, title), h('ul.slices', {}, ...best.map((slice) => {
      const bar = h('span.slice-bar', { 'aria-hidden': true, 'data-calm': row.report?.finding === 'no bleeding seen' });
      bar.style.setProperty('--share', String(slice.probability ?? 0));
      return h('li', {}, h('button.slice', { type: 'button', title: slice.source, onclick: () => this.actions.goTo(slice.position) },
        h('span', {}, `Slice ${slice.position + 1}`), bar, h('span.slice-percent', {}, percent(slice.probability ?? 0))));
    })))];
  }

  /** @param {Row} row */
  #order(row) {
    const { view } = row;
    if (!view || !(view.can_change_order || row.namedOrder)) return [];
    const changed = !row.namedOrder;
    return [h('section.part.order', {},
      h('h3', {}, changed ? 'Slice order was repaired' : 'Slices as the files were named'),
      changed ? h('div.order-strip', { 'aria-hidden': true }, ...view.as_named.map((named) => {
        const bar = h('i', {});
        bar.style.setProperty('--share', String((named + 1) / view.as_named.length));
        return bar;
      })) : null,
      h('p.quiet', {}, changed
        ? 'By the pictures, the order of the file names was not the order of the head. Each bar is a slice from base to vertex; its height is its place by name.'
        : 'You asked for the order of the file names. The answer was computed again for it.'),
      h('button.button.small', { type: 'button', id: 'order-undo', onclick: () => this.actions.useNamedOrder(row.key, changed) }, changed ? 'Undo: use the order of the names' : 'Repair the order again'))];
  }

  /**
   * @param {Row} row
   * @param {State} state
   */
  #how(row, state) {
    const { report } = row;
    const spent = report?.timing_ms ?? {};
    const timing = Object.keys(STEP_NAMES).flatMap((step) => (spent[step] === undefined ? [] : [/** @type {[string, number]} */ ([step, spent[step]])]));
    const total = timing.reduce((sum, [, ms]) => sum + ms, 0);
    const strip = h('div.time-strip', { 'aria-hidden': true }, ...timing.map(([step, ms]) => {
      const part = h('i', { 'data-step': step, title: `${STEP_NAMES[step]} ${duration(ms)}` });
      part.style.setProperty('flex-grow', String(Math.max(ms, total / 200)));
      return part;
    }));
    const model = report?.model;
    return h('section.part', {}, h('h3', {}, `Computed here in ${duration(total)}`), strip,
      h('dl.facts', {},
        ...timing.flatMap(([step, ms]) => [h('dt', { 'data-step': step }, STEP_NAMES[step] ?? step), h('dd', {}, duration(ms))]),
        h('dt', {}, 'Backend'), h('dd', {}, report?.backend === 'webgpu' ? 'WebGPU' : 'CPU'),
        ...(model ? [h('dt', {}, 'Model'), h('dd', {}, `${model.name} ${model.version}`), h('dt', {}, 'SHA-256'), h('dd.code', { title: model.sha256 }, model.sha256.slice(0, 16))] : [])),
      state.backend.reason && h('p.quiet', {}, state.backend.reason),
      h('button.link', { type: 'button', onclick: () => this.actions.openDiagnostics() }, 'Model and diagnostics'));
  }

  /** @param {Row} row */
  #saving(row) {
    if (!row.report) return h('span', { hidden: true });
    return h('p.saving', {}, h('button.button', { type: 'button', onclick: () => this.actions.save(row.key) }, 'Save as JSON'));
  }
}

/**
 * @param {import('../types.js').Report} report
 * @param {number} probability
 * @param {import('../types.js').Model|null} model
 */
function drawn(report, probability, model) {
  const { lower, upper } = model ?? {};
  if (!lower || !upper) return [];
  return [gauge(probability, lower, upper), frequencies(report, lower, upper)].filter((part) => part !== null);
}

/** @param {Row} row */
function pending(row) {
  const share = row.total > 0 ? row.done / row.total : 0;
  const bar = h('div.pending-bar', { role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': Math.max(1, row.total), 'aria-valuenow': row.done, 'aria-label': stepOf(row) });
  bar.style.setProperty('--share', String(share));
  return h('div.pending', {}, h('h2.finding', {}, row.outcome === 'waiting' ? 'Waiting' : stepOf(row)), bar);
}

/** @param {import('../types.js').Notice[]} list */
function warnings(list) {
  if (list.length === 0) return [];
  return [h('section.part', {}, h('h3', {}, 'To keep in mind'), h('ul.warnings', {}, ...list.map(({ code, message }) => h('li', { 'data-code': code }, message))))];
}

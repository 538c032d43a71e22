import { h } from '../dom.js';
import { duration, notice, percent, t } from '../i18n/i18n.js';
import { modelOf } from '../model/models.js';
import { keySlice } from '../viewer/keyslice.js';
import { isSuspicious, ranked } from '../viewer/scores.js';
import { stepOf } from '../worklist/step.js';
import { partners } from '../compare/partners.js';
import { frequencies, gauge } from './gauge.js';
import { orderDoctor } from './order.js';

/**
 * @typedef {import('../types.js').Row} Row
 * @typedef {import('../types.js').State} State
 *
 * @typedef {object} Actions
 * @property {(z: number) => void} goTo
 * @property {(key: string, named: boolean) => void} useNamedOrder
 * @property {(key: string) => void} save
 * @property {(key: string) => void} print
 * @property {(key: string) => void} dicom
 * @property {() => void} openHow
 * @property {(key: string) => void} retry
 * @property {(report: import('../types.js').Report|null) => void} openModel
 * @property {(key: string) => void} compare
 * @property {() => void} openDiagnostics
 * @property {(id: number, z: number, withHeat: boolean) => Promise<import('../viewer/slices.js').Slice>} slice
 */

export const KINDS = /** @type {const} */ ({ 'bleeding likely': 'likely', uncertain: 'uncertain', 'no bleeding seen': 'none' });
const STEPS = ['read', 'order', 'prepare', 'network', 'assess'];
/** What the gate has found to hold for every scan that got an answer (`src/assess/gate`). */
const CHECKS = ['slices', 'brain', 'whole', 'values', 'shape', 'order'];
const KEY_SLICES = 3;
const THUMB_PX = 220;

/** The answer, or why there is none, with what led to it. */
export class Answer {
  /** @type {Row|null} */
  #row = null;
  #shown = '';

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
    const shown = `${state.language} ${state.model?.sha256} ${state.backend.reason} ${hasOther(state, row)} ${state.opening > 0 && !row}`;
    if (row === this.#row && shown === this.#shown) return;
    const focused = this.root.contains(document.activeElement) ? document.activeElement?.id : '';
    // Another scan is read from its finding on.
    if (row?.key !== this.#row?.key) this.root.scrollTop = 0;
    this.#row = row;
    this.#shown = shown;
    this.root.replaceChildren(...(row ? this.#content(row, state) : state.opening > 0 ? [h('div.pending', {}, h('h2.finding', {}, t('step.discover')))] : []));
    this.root.dataset.outcome = row?.outcome ?? '';
    if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  }

  /**
   * @param {Row} row
   * @param {State} state
   * @returns {Node[]}
   */
  #content(row, state) {
    const notDevice = h('p.not-device', {}, t('notDevice'));
    const name = h('p.answer-scan', {}, row.name, ' ', row.synthetic ? h('span.chip', {}, t('synthetic')) : null);
    if (row.outcome === 'working' || row.outcome === 'waiting') return [name, pending(row), notDevice];
    if (row.outcome === 'cancelled') return [name, h('h2.finding', {}, t('state.cancelled')), h('p', {}, t('cancelled.text')), this.#again(row), notDevice];
    const { report } = row;
    if (row.outcome === 'refused' || !report?.finding || report.probability === null) return [name, ...this.#refused(row), notDevice];
    const kind = KINDS[report.finding];
    const { lower, upper } = modelOf(state, report) ?? {};
    return [
      name,
      h('h2.finding', {}, h(`span.mark.mark-${kind}`, { 'aria-hidden': true }), t(`finding.${kind}`)),
      h('p.finding-text', {}, t(`finding.${kind}.text`)),
      h('p.probability', {}, h('strong', {}, percent(report.probability)), h('span', {}, t('probability'))),
      ...(lower && upper ? [gauge(report.probability, report.finding, lower, upper), frequencies(report.finding, lower, upper)].filter((part) => part !== null) : []),
      notDevice,
      ...warnings(report.warnings),
      ...this.#where(row),
      ...orderDoctor(row, (z) => this.actions.slice(row.id ?? -1, z, false), (named) => this.actions.useNamedOrder(row.key, named)),
      checks(report.warnings.length),
      this.#how(row, state),
      this.#saving(row, hasOther(state, row)),
    ];
  }

  /** @param {Row} row */
  #refused(row) {
    const { text, original } = notice(row.refusal ?? { code: 'unanswered', message: t('unanswered') });
    return [
      h('h2.finding', {}, h('span.mark.mark-refused', { 'aria-hidden': true }), t('finding.refused')),
      h('p.refusal', { 'data-code': row.refusal?.code ?? '' }, text),
      original && h('p.quiet', { lang: 'en' }, original),
      h('p.quiet', {}, t('refused.text')),
      ...warnings(row.report?.warnings ?? []),
      row.sources.length > 0 && h('details', {}, h('summary', {}, t('files', { n: row.sources.length })), h('ul.files', { tabindex: 0 }, ...row.sources.slice(0, 200).map((source) => h('li', {}, source)))),
      row.refusal && h('p.quiet.code', {}, row.refusal.code),
      row.id !== null && this.#again(row),
      this.#saving(row),
    ].filter((part) => part instanceof Node);
  }

  /** @param {Row} row */
  #again(row) {
    return h('button.button', { type: 'button', id: 'answer-retry', onclick: () => this.actions.retry(row.key) }, t('retry'));
  }

  /**
   * The slices with the highest scores as pictures; each takes the viewer there.
   *
   * @param {Row} row
   */
  #where(row) {
    const { report, view, id } = row;
    const best = ranked(report).slice(0, KEY_SLICES);
    if (best.length === 0 || !view || id === null) return [];
    const calm = report?.finding === 'no bleeding seen';
    return [h('section.part', {}, h('h3', {}, calm ? t('where.calm') : t('where')), h('ul.key-slices', {}, ...best.map(({ position, probability, source }) => {
      const suspicious = isSuspicious(probability);
      const place = h('span.key-picture', {});
      this.actions.slice(id, position, view.evidence).then((slice) => place.replaceChildren(keySlice(view, slice, THUMB_PX, { heat: true, peak: suspicious ? (view.peaks[position] ?? null) : null })), () => {});
      return h('li', {}, h('button.key-slice', { type: 'button', title: source, onclick: () => this.actions.goTo(position) },
        place, h('span', {}, t('slice', { z: position + 1 })), h('strong', {}, percent(probability ?? 0))));
    })), h('p.quiet', {}, t('where.text')))];
  }

  /**
   * @param {Row} row
   * @param {State} state
   */
  #how(row, state) {
    const { report } = row;
    const spent = report?.timing_ms ?? {};
    const timing = STEPS.flatMap((step) => (spent[step] === undefined ? [] : [/** @type {[string, number]} */ ([step, spent[step]])]));
    const total = timing.reduce((sum, [, ms]) => sum + ms, 0);
    const strip = h('div.time-strip', { 'aria-hidden': true }, ...timing.map(([step, ms]) => {
      const part = h('i', { 'data-step': step });
      part.style.setProperty('flex-grow', String(Math.max(ms, total / 200)));
      return part;
    }));
    const model = report?.model;
    return h('section.part', {},
      h('h3', {}, t('how', { time: duration(total), backend: report?.backend === 'webgpu' ? 'WebGPU' : 'CPU' })),
      model && h('p', {}, `${t('model')} `, h('button.link', { type: 'button', id: 'open-model', onclick: () => this.actions.openModel(report) }, `${model.name} ${model.version}`)),
      model && state.model && model.sha256 !== state.model.sha256 && h('p.quiet', { id: 'other-model' }, t('model.other', { name: `${state.model.name} ${state.model.version}` }), ' ',
        h('button.link', { type: 'button', id: 'answer-again', onclick: () => this.actions.retry(row.key) }, t('model.again'))),
      h('details', {}, h('summary', {}, t('how.steps')), strip,
        h('dl.facts', {}, ...timing.flatMap(([step, ms]) => [h('dt', { 'data-step': step }, t(`step.${step}`)), h('dd', {}, duration(ms))])),
        state.backend.reason && h('p.quiet', { lang: 'en' }, state.backend.reason),
        h('button.link', { type: 'button', onclick: () => this.actions.openDiagnostics() }, t('diagnostics'))),
      h('button.link', { type: 'button', id: 'answer-how', 'aria-haspopup': 'dialog', onclick: () => this.actions.openHow() }, t('works')));
  }

  /**
   * @param {Row} row
   * @param {boolean} [comparable] There is something to compare it with.
   */
  #saving(row, comparable = false) {
    if (!row.report) return h('span', { hidden: true });
    return h('p.saving', {},
      comparable && h('button.button', { type: 'button', id: 'open-compare', 'aria-haspopup': 'dialog', onclick: () => this.actions.compare(row.key) }, t('compare')),
      row.view && h('button.button', { type: 'button', id: 'print', onclick: () => this.actions.print(row.key) }, t('print')),
      h('button.button', { type: 'button', id: 'save', onclick: () => this.actions.save(row.key) }, t('save')),
      row.view && row.outcome === 'classified' && h('button.button', { type: 'button', id: 'save-dicom', 'aria-haspopup': 'dialog', onclick: () => this.actions.dicom(row.key) }, t('dicom')));
  }
}

/**
 * @param {State} state
 * @param {Row|null} row
 */
function hasOther(state, row) {
  const { models, backends, scans } = partners(state, row);
  return models.length + backends.length + scans.length > 0;
}

/** @param {Row} row */
function pending(row) {
  const share = row.total > 0 ? row.done / row.total : 0;
  const bar = h('div.pending-bar', { role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': Math.max(1, row.total), 'aria-valuenow': row.done, 'aria-label': stepOf(row) });
  bar.style.setProperty('--share', String(share));
  return h('div.pending', {}, h('h2.finding', {}, row.outcome === 'waiting' ? t('state.waiting') : stepOf(row)), bar);
}

/** @param {import('../types.js').Notice[]} list */
export function warnings(list) {
  if (list.length === 0) return [];
  return [h('section.part', {}, h('h3', {}, t('warnings')), h('ul.warnings', {}, ...list.map((one) => {
    const { text, original } = notice(one);
    return h('li', { 'data-code': one.code, title: original }, text);
  })))];
}

/** @param {number} warned */
function checks(warned) {
  return h('details.part', { id: 'checks' }, h('summary', {}, warned > 0 ? t('checks.warned', { n: CHECKS.length, w: warned }) : t('checks', { n: CHECKS.length })),
    h('ul.checks', {}, ...CHECKS.map((check) => h('li', {}, t(`check.${check}`)))));
}

import { byId, h } from '../dom.js';
import { duration, notice, t } from '../i18n/i18n.js';
import { requestsMade } from '../engine/requests.js';
import { preference, remember } from '../preferences.js';

/**
 * @typedef {import('../types.js').State} State
 */

/** When the page said that it was ready, in milliseconds since 1970. */
let readyAt = Number.POSITIVE_INFINITY;

export function markReady() {
  readyAt = Date.now();
}

/** @returns {number} Requests from the moment when the page said that it was ready. */
function requestsSinceReady() {
  return requestsMade().filter(({ at }) => at > readyAt).length;
}

/**
 * @param {HTMLElement} sheet
 * @param {string} title
 * @param {...(Node|string|null|false)} content
 */
export function fill(sheet, title, ...content) {
  const close = h('button.icon-button', { type: 'button', 'aria-label': t('close'), onclick: () => /** @type {HTMLDialogElement} */ (sheet).close() }, '×');
  sheet.replaceChildren(h('header', {}, h('h2', { id: `${sheet.id}-title` }, title), close), h('div.sheet-body', { tabindex: 0, role: 'region', 'aria-labelledby': `${sheet.id}-title` }, ...content.filter((part) => part !== null && part !== false)));
}

/** @param {string} id */
export function open(id) {
  const sheet = /** @type {HTMLDialogElement} */ (byId(id));
  if (!sheet.open) sheet.showModal();
}

/** @param {State} state */
export function openPrivacy(state) {
  fill(byId('privacy'), t('privacy'),
    h('p', {}, t('privacy.text')),
    h('p.count', { id: 'requests-count' }),
    h('p', {}, t('privacy.check')),
    h('ol.steps', {}, h('li', {}, t('privacy.step1')), h('li', {}, t('privacy.step2')), h('li', {}, t('privacy.step3'))),
    h('p.quiet', {}, t('privacy.policy')),
    h('details', { id: 'requests' }));
  showRequests(state);
  open('privacy');
}

/**
 * Counts and lists, in the open sheet, what the page asked for.
 *
 * @param {State} state
 */
export function showRequests(state) {
  const made = requestsMade();
  const since = requestsSinceReady();
  byId('requests-count').replaceChildren(h('strong', {}, String(since)), h('span', {}, state.phase === 'ready' ? t('privacy.count', { n: since }) : t('privacy.loading')));
  byId('requests').replaceChildren(
    h('summary', {}, t('privacy.log', { n: made.length })),
    h('p', {}, t('privacy.log.text')),
    h('ul.files', { tabindex: 0, 'aria-label': t('privacy.log', { n: made.length }) }, ...made.map(({ address, by, at, bytes }) => h('li', { 'data-by': by },
      t('privacy.log.line', { file: nameOf(address), by: t(`privacy.by.${by}`), kb: Math.ceil(bytes / 1000) }), at > readyAt && h('strong', {}, t('privacy.log.after'))))));
}

/**
 * A file of this site by its path in it, anything else by its whole address.
 *
 * @param {string} address
 */
function nameOf(address) {
  const root = new URL('.', document.baseURI).href;
  return address.startsWith(root) ? address.slice(root.length) || './' : address;
}

const KEYS = ['slices', 'pages', 'ends', 'windows', 'drag', 'click', 'zoom', 'pan', 'touch', 'h', 's', 'p', 'x', 'm', 'jk', 'delete', 'help'];

/** @param {{how: () => void, tour: () => void}} help What else explains the page. */
export function openKeys({ how, tour }) {
  const sheet = /** @type {HTMLDialogElement} */ (byId('keys'));
  /** @type {(id: string, words: string, show: () => void) => HTMLElement} */
  const leads = (id, words, show) => h('button.button.small', { type: 'button', id, onclick: () => {
    sheet.close();
    show();
  } }, words);
  const letters = /** @type {HTMLInputElement} */ (h('input', { type: 'checkbox', id: 'letter-keys' }));
  letters.checked = preference('keys') !== 'off';
  letters.addEventListener('change', () => remember('keys', letters.checked ? 'on' : 'off'));
  fill(sheet, t('keys'),
    h('p.saving', {}, leads('open-how', t('works'), how), leads('tour-again', t('tour.start'), tour)),
    h('dl.keymap', {}, ...KEYS.flatMap((key) => [h('dt', {}, h('kbd', {}, t(`key.${key}`))), h('dd', {}, t(`key.${key}.does`))])),
    h('label.check', {}, letters, h('span', {}, t('keys.letters'))),
    h('p', {}, t('works.limits')));
  open('keys');
}

/**
 * The card of a model, and the choice of the one that answers.
 *
 * @param {State} state
 * @param {import('../types.js').Model|null} asked The model to show, if not the one in use.
 * @param {(key: string) => void} onUse
 */
export function openModel(state, asked, onUse) {
  const { modelFault } = state;
  const model = asked ?? state.model;
  const sheet = byId('model');
  const focused = sheet.contains(document.activeElement) ? document.activeElement?.id : '';
  const choice = choiceOf(state, onUse);
  if (model) fill(sheet, t('card', { name: `${model.name} ${model.version}` }), ...choice, ...cardOf(model));
  else fill(sheet, t('model'), h('p', {}, modelFault?.message ?? t('badge.loading')), ...choice);
  open('model');
  if (focused) document.getElementById(focused)?.focus();
}

/**
 * @param {State} state
 * @param {(key: string) => void} onUse
 */
function choiceOf({ model, models, trying, notUsed, language }, onUse) {
  const refused = notUsed && notice(notUsed.notice);
  const kept = model ? t('model.kept', { name: `${model.name} ${model.version}` }) : '';
  return [
    notUsed && refused && h('div.fault', { id: 'not-used', role: 'alert', 'data-code': notUsed.notice.code },
      h('p', {}, h('strong', {}, t('model.notUsed', { file: notUsed.file })), ` ${refused.text} ${kept}`), refused.original && h('p.quiet', { lang: 'en' }, refused.original)),
    trying !== '' && h('p', { id: 'trying', role: 'status' }, t('model.trying', { file: trying })),
    // One alone is no choice.
    models.length > 1 && h('fieldset.choices', {}, h('legend', {}, t('model.choose')), ...models.map(({ key, name, file, says, own, card }) => {
      const button = /** @type {HTMLInputElement} */ (h('input', { type: 'radio', name: 'model', id: key, value: key, disabled: !card }));
      button.checked = card !== null && card.sha256 === model?.sha256;
      button.addEventListener('change', () => onUse(key));
      const words = !card ? t('model.missing') : own ? t('model.own', { file }) : (says[language] ?? says.en ?? '');
      return h('label.choice', {}, button, h('span', {}, h('strong', {}, card ? `${name} ${card.version}` : name), ' ', h('span.quiet', {}, words)));
    })),
    h('p.saving', {}, h('button.button.small', { type: 'button', id: 'own-model', 'data-choose': 'weights' }, t('model.file'))),
    h('p.quiet', {}, t('model.file.text')),
  ];
}

/** @param {import('../types.js').Model} model */
function cardOf(model) {
  const { lower, upper, header } = model;
  /** @type {(point: import('../types.js').OperatingPoint) => string} */
  const counted = ({ true_positives: hits, false_negatives: missed, true_negatives: calm, false_positives: alarms }) => t('card.counts', { hits, bleeds: hits + missed, calm, clear: calm + alarms });
  const metric = (/** @type {string} */ name) => header?.metrics[name];
  const auc = metric(`ct_ich_patient_auc_${header?.patientScore}`);
  const sliceAuc = metric('ct_ich_slice_auc');
  return [
    h('p', {}, lower && upper ? t('card.text') : t('card.uncalibrated')),
    lower && upper && h('dl.facts', {},
      h('dt', {}, t('card.lower', { at: Math.round(lower.threshold * 100) })), h('dd', {}, counted(lower)),
      h('dt', {}, t('card.upper', { at: Math.round(upper.threshold * 100) })), h('dd', {}, counted(upper)),
      ...(auc === undefined ? [] : [h('dt', {}, t('card.auc')), h('dd', {}, auc.toFixed(2))]),
      ...(sliceAuc === undefined ? [] : [h('dt', {}, t('card.sliceAuc')), h('dd', {}, sliceAuc.toFixed(2))])),
    header && header.data.length > 0 && h('div', {}, h('h3', {}, t('card.data')), h('ul.card-data', {}, ...header.data.map(({ name, patients, slices, licence }) => h('li', {}, t('card.set', { name, patients, slices }), ' ', h('span.quiet', { lang: 'en' }, licence))))),
    h('p', {}, t('works.limits')),
    h('dl.facts', {},
      h('dt', {}, t('card.parameters')), h('dd', {}, model.parameters.toLocaleString(document.documentElement.lang)),
      h('dt', {}, 'SHA-256'), h('dd.code', {}, model.sha256),
      h('dt', {}, t('card.licence')), h('dd', { lang: 'en' }, model.licence || t('card.unstated'))),
  ];
}

/**
 * @param {State} state
 * @param {Record<string, unknown>} engine What the worker says of itself.
 */
export function openDiagnostics(state, engine) {
  const facts = {
    page: { phase: state.phase, language: state.language, requests_since_ready: requestsSinceReady(), loaded_in: duration((readyAt === Number.POSITIVE_INFINITY ? Date.now() : readyAt) - performance.timeOrigin) },
    backend: { name: state.backend.name, reason: state.backend.reason, ...state.backend.details },
    model: state.model ?? state.modelFault,
    models: state.models.map(({ name, own, card }) => ({ name: own ? 'own' : name, sha256: card?.sha256 })),
    engine,
    browser: { agent: navigator.userAgent, threads: navigator.hardwareConcurrency, isolated: globalThis.crossOriginIsolated },
    scans: state.rows.map(({ kind, slices, outcome, refusal, report }) => ({ kind, slices, outcome, refusal: refusal?.code, warnings: report?.warnings.map(({ code }) => code), backend: report?.backend, timing_ms: report?.timing_ms })),
    set_aside: state.setAside.map(({ refusal }) => refusal?.code),
    ignored: state.ignored,
  };
  const text = JSON.stringify(facts, null, 2);
  const copy = h('button.button', { type: 'button', id: 'copy-diagnostics', onclick: () => {
    navigator.clipboard?.writeText(text).then(() => { copy.textContent = t('diagnostics.copied'); }, () => { copy.textContent = t('diagnostics.copyYourself'); });
  } }, t('diagnostics.copy'));
  fill(byId('diagnostics'), t('diagnostics'),
    h('p.quiet', {}, t('diagnostics.text', { n: state.rows.length })),
    copy,
    h('pre.diagnostics-text', { tabindex: 0 }, text));
  open('diagnostics');
}

/**
 * @param {State} state
 * @param {() => void} onYes
 */
export function openAgain({ rows }, onYes) {
  const sheet = /** @type {HTMLDialogElement} */ (byId('again'));
  fill(sheet, t('again'),
    h('p', {}, t('again.text', { n: rows.length })),
    h('p.saving', {}, h('button.button.primary', { type: 'button', id: 'again-yes', onclick: () => {
      sheet.close();
      onYes();
    } }, t('again.yes')), h('button.button', { type: 'button', onclick: () => sheet.close() }, t('again.no'))));
  open('again');
}

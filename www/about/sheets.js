import { byId, duration, h, plural } from '../dom.js';

/**
 * @typedef {import('../types.js').State} State
 */

/** Requests that the page itself can see, from the moment when it said that it was ready. */
let readyAt = Number.POSITIVE_INFINITY;

export function markReady() {
  readyAt = performance.now();
}

function requestsSinceReady() {
  return performance.getEntriesByType('resource').filter((entry) => entry.startTime > readyAt && !entry.name.startsWith('blob:')).length;
}

/**
 * @param {HTMLElement} sheet
 * @param {string} title
 * @param {...(Node|string|null)} content
 */
function fill(sheet, title, ...content) {
  const close = h('button.icon-button', { type: 'button', 'aria-label': 'Close', onclick: () => /** @type {HTMLDialogElement} */ (sheet).close() }, '×');
  sheet.replaceChildren(h('header', {}, h('h2', { id: `${sheet.id}-title` }, title), close), h('div.sheet-body', {}, ...content.filter((part) => part !== null)));
}

/** @param {string} id */
function open(id) {
  const sheet = /** @type {HTMLDialogElement} */ (byId(id));
  if (!sheet.open) sheet.showModal();
}

/** @param {State} state */
export function openPrivacy(state) {
  const made = requestsSinceReady();
  fill(byId('privacy'), 'Your scan stays in this tab',
    h('p', {}, 'Everything that answers is already here: the readers, the network and its weights run in this tab. There is no server to send a scan to.'),
    h('p.count', {}, h('strong', {}, String(made)), h('span', {}, state.phase === 'ready' ? `${made === 1 ? 'request' : 'requests'} by this page since it was ready` : 'The page is still loading its own files')),
    h('p', {}, 'Do not believe a page that counts itself. Check it:'),
    h('ol.steps', {},
      h('li', {}, 'Open the developer tools of your browser (F12) and their Network tab.'),
      h('li', {}, 'Drop a scan here. No line appears.'),
      h('li', {}, 'Or switch your network off now. Everything still works.')),
    h('p.quiet', {}, 'A content security policy forbids this page any other origin. Scans are kept in memory only and are gone when you close the tab.'));
  open('privacy');
}

const KEYS = [
  ['↑ ↓ or wheel', 'next slice up or down'],
  ['Page Up, Page Down', 'five slices'],
  ['Home, End', 'base, vertex'],
  ['1 2 3 4', 'brain, subdural, stroke, bone window'],
  ['Drag', 'window: sideways width, upwards level'],
  ['Ctrl + wheel, 0', 'zoom, fit'],
  ['H', 'evidence map on or off'],
  ['M', 'most suspicious slice'],
  ['J K', 'next, previous scan'],
  ['?', 'this sheet'],
];

export function openKeys() {
  fill(byId('keys'), 'Keys and help',
    h('dl.keymap', {}, ...KEYS.flatMap(([key, meaning]) => [h('dt', {}, h('kbd', {}, key ?? '')), h('dd', {}, meaning ?? '')])),
    h('h3', {}, 'How it works'),
    h('p', {}, 'The skull is found and taken away, the head is set upright, and each slice is brought to about 1.9 mm a pixel, in Hounsfield units relative to the brain\'s own median. A three-dimensional convolutional network gives every slice a score and a map of where its evidence lies. Scores become probabilities by a calibration that was fitted on patients whom the network had not seen.'),
    h('p', {}, 'It was made from few patients of few hospitals. It misses bleeds and calls bleeds that are not there. It must not be used to decide about a patient.'));
  open('keys');
}

/**
 * @param {State} state
 * @param {Record<string, unknown>} engine What the worker says of itself.
 */
export function openDiagnostics(state, engine) {
  const facts = {
    page: { phase: state.phase, requests_since_ready: requestsSinceReady(), loaded_in: duration(readyAt === Number.POSITIVE_INFINITY ? performance.now() : readyAt) },
    backend: { name: state.backend.name, reason: state.backend.reason, ...state.backend.details },
    model: state.model ?? state.modelFault,
    engine,
    browser: { agent: navigator.userAgent, threads: navigator.hardwareConcurrency, isolated: globalThis.crossOriginIsolated },
    scans: state.rows.map(({ kind, slices, outcome, refusal, report }) => ({ kind, slices, outcome, refusal: refusal?.code, warnings: report?.warnings.map(({ code }) => code), backend: report?.backend, timing_ms: report?.timing_ms })),
  };
  const text = JSON.stringify(facts, null, 2);
  const copy = h('button.button', { type: 'button', onclick: () => {
    navigator.clipboard?.writeText(text).then(() => { copy.textContent = 'Copied'; }, () => { copy.textContent = 'Select the text and copy it'; });
  } }, 'Copy');
  const { model } = state;
  fill(byId('diagnostics'), 'Model and diagnostics',
    model && h('dl.facts', {},
      h('dt', {}, 'Model'), h('dd', {}, `${model.name} ${model.version}`),
      h('dt', {}, 'Parameters'), h('dd', {}, model.parameters.toLocaleString('en')),
      h('dt', {}, 'SHA-256'), h('dd.code', {}, model.sha256),
      h('dt', {}, 'Licence'), h('dd', {}, model.licence || 'not stated')),
    h('p.quiet', {}, `Nothing below names a person or a file: ${plural(state.rows.length, 'scan')} by kind and outcome only.`),
    h('pre.diagnostics-text', { tabindex: 0 }, text), copy);
  open('diagnostics');
}

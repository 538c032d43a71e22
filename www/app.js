/**
 * Puts the page together. Data goes one way: an action changes the state, the state redraws the rooms.
 *
 * @typedef {import('./types.js').Notice} Notice
 */
import { Answer } from './answer/answer.js';
import { markReady, openAgain, openDiagnostics, openKeys, openModel, openPrivacy, showRequests } from './about/sheets.js';
import { How } from './about/how.js';
import { Tour } from './about/tour.js';
import { byId, h } from './dom.js';
import { wireDrop } from './drop/drop.js';
import { probe, startGpu } from './engine/gpu.js';
import { askServiceWorker, keepRequests } from './engine/requests.js';
import { sealPage } from './engine/seal.js';
import { Session } from './engine/session.js';
import { hasGpuEngine, shippedModels } from './engine/source.js';
import { Compare } from './compare/compare.js';
import { modelOf, Models } from './model/models.js';
import { keepOffline } from './offline/offline.js';
import { LANGUAGES, notice, preferredLanguage, setLanguage, t, translate } from './i18n/i18n.js';
import { preference, remember } from './preferences.js';
import { csv } from './report/csv.js';
import { openDicom } from './report/export.js';
import { reportLines } from './report/lines.js';
import { keySlicesOf, pageOf } from './report/print.js';
import { fileName, save } from './report/save.js';
import { Scans } from './scans.js';
import { Store } from './state.js';
import { Viewer } from './viewer/viewer.js';
import { arranged } from './worklist/arrange.js';
import { drawThumbnail, WorkList } from './worklist/worklist.js';

const store = new Store();
const engine = new Session(onEngineEvent);
const engineUp = engine.start();
const shipped = shippedModels();
// Waited for later: a failure must not count as unhandled until then.
shipped.catch(() => {});
const forced = new URLSearchParams(location.search).get('backend');
/** The WebGPU engine's files were fetched, for this visit or for later ones. */
let gpuFetched = false;
/** The WebGPU engine has passed its self-test and has not failed since. It holds the page's first model and no other. */
let gpuUp = false;
/** @type {import('./types.js').Sample[]} What this page can draw. */
let samples = [];

const scans = new Scans(store, engine, { engineUp, forced, say });
const models = new Models(store, engine, {
  engineUp,
  between: (work) => scans.between(work),
  used: ({ name, version }) => {
    showBackend();
    document.getElementById('fault')?.remove();
    say(t('model.used', { name: `${name} ${version}` }));
  },
});

// ---------------------------------------------------------------- rooms

/** @type {(id: number, z: number, withHeat: boolean) => Promise<import('./viewer/slices.js').Slice>} */
const sliceOf = async (id, z, withHeat) => {
  const [grey, heat] = await Promise.all([engine.call('slice', { id, z }), withHeat ? engine.call('heat', { id, z }) : null]);
  return { grey, heat };
};
const viewer = new Viewer(byId('viewer'), {
  slice: sliceOf,
  netInput: (id) => engine.call('netInput', { id }),
  look: (change) => store.look(change),
  state: () => store.state,
});
/** @type {(name: string, text: string, type?: string) => void} */
const keep = (name, text, type) => {
  save(name, text, type);
  workList.sayIsSaved(name);
};
const workList = new WorkList(byId('worklist'), {
  select: (key) => scans.select(key),
  cancel: (key) => scans.cancel(key),
  retry: (key) => scans.retry(key),
  remove: (key) => scans.remove(key),
  cancelAll: () => scans.cancelAll(),
  exportAll: () => keep('ictus-scans.jsonl', reportLines(store.state.rows)),
  exportCsv: () => keep('ictus-scans.csv', csv(store.state.rows), 'text/csv'),
  printAll: () => print(arranged(store.state).map(({ key }) => key)),
  arrange: (change) => store.set(change),
});
const answer = new Answer(byId('answer'), {
  goTo: (z) => viewer.goTo(z, true),
  useNamedOrder: (key, named) => scans.useNamedOrder(key, named),
  save: (key) => {
    const report = store.row(key)?.report;
    if (report) save(fileName(report.scan), `${JSON.stringify(report, null, 2)}\n`);
  },
  print: (key) => print([key]),
  dicom: (key) => {
    const row = store.row(key);
    if (row) openDicom(row, modelOf(store.state, row.report), { slice: sliceOf, open: (again) => scans.open(again) });
  },
  openHow: () => how.open(),
  retry: (key) => scans.retry(key),
  openModel: (report) => showModel(modelOf(store.state, report)),
  compare: (key) => compare.open(key),
  openDiagnostics: showDiagnostics,
  slice: sliceOf,
});
const compare = new Compare(/** @type {HTMLDialogElement} */ (byId('compare')), {
  state: () => store.state,
  slice: sliceOf,
  open: (key) => scans.open(key),
  beside: (id, key) => {
    const bytes = models.bytesOf(key);
    return bytes ? engine.screenBeside(id, bytes) : Promise.reject({ code: 'weights_missing', message: t('model.missing') });
  },
  besideSlice: async (id, z, withHeat) => {
    const [grey, heat] = await Promise.all([engine.call('slice', { id, z, beside: true }), withHeat ? engine.call('heat', { id, z, beside: true }) : null]);
    return { grey, heat };
  },
  closeBeside: () => void engine.closeBeside(),
});

/** @type {import('./types.js').Model|null} */
let modelAsked = null;
/** @type {unknown[]} What the model sheet was drawn from. */
let modelShown = [];
store.subscribe((state) => {
  const { model, models: listed, trying, notUsed, language } = state;
  const shown = [model, listed, trying, notUsed, language];
  if (/** @type {HTMLDialogElement} */ (byId('model')).open && shown.some((part, place) => part !== modelShown[place])) showModel(model === modelShown[0] ? modelAsked : null);
  modelShown = shown;
});
/** Opens the first drawn scan with a bleed, which has most to show. */
const sample = () => {
  const drawn = samples[1];
  if (drawn) scans.addSample(1, () => titleOf(drawn));
};
const how = new How({
  state: () => store.state,
  modelOf: ({ report }) => modelOf(store.state, report),
  slice: sliceOf,
  netInput: (id) => engine.call('netInput', { id }),
  layers: (id, z) => engine.call('layers', { id, z }),
  open: (key) => scans.open(key),
  sample,
});
const tour = new Tour({ hasScan: () => store.state.rows.length + store.state.opening > 0, sample });
const help = { how: () => how.open(), tour: () => tour.start() };

store.subscribe((state) => {
  const scene = state.rows.length > 0 || state.opening > 0 ? 'room' : 'start';
  document.body.dataset.phase = state.phase;
  document.body.dataset.scene = scene;
  byId('start').hidden = scene !== 'start';
  byId('room').hidden = scene !== 'room';
  badge(state);
  workList.render(state);
  viewer.render(state);
  answer.render(state);
  how.render(state);
  tour.render();
});

/** @param {import('./types.js').State} state */
function badge(state) {
  const element = byId('engine');
  const { backend, phase, fault, modelFault } = state;
  element.dataset.backend = backend.name ?? '';
  element.dataset.level = fault || modelFault ? 'fault' : phase === 'loading' ? 'wait' : 'good';
  element.title = fault?.message ?? modelFault?.message ?? backend.reason;
  byId('engine-text').replaceChildren(...(fault ? [t('badge.fault')] : modelFault ? [t('badge.noModel')] : phase === 'loading' ? [t('badge.loading')] : [backend.name === 'webgpu' ? 'WebGPU' : 'CPU', h('span.badge-where', {}, t('badge.where'))]));
}

/** @param {string} words */
function say(words) {
  byId('live').textContent = words;
}

// ---------------------------------------------------------------- start

async function start() {
  try {
    samples = await engineUp;
  } catch (error) {
    const fault = /** @type {Notice} */ (error);
    store.set({ phase: 'failed', fault });
    showFault(fault);
    return;
  }
  try {
    const { difference, selfTestMs } = await models.start(shipped);
    store.set({ backend: { name: 'cpu', settled: false, reason: '', details: { cpu_self_test_difference: difference, cpu_self_test_ms: selfTestMs } } });
  } catch (error) {
    store.set({ modelFault: /** @type {Notice} */ (error), backend: { name: 'cpu', settled: false, reason: '', details: {} } });
    showFault(/** @type {Notice} */ (error));
  }
  showSamples();
  store.set({ phase: 'usable' });
  const spares = engine.prepareSpares();
  await startBackend();
  await spares;
  await keepOffline(gpuFetched);
  await engine.call('seal');
  sealPage();
  // Timings of requests that are under way arrive a moment later; they belong to loading.
  markReady();
  store.set({ phase: 'ready' });
  scans.pump();
  drawSamples();
}

/** Settles which backend computes. Afterwards no file is fetched any more; the GPU may still be testing itself. */
async function startBackend() {
  /** @type {(reason: string, details?: object) => void} */
  const stayOnCpu = (reason, details = {}) => {
    const { backend } = store.state;
    store.set({ backend: { name: 'cpu', settled: true, reason, details: { ...backend.details, ...details } } });
  };
  if (store.state.modelFault) return stayOnCpu('');
  if (!hasGpuEngine) return stayOnCpu('CPU. This copy of the page carries the CPU engine only.');
  if (forced === 'cpu') return stayOnCpu('CPU, as asked for in the address.');
  const probed = await probe(forced === 'webgpu');
  if (!probed.ok) return stayOnCpu(`CPU. ${probed.reason}`, probed.details);
  const weights = models.first;
  if (!weights) return stayOnCpu('');
  const gpu = startGpu(weights, (reason) => {
    engine.dropGpu();
    gpuUp = false;
    stayOnCpu(`CPU, since the GPU failed. ${reason}`);
  });
  await gpu.fetched;
  gpuFetched = true;
  const tested = gpu.ready.then(async ({ difference, selfTestMs }) => {
    await engine.connectGpu(gpu.port);
    const { backend } = store.state;
    gpuUp = true;
    store.set({ backend: { ...backend, settled: true, details: { ...backend.details, ...probed.details, gpu_self_test_difference: difference, gpu_self_test_ms: selfTestMs } } });
    showBackend();
  }, (error) => stayOnCpu(`CPU, since WebGPU could not be used. ${error.message}`, probed.details));
  // Who asks for WebGPU wants its answer, even if shaders compile for long; others get the CPU's until it is there.
  if (forced === 'webgpu') await tested;
}

/** Says what computes where there is a GPU: its worker holds one model, and another one is the CPU's. */
function showBackend() {
  if (!gpuUp) return;
  const { backend, model, models: [first] } = store.state;
  const onGpu = model !== null && model.sha256 === first?.card?.sha256;
  store.set({ backend: { ...backend, ...(onGpu ? { name: 'webgpu', reason: 'WebGPU, self-test passed.' } : { name: 'cpu', reason: 'CPU. The GPU engine holds the first model of the page only.' }) } });
}

/** Samples are named by the engine, in English; a language may have its own words for them. */
const titleOf = (/** @type {import('./types.js').Sample} */ { name, title }) => (store.state.language === 'en' ? title : t(`sample.${name}`));

function showSamples() {
  const pictures = [...document.querySelectorAll('.sample-picture')];
  byId('samples').replaceChildren(...samples.map((sample, index) => h('li', {},
    h('button.sample', { type: 'button', 'data-sample': index, onclick: () => scans.addSample(index, () => titleOf(sample)) },
      pictures[index] ?? h('canvas.sample-picture', { width: 96, height: 96, 'aria-hidden': true }),
      h('span.sample-words', {}, h('strong', {}, titleOf(sample)), h('span', {}, store.state.language === 'en' ? sample.sentence : t(`sample.${sample.name}.text`)))))));
}

/** Their pictures are drawn last, and not while somebody waits for an answer. */
async function drawSamples() {
  for (const [index, canvas] of document.querySelectorAll('.sample-picture').entries()) {
    if (store.state.rows.length > 0 || store.state.opening > 0) return;
    const picture = await engine.call('sampleThumbnail', { index }).catch(() => null);
    if (picture && canvas instanceof HTMLCanvasElement) drawThumbnail(canvas, picture);
  }
}

/** @param {Notice} fault */
function showFault(fault) {
  const old = document.getElementById('fault');
  old?.remove();
  byId('main').prepend(h('p.fault', { id: 'fault', role: 'alert', 'data-code': fault.code }, fault.message));
}

// ---------------------------------------------------------------- events

/** @param {{event: string} & Record<string, any>} message */
function onEngineEvent(message) {
  if (message.event === 'progress') {
    scans.progress(message.id, { step: message.step, done: message.done, total: message.total });
  } else if (message.event === 'beside') {
    compare.progress(message.step, message.done, message.total);
  } else if (message.event === 'gpu-lost') {
    const { backend } = store.state;
    gpuUp = false;
    store.set({ backend: { ...backend, name: 'cpu', settled: true, reason: `CPU, since the GPU failed. ${message.reason}` } });
    say(t('badge.gpuLost'));
  } else if (message.event === 'requests') {
    keepRequests(message.requests);
  } else if (message.event === 'restarted') {
    const { backend } = store.state;
    gpuUp &&= !message.lostGpu;
    if (message.lostGpu || backend.name === 'cpu') store.set({ backend: { ...backend, name: 'cpu', reason: 'CPU. The engine was restarted after a crash.' } });
    scans.restarted();
  } else if (message.event === 'stopped') {
    const fault = { ...message.reason, message: notice(message.reason).text };
    store.set({ phase: 'failed', fault });
    showFault(fault);
  }
}

async function showPrivacy() {
  openPrivacy(store.state);
  const [ofWorker] = await Promise.all([engine.call('requests').catch(() => []), askServiceWorker()]);
  keepRequests(ofWorker);
  showRequests(store.state);
}

/** @param {import('./types.js').Model|null} [asked] The model of an answer, which need not be the one in use. */
function showModel(asked = null) {
  modelAsked = asked;
  openModel(store.state, asked, (key) => void models.use(key));
}

async function showDiagnostics() {
  openDiagnostics(store.state, await engine.diagnostics().catch((notice) => notice));
}

/** @param {string[]} keys Of scans; those that are not through have no page. */
async function print(keys) {
  const paper = byId('paper');
  const pages = [];
  for (const [place, key] of keys.entries()) {
    const row = store.row(key);
    if (!row?.report) continue;
    say(t('print.preparing', { done: place + 1, n: keys.length }));
    const { id, view } = row;
    // A scan that cannot be read again is printed without its pictures.
    const pictures = view && id !== null ? await scans.open(key).then(() => keySlicesOf(row, (z) => sliceOf(id, z, view.evidence))).catch(() => []) : [];
    pages.push(pageOf(row, modelOf(store.state, row.report), pictures));
  }
  if (pages.length === 0) return;
  paper.replaceChildren(...pages);
  window.print();
}

// ---------------------------------------------------------------- wiring

/** @param {string} language */
function speak(language) {
  setLanguage(language);
  document.documentElement.lang = language;
  document.documentElement.dir = LANGUAGES[language]?.rightToLeft ? 'rtl' : 'ltr';
  document.title = t('title');
  translate(document);
  const other = Object.keys(LANGUAGES).find((code) => code !== language) ?? language;
  const button = byId('language');
  button.textContent = other.toUpperCase();
  button.setAttribute('aria-label', `${other.toUpperCase()}, ${LANGUAGES[other]?.name ?? ''}`);
  button.title = LANGUAGES[other]?.name ?? other;
  button.lang = other;
  store.set({ language });
  if (samples.length > 0) showSamples();
}

/** @param {string} theme */
function paint(theme) {
  document.documentElement.dataset.theme = theme;
  viewer.ladder.draw();
  compare.repaint();
}

wireDrop((drop) => scans.addFiles(drop), (weights) => {
  for (const file of weights) void models.useFile(file);
  showModel();
});
paint(preference('theme') ?? (matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark'));
speak(preference('language') ?? preferredLanguage());
for (const id of ['open-privacy', 'bar-privacy']) byId(id).addEventListener('click', showPrivacy);
byId('open-keys').addEventListener('click', () => openKeys(help));
byId('tour-offer').hidden = preference('tour') === 'seen';
byId('tour-start').addEventListener('click', help.tour);
byId('start-model').addEventListener('click', () => showModel());
byId('engine').addEventListener('click', showDiagnostics);
byId('theme').addEventListener('click', () => {
  const theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
  remember('theme', theme);
  paint(theme);
});
byId('language').addEventListener('click', () => {
  const codes = Object.keys(LANGUAGES);
  const next = codes[(codes.indexOf(store.state.language) + 1) % codes.length] ?? 'en';
  remember('language', next);
  speak(next);
});
byId('home').addEventListener('click', (event) => {
  event.preventDefault();
  if (store.state.rows.length > 0) openAgain(store.state, () => scans.removeAll());
});
addEventListener('keydown', (event) => {
  const target = event.target instanceof HTMLElement ? event.target : null;
  if (event.ctrlKey || event.metaKey || event.altKey || target?.closest('input:not([type="range"]), textarea, select, dialog')) return;
  // A slider has use for arrows, none for letters.
  if (event.key.length > 1 && target?.closest('input')) return;
  if (event.key.length === 1 && event.key !== '?' && preference('keys') === 'off') return;
  if (event.key === '?') openKeys(help);
  else if (event.key === 'j' || event.key === 'k') step(event.key === 'j' ? 1 : -1);
  else if (event.key === 'Delete' && store.state.selected) scans.remove(store.state.selected);
  else if (!viewer.key(event)) return;
  event.preventDefault();
});
// Printed without the button, a page of the scan in view still comes out, without its pictures.
addEventListener('beforeprint', () => {
  const row = store.selectedRow;
  if (byId('paper').childElementCount === 0 && row?.report) byId('paper').replaceChildren(pageOf(row, modelOf(store.state, row.report), []));
});
addEventListener('afterprint', () => byId('paper').replaceChildren());

/** @param {number} by In the list as it is shown. */
function step(by) {
  const rows = arranged(store.state);
  const index = rows.findIndex((row) => row.key === store.state.selected);
  const next = rows[Math.max(0, Math.min(rows.length - 1, index + by))];
  if (next) void scans.select(next.key);
}

void start();

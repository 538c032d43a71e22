/**
 * Puts the page together. Data goes one way: an action changes the state, the state redraws the rooms.
 *
 * @typedef {import('./types.js').Found} Found
 * @typedef {import('./types.js').Notice} Notice
 * @typedef {import('./types.js').Row} Row
 */
import { Answer } from './answer/answer.js';
import { fileName, save } from './answer/export.js';
import { markReady, openDiagnostics, openKeys, openPrivacy } from './about/sheets.js';
import { byId, h, percent } from './dom.js';
import { wireDrop } from './drop/drop.js';
import { EngineClient } from './engine/client.js';
import { probe, startGpu } from './engine/gpu.js';
import { hasGpuEngine } from './engine/source.js';
import { keepOffline } from './offline/offline.js';
import { Store } from './state.js';
import { Viewer } from './viewer/viewer.js';
import { drawThumbnail, WorkList } from './worklist/worklist.js';

const store = new Store();
const engine = new EngineClient(onEngineEvent);
const engineUp = engine.start();
/** Largest difference from the trainer's logits in the golden self-test for which an engine is trusted. */
const TOLERANCE = 1e-4;
const forced = new URLSearchParams(location.search).get('backend');

/** Everything that was given to the engine, in order: a restarted engine gets it again and finds the same numbers. */
/** @type {({paths: string[], files: File[]} | {index: number})[]} */
const given = [];
/** Calls that make the engine number scans go one at a time, so that `given` and the numbers agree. */
let adding = Promise.resolve();
let pumping = false;
/** The WebGPU engine's files were fetched, for this visit or for later ones. */
let gpuFetched = false;
/** @type {import('./types.js').Sample[]} What this page can draw. */
let samples = [];
let nextKey = 0;

// ---------------------------------------------------------------- rooms

const viewer = new Viewer(byId('viewer'), async (id, z, withHeat) => {
  const [grey, heat] = await Promise.all([engine.call('slice', { id, z }), withHeat ? engine.call('heat', { id, z }) : null]);
  return { grey, heat };
});
const workList = new WorkList(byId('worklist'), { select, cancel, retry, remove, exportAll });
const answer = new Answer(byId('answer'), {
  goTo: (z) => viewer.goTo(z),
  useNamedOrder,
  save: (key) => {
    const report = store.row(key)?.report;
    if (report) save(fileName(report.scan), `${JSON.stringify(report, null, 2)}\n`);
  },
  retry,
  openDiagnostics: showDiagnostics,
});

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
});

/** @param {import('./types.js').State} state */
function badge(state) {
  const element = byId('engine');
  const { backend, phase, fault, modelFault } = state;
  element.dataset.backend = backend.name ?? '';
  element.dataset.level = fault || modelFault ? 'fault' : phase === 'loading' ? 'wait' : 'good';
  element.title = fault?.message ?? modelFault?.message ?? backend.reason;
  byId('engine-text').textContent = fault ? 'Cannot start' : modelFault ? 'No network' : phase === 'loading' ? 'Loading' : `${backend.name === 'webgpu' ? 'WebGPU' : 'CPU'}, on this machine`;
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
    const { model, difference, selfTestMs } = await engine.loadModel();
    // Written so that NaN fails too.
    if (!(difference <= TOLERANCE)) throw { code: 'self_test', message: `This browser computes something else with the network than it should (difference ${difference.toExponential(1)}), so it would answer wrongly. Slices can be viewed, but not answered.` };
    store.set({ model, backend: { name: 'cpu', settled: false, reason: '', details: { cpu_self_test_difference: difference, cpu_self_test_ms: selfTestMs } } });
  } catch (error) {
    store.set({ modelFault: /** @type {Notice} */ (error), backend: { name: 'cpu', settled: false, reason: '', details: {} } });
    showFault(/** @type {Notice} */ (error));
  }
  showSamples();
  store.set({ phase: 'usable' });
  const spare = engine.prepareSpare();
  await startBackend();
  await spare;
  await keepOffline(gpuFetched);
  await engine.call('seal');
  // Timings of requests that are under way arrive a moment later; they belong to loading.
  markReady();
  store.set({ phase: 'ready' });
  pump();
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
  const gpu = startGpu((reason) => {
    void engine.call('dropGpu');
    stayOnCpu(`CPU, since the GPU failed. ${reason}`);
  });
  await gpu.fetched;
  gpuFetched = true;
  const tested = gpu.ready.then(async ({ difference, selfTestMs }) => {
    await engine.call('connectGpu', { port: gpu.port }, [gpu.port]);
    const { backend } = store.state;
    store.set({ backend: { name: 'webgpu', settled: true, reason: 'WebGPU, self-test passed.', details: { ...backend.details, ...probed.details, gpu_self_test_difference: difference, gpu_self_test_ms: selfTestMs } } });
  }, (error) => stayOnCpu(`CPU, since WebGPU could not be used. ${error.message}`, probed.details));
  // Who asks for WebGPU wants its answer, even if shaders compile for long; others get the CPU's until it is there.
  if (forced === 'webgpu') await tested;
}

function showSamples() {
  byId('samples').replaceChildren(...samples.map(({ title, sentence }, index) => h('li', {},
    h('button.sample', { type: 'button', 'data-sample': index, onclick: () => addSample(index) },
      h('canvas.sample-picture', { width: 96, height: 96, 'aria-hidden': true }),
      h('span.sample-words', {}, h('strong', {}, title), h('span', {}, sentence))))));
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

// ---------------------------------------------------------------- scans in

/** @param {Promise<import('./drop/files.js').Drop>} drop */
function addFiles(drop) {
  store.set({ opening: store.state.opening + 1 });
  adding = adding.then(async () => {
    try {
      const files = await drop;
      await engineUp;
      found(await engine.call('addFiles', files));
      given.push(files);
    } catch (error) {
      failedDrop('This drop', /** @type {Notice} */ (error));
    }
    store.set({ opening: store.state.opening - 1 });
  });
}

/** @param {number} index */
function addSample(index) {
  store.set({ opening: store.state.opening + 1 });
  adding = adding.then(async () => {
    try {
      await engineUp;
      found(await engine.call('addSample', { index }), samples[index]);
      given.push({ index });
    } catch (error) {
      failedDrop('Sample', /** @type {Notice} */ (error));
    }
    store.set({ opening: store.state.opening - 1 });
  });
}

/** @returns {Row} */
function blankRow() {
  return { key: `row-${nextKey++}`, id: null, name: '', kind: '', slices: 0, synthetic: false, outcome: 'waiting', step: '', done: 0, total: 0, report: null, refusal: null, sources: [], view: null, thumbnail: null, namedOrder: false };
}

/**
 * @param {string} name
 * @param {Notice} refusal
 */
function failedDrop(name, refusal) {
  const row = { ...blankRow(), name, refusal, outcome: /** @type {const} */ ('refused') };
  store.set({ rows: [...store.state.rows, row], selected: store.state.selected ?? row.key });
  say(refusal.message);
}

/**
 * @param {Found} drop
 * @param {import('./types.js').Sample} [sample] The drop is this drawn scan.
 */
function found({ scans, refused }, sample) {
  /** @type {Row[]} */
  const rows = [
    ...scans.map((scan) => ({ ...blankRow(), ...scan, name: sample?.title ?? scan.name })),
    ...refused.map((report) => ({ ...blankRow(), name: report.scan || 'This drop', sources: report.sources, report, refusal: report.refusal, outcome: /** @type {const} */ ('refused') })),
  ];
  const first = rows[0];
  const { selected } = store.state;
  const selectedRow = store.selectedRow;
  // A sample is asked for to be seen; a second drop does not take the person away from what they look at.
  const keep = selected !== null && selectedRow !== null && !sample;
  store.set({ rows: [...store.state.rows, ...rows], selected: keep ? selected : (first?.key ?? selected) });
  say(scans.length === 0 && refused.length > 0 ? `Nothing could be opened: ${refused[0]?.refusal?.message ?? ''}` : `${scans.length} found, ${refused.length} refused`);
  pump();
}

// ---------------------------------------------------------------- the queue

/** Screens what waits, the selected scan first, one at a time. */
async function pump() {
  if (pumping || !mayScreen()) return;
  pumping = true;
  for (let row = nextWaiting(); row; row = nextWaiting()) await screen(row);
  pumping = false;
}

function mayScreen() {
  const { phase } = store.state;
  // With a forced backend an answer of another one would be a surprise.
  return phase === 'ready' || (phase === 'usable' && forced !== 'webgpu');
}

function nextWaiting() {
  const { rows, selected } = store.state;
  const waiting = rows.filter((row) => row.outcome === 'waiting' && row.id !== null);
  return waiting.find((row) => row.key === selected) ?? waiting[0] ?? null;
}

/** @param {Row} row */
async function screen(row) {
  const { key, id } = row;
  if (id === null) return;
  store.setRow(key, { outcome: 'working', step: 'read', done: 0, total: row.slices });
  try {
    const { report, view, thumbnail } = await engine.call('screen', { id });
    if (store.row(key)?.outcome !== 'working') return;
    store.setRow(key, {
      report,
      view,
      thumbnail,
      outcome: report.outcome,
      refusal: report.refusal,
      sources: report.sources,
    });
    say(report.finding && report.probability !== null ? `${row.name}: ${report.finding}, ${percent(report.probability)}` : `${row.name}: not answered. ${report.refusal?.message ?? ''}`);
  } catch (error) {
    const refusal = /** @type {Notice} */ (error);
    if (refusal.code === 'engine_crashed') await restarted;
    // Cancelled and perhaps already asked for again, while this attempt was on its way out.
    if (store.row(key)?.outcome !== 'working') return;
    if (refusal.code === 'cancelled') store.setRow(key, { outcome: 'cancelled' });
    else store.setRow(key, { outcome: 'refused', refusal });
  }
}

/** @param {string} key */
function cancel(key) {
  const row = store.row(key);
  if (!row) return;
  if (row.outcome === 'working' && row.id !== null) void engine.cancel(row.id);
  store.setRow(key, { outcome: 'cancelled' });
  say(`${row.name}: cancelled`);
}

/** @param {string} key */
function retry(key) {
  engine.clearCancel();
  store.setRow(key, { outcome: 'waiting', refusal: null, report: null });
  pump();
}

/** @param {string} key */
function remove(key) {
  const row = store.row(key);
  const { rows, selected } = store.state;
  const index = rows.findIndex((candidate) => candidate.key === key);
  const rest = rows.filter((candidate) => candidate.key !== key);
  store.set({ rows: rest, selected: selected === key ? (rest[Math.min(index, rest.length - 1)]?.key ?? null) : selected });
  if (row?.id !== null && row) void engine.call('remove', { id: row.id }).catch(() => {});
}

/**
 * @param {string} key
 * @param {boolean} named
 */
async function useNamedOrder(key, named) {
  const row = store.row(key);
  if (!row || row.id === null) return;
  await engine.call('useNamedOrder', { id: row.id, named });
  store.setRow(key, { namedOrder: named, outcome: 'waiting', report: null, view: null });
  pump();
}

/** @param {string} key */
async function select(key) {
  store.set({ selected: key });
  const row = store.row(key);
  // Slices of a scan that was looked at long ago may have been let go.
  if (row?.view && row.id !== null) {
    try {
      await engine.call('open', { id: row.id });
    } catch (error) {
      store.setRow(key, { view: null });
      say(/** @type {Notice} */ (error).message);
    }
  }
}

function exportAll() {
  const reports = store.state.rows.map(({ report }) => report).filter((report) => report !== null);
  save('ictus-scans.jsonl', reports.map((report) => `${JSON.stringify(report)}\n`).join(''));
}

// ---------------------------------------------------------------- events

/** Settles when a crashed engine has been replaced. */
let restarted = Promise.resolve();

/** @param {{event: string} & Record<string, any>} message */
function onEngineEvent(message) {
  if (message.event === 'progress') {
    const row = store.state.rows.find((candidate) => candidate.id === message.id);
    if (row?.outcome === 'working') store.setRow(row.key, { step: message.step, done: message.done, total: message.total });
  } else if (message.event === 'gpu-lost') {
    const { backend } = store.state;
    store.set({ backend: { ...backend, name: 'cpu', settled: true, reason: `CPU, since the GPU failed. ${message.reason}` } });
    say('The GPU failed. The CPU goes on.');
  } else if (message.event === 'crashed') restarted = restart();
}

async function restart() {
  if (!engine.takeSpare()) {
    const fault = { code: 'engine_crashed', message: 'The engine stopped again. Finished answers stay; reload the page to go on.' };
    store.set({ phase: 'failed', fault });
    showFault(fault);
    return;
  }
  await engine.start();
  if (store.state.model) await engine.loadModel();
  await engine.call('seal');
  for (const drop of given) await engine.call('index' in drop ? 'addSample' : 'addFiles', drop);
  const { backend } = store.state;
  store.set({ backend: { ...backend, name: 'cpu', reason: 'CPU. The engine was restarted after a crash.' } });
}

async function showDiagnostics() {
  openDiagnostics(store.state, await engine.call('diagnostics').catch((notice) => notice));
}

// ---------------------------------------------------------------- wiring

wireDrop(addFiles);
byId('open-privacy').addEventListener('click', () => openPrivacy(store.state));
byId('open-keys').addEventListener('click', openKeys);
byId('engine').addEventListener('click', showDiagnostics);
byId('theme').addEventListener('click', () => {
  const root = document.documentElement;
  root.dataset.theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
  viewer.ladder.draw();
});
addEventListener('keydown', (event) => {
  const target = event.target instanceof HTMLElement ? event.target : null;
  if (event.ctrlKey || event.metaKey || event.altKey || target?.closest('input, textarea, dialog')) return;
  if (event.key === '?') openKeys();
  else if (event.key === 'j' || event.key === 'k') step(event.key === 'j' ? 1 : -1);
  else if (!viewer.key(event)) return;
  event.preventDefault();
});

/** @param {number} by */
function step(by) {
  const { rows, selected } = store.state;
  const index = rows.findIndex((row) => row.key === selected);
  const next = rows[Math.max(0, Math.min(rows.length - 1, index + by))];
  if (next) void select(next.key);
}

void start();

/**
 * Times of the page in a real browser: load to ready, and drop to answer with its steps; what keeps its own thread busy; a batch
 * with one engine and with two; then the network alone against ONNX Runtime Web. Writes them as JSON to `ICTUS_BENCH`; `cargo xtask bench` prints them.
 */
import { writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { performance } from 'node:perf_hooks';
import { copies, openPage, phantom } from './harness.mjs';
import { SHAPES, openRuntimes } from './runtimes.mjs';
import { longestTask, sliceTimes } from './thread.mjs';

const out = process.env.ICTUS_BENCH;
if (!out) throw new Error('ICTUS_BENCH is not set; run this with `cargo xtask bench`');

const RUNS = 3;
const bleed = ['--seed', '7', '--bleed', 'intraparenchymal:40'];
/** What is given to the page, and how. */
const inputs = {
  'sample of the page': null,
  'DICOM, 30 slices of 512 x 512': phantom('bench', 'dicom', ...bleed, '--slices', '30', '--size', '512'),
  'JPG, 34 slices of 650 x 650': phantom('bench', 'jpg', ...bleed, '--slices', '34', '--size', '650'),
};

const after = [];
const context = { after: (work) => after.push(work) };
/** @type {Record<string, Record<string, number[]>>} */
const times = {};
const note = (what, step, ms) => ((times[what] ??= {})[step] ??= []).push(ms);
for (let run = 0; run < RUNS; run++) {
  const begun = Date.now();
  const opened = await openPage(context, { backend: 'cpu' });
  const { page } = opened;
  note('page', 'browser start to ready', Date.now() - begun);
  note('page', 'load to ready', await page.evaluate(() => globalThis.readyAt - performance.timeOrigin));
  // The first answer of a visit also compiles what is used for the first time.
  for (const visit of ['first', 'second']) {
    for (const [name, folder] of Object.entries(inputs)) {
      const rows = await page.locator('[data-scan]').count();
      const dropped = performance.now();
      if (folder) await opened.drop(folder);
      else await page.evaluate(() => document.querySelector('[data-sample="1"]')?.click());
      await opened.answers(rows + 1);
      const what = `${name}, ${visit}`;
      note(what, 'drop to answer', performance.now() - dropped);
      const { scans } = await opened.diagnostics();
      for (const [step, ms] of Object.entries(scans.at(-1).timing_ms)) note(what, step, ms);
    }
  }
  for (const work of after.splice(0)) await work();
}

const summary = Object.entries(times).map(([what, steps]) => ({
  what,
  steps: Object.entries(steps).map(([step, list]) => {
    const sorted = list.toSorted((a, b) => a - b);
    return { step, median_ms: sorted[Math.floor(sorted.length / 2)], least_ms: sorted[0] };
  }),
}));

/** Median and quartiles. */
const spread = (values) => {
  const sorted = values.toSorted((a, b) => a - b);
  const [lower, median, upper] = [0.25, 0.5, 0.75].map((share) => sorted[Math.floor(share * sorted.length)]);
  return { lower, median, upper };
};

/** By turns in two pages: neither is given the quieter machine. */
const BATCH = 12;
const PAIRS = 5;
const batches = [];
const formats = {
  'NIfTI, 30 slices of 512 x 512': phantom('bleeding', 'nifti', ...bleed),
  'JPG, 34 slices of 650 x 650': inputs['JPG, 34 slices of 650 x 650'],
};
const [one, two] = [await openPage(context, { backend: 'cpu', cores: 1 }), await openPage(context, { backend: 'cpu', cores: 2 })];
for (const [what, scan] of Object.entries(formats)) {
  const drop = copies(context, scan, BATCH);
  const timed = async (opened) => {
    const dropped = performance.now();
    await opened.drop(drop);
    const rows = await opened.answers(BATCH);
    const ms = performance.now() - dropped;
    if (rows.some(({ outcome }) => outcome !== 'classified')) throw new Error(`a scan of the batch was not answered: ${JSON.stringify(rows)}`);
    await opened.startAgain();
    return ms;
  };
  const pairs = [];
  // The first pair also starts the second engine.
  for (let pair = -1; pair < PAIRS; pair++) {
    const both = [await timed(one), await timed(two)];
    if (pair >= 0) pairs.push(both);
  }
  batches.push({ what, scans: BATCH, pairs: PAIRS, one_ms: spread(pairs.map(([ms]) => ms)), two_ms: spread(pairs.map(([, ms]) => ms)), ratio: spread(pairs.map(([first, second]) => first / second)) });
}
for (const work of after.splice(0)) await work();

const networks = [];
for (const [name, pairs] of /** @type {const} */ ([['shipped', 60], ['published', 20]])) {
  const runtimes = await openRuntimes(context, name);
  const shape = SHAPES[name]();
  const { difference } = await runtimes.agreement(shape);
  if (!(difference <= 1e-4)) throw new Error(`our engine and ONNX Runtime Web differ by ${difference}: their times compare nothing`);
  const times = await runtimes.times(shape, pairs);
  for (const work of after.splice(0)) await work();
  networks.push({
    name,
    shape,
    pairs,
    difference,
    ours_ms: spread(times.map(([ours]) => ours)),
    onnx_runtime_web_ms: spread(times.map(([, theirs]) => theirs)),
    ratio: spread(times.map(([ours, theirs]) => theirs / ours)),
  });
}

/** @type {number[]} */
const longest = [];
for (let run = 0; run < RUNS; run++) {
  longest.push(await longestTask(context));
  for (const work of after.splice(0)) await work();
}
const thread = { longest_task_ms: spread(longest), slice_ms: spread(await sliceTimes(context, RUNS)) };
for (const work of after.splice(0)) await work();

const machine = { processor: cpus()[0]?.model, cores: cpus().length, load: loadavg()[0] };
writeFileSync(out, JSON.stringify({ ...machine, runs: RUNS, page: summary, thread, batches, networks }));

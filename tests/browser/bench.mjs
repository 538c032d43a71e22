/** Times of the page in a real browser: load to ready, and drop to answer, as medians over a few runs. */
import { performance } from 'node:perf_hooks';
import { openPage, phantom } from './harness.mjs';

const RUNS = 5;
const scan = phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40');
const median = (numbers) => numbers.sort((a, b) => a - b)[Math.floor(numbers.length / 2)];

const after = [];
const context = { after: (work) => after.push(work) };
/** @type {Record<string, number[]>} */
const times = {};
const note = (what, ms) => (times[what] ??= []).push(ms);
for (let run = 0; run < RUNS; run++) {
  const begin = performance.now();
  const opened = await openPage(context, { backend: 'cpu' });
  note('browser start and load to ready', performance.now() - begin);
  note('load to ready', await opened.page.evaluate(() => globalThis.readyAt - performance.timeOrigin));
  for (const what of ['drop to answer, first', 'drop to answer, second']) {
    const rows = await opened.page.locator('[data-scan]').count();
    const dropped = performance.now();
    await opened.drop(scan);
    await opened.answers(rows + 1);
    note(what, performance.now() - dropped);
  }
  const { scans } = await opened.diagnostics();
  for (const [step, ms] of Object.entries(scans.at(-1).timing_ms)) note(`  step ${step}`, ms);
  for (const work of after.splice(0)) await work();
}
console.log(`\n${'CPU engine, phantom of the tests'.padEnd(36)} ${'median ms'.padStart(10)}  of ${RUNS} runs`);
for (const [what, list] of Object.entries(times)) console.log(`${what.padEnd(36)} ${median(list).toFixed(0).padStart(10)}`);

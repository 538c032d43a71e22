/**
 * What a person would feel as a stutter: long tasks of the page's own thread, a layout that jumps, slices that come too slowly.
 *
 * Times are of the processor, as Chromium's trace has them for each task, so that other work on the machine does not count.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PATIENCE_MS, eventually, openPage, phantom } from './harness.mjs';

const timeout = 2 * PATIENCE_MS;
const LONG_MS = 50;
const FRAME_MS = 1000 / 60;

/** Traces the page's thread while `work` goes on; the processor's milliseconds of each of its tasks. */
async function tasksOf({ browser, page }, work) {
  await browser.startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline', 'devtools.timeline'] });
  await work();
  const { traceEvents } = JSON.parse(await browser.stopTracing());
  const threads = new Set(traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid} ${tid}`));
  return traceEvents.filter(({ name, ph, pid, tid, tdur }) => name === 'ThreadControllerImpl::RunTask' && ph === 'X' && tdur !== undefined && threads.has(`${pid} ${tid}`)).map(({ tdur }) => tdur / 1000);
}

test('from a drop to its answer no task of the page takes 50 ms, and nothing jumps', { timeout }, async (t) => {
  const scan = phantom('bench', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40', '--slices', '30', '--size', '512');
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await page.evaluate(() => {
    globalThis.shifts = [];
    new PerformanceObserver((list) => {
      for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) globalThis.shifts.push(value);
    }).observe({ type: 'layout-shift', buffered: true });
  });
  const tasks = await tasksOf(opened, async () => {
    await opened.drop(scan);
    await opened.answers();
    for (const name of ['axial', 'coronal', 'sagittal']) await opened.picture(name);
  });
  assert.ok(tasks.length > 100, `${tasks.length} tasks were seen`);
  assert.deepEqual(tasks.filter((ms) => ms >= LONG_MS), []);
  assert.ok((await page.evaluate(() => globalThis.shifts)).reduce((sum, value) => sum + value, 0) < 0.1);
});

test('64 slices of 512 x 512 are walked through with time to spare for 60 frames a second', { timeout }, async (t) => {
  const scan = phantom('many', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40', '--slices', '64', '--size', '512');
  const opened = await openPage(t, { backend: 'cpu', device: { viewport: { width: 1440, height: 900 } } });
  const { page } = opened;
  await opened.drop(scan);
  await opened.answers();
  for (const name of ['axial', 'coronal', 'sagittal']) await opened.picture(name);
  const steps = 63;
  /** Milliseconds of processor time a slice: the least of several walks, since who else works on a core slows even that. */
  let least = Infinity;
  for (let walk = 0; walk < 3; walk++) {
    await page.keyboard.press('Home');
    await opened.atSlice(1);
    const tasks = await tasksOf(opened, () => page.evaluate(async (steps) => {
      const film = document.querySelector('#film-axial');
      for (let step = 0; step < steps; step++) {
        film.dispatchEvent(new WheelEvent('wheel', { deltaY: -120, bubbles: true, cancelable: true }));
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
    }, steps));
    assert.ok(tasks.length > steps, `${tasks.length} tasks were seen`);
    await eventually(async () => assert.equal(await opened.slice(), 64));
    least = Math.min(least, tasks.reduce((sum, ms) => sum + ms, 0) / steps);
  }
  t.diagnostic(`${least.toFixed(1)} ms of processor time a slice`);
  assert.ok(least < FRAME_MS, `${least.toFixed(1)} ms of processor time a slice`);
});

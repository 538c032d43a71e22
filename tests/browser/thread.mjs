/**
 * What a person would feel as a stutter: long tasks of the page's own thread, slices that come too slowly. Times are of the
 * processor, as Chromium's trace has them for each task; who else works on a core slows even that, so they are no tests.
 */
import { phantom, openPage } from './harness.mjs';

const bleed = ['--seed', '7', '--bleed', 'intraparenchymal:40'];

/** Traces the page's thread while `work` goes on; the processor's milliseconds of each of its tasks. */
async function tasksOf({ browser, page }, work) {
  await browser.startTracing(page, { categories: ['toplevel', 'disabled-by-default-devtools.timeline', 'devtools.timeline'] });
  await work();
  const { traceEvents } = JSON.parse(await browser.stopTracing());
  const threads = new Set(traceEvents.filter(({ name, args }) => name === 'thread_name' && args.name === 'CrRendererMain').map(({ pid, tid }) => `${pid} ${tid}`));
  const tasks = traceEvents.filter(({ name, ph, pid, tid, tdur }) => name === 'ThreadControllerImpl::RunTask' && ph === 'X' && tdur !== undefined && threads.has(`${pid} ${tid}`));
  if (tasks.length < 50) throw new Error(`the trace has ${tasks.length} tasks of the page`);
  return tasks.map(({ tdur }) => tdur / 1000);
}

const shown = async (opened) => {
  for (const name of ['axial', 'coronal', 'sagittal']) await opened.picture(name);
};

/** Milliseconds of the longest task from a drop to its answer. */
export async function longestTask(context) {
  const scan = phantom('bench', 'dicom', ...bleed, '--slices', '30', '--size', '512');
  const opened = await openPage(context, { backend: 'cpu' });
  const tasks = await tasksOf(opened, async () => {
    await opened.drop(scan);
    await opened.answers();
    await shown(opened);
  });
  return Math.max(...tasks);
}

/** Milliseconds that each slice takes when 64 slices of 512 x 512 are walked through, once a walk. */
export async function sliceTimes(context, walks) {
  const scan = phantom('many', 'dicom', ...bleed, '--slices', '64', '--size', '512');
  const opened = await openPage(context, { backend: 'cpu', device: { viewport: { width: 1440, height: 900 } } });
  const { page } = opened;
  await opened.drop(scan);
  await opened.answers();
  await shown(opened);
  const steps = 63;
  const times = [];
  for (let walk = 0; walk < walks; walk++) {
    await page.keyboard.press('Home');
    await opened.atSlice(1);
    const tasks = await tasksOf(opened, () => page.evaluate(async (steps) => {
      const film = document.querySelector('#film-axial');
      for (let step = 0; step < steps; step++) {
        film.dispatchEvent(new WheelEvent('wheel', { deltaY: -120, bubbles: true, cancelable: true }));
        await new Promise((resolve) => requestAnimationFrame(resolve));
      }
    }, steps));
    await opened.atSlice(64);
    times.push(tasks.reduce((sum, ms) => sum + ms, 0) / steps);
  }
  return times;
}

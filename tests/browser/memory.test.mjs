/** What the page takes of the machine: a batch must not grow with its length, and a scan of many slices must fit in a tab. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS, openPage, phantom, scratch } from './harness.mjs';

/** Scans of the batch; those before `FILL` fill the room that the page has for slices. `ICTUS_BATCH=200` for a longer one. */
const BATCH = Number(process.env.ICTUS_BATCH ?? 48);
const FILL = 36;
/** The batch is dropped, answered and cleared away for so long: `ICTUS_BATCH_SECONDS=3600` for an hour. */
const SECONDS = Number(process.env.ICTUS_BATCH_SECONDS ?? 0);
const patience = Math.max(4 * PATIENCE_MS, BATCH * 20_000 + SECONDS * 2000);

/** A folder of copies of one scan. DICOM would not do: slices with the same UIDs are one series, wherever they lie. */
function copies(t, first, end) {
  const scan = phantom('bleeding', 'nifti', '--seed', '7', '--bleed', 'intraparenchymal:40');
  const [file] = readdirSync(scan);
  const drop = scratch(t);
  for (let n = first; n < end; n++) copyFileSync(join(scan, file), join(drop, `scan ${n}.nii.gz`));
  return drop;
}

/** What a process of the page's tab holds now, and held at most, in MB. */
async function tab(opened) {
  const session = await opened.browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  const of = (pid, name) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;
  const [largest] = processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => ({ now: of(id, 'VmRSS'), peak: of(id, 'VmHWM') })).sort((a, b) => b.peak - a.peak);
  return largest;
}

test('a batch takes no more memory the longer it is', { timeout: patience, skip: process.platform === 'linux' ? false : 'reads /proc' }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  opened.page.setDefaultTimeout(patience);
  const drops = [copies(t, 0, FILL), copies(t, FILL, BATCH)];
  const measured = [];
  const started = Date.now();
  let answered = 0;
  do {
    for (const [place, drop] of drops.entries()) {
      await opened.drop(drop);
      const count = place === 0 ? FILL : BATCH;
      const rows = await opened.answers(count);
      assert.deepEqual(rows.map(({ outcome }) => outcome), Array(count).fill('classified'));
      answered += place === 0 ? FILL : BATCH - FILL;
      measured.push({ engine: (await opened.diagnostics()).engine.memory_bytes / 2 ** 20, ...(await tab(opened)) });
      const { engine, now, peak } = measured[measured.length - 1];
      t.diagnostic(`after ${answered} scans, ${((Date.now() - started) / 1000).toFixed(0)} s: engine ${engine.toFixed(0)} MB, tab ${now.toFixed(0)} MB, at most ${peak.toFixed(0)} MB`);
    }
    await opened.startAgain();
  } while (Date.now() - started < SECONDS * 1000);
  // A long run is measured by its first whole batch: until then each engine of the pool fills its own room.
  const [full, ...later] = SECONDS > 0 ? measured.slice(1) : measured;
  for (const { engine, now } of later) {
    // A scan has 16 MB of slices, and the browser keeps garbage for a while.
    assert.ok(engine <= full.engine + 32, `the engine grew from ${full.engine} MB to ${engine} MB`);
    assert.ok(now <= 1.25 * full.peak, `the tab grew from ${full.peak} MB to ${now} MB`);
  }
  assert.deepEqual(opened.errors, []);
});

test('400 slices of 512 x 512 are answered within 1.5 GB', { timeout: patience, skip: process.platform === 'linux' ? false : 'reads /proc' }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  await opened.drop(phantom('thin', 'dicom', '--seed', '7', '--slices', '400', '--slice-mm', '0.4', '--bleed', 'intraparenchymal:40'));
  const [answer] = await opened.answers();
  const { peak } = await tab(opened);
  t.diagnostic(`at most ${peak.toFixed(0)} MB`);
  assert.equal(answer.outcome, 'classified');
  assert.ok(peak < 1536, `the tab held ${peak} MB`);
});

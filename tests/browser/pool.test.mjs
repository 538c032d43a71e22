/** Several scans at a time, each in a worker of its own. */
import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS, openPage, phantom, scratch } from './harness.mjs';

const timeout = 2 * PATIENCE_MS;

/** A drop of scans that differ in everything. */
function batch(t) {
  const drop = scratch(t);
  const bleeding = ['--seed', '7', '--bleed', 'intraparenchymal:40'];
  const scans = [
    phantom('bleeding', 'dicom', ...bleeding),
    phantom('rotated', 'jpg', '--seed', '7', '--first', '11'),
    phantom('bleeding', 'nifti', ...bleeding),
    phantom('small', 'nifti', '--seed', '3', '--size', '64', '--slices', '4'),
    phantom('subdural', 'nifti', '--seed', '9', '--bleed', 'subdural:60'),
    phantom('plain', 'jpg', '--seed', '12'),
  ];
  for (const [place, scan] of scans.entries()) cpSync(scan, join(drop, `${place}`), { recursive: true });
  return { drop, count: scans.length };
}

/** Reports without what two visits never share: each has a salt of its own for the hash of a patient. */
const lasting = (reports) => reports.map(({ timing_ms: _, patient_hash: hash, ...report }) => ({ ...report, hashed: hash !== null }));

test('two engines answer a batch as one does, to the last digit', { timeout }, async (t) => {
  const { drop, count } = batch(t);
  const answers = [];
  for (const cores of [1, 2]) {
    const opened = await openPage(t, { backend: 'cpu', cores });
    await opened.drop(drop);
    const rows = await opened.answers(count);
    assert.ok(rows.filter(({ outcome }) => outcome === 'classified').length >= 4, JSON.stringify(rows));
    assert.equal((await opened.diagnostics()).engine.engines, cores);
    answers.push(lasting(await opened.saved()));
    // Whichever engine has them, slices and maps are there.
    const pictures = [];
    for (let index = 0; index < count; index++) {
      await opened.page.locator('.row-open').nth(index).click();
      if (rows[index].outcome === 'classified') pictures.push(await opened.picture('axial'));
    }
    answers.push(pictures);
    assert.deepEqual(opened.errors, []);
    assert.deepEqual(await opened.requestsSinceReady(), []);
  }
  const [reports, pictures, ofTwo, picturesOfTwo] = answers;
  assert.deepEqual(ofTwo, reports);
  assert.deepEqual(picturesOfTwo, pictures);
});

test('a batch that is cancelled while two are looked at can be tried again, each scan once', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu', cores: 2 });
  const { drop, count } = batch(t);
  await opened.drop(drop);
  await opened.page.waitForFunction(() => document.querySelectorAll('[data-outcome="working"]').length === 2);
  await opened.page.click('#cancel-all');
  const rows = await opened.answers(count);
  assert.ok(rows.filter(({ outcome }) => outcome === 'cancelled').length >= count - 2, JSON.stringify(rows));
  await opened.page.waitForTimeout(100);
  for (let index = 0; index < count; index++) {
    const row = opened.page.locator('[data-scan]').nth(index);
    if (await row.getAttribute('data-outcome') === 'cancelled') await row.locator('[data-do="retry"]').click();
  }
  const again = await opened.answers(count);
  assert.deepEqual(again.map(({ outcome }) => outcome === 'cancelled'), Array(count).fill(false));
  assert.ok(again.filter(({ outcome }) => outcome === 'classified').length >= 4);
});

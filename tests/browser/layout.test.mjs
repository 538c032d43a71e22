/** A page whose parts jump while a person reads or reaches for them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PATIENCE_MS, openPage, phantom } from './harness.mjs';

test('from a drop to its answer nothing jumps', { timeout: 2 * PATIENCE_MS }, async (t) => {
  const scan = phantom('bench', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40', '--slices', '30', '--size', '512');
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await page.evaluate(() => {
    globalThis.shifts = [];
    new PerformanceObserver((list) => {
      for (const { value, hadRecentInput } of list.getEntries()) if (!hadRecentInput) globalThis.shifts.push(value);
    }).observe({ type: 'layout-shift', buffered: true });
  });
  await opened.drop(scan);
  await opened.answers();
  for (const name of ['axial', 'coronal', 'sagittal']) await opened.picture(name);
  assert.ok((await page.evaluate(() => globalThis.shifts)).reduce((sum, value) => sum + value, 0) < 0.1);
});

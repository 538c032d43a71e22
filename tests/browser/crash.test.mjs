/** An engine that crashes, in a real browser: the glue is changed so that files of a certain name bring it down. */
import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS, openPage, phantom, scratch } from './harness.mjs';

const timeout = 2 * PATIENCE_MS;

const BOMBS = `
const { add_files: addFiles, screen } = Engine.prototype;
const bombs = new Set();
const deaths = new Set();
Engine.prototype.add_files = function (paths, files) {
  if (paths.some((path) => path.includes('bomb-in-call'))) throw new WebAssembly.RuntimeError('unreachable');
  const found = addFiles.call(this, paths, files);
  for (const { id, name } of JSON.parse(found).scans) {
    if (name.includes('bomb-in-step')) bombs.add(id);
    if (name.includes('death')) deaths.add(id);
  }
  return found;
};
Engine.prototype.screen = function (id, ...rest) {
  if (deaths.has(id)) {
    // No event tells the page.
    close();
    return new Promise(() => {});
  }
  if (!bombs.has(id)) return screen.call(this, id, ...rest);
  // As a trap in a future of Rust: nobody's promise is rejected.
  queueMicrotask(() => { throw new WebAssembly.RuntimeError('unreachable'); });
  return new Promise(() => {});
};`;

const armed = (context) => context.route('**/pkg/cpu/ictus.js', async (route) => {
  const response = await route.fetch();
  await route.fulfill({ response, body: (await response.text()) + BOMBS });
});

/** Copies a phantom to a folder of the drop. */
function put(drop, name, from) {
  mkdirSync(join(drop, name));
  for (const file of readdirSync(from)) copyFileSync(join(from, file), join(drop, name, file));
  return join(drop, name);
}

const select = (opened, index) => opened.page.locator('[data-scan]').nth(index).locator('button').first().click();

test('after a crash every scan keeps its name, its order and its answer, and every one has a line in the export', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu', route: armed });
  assert.ok(await opened.page.evaluate(() => globalThis.crossOriginIsolated), 'the page may not share memory with its workers');
  const folder = scratch(t);
  const rotated = put(folder, 'rotated', phantom('rotated', 'jpg', '--seed', '7', '--first', '11'));
  const bleeding = phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40');
  await opened.drop(rotated);
  await opened.answers(1);
  await opened.page.click('#order-undo');
  await opened.page.locator('#answer [data-code="order_by_request"]').waitFor();
  const [before] = await opened.saved();
  assert.equal(before.outcome, 'classified');

  writeFileSync(join(folder, 'bomb-in-call.txt'), 'x');
  await opened.drop(join(folder, 'bomb-in-call.txt'));
  // At once: a fresh engine is being made.
  await opened.drop(put(folder, 'next', bleeding));
  await opened.drop(put(folder, 'bomb-in-step', bleeding));
  await opened.drop(put(folder, 'last', bleeding));
  const rows = await opened.answers(5);
  assert.deepEqual(rows.map(({ outcome }) => outcome), ['classified', 'refused', 'classified', 'refused', 'classified']);
  assert.deepEqual([rows[1].refusal, rows[3].refusal], ['engine_crashed', 'engine_crashed']);
  const [same, ...others] = await opened.saved();
  assert.deepEqual(same, before);
  assert.deepEqual(others.map(({ outcome }) => outcome), ['refused', 'classified', 'refused', 'classified']);
  assert.deepEqual(others[1].slices.map(({ probability }) => probability), others[3].slices.map(({ probability }) => probability));

  // The third engine still takes the first scan for the first, and gives its slices again.
  await select(opened, 0);
  await opened.picture('axial');
  await opened.page.click('#order-undo');
  await opened.page.locator('#answer [data-code="slices_reordered"]').waitFor();
  const [repaired] = await opened.saved();
  assert.deepEqual([...repaired.sources].sort(), [...before.sources].sort());
  assert.notDeepEqual(repaired.sources, before.sources);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('a worker that dies without a word costs its scan the answer, and no other', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu', cores: 2, route: armed });
  const folder = scratch(t);
  const nifti = phantom('bleeding', 'nifti', '--seed', '7', '--bleed', 'intraparenchymal:40');
  const [file] = readdirSync(nifti);
  // All at once: others are looked at beside it.
  for (const name of ['a', 'b', 'c death', 'd', 'e']) copyFileSync(join(nifti, file), join(folder, `${name}.nii.gz`));
  await opened.drop(folder);
  const rows = await opened.answers(5);
  assert.deepEqual(rows.map(({ scan, outcome, refusal }) => [scan.slice(0, 1), refusal || outcome]).sort(),
    [['a', 'classified'], ['b', 'classified'], ['c', 'engine_gone'], ['d', 'classified'], ['e', 'classified']]);
  assert.equal((await opened.diagnostics()).engine.engines, 2);
  for (const [index, { outcome }] of rows.entries()) {
    if (outcome !== 'classified') continue;
    await select(opened, index);
    await opened.picture('axial');
  }
  await select(opened, rows.findIndex(({ outcome }) => outcome === 'refused'));
  await opened.page.locator('#answer [data-code="engine_gone"]').waitFor();
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

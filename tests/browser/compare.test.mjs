/** Two answers beside each other: of two models, and of two scans. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { furthestSlice, linked, partners, points } from '../../www/compare/partners.js';
import { PATIENCE_MS, eventually, openPage, phantom, predict, scratch, trainer } from './harness.mjs';
import { named, otherWeights } from './weights.mjs';

const timeout = PATIENCE_MS;
const bleeding = (format = 'dicom') => phantom('bleeding', format, '--seed', '7', '--bleed', 'intraparenchymal:40');
const small = () => phantom('rotated', 'jpg', '--seed', '7', '--first', '11');

const sliceOf = (page, side) => page.locator(`#compare-ladder-${side}`).getAttribute('aria-valuenow').then(Number);
const countOf = (page, side) => page.locator(`#compare-ladder-${side}`).getAttribute('aria-valuemax').then(Number);
/** Waits until a film of the comparison shows a picture. */
const painted = (page, side) => page.waitForFunction((side) => {
  const canvas = document.querySelector(`#compare-film-${side}`);
  return canvas.width > 0 && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value, i) => i % 4 !== 3 && value > 0);
}, side);

test('slices are linked by their place between base and vertex, and the ends meet', () => {
  assert.deepEqual([0, 15, 29].map((z) => linked(z, 30, 60)), [0, 31, 59]);
  assert.deepEqual([0, 59].map((z) => linked(z, 60, 30)), [0, 29]);
  for (let z = 0; z < 30; z++) assert.equal(linked(linked(z, 30, 47), 47, 30), z, 'there and back is the same slice');
  assert.equal(linked(0, 1, 9), 4);
});

test('answers are compared in whole points, and only where both are answers', () => {
  const report = (probability, ...slices) => ({ probability, slices: slices.map((one, position) => ({ position, probability: one })) });
  assert.equal(points(report(0.2), report(0.334)), 13);
  assert.equal(points(report(0.2), report(null)), null);
  assert.deepEqual(furthestSlice(report(0, 0.1, 0.5, null), report(0, 0.2, 0.1, 0.9)), { z: 1, points: -40 });
  assert.equal(furthestSlice(report(0, null), report(0, 0.5)), null);
  const row = (key, more = {}) => ({ key, id: 1, view: {}, report: { outcome: 'classified', model: { sha256: 'a' } }, ...more });
  const state = { models: [{ key: 'm', card: { sha256: 'a' } }, { key: 'n', card: { sha256: 'b' } }, { key: 'o', card: null }], rows: [row('1'), row('2'), row('3', { view: null }), row('4', { report: null })] };
  const found = partners(state, state.rows[0]);
  assert.deepEqual([found.models.map(({ key }) => key), found.scans.map(({ key }) => key)], [['n'], ['2']]);
  assert.deepEqual(found.backends, []);
  assert.deepEqual(partners(state, state.rows[3]), { models: [], backends: [], scans: [] });
  const onGpu = row('5', { report: { outcome: 'classified', backend: 'webgpu', model: { sha256: 'a' } } });
  assert.deepEqual(partners(state, onGpu).backends.map(({ key }) => key), ['m'], 'what a GPU said can be held against the CPU');
});

test('two models on one scan: both answers, both ladders and the difference, and the first answer is as it was', { timeout }, async (t) => {
  const [first] = JSON.parse(readFileSync(new URL('../../www/models/models.json', import.meta.url), 'utf8'));
  const opened = await openPage(t, { backend: 'cpu', route: (context) => context.route('**/models/models.json', (route) => route.fulfill({ json: [first] })) });
  const { page } = opened;
  await opened.drop(bleeding());
  const [before] = await opened.answers();
  assert.equal(await page.locator('#open-compare').count(), 0, 'there is nothing to compare with yet');
  const weights = otherWeights(join(scratch(t), 'mine.safetensors'), { name: 'mine' });
  await opened.drop(weights);
  await eventually(async () => assert.match(await page.locator('#model-title').innerText(), /mine/));
  // Back to the first, so that the other one only looks on.
  await page.locator('#model input').first().check();
  await eventually(async () => assert.match(await page.locator('#model-title').innerText(), /compact/));
  await page.keyboard.press('Escape');

  await page.locator('#open-compare').focus();
  await page.keyboard.press('Enter');
  await page.locator('#compare[open]').waitFor();
  const difference = page.locator('#compare-points');
  await difference.waitFor();
  const [other] = trainer('predict', bleeding(), '--model', weights, '--json').trim().split('\n').map((line) => JSON.parse(line));
  assert.equal(Number(await difference.getAttribute('data-points')), Math.round(100 * (other.probability - Number(before.probability))));
  assert.ok((await page.locator('#compare-a').innerText()).includes(named()));
  assert.ok((await page.locator('#compare-b').innerText()).includes(named('mine')));
  assert.equal(await countOf(page, 'a'), other.slices.length);
  await painted(page, 'a');
  await painted(page, 'b');

  const from = await sliceOf(page, 'a');
  await page.keyboard.press('ArrowUp');
  await eventually(async () => assert.deepEqual([await sliceOf(page, 'a'), await sliceOf(page, 'b')], [from + 1, from + 1]));
  const grey = await page.locator('#compare-film-a').screenshot();
  await page.keyboard.press('4');
  await eventually(async () => assert.notDeepEqual(await page.locator('#compare-film-a').screenshot(), grey));

  await page.keyboard.press('Escape');
  await page.locator('#compare[open]').waitFor({ state: 'detached' });
  await eventually(async () => assert.equal(await page.evaluate(() => document.activeElement?.id), 'open-compare'));
  const [after] = await opened.answers();
  assert.deepEqual([after.probability, after.outcome], [before.probability, 'classified']);
  assert.match(await page.locator('#open-model').innerText(), /compact/);
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('two scans side by side move together, each over its whole height', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await opened.drop(bleeding());
  await opened.answers(1);
  await opened.drop(small());
  await opened.answers(2);
  await page.click('#open-compare');
  await page.locator('#compare-points').waitFor();
  await painted(page, 'a');
  await painted(page, 'b');
  const counts = [await countOf(page, 'a'), await countOf(page, 'b')];
  const at = async (a, b) => eventually(async () => assert.deepEqual([await sliceOf(page, 'a'), await sliceOf(page, 'b')], [a, b]));
  await page.keyboard.press('Home');
  await at(1, 1);
  await page.keyboard.press('End');
  await at(...counts);
  // The ladder of either scan leads both.
  const ladder = await page.locator('#compare-ladder-b').boundingBox();
  await page.mouse.click(ladder.x + ladder.width / 2, ladder.y + ladder.height - 2);
  await at(1, 1);
  await page.mouse.move(ladder.x - 100, ladder.y + ladder.height / 2);
  await page.mouse.wheel(0, -120);
  await eventually(async () => assert.ok((await sliceOf(page, 'b')) > 1));
  assert.match(await page.locator('#compare-says').innerText(), /[AB] /);
  // An engine that crashed or a scan that is gone must not leave the sheet in the way.
  await page.click('#compare-close');
  assert.equal(await page.locator('#compare[open]').count(), 0);
  assert.deepEqual(opened.errors, []);
});

test('at the width of a phone the two stand below each other, and nothing is cut off sideways', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu', device: { viewport: { width: 320, height: 640 }, hasTouch: true } });
  const { page } = opened;
  for (const index of [0, 1]) {
    await page.evaluate((index) => document.querySelectorAll('[data-sample]')[index].click(), index);
    await opened.answers(index + 1);
  }
  await page.locator('#open-compare').click();
  await page.locator('#compare-points').waitFor();
  await painted(page, 'b');
  const [a, b] = [await page.locator('#compare-a').boundingBox(), await page.locator('#compare-b').boundingBox()];
  assert.ok(b.y >= a.y + a.height - 1 && Math.abs(a.x - b.x) < 1);
  const wide = await page.evaluate(() => [...document.querySelectorAll('#compare *')].filter((element) => element.getBoundingClientRect().right > innerWidth + 1).map(({ className, tagName }) => `${tagName}.${className}`));
  assert.deepEqual(wide, []);
  await page.click('#compare-close');
  await page.setInputFiles('#choose-weights', otherWeights(join(scratch(t), 'mine.safetensors'), { name: 'mine with a name that is long' }));
  await page.locator('.choices').waitFor();
  assert.ok(await page.evaluate(() => document.querySelector('#model .sheet-body').scrollWidth <= document.querySelector('#model').clientWidth));
  assert.deepEqual(opened.errors, []);
});

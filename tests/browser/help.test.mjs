/** What explains the page: how it works, and the tour. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { layersOf } from '../../www/about/layers.js';
import { PATIENCE_MS, eventually, openPage, phantom } from './harness.mjs';

const timeout = PATIENCE_MS;

test('the layers of the shipped weights are those that they hold', () => {
  const bytes = readFileSync(new URL('../../www/models/compact.safetensors', import.meta.url));
  const header = JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE())).toString());
  const { architecture, input_shape: [, rows, columns] } = JSON.parse(header.__metadata__.ictus);
  const layers = layersOf(architecture, [28, rows, columns]);
  const held = Object.entries(header).filter(([name]) => name !== '__metadata__' && !name.includes('running_')).reduce((sum, [, { shape }]) => sum + shape.reduce((product, side) => product * side, 1), 0);
  assert.equal(layers.reduce((sum, { parameters }) => sum + parameters, 0), held);
  assert.deepEqual(layers.at(-1).shape[0], 28, 'a map for every slice');
});

test('a network without padding, and one that compares the hemispheres, have the layers that the engine gives them', () => {
  const block = (channels) => ({ channels, kernel: [3, 3, 3], stride: [1, 1, 1], padding: 'valid', pool: [2, 2, 2], order: 'relu_pool_norm' });
  const published = layersOf({ in_channels: 1, blocks: [block(64), block(64), block(128), block(256)], head: { kind: 'dense', hidden: 512 } }, [64, 128, 128]);
  assert.deepEqual(published.map(({ shape }) => shape), [[31, 63, 63], [14, 30, 30], [6, 14, 14], [2, 6, 6], [1, 1, 1]]);
  // 1,352,897 with two running statistics for each of 512 channels (src/network/config.rs).
  assert.equal(published.reduce((sum, { parameters }) => sum + parameters, 0), 1_352_897 - 2 * 512);
  const twoSided = { in_channels: 1, blocks: [{ ...block(48), padding: 'same' }], head: { kind: 'evidence', asymmetry: true } };
  assert.equal(layersOf(twoSided, [1, 96, 80]).at(-1).parameters, 96 + 1 + 4);
});

test('"How it works" shows what each step made of the scan at hand', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  const sheet = page.locator('#how');
  await page.click('#open-keys');
  await page.click('#open-how');
  // Without a scan it explains itself in words, and offers a drawn one.
  assert.equal(await sheet.locator('h3').count(), 6);
  assert.equal(await sheet.locator('.how-picture:visible').count(), 0);
  await page.click('#how-sample');
  await opened.answers();
  await eventually(async () => assert.equal(await sheet.locator('.how-picture canvas').count(), 3));
  const picture = (step) => sheet.locator(`[data-picture="${step}"] canvas`).evaluate((canvas) => canvas.toDataURL());
  const [read, prepared, looked] = await Promise.all(['read', 'prepare', 'look'].map(picture));
  assert.equal(new Set([read, prepared, looked]).size, 3);
  assert.match(await sheet.locator('[data-picture="prepare"]').innerText(), /80 × 96/);
  assert.match(await sheet.locator('[data-picture="answer"]').innerText(), /bleeding likely/i);
  const parameters = await sheet.locator('tbody td:last-child').allInnerTexts();
  const { model } = await (async () => {
    await page.keyboard.press('Escape');
    return opened.diagnostics();
  })();
  assert.equal(parameters.reduce((sum, count) => sum + Number(count.replaceAll(',', '')), 0), model.parameters);

  /** Pictures of the maps of every layer. */
  const maps = () => sheet.locator('.layer-maps canvas').evaluateAll((all) => all.map((canvas) => canvas.toDataURL()));

  // From the answer too; another slice has other pictures, and one without brain says why it has none.
  await page.click('#answer-how');
  await eventually(async () => assert.equal(await sheet.locator('.how-picture canvas').count(), 3));
  await eventually(async () => assert.equal((await maps()).length, 16 + 24 + 32 + 48 + 1));
  const before = await maps();
  assert.ok(new Set(before).size > 60, 'most maps show something of their own');
  await page.locator('#how-slice').focus();
  await page.keyboard.press('ArrowRight');
  await eventually(async () => assert.notEqual(await picture('read'), read));
  await eventually(async () => assert.ok((await maps()).filter((map, place) => map !== before[place]).length > 60, 'they follow the slice'));
  await page.keyboard.press('Home');
  await eventually(async () => assert.match(await sheet.locator('[data-picture="prepare"]').innerText(), /too little brain/));
  await eventually(async () => assert.equal((await maps()).length, 0));
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('the tour is only offered, goes by keyboard, lets scans in, and is not offered twice', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  const tour = page.locator('#tour');
  const focused = () => page.evaluate(() => document.activeElement?.id);
  assert.equal(await page.locator('dialog[open]').count(), 0, 'nothing opens by itself');
  await page.locator('#tour-start').focus();
  await page.keyboard.press('Enter');
  await tour.waitFor();
  assert.equal(await focused(), 'tour-next');
  assert.equal(await tour.evaluate((dialog) => dialog.matches(':modal')), false);
  // A scan comes in the middle of it; the tour goes on with that one.
  await opened.drop(phantom('bleeding', 'nifti', '--seed', '7', '--bleed', 'intraparenchymal:40'));
  await opened.answers();
  await page.locator('#tour-next').focus();
  const marked = () => page.evaluate(() => [...document.querySelectorAll('.toured')].map((element) => element.id || element.classList[0]));
  const seen = [];
  for (let step = 2; step <= 5; step++) {
    await page.keyboard.press('Enter');
    await eventually(async () => assert.match(await tour.innerText(), new RegExp(`${step} of 5`)));
    seen.push(...await marked());
  }
  assert.deepEqual(seen, ['film', 'tools', 'answer', 'bar-tools']);
  assert.equal((await opened.answers()).length, 1, 'no drawn scan beside the dropped one');
  await page.keyboard.press('Enter');
  await tour.waitFor({ state: 'hidden' });
  assert.deepEqual(await marked(), []);
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), ['ictus-tour']);

  await page.reload();
  await page.waitForSelector('body[data-phase="ready"]');
  assert.equal(await page.locator('#tour-offer').isVisible(), false);
  // From the help it can be had again, and left at once.
  await page.click('#open-keys');
  await page.click('#tour-again');
  await tour.waitFor();
  await page.keyboard.press('Enter');
  await opened.answers();
  await page.keyboard.press('Escape');
  await tour.waitFor({ state: 'hidden' });
  assert.deepEqual(opened.errors, []);
});

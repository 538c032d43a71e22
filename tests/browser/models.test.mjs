/** Another model than the page's first: a person's own weights file, and the list that the page came with. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { PATIENCE_MS, SITE, eventually, openPage, phantom, scratch, trainer } from './harness.mjs';
import { SHIPPED, named, otherWeights } from './weights.mjs';

const timeout = PATIENCE_MS;
const bleeding = () => phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40');

/** Names of the models that the page lists, the one that answers first. */
const shippedNames = () => JSON.parse(readFileSync(new URL('../../www/models/models.json', import.meta.url), 'utf8')).map(({ name }) => name);

test("a person's own weights file is checked, named with its card, and answers from then on, without a request", { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  const folder = scratch(t);
  await opened.drop(bleeding());
  const [before] = await opened.answers();

  await opened.drop(otherWeights(join(folder, 'mine.safetensors'), { name: 'mine', licence: 'Mine alone.', metrics: { ct_ich_slice_auc: 0.71 } }));
  const sheet = page.locator('#model[open]');
  await sheet.waitFor();
  await eventually(async () => assert.ok((await page.locator('#model-title').innerText()).includes(named('mine'))));
  const card = await sheet.innerText();
  const sum = createHash('sha256').update(readFileSync(join(folder, 'mine.safetensors'))).digest('hex');
  for (const part of [sum, 'Mine alone.', '0.71', 'mine.safetensors']) assert.ok(card.includes(part), `${part} in ${card}`);
  assert.equal(await page.locator('#model input:checked').count(), 1);
  await page.keyboard.press('Escape');

  // What was answered keeps its answer, and says from whom it is.
  const [kept] = await opened.answers();
  assert.equal(kept.probability, before.probability);
  assert.match(await page.locator('#open-model').innerText(), /compact/);
  await page.click('#answer-again');
  await eventually(async () => assert.equal(await page.locator('#open-model').innerText(), named('mine')));
  const [after] = await opened.answers();
  assert.ok(Math.abs(Number(after.probability) - Number(before.probability)) > 0.05, `${before.probability}, ${after.probability}`);
  assert.equal(await page.locator('#answer-again').count(), 0);

  // Back, by keyboard.
  await page.click('#open-model');
  await page.locator('#model input:checked').focus();
  for (const name of shippedNames().reverse()) {
    await page.keyboard.press('ArrowUp');
    await eventually(async () => assert.ok((await page.locator('#model-title').innerText()).includes(named(name))));
  }
  assert.equal(await page.evaluate(() => document.activeElement?.closest('#model input:checked') !== null), true, 'the focus stays on the choice');
  await page.keyboard.press('Escape');
  await page.click('#answer-again');
  await eventually(async () => assert.match(await page.locator('#open-model').innerText(), /compact/));
  const [again] = await opened.answers();
  assert.equal(again.probability, before.probability);
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('files that are no weights of this page are refused by name, and change nothing', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  const folder = scratch(t);
  const bad = {
    'letter.safetensors': ['weights', (path) => writeFileSync(path, 'Dear colleague, the scan is on the disc.\n')],
    'cut.safetensors': ['weights', (path) => writeFileSync(path, readFileSync(SHIPPED).subarray(0, 90_000))],
    'changed.safetensors': ['weights', (path) => {
      const bytes = readFileSync(SHIPPED);
      bytes[bytes.length - 100] ^= 0x10;
      writeFileSync(path, bytes);
    }],
    'differs.safetensors': ['self_test', (path) => otherWeights(path, { self_test: { ...otherWeights.header().self_test, patient: 1 } })],
  };
  await page.click('#start-model');
  for (const [name, [code, make]] of Object.entries(bad)) {
    make(join(folder, name));
    const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.click('#own-model')]);
    await chooser.setFiles(join(folder, name));
    const refusal = page.locator('#not-used');
    await eventually(async () => assert.match(await refusal.innerText(), new RegExp(name)));
    assert.equal(await refusal.getAttribute('data-code'), code, name);
    const words = await refusal.innerText();
    assert.ok(words.length > 60 && words.includes(`${named()} goes on answering`), words);
    assert.doesNotMatch(words, /slices can be viewed/i);
    assert.match(await page.locator('#model-title').innerText(), /compact/);
    assert.equal(await page.locator('#model input').count(), shippedNames().length, 'nothing new to choose');
  }
  await page.keyboard.press('Escape');
  assert.equal(await page.locator('[data-scan]').count(), 0);
  await opened.drop(bleeding());
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  assert.match(await page.locator('#open-model').innerText(), /compact/);
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('a weights file and a scan in one drop: each goes where it belongs', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  await opened.drop(otherWeights(join(scratch(t), 'mine.safetensors'), { name: 'mine' }), bleeding());
  const rows = await opened.answers();
  assert.deepEqual(rows.map(({ outcome }) => outcome), ['classified']);
  await eventually(async () => assert.match(await opened.page.locator('#model-title').innerText(), /mine/));
});

test('the published network, as a weights file, answers for the scan alone, and the page shows no slices or map that it does not have', { timeout }, async (t) => {
  const folder = scratch(t);
  const [untrained, published] = ['untrained', 'published'].map((name) => join(folder, `${name}.safetensors`));
  trainer('export', '--untrained', 'published', '--output', untrained);
  otherWeights(published, { name: 'published' }, untrained);
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await opened.drop(published);
  await eventually(async () => assert.ok((await page.locator('#model-title').innerText()).includes('published')));
  await page.keyboard.press('Escape');
  await opened.drop(bleeding());
  const [row] = await opened.answers();
  assert.equal(row.outcome, 'classified');
  await opened.picture('axial');
  const [report] = await opened.saved();
  assert.equal(report.model.name, 'published');
  assert.ok(report.slices.length > 20 && report.slices.every(({ probability, peak }) => probability === null && peak === null));
  assert.equal(await page.locator('.key-picture').count(), 0);
  // The slices can be looked at as ever.
  const before = await opened.slice();
  await page.keyboard.press('ArrowUp');
  await eventually(async () => assert.notEqual(await opened.slice(), before));
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('the models that the page lists can be chosen without a request; one that is missing is listed as such', { timeout }, async (t) => {
  const second = readFileSync(otherWeights(join(scratch(t), 'second.safetensors'), { name: 'second' }));
  const lines = JSON.parse(readFileSync(new URL('../../www/models/models.json', import.meta.url), 'utf8')).slice(0, 1);
  const says = { en: 'Learned elsewhere.', it: 'Addestrato altrove.' };
  const opened = await openPage(t, {
    backend: 'cpu',
    route: async (context) => {
      await context.route('**/models/models.json', (route) => route.fulfill({ json: [...lines, { name: 'second', file: 'second.safetensors', says }, { name: 'third', file: 'third.safetensors', says }] }));
      await context.route('**/models/second.safetensors', (route) => route.fulfill({ body: second }));
    },
  });
  const { page } = opened;
  await page.click('#start-model');
  const choices = page.locator('#model input');
  assert.deepEqual(await choices.evaluateAll((all) => all.map(({ checked, disabled }) => [checked, disabled])), [[true, false], [false, false], [false, true]]);
  assert.match(await page.locator('.choices').innerText(), /Learned elsewhere/);
  await choices.nth(1).check();
  await eventually(async () => assert.match(await page.locator('#model-title').innerText(), /second/));
  await page.keyboard.press('Escape');
  await page.locator('[data-sample="1"]').click();
  await opened.answers();
  assert.match(await page.locator('#open-model').innerText(), /second/);
  // The missing file is the one error.
  assert.deepEqual(opened.errors.filter((error) => !/404/.test(error)), []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('the GPU answers with the model that it holds, the CPU with another, and the page says which', { timeout: 2 * timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'webgpu' });
  const { page } = opened;
  const answered = async (sample) => {
    await page.evaluate((sample) => document.querySelector(`[data-sample="${sample}"]`).click(), sample);
    return (await opened.answers(sample + 1)).at(-1).backend;
  };
  const badge = (words) => eventually(async () => assert.match(await page.locator('#engine-text').innerText(), words));
  assert.equal(await answered(0), 'webgpu');
  await page.setInputFiles('#choose-weights', otherWeights(join(scratch(t), 'mine.safetensors'), { name: 'mine' }));
  await eventually(async () => assert.match(await page.locator('#model-title').innerText(), /mine/));
  await badge(/CPU/);
  assert.equal(await answered(1), 'cpu');
  await page.locator('#model input').first().check();
  await badge(/WebGPU/);
  assert.equal(await answered(2), 'webgpu');
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('the page in one file carries its models and takes a weights file, too', { timeout }, async (t) => {
  const opened = await openPage(t, { url: pathToFileURL(join(SITE, 'ictus.html')).href });
  const { page } = opened;
  await page.setInputFiles('#choose-weights', otherWeights(join(scratch(t), 'mine.safetensors'), { name: 'mine' }));
  await eventually(async () => assert.match(await page.locator('#model-title').innerText(), /mine/));
  await page.keyboard.press('Escape');
  await page.locator('[data-sample="1"]').click();
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  assert.match(await page.locator('#open-model').innerText(), /mine/);
  await page.click('#open-compare');
  await page.locator('#compare-points').waitFor();
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(opened.requests.filter(({ url }) => /^https?:/.test(url)), []);
});

test('the list of models names files that are there, and says in every language what they are', async () => {
  const list = JSON.parse(readFileSync(new URL('../../www/models/models.json', import.meta.url), 'utf8'));
  assert.ok(list.length > 0);
  for (const { name, file, says } of list) {
    const bytes = readFileSync(new URL(`../../www/models/${file}`, import.meta.url));
    assert.equal(JSON.parse(JSON.parse(bytes.subarray(8, 8 + Number(bytes.readBigUInt64LE(0)))).__metadata__.ictus).name, name, file);
    for (const language of ['en', 'it']) assert.ok(says[language]?.length > 5, `${name} in ${language}`);
  }
});

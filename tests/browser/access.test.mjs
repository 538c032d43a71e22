/** Every state of the page, held against the rules of axe-core, in both themes and languages, at every width. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS, eventually, openPage, phantom, predict, scratch } from './harness.mjs';
import { answered } from './answered.mjs';
import { otherWeights } from './weights.mjs';

const timeout = 2 * PATIENCE_MS;
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

/** Faults of the page as it stands, one a line. */
async function faults(page) {
  await page.evaluate(AXE);
  return page.evaluate(async (rules) => {
    const { violations } = await globalThis.axe.run(document, { runOnly: rules, resultTypes: ['violations'] });
    return violations.flatMap(({ id, nodes }) => nodes.map(({ target, failureSummary }) => `${id}: ${target.join(' ')} ${failureSummary}`));
  }, RULES);
}

const theme = (page) => page.evaluate(() => document.documentElement.dataset.theme);

/** Holds the state against the rules in the dark and in the light. */
async function hold(page, what) {
  for (const _ of [1, 2]) {
    assert.deepEqual(await faults(page), [], `${what}, ${await theme(page)}`);
    await page.$eval('#theme', (button) => button.click());
    // Colours change over a moment.
    await page.waitForTimeout(400);
  }
}

/** A phantom that the weights, whichever are shipped, are uncertain of: between a bleed that they miss and one that they find. */
function uncertain() {
  for (let [missed, found] = [4, 60]; found - missed > 0.05;) {
    const millilitres = Math.round(50 * (missed + found)) / 100;
    const scan = phantom(`uncertain-${millilitres}`, 'nifti', '--seed', '5', '--bleed', `subdural:${millilitres}`);
    const [{ finding }] = predict(scan);
    if (finding === 'uncertain') return scan;
    if (finding === 'bleeding likely') found = millilitres;
    else missed = millilitres;
  }
  return assert.fail('no phantom is uncertain');
}

test('no state of the page has a fault that axe-core finds', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await hold(page, 'start');
  const letter = join(scratch(t), 'letter.txt');
  writeFileSync(letter, 'Dear colleague, the scan is on the disc.\n');
  const states = [
    ['bleeding likely', phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40'), 'bleeding likely'],
    ['uncertain', uncertain(), 'uncertain'],
    ['no bleeding seen', phantom('calm', 'nifti', '--seed', '9'), 'no bleeding seen'],
    ['reordered', phantom('rotated', 'jpg', '--seed', '7', '--first', '11'), null],
    ['refused', letter, ''],
  ];
  for (const [index, [what, path, finding]] of states.entries()) {
    await opened.drop(path);
    const rows = await opened.answers(index + 1);
    if (finding !== null) assert.equal(rows[index].finding, finding, `${what} is what it says`);
    await page.locator('.row-open').nth(index).click();
    await page.waitForFunction((index) => document.querySelectorAll('.row-open')[index].hasAttribute('aria-current'), index);
    await page.$$eval('details', (all) => all.forEach((one) => { one.open = true; }));
    await hold(page, what);
  }
  assert.deepEqual(opened.errors, []);
});

test('nor has a sheet over it, nor the page in Italian', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await opened.drop(phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40'));
  await opened.answers();
  for (const [button, sheet] of [['#engine', 'diagnostics'], ['#bar-privacy', 'privacy'], ['#home', 'again'], ['#open-keys', 'keys'], ['#open-model', 'model'], ['#answer-how', 'how'], ['#save-dicom', 'dicom']]) {
    await page.click(button);
    await page.locator(`#${sheet}[open]`).waitFor();
    if (sheet === 'how') await page.locator('.layer-maps').waitFor();
    if (sheet === 'privacy') await page.$$eval('#privacy details', (all) => all.forEach((one) => { one.open = true; }));
    await hold(page, sheet);
    await page.keyboard.press('Escape');
  }
  await page.click('#open-keys');
  await page.click('#tour-again');
  await hold(page, 'tour');
  await page.keyboard.press('Escape');
  await page.click('#open-compare');
  await page.locator('#compare-points').waitFor();
  await hold(page, 'compare');
  await page.keyboard.press('Escape');
  const letter = join(scratch(t), 'letter.safetensors');
  writeFileSync(letter, 'Dear colleague, the scan is on the disc.\n');
  for (const [what, weights, shown] of [['weights refused', letter, '#not-used'], ['models to choose from', otherWeights(join(scratch(t), 'mine.safetensors'), { name: 'mine' }), '.choices']]) {
    await page.setInputFiles('#choose-weights', weights);
    await page.locator(shown).waitFor();
    await hold(page, what);
    await page.keyboard.press('Escape');
  }
  await page.click('#language');
  await eventually(async () => assert.equal(await page.evaluate(() => document.documentElement.lang), 'it'));
  await eventually(async () => assert.match(await page.locator('#answer').innerText(), /Emorragia probabile/));
  await eventually(async () => assert.deepEqual(await faults(page), [], 'Italian'));
  assert.deepEqual(opened.errors, []);
});

test('nor has one while scans wait, are worked on, are cancelled, or are hidden by a search', { timeout }, async (t) => {
  const folder = scratch(t);
  const opened = await openPage(t, { backend: 'cpu', route: answered(folder) });
  const { page } = opened;
  const from = phantom('calm', 'nifti', '--seed', '9');
  for (const place of [1, 2, 3, 4]) {
    const path = join(folder, `working ${place}.nii.gz`);
    copyFileSync(join(from, readdirSync(from)[0]), path);
    await opened.drop(path);
  }
  await page.waitForFunction(() => document.querySelectorAll('[data-scan]').length === 4);
  await page.waitForSelector('[data-outcome="working"]');
  await hold(page, 'working');
  await page.locator('.row-open').nth(2).click();
  await hold(page, 'waiting');
  await page.click('#cancel-all');
  await opened.answers(4);
  await hold(page, 'cancelled');
  await page.fill('#list-search', 'no such scan');
  await hold(page, 'nothing listed');
  assert.deepEqual(opened.errors, []);
});

test('a page that is read from right to left loses nothing, and its films are not mirrored', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await page.evaluate(() => { document.documentElement.dir = 'rtl'; });
  /** What reaches past an edge, and is not within something that scrolls by itself. */
  const wide = () => page.evaluate(() => [...document.querySelectorAll('body *')].filter((element) => {
    const { left, right, width, height } = element.getBoundingClientRect();
    return width > 0 && height > 0 && (left < -1 || right > innerWidth + 1) && !element.closest('.list-body, .unseen, .skip, .badge-where, svg');
  }).map((element) => `${element.tagName}.${element.className}`));
  for (const width of [1280, 320]) {
    await page.setViewportSize({ width, height: 800 });
    if (width === 1280) {
      assert.deepEqual(await wide(), [], 'start');
      await page.locator('[data-sample="1"]').click();
      await opened.answers();
      await page.locator('.key-picture canvas').first().waitFor();
    }
    assert.deepEqual(await wide(), [], `answered, ${width}`);
    assert.deepEqual(await faults(page), []);
  }
  await page.setViewportSize({ width: 1280, height: 800 });
  const left = (selector) => page.locator(selector).evaluate((element) => element.getBoundingClientRect().left);
  assert.ok(await left('#worklist') > await left('#answer'), 'the rooms are mirrored');
  assert.ok(await left('.stage-axial .letter-left') < await left('.stage-axial .letter-right'));
  assert.match(await page.locator('.stage-axial .letter-left').innerText(), /^R/);
  assert.ok(await left('.gauge-words > :first-child') < await left('.gauge-words > :last-child'), 'the words stand over their zones');
  assert.deepEqual(opened.errors, []);
});

test('at 320 pixels, which is 400 % zoom, nothing is cut off sideways, and forced colours keep every sign', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu', device: { viewport: { width: 320, height: 640 }, forcedColors: 'active', reducedMotion: 'reduce' } });
  const { page } = opened;
  /** What reaches past the right edge, and is not within something that scrolls by itself. */
  const wide = () => page.evaluate(() => (document.documentElement.scrollWidth <= innerWidth ? [] : [...document.querySelectorAll('body *')]
    .filter((element) => element.getBoundingClientRect().right > innerWidth + 1 && !element.closest('.list-body, .unseen, .diagnostics-text')).map((element) => `${element.tagName}.${element.className}`)));
  assert.deepEqual(await wide(), []);
  await page.locator('[data-sample="1"]').click();
  await opened.answers();
  assert.deepEqual(await wide(), []);
  await page.click('#language');
  assert.deepEqual(await wide(), []);
  assert.ok(await page.locator('.finding .mark').evaluate((mark) => getComputedStyle(mark).backgroundColor !== getComputedStyle(document.body).backgroundColor));
  assert.deepEqual(await page.evaluate(() => document.getAnimations().length), 0);
  assert.deepEqual(await faults(page), []);
  for (const id of ['engine', 'bar-privacy', 'open-keys', 'answer-how', 'save-dicom']) {
    await page.click(`#${id}`);
    await page.locator('dialog[open]').waitFor();
    assert.deepEqual(await wide(), []);
    await page.keyboard.press('Escape');
  }
  await page.click('#open-keys');
  await page.click('#tour-again');
  assert.deepEqual(await wide(), []);
  assert.deepEqual(await faults(page), []);
  assert.deepEqual(opened.errors, []);
});

test('the page is worked by keyboard alone', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  const focused = () => page.evaluate(() => document.activeElement?.id || document.activeElement?.getAttribute('data-sample') || document.activeElement?.className);
  /** Tabs until `wanted` has the focus. */
  const tabTo = async (wanted) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press('Tab');
      if (await focused() === wanted) return;
    }
    assert.fail(`no way by Tab to ${wanted}`);
  };
  await tabTo('1');
  await page.keyboard.press('Enter');
  await opened.answers();
  await tabTo('tool-jump');
  await page.keyboard.press('Enter');
  const slice = await opened.slice();
  await page.keyboard.press('PageDown');
  await opened.atSlice(slice - 5);
  await page.keyboard.press('?');
  await page.locator('#keys[open]').waitFor();
  await page.locator('#letter-keys').focus();
  await page.keyboard.press('Space');
  await page.keyboard.press('Escape');
  await page.keyboard.press('m');
  await page.waitForTimeout(200);
  assert.equal(await opened.slice(), slice - 5, 'letters are off');
  await page.keyboard.press('PageUp');
  await opened.atSlice(slice);
  assert.deepEqual(opened.errors, []);
});

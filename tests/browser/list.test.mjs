import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS, eventually, openPage, phantom, scratch } from './harness.mjs';

const timeout = 2 * PATIENCE_MS;
const small = () => phantom('small', 'nifti', '--seed', '3', '--size', '64', '--slices', '4');
const bleeding = (format = 'nifti') => phantom('bleeding', format, '--seed', '7', '--bleed', 'intraparenchymal:40');

/** Copies the only file of `from` to `to`. */
function copy(from, to) {
  copyFileSync(join(from, readdirSync(from)[0]), to);
}

const names = (page) => page.$$eval('[data-scan]', (rows) => rows.map((row) => row.dataset.scan));

test('two hundred scans are listed, found, filtered, sorted, walked through and removed', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  const drop = scratch(t);
  for (let n = 1; n < 200; n++) copy(small(), join(drop, `scan ${n}.nii.gz`));
  copy(bleeding(), join(drop, 'scan 200.nii.gz'));
  await opened.drop(drop);
  const rows = await opened.answers(200);
  assert.equal(rows.length, 200);
  assert.equal(rows.filter(({ outcome }) => outcome === 'classified').length, 1);

  await page.selectOption('#list-sort', 'name');
  await eventually(async () => assert.deepEqual((await names(page)).map((name) => Number(name.match(/\d+/)[0])), Array.from({ length: 200 }, (_, i) => i + 1)));
  await page.selectOption('#list-sort', 'probability');
  await page.waitForFunction(() => document.querySelector('[data-scan]').dataset.scan.includes('200'));
  await page.selectOption('#list-filter', 'refused');
  await page.waitForFunction(() => document.querySelectorAll('[data-scan]').length === 199);
  await page.selectOption('#list-filter', 'all');
  await page.fill('#list-search', 'SCAN 19');
  await page.waitForFunction(() => document.querySelectorAll('[data-scan]').length === 11);
  await page.selectOption('#list-sort', 'name');

  await page.locator('.row-open').first().click();
  const selected = () => page.locator('.row:has([aria-current])').getAttribute('data-scan');
  await eventually(async () => assert.match(await selected(), /scan 19\./));
  await page.keyboard.press('j');
  await page.waitForFunction(() => /scan 190/.test(document.querySelector('.row:has([aria-current])')?.dataset.scan ?? ''));
  await page.keyboard.press('Delete');
  await page.waitForFunction(() => document.querySelectorAll('[data-scan]').length === 10);
  await eventually(async () => assert.ok(!(await names(page)).some((name) => /scan 190/.test(name))));
  await page.fill('#list-search', '');
  await page.waitForFunction(() => document.querySelectorAll('[data-scan]').length === 199);

  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#save-csv')]);
  const lines = readFileSync(await download.path(), 'utf8').trim().split('\r\n');
  assert.equal(lines.length, 200);
  assert.ok(lines.some((line) => /^scan 200\.nii\.gz,nifti,\d+,false,classified,bleeding likely,0\.\d+,/.test(line)), lines.at(-1));

  await page.click('#home');
  await page.click('#again-yes');
  await page.locator('#start').waitFor();
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('the line that keys lead to is brought into view', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  const drop = scratch(t);
  for (let n = 10; n < 24; n++) copy(small(), join(drop, `scan ${n}.nii.gz`));
  await opened.drop(drop);
  await opened.answers(14);
  const hidden = () => page.evaluate(() => {
    const [line, list] = ['.row:has([aria-current])', '.list-body'].map((one) => document.querySelector(one)?.getBoundingClientRect());
    return !line || line.top < list.top - 1 || line.bottom > list.bottom + 1;
  });
  for (const [key, presses] of [['j', 13], ['k', 13]]) {
    for (let n = 0; n < presses; n++) await page.keyboard.press(key);
    await page.waitForFunction((place) => document.querySelectorAll('[data-scan]')[place].matches(':has([aria-current])'), key === 'j' ? 13 : 0);
    await eventually(async () => assert.equal(await hidden(), false, key));
  }
  // The scan after a removed one takes its place.
  await page.keyboard.press('Delete');
  await page.waitForFunction(() => document.querySelectorAll('[data-scan]').length === 13);
  await eventually(async () => assert.equal(await hidden(), false));
  assert.deepEqual(opened.errors, []);
});

test('what is cancelled says so, and can be tried again', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  const drop = scratch(t);
  for (let n = 1; n <= 6; n++) copy(bleeding(), join(drop, `scan ${n}.nii.gz`));
  await opened.drop(drop);
  await page.waitForSelector('[data-outcome="working"]');
  await page.click('#cancel-all');
  const rows = await opened.answers(6);
  const cancelled = rows.filter(({ outcome }) => outcome === 'cancelled');
  assert.ok(cancelled.length >= 4, JSON.stringify(rows.map(({ outcome }) => outcome)));
  const last = cancelled.at(-1).scan;
  await page.locator(`[data-scan="${last}"] .row-open`).click();
  await eventually(async () => assert.match(await page.locator('#answer').innerText(), /cancelled/i));
  await page.click('#answer-retry');
  await page.waitForFunction((scan) => document.querySelector(`[data-scan="${scan}"]`).dataset.outcome === 'classified', last);
  assert.deepEqual(opened.errors, []);
});

test('files beside a scan are named, and are not taken for scans', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  const drop = scratch(t);
  mkdirSync(join(drop, 'series'));
  const from = bleeding('dicom');
  for (const file of readdirSync(from)) copyFileSync(join(from, file), join(drop, 'series', file));
  writeFileSync(join(drop, 'letter.txt'), 'Dear colleague, the scan is beside this.\n');
  writeFileSync(join(drop, '.DS_Store'), 'x');
  await opened.drop(drop);
  const rows = await opened.answers();
  assert.deepEqual(rows.map(({ outcome }) => outcome), ['classified']);
  const aside = page.locator('#aside');
  await eventually(async () => assert.match(await aside.locator('summary').innerText(), /1 file set aside, 1 system file ignored/));
  await aside.locator('summary').click();
  await eventually(async () => assert.match(await aside.innerText(), /letter\.txt/));
  assert.deepEqual(opened.errors, []);
});

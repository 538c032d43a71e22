/** The page in another engine than Chromium's: opened, given scans as a person does, answering as the native build does, refusing. */
import assert from 'node:assert/strict';
import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { firefox } from 'playwright-core';
import { ORIGIN, PATIENCE_MS, URL_OF_PAGE, eventually, phantom, predict, scratch } from './harness.mjs';

const executablePath = process.env.ICTUS_FIREFOX;
const skip = executablePath ? false : 'there is no Firefox';
const bleeding = (format) => phantom('bleeding', format, '--seed', '7', '--bleed', 'intraparenchymal:40');

/** Opens the page; `errors` and `requests` fill as it goes. */
async function openPage(t) {
  // Playwright speaks WebDriver BiDi with a Firefox as it is installed.
  const browser = await firefox.launch({ channel: 'moz-firefox', executablePath });
  t.after(() => browser.close());
  const page = await browser.newPage({ viewport: { width: 1280, height: 800 } });
  page.setDefaultTimeout(PATIENCE_MS);
  const errors = [];
  const requests = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (message.type() === 'error') errors.push(message.text());
  });
  page.on('request', (request) => requests.push(request.url()));
  await page.goto(`${URL_OF_PAGE}?backend=cpu`);
  await page.waitForSelector('body[data-phase="ready"]');
  return { page, errors, requests };
}

async function answers(page, count) {
  await page.waitForFunction((count) => {
    const rows = [...document.querySelectorAll('[data-scan]')];
    return rows.length >= count && rows.every((row) => ['classified', 'refused'].includes(row.dataset.outcome));
  }, count);
  return page.$$eval('[data-scan]', (rows) => rows.map((row) => ({ ...row.dataset })));
}

const filesIn = (folder) => readdirSync(folder).map((file) => join(folder, file));

/** Drops files: a script's event, since no protocol drags them from the desktop into Firefox. */
async function drop(page, ...paths) {
  const input = await page.evaluateHandle(() => Object.assign(document.createElement('input'), { type: 'file', multiple: true }));
  await input.setInputFiles(paths);
  await input.evaluate(({ files }) => {
    const dataTransfer = new DataTransfer();
    for (const file of files) dataTransfer.items.add(file);
    for (const type of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }));
  });
}

test('in Firefox a scan that is chosen and one that is dropped are answered, a letter is refused, and nothing is asked for', { timeout: 2 * PATIENCE_MS, skip }, async (t) => {
  const { page, errors, requests } = await openPage(t);
  const loaded = requests.length;
  assert.ok(requests.some((url) => url.endsWith('/ictus_bg.wasm')), 'the requests of the worker are not seen');
  await page.setInputFiles('#choose-files', filesIn(bleeding('nifti')));
  await answers(page, 1);
  await drop(page, ...filesIn(bleeding('dicom')));
  await answers(page, 2);
  const letter = join(scratch(t), 'letter.txt');
  writeFileSync(letter, 'Dear colleague, the scan is on the disc.\n');
  await drop(page, letter);
  const rows = await answers(page, 3);
  assert.deepEqual(rows.map(({ outcome }) => outcome), ['classified', 'classified', 'refused']);
  for (const [place, format] of ['nifti', 'dicom'].entries()) {
    const [expected] = predict(bleeding(format));
    assert.ok(Math.abs(Number(rows[place].probability) - expected.probability) <= 1e-4, `${format}: ${rows[place].probability}, not ${expected.probability}`);
    assert.equal(rows[place].finding, expected.finding);
  }

  // The films show the scan, the ladder leads through it, and the answer stands beside.
  await page.locator('.row-open').first().click();
  await page.waitForFunction(() => {
    const canvas = document.querySelector('#film-axial');
    return canvas.width > 0 && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value, i) => i % 4 !== 3 && value > 0);
  });
  const slice = () => page.locator('#ladder').getAttribute('aria-valuenow').then(Number);
  const from = await slice();
  await page.keyboard.press('ArrowUp');
  await eventually(async () => assert.equal(await slice(), from + 1));
  await eventually(async () => assert.match(await page.locator('#answer').innerText(), /\d\s?%/));

  assert.deepEqual(requests.slice(loaded), [], 'asked for after the page was ready');
  assert.deepEqual(requests.filter((url) => /^https?:/.test(url) && !url.startsWith(ORIGIN)), []);
  assert.deepEqual(errors, []);
});

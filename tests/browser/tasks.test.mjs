/**
 * Five things that somebody who has never seen the page wants to do, done by what can be read on it: with a mouse, with a finger
 * on a phone, and by keyboard alone. Each way has a number of presses that it may take.
 */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS, eventually, openPage, phantom } from './harness.mjs';

const timeout = 2 * PATIENCE_MS;
const bleeding = () => phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40');
const calm = () => {
  const folder = phantom('calm', 'nifti', '--seed', '9');
  return join(folder, readdirSync(folder)[0]);
};

/** The name of what has the focus, as a screen reader says it. */
const focused = (page) => page.evaluate(() => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent?.trim() ?? '');

/** Presses a button by the name that stands on it. */
const HANDS = {
  mouse: (page, name) => page.getByRole('button', { name, exact: true }).and(page.locator(':visible')).click(),
  finger: (page, name) => page.getByRole('button', { name, exact: true }).and(page.locator(':visible')).tap(),
  async keyboard(page, name) {
    for (let i = 0; i < 80 && (await focused(page)) !== name; i++) await page.keyboard.press('Tab');
    assert.equal(await focused(page), name, `there is no way by Tab to "${name}"`);
    await page.keyboard.press('Enter');
  },
};

const DEVICES = {
  mouse: { viewport: { width: 1440, height: 900 } },
  finger: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
  keyboard: { viewport: { width: 1440, height: 900 } },
};

for (const hand of /** @type {const} */ (['mouse', 'finger', 'keyboard'])) {
  test(`five tasks of a new user, by ${hand}`, { timeout }, async (t) => {
    const opened = await openPage(t, { backend: 'cpu', device: { ...DEVICES[hand], locale: 'en-GB' } });
    const { page } = opened;
    let presses = 0;
    const press = (name) => {
      presses += 1;
      return HANDS[hand](page, name);
    };
    const choose = async (name, path) => {
      const [chooser] = await Promise.all([page.waitForEvent('filechooser'), press(name)]);
      await chooser.setFiles(path);
    };
    const reads = (text) => page.getByText(text).and(page.locator(':visible')).first().waitFor();

    // Open a DICOM folder: what is going on is said at once, and then the answer in words.
    await choose('Choose folder', bleeding());
    await opened.answers(1);
    await page.getByRole('heading', { name: 'Bleeding likely' }).waitFor();

    // Find the most suspicious slice, from somewhere else.
    await page.keyboard.press('Home');
    await reads(/^Slice 1 \/ 30/);
    await press('Most suspicious slice');
    await reads(/highest of this scan/);

    // Change the window.
    await press('Subdural');
    await reads(/L 75\s+W 215/);

    // Export the batch, which a second scan makes one.
    await choose('Add files', calm());
    await opened.answers(2);
    const [download] = await Promise.all([page.waitForEvent('download'), press('CSV')]);
    await reads('Saved as ictus-scans.csv');
    const table = readFileSync(await download.path(), 'utf8').trim().split('\r\n');
    assert.equal(table.length, 3, 'a line a scan below the header');

    // Was anything uploaded?
    await press('Nothing sent');
    const sheet = page.getByRole('dialog', { name: 'Your scan stays in this tab' });
    await sheet.getByText('requests by this page since it was ready').waitFor();
    await eventually(async () => assert.match(await sheet.innerText(), /\b0\s+requests/));
    await page.keyboard.press('Escape');

    assert.equal(presses, 6, 'one press for each task, and one for the second scan');
    assert.deepEqual(await opened.requestsSinceReady(), []);
    assert.deepEqual(opened.errors, []);
  });
}

/**
 * Every state of the page in pictures, at the size of a laptop and of a phone, in the dark and in the light, against those in
 * `pictures/`. `ICTUS_PICTURES=write cargo xtask test --browser --only 'looks as'` renews them; look at them before a commit.
 *
 * The answers, the clock and the font are the test's own (`answered.mjs`), so that new weights, another day or another machine
 * change nothing. What is left are the edges of letters and of films, which each version of a browser smooths in its own way: so
 * means over small areas are compared, not pixels (`picture.mjs`).
 */
import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PNG } from 'pngjs';
import { answered, sameFont } from './answered.mjs';
import { OUTPUT, PATIENCE_MS, openPage, phantom, scratch } from './harness.mjs';
import { difference, half, palettePng } from './picture.mjs';
import { otherWeights } from './weights.mjs';

const timeout = 4 * PATIENCE_MS;
const KEPT = new URL('pictures/', import.meta.url);
const WRITE = process.env.ICTUS_PICTURES === 'write';

/** Waits until the page looks the same twice. */
async function still(page, options) {
  for (let last = Buffer.alloc(0); ;) {
    const now = await page.screenshot({ animations: 'disabled', ...options });
    if (now.equals(last)) return PNG.sync.read(now);
    last = now;
    await page.waitForTimeout(300);
  }
}

/** Pictures of the page on one device, each compared with the kept one. */
class Album {
  /** @type {string[]} */
  faults = [];

  constructor(page, device) {
    Object.assign(this, { page, device });
  }

  /**
   * Takes the state in the dark and in the light.
   *
   * @param {string} state
   * @param {{high?: number, fullPage?: boolean, themes?: string[]}} [options] `high` makes the window so high that what else
   *   scrolls is seen.
   */
  async take(state, { high = 0, fullPage = this.device === 'phone', themes = ['dark', 'light'] } = {}) {
    const size = this.page.viewportSize();
    if (high > 0) await this.page.setViewportSize({ ...size, height: high });
    for (const theme of themes) {
      await this.page.evaluate((theme) => {
        if (document.documentElement.dataset.theme !== theme) document.querySelector('#theme').click();
      }, theme);
      this.#compare(`${state}-${this.device}-${theme}.png`, half(await still(this.page, { fullPage })));
    }
    if (high > 0) await this.page.setViewportSize(size);
  }

  #compare(name, picture) {
    const kept = new URL(name, KEPT);
    if (WRITE) return void writeFileSync(kept, palettePng(picture));
    const fault = (what) => {
      const folder = join(OUTPUT, 'pictures');
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, name), PNG.sync.write(picture));
      this.faults.push(`${name} ${what}: see ${join(folder, name)}`);
      return folder;
    };
    if (!existsSync(kept)) return void fault('is not kept yet');
    const before = PNG.sync.read(readFileSync(kept));
    if (before.width !== picture.width || before.height !== picture.height) return void fault(`has ${picture.width} x ${picture.height} pixels instead of ${before.width} x ${before.height}`);
    const { largest, differs, drawn } = difference(picture, before);
    if (!differs) return;
    const other = join(fault(`differs by up to ${largest.toFixed(0)} levels`), name.replace('.png', '-difference.png'));
    writeFileSync(other, PNG.sync.write(drawn));
  }
}

/** Copies the only file of a drawn scan under a name that says which answer it gets. */
function copyAs(folder, name, from) {
  const path = join(folder, name);
  copyFileSync(join(from, readdirSync(from)[0]), path);
  return path;
}

const DEVICES = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true },
};

for (const device of /** @type {const} */ (['desktop', 'phone'])) {
  test(`the page looks as it did on a ${device}`, { timeout }, async (t) => {
    const folder = scratch(t);
    const options = { ...DEVICES[device], colorScheme: 'dark', reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'UTC' };
    const opened = await openPage(t, { backend: 'cpu', device: options, route: answered(folder) });
    const { page } = opened;
    await page.clock.setFixedTime(new Date('2026-01-02T03:04:00Z'));
    await sameFont(page);
    const album = new Album(page, device);
    const canvases = (selector, count) => page.waitForFunction(([selector, count]) => {
      const drawn = [...document.querySelectorAll(selector)].filter((canvas) => canvas.width > 0 && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value, i) => i % 4 !== 3 && value > 0));
      return drawn.length >= count;
    }, [selector, count]);
    const sheet = async (button, id, name, high) => {
      await page.click(button);
      await page.locator(`#${id}[open]`).waitFor();
      if (id === 'how') await canvases('.how-picture canvas', 3);
      if (id === 'compare') {
        await page.locator('#compare-points').waitFor();
        await canvases('#compare-film-a, #compare-film-b', 2);
      }
      await album.take(name, { high, fullPage: false });
      await page.keyboard.press('Escape');
      await page.locator(`#${id}[open]`).waitFor({ state: 'detached' });
    };
    const open = async (index) => {
      // Without a pointer, which would show buttons where it rests and scroll the list in its own way.
      await page.locator('.row-open').nth(index).evaluate((line) => line.click());
      await page.waitForFunction((index) => document.querySelectorAll('.row-open')[index].hasAttribute('aria-current'), index);
      await page.evaluate(() => scrollTo(0, 0));
    };
    const shown = async (keySlices) => {
      await opened.picture('axial');
      await canvases('.key-picture canvas', keySlices);
    };
    const high = device === 'desktop' ? 1500 : 0;

    await canvases('.sample-picture', 3);
    await album.take('start');
    await opened.hover(async () => {
      await page.locator('#veil').waitFor();
      await album.take('veil', { fullPage: false });
    }, scratch(t));
    await page.click('#engine');
    await page.locator('#diagnostics[open]').waitFor();
    // The facts of this machine and of this minute, each as its kind.
    await page.$eval('.diagnostics-text', (text) => {
      text.textContent = JSON.stringify(JSON.parse(text.textContent ?? ''), (_, value) => (value !== null && typeof value === 'object' ? value : typeof value), 2).slice(0, 1500);
    });
    await album.take('diagnostics', { fullPage: false });
    await page.keyboard.press('Escape');
    await page.locator('#diagnostics[open]').waitFor({ state: 'detached' });
    await page.evaluate(() => document.activeElement?.blur());

    const likely = copyAs(folder, 'likely.nii.gz', phantom('bleeding', 'nifti', '--seed', '7', '--bleed', 'intraparenchymal:40'));
    await opened.drop(likely);
    await opened.answers(1);
    await shown(3);
    await album.take('likely');
    if (high) await album.take('likely-high', { high, themes: ['dark'] });
    await sheet('#answer-how', 'how', 'how', device === 'desktop' ? 2000 : 2900);

    await opened.drop(copyAs(folder, 'uncertain.nii.gz', phantom('other', 'nifti', '--seed', '5', '--bleed', 'subdural:12')));
    await opened.answers(2);
    await open(1);
    await shown(3);
    await album.take('uncertain');
    await opened.drop(copyAs(folder, 'calm.nii.gz', phantom('calm', 'nifti', '--seed', '9')));
    await opened.answers(3);
    await open(2);
    await shown(3);
    await album.take('calm');
    await opened.drop(phantom('rotated', 'jpg', '--seed', '7', '--first', '11'));
    await opened.answers(4);
    await open(3);
    await shown(3);
    await canvases('.order-place canvas', 16);
    await album.take('order', { high, themes: high ? ['dark'] : ['dark', 'light'] });
    const letter = join(folder, 'letter.txt');
    writeFileSync(letter, 'Dear colleague, the scan is on the disc.\n');
    await opened.drop(letter);
    await opened.answers(5);
    await open(4);
    await album.take('refused');

    await open(0);
    await shown(3);
    await sheet('#open-compare', 'compare', 'compare', 0);
    await page.setInputFiles('#choose-weights', otherWeights(join(folder, 'mine.safetensors'), { name: 'mine' }));
    await page.locator('.choices').waitFor();
    await album.take('model', { high: 1100, fullPage: false });
    await page.keyboard.press('Escape');
    await sheet('#open-keys', 'keys', 'keys', 900);
    await sheet('#bar-privacy', 'privacy', 'privacy', 0);
    await sheet('#home', 'again', 'again', 0);
    await page.click('#open-keys');
    await page.click('#tour-again');
    for (let step = 0; step < 3; step++) await page.click('#tour-next');
    await album.take('tour', { fullPage: false });
    await page.keyboard.press('Escape');
    await sheet('#save-dicom', 'dicom', 'dicom', 0);

    for (const name of ['working 1.nii.gz', 'working 2.nii.gz']) {
      copyFileSync(likely, join(folder, name));
      await opened.drop(join(folder, name));
    }
    await page.waitForSelector('[data-outcome="working"]');
    await page.waitForFunction(() => document.querySelectorAll('[data-scan]').length === 7);
    await open(5);
    await album.take('list');
    await page.click('#cancel-all');
    await opened.answers(7);
    await page.evaluate(() => document.activeElement?.blur());
    await album.take('cancelled', { themes: ['dark'] });

    if (device === 'desktop') {
      await page.evaluate(() => { globalThis.print = () => { globalThis.asked = true; }; });
      await open(0);
      await page.click('#print');
      await page.waitForFunction(() => globalThis.asked);
      await page.emulateMedia({ media: 'print' });
      await page.setViewportSize({ width: 794, height: 1118 });
      await canvases('.print-slices canvas', 6);
      await album.take('paper', { themes: ['dark'] });
    }
    assert.deepEqual(album.faults, []);
    assert.deepEqual(opened.errors, []);
  });
}

for (const device of /** @type {const} */ (['desktop', 'phone'])) {
  test(`the page that cannot start looks as it did on a ${device}`, { timeout }, async (t) => {
    const options = { ...DEVICES[device], colorScheme: 'dark', reducedMotion: 'reduce', locale: 'en-GB', timezoneId: 'UTC' };
    const { page } = await openPage(t, { backend: 'cpu', phase: 'failed', device: options, route: (context) => context.route('**/ictus_bg.wasm', (route) => route.fulfill({ status: 404, body: 'Not found' })) });
    await sameFont(page);
    const album = new Album(page, device);
    await album.take('fault', { fullPage: false });
    assert.deepEqual(album.faults, []);
  });
}

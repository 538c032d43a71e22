import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS, eventually, openPage, phantom, predict, scratch } from './harness.mjs';

const timeout = PATIENCE_MS;
const bleeding = () => phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40');

/** Middle of a film, or a place on it given in shares of its sides. */
async function place(page, name, x = 0.5, y = 0.5) {
  const box = await page.locator(`#film-${name}`).boundingBox();
  return [box.x + x * box.width, box.y + y * box.height];
}

/** How many pixels of a film are of the warm colours of evidence. */
const warm = (page, name) => page.$eval(`#film-${name}`, (canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  let count = 0;
  for (let i = 0; i < data.length; i += 4) if (data[i] > data[i + 2] + 40) count += 1;
  return count;
});

test('three planes follow one crosshair, by hand and by key', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await opened.drop(bleeding());
  await opened.answers();
  const { slices } = predict(bleeding())[0];
  const best = slices.reduce((top, slice) => ((slice.probability ?? -1) > (top.probability ?? -1) ? slice : top)).position + 1;
  await opened.atSlice(best);
  for (const name of ['axial', 'coronal', 'sagittal']) await opened.picture(name);

  await page.mouse.click(...await place(page, 'coronal', 0.5, 0.1));
  await eventually(async () => assert.ok(await opened.slice() > 0.8 * slices.length, 'a click high up shows a high slice'));
  await page.mouse.click(...await place(page, 'sagittal', 0.5, 0.9));
  await eventually(async () => assert.ok(await opened.slice() < 0.25 * slices.length, 'a click low down shows a low slice'));
  await page.keyboard.press('m');
  await opened.atSlice(best);
  await page.keyboard.press('ArrowUp');
  await opened.atSlice(best + 1);
  await page.keyboard.press('Home');
  await opened.atSlice(1);
  await page.click('#tool-jump');
  await opened.atSlice(best);

  const before = [await opened.picture('coronal'), await opened.picture('sagittal')];
  await page.mouse.click(...await place(page, 'axial', 0.42, 0.4));
  await eventually(async () => assert.notEqual(await opened.picture('coronal'), before[0]));
  await eventually(async () => assert.notEqual(await opened.picture('sagittal'), before[1]));
  await eventually(async () => assert.match(await page.locator('.stage-axial .bottom-left').innerText(), /-?\d+ HU\s+x \d+\s+y \d+\s+z \d+\s+\d+ mm [LR], \d+ mm [AP]/));
  await page.keyboard.press('p');
  await page.locator('#film-coronal').waitFor({ state: 'hidden' });
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('the window is chosen, typed and dragged; evidence, comparison and zoom go on and off', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await opened.drop(bleeding());
  await opened.answers();
  const brain = await opened.picture('axial');
  const corner = page.locator('.stage-axial .top-left');

  await page.click('[data-window="bone"]');
  await eventually(async () => assert.match(await corner.innerText(), /L 600\s+W 2800/));
  await eventually(async () => assert.notEqual(await opened.picture('axial'), brain));
  await page.keyboard.press('3');
  await eventually(async () => assert.match(await corner.innerText(), /L 40\s+W 40/));
  const width = page.getByLabel(/width/i);
  await width.fill('120');
  await eventually(async () => assert.match(await corner.innerText(), /L 40\s+W 120/));
  await width.blur();
  const [x, y] = await place(page, 'axial');
  await page.mouse.move(x, y);
  await page.mouse.down();
  await page.mouse.move(x + 30, y + 20, { steps: 3 });
  await page.mouse.up();
  await eventually(async () => assert.match(await corner.innerText(), /L 30\s+W 150/));
  await page.click('[data-window="brain"]');
  await page.mouse.move(0, 0);
  await eventually(async () => assert.equal(await opened.picture('axial'), brain));

  await eventually(async () => assert.ok(await warm(page, 'axial') > 50, 'the evidence is drawn'));
  await page.click('#tool-split');
  await opened.picture('plain');
  await eventually(async () => assert.equal(await warm(page, 'plain'), 0));
  await eventually(async () => assert.ok(await warm(page, 'axial') > 50));
  await page.click('#tool-split');
  await page.keyboard.press('h');
  await opened.picture('axial');
  await eventually(async () => assert.equal(await warm(page, 'axial'), 0));
  await page.locator('#tool-opacity').fill('100');
  await opened.picture('axial');
  await eventually(async () => assert.ok(await warm(page, 'axial') > 50, 'moving the opacity shows the map again'));
  await page.locator('#tool-opacity').fill('60');

  await page.mouse.move(x, y);
  await page.keyboard.down('Control');
  await page.mouse.wheel(0, -100);
  await page.keyboard.up('Control');
  await page.mouse.move(0, 0);
  await eventually(async () => assert.notEqual(await opened.picture('axial'), brain));
  // The slider has the focus still.
  await page.keyboard.press('0');
  await eventually(async () => assert.equal(await opened.picture('axial'), brain));
  assert.deepEqual(opened.errors, []);
});

test('the slice can be seen as the network sees it', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await opened.drop(bleeding());
  await opened.answers();
  const before = await opened.picture('axial');
  await page.keyboard.press('5');
  const seen = await opened.picture('axial');
  assert.notEqual(seen, before);
  await eventually(async () => assert.match(await page.locator('.stage-axial .top-left').innerText(), /network/i));
  // Coarse pixels: few colours, all of them grey.
  await eventually(async () => assert.equal(await warm(page, 'axial'), 0));
  await page.keyboard.press('1');
  await eventually(async () => assert.equal(await opened.picture('axial'), before));
  assert.deepEqual(opened.errors, []);
});

test('fingers swipe through the slices and pinch to zoom', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu', device: { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true } });
  const { page } = opened;
  await opened.drop(bleeding());
  await opened.answers();
  await opened.picture('axial');
  const session = await page.context().newCDPSession(page);
  const touch = (type, ...points) => session.send('Input.dispatchTouchEvent', { type, touchPoints: points.map(([x, y], id) => ({ x, y, id })) });
  const from = await opened.slice();
  const [x, y] = await place(page, 'axial');
  await touch('touchStart', [x, y]);
  await touch('touchMove', [x, y - 20]);
  await touch('touchMove', [x, y - 48]);
  await touch('touchEnd');
  await opened.atSlice(from + 4);
  const whole = await opened.picture('axial');
  await touch('touchStart', [x - 20, y], [x + 20, y]);
  await touch('touchMove', [x - 60, y], [x + 60, y]);
  await touch('touchEnd');
  await eventually(async () => assert.notEqual(await opened.picture('axial'), whole));
  assert.equal(await opened.slice(), from + 4);
  assert.deepEqual(opened.errors, []);
});

/** The slices of a folder of pictures, turned clockwise by the browser. */
async function turned(page, from, to, quarters) {
  for (const file of readdirSync(from)) {
    const picture = await page.evaluate(async ([bytes, quarters]) => {
      const bitmap = await createImageBitmap(await (await fetch(`data:image/jpeg;base64,${bytes}`)).blob());
      const canvas = Object.assign(document.createElement('canvas'), { width: bitmap.width, height: bitmap.height });
      const context = canvas.getContext('2d');
      context.translate(bitmap.width / 2, bitmap.height / 2);
      context.rotate((quarters * Math.PI) / 2);
      context.drawImage(bitmap, -bitmap.width / 2, -bitmap.height / 2);
      return canvas.toDataURL('image/png').split(',')[1];
    }, [readFileSync(join(from, file)).toString('base64'), quarters]);
    writeFileSync(join(to, `${file}.png`), Buffer.from(picture, 'base64'));
  }
}

test('the letters go round with pictures in which the head lies on one side or the other', { timeout: 2 * timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  // The page's policy lets it fetch nothing that is not its own.
  const workshop = await (await opened.browser.newContext()).newPage();
  const letters = () => opened.page.$$eval('.stage-axial .letter', (marks) => marks.map(({ textContent }) => textContent));
  const folder = scratch(t);
  for (const [row, [quarters, edges]] of [[1, ['P?', 'A?', 'R?', 'L?']], [3, ['A?', 'P?', 'L?', 'R?']]].entries()) {
    const drop = join(folder, `turned ${quarters}`);
    mkdirSync(drop);
    await turned(workshop, phantom('bleeding', 'jpg', '--seed', '7', '--bleed', 'intraparenchymal:40'), drop, quarters);
    await opened.drop(drop);
    await opened.answers(row + 1);
    await opened.page.locator('[data-scan]').nth(row).locator('button').first().click();
    await opened.page.locator('#answer [data-code="head_turned"]').waitFor();
    await opened.page.waitForFunction((edge) => document.querySelector('.stage-axial .letter')?.textContent === edge, edges[0]);
    await eventually(async () => assert.deepEqual(await letters(), edges));
  }
});

test('a window that is made lower still holds film, ladder and tools, and another scan is read from its finding on', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await page.setViewportSize({ width: 1280, height: 1400 });
  await opened.drop(bleeding());
  await opened.answers(1);
  await opened.picture('axial');
  await page.setViewportSize({ width: 1280, height: 700 });
  await eventually(async () => assert.deepEqual(await page.evaluate(() => ['#film-axial', '#ladder', '.tools'].filter((part) => document.querySelector(part).getBoundingClientRect().bottom > innerHeight)), []));
  const answer = page.locator('#answer');
  await answer.evaluate((panel) => panel.scrollTo(0, panel.scrollHeight));
  assert.ok(await answer.evaluate((panel) => panel.scrollTop) > 0);
  await page.evaluate(() => document.querySelector('[data-sample]').click());
  await opened.answers(2);
  await page.locator('.row-open').nth(1).click();
  await eventually(async () => assert.equal(await answer.evaluate((panel) => panel.scrollTop), 0));
  assert.deepEqual(opened.errors, []);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PATIENCE_MS, eventually, openPage, phantom } from './harness.mjs';

const timeout = PATIENCE_MS;

test('each scan is printed on one page, with its slices', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await page.evaluate(() => {
    window.print = () => { globalThis.asked = true; };
  });
  await opened.drop(phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40'));
  await opened.answers(1);
  // A stack of pictures brings the most warnings, so it is the longest page.
  await opened.drop(phantom('rotated', 'jpg', '--seed', '7', '--first', '11'));
  await opened.answers(2);
  await page.click('#print-all');
  await page.waitForFunction(() => globalThis.asked);
  const papers = page.locator('[data-scan-printed]');
  await eventually(async () => assert.equal(await papers.count(), 2));
  await page.emulateMedia({ media: 'print' });
  for (const paper of await papers.all()) {
    await eventually(async () => assert.equal(await paper.locator('canvas').count(), 6));
    await eventually(async () => assert.match(await paper.innerText(), /not a medical device/));
    const spare = await paper.evaluate((sheet) => sheet.clientHeight - sheet.scrollHeight);
    assert.ok(spare >= 0, `${-spare} px do not fit on the page`);
  }
  const pdf = (await page.pdf({ preferCSSPageSize: true })).toString('latin1');
  assert.equal(pdf.match(/\/Type\s*\/Page\b/g).length, 2);
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('the answer says what it was worth, for the share of bleeds that the person sees', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const { page } = opened;
  await opened.drop(phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40'));
  await opened.answers();
  const answer = page.locator('#answer');
  await eventually(async () => assert.match(await answer.innerText(), /In testing, \d+ of \d+ patients got this answer/));
  await answer.locator('.frequencies summary').click();
  const share = async (prevalence) => {
    await page.locator('#prevalence').fill(String(prevalence));
    return Number((await page.locator('#prevalence-says').innerText()).match(/about (\d+)/)[1]);
  };
  assert.ok(await share(2) < await share(40));
  await page.click('#open-model');
  const card = page.locator('#model');
  await eventually(async () => assert.match(await card.innerText(), /\d+ patients, \d+ slices/));
  await eventually(async () => assert.match(await card.innerText(), /[0-9a-f]{64}/));
  await page.keyboard.press('Escape');
  // A key slice takes the viewer there.
  const first = answer.locator('.key-slice').first();
  const slice = Number((await first.innerText()).match(/Slice (\d+)/)[1]);
  await page.keyboard.press('Home');
  await first.click();
  await opened.atSlice(slice);
  assert.deepEqual(opened.errors, []);
});

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS, openPage, phantom, scratch } from './harness.mjs';

const timeout = PATIENCE_MS;

/** Puts slices of a phantom into a folder `to`, from the first on. */
function slices(to, format, count) {
  const from = phantom('bleeding', format, '--seed', '7', '--bleed', 'intraparenchymal:40');
  mkdirSync(to, { recursive: true });
  for (const file of readdirSync(from).sort().slice(0, count)) copyFileSync(join(from, file), join(to, file));
  return to;
}

/** A picture that the browser draws, so that no picture needs to be kept in the repository. */
async function picture(page, width, height, colour) {
  const url = await page.evaluate(([width, height, colour]) => {
    const canvas = Object.assign(document.createElement('canvas'), { width, height });
    const context = canvas.getContext('2d');
    const shade = context.createLinearGradient(0, 0, width, height);
    shade.addColorStop(0, 'black');
    shade.addColorStop(1, colour);
    context.fillStyle = shade;
    context.fillRect(0, 0, width, height);
    return canvas.toDataURL('image/jpeg', 0.9);
  }, [width, height, colour]);
  return Buffer.from(url.slice(url.indexOf(',') + 1), 'base64');
}

/** What is dropped, how it is made, and the refusals that say so. */
const inputs = [
  ['an empty folder', ['empty_drop'], (drop) => mkdirSync(join(drop, 'nothing'))],
  ['a text file', ['not_a_scan'], (drop) => writeFileSync(join(drop, 'letter.txt'), 'Dear colleague, the scan is on the disc.\n')],
  ['an empty file', ['empty_file'], (drop) => writeFileSync(join(drop, 'slice.dcm'), '')],
  ['a single slice', ['too_few_slices'], (drop) => slices(drop, 'dicom', 1)],
  ['a truncated picture', ['truncated', 'damaged', 'unreadable'], (drop) => {
    slices(drop, 'jpg', 12);
    const file = join(drop, readdirSync(drop).sort()[5]);
    writeFileSync(file, readFileSync(file).subarray(0, 900));
  }],
  ['a truncated NIfTI file', ['truncated'], (drop) => {
    slices(drop, 'nifti', 1);
    const file = join(drop, readdirSync(drop)[0]);
    writeFileSync(file, readFileSync(file).subarray(0, 5000));
  }],
  ['colour photos', ['colour_picture'], async (drop, page) => {
    for (let n = 1; n <= 8; n++) writeFileSync(join(drop, `holiday (${n}).jpg`), await picture(page, 320, 240, `hsl(${n * 40} 90% 50%)`));
  }],
  ['pictures of different sizes', ['mixed_sizes'], async (drop, page) => {
    for (let n = 1; n <= 8; n++) writeFileSync(join(drop, `5 (${n}).jpg`), await picture(page, 200 + 10 * n, 240, 'white'));
  }],
  ['4 GB of nothing', ['not_a_scan'], (drop) => {
    // A sparse file: it takes no room on the disk.
    writeFileSync(join(drop, 'huge.nii'), '');
    truncateSync(join(drop, 'huge.nii'), 4 * 2 ** 30);
  }],
];

for (const [what, codes, make] of inputs) {
  test(`${what}: refused by name, and the next scan is answered`, { timeout }, async (t) => {
    const opened = await openPage(t, { backend: 'cpu' });
    const drop = scratch(t);
    await make(drop, opened.page);
    await opened.drop(drop);
    const rows = await opened.answers(1);
    assert.deepEqual(rows.map(({ outcome }) => outcome), rows.map(() => 'refused'));
    for (const { refusal } of rows) assert.ok(codes.includes(refusal), `refused as ${refusal}`);
    const words = await opened.page.locator('#answer').innerText();
    assert.ok(words.trim().length > 20, `the refusal is said in words: ${words}`);

    await opened.drop(phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40'));
    const answers = await opened.answers(rows.length + 1);
    assert.equal(answers.at(-1).outcome, 'classified');
    assert.deepEqual(opened.errors, []);
    assert.deepEqual(await opened.requestsSinceReady(), []);
  });
}

test('a bad scan and a good one in one drop: one refusal, one answer', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const drop = scratch(t);
  slices(join(drop, 'good'), 'dicom');
  slices(join(drop, 'single'), 'jpg', 1);
  await opened.drop(drop);
  const outcomes = (await opened.answers(2)).map(({ outcome }) => outcome).sort();
  assert.deepEqual(outcomes, ['classified', 'refused']);
  assert.deepEqual(opened.errors, []);
});

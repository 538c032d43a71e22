import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { ORIGIN, PATIENCE_MS, URL_OF_PAGE, eventually, openPage, phantom, predict, realScan } from './harness.mjs';
import { named } from './weights.mjs';

const bleeding = (format) => phantom('bleeding', format, '--seed', '7', '--bleed', 'intraparenchymal:40');
const timeout = PATIENCE_MS;
const near = (a, b) => assert.ok(Math.abs(a - b) <= 1e-4, `${a} and ${b} differ by ${Math.abs(a - b)}`);

test('a dropped folder of DICOM slices is answered, and nothing leaves the machine', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  await opened.drop(bleeding('dicom'));
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  assert.equal(answer.backend, 'cpu');
  const probability = Number(answer.probability);
  assert.ok(answer.probability !== '' && probability >= 0 && probability <= 1, answer.probability);

  assert.deepEqual(opened.errors, []);
  // The worker's own file is seen, so the worker is watched as well as the page.
  assert.ok(opened.requests.some(({ url }) => url.endsWith('/ictus_bg.wasm')), 'the requests of the worker are not seen');
  assert.deepEqual(opened.requests.map(({ url }) => new URL(url)).filter(({ protocol, origin }) => /^http/.test(protocol) && origin !== ORIGIN), []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
  const log = await opened.networkLog();
  assert.ok(log.some((url) => url.endsWith('/ictus_bg.wasm')), 'the network log misses the engine');
  assert.deepEqual(log.filter((url) => !url.startsWith(`${ORIGIN}/`)), []);
});

test('a chosen NIfTI file and a chosen folder of JPG slices are answered', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const nifti = bleeding('nifti');
  await opened.choose('files', ...readdirSync(nifti).map((file) => join(nifti, file)));
  await opened.answers(1);
  await opened.choose('folder', bleeding('jpg'));
  const answers = await opened.answers(2);
  assert.deepEqual(answers.map(({ outcome }) => outcome), ['classified', 'classified']);
  assert.deepEqual(opened.errors, []);
});

for (const backend of /** @type {const} */ (['cpu', 'webgpu'])) {
  test(`the page answers on ${backend} what the native build does`, { timeout: 2 * timeout }, async (t) => {
    const opened = await openPage(t, { backend });
    const [expected] = predict(bleeding('dicom'));
    await opened.drop(bleeding('dicom'));
    const [answer] = await opened.answers();
    assert.equal(answer.outcome, 'classified');
    assert.equal(answer.backend, backend);
    near(Number(answer.probability), expected.probability);
    assert.equal(answer.finding, expected.finding);
    const { backend: facts } = await opened.diagnostics();
    const selfTest = facts[`${backend === 'cpu' ? 'cpu' : 'gpu'}_self_test_difference`];
    assert.ok(typeof selfTest === 'number' && selfTest <= 1e-4, `self-test: ${selfTest}`);
    if (backend === 'webgpu') {
      // What the GPU said can be held against the CPU.
      await opened.page.click('#open-compare');
      await opened.page.locator('#compare-with').selectOption({ label: `${named()}, on the CPU` });
      await opened.page.locator('#compare-points[data-points="0"]').waitFor();
      assert.match(await opened.page.locator('#compare-answer-a').innerText(), /WebGPU/);
      assert.match(await opened.page.locator('#compare-answer-b').innerText(), /CPU/);
    }
    assert.deepEqual(opened.errors, []);
    assert.deepEqual(await opened.requestsSinceReady(), []);
  });
}

test('the server sends the policy of the page with every file, because a worker obeys only its own', async () => {
  const page = await (await fetch(URL_OF_PAGE)).text();
  const policy = /Content-Security-Policy" content="([^"]+)"/.exec(page)?.[1];
  assert.match(policy ?? '', /connect-src 'self'/);
  for (const path of ['', 'worker.js', 'gpu-worker.js', 'pkg/cpu/ictus_bg.wasm']) {
    const response = await fetch(URL_OF_PAGE + path);
    assert.equal(response.headers.get('Content-Security-Policy'), `${policy}; frame-ancestors 'none'`, path);
    await response.body?.cancel();
  }
});

test('the saved report is the object that the command line prints', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  await opened.drop(bleeding('dicom'));
  await opened.answers();
  const [download] = await Promise.all([opened.page.waitForEvent('download'), opened.page.click('#save-all')]);
  const [report] = readFileSync(await download.path(), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  const [expected] = predict(bleeding('dicom'));
  assert.deepEqual(Object.keys(report).sort(), Object.keys(expected).sort());
  assert.deepEqual(report.model, expected.model);
  near(report.probability, expected.probability);
  assert.equal(report.slices.length, expected.slices.length);
  report.slices.forEach((slice, z) => {
    assert.equal(slice.position, expected.slices[z].position);
    assert.equal(slice.probability === null, expected.slices[z].probability === null, `slice ${z}`);
    if (slice.probability !== null) near(slice.probability, expected.slices[z].probability);
  });
});

test('the samples are drawn and answered without a request', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const samples = await opened.page.locator('[data-sample]').count();
  assert.ok(samples >= 2, `${samples} samples`);
  await opened.page.locator('[data-sample="0"]').click();
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  await eventually(async () => assert.match(await opened.page.locator('#room').innerText(), /synthetic/i));
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('slices that start in the middle are put in order, said so, and the order can be undone', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  await opened.drop(phantom('rotated', 'jpg', '--seed', '7', '--first', '11'));
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  const reordered = opened.page.locator('#answer [data-code="slices_reordered"]');
  await reordered.waitFor();
  const undo = opened.page.locator('#order-undo');
  await undo.click();
  await opened.page.waitForFunction(() => /again/.test(document.querySelector('#order-undo')?.textContent ?? ''));
  await opened.answers();
  await reordered.waitFor({ state: 'detached' });
  assert.deepEqual(opened.errors, []);
});

test('real scans are answered as the native build does', { timeout: 4 * timeout, skip: process.env.ICTUS_DATA ? false : 'ICTUS_DATA is not set' }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const scans = [49, 58, 72].map((patient) => realScan(t, patient));
  const expected = scans.flatMap((scan) => predict(scan));
  for (const [index, scan] of scans.entries()) {
    await opened.drop(scan);
    await opened.answers(index + 1);
  }
  const answers = await opened.answers(expected.length);
  answers.forEach((answer, index) => {
    assert.equal(answer.outcome, 'classified');
    near(Number(answer.probability), expected[index].probability);
  });
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

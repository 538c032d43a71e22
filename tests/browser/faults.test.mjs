/** What a machine does to a page: storage that is full, files that go away, a GPU that is lost, a tab that is put to sleep. */
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS, SITE, eventually, openPage, phantom, scratch, serveFolder } from './harness.mjs';

const timeout = PATIENCE_MS;
const scan = () => phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40');
const ready = (page) => page.waitForSelector('body[data-phase="ready"]');
const outcomes = (rows) => rows.map(({ outcome }) => outcome);

/** Copies the scan to be damaged. */
function copy(t, ...names) {
  const folder = scratch(t);
  return names.map((name) => {
    cpSync(scan(), join(folder, name), { recursive: true });
    return join(folder, name);
  });
}

test('files that go away before they are read cost their scan its answer, and no other', { timeout }, async (t) => {
  /** @type {(value?: unknown) => void} */
  let release = () => {};
  const held = new Promise((resolve) => { release = resolve; });
  const opened = await openPage(t, {
    backend: 'cpu',
    phase: 'loading',
    route: (context) => context.route('**/ictus_bg.wasm', async (route) => {
      await held;
      await route.continue();
    }),
  });
  const [first, gone, last] = copy(t, 'first', 'gone', 'last');
  for (const folder of [first, gone, last]) await opened.drop(folder);
  rmSync(gone, { recursive: true });
  release();
  const rows = await opened.answers(3);
  assert.ok(rows.some(({ scan, outcome, refusal }) => outcome === 'refused' && refusal !== '' && !/first|last/.test(scan)), JSON.stringify(rows));
  assert.equal(rows.filter(({ outcome }) => outcome === 'classified').length, 2);
  assert.ok((await opened.page.locator('#answer').innerText()).length > 20);
});

test('storage that is full leaves the page working, as long as its server does', { timeout }, async (t) => {
  const serving = await serveFolder(t, SITE);
  const opened = await openPage(t, {
    url: serving.url,
    backend: 'cpu',
    route: async (context) => {
      const page = await context.newPage();
      const session = await context.newCDPSession(page);
      await session.send('Storage.overrideQuotaForOrigin', { origin: new URL(serving.url).origin, quotaSize: 100_000 });
      // The quota holds as long as the session.
      t.after(() => session.detach().catch(() => {}));
    },
  });
  assert.equal(await opened.page.evaluate(async () => (await caches.keys()).length), 0, 'half a cache was left');
  await opened.drop(scan());
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  await opened.page.reload();
  await ready(opened.page);
});

test('a cache that lost files is filled again from the server, with the hashes of its version', { timeout }, async (t) => {
  const serving = await serveFolder(t, SITE);
  const opened = await openPage(t, { url: serving.url, backend: 'cpu' });
  const lost = await opened.page.evaluate(async () => {
    const [name] = await caches.keys();
    const cache = await caches.open(name);
    const torn = (await cache.keys()).filter(({ url }) => /worker\.js$|\.safetensors$|ictus_bg\.wasm$/.test(url) && !url.includes('/gpu'));
    for (const request of torn) await cache.delete(request);
    return torn.length;
  });
  assert.ok(lost >= 3);
  await opened.page.reload();
  await ready(opened.page);
  await serving.stop();
  await opened.page.reload();
  await ready(opened.page);
  await opened.drop(scan());
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
});

/** Takes the device from the network while it computes for the second time: the first is the self-test. */
const LOSE_DEVICE = `
const devices = [];
const { requestDevice } = GPUAdapter.prototype;
GPUAdapter.prototype.requestDevice = async function (...options) {
  const device = await requestDevice.apply(this, options);
  devices.push(device);
  return device;
};
const { infer } = Network.prototype;
Network.prototype.infer = function (...input) {
  const answer = infer.apply(this, input);
  for (const device of devices) device.destroy();
  return answer;
};`;

const changedGpu = (more) => (context) => context.route('**/pkg/gpu/ictus.js', async (route) => {
  const response = await route.fetch();
  await route.fulfill({ response, body: (await response.text()) + more });
});

test('a GPU that is lost while it computes is not asked again: the CPU answers this scan and the next', { timeout: 2 * timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'webgpu', route: changedGpu(LOSE_DEVICE) });
  assert.equal((await opened.diagnostics()).backend.name, 'webgpu');
  for (const folder of copy(t, 'one', 'two')) await opened.drop(folder);
  const rows = await opened.answers(2);
  assert.deepEqual(outcomes(rows), ['classified', 'classified']);
  assert.deepEqual(rows.map(({ backend }) => backend), ['cpu', 'cpu']);
  await eventually(async () => assert.match(await opened.page.locator('#engine').innerText(), /CPU/));
  assert.match((await opened.diagnostics()).backend.reason, /since the GPU failed/);
});

test('an adapter that promises limits which its device does not give leaves the CPU answering', { timeout: 2 * timeout }, async (t) => {
  const lie = "\nGPUAdapter.prototype.requestDevice = async () => { throw new DOMException('limits', 'OperationError'); };\n";
  const opened = await openPage(t, { backend: 'webgpu', route: changedGpu(lie) });
  await opened.drop(scan());
  const [answer] = await opened.answers();
  assert.deepEqual([answer.outcome, answer.backend], ['classified', 'cpu']);
  assert.match((await opened.diagnostics()).backend.reason, /WebGPU could not be used/);
});

test('a batch goes on after the tab was frozen', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const session = await opened.page.context().newCDPSession(opened.page);
  for (const folder of copy(t, 'one', 'two', 'three')) await opened.drop(folder);
  await session.send('Page.setWebLifecycleState', { state: 'frozen' });
  await new Promise((resolve) => setTimeout(resolve, 1500));
  await session.send('Page.setWebLifecycleState', { state: 'active' });
  assert.deepEqual(outcomes(await opened.answers(3)), ['classified', 'classified', 'classified']);
});

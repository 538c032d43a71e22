import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PATIENCE_MS, eventually, openPage, phantom } from './harness.mjs';

const timeout = PATIENCE_MS;
const scan = () => phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40');

test('a browser without WebGPU is answered by the CPU, even if WebGPU is asked for, and is told so', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'webgpu', gpu: false });
  await opened.drop(scan());
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  assert.equal(answer.backend, 'cpu');
  await eventually(async () => assert.match(await opened.page.locator('#engine').innerText(), /CPU/));
  const { backend } = await opened.diagnostics();
  assert.match(backend.reason, /WebGPU/);
  assert.deepEqual(opened.errors, []);
});

test('a WebGPU engine that cannot be fetched leaves the CPU answering', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'webgpu', gpu: true, route: (context) => context.route('**/pkg/gpu/**', (route) => route.abort()) });
  await opened.drop(scan());
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  assert.equal(answer.backend, 'cpu');
  const { backend } = await opened.diagnostics();
  assert.match(backend.reason, /WebGPU could not be used/);
});

test('weights that were changed on the way are not used', { timeout }, async (t) => {
  const opened = await openPage(t, {
    backend: 'cpu',
    route: (context) => context.route('**/models/*.safetensors', async (route) => {
      const response = await route.fetch();
      const body = await response.body();
      body[body.length - 100] ^= 0x10;
      await route.fulfill({ response, body });
    }),
  });
  const fault = opened.page.locator('#fault');
  await fault.waitFor();
  await eventually(async () => assert.ok((await fault.innerText()).length > 20));
  await opened.drop(scan());
  const rows = await opened.answers();
  assert.ok(rows.every(({ outcome, probability }) => outcome !== 'classified' && probability === ''), JSON.stringify(rows));
});

test('an engine that computes something else than the trainer did lets go of the weights', { timeout }, async (t) => {
  const opened = await openPage(t, {
    backend: 'cpu',
    route: (context) => context.route('**/models/*.safetensors', async (route) => {
      const response = await route.fetch();
      const body = await response.body();
      // Another patient logit than the trainer's, of the same length.
      const digit = body.indexOf('"patient\\":', body.indexOf('self_test')) + '"patient\\":'.length;
      body[digit] = body[digit] === 0x39 ? 0x38 : 0x39;
      await route.fulfill({ response, body });
    }),
  });
  const fault = opened.page.locator('#fault');
  await fault.waitFor();
  await eventually(async () => assert.equal(await fault.getAttribute('data-code'), 'self_test'));
  await opened.drop(scan());
  const [row] = await opened.answers();
  assert.equal(row.outcome, 'refused');
  assert.equal(row.refusal, 'no_weights');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openRuntimes } from './runtimes.mjs';

test('ONNX Runtime computes with the exported network what the engine does, whatever the number of slices', async (t) => {
  const runtimes = await openRuntimes(t);
  for (const slices of [1, 2, 28]) {
    const { difference, span } = await runtimes.agreement(slices);
    assert.ok(span > 0.1, `${slices} slices: a flat map compares nothing (${span})`);
    assert.ok(difference <= 1e-4, `${slices} slices: ${difference}`);
  }
});

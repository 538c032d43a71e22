import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SHAPES, openRuntimes } from './runtimes.mjs';

test('ONNX Runtime computes with the exported network what the engine does, whatever the number of slices', async (t) => {
  const runtimes = await openRuntimes(t);
  for (const slices of [1, 2, 28]) {
    const { difference, span } = await runtimes.agreement(SHAPES.shipped(slices));
    assert.ok(span > 0.1, `${slices} slices: a flat map compares nothing (${span})`);
    assert.ok(difference <= 1e-4, `${slices} slices: ${difference}`);
  }
});

test('ONNX Runtime computes with the exported published network what the engine does', async (t) => {
  const { difference } = await (await openRuntimes(t, 'published')).agreement(SHAPES.published());
  assert.ok(difference <= 1e-4, `${difference}`);
});

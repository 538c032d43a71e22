import { h } from '../dom.js';
import { fill, ring } from './film.js';
import { fit, spacing } from './geometry.js';
import { paintHeat } from './heat.js';
import { paintGrey, PRESETS } from './windows.js';

/**
 * A slice as a picture of its own, in the brain window: for the answer, the order and the printed report.
 *
 * @param {import('../types.js').View} view
 * @param {import('./slices.js').Slice} slice
 * @param {number} size Longest side in pixels.
 * @param {{peak?: [number, number]|null, heat?: boolean}} [marks]
 * @returns {HTMLCanvasElement}
 */
export function keySlice(view, slice, size, { peak = null, heat = false } = {}) {
  const mm = spacing(view);
  const shape = { columns: view.columns, rows: view.rows };
  const whole = fit({ width: size, height: size }, { ...shape, aspect: mm.y / mm.x }, 1, { x: 0, y: 0 });
  const canvas = /** @type {HTMLCanvasElement} */ (h('canvas', { width: Math.max(1, Math.round(whole.width)), height: Math.max(1, Math.round(whole.height)) }));
  const context = canvas.getContext('2d');
  if (!context) return canvas;
  const layer = document.createElement('canvas');
  const window = PRESETS[0]?.window ?? { level: 40, width: 80 };
  context.imageSmoothingQuality = 'high';
  fill(layer, shape, (rgba) => paintGrey(slice.grey, window, rgba));
  context.drawImage(layer, 0, 0, canvas.width, canvas.height);
  const map = heat ? slice.heat : null;
  if (map) {
    fill(layer, shape, (rgba) => paintHeat(map, rgba));
    context.globalAlpha = 0.6;
    context.drawImage(layer, 0, 0, canvas.width, canvas.height);
    context.globalAlpha = 1;
  }
  if (peak) ring(context, { x: ((peak[0] + 0.5) / view.columns) * canvas.width, y: ((peak[1] + 0.5) / view.rows) * canvas.height }, Math.max(9, canvas.width * 0.055));
  return canvas;
}

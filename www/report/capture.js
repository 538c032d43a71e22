import { h } from '../dom.js';
import { percent, t } from '../i18n/i18n.js';
import { en } from '../i18n/en.js';
import { sidesOf } from '../viewer/geometry.js';
import { keySlice } from '../viewer/keyslice.js';
import { isSuspicious } from '../viewer/scores.js';

/**
 * Key slices as pictures of their own: plain and with the evidence side by side, and words burned in that stay on them
 * wherever they go.
 *
 * @typedef {import('./dicom.js').Capture} Capture
 */

const PICTURE_PX = 512;
const BAND_PX = 36;

/**
 * @param {import('../types.js').Row} row An answered scan.
 * @param {import('./print.js').KeySlice} keySlice
 * @returns {Capture}
 */
export function captureOf({ report, view, slices, synthetic }, { position, slice }) {
  if (!view) throw new Error('a scan without a view has no slices');
  const canvas = /** @type {HTMLCanvasElement} */ (h('canvas', { width: 2 * PICTURE_PX, height: PICTURE_PX + 2 * BAND_PX }));
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d', { willReadFrequently: true }));
  const { width, height } = canvas;
  context.fillRect(0, 0, width, height);
  const score = report?.slices[position]?.probability ?? null;
  const peak = isSuspicious(score) ? (view.peaks[position] ?? null) : null;
  const [left, right] = sidesOf(view.quarter_turns).map((side) => (view.orientation_stated ? side : `${side}?`));
  context.fillStyle = '#fff';
  context.textBaseline = 'middle';
  for (const [place, picture] of [keySlice(view, slice, PICTURE_PX), keySlice(view, slice, PICTURE_PX, { heat: true, peak })].entries()) {
    const start = place * PICTURE_PX;
    context.drawImage(picture, start + (PICTURE_PX - picture.width) / 2, BAND_PX + (PICTURE_PX - picture.height) / 2);
    write(context, left ?? '', start + 8, BAND_PX + PICTURE_PX / 2, 'left', 40);
    write(context, right ?? '', start + PICTURE_PX - 8, BAND_PX + PICTURE_PX / 2, 'right', 40);
  }
  // In English, as all of the object is, and in the language of the person who makes it.
  const words = [...new Set([String(en['dicom.burned']), t('dicom.burned')])].join(' · ');
  const model = report?.model ? `ictus ${report.model.name} ${report.model.version}` : 'ictus';
  write(context, words.toLocaleUpperCase(), width / 2, BAND_PX / 2, 'center', width - 16);
  write(context, [t('film.slice', { z: position + 1, n: slices }), score === null ? '' : `${t('film.score')}: ${percent(score)}`, model, synthetic ? t('synthetic.short') : ''].filter(Boolean).join('  ·  '), width / 2, height - BAND_PX / 2, 'center', width - 16);
  const { data } = context.getImageData(0, 0, width, height);
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) rgb.set(data.subarray(from, from + 3), to);
  return { position, columns: width, rows: height, rgb };
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {string} words
 * @param {number} x
 * @param {number} y
 * @param {CanvasTextAlign} align
 * @param {number} room
 */
function write(context, words, x, y, align, room) {
  context.font = '600 18px system-ui, sans-serif';
  context.textAlign = align;
  context.fillText(words, x, y, room);
}

import { h } from '../dom.js';
import { t } from '../i18n/i18n.js';
import { keySlice } from '../viewer/keyslice.js';

/**
 * @typedef {import('../types.js').Row} Row
 * @typedef {(z: number) => Promise<import('../viewer/slices.js').Slice>} FetchSlice
 */

const SHOWN = 8;
const THUMB_PX = 88;

/**
 * What was done to the order of the slices, as two strips of pictures (by name, and by what they show) with a way back.
 *
 * @param {Row} row
 * @param {FetchSlice} fetchSlice
 * @param {(named: boolean) => void} useNamedOrder
 * @returns {HTMLElement[]}
 */
export function orderDoctor(row, fetchSlice, useNamedOrder) {
  const { view } = row;
  if (!view || !(view.can_change_order || row.namedOrder)) return [];
  const changed = !row.namedOrder;
  const strips = changed ? [
    strip(view, t('order.before'), byName(view.as_named), fetchSlice),
    strip(view, t('order.after'), view.as_named.map((_, z) => z), fetchSlice),
  ] : [];
  return [h('section.part.order', { 'data-order': changed ? 'repaired' : 'named' },
    h('h3', {}, changed ? t('order.repaired') : t('order.named')),
    ...strips,
    h('p.quiet', {}, changed ? t('order.repaired.text') : t('order.named.text')),
    h('button.button.small', { type: 'button', id: 'order-undo', onclick: () => useNamedOrder(changed) }, changed ? t('order.undo') : t('order.redo')))];
}

/**
 * The slices of the volume in the order of their names.
 *
 * @param {number[]} asNamed For each slice of the volume its place among the names.
 */
function byName(asNamed) {
  return asNamed.map((_, z) => z).sort((a, b) => (asNamed[a] ?? 0) - (asNamed[b] ?? 0));
}

/**
 * @param {import('../types.js').View} view
 * @param {string} title
 * @param {number[]} order
 * @param {FetchSlice} fetchSlice
 */
function strip(view, title, order, fetchSlice) {
  const count = Math.min(SHOWN, order.length);
  const picks = Array.from({ length: count }, (_, i) => order[Math.round((i * (order.length - 1)) / Math.max(1, count - 1))] ?? 0);
  return h('figure.order-row', {}, h('figcaption', {}, title), h('div.order-strip', { 'aria-hidden': true }, ...picks.map((z) => {
    const place = h('span.order-place', {}, h('i', {}, String((view.as_named[z] ?? z) + 1)));
    fetchSlice(z).then((slice) => place.prepend(keySlice(view, slice, THUMB_PX)), () => {});
    return place;
  })));
}

import { h, percent, svg } from '../dom.js';

/**
 * The probability on a scale with the two operating points, so that a number becomes a place: how far inside its zone.
 *
 * @param {number} probability
 * @param {import('../types.js').OperatingPoint} below
 * @param {import('../types.js').OperatingPoint} above
 */
export function gauge(probability, below, above) {
  const [lower, upper] = [below.threshold * 100, above.threshold * 100];
  const at = Math.max(0.8, Math.min(99.2, probability * 100));
  const picture = svg('svg', { viewBox: '0 0 100 12', preserveAspectRatio: 'none', class: 'gauge-scale', 'aria-hidden': 'true' },
    svg('rect', { x: 0, y: 4, width: lower, height: 4, class: 'zone-none' }),
    svg('rect', { x: lower, y: 4, width: Math.max(0, upper - lower), height: 4, class: 'zone-uncertain' }),
    svg('rect', { x: upper, y: 4, width: 100 - upper, height: 4, class: 'zone-likely' }),
    svg('rect', { x: at - 0.6, y: 0, width: 1.2, height: 12, rx: 0.5, class: 'gauge-needle' }));
  const middle = h('span', {}, upper - lower > 1 ? 'uncertain' : '');
  // Kept off the words at both ends.
  middle.style.setProperty('--at', String(Math.max(46, Math.min(58, (lower + upper) / 2))));
  const words = h('div.gauge-words', { 'aria-hidden': true }, h('span', {}, 'no bleeding seen'), middle, h('span', {}, 'bleeding likely'));
  return h('div.gauge', { role: 'img', 'aria-label': `Probability ${percent(probability)}. Below ${percent(below.threshold)} no bleeding is seen, from ${percent(above.threshold)} on bleeding is likely.` }, picture, words);
}

/**
 * What this answer was worth on real patients, counted out in dots: filled had a bleed, hollow had none.
 *
 * @param {import('../types.js').Report} report
 * @param {import('../types.js').OperatingPoint} lower
 * @param {import('../types.js').OperatingPoint} upper
 * @returns {HTMLElement|null}
 */
export function frequencies(report, lower, upper) {
  /** @type {Record<string, [number, number]>} With and without a bleed among those who got this answer. */
  const counts = {
    'bleeding likely': [upper.true_positives, upper.false_positives],
    uncertain: [lower.true_positives - upper.true_positives, lower.false_positives - upper.false_positives],
    'no bleeding seen': [lower.false_negatives, lower.true_negatives],
  };
  const [bleeds, clear] = counts[report.finding ?? ''] ?? [0, 0];
  const all = bleeds + clear;
  const patients = lower.true_positives + lower.false_negatives + lower.true_negatives + lower.false_positives;
  if (all <= 0 || all > 400) return null;
  const dots = h('span.dots', { 'aria-hidden': true }, ...Array.from({ length: all }, (_, i) => h(i < bleeds ? 'i.dot.filled' : 'i.dot')));
  return h('div.frequencies', {}, dots,
    h('p', {}, `In testing, ${all} of ${patients} patients got this answer. `, h('strong', {}, `${bleeds} had a bleed, ${clear} had none.`)));
}

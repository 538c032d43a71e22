import { h, svg } from '../dom.js';
import { percent, t } from '../i18n/i18n.js';
import { counts, shareAt, wilson } from './evidence.js';

/**
 * @typedef {import('../types.js').OperatingPoint} OperatingPoint
 * @typedef {import('./evidence.js').Finding} Finding
 */

/**
 * The probability on a scale with the two operating points, so that a number becomes a place; below it the share of bleeds
 * that patients with this answer had in testing, as an interval: the number cannot be surer than that.
 *
 * @param {number} probability
 * @param {Finding} finding
 * @param {OperatingPoint} below
 * @param {OperatingPoint} above
 */
export function gauge(probability, finding, below, above) {
  const [lower, upper] = [below.threshold * 100, above.threshold * 100];
  const at = Math.max(0.8, Math.min(99.2, probability * 100));
  const tested = counts(finding, below, above);
  const all = tested.bleeds + tested.clear;
  const [low, high] = all > 0 ? wilson(tested.bleeds, all).map((share) => share * 100) : [0, 0];
  const picture = svg('svg', { viewBox: '0 0 100 20', preserveAspectRatio: 'none', class: 'gauge-scale', 'aria-hidden': 'true' },
    svg('rect', { x: 0, y: 4, width: lower, height: 5, class: 'zone-none' }),
    svg('rect', { x: lower, y: 4, width: Math.max(0, upper - lower), height: 5, class: 'zone-uncertain' }),
    svg('rect', { x: upper, y: 4, width: 100 - upper, height: 5, class: 'zone-likely' }),
    svg('rect', { x: at - 0.6, y: 0, width: 1.2, height: 13, rx: 0.5, class: 'gauge-needle' }),
    ...(all > 0 ? [
      svg('rect', { x: low ?? 0, y: 16, width: (high ?? 0) - (low ?? 0), height: 1.2, class: 'gauge-interval' }),
      svg('rect', { x: low ?? 0, y: 14, width: 0.5, height: 5, class: 'gauge-interval' }),
      svg('rect', { x: (high ?? 0) - 0.5, y: 14, width: 0.5, height: 5, class: 'gauge-interval' }),
    ] : []));
  const middle = h('span', {}, upper - lower > 1 ? t('finding.uncertain').toLocaleLowerCase() : '');
  const words = h('div.gauge-words', { 'aria-hidden': true }, h('span', {}, t('gauge.none')), middle, h('span', {}, t('gauge.likely')));
  // Each word begins over its own zone, as far as the one before it leaves room.
  words.style.gridTemplateColumns = [lower, Math.max(0, upper - lower), 100 - upper].map((share) => `minmax(max-content, ${share}fr)`).join(' ');
  const interval = all > 0 ? t('gauge.interval', { low: Math.round(low ?? 0), high: Math.round(high ?? 0) }) : '';
  return h('div.gauge', { role: 'img', 'aria-label': `${t('gauge.label', { at: percent(probability), lower: percent(below.threshold), upper: percent(above.threshold) })} ${interval}` },
    words, picture, h('p.gauge-caption', { 'aria-hidden': true }, h('span.gauge-key', {}), interval));
}

/**
 * What this answer was worth on real patients, counted out in dots: filled had a bleed, hollow had none.
 *
 * @param {Finding} finding
 * @param {OperatingPoint} lower
 * @param {OperatingPoint} upper
 * @returns {HTMLElement|null}
 */
export function frequencies(finding, lower, upper) {
  const counted = counts(finding, lower, upper);
  const { bleeds, clear, allBleeds, allClear } = counted;
  const all = bleeds + clear;
  const patients = allBleeds + allClear;
  if (all <= 0 || all > 400) return null;
  const dots = h('span.dots', { 'aria-hidden': true }, ...Array.from({ length: all }, (_, i) => h(i < bleeds ? 'i.dot.filled' : 'i.dot')));
  const hundred = Math.round((100 * bleeds) / all);
  const right = finding === 'bleeding likely' ? t('evidence.likely', { wrong: 100 - hundred }) : finding === 'no bleeding seen' ? t('evidence.none', { wrong: hundred }) : t('evidence.uncertain', { share: hundred });
  return h('section.frequencies', {}, dots,
    h('p', {}, `${t('evidence.tested', { all, patients })} `, h('strong', {}, t('evidence.counts', { bleeds, clear })), ` ${right}`),
    elsewhere(counted));
}

/**
 * The patients of the test are not those of the person: of them nearly every second had a bleed.
 *
 * @param {import('./evidence.js').Counts} counted
 */
function elsewhere(counted) {
  const { allBleeds, allClear } = counted;
  const slider = /** @type {HTMLInputElement} */ (h('input.range', { type: 'range', id: 'prevalence', min: 1, max: 60, value: 10, 'aria-describedby': 'prevalence-says' }));
  const label = h('label', { for: 'prevalence' });
  const says = h('output', { id: 'prevalence-says', for: 'prevalence' });
  const show = () => {
    label.textContent = t('evidence.where', { n: slider.value });
    says.textContent = t('evidence.there', { share: Math.round(100 * shareAt(counted, Number(slider.value) / 100)) });
  };
  slider.addEventListener('input', show);
  show();
  return h('details', {}, h('summary', {}, t('evidence.elsewhere')), h('p', {}, t('evidence.mix', { bleeds: allBleeds, patients: allBleeds + allClear })), label, slider, h('p', {}, says));
}

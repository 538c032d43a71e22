import { gauge, frequencies } from '../answer/gauge.js';
import { warnings } from '../answer/answer.js';
import { h, svg } from '../dom.js';
import { percent, t } from '../i18n/i18n.js';
import { keySlice } from '../viewer/keyslice.js';
import { isSuspicious, ranked } from '../viewer/scores.js';

/**
 * The report on paper: one A4 page a scan.
 *
 * @typedef {import('../types.js').Row} Row
 * @typedef {import('../viewer/slices.js').Slice} Slice
 * @typedef {{position: number, slice: Slice}} KeySlice
 */

const KEY_SLICES = 3;
const PICTURE_PX = 420;
/** More warnings than this would push the page over its end. */
const WARNINGS = 6;

/**
 * The slices that the page of a scan shows.
 *
 * @param {Row} row
 * @param {(z: number) => Promise<Slice>} fetchSlice
 * @returns {Promise<KeySlice[]>}
 */
export function keySlicesOf(row, fetchSlice) {
  return Promise.all(ranked(row.report).slice(0, KEY_SLICES).map(async ({ position }) => ({ position, slice: await fetchSlice(position) })));
}

/**
 * @param {Row} row An answered scan.
 * @param {import('../types.js').Model|null} model
 * @param {KeySlice[]} keySlices
 * @returns {HTMLElement}
 */
export function pageOf(row, model, keySlices) {
  const { report, view } = row;
  const finding = report?.finding;
  const probability = report?.probability ?? null;
  const kind = finding === 'bleeding likely' ? 'likely' : finding === 'uncertain' ? 'uncertain' : finding === 'no bleeding seen' ? 'none' : 'refused';
  const { lower, upper } = model ?? {};
  const answered = finding && probability !== null && lower && upper;
  return h('article.sheet-a4', { 'data-scan-printed': row.name },
    h('header', {}, h('strong', {}, 'ictus'), h('span', {}, t('notDevice'))),
    h('h1', {}, row.name),
    h('p.quiet', {}, [t('slices', { n: row.slices }), row.kind && t(`kind.${row.kind}`), row.synthetic && t('synthetic'), t('print.made', { when: new Date().toLocaleString(document.documentElement.lang, { dateStyle: 'long', timeStyle: 'short' }) })].filter(Boolean).join(' · ')),
    h('h2.finding', {}, h(`span.mark.mark-${kind}`, {}), t(`finding.${kind}`), probability === null ? null : h('span.print-percent', {}, percent(probability))),
    h('p', {}, kind === 'refused' ? (row.refusal?.message ?? '') : t(`finding.${kind}.text`)),
    answered ? h('div.print-evidence', {}, gauge(probability, finding, lower, upper), frequencies(finding, lower, upper)) : null,
    view && keySlices.length > 0 ? h('div.print-slices', {}, ...keySlices.map(({ position, slice }) => {
      const score = report?.slices[position]?.probability ?? null;
      const peak = isSuspicious(score) ? (view.peaks[position] ?? null) : null;
      return h('figure', {}, keySlice(view, slice, PICTURE_PX), keySlice(view, slice, PICTURE_PX, { heat: true, peak }),
        h('figcaption', {}, `${t('slice', { z: position + 1 })}: ${score === null ? '' : percent(score)}${view.orientation_stated ? '' : ` · ${t('film.orientation')}`}`));
    })) : null,
    scores(report?.slices ?? []),
    ...warnings((report?.warnings ?? []).slice(0, WARNINGS)),
    h('footer', {}, h('p', {}, report?.model ? `${t('model')} ${report.model.name} ${report.model.version}, SHA-256 ${report.model.sha256} · ${report.backend ?? ''}` : ''), h('p', {}, t('print.foot'))));
}

/**
 * @param {import('../types.js').SliceReport[]} slices From the base on the left to the vertex.
 * @param {number} [here] Slice to mark.
 */
export function scores(slices, here = -1) {
  if (slices.length === 0) return null;
  const wide = 100 / slices.length;
  return h('figure.print-scores', {}, svg('svg', { viewBox: '0 0 100 12', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
    ...slices.flatMap(({ probability }, z) => (probability === null ? [svg('rect', { x: z * wide, y: 11.5, width: wide * 0.85, height: 0.5, class: 'score-room' })] : [
      svg('rect', { x: z * wide, y: 0, width: wide * 0.85, height: 12, class: 'score-room' }),
      svg('rect', { x: z * wide, y: 12 - 12 * probability, width: wide * 0.85, height: 12 * probability, class: isSuspicious(probability) ? 'score-high' : 'score-low' }),
    ])), ...(here < 0 ? [] : [svg('rect', { x: here * wide, y: 0, width: wide * 0.85, height: 12, class: 'score-here' })])), h('figcaption', {}, t('print.scores')));
}

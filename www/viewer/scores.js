/**
 * What the scores of the slices say, in one place: the ladder, the ring, the list and the report must agree.
 *
 * @typedef {import('../types.js').Report} Report
 */

/** From here on a slice is drawn warm: more likely than not to show blood, by its own calibration. */
export const SUSPICIOUS = 0.5;

/** @param {number|null|undefined} probability */
export const isSuspicious = (probability) => typeof probability === 'number' && probability >= SUSPICIOUS;

/**
 * Slices that were looked at, the highest score first.
 *
 * @param {Report|null} report
 */
export function ranked(report) {
  return (report?.slices ?? []).filter((slice) => slice.probability !== null).sort((a, b) => (b.probability ?? 0) - (a.probability ?? 0));
}

/**
 * Where to begin to look: the slice with the highest score, unless nothing was seen.
 *
 * @param {Report|null} report
 */
export function mostSuspicious(report) {
  return ranked(report)[0]?.position ?? null;
}

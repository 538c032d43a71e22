/**
 * What a scan can be compared with, how two scans are walked through together, and how far apart two answers are.
 *
 * @typedef {import('../types.js').ModelChoice} ModelChoice
 * @typedef {import('../types.js').Report} Report
 * @typedef {import('../types.js').Row} Row
 */

/**
 * @param {Pick<import('../types.js').State, 'models'|'rows'>} state
 * @param {Row|null} row
 * @returns {{models: ModelChoice[], backends: ModelChoice[], scans: Row[]}} Models but the one that gave its answer, that one on the
 *   CPU where a GPU gave it, and scans whose slices can be seen.
 */
export function partners({ models, rows }, row) {
  if (!row?.view || row.id === null || row.report?.outcome !== 'classified') return { models: [], backends: [], scans: [] };
  const { model, backend } = row.report;
  return {
    models: models.filter(({ card }) => card && card.sha256 !== model?.sha256),
    backends: backend === 'webgpu' ? models.filter(({ card }) => card && card.sha256 === model?.sha256).slice(0, 1) : [],
    scans: rows.filter((other) => other.key !== row.key && other.view && other.id !== null && other.report),
  };
}

/**
 * The slice of one scan that lies as far between base and vertex as slice `z` of another does.
 *
 * @param {number} z
 * @param {number} from Slices of the one.
 * @param {number} to Slices of the other.
 */
export function linked(z, from, to) {
  return from > 1 ? Math.round((z * (to - 1)) / (from - 1)) : Math.floor(to / 2);
}

/**
 * @param {Report|null} a
 * @param {Report|null} b
 * @returns {number|null} Percentage points that `b` lies above `a`; `null` where one of them has no answer.
 */
export function points(a, b) {
  const [from, to] = [a?.probability ?? null, b?.probability ?? null];
  return from === null || to === null ? null : Math.round(100 * (to - from));
}

/**
 * @param {Report|null} a
 * @param {Report|null} b Of the same scan.
 * @returns {{z: number, points: number}|null} The slice on which the two lie furthest apart, and by how much.
 */
export function furthestSlice(a, b) {
  /** @type {{z: number, points: number}|null} */
  let best = null;
  for (const [z, { probability }] of (a?.slices ?? []).entries()) {
    const other = b?.slices[z]?.probability ?? null;
    if (probability === null || other === null) continue;
    const apart = Math.round(100 * (other - probability));
    if (best === null || Math.abs(apart) > Math.abs(best.points)) best = { z, points: apart };
  }
  return best;
}

/**
 * The batch as lines of JSON, one a scan: a scan without an answer gets a line too, or the file would be short without a word.
 *
 * @typedef {import('../types.js').Row} Row
 * @typedef {import('../types.js').Report} Report
 */

/** @param {Row[]} rows */
export function reportLines(rows) {
  return rows.map((row) => `${JSON.stringify(row.report ?? unanswered(row))}\n`).join('');
}

/**
 * The report of a scan that the engine gave none for, with the fields of `src/report.rs`.
 *
 * @param {Row} row
 * @returns {Report}
 */
function unanswered({ name, sources, outcome, refusal }) {
  const why = outcome === 'cancelled'
    ? { code: 'cancelled', message: 'This scan was not looked at: it was cancelled.' }
    : { code: 'not_finished', message: 'This scan had not been looked at when the reports were saved.' };
  return { schema: 1, scan: name, sources, patient_hash: null, outcome: 'refused', probability: null, finding: null, slices: [], warnings: [], refusal: refusal ?? why, model: null, backend: null, timing_ms: {} };
}

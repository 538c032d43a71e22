/**
 * The batch as a table: one line a scan, for a spreadsheet. The JSON has everything; this has what one sorts by.
 *
 * @typedef {import('../types.js').Row} Row
 */

const COLUMNS = /** @type {const} */ (['scan', 'kind', 'slices', 'synthetic', 'outcome', 'finding', 'probability', 'most_suspicious_slice', 'most_suspicious_source', 'most_suspicious_probability', 'warnings', 'refusal', 'backend', 'model', 'model_sha256', 'total_ms', 'patient_hash']);

/**
 * @param {Row[]} rows
 * @returns {string} RFC 4180: commas, CRLF, a header line.
 */
export function csv(rows) {
  return [COLUMNS, ...rows.map(line)].map((cells) => cells.map(cell).join(',')).join('\r\n').concat('\r\n');
}

/** @param {Row} row */
function line({ name, kind, slices, synthetic, outcome, report, refusal }) {
  const best = (report?.slices ?? []).reduce((/** @type {import('../types.js').SliceReport|null} */ top, slice) => ((slice.probability ?? -1) > (top?.probability ?? -1) ? slice : top), null);
  const total = Object.values(report?.timing_ms ?? {}).reduce((sum, ms) => sum + ms, 0);
  return [
    name, kind, slices || '', synthetic, outcome, report?.finding ?? '', report?.probability ?? '', best ? best.position + 1 : '', best?.source ?? '', best?.probability ?? '',
    (report?.warnings ?? []).map(({ code }) => code).join(' '), refusal?.code ?? '', report?.backend ?? '', report?.model ? `${report.model.name} ${report.model.version}` : '', report?.model?.sha256 ?? '', report ? Math.round(total) : '', report?.patient_hash ?? '',
  ];
}

/**
 * A file name that begins like a formula would be run as one by spreadsheets.
 *
 * @param {string|number|boolean} value
 */
function cell(value) {
  const text = typeof value === 'string' && /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

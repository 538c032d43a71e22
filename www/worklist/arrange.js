/**
 * Which scans are listed, and in which order.
 *
 * @typedef {import('../types.js').Row} Row
 * @typedef {import('../types.js').Filter} Filter
 */

/** @type {Filter[]} */
export const FILTERS = ['all', 'likely', 'uncertain', 'none', 'refused', 'open'];
/** @type {import('../types.js').Sort[]} */
export const SORTS = ['added', 'name', 'probability'];

/**
 * @param {Row} row
 * @returns {Exclude<Filter, 'all'>}
 */
export function kindOf({ outcome, report }) {
  if (outcome === 'waiting' || outcome === 'working' || outcome === 'cancelled') return 'open';
  if (outcome === 'refused' || !report?.finding || report.probability === null) return 'refused';
  return report.finding === 'bleeding likely' ? 'likely' : report.finding === 'uncertain' ? 'uncertain' : 'none';
}

/**
 * @param {Pick<import('../types.js').State, 'rows'|'search'|'filter'|'sort'>} state
 * @returns {Row[]}
 */
export function arranged({ rows, search, filter, sort }) {
  const wanted = search.trim().toLocaleLowerCase();
  const listed = rows.filter((row) => (filter === 'all' || kindOf(row) === filter) && (wanted === '' || row.name.toLocaleLowerCase().includes(wanted)));
  if (sort === 'name') return listed.sort((a, b) => a.name.localeCompare(b.name, undefined, { numeric: true }));
  // What has no answer comes last.
  if (sort === 'probability') return listed.sort((a, b) => (b.report?.probability ?? -1) - (a.report?.probability ?? -1));
  return listed;
}

/** @param {Row[]} rows */
export function tally(rows) {
  /** @type {Record<Filter, number>} */
  const counts = { all: rows.length, likely: 0, uncertain: 0, none: 0, refused: 0, open: 0 };
  for (const row of rows) counts[kindOf(row)] += 1;
  return counts;
}

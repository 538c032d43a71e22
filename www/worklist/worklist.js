import { h, percent, plural } from '../dom.js';

/**
 * @typedef {import('../types.js').Row} Row
 * @typedef {import('../types.js').State} State
 *
 * @typedef {object} Actions
 * @property {(key: string) => void} select
 * @property {(key: string) => void} cancel
 * @property {(key: string) => void} retry
 * @property {(key: string) => void} remove
 * @property {() => void} exportAll
 */

const KINDS = /** @type {Record<string, string>} */ ({ dicom: 'DICOM', nifti: 'NIfTI', images: 'pictures' });

/** What each step of the engine is called for a person. */
const STEPS = /** @type {Record<string, string>} */ ({
  discover: 'Looking at the files',
  read: 'Reading',
  order: 'Ordering',
  prepare: 'Preparing',
  network: 'Looking',
  assess: 'Explaining',
});

/** The list of scans. Lines are made once and then changed in place, so hundreds of them cost nothing. */
export class WorkList {
  /** @type {Map<string, {element: HTMLElement, row: Row|null, selected: boolean}>} */
  #lines = new Map();

  /**
   * @param {HTMLElement} root
   * @param {Actions} actions
   */
  constructor(root, actions) {
    this.actions = actions;
    this.summary = h('p.list-summary', {});
    this.list = h('ul.rows', { id: 'rows' });
    this.exportAll = h('button.button.small', { type: 'button', onclick: () => actions.exportAll(), title: 'One JSON object a scan, a line each' }, 'Save all');
    root.append(
      h('div.list-head', {}, h('h2', {}, 'Scans'), this.summary),
      this.list,
      h('div.list-foot', {}, h('button.button.small', { type: 'button', 'data-choose': 'files' }, 'Add files'), h('button.button.small', { type: 'button', 'data-choose': 'folder' }, 'Add folder'), this.exportAll),
    );
  }

  /** @param {State} state */
  render(state) {
    const finished = state.rows.filter((row) => row.outcome !== 'waiting' && row.outcome !== 'working').length;
    this.summary.textContent = state.opening > 0 ? 'Looking at the files' : finished === state.rows.length ? plural(finished, 'scan') : `${finished} of ${state.rows.length} done`;
    this.exportAll.toggleAttribute('disabled', finished === 0);
    const keys = new Set(state.rows.map((row) => row.key));
    for (const [key, line] of this.#lines) {
      if (keys.has(key)) continue;
      line.element.remove();
      this.#lines.delete(key);
    }
    for (const row of state.rows) {
      const selected = row.key === state.selected;
      let line = this.#lines.get(row.key);
      if (!line) {
        line = { element: h('li.row', {}), row: null, selected: false };
        this.#lines.set(row.key, line);
        this.list.append(line.element);
      }
      if (line.row !== row || line.selected !== selected) this.#fill(line, row, selected);
    }
  }

  /**
   * @param {{element: HTMLElement, row: Row|null, selected: boolean}} line
   * @param {Row} row
   * @param {boolean} selected
   */
  #fill(line, row, selected) {
    const { element } = line;
    const hadFocus = element.contains(document.activeElement);
    const probability = row.report?.probability ?? null;
    // Kiosks and tests read these; `data-outcome` is that of the report once there is one.
    Object.assign(element.dataset, {
      scan: row.name,
      outcome: row.outcome,
      probability: probability === null ? '' : String(probability),
      backend: row.report?.backend ?? '',
      finding: row.report?.finding ?? '',
      refusal: row.refusal?.code ?? '',
    });
    const picture = line.row && line.row.thumbnail === row.thumbnail ? element.querySelector('.thumb') : null;
    const share = row.total > 0 ? row.done / row.total : 0;
    const bar = h('span.row-progress', { hidden: row.outcome !== 'working' });
    bar.style.setProperty('--share', String(share));
    const busy = row.outcome === 'working' || row.outcome === 'waiting';
    const open = h('button.row-open', { type: 'button', 'aria-current': selected ? 'true' : null, onclick: () => this.actions.select(row.key) },
      picture ?? thumbnail(row),
      h('span.row-words', {},
        h('span.row-name', { title: row.name }, row.name),
        h('span.row-meta', {}, meta(row)),
        h('span.row-state', {}, ...status(row))));
    const buttons = h('span.row-buttons', {},
      busy && h('button.icon-button.small', { type: 'button', 'aria-label': `Cancel ${row.name}`, title: 'Cancel', onclick: () => this.actions.cancel(row.key) }, '◼'),
      row.outcome === 'cancelled' && h('button.icon-button.small', { type: 'button', 'aria-label': `Try ${row.name} again`, title: 'Try again', onclick: () => this.actions.retry(row.key) }, '↻'),
      !busy && h('button.icon-button.small', { type: 'button', 'aria-label': `Remove ${row.name}`, title: 'Remove', onclick: () => this.actions.remove(row.key) }, '×'));
    element.replaceChildren(open, buttons, bar);
    if (hadFocus) open.focus({ preventScroll: true });
    if (selected && !line.selected) element.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    Object.assign(line, { row, selected });
  }
}

/** @param {Row} row */
function meta(row) {
  const kind = KINDS[row.kind] ?? '';
  const parts = [row.slices > 0 ? plural(row.slices, 'slice') : '', kind, row.synthetic ? 'synthetic' : ''];
  return parts.filter((part) => part !== '').join(' · ');
}

/**
 * The state of a line in words, with a mark for the answers.
 *
 * @param {Row} row
 * @returns {Node[]}
 */
function status(row) {
  if (row.outcome === 'working') return [h('span', {}, stepOf(row))];
  if (row.outcome === 'waiting') return [h('span', {}, 'Waiting')];
  if (row.outcome === 'cancelled') return [h('span', {}, 'Cancelled')];
  const { report } = row;
  if (row.outcome === 'refused' || !report?.finding || report.probability === null) return [h('span.mark.mark-refused', { 'aria-hidden': true }), h('span', {}, 'Not answered')];
  const kind = report.finding === 'bleeding likely' ? 'likely' : report.finding === 'uncertain' ? 'uncertain' : 'none';
  return [h(`span.mark.mark-${kind}`, { 'aria-hidden': true }), h('span', {}, sentence(report.finding)), h('span.row-percent', {}, percent(report.probability))];
}

/** @param {Row} row */
export function stepOf(row) {
  const name = STEPS[row.step] ?? 'Starting';
  return row.total > 1 ? `${name} ${row.done} / ${row.total}` : name;
}

/** @param {string} words */
function sentence(words) {
  return words.charAt(0).toUpperCase() + words.slice(1);
}

/** @param {Row} row */
function thumbnail(row) {
  const canvas = /** @type {HTMLCanvasElement} */ (h('canvas.thumb', { width: 48, height: 48, 'aria-hidden': true }));
  if (row.thumbnail) drawThumbnail(canvas, row.thumbnail);
  return canvas;
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {import('../types.js').Thumbnail} picture
 */
export function drawThumbnail(canvas, picture) {
  Object.assign(canvas, { width: picture.width, height: picture.height });
  const context = canvas.getContext('2d');
  if (!context) return;
  const data = context.createImageData(picture.width, picture.height);
  for (let i = 0; i < picture.grey.length; i++) {
    const grey = picture.grey[i] ?? 0;
    data.data.set([grey, grey, grey, 255], 4 * i);
  }
  context.putImageData(data, 0, 0);
}

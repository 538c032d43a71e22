import { h } from '../dom.js';
import { notice, percent, t, translate } from '../i18n/i18n.js';
import { arranged, FILTERS, kindOf, SORTS, tally } from './arrange.js';
import { stepOf } from './step.js';

/**
 * @typedef {import('../types.js').Row} Row
 * @typedef {import('../types.js').State} State
 *
 * @typedef {object} Actions
 * @property {(key: string) => void} select
 * @property {(key: string) => void} cancel
 * @property {(key: string) => void} retry
 * @property {(key: string) => void} remove
 * @property {() => void} cancelAll
 * @property {() => void} exportAll
 * @property {() => void} exportCsv
 * @property {() => void} printAll
 * @property {(change: Partial<Pick<State, 'search'|'filter'|'sort'>>) => void} arrange
 *
 * @typedef {{element: HTMLElement, row: Row|null, selected: boolean}} Line
 */

/** From this many scans on they can be searched, filtered and sorted. */
const MANY = 4;

/** The list of scans. Lines are made once and then changed in place, so hundreds of them cost nothing. */
export class WorkList {
  /** @type {Map<string, Line>} */
  #lines = new Map();
  #language = '';
  /** Keys as they are listed now. */
  #listed = '';
  /** @type {string|null} Key of the line that was last brought into view. */
  #revealed = null;
  #aside = '';

  /**
   * @param {HTMLElement} root
   * @param {Actions} actions
   */
  constructor(root, actions) {
    this.root = root;
    this.actions = actions;
    this.summary = h('p.list-summary', { id: 'list-summary' });
    this.search = /** @type {HTMLInputElement} */ (h('input.search', { type: 'search', id: 'list-search', autocomplete: 'off', 'data-t-placeholder': 'list.search', 'data-t-label': 'list.search' }));
    this.search.addEventListener('input', () => actions.arrange({ search: this.search.value }));
    this.filter = choice('list-filter', 'list.filter', FILTERS, (filter) => actions.arrange({ filter }));
    this.sort = choice('list-sort', 'list.sort', SORTS, (sort) => actions.arrange({ sort }));
    this.arrange = h('div.list-arrange', { role: 'search' }, this.search, this.filter, this.sort);
    this.list = h('ul.rows', { id: 'rows' });
    this.none = h('p.quiet.list-none', { 'data-t': 'list.none' });
    this.aside = h('details.aside', { id: 'aside' });
    this.body = h('div.list-body', {}, this.list, this.none, this.aside);
    this.cancelAll = h('button.button.small', { type: 'button', id: 'cancel-all', 'data-t': 'list.cancelAll', onclick: () => actions.cancelAll() });
    this.exports = [
      h('button.button.small', { type: 'button', id: 'save-csv', 'data-t': 'list.csv', 'data-t-title': 'list.csv.title', onclick: () => actions.exportCsv() }),
      h('button.button.small', { type: 'button', id: 'save-all', 'data-t': 'list.json', 'data-t-title': 'list.json.title', onclick: () => actions.exportAll() }),
      h('button.button.small', { type: 'button', id: 'print-all', 'data-t': 'list.print', 'data-t-title': 'list.print.title', onclick: () => actions.printAll() }),
    ];
    this.saved = h('p.quiet', { id: 'list-saved', role: 'status' });
    this.foot = h('div.list-foot', {},
      h('div.foot-group', {}, h('button.button.small', { type: 'button', 'data-choose': 'files', 'data-t': 'list.addFiles' }), h('button.button.small', { type: 'button', 'data-choose': 'folder', 'data-t': 'list.addFolder' }), this.cancelAll),
      h('div.foot-group', { role: 'group', 'aria-labelledby': 'list-export' }, h('span', { id: 'list-export', 'data-t': 'list.export' }), ...this.exports),
      this.saved);
    root.append(h('div.list-head', {}, h('div.list-title', {}, h('h2', { 'data-t': 'list' }), this.summary), this.arrange), this.body);
    // On a phone the film comes first, and what one does with all scans after the answer.
    const narrow = matchMedia('(max-width: 52rem)');
    const place = () => (narrow.matches ? (root.parentElement ?? root) : root).append(this.foot);
    narrow.addEventListener('change', place);
    place();
  }

  /** @param {string} name Of a file that was saved: a browser may put it away without a word. */
  sayIsSaved(name) {
    this.saved.textContent = t('list.saved', { name });
  }

  /** @param {State} state */
  render(state) {
    const { rows } = state;
    if (state.language !== this.#language) {
      this.#language = state.language;
      translate(this.root);
      translate(this.foot);
      this.saved.textContent = '';
      // Every line says its state in words.
      for (const line of this.#lines.values()) line.row = null;
      this.#aside = '';
    }
    const counts = tally(rows);
    const finished = rows.filter((row) => row.outcome !== 'waiting' && row.outcome !== 'working').length;
    this.summary.textContent = state.opening > 0 ? t('step.discover') : finished === rows.length ? t('scans', { n: finished }) : t('list.done', { done: finished, n: rows.length });
    for (const button of this.exports) button.toggleAttribute('disabled', finished === 0);
    this.cancelAll.hidden = rows.length - finished < 2;
    this.arrange.hidden = rows.length < MANY && state.search === '' && state.filter === 'all';
    for (const option of this.filter.options) option.text = `${t(`filter.${option.value}`)} (${counts[/** @type {import('../types.js').Filter} */ (option.value)]})`;
    for (const option of this.sort.options) option.text = t(`sort.${option.value}`);
    if (document.activeElement !== this.search) this.search.value = state.search;
    this.filter.value = state.filter;
    this.sort.value = state.sort;
    this.#arrange(state);
    this.#sayAside(state);
  }

  /** @param {State} state */
  #arrange(state) {
    const listed = arranged(state);
    const keys = new Set(listed.map((row) => row.key));
    for (const [key, line] of this.#lines) {
      if (keys.has(key)) continue;
      line.element.remove();
      this.#lines.delete(key);
    }
    for (const row of listed) {
      const selected = row.key === state.selected;
      let line = this.#lines.get(row.key);
      if (!line) {
        line = { element: h('li.row', {}), row: null, selected: false };
        this.#lines.set(row.key, line);
        this.list.append(line.element);
      }
      if (line.row !== row || line.selected !== selected) this.#fill(line, row, selected);
    }
    const order = listed.map((row) => row.key).join();
    if (order !== this.#listed) {
      this.#listed = order;
      const focused = document.activeElement;
      // Only what stands in the wrong place is moved: a move takes the focus away.
      for (const [place, row] of listed.entries()) {
        const element = this.#lines.get(row.key)?.element;
        if (element && this.list.children[place] !== element) this.list.insertBefore(element, this.list.children[place] ?? null);
      }
      if (focused instanceof HTMLElement && focused !== document.activeElement && this.list.contains(focused)) focused.focus({ preventScroll: true });
    }
    this.none.hidden = listed.length > 0 || state.rows.length === 0;
    if (state.selected !== this.#revealed) this.#reveal(state.selected);
  }

  /**
   * Brings a line into view that was selected from elsewhere; the page itself stays where it is.
   *
   * @param {string|null} key
   */
  #reveal(key) {
    this.#revealed = key;
    const line = this.#lines.get(key ?? '')?.element.getBoundingClientRect();
    if (!line) return;
    const { left, right, top, bottom } = this.body.getBoundingClientRect();
    this.body.scrollBy(Math.min(0, line.left - left) || Math.max(0, line.right - right), Math.min(0, line.top - top) || Math.max(0, line.bottom - bottom));
  }

  /**
   * Files of the drop that are no scans: said, so that nobody wonders where they went.
   *
   * @param {State} state
   */
  #sayAside({ setAside, ignored }) {
    const said = `${setAside.length} ${ignored}`;
    if (said === this.#aside) return;
    this.#aside = said;
    const parts = [setAside.length > 0 ? t('aside.set', { n: setAside.length }) : '', ignored > 0 ? t('aside.ignored', { n: ignored }) : ''];
    this.aside.hidden = setAside.length + ignored === 0;
    this.aside.replaceChildren(h('summary', {}, parts.filter((part) => part !== '').join(', ')),
      h('p', {}, t('aside.text')),
      h('ul.files', { tabindex: 0 }, ...setAside.slice(0, 200).map(({ scan, refusal }) => h('li', { 'data-code': refusal?.code ?? '' }, `${scan}: ${refusal ? notice(refusal).text : ''}`))));
  }

  /**
   * @param {Line} line
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
    /** @type {(what: string, sign: string, act: (key: string) => void) => HTMLElement} */
    const button = (what, sign, act) => h('button.icon-button.small', { type: 'button', 'data-do': what, 'aria-label': t(`row.${what}`, { name: row.name }), title: t(what), onclick: () => act(row.key) }, sign);
    const buttons = h('span.row-buttons', {},
      busy && button('cancel', '◼', this.actions.cancel),
      !busy && row.id !== null && row.outcome !== 'classified' && button('retry', '↻', this.actions.retry),
      !busy && button('remove', '×', this.actions.remove));
    element.replaceChildren(open, buttons, bar);
    if (hadFocus) open.focus({ preventScroll: true });
    if (selected && !line.selected) element.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    Object.assign(line, { row, selected });
  }
}

/**
 * @template {string} T
 * @param {string} id
 * @param {string} label
 * @param {T[]} values
 * @param {(value: T) => void} onValue
 */
function choice(id, label, values, onValue) {
  const select = /** @type {HTMLSelectElement} */ (h('select.select', { id, 'data-t-label': label, 'data-t-title': label }, ...values.map((value) => h('option', { value }))));
  select.addEventListener('change', () => onValue(/** @type {T} */ (select.value)));
  return select;
}

/** @param {Row} row */
function meta(row) {
  const kind = row.kind === '' ? '' : t(`kind.${row.kind}`);
  return [row.slices > 0 ? t('slices', { n: row.slices }) : '', kind, row.synthetic ? t('synthetic.short') : ''].filter((part) => part !== '').join(' · ');
}

/**
 * The state of a line in words, with a mark for the answers.
 *
 * @param {Row} row
 * @returns {Node[]}
 */
function status(row) {
  const kind = kindOf(row);
  if (kind === 'open') return [h('span', {}, row.outcome === 'working' ? stepOf(row) : t(`state.${row.outcome}`))];
  const words = [h(`span.mark.mark-${kind}`, { 'aria-hidden': true }), h('span', {}, t(`finding.${kind}`))];
  return kind === 'refused' ? words : [...words, h('span.row-percent', {}, percent(row.report?.probability ?? 0))];
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

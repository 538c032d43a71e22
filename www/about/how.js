import { gauge } from '../answer/gauge.js';
import { byId, h, svg } from '../dom.js';
import { percent, t } from '../i18n/i18n.js';
import { scores } from '../report/print.js';
import { fill as paint } from '../viewer/film.js';
import { isDrawn, paintHeat } from '../viewer/heat.js';
import { keySlice } from '../viewer/keyslice.js';
import { isSuspicious, mostSuspicious } from '../viewer/scores.js';
import { netPicture } from '../viewer/slices.js';
import { NET_WINDOW, paintGrey } from '../viewer/windows.js';
import { layersOf } from './layers.js';
import { fill, open } from './sheets.js';

/**
 * "How it works": the five steps from file to answer, each with its picture of the scan at hand, and the network's layers.
 *
 * @typedef {import('../types.js').Row} Row
 * @typedef {import('../types.js').State} State
 * @typedef {import('../viewer/slices.js').Slice} Slice
 *
 * @typedef {object} Source
 * @property {() => State} state
 * @property {(row: Row) => import('../types.js').Model|null} modelOf That of the row's answer.
 * @property {(id: number, z: number, withHeat: boolean) => Promise<Slice>} slice
 * @property {(id: number) => Promise<import('../viewer/slices.js').NetInput|null>} netInput
 * @property {(id: number, z: number) => Promise<import('../types.js').LayerPicture[]>} layers With the model in use.
 * @property {(key: string) => Promise<void>} open Has the slices at hand again.
 * @property {() => void} sample Opens a drawn scan.
 */

const PICTURE_PX = 260;
const STEPS = /** @type {const} */ (['read', 'prepare', 'look', 'score', 'answer']);
/** Most sheets that a layer is drawn with; more would be one grey. */
const SHEETS = 12;
/** Most maps of a layer that are shown of a slice; their roots are, so that the weak ones are seen beside the strong. */
const MAPS = 64;

export class How {
  #sheet = /** @type {HTMLDialogElement} */ (byId('how'));
  /** What the sheet was drawn from. */
  #shown = '';
  /** @type {Map<string, HTMLElement>} Where the picture of each step goes. */
  #places = new Map();
  #z = 0;
  /** @type {Row|null} The answered scan that the pictures are of. */
  #row = null;
  /** Grows with every wish for a slice. */
  #wish = 0;
  #drawing = false;

  /** @param {Source} source */
  constructor(source) {
    this.source = source;
  }

  open() {
    this.#shown = '';
    open('how');
    this.render(this.source.state());
  }

  /** @param {State} state */
  render(state) {
    if (!this.#sheet.open) return;
    const row = state.rows.find(({ key }) => key === state.selected) ?? null;
    const shown = `${state.language} ${state.model?.sha256} ${row?.key} ${row?.outcome} ${state.rows.length + state.opening > 0}`;
    if (shown === this.#shown) return;
    this.#shown = shown;
    this.#places.clear();
    const answered = row && row.outcome === 'classified' && row.view && row.id !== null ? row : null;
    const model = (answered && this.source.modelOf(answered)) ?? state.model;
    const focused = this.#sheet.contains(document.activeElement) ? document.activeElement?.id : '';
    fill(this.#sheet, t('works'),
      h('p', {}, t('how.lead')),
      ...(answered ? this.#choice(answered, state.look.z) : [this.#none(state)]),
      h('ol.how-steps', {}, ...STEPS.map((step) => {
        const place = h('div.how-picture', { 'data-picture': step, hidden: !answered });
        this.#places.set(step, place);
        return h('li', {}, h('div.how-words', {}, h('h3', {}, t(`how.${step}`)), h('p', {}, t(`how.${step}.text`))), place);
      })),
      ...layers(model),
      h('p', {}, t('works.limits')));
    if (focused) document.getElementById(focused)?.focus();
    this.#row = answered;
    if (answered) void this.source.open(answered.key).then(() => this.#draw(), () => {});
  }

  /** @param {State} state */
  #none({ rows, opening }) {
    if (opening > 0 || rows.some(({ outcome }) => outcome === 'waiting' || outcome === 'working')) return h('p.quiet', { role: 'status' }, t('how.waiting'));
    return h('p.how-none', {}, h('span', {}, t('how.none')), ' ', h('button.button.small', { type: 'button', id: 'how-sample', onclick: () => this.source.sample() }, t('how.sample')));
  }

  /**
   * The slice that all pictures are of.
   *
   * @param {Row} row
   * @param {number} z That of the viewer.
   */
  #choice(row, z) {
    const { report, slices } = row;
    this.#z = report?.slices[z]?.probability == null ? (mostSuspicious(report) ?? 0) : z;
    const slider = /** @type {HTMLInputElement} */ (h('input.range', { type: 'range', id: 'how-slice', min: 1, max: slices, value: this.#z + 1 }));
    const says = h('output', { for: 'how-slice' }, t('film.slice', { z: this.#z + 1, n: slices }));
    slider.addEventListener('input', () => {
      this.#z = Number(slider.value) - 1;
      says.textContent = t('film.slice', { z: this.#z + 1, n: slices });
      void this.#draw();
    });
    return [h('p.how-choice', {}, h('label', { for: 'how-slice' }, t('how.slice', { name: row.name })), slider, says)];
  }

  /** Draws the slice that is wished for; while it is fetched there may be many wishes, of which the last counts. */
  async #draw() {
    this.#wish += 1;
    if (this.#drawing) return;
    this.#drawing = true;
    for (let wish = 0; wish !== this.#wish;) {
      wish = this.#wish;
      await this.#pictures().catch(() => {});
    }
    this.#drawing = false;
  }

  async #pictures() {
    const [row, z] = [this.#row, this.#z];
    if (!row) return;
    const { id, view, report } = row;
    if (id === null || !view || !report?.finding || report.probability === null) return;
    const { source } = this;
    // The layers are computed again, which only the model in use can do.
    const inUse = report.model?.sha256 === source.state().model?.sha256;
    const [slice, input, maps] = await Promise.all([source.slice(id, z, view.evidence), source.netInput(id), inUse ? source.layers(id, z).catch(() => []) : []]);
    if (row !== this.#row) return;
    const score = report.slices[z]?.probability ?? null;
    /** @type {(step: typeof STEPS[number], words: string, ...content: (Node|string)[]) => void} */
    const show = (step, words, ...content) => this.#places.get(step)?.replaceChildren(...content, h('p.quiet', {}, words));
    show('read', t('how.read.says', { rows: view.rows, columns: view.columns }), keySlice(view, slice, PICTURE_PX));
    const given = input && netPicture(input, report, z);
    const unscored = `${t('film.unscored')}: ${t('film.unscored.why')}`;
    show('prepare', given ? t('how.prepare.says', { rows: given.rows, columns: given.columns }) : unscored, ...(given ? [netCanvas(given)] : []));
    show('look', score === null ? unscored : !view.evidence ? t('how.look.none') : t(isDrawn(slice.heat) ? 'how.look.says' : 'how.look.calm'), keySlice(view, slice, PICTURE_PX, { heat: true, peak: isSuspicious(score) ? (view.peaks[z] ?? null) : null }));
    show('score', score === null ? unscored : `${t('film.score')}: ${percent(score)}`, scores(report.slices, z) ?? '');
    const { lower, upper } = this.source.modelOf(row) ?? {};
    const kind = report.finding === 'bleeding likely' ? 'likely' : report.finding === 'uncertain' ? 'uncertain' : 'none';
    show('answer', t('how.answer.says'), h('p.how-finding', {}, h(`span.mark.mark-${kind}`, { 'aria-hidden': true }), h('strong', {}, `${t(`finding.${kind}`)}, ${percent(report.probability)}`)), ...(lower && upper ? [gauge(report.probability, report.finding, lower, upper)] : []));
    const last = maps.length - 1;
    document.getElementById('layer-maps')?.replaceChildren(...(maps.length > 0 ? [h('p', {}, t('layers.maps', { z: z + 1 })), h('ol.layer-maps', { 'aria-hidden': true }, ...maps.map((layer, at) => mapsOf(layer, at, at === last && view.evidence ? (score ?? 0) : null)))] : []));
    document.getElementById('layer-sheets')?.toggleAttribute('hidden', maps.length > 0);
  }
}

/**
 * The maps of a layer beside each other.
 *
 * @param {import('../types.js').LayerPicture} layer
 * @param {number} at Place of the layer.
 * @param {number|null} score Of the slice, where the map is its evidence: then its strongest place has the colour of this score.
 */
function mapsOf({ channels, rows, columns, values }, at, score) {
  return h('li', {}, h('span', {}, `${at + 1}. ${channels} × ${rows} × ${columns}`), h('div.maps', {}, ...Array.from({ length: Math.min(MAPS, channels) }, (_, channel) => {
    const map = values.subarray(channel * rows * columns, (channel + 1) * rows * columns);
    const canvas = /** @type {HTMLCanvasElement} */ (h('canvas.coarse', {}));
    paint(canvas, { rows, columns }, (rgba) => (score === null ? paintGrey(Int16Array.from(map, (value) => 16 * Math.sqrt(value)), { level: 128, width: 256 }, rgba) : paintHeat(map.map((value) => value * score), rgba)));
    return canvas;
  })));
}

/** @param {import('../viewer/slices.js').Picture} picture */
function netCanvas(picture) {
  const canvas = /** @type {HTMLCanvasElement} */ (h('canvas.coarse', {}));
  paint(canvas, picture, (rgba) => paintGrey(picture.grey, NET_WINDOW, rgba));
  return canvas;
}

/** @param {import('../types.js').Model|null} model */
function layers(model) {
  const { architecture, inputShape } = model?.header ?? {};
  if (!model || !architecture || !inputShape) return [];
  const [, rows, columns] = inputShape;
  // A network that takes any number of slices is shown for one.
  const depth = inputShape[0] || 1;
  const all = layersOf(architecture, [depth, rows, columns]);
  const count = (/** @type {number} */ number) => number.toLocaleString(document.documentElement.lang);
  const sides = (/** @type {number[]} */ shape) => (depth === 1 ? shape.slice(1) : shape).join(' × ');
  const stack = (/** @type {string} */ name, /** @type {number} */ channels, /** @type {number[]} */ shape) => h('li', {}, sheets(channels, shape, rows, columns), h('span', {}, name), h('span.quiet', {}, `${channels} × ${sides(shape)}`));
  const words = (/** @type {import('./layers.js').Layer} */ { kind, block }) => (block
    ? [t('layer.convolution', { kernel: block.kernel.join('×') }), Math.max(...block.stride) > 1 && t('layer.stride', { stride: block.stride.join('×') }), t('layer.norm'), Math.max(...block.pool) > 1 && t('layer.pool', { pool: block.pool.join('×') })].filter(Boolean).join(', ')
    : t(`layer.${kind}`));
  return [
    h('h3', {}, t('layers', { name: `${model.name} ${model.version}` })),
    h('p', {}, t('layers.text', { n: count(model.parameters) })),
    h('ol.layers', { id: 'layer-sheets', 'aria-hidden': true }, stack(t('layer.input'), architecture.in_channels, [depth, rows, columns]), ...all.map(({ channels, shape }, place) => stack(String(place + 1), channels, shape))),
    h('div', { id: 'layer-maps' }),
    h('div.layer-room', { tabindex: 0, role: 'region', 'aria-label': t('layers.table') }, h('table.layer-table', {},
      h('thead', {}, h('tr', {}, ...['layer.number', 'layer.does', 'layer.output', 'card.parameters'].map((key) => h('th', { scope: 'col' }, t(key))))),
      h('tbody', {}, ...all.map((layer, place) => h('tr', {},
        h('th', { scope: 'row' }, String(place + 1)), h('td', {}, words(layer)), h('td', {}, `${layer.channels} × ${sides(layer.shape)}`), h('td', {}, count(layer.parameters))))))),
  ];
}

/**
 * Maps as sheets behind each other, as large as they are against the input.
 *
 * @param {number} channels
 * @param {number[]} shape
 * @param {number} rows
 * @param {number} columns
 */
function sheets(channels, [, high = 1, wide = 1], rows, columns) {
  const count = Math.min(SHEETS, Math.ceil(channels / 4));
  const [width, height] = [(52 * wide) / columns, (62 * high) / rows];
  return svg('svg', { viewBox: '0 0 80 90', class: 'layer-sheets' }, ...Array.from({ length: count }, (_, place) => {
    const shift = 2 * (count - 1 - place);
    return svg('rect', { x: 40 - width / 2 + shift - count, y: 45 - height / 2 - shift + count, width: Math.max(1.5, width), height: Math.max(1.5, height) });
  }));
}

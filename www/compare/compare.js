import { KINDS } from '../answer/answer.js';
import { h, svg } from '../dom.js';
import { notice, percent, t, translate } from '../i18n/i18n.js';
import { Film } from '../viewer/film.js';
import { spacing } from '../viewer/geometry.js';
import { wireGestures } from '../viewer/gestures.js';
import { Ladder } from '../viewer/ladder.js';
import { isSuspicious, mostSuspicious } from '../viewer/scores.js';
import { Slices } from '../viewer/slices.js';
import { PRESETS } from '../viewer/windows.js';
import { furthestSlice, linked, partners, points } from './partners.js';

/**
 * @typedef {import('../types.js').Look} Look
 * @typedef {import('../types.js').Report} Report
 * @typedef {import('../types.js').Row} Row
 * @typedef {import('../types.js').View} View
 * @typedef {import('../viewer/slices.js').Slice} Slice
 * @typedef {{report: Report, view: View|null}} Answered
 *
 * @typedef {object} Source Where the pictures and the other answer come from.
 * @property {() => import('../types.js').State} state
 * @property {(id: number, z: number, withHeat: boolean) => Promise<Slice>} slice
 * @property {(key: string) => Promise<void>} open Makes sure that the slices of a line of the list are at hand.
 * @property {(id: number, model: string) => Promise<Answered>} beside Answers a scan with another model of the list, too.
 * @property {(id: number, z: number, withHeat: boolean) => Promise<Slice>} besideSlice A slice as that model sees it.
 * @property {() => void} closeBeside
 */

/** Two answers beside each other: of two models on one scan, or of two scans, with their slices walked through together. */
export class Compare {
  /** @type {Row|null} */
  #row = null;
  /** Grows with every comparison: what an earlier one was waiting for is not shown any more. */
  #turn = 0;
  /** The two show the same scan. */
  #sameScan = false;
  #scheduled = false;
  /** @type {Look} Of both films; `z` is a slice of the one that has more. */
  #look;

  /**
   * @param {HTMLDialogElement} dialog
   * @param {Source} source
   */
  constructor(dialog, source) {
    this.dialog = dialog;
    this.source = source;
    this.#look = { ...source.state().look };
    this.sides = /** @type {[Side, Side]} */ (['a', 'b'].map((letter) => new Side(letter, {
      look: () => ({ ...this.#look, z: this.#sliceOf(letter) }),
      set: (change) => this.#set(change),
      goTo: (z) => this.#goTo(letter, z),
      pointAt: () => {},
      hover: () => {},
    })));
    this.choice = /** @type {HTMLSelectElement} */ (h('select.select', { id: 'compare-with' }));
    this.choice.addEventListener('change', () => void this.#show(this.choice.value));
    this.says = h('div.compare-says', { id: 'compare-says', role: 'status' });
    this.heat = h('button.toggle', { type: 'button', id: 'compare-heat', 'data-t': 'tools.heat', onclick: () => this.#set({ heat: !this.#look.heat }) });
    this.windows = PRESETS.map(({ name, window }) => h('button.segment', { type: 'button', 'data-t': name, onclick: () => this.#set({ window }) }));
    dialog.append(
      h('header', {}, h('h2', { id: 'compare-title', 'data-t': 'compare' }),
        h('label.compare-choice', {}, h('span', { 'data-t': 'compare.with' }), this.choice),
        h('button.icon-button', { type: 'button', id: 'compare-close', 'data-t-label': 'close', onclick: () => dialog.close() }, '×')),
      h('div.compare-body', { tabindex: 0, role: 'region', 'aria-labelledby': 'compare-title' },
        this.says,
        h('div.compare-sides', {}, ...this.sides.map(({ element }) => element)),
        h('div.compare-tools', {}, h('div.segments', { role: 'group', 'data-t-label': 'tools.window' }, ...this.windows), this.heat, h('p.quiet', { 'data-t': 'compare.keys' }))));
    dialog.addEventListener('close', () => this.#close());
    dialog.addEventListener('keydown', (event) => this.#key(event));
    new ResizeObserver(() => this.#redraw()).observe(dialog);
  }

  /** @param {string} key Of a line of the list that was answered. */
  open(key) {
    const state = this.source.state();
    const row = state.rows.find((one) => one.key === key) ?? null;
    const { models, backends, scans } = partners(state, row);
    if (!row || models.length + backends.length + scans.length === 0) return;
    this.#row = row;
    /** @type {(label: string, options: HTMLElement[]) => HTMLElement|null} */
    const group = (label, options) => (options.length > 0 ? h('optgroup', { label: t(label) }, ...options) : null);
    this.choice.replaceChildren(...[
      group('compare.models', models.map((model) => h('option', { value: model.key }, `${model.name} ${model.card?.version}${model.own ? ` (${model.file})` : ''}`))),
      group('compare.backends', backends.map((model) => h('option', { value: model.key }, t('compare.cpu', { name: `${model.name} ${model.card?.version}` })))),
      group('compare.scans', scans.map((scan) => h('option', { value: scan.key }, scan.name))),
    ].filter((part) => part !== null));
    translate(this.dialog);
    const { look } = state;
    const z = mostSuspicious(row.report) ?? Math.floor((row.view?.slices ?? 1) / 2);
    this.#look = { ...look, z, net: false, cross: false, zoom: 1, pan: { x: 0, y: 0 } };
    this.dialog.showModal();
    // Arrows move through the slices from the first moment on.
    this.sides[0].ladder.canvas.focus();
    void this.#show(this.choice.value);
  }

  /** The theme is another. */
  repaint() {
    for (const { ladder } of this.sides) ladder.draw();
  }

  /**
   * How far the other model is.
   *
   * @param {string} step
   * @param {number} done
   * @param {number} total
   */
  progress(step, done, total) {
    if (this.#sameScan && !this.sides[1].view) this.sides[1].wait(`${t(`step.${step}`)}${total > 1 ? ` ${done} / ${total}` : ''}`);
  }

  /** @param {string} key Of a model or of a line of the list. */
  async #show(key) {
    const turn = ++this.#turn;
    const row = this.#row;
    const { models, rows } = this.source.state();
    const model = models.find((one) => one.key === key);
    const scan = rows.find((one) => one.key === key);
    if (!row || row.id === null || !row.report || !row.view) return;
    const [a, b] = this.sides;
    // The first scan stays where it is when it is compared with something else.
    const at = a.view ? this.#sliceOf('a') : this.#look.z;
    this.#sameScan = Boolean(model);
    this.#look.z = at;
    for (const side of this.sides) side.close();
    this.says.replaceChildren();
    const { id, view, report } = row;
    if (!model) this.source.closeBeside();
    const own = models.find(({ own: given, card }) => given && card?.sha256 === report.model?.sha256);
    a.show(model ? nameOf(report) : row.name, model ? (own?.file ?? '') : nameOf(report), { report, view }, (z) => this.source.slice(id, z, view.evidence), () => this.#redraw());
    b.title(model ? `${model.name} ${model.card?.version}` : (scan?.name ?? ''), '');
    b.wait(t('step.start'));
    this.#draw();
    try {
      await this.source.open(row.key);
      if (model) {
        const answered = await this.source.beside(id, model.key);
        if (turn !== this.#turn) return;
        const other = answered.view;
        b.show(nameOf(answered.report), model.own ? model.file : '', answered, (z) => this.source.besideSlice(id, z, other?.evidence ?? false), () => this.#redraw());
      } else if (scan?.report && scan.view && scan.id !== null) {
        await this.source.open(scan.key);
        if (turn !== this.#turn) return;
        const { id: other, view: seen } = scan;
        const before = this.#look.z;
        b.show(scan.name, nameOf(scan.report), { report: scan.report, view: seen }, (z) => this.source.slice(other, z, seen.evidence), () => this.#redraw());
        // From here on `z` counts the slices of the scan that has more of them.
        this.#look.z = linked(before, view.slices, this.#count);
      }
    } catch (error) {
      if (turn === this.#turn) b.wait(notice(/** @type {import('../types.js').Notice} */ (error)).text);
    }
    if (turn !== this.#turn) return;
    if (b.report) this.#say(report, b.report);
    this.#draw();
  }

  /**
   * @param {Report} a
   * @param {Report} b
   */
  #say(a, b) {
    const apart = points(a, b);
    if (apart === null || !a.finding || !b.finding) {
      this.says.replaceChildren(h('p', {}, t('compare.none')));
      return;
    }
    const slice = this.#sameScan ? furthestSlice(a, b) : null;
    const [from, to] = [a.probability ?? 0, b.probability ?? 0];
    this.says.replaceChildren(
      scale(from, to),
      h('p', {}, h('strong', { id: 'compare-points', 'data-points': apart }, apart === 0 ? t('compare.same') : t(apart > 0 ? 'compare.above' : 'compare.below', { n: Math.abs(apart) })), ' ',
        a.finding === b.finding ? t('compare.agree', { finding: t(`says.${a.finding}`) }) : t('compare.differ', { a: t(`says.${a.finding}`), b: t(`says.${b.finding}`) })),
      ...(slice && slice.points !== 0 ? [h('p.quiet', {}, t('compare.slice', { n: Math.abs(slice.points), z: slice.z + 1 }), ' ',
        h('button.link', { type: 'button', id: 'compare-furthest', onclick: () => this.#goTo('a', slice.z) }, t('compare.go')))] : []));
  }

  /** Slices of the side that has more. */
  get #count() {
    return Math.max(1, ...this.sides.map(({ view }) => view?.slices ?? 0));
  }

  /** @param {string} letter Of a side. */
  #sliceOf(letter) {
    const slices = this.#side(letter).view?.slices ?? this.#count;
    return linked(this.#look.z, this.#count, slices);
  }

  /** @param {string} letter */
  #side(letter) {
    return letter === 'a' ? this.sides[0] : this.sides[1];
  }

  /**
   * @param {string} letter
   * @param {number} z A slice of that side.
   */
  #goTo(letter, z) {
    const slices = this.#side(letter).view?.slices ?? 0;
    if (slices > 0) this.#set({ z: linked(Math.max(0, Math.min(slices - 1, z)), slices, this.#count) });
  }

  /** @param {Partial<Look>} change */
  #set(change) {
    Object.assign(this.#look, change);
    this.#redraw();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = event.target instanceof HTMLElement ? event.target : null;
    if (event.ctrlKey || event.metaKey || event.altKey || target?.closest('select')) return;
    const { z, heat } = this.#look;
    const last = this.#count - 1;
    const to = /** @type {Record<string, number>} */ ({ ArrowUp: z + 1, ArrowDown: z - 1, PageUp: z + 5, PageDown: z - 5, Home: 0, End: last })[event.key];
    const preset = PRESETS.find(({ key }) => key === event.key);
    if (to !== undefined) this.#set({ z: Math.max(0, Math.min(last, to)) });
    else if (preset) this.#set({ window: preset.window });
    else if (event.key.toLowerCase() === 'h') this.#set({ heat: !heat });
    else return;
    event.preventDefault();
  }

  #redraw() {
    if (this.#scheduled || !this.dialog.open) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw();
    });
  }

  #draw() {
    const { heat, window } = this.#look;
    this.heat.setAttribute('aria-pressed', String(heat));
    for (const [place, button] of this.windows.entries()) {
      const preset = PRESETS[place]?.window;
      button.setAttribute('aria-pressed', String(preset?.level === window.level && preset?.width === window.width));
    }
    for (const side of this.sides) side.draw({ ...this.#look, z: this.#sliceOf(side.letter) });
  }

  #close() {
    this.#turn += 1;
    this.#row = null;
    for (const side of this.sides) side.close();
    this.source.closeBeside();
  }
}

/** One of the two: what it is, its answer, a slice, and the ladder of its scores. */
class Side {
  /** @type {View|null} */
  view = null;
  /** @type {Report|null} */
  report = null;
  /** @type {Slices|null} */
  #slices = null;
  /** @type {{slice: Slice, picture: import('../viewer/slices.js').Picture}|null} */
  #picture = null;

  /**
   * @param {string} letter
   * @param {import('../viewer/gestures.js').Hand} hand
   */
  constructor(letter, hand) {
    this.letter = letter;
    const canvas = /** @type {HTMLCanvasElement} */ (h('canvas.film-canvas', { role: 'img', id: `compare-film-${letter}` }));
    this.film = new Film(canvas);
    this.ladder = new Ladder((z) => hand.goTo(z));
    this.ladder.canvas.id = `compare-ladder-${letter}`;
    this.name = h('h3', {});
    this.by = h('p.quiet', {});
    this.answer = h('p.compare-answer', { id: `compare-answer-${letter}` });
    this.corner = h('p.film-corner.top-left', {});
    this.score = h('p.film-corner.top-right', {});
    this.waits = h('p.film-wait', { role: 'status' });
    this.element = h('section.compare-side', { id: `compare-${letter}` },
      h('div.compare-head', {}, h('div', {}, this.name, this.by), this.answer),
      h('div.film', {}, h('div.film-stage', {}, canvas, this.corner, this.score, this.waits), this.ladder.element));
    wireGestures(canvas, hand);
  }

  /**
   * @param {string} name
   * @param {string} by What else there is to say of it.
   */
  title(name, by) {
    this.name.textContent = `${this.letter.toUpperCase()}: ${name}`;
    this.by.textContent = by;
  }

  /** @param {string} words Why there is no picture yet. */
  wait(words) {
    this.waits.textContent = words;
  }

  /**
   * @param {string} name
   * @param {string} by
   * @param {Answered} answered
   * @param {(z: number) => Promise<Slice>} fetchSlice
   * @param {() => void} onSlice
   */
  show(name, by, { report, view }, fetchSlice, onSlice) {
    this.close();
    this.title(name, by);
    this.report = report;
    this.view = view;
    const kind = report.finding ? KINDS[report.finding] : 'refused';
    const spent = `${report.backend === 'webgpu' ? 'WebGPU' : (report.backend ?? '').toUpperCase()}`;
    this.answer.replaceChildren(h(`span.mark.mark-${kind}`, { 'aria-hidden': true }), h('span', {}, t(`finding.${kind}`)),
      report.probability === null ? h('span.quiet', {}, report.refusal ? notice(report.refusal).text : '') : h('strong', {}, percent(report.probability)), h('span.quiet', {}, spent));
    if (view) this.#slices = new Slices(view, fetchSlice, onSlice);
    else this.wait(t('film.refused'));
    this.ladder.setScores(Array.from({ length: view?.slices ?? 0 }, (_, z) => report.slices[z]?.probability ?? null));
  }

  close() {
    this.#slices?.close();
    this.#slices = null;
    this.#picture = null;
    this.view = null;
    this.report = null;
    this.wait('');
    this.answer.replaceChildren();
    this.ladder.setScores([]);
  }

  /** @param {Look} look `z` is a slice of this side. */
  draw({ z, window, heat, opacity, zoom, pan }) {
    const { view, report } = this;
    const score = report?.slices[z]?.probability ?? null;
    const mm = view ? spacing(view) : null;
    this.#slices?.lookAt(z);
    const slice = this.#slices?.get(z) ?? null;
    // A picture is the same as long as its slice is: the film paints it once.
    if (slice && view && this.#picture?.slice !== slice) this.#picture = { slice, picture: { ...slice, columns: view.columns, rows: view.rows } };
    this.ladder.setSlice(z);
    this.film.draw({
      picture: slice ? (this.#picture?.picture ?? null) : null,
      aspect: mm ? mm.y / mm.x : 1,
      window,
      heatOpacity: heat ? opacity : 0,
      ring: isSuspicious(score) ? (view?.peaks[z] ?? null) : null,
      cross: null,
      coarse: false,
      zoom,
      pan,
      columnMm: view?.column_mm ?? null,
    });
    this.corner.textContent = view ? t('film.slice', { z: z + 1, n: view.slices }) : '';
    this.score.textContent = score !== null ? percent(score) : view ? t('film.unscored') : '';
    this.film.canvas.setAttribute('aria-label', view ? `${this.name.textContent}, ${t('film.slice', { z: z + 1, n: view.slices })}${score === null ? '' : `, ${t('film.score')} ${percent(score)}`}` : t('film.nothing'));
  }
}

/** @param {Report} report */
const nameOf = ({ model }) => (model ? `${model.name} ${model.version}` : '');

/**
 * Both probabilities on one scale, with what lies between them.
 *
 * @param {number} a
 * @param {number} b
 */
function scale(a, b) {
  const [x, y] = [a, b].map((share) => Math.max(1, Math.min(99, 100 * share)));
  const place = /** @type {(share: number|undefined, letter: string) => HTMLElement} */ ((share, letter) => {
    const mark = h('span.compare-place', {}, letter);
    mark.style.setProperty('--at', `${share}%`);
    return mark;
  });
  return h('div.compare-scale', { role: 'img', 'aria-label': `A ${percent(a)}, B ${percent(b)}` }, place(x, 'A'),
    svg('svg', { viewBox: '0 0 100 4', preserveAspectRatio: 'none', 'aria-hidden': 'true' },
      svg('rect', { x: 0, y: 1.5, width: 100, height: 1, class: 'compare-line' }),
      svg('rect', { x: Math.min(x ?? 0, y ?? 0), y: 0.5, width: Math.max(0.4, Math.abs((x ?? 0) - (y ?? 0))), height: 3, class: 'compare-between' })),
    place(y, 'B'));
}

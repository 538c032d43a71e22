import { h } from '../dom.js';
import { percent, t, translate } from '../i18n/i18n.js';
import { Film } from './film.js';
import { stepOf } from '../worklist/step.js';
import { fromCentre, sidesOf, spacing } from './geometry.js';
import { wireGestures, wireWheel } from './gestures.js';
import { Ladder } from './ladder.js';
import { isSuspicious, mostSuspicious } from './scores.js';
import { netPicture, Slices } from './slices.js';
import { Tools } from './tools.js';
import { NET_WINDOW } from './windows.js';

/**
 * @typedef {import('../types.js').Row} Row
 * @typedef {import('../types.js').State} State
 * @typedef {import('../types.js').Look} Look
 * @typedef {import('./film.js').Frame} Frame
 * @typedef {import('./slices.js').Picture} Picture
 *
 * @typedef {import('./slices.js').NetInput} NetInput
 *
 * @typedef {object} Source Where the viewer gets its pictures, and where its wishes go.
 * @property {(id: number, z: number, withHeat: boolean) => Promise<import('./slices.js').Slice>} slice
 * @property {(id: number) => Promise<NetInput|null>} netInput
 * @property {(change: Partial<Look>) => void} look
 * @property {() => State} state
 */

/** The axial slice with the ladder of scores, coronal and sagittal beside it, and the tools. */
export class Viewer {
  /** @type {Slices|null} */
  #slices = null;
  /** @type {Row|null} */
  #row = null;
  #shown = '';
  /** Line of the scan whose slices were shown last. */
  #key = '';
  #scheduled = false;
  #language = '';
  /** @type {{key: string, input: NetInput|null}|null} */
  #net = null;
  /** @type {Map<string, {from: unknown, picture: Picture}>} The last cut of each plane, as long as nothing changed. */
  #cuts = new Map();
  /** Grows when a slice arrives, so that cuts are made anew. */
  #arrived = 0;

  /**
   * @param {HTMLElement} root
   * @param {Source} source
   */
  constructor(root, source) {
    this.root = root;
    this.source = source;
    this.axial = pane('axial');
    this.plain = pane('plain');
    this.coronal = pane('coronal');
    this.sagittal = pane('sagittal');
    this.ladder = new Ladder((z) => this.goTo(z));
    this.wait = h('p.film-wait', {});
    this.axial.element.append(this.wait);
    this.tools = new Tools({ set: source.look, look: () => source.state().look, jump: () => this.goToMostSuspicious() });
    this.planes = h('div.planes', {}, this.coronal.element, this.sagittal.element);
    root.append(h('div.film', {}, h('div.film-main', {}, h('div.film-pair', {}, this.axial.element, this.plain.element), this.planes), this.ladder.element), this.tools.element);
    for (const { film } of [this.axial, this.plain]) {
      wireGestures(film.canvas, {
        look: () => source.state().look,
        set: source.look,
        goTo: (z) => this.goTo(z),
        pointAt: (event) => this.#pointAt(film, event),
        hover: (event) => this.#describe(film, event),
      });
    }
    this.#wirePlane(this.coronal.film, (look) => this.#coronal(look), (place, slices) => ({ x: place.x, z: slices - 1 - place.y }), 'y');
    this.#wirePlane(this.sagittal.film, (look) => this.#sagittal(look), (place, slices) => ({ y: place.x, z: slices - 1 - place.y }), 'x');
    new ResizeObserver(() => this.#redraw()).observe(root);
  }

  /** @param {State} state */
  render(state) {
    const row = state.rows.find((candidate) => candidate.key === state.selected) ?? null;
    const before = this.#row;
    this.#row = row;
    if (state.language !== this.#language) {
      this.#language = state.language;
      translate(this.root);
      this.ladder.draw();
    }
    this.wait.textContent = row && !row.view ? waiting(row) : '';
    this.root.dataset.view = row?.view ? 'slices' : 'nothing';
    const shown = row?.view ? `${row.key} ${row.namedOrder} ${row.report ? 'answered' : 'read'}` : '';
    if (shown !== this.#shown || before?.key !== row?.key) {
      this.#shown = shown;
      this.#slices?.close();
      this.#slices = null;
      this.#cuts.clear();
      if (row?.view && row.id !== null) this.#show(row, row.view, row.id);
      const slices = row?.report?.slices ?? [];
      this.ladder.setScores(Array.from({ length: row?.view?.slices ?? 0 }, (_, z) => slices[z]?.probability ?? null));
    }
    // A new scan has just been given its place: that of `state` is the last one's.
    const { look } = this.source.state();
    this.#slices?.lookAt(look.z);
    this.ladder.setSlice(look.z);
    this.#draw(look);
  }

  /**
   * @param {Row} row
   * @param {import('../types.js').View} view
   * @param {number} id
   */
  #show(row, view, id) {
    const slices = new Slices(view, (z) => this.source.slice(id, z, view.evidence), () => {
      this.#arrived += 1;
      this.#redraw();
    });
    this.#slices = slices;
    /** @type {Partial<Look>} */
    const change = {};
    // The same scan in another order, or with its answer, keeps its place.
    if (this.#key !== row.key) {
      this.#key = row.key;
      Object.assign(change, { zoom: 1, pan: { x: 0, y: 0 }, z: Math.floor(view.slices / 2), x: Math.floor(view.columns / 2), y: Math.floor(view.rows / 2), net: false, cross: false });
    }
    if (row.report && row.report.finding !== 'no bleeding seen') {
      const z = mostSuspicious(row.report);
      if (z !== null) Object.assign(change, { z, ...peakOf(view, z) });
    }
    this.source.look(change);
  }

  /**
   * @param {number} z
   * @param {boolean} [toPeak] The crosshair goes to the place of most evidence too.
   */
  goTo(z, toPeak = false) {
    const view = this.#row?.view;
    if (view) this.source.look({ z: Math.max(0, Math.min(view.slices - 1, z)), ...(toPeak ? peakOf(view, z) : {}) });
  }

  goToMostSuspicious() {
    const z = mostSuspicious(this.#row?.report ?? null);
    if (z !== null) this.goTo(z, true);
  }

  /**
   * @param {KeyboardEvent} event
   * @returns {boolean} Whether the key meant something here.
   */
  key(event) {
    const count = this.#row?.view?.slices ?? 0;
    if (count === 0) return false;
    const { look } = this.source.state();
    const set = this.source.look;
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowUp: () => this.goTo(look.z + 1),
      ArrowDown: () => this.goTo(look.z - 1),
      PageUp: () => this.goTo(look.z + 5),
      PageDown: () => this.goTo(look.z - 5),
      Home: () => this.goTo(0),
      End: () => this.goTo(count - 1),
      m: () => this.goToMostSuspicious(),
      h: () => set({ heat: !look.heat }),
      s: () => set({ split: !look.split }),
      p: () => set({ planes: !look.planes }),
      x: () => set({ cross: !look.cross }),
      '+': () => set({ zoom: Math.min(8, look.zoom * 1.25) }),
      '-': () => set(look.zoom > 1.25 ? { zoom: look.zoom / 1.25 } : { zoom: 1, pan: { x: 0, y: 0 } }),
      '0': () => set({ zoom: 1, pan: { x: 0, y: 0 } }),
    };
    const window = Tools.window(event.key);
    const action = window ? () => set(window) : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return false;
    action();
    return true;
  }

  #redraw() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      this.#draw(this.source.state().look);
    });
  }

  /** @param {Look} look */
  #draw(look) {
    const view = this.#row?.view;
    const report = this.#row?.report ?? null;
    const score = report?.slices[look.z]?.probability ?? null;
    const netSlice = look.net ? this.#netSlice(look.z) : null;
    const split = look.split && Boolean(view?.evidence) && !look.net;
    const planes = look.planes && (view?.slices ?? 0) > 1;
    this.plain.element.hidden = !split;
    this.planes.hidden = !planes;
    this.tools.render(look, { evidence: view?.evidence ?? false, answered: report?.outcome === 'classified' });
    const frame = this.#axial(look, netSlice);
    this.axial.film.draw(frame);
    if (split) this.plain.film.draw({ ...frame, heatOpacity: 0 });
    if (planes) {
      this.coronal.film.draw(this.#coronal(look));
      this.sagittal.film.draw(this.#sagittal(look));
    }
    const corner = view ? [t('film.slice', { z: look.z + 1, n: view.slices }), look.net ? t('film.net') : `L ${look.window.level}  W ${look.window.width}`] : [];
    const says = score !== null ? [t('film.score'), percent(score), ...(look.z === mostSuspicious(report) ? [t('film.highest')] : [])] : view && report?.outcome === 'classified' ? [t('film.unscored'), t('film.unscored.why')] : [];
    this.axial.topStart.textContent = corner.join('\n');
    this.axial.topEnd.textContent = says.join('\n');
    this.plain.topStart.textContent = t('film.plain');
    for (const [which, one] of /** @type {const} */ ([['coronal', this.coronal], ['sagittal', this.sagittal]])) {
      one.topStart.textContent = view ? t(`film.${which}`) : '';
      one.bottomStart.textContent = view && spacing(view).assumed ? t('film.assumed') : '';
    }
    const [left, right, top, bottom] = sidesOf(view?.quarter_turns ?? 0);
    // A file may say where left is, but not for a head that lies turned in it.
    const stated = view?.orientation_stated && view.quarter_turns === 0;
    const edges = /** @type {const} */ ([[this.axial, [left, right, top, bottom]], [this.plain, [left, right, top, bottom]], [this.coronal, [left, right, 'S', 'I']], [this.sagittal, [top, bottom, 'S', 'I']]]);
    for (const [one, letters] of edges) {
      one.letters.hidden = !view || (one === this.axial && look.net);
      one.letters.title = stated ? '' : t('film.orientation');
      for (const [side, letter] of [...one.letters.children].entries()) letter.textContent = `${letters[side]}${stated ? '' : '?'}`;
    }
    const spoken = view ? `${t('film.slice', { z: look.z + 1, n: view.slices })}${score === null ? '' : `, ${t('film.score')} ${percent(score)}`}` : t('film.nothing');
    this.axial.film.canvas.setAttribute('aria-label', spoken);
    this.plain.film.canvas.setAttribute('aria-label', t('film.plain'));
    this.coronal.film.canvas.setAttribute('aria-label', t('film.coronal'));
    this.sagittal.film.canvas.setAttribute('aria-label', t('film.sagittal'));
  }

  /**
   * @param {Look} look
   * @param {Picture|null} net
   * @returns {Frame}
   */
  #axial(look, net) {
    const view = this.#row?.view;
    const mm = view ? spacing(view) : null;
    const slice = this.#slices?.get(look.z) ?? null;
    const picture = look.net ? net : slice && view ? this.#keep('axial', slice, () => ({ ...slice, columns: view.columns, rows: view.rows })) : null;
    const suspicious = !look.net && isSuspicious(this.#row?.report?.slices[look.z]?.probability);
    return {
      picture,
      aspect: mm && !look.net ? mm.y / mm.x : 1,
      window: look.net ? NET_WINDOW : look.window,
      heatOpacity: look.heat ? look.opacity : 0,
      // The ring points at something only where the slice itself is suspicious.
      ring: suspicious ? (view?.peaks[look.z] ?? null) : null,
      cross: look.cross && !look.net ? { x: look.x, y: look.y } : null,
      coarse: look.net,
      zoom: look.zoom,
      pan: look.pan,
      columnMm: look.net ? null : (view?.column_mm ?? null),
    };
  }

  /**
   * @param {Look} look
   * @returns {Frame}
   */
  #coronal(look) {
    const slices = this.#slices;
    const picture = slices ? this.#keep('coronal', `${this.#arrived} ${look.y}`, () => slices.coronal(look.y)) : null;
    return this.#cutFrame(look, picture, 'x', look.x / (this.#row?.view?.columns ?? 1));
  }

  /**
   * @param {Look} look
   * @returns {Frame}
   */
  #sagittal(look) {
    const slices = this.#slices;
    const picture = slices ? this.#keep('sagittal', `${this.#arrived} ${look.x}`, () => slices.sagittal(look.x)) : null;
    return this.#cutFrame(look, picture, 'y', look.y / (this.#row?.view?.rows ?? 1));
  }

  /**
   * @param {Look} look
   * @param {Picture|null} picture
   * @param {'x'|'y'} axis Of the volume, which runs across the picture.
   * @param {number} share Place of the crosshair across the picture, 0 to 1.
   * @returns {Frame}
   */
  #cutFrame(look, picture, axis, share) {
    const view = this.#row?.view;
    const mm = view ? spacing(view) : { x: 1, y: 1, z: 1 };
    const across = axis === 'x' ? (view?.columns ?? 1) : (view?.rows ?? 1);
    const pixel = picture ? (mm[axis] * across) / picture.columns : 1;
    return {
      picture,
      aspect: mm.z / pixel,
      window: look.window,
      heatOpacity: look.heat ? look.opacity : 0,
      ring: null,
      cross: picture && view ? { x: share * picture.columns, y: view.slices - 1 - look.z } : null,
      coarse: false,
      zoom: 1,
      pan: { x: 0, y: 0 },
      columnMm: null,
    };
  }

  /**
   * Makes a picture only when what it is made from changed.
   *
   * @param {string} which
   * @param {unknown} from
   * @param {() => Picture} make
   */
  #keep(which, from, make) {
    const kept = this.#cuts.get(which);
    if (kept && kept.from === from) return kept.picture;
    const picture = make();
    this.#cuts.set(which, { from, picture });
    return picture;
  }

  /**
   * The slice of the network's input that slice `z` went into; asks for the input when it is not here yet.
   *
   * @param {number} z
   * @returns {Picture|null}
   */
  #netSlice(z) {
    const row = this.#row;
    if (!row || row.id === null || !row.report) return null;
    const key = `${row.key} ${row.namedOrder}`;
    if (this.#net?.key !== key) {
      this.#net = { key, input: null };
      this.source.netInput(row.id).then((input) => {
        if (this.#net?.key === key) this.#net.input = input;
        this.#redraw();
      }, () => {});
    }
    const { input } = this.#net;
    const picture = input && netPicture(input, row.report, z);
    return picture && this.#keep('net', `${key} ${picture.grey.byteOffset}`, () => picture);
  }

  /**
   * @param {Film} film
   * @param {PointerEvent} event
   */
  #pointAt(film, event) {
    const { look } = this.source.state();
    if (look.net) return;
    const place = film.pixelAt(this.#axial(look, null), event.clientX, event.clientY);
    if (place) this.source.look({ ...place, cross: true });
  }

  /**
   * @param {Film} film
   * @param {PointerEvent|null} event
   */
  #describe(film, event) {
    const { look } = this.source.state();
    const view = this.#row?.view;
    const frame = event && view && !look.net ? this.#axial(look, null) : null;
    const place = frame && event ? film.pixelAt(frame, event.clientX, event.clientY) : null;
    const value = place ? frame?.picture?.grey[place.y * (view?.columns ?? 1) + place.x] : undefined;
    this.axial.bottomStart.textContent = !place || !view || value === undefined ? '' : [
      view.hounsfield ? `${value} HU` : view.window ? `≈ ${value} HU` : String(value),
      `x ${place.x}  y ${place.y}  z ${look.z}${spacing(view).assumed ? '' : `\n${t('film.fromCentre', { place: fromCentre(view, place) })}`}`,
    ].join('\n');
  }

  /**
   * @param {Film} film
   * @param {(look: Look) => Frame} frameOf
   * @param {(place: {x: number, y: number}, slices: number) => Partial<Look>} toLook `place.x` in voxels.
   * @param {'x'|'y'} through Axis that the wheel moves along.
   */
  #wirePlane(film, frameOf, toLook, through) {
    const { canvas } = film;
    /** @param {PointerEvent} event */
    const point = (event) => {
      const view = this.#row?.view;
      const frame = frameOf(this.source.state().look);
      const place = film.pixelAt(frame, event.clientX, event.clientY);
      if (!view || !place || !frame.picture) return;
      const across = through === 'y' ? view.columns : view.rows;
      this.source.look({ ...toLook({ x: Math.floor(((place.x + 0.5) * across) / frame.picture.columns), y: place.y }, view.slices), cross: true });
    };
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      point(event);
    });
    canvas.addEventListener('pointermove', (event) => {
      if (event.buttons > 0) point(event);
    });
    wireWheel(canvas, (steps) => {
      const view = this.#row?.view;
      const { look } = this.source.state();
      if (view) this.source.look({ [through]: Math.max(0, Math.min((through === 'y' ? view.rows : view.columns) - 1, look[through] + 4 * steps)), cross: true });
    });
  }
}

/**
 * Where the crosshair goes with a suspicious slice: to the place of most evidence.
 *
 * @param {import('../types.js').View} view
 * @param {number} z
 * @returns {Partial<Look>}
 */
function peakOf(view, z) {
  const peak = view.peaks[z];
  return peak ? { x: Math.round(peak[0]), y: Math.round(peak[1]) } : {};
}

/**
 * A film with its corners and letters.
 *
 * @param {string} name
 */
function pane(name) {
  const canvas = /** @type {HTMLCanvasElement} */ (h('canvas.film-canvas', { role: 'img', id: `film-${name}` }));
  const sides = ['left', 'right', 'top', 'bottom'];
  const topStart = h('p.film-corner.top-left', {});
  const topEnd = h('p.film-corner.top-right', {});
  const bottomStart = h('p.film-corner.bottom-left', {});
  const marks = h('div.letters', { 'aria-hidden': true }, ...sides.map((side) => h(`span.letter.letter-${side}`, {})));
  const element = h(`div.film-stage.stage-${name}`, {}, canvas, topStart, topEnd, bottomStart, marks);
  return { film: new Film(canvas), element, topStart, topEnd, bottomStart, letters: marks };
}

/** @param {Row} row */
function waiting(row) {
  if (row.outcome === 'refused') return t('film.refused');
  if (row.outcome === 'cancelled') return t('state.cancelled');
  return row.outcome === 'waiting' ? t('film.waiting', { n: row.slices }) : stepOf(row);
}

import { h, percent, plural } from '../dom.js';
import { Film } from './film.js';
import { Ladder } from './ladder.js';
import { Slices } from './slices.js';
import { PRESETS } from './windows.js';

/**
 * @typedef {import('../types.js').Row} Row
 * @typedef {import('../types.js').State} State
 */

/** The large picture, its tools and the ladder of slice scores. */
export class Viewer {
  /** @type {Slices|null} */
  #slices = null;
  /** @type {Row|null} */
  #row = null;
  #shown = '';
  /** Line of the scan whose slices were shown last. */
  #key = '';
  #z = 0;
  #window = PRESETS[0]?.window ?? { level: 40, width: 80 };
  #heat = true;
  #opacity = 0.6;
  #scheduled = false;

  /**
   * @param {HTMLElement} root
   * @param {(id: number, z: number, withHeat: boolean) => Promise<import('./slices.js').Slice>} fetchSlice
   */
  constructor(root, fetchSlice) {
    this.fetchSlice = fetchSlice;
    const canvas = /** @type {HTMLCanvasElement} */ (h('canvas.film-canvas', { tabindex: 0, role: 'img', 'aria-label': 'Slice' }));
    this.film = new Film(canvas);
    this.ladder = new Ladder((z) => this.goTo(z));
    this.corner = h('p.film-corner.top-left', {});
    this.under = h('p.film-corner.bottom-left', {});
    this.suspicion = h('p.film-corner.top-right', {});
    this.letters = ['R', 'L', 'A', 'P'].map((letter) => h(`span.letter.letter-${letter.toLowerCase()}`, { 'aria-hidden': true }, letter));
    this.wait = h('p.film-wait', {});
    this.presets = PRESETS.map((preset) => h('button.segment', { type: 'button', title: `${preset.title} (${preset.key})`, 'aria-pressed': false, onclick: () => this.setWindow(preset.window) }, preset.name));
    this.heatButton = h('button.toggle', { type: 'button', 'aria-pressed': true, title: 'Evidence map (H)', onclick: () => this.toggleHeat() }, h('span.swatch', { 'aria-hidden': true }), 'Evidence');
    this.opacity = /** @type {HTMLInputElement} */ (h('input.range', { type: 'range', min: 10, max: 100, value: 60, 'aria-label': 'Opacity of the evidence map' }));
    this.opacity.addEventListener('input', () => {
      this.#opacity = Number(this.opacity.value) / 100;
      this.#redraw();
    });
    this.jump = h('button.button.small', { type: 'button', title: 'Most suspicious slice (M)', onclick: () => this.goToMostSuspicious() }, 'Most suspicious slice');
    root.append(
      h('div.film', {}, h('div.film-stage', {}, canvas, this.corner, this.suspicion, this.under, ...this.letters, this.wait), this.ladder.element),
      h('div.tools', { role: 'toolbar', 'aria-label': 'Window and overlay' },
        h('div.segments', { role: 'group', 'aria-label': 'Window' }, ...this.presets),
        h('div.tool-group', {}, this.heatButton, this.opacity),
        this.jump),
    );
    this.#wireCanvas(canvas);
    new ResizeObserver(() => this.#redraw()).observe(canvas);
  }

  /** @param {State} state */
  render(state) {
    const row = state.rows.find((candidate) => candidate.key === state.selected) ?? null;
    const before = this.#row;
    this.#row = row;
    const shown = row?.view ? `${row.key} ${row.namedOrder} ${row.report ? 'answered' : 'read'}` : '';
    this.wait.textContent = row && !row.view ? waiting(row) : '';
    if (shown !== this.#shown || before?.key !== row?.key) {
      this.#shown = shown;
      this.#slices?.close();
      this.#slices = null;
      if (row?.view && row.id !== null) this.#show(row, row.view, row.id);
      this.#scores(state);
      this.#redraw();
    }
  }

  /**
   * @param {Row} row
   * @param {import('../types.js').View} view
   * @param {number} id
   */
  #show(row, view, id) {
    this.#slices = new Slices(view.slices, view.rows * view.columns, (z) => this.fetchSlice(id, z, view.evidence), (z) => {
      if (z === this.#z) this.#redraw();
    });
    // The same scan in another order, or with its answer, keeps its place.
    if (this.#key !== row.key) {
      this.#key = row.key;
      this.film.zoom = 1;
      this.film.pan = { x: 0, y: 0 };
      this.#z = Math.floor(view.slices / 2);
    }
    const finding = row.report?.finding;
    if (finding && finding !== 'no bleeding seen') this.#z = mostSuspicious(row) ?? this.#z;
    this.goTo(this.#z);
  }

  /** @param {State} state */
  #scores(state) {
    const slices = this.#row?.report?.slices ?? [];
    const count = this.#row?.view?.slices ?? 0;
    this.ladder.setScores(Array.from({ length: count }, (_, z) => slices[z]?.probability ?? null), state.model?.lower?.threshold ?? 0.5);
    this.jump.toggleAttribute('disabled', this.#row ? mostSuspicious(this.#row) === null : true);
    const evidence = this.#row?.view?.evidence ?? false;
    this.heatButton.toggleAttribute('disabled', !evidence);
    this.opacity.disabled = !evidence;
  }

  /** @param {number} z */
  goTo(z) {
    const count = this.#row?.view?.slices ?? 0;
    if (count === 0) return;
    this.#z = Math.max(0, Math.min(count - 1, z));
    this.#slices?.lookAt(this.#z);
    this.ladder.setSlice(this.#z);
    this.under.textContent = '';
    this.#redraw();
  }

  goToMostSuspicious() {
    const z = this.#row ? mostSuspicious(this.#row) : null;
    if (z !== null) this.goTo(z);
  }

  /** @param {import('./windows.js').GreyWindow} window */
  setWindow(window) {
    this.#window = window;
    this.#redraw();
  }

  toggleHeat() {
    this.#heat = !this.#heat;
    this.#redraw();
  }

  /**
   * @param {KeyboardEvent} event
   * @returns {boolean} Whether the key meant something here.
   */
  key(event) {
    const count = this.#row?.view?.slices ?? 0;
    if (count === 0) return false;
    const preset = PRESETS.find(({ key }) => key === event.key);
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowUp: () => this.goTo(this.#z + 1),
      ArrowDown: () => this.goTo(this.#z - 1),
      PageUp: () => this.goTo(this.#z + 5),
      PageDown: () => this.goTo(this.#z - 5),
      Home: () => this.goTo(0),
      End: () => this.goTo(count - 1),
      m: () => this.goToMostSuspicious(),
      h: () => this.toggleHeat(),
      '0': () => this.#fit(),
    };
    const action = preset ? () => this.setWindow(preset.window) : keys[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return false;
    action();
    return true;
  }

  #fit() {
    this.film.zoom = 1;
    this.film.pan = { x: 0, y: 0 };
    this.#redraw();
  }

  #frame() {
    const view = this.#row?.view;
    const score = this.#row?.report?.slices[this.#z]?.probability ?? null;
    // The ring points at something only where the slice itself is suspicious.
    const suspicious = score !== null && this.#row?.report?.finding !== 'no bleeding seen' && score >= 0.5;
    return {
      slice: this.#slices?.get(this.#z) ?? null,
      rows: view?.rows ?? 1,
      columns: view?.columns ?? 1,
      aspect: view?.row_mm && view.column_mm ? view.row_mm / view.column_mm : 1,
      window: this.#window,
      heatOpacity: this.#heat ? this.#opacity : 0,
      peak: suspicious ? (view?.peaks[this.#z] ?? null) : null,
      score,
    };
  }

  #redraw() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      const frame = this.#frame();
      const view = this.#row?.view;
      this.film.draw(frame);
      const { level, width } = this.#window;
      this.corner.textContent = view ? `Slice ${this.#z + 1} / ${view.slices}\nL ${Math.round(level)}  W ${Math.round(width)}` : '';
      this.suspicion.textContent = view && frame.score !== null ? `Bleeding on this slice\n${percent(frame.score)}` : view && this.#row?.report?.outcome === 'classified' ? 'Not looked at\ntoo little brain' : '';
      this.film.canvas.setAttribute('aria-label', view ? `Slice ${this.#z + 1} of ${view.slices}${frame.score === null ? '' : `, bleeding ${percent(frame.score)}`}` : 'No slice');
      for (const letter of this.letters) {
        letter.hidden = !view;
        letter.classList.toggle('assumed', !view?.orientation_stated);
        letter.title = view?.orientation_stated ? '' : 'Assumed: the file does not say which side is which';
      }
      for (const [index, button] of this.presets.entries()) {
        const preset = PRESETS[index]?.window;
        button.setAttribute('aria-pressed', String(preset?.level === level && preset.width === width));
      }
      this.heatButton.setAttribute('aria-pressed', String(this.#heat));
    });
  }

  /** @param {HTMLCanvasElement} canvas */
  #wireCanvas(canvas) {
    let travelled = 0;
    canvas.addEventListener('wheel', (event) => {
      event.preventDefault();
      if (event.ctrlKey) {
        this.film.zoom = Math.max(1, Math.min(8, this.film.zoom * Math.exp(-event.deltaY / 200)));
        if (this.film.zoom === 1) this.film.pan = { x: 0, y: 0 };
        this.#redraw();
        return;
      }
      // A notch of a wheel is one slice; a trackpad sends many small steps.
      travelled += event.deltaMode === 0 ? event.deltaY / 40 : event.deltaY;
      const steps = Math.trunc(travelled);
      if (steps !== 0) {
        travelled = Math.abs(event.deltaY) >= 60 ? 0 : travelled - steps;
        this.goTo(this.#z - (Math.abs(event.deltaY) >= 60 ? Math.sign(steps) : steps));
      }
    }, { passive: false });

    /** @type {{x: number, y: number, z: number, window: import('./windows.js').GreyWindow, pan: {x: number, y: number}}|null} */
    let start = null;
    canvas.addEventListener('pointerdown', (event) => {
      canvas.setPointerCapture(event.pointerId);
      start = { x: event.clientX, y: event.clientY, z: this.#z, window: this.#window, pan: { ...this.film.pan } };
    });
    canvas.addEventListener('pointermove', (event) => {
      if (start && event.buttons > 0) this.#drag(event, start);
      this.#describe(event);
    });
    canvas.addEventListener('pointerup', () => {
      start = null;
    });
    canvas.addEventListener('pointerleave', () => {
      this.under.textContent = '';
    });
    canvas.addEventListener('dblclick', () => this.#fit());
  }

  /**
   * A finger scrolls through the slices; a mouse changes the window, or moves the slice when it is zoomed and Shift is held.
   *
   * @param {PointerEvent} event
   * @param {{x: number, y: number, z: number, window: import('./windows.js').GreyWindow, pan: {x: number, y: number}}} start
   */
  #drag(event, start) {
    const [dx, dy] = [event.clientX - start.x, event.clientY - start.y];
    if (event.pointerType === 'touch') this.goTo(start.z - Math.round(dy / 12));
    else if (event.shiftKey || event.buttons === 4) {
      const ratio = devicePixelRatio || 1;
      this.film.pan = { x: start.pan.x + dx * ratio, y: start.pan.y + dy * ratio };
      this.#redraw();
    } else this.setWindow({ width: Math.max(1, start.window.width + dx), level: start.window.level - dy / 2 });
  }

  /** @param {PointerEvent} event */
  #describe(event) {
    const frame = this.#frame();
    const place = frame.slice ? this.film.pixelAt(frame, event.clientX, event.clientY) : null;
    const value = place ? frame.slice?.grey[place.y * frame.columns + place.x] : undefined;
    this.under.textContent = place && value !== undefined ? `${value} HU\nx ${place.x}  y ${place.y}` : '';
  }
}

/** @param {Row} row */
function mostSuspicious(row) {
  let best = null;
  let highest = -1;
  for (const slice of row.report?.slices ?? []) {
    if (slice.probability !== null && slice.probability > highest) [best, highest] = [slice.position, slice.probability];
  }
  return best;
}

/** @param {Row} row */
function waiting(row) {
  if (row.outcome === 'refused') return 'No slices to show';
  if (row.outcome === 'cancelled') return 'Cancelled';
  return row.outcome === 'waiting' ? `Waiting · ${plural(row.slices, 'slice')}` : 'Reading';
}

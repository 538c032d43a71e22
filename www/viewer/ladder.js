import { h } from '../dom.js';
import { percent, t } from '../i18n/i18n.js';
import { heatColour } from './heat.js';
import { isSuspicious } from './scores.js';

/**
 * The score of every slice as a ladder, vertex on top as on the patient, which is also the scrubber.
 */
export class Ladder {
  /** @type {(number|null)[]} */
  #scores = [];
  #z = 0;

  /** @param {(z: number) => void} onSlice */
  constructor(onSlice) {
    this.onSlice = onSlice;
    this.canvas = /** @type {HTMLCanvasElement} */ (h('canvas.ladder-canvas', {
      role: 'slider',
      tabindex: 0,
      id: 'ladder',
      'data-t-label': 'ladder',
      'aria-orientation': 'vertical',
      'data-t-title': 'ladder.title',
    }));
    this.element = h('div.ladder', {}, h('span.ladder-end', { 'aria-hidden': true, 'data-t': 'ladder.vertex' }), h('div.ladder-stage', {}, this.canvas), h('span.ladder-end', { 'aria-hidden': true, 'data-t': 'ladder.base' }));
    /** @param {PointerEvent} event */
    const scrub = (event) => {
      const outline = this.canvas.getBoundingClientRect();
      const share = 1 - (event.clientY - outline.top) / outline.height;
      this.onSlice(Math.max(0, Math.min(this.#scores.length - 1, Math.floor(share * this.#scores.length))));
    };
    this.canvas.addEventListener('pointerdown', (event) => {
      this.canvas.setPointerCapture(event.pointerId);
      scrub(event);
    });
    this.canvas.addEventListener('pointermove', (event) => {
      if (event.buttons > 0) scrub(event);
    });
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  /**
   * @param {(number|null)[]} scores Probability of each slice, bottom to top; `null` where none was computed.
   */
  setScores(scores) {
    this.#scores = scores;
    this.draw();
  }

  /** @param {number} z */
  setSlice(z) {
    if (z === this.#z) return;
    this.#z = z;
    this.draw();
  }

  draw() {
    const { canvas } = this;
    const count = this.#scores.length;
    const score = this.#scores[this.#z];
    canvas.setAttribute('aria-valuemin', '1');
    canvas.setAttribute('aria-valuemax', String(Math.max(1, count)));
    canvas.setAttribute('aria-valuenow', String(this.#z + 1));
    canvas.setAttribute('aria-valuetext', `${t('film.slice', { z: this.#z + 1, n: count })}${typeof score === 'number' ? `, ${t('film.score')} ${percent(score)}` : ''}`);
    const context = canvas.getContext('2d');
    if (!context || canvas.clientHeight === 0) return;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const style = getComputedStyle(canvas);
    const [ink, line, accent] = ['--ink-3', '--line', '--accent'].map((name) => style.getPropertyValue(name).trim());
    context.clearRect(0, 0, width, height);
    if (count === 0) return;
    const step = height / count;
    const gap = step > 4 * ratio ? Math.min(2 * ratio, step * 0.25) : 0;
    const room = width - 10 * ratio;
    for (const [z, probability] of this.#scores.entries()) {
      const top = height - (z + 1) * step;
      context.fillStyle = line ?? '';
      context.fillRect(0, top + gap / 2, typeof probability === 'number' ? room : 2 * ratio, Math.max(1, step - gap));
      if (typeof probability !== 'number') continue;
      context.fillStyle = isSuspicious(probability) ? heatColour(0.45 + 0.5 * probability) : (ink ?? '');
      context.fillRect(0, top + gap / 2, Math.max(2 * ratio, probability * room), Math.max(1, step - gap));
    }
    const middle = height - (this.#z + 0.5) * step;
    context.fillStyle = accent ?? '';
    context.beginPath();
    context.moveTo(width - 8 * ratio, middle);
    context.lineTo(width, middle - 6 * ratio);
    context.lineTo(width, middle + 6 * ratio);
    context.fill();
    context.fillRect(0, middle - 0.75 * ratio, width - 8 * ratio, 1.5 * ratio);
  }
}

import { paintGrey } from './windows.js';
import { paintHeat } from './heat.js';

/**
 * Draws one slice in true proportions, with the evidence over it.
 *
 * @typedef {object} Frame
 * @property {import('./slices.js').Slice|null} slice
 * @property {number} rows
 * @property {number} columns
 * @property {number} aspect Height of a pixel over its width.
 * @property {import('./windows.js').GreyWindow} window
 * @property {number} heatOpacity 0 leaves the map out.
 * @property {[number, number]|null} peak Ringed place in pixels of the slice.
 */
export class Film {
  #grey = document.createElement('canvas');
  #heat = document.createElement('canvas');
  /** @type {import('./slices.js').Slice|null} What the two pictures were painted from, and how. */
  #painted = null;
  #paintedWindow = '';
  zoom = 1;
  pan = { x: 0, y: 0 };

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
  }

  /**
   * Where the slice lies on the canvas.
   *
   * @param {Frame} frame
   */
  #box(frame) {
    const { width, height } = this.canvas;
    const scale = this.zoom * Math.min(width / frame.columns, height / (frame.rows * frame.aspect));
    const [w, h] = [frame.columns * scale, frame.rows * frame.aspect * scale];
    return { x: (width - w) / 2 + this.pan.x, y: (height - h) / 2 + this.pan.y, w, h };
  }

  /** @param {Frame} frame */
  draw(frame) {
    const { canvas, context } = this;
    if (!context) return;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.fillStyle = '#000';
    context.fillRect(0, 0, width, height);
    if (!frame.slice) return;
    this.#paint(frame, frame.slice);
    const box = this.#box(frame);
    context.imageSmoothingEnabled = true;
    context.imageSmoothingQuality = 'high';
    context.drawImage(this.#grey, box.x, box.y, box.w, box.h);
    if (frame.slice.heat && frame.heatOpacity > 0) {
      context.globalAlpha = frame.heatOpacity;
      context.drawImage(this.#heat, box.x, box.y, box.w, box.h);
      context.globalAlpha = 1;
    }
    if (frame.peak && frame.heatOpacity > 0) this.#ring(frame, box, frame.peak, ratio);
  }

  /**
   * @param {Frame} frame
   * @param {import('./slices.js').Slice} slice
   */
  #paint(frame, slice) {
    const window = `${frame.window.level}/${frame.window.width}`;
    if (this.#painted === slice && this.#paintedWindow === window) return;
    /** @type {(canvas: HTMLCanvasElement, paint: (rgba: Uint8ClampedArray) => void) => void} */
    const fill = (canvas, paint) => {
      if (canvas.width !== frame.columns || canvas.height !== frame.rows) Object.assign(canvas, { width: frame.columns, height: frame.rows });
      const context = canvas.getContext('2d');
      if (!context) return;
      const picture = context.createImageData(frame.columns, frame.rows);
      paint(picture.data);
      context.putImageData(picture, 0, 0);
    };
    fill(this.#grey, (rgba) => paintGrey(slice.grey, frame.window, rgba));
    const { heat } = slice;
    if (heat && this.#painted !== slice) fill(this.#heat, (rgba) => paintHeat(heat, rgba));
    this.#painted = slice;
    this.#paintedWindow = window;
  }

  /**
   * @param {Frame} frame
   * @param {{x: number, y: number, w: number, h: number}} box
   * @param {[number, number]} peak
   * @param {number} ratio
   */
  #ring(frame, box, [x, y], ratio) {
    const { context } = this;
    if (!context) return;
    const centre = { x: box.x + ((x + 0.5) / frame.columns) * box.w, y: box.y + ((y + 0.5) / frame.rows) * box.h };
    const radius = Math.max(14 * ratio, box.w * 0.055);
    for (const [width, colour] of /** @type {const} */ ([[4, '#000a'], [1.6, '#ffe9a8']])) {
      context.beginPath();
      context.arc(centre.x, centre.y, radius, 0, 2 * Math.PI);
      context.lineWidth = width * ratio;
      context.strokeStyle = colour;
      context.stroke();
    }
  }

  /**
   * The pixel of the slice under a place on the page, or `null` beside the slice.
   *
   * @param {Frame} frame
   * @param {number} clientX
   * @param {number} clientY
   */
  pixelAt(frame, clientX, clientY) {
    const outline = this.canvas.getBoundingClientRect();
    const ratio = devicePixelRatio || 1;
    const box = this.#box(frame);
    const x = Math.floor((((clientX - outline.left) * ratio - box.x) / box.w) * frame.columns);
    const y = Math.floor((((clientY - outline.top) * ratio - box.y) / box.h) * frame.rows);
    return x >= 0 && y >= 0 && x < frame.columns && y < frame.rows ? { x, y } : null;
  }
}

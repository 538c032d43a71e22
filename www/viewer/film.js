import { fit, pixelAt } from './geometry.js';
import { isDrawn, paintHeat } from './heat.js';
import { paintGrey } from './windows.js';

/**
 * Draws one picture in true proportions, with the evidence over it.
 *
 * @typedef {object} Frame
 * @property {import('./slices.js').Picture|null} picture
 * @property {number} aspect Height of a pixel over its width.
 * @property {import('./windows.js').GreyWindow} window
 * @property {number} heatOpacity 0 leaves the map out.
 * @property {[number, number]|null} ring Ringed place in pixels of the picture.
 * @property {{x: number, y: number}|null} cross Column and row of the crosshair.
 * @property {boolean} coarse Pixels are shown as they are, not smoothed.
 * @property {number} zoom
 * @property {{x: number, y: number}} pan
 * @property {number|null} columnMm Width of a pixel, for the scale bar; `null` leaves it out.
 */

const CROSS = '#8cc8f4';
const RING = '#ffe9a8';
const SCALE_MM = 50;

export class Film {
  #grey = document.createElement('canvas');
  #heat = document.createElement('canvas');
  /** @type {import('./slices.js').Picture|null} What the two pictures were painted from, and how. */
  #painted = null;
  #paintedWindow = '';
  /** The picture has evidence that is drawn: most slices have none, and cost nothing for it. */
  #warm = false;

  /** @param {HTMLCanvasElement} canvas */
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext('2d');
  }

  /** @param {Frame} frame */
  #box(frame) {
    const { picture, aspect, zoom, pan } = frame;
    const { clientWidth: width, clientHeight: height } = this.canvas;
    return fit({ width, height }, { columns: picture?.columns ?? 1, rows: picture?.rows ?? 1, aspect }, zoom, pan);
  }

  /** @param {Frame} frame */
  draw(frame) {
    const { canvas, context } = this;
    if (!context) return;
    const ratio = devicePixelRatio || 1;
    const [width, height] = [Math.round(canvas.clientWidth * ratio), Math.round(canvas.clientHeight * ratio)];
    if (width === 0 || height === 0) return;
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.fillStyle = '#000';
    context.fillRect(0, 0, width, height);
    if (!frame.picture) return;
    this.#paint(frame.window, frame.picture);
    const box = this.#box(frame);
    context.imageSmoothingEnabled = !frame.coarse;
    context.imageSmoothingQuality = 'high';
    context.drawImage(this.#grey, box.x, box.y, box.width, box.height);
    if (this.#warm && frame.heatOpacity > 0) {
      context.globalAlpha = frame.heatOpacity;
      context.imageSmoothingEnabled = true;
      context.drawImage(this.#heat, box.x, box.y, box.width, box.height);
      context.globalAlpha = 1;
    }
    /** @type {(x: number, y: number) => {x: number, y: number}} The middle of a pixel on the canvas. */
    const place = (x, y) => ({
      x: box.x + ((x + 0.5) / (frame.picture?.columns ?? 1)) * box.width,
      y: box.y + ((y + 0.5) / (frame.picture?.rows ?? 1)) * box.height,
    });
    if (frame.ring && frame.heatOpacity > 0) ring(context, place(...frame.ring), Math.max(14, box.width * 0.055));
    if (frame.cross) this.#cross(box, place(frame.cross.x, frame.cross.y));
    if (frame.columnMm !== null) this.#scaleBar((SCALE_MM / frame.columnMm) * (box.width / frame.picture.columns));
  }

  /**
   * @param {import('./windows.js').GreyWindow} window
   * @param {import('./slices.js').Picture} picture
   */
  #paint(window, picture) {
    const key = `${window.level}/${window.width}`;
    if (this.#painted === picture && this.#paintedWindow === key) return;
    fill(this.#grey, picture, (rgba) => paintGrey(picture.grey, window, rgba));
    const { heat } = picture;
    if (this.#painted !== picture) {
      this.#warm = isDrawn(heat);
      if (heat && this.#warm) fill(this.#heat, picture, (rgba) => paintHeat(heat, rgba));
    }
    this.#painted = picture;
    this.#paintedWindow = key;
  }

  /**
   * @param {import('./geometry.js').Box} box
   * @param {{x: number, y: number}} centre
   */
  #cross(box, centre) {
    const { context } = this;
    if (!context) return;
    // Open in the middle, so that what it points at can be seen.
    const gap = 12;
    /** @type {(x1: number, y1: number, x2: number, y2: number) => void} */
    const line = (x1, y1, x2, y2) => {
      context.moveTo(x1, y1);
      context.lineTo(x2, y2);
    };
    context.strokeStyle = CROSS;
    context.globalAlpha = 0.75;
    context.lineWidth = 1;
    context.beginPath();
    line(centre.x, box.y, centre.x, Math.max(box.y, centre.y - gap));
    line(centre.x, Math.min(box.y + box.height, centre.y + gap), centre.x, box.y + box.height);
    line(box.x, centre.y, Math.max(box.x, centre.x - gap), centre.y);
    line(Math.min(box.x + box.width, centre.x + gap), centre.y, box.x + box.width, centre.y);
    context.stroke();
    context.globalAlpha = 1;
  }

  /** @param {number} length Of 5 cm on the canvas. */
  #scaleBar(length) {
    const { context, canvas } = this;
    if (!context || length > canvas.clientWidth / 2) return;
    const [right, bottom] = [canvas.clientWidth - 14, canvas.clientHeight - 14];
    context.strokeStyle = '#c4ccd4';
    context.fillStyle = '#c4ccd4';
    context.lineWidth = 1;
    context.beginPath();
    context.moveTo(right - length, bottom - 5);
    context.lineTo(right - length, bottom);
    context.lineTo(right, bottom);
    context.lineTo(right, bottom - 5);
    context.stroke();
    context.font = `11px ${getComputedStyle(canvas).fontFamily}`;
    context.textAlign = 'right';
    context.direction = 'ltr';
    context.fillText('5 cm', right, bottom - 9);
  }

  /**
   * The pixel of the picture under a place on the page, or `null` beside it.
   *
   * @param {Frame} frame
   * @param {number} clientX
   * @param {number} clientY
   */
  pixelAt(frame, clientX, clientY) {
    if (!frame.picture) return null;
    const outline = this.canvas.getBoundingClientRect();
    return pixelAt(this.#box(frame), frame.picture, { x: clientX - outline.left, y: clientY - outline.top });
  }
}

/**
 * @param {CanvasRenderingContext2D} context
 * @param {{x: number, y: number}} centre
 * @param {number} radius
 */
export function ring(context, centre, radius) {
  for (const [width, colour] of /** @type {const} */ ([[4, '#000a'], [1.6, RING]])) {
    context.beginPath();
    context.arc(centre.x, centre.y, radius, 0, 2 * Math.PI);
    context.lineWidth = width;
    context.strokeStyle = colour;
    context.stroke();
  }
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {{columns: number, rows: number}} picture
 * @param {(rgba: Uint8ClampedArray) => void} paint
 */
export function fill(canvas, { columns, rows }, paint) {
  if (canvas.width !== columns || canvas.height !== rows) Object.assign(canvas, { width: columns, height: rows });
  const context = canvas.getContext('2d');
  if (!context) return;
  const picture = context.createImageData(columns, rows);
  paint(picture.data);
  context.putImageData(picture, 0, 0);
}

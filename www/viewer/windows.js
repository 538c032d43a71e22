/**
 * Windows of radiology: which Hounsfield units are spread over black to white.
 *
 * @typedef {{level: number, width: number}} GreyWindow
 */

/** @type {{key: string, name: string, window: GreyWindow}[]} `name` is a message. */
export const PRESETS = [
  { key: '1', name: 'window.brain', window: { level: 40, width: 80 } },
  { key: '2', name: 'window.subdural', window: { level: 75, width: 215 } },
  { key: '3', name: 'window.stroke', window: { level: 40, width: 40 } },
  { key: '4', name: 'window.bone', window: { level: 600, width: 2800 } },
];

/** The network sees Hounsfield units relative to the median of the brain, clamped to -25 to 45. */
export const NET_WINDOW = { level: 10, width: 70 };
export const NET_KEY = '5';

/**
 * Keeps a window within what a CT can hold.
 *
 * @param {GreyWindow} window
 * @returns {GreyWindow}
 */
export function withinReason({ level, width }) {
  return { level: Math.max(-1000, Math.min(3000, Math.round(level))), width: Math.max(1, Math.min(4000, Math.round(width))) };
}

/**
 * Spreads Hounsfield units over the greys of an RGBA picture.
 *
 * @param {Int16Array} hounsfield
 * @param {GreyWindow} window
 * @param {Uint8ClampedArray} rgba
 */
export function paintGrey(hounsfield, window, rgba) {
  const low = window.level - window.width / 2;
  const scale = 255 / Math.max(1, window.width);
  const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.byteLength >> 2);
  for (let i = 0; i < hounsfield.length; i++) {
    const value = ((hounsfield[i] ?? 0) - low) * scale;
    const grey = value < 0 ? 0 : value > 255 ? 255 : value | 0;
    pixels[i] = 0xff000000 | (grey << 16) | (grey << 8) | grey;
  }
}

/**
 * Windows of radiology: which Hounsfield units are spread over black to white.
 *
 * @typedef {{level: number, width: number}} GreyWindow
 */

/** @type {{key: string, name: string, title: string, window: GreyWindow}[]} */
export const PRESETS = [
  { key: '1', name: 'Brain', title: 'Level 40, width 80', window: { level: 40, width: 80 } },
  { key: '2', name: 'Subdural', title: 'Level 75, width 215', window: { level: 75, width: 215 } },
  { key: '3', name: 'Stroke', title: 'Level 40, width 40', window: { level: 40, width: 40 } },
  { key: '4', name: 'Bone', title: 'Level 600, width 2800', window: { level: 600, width: 2800 } },
];

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

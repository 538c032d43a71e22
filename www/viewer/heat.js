/**
 * Colours of the evidence map: dark red, orange, light yellow. Lightness rises along it, so it reads the same to every
 * kind of colour vision and in print; little evidence is see-through, so the picture below is never hidden by nothing.
 */
const STOPS = [
  { at: 0, rgb: [96, 20, 40] },
  { at: 0.35, rgb: [190, 58, 30] },
  { at: 0.65, rgb: [245, 150, 40] },
  { at: 1, rgb: [255, 238, 160] },
];

/** Evidence below this share is not drawn: a calm scan stays grey. */
const FLOOR = 0.3;

/** @param {Uint8Array|null} heat Whether anything of it is drawn. */
export const isDrawn = (heat) => heat?.some((value) => value > 255 * FLOOR) ?? false;

const COLOURS = table();

function table() {
  const colours = new Uint8ClampedArray(256 * 4);
  for (let i = 0; i < 256; i++) {
    const value = i / 255;
    const upper = Math.max(1, STOPS.findIndex((stop) => stop.at >= value));
    const [from, to] = [STOPS[upper - 1], STOPS[upper]];
    if (!from || !to) continue;
    const t = (value - from.at) / (to.at - from.at);
    for (let c = 0; c < 3; c++) colours[4 * i + c] = (from.rgb[c] ?? 0) * (1 - t) + (to.rgb[c] ?? 0) * t;
    colours[4 * i + 3] = 255 * Math.max(0, Math.min(1, (value - FLOOR) / 0.4));
  }
  return colours;
}

/**
 * @param {Uint8Array} heat
 * @param {Uint8ClampedArray} rgba
 */
export function paintHeat(heat, rgba) {
  const colours = new Uint32Array(COLOURS.buffer);
  const pixels = new Uint32Array(rgba.buffer, rgba.byteOffset, rgba.byteLength >> 2);
  for (let i = 0; i < heat.length; i++) pixels[i] = colours[heat[i] ?? 0] ?? 0;
}

/**
 * The colour of a probability, as CSS.
 *
 * @param {number} value 0 to 1.
 */
export function heatColour(value) {
  const i = 4 * Math.round(255 * Math.max(0, Math.min(1, value)));
  return `rgb(${COLOURS[i]} ${COLOURS[i + 1]} ${COLOURS[i + 2]})`;
}

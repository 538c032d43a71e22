/**
 * Places and proportions, without anything that draws.
 *
 * @typedef {{x: number, y: number, width: number, height: number}} Box
 */

/** Where files hold no distances, a head CT's usual ones stand in: a field of view of 230 mm, slices over 150 mm. */
const USUAL_VIEW_MM = 230;
const USUAL_HEIGHT_MM = 150;

/**
 * Distances of voxel centres in mm, for drawing only.
 *
 * @param {import('../types.js').View} view
 * @returns {{x: number, y: number, z: number, assumed: boolean}}
 */
export function spacing(view) {
  const x = view.column_mm ?? view.row_mm ?? USUAL_VIEW_MM / view.columns;
  const y = view.row_mm ?? x;
  const z = view.slice_mm ?? USUAL_HEIGHT_MM / view.slices;
  return { x, y, z, assumed: view.column_mm === null || view.row_mm === null || view.slice_mm === null };
}

/**
 * The largest box of a picture's proportions in a frame, then zoomed about the middle and moved.
 *
 * @param {{width: number, height: number}} frame
 * @param {{columns: number, rows: number, aspect: number}} picture `aspect` is the height of a pixel over its width.
 * @param {number} zoom
 * @param {{x: number, y: number}} pan
 * @returns {Box}
 */
export function fit(frame, { columns, rows, aspect }, zoom, pan) {
  const scale = zoom * Math.min(frame.width / columns, frame.height / (rows * aspect));
  const [width, height] = [columns * scale, rows * aspect * scale];
  return { x: (frame.width - width) / 2 + pan.x, y: (frame.height - height) / 2 + pan.y, width, height };
}

/**
 * The zoom and pan after zooming by `factor`, with the place under (x, y), measured from the middle of the frame, kept still.
 *
 * @param {{zoom: number, pan: {x: number, y: number}}} from
 * @param {number} factor
 * @param {{x: number, y: number}} at
 */
export function zoomAt(from, factor, at) {
  const zoom = Math.max(1, Math.min(8, from.zoom * factor));
  const k = zoom / from.zoom;
  return zoom === 1 ? { zoom, pan: { x: 0, y: 0 } } : { zoom, pan: { x: at.x - k * (at.x - from.pan.x), y: at.y - k * (at.y - from.pan.y) } };
}

/**
 * The pixel under a place of the frame, or `null` beside the picture.
 *
 * @param {Box} box
 * @param {{columns: number, rows: number}} picture
 * @param {{x: number, y: number}} at
 */
export function pixelAt(box, { columns, rows }, at) {
  const x = Math.floor(((at.x - box.x) / box.width) * columns);
  const y = Math.floor(((at.y - box.y) / box.height) * rows);
  return x >= 0 && y >= 0 && x < columns && y < rows ? { x, y } : null;
}

/**
 * The patient's sides at the left, right, top and bottom edge of an axial slice in which the head is turned.
 *
 * @param {number} quarterTurns Clockwise.
 * @returns {[string, string, string, string]}
 */
export function sidesOf(quarterTurns) {
  const clockwise = ['A', 'L', 'P', 'R'];
  const at = (/** @type {number} */ edge) => clockwise[(edge - quarterTurns + 4) % 4] ?? '';
  return [at(3), at(1), at(0), at(2)];
}

/**
 * How far a voxel lies from the middle of the picture, to the patient's sides.
 *
 * @param {import('../types.js').View} view
 * @param {{x: number, y: number}} at
 */
export function fromCentre(view, at) {
  const mm = spacing(view);
  const across = (at.x - (view.columns - 1) / 2) * mm.x;
  const down = (at.y - (view.rows - 1) / 2) * mm.y;
  const [left, right, top, bottom] = sidesOf(view.quarter_turns);
  const side = (/** @type {number} */ value, /** @type {string} */ plus, /** @type {string} */ minus) => `${Math.abs(Math.round(value))} mm ${value < 0 ? minus : plus}`;
  return `${side(across, right, left)}, ${side(down, bottom, top)}`;
}

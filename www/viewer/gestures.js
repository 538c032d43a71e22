import { zoomAt } from './geometry.js';
import { withinReason } from './windows.js';

/**
 * What a hand does on the axial film. A mouse: wheel through the slices, drag the window, click the crosshair, Ctrl + wheel
 * zooms, Shift + drag (or the middle button) moves. A finger: swipe through the slices, or move what is zoomed; two pinch.
 *
 * @typedef {object} Hand
 * @property {() => import('../types.js').Look} look
 * @property {(change: Partial<import('../types.js').Look>) => void} set
 * @property {(z: number) => void} goTo
 * @property {(event: PointerEvent) => void} pointAt
 * @property {(event: PointerEvent|null) => void} hover
 */

/** A press that moved less is a click. */
const STILL_PX = 4;
const SWIPE_PX = 12;

/**
 * @param {HTMLCanvasElement} canvas
 * @param {Hand} hand
 */
export function wireGestures(canvas, hand) {
  /** @type {Map<number, {x: number, y: number}>} */
  const down = new Map();
  /** @type {{x: number, y: number, look: import('../types.js').Look, spread: number, moved: boolean}|null} */
  let start = null;

  /** Middle and spread of what is pressed. */
  const grip = () => {
    const points = [...down.values()];
    const x = points.reduce((sum, point) => sum + point.x, 0) / points.length;
    const y = points.reduce((sum, point) => sum + point.y, 0) / points.length;
    const [a, b] = points;
    return { x, y, spread: a && b ? Math.hypot(a.x - b.x, a.y - b.y) : 0 };
  };
  const begin = (/** @type {boolean} */ moved) => {
    start = down.size > 0 ? { ...grip(), look: hand.look(), moved } : null;
  };
  /** From the middle of the film. */
  const fromMiddle = (/** @type {{x: number, y: number}} */ at) => {
    const outline = canvas.getBoundingClientRect();
    return { x: at.x - outline.left - outline.width / 2, y: at.y - outline.top - outline.height / 2 };
  };

  canvas.addEventListener('pointerdown', (event) => {
    canvas.setPointerCapture(event.pointerId);
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    begin(down.size > 1);
  });
  canvas.addEventListener('pointermove', (event) => {
    hand.hover(event);
    if (!start || !down.has(event.pointerId)) return;
    down.set(event.pointerId, { x: event.clientX, y: event.clientY });
    const now = grip();
    const [dx, dy] = [now.x - start.x, now.y - start.y];
    if (!start.moved && Math.hypot(dx, dy) < STILL_PX) return;
    start.moved = true;
    const { look } = start;
    if (down.size > 1) {
      const zoomed = zoomAt(look, start.spread > 0 ? now.spread / start.spread : 1, fromMiddle(start));
      hand.set({ zoom: zoomed.zoom, pan: zoomed.zoom === 1 ? zoomed.pan : { x: zoomed.pan.x + dx, y: zoomed.pan.y + dy } });
    } else if (event.pointerType === 'touch' ? look.zoom > 1 : event.shiftKey || event.buttons === 4) {
      hand.set({ pan: { x: look.pan.x + dx, y: look.pan.y + dy } });
    } else if (event.pointerType === 'touch') {
      hand.goTo(look.z - Math.round(dy / SWIPE_PX));
    } else if (!look.net) {
      hand.set({ window: withinReason({ width: look.window.width + dx, level: look.window.level - dy / 2 }) });
    }
  });
  /** @param {PointerEvent} event */
  const up = (event) => {
    const clicked = start && !start.moved && event.type === 'pointerup' && event.button === 0;
    down.delete(event.pointerId);
    // The finger that stays goes on from where it is.
    begin(true);
    if (clicked) hand.pointAt(event);
  };
  canvas.addEventListener('pointerup', up);
  canvas.addEventListener('pointercancel', up);
  canvas.addEventListener('pointerleave', () => hand.hover(null));
  canvas.addEventListener('dblclick', () => hand.set({ zoom: 1, pan: { x: 0, y: 0 } }));
  wireWheel(canvas, (steps) => hand.goTo(hand.look().z - steps), (factor, event) => hand.set(zoomAt(hand.look(), factor, fromMiddle({ x: event.clientX, y: event.clientY }))));
}

/**
 * A notch of a wheel is one step; a trackpad sends many small ones. With Ctrl (or a pinch on a trackpad) it zooms.
 *
 * @param {HTMLElement} element
 * @param {(steps: number) => void} onSteps
 * @param {(factor: number, event: WheelEvent) => void} [onZoom]
 */
export function wireWheel(element, onSteps, onZoom) {
  let travelled = 0;
  element.addEventListener('wheel', (event) => {
    event.preventDefault();
    if (event.ctrlKey) {
      onZoom?.(Math.exp(-event.deltaY / 200), event);
      return;
    }
    const notch = Math.abs(event.deltaY) >= 60;
    travelled += event.deltaMode === 0 ? event.deltaY / 40 : event.deltaY;
    const steps = Math.trunc(travelled);
    if (steps === 0) return;
    travelled = notch ? 0 : travelled - steps;
    onSteps(notch ? Math.sign(steps) : steps);
  }, { passive: false });
}

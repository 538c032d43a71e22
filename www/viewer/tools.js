import { h } from '../dom.js';
import { t } from '../i18n/i18n.js';
import { NET_KEY, PRESETS, withinReason } from './windows.js';

/**
 * The row of tools below the film.
 *
 * @typedef {object} ToolActions
 * @property {(change: Partial<import('../types.js').Look>) => void} set
 * @property {() => import('../types.js').Look} look
 * @property {() => void} jump
 */
export class Tools {
  /** @param {ToolActions} actions */
  constructor(actions) {
    this.presets = PRESETS.map((preset) => h('button.segment', { type: 'button', 'data-window': preset.name.slice(7), 'data-t': preset.name, 'aria-pressed': false, onclick: () => actions.set({ window: preset.window, net: false }) }));
    this.net = h('button.segment', { type: 'button', 'data-window': 'net', 'data-t': 'window.net', 'data-t-title': 'window.net.title', 'aria-pressed': false, onclick: () => actions.set({ net: true }) });
    this.level = number('tools.level', -1000, 3000, (level) => actions.set({ window: withinReason({ ...actions.look().window, level }), net: false }));
    this.width = number('tools.width', 1, 4000, (width) => actions.set({ window: withinReason({ ...actions.look().window, width }), net: false }));
    this.heat = h('button.toggle', { type: 'button', id: 'tool-heat', 'aria-pressed': true, 'data-t-title': 'tools.heat.title', onclick: () => actions.set({ heat: !actions.look().heat }) }, h('span.swatch', { 'aria-hidden': true }), h('span', { 'data-t': 'tools.heat' }));
    this.opacity = /** @type {HTMLInputElement} */ (h('input.range', { type: 'range', id: 'tool-opacity', min: 10, max: 100, 'data-t-label': 'tools.opacity', 'data-t-title': 'tools.opacity' }));
    this.opacity.addEventListener('input', () => actions.set({ opacity: Number(this.opacity.value) / 100, heat: true }));
    this.split = h('button.toggle', { type: 'button', id: 'tool-split', 'data-t': 'tools.split', 'data-t-title': 'tools.split.title', onclick: () => actions.set({ split: !actions.look().split }) });
    this.planes = h('button.toggle', { type: 'button', id: 'tool-planes', 'data-t': 'tools.planes', 'data-t-title': 'tools.planes.title', onclick: () => actions.set({ planes: !actions.look().planes }) });
    this.jump = h('button.button.small', { type: 'button', id: 'tool-jump', 'data-t': 'tools.jump', 'data-t-title': 'tools.jump.title', onclick: actions.jump });
    this.element = h('div.tools', { role: 'group', 'data-t-label': 'tools' },
      h('div.tool-group', {}, h('span.tool-name', { 'aria-hidden': true, 'data-t': 'tools.window' }), h('div.segments', { role: 'group', 'data-t-label': 'tools.window' }, ...this.presets, this.net)),
      h('div.tool-group', {}, field('tools.level.short', this.level), field('tools.width.short', this.width)),
      h('div.tool-group', {}, this.heat, this.opacity),
      h('div.tool-group', {}, this.split, this.planes),
      this.jump);
  }

  /**
   * @param {import('../types.js').Look} look
   * @param {{evidence: boolean, answered: boolean}} scan What there is to show.
   */
  render(look, { evidence, answered }) {
    for (const [index, button] of this.presets.entries()) {
      const preset = PRESETS[index];
      if (!preset) continue;
      const { level, width } = preset.window;
      button.title = t('window.title', { level, width, key: preset.key });
      button.setAttribute('aria-pressed', String(!look.net && level === look.window.level && width === look.window.width));
    }
    this.net.setAttribute('aria-pressed', String(look.net));
    this.net.toggleAttribute('disabled', !answered);
    for (const [input, value] of /** @type {const} */ ([[this.level, look.window.level], [this.width, look.window.width]])) {
      if (document.activeElement !== input) input.value = String(value);
    }
    this.heat.setAttribute('aria-pressed', String(look.heat));
    this.heat.toggleAttribute('disabled', !evidence);
    this.opacity.disabled = !evidence;
    this.opacity.value = String(Math.round(look.opacity * 100));
    this.split.setAttribute('aria-pressed', String(look.split));
    this.split.toggleAttribute('disabled', !evidence);
    this.planes.setAttribute('aria-pressed', String(look.planes));
    this.jump.toggleAttribute('disabled', !answered);
  }

  /**
   * @param {string} key
   * @returns {Partial<import('../types.js').Look>|null}
   */
  static window(key) {
    if (key === NET_KEY) return { net: true };
    const preset = PRESETS.find((candidate) => candidate.key === key);
    return preset ? { window: preset.window, net: false } : null;
  }
}

/**
 * @param {string} label
 * @param {number} min
 * @param {number} max
 * @param {(value: number) => void} onValue
 */
function number(label, min, max, onValue) {
  const input = /** @type {HTMLInputElement} */ (h('input.number', { type: 'number', min, max, step: 5, 'data-t-label': label }));
  input.addEventListener('input', () => {
    if (input.value !== '' && Number.isFinite(input.valueAsNumber)) onValue(input.valueAsNumber);
  });
  return input;
}

/**
 * @param {string} letter
 * @param {HTMLInputElement} input
 */
function field(letter, input) {
  return h('label.field', {}, h('span', { 'data-t': letter, 'aria-hidden': true }), input);
}

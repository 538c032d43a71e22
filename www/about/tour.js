import { byId, h } from '../dom.js';
import { t } from '../i18n/i18n.js';
import { remember } from '../preferences.js';

/**
 * A tour of the page, for whoever asks for it: a small dialog that is not modal, so that a scan may be dropped, and everything
 * worked, in the middle of it. Nothing is kept of it but that it was seen.
 *
 * @typedef {object} Source
 * @property {() => boolean} hasScan
 * @property {() => void} sample Opens a drawn scan.
 */

/** Each has a title and a text, and what they are about; of several, the first that is in view. */
const STEPS = [
  { name: 'drop', about: ['#drop', '#worklist'] },
  { name: 'film', about: ['#viewer .film'] },
  { name: 'tools', about: ['#viewer .tools'] },
  { name: 'answer', about: ['#answer'] },
  { name: 'help', about: ['.bar-tools'] },
];

export class Tour {
  #dialog = /** @type {HTMLDialogElement} */ (byId('tour'));
  #at = 0;
  /** @type {Element|null} */
  #marked = null;
  /** @type {HTMLElement|null} What had the focus before. */
  #from = null;

  /** @param {Source} source */
  constructor(source) {
    this.source = source;
    this.#dialog.addEventListener('keydown', (event) => {
      if (event.key === 'Escape') this.close();
    });
  }

  start() {
    this.#at = 0;
    this.#from = document.activeElement instanceof HTMLElement ? document.activeElement : null;
    if (!this.#dialog.open) this.#dialog.show();
    this.#fill();
    byId('tour-next').focus();
  }

  close() {
    if (!this.#dialog.open) return;
    remember('tour', 'seen');
    byId('tour-offer').hidden = true;
    const within = this.#dialog.contains(document.activeElement);
    this.#dialog.close();
    this.#mark(null);
    if (!within) return;
    if (this.#from?.checkVisibility()) this.#from.focus();
    else byId('main').focus();
  }

  /** The page has changed: what a step is about may be there now, or gone, and words may be in another language. */
  render() {
    if (this.#dialog.open) this.#fill();
  }

  /** @param {number} by */
  #step(by) {
    if (by > 0 && STEPS[this.#at]?.name === 'drop' && !this.source.hasScan()) this.source.sample();
    if (this.#at + by >= STEPS.length) return this.close();
    this.#at = Math.max(0, this.#at + by);
    this.#mark(null);
    this.#fill();
  }

  #fill() {
    const step = STEPS[this.#at];
    if (!step) return;
    const last = this.#at === STEPS.length - 1;
    if (this.#dialog.childElementCount === 0) {
      this.#dialog.append(
        h('div', { id: 'tour-says', 'aria-live': 'polite' }, h('p.quiet', { id: 'tour-count' }), h('h2', { id: 'tour-title' }), h('p', { id: 'tour-text' })),
        h('p.saving', {},
          h('button.button.small.primary', { type: 'button', id: 'tour-next', onclick: () => this.#step(1) }),
          h('button.button.small', { type: 'button', id: 'tour-back', onclick: () => this.#step(-1) }),
          h('button.button.small', { type: 'button', id: 'tour-skip', onclick: () => this.close() })));
    }
    const offersSample = step.name === 'drop' && !this.source.hasScan();
    const words = {
      'tour-count': t('tour.count', { at: this.#at + 1, n: STEPS.length }),
      'tour-title': t(`tour.${step.name}`),
      'tour-text': t(`tour.${step.name}.text`),
      'tour-next': last ? t('tour.done') : offersSample ? t('tour.sample') : t('tour.next'),
      'tour-back': t('tour.back'),
      'tour-skip': t('tour.skip'),
    };
    // Only what is new: a live region says again what is written again.
    for (const [id, said] of Object.entries(words)) if (byId(id).textContent !== said) byId(id).textContent = said;
    const [back, skip] = [byId('tour-back'), byId('tour-skip')];
    if ((this.#at === 0 && document.activeElement === back) || (last && document.activeElement === skip)) byId('tour-next').focus();
    back.hidden = this.#at === 0;
    skip.hidden = last;
    this.#mark(step.about.map((about) => document.querySelector(about)).find((element) => element?.checkVisibility()) ?? null);
  }

  /** @param {Element|null} element */
  #mark(element) {
    if (element === this.#marked) return;
    this.#marked?.classList.remove('toured');
    this.#marked = element;
    element?.classList.add('toured');
    element?.scrollIntoView({ block: 'nearest' });
  }
}

/**
 * Words of the page in the person's language. A language is one file of messages: add it to `LANGUAGES`, and leave out
 * what is not translated yet, which then stays English.
 */
import { en } from './en.js';
import { it } from './it.js';

/**
 * `{name}` is replaced by a value; a pair is chosen by the value `n`.
 *
 * @typedef {Record<string, string|{one: string, other: string}>} Messages
 */

/** @type {Record<string, {name: string, messages: Messages, rightToLeft?: boolean}>} */
export const LANGUAGES = {
  en: { name: 'English', messages: en },
  it: { name: 'Italiano', messages: it },
};

let current = 'en';

/** The first of the browser's languages that there is. */
export function preferredLanguage() {
  return navigator.languages.map((tag) => tag.slice(0, 2).toLowerCase()).find((tag) => tag in LANGUAGES) ?? 'en';
}

/** @param {string} language */
export function setLanguage(language) {
  current = language in LANGUAGES ? language : 'en';
}

/**
 * @param {string} key
 * @param {Record<string, string|number>} [values]
 * @returns {string}
 */
export function t(key, values = {}) {
  const message = LANGUAGES[current]?.messages[key] ?? en[key] ?? key;
  const form = typeof message === 'string' ? message : Number(values.n) === 1 ? message.one : message.other;
  return form.replace(/\{(\w+)\}/g, (whole, name) => String(values[name] ?? whole));
}

/**
 * A sentence of the engine in the person's language. The engine speaks English and knows numbers and file names that a
 * translation by code does not: its own sentence is given too where it differs.
 *
 * @param {import('../types.js').Notice} notice
 * @returns {{text: string, original: string|null}}
 */
export function notice({ code, message }) {
  const text = current === 'en' ? undefined : LANGUAGES[current]?.messages[`code.${code}`];
  return typeof text === 'string' ? { text, original: message } : { text: message, original: null };
}

/** Attributes that name a message, and what they set. */
const PLACES = /** @type {const} */ ({ 't': null, 't-title': 'title', 't-label': 'aria-label', 't-placeholder': 'placeholder' });

/**
 * Puts the words of the language on everything below `root` that says its message by `data-t`, `data-t-title`, `data-t-label`
 * or `data-t-placeholder`.
 *
 * @param {ParentNode} root
 */
export function translate(root) {
  for (const [suffix, attribute] of Object.entries(PLACES)) {
    for (const element of root.querySelectorAll(`[data-${suffix}]`)) {
      const words = t(element.getAttribute(`data-${suffix}`) ?? '');
      if (attribute) element.setAttribute(attribute, words);
      else element.textContent = words;
    }
  }
}

/**
 * A probability for a person: never "0 %" nor "100 %", which no network can know.
 *
 * @param {number} probability
 */
export function percent(probability) {
  if (probability < 0.01) return t('percent.under');
  if (probability > 0.99) return t('percent.over');
  return `${Math.round(probability * 100)}\u00a0%`;
}

/** @param {number} milliseconds */
export function duration(milliseconds) {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

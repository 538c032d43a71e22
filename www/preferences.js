/**
 * What the person chose about the page itself (theme, language, keys, the tour seen), kept in this browser. Nothing about a scan is kept.
 * A browser that forbids storage keeps it until the page is closed.
 *
 * @typedef {'theme'|'language'|'keys'|'tour'} Name
 */

/** @type {Map<string, string>} */
const kept = new Map();

/**
 * @param {Name} name
 * @returns {string|null}
 */
export function preference(name) {
  try {
    return kept.get(name) ?? localStorage.getItem(`ictus-${name}`);
  } catch {
    return kept.get(name) ?? null;
  }
}

/**
 * @param {Name} name
 * @param {string} value
 */
export function remember(name, value) {
  kept.set(name, value);
  try {
    localStorage.setItem(`ictus-${name}`, value);
  } catch {
    // Kept in memory.
  }
}

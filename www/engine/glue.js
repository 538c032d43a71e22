/** The JavaScript of the CPU engine, which wasm-bindgen made. The single-file page has it inside (`xtask/js/single-file.mjs`). */

/** @returns {Promise<any>} */
export function loadGlue() {
  return import(new URL('../pkg/cpu/ictus.js', import.meta.url).href);
}

/**
 * The page with answers that are written here, so that its pictures depend neither on the weights that ship nor on the clock: scans
 * are read, prepared and shown as always, and the network runs; but what it says, what it took and the card of the model are these.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { otherWeights } from './weights.mjs';

/** The name of a scan says which answer it gets: see `KINDS`. */
const ANSWERS = `
const { load_model: loadModel, screen, heat } = Engine.prototype;
const KINDS = { likely: ['bleeding likely', 0.93], uncertain: ['uncertain', 0.36], calm: ['no bleeding seen', 0.12] };
/** What each scan is: of the name that it came with, and of the view that was made of it. */
const names = new Map();
const seen = new Map();
for (const method of ['add_files', 'add_sample']) {
  const add = Engine.prototype[method];
  Engine.prototype[method] = function (...given) {
    const found = add.apply(this, given);
    for (const { id, name } of JSON.parse(found).scans) names.set(id, name);
    return found;
  };
}
Engine.prototype.load_model = function (weights) {
  const model = JSON.parse(loadModel.call(this, weights));
  this.sha256 = (model.name === 'compact' ? '0123456789abcdef' : 'fedcba9876543210').repeat(4);
  return JSON.stringify({
    ...model, version: '1.2.3', sha256: this.sha256, parameters: 66101, licence: 'For research and demonstration.',
    lower: { threshold: 0.3, true_positives: 25, false_negatives: 2, true_negatives: 23, false_positives: 8 },
    upper: { threshold: 0.4, true_positives: 18, false_negatives: 9, true_negatives: 26, false_positives: 5 },
  });
};
Engine.prototype.screen = async function (id, progress, ...rest) {
  const name = names.get(id);
  if (name.includes('working')) {
    progress('prepare', 12, 30);
    return new Promise(() => {});
  }
  const answered = JSON.parse(await screen.call(this, id, progress, ...rest));
  const { report, view } = answered;
  const [finding, probability] = KINDS[Object.keys(KINDS).find((kind) => name.includes(kind)) ?? 'likely'];
  const middle = 0.55 * report.slices.length;
  const place = [Math.round(0.42 * view.rows), Math.round(0.42 * view.rows)];
  Object.assign(report, { finding, probability, timing_ms: { read: 118, order: 41, prepare: 152, network: 37, assess: 9 } });
  Object.assign(report.model, { version: '1.2.3', sha256: this.sha256 });
  report.slices.forEach((slice, z) => {
    if (slice.probability !== null) Object.assign(slice, { probability: 0.02 + 0.95 * probability * Math.exp(-(((z - middle) / 3) ** 2)), peak: place });
  });
  view.peaks = report.slices.map((slice) => slice.peak);
  seen.set(id, { view, slices: report.slices, place });
  return JSON.stringify(answered);
};
Engine.prototype.heat = function (id, z) {
  const { view, slices, place: [x, y] } = seen.get(id);
  if (slices[z].probability === null) return undefined;
  const map = new Uint8Array(view.rows * view.columns);
  const wide = 0.07 * view.rows;
  for (let i = 0; i < map.length; i++) {
    const [dx, dy] = [(i % view.columns) - x, Math.floor(i / view.columns) - y];
    map[i] = 255 * slices[z].probability * Math.exp(-(dx * dx + dy * dy) / (2 * wide * wide));
  }
  return map;
};`;

/** Says of its data what does not change with the weights that ship. */
const HEADER = {
  name: 'compact',
  data: [{ name: 'first', patients: 58, slices: 1447, fingerprint: '', licence: 'research' }, { name: 'second', patients: 63, slices: 1562, fingerprint: '', licence: 'research' }],
  metrics: { ct_ich_slice_auc: 0.91 },
};

/**
 * For `openPage`.
 *
 * @param {string} folder For the weights that the page gets.
 */
export function answered(folder) {
  const weights = otherWeights(join(folder, 'compact.safetensors'), HEADER);
  return async (/** @type {import('playwright-core').BrowserContext} */ context) => {
    await context.route('**/pkg/cpu/ictus.js', async (route) => {
      const response = await route.fetch();
      await route.fulfill({ response, body: (await response.text()) + ANSWERS });
    });
    await context.route('**/models/compact.safetensors', (route) => route.fulfill({ path: weights }));
  };
}

const INTER = readFileSync(createRequire(import.meta.url).resolve('@fontsource-variable/inter/files/inter-latin-wght-normal.woff2')).toString('base64');

/** Gives the page the first font that it asks for: those of systems have other widths, and lines would break elsewhere. */
export async function sameFont(page) {
  await page.evaluate(async (bytes) => {
    const font = Uint8Array.from(atob(bytes), (character) => character.charCodeAt(0));
    document.fonts.add(await new FontFace('Inter', font, { weight: '100 900' }).load());
    document.documentElement.style.setProperty('--mono', 'Inter');
  }, INTER);
}

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
const { load_model: loadModel, screen } = Engine.prototype;
const KINDS = { likely: ['bleeding likely', 0.93], uncertain: ['uncertain', 0.36], calm: ['no bleeding seen', 0.12] };
/** Names that scans came with, by their number. */
const names = new Map();
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
  /** The second model is another one: less sure, a little higher, and of another place. */
  this.second = model.name !== 'compact';
  this.sha256 = [...model.name.repeat(32)].map((letter) => letter.charCodeAt(0).toString(16)).join('').slice(0, 64);
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
  const said = KINDS[Object.keys(KINDS).find((kind) => name.includes(kind)) ?? 'likely'];
  const [finding, probability] = this.second ? ['bleeding likely', 0.64] : said;
  const middle = (this.second ? 0.62 : 0.55) * report.slices.length;
  const place = (this.second ? [0.39, 0.47] : [0.42, 0.42]).map((share) => Math.round(share * view.rows));
  Object.assign(report, { finding, probability, timing_ms: { read: 118, order: 41, prepare: 152, network: 37, assess: 9 } });
  Object.assign(report.model, { version: '1.2.3', sha256: this.sha256 });
  report.slices.forEach((slice, z) => {
    if (slice.probability !== null) Object.assign(slice, { probability: 0.02 + 0.95 * probability * Math.exp(-(((z - middle) / 3) ** 2)), peak: place });
  });
  view.peaks = report.slices.map((slice) => slice.peak);
  (this.seen ??= new Map()).set(id, { view, slices: report.slices, place });
  return JSON.stringify(answered);
};
Engine.prototype.heat = function (id, z) {
  const { view, slices, place: [x, y] } = this.seen.get(id);
  if (slices[z].probability === null) return undefined;
  const map = new Uint8Array(view.rows * view.columns);
  const wide = 0.07 * view.rows;
  for (let i = 0; i < map.length; i++) {
    const [dx, dy] = [(i % view.columns) - x, Math.floor(i / view.columns) - y];
    map[i] = 255 * slices[z].probability * Math.exp(-(dx * dx + dy * dy) / (2 * wide * wide));
  }
  return map;
};
/** As many maps as the network has, of bands of the slice's own values. */
Engine.prototype.layers = async function (id, z) {
  const { view, place: [x, y] } = this.seen.get(id);
  const slice = this.slice(id, z);
  return [[16, 48, 40], [24, 24, 20], [32, 12, 10], [48, 12, 10], [1, 12, 10]].map(([channels, rows, columns]) => {
    const values = Uint8Array.from({ length: channels * rows * columns }, (_, i) => {
      const [channel, row, column] = [Math.floor(i / (rows * columns)), Math.floor(i / columns) % rows, i % columns];
      const [down, across] = [((row + 0.5) / rows) * view.rows, ((column + 0.5) / columns) * view.columns];
      if (channels === 1) return 255 * Math.exp(-(((across - x) ** 2 + (down - y) ** 2) / (2 * (0.07 * view.rows) ** 2)));
      const value = slice[Math.floor(down) * view.columns + Math.floor(across)];
      return value < -20 || value > 100 ? 0 : 127 + 127 * Math.sin((value * (1 + (channel % 7))) / 20 + channel);
    });
    return { channels, rows, columns, values };
  });
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

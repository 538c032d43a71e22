/** Parts of the page that need no browser. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { test } from 'node:test';
import { counts, shareAt, wilson } from '../../www/answer/evidence.js';
import { en } from '../../www/i18n/en.js';
import { LANGUAGES } from '../../www/i18n/i18n.js';
import { csv } from '../../www/report/csv.js';
import { fit, fromCentre, pixelAt, sidesOf, spacing, zoomAt } from '../../www/viewer/geometry.js';
import { Slices } from '../../www/viewer/slices.js';
import { arranged, tally } from '../../www/worklist/arrange.js';

const root = new URL('../../', import.meta.url);
const near = (a, b, tolerance = 1e-9) => assert.ok(Math.abs(a - b) <= tolerance, `${a} and ${b}`);

test('the three answers share out all patients of the test', () => {
  const lower = { threshold: 0.25, true_positives: 26, false_negatives: 1, true_negatives: 18, false_positives: 13 };
  const upper = { threshold: 0.45, true_positives: 18, false_negatives: 9, true_negatives: 28, false_positives: 3 };
  const all = ['bleeding likely', 'uncertain', 'no bleeding seen'].map((finding) => counts(finding, lower, upper));
  assert.deepEqual(all.map(({ bleeds, clear }) => [bleeds, clear]), [[18, 3], [8, 10], [1, 18]]);
  const [likely] = all;
  // At the share of bleeds of the test itself, Bayes gives back the test's own figure.
  near(shareAt(likely, 27 / 58), 18 / 21);
  assert.ok(shareAt(likely, 0.05) < shareAt(likely, 0.2));
});

test('the interval of a share is that of Wilson and stays between 0 and 1', () => {
  // Newcombe, Stat. Med. 1998, 17, 857: 81 of 263 gives .2553 to .3662.
  const [low, high] = wilson(81, 263);
  near(low, 0.2553, 1e-4);
  near(high, 0.3662, 1e-4);
  assert.deepEqual(wilson(0, 20).map((share) => share >= 0 && share <= 1), [true, true]);
  near(wilson(20, 20)[1], 1);
});

const row = (name, probability, finding, more = {}) => ({
  key: name, id: 1, name, kind: 'dicom', slices: 3, synthetic: false, outcome: 'classified', refusal: null,
  report: { probability, finding, slices: [{ position: 0, source: 'a', probability: 0.1 }, { position: 1, source: 'b', probability: 0.9 }], warnings: [{ code: 'gantry_tilt' }], model: null, backend: 'cpu', timing_ms: { read: 1.4 } }, ...more,
});

test('scans are listed as searched, filtered and sorted', () => {
  const rows = [row('b 10', 0.9, 'bleeding likely'), row('b 2', 0.1, 'no bleeding seen'), row('c', null, null, { outcome: 'refused' }), row('d', null, null, { outcome: 'waiting' })];
  const names = (change) => arranged({ rows, search: '', filter: 'all', sort: 'added', ...change }).map(({ name }) => name);
  assert.deepEqual(names({}), ['b 10', 'b 2', 'c', 'd']);
  assert.deepEqual(names({ sort: 'name' }), ['b 2', 'b 10', 'c', 'd']);
  assert.deepEqual(names({ sort: 'probability' }).slice(0, 2), ['b 10', 'b 2']);
  assert.deepEqual(names({ search: ' B ' }), ['b 10', 'b 2']);
  assert.deepEqual(names({ filter: 'refused' }), ['c']);
  assert.deepEqual(tally(rows), { all: 4, likely: 1, uncertain: 0, none: 1, refused: 1, open: 1 });
  assert.equal(rows[0].name, 'b 10', 'the state itself is not sorted');
});

test('a table cell can neither break its line nor be run as a formula', () => {
  const [header, line] = csv([row('=cmd("x"),\n1', 0.5, 'uncertain')]).split('\r\n');
  assert.equal(header.split(',')[0], 'scan');
  assert.ok(line.startsWith(`"'=cmd(""x""),\n1",dicom,3,false,classified,uncertain,0.5,2,b,0.9,gantry_tilt,`), line);
});

test('zooming keeps the place under the pointer, and the whole picture comes back', () => {
  const frame = { width: 400, height: 300 };
  const picture = { columns: 200, rows: 100, aspect: 2 };
  const at = { x: 250, y: 120 };
  const before = fit(frame, picture, 1, { x: 0, y: 0 });
  const { zoom, pan } = zoomAt({ zoom: 1, pan: { x: 0, y: 0 } }, 2, { x: at.x - 200, y: at.y - 150 });
  const after = fit(frame, picture, zoom, pan);
  near((at.x - before.x) / before.width, (at.x - after.x) / after.width);
  near((at.y - before.y) / before.height, (at.y - after.y) / after.height);
  assert.deepEqual(zoomAt({ zoom, pan }, 0.1, { x: 9, y: 9 }), { zoom: 1, pan: { x: 0, y: 0 } });
  assert.equal(before.width / before.height, 1, 'pixels twice as high as wide');
  assert.deepEqual(pixelAt(before, picture, { x: 50, y: 0 }), { x: 0, y: 0 });
  assert.equal(pixelAt(before, picture, { x: 49, y: 0 }), null);
});

test('places are told in mm to the sides of the patient, and guessed distances are said to be', () => {
  const view = { slices: 30, rows: 101, columns: 101, slice_mm: 5, row_mm: 1, column_mm: 0.5, quarter_turns: 0 };
  assert.equal(fromCentre(view, { x: 90, y: 10 }), '20 mm L, 40 mm A');
  assert.equal(fromCentre({ ...view, quarter_turns: 2 }, { x: 90, y: 10 }), '20 mm R, 40 mm P');
  assert.equal(spacing(view).assumed, false);
  assert.equal(spacing({ ...view, slice_mm: null }).assumed, true);
});

test('the letters go round with a head that lies turned in the slices', () => {
  // At the left, right, top and bottom edge; turned clockwise by one quarter the face looks to the right.
  assert.deepEqual([0, 1, 2, 3].map(sidesOf), [['R', 'L', 'A', 'P'], ['P', 'A', 'R', 'L'], ['L', 'R', 'P', 'A'], ['A', 'P', 'L', 'R']]);
});

/** Voxels say where they are: hundreds the slice, tens the row, ones whether the column is 2. */
async function cuts(columns) {
  let arrived = 0;
  const fetchSlice = async (z) => {
    const grey = new Int16Array(4 * columns);
    for (let row = 0; row < 4; row++) {
      grey.fill(100 * z + 10 * row, row * columns, (row + 1) * columns);
      grey[row * columns + 2] += 1;
    }
    return { grey, heat: null };
  };
  return new Promise((resolve) => {
    const slices = new Slices({ slices: 3, rows: 4, columns }, fetchSlice, () => {
      if ((arrived += 1) === 3) resolve(slices);
    });
    slices.lookAt(1);
  });
}

test('the planes are cut through the voxel they name, the vertex on top', async () => {
  const slices = await cuts(5);
  const { columns, rows, grey } = slices.coronal(3);
  assert.deepEqual([columns, rows, ...grey.slice(0, 5)], [5, 3, 230, 230, 231, 230, 230]);
  assert.deepEqual([...slices.sagittal(2).grey.slice(-4)], [1, 11, 21, 31]);
});

test('a volume too large for the planes is cut from every second voxel', async () => {
  const slices = await cuts(2_500_000);
  const { columns, grey } = slices.coronal(3);
  assert.deepEqual([columns, ...grey.slice(0, 3)], [1_250_000, 220, 221, 220]);
  assert.deepEqual([...slices.sagittal(2).grey.slice(-2)], [1, 21]);
});

test('every message that the page asks for is there, and languages have no others', () => {
  const sources = readdirSync(new URL('www/', root), { recursive: true }).filter((file) => /\.(js|html)$/.test(file) && !file.startsWith('pkg')).map((file) => readFileSync(new URL(`www/${file}`, root), 'utf8')).join('\n');
  const asked = [...sources.matchAll(/(?:\bt\(|'data-t(?:-\w+)?': |data-t(?:-\w+)?=)['"]([^'"]+)['"]/g)].map(([, key]) => key);
  assert.ok(asked.length > 100);
  assert.deepEqual(asked.filter((key) => !(key in en)), []);
  const values = (message) => [...new Set((typeof message === 'string' ? message : message.one + message.other).match(/\{\w+\}/g) ?? [])].sort();
  for (const { name, messages } of Object.values(LANGUAGES)) {
    for (const [key, message] of Object.entries(messages)) {
      if (/^(code|sample)\./.test(key)) continue;
      assert.ok(key in en, `${name} has ${key}, which is not asked for`);
      assert.deepEqual(values(message), values(en[key]), `${name}: ${key}`);
    }
  }
});

test('every code of the report has an Italian sentence', () => {
  const codes = readFileSync(new URL('docs/report.md', root), 'utf8').split('## Codes')[1].match(/`[a-z0-9_]+`/g).map((code) => code.slice(1, -1));
  assert.ok(codes.length > 40);
  assert.deepEqual(codes.filter((code) => !(`code.${code}` in LANGUAGES.it.messages)), []);
});

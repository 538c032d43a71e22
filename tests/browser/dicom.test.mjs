/** The answer as DICOM: its bytes, what our own readers make of it, and that nothing in it names the patient. */
import assert from 'node:assert/strict';
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { dicomFiles, newUid, plain } from '../../www/report/dicom.js';
import { zip } from '../../www/report/zip.js';
import { PATIENCE_MS, eventually, openPage, phantom, scratch, trainer } from './harness.mjs';

const timeout = PATIENCE_MS;
const LONG = ['OB', 'OW', 'SQ', 'UT'];

/** Elements of an Explicit VR Little Endian data set, sequences as lists of items; order and lengths are held on the way. */
function elements(bytes, from = 0, to = bytes.length) {
  const found = new Map();
  let last = -1;
  for (let at = from; at < to;) {
    const tag = bytes.readUInt16LE(at) * 0x10000 + bytes.readUInt16LE(at + 2);
    const vr = bytes.toString('latin1', at + 4, at + 6);
    const long = LONG.includes(vr);
    const length = long ? bytes.readUInt32LE(at + 8) : bytes.readUInt16LE(at + 6);
    at += long ? 12 : 8;
    assert.ok(tag > last, `${tag.toString(16)} comes after ${last.toString(16)}`);
    assert.equal(length % 2, 0, `${tag.toString(16)} is of odd length`);
    last = tag;
    found.set(tag, vr === 'SQ' ? items(bytes, at, at + length) : bytes.subarray(at, at + length));
    at += length;
    assert.ok(at <= to);
  }
  return found;
}

function items(bytes, from, to) {
  const all = [];
  for (let at = from; at < to;) {
    assert.equal(bytes.readUInt32LE(at), 0xe000fffe);
    const length = bytes.readUInt32LE(at + 4);
    all.push(elements(bytes, at + 8, at + 8 + length));
    at += 8 + length;
  }
  return all;
}

/** Meta information and data set of a whole file. */
function opened(file) {
  const bytes = Buffer.from(file);
  assert.equal(bytes.toString('latin1', 128, 132), 'DICM');
  const start = 144 + bytes.readUInt32LE(140);
  return { meta: elements(bytes, 132, start), data: elements(bytes, start) };
}

const text = (value) => value.toString().replace(/[ \0]+$/, '');
const concept = (item) => text(item.get(0x0040a043)[0].get(0x00080104));
const below = (item) => item.get(0x0040a730) ?? [];

const report = {
  scan: 'Rossi^Mario', sources: ['Rossi^Mario/1.dcm'], probability: 0.8765, finding: 'bleeding likely', backend: 'cpu', model: { name: 'compact', version: '0.1.0', sha256: '5c'.repeat(32) },
  slices: [{ position: 0, source: 'Rossi^Mario/1.dcm', probability: null }, { position: 1, source: 'Rossi^Mario/2.dcm', probability: 0.91 }], warnings: [{ code: 'gantry_tilt', message: 'Rossi^Mario/1.dcm is tilted.' }],
};
const capture = { position: 1, columns: 3, rows: 5, rgb: new Uint8Array(45).fill(7) };
const subject = { report, slices: 2, synthetic: false, model: null, patientId: '', made: new Date(2026, 10, 27, 13, 5, 9) };

test('the objects are whole: meta information, order of elements, lengths, identifiers that are used once', () => {
  const files = dicomFiles(subject, [capture], true);
  assert.deepEqual(files.map(({ name }) => name), ['slice-002.dcm', 'report.dcm']);
  const [image, document] = files.map(({ bytes }) => opened(bytes));
  for (const { meta, data } of [image, document]) {
    assert.equal(text(meta.get(0x00020010)), '1.2.840.10008.1.2.1');
    assert.deepEqual(meta.get(0x00020002), data.get(0x00080016));
    assert.deepEqual(meta.get(0x00020003), data.get(0x00080018));
    assert.match(text(data.get(0x0008103e)), /research only, not for diagnosis/);
    assert.equal(text(data.get(0x00080023)) + text(data.get(0x00080033)), '20261127130509');
  }
  assert.deepEqual(image.data.get(0x0020000d), document.data.get(0x0020000d), 'one study');
  assert.notDeepEqual(image.data.get(0x0020000e), document.data.get(0x0020000e), 'two series');
  assert.equal(image.data.get(0x7fe00010).length, 46, 'pixels are padded to an even length');
  assert.equal(text(image.data.get(0x00200020)), 'L\\P');
  assert.equal(text(opened(dicomFiles(subject, [capture], false)[0].bytes).data.get(0x00200020)), '', 'sides that no file states are not claimed');
  const uids = Array.from({ length: 200 }, newUid);
  assert.equal(new Set(uids).size, 200);
  assert.ok(uids.every((uid) => /^2\.25\.[1-9]\d*$/.test(uid) && uid.length <= 64));
});

test('the report says finding, probabilities and their pictures, that nobody verified it, and what it is not for', () => {
  const [image, document] = dicomFiles(subject, [capture], true).map(({ bytes }) => opened(bytes).data);
  assert.equal(text(document.get(0x0040a493)), 'UNVERIFIED');
  assert.equal(text(document.get(0x0040a504)[0].get(0x0040db00)), '1500');
  const [measurements] = below(document).filter((item) => concept(item) === 'Imaging Measurements');
  const [whole, slice] = below(measurements);
  const number = (group) => below(group).find((item) => text(item.get(0x0040a040)) === 'NUM');
  assert.equal(text(number(whole).get(0x0040a300)[0].get(0x0040a30a)), '87.65');
  assert.equal(text(number(slice).get(0x0040a300)[0].get(0x0040a30a)), '91');
  const source = below(number(slice)).find((item) => concept(item) === 'Source of Measurement');
  assert.deepEqual(source.get(0x00081199)[0].get(0x00081155), image.get(0x00080018));
  const evaluations = below(document).find((item) => concept(item) === 'Qualitative Evaluations');
  const finding = below(evaluations).find((item) => concept(item) === 'Finding');
  assert.equal(text(finding.get(0x0040a168)[0].get(0x00080104)), 'Intracranial bleeding likely');
  assert.match(below(evaluations).map((item) => (item.has(0x0040a160) ? text(item.get(0x0040a160)) : '')).join('\n'), /^\nResearch only, not for diagnosis\..*\n.*\nWarnings: gantry_tilt\.\n/);
});

test('without a number that is typed in, the salted hash of the report stands for it', () => {
  const hash = 'ab'.repeat(32);
  const ids = (patientId) => dicomFiles({ ...subject, report: { ...report, patient_hash: hash }, patientId }, [capture], true).map(({ bytes }) => opened(bytes).data);
  for (const data of ids('')) {
    assert.equal(text(data.get(0x00100020)), hash);
    assert.equal(text(data.get(0x00120062)), 'YES');
  }
  for (const data of ids('P-17')) {
    assert.equal(text(data.get(0x00100020)), 'P-17');
    assert.equal(data.get(0x00120062), undefined, 'what a person types in may name somebody');
  }
});

test('no object names the patient or a file, unless a number is asked for', () => {
  const joined = (files) => Buffer.concat(files.map(({ bytes }) => bytes)).toString('latin1');
  assert.doesNotMatch(joined(dicomFiles(subject, [capture], true)), /Rossi|Mario|\.dcm/);
  const asked = dicomFiles({ ...subject, patientId: ' A\\17\n' }, [capture], true).map(({ bytes }) => opened(bytes).data);
  assert.deepEqual(asked.map((data) => [text(data.get(0x00100020)), data.get(0x00100010).length]), [['A 17', 0], ['A 17', 0]]);
  assert.equal(plain('é'.repeat(80)).length, 64);
});

test('the zip is one that our readers open', async (t) => {
  const folder = scratch(t);
  writeFileSync(join(folder, 'x.zip'), Buffer.from(await zip(dicomFiles(subject, [capture], true), subject.made).arrayBuffer()));
  const [line] = refusals(join(folder, 'x.zip'));
  assert.equal(line.refusal.code, 'not_ct', 'a picture of an answer is no scan to answer');
  assert.deepEqual(line.sources.map((source) => source.split('/').at(-1)), ['slice-002.dcm']);
});

/** What `inspect` says of what it refuses. */
function refusals(path) {
  try {
    trainer('inspect', path, '--json');
  } catch (error) {
    return error.stdout.trim().split('\n').map((line) => JSON.parse(line));
  }
  return assert.fail(`${path} was read as a scan`);
}

test('an answer is saved as DICOM, with its words burned in and nobody named', { timeout }, async (t) => {
  const browser = await openPage(t, { backend: 'cpu' });
  const { page } = browser;
  const folder = join(scratch(t), 'Rossi_Mario');
  mkdirSync(folder);
  cpSync(phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40'), folder, { recursive: true });
  await browser.drop(folder);
  const [{ finding }] = await browser.answers();
  assert.equal(finding, 'bleeding likely');
  await page.click('#save-dicom');
  await eventually(async () => assert.match(await page.locator('#dicom').innerText(), /for research only/));
  const [download] = await Promise.all([page.waitForEvent('download'), page.click('#dicom-zip')]);
  assert.match(download.suggestedFilename(), /\.dicom\.zip$/);
  const bytes = readFileSync(await download.path());
  assert.equal(bytes.indexOf('Rossi'), -1);
  for (const name of readdirSync(folder)) assert.equal(bytes.indexOf(name), -1, `${name} is named`);
  await eventually(async () => assert.equal(await page.locator('#dicom-state').innerText(), '4 files made'));

  await page.fill('#dicom-id', 'P-17');
  const single = [];
  page.on('download', (one) => single.push(one));
  await page.click('#dicom-files');
  await eventually(async () => assert.equal(single.length, 4));
  const files = await Promise.all(single.map(async (one) => ({ name: one.suggestedFilename(), data: opened(readFileSync(await one.path())).data })));
  assert.deepEqual(files.map(({ data }) => text(data.get(0x00100020))), Array(4).fill('P-17'));
  const images = files.filter(({ name }) => /^ictus-slice-\d{3}\.dcm$/.test(name));
  assert.equal(images.length, 3);
  for (const { data } of images) {
    const [rows, columns] = [data.get(0x00280010).readUInt16LE(), data.get(0x00280011).readUInt16LE()];
    const rgb = data.get(0x7fe00010);
    assert.equal(rgb.length, rows * columns * 3);
    const pixels = Array.from({ length: rows * columns }, (_, i) => rgb.subarray(3 * i, 3 * i + 3));
    const white = (pixel) => pixel[0] > 200 && pixel[2] > 200;
    assert.ok(pixels.slice(0, 36 * columns).filter(white).length > 500, 'words above the picture');
    assert.ok(pixels.slice(-36 * columns).filter(white).length > 200, 'words below it');
    const warm = (half) => pixels.filter((pixel, i) => pixel[0] > pixel[2] + 60 && Math.floor((2 * (i % columns)) / columns) === half).length;
    assert.equal(warm(0), 0, 'the plain slice is grey');
    assert.ok(warm(1) > 200, 'the evidence is burned in beside it');
  }
  const saved = scratch(t);
  await Promise.all(single.map((one) => one.saveAs(join(saved, one.suggestedFilename()))));
  assert.deepEqual(refusals(join(saved, 'ictus-report.dcm')).map(({ refusal }) => refusal.code), ['no_pixels']);
  assert.deepEqual(browser.errors, []);
  assert.deepEqual(await browser.requestsSinceReady(), []);
});

/** The page's engine across crashes, with workers made of a few lines, so that every crash comes at the moment it should. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Session } from '../../www/engine/session.js';
import { reportLines } from '../../www/report/lines.js';

const CRASH = { code: 'engine_crashed', message: '' };
/** Names of files that cannot be read any more. */
let gone = new Set();
/** @type {{session: Session, events: any[]}} */
let page;

/** Numbers scans as the engine does: one a file, from where it is told to. */
class Worker {
  scans = new Map();
  named = new Set();
  next = 0;

  constructor() {
    this.listeners = [];
  }

  addEventListener(type, listener, { once } = {}) {
    if (type === 'message') this.listeners.push({ listener, once });
  }

  terminate() {
    this.dead = true;
  }

  say(data) {
    if (this.dead) return;
    this.onmessage?.({ data });
    for (const { listener } of this.listeners) listener({ data });
    this.listeners = this.listeners.filter(({ once }) => !once);
  }

  async postMessage({ call, method, options }) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (method === 'trap') return this.say({ event: 'crashed', notice: CRASH });
    if (method === 'never' || options.never) return;
    try {
      this.say({ call, value: this[method]?.(options) ?? null });
    } catch (error) {
      this.say({ call, error });
    }
  }

  start() {
    return { module: {}, samples: [] };
  }

  loadModel({ bytes }) {
    this.weights = bytes;
    return { model: {}, bytes: new ArrayBuffer(8), difference: 0, selfTestMs: 0 };
  }

  addFiles({ files, from }) {
    if (files.includes('bomb')) throw CRASH;
    this.next = from;
    const scans = files.filter((name) => !gone.has(name)).map((name) => ({ id: this.next++, name, kind: 'dicom', slices: 3 }));
    for (const { id, name } of scans) this.scans.set(id, name);
    return { scans, refused: [], set_aside: [], ignored: 0 };
  }

  open({ id }) {
    if (!this.scans.has(id)) throw { code: 'unknown_scan', message: '' };
    return `${this.scans.get(id)}${this.named.has(id) ? ' as named' : ''}`;
  }

  screen({ id }) {
    return this.open({ id });
  }

  useNamedOrder({ id, named }) {
    if (named) this.named.add(id);
    else this.named.delete(id);
  }

  remove({ id }) {
    this.scans.delete(id);
  }

  screenBeside(how) {
    return { ...how, weights: this.weights };
  }
}

const add = async (...files) => (await page.session.add('addFiles', { paths: files, files })).scans.map(({ id }) => id);
const open = (id) => page.session.call('open', { id });
const crash = () => page.session.call('addFiles', { files: ['bomb'] }).catch((error) => assert.equal(error.code, 'engine_crashed'));
const coded = (code) => (error) => error.code === code;

beforeEach(async () => {
  gone = new Set();
  globalThis.Worker = /** @type {any} */ (Worker);
  const events = [];
  const session = new Session((event) => events.push(event));
  page = { session, events };
  await session.start();
  await session.loadModel('first', true);
  await session.prepareSpares();
});

test('what is dropped while a crashed engine is replaced does not take the number of another scan', async () => {
  const [a, b] = [...(await add('a')), ...(await add('b'))];
  await crash();
  // At once: the new engine has nothing yet.
  const [[c], said] = await Promise.all([add('c'), open(b)]);
  assert.equal(said, 'b');
  assert.deepEqual(await Promise.all([a, b, c].map(open)), ['a', 'b', 'c']);
  assert.deepEqual(page.events, [{ event: 'restarted', lost: [] }]);
});

test('a fresh engine reads in the order that was asked for, and holds nothing that was removed', async () => {
  const [a, b, c] = [...(await add('a', 'b')), ...(await add('c'))];
  await page.session.useNamedOrder(a, true);
  await page.session.useNamedOrder(b, true);
  await page.session.useNamedOrder(b, false);
  page.session.remove(c);
  await crash();
  assert.deepEqual(await Promise.all([a, b].map(open)), ['a as named', 'b']);
  await assert.rejects(open(c), coded('unknown_scan'));
  const [d] = await add('d');
  assert.ok(d > c, `the number ${d} was used before`);
});

test('a fresh engine has the model that was chosen last; another one beside it gets the scan as it came in', async () => {
  await add('a');
  const [b, c] = await add('b', 'c');
  await page.session.loadModel('chosen', false);
  await page.session.useNamedOrder(c, true);
  await crash();
  const { weights, bytes, scan, from, named, method, options } = await page.session.screenBeside(c, 'beside');
  assert.deepEqual([weights, bytes, scan.name, from, named, method, options.files], ['chosen', 'beside', 'c', b, true, 'addFiles', ['b', 'c']]);
  await assert.rejects(page.session.screenBeside(99, 'beside'), coded('unknown_scan'));
});

test('a scan that is not found again is lost, and nothing else gets its number', async () => {
  const [a, b, c] = [...(await add('a', 'b')), ...(await add('c'))];
  gone.add('a');
  await crash();
  assert.equal(await open(c), 'c');
  // Its drop holds one scan less, so that no number in it can be trusted.
  for (const lost of [a, b]) await assert.rejects(open(lost), coded('unknown_scan'));
  assert.deepEqual(page.events, [{ event: 'restarted', lost: [a, b] }]);
  gone.clear();
  const [d] = await add('a');
  assert.ok(d > c);
  await crash();
  assert.deepEqual(await Promise.all([c, d].map(open)), ['c', 'a']);
});

test('three bad files do not end a batch, and then it is said that nothing more goes', async () => {
  const [a] = await add('a');
  for (let n = 0; n < 3; n++) await crash();
  assert.equal(await open(a), 'a');
  await crash();
  await assert.rejects(open(a), coded('engine_stopped'));
  assert.equal(page.events.at(-1).event, 'stopped');
  assert.ok(page.events.at(-1).reason.message.length > 20);
});

test('a crash between two steps is told to the scan in work; one that another call caused is not held against it', async () => {
  const [a] = await add('a');
  const screened = page.session.call('screen', { id: a, never: true });
  page.session.call('trap').catch(() => {});
  await assert.rejects(screened, coded('engine_crashed'));
  const again = page.session.call('screen', { id: a, never: true });
  const fault = assert.rejects(again, coded('engine_restarted'));
  await crash();
  await fault;
  assert.equal(await page.session.call('screen', { id: a }), 'a');
});

test('every scan has a line in the saved reports, also one without an answer', () => {
  const row = (name, outcome, report, refusal) => ({ name, sources: [], outcome, report, refusal });
  const rows = [row('a', 'classified', { scan: 'a' }, null), row('b', 'refused', null, CRASH), row('c', 'cancelled', null, null), row('d', 'waiting', null, null)];
  const lines = reportLines(/** @type {any} */ (rows)).trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ scan }) => scan), ['a', 'b', 'c', 'd']);
  assert.deepEqual(lines.slice(1).map(({ outcome, refusal }) => [outcome, refusal.code]), [['refused', 'engine_crashed'], ['refused', 'cancelled'], ['refused', 'not_finished']]);
});

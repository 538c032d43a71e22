/** The page's engine across crashes, with workers made of a few lines, so that every crash comes at the moment it should. */
import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { Session, enginesFor } from '../../www/engine/session.js';
import { reportLines } from '../../www/report/lines.js';

const CRASH = { code: 'engine_crashed', message: '' };
/** Names of files that cannot be read any more. */
let gone = new Set();
/** Names of scans that are looked at for ever. */
let endless = new Set();
/** What the page does when a lock is free, by its name. */
let locks = new Map();
/** @type {Worker[]} */
let workers = [];
/** @type {{session: Session, events: any[]}} */
let page;

/** Numbers scans as the engine does: one a file, from where it is told to. */
class Worker {
  scans = new Map();
  named = new Set();
  next = 0;
  calls = [];

  constructor() {
    workers.push(this);
  }

  /** The browser tells nobody, but what the worker held is free. */
  terminate() {
    this.dead = true;
    locks.get(this.lock)?.();
  }

  say(data) {
    if (!this.dead) this.onmessage?.({ data });
  }

  async postMessage({ call, method, options }) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    if (this.dead) return;
    this.calls.push(method);
    if (method === 'trap') return this.say({ event: 'crashed', notice: CRASH });
    if (method === 'screen' && endless.has(this.scans.get(options.id))) return;
    try {
      this.say({ call, value: this[method]?.(options) ?? null });
    } catch (error) {
      this.say({ call, error });
    }
  }

  hold({ name }) {
    this.lock = name;
    return true;
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
    return `${this.open({ id })} with ${this.weights}`;
  }

  useNamedOrder({ id, named }) {
    if (named) this.named.add(id);
    else this.named.delete(id);
  }

  remove({ id }) {
    this.scans.delete(id);
  }

  screenBeside(how) {
    return how;
  }
}

const add = async (...files) => (await page.session.add('addFiles', { paths: files, files })).scans.map(({ id }) => id);
const open = (id) => page.session.call('open', { id });
const crash = () => page.session.call('addFiles', { files: ['bomb'] }).catch((error) => assert.equal(error.code, 'engine_crashed'));
const coded = (code) => (error) => error.code === code;
const called = (method) => workers.map(({ calls }) => calls.filter((one) => one === method).length);
const settled = () => new Promise((resolve) => setTimeout(resolve, 100));

beforeEach(async () => {
  [gone, endless, locks, workers] = [new Set(), new Set(), new Map(), []];
  globalThis.Worker = /** @type {any} */ (Worker);
  globalThis.document = /** @type {any} */ ({ baseURI: 'http://localhost/' });
  const machine = { hardwareConcurrency: 2, locks: { request: (name, free) => locks.set(name, free) } };
  Object.defineProperty(globalThis, 'navigator', { value: machine, configurable: true });
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
  assert.deepEqual(page.events, [{ event: 'restarted', lostGpu: false }]);
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

test('a fresh engine answers with the model that was chosen last; another one beside it gets the scan as it came in', async () => {
  await add('a');
  const [b, c] = await add('b', 'c');
  await page.session.loadModel('chosen', false);
  await page.session.useNamedOrder(c, true);
  await crash();
  assert.equal(await page.session.screen(b), 'b with chosen');
  const { bytes, scan, from, named, method, options } = await page.session.screenBeside(c, 'beside');
  assert.deepEqual([bytes, scan.name, from, named, method, options.files], ['beside', 'c', b, true, 'addFiles', ['b', 'c']]);
  await assert.rejects(page.session.screenBeside(99, 'beside'), coded('unknown_scan'));
});

test('a scan that is not found again is told so as long as it is gone, and nothing else gets its number', async () => {
  const [a, b, c] = [...(await add('a', 'b')), ...(await add('c'))];
  gone.add('a');
  await crash();
  assert.equal(await open(c), 'c');
  // Its drop holds one scan less, so that no number in it can be trusted.
  for (const lost of [a, b]) await assert.rejects(open(lost), coded('files_changed'));
  gone.clear();
  const [d] = await add('a');
  assert.ok(d > c);
  await crash();
  assert.deepEqual(await Promise.all([a, b, c, d].map(open)), ['a', 'b', 'c', 'a']);
});

test('three bad files do not end a batch, and then it is said that nothing more goes', async () => {
  const [a] = await add('a');
  for (let n = 0; n < 3; n++) await crash();
  assert.equal(await open(a), 'a');
  await crash();
  await assert.rejects(open(a), coded('engine_stopped'));
  await assert.rejects(page.session.screen(a), coded('engine_stopped'));
  assert.equal(page.events.at(-1).event, 'stopped');
  assert.ok(page.events.at(-1).reason.message.length > 20);
});

test('a crash between two steps is told to the scan in work; one that another call caused is not held against it', async () => {
  const [a] = await add('a');
  endless.add('a');
  const screened = page.session.screen(a);
  page.session.call('trap').catch(() => {});
  await assert.rejects(screened, coded('engine_crashed'));
  const again = page.session.screen(a);
  const fault = assert.rejects(again, coded('engine_restarted'));
  await crash();
  await fault;
  endless.clear();
  assert.equal(await page.session.screen(a), 'a with first');
});

test('two scans are looked at at a time, each asked of the engine that has it, and the second engine is made only then', async () => {
  const [a, b, c] = await add('a', 'b', 'c');
  assert.equal(page.session.width, 2);
  assert.equal(await page.session.screen(a), 'a with first');
  assert.equal(await page.session.screen(b), 'b with first');
  assert.deepEqual(called('start'), [1, 0, 0, 0]);
  endless.add('a').add('b');
  const both = [a, b].map((id) => page.session.screen(id).catch(({ code }) => code));
  await settled();
  assert.deepEqual([called('start'), called('addFiles'), called('loadModel')], [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 0, 0]]);
  // Which of the two has a scan is nothing that anybody has to know.
  assert.deepEqual(await Promise.all([a, b, c].map(open)), ['a', 'b', 'c']);
  assert.deepEqual(called('open'), [2, 1, 0, 0]);

  // One crashes: the other one's scan goes on, and so do those that follow.
  workers[0]?.say({ event: 'crashed', notice: CRASH });
  assert.equal(await both[0], 'engine_crashed');
  assert.equal(await page.session.screen(c), 'c with first');
  assert.deepEqual(await Promise.all([a, b, c].map(open)), ['a', 'b', 'c']);
  assert.equal(await Promise.race([both[1], 'in work']), 'in work');
  workers[1]?.say({ event: 'crashed', notice: CRASH });
  assert.equal(await both[1], 'engine_crashed');
  await settled();
  assert.deepEqual(page.events.map(({ event }) => event), ['restarted', 'restarted']);
});

test('an engine of two that crashed and has no successor leaves the other at work', async () => {
  const [a, b] = await add('a', 'b');
  endless.add('a').add('b');
  const both = [a, b].map((id) => page.session.screen(id).catch(({ code }) => code));
  for (let n = 0; n < 2; n++) await crash();
  await settled();
  assert.deepEqual([page.session.width, await both[0]], [2, 'engine_restarted']);
  await crash();
  assert.equal(page.session.width, 1);
  assert.equal(await open(a), 'a');
  assert.equal(await Promise.race([both[1], 'in work']), 'in work');
});

test('what is removed or read in another order is so in every engine', async () => {
  const [a, b, c] = await add('a', 'b', 'c');
  endless.add('a').add('b');
  for (const id of [a, b]) page.session.screen(id).catch(() => {});
  await settled();
  await page.session.useNamedOrder(c, true);
  page.session.remove(b);
  await settled();
  assert.deepEqual(workers.slice(0, 2).map(({ scans, named }) => [[...scans.keys()], [...named]]), [[[a, c], [c]], [[a, c], [c]]]);
});

test('a cancel reaches a scan whose engine is still being given it', async () => {
  const [a, b] = await add('a', 'b');
  endless.add('a');
  page.session.screen(a).catch(() => {});
  const second = page.session.screen(b);
  page.session.cancel(b);
  await assert.rejects(second, coded('cancelled'));
  assert.equal(await page.session.screen(b), 'b with first');
});

test('a worker that dies without a word is missed at once, whatever it was doing', async () => {
  const [a] = await add('a');
  endless.add('a');
  const screened = page.session.screen(a);
  await settled();
  workers[0]?.terminate();
  await assert.rejects(screened, coded('engine_gone'));
  endless.clear();
  assert.equal(await page.session.screen(a), 'a with first');
  // A spare that died takes nobody's place.
  workers[2]?.terminate();
  await crash();
  assert.equal(await open(a), 'a');
  assert.equal(page.session.width, 1);
});

test('as many engines compute as the machine has room for', () => {
  const cases = [[{}, 1], [{ hardwareConcurrency: 1, deviceMemory: 8 }, 1], [{ hardwareConcurrency: 2 }, 2], [{ hardwareConcurrency: 16 }, 2],
    [{ hardwareConcurrency: 8, deviceMemory: 8 }, 4], [{ hardwareConcurrency: 16, deviceMemory: 8 }, 4], [{ hardwareConcurrency: 6, deviceMemory: 8 }, 3], [{ hardwareConcurrency: 8, deviceMemory: 2 }, 1]];
  for (const [machine, engines] of cases) assert.equal(enginesFor(/** @type {any} */ (machine)), engines, JSON.stringify(machine));
});

test('every scan has a line in the saved reports, also one without an answer', () => {
  const row = (name, outcome, report, refusal) => ({ name, sources: [], outcome, report, refusal });
  const rows = [row('a', 'classified', { scan: 'a' }, null), row('b', 'refused', null, CRASH), row('c', 'cancelled', null, null), row('d', 'waiting', null, null)];
  const lines = reportLines(/** @type {any} */ (rows)).trim().split('\n').map((line) => JSON.parse(line));
  assert.deepEqual(lines.map(({ scan }) => scan), ['a', 'b', 'c', 'd']);
  assert.deepEqual(lines.slice(1).map(({ outcome, refusal }) => [outcome, refusal.code]), [['refused', 'engine_crashed'], ['refused', 'cancelled'], ['refused', 'not_finished']]);
});

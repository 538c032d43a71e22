/** The page in WebKit: opened, given scans as a person does, answering as the native build does, refusing. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS, SITE, eventually, phantom, predict, scratch, serveFolder } from './harness.mjs';

const driver = process.env.ICTUS_WEBKIT;
const xvfb = process.env.ICTUS_XVFB;
const skip = driver && xvfb ? false : 'there is no WebKit with a WebDriver';
const bleeding = (format) => phantom('bleeding', format, '--seed', '7', '--bleed', 'intraparenchymal:40');
const filesIn = (folder) => readdirSync(folder).map((file) => join(folder, file));

/** How WebDriver marks an element in JSON. */
const ELEMENT = 'element-6066-11e4-a52e-4f735466cecf';

/** Starts a program that ends with the test. */
function start(t, program, words, options = {}) {
  const child = spawn(program, words, { stdio: ['ignore', 'ignore', 'ignore'], ...options });
  const ended = new Promise((resolve) => child.once('close', resolve));
  t.after(() => {
    child.kill();
    return ended;
  });
  return child;
}

/** A display that nobody sees; it tells its number once it is up. */
async function display(t) {
  const server = start(t, xvfb, ['-displayfd', '3', '-screen', '0', '1280x900x24', '-nolisten', 'tcp'], { stdio: ['ignore', 'ignore', 'ignore', 'pipe'] });
  return new Promise((resolve, reject) => {
    server.stdio[3].once('data', (number) => resolve(`:${String(number).trim()}`));
    server.once('close', () => reject(new Error('Xvfb ended')));
  });
}

/** A port that is free now. */
async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** What these tests need of a browser over WebDriver (https://www.w3.org/TR/webdriver2/). */
class WebDriver {
  static async open(t) {
    const port = await freePort();
    const browser = new WebDriver();
    // Hooks run in this order: the browser is closed before its driver.
    t.after(() => browser.ask('DELETE', ''));
    start(t, driver, [`--port=${port}`], { env: { ...process.env, DISPLAY: await display(t) } });
    browser.base = `http://127.0.0.1:${port}`;
    for (const end = Date.now() + PATIENCE_MS / 10; !(await fetch(`${browser.base}/status`).then(({ ok }) => ok, () => false));) {
      if (Date.now() > end) throw new Error('the WebDriver does not answer');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    const { sessionId } = await browser.ask('POST', '/session', { capabilities: { alwaysMatch: { timeouts: { script: PATIENCE_MS, pageLoad: PATIENCE_MS } } } });
    browser.base += `/session/${sessionId}`;
    await browser.ask('POST', '/window/rect', { x: 0, y: 0, width: 1280, height: 900 });
    return browser;
  }

  async ask(method, path, body) {
    const response = await fetch(this.base + path, { method, ...(body && { body: JSON.stringify(body) }) });
    const { value } = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${value.error}: ${value.message}`);
    return value;
  }

  /** Runs a function in the page. */
  run(work, ...args) {
    return this.ask('POST', '/execute/sync', { script: `return (${work}).apply(null, arguments);`, args });
  }

  async find(selector) {
    return (await this.ask('POST', '/element', { using: 'css selector', value: selector }))[ELEMENT];
  }

  async click(selector) {
    await this.ask('POST', `/element/${await this.find(selector)}/click`, {});
  }

  /** Types, or chooses files. */
  async type(selector, text) {
    await this.ask('POST', `/element/${await this.find(selector)}/value`, { text });
  }

  async press(key) {
    await this.ask('POST', '/actions', { actions: [{ type: 'key', id: 'keyboard', actions: [{ type: 'keyDown', value: key }, { type: 'keyUp', value: key }] }] });
  }

  /** Waits until a function of the page gives something. */
  async until(work, ...args) {
    for (const end = Date.now() + PATIENCE_MS; ;) {
      const value = await this.run(work, ...args);
      if (value) return value;
      if (Date.now() > end) throw new Error(`still not so: ${work}`);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** What the rows say once `count` scans are through. */
  answers(count) {
    return this.until((count) => {
      const rows = [...document.querySelectorAll('[data-scan]')];
      return rows.length >= count && rows.every((row) => ['classified', 'refused'].includes(row.dataset.outcome)) && rows.map((row) => ({ ...row.dataset }));
    }, count);
  }
}

test('in WebKit scans that are chosen, dropped and drawn are answered, a letter is refused, and nothing is asked for', { timeout: 2 * PATIENCE_MS, skip }, async (t) => {
  const serving = await serveFolder(t, SITE);
  const browser = await WebDriver.open(t);
  await browser.ask('POST', '/url', { url: `${serving.url}?backend=cpu` });
  await browser.run(() => {
    globalThis.faults = [];
    addEventListener('error', ({ message }) => globalThis.faults.push(message));
    addEventListener('unhandledrejection', ({ reason }) => globalThis.faults.push(String(reason)));
  });
  await browser.until(() => document.body.dataset.phase === 'ready');
  assert.ok(serving.requests.some((path) => path.endsWith('/ictus_bg.wasm')), 'the requests of the worker are not seen');
  const loaded = serving.requests.length;

  await browser.type('#choose-files', filesIn(bleeding('nifti')).join('\n'));
  await browser.answers(1);
  // No protocol drags files from the desktop: what was chosen in another field is dropped by a script.
  await browser.run(() => document.body.append(Object.assign(document.createElement('input'), { type: 'file', multiple: true, id: 'hand' })));
  const drop = async (...paths) => {
    await browser.type('#hand', paths.join('\n'));
    await browser.run(() => {
      const hand = document.querySelector('#hand');
      const dataTransfer = new DataTransfer();
      for (const file of hand.files) dataTransfer.items.add(file);
      hand.value = '';
      for (const type of ['dragenter', 'dragover', 'drop']) document.body.dispatchEvent(new DragEvent(type, { bubbles: true, cancelable: true, dataTransfer }));
    });
  };
  await drop(...filesIn(bleeding('dicom')));
  await browser.answers(2);
  const letter = join(scratch(t), 'letter.txt');
  writeFileSync(letter, 'Dear colleague, the scan is on the disc.\n');
  await drop(letter);
  await browser.answers(3);
  await browser.run(() => document.querySelector('[data-sample="1"]').click());
  const rows = await browser.answers(4);
  assert.deepEqual(rows.map(({ outcome }) => outcome), ['classified', 'classified', 'refused', 'classified']);
  for (const [place, format] of ['nifti', 'dicom'].entries()) {
    const [expected] = predict(bleeding(format));
    assert.ok(Math.abs(Number(rows[place].probability) - expected.probability) <= 1e-4, `${format}: ${rows[place].probability}, not ${expected.probability}`);
    assert.equal(rows[place].finding, expected.finding);
  }

  // The films show the scan, keys lead through it, and the answer stands beside.
  await browser.click('.row-open');
  for (const name of ['axial', 'coronal', 'sagittal']) {
    await browser.until((name) => {
      const canvas = document.querySelector(`#film-${name}`);
      return canvas.width > 0 && canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value, i) => i % 4 !== 3 && value > 0);
    }, name);
  }
  const slice = () => browser.run(() => Number(document.querySelector('#ladder').getAttribute('aria-valuenow')));
  const from = await slice();
  await browser.press('\uE013');
  await eventually(async () => assert.equal(await slice(), from + 1));
  assert.match(await browser.run(() => document.querySelector('#answer').innerText), /\d\s?%/);
  await browser.click('#bar-privacy');
  assert.equal(await browser.until(() => document.querySelector('#privacy[open] #requests-count strong')?.textContent), '0');

  assert.deepEqual(serving.requests.slice(loaded), [], 'asked for after the page was ready');
  assert.deepEqual(await browser.run(() => globalThis.faults), []);
});

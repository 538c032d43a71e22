/**
 * A real browser with the page in it, handled as a person does, and watched: every request and every error is kept.
 *
 * `cargo xtask test` sets the environment: `ICTUS_URL`, `ICTUS_CHROMIUM`, `ICTUS_TRAINER`, `ICTUS_SCRATCH`, and `ICTUS_FIREFOX` where there is one.
 */
import { AssertionError } from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium } from 'playwright-core';

const need = (name) => {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set; run these tests with \`cargo xtask test --browser\``);
  return value;
};

export const URL_OF_PAGE = need('ICTUS_URL');
export const ORIGIN = new URL(URL_OF_PAGE).origin;
const TRAINER = need('ICTUS_TRAINER');
const SCRATCH = need('ICTUS_SCRATCH');
/** Where a test that failed leaves what a person has to see. */
export const OUTPUT = join(SCRATCH, 'output');
/** The folder that `cargo xtask dist` makes. */
export const SITE = need('ICTUS_SITE');

/** Chromium's own chatter would hide the page's. */
const QUIET = ['--no-sandbox', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync'];
/** Real WebGPU, computed on the CPU: shaders and limits are those of a GPU, the speed is not. */
const SOFTWARE_GPU = ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader'];
/** Long enough for a software GPU on two busy cores. */
export const PATIENCE_MS = 300_000;

/**
 * Makes a check again until it holds: a page draws what a hand did in the next frames, and a busy machine has few of them.
 * What must *not* change is no case for this.
 *
 * @param {() => Promise<void>} check
 */
export async function eventually(check) {
  for (const end = Date.now() + PATIENCE_MS / 10; ;) {
    try {
      return await check();
    } catch (error) {
      if (!(error instanceof AssertionError) || Date.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/**
 * Opens the page in a browser of its own, and closes both after the test.
 *
 * @param {import('node:test').TestContext} t
 * @param {{url?: string, backend?: 'cpu'|'webgpu', gpu?: boolean, phase?: string, cores?: number, route?: (context: import('playwright-core').BrowserContext) => Promise<void>, device?: import('playwright-core').BrowserContextOptions}} options
 */
export async function openPage(t, { url = URL_OF_PAGE, backend, gpu = backend === 'webgpu', phase = 'ready', cores, route, device = {} } = {}) {
  const netLog = join(mkdtempSync(join(tmpdir(), 'ictus-')), 'net.json');
  const browser = await chromium.launch({
    executablePath: need('ICTUS_CHROMIUM'),
    args: [...QUIET, ...(gpu ? SOFTWARE_GPU : ['--disable-features=WebGPU', '--disable-gpu']), `--log-net-log=${netLog}`],
  });
  t.after(() => browser.close());
  const context = await browser.newContext({ viewport: { width: 1280, height: 800 }, acceptDownloads: true, ...device });
  await route?.(context);
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  const opened = new Page(browser, page, netLog);
  await page.addInitScript(() => {
    globalThis.drops = 0;
    addEventListener('drop', () => { globalThis.drops += 1; }, true);
    const look = () => {
      if (document.body?.dataset.phase === 'ready') globalThis.readyAt ??= Date.now();
    };
    new MutationObserver(look).observe(document, { subtree: true, childList: true, attributes: true });
  });
  if (cores) await page.addInitScript((cores) => Object.defineProperty(Navigator.prototype, 'hardwareConcurrency', { get: () => cores }), cores);
  await page.goto(backend ? `${url}?backend=${backend}` : url);
  await page.waitForSelector(`body[data-phase="${phase}"]`);
  return opened;
}

class Page {
  /** @type {{url: string, at: number}[]} */
  requests = [];
  /** What reached the console as an error, and exceptions that nobody caught. */
  errors = [];

  constructor(browser, page, netLog) {
    Object.assign(this, { browser, page, netLog });
    page.on('request', (request) => this.requests.push({ url: request.url(), at: Date.now(), request }));
    page.on('console', (message) => {
      if (message.type() === 'error' || /panicked/.test(message.text())) this.errors.push(message.text());
    });
    page.on('pageerror', (error) => this.errors.push(String(error)));
  }

  /**
   * Drags files and folders from the desktop onto the page. Where a new line of the list comes under the pointer in the middle
   * of it, the browser forgets the drag, and the hand does it again.
   */
  async drop(...paths) {
    const session = await this.page.context().newCDPSession(this.page);
    const data = { items: [], files: paths, dragOperationsMask: 1 };
    const before = await this.page.evaluate(() => globalThis.drops);
    const arrived = () => this.page.waitForFunction((before) => globalThis.drops > before, before, { timeout: PATIENCE_MS / 20 }).then(() => true, () => false);
    do {
      for (const type of ['dragEnter', 'dragOver', 'drop']) {
        await session.send('Input.dispatchDragEvent', { type, x: 160, y: 300, data });
      }
    } while (!await arrived());
    await session.detach();
  }

  /** Drags a file over the page, and away again after `meanwhile`. */
  async hover(meanwhile, path) {
    const session = await this.page.context().newCDPSession(this.page);
    const at = { x: 160, y: 300, data: { items: [], files: [path], dragOperationsMask: 1 } };
    await session.send('Input.dispatchDragEvent', { type: 'dragEnter', ...at });
    await session.send('Input.dispatchDragEvent', { type: 'dragOver', ...at });
    await meanwhile();
    await session.send('Input.dispatchDragEvent', { type: 'dragCancel', ...at });
    await session.detach();
  }

  /** Chooses files, or one folder, with the page's buttons. */
  async choose(what, ...paths) {
    const [chooser] = await Promise.all([
      this.page.waitForEvent('filechooser'),
      this.page.locator(`[data-choose="${what}"]:visible`).first().click(),
    ]);
    await chooser.setFiles(what === 'folder' ? paths[0] : paths);
  }

  /** Waits until `count` scans are through, and returns what their rows say. */
  async answers(count = 1) {
    await this.page.waitForFunction((count) => {
      const rows = [...document.querySelectorAll('[data-scan]')];
      return rows.length >= count && rows.every((row) => ['classified', 'refused', 'cancelled'].includes(row.dataset.outcome));
    }, count);
    return this.page.$$eval('[data-scan]', (rows) => rows.map((row) => ({ ...row.dataset })));
  }

  /** Which slice the viewer shows, from 1. */
  async slice() {
    return Number(await this.page.locator('#ladder').getAttribute('aria-valuenow'));
  }

  /** Waits until the viewer shows `slice`, from 1. */
  async atSlice(slice) {
    await this.page.waitForFunction((slice) => document.querySelector('#ladder')?.getAttribute('aria-valuenow') === String(slice), slice);
  }

  /** Waits until a film shows a picture, and as long as slices keep arriving in it. */
  async picture(name) {
    let last = '';
    for (;;) {
      const now = await this.page.$eval(`#film-${name}`, (canvas) => {
        const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
        let sum = 0;
        for (let i = 0; i < data.length; i++) sum = (sum * 31 + data[i]) | 0;
        return data.some((value, i) => i % 4 !== 3 && value > 0) ? String(sum) : '';
      });
      if (now !== '' && now === last) return now;
      last = now;
      await this.page.waitForTimeout(400);
    }
  }

  /** The reports of all scans, as the page saves them. */
  async saved() {
    const [download] = await Promise.all([this.page.waitForEvent('download'), this.page.click('#save-all')]);
    return readFileSync(await download.path(), 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  }

  /** Clears the list away. */
  async startAgain() {
    await this.page.click('#home');
    await this.page.click('#again-yes');
    await this.page.locator('#start').waitFor();
  }

  /** Facts that the page's diagnostics state. */
  async diagnostics() {
    await this.page.click('#engine');
    const sheet = this.page.locator('#diagnostics[open]');
    // What an earlier look left is still in it until it opens.
    await sheet.waitFor();
    const text = await this.page.locator('.diagnostics-text').textContent();
    await this.page.keyboard.press('Escape');
    await sheet.waitFor({ state: 'hidden' });
    return JSON.parse(text);
  }

  /** Requests that left after the page had said that it was ready. */
  async requestsSinceReady() {
    const readyAt = await this.page.evaluate(() => globalThis.readyAt);
    return this.requests
      .filter(({ url }) => /^https?:/.test(url))
      .filter(({ request, at }) => (request.timing().startTime > 0 ? request.timing().startTime : at) > readyAt)
      .map(({ url }) => url);
  }

  /**
   * Everything that pages and workers of our origin asked the network for, as Chromium's own log of it says. Closes the
   * browser, which finishes the log.
   */
  async networkLog() {
    await this.browser.close();
    const { constants, events } = JSON.parse(readFileSync(this.netLog, 'utf8'));
    const start = constants.logEventTypes.URL_REQUEST_START_JOB;
    return events
      .filter(({ type, params }) => type === start && /^(https?|wss?):/.test(params?.url ?? ''))
      .filter(({ params }) => params.url.startsWith(ORIGIN) || params.initiator === ORIGIN)
      .map(({ params }) => params.url);
  }
}

/** Runs the native command line and returns its standard output. */
export function trainer(...words) {
  return execFileSync(TRAINER, words, { encoding: 'utf8', maxBuffer: 1 << 28, stdio: ['ignore', 'pipe', 'pipe'] });
}

/** What the native build answers on `path`: one report a scan. */
export function predict(path) {
  return trainer('predict', path, '--json').trim().split('\n').map((line) => JSON.parse(line));
}

/**
 * Draws a synthetic head CT once and returns the folder with its files.
 *
 * @param {string} name
 * @param {'dicom'|'nifti'|'jpg'|'png'} format
 * @param {...string} more
 */
export function phantom(name, format, ...more) {
  const folder = join(SCRATCH, `${name}-${format}`);
  if (!existsSync(folder)) {
    // Drawn aside first: what an interrupted run leaves is not taken for a whole scan.
    const fresh = `${folder}.new`;
    rmSync(fresh, { recursive: true, force: true });
    mkdirSync(fresh, { recursive: true });
    trainer('phantom', '--out', fresh, '--format', format, ...more);
    renameSync(fresh, folder);
  }
  return innermost(folder);
}

/** Down through folders that hold one folder and nothing else. */
function innermost(folder) {
  const [only, ...rest] = readdirSync(folder, { withFileTypes: true });
  return only?.isDirectory() && rest.length === 0 ? innermost(join(folder, only.name)) : folder;
}

/**
 * Serves a folder as the plainest of hosts does: files by their names, few types, no other header.
 *
 * @param {import('node:test').TestContext} t
 * @param {string} folder May be exchanged: `serving.folder = other`.
 * @param {Record<string, string>} headers
 */
export async function serveFolder(t, folder, headers = {}) {
  const base = '/some/path/';
  const types = { html: 'text/html', css: 'text/css', js: 'text/javascript', svg: 'image/svg+xml' };
  const serving = { folder, url: '', requests: /** @type {string[]} */ ([]), stop: () => Promise.resolve() };
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? '', 'http://localhost');
    serving.requests.push(pathname);
    const path = join(serving.folder, pathname.startsWith(base) ? pathname.slice(base.length) || 'index.html' : 'nothing');
    if (!statSync(path, { throwIfNoEntry: false })?.isFile()) return response.writeHead(404).end();
    const type = types[path.slice(path.lastIndexOf('.') + 1)] ?? 'application/octet-stream';
    response.writeHead(200, { 'Content-Type': type, ...headers }).end(readFileSync(path));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined)));
  serving.url = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}${base}`;
  serving.stop = () => new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });
  t.after(serving.stop);
  return serving;
}

/** An empty folder for files that a test makes itself; it is removed after the test. */
export function scratch(t) {
  const folder = mkdtempSync(join(tmpdir(), 'ictus-drop-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** A folder with `count` folders, each with a copy of the scan in `from`. */
export function copies(t, from, count) {
  const drop = scratch(t);
  for (let n = 1; n <= count; n++) cpSync(from, join(drop, `scan ${n}`), { recursive: true });
  return drop;
}

/** A folder with the slices of one patient of the study, named as the archive names them. */
export function realScan(t, patient) {
  const folder = scratch(t);
  const name = new RegExp(`^${patient} \\(\\d+\\)\\.jpg$`);
  for (const group of ['Normal', 'Stroke']) {
    const from = join(need('ICTUS_DATA'), 'ct-ich/brain_ct_data', group);
    for (const file of readdirSync(from)) if (name.test(file)) copyFileSync(join(from, file), join(folder, file));
  }
  if (readdirSync(folder).length === 0) throw new Error(`no slices of patient ${patient}`);
  return folder;
}

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, readdirSync, renameSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { PATIENCE_MS, SITE, eventually, openPage, phantom, predict, scratch, serveFolder } from './harness.mjs';

const timeout = PATIENCE_MS;
const scan = () => phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40');
const ready = (page) => page.waitForSelector('body[data-phase="ready"]');
const near = (a, b) => assert.ok(Math.abs(a - b) <= 1e-4, `${a} and ${b} differ`);

/** What `dist` tells the service worker of the site. */
function siteList() {
  const worker = readFileSync(join(SITE, 'sw.js'), 'utf8');
  return JSON.parse(worker.slice('self.SITE = '.length, worker.indexOf(';\n')));
}

/** A copy of the site with another style sheet, as a newer `cargo xtask dist` would make it. */
function newerSite(t) {
  const site = scratch(t);
  cpSync(SITE, site, { recursive: true });
  const worker = readFileSync(join(site, 'sw.js'), 'utf8');
  const made = siteList();
  const { version } = made;
  const newer = [...version].reverse().join('');
  renameSync(join(site, version), join(site, newer));
  appendFileSync(join(site, newer, 'page.css'), '.brand span { font-style: italic; }\n');
  const renamed = (path) => path.replace(version, newer);
  writeFileSync(join(site, 'index.html'), readFileSync(join(site, 'index.html'), 'utf8').replaceAll(version, newer));
  const integrity = (path) => `sha256-${createHash('sha256').update(readFileSync(join(site, path || 'index.html'))).digest('base64')}`;
  const list = (group) => Object.fromEntries(Object.keys(group).map(renamed).map((path) => [path, integrity(path)]));
  const manifest = { ...made, version: newer, always: list(made.always), gpu: list(made.gpu) };
  writeFileSync(join(site, 'sw.js'), `self.SITE = ${JSON.stringify(manifest)}${worker.slice(worker.indexOf(';\n'))}`);
  return { site, version: newer };
}

const brandStyle = (page) => page.locator('.brand span').evaluate((element) => getComputedStyle(element).fontStyle);

test('once it was open the page answers without its server, and asks for nothing after it is ready', { timeout }, async (t) => {
  const serving = await serveFolder(t, SITE);
  const opened = await openPage(t, { url: serving.url, backend: 'cpu' });
  assert.deepEqual(await opened.requestsSinceReady(), []);
  await serving.stop();
  const asked = serving.requests.length;
  await opened.page.reload();
  await ready(opened.page);
  await opened.page.locator('[data-sample="0"]').click();
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  await opened.drop(scan());
  const [expected] = predict(scan());
  const answers = await opened.answers(2);
  near(Number(answers[1].probability), expected.probability);
  assert.equal(serving.requests.length, asked);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('the WebGPU engine is kept where it is used', { timeout: 2 * timeout }, async (t) => {
  const serving = await serveFolder(t, SITE);
  const opened = await openPage(t, { url: serving.url, backend: 'webgpu' });
  await serving.stop();
  await opened.page.reload();
  await ready(opened.page);
  await opened.drop(scan());
  const [answer] = await opened.answers();
  assert.equal(answer.backend, 'webgpu');
});

test('a newer version is offered, and taken over whole when the person says so', { timeout }, async (t) => {
  const serving = await serveFolder(t, SITE);
  const { page } = await openPage(t, { url: serving.url, backend: 'cpu' });
  const { site, version } = newerSite(t);
  serving.folder = site;
  await page.reload();
  const newer = page.locator('#newer');
  await newer.waitFor();
  await ready(page);
  assert.equal(await brandStyle(page), 'normal', 'the old version stays whole until then');
  await newer.getByRole('button').click();
  await page.waitForSelector(`script[src^="${version}/"]`, { state: 'attached' });
  await ready(page);
  assert.equal(await brandStyle(page), 'italic');
  await newer.waitFor({ state: 'detached' });
  await eventually(async () => assert.equal(await page.evaluate(async () => (await caches.keys()).length), 1, 'the old version is gone'));
});

test('an upload that was cut short or changed on the way is never taken over', { timeout }, async (t) => {
  const serving = await serveFolder(t, SITE);
  const { page } = await openPage(t, { url: serving.url, backend: 'cpu' });
  const { site, version } = newerSite(t);
  appendFileSync(join(site, version, 'worker.js'), '\n');
  serving.folder = site;
  await page.reload();
  await ready(page);
  await eventually(async () => assert.equal(await page.locator('#newer').count(), 0));
  await serving.stop();
  await page.reload();
  await ready(page);
  assert.equal(await brandStyle(page), 'normal');
  await eventually(async () => assert.equal(await page.evaluate(async () => (await caches.keys()).length), 1));
});

test('kept files come with the policy, so that it binds the workers on a host without headers', { timeout }, async (t) => {
  const serving = await serveFolder(t, SITE);
  const { page } = await openPage(t, { url: serving.url, backend: 'cpu' });
  await page.reload();
  await ready(page);
  const headers = await page.evaluate(async () => {
    const [name] = await caches.keys();
    const kept = await (await caches.open(name)).matchAll();
    return kept.map(({ headers }) => headers.get('Content-Security-Policy'));
  });
  assert.ok(headers.length > 10);
  for (const policy of headers) assert.match(policy, /connect-src 'self'/);
});

test('the page works with the headers that docs/hosting.md recommends, isolated from other sites', { timeout }, async (t) => {
  const recommended = /```headers\n([^`]+)```/.exec(readFileSync(new URL('../../docs/hosting.md', import.meta.url), 'utf8'))?.[1] ?? '';
  const headers = Object.fromEntries(recommended.trim().split('\n').map((line) => line.split(': ')));
  assert.equal(headers['Content-Security-Policy'], siteList().policy, 'the document has the policy of the page');
  const serving = await serveFolder(t, SITE, headers);
  const opened = await openPage(t, { url: serving.url, backend: 'cpu' });
  assert.ok(await opened.page.evaluate(() => crossOriginIsolated));
  await opened.drop(scan());
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  // The next visit is answered from what was kept.
  await serving.stop();
  await opened.page.reload();
  await ready(opened.page);
  assert.ok(await opened.page.evaluate(() => crossOriginIsolated));
  assert.deepEqual(opened.errors, []);
});

test('the page in one file answers by double click, and can reach nothing', { timeout }, async (t) => {
  const opened = await openPage(t, { url: pathToFileURL(join(SITE, 'ictus.html')).href });
  // On a page from a disk Chromium asks the person before it reads a folder under ~/.cache, where the fixtures may lie.
  const dropped = join(mkdtempSync(join(tmpdir(), 'ictus-')), 'scan');
  cpSync(scan(), dropped, { recursive: true });
  await opened.drop(dropped);
  const [expected] = predict(scan());
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  assert.equal(answer.backend, 'cpu');
  near(Number(answer.probability), expected.probability);
  await opened.page.locator('#answer').waitFor();
  const fetched = await opened.page.evaluate(() => fetch('https://example.org/').then(() => 'fetched', () => 'blocked'));
  assert.equal(fetched, 'blocked');
  // The policy's own report of that fetch is the only error.
  assert.deepEqual(opened.errors.filter((error) => !/connect-src|example\.org/.test(error)), []);
  assert.deepEqual(opened.requests.filter(({ url }) => /^https?:/.test(url) && !url.startsWith('https://example.org')), []);
});

test('every file of the site is the one that SHA256SUMS names', () => {
  const sums = readFileSync(join(SITE, 'SHA256SUMS'), 'utf8').trim().split('\n').map((line) => line.split('  '));
  for (const [sum, path] of sums) assert.equal(createHash('sha256').update(readFileSync(join(SITE, path))).digest('hex'), sum, path);
  const files = readdirSync(SITE, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && !/\.(gz|br)$/.test(entry.name));
  assert.equal(files.length, sums.length + 1);
});

/** The recipes of docs/hosting.md, each with the server that it is for, where that is installed. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS, SITE, openPage, phantom, scratch } from './harness.mjs';

const timeout = PATIENCE_MS;
const hosting = readFileSync(new URL('../../docs/hosting.md', import.meta.url), 'utf8');
const scan = () => phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40');
const version = readdirSync(SITE).find((name) => /^[0-9a-f]{16}$/.test(name));

/** @param {string} kind What stands behind the three back quotes. */
function recipe(kind) {
  const found = new RegExp(`\`\`\`${kind}\n([^\`]+)\`\`\``).exec(hosting)?.[1];
  assert.ok(found, `docs/hosting.md has a recipe for ${kind}`);
  return found;
}

const headers = () => recipe('headers').trim().split('\n').map((line) => /** @type {[string, string]} */ (line.split(/: (.*)/).slice(0, 2)));

/** @returns {Promise<number>} */
function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
      server.close(() => resolve(port));
    });
  });
}

/**
 * Runs a server until the test is over; resolves when it answers.
 *
 * @param {import('node:test').TestContext} t
 * @param {string} url
 * @param {string} program
 * @param {string[]} options
 */
async function serve(t, url, program, options) {
  const server = spawn(program, options, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = new Promise((resolve) => server.once('exit', resolve));
  let said = '';
  server.stderr.on('data', (text) => { said += text; });
  t.after(async () => {
    server.kill();
    await ended;
  });
  for (const end = Date.now() + 20_000; ;) {
    const answered = await fetch(url).then(({ ok }) => ok, () => false);
    if (answered) return;
    assert.ok(server.exitCode === null && Date.now() < end, `${program} does not serve ${url}: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Whether a program is there; where it is not, the test says so and is counted as skipped. */
function lacks(program, ...options) {
  return spawnSync(program, options).status === 0 ? false : `${program} is not installed`;
}

/** @param {import('node:test').TestContext} t */
async function answers(t, url) {
  const opened = await openPage(t, { url, backend: 'cpu' });
  await opened.drop(scan());
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  assert.deepEqual(opened.errors, []);
  return opened;
}

/** @param {import('node:test').TestContext} t */
async function answersIsolated(t, url) {
  const { page } = await answers(t, url);
  assert.ok(await page.evaluate(() => crossOriginIsolated));
  return page;
}

/** Every file comes with the headers, the version's own for ever, and the others to be asked for again. */
async function assertHeaders(url) {
  for (const path of ['', `${version}/worker.js`]) {
    const sent = (await fetch(url + path)).headers;
    for (const [name, value] of headers()) assert.equal(sent.get(name), value, path);
  }
  const cacheControl = async (path) => (await fetch(url + path)).headers.get('cache-control');
  assert.equal(await cacheControl(''), 'no-cache');
  assert.equal(await cacheControl('sw.js'), 'no-cache');
  assert.equal(await cacheControl(`${version}/app.js`), 'max-age=31536000, immutable');
}

test('python3 -m http.server', { timeout, skip: lacks('python3', '--version') }, async (t) => {
  const port = await freePort();
  const [, ...options] = /^ {4}(python3 -m http\.server .*)$/m.exec(hosting)?.[1].split(' ') ?? [];
  const here = options.map((option) => (option === 'target/site' ? SITE : option === '8000' ? `${port}` : option));
  const url = `http://127.0.0.1:${port}/`;
  await serve(t, url, 'python3', [...here, '--bind', '127.0.0.1']);
  await answers(t, url);
});

test('nginx', { timeout, skip: lacks('nginx', '-v') }, async (t) => {
  const port = await freePort();
  const folder = scratch(t);
  mkdirSync(join(folder, 'srv'));
  symlinkSync(SITE, join(folder, 'srv/ictus'));
  writeFileSync(join(folder, 'ictus-headers.conf'), headers().map(([name, value]) => `add_header ${name} "${value}" always;\n`).join(''));
  const log = join(folder, 'access.log');
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((what) => `${what}_temp_path ${folder}/temporary;`).join(' ');
  writeFileSync(join(folder, 'nginx.conf'), `
    daemon off; pid ${folder}/pid; error_log stderr; ${process.getuid?.() === 0 ? 'user root;' : ''}
    events {}
    http { log_format bytes '$bytes_sent'; access_log ${log} bytes; ${temporary} server { listen 127.0.0.1:${port}; ${recipe('nginx').replaceAll('/srv', `${folder}/srv`)} } }`);
  const url = `http://127.0.0.1:${port}/ictus/`;
  await serve(t, url, 'nginx', ['-p', folder, '-c', join(folder, 'nginx.conf')]);
  await assertHeaders(url);
  assert.equal((await fetch(`${url}${version}/pkg/cpu/ictus_bg.wasm`)).headers.get('content-type'), 'application/wasm');
  /** Bytes that were sent since the last look, headers and all. */
  const sent = () => {
    const lines = readFileSync(log, 'utf8').trim().split('\n').filter(Boolean).map(Number);
    writeFileSync(log, '');
    return { files: lines.length, bytes: lines.reduce((sum, bytes) => sum + bytes, 0) };
  };
  sent();
  const page = await answersIsolated(t, url);
  const first = sent();
  await page.reload();
  await page.waitForSelector('body[data-phase="ready"]');
  const again = sent();
  t.diagnostic(`first visit: ${first.files} files, ${first.bytes} bytes; second: ${again.files}, ${again.bytes}`);
  assert.ok(first.files > 50 && again.files <= 3 && again.bytes < first.bytes / 50, JSON.stringify({ first, again }));
});

test('Caddy', { timeout, skip: lacks('caddy', 'version') }, async (t) => {
  const port = await freePort();
  const folder = scratch(t);
  const site = recipe('caddy').replace('example.org', `http://127.0.0.1:${port}`).replace('/srv/ictus', SITE);
  writeFileSync(join(folder, 'ictus-headers.caddy'), headers().map(([name, value]) => `header ${name} "${value}"\n`).join(''));
  writeFileSync(join(folder, 'Caddyfile'), `{\n    admin off\n    auto_https off\n}\n${site}`);
  const url = `http://127.0.0.1:${port}/`;
  await serve(t, url, 'caddy', ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')]);
  await assertHeaders(url);
  await answersIsolated(t, url);
});

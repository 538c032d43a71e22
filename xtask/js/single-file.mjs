/**
 * Makes the whole page one HTML file that works by double click: `node single-file.mjs <index.html> <folder> <out>`, where the
 * folder holds the page's files with the CPU engine under `pkg/cpu`.
 *
 * A page from `file://` may fetch nothing and start no worker but from its own text. So the script of the worker, the engine
 * and the weights of all models lie inside the page's script, and the policy names that script by its hash and allows no connection at all.
 */
import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

const [index, folder, out] = process.argv.slice(2).map((path) => resolve(path));

/** @param {import('esbuild').BuildOptions} options */
async function bundle(options) {
  // Only what the modules below replace asks where it lies.
  const define = { 'import.meta.url': '""' };
  const { outputFiles } = await build({ bundle: true, write: false, minify: true, target: 'es2022', charset: 'utf8', logLevel: 'warning', define, ...options });
  return outputFiles[0].text;
}

/**
 * Puts other text in the place of a module.
 *
 * @param {string} path
 * @param {string} contents
 * @returns {import('esbuild').Plugin}
 */
const replaced = (path, contents) => ({
  name: path,
  setup(build) {
    build.onLoad({ filter: new RegExp(`/${path.replace('.', '\\.')}$`) }, () => ({ contents, resolveDir: folder }));
  },
});

const packed = async (path) => gzipSync(await readFile(join(folder, path)), { level: 9 }).toString('base64');
const models = JSON.parse(await readFile(join(folder, 'models/models.json'), 'utf8'));

const worker = await bundle({
  entryPoints: [join(folder, 'worker.js')],
  format: 'iife',
  plugins: [replaced('engine/glue.js', `
    import * as glue from './pkg/cpu/ictus.js';
    export const loadGlue = async () => glue;
  `)],
});

const script = await bundle({
  entryPoints: [join(folder, 'app.js')],
  format: 'esm',
  plugins: [replaced('engine/source.js', `
    export const hasGpuEngine = false;
    // Whatever it is asked for, it gives the address of the one script that is inside.
    const inside = () => URL.createObjectURL(new Blob([${JSON.stringify(worker)}], { type: 'text/javascript' }));
    const policy = globalThis.trustedTypes?.createPolicy('ictus', { createScriptURL: inside }) ?? { createScriptURL: inside };
    export const scriptAddress = () => policy.createScriptURL('');
    export function startWorker(name) {
      return new Worker(scriptAddress(), { name });
    }
    const unpacked = (text) => new Response(new Blob([Uint8Array.from(atob(text), (byte) => byte.charCodeAt(0))]).stream().pipeThrough(new DecompressionStream('gzip'))).arrayBuffer();
    export const carriedEngine = async () => WebAssembly.compile(await unpacked(${JSON.stringify(await packed('pkg/cpu/ictus_bg.wasm'))}));
    const packed = ${JSON.stringify(await Promise.all(models.map(async (model) => ({ ...model, packed: await packed(`models/${model.file}`) }))))};
    export const shippedModels = () => Promise.all(packed.map(async ({ packed, ...model }) => ({ ...model, bytes: await unpacked(packed) })));
  `)],
});

let page = await readFile(index, 'utf8');

/**
 * @param {RegExp} pattern
 * @param {(...groups: string[]) => string} make
 */
function replace(pattern, make) {
  if (!pattern.test(page)) throw new Error(`${index} has nothing like ${pattern}`);
  page = page.replace(pattern, (_, ...groups) => make(...groups));
}

const styles = [];
for (const [, path] of page.matchAll(/<link rel="stylesheet" href="([^"]+)">/g)) styles.push(await readFile(join(folder, path), 'utf8'));
const style = (await build({ stdin: { contents: styles.join('\n'), loader: 'css' }, write: false, minify: true, charset: 'utf8' })).outputFiles[0].text;
const icon = await readFile(join(folder, '..', 'icon.svg'), 'base64');
const hash = (text) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
const policy = [
  "default-src 'none'",
  `script-src ${hash(script)} 'wasm-unsafe-eval'`,
  'worker-src blob:',
  `style-src ${hash(style)}`,
  'img-src data: blob:',
  "form-action 'none'",
  "base-uri 'none'",
  "require-trusted-types-for 'script'",
  'trusted-types ictus',
].join('; ');

replace(/(http-equiv="Content-Security-Policy" content=")[^"]*"/, (start) => `${start}${policy}"`);
replace(/<link rel="manifest"[^>]*>\n/, () => '');
replace(/<link rel="icon"[^>]*>/, () => `<link rel="icon" href="data:image/svg+xml;base64,${icon}">`);
replace(/(?:<link rel="stylesheet"[^>]*>\n)+/, () => `<style>${style}</style>\n`);
replace(/<script type="module" src="app\.js"><\/script>/, () => `<script type="module">${script}</script>`);
await writeFile(out, page);

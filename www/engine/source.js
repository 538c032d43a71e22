/**
 * Where the page's workers and the files of the engine come from: beside the page. The single-file page is built with another
 * version of this module, which carries them inside (`xtask/js/single-file.mjs`).
 *
 * @typedef {import('../types.js').ShippedModel} ShippedModel
 */

/** The WebGPU engine can be fetched; the single-file page goes without. */
export const hasGpuEngine = true;

/** @param {string} name */
const besides = (name) => new URL(`../${name}.js`, import.meta.url).href;

/** @type {{createScriptURL(plain: string): any}|null} */
let policy = null;

/**
 * An address as the browser takes it for a script. Under Trusted Types it takes none but those that this policy lets through.
 *
 * @param {string} address
 */
export function scriptAddress(address) {
  policy ??= /** @type {any} */ (globalThis).trustedTypes?.createPolicy('ictus', { createScriptURL: known }) ?? { createScriptURL: known };
  return policy?.createScriptURL(address);
}

/** @param {string} address */
function known(address) {
  const { href } = new URL(address, document.baseURI);
  if (href === new URL('sw.js', document.baseURI).href) return href;
  if (![besides('worker'), besides('gpu-worker')].includes(href)) throw new TypeError(`${href} is no script of this page`);
  // A worker that starts from a text of the page obeys the policy of the page; one that starts from a file obeys what the
  // server sends with it, which may be nothing.
  return URL.createObjectURL(new Blob([`import ${JSON.stringify(href)};`], { type: 'text/javascript' }));
}

/** @param {'worker'|'gpu-worker'} name */
export function startWorker(name) {
  return new Worker(scriptAddress(besides(name)), { type: 'module', name });
}

/**
 * What the page itself brought of the engine, so that the worker need not fetch it.
 *
 * @returns {Promise<WebAssembly.Module|null>}
 */
export async function carriedEngine() {
  return null;
}

/**
 * The models of `models/models.json`, the one that answers unless another is chosen first. All are fetched now: once the page
 * is ready it fetches nothing.
 *
 * @returns {Promise<ShippedModel[]>} Rejects with a `Notice` if there is none that could answer.
 */
export async function shippedModels() {
  const list = /** @type {Omit<ShippedModel, 'bytes'>[]} */ (await (await fetched('models.json')).json());
  const tried = await Promise.allSettled(list.map(async (model) => ({ ...model, bytes: await (await fetched(model.file)).arrayBuffer() })));
  const [first] = tried;
  if (!first) throw { code: 'weights_missing', message: 'The page lists no model. Slices can be viewed, but not answered.' };
  if (first.status === 'rejected') throw first.reason;
  // Without another one the page goes on, but not in silence: it is listed as missing.
  return list.map((model, place) => {
    const one = tried[place];
    return one?.status === 'fulfilled' ? one.value : { ...model, bytes: null };
  });
}

/** @param {string} file */
async function fetched(file) {
  const response = await fetch(new URL(`../models/${file}`, import.meta.url)).catch(() => null);
  if (!response?.ok) throw { code: 'weights_missing', message: `The weights of the network could not be fetched (${file}${response ? `, HTTP ${response.status}` : ''}). Slices can be viewed, but not answered.` };
  return response;
}

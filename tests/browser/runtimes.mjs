/**
 * Our CPU engine and ONNX Runtime Web in one tab, on the same network and the same input: neither the machine nor the tab is
 * kinder to one of them.
 */
import { readFileSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { URL_OF_PAGE, openPage, scratch, trainer } from './harness.mjs';

const FOLDER = `${URL_OF_PAGE}runtimes/`;
const ORT = 'node_modules/onnxruntime-web/dist';
const TYPES = { '.mjs': 'text/javascript', '.wasm': 'application/wasm' };
/** What the networks take: slices, rows, columns. The shipped one takes any number of slices. */
export const SHAPES = {
  shipped: (slices = 28) => [slices, 96, 80],
  published: () => [48, 64, 64],
};

/**
 * Opens a tab with both, each on one thread. The published network has weights that nothing was learnt with.
 *
 * @param {import('node:test').TestContext} t
 * @param {'shipped'|'published'} network
 */
export async function openRuntimes(t, network = 'shipped') {
  const folder = scratch(t);
  const [model, untrained] = [join(folder, 'network.onnx'), join(folder, 'untrained.safetensors')];
  trainer('export', '--onnx', model, ...(network === 'published' ? ['--untrained', network, '--output', untrained] : []));
  const weights = network === 'published' ? `${FOLDER}${basename(untrained)}` : `${URL_OF_PAGE}models/compact.safetensors`;
  const route = (context) => context.route(`${FOLDER}**`, (route) => {
    const name = basename(new URL(route.request().url()).pathname);
    if (name === 'runtimes') return route.fulfill({ contentType: 'text/html', body: '<body data-phase="ready">' });
    if (name === 'network.onnx') return route.fulfill({ contentType: 'application/octet-stream', body: readFileSync(model) });
    if (name === basename(untrained)) return route.fulfill({ contentType: 'application/octet-stream', body: readFileSync(untrained) });
    return route.fulfill({ contentType: TYPES[extname(name)], body: readFileSync(join(ORT, name)) });
  });
  const { page } = await openPage(t, { url: FOLDER, route });
  await page.evaluate(async ([folder, site, weights]) => {
    const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
    const glue = await import(`${site}pkg/cpu/ictus.js`);
    await glue.default({ module_or_path: `${site}pkg/cpu/ictus_bg.wasm` });
    const engine = new glue.Engine(new Uint8Array(16));
    engine.load_model(await bytes(weights));

    const ort = await import(`${folder}ort.wasm.min.mjs`);
    Object.assign(ort.env.wasm, { numThreads: 1, wasmPaths: folder });
    const session = await ort.InferenceSession.create(await bytes(`${folder}network.onnx`), { executionProviders: ['wasm'] });

    globalThis.runtimes = {
      async ours({ hounsfield, mask, shape }) {
        const parts = await engine.infer(hounsfield, mask, shape);
        const logits = { patient: [parts.patient], slices: parts.slices, evidence: parts.evidence };
        parts.free();
        return logits;
      },
      async onnxRuntime({ hounsfield, shape }) {
        const outputs = await session.run({ hounsfield: new ort.Tensor('float32', hounsfield, [1, 1, ...shape]) });
        return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data]));
      },
    };
    /** Values without pattern, some beyond what is clamped: every convolution has something to do everywhere. */
    globalThis.inputOf = (shape) => {
      let state = 1;
      const hounsfield = Float32Array.from({ length: shape.reduce((product, side) => product * side) }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return (state / 2 ** 32) * 100 - 40;
      });
      return { hounsfield, mask: new Uint8Array(hounsfield.length).fill(1), shape: new Uint32Array(shape) };
    };
  }, [FOLDER, URL_OF_PAGE, weights]);
  return new Runtimes(page);
}

class Runtimes {
  /** @param {import('playwright-core').Page} page */
  constructor(page) {
    this.page = page;
  }

  /** Largest difference of a logit or of a cell of the map on an input of `shape`, and how far the map is from flat. */
  agreement(shape) {
    return this.page.evaluate(async (shape) => {
      const { runtimes, inputOf } = globalThis;
      const [ours, theirs] = [await runtimes.ours(inputOf(shape)), await runtimes.onnxRuntime(inputOf(shape))];
      let difference = 0;
      for (const [name, values] of Object.entries(ours)) {
        // A network without a map gives no slices and no evidence.
        if ((theirs[name]?.length ?? 0) !== values.length) return { difference: Infinity, span: 0 };
        values.forEach((value, i) => {
          // NaN stays.
          difference = Math.max(difference, Math.abs(value - theirs[name][i]));
        });
      }
      return { difference, span: Math.max(...ours.evidence) - Math.min(...ours.evidence) };
    }, shape);
  }

  /** Milliseconds of each run, the two by turns: `[ours, theirs]` a pair. */
  times(shape, pairs) {
    return this.page.evaluate(async ([shape, pairs]) => {
      const { runtimes, inputOf } = globalThis;
      const input = inputOf(shape);
      const timed = async (run) => {
        const begun = performance.now();
        await run(input);
        return performance.now() - begun;
      };
      const times = [];
      // What is compiled in stages is fast after a few runs.
      for (let pair = -5; pair < pairs; pair++) {
        const both = [await timed(runtimes.ours), await timed(runtimes.onnxRuntime)];
        if (pair >= 0) times.push(both);
      }
      return times;
    }, [shape, pairs]);
  }
}

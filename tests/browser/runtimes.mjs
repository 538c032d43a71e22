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
/** Rows and columns that the shipped network takes. */
const SIDES = [96, 80];

/**
 * Opens a tab with both, each on one thread.
 *
 * @param {import('node:test').TestContext} t
 */
export async function openRuntimes(t) {
  const model = join(scratch(t), 'network.onnx');
  trainer('export', '--onnx', model);
  const route = (context) => context.route(`${FOLDER}**`, (route) => {
    const name = basename(new URL(route.request().url()).pathname);
    if (name === 'runtimes') return route.fulfill({ contentType: 'text/html', body: '<body data-phase="ready">' });
    if (name === 'network.onnx') return route.fulfill({ contentType: 'application/octet-stream', body: readFileSync(model) });
    return route.fulfill({ contentType: TYPES[extname(name)], body: readFileSync(join(ORT, name)) });
  });
  const { page } = await openPage(t, { url: FOLDER, route });
  await page.evaluate(async ([folder, site]) => {
    const bytes = async (url) => new Uint8Array(await (await fetch(url)).arrayBuffer());
    const glue = await import(`${site}pkg/cpu/ictus.js`);
    await glue.default({ module_or_path: `${site}pkg/cpu/ictus_bg.wasm` });
    const engine = new glue.Engine();
    engine.load_model(await bytes(`${site}models/compact.safetensors`));

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
  }, [FOLDER, URL_OF_PAGE]);
  return new Runtimes(page);
}

class Runtimes {
  /** @param {import('playwright-core').Page} page */
  constructor(page) {
    this.page = page;
  }

  /** Largest difference of a logit or of a cell of the map on a scan of `slices`, and how far the map is from flat. */
  agreement(slices) {
    return this.page.evaluate(async (shape) => {
      const { runtimes, inputOf } = globalThis;
      const [ours, theirs] = [await runtimes.ours(inputOf(shape)), await runtimes.onnxRuntime(inputOf(shape))];
      let difference = 0;
      for (const [name, values] of Object.entries(ours)) {
        if (theirs[name].length !== values.length) return { difference: Infinity, span: 0 };
        values.forEach((value, i) => {
          // NaN stays.
          difference = Math.max(difference, Math.abs(value - theirs[name][i]));
        });
      }
      return { difference, span: Math.max(...ours.evidence) - Math.min(...ours.evidence) };
    }, [slices, ...SIDES]);
  }

  /** Milliseconds of each run, the two by turns: `[ours, theirs]` a pair. */
  times(slices, pairs) {
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
    }, [[slices, ...SIDES], pairs]);
  }
}

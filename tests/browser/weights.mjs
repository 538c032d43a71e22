/** Weights files for tests: the shipped one with another header, which is another model with the same network. */
import { readFileSync, writeFileSync } from 'node:fs';

export const SHIPPED = new URL('../../www/models/compact.safetensors', import.meta.url);

/** @param {URL|string} from */
function parts(from = SHIPPED) {
  const bytes = readFileSync(from);
  const length = Number(bytes.readBigUInt64LE(0));
  return { header: JSON.parse(bytes.subarray(8, 8 + length).toString()), payload: bytes.subarray(8 + length) };
}

/**
 * @param {string} path
 * @param {Record<string, unknown>} change Of our header. Unless it has a calibration, every scan gets about 62 %.
 * @param {URL|string} [from] Other weights than the shipped ones.
 */
export function otherWeights(path, change, from) {
  const { header, payload } = parts(from);
  const ours = JSON.parse(header.__metadata__.ictus);
  ours.calibration ??= { ...otherWeights.header().calibration, patient_score: 'patient_logit' };
  ours.calibration.patient = { slope: 0.001, intercept: 0.5 };
  header.__metadata__.ictus = JSON.stringify({ ...ours, ...change });
  const text = JSON.stringify(header);
  // Tensors begin at a multiple of 8.
  const padded = Buffer.from(text + ' '.repeat((8 - (Buffer.byteLength(text) % 8)) % 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(padded.length));
  writeFileSync(path, Buffer.concat([length, padded, payload]));
  return path;
}

/** Our header of the shipped weights. */
otherWeights.header = () => JSON.parse(parts().header.__metadata__.ictus);

/** How the page names the shipped weights, and others made from them. */
export const named = (name = otherWeights.header().name) => `${name} ${otherWeights.header().version}`;

import { fill, open } from '../about/sheets.js';
import { byId, h } from '../dom.js';
import { t } from '../i18n/i18n.js';
import { captureOf } from './capture.js';
import { dicomFiles } from './dicom.js';
import { keySlicesOf } from './print.js';
import { fileName, save } from './save.js';
import { zip } from './zip.js';

/**
 * The sheet that saves an answer as DICOM: what is in it, what is not, and whether the patient's number shall be.
 *
 * @typedef {object} Source
 * @property {(id: number, z: number, withHeat: boolean) => Promise<import('../viewer/slices.js').Slice>} slice
 * @property {(key: string) => Promise<void>} open Has the slices at hand again.
 *
 * @param {import('../types.js').Row} row An answered scan.
 * @param {import('../types.js').Model|null} model That of the answer.
 * @param {Source} source
 */
export function openDicom(row, model, source) {
  const number = /** @type {HTMLInputElement} */ (h('input.text-field', { id: 'dicom-id', maxlength: 64, autocomplete: 'off', spellcheck: 'false', 'aria-describedby': 'dicom-id-text' }));
  const state = h('p.quiet', { id: 'dicom-state', role: 'status' });
  /** @param {(files: {name: string, bytes: Uint8Array}[], made: Date) => void} keep */
  const make = async (keep) => {
    state.textContent = t('dicom.making');
    try {
      const made = new Date();
      const files = await filesOf(row, model, source, number.value, made);
      keep(files, made);
      state.textContent = t('dicom.made', { n: files.length });
    } catch (error) {
      state.textContent = t('dicom.failed', { why: /** @type {import('../types.js').Notice} */ (error).message });
    }
  };
  const whole = h('button.button.primary', { type: 'button', id: 'dicom-zip', onclick: () => make((files, made) => save(fileName(row.report?.scan ?? row.name, 'dicom.zip'), zip(files, made))) }, t('dicom.zip'));
  const single = h('button.button', { type: 'button', id: 'dicom-files', onclick: () => make((files) => {
    for (const { name, bytes } of files) save(`ictus-${name}`, new Blob([/** @type {Uint8Array<ArrayBuffer>} */ (bytes)], { type: 'application/dicom' }));
  }) }, t('dicom.files'));
  fill(byId('dicom'), t('dicom'),
    h('p', {}, t('dicom.text')),
    h('p', {}, t('dicom.identity')),
    h('label', { for: 'dicom-id' }, t('dicom.id')), number, h('p.quiet', { id: 'dicom-id-text' }, t('dicom.id.text')),
    h('p.saving', {}, whole, single),
    state,
    h('p.quiet', {}, t('dicom.name')));
  open('dicom');
}

/**
 * @param {import('../types.js').Row} row
 * @param {import('../types.js').Model|null} model
 * @param {Source} source
 * @param {string} patientId
 * @param {Date} made
 */
async function filesOf(row, model, { slice, open: again }, patientId, made) {
  const { key, id, report, view, slices, synthetic } = row;
  if (!report || !view || id === null) throw { code: 'unanswered', message: t('unanswered') };
  await again(key);
  const captures = (await keySlicesOf(row, (z) => slice(id, z, view.evidence))).map((keySlice) => captureOf(row, keySlice));
  return dicomFiles({ report, slices, synthetic, model, patientId, made }, captures, view.orientation_stated && view.quarter_turns === 0);
}

import { byId } from '../dom.js';
import { isWeights } from '../model/models.js';
import { filesOfList, filesOfTransfer } from './files.js';

/**
 * Lets the whole page take a drop, and wires the buttons that choose files or a folder (`data-choose`), wherever they are.
 *
 * @param {(drop: Promise<import('./files.js').Drop>) => void} onScans
 * @param {(weights: File[]) => void} onWeights Gets weights files that do not lie in a folder.
 */
export function wireDrop(onScans, onWeights) {
  /**
   * @param {FileList} plain What was given, a folder as one file.
   * @param {Promise<import('./files.js').Drop>} drop The same, with what lies in folders.
   */
  const take = (plain, drop) => {
    const weights = [...plain].filter(({ name }) => isWeights(name));
    if (weights.length > 0) onWeights(weights);
    if (weights.length === 0 || weights.length < plain.length) onScans(drop.then(withoutWeights));
  };
  const veil = byId('veil');
  let depth = 0;
  const show = () => {
    veil.hidden = depth === 0;
  };
  /** @param {DragEvent} event */
  const carriesFiles = (event) => event.dataTransfer?.types.includes('Files') ?? false;
  addEventListener('dragenter', (event) => {
    if (!carriesFiles(event)) return;
    event.preventDefault();
    depth += 1;
    show();
  });
  addEventListener('dragleave', (event) => {
    if (!carriesFiles(event)) return;
    depth = Math.max(0, depth - 1);
    show();
  });
  addEventListener('dragover', (event) => {
    if (!carriesFiles(event) || !event.dataTransfer) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = 'copy';
  });
  addEventListener('drop', (event) => {
    if (!carriesFiles(event) || !event.dataTransfer) return;
    event.preventDefault();
    depth = 0;
    show();
    take(event.dataTransfer.files, filesOfTransfer(event.dataTransfer));
  });
  addEventListener('paste', (event) => {
    const files = event.clipboardData?.files;
    if (files && files.length > 0) take(files, Promise.resolve(filesOfList(files)));
  });

  /** @type {(list: FileList) => void} */
  const chosen = (list) => take(list, Promise.resolve(filesOfList(list)));
  const choosers = { files: chooser('choose-files', {}, chosen), folder: chooser('choose-folder', { webkitdirectory: true }, chosen), weights: chooser('choose-weights', { accept: '.safetensors' }, (list) => onWeights([...list])) };
  document.addEventListener('click', (event) => {
    const button = event.target instanceof Element ? event.target.closest('[data-choose]') : null;
    if (button instanceof HTMLElement) choosers[/** @type {keyof typeof choosers} */ (button.dataset.choose)].click();
  });
}

/**
 * @param {import('./files.js').Drop} drop
 * @returns {import('./files.js').Drop} What lies in folders stays: beside a scan it is set aside by name.
 */
function withoutWeights({ paths, files }) {
  const kept = paths.map((path) => path.includes('/') || !isWeights(path));
  return { paths: paths.filter((_, place) => kept[place]), files: files.filter((_, place) => kept[place]) };
}

/**
 * @param {string} id
 * @param {{webkitdirectory?: boolean, accept?: string}} kind
 * @param {(list: FileList) => void} onList
 */
function chooser(id, kind, onList) {
  const input = document.createElement('input');
  Object.assign(input, { type: 'file', id, multiple: true, hidden: true, ...kind });
  input.addEventListener('change', () => {
    if (input.files && input.files.length > 0) onList(input.files);
    // The same folder may be chosen again.
    input.value = '';
  });
  document.body.append(input);
  return input;
}

import { byId } from '../dom.js';
import { filesOfList, filesOfTransfer } from './files.js';

/**
 * Lets the whole page take a drop, and wires the buttons that choose files or a folder (`data-choose`), wherever they are.
 *
 * @param {(drop: Promise<import('./files.js').Drop>) => void} onDrop
 */
export function wireDrop(onDrop) {
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
    onDrop(filesOfTransfer(event.dataTransfer));
  });
  addEventListener('paste', (event) => {
    const files = event.clipboardData?.files;
    if (files && files.length > 0) onDrop(Promise.resolve(filesOfList(files)));
  });

  const files = chooser('choose-files', false, onDrop);
  const folder = chooser('choose-folder', true, onDrop);
  document.addEventListener('click', (event) => {
    const button = event.target instanceof Element ? event.target.closest('[data-choose]') : null;
    if (button instanceof HTMLElement) (button.dataset.choose === 'folder' ? folder : files).click();
  });
}

/**
 * @param {string} id
 * @param {boolean} folder
 * @param {(drop: Promise<import('./files.js').Drop>) => void} onDrop
 */
function chooser(id, folder, onDrop) {
  const input = document.createElement('input');
  input.type = 'file';
  input.id = id;
  input.multiple = true;
  input.webkitdirectory = folder;
  input.hidden = true;
  input.addEventListener('change', () => {
    if (input.files && input.files.length > 0) onDrop(Promise.resolve(filesOfList(input.files)));
    // The same folder may be chosen again.
    input.value = '';
  });
  document.body.append(input);
  return input;
}

/**
 * Everything that a person can give: files, folders (read to the bottom), from the clipboard, a drop or a file chooser.
 *
 * @typedef {{paths: string[], files: File[]}} Drop Paths are relative to the drop, `/`-separated, one a file.
 */

/**
 * Entries must be taken from the event before the first `await`: after it the browser empties the transfer.
 *
 * @param {DataTransfer} transfer
 * @returns {Promise<Drop>}
 */
export async function filesOfTransfer(transfer) {
  const items = [...transfer.items].filter((item) => item.kind === 'file');
  const entries = items.map((item) => item.webkitGetAsEntry?.() ?? null);
  const plain = items.map((item) => item.getAsFile());
  // On a page that was opened from a disk Chromium lists entries but does not read them; handles it reads.
  const handles = location.protocol === 'file:' ? items.map((item) => /** @type {any} */ (item).getAsFileSystemHandle?.() ?? null) : [];
  /** @type {Drop} */
  const drop = { paths: [], files: [] };
  for (const [index, entry] of entries.entries()) {
    const handle = await handles[index]?.catch(() => null);
    if (handle) await walkHandle(handle, '', drop);
    else if (entry) await walk(entry, '', drop);
    else if (plain[index]) add(drop, plain[index].name, plain[index]);
  }
  return drop;
}

/**
 * @param {FileList|File[]} list
 * @returns {Drop}
 */
export function filesOfList(list) {
  /** @type {Drop} */
  const drop = { paths: [], files: [] };
  for (const file of list) add(drop, file.webkitRelativePath || file.name, file);
  return drop;
}

/**
 * @param {Drop} drop
 * @param {string} path
 * @param {File} file
 */
function add(drop, path, file) {
  drop.paths.push(path);
  drop.files.push(file);
}

/**
 * @param {FileSystemEntry} entry
 * @param {string} parent
 * @param {Drop} drop
 */
async function walk(entry, parent, drop) {
  const path = parent + entry.name;
  if (entry.isFile) {
    const handle = /** @type {FileSystemFileEntry} */ (entry);
    const file = await new Promise((resolve, reject) => handle.file(resolve, reject)).catch(() => null);
    // A file that vanished in between still gets its refusal: an empty one of that name.
    add(drop, path, file ?? new File([], entry.name));
    return;
  }
  const reader = /** @type {FileSystemDirectoryEntry} */ (entry).createReader();
  // A reader hands out at most 100 entries at a time.
  for (;;) {
    /** @type {FileSystemEntry[]} */
    const batch = await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => []);
    if (batch.length === 0) return;
    for (const child of batch) await walk(child, `${path}/`, drop);
  }
}

/**
 * @param {any} handle A `FileSystemHandle`.
 * @param {string} parent
 * @param {Drop} drop
 */
async function walkHandle(handle, parent, drop) {
  const path = parent + handle.name;
  if (handle.kind === 'file') {
    add(drop, path, await handle.getFile().catch(() => new File([], handle.name)));
    return;
  }
  for await (const child of handle.values()) await walkHandle(child, `${path}/`, drop);
}

/**
 * Hands a file to the person, without the network.
 *
 * @param {string} name
 * @param {string} text
 * @param {string} [type]
 */
export function save(name, text, type = 'application/json') {
  const address = URL.createObjectURL(new Blob([text], { type }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/** @param {string} scan */
export function fileName(scan) {
  return `ictus-${scan.replace(/[^\p{L}\p{N}._-]+/gu, '-').slice(0, 80)}.json`;
}

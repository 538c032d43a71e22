/**
 * Hands a file to the person, without the network.
 *
 * @param {string} name
 * @param {string|Blob} content
 * @param {string} [type] Of text.
 */
export function save(name, content, type = 'application/json') {
  const address = URL.createObjectURL(typeof content === 'string' ? new Blob([content], { type }) : content);
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}

/**
 * @param {string} scan
 * @param {string} [ending]
 */
export function fileName(scan, ending = 'json') {
  return `ictus-${scan.replace(/[^\p{L}\p{N}._-]+/gu, '-').slice(0, 80)}.${ending}`;
}

/**
 * The layers of a network from the header of its weights, as `src/network/config.rs` builds them.
 *
 * @typedef {[slices: number, rows: number, columns: number]} Sides
 *
 * @typedef {object} Block
 * @property {number} channels
 * @property {Sides} kernel
 * @property {Sides} stride
 * @property {'same'|'valid'} padding
 * @property {Sides} pool
 * @property {'norm_relu_pool'|'relu_pool_norm'} order
 *
 * @typedef {object} Architecture
 * @property {number} in_channels
 * @property {Block[]} blocks
 * @property {{kind: string, asymmetry?: boolean, hidden?: number}} head
 *
 * @typedef {object} Layer
 * @property {'block'|'evidence'|'dense'} kind
 * @property {number} channels Maps that come out.
 * @property {Sides} shape Of one of them.
 * @property {number} parameters
 * @property {Block|null} block
 */

/**
 * @param {Architecture} architecture
 * @param {Sides} input
 * @returns {Layer[]} A block each, and the head last.
 */
export function layersOf({ in_channels: inputs, blocks, head }, input) {
  /** @type {Layer[]} */
  const layers = [];
  let [channels, shape] = [inputs, input];
  for (const block of blocks) {
    const { kernel, stride, pool } = block;
    const bias = block.order === 'relu_pool_norm' ? block.channels : 0;
    const parameters = channels * kernel[0] * kernel[1] * kernel[2] * block.channels + bias + 2 * block.channels;
    const side = (/** @type {0|1|2} */ axis) => {
      const padding = block.padding === 'same' ? 2 * Math.floor(kernel[axis] / 2) : 0;
      return Math.floor((Math.floor((shape[axis] + padding - kernel[axis]) / stride[axis]) + 1) / pool[axis]);
    };
    [channels, shape] = [block.channels, [side(0), side(1), side(2)]];
    layers.push({ kind: 'block', channels, shape, parameters, block });
  }
  if (head.kind === 'evidence') {
    // One convolution 1 x 1 x 1 with its bias, and two numbers each for the score of a slice and of the scan.
    layers.push({ kind: 'evidence', channels: 1, shape, parameters: (head.asymmetry ? 2 : 1) * channels + 1 + 4, block: null });
  } else {
    const hidden = head.hidden ?? 0;
    layers.push({ kind: 'dense', channels: 1, shape: [1, 1, 1], parameters: (channels + 1) * hidden + hidden + 1, block: null });
  }
  return layers;
}

/** Pictures of the page: made small to keep, and compared so that only what a person would see counts. */
import { crc32, deflateSync } from 'node:zlib';
import { PNG } from 'pngjs';

/** So many of the colours that cover most, which are those of plain areas, are kept as they are. */
const PLAIN = 32;
/** Side of a cell of the comparison, in pixels of a kept picture. */
const CELL = 4;
/**
 * Cells may differ by so many levels of 255. Browsers that hint and place letters each in their own way differ by up to 10 on the
 * same page; a mark of another colour, a line of words that is gone or a panel that lies 3 pixels lower differ by 29 and more.
 */
const LEVELS = 16;

/** Half as wide and high, each pixel the mean of four. */
export function half({ width, height, data }) {
  const small = new PNG({ width: width >> 1, height: height >> 1 });
  for (let y = 0; y < small.height; y++) {
    for (let x = 0; x < small.width; x++) {
      for (let c = 0; c < 4; c++) {
        const at = 4 * (2 * y * width + 2 * x) + c;
        small.data[4 * (y * small.width + x) + c] = (data[at] + data[at + 4] + data[at + 4 * width] + data[at + 4 * width + 4]) / 4;
      }
    }
  }
  return small;
}

const colourAt = (data, at) => (data[at] << 16) | (data[at + 1] << 8) | data[at + 2];

/** As a PNG of at most 256 colours, a third as large as one that holds them all. */
export function palettePng({ width, height, data }) {
  const counts = new Map();
  for (let at = 0; at < data.length; at += 4) {
    const colour = colourAt(data, at);
    counts.set(colour, (counts.get(colour) ?? 0) + 1);
  }
  const plain = [...counts].sort((a, b) => b[1] - a[1]).slice(0, PLAIN).map(([colour]) => colour);
  for (let step = 16; ; step += 4) {
    const palette = new Map(plain.map((colour, place) => [colour, place]));
    const level = (value) => Math.min(255, step * Math.round(value / step));
    const placeOf = (colour) => {
      const kept = palette.has(colour) ? colour : (level(colour >> 16) << 16) | (level((colour >> 8) & 255) << 8) | level(colour & 255);
      if (!palette.has(kept)) palette.set(kept, palette.size);
      return palette.get(kept);
    };
    const places = new Map([...counts.keys()].map((colour) => [colour, placeOf(colour)]));
    if (palette.size > 256) continue;
    const lines = Buffer.alloc((width + 1) * height);
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) lines[y * (width + 1) + 1 + x] = places.get(colourAt(data, 4 * (y * width + x)));
    }
    const header = Buffer.alloc(13);
    header.writeUInt32BE(width);
    header.writeUInt32BE(height, 4);
    // 8 bits a pixel, each a place in the palette.
    header.set([8, 3], 8);
    const colours = Buffer.from([...palette.keys()].flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
    return Buffer.concat([Buffer.from('89504e470d0a1a0a', 'hex'), chunk('IHDR', header), chunk('PLTE', colours), chunk('IDAT', deflateSync(lines, { level: 9 })), chunk('IEND', Buffer.alloc(0))]);
  }
}

function chunk(type, content) {
  const named = Buffer.concat([Buffer.from(type), content]);
  const whole = Buffer.alloc(named.length + 8);
  whole.writeUInt32BE(content.length);
  named.copy(whole, 4);
  whole.writeUInt32BE(crc32(named), named.length + 4);
  return whole;
}

/** The mean colour around each cell: of it and its neighbours, so of 24 x 24 pixels of the page. */
function around({ width, height, data }) {
  const [columns, rows] = [Math.ceil(width / CELL), Math.ceil(height / CELL)];
  const sums = new Float32Array(columns * rows * 4);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const cell = 4 * (Math.floor(y / CELL) * columns + Math.floor(x / CELL));
      for (let c = 0; c < 3; c++) sums[cell + c] += data[4 * (y * width + x) + c];
      sums[cell + 3] += 1;
    }
  }
  return Array.from({ length: columns * rows }, (_, cell) => {
    const mean = [0, 0, 0, 0];
    const [row, column] = [Math.floor(cell / columns), cell % columns];
    for (let y = Math.max(0, row - 1); y <= Math.min(rows - 1, row + 1); y++) {
      for (let x = Math.max(0, column - 1); x <= Math.min(columns - 1, column + 1); x++) {
        for (let c = 0; c < 4; c++) mean[c] += sums[4 * (y * columns + x) + c];
      }
    }
    return [0, 1, 2].map((c) => mean[c] / mean[3]);
  });
}

/**
 * The largest difference of a cell in levels, whether it is too large, and the picture with the cells that differ too much in red.
 * Both pictures have the same size.
 */
export function difference(now, before) {
  const [a, b] = [around(now), around(before)];
  const levels = a.map((mean, cell) => Math.max(...mean.map((value, c) => Math.abs(value - b[cell][c]))));
  const drawn = new PNG({ width: now.width, height: now.height });
  const columns = Math.ceil(now.width / CELL);
  for (let at = 0; at < now.data.length; at += 4) {
    const [y, x] = [Math.floor(at / 4 / now.width), (at / 4) % now.width];
    const far = levels[Math.floor(y / CELL) * columns + Math.floor(x / CELL)] > LEVELS;
    for (let c = 0; c < 3; c++) drawn.data[at + c] = now.data[at + c] / 3 + (far && c === 0 ? 170 : 0);
    drawn.data[at + 3] = 255;
  }
  // A stack has no room for as many arguments as a picture has cells.
  const largest = levels.reduce((top, level) => Math.max(top, level), 0);
  return { largest, differs: largest > LEVELS, drawn };
}

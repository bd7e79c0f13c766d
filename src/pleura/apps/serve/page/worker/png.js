// Reading PNG files of grey levels or palette indices, 1 to 16 bits; browsers give colours of 8 bits only.

const HEAD = 8; // bytes of the signature

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47];
const [GREY, PALETTE] = [0, 3]; // colour types
const MAX_LABELS = 4; // entries of the palette of a label map; the indices of a longer one are of no order

/** Whether `readPng` can read a file: grey, or the palette of a label map, and not interlaced. */
export function isPlainPng(bytes) {
  if (!SIGNATURE.every((byte, i) => bytes[i] === byte)) return false;
  const [colour, interlaced] = [bytes[HEAD + 17], bytes[HEAD + 20]];
  return !interlaced && (colour === GREY || (colour === PALETTE && paletteSize(bytes) <= MAX_LABELS));
}

function paletteSize(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = HEAD; at + 8 < bytes.length; at += view.getUint32(at) + 12) {
    if (String.fromCharCode(...bytes.subarray(at + 4, at + 8)) === "PLTE") return view.getUint32(at) / 3;
  }
  return Infinity;
}

/** The samples of a PNG, row by row: { width, height, samples } with a Uint8Array or Uint16Array. */
export async function readPng(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const [width, height, depth] = [view.getUint32(HEAD + 8), view.getUint32(HEAD + 12), bytes[HEAD + 16]];
  const rows = await inflate(dataChunks(bytes, view));
  undoFilters(rows, Math.ceil((width * depth) / 8), height, Math.max(1, depth / 8));
  const samplesOf = depth === 16 ? shorts : depth === 8 ? octets : parts;
  return { width, height, samples: samplesOf(rows, width, height, depth) };
}

function dataChunks(bytes, view) {
  const parts = [];
  for (let at = HEAD; at < bytes.length;) {
    const length = view.getUint32(at);
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + length));
    at += length + 12;
  }
  return new Blob(parts);
}

async function inflate(blob) {
  const stream = blob.stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Undo the filter of each row, in place. A row is its filter's number and `size` bytes. */
function undoFilters(rows, size, height, left) {
  for (let y = 0; y < height; y++) {
    const at = y * (size + 1) + 1;
    UNDO[rows[at - 1]](rows, at, size, { left, above: y ? size + 1 : 0 });
  }
}

const UNDO = [
  () => {},
  (rows, at, size, { left }) => { // the byte on the left
    for (let i = at + left; i < at + size; i++) rows[i] += rows[i - left];
  },
  (rows, at, size, { above }) => { // the byte above
    if (above) for (let i = at; i < at + size; i++) rows[i] += rows[i - above];
  },
  (rows, at, size, { left, above }) => { // their mean
    for (let i = at; i < at + size; i++) {
      const a = i - at < left ? 0 : rows[i - left];
      rows[i] += (a + (above ? rows[i - above] : 0)) >> 1;
    }
  },
  (rows, at, size, { left, above }) => { // Paeth's choice
    for (let i = at; i < at + size; i++) {
      const isFirst = i - at < left;
      const a = isFirst ? 0 : rows[i - left];
      const b = above ? rows[i - above] : 0;
      rows[i] += paeth(a, b, isFirst || !above ? 0 : rows[i - above - left]);
    }
  },
];

function paeth(a, b, c) {
  const [pa, pb, pc] = [Math.abs(b - c), Math.abs(a - c), Math.abs(a + b - 2 * c)];
  if (pa <= pb && pa <= pc) return a;
  return pb <= pc ? b : c;
}

function octets(rows, width, height) {
  const samples = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const at = y * (width + 1) + 1;
    samples.set(rows.subarray(at, at + width), y * width);
  }
  return samples;
}

function shorts(rows, width, height) {
  const samples = new Uint16Array(width * height);
  for (let y = 0; y < height; y++) {
    let at = y * (2 * width + 1) + 1;
    for (let i = y * width; i < (y + 1) * width; i++, at += 2) samples[i] = (rows[at] << 8) | rows[at + 1];
  }
  return samples;
}

/** Samples of 1, 2 or 4 bits, the first one in the highest bits of a byte. */
function parts(rows, width, height, depth) {
  const samples = new Uint8Array(width * height);
  const size = Math.ceil((width * depth) / 8) + 1;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const bit = x * depth;
      samples[y * width + x] = (rows[y * size + 1 + (bit >> 3)] >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
    }
  }
  return samples;
}

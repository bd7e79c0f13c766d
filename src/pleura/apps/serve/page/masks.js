// Masks: from run lengths to pixels, and from pixels to colour.

const COLOURS = { right: [0x00, 0x72, 0xb2], left: [0xd5, 0x5e, 0x00], heart: [0xcc, 0x79, 0xa7] };
const FILL = Math.round(0.22 * 255); // as in the overlay that the server paints
const OUTLINE_SHARE = 0.003;

/** COCO run lengths (by columns, zeros first) -> one byte a pixel, by rows. */
export function decode({ size: [height, width], counts }) {
  const mask = new Uint8Array(height * width);
  let at = 0;
  counts.forEach((count, index) => {
    if (index % 2) {
      for (let i = at; i < at + count; i++) mask[(i % height) * width + Math.floor(i / height)] = 1;
    }
    at += count;
  });
  return mask;
}

/** The smallest box with all pixels of a mask, or null. */
export function boxOf(mask, width, height) {
  let top = -1, bottom = -1, left = width, right = -1;
  for (let y = 0; y < height; y++) {
    const first = mask.subarray(y * width, (y + 1) * width).indexOf(1);
    if (first < 0) continue;
    if (top < 0) top = y;
    bottom = y;
    left = Math.min(left, first);
    right = Math.max(right, mask.subarray(y * width, (y + 1) * width).lastIndexOf(1));
  }
  return top < 0 ? null : { top, left, bottom: bottom + 1, right: right + 1 };
}

/** Paint masks on a canvas of the film's size; the heart is outlined only, with its widths if asked. */
export function paint(canvas, masks, { filled, widths }) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const by = Math.max(1, Math.round(OUTLINE_SHARE * Math.min(width, height)));
  for (const [name, colour] of Object.entries(COLOURS)) {
    const box = masks[name] && boxOf(masks[name], width, height);
    if (box) lay(picture, masks[name], box, { colour, by, fill: filled && name !== "heart" ? FILL : 0 });
  }
  context.putImageData(picture, 0, 0);
  if (widths) drawWidths(context, masks, by);
}

function lay(picture, mask, box, { colour: [r, g, b], by, fill }) {
  const [w, h] = [box.right - box.left + 2, box.bottom - box.top + 2];
  const shape = new Uint8Array(w * h);
  for (let y = 1; y < h - 1; y++) {
    const from = (box.top + y - 1) * picture.width + box.left;
    shape.set(mask.subarray(from, from + w - 2), y * w + 1);
  }
  const inner = shrunk(shape, w, by);
  for (let y = 1; y < h - 1; y++) {
    for (let x = 1; x < w - 1; x++) {
      if (!shape[y * w + x]) continue;
      const alpha = inner[y * w + x] ? fill : 255;
      if (!alpha) continue;
      const at = 4 * ((box.top + y - 1) * picture.width + box.left + x - 1);
      picture.data.set([r, g, b, alpha], at);
    }
  }
}

/** Less `by` pixels along the edge; diamond and square in turn are nearly a disc. */
function shrunk(shape, w, by) {
  let inner = shape;
  for (let step = 0; step < by; step++) {
    const next = new Uint8Array(inner.length);
    const corners = step % 2;
    for (let i = w; i < inner.length - w; i++) {
      let all = inner[i] & inner[i - 1] & inner[i + 1] & inner[i - w] & inner[i + w];
      if (corners) all &= inner[i - w - 1] & inner[i - w + 1] & inner[i + w - 1] & inner[i + w + 1];
      next[i] = all;
    }
    inner = next;
  }
  return inner;
}

/** The two widths whose ratio is the cardiothoracic one: bars whose ends lie on pixels' edges. */
function drawWidths(context, { right, left, heart }, by) {
  const { width, height } = context.canvas;
  const box = boxOf(heart, width, height);
  const widest = widestRow(right, left, width, height);
  if (!box || !widest) return;
  drawBar(context, { y: widest.y, from: widest.from, to: widest.to }, by);
  drawBar(context, { y: Math.floor((box.top + box.bottom) / 2), from: box.left, to: box.right }, by);
}

/** White dashes on a dark line, for light ground and dark, with a tick at each end. */
function drawBar(context, { y, from, to }, by) {
  const top = y - Math.floor(by / 2); // whole pixels: half ones would blur
  context.fillStyle = "#10171d";
  context.fillRect(from, top, to - from, by);
  context.fillStyle = "#ffffff";
  for (let x = from; x < to; x += 7 * by) context.fillRect(x, top, Math.min(4 * by, to - x), by);
  for (const x of [from, to - by]) context.fillRect(x, top - 3 * by, by, 7 * by);
}

function widestRow(right, left, width, height) {
  let best = null;
  for (let y = 0; y < height; y++) {
    const [a, b] = [right, left].map((mask) => mask.subarray(y * width, (y + 1) * width));
    const firsts = [a.indexOf(1), b.indexOf(1)].filter((x) => x >= 0);
    if (!firsts.length) continue;
    const [from, to] = [Math.min(...firsts), Math.max(a.lastIndexOf(1), b.lastIndexOf(1)) + 1];
    if (!best || to - from > best.to - best.from) best = { y, from, to };
  }
  return best;
}

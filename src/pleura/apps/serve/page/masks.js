// Masks: decoding run lengths, and painting masks on a canvas.

const COLOURS = { right: [0x00, 0x72, 0xb2], left: [0xd5, 0x5e, 0x00], heart: [0xcc, 0x79, 0xa7] };
const FILL = Math.round(0.22 * 255); // as in the overlay of the server
const OUTLINE_SHARE = 0.003;

/** Decode COCO run lengths (column by column, zeros first) to one byte a pixel, row by row. */
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

/** The bounding box of a mask, or null if it is empty. */
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

/** Paint masks on a canvas of the film's size. The heart has an outline only; `widths` adds the bars of the cardiothoracic widths. */
export function paint(canvas, masks, { filled, widths }) {
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  const picture = context.createImageData(width, height);
  const lineWidth = Math.max(1, Math.round(OUTLINE_SHARE * Math.min(width, height)));
  for (const [name, colour] of Object.entries(COLOURS)) {
    const box = masks[name] && boxOf(masks[name], width, height);
    if (box) paintMask(picture, masks[name], box, { colour, lineWidth, fill: filled && name !== "heart" ? FILL : 0 });
  }
  context.putImageData(picture, 0, 0);
  if (widths) drawWidths(context, masks, lineWidth);
}

function paintMask(picture, mask, box, { colour: [r, g, b], lineWidth, fill }) {
  const [w, h] = [box.right - box.left + 2, box.bottom - box.top + 2];
  const shape = new Uint8Array(w * h);
  for (let y = 1; y < h - 1; y++) {
    const from = (box.top + y - 1) * picture.width + box.left;
    shape.set(mask.subarray(from, from + w - 2), y * w + 1);
  }
  const inner = erode(shape, w, lineWidth);
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

/** Erode a mask by so many pixels; a cross and a square in turn are nearly a disc. */
function erode(shape, w, lineWidth) {
  let inner = shape;
  for (let step = 0; step < lineWidth; step++) {
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

/** Draw the two widths of the cardiothoracic ratio as bars that end on pixel edges. */
function drawWidths(context, { right, left, heart }, lineWidth) {
  const { width, height } = context.canvas;
  const box = boxOf(heart, width, height);
  const widest = widestRow(right, left, width, height);
  if (!box || !widest) return;
  drawBar(context, { y: widest.y, from: widest.from, to: widest.to }, lineWidth);
  drawBar(context, { y: Math.floor((box.top + box.bottom) / 2), from: box.left, to: box.right }, lineWidth);
}

/** Draw white dashes on a dark line, with a tick at each end; it is visible on light and dark films. */
function drawBar(context, { y, from, to }, lineWidth) {
  const top = y - Math.floor(lineWidth / 2); // whole pixels, so that the bar is sharp
  context.fillStyle = "#10171d";
  context.fillRect(from, top, to - from, lineWidth);
  context.fillStyle = "#ffffff";
  for (let x = from; x < to; x += 7 * lineWidth) context.fillRect(x, top, Math.min(4 * lineWidth, to - x), lineWidth);
  for (const x of [from, to - lineWidth]) context.fillRect(x, top - 3 * lineWidth, lineWidth, 7 * lineWidth);
}

/** The row in which the lungs together are widest, or null without lungs. */
function widestRow(right, left, width, height) {
  let widest = null;
  for (let y = 0; y < height; y++) {
    const [a, b] = [right, left].map((mask) => mask.subarray(y * width, (y + 1) * width));
    const firsts = [a.indexOf(1), b.indexOf(1)].filter((x) => x >= 0);
    if (!firsts.length) continue;
    const [from, to] = [Math.min(...firsts), Math.max(a.lastIndexOf(1), b.lastIndexOf(1)) + 1];
    if (!widest || to - from > widest.to - widest.from) widest = { y, from, to };
  }
  return widest;
}

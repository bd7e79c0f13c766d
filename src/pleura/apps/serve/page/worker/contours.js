// Masks and their contours: run lengths -> pixels -> the edges of pixels as closed polygons.

/** Decode COCO run lengths (column by column, zeros first) to the mask within its bounding box. */
export function decode({ size: [height, width], counts }) {
  const box = boxOf(counts, height);
  if (!box) return { left: 0, top: 0, width: 0, height: 0, pixels: new Uint8Array(0) };
  const mask = { left: box.left, top: box.top, width: box.right - box.left, height: box.bottom - box.top };
  mask.pixels = new Uint8Array(mask.width * mask.height);
  forEachRun(counts, (start, count) => {
    for (let i = start; i < start + count; i++) {
      mask.pixels[(i % height - mask.top) * mask.width + Math.floor(i / height) - mask.left] = 1;
    }
  });
  return mask;
}

/** The inverse of `decode` for a whole film, row by row, 0 and 1: COCO run lengths, column by column, zeros first. */
export function runLengths(pixels, width, height) {
  const counts = [];
  let [value, count] = [0, 0];
  for (let x = 0; x < width; x++) {
    for (let i = x; i < pixels.length; i += width) {
      if (pixels[i] !== value) {
        counts.push(count);
        [value, count] = [pixels[i], 0];
      }
      count++;
    }
  }
  return { size: [height, width], counts: [...counts, count] };
}

function forEachRun(counts, visit) {
  let at = 0;
  counts.forEach((count, index) => {
    if (index % 2 && count) visit(at, count);
    at += count;
  });
}

/** The bounding box of run lengths, or null without a run. */
function boxOf(counts, height) {
  let box = null;
  forEachRun(counts, (start, count) => {
    const [first, last] = [Math.floor(start / height), Math.floor((start + count - 1) / height)];
    const isOneColumn = first === last;
    const [top, bottom] = isOneColumn ? [start % height, (start + count - 1) % height + 1] : [0, height];
    box ??= { left: first, right: first, top, bottom };
    box.right = last + 1;
    box.top = Math.min(box.top, top);
    box.bottom = Math.max(box.bottom, bottom);
  });
  return box;
}

// Directions in the order of turns to the right: right, down, left, up.
const STEPS = [[1, 0], [0, 1], [-1, 0], [0, -1]];

/**
 * The edges of a mask as closed polygons along pixel edges: a list of Int32Array [x, y, x, y, ...].
 * The mask lies on the right hand of each edge; pixels that meet at a corner lie in polygons of their own.
 */
export function contours(mask) {
  const { width, height, pixels } = mask;
  const seen = new Uint8Array(pixels.length); // the top edges that a polygon has
  const polygons = [];
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      if (pixels[i] && !seen[i] && !(y && pixels[i - width])) polygons.push(follow(mask, seen, x, y));
    }
  }
  return polygons;
}

/** Follow one edge from the top left corner of pixel (x, y), to the right at first. */
function follow({ left, top, width, height, pixels }, seen, startX, startY) {
  const isInside = (x, y) => x >= 0 && y >= 0 && x < width && y < height && pixels[y * width + x] === 1;
  const corners = [];
  let [x, y, direction] = [startX, startY, 0];
  do {
    if (direction === 0) seen[y * width + x] = 1;
    x += STEPS[direction][0];
    y += STEPS[direction][1];
    const turn = turnAt(isInside, x, y, direction);
    if (turn) corners.push(x + left, y + top);
    direction = (direction + turn) % 4;
  } while (x !== startX || y !== startY || direction !== 0);
  return Int32Array.from(corners);
}

/** How an edge goes on at a corner: 1 to the right, 3 to the left, 0 straight on. */
function turnAt(isInside, x, y, direction) {
  const [dx, dy] = STEPS[direction];
  const aheadX = x + (dx > 0 || dy < 0 ? 0 : -1); // the pixel ahead on the right hand has this corner
  const aheadY = y + (dy > 0 || dx > 0 ? 0 : -1);
  if (!isInside(aheadX, aheadY)) return 1;
  return isInside(aheadX + dy, aheadY - dx) ? 3 : 0;
}

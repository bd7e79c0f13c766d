// Comparing the masks of a film with others: Dice, distances, and the outline in parts of equal distance.

import { contours, decode } from "./contours.js";
import { boundary, dice, distanceMap, summary } from "./distance.js";

const STEPS = [1, 2, 5, 10]; // mm: the ends of the parts of the outline, by distance
const FILM_MM = 400; // the longer side of an adult's film, about: px without a spacing are as fine as that

/**
 * Compare run lengths by structure with others: { rows, outlines, parts, ends, unit }. `rows` have name, dice, hd95 and
 * mean; `outlines` are those of the other masks; `parts` are open lines along the outline, one list for each range of distance.
 * Throws a problem.
 */
export function compare(own, others, { width, height, spacing }) {
  const [unit, ends] = scaleOf(width, height, spacing);
  const steps = { rowStep: spacing?.row_mm ?? 1, columnStep: spacing?.col_mm ?? 1 };
  const parts = [[], [], [], [], []];
  const [rows, outlines] = [[], {}];
  for (const [name, a, b] of pairs(own, fitted(others, width, height))) {
    const box = unionBox(a, b);
    const [cutA, cutB] = [a, b].map((mask) => cut(mask, box));
    const isPart = name !== "lungs" || !("right" in others); // the outline of both lungs only where there are no two
    const distances = compareBoundaries(cutA, cutB, steps);
    if (isPart) {
      outlines[name === "heartOutside" ? "heart" : name] = contours(cutB);
      if (distances) addParts(cutA, distances.toOther, { ends, parts });
    }
    rows.push({ name, dice: dice(cutA.pixels, cutB.pixels), hd95: distances?.hd95 ?? null, mean: distances?.mean ?? null });
  }
  return { rows, outlines, parts, ends, unit };
}

function scaleOf(width, height, spacing) {
  if (spacing) return ["mm", STEPS];
  const pixels = Math.max(width, height) / FILM_MM; // in a mm, about
  const factor = [1, 2, 5, 10, 20, 50].find((value) => value >= pixels) ?? 100;
  return ["px", STEPS.map((step) => step * factor)];
}

/** The structures that both have, and both lungs: lists of name, mask and other mask. */
function pairs(own, others) {
  const mine = Object.fromEntries(Object.entries(own).filter(([, rle]) => rle).map(([name, rle]) => [name, decode(rle)]));
  const theirs = { ...others };
  if (mine.heart) mine.heartOutside = without(mine.heart, union(mine.right, mine.left)); // label maps have this part only
  const common = ["right", "left", "heart", "heartOutside"].filter((name) => name in mine && name in theirs);
  theirs.lungs ??= union(theirs.right, theirs.left);
  return [...common.map((name) => [name, mine[name], theirs[name]]), ["lungs", union(mine.right, mine.left), theirs.lungs]];
}

/** The masks of run lengths at the size of the film. */
function fitted(others, width, height) {
  return Object.fromEntries(Object.entries(others).map(([name, rle]) => [name, scaled(decode(rle), rle.size, width, height)]));
}

function scaled(mask, [rows, columns], width, height) {
  if (rows === height && columns === width) return mask;
  if (Math.abs(columns / rows - width / height) > 0.01 * (width / height)) {
    throw { title: "No reference mask", detail: `The mask has ${columns} × ${rows} px and the film ${width} × ${height}: they differ in shape. Give the mask of this film.` };
  }
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    const row = Math.floor(((y + 0.5) * rows) / height) - mask.top;
    if (row < 0 || row >= mask.height) continue;
    for (let x = 0; x < width; x++) {
      const column = Math.floor(((x + 0.5) * columns) / width) - mask.left;
      if (column >= 0 && column < mask.width) pixels[y * width + x] = mask.pixels[row * mask.width + column];
    }
  }
  return { left: 0, top: 0, width, height, pixels };
}

/** The box that holds two masks. */
function unionBox(...masks) {
  const filled = masks.filter(({ width }) => width);
  if (!filled.length) return { left: 0, top: 0, width: 0, height: 0 };
  const [left, top] = ["left", "top"].map((side) => Math.min(...filled.map((mask) => mask[side])));
  const right = Math.max(...filled.map((mask) => mask.left + mask.width));
  const bottom = Math.max(...filled.map((mask) => mask.top + mask.height));
  return { left, top, width: right - left, height: bottom - top };
}

/** A mask in another box, which holds it. */
function cut(mask, box) {
  const pixels = new Uint8Array(box.width * box.height);
  for (let y = 0; y < mask.height; y++) {
    const at = (y + mask.top - box.top) * box.width + mask.left - box.left;
    pixels.set(mask.pixels.subarray(y * mask.width, (y + 1) * mask.width), at);
  }
  return { ...box, pixels };
}

function union(a, b) {
  const box = unionBox(a, b);
  const [pixels, more] = [cut(a, box).pixels, cut(b, box).pixels];
  for (let i = 0; i < pixels.length; i++) pixels[i] |= more[i];
  return { ...box, pixels };
}

/** A mask without the pixels of another one. */
function without(mask, other) {
  const box = unionBox(mask, other);
  const [pixels, less] = [cut(mask, box).pixels, cut(other, box).pixels];
  for (let i = 0; i < pixels.length; i++) pixels[i] &= 1 - less[i];
  return { ...box, pixels };
}

/** The distances of the boundaries, and the map of those to the other one; null if a mask is empty. */
function compareBoundaries(a, b, steps) {
  const [edgeA, edgeB] = [boundary(a), boundary(b)];
  if (!edgeA.includes(1) || !edgeB.includes(1)) return null;
  const grid = { width: a.width, height: a.height, ...steps };
  const [toA, toOther] = [distanceMap(edgeA, grid), distanceMap(edgeB, grid)];
  return { toOther, ...summary(toOther.filter((_, i) => edgeA[i]), toA.filter((_, i) => edgeB[i])) };
}

/** Add the pieces of a mask's outline to the lists of `parts`, by the distance of the pixel that they bound. */
function addParts(mask, distances, { ends, parts }) {
  const rankOf = (distance) => ends.filter((end) => distance > end).length;
  for (const corners of contours(mask)) {
    let [line, rank] = [null, null];
    forEachEdge(corners, mask, (from, to, pixel) => {
      const next = rankOf(distances[pixel]);
      if (next !== rank) parts[next].push((line = [...from]));
      rank = next;
      line.push(...to);
    });
  }
}

/** Visit the unit edges of a polygon: the two corners, and the pixel inside, which lies on the right hand. */
function forEachEdge(corners, { left, top, width }, visit) {
  for (let i = 0; i < corners.length; i += 2) {
    const next = (i + 2) % corners.length;
    let [x, y] = [corners[i], corners[i + 1]];
    const [dx, dy] = [Math.sign(corners[next] - x), Math.sign(corners[next + 1] - y)];
    while (x !== corners[next] || y !== corners[next + 1]) {
      const column = x - left - (dx < 0 || dy > 0 ? 1 : 0);
      const row = y - top - (dx < 0 || dy < 0 ? 1 : 0);
      visit([x, y], [x + dx, y + dy], row * width + column);
      [x, y] = [x + dx, y + dy];
    }
  }
}

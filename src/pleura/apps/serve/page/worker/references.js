// Reading reference masks: pictures of masks and label maps, and the JSON of results. They become run lengths.

import { runLengths } from "./contours.js";
import { isPlainPng, readPng } from "./png.js";

const LABELS = { right: 1, left: 2, heartOutside: 3 }; // of a label map, as Pleura writes it: the heart outside of the lungs only
const MAX_LEVELS = 16; // of a mask; a film has more
const BLURRED = 127; // a JPEG picture blurs the edges of a mask: up to here it is background

/**
 * The masks in a file: a list of { film, byDefinition }. `film` is the name in a JSON file, otherwise null; `byDefinition`
 * has run lengths of right, left and heart or of both lungs, by `field` and `whole`, or by `any`. Throws a problem.
 */
export async function readReference(file) {
  if (/\.json$/i.test(file.name)) return fromJson(file);
  const grid = await gridOf(file);
  return [{ film: null, byDefinition: { any: structuresOf(grid, file) } }];
}

async function fromJson(file) {
  try {
    const content = JSON.parse(await file.text());
    const results = (content.results ?? [content]).filter(({ lungs }) => lungs);
    const read = results.map(({ film, lungs }) => ({
      film: film || null,
      byDefinition: Object.fromEntries(Object.entries(lungs).map(([name, { rle }]) => [name, known(rle)])),
    }));
    if (read.length) return read;
  } catch {
    // the problem below tells what is expected
  }
  throw problem(`${file.name} holds no masks; save "JSON" of a film on this page, or of the service with include=rle.`);
}

const known = (rle) => Object.fromEntries(Object.entries(rle).filter(([, mask]) => mask));

/** Grey levels or labels of a picture: { width, height, samples }. */
async function gridOf(file) {
  const bytes = new Uint8Array(await file.arrayBuffer());
  try {
    if (isPlainPng(bytes)) return await readPng(bytes);
    return await greysOf(file);
  } catch {
    throw problem(`${file.name} cannot be read as a mask; give a PNG, BMP, GIF, WebP or JPEG picture, or the JSON of a result. ` +
      "Masks in other formats can be saved as PNG.");
  }
}

/** The grey levels of a picture that the browser decodes; 0 where it is transparent. */
async function greysOf(file) {
  const bitmap = await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  const { width, height } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  bitmap.close();
  const { data } = context.getImageData(0, 0, width, height);
  const samples = new Uint8Array(width * height);
  for (let i = 0; i < samples.length; i++) samples[i] = data[4 * i + 3] ? Math.max(data[4 * i], data[4 * i + 1], data[4 * i + 2]) : 0;
  return { width, height, samples };
}

/** The run lengths of the structures: of a label map right, left and heart; of another mask both lungs. */
function structuresOf({ width, height, samples }, file) {
  const levels = new Set(samples);
  const isJpeg = file.type === "image/jpeg" || /\.jpe?g$/i.test(file.name);
  if (!isJpeg && levels.size > MAX_LEVELS) {
    throw problem(`${file.name} has ${levels.size} grey levels, so it is a film and no mask; close "Compare" to add films.`);
  }
  const mask = (test) => runLengths(Uint8Array.from(samples, test), width, height);
  levels.delete(0);
  const isMap = [...levels].every((level) => level <= LABELS.heartOutside) && (levels.has(LABELS.left) || levels.has(LABELS.heartOutside));
  if (!isMap) return { lungs: mask((level) => Number(level > (isJpeg ? BLURRED : 0))) };
  const names = Object.keys(LABELS).filter((name) => name !== "heartOutside" || levels.has(LABELS[name])); // without a heart it is unlabelled
  return Object.fromEntries(names.map((name) => [name, mask((level) => Number(level === LABELS[name]))]));
}

const problem = (detail) => ({ title: "No reference mask", detail });

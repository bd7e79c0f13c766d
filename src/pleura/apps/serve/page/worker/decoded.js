// Decoded films: samples, masks and contours, kept for the films that were looked at last.

import { contours, decode } from "./contours.js";
import { Edit } from "./edit.js";
import { histogram, picture, smaller, windowOf } from "./grey.js";
import { readPng } from "./png.js";

const MAX_SAMPLES = 60_000_000; // kept at a time

const received = new Map(); // what the service sent of each film, compressed
const decoded = new Map(); // the films looked at last, the latest one at the end

/** Keep what is needed to show a film: its values as PNG bytes, and its masks as run lengths. */
export function keep(id, values, lungs) {
  const { png, ...scale } = values;
  const rle = Object.fromEntries(Object.entries(lungs).map(([name, { rle: runs }]) => [name, runs]));
  received.set(id, { png: new Blob([bytesOf(png)]), scale, rle });
}

export function forget(id) {
  received.delete(id);
  decoded.delete(id);
  for (const key of [...edits.keys()]) if (key.startsWith(`${id} `)) edits.delete(key);
}

/** Replace the run lengths of a film after an edit, so that a later view has them. */
export function useRle(id, definition, rle) {
  received.get(id).rle[definition] = rle;
}

/** The bytes of a text in base64. */
export function bytesOf(base64) {
  const text = atob(base64);
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** The small picture of a film in its usual window, its histogram, its windows and its contours. */
export async function view(id) {
  const { film, small, scale, rle, highest } = await decodedFilm(id);
  const outlines = {};
  const windows = { usual: samplesOf(scale), full: { low: 0, high: highest } };
  for (const [definition, runs] of Object.entries(rle)) {
    const masks = masksOf(runs);
    outlines[definition] = Object.fromEntries(Object.entries(masks).map(([name, mask]) => [name, contours(mask)]));
    windows.lungs ??= windowOf(film, ["right", "left"].map((side) => masks[side]).filter(Boolean), highest);
    if (masks.heart) windows.heart ??= windowOf(film, [masks.heart], highest);
  }
  return {
    id, outlines, windows, highest, scale,
    width: film.width, height: film.height, factor: small.factor,
    bins: histogram(small, highest),
    picture: await picture(small, windows.usual),
  };
}

/** The small picture of a film in its usual window. */
export async function usualPicture(id) {
  const { small, scale } = await decodedFilm(id);
  return picture(small, samplesOf(scale));
}

/** The picture of a film in a window; `isSmall` for the small copy. */
export async function pictureOf(id, window, isSmall) {
  const { film, small } = await decodedFilm(id);
  return picture(isSmall ? small : film, window);
}

const edits = new Map(); // by film and definition: the promise of an `Edit`

/** Change the masks of a film by hand: `step` is `draw` with a stroke, `replace` with run lengths, `undo` or `redo`. Null if there is nothing to change. */
export async function edit(id, definition, step, stroke) {
  const key = `${id} ${definition}`;
  if (!edits.has(key)) edits.set(key, startEdit(id, definition)); // before it is decoded: a second stroke waits for the same
  return (await edits.get(key).catch((error) => { edits.delete(key); throw error; }))[step](stroke);
}

async function startEdit(id, definition) {
  const { film, rle } = await decodedFilm(id);
  return new Edit(film, masksOf(rle[definition]));
}

/** The film's value at a pixel. */
export async function valueAt(id, x, y) {
  const { film, scale } = await decodedFilm(id);
  return scale.minimum + scale.step * film.samples[y * film.width + x];
}

/** Black and white of the usual display, in samples. */
function samplesOf({ minimum, step, dark, light }) {
  return { low: (dark - minimum) / step, high: (light - minimum) / step };
}

const masksOf = (runs) =>
  Object.fromEntries(Object.entries(runs).filter(([, mask]) => mask).map(([name, mask]) => [name, decode(mask)]));

async function decodedFilm(id) {
  const kept = decoded.get(id) ?? decodeFilm(id);
  decoded.delete(id);
  decoded.set(id, kept);
  const film = await kept.catch((error) => { decoded.delete(id); throw error; });
  await dropOldest(id);
  return film;
}

async function decodeFilm(id) {
  const { png, scale, rle } = received.get(id);
  const film = await readPng(new Uint8Array(await png.arrayBuffer()));
  let highest = 0;
  for (const sample of film.samples) if (sample > highest) highest = sample;
  return { film, small: smaller(film), scale, rle, highest };
}

async function dropOldest(latest) {
  let samples = 0;
  for (const [id, kept] of [...decoded].reverse()) {
    const film = await kept.catch(() => null);
    samples += film?.film.samples.length ?? 0;
    if (id !== latest && samples > MAX_SAMPLES) decoded.delete(id);
  }
}

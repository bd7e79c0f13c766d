// The worker: it sends films, decodes answers and prepares views, so that the page never waits.

import { checksumOf } from "../films/crc.js";
import { compare } from "./compare.js";
import * as decoded from "./decoded.js";
import { readReference } from "./references.js";
import { maskPng } from "./masks.js";
import * as service from "./service.js";

const THUMBNAIL = { width: 184, height: 156 };

/** Send a film. The page gets its result without masks and pictures, and a thumbnail. */
async function segment(film) {
  const { values, ...result } = await service.segment(film, (progress) => postMessage({ progress, film: film.id }));
  decoded.forget(film.id); // what an earlier try left
  decoded.keep(film.id, values, result.lungs);
  const masks = {};
  for (const [definition, lungs] of Object.entries(result.lungs)) {
    masks[definition] = new Blob([decoded.bytesOf(lungs.mask_png)], { type: "image/png" });
    delete lungs.mask_png;
  }
  return { result, masks, thumbnail: await thumbnail(film.id) };
}

async function thumbnail(id) {
  const picture = await decoded.usualPicture(id);
  const scale = Math.min(1, THUMBNAIL.width / picture.width, THUMBNAIL.height / picture.height);
  const [resizeWidth, resizeHeight] = [picture.width, picture.height].map((side) => Math.max(1, Math.round(scale * side)));
  const small = await createImageBitmap(picture, { resizeWidth, resizeHeight, resizeQuality: "high" });
  picture.close();
  return small;
}

/** Change masks by hand. */
async function edit(id, definition, step, stroke) {
  const changed = await decoded.edit(id, definition, step, stroke);
  if (changed) decoded.useRle(id, definition, changed.rle);
  return changed;
}

/** The checksum of a file. */
const checksum = async (file) => checksumOf(new Uint8Array(await file.arrayBuffer()));

const JOBS = {
  checksum,
  segment,
  useKey: service.useKey,
  needsKey: service.needsKey,
  example: service.example,
  download: service.download,
  correction: service.correction,
  cancel: service.cancel,
  forget: decoded.forget,
  view: decoded.view,
  edit,
  measure: service.measure,
  picture: decoded.pictureOf,
  value: decoded.valueAt,
  maskPng,
  reference: readReference,
  compare,
};

self.addEventListener("message", async ({ data: { call, job, values } }) => {
  try {
    const answer = await JOBS[job](...values);
    postMessage({ call, answer }, bitmapsOf(answer));
  } catch (problem) {
    postMessage({ call, problem: problem?.title ? problem : { title: "Something unexpected happened", detail: String(problem) } });
  }
});

/** The pictures of an answer; they move to the page without a copy. */
function bitmapsOf(answer) {
  return [answer, answer?.picture, answer?.thumbnail].filter((value) => value instanceof ImageBitmap);
}

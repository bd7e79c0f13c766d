// Corrections as a data set for training: the films whose masks were edited or accepted, with a mask for each structure.

import { call } from "../worker/client.js";
import { stemOf, withStatus } from "./film.js";
import { zip } from "./zip.js";

const isRejected = ({ decision }) => decision === "rejected";

/** The definitions by which a film's masks count as right: those that were edited, and the accepted one. */
function definitionsOf(film) {
  const edited = Object.keys(film.edited).filter((name) => film.edited[name]);
  const accepted = film.decision === "accepted" ? [film.decidedOn.definition] : [];
  return isRejected(film) ? [] : [...new Set([...edited, ...accepted])];
}

/** The zip file of all corrections, the layout `corrections` of `pleura data`. Throws an `Error`. */
export async function correctionsZip() {
  const films = withStatus("done").filter((film) => definitionsOf(film).length);
  if (!films.length) throw new Error("No film was edited or accepted: edit outlines, or accept them, and save again.");
  const [entries, listed] = [[], []];
  for (const film of films) {
    const masks = await masksOf(film);
    const name = nameOf(film);
    const image = `films/${name}${suffixOf(film)}`;
    entries.push({ name: image, content: film.file }, ...masks.map(({ channel, content }) => ({ name: maskName(name, channel), content })));
    listed.push({
      id: name, image, mirrored: isMirrored(film), masks: Object.fromEntries(masks.map(({ channel }) => [channel, maskName(name, channel)])),
      edited: Object.keys(film.edited).filter((definition) => film.edited[definition]), decision: film.decision, comment: film.comment,
    });
  }
  const { version, weights_name, weights_sha256 } = films[0].result.provenance;
  const editor = document.getElementById("editor").value;
  const content = { made_by: "the page of pleura serve", version, weights_name, weights_sha256, editor, saved_at: new Date().toISOString(), films: listed };
  entries.push({ name: "corrections.json", content: new Blob([`${JSON.stringify(content, null, 1)}\n`]) });
  return zip(entries);
}

const isMirrored = (film) => film.flip || film.result.mirrored;

const maskName = (name, channel) => `masks/${name}_${channel}.png`;

/** The stem without steps to other folders. */
const nameOf = (film) => stemOf(film).split("/").filter((part) => part && part !== "." && part !== "..").join("/");

const suffixOf = ({ label }) => label.match(/\.[^./]*$/)?.[0] ?? "";

/** A PNG file for each structure of the definitions that count, { channel, content }; the heart of the first one. */
async function masksOf(film) {
  const runs = {};
  for (const definition of definitionsOf(film)) {
    const { right, left, heart } = film.result.lungs[definition].rle;
    Object.assign(runs, { [`right_${definition}`]: right, [`left_${definition}`]: left });
    if (heart) runs.heart ??= heart;
  }
  return Promise.all(Object.entries(runs).map(async ([channel, rle]) => ({ channel, content: await call("maskPng", rle, isMirrored(film)) })));
}

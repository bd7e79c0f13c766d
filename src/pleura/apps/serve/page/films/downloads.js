// Downloads: files of one film, and tables of all films.

import { call } from "../worker/client.js";
import { csv } from "./csv.js";
import { definitionOf, lungsOf, requestOf, stemOf, withStatus } from "./film.js";

const EDITED = "edited by hand";

const json = (value) => new Blob([`${JSON.stringify(value, null, 1)}\n`], { type: "application/json" });

function rowOf(film) {
  const row = { ...lungsOf(film).row, film: stemOf(film), path: film.name };
  if (!film.edited[definitionOf(film)]) return row;
  const cell = (value) => (value?.bottom === undefined ? value : [value.top, value.left, value.bottom, value.right].join(" "));
  const measured = Object.entries(lungsOf(film).measurements).filter(([name]) => name in row && name !== "spacing_source");
  const notes = [...film.result.notes, EDITED].join("; ");
  return { ...row, ...Object.fromEntries(measured.map(([name, value]) => [name, cell(value)])), notes };
}

/** The row of a film that failed: its name and the reason. */
const failedRowOf = (film, columns) => ({
  ...Object.fromEntries(columns.map((name) => [name, null])),
  film: stemOf(film), path: film.name, status: "failed", error: film.problem.detail,
});

function table(selection) {
  const columns = Object.keys(rowOf(selection.find((film) => film.status === "done")));
  const rows = selection.map((film) => (film.status === "done" ? rowOf(film) : failedRowOf(film, columns)));
  return new Blob([csv(rows)], { type: "text/csv" });
}

/** The JSON of the service, without the row, which the page needs. */
function resultJson(film) {
  if (film.status === "failed") return { film: film.label, status: "failed", problem: film.problem };
  const lungs = Object.entries(film.result.lungs).map(([name, { row, ...rest }]) => [name, rest]);
  const edited = Object.keys(film.edited).filter((name) => film.edited[name]);
  const provenance = { ...film.result.provenance, edited: edited.length ? `${EDITED}: ${edited.join(", ")}` : null };
  return { ...film.result, provenance, film: film.label, lungs: Object.fromEntries(lungs) };
}

/** A file from the service; with the edited masks, if there are any. */
function request(film, format) {
  const definition = definitionOf(film);
  if (!film.edited[definition]) return call("download", requestOf(film), { definition, format });
  const editor = document.getElementById("editor").value;
  return call("correction", requestOf(film), { definition, format, editor, rle: lungsOf(film).rle });
}

const isEdited = (film) => Boolean(film.edited[definitionOf(film)]);

const settled = () => withStatus("done", "failed");

const SAVES = {
  mask: async (film) => [isEdited(film) ? await request(film, "mask") : film.masks[definitionOf(film)], "_mask.png"],
  labels: async (film) => [await request(film, "labels"), "_labels.png"],
  overlay: async (film) => [await request(film, "overlay"), "_overlay.png"],
  seg: async (film) => [await request(film, "dicom-seg"), "_seg.dcm"],
  json: async (film) => [isEdited(film) ? await request(film, "json") : json(resultJson(film)), ".json"],
  csv: (film) => [table([film]), ".csv"],
};

const SAVES_OF_ALL = {
  "all-json": () => [json({ results: settled().map(resultJson) }), "results.json"],
  "all-csv": () => [table(settled()), "results.csv"],
};

/** Save a result of a film, or a table of all films. Throws the problem. */
export async function save(name, film) {
  const [content, ending] = name in SAVES ? await SAVES[name](film) : SAVES_OF_ALL[name]();
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name in SAVES ? `${stemOf(film).replaceAll("/", "_")}${ending}` : ending;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

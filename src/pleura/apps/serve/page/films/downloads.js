// Downloads: files of one film, and tables of all films.

import { call } from "../worker/client.js";
import { correctionsZip } from "./corrections.js";
import { csv } from "./csv.js";
import { reviewCsv } from "./review.js";
import { definitionOf, lungsOf, measurementsOf, requestOf, stemOf, verdictOf, withStatus } from "./film.js";
import { ratioOf } from "../view/ratio.js";
import { zip } from "./zip.js";

const EDITED = "edited by hand";
const RATIO_BY_HAND = "cardiothoracic ratio measured by hand";

const json = (value) => new Blob([`${JSON.stringify(value, null, 1)}\n`], { type: "application/json" });

function rowOf(film) {
  const row = { ...lungsOf(film).row, film: stemOf(film), path: film.name };
  const byHand = film.byHand[definitionOf(film)];
  const ratio = byHand ? { cardiothoracic_ratio: measurementsOf(film).cardiothoracic_ratio } : {};
  if (!film.edited[definitionOf(film)]) return byHand ? { ...row, ...ratio, notes: [...(row.notes ? [row.notes] : []), RATIO_BY_HAND].join("; ") } : row;
  const cell = (value) => (value?.bottom === undefined ? value : [value.top, value.left, value.bottom, value.right].join(" "));
  const measured = Object.entries(lungsOf(film).measurements).filter(([name]) => name in row && name !== "spacing_source");
  const notes = [...film.result.notes, EDITED, ...(byHand ? [RATIO_BY_HAND] : [])].join("; ");
  return { ...row, ...Object.fromEntries(measured.map(([name, value]) => [name, cell(value)])), ...ratio, notes };
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
  const lungs = Object.entries(film.result.lungs).map(([name, { row, ...rest }]) => [name, withRatio(film, name, rest)]);
  const edited = Object.keys(film.edited).filter((name) => film.edited[name]);
  const provenance = { ...film.result.provenance, edited: edited.length ? `${EDITED}: ${edited.join(", ")}` : null };
  return { ...film.result, provenance, film: film.label, lungs: Object.fromEntries(lungs) };
}

/** The content of one definition, with the widths and the ratio by hand if the lines were moved. */
function withRatio(film, name, lungs) {
  const widths = film.byHand[name];
  if (!widths) return lungs;
  return { ...lungs, widths, measurements: { ...lungs.measurements, cardiothoracic_ratio: ratioOf(widths) }, notes: [...lungs.notes, RATIO_BY_HAND] };
}

/** The JSON of the service for an edited film, with what was measured by hand. */
async function editedJson(film) {
  const result = JSON.parse(await (await request(film, "json")).text());
  const lungs = Object.entries(result.lungs).map(([name, content]) => [name, withRatio(film, name, content)]);
  return json({ ...result, film: film.label, lungs: Object.fromEntries(lungs) });
}

/** A file from the service; with the edited masks, if there are any. */
function request(film, format) {
  const definition = definitionOf(film);
  const { provenance } = film.result;
  if (!film.edited[definition]) return call("download", requestOf(film), { definition, format, provenance });
  const editor = document.getElementById("editor").value;
  return call("correction", requestOf(film), { definition, format, editor, rle: lungsOf(film).rle, provenance });
}

const isEdited = (film) => Boolean(film.edited[definitionOf(film)]);

const settled = () => withStatus("done", "failed");

const SAVES = {
  mask: async (film) => [isEdited(film) ? await request(film, "mask") : film.masks[definitionOf(film)], "_mask.png"],
  labels: async (film) => [await request(film, "labels"), "_labels.png"],
  overlay: async (film) => [await request(film, "overlay"), "_overlay.png"],
  seg: async (film) => [await request(film, "dicom-seg"), "_seg.dcm"],
  json: async (film) => [isEdited(film) ? await editedJson(film) : json(resultJson(film)), ".json"],
  csv: (film) => [table([film]), ".csv"],
};

const SAVES_OF_ALL = {
  "all-json": () => [json({ results: settled().map(resultJson) }), "results.json"],
  review: () => [new Blob([reviewCsv()], { type: "text/csv" }), "review.csv"],
  "all-csv": () => [table(settled()), "results.csv"],
};

const DATA_SETS = { corrections: async () => [await correctionsZip(), "corrections.zip"] };

/** Throw a problem if a film has edits without measurements: a table of all films would hold older numbers. */
function checkMeasured(selection) {
  const film = selection.find(({ status, unmeasured }) => status === "done" && Object.keys(unmeasured).length);
  if (film) throw new Error(`The edited outlines of ${film.label} are not measured yet: choose that film, and measure it again if that failed.`);
}

/** Save a result of a film, or a table of all films. Throws the problem. */
export async function save(name, film) {
  checkMeasured(name in SAVES ? [film] : settled());
  const [content, ending] = await { ...SAVES, ...SAVES_OF_ALL, ...DATA_SETS }[name](film);
  offer(content, name in SAVES ? `${stemOf(film).replaceAll("/", "_")}${ending}` : ending);
}

const IN_ZIP = ["mask", "overlay", "seg"];

/** The report of all films, with the fields of the command line's run.json. */
function runJson(selection, started) {
  const done = selection.filter(({ status }) => status === "done");
  const common = (of) => (done.every((film) => of(film) === of(done[0])) ? of(done[0]) : null); // null where films differ
  const ofAll = (name) => common(({ result }) => result.provenance[name]);
  const films = Object.fromEntries(done.map((film) => [stemOf(film), { definition: definitionOf(film), flip: film.flip }]));
  const count = (verdict) => done.filter((film) => verdictOf(film) === verdict).length;
  return json({
    version: ofAll("version"), weights: ofAll("weights_name"), weights_sha256: ofAll("weights_sha256"), engine: ofAll("engine"),
    definition: common(definitionOf), flip: common(({ flip }) => flip),
    shard: null, options: { made_by: "the page of pleura serve", films }, status: "complete",
    found: selection.length, done: done.length, failed: selection.length - done.length, skipped: 0,
    review: count("review"), refused: count("refused"), left_out: {}, unreadable: {},
    started: started.toISOString(), seconds: (Date.now() - started) / 1000,
  });
}

/**
 * Save the results of all films in one zip file. `onProgress` is called with the films that are ready and all of them;
 * if it returns false, the work ends and nothing is saved. Returns the problems of files that could not be made.
 */
export async function saveZip(onProgress) {
  const [started, selection, entries, problems] = [new Date(), settled(), [], []];
  checkMeasured(selection);
  for (const [index, film] of selection.entries()) {
    if (!onProgress(index, selection.length)) return problems;
    if (film.status !== "done") continue;
    for (const name of IN_ZIP.filter((name) => name !== "seg" || film.result.formats.includes("dicom-seg"))) {
      try {
        const [content, ending] = await SAVES[name](film);
        entries.push({ name: `${stemOf(film)}${ending}`, content });
      } catch (problem) {
        problems.push(`${film.label} (${name}): ${problem.detail ?? problem}`);
      }
    }
  }
  for (const tableOfAll of Object.values(SAVES_OF_ALL)) {
    const [content, name] = tableOfAll();
    entries.push({ name, content });
  }
  entries.push({ name: "run.json", content: runJson(selection, started) });
  if (onProgress(selection.length, selection.length)) offer(await zip(entries), "pleura.zip");
  return problems;
}

function offer(content, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(content);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

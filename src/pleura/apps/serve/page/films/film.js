// The films of the page: the state of each one, and the list of all.

import { ratioOf } from "../view/ratio.js";
import { checksumOf } from "./crc.js";

let last = 0;

/** All films, in the order in which they were added. */
export const films = [];

/** The state of a film. `label` is its name, and no other film has it. */
export function newFilm({ file, name, force = false, flip = false, decision = "", decidedAt = "", decidedOn = null, comment = "", edits = {}, byHand = {}, reference = null }) {
  return {
    id: ++last, // of its result: a film that is sent again gets another one
    file,
    name, // with the folders that it was chosen with
    label: uniqueLabel(name),
    force, // segment it even if it is a photograph
    flip, // it is stored mirrored: segment its mirror image
    status: "waiting", // then "working", then "done" or "failed"
    progress: "waiting", // its progress as text
    share: null, // the share of the upload that is sent
    result: null,
    masks: null, // the PNG file of the mask, by definition
    problem: null, // the problem details of its error
    edited: {}, // by definition: whether its masks were edited by hand
    edits, // by definition: the run lengths of masks that were edited by hand
    byHand, // by definition: the widths of the cardiothoracic ratio that were moved by hand
    original: {}, // by definition: the run lengths of masks before they were edited
    reference, // masks to compare with: { name, byDefinition } with run lengths, or null
    decision, // of the reviewer: "accepted", "rejected", or "" for none
    decidedAt, // the time of the decision
    decidedOn, // what it applies to: { definition, outlines }, a definition and the checksum of its outlines; or null
    checksum: null, // of the file, once it was read
    comment,
    unmeasured: {}, // by definition: { problem, ending } while edited masks have no measurements; the problem after a failure
    revealed: false, // whether outlines and measurements of a refused film are shown
    saving: new Set(), // downloads under way
  };
}

/** Drop all that a film has of its earlier result, so that it can be sent again. */
export function resetResult(film) {
  Object.assign(film, { id: ++last, result: null, masks: null, edited: {}, edits: {}, byHand: {}, original: {}, canUndo: {}, unmeasured: {}, revealed: false });
  Object.assign(film, { decision: "", decidedAt: "", decidedOn: null }); // it was on the earlier result
}

/** What the worker needs of a film for its requests. */
export const requestOf = ({ id, file, force, flip }) => ({ id, file, force, flip });

/** The name with a number before its suffix if another film has it. */
function uniqueLabel(name) {
  const [, stem, suffix] = name.match(/^(.*?)(\.[^./]*)?$/s);
  for (let number = 1; ; number++) {
    const label = number === 1 ? name : `${stem} (${number})${suffix ?? ""}`;
    if (!films.some((film) => film.label === label)) return label;
  }
}

export const withStatus = (...statuses) => films.filter((film) => statuses.includes(film.status));

const bareLabel = ({ label }) => label.replace(/\.[^./]*$/, "") || "film";

/** The name of a film's results: its label without the suffix, or `a_png` where `a.png` and `a.jpg` are there. */
export function stemOf(film) {
  const stem = bareLabel(film);
  const isUnique = !films.some((other) => other !== film && bareLabel(other).toLowerCase() === stem.toLowerCase());
  return isUnique ? stem : film.label.replace(/\.([^./]*)$/, "_$1");
}

let definition = "field"; // the one that the user selected

export const selectDefinition = (name) => { definition = name; };

/** The selected definition, or the one that the weights give. */
export const definitionOf = ({ result }) => (definition in result.lungs ? definition : Object.keys(result.lungs)[0]);

/** Verdict, measurements and notes of a film by the selected definition. */
export const lungsOf = (film) => film.result.lungs[definitionOf(film)];

/** A checksum of a film's outlines by a definition: other masks have another one. */
export function outlinesOf(film, definition) {
  const { rle } = film.result.lungs[definition];
  const runs = ["right", "left", "heart"].map((name) => rle[name] && [rle[name].size, rle[name].counts]);
  return checksumOf(new TextEncoder().encode(JSON.stringify(runs)));
}

/** Whether a film has work that its removal, or another segmentation, would lose: edits, widths by hand, a decision, a comment. */
export const hasWork = (film, { alsoComment = true } = {}) =>
  [film.edits, film.byHand].some((each) => Object.keys(each).length) || Boolean(film.decision || (alsoComment && film.comment));

/** The widths of the cardiothoracic ratio, by hand if they were moved; null if there are none. */
export const widthsOf = (film) => film.byHand[definitionOf(film)] ?? lungsOf(film).widths;

/** The measurements of a film by a definition; the cardiothoracic ratio by hand if its lines were moved. */
export function measurementsOf(film, name = definitionOf(film)) {
  const { measurements } = film.result.lungs[name];
  const widths = film.byHand[name];
  return widths ? { ...measurements, cardiothoracic_ratio: ratioOf(widths) } : measurements;
}

export const verdictOf = (film) => lungsOf(film).quality.verdict;

/** { problem } while the shown numbers are older than the edited masks, otherwise undefined. */
export const unmeasured = (film) => (film.status === "done" ? film.unmeasured[definitionOf(film)] : undefined);

/** Whether outlines and measurements are hidden: those of a refused film, until the user shows them. */
export const isVeiled = (film) => film.status === "done" && verdictOf(film) === "refused" && !film.revealed;

// The review of the films: decisions and comments, the order in which films are looked at, and the table review.csv.

import { csv, parseCsv } from "./csv.js";
import { definitionOf, films, isVeiled, lungsOf, measurementsOf, outlinesOf, verdictOf } from "./film.js";

export const DECISIONS = { accepted: "accepted", rejected: "rejected" };

// ---- decisions

/** Set the decision on a film and on its outlines by the selected definition, `accepted`, `rejected` or "" for none. */
export function decide(film, decision) {
  film.decision = decision;
  film.decidedAt = decision ? new Date().toISOString() : "";
  film.decidedOn = decision ? presentOutlines(film, definitionOf(film)) : null;
}

const presentOutlines = (film, definition) => ({ definition, outlines: outlinesOf(film, definition) });

/** The decision on a film's outlines by the selected definition; "" if there is none, or if it is on those by the other one. */
export const decisionShown = (film) => (film.decidedOn?.definition === definitionOf(film) ? film.decision : "");

/** Whether a film has a decision on other outlines than it has now: other weights, or a later version, found them. */
export function isOutdated(film) {
  const { definition, outlines } = film.decidedOn ?? {};
  return Boolean(film.decision) && !(definition in film.result.lungs && outlinesOf(film, definition) === outlines);
}

// ---- order and filters

const RANKS = { refused: 0, review: 1, ok: 2 };

const measure = (name) => (film) => (isVeiled(film) ? null : measurementsOf(film)[name]);

const isDone = (film) => film.status === "done";

/** The uncertainty of a film without an estimated Dice, which only calibrated weights give; null if it has one, or is refused. */
function uncertainty(film) {
  const quality = lungsOf(film).quality;
  return quality.estimated_dice === null && verdictOf(film) !== "refused" ? quality.uncertainty : null;
}

/** Columns of numbers: name, value of a film that is done, decimals. */
export const MEASURES = {
  dice: { name: "Estimated Dice", of: (film) => lungsOf(film).quality.estimated_dice, decimals: 2 },
  uncertainty: { name: "Uncertainty", of: uncertainty, decimals: 4 },
  area: { name: "Lungs, px", of: measure("lungs_area_px"), decimals: 0 },
  cm2: { name: "Lungs, cm²", of: measure("lungs_area_cm2"), decimals: 1 },
  sides: { name: "Right to left", of: measure("right_to_left_ratio"), decimals: 2 },
  ratio: { name: "Cardiothoracic ratio", of: measure("cardiothoracic_ratio"), decimals: 2 },
};

/** The value of a film in a column of numbers; null where it has none. */
export const valueOf = (film, name) => (isDone(film) ? (MEASURES[name].of(film) ?? null) : null);

/** Whether the masks of the selected definition were edited by hand. */
export const isEdited = (film) => isDone(film) && Boolean(film.edited[definitionOf(film)]);

const KEYS = {
  film: (film) => film.label,
  verdict: (film) => (isDone(film) ? RANKS[verdictOf(film)] : 3),
  edited: (film) => (isEdited(film) ? 0 : 1),
  decision: (film) => film.decision || "z",
  comment: (film) => film.comment || null,
};

/** What the table shows: the column by which it is sorted (null: as added), and the filters ("" or null for none). */
export const queue = { sort: null, descending: false, verdict: "", decision: "", measure: "dice", from: null, to: null };

/** Sort by a column; a second time the other way round, a third time as added. */
export function sortBy(name) {
  if (queue.sort !== name) Object.assign(queue, { sort: name, descending: false });
  else if (!queue.descending) queue.descending = true;
  else Object.assign(queue, { sort: null, descending: false });
}

/** All films in the order of the table; those without a value come last. */
function sorted() {
  const { sort, descending } = queue;
  if (!sort) return [...films];
  const keyOf = KEYS[sort] ?? ((film) => valueOf(film, sort));
  const compare = (a, b) => (typeof a === "string" ? a.localeCompare(b, "en", { numeric: true }) : a - b);
  return films.map((film) => [film, keyOf(film)]).sort(([, a], [, b]) => {
    if (a === null || b === null) return (a === null) - (b === null);
    return descending ? compare(b, a) : compare(a, b);
  }).map(([film]) => film);
}

function isShown(film) {
  const { verdict, decision, from, to } = queue;
  if (verdict && (isDone(film) ? verdictOf(film) : film.status) !== verdict) return false;
  if (decision && (film.decision || "none") !== decision) return false;
  if (from === null && to === null) return true;
  const value = valueOf(film, queue.measure);
  return value !== null && (from === null || value >= from) && (to === null || value <= to);
}

/** The films that the table shows, in its order. */
export const shownFilms = () => sorted().filter(isShown);

/** The films without a decision that the filters leave; without a filter by verdict, those that are not OK. */
export const toReview = () =>
  shownFilms().filter((film) => isDone(film) && !film.decision && (queue.verdict || verdictOf(film) !== "ok"));

/** How many films the filters hide from the table and from the review. */
export const hiddenCount = () => films.length - films.filter(isShown).length;

/** The next film to review after `film` in the order of the table, from its beginning again at the end; or null. */
export function nextToReview(film) {
  const waiting = toReview().filter((other) => other !== film);
  const order = sorted();
  const at = order.indexOf(film);
  return waiting.find((other) => order.indexOf(other) > at) ?? waiting[0] ?? null;
}

// ---- the table review.csv

/** The decisions on all films as CSV. */
export function reviewCsv() {
  return csv(films.map(reviewRow));
}

/** The row of a film; verdict and outlines are those by the definition that the decision is on, or by the selected one. */
function reviewRow(film) {
  const definition = film.decidedOn?.definition ?? (isDone(film) ? definitionOf(film) : null);
  const quality = isDone(film) ? film.result.lungs[definition].quality : null;
  return {
    film: film.label,
    bytes: film.file.size,
    status: film.status,
    definition,
    verdict: quality?.verdict ?? null,
    estimated_dice: quality?.estimated_dice ?? null,
    decision: film.decision || null,
    comment: film.comment || null,
    edited: definition && (film.edits[definition] ? "yes" : "no"),
    decided_at: film.decidedAt || null,
    film_checksum: film.checksum,
    outlines_checksum: isDone(film) ? outlinesOf(film, definition) : (film.decidedOn?.outlines ?? null),
  };
}

const rowsRead = new Map(); // rows of tables that were read, by film; a table of an earlier version has no checksums

const keyOf = ({ film, bytes, film_checksum: checksum }) => `${bytes} ${checksum || "any"} ${film}`;

/** Read the rows of a table of decisions; null if the file is none. */
export async function readReview(file) {
  if (!/\.csv$/i.test(file.name) || file.size > 50_000_000) return null;
  const rows = parseCsv(await file.text());
  return rows.length && ["film", "bytes", "decision", "comment"].every((name) => name in rows[0]) ? rows : null;
}

/** Keep the rows for the films that they belong to, also for those that are added later. */
export function keepRows(rows) {
  for (const row of rows) rowsRead.set(keyOf(row), row);
}

/**
 * Give a film the decision and the comment of its row; which of these it was: "none", "read", or "other" where the
 * decision was on other masks than are here, edited ones or those of other weights, so that only the comment counts.
 */
export function useRow(film) {
  const [film_checksum, common] = [film.checksum, { film: film.label, bytes: film.file.size }];
  const key = [keyOf({ ...common, film_checksum }), keyOf(common)].find((name) => rowsRead.has(name));
  if (!key) return "none";
  const row = rowsRead.get(key);
  rowsRead.delete(key);
  film.comment = row.comment || film.comment;
  if (!(row.decision in DECISIONS)) return "read";
  const definition = row.definition in film.result.lungs ? row.definition : definitionOf(film);
  const present = presentOutlines(film, definition);
  const isSame = row.outlines_checksum ? row.outlines_checksum === present.outlines : (row.edited === "yes") === Boolean(film.edited[definition]);
  if (!isSame) return "other";
  Object.assign(film, { decision: row.decision, decidedAt: row.decided_at, decidedOn: present });
  return "read";
}

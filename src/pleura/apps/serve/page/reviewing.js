// Reviewing: decisions on the film on the screen, the table, and the way to the next film to review.

import * as editing from "./edit.js";
import { films, lungsOf, unmeasured, verdictOf } from "./films/film.js";
import { decide, decisionShown, hiddenCount, isOutdated, keepRows, nextToReview, readReview, toReview, useRow } from "./films/review.js";
import * as storage from "./films/storage.js";
import { $, announce, tell } from "./panel/elements.js";
import { showDecision, showTotals } from "./panel/strip.js";
import { drawTable } from "./panel/table.js";
import { drawDecision, reveal, screen, select, shownFilm, style } from "./screen.js";

/** Show a film; the table closes. */
export function openFilm(film) {
  setTable(false);
  select(film);
}

export function setTable(isOpen) {
  if (isOpen === !$("table").hidden) return;
  editing.setEditing(false);
  $("table").hidden = !isOpen;
  $("work").classList.toggle("listing", isOpen);
  $("table-button").setAttribute("aria-pressed", String(isOpen));
  drawTable(screen.film);
  (isOpen ? $("table-body") : $("screen")).focus();
}

/** Decide on the film on the screen, or take the same decision back; then go on to the next film to review. */
export async function decideShown(decision) {
  const film = shownFilm();
  if (!film || !$("table").hidden) return;
  const { rle } = lungsOf(film);
  await editing.untilMeasured(film);
  if (film.status !== "done" || lungsOf(film).rle !== rle) return; // its outlines are others now
  if (unmeasured(film)) return announce("No decision: the edited outlines are not measured. Measure again first.");
  if (decision === "accepted" && (!$("veil").hidden || !style.isShown)) {
    reveal();
    announce(`The outlines of this ${verdictOf(film) === "refused" ? "refused " : ""}film are shown now. Look at them, then accept again.`);
    return;
  }
  const isBack = decisionShown(film) === decision;
  changeDecision(film, isBack ? "" : decision);
  announce(`${film.label}: ${film.decision || "no decision"}. ${toReview().length} left to review.`);
  const next = isBack || film !== shownFilm() ? null : nextToReview(film);
  if (next) select(next);
}

export function changeDecision(film, decision) {
  decide(film, decision);
  afterDecision(film);
}

function afterDecision(film) {
  storage.updateState(film);
  showDecision(film);
  if (film === screen.film) drawDecision(film);
  if (screen.film) showTotals(screen.film);
}

/** Select the next film to review. */
export function goToNext() {
  const next = nextToReview(screen.film);
  if (next) openFilm(next);
  else announce(`No other film is left to review.${hiddenCount() ? ` The filters of the table hide ${hiddenCount()} films.` : ""}`);
}

/** Take tables of decisions out of a list of files; the other files are returned. */
export async function takeDecisions(entries) {
  const tables = await Promise.all(entries.map(({ file }) => readReview(file)));
  const rows = tables.flatMap((table) => table ?? []);
  if (rows.length) {
    keepRows(rows);
    const outcomes = films.filter(({ status }) => status === "done").map(useDecision);
    const count = (outcome) => outcomes.filter((one) => one === outcome).length;
    const other = count("other") ? ` ${count("other")} of them were on other masks, edited by hand or of other weights, which are not here: decide on these again.` : "";
    tell(`${count("read") + count("other")} of ${rows.length} decisions are of films that are here; the others wait for theirs.${other}`);
  }
  return entries.filter((_, index) => !tables[index]);
}

/** Give a film the decision that was read for it, if any. */
export function useDecision(film) {
  const outcome = useRow(film);
  if (outcome !== "none") afterDecision(film);
  return outcome;
}

let takenBack = []; // the films whose decision was on other outlines

/** Take the decision on a film back that was kept from other outlines, and use one that was read for it; tell which decision does not count. */
export function checkDecision(film) {
  if (isOutdated(film)) {
    changeDecision(film, "");
    takenBack.push(film.label);
    const others = takenBack.length > 1 ? ` and ${takenBack.length - 1} other films` : "";
    tell(`The decision on ${takenBack[0]}${others} was on other outlines: these are of other weights or of another version. Decide again.`);
  }
  if (useDecision(film) === "other") tell(`The decision that was read for ${film.label} was on other masks, edited by hand or of other weights, which are not here: decide on it again.`);
}

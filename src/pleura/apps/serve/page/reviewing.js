// Reviewing: decisions on the film on the screen, the table, and the way to the next film to review.

import * as editing from "./edit.js";
import { films, lungsOf, unmeasured } from "./films/film.js";
import { decide, keepRows, nextToReview, readReview, toReview, useRow } from "./films/review.js";
import * as storage from "./films/storage.js";
import { $, announce, tell } from "./panel/elements.js";
import { showDecision, showTotals } from "./panel/strip.js";
import { drawTable } from "./panel/table.js";
import { drawDecision, reveal, screen, select, shownFilm } from "./screen.js";

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
  if (decision === "accepted" && !$("veil").hidden) {
    reveal();
    announce("The outlines of this refused film are shown now. Look at them, then accept again.");
    return;
  }
  const isBack = film.decision === decision;
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
  else announce("No other film is left to review.");
}

/** Take tables of decisions out of a list of files; the other files are returned. */
export async function takeDecisions(entries) {
  const tables = await Promise.all(entries.map(({ file }) => readReview(file)));
  const rows = tables.flatMap((table) => table ?? []);
  if (rows.length) {
    keepRows(rows);
    const outcomes = films.filter(({ status }) => status === "done").map(useDecision);
    const count = (outcome) => outcomes.filter((other) => other === outcome).length;
    const edited = count("edited") ? ` ${count("edited")} of them were on masks edited by hand, which are not here: decide on these again.` : "";
    tell(`${count("read") + count("edited")} of ${rows.length} decisions are of films that are here; the others wait for theirs.${edited}`);
  }
  return entries.filter((_, index) => !tables[index]);
}

/** Give a film the decision that was read for it, if any. */
export function useDecision(film) {
  const outcome = useRow(film);
  if (outcome !== "none") afterDecision(film);
  return outcome;
}

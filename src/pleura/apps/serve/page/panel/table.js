// The table of all films, for the review: sorted, filtered, with verdicts, measures, decisions and comments.

import { films, isVeiled, lungsOf, verdictOf } from "../films/film.js";
import { isEdited, MEASURES, queue, shownFilms, toReview, valueOf } from "../films/review.js";
import { $, text, wrap } from "./elements.js";
import { badge, verdictName } from "./verdict.js";

const TEXTS = { film: "Film", verdict: "Verdict", edited: "Edited", decision: "Decision", comment: "Comment" };
const STATUS = { waiting: "under way", working: "under way", failed: "failed" };

let frame = null;
let selected = null; // the film on the screen

/** Draw the table with the next frame, if it is open; the row of `film` is marked. */
export function drawTable(film) {
  selected = film;
  if ($("table").hidden) return;
  frame ??= requestAnimationFrame(() => {
    frame = null;
    draw();
  });
}

function draw() {
  const focus = document.activeElement;
  const kept = focus?.dataset.film ? `[data-film="${focus.dataset.film}"]` : focus?.dataset.sort && `[data-sort="${focus.dataset.sort}"]`;
  const columns = columnsShown();
  const shown = shownFilms();
  $("table-head").replaceChildren(...columns.map(headOf));
  $("rows").replaceChildren(...(shown.length ? shown.map((film) => rowOf(film, columns)) : [emptyRow(columns)]));
  $("table-count").textContent = `${shown.length} of ${films.length} films, ${toReview().length} to review`;
  if (kept) document.querySelector(`#table ${kept}`)?.focus();
}

/** The names of the columns; those of numbers only if a film has a value. */
function columnsShown() {
  const measures = Object.keys(MEASURES).filter((name) => films.some((film) => valueOf(film, name) !== null));
  return ["film", "verdict", ...measures, "edited", "decision", "comment"];
}

function headOf(name) {
  const isSorted = queue.sort === name;
  const sign = text("span", isSorted ? (queue.descending ? " ▾" : " ▴") : "");
  sign.setAttribute("aria-hidden", "true");
  const button = wrap("button", MEASURES[name]?.name ?? TEXTS[name], sign);
  button.dataset.sort = name;
  const head = wrap("th", button);
  head.scope = "col";
  if (isSorted) head.setAttribute("aria-sort", queue.descending ? "descending" : "ascending");
  if (name in MEASURES) head.className = "number";
  return head;
}

function rowOf(film, columns) {
  const row = wrap("tr", ...columns.map((name) => (name === "film" ? nameOf(film) : cellOf(film, name))));
  if (film === selected) row.setAttribute("aria-current", "true");
  return row;
}

function emptyRow(columns) {
  const cell = text("td", "The filters hide all films.", "empty");
  cell.colSpan = columns.length;
  return wrap("tr", cell);
}

function nameOf(film) {
  const button = text("button", film.label, "link");
  button.dataset.film = film.id;
  const head = wrap("th", button);
  head.scope = "row";
  return head;
}

function cellOf(film, name) {
  if (name in MEASURES) {
    const [value, { decimals }] = [valueOf(film, name), MEASURES[name]];
    const digits = { minimumFractionDigits: decimals, maximumFractionDigits: decimals };
    return text("td", value === null ? "–" : value.toLocaleString("en", digits), "number");
  }
  if (name === "verdict") return verdictCell(film);
  return text("td", { edited: isEdited(film) ? "yes" : "", decision: film.decision, comment: film.comment }[name], name);
}

function verdictCell(film) {
  if (film.status !== "done") {
    const cell = text("td", STATUS[film.status]);
    if (film.problem) cell.title = film.problem.detail;
    return cell;
  }
  const sign = badge(lungsOf(film).quality);
  sign.querySelector(".unseen").remove();
  sign.setAttribute("aria-hidden", "true");
  const cell = wrap("td", sign, ` ${verdictName(verdictOf(film))}`);
  if (isVeiled(film)) cell.title = "Its measurements are hidden.";
  return cell;
}

// The strip of thumbnails: one for each film, with its name and verdict; and the totals of all.

import { films, lungsOf, verdictOf, withStatus } from "../films/film.js";
import { hiddenCount, nextToReview } from "../films/review.js";
import { $, text, wrap } from "./elements.js";
import { drawTable } from "./table.js";
import { badge } from "./verdict.js";

const TAIL = 8; // letters at the end of a name that are always seen

/** Add a thumbnail without a picture; a click on it calls `onSelect` with the film. */
export function addThumbnail(film, onSelect) {
  const name = wrap("span", text("span", film.label.slice(0, -TAIL), "head"), text("span", film.label.slice(-TAIL), "tail"));
  name.className = "name";
  film.tile = wrap("button", text("span", "…", "blank"), name);
  film.tile.title = film.label;
  film.tile.addEventListener("click", () => onSelect(film));
  $("films").append(wrap("li", film.tile));
}

export const removeThumbnail = ({ tile }) => tile.parentElement.remove();

/** Write the state of a film that has no picture on its thumbnail. */
export function writeOnThumbnail({ tile }, content) {
  const blank = tile.querySelector(".blank");
  if (blank) blank.textContent = content;
}

/** Remove picture and verdict from the thumbnail of a film that is sent again. */
export function clearThumbnail({ tile }) {
  tile.querySelector(".badge")?.remove();
  tile.querySelector(".blank, canvas").replaceWith(text("span", "…", "blank"));
}

/** Put picture and verdict on the thumbnail of a film that is done. */
export function drawThumbnail(film, bitmap) {
  const canvas = document.createElement("canvas");
  Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  bitmap.close();
  film.tile.querySelector(".blank, canvas").replaceWith(canvas);
  showBadge(film);
}

/** Show the verdict on a thumbnail, by the selected definition. */
export function showBadge(film) {
  film.tile.querySelector(".badge")?.remove();
  film.tile.append(badge(lungsOf(film).quality));
}

/** Show the reviewer's decision on a thumbnail. */
export function showDecision({ tile, decision }) {
  tile.querySelector(".decision")?.remove();
  if (decision) tile.append(text("span", decision, "decision"));
}

/** Mark the selected film, and scroll the strip to it. */
export function markSelected(selected) {
  for (const film of films) film.tile.setAttribute("aria-current", String(film === selected));
  const strip = $("films"); // only the strip scrolls, not the page
  strip.scrollLeft = selected.tile.offsetLeft - strip.clientWidth / 2 + selected.tile.offsetWidth / 2;
}

/** Write which film is selected, how many there are, and how many by verdict. */
export function showTotals(selected) {
  $("count").textContent = `Film ${films.indexOf(selected) + 1} of ${films.length}`;
  const done = withStatus("done");
  const verdicts = ["ok", "review", "refused"].map((verdict) => done.filter((film) => verdictOf(film) === verdict).length);
  const counts = [["OK", verdicts[0]], ["to review", verdicts[1]], ["refused", verdicts[2]],
    ["failed", withStatus("failed").length], ["under way", withStatus("waiting", "working").length],
    ...["accepted", "rejected"].map((name) => [name, films.filter(({ decision }) => decision === name).length]),
    ["hidden by the filters of the table", hiddenCount()]];
  $("totals").textContent = counts.filter(([, count]) => count).map(([name, count]) => `${count} ${name}`).join(" · ");
  $("retry-all").hidden = !withStatus("failed").length;
  $("downloads-all").hidden = !done.length || films.length < 2;
  $("next-review").setAttribute("aria-disabled", String(!nextToReview(selected))); // it keeps the focus
  drawTable(selected);
}

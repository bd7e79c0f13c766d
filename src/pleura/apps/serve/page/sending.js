// Sending films to the service, a few at a time.

import { restoreEdits } from "./edit.js";
import { films, lungsOf, verdictOf, withStatus } from "./films/film.js";
import { announce } from "./panel/elements.js";
import { textOf, titleOf } from "./panel/problems.js";
import { clearThumbnail, drawThumbnail, writeOnThumbnail } from "./panel/strip.js";
import { verdictText } from "./panel/verdict.js";
import { call, segment } from "./worker/client.js";

const MAX_REQUESTS = 2; // requests at a time; the other films wait here, not in the server's queue

/** Send waiting films, up to the limit of requests; `onChange` is called with each film that changes. */
export function sendNext(onChange) {
  const free = MAX_REQUESTS - withStatus("working").length;
  for (const film of withStatus("waiting").slice(0, Math.max(0, free))) send(film, onChange);
}

async function send(film, onChange) {
  film.status = "working";
  const checksum = film.checksum ?? call("checksum", film.file).catch(() => null); // of a file that cannot be read, which fails below
  try {
    const { result, masks, thumbnail } = await segment(film, (progress) => {
      noteProgress(film, progress);
      onChange(film);
    });
    film.checksum = await checksum;
    if (!films.includes(film)) return; // it was removed meanwhile
    Object.assign(film, { result: { ...result, film: film.label }, masks, original: {} });
    await restoreEdits(film);
    if (!films.includes(film)) return;
    film.status = "done";
    drawThumbnail(film, thumbnail);
    const found = verdictOf(film) === "refused" ? "" : "lungs found. ";
    announce(`${film.label}: ${found}${verdictText(lungsOf(film).quality)}`);
  } catch (problem) {
    film.checksum = await checksum;
    if (films.includes(film)) fail(film, problem.detail ? problem : { title: "Something unexpected happened", detail: String(problem) });
  } finally {
    if (films.includes(film)) {
      film.tile.dataset.status = film.status;
      onChange(film);
    }
    sendNext(onChange);
  }
}

function fail(film, problem) {
  film.status = "failed";
  film.unmeasured = {};
  film.problem = problem;
  writeOnThumbnail(film, "failed");
  announce(`${film.label}: ${titleOf(problem)}. ${textOf(problem)}`);
}

function noteProgress(film, { step, share = 0 }) {
  const percent = Math.round(100 * share);
  film.share = step === "send" ? share : null;
  film.progress = { send: `sending, ${percent} %`, queue: "the server is busy; waiting for a place", compute: "looking for the lungs…" }[step];
  writeOnThumbnail(film, step === "send" ? `${percent} %` : "…");
}

/** Send films again, after the cause of their error was removed or their options were changed. */
export function retry(failed, onChange) {
  for (const film of failed) {
    Object.assign(film, { problem: null, status: "waiting", progress: "waiting" });
    delete film.tile.dataset.status;
    clearThumbnail(film);
    onChange(film);
  }
  sendNext(onChange);
}

/** Stop sending a film; it counts as failed, and can be sent again. */
export function cancel(film, onChange) {
  if (film.status === "working") call("cancel", film.id);
  if (film.status !== "waiting") return;
  fail(film, { title: "Cancelled", detail: "You cancelled this film; retry sends it again." });
  film.tile.dataset.status = film.status;
  onChange(film);
}

// The page: it adds and removes films, and connects buttons and files with what they do.

import { fromFiles, fromTransfer } from "./films/collect.js";
import { save, saveZip } from "./films/downloads.js";
import { films, hasWork, newFilm, resetResult, selectDefinition, withStatus } from "./films/film.js";
import { MEASURES, queue, sortBy } from "./films/review.js";
import * as storage from "./films/storage.js";
import * as comparing from "./compare.js";
import * as editing from "./edit.js";
import { listenToKeys } from "./keys.js";
import * as measuring from "./measuring.js";
import { $, announce, tell } from "./panel/elements.js";
import { addThumbnail, removeThumbnail, showDecision, showTotals } from "./panel/strip.js";
import { drawTable } from "./panel/table.js";
import { changeDecision, checkDecision, decideShown, goToNext, openFilm, setTable, takeDecisions } from "./reviewing.js";
import { disableSaves, drawDefinition, drawLungs, keepFocus, MIRRORED_BY_HEADER, refresh, reveal, ruler, screen, select, shownFilm, style, viewer } from "./screen.js";
import { cancel, retry, sendNext } from "./sending.js";
import { Gestures } from "./view/gestures.js";
import { showValue } from "./view/readout.js";
import { forgetView } from "./view/views.js";
import { call } from "./worker/client.js";

const gestures = new Gestures($("screen"), viewer, (point) => showValue(viewer, point));

gestures.pens = [{ isOn: () => editing.edit.isOn, begin: editing.begin, moved: editing.pointerMoved, end: editing.end, cancel: editing.giveUp }, ruler, measuring.ratioLines];

// ---- films

/** Add films: a list of { file, name }, and `stored` for those that the browser kept. */
function add(entries) {
  const added = entries.map((entry) => {
    const film = newFilm(entry);
    films.push(film);
    film.stored = entry.stored;
    if (entry.stored === undefined) storage.store(film);
    addThumbnail(film, openFilm);
    showDecision(film);
    return film;
  });
  if (!added.length) return;
  showWork();
  select(added[0]);
  sendNext(update);
}

const restored = storage.storedFilms().then(add); // the films of the last time

let additions = 0; // under way

/** Give `take` the files that `collecting` gives; tell everyone if it fails. */
async function takeFrom(collecting, take) {
  $("main").setAttribute("aria-busy", "true");
  additions++;
  try {
    await take(await collecting);
  } catch (error) {
    tell(String(error.message ?? error));
  } finally {
    $("main").setAttribute("aria-busy", String(--additions > 0));
  }
}

/** Add films, after the stored ones. */
const addFrom = (collecting) => takeFrom(collecting, async (entries) => {
  await restored; // a film that is stored before they are read would be added twice
  if (!entries.length) tell("No film was in what you chose.");
  add(await takeDecisions(entries));
});

/** Take reference masks to compare with. */
const addMasksFrom = (collecting) => takeFrom(collecting, comparing.addReferences);

function showWork() {
  $("welcome").hidden = films.length > 0;
  $("work").hidden = !films.length;
}

function update(film) {
  if (film.problem?.status === 401) $("key").hidden = false;
  if (film.status === "done") checkDecision(film);
  refresh(film);
}

/** Remove the film on the screen; ask first if that loses work. */
function removeShown() {
  const { film } = screen;
  if (!film || (hasWork(film) && !confirm(`Remove ${film.label}, with its edits, decision and comment?`))) return;
  remove(film);
}

function remove(film) {
  const index = films.indexOf(film);
  cancel(film, () => {});
  films.splice(index, 1);
  removeThumbnail(film);
  forgetView(film.id);
  storage.forget(film);
  call("forget", film.id);
  if (!films.length) showNothing();
  else if (film === screen.film) select(films[Math.min(index, films.length - 1)]);
  else showTotals(screen.film);
  announce(`${film.label} was removed.`);
}

/** Find the lungs again in the mirror image of a film, or again in the film as it is stored. */
function flip(film) {
  if (!["done", "failed"].includes(film?.status) || !$("table").hidden) return;
  if (film.result?.mirrored) return tell(MIRRORED_BY_HEADER);
  if (hasWork(film, { alsoComment: false }) && !confirm(`${film.label} is segmented again, and your edits and your decision are lost. Continue?`)) return;
  film.flip = !film.flip;
  sendAgain(film);
}

/** Send a film again with other options; nothing of its earlier result stays. */
function sendAgain(film) {
  editing.setEditing(false);
  storage.update(film);
  forgetView(film.id);
  call("forget", film.id);
  resetResult(film);
  storage.updateState(film);
  showDecision(film);
  if (film === screen.film) screen.view = null;
  retry([film], update);
}

storage.onNotKept((reason) => tell({
  "other page": "Pleura was opened again in another tab or window, which keeps the films now. What you decide, edit, add or remove here is not kept: go on there, or reload this page to go on here.",
  "no store": "This browser cannot keep the films, for example in a private window or on a full disk. A reload or a closed tab loses films, edits, decisions and comments: save them before.",
}[reason]));

// ---- review

function filter(name, value) {
  queue[name] = value;
  showTotals(screen.film);
}

const numberOf = (value) => (value === "" ? null : Number(value));

async function forgetAll() {
  const which = films.length === 1 ? "this film" : `all ${films.length} films`;
  if (!confirm(`Forget ${which}, with edits, decisions and comments? The page and this browser keep nothing of them.`)) return;
  for (const film of [...films].reverse()) if (film !== screen.film) remove(film);
  if (screen.film) remove(screen.film);
  if (!(await storage.forgetAll())) tell("This browser could not delete the films that it keeps. Delete the data of this site in the settings of the browser.");
}

function showNothing() {
  setTable(false);
  viewer.clear();
  Object.assign(screen, { film: null, view: null });
  showWork();
}

// ---- downloads

/** Download a result of the film that is on the screen now, even if another is selected meanwhile. */
async function download(name) {
  const film = shownFilm() ?? screen.film; // the tables of all films can be saved while a film is loading
  if (film.saving.has(name)) return;
  film.saving.add(name);
  disableSaves();
  try {
    await editing.untilMeasured(film);
    await save(name, film);
  } catch (problem) {
    tell(`${film.label} was not saved. ${problem.detail ?? problem.message ?? problem}`);
  } finally {
    film.saving.delete(name);
    disableSaves();
  }
}

let isZipping = false;

/** Save all results in one zip file; a second time while it is made, stop it. */
async function saveAll() {
  if (isZipping) {
    isZipping = false;
    return;
  }
  isZipping = true;
  try {
    const problems = await saveZip((ready, all) => {
      $("zip").textContent = isZipping ? `${ready} of ${all}; stop` : "Zip";
      return isZipping;
    });
    if (problems.length) tell(`${problems.length} files are missing in the zip file. ${problems.slice(0, 5).join("; ")}`);
  } catch (problem) {
    tell(`The zip file was not saved. ${problem.detail ?? problem.message ?? problem}`);
  } finally {
    isZipping = false;
    $("zip").textContent = "Zip";
  }
}

// ---- user input

async function addExample(button) {
  if (button.ariaDisabled === "true") return;
  Object.assign(button, { ariaDisabled: "true", textContent: "Drawing…" });
  await addFrom(call("example").then((blob) => [{ file: new File([blob], "example.png", { type: "image/png" }), name: "example.png" }]));
  Object.assign(button, { ariaDisabled: "false", textContent: "Try a synthetic film" });
}

const ACTIONS = {
  choose: () => $("files").click(),
  "choose-folder": () => $("folder").click(),
  example: addExample,
  reveal,
  force: () => {
    screen.film.force = true;
    sendAgain(screen.film);
  },
  flip: () => flip(screen.film),
  zip: saveAll,
  accept: () => decideShown("accepted"),
  reject: () => decideShown("rejected"),
  "next-review": goToNext,
  comment: () => $("comment").focus(),
  film: () => $("screen").focus(),
  table: () => setTable($("table").hidden),
  retry: () => retry([screen.film], update),
  "retry-all": () => retry(withStatus("failed"), update),
  cancel: () => cancel(screen.film, update),
  remove: removeShown,
  "forget-all": forgetAll,
  "close-message": () => { $("message").hidden = true; },
  in: () => viewer.zoom(1.25),
  out: () => viewer.zoom(0.8),
  fit: () => viewer.reset(),
  native: () => viewer.nativeSize(),
  invert: () => document.querySelector('[data-do="invert"]').setAttribute("aria-pressed", String(viewer.invert())),
  previous: () => selectNeighbour(-1),
  next: () => selectNeighbour(1),
  measure: () => editing.measureAgain(),
  edit: () => {
    if (!$("table").hidden) return;
    comparing.setComparing(false);
    editing.setEditing(!editing.edit.isOn);
  },
  compare: () => {
    if (!$("table").hidden) return;
    editing.setEditing(false);
    comparing.setComparing(!comparing.compare.isOn);
  },
  "choose-mask": () => $("masks").click(),
  swap: comparing.swap,
  undo: editing.undo,
  redo: editing.redo,
  ruler: () => chooseTool("ruler"),
  ratio: () => chooseTool("ratio"),
  move: () => chooseTool("move"),
  "reset-ratio": measuring.resetWidths,
  style: () => toggle("style", ["fill", "outline"]),
  definition: () => toggle("definition", ["field", "whole"]),
  lungs: () => {
    if (!shownFilm()) return;
    if (!$("veil").hidden) reveal();
    else style.isShown = !style.isShown;
    drawLungs();
  },
};

/** Choose what a drag does; the tool that is in use already is put away. */
function chooseTool(name) {
  const isInUse = document.querySelector(`input[name="drag"][value="${name}"]`).checked;
  document.querySelector(`input[name="drag"][value="${isInUse ? "move" : name}"]`).click();
  $("screen").focus(); // for the arrow keys
}

function selectNeighbour(offset) {
  const film = films[films.indexOf(screen.film) + offset];
  if (film) select(film);
}

function toggle(name, values) {
  const other = document.querySelector(`input[name="${name}"]:not(:checked)`);
  if (!values.includes(other?.value)) return;
  other.checked = true;
  CHANGES[name](other.value);
}

const CHANGES = {
  definition: (value) => {
    selectDefinition(value);
    drawDefinition();
  },
  style: (value) => {
    style.filled = value === "fill";
    drawLungs();
  },
  drag: (value) => {
    gestures.mode = value;
    $("screen").classList.toggle("window", value !== "move");
    measuring.useTool(value);
  },
  "filter-verdict": (value) => filter("verdict", value),
  "filter-decision": (value) => filter("decision", value),
  "filter-measure": (value) => filter("measure", value),
  "filter-from": (value) => filter("from", numberOf(value)),
  "filter-to": (value) => filter("to", numberOf(value)),
  "compare-with": comparing.useSource,
  "compare-mode": comparing.useMode,
  structure: (value) => { editing.edit.name = value; },
  pen: editing.usePen,
  radius: (value) => editing.useRadius(Number(value)),
  window: (value) => viewer.view && viewer.useWindow(viewer.view.windows[value]),
};

listenToKeys(ACTIONS, viewer, editing, measuring.activeTool);

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.do) keepFocus(() => ACTIONS[button.dataset.do](button));
  else if (!button && event.target.closest(".drop")) ACTIONS.choose();
  if (button?.dataset.save) download(button.dataset.save);
  if (button?.dataset.film) openFilm(films.find(({ id }) => id === Number(button.dataset.film)));
  if (button?.dataset.sort) {
    sortBy(button.dataset.sort);
    showTotals(screen.film);
  }
});

document.addEventListener("change", ({ target }) => CHANGES[target.name]?.(target.value));

$("filter-measure").append(...Object.entries(MEASURES).map(([value, { name }]) => new Option(name, value)));

$("comment").addEventListener("input", ({ target }) => {
  screen.film.comment = target.value;
  storage.updateState(screen.film);
  drawTable(screen.film);
});

$("fill").addEventListener("input", ({ target }) => {
  style.fill = target.value / 100;
  viewer.redraw();
});

const CHOOSERS = { files: addFrom, folder: addFrom, masks: addMasksFrom };

for (const [id, take] of Object.entries(CHOOSERS)) {
  $(id).addEventListener("change", ({ target }) => {
    const chosen = [...target.files];
    target.value = "";
    if (chosen.length) take(fromFiles(chosen));
  });
}

$("swipe").addEventListener("input", ({ target }) => comparing.useSwipe(Number(target.value)));

$("key").addEventListener("submit", async (event) => {
  event.preventDefault();
  await call("useKey", $("key-input").value);
  $("key").hidden = true;
  retry(films.filter((film) => film.problem?.status === 401), update);
});

for (const name of ["dragenter", "dragover"]) {
  document.addEventListener(name, (event) => {
    event.preventDefault();
    document.body.classList.add("over");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("over");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("over");
  (comparing.compare.isOn ? addMasksFrom : addFrom)(fromTransfer(event.dataTransfer));
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) addFrom(fromTransfer(event.clipboardData));
});

document.addEventListener("another-film", () => editing.setEditing(false));
document.addEventListener("film-edited", ({ detail: film }) => {
  if (film.decision) announce(`The decision on ${film.label} was taken back: it was on other outlines.`);
  changeDecision(film, "");
});

window.addEventListener("beforeunload", (event) => {
  if (films.length) event.preventDefault(); // the browser asks
});

call("needsKey").then((isNeeded) => { $("key").hidden = !isNeeded; }).catch(() => {});

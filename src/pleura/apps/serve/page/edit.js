// Editing the outlines by hand: brush, eraser, and pulling an outline; undo and redo.

import { definitionOf, isVeiled, measurementsOf, unmeasured } from "./films/film.js";
import { $, announce, tell } from "./panel/elements.js";
import { disableSaves, drawLungs, reveal, screen, shownFilm, viewer } from "./screen.js";
import { pathOf } from "./view/outlines.js";
import { call } from "./worker/client.js";
import { isWithinReach, pulled } from "./worker/pull.js";

const KEY_STEP = 0.1; // of the brush's diameter, for a move with the keyboard
const REACH = 4; // of a pull, in radiuses of the brush

export const edit = { isOn: false, name: "right", pen: "brush", radius: 20 };

const NAMES = { right: "right lung", left: "left lung", heart: "heart" };

let stroke = null; // the stroke under way: film, definition and points
let cursor = null; // the middle of the brush, px of the film

/** Start or end editing. */
export function setEditing(isOn) {
  edit.isOn = isOn && shownFilm() !== null;
  $("edit-tools").hidden = !edit.isOn;
  document.querySelector('[data-do="edit"]').setAttribute("aria-pressed", String(edit.isOn));
  $("screen").classList.toggle("editing", edit.isOn);
  if (edit.isOn) {
    if (isVeiled(screen.film)) reveal();
    const { width, height } = screen.view;
    useRadius(Math.round(0.02 * Math.min(width, height)) || 1);
    offerStructures(Object.keys(screen.view.outlines[definitionOf(screen.film)]));
    $("screen").focus(); // Space draws, and presses no button
    announce("Editing. Arrow keys move the brush, Space draws, Control Z takes a stroke back, Escape ends it.");
  }
  stroke = null;
  moveCursor(null);
}

/** Offer the structures that the film has; the right lung is edited where the chosen one is missing. */
function offerStructures(names) {
  $("heart-option").disabled = !names.includes("heart");
  if (!names.includes(edit.name)) edit.name = "right";
  document.querySelector('select[name="structure"]').value = edit.name;
}

/** Use another pen: `brush`, `eraser` or `pull`. */
export function usePen(pen) {
  edit.pen = pen;
  stroke = null;
  moveCursor(cursor);
}

/** The distance from the pen within which it changes pixels, px of the film. */
const reach = () => (edit.pen === "pull" ? REACH * edit.radius : edit.radius);

export function useRadius(radius) {
  edit.radius = Math.min(400, Math.max(1, radius));
  $("radius").value = edit.radius;
  moveCursor(cursor);
}

export function moveCursor(point) {
  cursor = point;
  const { name, pen } = edit;
  viewer.brush = edit.isOn && point ? { point, name, pen, radius: reach(), points: stroke?.points ?? [], preview: preview() } : null;
  viewer.redraw();
}

/** The outline as the pull under way would leave it. */
function preview() {
  const pull = stroke && pullOf(stroke);
  return pull ? pathOf(pulled(polygonsOf(stroke), pull)) : null;
}

const pullOf = ({ points }) => (edit.pen === "pull" ? { from: points[0], to: points.at(-1), radius: reach() } : null);

const polygonsOf = ({ definition }) => screen.view?.polygons[definition][edit.name] ?? [];

/** Follow the pointer; while a stroke is under way, it grows. */
export function pointerMoved(point) {
  const at = viewer.filmPoint(point);
  stroke?.points.push(at);
  moveCursor(at);
}

export const begin = (point) => beginAt(viewer.filmPoint(point));

function beginAt(point) {
  const film = shownFilm();
  if (!film) return;
  stroke = { film, definition: definitionOf(film), points: [point] };
  if (edit.pen !== "pull" || isWithinReach(polygonsOf(stroke), pullOf(stroke))) return;
  stroke = null;
  announce(`No outline of the ${NAMES[edit.name]} is within reach.`);
}

export async function end() {
  if (!stroke) return;
  const { film, definition, points } = stroke;
  const pull = pullOf(stroke);
  stroke = null;
  const { name, pen, radius } = edit;
  if (pull) await change(film, definition, "pull", { name, ...pull });
  else await change(film, definition, "draw", { name, isEraser: pen === "eraser", radius, points });
  moveCursor(cursor);
}

/** Draw with the keyboard at the cursor; or grip the outline there, and a second time let it go. */
export async function stamp() {
  if (!cursor) return;
  if (stroke) return end();
  beginAt(cursor);
  if (edit.pen !== "pull") await end();
  else if (stroke) announce("Gripped. Arrow keys pull, Space lets go, Escape takes it back.");
}

/** Give up a pull under way; otherwise end editing. */
export const escape = () => (stroke ? giveUp() : setEditing(false));

/** Give up the stroke or the pull under way. */
export function giveUp() {
  if (!stroke) return;
  stroke = null;
  moveCursor(cursor);
  announce("The outline is as it was.");
}

/** Move the cursor with the keyboard; it begins in the film's middle. */
export function nudge(dx, dy) {
  const { width, height } = screen.view;
  const [x, y] = cursor ?? [width / 2, height / 2];
  const step = Math.max(1, 2 * edit.radius * KEY_STEP);
  const point = [Math.min(width, Math.max(0, x + dx * step)), Math.min(height, Math.max(0, y + dy * step))];
  stroke?.points.push(point);
  moveCursor(point);
}

export const undo = () => step("undo");
export const redo = () => step("redo");

async function step(name) {
  const film = shownFilm();
  if (film) await change(film, definitionOf(film), name);
}

/** Change the masks in the worker, then draw the new outlines and measure them. */
async function change(film, definition, step, drawn) {
  const { result } = film;
  try {
    const changed = await call("edit", film.id, definition, step, drawn);
    if (film.result !== result) return; // the film was sent again meanwhile
    if (!changed) return announce(["undo", "redo"].includes(step) ? `There is nothing to ${step}.` : "No pixel was changed.");
    use(film, definition, changed);
    document.dispatchEvent(new CustomEvent("film-edited", { detail: film }));
  } catch (problem) {
    return tell(`The edit of ${film.label} failed. ${problem.detail ?? problem}`);
  }
  await measure(film, definition, film.result.lungs[definition].rle).then(() => announceMeasures(film), () => {});
}

/** Put the edits of the last visit on a film that was segmented again, before it is shown. Throws the problem. */
export async function restoreEdits(film) {
  for (const [definition, rle] of Object.entries(film.edits)) {
    if (!(definition in film.result.lungs)) continue; // other weights
    const changed = await call("edit", film.id, definition, "replace", rle);
    if (!changed) continue;
    use(film, definition, changed);
    await measure(film, definition, changed.rle);
  }
}

function use(film, definition, { contours, rle, undo: undoable, redo: redoable }) {
  film.edited[definition] = undoable > 0;
  if (undoable > 0) film.original[definition] ??= film.result.lungs[definition].rle;
  else delete film.original[definition];
  if (undoable > 0) film.edits[definition] = rle;
  else delete film.edits[definition];
  film.result.lungs[definition].rle = { ...film.result.lungs[definition].rle, ...rle };
  film.canUndo = { ...film.canUndo, [definition]: [undoable > 0, redoable > 0] };
  if (film !== screen.film || !screen.view) return;
  for (const [name, polygons] of Object.entries(contours)) screen.view.outlines[definition][name] = pathOf(polygons);
  screen.view.polygons[definition] = contours;
  drawLungs();
  moveCursor(cursor);
}

/** Ask the service for the measurements of the present masks; only the latest answer counts. Throws the problem. */
function measure(film, definition, rle) {
  const state = (film.unmeasured[definition] = { problem: null });
  state.ending = measureAs(state, film, definition, rle);
  return state.ending;
}

/** Wait for the measurements of a film that are under way. */
export const untilMeasured = ({ unmeasured: states }) => Promise.allSettled(Object.values(states).map(({ ending }) => ending));

async function measureAs(state, film, definition, rle) {
  const isLatest = () => film.unmeasured[definition] === state; // no later edit, and the film was not sent again
  disableSaves();
  try {
    const answer = await call("measure", { ...rle, spacing: film.result.spacing });
    if (!isLatest()) return;
    delete film.unmeasured[definition];
    Object.assign(film.result.lungs[definition], answer);
    if (film === screen.film) drawLungs();
  } catch (problem) {
    if (!isLatest()) return;
    state.problem = problem;
    if (film === screen.film) drawLungs();
    throw problem;
  }
}

/** Measure the masks of the film on the screen again, after a failure. */
export async function measureAgain() {
  const film = shownFilm();
  if (!film || !unmeasured(film)?.problem) return;
  const definition = definitionOf(film);
  try {
    await measure(film, definition, film.result.lungs[definition].rle);
    announceMeasures(film);
  } catch {
    // the panel shows it again
  }
}

function announceMeasures(film) {
  const { cardiothoracic_ratio: ratio } = measurementsOf(film);
  announce(`Measured again${ratio ? `; cardiothoracic ratio ${ratio.toFixed(2)}` : ""}.`);
}

// The screen: name, picture, outlines, numbers, verdict and downloads, always of one film.

import { definitionOf, films, isVeiled, lungsOf, unmeasured, widthsOf } from "./films/film.js";
import { decisionShown } from "./films/review.js";
import { $, announce, sentence, shortened } from "./panel/elements.js";
import * as panel from "./panel/panel.js";
import { LOST, showProblem } from "./panel/problems.js";
import { markSelected, showBadge, showTotals } from "./panel/strip.js";
import { verdictText } from "./panel/verdict.js";
import { Ruler } from "./view/ruler.js";
import { Viewer } from "./view/viewer.js";
import { keptView, viewOf } from "./view/views.js";
import { offerWindows, showReadout } from "./view/readout.js";

const STATUS_TEXTS = { waiting: "Under way", working: "Under way", done: "Loading", failed: "Not segmented" };

export const MIRRORED_BY_HEADER =
  "By its header (PatientOrientation) this film is stored mirrored, so its mirror image was segmented already; nothing is left to mirror.";

/** What is on the screen: the selected film, and its view if it is drawn. */
export const screen = { film: null, view: null };

export const style = { filled: true, fill: 0.22, isShown: true };

export const viewer = new Viewer($("screen"), () => showReadout(viewer));

export const ruler = new Ruler(viewer);

let lastSave = null; // the download button that had the focus before it was hidden

/** The film whose picture, numbers and downloads are on the screen, or null. */
export const shownFilm = () => (screen.view ? screen.film : null);

/** Select a film. A kept view is drawn at once; another one when it is complete, and nothing until then. */
export async function select(film) {
  if (film === screen.film && screen.view) return;
  const isNew = film !== screen.film;
  show(film, film.status === "done" ? keptView(film.id) : null);
  markSelected(film);
  if (isNew) announceFilm(film);
  if (!screen.view && film.status === "done") await load(film);
}

async function load(film) {
  const { id } = film;
  const view = await viewOf(id).catch(() => null);
  if (film === screen.film && film.id === id && film.status === "done" && !screen.view) show(film, view, { isLost: !view });
}

/** Draw the selected film again after its state changed. */
export function refresh(film) {
  showTotals(screen.film);
  if (film !== screen.film || screen.view) return;
  show(film, null);
  if (film.status === "done") load(film);
}

function announceFilm(film) {
  const about = film.status === "done" ? verdictText(lungsOf(film).quality) : STATUS_TEXTS[film.status];
  announce(`${film.label}, film ${films.indexOf(film) + 1} of ${films.length}. ${about}`);
}

/** Change the page; if that hides or disables the element with the focus, the film gets it, or the first button without films. */
export function keepFocus(change) {
  const before = document.activeElement;
  change();
  const now = document.activeElement; // the body, where the browser has noticed it already
  if (before === document.body || (now !== document.body && now.checkVisibility() && !now.matches(":disabled"))) return;
  (films.length ? $("screen") : document.querySelector("#welcome button")).focus();
}

const show = (...content) => keepFocus(() => draw(...content));

/** Draw everything of one film; without its view, the name and the progress or the problem only. */
function draw(film, view, { isLost = false } = {}) {
  const isNew = film !== screen.film;
  if (isNew) document.dispatchEvent(new Event("another-film"));
  lastSave = document.activeElement?.dataset.save ?? lastSave;
  Object.assign(screen, { film, view });
  $("name").textContent = shortened(film.label);
  $("name").title = film.label;
  $("facts").textContent = view ? panel.facts(film.result) : STATUS_TEXTS[isLost ? "failed" : film.status];
  for (const id of ["result", "result-head", "downloads", "stage", "readout", "value"]) $(id).hidden = !view;
  drawMirroring(film, view);
  disableTools(film.status === "failed" || isLost);
  $("cancel").hidden = !["waiting", "working"].includes(film.status);
  showWait(film, !view && film.status !== "failed" && !isLost);
  showProblem(isLost ? LOST : film.problem);
  if (isNew) $("panel-body").scrollTop = 0;
  showTotals(film);
  if (view) drawView(view);
  else clearView();
}

/** Disable the tools that work on a film if the selected one has no picture. They stay while a film loads. */
function disableTools(isDisabled) {
  for (const tool of document.querySelectorAll(":is(#tools, #compare-tools) :is(button, input, select)")) tool.disabled = isDisabled;
  $("flip").disabled = isDisabled && !screen.film.flip; // the mirroring of a film that failed can be taken back
}

/** Show whether the film's mirror image was segmented, and why; one that its header mirrors stays so. */
function drawMirroring({ flip, result, status }, view) {
  const byHeader = Boolean(result?.mirrored);
  $("mirrored").hidden = !view || !(flip || byHeader);
  $("mirrored").textContent = `Mirrored film${byHeader ? " by its header" : ""}: the patient's right is on the right of the picture`;
  $("flip").setAttribute("aria-pressed", String(flip || byHeader));
  $("flip").setAttribute("aria-disabled", String(byHeader || !["done", "failed"].includes(status)));
  $("flip").title = byHeader ? MIRRORED_BY_HEADER : "The film is stored mirrored: segment its mirror image (M)";
}

function drawView(view) {
  viewer.show(view);
  ruler.clear(screen.film.result.spacing);
  offerWindows(view);
  drawLungs();
  viewer.draw(); // with the text, not a frame later
  showReadout(viewer);
  const button = lastSave && document.querySelector(`[data-save="${lastSave}"]`);
  if (button && [document.body, $("screen")].includes(document.activeElement)) button.focus();
  lastSave = null;
}

function clearView() {
  $("veil").hidden = true;
  delete $("screen").dataset.shown;
  delete $("stage").dataset.size;
  viewer.clear();
  showReadout(viewer);
  document.dispatchEvent(new Event("lungs-drawn"));
  ruler.clear(null);
  panel.clear();
}

/** Draw outlines, verdict and measurements of the film on the screen by the selected definition. */
export function drawLungs() {
  const { film, view } = screen;
  if (!view) return;
  const [definition, veiled] = [definitionOf(film), isVeiled(film)];
  $("definition").hidden = Object.keys(film.result.lungs).length < 2;
  document.querySelector(`input[name="definition"][value="${definition}"]`).checked = true;
  $("save-seg").hidden = !film.result.formats.includes("dicom-seg");
  viewer.showLungs(view.outlines[definition], unmeasured(film)?.problem ? null : widthsOf(film), style);
  panel.showResult(film, definition, veiled);
  $("veil").hidden = !veiled;
  $("edited").hidden = !film.edited[definition];
  drawDecision(film);
  $("overlay").style.opacity = veiled || !style.isShown ? 0 : 1;
  disableSaves();
  const shows = veiled ? "without the outlines, which are refused" : "with its lungs";
  $("stage").setAttribute("aria-label", `${film.label} ${shows}`);
  $("stage").dataset.size = `${view.width} x ${view.height}`;
  $("screen").dataset.shown = `${film.label} ${definition}`;
  document.dispatchEvent(new Event("lungs-drawn"));
}

/** Show the reviewer's decision and comment on the film on the screen. */
export function drawDecision(film) {
  const { decision, decidedOn, comment } = film;
  const shown = decisionShown(film);
  $("accept").setAttribute("aria-pressed", String(shown === "accepted"));
  $("reject").setAttribute("aria-pressed", String(shown === "rejected"));
  $("decided-on").hidden = decision === shown;
  $("decided-on").textContent = decision === shown ? "" : `You ${decision} the outlines by “${decidedOn.definition}”, not these.`;
  if ($("comment").value !== comment) $("comment").value = comment;
}

function showWait(film, isWaiting) {
  $("wait").hidden = !isWaiting;
  $("wait-text").textContent = sentence(film.status === "done" ? "loading the picture…" : film.progress);
  if (film.status === "working" && film.share) $("wait-bar").value = film.share;
  else $("wait-bar").removeAttribute("value");
}

/** Show outlines and measurements of the refused film on the screen. */
export function reveal() {
  if (!shownFilm()) return;
  shownFilm().revealed = true;
  style.isShown = true;
  drawLungs();
}

/** Draw all that depends on the definition, after another one was selected. */
export function drawDefinition() {
  films.filter((film) => film.status === "done").forEach(showBadge);
  drawLungs();
  if (screen.film) showTotals(screen.film);
  const film = shownFilm();
  if (film) announce(`${definitionOf(film)}: ${verdictText(lungsOf(film).quality)}`);
}

/** Mark the saves that are under way, and all of a film whose edited masks could not be measured, as disabled; show why. */
export function disableSaves() {
  const film = shownFilm();
  const missing = film && unmeasured(film);
  $("measures").classList.toggle("pending", Boolean(missing));
  panel.showMeasureProblem(missing?.problem);
  if (film) $("measures").hidden = isVeiled(film) || Boolean(missing?.problem);
  for (const button of document.querySelectorAll("#downloads button")) {
    button.setAttribute("aria-disabled", String(Boolean(film?.saving.has(button.dataset.save) || missing?.problem))); // it keeps the focus
  }
}

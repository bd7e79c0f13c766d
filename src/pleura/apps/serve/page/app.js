// The page: it sends each film to the service and shows it with its lungs.

import * as panel from "/page/panel.js";
import * as service from "/page/service.js";
import { addThumbnail, drawThumbnail, showBadge } from "/page/strip.js";
import { Viewer } from "/page/viewer.js";

const $ = (id) => document.getElementById(id);
const MAX_REQUESTS = 2; // requests at a time; the other films wait here, not in the server's queue

const FORCE_ADVICE = /; [^;]*--force$/; // the end of a message for the command line; the page has a button instead

const viewer = new Viewer($("screen"));
const items = [];
let selected = null; // the selected film
let shown = null; // the film whose picture, result and downloads are on the screen, or null
let lastFocus = null; // the download button that had the focus before it was hidden
let opacity = 1;
let selectedDefinition = "field";

// ---- uploads

/** The state of one film in the page. */
const newItem = (file) => ({
  file,
  name: file.name,
  force: false, // segment it even if it is a photograph
  status: "waiting", // then "working", then "done" or "failed"
  progress: "waiting", // its progress as text
  share: null, // the share of the upload that is sent
  result: null,
  picture: null, // PNG of the film as it was segmented
  problem: null, // the problem details of its error
  revealed: false, // whether the outlines of a refused film are shown
  saving: new Set(), // downloads under way
});

function add(files) {
  const newItems = [...files].map(newItem);
  if (!newItems.length) return;
  for (const item of newItems) {
    items.push(item);
    addThumbnail(item, select);
  }
  $("welcome").hidden = true;
  $("work").hidden = false;
  select(newItems[0]);
  sendNext();
}

/** Send waiting films, up to the limit of requests. */
function sendNext() {
  const working = items.filter((item) => item.status === "working").length;
  const waiting = items.filter((item) => item.status === "waiting").slice(0, MAX_REQUESTS - working);
  waiting.forEach(segment);
}

/** Send one film, and show its result or its error. */
async function segment(item) {
  let bitmap = null;
  item.status = "working";
  try {
    const result = await service.segment(item.file, item, (progress) => showProgress(item, progress));
    item.result = { ...result, film: item.name };
    item.picture = pngOf(result.film_png);
    delete item.result.film_png;
    bitmap = await createImageBitmap(item.picture);
    drawThumbnail(item, bitmap, qualityOf(item));
    item.status = "done";
    const quality = qualityOf(item);
    announce(`${item.name}: ${quality.verdict === "refused" ? "" : "lungs found. "}${panel.verdictText(quality)}`);
  } catch (problem) {
    fail(item, problem);
    if (item.problem.status === 401) $("key").hidden = false;
    announce(`${item.name}: ${panel.titleOf(item.problem)}. ${panel.sentence(item.problem.detail)}`);
  }
  item.tile.dataset.status = item.status;
  if (item === selected) render(item, item.status === "done" ? bitmap : null);
  bitmap?.close();
  $("downloads-all").hidden = done().length < 2;
  sendNext();
}

function fail(item, problem) {
  item.status = "failed";
  item.problem = problem.detail ? problem : { title: "Something unexpected happened", detail: String(problem) };
  const blank = item.tile.querySelector(".blank");
  if (blank) blank.textContent = "failed";
}

function showProgress(item, { step, share = 0 }) {
  const percent = Math.round(100 * share);
  item.share = step === "send" ? share : null;
  item.progress = { send: `sending, ${percent} %`, queue: "the server is busy; waiting for a place", compute: "looking for the lungs…" }[step];
  item.tile.querySelector(".blank").textContent = step === "send" ? `${percent} %` : "…";
  if (item === selected) showWait(item);
}

const pngOf = (base64) => new Blob([Uint8Array.from(atob(base64), (character) => character.charCodeAt(0))], { type: "image/png" });

// ---- the selected film

async function select(item) {
  selected = item;
  for (const other of items) other.tile.setAttribute("aria-current", String(other === item));
  const strip = $("strip"); // only the strip scrolls, not the page
  strip.scrollLeft = item.tile.offsetLeft - strip.clientWidth / 2 + item.tile.offsetWidth / 2;
  await show();
}

/** Show the selected film: as "Loading" first, and with its picture when it is decoded. */
async function show() {
  const item = selected;
  if (item === shown) return;
  render(item, null);
  if (item.status !== "done") return;
  const bitmap = await createImageBitmap(item.picture).catch(() => null);
  if (item === selected && item !== shown) render(item, bitmap, { isLost: !bitmap });
  bitmap?.close();
}

/** Show name, picture, result and downloads of one film together; without a picture, the name only. */
function render(item, bitmap, { isLost = false } = {}) {
  lastFocus = document.activeElement?.dataset.save ?? lastFocus;
  shown = bitmap && item;
  $("name").textContent = item.name;
  $("facts").textContent = shown ? panel.facts(item.result) : STATUS_TEXTS[isLost ? "failed" : item.status];
  $("result").hidden = $("stage").hidden = $("readout").hidden = !shown;
  showWait(item, { isLost });
  showFailure(isLost ? LOST : item.problem);
  if (shown) {
    viewer.show(bitmap);
    showLungs();
    if (lastFocus && document.activeElement === document.body) document.querySelector(`[data-save="${lastFocus}"]`).focus();
    lastFocus = null;
  } else {
    $("veil").hidden = true;
    delete $("screen").dataset.shown;
    viewer.clear();
    panel.clear();
  }
}

const STATUS_TEXTS = { waiting: "Under way", working: "Under way", done: "Loading", failed: "Not segmented" };
const LOST = {
  title: "The picture cannot be shown",
  detail: "The browser cannot draw it, perhaps because memory is short; close other pages, then choose the film again.",
};

function showFailure(problem) {
  $("failure").hidden = !problem;
  $("failure-title").textContent = problem ? panel.titleOf(problem) : "";
  $("failure-text").textContent = problem ? panel.sentence(problem.detail.replace(FORCE_ADVICE, "")) : "";
  $("force").hidden = !problem || !FORCE_ADVICE.test(problem.detail);
}

/** Send films again, after the cause of their error was removed. */
function retry(failed) {
  for (const item of failed) {
    item.problem = null;
    item.status = item.progress = "waiting";
    delete item.tile.dataset.status;
  }
  if (selected) show();
  sendNext();
}

function showWait(item, { isLost = false } = {}) {
  $("wait").hidden = item === shown || item.status === "failed" || isLost;
  const progress = item.status === "done" ? "loading the picture…" : item.progress;
  $("wait-text").textContent = panel.sentence(progress).replace(/…\.$/, "…");
  if (item.status === "working" && item.share) $("wait-bar").value = item.share;
  else $("wait-bar").removeAttribute("value");
}

/** The selected definition, or the one that the weights give. */
function definitionOf(item) {
  return selectedDefinition in item.result.lungs ? selectedDefinition : Object.keys(item.result.lungs)[0];
}

const qualityOf = (item) => item.result.lungs[definitionOf(item)].quality;

/** Whether the outlines are hidden: those of a refused film, until the user shows them. */
const isVeiled = () => shown !== null && qualityOf(shown).verdict === "refused" && !shown.revealed;

function applyOpacity() {
  $("veil").hidden = !isVeiled();
  $("overlay").style.opacity = isVeiled() ? 0 : opacity;
}

/** Show outlines, verdict and measurements of the film on the screen by the selected definition. */
function showLungs() {
  if (!shown) return;
  const definition = definitionOf(shown);
  $("definition").hidden = Object.keys(shown.result.lungs).length < 2;
  check("definition", definition);
  $("save-seg").hidden = !shown.result.formats.includes("dicom-seg");
  const { rle, measurements } = shown.result.lungs[definition];
  const widths = measurements.cardiothoracic_ratio !== null;
  viewer.showLungs(rle, { filled: checked("style") === "fill", widths });
  panel.showResult(shown.result, definition);
  applyOpacity();
  disableSaves();
  $("stage").setAttribute("aria-label", `${shown.name} ${isVeiled() ? "without the outlines, which are refused" : "with its lungs"}`);
  $("screen").dataset.shown = `${shown.name} ${definition}`;
}

const checked = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
const check = (name, value) => { document.querySelector(`input[name="${name}"][value="${value}"]`).checked = true; };
const announce = (text) => { $("status").textContent = text; };

function toggle(name, [one, other]) {
  check(name, checked(name) === one ? other : one);
  updateView(name);
}

/** Show the lungs again after the definition or the style was changed. */
function updateView(name) {
  if (name === "definition") selectedDefinition = checked(name);
  showLungs();
  if (name !== "definition") return;
  done().forEach((item) => showBadge(item, qualityOf(item)));
  if (shown) announce(`${definitionOf(shown)}: ${panel.verdictText(qualityOf(shown))}`);
}

// ---- downloads

const done = () => items.filter((item) => item.status === "done");
const stem = (name) => name.replace(/\.[^.]*$/, "") || "film";
const rowOf = (item) => ({ ...item.result.lungs[definitionOf(item)].row, film: stem(item.name), path: item.name });
const json = (value) => new Blob([`${JSON.stringify(value, null, 1)}\n`], { type: "application/json" });
const table = (selection) => new Blob([panel.csv(selection.map(rowOf))], { type: "text/csv" });

/** The JSON of the service, without the row and the mask that the page needs. */
function resultJson(item) {
  const lungs = Object.entries(item.result.lungs).map(([name, { row, mask_png, ...rest }]) => [name, rest]);
  return { ...item.result, lungs: Object.fromEntries(lungs) };
}

const requestFile = (item, format) => service.file(item.file, { definition: definitionOf(item), format, force: item.force });

const SAVES = {
  mask: (item) => [pngOf(item.result.lungs[definitionOf(item)].mask_png), `${stem(item.name)}_mask.png`],
  overlay: async (item) => [await requestFile(item, "overlay"), `${stem(item.name)}_overlay.png`],
  seg: async (item) => [await requestFile(item, "dicom-seg"), `${stem(item.name)}_seg.dcm`],
  json: (item) => [json(resultJson(item)), `${stem(item.name)}.json`],
  csv: (item) => [table([item]), `${stem(item.name)}.csv`],
  "all-json": () => [json({ results: done().map(resultJson) }), "results.json"],
  "all-csv": () => [table(done()), "results.csv"],
};

/** Download a result of the film that is on the screen now, even if another is selected meanwhile. */
async function save(name) {
  const item = shown ?? selected; // the tables of all films can be saved while a film is loading
  item.saving.add(name);
  disableSaves();
  try {
    const [content, fileName] = await SAVES[name](item);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = fileName;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (problem) {
    announce(`${item.name}: ${problem.detail ?? problem}`);
  } finally {
    item.saving.delete(name);
    disableSaves();
  }
}

function disableSaves() {
  for (const button of document.querySelectorAll("#downloads button")) {
    button.disabled = Boolean(shown?.saving.has(button.dataset.save));
  }
}

// ---- user input

const ACTIONS = {
  choose: () => $("files").click(),
  example: async (button) => {
    button.disabled = true;
    button.textContent = "Drawing…";
    try {
      add([await service.example()]);
    } catch (error) {
      announce(String(error));
    }
    button.disabled = false;
    button.textContent = "Try a drawn example";
  },
  reveal: () => {
    setOpacity(opacity || 1);
    $("screen").focus(); // the button is hidden now
  },
  force: () => {
    selected.force = true;
    retry([selected]);
  },
  in: () => viewer.zoom(1.25),
  out: () => viewer.zoom(0.8),
  fit: () => viewer.reset(),
  invert: () => document.querySelector('[data-do="invert"]').setAttribute("aria-pressed", String(viewer.invert())),
};

function selectNeighbour(offset) {
  const index = items.indexOf(selected) + offset;
  if (items[index]) select(items[index]);
}

function setOpacity(share) {
  opacity = share;
  if (isVeiled()) shown.revealed = true;
  $("opacity").value = 100 * share;
  applyOpacity();
}

const KEYS = {
  ArrowLeft: () => selectNeighbour(-1),
  ArrowRight: () => selectNeighbour(1),
  "+": ACTIONS.in,
  "=": ACTIONS.in,
  "-": ACTIONS.out,
  0: ACTIONS.fit,
  i: ACTIONS.invert,
  w: () => viewer.move(0, 40),
  z: () => viewer.move(0, -40),
  a: () => viewer.move(40, 0),
  s: () => viewer.move(-40, 0),
  "[": () => viewer.changeWindow(-0.05, 0),
  "]": () => viewer.changeWindow(0.05, 0),
  ",": () => viewer.changeWindow(0, -0.03),
  ".": () => viewer.changeWindow(0, 0.03),
  o: () => toggle("style", ["fill", "outline"]),
  d: () => toggle("definition", ["field", "whole"]),
  l: () => setOpacity(opacity && !isVeiled() ? 0 : 1),
};

document.addEventListener("keydown", (event) => {
  const action = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const isTyping = event.target.matches('input:not([type="radio"])');
  const isChoosing = event.target.matches('input[type="radio"]') && event.key.startsWith("Arrow");
  if (!action || !selected || isTyping || isChoosing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  action();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.do) ACTIONS[button.dataset.do](button);
  else if (!button && event.target.closest(".drop")) ACTIONS.choose();
  if (button?.dataset.save) save(button.dataset.save);
});

document.addEventListener("change", ({ target }) => {
  if (target.name === "drag") {
    viewer.mode = target.value;
    $("screen").classList.toggle("window", target.value === "window");
  }
  if (target.name === "definition" || target.name === "style") updateView(target.name);
});

$("opacity").addEventListener("input", ({ target }) => setOpacity(target.value / 100));
$("files").addEventListener("change", ({ target }) => {
  add(target.files);
  target.value = "";
});

$("key").addEventListener("submit", (event) => {
  event.preventDefault();
  service.useKey($("key-input").value);
  $("key").hidden = true;
  retry(items.filter((item) => item.problem?.status === 401));
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
  add(event.dataTransfer.files);
});

service.model().then(({ needs_key }) => { $("key").hidden = !needs_key; }).catch(() => {});

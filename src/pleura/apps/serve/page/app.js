// The page: films in, each sent once, shown with its lungs.

import * as panel from "/page/panel.js";
import * as service from "/page/service.js";
import { addThumbnail, drawThumbnail, mark } from "/page/strip.js";
import { Viewer } from "/page/viewer.js";

const $ = (id) => document.getElementById(id);
const AT_ONCE = 2; // requests under way; the others wait here, not in the server's queue

const FORCED = /; [^;]*--force$/; // what the command line's option does, a button does here

const viewer = new Viewer($("screen"));
const items = [];
let selected = null; // the film that was chosen
let shown = null; // the film whose picture, result and downloads are on the screen, if there is one
let leftFocus = null; // the download that had it before it was hidden, while a film is loaded
let opacity = 1;
let wanted = "field"; // definition

// ---- films in

/** All that the page knows of one film: nothing of it is kept anywhere else. */
const filmOf = (file) => ({
  file,
  name: file.name,
  force: false, // segment it though it is a photograph
  status: "waiting", // then "working", then "done" or "failed"
  says: "waiting", // what its progress is
  share: null, // of the upload, while it is sent
  result: null,
  picture: null, // PNG of the film as it was segmented
  problem: null, // why it failed
  revealed: false, // outlines are shown though the film was refused
  saving: new Set(), // downloads that were asked for and are not there yet
});

function add(files) {
  const fresh = [...files].map(filmOf);
  if (!fresh.length) return;
  for (const item of fresh) {
    items.push(item);
    addThumbnail(item, select);
  }
  $("welcome").hidden = true;
  $("work").hidden = false;
  select(fresh[0]);
  next();
}

function next() {
  const underWay = items.filter((each) => each.status === "working").length;
  const waiting = items.filter((each) => each.status === "waiting").slice(0, AT_ONCE - underWay);
  waiting.forEach(work);
}

async function work(item) {
  let bitmap = null;
  item.status = "working";
  try {
    const result = await service.segment(item.file, item, (progress) => report(item, progress));
    item.result = { ...result, film: item.name };
    item.picture = pngOf(result.film_png);
    delete item.result.film_png;
    bitmap = await createImageBitmap(item.picture);
    drawThumbnail(item, bitmap, qualityOf(item));
    item.status = "done";
    const quality = qualityOf(item);
    announce(`${item.name}: ${quality.verdict === "refused" ? "" : "lungs found. "}${panel.verdictOf(quality)}`);
  } catch (problem) {
    fail(item, problem);
    if (item.problem.status === 401) $("key").hidden = false;
    announce(`${item.name}: ${panel.titleOf(item.problem)}. ${panel.sentence(item.problem.detail)}`);
  }
  item.tile.dataset.status = item.status;
  if (item === selected) render(item, item.status === "done" ? bitmap : null);
  bitmap?.close();
  $("downloads-all").hidden = items.filter((each) => each.status === "done").length < 2;
  next();
}

function fail(item, problem) {
  item.status = "failed";
  item.problem = problem.detail ? problem : { title: "Something unexpected happened", detail: String(problem) };
  const blank = item.tile.querySelector(".blank");
  if (blank) blank.textContent = "failed";
}

function report(item, { step, share = 0 }) {
  const percent = Math.round(100 * share);
  item.share = step === "send" ? share : null;
  item.says = { send: `sending, ${percent} %`, queue: "the server is busy; waiting for a place", compute: "looking for the lungs…" }[step];
  item.tile.querySelector(".blank").textContent = step === "send" ? `${percent} %` : "…";
  if (item === selected) showWait(item);
}

const pngOf = (base64) => new Blob([Uint8Array.from(atob(base64), (each) => each.charCodeAt(0))], { type: "image/png" });

// ---- one film on show

async function select(item) {
  selected = item;
  for (const each of items) each.tile.setAttribute("aria-current", String(each === item));
  const strip = $("strip"); // scrolled by itself: the page around it stays where it is
  strip.scrollLeft = item.tile.offsetLeft - strip.clientWidth / 2 + item.tile.offsetWidth / 2;
  await show();
}

/** Bring the chosen film to the screen: "loading" first, and its picture when it is decoded. */
async function show() {
  const item = selected;
  if (item === shown) return;
  render(item, null);
  if (item.status !== "done") return;
  const bitmap = await createImageBitmap(item.picture).catch(() => null);
  if (item === selected && item !== shown) render(item, bitmap, { isLost: !bitmap });
  bitmap?.close();
}

/** Put one film on the screen, all of it at once; without a picture, nothing that needs one. */
function render(item, bitmap, { isLost = false } = {}) {
  leftFocus = document.activeElement?.dataset.save ?? leftFocus;
  shown = bitmap && item;
  $("name").textContent = item.name;
  $("facts").textContent = shown ? panel.facts(item.result) : FACTS[isLost ? "failed" : item.status];
  $("result").hidden = $("stage").hidden = $("readout").hidden = !shown;
  showWait(item, { isLost });
  showFailure(isLost ? LOST : item.problem);
  if (shown) {
    viewer.show(bitmap);
    showLungs();
    if (leftFocus && document.activeElement === document.body) document.querySelector(`[data-save="${leftFocus}"]`).focus();
    leftFocus = null;
  } else {
    $("veil").hidden = true;
    delete $("screen").dataset.shown;
    viewer.clear();
    panel.clear();
  }
}

const FACTS = { waiting: "Under way", working: "Under way", done: "Loading", failed: "Not segmented" };
const LOST = {
  title: "The picture cannot be shown",
  detail: "The browser cannot draw it, perhaps for want of memory; close other pages, then choose the film again.",
};

function showFailure(problem) {
  $("failure").hidden = !problem;
  $("failure-title").textContent = problem ? panel.titleOf(problem) : "";
  $("failure-text").textContent = problem ? panel.sentence(problem.detail.replace(FORCED, "")) : "";
  $("force").hidden = !problem || !FORCED.test(problem.detail);
}

/** Once more, after its problem was dealt with. */
function again(chosen) {
  for (const item of chosen) {
    item.problem = null;
    item.status = item.says = "waiting";
    delete item.tile.dataset.status;
  }
  if (selected) show();
  next();
}

function showWait(item, { isLost = false } = {}) {
  $("wait").hidden = item === shown || item.status === "failed" || isLost;
  const says = item.status === "done" ? "loading the picture…" : item.says;
  $("wait-text").textContent = panel.sentence(says).replace(/…\.$/, "…");
  if (item.status === "working" && item.share) $("wait-bar").value = item.share;
  else $("wait-bar").removeAttribute("value");
}

/** By the definition asked for, or the one there is. */
function definitionOf(item) {
  return wanted in item.result.lungs ? wanted : Object.keys(item.result.lungs)[0];
}

const qualityOf = (item) => item.result.lungs[definitionOf(item)].quality;

/** Outlines of a refused film stay hidden until somebody insists. */
const isVeiled = () => shown !== null && qualityOf(shown).verdict === "refused" && !shown.revealed;

function applyOpacity() {
  $("veil").hidden = !isVeiled();
  $("overlay").style.opacity = isVeiled() ? 0 : opacity;
}

/** Outlines, verdict and numbers of the film on the screen, by the definition asked for. */
function showLungs() {
  if (!shown) return;
  const definition = definitionOf(shown);
  $("definition").hidden = Object.keys(shown.result.lungs).length < 2;
  check("definition", definition);
  $("save-seg").hidden = !shown.result.formats.includes("dicom-seg");
  const { rle, measurements } = shown.result.lungs[definition];
  const widths = measurements.cardiothoracic_ratio !== null;
  viewer.lungs(rle, { filled: checked("style") === "fill", widths });
  panel.tell(shown.result, definition);
  applyOpacity();
  disableSaves();
  $("stage").setAttribute("aria-label", `${shown.name} ${isVeiled() ? "without the outlines, which are refused" : "with its lungs"}`);
  $("screen").dataset.shown = `${shown.name} ${definition}`;
}

const checked = (name) => document.querySelector(`input[name="${name}"]:checked`).value;
const check = (name, value) => { document.querySelector(`input[name="${name}"][value="${value}"]`).checked = true; };
const announce = (text) => { $("status").textContent = text; };

function flip(name, [one, other]) {
  check(name, checked(name) === one ? other : one);
  restyle(name);
}

/** Show the lungs as the switches now say. */
function restyle(name) {
  if (name === "definition") wanted = checked(name);
  showLungs();
  if (name !== "definition") return;
  done().forEach((item) => mark(item, qualityOf(item)));
  if (shown) announce(`${definitionOf(shown)}: ${panel.verdictOf(qualityOf(shown))}`);
}

// ---- downloads

const done = () => items.filter((each) => each.status === "done");
const stem = (name) => name.replace(/\.[^.]*$/, "") || "film";
const rowOf = (item) => ({ ...item.result.lungs[definitionOf(item)].row, film: stem(item.name), path: item.name });
const json = (value) => new Blob([`${JSON.stringify(value, null, 1)}\n`], { type: "application/json" });
const table = (chosen) => new Blob([panel.csv(chosen.map(rowOf))], { type: "text/csv" });

/** The result without pictures: what the interface answers, row and mask apart. */
function plain(item) {
  const lungs = Object.entries(item.result.lungs).map(([name, { row, mask_png, ...rest }]) => [name, rest]);
  return { ...item.result, lungs: Object.fromEntries(lungs) };
}

const asked = (item, format) => service.file(item.file, { definition: definitionOf(item), format, force: item.force });

const SAVES = {
  mask: (item) => [pngOf(item.result.lungs[definitionOf(item)].mask_png), `${stem(item.name)}_mask.png`],
  overlay: async (item) => [await asked(item, "overlay"), `${stem(item.name)}_overlay.png`],
  seg: async (item) => [await asked(item, "dicom-seg"), `${stem(item.name)}_seg.dcm`],
  json: (item) => [json(plain(item)), `${stem(item.name)}.json`],
  csv: (item) => [table([item]), `${stem(item.name)}.csv`],
  "all-json": () => [json({ results: done().map(plain) }), "results.json"],
  "all-csv": () => [table(done()), "results.csv"],
};

/** Save something of the film that is on the screen now, whatever is chosen until it is there. */
async function save(what) {
  const item = shown ?? selected; // results of all films are saved while one is loaded, too
  item.saving.add(what);
  disableSaves();
  try {
    const [content, name] = await SAVES[what](item);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (problem) {
    announce(`${item.name}: ${problem.detail ?? problem}`);
  } finally {
    item.saving.delete(what);
    disableSaves();
  }
}

function disableSaves() {
  for (const button of document.querySelectorAll("#downloads button")) {
    button.disabled = Boolean(shown?.saving.has(button.dataset.save));
  }
}

// ---- what people do

const DO = {
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
    $("screen").focus(); // the button is gone
  },
  force: () => {
    selected.force = true;
    again([selected]);
  },
  in: () => viewer.zoom(1.25),
  out: () => viewer.zoom(0.8),
  fit: () => viewer.reset(),
  invert: () => document.querySelector('[data-do="invert"]').setAttribute("aria-pressed", String(viewer.invert())),
};

function step(by) {
  const at = items.indexOf(selected) + by;
  if (items[at]) select(items[at]);
}

function setOpacity(share) {
  opacity = share;
  if (isVeiled()) shown.revealed = true;
  $("opacity").value = 100 * share;
  applyOpacity();
}

const KEYS = {
  ArrowLeft: () => step(-1),
  ArrowRight: () => step(1),
  "+": DO.in,
  "=": DO.in,
  "-": DO.out,
  0: DO.fit,
  i: DO.invert,
  w: () => viewer.move(0, 40),
  z: () => viewer.move(0, -40),
  a: () => viewer.move(40, 0),
  s: () => viewer.move(-40, 0),
  "[": () => viewer.window(-0.05, 0),
  "]": () => viewer.window(0.05, 0),
  ",": () => viewer.window(0, -0.03),
  ".": () => viewer.window(0, 0.03),
  o: () => flip("style", ["fill", "outline"]),
  d: () => flip("definition", ["field", "whole"]),
  l: () => setOpacity(opacity && !isVeiled() ? 0 : 1),
};

document.addEventListener("keydown", (event) => {
  const act = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  const typing = event.target.matches('input:not([type="radio"])');
  const choosing = event.target.matches('input[type="radio"]') && event.key.startsWith("Arrow");
  if (!act || !selected || typing || choosing || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
});

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (button?.dataset.do) DO[button.dataset.do](button);
  else if (!button && event.target.closest(".drop")) DO.choose();
  if (button?.dataset.save) save(button.dataset.save);
});

document.addEventListener("change", ({ target }) => {
  if (target.name === "drag") {
    viewer.mode = target.value;
    $("screen").classList.toggle("window", target.value === "window");
  }
  if (target.name === "definition" || target.name === "style") restyle(target.name);
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
  again(items.filter((each) => each.problem?.status === 401));
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

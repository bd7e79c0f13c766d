// The page: films in, each sent once, shown with its lungs.

import * as panel from "/page/panel.js";
import * as service from "/page/service.js";
import { Viewer } from "/page/viewer.js";

const $ = (id) => document.getElementById(id);
const AT_ONCE = 2; // requests under way; the others wait here, not in the server's queue

const FORCED = /; [^;]*--force$/; // what the command line's option does, a button does here

const viewer = new Viewer($("screen"));
const items = [];
let selected = null;
let shownBitmap = null;
let opacity = 1;
let wanted = "field"; // definition

// ---- films in

function add(files) {
  const fresh = [...files].map((file) => ({ file, name: file.name, force: false, status: "waiting", says: "waiting" }));
  if (!fresh.length) return;
  for (const item of fresh) {
    items.push(item);
    addThumbnail(item);
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
  item.status = "working";
  try {
    const result = await service.segment(item.file, item, (progress) => report(item, progress));
    item.result = { ...result, film: item.name };
    item.picture = pngOf(result.film_png);
    delete item.result.film_png;
    await drawThumbnail(item);
    item.status = "done";
    const quality = qualityOf(item);
    announce(`${item.name}: ${quality.verdict === "refused" ? "" : "lungs found. "}${panel.verdictOf(quality)}`);
  } catch (problem) {
    item.status = "failed";
    item.problem = problem.detail ? problem : { title: "Something unexpected happened", detail: String(problem) };
    item.tile.querySelector(".blank").textContent = "failed";
    if (item.problem.status === 401) $("key").hidden = false;
    announce(`${item.name}: ${panel.titleOf(item.problem)}. ${panel.sentence(item.problem.detail)}`);
  }
  item.tile.dataset.status = item.status;
  if (item === selected) await refresh();
  $("downloads-all").hidden = items.filter((each) => each.status === "done").length < 2;
  next();
}

function report(item, { step, share = 0 }) {
  const percent = Math.round(100 * share);
  item.share = step === "send" ? share : null;
  item.says = { send: `sending, ${percent} %`, queue: "the server is busy; waiting for a place", compute: "looking for the lungs…" }[step];
  item.tile.querySelector(".blank").textContent = step === "send" ? `${percent} %` : "…";
  if (item === selected) showWait(item);
}

const pngOf = (base64) => new Blob([Uint8Array.from(atob(base64), (each) => each.charCodeAt(0))], { type: "image/png" });

// ---- the strip

function addThumbnail(item) {
  const button = document.createElement("button");
  const blank = document.createElement("span");
  const name = document.createElement("span");
  blank.className = "blank";
  blank.textContent = "…";
  name.className = "name";
  name.textContent = button.title = item.name;
  button.append(blank, name);
  button.addEventListener("click", () => select(item));
  item.tile = button;
  const entry = document.createElement("li");
  entry.append(button);
  $("films").append(entry);
}

async function drawThumbnail(item) {
  const bitmap = await createImageBitmap(item.picture);
  const scale = Math.min(184 / bitmap.width, 156 / bitmap.height);
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, Math.round(scale * bitmap.width));
  canvas.height = Math.max(1, Math.round(scale * bitmap.height));
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  item.tile.querySelector(".blank").replaceWith(canvas);
  mark(item);
}

/** The verdict on a thumbnail, by the definition on show. */
function mark(item) {
  item.tile.querySelector(".badge")?.remove();
  item.tile.append(panel.badge(qualityOf(item)));
}

// ---- one film on show

async function select(item) {
  selected = item;
  for (const each of items) each.tile.setAttribute("aria-current", String(each === item));
  const strip = $("strip"); // scrolled by itself: the page around it stays where it is
  strip.scrollLeft = item.tile.offsetLeft - strip.clientWidth / 2 + item.tile.offsetWidth / 2;
  await refresh();
}

async function refresh() {
  const item = selected;
  $("name").textContent = item.name;
  const done = item.status === "done";
  $("result").hidden = !done;
  $("failure").hidden = item.status !== "failed";
  $("veil").hidden = true;
  $("facts").textContent = done ? panel.facts(item.result) : { failed: "Not segmented" }[item.status] ?? "Under way";
  showWait(item);
  if (item.problem) {
    $("failure-title").textContent = panel.titleOf(item.problem);
    $("failure-text").textContent = panel.sentence(item.problem.detail.replace(FORCED, ""));
    $("force").hidden = !FORCED.test(item.problem.detail);
  }
  if (!done) return;
  const bitmap = await createImageBitmap(item.picture);
  if (item !== selected) return bitmap.close();
  shownBitmap?.close();
  shownBitmap = bitmap;
  viewer.show(bitmap);
  showLungs();
}

/** Once more, after its problem was dealt with. */
function again(chosen) {
  for (const item of chosen) {
    item.problem = null;
    item.status = "waiting";
    delete item.tile.dataset.status;
  }
  if (selected) refresh();
  next();
}

function showWait(item) {
  $("wait").hidden = item.status === "done" || item.status === "failed";
  $("wait-text").textContent = panel.sentence(item.says).replace(/…\.$/, "…");
  if (item.share) $("wait-bar").value = item.share;
  else $("wait-bar").removeAttribute("value");
}

/** By the definition asked for, or the one there is. */
function definitionOf(item) {
  return wanted in item.result.lungs ? wanted : Object.keys(item.result.lungs)[0];
}

const qualityOf = (item) => item.result.lungs[definitionOf(item)].quality;

/** Outlines of a refused film stay hidden until somebody insists. */
const isVeiled = () => selected?.status === "done" && qualityOf(selected).verdict === "refused" && !selected.revealed;

function applyOpacity() {
  $("veil").hidden = !isVeiled();
  $("overlay").style.opacity = isVeiled() ? 0 : opacity;
}

function showLungs() {
  if (selected?.status !== "done") return;
  const definition = definitionOf(selected);
  $("definition").hidden = Object.keys(selected.result.lungs).length < 2;
  check("definition", definition);
  $("save-seg").hidden = !selected.result.formats.includes("dicom-seg");
  const { rle, measurements } = selected.result.lungs[definition];
  const widths = measurements.cardiothoracic_ratio !== null;
  viewer.lungs(rle, { filled: checked("style") === "fill", widths });
  panel.tell(selected.result, definition);
  applyOpacity();
  $("stage").setAttribute("aria-label", `${selected.name} ${isVeiled() ? "without the outlines, which are refused" : "with its lungs"}`);
  $("screen").dataset.shown = `${selected.name} ${definition}`;
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
  done().forEach(mark);
  if (selected?.status === "done") announce(`${definitionOf(selected)}: ${panel.verdictOf(qualityOf(selected))}`);
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

async function save(what, button) {
  button.disabled = true;
  try {
    const [content, name] = await SAVES[what](selected);
    const link = document.createElement("a");
    link.href = URL.createObjectURL(content);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
  } catch (problem) {
    announce(problem.detail ?? String(problem));
  } finally {
    button.disabled = false;
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
  if (isVeiled()) selected.revealed = true;
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
  if (button?.dataset.save) save(button.dataset.save, button);
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

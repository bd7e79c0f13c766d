// Comparing the result on the screen with other masks: a reference mask, the other definition, or the masks before edits.

import { definitionOf, films, isVeiled, stemOf } from "./films/film.js";
import * as storage from "./films/storage.js";
import { showComparison } from "./panel/comparison.js";
import { $, announce, tell } from "./panel/elements.js";
import { reveal, screen, shownFilm, viewer } from "./screen.js";
import { pathsOf } from "./view/comparison.js";
import { call } from "./worker/client.js";

const BLINK_MS = 700; // slower than the three flashes a second that WCAG allows
const ENDING = /_(mask|labels|seg)$/; // of a mask's name, after the stem of its film

export const compare = { isOn: false, source: null, mode: "together", swipe: 0.5, showsOther: false };

let latest = null; // what was compared last: film, definition, and both masks
let blinking = null;

const stillsMotion = window.matchMedia("(prefers-reduced-motion: reduce)");

// ---- the masks that a film can be compared with

const SOURCES = {
  reference: { text: (film) => film.reference.name, of: ({ reference }, definition) => reference?.byDefinition[definition] ?? reference?.byDefinition.any },
  before: { text: () => "the outlines before the edits", of: (film, definition) => film.original[definition] },
  definition: { text: (film, definition) => otherDefinition(film, definition), of: (film, definition) => film.result.lungs[otherDefinition(film, definition)]?.rle },
};

const otherDefinition = ({ result }, definition) => Object.keys(result.lungs).find((name) => name !== definition);

const sourcesOf = (film, definition) => Object.keys(SOURCES).filter((name) => SOURCES[name].of(film, definition));

// ---- on, off and options

/** Start or end comparing. */
export function setComparing(isOn) {
  const film = shownFilm();
  if (isOn === compare.isOn || (isOn && !film)) return;
  compare.isOn = isOn;
  $("compare-tools").hidden = !isOn;
  document.querySelector('[data-do="compare"]').setAttribute("aria-pressed", String(isOn));
  if (!isOn) clearInterval(blinking);
  else {
    useMode(compare.mode);
    if (isVeiled(film)) reveal();
    announce("Comparing. Drop or choose a reference mask, or choose what the outlines are compared with.");
  }
  update();
}

export function useSource(name) {
  compare.source = name;
  update();
}

export function useMode(mode) {
  Object.assign(compare, { mode, showsOther: false });
  $("swipe-label").hidden = mode !== "swipe";
  $("swap").hidden = mode !== "blink";
  clearInterval(blinking);
  if (mode === "blink" && !stillsMotion.matches) blinking = setInterval(() => showSide(!compare.showsOther), BLINK_MS);
  draw();
}

export function useSwipe(percent) {
  compare.swipe = percent / 100;
  draw();
}

/** Show the other masks in place of these, or these again; the picture no longer blinks by itself. */
export function swap() {
  if (!compare.isOn || !latest?.comparison) return;
  if (compare.mode !== "blink") document.querySelector('input[name="compare-mode"][value="blink"]').click();
  clearInterval(blinking);
  showSide(!compare.showsOther);
  announce(compare.showsOther ? `Shown: ${otherName()}` : "Shown: this result");
}

function showSide(showsOther) {
  compare.showsOther = showsOther;
  draw();
}

// ---- comparing

document.addEventListener("lungs-drawn", update);

/** Compare again if the film, its definition, its masks or the other ones are no longer those that were compared. */
async function update() {
  const film = shownFilm();
  if (!compare.isOn || !film) return drop(); // a film that is loading keeps the controls, and the focus in them
  const definition = definitionOf(film);
  offerSources(film, definition);
  if (!compare.source || isVeiled(film)) return drop();
  const [own, other] = [film.result.lungs[definition].rle, SOURCES[compare.source].of(film, definition)];
  const wanted = [film.id, own, other];
  if (latest?.wanted.every((value, i) => value === wanted[i])) return draw();
  drop();
  latest = { wanted, comparison: null };
  await run(film, { wanted, own, other, options: { width: screen.view.width, height: screen.view.height, spacing: film.result.spacing } });
}

async function run(film, { wanted, own, other, options }) {
  const isLatest = () => latest?.wanted === wanted;
  try {
    const answer = await call("compare", own, other, options);
    if (!isLatest()) return;
    latest.comparison = pathsOf(answer);
    showComparison(latest.comparison, otherName());
    draw();
  } catch (problem) {
    if (isLatest()) tell(`${film.label} was not compared with ${otherName()}. ${problem.detail ?? problem}`);
  }
}

function drop() {
  latest = null;
  showComparison(null);
  draw();
}

function offerSources(film, definition) {
  const sources = sourcesOf(film, definition);
  if (!sources.includes(compare.source)) compare.source = sources[0] ?? null;
  const options = sources.map((name) => new Option(SOURCES[name].text(film, definition), name));
  $("compare-with").replaceChildren(...(options.length ? options : [new Option("no other mask yet", "")]));
  $("compare-with").value = compare.source ?? "";
  $("compare-mode").disabled = !compare.source;
}

const otherName = () => $("compare-with").selectedOptions[0]?.textContent ?? "";

function draw() {
  const { comparison } = latest ?? {};
  $("legend").hidden = !comparison || compare.mode !== "together";
  viewer.comparison = comparison ? { ...comparison, ...compare } : null;
  for (const [id, content] of Object.entries(sides(comparison))) {
    $(id).textContent = content;
    $(id).hidden = !content;
  }
  viewer.redraw();
}

/** What is shown on the left and on the right of the screen, as text on it. */
function sides(comparison) {
  if (!comparison || compare.mode === "together") return { "side-left": "", "side-right": "" };
  if (compare.mode === "swipe") return { "side-left": "this result", "side-right": otherName() };
  return { "side-left": compare.showsOther ? otherName() : "this result", "side-right": "" };
}

// ---- reference masks

/** Read reference masks, a list of { file, name }, for the films that they are named after; a single one for the film on the screen. */
export async function addReferences(entries) {
  const [used, unknown] = [new Set(), []];
  for (const { file } of entries) {
    try {
      for (const { film: name, byDefinition } of await call("reference", file)) {
        const film = filmOf(name, file) ?? (entries.length === 1 ? shownFilm() : null);
        if (film) used.add(useReference(film, { name: file.name, byDefinition }));
        else unknown.push(name ?? file.name);
      }
    } catch (problem) {
      tell(problem.detail ?? String(problem));
    }
  }
  if (unknown.length) tell(`${unknown.length} masks are named after no film that is here, such as ${unknown[0]}.`);
  if (used.has(shownFilm())) useSource("reference");
  if (used.size > 1) announce(`${used.size} films have a reference mask now.`);
}

/** The film that a mask belongs to, by its name. */
function filmOf(name, file) {
  const base = (label) => label.split("/").at(-1);
  const stem = base(file.name).replace(/\.[^.]*$/, "");
  const names = [stem, stem.replace(ENDING, "")];
  return films.find(({ label }) => label === name) ?? films.find((film) => names.includes(base(stemOf(film)))) ?? null;
}

function useReference(film, reference) {
  film.reference = reference;
  storage.updateState(film);
  return film;
}

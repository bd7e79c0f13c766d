// The panel: measurements and notes of a film as text.

import { measurementsOf } from "../films/film.js";
import { $, formatted, integer, oneDecimal, sentence, text, twoDecimals, wrap } from "./elements.js";
import { clearVerdict, showVerdict } from "./verdict.js";

/** Fill the panel with a film's result by one definition; `isVeiled` keeps the measurements hidden. */
export function showResult(film, definition, isVeiled) {
  const { result } = film;
  const lungs = result.lungs[definition];
  const byHand = Boolean(film.byHand[definition]);
  showVerdict(lungs.quality, { isFlipped: result.provenance.flip, canFlip: !result.mirrored });
  $("measures").hidden = isVeiled;
  $("measures-veil").hidden = !isVeiled;
  $("areas").replaceChildren(...(isVeiled ? [] : areas(lungs.measurements)));
  $("ratios").replaceChildren(...(isVeiled ? [] : ratios(measurementsOf(film, definition), byHand)));
  $("ratio-by-hand").hidden = isVeiled || !byHand;
  const reasons = lungs.quality.heart?.doubts ?? [];
  $("heart-doubts").replaceChildren(...reasons.map((doubt) => text("li", doubt.text)));
  $("spacing").textContent = spacingText(lungs.measurements);
  const notes = [...new Set([...result.notes, ...lungs.notes])].filter((note) => !TINY_ISLANDS.test(note));
  $("notes").replaceChildren(...notes.map((note) => text("li", sentence(note))));
  $("notes-title").hidden = !notes.length;
  $("made-by").textContent = `Weights ${result.provenance.weights_name}, pleura ${result.provenance.version}.`;
}

/** Say that the edited masks could not be measured, and offer to try again; or nothing. */
export function showMeasureProblem(problem) {
  if ($("measure-failure").hidden === !problem) return;
  $("measure-failure").hidden = !problem;
  $("measure-problem").textContent = problem
    ? `The edited outlines could not be measured. ${sentence(problem.detail ?? String(problem))} Their numbers are missing, and nothing of this film can be saved until it is measured.`
    : "";
}

// Islands of 1 to 9 pixels are no news to a reader of a film; the saved results name them.
const TINY_ISLANDS = /^removed \d+ islands?( of the [a-z ]+)? \(\d pixels?\)$/;

function areas(m) {
  const boxes = [m.right_box, m.left_box, m.lungs_box];
  return [
    ...(m.lungs_area_cm2 === null ? [] : [row("Area, cm²", oneDecimal, m.right_area_cm2, m.left_area_cm2, m.lungs_area_cm2)]),
    row("Area, px", integer, m.right_area_px, m.left_area_px, m.lungs_area_px),
    row("Box height, px", integer, ...boxes.map((box) => box && box.bottom - box.top)),
    row("Box width, px", integer, ...boxes.map((box) => box && box.right - box.left)),
  ];
}

function ratios(m, byHand) {
  const lines = [
    ["Share of the film", `${oneDecimal.format(100 * m.lungs_share)} %`],
    ["Right to left", formatted(twoDecimals, m.right_to_left_ratio)],
  ];
  if (m.heart_area_px !== null) lines.push(["Heart, px", formatted(integer, m.heart_area_px), "dot heart"]);
  if (m.heart_area_px !== null || byHand) {
    lines.push([`Cardiothoracic ratio${byHand ? ", by hand" : ""}`, formatted(twoDecimals, m.cardiothoracic_ratio), m.cardiothoracic_ratio === null ? "" : "bar"]);
  }
  return lines.map(([name, value, signClass]) => wrap("div", term(name, signClass), text("dd", value)));
}

const SOURCES = {
  PixelSpacing: "the DICOM attribute PixelSpacing",
  ImagerPixelSpacing: "the DICOM attribute ImagerPixelSpacing, at the detector",
  NominalScannedPixelSpacing: "the DICOM attribute NominalScannedPixelSpacing, of the film's scanner",
};

/** Where the spacing behind the cm² comes from. */
function spacingText({ lungs_area_cm2: area, spacing_source: source }) {
  if (area === null) return "";
  return `The cm² use the pixel spacing of ${SOURCES[source] ?? source}; they include the film's magnification.`;
}

/** Empty the panel, so that it holds no number of another film. */
export function clear() {
  clearVerdict();
  $("measures-veil").hidden = true;
  for (const id of ["made-by", "spacing"]) $(id).textContent = "";
  for (const id of ["areas", "ratios", "heart-doubts", "notes"]) $(id).replaceChildren();
}

/** Size, view and spacing of a film on one line. */
export function facts({ width, height, view, spacing }) {
  return [
    `${width} × ${height} px`,
    ...(view ? [view] : []),
    spacing ? `${Number(spacing.col_mm.toPrecision(3))} × ${Number(spacing.row_mm.toPrecision(3))} mm per pixel` : "spacing unknown",
  ].join(" · ");
}

function row(name, format, ...values) {
  const head = text("th", name);
  head.scope = "row";
  return wrap("tr", head, ...values.map((value) => text("td", formatted(format, value))));
}

/** A term, with the sign that marks it on the film. */
function term(name, signClass) {
  return wrap("dt", ...(signClass ? [text("i", "", signClass)] : []), name);
}

// The panel: verdict, measurements, notes and errors of a film as text.

const $ = (id) => document.getElementById(id);
const integer = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const oneDecimal = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const twoDecimals = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const UNDEFINED = "–";

const TITLES = {
  "urn:pleura:problem:unreadable-film": "This file could not be read",
  "urn:pleura:problem:unsuitable-film": "This picture cannot be segmented",
  "urn:pleura:problem:too-large": "The file is too large",
  "urn:pleura:problem:busy": "The server is busy",
  "urn:pleura:problem:key-needed": "The API key is missing or wrong",
  "urn:pleura:problem:too-slow": "The upload took too long",
  "urn:pleura:problem:took-too-long": "The server did not finish in time",
  "urn:pleura:problem:weights-error": "The server's weights are damaged",
  "about:blank": "Something went wrong in the server",
};

export const titleOf = (problem) => TITLES[problem.type] ?? problem.title;

/** The text with a capital at the beginning and a full stop at the end. */
export function sentence(text) {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? "" : ".");
}

const VERDICTS = {
  ok: { sign: "✓", name: "OK", text: "No reason was found to doubt these outlines. Still, a program made them." },
  review: { sign: "!", name: "Please review", text: "Look at the outlines before you use them:" },
  refused: { sign: "✕", name: "Refused", text: "Do not use these outlines or their measurements:" },
};

/** A verdict for screen readers: its name and its reasons. */
export const verdictText = ({ verdict, doubts, heart }) => [VERDICTS[verdict].name, ...[...doubts, ...(heart?.doubts ?? [])].map((doubt) => doubt.text)].join(". ");

/** The badge of a thumbnail: a sign, and a name for screen readers. */
export function badge({ verdict }) {
  const sign = text("span", VERDICTS[verdict].sign);
  sign.setAttribute("aria-hidden", "true");
  const name = text("span", ` ${VERDICTS[verdict].name}`);
  name.className = "unseen";
  const element = wrap("span", sign, name);
  element.className = "badge";
  element.dataset.verdict = verdict;
  return element;
}

function showVerdict({ verdict, doubts, estimated_dice: dice }) {
  const { sign, name, text: advice } = VERDICTS[verdict];
  $("verdict").dataset.verdict = verdict;
  document.querySelector("#verdict .sign").textContent = sign;
  $("verdict-name").textContent = name;
  $("verdict-text").textContent = advice;
  $("doubts").replaceChildren(...doubts.map((doubt) => text("li", doubt.text)));
  $("estimate").hidden = dice === null;
  if (dice !== null) {
    $("estimate").textContent = `Expected overlap with a reader's outline: ${integer.format(100 * dice)} % (Dice ${twoDecimals.format(dice)}). Two readers of one film agree to 94 to 97 %.`;
  }
}

/** Fill the panel with a result by one definition. */
export function showResult(result, definition) {
  const lungs = result.lungs[definition];
  const m = lungs.measurements;
  showVerdict(lungs.quality);
  $("areas").replaceChildren(
    ...(m.lungs_area_cm2 === null ? [] : [row("Area, cm²", oneDecimal, m.right_area_cm2, m.left_area_cm2, m.lungs_area_cm2)]),
    row("Area, px", integer, m.right_area_px, m.left_area_px, m.lungs_area_px),
    row("Box height, px", integer, ...[m.right_box, m.left_box, m.lungs_box].map((box) => box && box.bottom - box.top)),
    row("Box width, px", integer, ...[m.right_box, m.left_box, m.lungs_box].map((box) => box && box.right - box.left)),
  );
  const ratios = [
    ["Share of the film", `${oneDecimal.format(100 * m.lungs_share)} %`],
    ["Right to left", formatted(twoDecimals, m.right_to_left_ratio)],
  ];
  if (m.heart_area_px !== null) {
    ratios.push(["Heart, px", formatted(integer, m.heart_area_px), "dot heart"]);
    ratios.push(["Cardiothoracic ratio", formatted(twoDecimals, m.cardiothoracic_ratio), m.cardiothoracic_ratio === null ? "" : "bar"]);
  }
  $("ratios").replaceChildren(...ratios.map(([name, value, signClass]) => wrap("div", term(name, signClass), text("dd", value))));
  const reasons = (lungs.quality.heart?.doubts ?? []).map((doubt) => text("li", doubt.text));
  $("heart-doubts").replaceChildren(...reasons);
  const notes = [...result.notes, ...lungs.notes];
  $("notes").replaceChildren(...(notes.length ? notes : ["no notes"]).map((note) => text("li", sentence(note))));
  $("made-by").textContent = `Weights ${result.provenance.weights_name}, pleura ${result.provenance.version}.`;
}

/** Empty the panel, so that it holds no number of another film. */
export function clear() {
  delete $("verdict").dataset.verdict;
  document.querySelector("#verdict .sign").textContent = "";
  for (const id of ["verdict-name", "verdict-text", "estimate", "made-by"]) $(id).textContent = "";
  for (const id of ["doubts", "areas", "ratios", "heart-doubts", "notes"]) $(id).replaceChildren();
}

/** Size, view and spacing of a film on one line. */
export function facts(result) {
  const { width, height, view, spacing } = result;
  return [
    `${width} × ${height} px`,
    ...(view ? [view] : []),
    spacing ? `${Number(spacing.col_mm.toPrecision(3))} × ${Number(spacing.row_mm.toPrecision(3))} mm per pixel` : "spacing unknown",
  ].join(" · ");
}

const CONTROL = /[\x00-\x1f\x7f-\x9f]/g;
const FORMULA = /(?:^|(?<=;))(?=['\s]*[=+\-@\uff0b\uff0d\uff1d\uff20])/g; // for spreadsheets, see io/run/cells.py

/** The rows of all results as CSV, with the columns of results.csv. */
export function csv(rows) {
  const columns = Object.keys(rows[0]);
  const cell = (value) => {
    const safe = (string) => string.replace(CONTROL, " ").replace(FORMULA, "'");
    const content = value === null ? "" : typeof value === "string" ? safe(value) : String(value);
    return /[",\n\r]/.test(content) ? `"${content.replaceAll('"', '""')}"` : content;
  };
  return [columns, ...rows.map((cells) => columns.map((name) => cells[name]))]
    .map((cells) => `${cells.map(cell).join(",")}\n`)
    .join("");
}

const formatted = (format, value) => (value === null || value === undefined ? UNDEFINED : format.format(value));

function row(name, format, ...values) {
  const head = text("th", name);
  head.scope = "row";
  return wrap("tr", head, ...values.map((value) => text("td", formatted(format, value))));
}

/** A term, with the sign that marks it on the film. */
function term(name, signClass) {
  const element = document.createElement("dt");
  const sign = document.createElement("i");
  sign.className = signClass ?? "";
  element.append(...(signClass ? [sign] : []), name);
  return element;
}

function text(tag, content) {
  const element = document.createElement(tag);
  element.textContent = content;
  return element;
}

function wrap(tag, ...children) {
  const element = document.createElement(tag);
  element.append(...children);
  return element;
}

// What is told of a film, in words and numbers.

const $ = (id) => document.getElementById(id);
const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const one = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const two = new Intl.NumberFormat("en", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
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

/** A sentence begins with a capital and ends with a full stop. */
export function sentence(text) {
  const trimmed = text.trim();
  return trimmed.charAt(0).toUpperCase() + trimmed.slice(1) + (/[.!?]$/.test(trimmed) ? "" : ".");
}

const VERDICTS = {
  ok: { sign: "✓", name: "OK", text: "Nothing was found to doubt these outlines. They are still a machine's." },
  review: { sign: "!", name: "Please review", text: "Look at the outlines before you use them:" },
  refused: { sign: "✕", name: "Refused", text: "Do not use these outlines, nor what they measure:" },
};

/** What a screen reader says of a verdict: its name, and why. */
export const verdictOf = ({ verdict, doubts }) => [VERDICTS[verdict].name, ...doubts.map((each) => each.text)].join(". ");

/** A mark for a thumbnail: a sign to see and a name to hear. */
export function badge({ verdict }) {
  const mark = text("span", VERDICTS[verdict].sign);
  mark.setAttribute("aria-hidden", "true");
  const name = text("span", ` ${VERDICTS[verdict].name}`);
  name.className = "unseen";
  const element = wrap("span", mark, name);
  element.className = "badge";
  element.dataset.verdict = verdict;
  return element;
}

function tellVerdict({ verdict, doubts, estimated_dice: dice }) {
  const { sign, name, text: says } = VERDICTS[verdict];
  $("verdict").dataset.verdict = verdict;
  document.querySelector("#verdict .sign").textContent = sign;
  $("verdict-name").textContent = name;
  $("verdict-text").textContent = says;
  $("doubts").replaceChildren(...doubts.map((each) => text("li", each.text)));
  $("estimate").hidden = dice === null;
  if (dice !== null) {
    $("estimate").textContent = `Expected overlap with a reader's outline: ${whole.format(100 * dice)} % (Dice ${two.format(dice)}). Two readers of one film come to 94 to 97 %.`;
  }
}

/** Fill the panel with a result by one definition. */
export function tell(result, definition) {
  const lungs = result.lungs[definition];
  const m = lungs.measurements;
  tellVerdict(lungs.quality);
  $("areas").replaceChildren(
    ...(m.lungs_area_cm2 === null ? [] : [row("Area, cm²", one, m.right_area_cm2, m.left_area_cm2, m.lungs_area_cm2)]),
    row("Area, px", whole, m.right_area_px, m.left_area_px, m.lungs_area_px),
    row("Box height, px", whole, ...[m.right_box, m.left_box, m.lungs_box].map((box) => box && box.bottom - box.top)),
    row("Box width, px", whole, ...[m.right_box, m.left_box, m.lungs_box].map((box) => box && box.right - box.left)),
  );
  const ratios = [
    ["Share of the film", `${one.format(100 * m.lungs_share)} %`],
    ["Right to left", shown(two, m.right_to_left_ratio)],
  ];
  if (m.heart_area_px !== null) {
    ratios.push(["Heart, px", shown(whole, m.heart_area_px), "dot heart"]);
    ratios.push(["Cardiothoracic ratio", shown(two, m.cardiothoracic_ratio), "bar"]);
  }
  $("ratios").replaceChildren(...ratios.map(([name, value, mark]) => wrap("div", term(name, mark), text("dd", value))));
  const notes = [...result.notes, ...lungs.notes];
  $("notes").replaceChildren(...(notes.length ? notes : ["nothing to note"]).map((each) => text("li", sentence(each))));
  $("made-by").textContent = `Weights ${result.provenance.weights_name}, pleura ${result.provenance.version}.`;
}

/** Empty the panel: no number of one film waits, hidden, under the name of another. */
export function clear() {
  delete $("verdict").dataset.verdict;
  document.querySelector("#verdict .sign").textContent = "";
  for (const id of ["verdict-name", "verdict-text", "estimate", "made-by"]) $(id).textContent = "";
  for (const id of ["doubts", "areas", "ratios", "notes"]) $(id).replaceChildren();
}

/** Size, view and spacing on one line. */
export function facts(result) {
  const { width, height, view, spacing } = result;
  return [
    `${width} × ${height} px`,
    ...(view ? [view] : []),
    spacing ? `${Number(spacing.col_mm.toPrecision(3))} × ${Number(spacing.row_mm.toPrecision(3))} mm a pixel` : "spacing unknown",
  ].join(" · ");
}

const CONTROL = /[\x00-\x1f\x7f-\x9f]/g;
const FORMULA = /(?:^|(?<=;))(?=['\s]*[=+\-@\uff0b\uff0d\uff1d\uff20])/g; // for spreadsheets, see io/cells.py

/** The rows of all results as CSV, with the columns of results.csv. */
export function csv(rows) {
  const columns = Object.keys(rows[0]);
  const cell = (value) => {
    const text = (said) => said.replace(CONTROL, " ").replace(FORMULA, "'");
    const said = value === null ? "" : typeof value === "string" ? text(value) : String(value);
    return /[",\n\r]/.test(said) ? `"${said.replaceAll('"', '""')}"` : said;
  };
  return [columns, ...rows.map((each) => columns.map((name) => each[name]))]
    .map((cells) => `${cells.map(cell).join(",")}\n`)
    .join("");
}

const shown = (format, value) => (value === null || value === undefined ? UNDEFINED : format.format(value));

function row(name, format, ...values) {
  const head = text("th", name);
  head.scope = "row";
  return wrap("tr", head, ...values.map((value) => text("td", shown(format, value))));
}

/** A term, with the mark by which it is found on the film. */
function term(name, mark) {
  const element = document.createElement("dt");
  const sign = document.createElement("i");
  sign.className = mark ?? "";
  element.append(...(mark ? [sign] : []), name);
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

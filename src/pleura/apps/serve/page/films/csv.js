// Rows as CSV, with the columns of results.csv.

const CONTROL = /[\x00-\x1f\x7f-\x9f]/g;
const FORMULA = /(?:^|(?<=;))(?=['\s]*[=+\-@\uff0b\uff0d\uff1d\uff20])/g; // for spreadsheets, see io/run/cells.py

/** The rows of all results as CSV, with the columns of the first row. */
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

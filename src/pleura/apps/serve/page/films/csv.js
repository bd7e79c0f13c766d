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

const QUOTE = /(^|;)'(?=['\s]*[=+\-@\uff0b\uff0d\uff1d\uff20])/g; // what `csv` puts before a formula

/** The rows of a CSV file as objects, by the names of its first row. */
export function parseCsv(content) {
  const [names, ...rows] = cellsOf(content.replace(/^\ufeff/, ""));
  return rows.filter((cells) => cells.length > 1).map((cells) =>
    Object.fromEntries((names ?? []).map((name, index) => [name, (cells[index] ?? "").replace(QUOTE, "$1")])));
}

/** The cells of each row. */
function cellsOf(content) {
  const rows = [[]];
  const cell = /("(?:[^"]|"")*"|[^,\r\n]*)(,|\r\n|\n|\r|$)/gy;
  while (cell.lastIndex < content.length || rows.at(-1).length) {
    const match = cell.exec(content);
    if (!match) break; // a quote without an end
    const [, text, end] = match;
    rows.at(-1).push(text.startsWith('"') ? text.slice(1, -1).replaceAll('""', '"') : text);
    if (end !== ",") {
      if (!end || cell.lastIndex >= content.length) break;
      rows.push([]);
    }
  }
  return rows;
}

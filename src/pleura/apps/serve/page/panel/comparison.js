// The comparison with other masks as text: Dice and distances of each structure, and the legend of the colours.

import { DISTANCE_COLOURS } from "../view/comparison.js";
import { $, announce, formatted, oneDecimal, text, twoDecimals, wrap } from "./elements.js";

const NAMES = { right: "Right lung", left: "Left lung", heart: "Heart", heartOutside: "Heart beside the lungs", lungs: "Both lungs" };

/** Show what the worker compared, with the name of the other masks; or nothing. */
export function showComparison(comparison, otherName) {
  $("comparison").hidden = !comparison;
  $("comparison-rows").replaceChildren(...(comparison?.rows ?? []).map(rowOf));
  if (!comparison) return;
  const { rows, ends, unit } = comparison;
  $("comparison-name").textContent = otherName;
  for (const id of ["hd95-unit", "mean-unit"]) $(id).textContent = unit;
  $("legend").replaceChildren(text("span", `Distance, ${unit}:`), ...DISTANCE_COLOURS.map((_, rank) => keyOf(rank, ends)));
  announce(`Compared with ${otherName}. ${rows.map((row) => spoken(row, unit)).join("; ")}.`);
}

function rowOf({ name, dice, hd95, mean }) {
  const head = text("th", NAMES[name]);
  head.scope = "row";
  const cells = [[twoDecimals, dice], [oneDecimal, hd95], [oneDecimal, mean]];
  return wrap("tr", head, ...cells.map(([format, value]) => text("td", formatted(format, value))));
}

const spoken = ({ name, dice, hd95 }, unit) =>
  `${NAMES[name]}: Dice ${formatted(twoDecimals, dice)}${hd95 === null ? "" : `, 95 % of the outline within ${oneDecimal.format(hd95)} ${unit}`}`;

/** A colour of the legend, with its range of distance. */
function keyOf(rank, ends) {
  const sign = text("i", "", `distance rank-${rank}`);
  const range = rank === 0 ? `up to ${ends[0]}` : rank === ends.length ? `over ${ends.at(-1)}` : `${ends[rank - 1]} to ${ends[rank]}`;
  return wrap("span", sign, range);
}

// Drawing a comparison: the outline in colours of its distance, and the other outline; or one of the two results.

import { drawBars, drawLungs, line, pathOf } from "./outlines.js";

/** Colours of the ranges of distance, from near to far; the line gets wider too. */
export const DISTANCE_COLOURS = ["#4c8dff", "#35c9a5", "#f2e34c", "#ff9a2e", "#ff3d7f"];
const OTHER = "#ffffff";

/** What the worker gave, with paths in place of lines of points. */
export function pathsOf({ outlines, parts, ...rest }) {
  const paths = Object.fromEntries(Object.entries(outlines).map(([name, polygons]) => [name, pathOf(polygons)]));
  return { ...rest, outlines: paths, parts: parts.map(openPath) };
}

function openPath(lines) {
  const path = new Path2D();
  for (const points of lines) {
    path.moveTo(points[0], points[1]);
    for (let i = 2; i < points.length; i += 2) path.lineTo(points[i], points[i + 1]);
  }
  return path;
}

/** Draw the outlines together: the other one dashed, on it this one in the colours of the distance. */
function drawTogether(context, { outlines, parts }, lineWidth) {
  context.lineCap = "butt";
  for (const [colour, width, dash] of [["#10171d", 2.5, []], [OTHER, 1, [5 * lineWidth, 4 * lineWidth]]]) {
    context.strokeStyle = colour;
    context.lineWidth = width * lineWidth;
    context.setLineDash(dash);
    for (const path of Object.values(outlines)) context.stroke(path);
  }
  context.setLineDash([]);
  parts.forEach((path, rank) => {
    context.strokeStyle = DISTANCE_COLOURS[rank];
    context.lineWidth = (1 + 0.4 * rank) * lineWidth;
    context.stroke(path);
  });
}

/**
 * Draw a comparison of `lungs` (paths, bars, style): by `mode` both together, one beside the other along a line at the
 * share `swipe` of the screen's width, or one of them. The context is in px of the film; `edge` is the line in them.
 */
export function drawComparison(context, lungs, comparison, { lineWidth, edge, height }) {
  const own = () => {
    drawLungs(context, lungs.paths, { ...lungs.style, lineWidth });
    if (lungs.bars) drawBars(context, lungs.bars, lineWidth);
  };
  const other = () => drawLungs(context, comparison.outlines, { ...lungs.style, lineWidth });
  if (comparison.mode === "together") drawTogether(context, comparison, lineWidth);
  else if (comparison.mode === "blink") (comparison.showsOther ? other : own)();
  else {
    clipped(context, [-1e6, edge], own);
    clipped(context, [edge, 1e6], other);
    for (const [colour, width] of [["#10171d", 2 * lineWidth], [OTHER, lineWidth]]) {
      Object.assign(context, { strokeStyle: colour, lineWidth: width });
      line(context, edge, -height, edge, 2 * height);
    }
  }
}

function clipped(context, [left, right], draw) {
  context.save();
  context.beginPath();
  context.rect(left, -1e6, right - left, 2e6);
  context.clip();
  draw();
  context.restore();
}

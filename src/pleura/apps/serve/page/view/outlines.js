// Drawing outlines as vector paths, and the bars of the cardiothoracic widths.

const COLOURS = { right: "#0072b2", left: "#d55e00", lungs: "#f0e442", heart: "#cc79a7" }; // `lungs`: both, in a reference mask

/** Polygons of the worker -> one path. */
export function pathOf(polygons) {
  const path = new Path2D();
  for (const polygon of polygons) {
    path.moveTo(polygon[0], polygon[1]);
    for (let i = 2; i < polygon.length; i += 2) path.lineTo(polygon[i], polygon[i + 1]);
    path.closePath();
  }
  return path;
}

/** Draw lungs and heart. The heart has an outline only; a line lies inside its mask. */
export function drawLungs(context, paths, { filled, fill, lineWidth }) {
  for (const [name, colour] of Object.entries(COLOURS)) {
    const path = paths[name];
    if (!path) continue;
    if (filled && name !== "heart") {
      context.globalAlpha = fill;
      context.fillStyle = colour;
      context.fill(path);
      context.globalAlpha = 1;
    }
    context.save();
    context.clip(path);
    context.strokeStyle = colour;
    context.lineWidth = 2 * lineWidth; // its outer half is clipped
    context.stroke(path);
    context.restore();
  }
}

/** Draw the two widths: white dashes on a dark line, with a tick at each end, inside the width. */
export function drawBars(context, { heart, thorax }, lineWidth) {
  for (const { row, left, right } of [thorax, heart]) {
    const y = row + 0.5;
    for (const [colour, width, dash] of [["#10171d", 2 * lineWidth, []], ["#ffffff", lineWidth, [4 * lineWidth, 3 * lineWidth]]]) {
      context.strokeStyle = colour;
      context.lineWidth = width;
      context.setLineDash(dash);
      line(context, left, y, right, y);
      context.setLineDash([]);
      for (const x of [left + lineWidth, right - lineWidth]) line(context, x, y - 4 * lineWidth, x, y + 4 * lineWidth);
    }
  }
}

/** Draw the pen and the stroke under way; the eraser is dashed, and a pull shows the outline as it will be. */
export function drawBrush(context, { point, points, radius, name, pen, preview }, lineWidth) {
  const isEraser = pen === "eraser";
  context.strokeStyle = isEraser ? "#ffffff" : COLOURS[name];
  if (preview) drawPull(context, { point, from: points[0], name, preview }, lineWidth);
  else if (points.length) {
    context.globalAlpha = 0.5;
    context.lineCap = context.lineJoin = "round";
    context.lineWidth = 2 * radius;
    context.beginPath();
    context.moveTo(...points[0]);
    for (const [x, y] of points) context.lineTo(x + 1e-3, y);
    context.stroke();
    context.globalAlpha = 1;
  }
  for (const [colour, width] of [["#10171d", 2 * lineWidth], [isEraser ? "#ffffff" : COLOURS[name], lineWidth]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.setLineDash(isEraser ? [4 * lineWidth, 3 * lineWidth] : pen === "pull" ? [lineWidth, 3 * lineWidth] : []);
    context.beginPath();
    context.arc(...(preview ? points[0] : point), radius, 0, 2 * Math.PI);
    context.stroke();
  }
  context.setLineDash([]);
}

/** The outline that a pull gives, and a line from the grip to where it is now. */
function drawPull(context, { point, from, name, preview }, lineWidth) {
  for (const [colour, width] of [["#ffffff", 4 * lineWidth], [COLOURS[name], 2 * lineWidth]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke(preview);
  }
  context.lineWidth = lineWidth;
  line(context, ...from, ...point);
}

export function line(context, fromX, fromY, toX, toY) {
  context.beginPath();
  context.moveTo(fromX, fromY);
  context.lineTo(toX, toY);
  context.stroke();
}

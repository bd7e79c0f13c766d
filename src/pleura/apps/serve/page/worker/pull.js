// Pulling an outline: points near the grip follow it, and less with the distance from it; and filling an outline.

/**
 * Closed polygons along pixel edges, [x, y, x, y, ...], after a pull from one point to another. A point at the distance d
 * from the grip follows it by the share (1 - (d / radius)^2)^2; from `radius` on, none does.
 */
export function pulled(polygons, pull) {
  return polygons.map((corners) => {
    const points = [];
    for (let i = 0; i < corners.length; i += 2) {
      const next = (i + 2) % corners.length;
      addEdge(points, [corners[i], corners[i + 1]], [corners[next], corners[next + 1]], pull);
    }
    return points;
  });
}

/** Whether a point of the polygons is within reach. */
export const isWithinReach = (polygons, { from: [x, y], radius }) => polygons.some((corners) => {
  for (let i = 0; i < corners.length; i += 2) {
    const next = (i + 2) % corners.length;
    const nearX = clamp(x, corners[i], corners[next]);
    const nearY = clamp(y, corners[i + 1], corners[next + 1]);
    if (Math.hypot(nearX - x, nearY - y) < radius) return true;
  }
  return false;
});

const clamp = (value, a, b) => Math.min(Math.max(a, b), Math.max(Math.min(a, b), value));

/** Add an edge without its end: in steps of a pixel within reach, otherwise as it is. */
function addEdge(points, [x, y], [endX, endY], pull) {
  const { from, radius } = pull;
  const isNear = Math.abs(clamp(from[0], x, endX) - from[0]) < radius && Math.abs(clamp(from[1], y, endY) - from[1]) < radius;
  const count = isNear ? Math.max(Math.abs(endX - x), Math.abs(endY - y)) : 1;
  for (let step = 0; step < count; step++) {
    const share = step / count;
    points.push(...moved([x + share * (endX - x), y + share * (endY - y)], pull));
  }
}

function moved([x, y], { from, to, radius }) {
  const share = Math.max(0, 1 - ((x - from[0]) ** 2 + (y - from[1]) ** 2) / radius ** 2) ** 2;
  return [x + share * (to[0] - from[0]), y + share * (to[1] - from[1])];
}

/** The pixels whose centres lie inside of polygons, 0 and 1, by the nonzero rule. */
export function filled(polygons, width, height) {
  const turns = new Int8Array((width + 1) * height); // where a row enters and leaves
  for (const points of polygons) {
    for (let i = 0; i < points.length; i += 2) {
      const next = (i + 2) % points.length;
      addCrossings(turns, [points[i], points[i + 1]], [points[next], points[next + 1]], { width, height });
    }
  }
  const pixels = new Uint8Array(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0, inside = 0; x < width; x++) {
      inside += turns[y * (width + 1) + x];
      if (inside) pixels[y * width + x] = 1;
    }
  }
  return pixels;
}

function addCrossings(turns, [x0, y0], [x1, y1], { width, height }) {
  const [first, last] = [Math.ceil(Math.min(y0, y1) - 0.5), Math.ceil(Math.max(y0, y1) - 0.5)];
  for (let row = Math.max(0, first); row < Math.min(height, last); row++) {
    const x = x0 + ((row + 0.5 - y0) / (y1 - y0)) * (x1 - x0);
    const column = Math.min(width, Math.max(0, Math.ceil(x - 0.5)));
    turns[row * (width + 1) + column] += y1 > y0 ? 1 : -1;
  }
}

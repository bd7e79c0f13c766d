// Distances of the boundaries of two masks, and their Dice.

const FAR = 1e20;
const PERCENTILE = 0.95;

/** The outermost pixels of a mask (4-neighbours; beyond its box is outside), as 1 in an array of its size. */
export function boundary({ width, height, pixels }) {
  const edge = new Uint8Array(pixels.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const i = y * width + x;
      if (!pixels[i]) continue;
      const isInside = x > 0 && x < width - 1 && y > 0 && y < height - 1 &&
        pixels[i - 1] && pixels[i + 1] && pixels[i - width] && pixels[i + width];
      if (!isInside) edge[i] = 1;
    }
  }
  return edge;
}

/**
 * The distance of each pixel's centre to the nearest one that is set, in the unit of the steps between rows and columns.
 * By lower envelopes of parabolas, first along the columns and then along the rows (Felzenszwalb and Huttenlocher, 2012).
 */
export function distanceMap(set, { width, height, rowStep, columnStep }) {
  const squared = Float32Array.from(set, (value) => (value ? 0 : FAR));
  const scratch = new Envelope(Math.max(width, height));
  for (let x = 0; x < width; x++) scratch.transform(squared, x, width, { count: height, step: rowStep });
  for (let y = 0; y < height; y++) scratch.transform(squared, y * width, 1, { count: width, step: columnStep });
  for (let i = 0; i < squared.length; i++) squared[i] = Math.sqrt(squared[i]);
  return squared;
}

/** Memory for the transform of one line. */
class Envelope {
  constructor(most) {
    this.values = new Float64Array(most);
    this.roots = new Int32Array(most); // of the parabolas of the envelope
    this.starts = new Float64Array(most + 1); // where each begins to be the lowest
  }

  transform(squared, first, stride, { count, step }) {
    const { values, roots, starts } = this;
    for (let i = 0; i < count; i++) values[i] = squared[first + i * stride];
    let last = 0;
    [roots[0], starts[0], starts[1]] = [0, -Infinity, Infinity];
    const area = step * step;
    for (let i = 1; i < count; i++) {
      let at = 0;
      for (;;) {
        const root = roots[last];
        at = ((values[i] - values[root]) / area + i * i - root * root) / (2 * (i - root));
        if (at > starts[last]) break;
        last--;
      }
      last++;
      [roots[last], starts[last], starts[last + 1]] = [i, at, Infinity];
    }
    for (let i = 0, k = 0; i < count; i++) {
      while (starts[k + 1] < i) k++;
      squared[first + i * stride] = area * (i - roots[k]) ** 2 + values[roots[k]];
    }
  }
}

/** Twice the common area by the sum of both; null if both masks are empty. */
export function dice(a, b) {
  let [both, sum] = [0, 0];
  for (let i = 0; i < a.length; i++) {
    both += a[i] & b[i];
    sum += a[i] + b[i];
  }
  return sum ? (2 * both) / sum : null;
}

/** The larger 95th percentile of the two lists of distances, and the mean of all. */
export function summary(fromA, fromB) {
  const all = fromA.length + fromB.length;
  const sum = (values) => values.reduce((total, value) => total + value, 0);
  return { hd95: Math.max(percentile(fromA), percentile(fromB)), mean: (sum(fromA) + sum(fromB)) / all };
}

/** With linear interpolation. */
function percentile(values) {
  const sorted = Float64Array.from(values).sort();
  const at = PERCENTILE * (sorted.length - 1);
  const low = Math.floor(at);
  return sorted[low] + (at - low) * (sorted[Math.min(low + 1, sorted.length - 1)] - sorted[low]);
}

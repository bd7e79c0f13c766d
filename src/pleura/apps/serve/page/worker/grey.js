// Grey values of a film: a smaller copy, a histogram, windows, and the picture in 8 bits.

const SMALL_SIDE = 1400; // px, of the copy that is drawn while the film is zoomed out
const BINS = 128;

/** A copy whose sides are `factor` times as short, by means of squares; the film itself if it is small. */
export function smaller(film) {
  const factor = Math.ceil(Math.max(film.width, film.height) / SMALL_SIDE);
  if (factor === 1) return { ...film, factor };
  const [width, height] = [Math.ceil(film.width / factor), Math.ceil(film.height / factor)];
  const samples = new film.samples.constructor(width * height);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) samples[y * width + x] = meanOf(film, x * factor, y * factor, factor);
  }
  return { width, height, samples, factor };
}

function meanOf({ width, height, samples }, left, top, side) {
  const [right, bottom] = [Math.min(width, left + side), Math.min(height, top + side)];
  let sum = 0;
  for (let y = top; y < bottom; y++) {
    for (let i = y * width + left; i < y * width + right; i++) sum += samples[i];
  }
  return Math.round(sum / ((right - left) * (bottom - top)));
}

/** How many samples of the small copy lie in each of 128 equal steps from 0 to `highest`. */
export function histogram({ samples }, highest) {
  const bins = new Array(BINS).fill(0);
  for (const sample of samples) bins[Math.min(BINS - 1, Math.floor((sample / (highest || 1)) * BINS))]++;
  return bins;
}

/** The samples between which all but one in a hundred of the masks' pixels lie, or null without any. */
export function windowOf({ width, samples }, masks, highest) {
  const counts = new Uint32Array(highest + 1);
  let total = 0;
  for (const mask of masks) {
    for (let y = 0; y < mask.height; y++) {
      for (let x = 0; x < mask.width; x++) {
        if (!mask.pixels[y * mask.width + x]) continue;
        counts[samples[(y + mask.top) * width + x + mask.left]]++;
        total++;
      }
    }
  }
  if (!total) return null;
  const [low, high] = [percentile(counts, 0.005 * total), percentile(counts, 0.995 * total)];
  return { low, high: Math.max(high, low + 1) };
}

function percentile(counts, rank) {
  let below = 0;
  for (let sample = 0; sample < counts.length; sample++) {
    below += counts[sample];
    if (below > rank) return sample;
  }
  return counts.length - 1;
}

/** The picture in 8 bits: one linear map from `low` (black) to `high` (white), in samples. */
export function picture({ width, height, samples }, { low, high, inverted }) {
  const table = new Uint32Array(samples.BYTES_PER_ELEMENT === 2 ? 65536 : 256);
  for (let sample = 0; sample < table.length; sample++) {
    const share = Math.min(1, Math.max(0, (sample - low) / (high - low || 1)));
    const grey = Math.round(255 * (inverted ? 1 - share : share));
    table[sample] = (0xff000000 | (grey << 16) | (grey << 8) | grey) >>> 0;
  }
  const image = new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  for (let i = 0; i < samples.length; i++) pixels[i] = table[samples[i]];
  return createImageBitmap(image);
}

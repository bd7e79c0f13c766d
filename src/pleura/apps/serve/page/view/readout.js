// Texts and the histogram below the film: zoom, window, level, and the value under the cursor.

import { call } from "../worker/client.js";

const $ = (id) => document.getElementById(id);
const number = new Intl.NumberFormat("en", { maximumSignificantDigits: 5 });
const NAMES = { usual: "Usual", full: "Full range", lungs: "Lungs", heart: "Heart" };

let isAsking = false;
let lastPoint = null;
let lastView = null; // whose value was written

/** Write zoom, window, level and the value under the cursor, and draw the histogram with the window; nothing without a film. */
export function showReadout(viewer) {
  showValue(viewer, lastPoint);
  if (!viewer.view) {
    $("readout").textContent = "";
    $("window").selectedIndex = -1;
    clearHistogram();
    return;
  }
  const { scale, windows } = viewer.view;
  const { low, high } = viewer.window;
  const width = scale.step * (high - low);
  const level = scale.minimum + (scale.step * (high + low)) / 2;
  const zoom = Math.round(100 * viewer.position.scale * devicePixelRatio);
  $("readout").textContent = `zoom ${zoom} % · window ${number.format(width)}, level ${number.format(level)}`;
  const preset = Object.keys(windows).find((name) => windows[name]?.low === low && windows[name]?.high === high);
  $("window").value = preset ?? "";
  drawHistogram(viewer);
}

/** Offer the windows that the film has. */
export function offerWindows({ windows }) {
  const options = Object.keys(NAMES).filter((name) => windows[name]).map((name) => new Option(NAMES[name], name));
  $("window").replaceChildren(...options, Object.assign(new Option("By hand", ""), { disabled: true }));
}

/** Empty the histogram; returns its canvas. */
function clearHistogram() {
  const canvas = $("histogram");
  canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  return canvas;
}

function drawHistogram({ view, window: { low, high } }) {
  const canvas = clearHistogram();
  const { width, height } = canvas;
  const context = canvas.getContext("2d");
  context.fillStyle = "#5cb3e6";
  const most = Math.max(1, ...view.bins.slice(1, -1)); // without the ends, where borders and letters lie
  view.bins.forEach((count, bin) => {
    const bar = Math.min(height, Math.round((height * count) / most));
    context.fillRect((bin * width) / view.bins.length, height - bar, Math.ceil(width / view.bins.length), bar);
  });
  const xOf = (sample) => Math.min(width, Math.max(0, (width * sample) / (view.highest || 1)));
  context.fillStyle = "rgb(11 15 19 / 70%)"; // outside of the window
  context.fillRect(0, 0, xOf(low), height);
  context.fillRect(xOf(high), 0, width - xOf(high), height);
}

/** Write the film's value under the cursor; `point` is null outside of the screen. */
export async function showValue(viewer, point) {
  lastPoint = point;
  const { view } = viewer;
  if (view !== lastView) $("value").textContent = ""; // it is of another film
  lastView = view;
  if (isAsking) return;
  const pixel = point && viewer.pixelAt(point);
  if (!pixel) {
    $("value").textContent = "";
    return;
  }
  isAsking = true;
  const value = await call("value", view.id, pixel.column, pixel.row).catch(() => null);
  isAsking = false;
  if (viewer.view !== view || value === null) $("value").textContent = "";
  else $("value").textContent = `x ${pixel.column}, y ${pixel.row}: ${number.format(value)}`;
  const now = lastPoint && viewer.view && viewer.pixelAt(lastPoint);
  if (viewer.view !== view || now?.column !== pixel.column || now?.row !== pixel.row) showValue(viewer, lastPoint);
}

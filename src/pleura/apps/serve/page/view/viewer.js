// The viewer: film and outlines on two canvases of the screen's size, drawn for each zoom again.

import { call } from "../worker/client.js";
import { drawComparison } from "./comparison.js";
import { drawBars, drawBrush, drawLungs } from "./outlines.js";
import { drawEnds } from "./ratio.js";
import { drawRuler } from "./ruler.js";

const MAX_ZOOM = 32;
const NEAREST = 3; // from this zoom on, single pixels of the film are seen

export class Viewer {
  constructor(screen, onChange) {
    this.screen = screen;
    this.film = screen.querySelector("#film");
    this.overlay = screen.querySelector("#overlay");
    this.marks = screen.querySelector("#marks");
    this.comparison = null; // with other masks, see comparison.js
    this.ruler = null; // its ends, points of the film, its label, and which end moves
    this.ratio = null; // the ends of the cardiothoracic widths while they can be dragged
    this.onChange = onChange; // called after a change of zoom or window
    this.view = null;
    this.inverted = false;
    this.clear();
    new ResizeObserver(() => this.resize()).observe(screen);
  }

  /** Show a view (of views.js); `showLungs` adds its outlines. */
  show(view) {
    this.clear();
    this.view = view;
    this.small = view.picture;
    this.window = { ...view.windows.usual };
    if (this.inverted) this.requestPicture();
    this.fit();
    this.redraw();
  }

  /** Remove the film and its lungs. */
  clear() {
    this.dropFull();
    this.view = this.small = this.lungs = this.brush = this.comparison = null;
    this.isRequesting = this.isStale = false;
    this.position = { x: 0, y: 0, scale: 1 };
    this.fitted = true;
    for (const canvas of [this.film, this.overlay, this.marks]) canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
  }

  /** Draw the lungs: paths by name, bars of the cardiothoracic widths or null, and the style. */
  showLungs(paths, bars, style) {
    this.lungs = { paths, bars, style };
    this.redraw();
  }

  // ---- zoom

  fit() {
    if (!this.view) return;
    const { clientWidth: w, clientHeight: h } = this.screen;
    const { width, height } = this.view;
    const scale = Math.min(w / width, h / height) || 1;
    this.position = { scale, x: Math.round((w - scale * width) / 2), y: Math.round((h - scale * height) / 2) };
    this.fitted = true;
    this.changed();
  }

  /** Show a pixel of the film on each pixel of the screen. */
  nativeSize() {
    const scale = 1 / devicePixelRatio;
    this.zoom(scale / this.position.scale);
    this.position = { scale, x: Math.round(this.position.x), y: Math.round(this.position.y) };
    this.changed();
  }

  /** Zoom by a factor about a point of the screen, by default its middle. */
  zoom(factor, at = { x: this.screen.clientWidth / 2, y: this.screen.clientHeight / 2 }) {
    const { scale, x, y } = this.position;
    const newScale = Math.min(MAX_ZOOM, Math.max(0.02, scale * factor));
    const ratio = newScale / scale;
    this.position = { scale: newScale, x: at.x - ratio * (at.x - x), y: at.y - ratio * (at.y - y) };
    this.fitted = false;
    this.changed();
  }

  move(dx, dy) {
    this.position.x += dx;
    this.position.y += dy;
    this.fitted = false;
    this.changed();
  }

  /** The point of the film, px with fractions, at a point of the screen. */
  filmPoint({ x, y }) {
    const { x: left, y: top, scale } = this.position;
    return [(x - left) / scale, (y - top) / scale];
  }

  /** The point of the screen at a point of the film. */
  screenPoint([x, y]) {
    const { x: left, y: top, scale } = this.position;
    return { x: left + scale * x, y: top + scale * y };
  }

  /** The film's pixel at a point of the screen, or null outside of the film. */
  pixelAt({ x, y }) {
    if (!this.view) return null;
    const { x: left, y: top, scale } = this.position;
    const [column, row] = [Math.floor((x - left) / scale), Math.floor((y - top) / scale)];
    const isInside = column >= 0 && row >= 0 && column < this.view.width && row < this.view.height;
    return isInside ? { column, row } : null;
  }

  // ---- window and level, in samples

  /** Change the window's width and centre, as shares of the usual window. */
  changeWindow(dWidth, dCentre) {
    if (!this.view) return;
    const { low, high } = this.view.windows.usual;
    const width = Math.max(1, this.window.high - this.window.low + dWidth * (high - low));
    const centre = (this.window.high + this.window.low) / 2 + dCentre * (high - low);
    this.useWindow({ low: centre - width / 2, high: centre + width / 2 });
  }

  useWindow({ low, high }) {
    this.window = { low, high };
    this.requestPicture();
    this.onChange();
  }

  /** The whole film in its usual window. */
  reset() {
    if (!this.view) return;
    this.useWindow(this.view.windows.usual);
    this.fit();
  }

  invert() {
    this.inverted = !this.inverted;
    if (this.view) this.requestPicture();
    return this.inverted;
  }

  /** Ask the worker for the picture in the present window; one request at a time. */
  async requestPicture() {
    this.isStale = true;
    if (this.isRequesting) return;
    this.isRequesting = true;
    const { view } = this;
    while (this.isStale && this.view === view) {
      this.isStale = false;
      const picture = await call("picture", view.id, { ...this.window, inverted: this.inverted }, true).catch(() => null);
      if (this.view !== view) { picture?.close(); return; }
      this.dropFull();
      if (picture) this.small = picture;
      this.redraw();
    }
    this.isRequesting = false;
    this.requestFull();
  }

  /** Ask for the picture at its native size, where the zoom shows more than the small copy has. */
  async requestFull() {
    const { view } = this;
    if (!view || view.factor === 1 || this.full || this.isRequesting || !this.needsFull()) return;
    this.isRequesting = true;
    const picture = await call("picture", view.id, { ...this.window, inverted: this.inverted }, false).catch(() => null);
    if (this.view !== view) { picture?.close(); return; }
    this.isRequesting = false;
    if (this.isStale) { picture?.close(); this.requestPicture(); return; }
    this.full = picture;
    this.redraw();
  }

  needsFull() {
    return this.position.scale * devicePixelRatio * this.view.factor > 1.05;
  }

  dropFull() {
    this.full?.close();
    this.full = null;
  }

  // ---- drawing

  changed() {
    this.redraw();
    this.requestFull();
    this.onChange();
  }

  resize() {
    if (this.fitted) this.fit();
    this.redraw();
  }

  redraw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null;
      this.draw();
    });
  }

  /** Draw both canvases now. */
  draw() {
    const { clientWidth: w, clientHeight: h } = this.screen;
    const ratio = devicePixelRatio;
    for (const canvas of [this.film, this.overlay, this.marks]) {
      const [width, height] = [Math.round(w * ratio), Math.round(h * ratio)];
      if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
      const context = canvas.getContext("2d");
      context.setTransform(1, 0, 0, 1, 0, 0);
      context.clearRect(0, 0, width, height);
      context.setTransform(ratio, 0, 0, ratio, 0, 0);
    }
    if (!this.view) return;
    const { x, y, scale } = this.position;
    this.film.dataset.position = `${x} ${y} ${scale}`;
    this.drawFilm(this.film.getContext("2d"));
    if (this.lungs) this.drawOverlay(this.overlay.getContext("2d"));
    if (this.ratio) drawEnds(this.marks.getContext("2d"), this.ratio);
    if (this.ruler) drawRuler(this.marks.getContext("2d"), this.ruler.ends.map((end) => this.screenPoint(end)), this.ruler);
  }

  drawFilm(context) {
    const { x, y, scale } = this.position;
    const picture = this.needsFull() && this.full ? this.full : this.small;
    context.imageSmoothingEnabled = scale < NEAREST;
    context.drawImage(picture, x, y, scale * this.view.width, scale * this.view.height);
  }

  drawOverlay(context) {
    const { x, y, scale } = this.position;
    context.translate(x, y);
    context.scale(scale, scale);
    if (this.comparison) {
      const edge = (this.comparison.swipe * this.screen.clientWidth - x) / scale;
      drawComparison(context, this.lungs, this.comparison, { lineWidth: 2 / scale, edge, height: this.screen.clientHeight / scale + Math.abs(y / scale) });
    } else {
      drawLungs(context, this.lungs.paths, { ...this.lungs.style, lineWidth: 2 / scale });
      if (this.lungs.bars) drawBars(context, this.lungs.bars, 2 / scale);
    }
    if (this.brush) drawBrush(context, this.brush, 1.5 / scale);
  }
}

// Editing masks by hand: strokes, undo and redo. Right and left stay disjoint.

import { contours, decode, runLengths } from "./contours.js";
import { filled, pulled } from "./pull.js";

const OTHER_LUNG = { right: "left", left: "right" };

/** Masks of a film under edit, each of the film's size. */
export class Edit {
  constructor({ width, height }, masks) {
    Object.assign(this, { width, height, undone: [], done: [] });
    this.masks = Object.fromEntries(Object.entries(masks).map(([name, mask]) => [name, this.wholeMask(mask)]));
  }

  wholeMask({ left, top, width, height, pixels }) {
    const whole = new Uint8Array(this.width * this.height);
    for (let y = 0; y < height; y++) {
      whole.set(pixels.subarray(y * width, (y + 1) * width), (y + top) * this.width + left);
    }
    return { left: 0, top: 0, width: this.width, height: this.height, pixels: whole };
  }

  /** Draw a stroke of the brush or the eraser: { name, isEraser, radius, points: [[x, y], ...] }, in px; null if it changes no pixel. */
  draw({ name, isEraser, radius, points }) {
    const changes = this.noChanges();
    points.forEach((point, index) => {
      this.visitCapsule(points[Math.max(0, index - 1)], point, radius, (i) => this.give(changes, name, i, isEraser ? 0 : 1));
    });
    return this.keepAny(changes);
  }

  /** Pull the outline of a structure: { name, from, to, radius }, in px; null if that moves no pixel. */
  pull({ name, ...pull }) {
    const { pixels } = this.masks[name];
    const after = filled(pulled(contours(this.masks[name]), pull), this.width, this.height);
    const changes = this.noChanges();
    for (let i = 0; i < after.length; i++) if (after[i] !== pixels[i]) this.give(changes, name, i, after[i]);
    return this.keepAny(changes);
  }

  noChanges() { return new Map(Object.keys(this.masks).map((name) => [name, []])); }

  /** Put changes that were made on the list that `undo` takes back; null if no pixel changed. */
  keepAny(changes) {
    if (![...changes.values()].some(({ length }) => length)) return null;
    this.done.push(changes);
    this.undone = [];
    return this.outlines();
  }

  /** Give a pixel to a structure, or take it; a pixel that one lung gets, the other one loses. */
  give(changes, name, i, value) {
    this.put(changes, name, i, value);
    if (value && OTHER_LUNG[name]) this.put(changes, OTHER_LUNG[name], i, 0);
  }

  /** Put other masks in place of these, from run lengths, as one step; null if they are the same. */
  replace(rle) {
    const changes = this.noChanges();
    for (const name of changes.keys()) {
      const { pixels } = rle[name] ? this.wholeMask(decode(rle[name])) : { pixels: new Uint8Array(this.width * this.height) };
      pixels.forEach((value, i) => this.put(changes, name, i, value));
    }
    return this.keepAny(changes);
  }

  put(changes, name, i, value) {
    const mask = this.masks[name]?.pixels;
    if (!mask || mask[i] === value) return;
    mask[i] = value;
    changes.get(name).push(i);
  }

  /** Visit the pixels whose centres are within `radius` of the line between two points. */
  visitCapsule([ax, ay], [bx, by], radius, visit) {
    const [dx, dy] = [bx - ax, by - ay];
    const length2 = dx * dx + dy * dy || 1;
    const within = (value, end) => Math.min(end, Math.max(0, value));
    const [left, right] = [Math.min(ax, bx) - radius, Math.max(ax, bx) + radius].map((x) => within(Math.round(x), this.width));
    const [top, bottom] = [Math.min(ay, by) - radius, Math.max(ay, by) + radius].map((y) => within(Math.round(y), this.height));
    for (let y = top; y < bottom; y++) {
      for (let x = left; x < right; x++) {
        const [px, py] = [x + 0.5 - ax, y + 0.5 - ay];
        const share = Math.min(1, Math.max(0, (px * dx + py * dy) / length2));
        const [ex, ey] = [px - share * dx, py - share * dy];
        if (ex * ex + ey * ey <= radius * radius) visit(y * this.width + x);
      }
    }
  }

  undo() { return this.step(this.done, this.undone); }
  redo() { return this.step(this.undone, this.done); }

  /** Take the last change of one list back, and put it on the other. */
  step(from, to) {
    const changes = from.pop();
    if (!changes) return null;
    for (const [name, indices] of changes) {
      const { pixels } = this.masks[name];
      for (const i of indices) pixels[i] = 1 - pixels[i];
    }
    to.push(changes);
    return this.outlines();
  }

  /** Contours and run lengths of the masks, and whether there is something to undo or to redo. */
  outlines() {
    const each = (make) => Object.fromEntries(Object.entries(this.masks).map(([name, mask]) => [name, make(mask)]));
    return { contours: each(contours), rle: each(({ pixels }) => runLengths(pixels, this.width, this.height)), undo: this.done.length, redo: this.undone.length };
  }
}

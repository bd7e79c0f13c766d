// The ruler: a line on the film with its length, in mm where the pixel spacing is known, otherwise in px.

import { announce } from "../panel/elements.js";
import { line } from "./outlines.js";

const GRIP = 12; // px of the screen around an end by which it is dragged
const SHORTEST = 3; // px of the screen; a shorter line is a click, which removes the ruler
const number = new Intl.NumberFormat("en", { minimumFractionDigits: 1, maximumFractionDigits: 1 });

/** A step of the arrow keys, px of the film: a hundredth of its shorter side, or with Shift one pixel. */
export const keyStep = ({ width, height }, isFine) => (isFine ? 1 : Math.max(1, Math.round(0.01 * Math.min(width, height))));

/** The distance of two points of the film, px: in mm with its spacing, in px without (null). */
export function lengthOf([fromX, fromY], [toX, toY], spacing) {
  const [dx, dy] = [toX - fromX, toY - fromY];
  return spacing ? Math.hypot(dx * spacing.col_mm, dy * spacing.row_mm) : Math.hypot(dx, dy);
}

/** A tool of the gestures: a drag draws a line, or moves one of its ends. */
export class Ruler {
  constructor(viewer) {
    this.viewer = viewer;
    this.isActive = false;
    this.spacing = null;
    this.clear();
  }

  isOn() { return this.isActive; }

  setActive(isActive) {
    this.isActive = isActive;
    if (isActive) announce("Drag measures a length. Or arrow keys move an end, with Shift by one pixel, and Space takes the other end.");
  }

  /** Move an end with the keyboard; both begin in the film's middle. */
  nudge(dx, dy, isFine) {
    const { view } = this.viewer;
    const [width, height] = [view.width, view.height];
    this.ends ??= [[width / 2, height / 2], [width / 2, height / 2]];
    const [x, y] = this.ends[this.moving];
    const step = keyStep(view, isFine);
    this.ends[this.moving] = [Math.min(width, Math.max(0, x + dx * step)), Math.min(height, Math.max(0, y + dy * step))];
    this.draw();
    announce(`Length ${this.label()}`);
  }

  /** Take the other end. */
  stamp() {
    if (!this.ends) return this.nudge(0, 0, true);
    this.moving = 1 - this.moving;
    announce(`The ${["first", "second"][this.moving]} end. Length ${this.label()}`);
    this.draw();
  }

  /** Remove the line; the lines of the next film are in its spacing. */
  clear(spacing = this.spacing) {
    Object.assign(this, { ends: null, spacing, moving: 1 });
    this.draw();
  }

  begin(point) {
    const near = (this.ends ?? []).findIndex((end) => this.screenDistance(this.viewer.screenPoint(end), point) <= GRIP);
    this.moving = near < 0 ? 1 : near;
    if (near < 0) this.ends = [this.viewer.filmPoint(point), this.viewer.filmPoint(point)];
    this.isDragging = true;
    this.draw();
  }

  moved(point) {
    if (!this.isDragging) return;
    this.ends[this.moving] = this.viewer.filmPoint(point);
    this.draw();
  }

  end() {
    this.isDragging = false;
    if (!this.ends) return;
    if (this.screenDistance(...this.ends.map((end) => this.viewer.screenPoint(end))) < SHORTEST) this.clear();
    else announce(`Length ${this.label()}`);
  }

  screenDistance(a, b) { return Math.hypot(a.x - b.x, a.y - b.y); }

  label() { return `${number.format(lengthOf(...this.ends, this.spacing))} ${this.spacing ? "mm" : "px"}`; }

  draw() {
    this.viewer.ruler = this.ends && { ends: this.ends, label: this.label(), moving: this.moving };
    this.viewer.screen.dataset.length = this.ends ? this.label() : "";
    this.viewer.redraw();
  }
}

/** Draw a line with its length; the ends are points of the screen, and the one that moves next is filled. */
export function drawRuler(context, [from, to], { label, moving }) {
  const { x: gripX, y: gripY } = [from, to][moving];
  context.fillStyle = "#ffd54a";
  context.beginPath();
  context.arc(gripX, gripY, 4, 0, 2 * Math.PI);
  context.fill();
  for (const [colour, width] of [["#10171d", 5], ["#ffd54a", 2]]) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    line(context, from.x, from.y, to.x, to.y);
    for (const { x, y } of [from, to]) {
      context.beginPath();
      context.arc(x, y, 5, 0, 2 * Math.PI);
      context.stroke();
    }
  }
  context.font = "600 14px system-ui, sans-serif";
  const [x, y] = [(from.x + to.x) / 2 + 10, (from.y + to.y) / 2 - 10];
  context.lineWidth = 4;
  context.strokeStyle = "#10171d";
  context.strokeText(label, x, y);
  context.fillStyle = "#ffd54a";
  context.fillText(label, x, y);
}

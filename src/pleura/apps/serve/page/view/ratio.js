// The two widths of the cardiothoracic ratio as lines whose ends are dragged, by mouse or by keyboard.

import { announce } from "../panel/elements.js";
import { keyStep } from "./ruler.js";

const GRIP = 14; // px of the screen around an end by which it is dragged
const ENDS = [["heart", "left"], ["heart", "right"], ["thorax", "left"], ["thorax", "right"]];
const NAMES = { heart: "heart", thorax: "chest", left: "left end in the picture", right: "right end in the picture" };

/** The width of the heart by that of the chest. */
export const ratioOf = ({ heart, thorax }) => (heart.right - heart.left) / (thorax.right - thorax.left);

/** Lines to begin with, for a film that has none. */
const startOf = ({ width, height }) => ({
  heart: { row: Math.round(0.6 * height), left: Math.round(0.38 * width), right: Math.round(0.62 * width) },
  thorax: { row: Math.round(0.7 * height), left: Math.round(0.15 * width), right: Math.round(0.85 * width) },
});

/** A tool of the gestures: a drag of an end moves it and its line; `onMove` is called with the new widths, `onEnd` after the move. */
export class RatioLines {
  constructor(viewer, { onMove, onEnd }) {
    Object.assign(this, { viewer, onMove, onEnd, isActive: false, widths: null, selected: 0, isDragging: false });
  }

  isOn() { return this.isActive; }

  setActive(isActive) {
    this.isActive = isActive;
    this.draw();
    if (isActive && this.viewer.view) announce(`Drag an end of the two widths. Or Space goes to the next end, and arrow keys move it. ${this.label()}`);
  }

  /** The widths of the film on the screen; null if it has none. */
  use(widths) {
    const { view } = this.viewer;
    this.widths = widths ?? (view ? startOf(view) : null);
    this.draw();
  }

  /** Whether an end was gripped. */
  begin(point) {
    const distances = this.points().map(({ x, y }) => Math.hypot(x - point.x, y - point.y));
    const nearest = distances.indexOf(Math.min(...distances));
    if (!(distances[nearest] <= GRIP)) return false;
    Object.assign(this, { selected: nearest, isDragging: true });
    this.draw();
    return true;
  }

  moved(point) {
    if (this.isDragging) this.moveTo(this.viewer.filmPoint(point));
  }

  end() {
    if (!this.isDragging) return;
    this.isDragging = false;
    this.onEnd();
    announce(this.label());
  }

  nudge(dx, dy, isFine) {
    if (!this.widths) return;
    const [name, side] = ENDS[this.selected];
    const step = keyStep(this.viewer.view, isFine);
    this.moveTo([this.widths[name][side] + dx * step, this.widths[name].row + dy * step]);
    this.onEnd();
    announce(this.label());
  }

  /** Go on to the next end. */
  stamp() {
    this.selected = (this.selected + 1) % ENDS.length;
    this.draw();
    announce(this.label());
  }

  moveTo([x, y]) {
    const [name, side] = ENDS[this.selected];
    const { width, height } = this.viewer.view;
    const line = { ...this.widths[name], row: Math.min(height - 1, Math.max(0, Math.round(y))) };
    line[side] = side === "left" ? Math.min(line.right - 1, Math.max(0, Math.round(x))) : Math.max(line.left + 1, Math.min(width, Math.round(x)));
    this.widths = { ...this.widths, [name]: line };
    this.onMove(this.widths);
    this.draw();
  }

  label() {
    const [name, side] = ENDS[this.selected];
    return this.widths ? `Width of the ${NAMES[name]}, ${NAMES[side]}. Cardiothoracic ratio ${ratioOf(this.widths).toFixed(2)}` : "";
  }

  /** The ends as points of the screen. */
  points() {
    if (!this.widths) return [];
    return ENDS.map(([name, side]) => this.viewer.screenPoint([this.widths[name][side], this.widths[name].row + 0.5]));
  }

  draw() {
    const { widths, selected } = this;
    this.viewer.ratio = this.isActive && widths ? { widths, points: () => this.points(), selected } : null;
    this.viewer.redraw();
  }
}

/** Draw the ends as rings; the selected one is filled. */
export function drawEnds(context, { points, selected }) {
  points().forEach(({ x, y }, index) => {
    context.beginPath();
    context.arc(x, y, 7, 0, 2 * Math.PI);
    context.fillStyle = index === selected ? "#ffd54a" : "rgb(16 23 29 / 50%)";
    context.fill();
    for (const [colour, width] of [["#10171d", 4], ["#ffd54a", 2]]) {
      Object.assign(context, { strokeStyle: colour, lineWidth: width });
      context.stroke();
    }
  });
}

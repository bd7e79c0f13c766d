// Mouse, touch and wheel on the film: moving, zooming, window and level.

export class Gestures {
  constructor(screen, viewer, onHover) {
    this.screen = screen;
    this.viewer = viewer;
    this.onHover = onHover; // called with a point of the screen, or null
    this.mode = "move"; // or "window"
    this.pens = []; // each draws instead of moving the film while it is on, unless `begin` returns false: { isOn, begin, moved, end, cancel? }
    this.pointers = new Map();
    this.listen();
  }

  /** The pen that is on. */
  get pen() { return this.pens.find((pen) => pen.isOn()); }

  listen() {
    const { screen, viewer } = this;
    screen.addEventListener("wheel", (event) => {
      event.preventDefault();
      viewer.zoom(Math.exp(-0.0015 * event.deltaY), this.pointOf(event));
    }, { passive: false });
    screen.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return; // with the pointer captured, the button would get no click
      screen.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, this.pointOf(event));
      if (this.isDrawing) this.giveUp(); // a second finger zooms
      this.isDrawing = Boolean(this.pen) && event.button === 0 && !event.shiftKey && this.pointers.size === 1;
      if (this.isDrawing) this.isDrawing = this.pen.begin(this.pointOf(event)) !== false;
    });
    screen.addEventListener("pointermove", (event) => {
      this.onHover(this.pointOf(event));
      this.pen?.moved(this.pointOf(event));
      if (!this.isDrawing) this.drag(event);
    });
    screen.addEventListener("pointerleave", () => this.onHover(null));
    screen.addEventListener("pointerup", (event) => {
      this.pointers.delete(event.pointerId);
      if (this.isDrawing) this.pen?.end();
      this.isDrawing = false;
    });
    screen.addEventListener("pointercancel", (event) => {
      this.pointers.delete(event.pointerId);
      if (this.isDrawing) this.giveUp();
      this.isDrawing = false;
    });
    screen.addEventListener("dblclick", () => this.pen || viewer.reset());
  }

  /** End what the pen draws; a pen that changes masks leaves them as they were. */
  giveUp() {
    const { pen } = this;
    if (pen?.cancel) pen.cancel();
    else pen?.end();
  }

  /** The point of an event on the screen, px. */
  pointOf(event) {
    const { left, top } = this.screen.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.pointOf(event);
    const other = [...this.pointers.entries()].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) {
      const distance = (a, b) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
      this.viewer.zoom(distance(now, other) / distance(before, other), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    } else if ((this.mode === "window") !== event.shiftKey) {
      this.viewer.changeWindow((now.x - before.x) / 400, (now.y - before.y) / 400);
    } else {
      this.viewer.move(now.x - before.x, now.y - before.y);
    }
  }
}

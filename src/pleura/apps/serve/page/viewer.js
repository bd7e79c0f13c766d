// The viewer: film and overlay with one transform; CSS filters make window and level.

import { decode, paint } from "/page/masks.js";

const DEFAULT_WINDOW = { centre: 0.5, width: 1, inverted: false };
const MAX_ZOOM = 16;

export class Viewer {
  constructor(screen) {
    this.screen = screen;
    this.stage = screen.querySelector("#stage");
    this.film = screen.querySelector("#film");
    this.overlay = screen.querySelector("#overlay");
    this.readout = screen.querySelector("#readout");
    this.mode = "move";
    this.windowing = { ...DEFAULT_WINDOW };
    this.position = { x: 0, y: 0, scale: 1 };
    this.fitted = true;
    this.pointers = new Map();
    this.listen();
  }

  /** Show a film (ImageBitmap); `showLungs` adds its lungs. */
  show(bitmap) {
    for (const canvas of [this.film, this.overlay]) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    this.film.getContext("2d").drawImage(bitmap, 0, 0);
    this.reset();
  }

  /** Remove the film and its lungs. */
  clear() {
    for (const canvas of [this.film, this.overlay]) canvas.width = canvas.height = 0;
  }

  /** Paint the lungs: run lengths by name, null for a mask that is missing. */
  showLungs(rle, style) {
    const masks = Object.fromEntries(
      Object.entries(rle).filter(([, runs]) => runs).map(([name, runs]) => [name, decode(runs)]),
    );
    paint(this.overlay, masks, style);
  }

  /** Show the complete film, with its own grey values. */
  reset() {
    this.windowing = { ...DEFAULT_WINDOW, inverted: this.windowing.inverted };
    this.fit();
    this.applyWindowing();
  }

  fit() {
    const { clientWidth: w, clientHeight: h } = this.screen;
    const { width, height } = this.film;
    const scale = (width && height && Math.min(w / width, h / height)) || 1;
    this.position = { scale, x: (w - scale * width) / 2, y: (h - scale * height) / 2 };
    this.fitted = true;
    this.applyPosition();
  }

  /** Zoom by a factor about a point of the screen, by default its middle. */
  zoom(factor, at = { x: this.screen.clientWidth / 2, y: this.screen.clientHeight / 2 }) {
    const { scale, x, y } = this.position;
    const newScale = Math.min(MAX_ZOOM, Math.max(0.02, scale * factor));
    const ratio = newScale / scale;
    this.position = { scale: newScale, x: at.x - ratio * (at.x - x), y: at.y - ratio * (at.y - y) };
    this.fitted = false;
    this.applyPosition();
  }

  move(dx, dy) {
    this.position.x += dx;
    this.position.y += dy;
    this.fitted = false;
    this.applyPosition();
  }

  /** Change the window's width and centre, as shares of the grey range. */
  changeWindow(dWidth, dCentre) {
    this.windowing.width = Math.min(2, Math.max(0.02, this.windowing.width + dWidth));
    this.windowing.centre = Math.min(1, Math.max(0.02, this.windowing.centre + dCentre));
    this.applyWindowing();
  }

  invert() {
    this.windowing.inverted = !this.windowing.inverted;
    this.applyWindowing();
    return this.windowing.inverted;
  }

  applyPosition() {
    const { x, y, scale } = this.position;
    this.stage.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    this.film.style.imageRendering = scale > 3 ? "pixelated" : "auto";
    this.updateReadout();
  }

  applyWindowing() {
    // out = (v - centre) / width + 1/2, as a brightness (v * b) and a contrast ((v - 1/2) k + 1/2)
    const { centre, width, inverted } = this.windowing;
    const filters = [`brightness(${1 / (2 * centre)})`, `contrast(${(2 * centre) / width})`];
    this.film.style.filter = [...filters, ...(inverted ? ["invert(1)"] : [])].join(" ");
    this.updateReadout();
  }

  /** Write the zoom, and the window if it was changed, below the film. */
  updateReadout() {
    const { centre, width } = this.windowing;
    const isDefault = centre === DEFAULT_WINDOW.centre && width === DEFAULT_WINDOW.width;
    const percent = (share) => `${Math.round(100 * share)} %`;
    const windowed = isDefault ? "" : ` · window ${percent(width)}, level ${percent(centre)}`;
    this.readout.textContent = `zoom ${percent(this.position.scale)}${windowed}`;
  }

  listen() {
    const { screen } = this;
    screen.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-0.0015 * event.deltaY), this.pointOf(event));
    }, { passive: false });
    screen.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return; // with the pointer captured, the button would get no click
      screen.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, this.pointOf(event));
    });
    screen.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) {
      screen.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    screen.addEventListener("dblclick", () => this.reset());
    new ResizeObserver(() => this.fitted && this.fit()).observe(screen);
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
      this.zoom(distance(now, other) / distance(before, other), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    } else if ((this.mode === "window") !== event.shiftKey) {
      this.changeWindow((now.x - before.x) / 400, (now.y - before.y) / 400);
    } else {
      this.move(now.x - before.x, now.y - before.y);
    }
  }
}

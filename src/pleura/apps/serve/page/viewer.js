// The viewer: film and overlay under one transform; window and level by CSS filters.

import { decode, paint } from "/page/masks.js";

const NATURAL = { centre: 0.5, width: 1, inverted: false };
const MOST_ZOOM = 16;

export class Viewer {
  constructor(screen) {
    this.screen = screen;
    this.stage = screen.querySelector("#stage");
    this.film = screen.querySelector("#film");
    this.overlay = screen.querySelector("#overlay");
    this.readout = screen.querySelector("#readout");
    this.mode = "move";
    this.look = { ...NATURAL };
    this.place = { x: 0, y: 0, scale: 1 };
    this.fitted = true;
    this.pointers = new Map();
    this.listen();
  }

  /** Show a film (ImageBitmap); its lungs come with `lungs`. */
  show(bitmap) {
    for (const canvas of [this.film, this.overlay]) {
      canvas.width = bitmap.width;
      canvas.height = bitmap.height;
    }
    this.film.getContext("2d").drawImage(bitmap, 0, 0);
    this.reset();
  }

  /** No film: nothing of the one before is left. */
  clear() {
    for (const canvas of [this.film, this.overlay]) canvas.width = canvas.height = 0;
  }

  /** Paint the lungs: run lengths by name, or nothing. */
  lungs(rle, how) {
    const masks = Object.fromEntries(
      Object.entries(rle).filter(([, each]) => each).map(([name, each]) => [name, decode(each)]),
    );
    paint(this.overlay, masks, how);
  }

  /** The whole film, with its own grey values. */
  reset() {
    this.look = { ...NATURAL, inverted: this.look.inverted };
    this.fit();
    this.applyLook();
  }

  fit() {
    const { clientWidth: w, clientHeight: h } = this.screen;
    const { width, height } = this.film;
    const scale = (width && height && Math.min(w / width, h / height)) || 1;
    this.place = { scale, x: (w - scale * width) / 2, y: (h - scale * height) / 2 };
    this.fitted = true;
    this.applyPlace();
  }

  /** Zoom by a factor about a point of the screen; its middle if none is given. */
  zoom(factor, at = { x: this.screen.clientWidth / 2, y: this.screen.clientHeight / 2 }) {
    const { scale, x, y } = this.place;
    const next = Math.min(MOST_ZOOM, Math.max(0.02, scale * factor));
    const by = next / scale;
    this.place = { scale: next, x: at.x - by * (at.x - x), y: at.y - by * (at.y - y) };
    this.fitted = false;
    this.applyPlace();
  }

  move(dx, dy) {
    this.place.x += dx;
    this.place.y += dy;
    this.fitted = false;
    this.applyPlace();
  }

  /** Change the window's width and centre, as shares of the grey range. */
  window(dWidth, dCentre) {
    this.look.width = Math.min(2, Math.max(0.02, this.look.width + dWidth));
    this.look.centre = Math.min(1, Math.max(0.02, this.look.centre + dCentre));
    this.applyLook();
  }

  invert() {
    this.look.inverted = !this.look.inverted;
    this.applyLook();
    return this.look.inverted;
  }

  applyPlace() {
    const { x, y, scale } = this.place;
    this.stage.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
    this.film.style.imageRendering = scale > 3 ? "pixelated" : "auto";
    this.tell();
  }

  applyLook() {
    // out = (v - centre) / width + 1/2, as a brightness (v * b) and a contrast ((v - 1/2) k + 1/2)
    const { centre, width, inverted } = this.look;
    const filters = [`brightness(${1 / (2 * centre)})`, `contrast(${(2 * centre) / width})`];
    this.film.style.filter = [...filters, ...(inverted ? ["invert(1)"] : [])].join(" ");
    this.tell();
  }

  /** Zoom, and the window where it is not the film's own. */
  tell() {
    const { centre, width } = this.look;
    const own = centre === NATURAL.centre && width === NATURAL.width;
    const percent = (share) => `${Math.round(100 * share)} %`;
    const windowed = own ? "" : ` · window ${percent(width)}, level ${percent(centre)}`;
    this.readout.textContent = `zoom ${percent(this.place.scale)}${windowed}`;
  }

  listen() {
    const { screen } = this;
    screen.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-0.0015 * event.deltaY), this.at(event));
    }, { passive: false });
    screen.addEventListener("pointerdown", (event) => {
      if (event.target.closest("button")) return; // captured, its click would be lost
      screen.setPointerCapture(event.pointerId);
      this.pointers.set(event.pointerId, this.at(event));
    });
    screen.addEventListener("pointermove", (event) => this.drag(event));
    for (const end of ["pointerup", "pointercancel"]) {
      screen.addEventListener(end, (event) => this.pointers.delete(event.pointerId));
    }
    screen.addEventListener("dblclick", () => this.reset());
    new ResizeObserver(() => this.fitted && this.fit()).observe(screen);
  }

  at(event) {
    const { left, top } = this.screen.getBoundingClientRect();
    return { x: event.clientX - left, y: event.clientY - top };
  }

  drag(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) return;
    const now = this.at(event);
    const other = [...this.pointers.entries()].find(([id]) => id !== event.pointerId)?.[1];
    this.pointers.set(event.pointerId, now);
    if (other) {
      const far = (a, b) => Math.max(1, Math.hypot(a.x - b.x, a.y - b.y));
      this.zoom(far(now, other) / far(before, other), { x: (now.x + other.x) / 2, y: (now.y + other.y) / 2 });
    } else if ((this.mode === "window") !== event.shiftKey) {
      this.window((now.x - before.x) / 400, (now.y - before.y) / 400);
    } else {
      this.move(now.x - before.x, now.y - before.y);
    }
  }
}

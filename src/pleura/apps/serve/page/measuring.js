// Measuring by hand: the ruler, and the lines of the cardiothoracic ratio.

import { definitionOf, isVeiled, widthsOf } from "./films/film.js";
import * as storage from "./films/storage.js";
import { $, announce } from "./panel/elements.js";
import { drawLungs, reveal, ruler, screen, shownFilm, viewer } from "./screen.js";
import { RatioLines } from "./view/ratio.js";

export const ratioLines = new RatioLines(viewer, {
  onMove: (widths) => useWidths(shownFilm(), widths),
  onEnd: () => shownFilm() && storage.updateState(shownFilm()),
});

const TOOLS = { ruler, ratio: ratioLines };

/** The tool that arrow keys move, or null. */
export const activeTool = () => (shownFilm() && Object.values(TOOLS).find((tool) => tool.isOn())) || null;

/** Use the tool of this name, if it is one, and no other. */
export function useTool(name) {
  for (const [key, tool] of Object.entries(TOOLS)) if (key !== name) tool.setActive(false);
  const film = shownFilm();
  if (name === "ratio" && film && isVeiled(film)) reveal();
  TOOLS[name]?.setActive(true);
}

/** Give a film widths by hand, or its own ones again (null). */
function useWidths(film, widths) {
  if (widths) film.byHand[definitionOf(film)] = widths;
  else delete film.byHand[definitionOf(film)];
  drawLungs();
}

/** Take the widths by hand of the film on the screen back. */
export function resetWidths() {
  const film = shownFilm();
  if (!film) return;
  useWidths(film, null);
  storage.updateState(film);
  announce("The cardiothoracic ratio is the program's again.");
}

document.addEventListener("lungs-drawn", () => ratioLines.use(shownFilm() && !isVeiled(screen.film) ? widthsOf(screen.film) : null));
